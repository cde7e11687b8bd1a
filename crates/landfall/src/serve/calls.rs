//! How many API calls were answered, and how long that took in all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Counts since `serve` began.
#[derive(Debug, Default)]
pub struct Calls {
    count: AtomicU64,
    micros: AtomicU64,
}

/// The counts at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// Calls answered, refused ones too.
    pub count: u64,
    /// Seconds from a call's whole request to its answer, summed.
    pub seconds: f64,
}

impl Calls {
    /// A call was answered after this long.
    pub fn took(&self, time: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The counts now.
    pub fn counted(&self) -> Counted {
        Counted {
            count: self.count.load(Ordering::Relaxed),
            seconds: Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_calls_add_up() {
        let calls = Calls::default();
        calls.took(Duration::from_millis(1500));
        calls.took(Duration::from_millis(500));
        assert_eq!(calls.counted(), Counted { count: 2, seconds: 2.0 });
    }
}
