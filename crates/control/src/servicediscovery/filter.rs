//! Filters of listings.

use serde::Deserialize;
use wire::ApiError;

use super::invalid;

/// One filter; all of a request have to hold.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Filter {
    name: String,
    values: Vec<String>,
    #[serde(default)]
    condition: Condition,
}

/// How values are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Condition {
    #[default]
    Eq,
    In,
    Between,
    BeginsWith,
}

impl Filter {
    fn holds(&self, value: &str) -> bool {
        match self.condition {
            Condition::Eq | Condition::In => self.values.iter().any(|wanted| wanted == value),
            Condition::BeginsWith => self.values.iter().any(|wanted| value.starts_with(&**wanted)),
            Condition::Between => match self.values.as_slice() {
                [from, to] => from.as_str() <= value && value <= to.as_str(),
                _ => false,
            },
        }
    }
}

/// Whether filters are fit for a listing.
///
/// # Errors
/// An unknown name, or a number of values that the condition does not take.
pub(super) fn check(filters: &[Filter], known: &[&str]) -> Result<(), ApiError> {
    for filter in filters {
        if !known.contains(&filter.name.as_str()) {
            return Err(invalid(format!(
                "The filter name {} is not valid: {}.",
                filter.name,
                known.join(", ")
            )));
        }
        let fits = match filter.condition {
            Condition::Eq | Condition::BeginsWith => filter.values.len() == 1,
            Condition::In => !filter.values.is_empty(),
            Condition::Between => filter.values.len() == 2,
        };
        if !fits {
            return Err(invalid(format!("The filter {} has the wrong number of values.", filter.name)));
        }
    }
    Ok(())
}

/// Whether all filters hold for something, whose values by a filter's name `value` gives.
pub(super) fn all_hold<'a>(filters: &[Filter], value: impl Fn(&str) -> Option<&'a str>) -> bool {
    filters.iter().all(|filter| value(&filter.name).is_some_and(|value| filter.holds(value)))
}
