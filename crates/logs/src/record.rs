//! Events and their bytes.

use serde::{Deserialize, Serialize};

/// The length in bytes of what stands before a message.
const HEADER: usize = 32;

/// The longest message that is taken for one when a file is read, in bytes.
const LONGEST: usize = 16 << 20;

/// An event that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// When it happened, in milliseconds since 1970.
    pub timestamp: i64,
    /// What was said.
    pub message: String,
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it is in its stream.
    pub position: Position,
    /// When it was stored, in milliseconds since 1970.
    pub ingested: i64,
    /// What was said.
    pub message: String,
}

/// The place of an event in its stream: events are in the order of their timestamps, and those of one timestamp in the
/// order in which they came. A position never changes, and no two events of a stream share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// In milliseconds since 1970.
    pub timestamp: i64,
    /// Counts the events of the stream, as they came.
    pub sequence: u64,
}

impl Position {
    /// Before all events of a time.
    pub const fn at(timestamp: i64) -> Self {
        Self { timestamp, sequence: 0 }
    }

    /// The next position there could be.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { timestamp: self.timestamp, sequence: self.sequence + 1 }
    }
}

/// Appends an event's bytes: checksum, length, timestamp, time of storing, sequence, message.
pub(crate) fn encode(out: &mut Vec<u8>, event: &Event) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&u32::try_from(event.message.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&event.position.timestamp.to_le_bytes());
    out.extend_from_slice(&event.ingested.to_le_bytes());
    out.extend_from_slice(&event.position.sequence.to_le_bytes());
    out.extend_from_slice(event.message.as_bytes());
    let sum = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&sum.to_le_bytes());
}

/// The event at the beginning of `bytes` and its length there. None: they are torn or no event's.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Event, usize)> {
    let header = bytes.get(..HEADER)?;
    let four = |at: usize| <[u8; 4]>::try_from(&header[at..at + 4]).ok().map(u32::from_le_bytes);
    let eight = |at: usize| <[u8; 8]>::try_from(&header[at..at + 8]).ok();
    let length = four(4)? as usize;
    if length > LONGEST {
        return None;
    }
    let whole = bytes.get(..HEADER + length)?;
    if crc32fast::hash(&whole[4..]) != four(0)? {
        return None;
    }
    let message = String::from_utf8(whole[HEADER..].to_vec()).ok()?;
    let position =
        Position { timestamp: i64::from_le_bytes(eight(8)?), sequence: u64::from_le_bytes(eight(24)?) };
    Some((Event { position, ingested: i64::from_le_bytes(eight(16)?), message }, whole.len()))
}

/// The events of `bytes`, up to the first that is torn, each with where it begins; and where the whole ones end.
pub(crate) fn decode_all(bytes: &[u8]) -> (Vec<(Event, u64)>, u64) {
    let (mut events, mut at) = (Vec::new(), 0);
    while let Some((event, length)) = decode(&bytes[at..]) {
        events.push((event, at as u64));
        at += length;
    }
    (events, at as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn events_come_back_up_to_the_torn_one(messages in prop::collection::vec(".{0,40}", 1..8), cut in 1_usize..32) {
            let mut bytes = Vec::new();
            let events: Vec<Event> = messages.into_iter().zip(0..).map(|(message, sequence)| Event {
                position: Position { timestamp: -5, sequence },
                ingested: 7,
                message,
            }).collect();
            events.iter().for_each(|event| encode(&mut bytes, event));
            let read = |bytes: &[u8]| decode_all(bytes).0.into_iter().map(|(event, _)| event).collect::<Vec<_>>();
            prop_assert_eq!(&read(&bytes), &events);
            bytes.truncate(bytes.len() - cut);
            prop_assert_eq!(read(&bytes), events[..events.len() - 1].to_vec());
        }
    }
}
