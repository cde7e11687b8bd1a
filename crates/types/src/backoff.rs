//! The pause between two tries.

use std::time::Duration;

/// A pause that doubles with each try that fails, up to a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    pause: Duration,
}

impl Backoff {
    /// Begins with a pause, and ends with another.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, pause: first }
    }

    /// How long to wait now.
    pub fn pause(&self) -> Duration {
        self.pause
    }

    /// It was waited for so long: the next time twice as long.
    pub fn grow(&mut self) {
        self.pause = (self.pause * 2).min(self.longest);
    }

    /// A try succeeded, or something is tried for the first time.
    pub fn reset(&mut self) {
        self.pause = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_limit_and_begins_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(4), Duration::from_millis(30));
        let mut pauses = Vec::new();
        for _ in 0..5 {
            pauses.push(backoff.pause().as_millis());
            backoff.grow();
        }
        assert_eq!(pauses, [4, 8, 16, 30, 30]);
        backoff.reset();
        assert_eq!(backoff.pause().as_millis(), 4);
    }
}
