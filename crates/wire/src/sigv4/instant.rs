//! The times in signatures.

use time::format_description::well_known::Rfc2822;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};
use types::Timestamp;

/// Prints a time as `YYYYMMDDTHHMMSSZ`.
pub(super) fn basic_iso(time: Timestamp) -> String {
    // `2026-11-22T19:45:00.123Z` without its punctuation and fraction.
    let iso = time.iso();
    let (seconds, _) = iso.split_once('.').unwrap_or((&iso, ""));
    let mut text: String = seconds.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    text.push('Z');
    text
}

/// Reads `YYYYMMDDTHHMMSSZ`.
pub(super) fn parse_basic_iso(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        let digits = &bytes[range];
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| digits.iter().fold(0_i32, |n, d| n * 10 + i32::from(d - b'0')))
    };
    let small = |range| number(range).and_then(|n| u8::try_from(n).ok());
    let month = Month::try_from(small(4..6)?).ok()?;
    let date = Date::from_calendar_date(number(0..4)?, month, small(6..8)?).ok()?;
    let time = Time::from_hms(small(9..11)?, small(11..13)?, small(13..15)?).ok()?;
    let instant = OffsetDateTime::new_in_offset(date, time, UtcOffset::UTC);
    Some(Timestamp::from_millis(instant.unix_timestamp() * 1000))
}

/// Reads the header `Date`: the ISO 8601 basic form, or RFC 7231's.
pub(super) fn parse_date_header(text: &str) -> Option<Timestamp> {
    parse_basic_iso(text).or_else(|| {
        let instant = OffsetDateTime::parse(text, &Rfc2822).ok()?;
        Some(Timestamp::from_millis(instant.unix_timestamp() * 1000))
    })
}
