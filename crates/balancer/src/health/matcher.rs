//! Which statuses count as success.

use std::ops::RangeInclusive;

/// A target group's matcher: `200`, `200,202`, `200-299`, or ranges and codes mixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matcher(Vec<RangeInclusive<u16>>);

impl Matcher {
    /// Reads a matcher. None when it is not of that form or names a number that is no final status (200 to 599).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let code = |text: &str| -> Option<u16> {
            let text = text.trim();
            let plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten().filter(|code| (200..=599).contains(code))
        };
        let range = |text: &str| match text.split_once('-') {
            None => code(text).map(|code| code..=code),
            Some((from, to)) => {
                let (from, to) = (code(from)?, code(to)?);
                (from <= to).then_some(from..=to)
            }
        };
        text.split(',').map(range).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether a status counts as success.
    pub(crate) fn matches(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lists_and_ranges_match_what_they_name() {
        let matches = |text: &str, status| Matcher::parse(text).unwrap().matches(status);
        assert!(matches("200", 200) && !matches("200", 201));
        assert!(matches("200,202", 202) && !matches("200,202", 201));
        assert!(matches("200-299", 299) && !matches("200-299", 300));
        assert!(matches("200-204, 301", 301) && !matches("200-204,301", 302));
    }

    #[test]
    fn what_is_no_matcher_is_refused() {
        for text in ["", "abc", "20", "2000", "200,", "200-", "299-200", "+20", "600", "200 202"] {
            assert_eq!(Matcher::parse(text), None, "{text}");
        }
    }
}
