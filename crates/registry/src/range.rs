//! The headers `Range` (what part of a blob is wanted) and `Content-Range` of an upload's piece.

use std::ops::RangeInclusive;

/// What part of a body to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All: no range, or one that may be passed over (several ranges, another unit; RFC 9110, 14.2).
    Whole,
    /// From the first to the last byte, both within the body.
    Part(RangeInclusive<u64>),
    /// Nothing of the body is in the range: 416.
    Unsatisfiable,
}

/// What a `Range` header wants of a body of `size` bytes.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) =
        header.and_then(|text| text.trim().strip_prefix("bytes=")).and_then(|spec| spec.split_once('-'))
    else {
        return Wanted::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.min(size.saturating_sub(1))),
        (Some(first), None) if last.is_empty() => (first, size.saturating_sub(1)),
        (None, Some(count)) if first.is_empty() && count > 0 => {
            (size.saturating_sub(count), size.saturating_sub(1))
        }
        (None, Some(0)) if first.is_empty() => return Wanted::Unsatisfiable,
        _ => return Wanted::Whole,
    };
    if range.0 >= size { Wanted::Unsatisfiable } else { Wanted::Part(range.0..=range.1) }
}

/// An upload piece's `Content-Range`, `<first>-<last>`; RFC 9110's `bytes <first>-<last>/<size>` is understood too.
pub(crate) fn content_range(header: &str) -> Option<RangeInclusive<u64>> {
    let text = header.trim();
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let (first, last) = text.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    // The number of bytes must be countable.
    (first <= last && last < u64::MAX).then_some(first..=last)
}

fn number(text: &str) -> Option<u64> {
    // `parse` alone would take a sign.
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-3"), 10), Wanted::Part(0..=3));
        assert_eq!(wanted(Some("bytes=4-"), 10), Wanted::Part(4..=9));
        assert_eq!(wanted(Some("bytes=-4"), 10), Wanted::Part(6..=9));
        assert_eq!(wanted(Some("bytes=-40"), 10), Wanted::Part(0..=9));
        assert_eq!(wanted(Some("bytes=3-400"), 10), Wanted::Part(3..=9));
        assert_eq!(wanted(Some("bytes=10-"), 10), Wanted::Unsatisfiable);
        assert_eq!(wanted(Some("bytes=-0"), 10), Wanted::Unsatisfiable);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
        for passed_over in ["bytes=5-3", "bytes=0-1,3-4", "lines=1-2", "bytes=+1-2", "bytes=-", "bytes", ""] {
            assert_eq!(wanted(Some(passed_over), 10), Wanted::Whole, "{passed_over}");
        }
    }

    #[test]
    fn a_piece_s_range_is_read_in_both_spellings() {
        assert_eq!(content_range("0-9"), Some(0..=9));
        assert_eq!(content_range("bytes 5-9/100"), Some(5..=9));
        for text in ["", "5", "9-5", "-5", "a-b", "0-18446744073709551615", "0-99999999999999999999"] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_part_always_lies_in_the_body(header in "bytes=[0-9]{0,20}-[0-9]{0,20}", size in 0_u64..50) {
            if let Wanted::Part(range) = wanted(Some(&header), size) {
                prop_assert!(range.start() <= range.end() && *range.end() < size);
            }
        }
    }
}
