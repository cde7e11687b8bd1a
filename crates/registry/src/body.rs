//! Bodies of requests and answers, piece by piece: memory stays bounded whatever a blob's size.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use tokio::task::JoinHandle;

/// The body of every answer.
pub type BoxBody = http_body_util::combinators::BoxBody<Bytes, io::Error>;

/// How many bytes are read from, or written to, a file at a time.
const PIECE: usize = 256 * 1024;
/// How long a client may pause within a request's body.
const IDLE: Duration = Duration::from_secs(60);
/// How much of a refused request's body is still read, so that a client that sends before it listens sees the refusal.
const DRAIN: usize = 16 << 20;
/// For how long.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// An answer with a small body. An answer to HEAD has its length only.
pub(crate) fn full(bytes: impl Into<Bytes>, head_only: bool) -> Response<BoxBody> {
    let bytes = bytes.into();
    let length = bytes.len() as u64;
    let body = if head_only {
        Empty::new().map_err(|never| match never {}).boxed()
    } else {
        Full::new(bytes).map_err(|never| match never {}).boxed()
    };
    let mut response = Response::new(body);
    set_length(&mut response, length);
    response
}

/// An answer without a body.
pub(crate) fn empty() -> Response<BoxBody> {
    full(Bytes::new(), false)
}

/// States a length, which an answer to HEAD does without a body.
pub(crate) fn set_length(response: &mut Response<BoxBody>, length: u64) {
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
}

/// A part of a file, read one piece ahead on a thread that may block.
pub(crate) struct FileBody {
    reading: Option<JoinHandle<io::Result<(File, Bytes)>>>,
    remaining: u64,
}

impl FileBody {
    pub(crate) fn new(mut file: File, part: &RangeInclusive<u64>) -> Self {
        let (start, remaining) = (*part.start(), part.end() - part.start() + 1);
        let first = tokio::task::spawn_blocking(move || {
            file.seek(SeekFrom::Start(start))?;
            read_piece(file, remaining)
        });
        Self { reading: Some(first), remaining }
    }
}

fn read_piece(mut file: File, remaining: u64) -> io::Result<(File, Bytes)> {
    let length = usize::try_from(remaining).unwrap_or(PIECE).min(PIECE);
    let mut piece = vec![0; length];
    file.read_exact(&mut piece)?;
    Ok((file, piece.into()))
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let Some(reading) = &mut this.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other).and_then(|read| read);
        this.reading = None;
        Poll::Ready(Some(read.map(|(file, piece)| {
            this.remaining -= piece.len() as u64;
            if this.remaining > 0 {
                let remaining = this.remaining;
                this.reading = Some(tokio::task::spawn_blocking(move || read_piece(file, remaining)));
            }
            Frame::data(piece)
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.reading.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// Why a request's body ended too early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the connection broke within the request's body: {0}")]
    Cut(String),
    #[error("nothing of the request's body came for {} s", IDLE.as_secs())]
    Idle,
}

/// A request's body.
pub(crate) struct Received<B> {
    body: Pin<Box<B>>,
    broken: Option<Broken>,
    done: bool,
}

impl<B> Received<B>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    pub(crate) fn new(body: B) -> Self {
        Self { body: Box::pin(body), broken: None, done: false }
    }

    /// The length that the client stated.
    pub(crate) fn stated_length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    async fn frame(&mut self) -> Result<Option<Bytes>, Broken> {
        while !self.done {
            match tokio::time::timeout(IDLE, self.body.frame()).await {
                Err(_) => return Err(Broken::Idle),
                Ok(Some(Err(error))) => return Err(Broken::Cut(error.to_string())),
                Ok(None) => self.done = true,
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The next bytes, about [`PIECE`] of them; None at the end. What came before a break is given first.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Bytes>>, Broken> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let (mut frames, mut length) = (Vec::new(), 0);
        while length < PIECE {
            match self.frame().await {
                Ok(Some(data)) => {
                    length += data.len();
                    frames.push(data);
                }
                Ok(None) => break,
                Err(broken) => {
                    self.broken = Some(broken.clone());
                    if frames.is_empty() {
                        return Err(broken);
                    }
                    break;
                }
            }
        }
        Ok((!frames.is_empty()).then_some(frames))
    }

    /// All bytes; None when there are more than `limit`.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Option<Vec<u8>>, Broken> {
        if self.stated_length().is_some_and(|length| length > limit as u64) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        while let Some(data) = self.frame().await? {
            if bytes.len() + data.len() > limit {
                return Ok(None);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Some(bytes))
    }

    /// Reads on for a while without looking at it.
    pub(crate) async fn drain(&mut self) {
        let reading = async {
            let mut length = 0;
            while self.broken.is_none()
                && length < DRAIN
                && let Ok(Some(data)) = self.frame().await
            {
                length += data.len();
            }
        };
        // Late or not, the refusal goes out.
        let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
    }
}
