//! Lines become messages: pure.

use regex::bytes::Regex;

use super::frame::Line;
use super::pattern;
use crate::logs::Stream;

/// The longest message in bytes: the driver's, which leaves room for what an event counts besides. A longer one is cut.
const LONGEST: usize = (256 << 10) - 26;

/// An event to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// In milliseconds since 1970.
    pub(super) time: i64,
    pub(super) text: String,
}

/// Puts pieces of lines together, and lines that belong together.
#[derive(Debug)]
pub(super) struct Assembler {
    /// What a message's first line matches. None: a line is a message.
    start: Option<Regex>,
    /// The pieces of a line, of each stream: when it began, its bytes.
    pieces: [Option<(i64, Vec<u8>)>; 2],
    /// The lines of a message, with several lines to a message.
    lines: Option<(i64, Vec<u8>)>,
}

impl Assembler {
    /// `start`: what a message's first line matches.
    ///
    /// # Errors
    /// When that is no pattern, in the words of Docker's driver.
    pub(super) fn new(start: Option<&str>) -> Result<Self, String> {
        Ok(Self { start: start.map(pattern::compile).transpose()?, pieces: [None, None], lines: None })
    }

    /// Takes a line; whole messages are added to `messages`.
    pub(super) fn add(&mut self, line: &Line, messages: &mut Vec<Message>) {
        let piece = &mut self.pieces[usize::from(line.stream == Stream::Stderr)];
        let (time, mut bytes) = piece.take().unwrap_or((line.time, Vec::new()));
        bytes.extend_from_slice(&line.bytes);
        if line.partial && bytes.len() < LONGEST {
            *piece = Some((time, bytes));
            return;
        }
        let Some(start) = &self.start else { return cut(time, &bytes, messages) };
        if start.is_match(&bytes)
            || self.lines.as_ref().is_some_and(|(_, held)| held.len() + bytes.len() >= LONGEST)
        {
            self.end(messages);
        }
        match &mut self.lines {
            Some((_, held)) => {
                held.push(b'\n');
                held.extend_from_slice(&bytes);
            }
            None => self.lines = Some((time, bytes)),
        }
    }

    /// Ends a message of several lines.
    pub(super) fn end(&mut self, messages: &mut Vec<Message>) {
        if let Some((time, bytes)) = self.lines.take() {
            cut(time, &bytes, messages);
        }
    }

    /// Whether nothing is held that a later line may go on with.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_none()
    }

    /// Gives out all that is held: there are no more lines.
    pub(super) fn finish(&mut self, messages: &mut Vec<Message>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if self.pieces[usize::from(stream == Stream::Stderr)].is_some() {
                self.add(&Line { time: 0, stream, partial: false, bytes: Vec::new() }, messages);
            }
        }
        self.end(messages);
    }
}

/// A message, in several if it is too long. An empty one is none: CloudWatch Logs takes no empty events.
fn cut(time: i64, bytes: &[u8], messages: &mut Vec<Message>) {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.as_ref();
    while !rest.is_empty() {
        let end = rest.floor_char_boundary(LONGEST);
        let (piece, after) = rest.split_at(end);
        messages.push(Message { time, text: piece.to_owned() });
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(start: Option<&str>, lines: &[(&str, bool)], want: &[&str]) {
        let mut assembler = Assembler::new(start).unwrap();
        let mut messages = Vec::new();
        for ((text, partial), time) in lines.iter().zip(1..) {
            let line =
                Line { time, stream: Stream::Stdout, partial: *partial, bytes: text.as_bytes().to_vec() };
            assembler.add(&line, &mut messages);
        }
        assembler.finish(&mut messages);
        let texts: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
        assert_eq!(texts, want);
    }

    #[test]
    fn a_line_is_a_message_and_its_pieces_are_put_together() {
        check(
            None,
            &[("one", false), ("", false), ("tw", true), ("o", false), ("end", true)],
            &["one", "two", "end"],
        );
    }

    #[test]
    fn lines_up_to_the_next_that_begins_a_message_belong_together() {
        let lines = [("at head", false), ("INFO a", false), ("  more", false), ("INFO b", false)];
        check(Some("^INFO"), &lines, &["at head", "INFO a\n  more", "INFO b"]);
    }

    #[test]
    fn a_message_that_is_too_long_is_cut_between_characters() {
        let long = "ä".repeat(LONGEST);
        let mut messages = Vec::new();
        cut(1, long.as_bytes(), &mut messages);
        assert!(messages.iter().all(|message| message.text.len() <= LONGEST));
        assert_eq!(messages.into_iter().map(|message| message.text).collect::<String>(), long);
    }

    #[test]
    fn the_streams_do_not_mix_within_a_line() {
        let mut assembler = Assembler::new(None).unwrap();
        let mut messages = Vec::new();
        for (stream, partial, text) in
            [(Stream::Stdout, true, "out"), (Stream::Stderr, false, "err"), (Stream::Stdout, false, "put")]
        {
            assembler.add(&Line { time: 1, stream, partial, bytes: text.into() }, &mut messages);
        }
        let texts: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
        assert_eq!(texts, ["err", "output"]);
    }
}
