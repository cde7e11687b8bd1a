//! How soon a process that ended is started again.

use std::time::{Duration, Instant};

/// A process that lived this long begins anew.
const SOUND: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(20);

/// Counts starts in a row: the first again at once, then after a tenth of a second, doubled each time.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    starts: u32,
    last: Option<Instant>,
}

impl Backoff {
    /// A start has been made.
    pub(crate) fn started(&mut self) {
        self.started_at(Instant::now());
    }

    fn started_at(&mut self, now: Instant) {
        if self.last.is_some_and(|last| now.duration_since(last) > SOUND) {
            self.starts = 0;
        }
        self.starts += 1;
        self.last = Some(now);
    }

    /// How long to wait before the next start. None: not at all.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.wait_at(Instant::now())
    }

    fn wait_at(&self, now: Instant) -> Option<Duration> {
        let last = self.last?;
        let passed = now.duration_since(last);
        if self.starts < 2 || passed > SOUND {
            return None;
        }
        let pause = Duration::from_millis(100).saturating_mul(1 << (self.starts - 2).min(16)).min(LONGEST);
        pause.checked_sub(passed).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_in_a_row_come_later_and_later_and_a_long_life_forgives() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..4 {
            waits.push(backoff.wait_at(start).map(|wait| wait.as_millis()));
            backoff.started_at(start);
        }
        assert_eq!(waits, [None, None, Some(100), Some(200)]);
        for _ in 0..20 {
            backoff.started_at(start);
        }
        assert_eq!(backoff.wait_at(start), Some(LONGEST));
        let later = start + SOUND + Duration::from_secs(1);
        assert_eq!(backoff.wait_at(later), None);
        backoff.started_at(later);
        assert_eq!(backoff.wait_at(later), None);
    }
}
