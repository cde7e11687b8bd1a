//! A line on its way from the shim to the helper: time, stream, whether it goes on, length, bytes.

use std::io::{ErrorKind, Read};

use crate::logs::Stream;

/// The length in bytes of what stands before a line.
const HEADER: usize = 14;
/// No line is longer: the shim cuts them.
const LONGEST: usize = 1 << 20;

/// One line, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// In milliseconds since 1970.
    pub(crate) time: i64,
    pub(crate) stream: Stream,
    /// Whether it goes on in the stream's next one.
    pub(crate) partial: bool,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn write(out: &mut Vec<u8>, time: i64, stream: Stream, partial: bool, bytes: &[u8]) {
    out.extend_from_slice(&time.to_le_bytes());
    out.push(u8::from(stream == Stream::Stderr));
    out.push(u8::from(partial));
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The next line; None at the end.
pub(crate) fn read(source: &mut impl Read) -> std::io::Result<Option<Line>> {
    let mut header = [0; HEADER];
    match source.read_exact(&mut header) {
        Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let (time, rest) = header.split_at(8);
    let time = i64::from_le_bytes(time.try_into().unwrap_or_default());
    let length = u32::from_le_bytes(rest[2..].try_into().unwrap_or_default()) as usize;
    if length > LONGEST {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    source.read_exact(&mut bytes)?;
    let stream = if rest[0] == 0 { Stream::Stdout } else { Stream::Stderr };
    Ok(Some(Line { time, stream, partial: rest[1] != 0, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back() {
        let mut bytes = Vec::new();
        write(&mut bytes, 5, Stream::Stdout, true, b"one");
        write(&mut bytes, -6, Stream::Stderr, false, b"");
        let mut source = &bytes[..];
        let one = Line { time: 5, stream: Stream::Stdout, partial: true, bytes: b"one".to_vec() };
        assert_eq!(read(&mut source).unwrap(), Some(one));
        let two = Line { time: -6, stream: Stream::Stderr, partial: false, bytes: Vec::new() };
        assert_eq!(read(&mut source).unwrap(), Some(two));
        assert_eq!(read(&mut source).unwrap(), None);
    }
}
