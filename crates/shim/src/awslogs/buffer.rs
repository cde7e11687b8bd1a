//! What waits to be sent: one container's.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use desired::LogMode;

use super::message::Message;
use crate::helper::Lost;

/// The largest batch in bytes, and its most events ("PutLogEvents").
const BATCH_BYTES: usize = 1 << 20;
const BATCH_EVENTS: usize = 10_000;
/// What an event counts besides its message.
const OVERHEAD: usize = 26;
/// How long a batch waits for more, so that a call carries more than a line.
const GATHER: Duration = Duration::from_millis(500);
/// How much waits in blocking mode, in bytes, until the container does.
const BLOCKING: usize = 2 << 20;

/// Messages between the thread that reads and the one that sends.
#[derive(Debug)]
pub(super) struct Buffer {
    mode: LogMode,
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    messages: VecDeque<Message>,
    bytes: usize,
    lost: Lost,
    closed: bool,
}

impl Buffer {
    pub(super) fn new(mode: LogMode) -> Self {
        Self { mode, held: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message, when there is room for it: in blocking mode it is waited for, otherwise the message is dropped. One
    /// message always has room.
    pub(super) fn push(&self, message: Message) {
        let size = message.text.len() + OVERHEAD;
        let mut held = self.lock();
        match self.mode {
            LogMode::Blocking => {
                while held.bytes + size > BLOCKING && !held.messages.is_empty() {
                    held = self.changed.wait(held).unwrap_or_else(PoisonError::into_inner);
                }
            }
            LogMode::NonBlocking { max_buffer } => {
                let full = (held.bytes + size) as u64 > max_buffer && !held.messages.is_empty();
                if full {
                    held.lost.dropped += 1;
                    return;
                }
            }
        }
        held.bytes += size;
        held.messages.push_back(message);
        self.changed.notify_all();
    }

    /// There are no more messages.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Messages that the service refused, and why.
    pub(super) fn refused(&self, messages: usize, because: String) {
        let lost = &mut self.lock().lost;
        lost.refused += messages as u64;
        lost.because = Some(because);
    }

    /// What was lost so far.
    pub(super) fn lost(&self) -> Lost {
        self.lock().lost.clone()
    }

    /// The next batch, in the order of time; waits for it. None: there are no more.
    pub(super) fn take(&self) -> Option<Vec<Message>> {
        let mut held = self.lock();
        while held.messages.is_empty() {
            if held.closed {
                return None;
            }
            held = self.changed.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        let deadline = Instant::now() + GATHER;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let whole = held.messages.len() >= BATCH_EVENTS || held.bytes >= BATCH_BYTES;
            if held.closed || whole || left.is_zero() {
                break;
            }
            held = self.changed.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let (mut batch, mut size) = (Vec::new(), 0);
        while let Some(message) = held.messages.front() {
            size += message.text.len() + OVERHEAD;
            if batch.len() >= BATCH_EVENTS || size > BATCH_BYTES {
                break;
            }
            held.bytes -= message.text.len() + OVERHEAD;
            batch.extend(held.messages.pop_front());
        }
        self.changed.notify_all();
        drop(held);
        batch.sort_by_key(|message| message.time);
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(time: i64, size: usize) -> Message {
        Message { time, text: "x".repeat(size) }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_but_the_first_message_fits() {
        let buffer = Buffer::new(LogMode::NonBlocking { max_buffer: 10 });
        for size in [20, 1, 5] {
            buffer.push(message(1, size));
        }
        assert_eq!(buffer.lost(), Lost { dropped: 2, ..Lost::default() });
        buffer.close();
        assert_eq!(buffer.take().unwrap().len(), 1);
        assert_eq!(buffer.take(), None);
        buffer.refused(3, "NoException: no".to_owned());
        let because = Some("NoException: no".to_owned());
        assert_eq!(buffer.lost(), Lost { dropped: 2, refused: 3, because });
    }

    #[test]
    fn a_batch_keeps_the_limits_and_the_order_of_time() {
        let buffer = Buffer::new(LogMode::NonBlocking { max_buffer: 100 << 20 });
        (0..25_000).rev().for_each(|time| buffer.push(message(time, 1)));
        (0..5).for_each(|time| buffer.push(message(time, 256 << 10)));
        buffer.close();
        let batches: Vec<Vec<Message>> = std::iter::from_fn(|| buffer.take()).collect();
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 25_005);
        for batch in batches {
            assert!(batch.is_sorted_by_key(|message| message.time));
            assert!(batch.len() <= BATCH_EVENTS);
            assert!(batch.iter().map(|message| message.text.len() + OVERHEAD).sum::<usize>() <= BATCH_BYTES);
        }
    }

    #[test]
    fn in_blocking_mode_the_one_who_brings_waits_and_nothing_is_lost() {
        let buffer = Buffer::new(LogMode::Blocking);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..200).for_each(|time| buffer.push(message(time, 100 << 10)));
                buffer.close();
            });
            let mut taken = 0;
            while let Some(batch) = buffer.take() {
                taken += batch.len();
                assert!(buffer.lock().bytes <= BLOCKING);
            }
            assert_eq!(taken, 200);
        });
        assert_eq!(buffer.lost(), Lost::default());
    }
}
