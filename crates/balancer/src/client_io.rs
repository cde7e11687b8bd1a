//! The client's socket as hyper sees it.
//!
//! It adds two things: a client that does not read for the idle timeout is cut, and hyper's own short answer to bytes
//! that are no request is sent in ALB's form.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::StatusCode;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::meter::Meter;
use crate::page;
use crate::worker::date;

/// No answer that hyper makes of itself is longer.
const LONGEST_OWN: usize = 160;

/// A client's socket.
#[derive(Debug)]
pub(crate) struct ClientIo {
    inner: TokioIo<Counting>,
    idle: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    /// Set while an answer of ours is on its way: then what is written is not hyper's own.
    answering: Arc<AtomicBool>,
    /// What is still to be written in place of an answer of hyper's own.
    instead: Vec<u8>,
}

/// A socket whose bytes are counted.
#[derive(Debug)]
struct Counting {
    stream: TcpStream,
    meter: Arc<Meter>,
}

impl Counting {
    fn count(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.add(*bytes);
        }
    }

    fn add(&self, bytes: usize) {
        self.meter.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.add(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.count(&written);
        written
    }
}

impl ClientIo {
    /// Over an accepted socket.
    pub(crate) fn new(
        stream: TcpStream,
        idle: Duration,
        answering: Arc<AtomicBool>,
        meter: Arc<Meter>,
    ) -> Self {
        let stream = Counting { stream, meter };
        Self { inner: TokioIo::new(stream), idle, stalled: None, answering, instead: Vec::new() }
    }

    /// Writes with patience: `write` is tried again for at most the idle timeout.
    fn patiently<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TokioIo<Counting>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match write(Pin::new(&mut self.inner), context) {
            Poll::Ready(result) => {
                self.stalled = None;
                Poll::Ready(result)
            }
            Poll::Pending => {
                let idle = self.idle;
                let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(idle)));
                timer.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    /// Takes an answer of hyper's own, to be written in ALB's form. False when it is none.
    fn replace(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > LONGEST_OWN || self.answering.load(Ordering::Relaxed) {
            return false;
        }
        match own(bytes) {
            None => false,
            Some(status) => {
                self.instead = page::bytes(status, &date::now());
                true
            }
        }
    }

    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let bytes = std::mem::take(&mut self.instead);
            let written = self.patiently(context, |inner, context| inner.poll_write(context, &bytes));
            match written {
                Poll::Ready(Ok(count)) => self.instead = bytes[count..].to_vec(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.instead = bytes;
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The status of an answer that hyper makes of itself when it cannot read a request. It bears no `Date`, as every
/// answer of ours does.
fn own(bytes: &[u8]) -> Option<StatusCode> {
    let text = std::str::from_utf8(bytes).ok()?;
    let status = match text.strip_prefix("HTTP/1.1 ")?.get(..3)? {
        // ALB knows no 431.
        "400" | "431" => StatusCode::BAD_REQUEST,
        "414" => StatusCode::URI_TOO_LONG,
        _ => return None,
    };
    let text = text.to_ascii_lowercase();
    let bare = text.ends_with("\r\n\r\n")
        && text.contains("\r\ncontent-length: 0\r\n")
        && !text.contains("\r\ndate:");
    bare.then_some(status)
}

impl Read for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl Write for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.replace(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_instead(context))?;
        self.patiently(context, |inner, context| inner.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = buffers
            && self.replace(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        ready!(self.poll_instead(context))?;
        self.patiently(context, |inner, context| inner.poll_write_vectored(context, buffers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hyper_s_own_answers_are_known_as_such() {
        let own_400 = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(own(own_400), Some(StatusCode::BAD_REQUEST));
        let large =
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(own(large), Some(StatusCode::BAD_REQUEST));
        assert_eq!(own(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nDate: x\r\n\r\n"), None);
        assert_eq!(own(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 1\r\n\r\nx"), None);
        assert_eq!(own(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), None);
    }
}
