//! Bodies as they pass through: a frame at a time, with an eye on the idle timeout.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::pool::Connection;
use crate::target::InFlight;

/// Why a body ends too early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The other side broke off, or broke the framing.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// Nothing came for the idle timeout.
    #[error("nothing came for the idle timeout")]
    Idle,
}

/// Ends a wait when nothing comes. The timer is made at the first wait: most bodies never wait.
#[derive(Debug)]
struct Patience {
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(idle: Duration) -> Self {
        Self { idle, timer: None }
    }

    fn poll(
        &mut self,
        frame: Poll<Option<Result<Frame<Bytes>, hyper::Error>>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match frame {
            Poll::Ready(frame) => {
                self.timer = None;
                Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)))
            }
            Poll::Pending => {
                let idle = self.idle;
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(idle)));
                timer.as_mut().poll(context).map(|()| Some(Err(BodyError::Idle)))
            }
        }
    }
}

/// How far a request's body has come. Shared with those who wait for the answer.
#[derive(Debug)]
pub(crate) struct Progress {
    moved: Cell<Instant>,
    complete: Cell<bool>,
    starved: Cell<bool>,
    failed: Cell<Option<ClientFailure>>,
}

/// How a client failed to send its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientFailure {
    /// It stopped.
    Idle,
    /// It broke off or broke the framing.
    Broken,
}

impl Progress {
    /// At the start of a request; `complete` when it has no body.
    pub(crate) fn new(complete: bool) -> Rc<Self> {
        let (complete, failed, starved) = (Cell::new(complete), Cell::new(None), Cell::new(false));
        Rc::new(Self { moved: Cell::new(Instant::now()), complete, starved, failed })
    }

    /// When something was last sent.
    pub(crate) fn moved(&self) -> Instant {
        self.moved.get()
    }

    /// Whether all of the body was taken.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.get()
    }

    /// Whether more of the body is asked for and has not come.
    pub(crate) fn is_starved(&self) -> bool {
        self.starved.get()
    }

    /// How the client failed.
    pub(crate) fn failed(&self) -> Option<ClientFailure> {
        self.failed.get()
    }
}

/// A request's body on its way to a target.
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Option<Incoming>,
    progress: Rc<Progress>,
    patience: Patience,
}

impl RequestBody {
    /// The client's body.
    pub(crate) fn new(incoming: Incoming, progress: Rc<Progress>, idle: Duration) -> Self {
        let incoming = (!incoming.is_end_stream()).then_some(incoming);
        Self { incoming, progress, patience: Patience::new(idle) }
    }

    /// No body.
    pub(crate) fn none(progress: Rc<Progress>) -> Self {
        Self { incoming: None, progress, patience: Patience::new(Duration::ZERO) }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let frame = Pin::new(&mut *incoming).poll_frame(context);
        let frame = this.patience.poll(frame, context);
        this.progress.starved.set(frame.is_pending());
        match &frame {
            Poll::Pending => (),
            Poll::Ready(None) => this.progress.complete.set(true),
            Poll::Ready(Some(Ok(_))) => {
                this.progress.moved.set(Instant::now());
                this.progress.complete.set(incoming.is_end_stream());
            }
            Poll::Ready(Some(Err(error))) => {
                let failure = match error {
                    BodyError::Idle => ClientFailure::Idle,
                    BodyError::Broken(_) => ClientFailure::Broken,
                };
                this.progress.failed.set(Some(failure));
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// Says that an answer is on its way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Answering(Arc<AtomicBool>);

impl Answering {
    /// From now on.
    pub(crate) fn begin(flag: &Arc<AtomicBool>) -> Self {
        flag.store(true, Ordering::Relaxed);
        Self(flag.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A response's body on its way to the client.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    content: Content,
    /// Held to the body's end.
    answering: Option<Answering>,
}

#[derive(Debug)]
enum Content {
    Whole(Option<Bytes>),
    Streamed(Box<Streamed>),
}

#[derive(Debug)]
struct Streamed {
    incoming: Incoming,
    exchange: Option<Exchange>,
    patience: Patience,
}

/// A request and its connection, held until the response has come whole.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Where the response comes from.
    pub(crate) connection: Connection,
    /// Counts the request.
    pub(crate) flight: InFlight,
    /// Whether the request was sent whole: else the connection cannot be used again.
    pub(crate) progress: Rc<Progress>,
}

impl Exchange {
    /// The response has come whole.
    fn finish(self) {
        let Self { connection, flight, progress } = self;
        if progress.is_complete() {
            connection.release();
        } else {
            drop(connection);
        }
        drop(flight);
    }
}

impl ResponseBody {
    /// A body at hand.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { content: Content::Whole((!bytes.is_empty()).then_some(bytes)), answering: None }
    }

    /// A target's body.
    pub(crate) fn streamed(incoming: Incoming, exchange: Exchange, idle: Duration) -> Self {
        if incoming.is_end_stream() {
            exchange.finish();
            return Self::whole(Bytes::new());
        }
        let streamed = Streamed { incoming, exchange: Some(exchange), patience: Patience::new(idle) };
        Self { content: Content::Streamed(Box::new(streamed)), answering: None }
    }

    /// Keeps the mark to the body's end.
    pub(crate) fn marked(mut self, answering: Answering) -> Self {
        self.answering = Some(answering);
        self
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Streamed(streamed) => {
                let Streamed { incoming, exchange, patience } = &mut **streamed;
                let frame = patience.poll(Pin::new(&mut *incoming).poll_frame(context), context);
                let end = match &frame {
                    Poll::Pending | Poll::Ready(Some(Err(_))) => false,
                    Poll::Ready(None) => true,
                    Poll::Ready(Some(Ok(_))) => incoming.is_end_stream(),
                };
                if end && let Some(exchange) = exchange.take() {
                    exchange.finish();
                }
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Streamed(streamed) => streamed.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Streamed(streamed) => streamed.incoming.size_hint(),
        }
    }
}
