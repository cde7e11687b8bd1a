//! A line on its way from the shim to the helper: a marker, time, stream, whether it goes on, length, bytes.
//!
//! A helper that dies may have read half a line. The next one finds where a line begins by the marker, which no container
//! knows.

use std::io::{ErrorKind, Read};

use crate::logs::Stream;

/// The length in bytes of what stands before a line, behind the marker.
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

pub(crate) fn write(out: &mut Vec<u8>, marker: &str, time: i64, stream: Stream, partial: bool, bytes: &[u8]) {
    out.extend_from_slice(marker.as_bytes());
    out.extend_from_slice(&time.to_le_bytes());
    out.push(u8::from(stream == Stream::Stderr));
    out.push(u8::from(partial));
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The next line whose beginning is there; None at the end.
pub(crate) fn read(source: &mut impl Read, marker: &str) -> std::io::Result<Option<Line>> {
    if !find(source, marker.as_bytes())? {
        return Ok(None);
    }
    let mut header = [0; HEADER];
    source.read_exact(&mut header)?;
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

/// Reads up to the end of the next marker; false when there is none any more.
fn find(source: &mut impl Read, marker: &[u8]) -> std::io::Result<bool> {
    let mut seen = vec![0; marker.len()];
    let mut wanted = marker.len();
    loop {
        let kept = seen.len() - wanted;
        match source.read_exact(&mut seen[kept..]) {
            Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            result => result?,
        }
        if seen == marker {
            return Ok(true);
        }
        // Nearly always the first one is it.
        seen.rotate_left(1);
        wanted = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: &str = "0123456789abcdef";

    #[test]
    fn lines_come_back() {
        let mut bytes = Vec::new();
        write(&mut bytes, MARKER, 5, Stream::Stdout, true, b"one");
        write(&mut bytes, MARKER, -6, Stream::Stderr, false, b"");
        let mut source = &bytes[..];
        let one = Line { time: 5, stream: Stream::Stdout, partial: true, bytes: b"one".to_vec() };
        assert_eq!(read(&mut source, MARKER).unwrap(), Some(one));
        let two = Line { time: -6, stream: Stream::Stderr, partial: false, bytes: Vec::new() };
        assert_eq!(read(&mut source, MARKER).unwrap(), Some(two));
        assert_eq!(read(&mut source, MARKER).unwrap(), None);
    }

    #[test]
    fn whoever_begins_in_the_midst_of_a_line_finds_the_next_one() {
        let mut bytes = Vec::new();
        write(&mut bytes, MARKER, 5, Stream::Stdout, false, b"one");
        let second = bytes.len();
        write(&mut bytes, MARKER, 6, Stream::Stdout, false, b"0123456789abcde two");
        for begin in 1..second {
            let mut source = &bytes[begin..];
            let line = read(&mut source, MARKER).unwrap().unwrap();
            assert_eq!((line.time, line.bytes), (6, b"0123456789abcde two".to_vec()), "from {begin}");
            assert_eq!(read(&mut source, MARKER).unwrap(), None);
        }
    }
}
