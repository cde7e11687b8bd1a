//! Listings: by id, by filter, page by page. One engine for every Describe call.
//!
//! Source: "List and filter your resources" in the EC2 user guide: values of a filter are joined by OR, filters by
//! AND; `*` stands for any characters and `?` for one; a backslash takes their meaning away; case counts.

use std::ops::RangeInclusive;

use serde::Deserialize;
use wire::ApiError;

use crate::ec2::tag::Tag;
use crate::page::{Page, page};

/// More values than AWS takes in one request.
const MOST_VALUES: usize = 200;

/// A filter of a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    name: String,
    #[serde(default)]
    value: Vec<String>,
}

/// The values that a filter compares, of one item.
pub(super) type Values<T> = fn(&T) -> Vec<String>;

/// An item of a listing, as it is shown.
pub(super) trait Item: Sized + 'static {
    /// The filters of its Describe call besides `tag:…`, `tag-key` and `tag-value`.
    const FILTERS: &'static [(&'static str, Values<Self>)];
    /// The page sizes that its call takes, as the EC2 API reference has them.
    const PAGE_SIZES: RangeInclusive<i32> = 5..=1000;
    /// Its id; listings are in this order.
    fn id(&self) -> &str;
    /// Its tags.
    fn tags(&self) -> &[Tag];
    /// The error for an id that names none.
    fn not_found(id: &str) -> ApiError;
}

/// What a Describe call asks for.
#[derive(Debug, Default)]
pub(super) struct Ask<'a> {
    pub(super) ids: &'a [String],
    pub(super) filters: &'a [Filter],
    pub(super) max_results: Option<i32>,
    pub(super) next_token: Option<&'a str>,
}

impl Ask<'_> {
    /// Cuts the page that is asked for out of all items, which are in the order of their ids.
    ///
    /// # Errors
    /// An unknown id, filter or token, or a page size out of AWS's range.
    pub(super) fn page<T: Item>(&self, items: impl Iterator<Item = T>) -> Result<Page<T>, ApiError> {
        let matches = matcher::<T>(self.filters)?;
        let most = self.max_results.map(page_size::<T>).transpose()?;
        let mut missing: Vec<&str> = self.ids.iter().map(String::as_str).collect();
        let mut kept: Vec<T> = Vec::new();
        for item in items {
            if !self.ids.is_empty() {
                if !self.ids.iter().any(|id| id == item.id()) {
                    continue;
                }
                missing.retain(|id| *id != item.id());
            }
            if matches(&item) {
                kept.push(item);
            }
        }
        if let Some(id) = missing.first() {
            return Err(T::not_found(id));
        }
        page(kept, |item| item.id().to_owned(), most, self.next_token).map_err(|_| {
            ApiError::new(
                "InvalidPaginationToken",
                "The specified pagination token is not valid or is expired.",
            )
        })
    }
}

/// How many items a page has at most, if the call takes such pages.
fn page_size<T: Item>(most: i32) -> Result<usize, ApiError> {
    let (least, greatest) = (*T::PAGE_SIZES.start(), *T::PAGE_SIZES.end());
    let bound = if most < least {
        format!("greater than or equal to {least}")
    } else if most > greatest {
        format!("less than or equal to {greatest}")
    } else {
        return Ok(usize::try_from(most).unwrap_or_default());
    };
    Err(ApiError::new(
        "InvalidParameterValue",
        format!("Value ( {most} ) for parameter maxResults is invalid. Expecting a value {bound}."),
    ))
}

/// What decides whether an item passes all filters.
///
/// # Errors
/// An unknown filter is refused by name, whether or not there are items.
pub(super) fn matcher<T: Item>(filters: &[Filter]) -> Result<impl Fn(&T) -> bool + use<'_, T>, ApiError> {
    if filters.iter().map(|filter| filter.value.len()).sum::<usize>() > MOST_VALUES {
        return Err(ApiError::new(
            "FilterLimitExceeded",
            format!("The maximum number of filter values specified on a single call is {MOST_VALUES}."),
        ));
    }
    let resolved: Vec<(Source<'_, T>, &[String])> = filters
        .iter()
        .map(|filter| Ok((Source::find(&filter.name)?, filter.value.as_slice())))
        .collect::<Result<_, ApiError>>()?;
    Ok(move |item: &T| {
        resolved.iter().all(|(source, wanted)| {
            let values = source.values(item);
            wanted.iter().any(|pattern| values.iter().any(|value| like(pattern, value)))
        })
    })
}

enum Source<'a, T> {
    Field(Values<T>),
    Tag(&'a str),
    TagKey,
    TagValue,
}

impl<'a, T: Item> Source<'a, T> {
    fn find(name: &'a str) -> Result<Self, ApiError> {
        if let Some((_, values)) = T::FILTERS.iter().find(|(known, _)| *known == name) {
            return Ok(Source::Field(*values));
        }
        match name {
            "tag-key" => Ok(Source::TagKey),
            "tag-value" => Ok(Source::TagValue),
            _ => name.strip_prefix("tag:").map(Source::Tag).ok_or_else(|| {
                ApiError::new("InvalidParameterValue", format!("The filter '{name}' is invalid"))
            }),
        }
    }

    fn values(&self, item: &T) -> Vec<String> {
        let tags = || item.tags().iter();
        match self {
            Source::Field(values) => values(item),
            Source::Tag(key) => tags().filter(|tag| tag.key == **key).map(|tag| tag.value.clone()).collect(),
            Source::TagKey => tags().map(|tag| tag.key.clone()).collect(),
            Source::TagValue => tags().map(|tag| tag.value.clone()).collect(),
        }
    }
}

/// Whether a text is like a pattern with wildcards. Goes back to the last `*` alone, so that no pattern is slow.
fn like(pattern: &str, text: &str) -> bool {
    #[derive(Clone, Copy)]
    enum Part {
        Any,
        One,
        This(char),
    }
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '*' => Part::Any,
            '?' => Part::One,
            '\\' => Part::This(chars.next().unwrap_or('\\')),
            c => Part::This(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match parts.get(p) {
            Some(Part::Any) => {
                star = Some((p, t));
                p += 1;
            }
            Some(Part::One) => (p, t) = (p + 1, t + 1),
            Some(Part::This(c)) if *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    parts[p..].iter().all(|part| matches!(part, Part::Any))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_documented() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*", "a", true),
            ("*c", "abc", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("ABC", "abc", false),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_not_slow() {
        assert!(!like(&format!("{}b", "*a".repeat(100)), &"a".repeat(20_000)));
    }
}
