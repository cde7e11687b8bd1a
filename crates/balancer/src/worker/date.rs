//! The time of day, as `Date` has it. Written once a second and thread.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::header::HeaderValue;
use time::OffsetDateTime;
use time::macros::format_description;

/// Seconds since 1970.
pub(crate) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The value of a `Date` header (RFC 9110, 5.6.7) of this second.
pub(crate) fn now() -> HeaderValue {
    thread_local! {
        static LAST: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
    }
    let seconds = seconds();
    LAST.with_borrow_mut(|last| match last {
        Some((second, value)) if *second == seconds => value.clone(),
        _ => {
            let value = value(seconds);
            *last = Some((seconds, value.clone()));
            value
        }
    })
}

fn value(seconds: u64) -> HeaderValue {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(format).ok())
        .and_then(|text| HeaderValue::try_from(text).ok())
        .unwrap_or_else(|| HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_date_has_the_form_of_the_standard() {
        assert_eq!(super::value(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
