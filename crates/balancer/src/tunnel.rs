//! A WebSocket once it is open: bytes both ways.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::time::{Instant, sleep_until};

/// The buffer of each direction.
const BUFFER: usize = 4 << 10;

/// Copies until one side ends the connection, or nothing came from either side for the idle timeout.
pub(crate) async fn run(client: OnUpgrade, target: OnUpgrade, idle: Duration) {
    let Ok((client, target)) = tokio::try_join!(client, target) else { return };
    let moved = Rc::new(Cell::new(Instant::now()));
    let mut client = Watched { inner: TokioIo::new(client), moved: moved.clone() };
    let mut target = Watched { inner: TokioIo::new(target), moved: moved.clone() };
    let copy = copy_bidirectional_with_sizes(&mut client, &mut target, BUFFER, BUFFER);
    let silence = async {
        loop {
            let end = moved.get() + idle;
            sleep_until(end).await;
            if moved.get() + idle <= end {
                break;
            }
        }
    };
    tokio::select! {
        _ = copy => (),
        () = silence => (),
    }
}

/// Notes when something was read.
struct Watched {
    inner: TokioIo<Upgraded>,
    moved: Rc<Cell<Instant>>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_read(context, buffer);
        if poll.is_ready() {
            self.moved.set(Instant::now());
        }
        poll
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
