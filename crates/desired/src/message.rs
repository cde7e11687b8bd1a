//! Messages between roles: one JSON document a line on a Unix stream socket, with a version in front.

use std::io::{BufRead, BufReader, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of everything in this crate as it is written to sockets and files. A role refuses a newer one and
/// works with the one before.
pub const SCHEMA: u32 = 1;

/// The longest message that is read, in bytes.
const LONGEST: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    schema: u32,
    message: T,
}

/// Why no message could be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The socket or file failed.
    #[error("the other side cannot be reached: {0}")]
    Io(#[from] std::io::Error),
    /// What came is no message.
    #[error("a message cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The sender is newer.
    #[error(
        "a message has schema {found}, this program knows schema {SCHEMA}: stop the older one with `landfall down`"
    )]
    Newer {
        /// The sender's schema.
        found: u32,
    },
    /// The other side closed before it sent a message.
    #[error("the other side closed the connection")]
    Closed,
}

/// Reads and writes messages on one stream.
#[derive(Debug)]
pub struct Frames<S> {
    stream: BufReader<S>,
}

impl<S: Read + Write> Frames<S> {
    /// Over a connected stream.
    pub fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// The stream, for time-outs and peer credentials.
    pub fn stream(&self) -> &S {
        self.stream.get_ref()
    }

    /// Sends one message.
    ///
    /// # Errors
    /// When the stream fails.
    pub fn send<T: Serialize>(&mut self, message: &T) -> Result<(), MessageError> {
        let stream = self.stream.get_mut();
        stream.write_all(&encode(message)?)?;
        Ok(stream.flush()?)
    }

    /// Waits for one message.
    ///
    /// # Errors
    /// When the stream fails or closes, or what comes is no message of a schema that is known.
    pub fn receive<T: DeserializeOwned>(&mut self) -> Result<T, MessageError> {
        let mut line = Vec::new();
        let read = self.stream.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        if read == 0 { Err(MessageError::Closed) } else { decode(&line) }
    }
}

/// One message as a line, for a socket or a file.
///
/// # Errors
/// When the message cannot be JSON.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(&Envelope { schema: SCHEMA, message })?;
    line.push(b'\n');
    Ok(line)
}

/// The message in a line.
///
/// # Errors
/// When it is no message, or of a newer schema.
pub fn decode<T: DeserializeOwned>(line: &[u8]) -> Result<T, MessageError> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    // The version first: a newer message need not have the form that this program knows.
    let Version { schema } = serde_json::from_slice(line)?;
    if schema > SCHEMA {
        return Err(MessageError::Newer { found: schema });
    }
    Ok(serde_json::from_slice::<Envelope<T>>(line)?.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_message_crosses_a_socket() {
        let (a, b) = UnixStream::pair().unwrap();
        let (mut a, mut b) = (Frames::new(a), Frames::new(b));
        a.send(&vec![1, 2]).unwrap();
        assert_eq!(b.receive::<Vec<i32>>().unwrap(), [1, 2]);
        drop(a);
        assert!(matches!(b.receive::<Vec<i32>>(), Err(MessageError::Closed)));
    }

    #[test]
    fn a_newer_schema_is_refused_whatever_it_holds() {
        assert!(matches!(
            decode::<u8>(br#"{"schema":99,"message":{"new":true}}"#),
            Err(MessageError::Newer { found: 99 })
        ));
    }
}
