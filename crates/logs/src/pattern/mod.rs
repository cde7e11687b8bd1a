//! The language of filter patterns ("Filter pattern syntax for metric filters, subscription filters, filter log events,
//! and Live Tail"): terms, regular expressions, JSON and space-delimited fields. Pure: no IO.

mod condition;
mod fields;
mod json;
mod scan;
mod terms;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use fields::Fields;
use json::Json;
use terms::Terms;

/// The longest pattern, in characters (the API's `FilterPattern`).
const LONGEST: usize = 1024;
/// How many regular expressions a pattern for fields or JSON may have.
const REGEXES: usize = 2;

/// A pattern, ready to be held against messages.
#[derive(Debug, Clone)]
pub struct Pattern(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Terms(Terms),
    Json(Json),
    Fields(Fields),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(pub(crate) String);

impl Pattern {
    /// Reads a pattern. The empty one matches every message.
    ///
    /// # Errors
    /// When it is none, with what is wrong about it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.chars().count() > LONGEST {
            return Err(PatternError(format!("A filter pattern has at most {LONGEST} characters")));
        }
        let text = text.trim();
        let kind = match text.chars().next() {
            Some('{') => Kind::Json(Json::parse(text)?),
            Some('[') => Kind::Fields(Fields::parse(text)?),
            _ => Kind::Terms(Terms::parse(text)?),
        };
        let pattern = Self(kind);
        if !matches!(pattern.0, Kind::Terms(_)) && pattern.regexes() > REGEXES {
            return Err(PatternError(format!(
                "Invalid filter pattern: it may have at most {REGEXES} regular expressions"
            )));
        }
        Ok(pattern)
    }

    /// Whether a message matches.
    pub fn matches(&self, message: &str) -> bool {
        match &self.0 {
            Kind::Terms(terms) => terms.matches(message),
            Kind::Json(json) => json.matches(message),
            Kind::Fields(fields) => fields.matches(message),
        }
    }

    /// What a pattern takes out of a message that matches: a space-delimited one its named fields (`$status`), a JSON
    /// one what its selectors lead to (`$.status`).
    pub fn extract(&self, message: &str) -> BTreeMap<String, String> {
        match &self.0 {
            Kind::Terms(_) => BTreeMap::new(),
            Kind::Json(json) => json.extract(message),
            Kind::Fields(fields) => fields.extract(message),
        }
    }

    /// What a selector (`$.latency` for JSON, `$bytes` for a field) leads to in a message: for a metric's value or
    /// dimension. None: to nothing, or to what is neither text nor a number nor a boolean.
    pub fn select(&self, message: &str, selector: &str) -> Option<String> {
        match &self.0 {
            Kind::Terms(_) => None,
            Kind::Json(_) => json::select(message, selector),
            Kind::Fields(fields) => fields.extract(message).remove(selector),
        }
    }

    /// Whether a selector can lead anywhere with this pattern: a field that it names, or a JSON selector.
    pub fn knows(&self, selector: &str) -> bool {
        match &self.0 {
            Kind::Terms(_) => false,
            Kind::Json(_) => json::is_selector(selector),
            Kind::Fields(fields) => fields.names(selector),
        }
    }

    /// How many regular expressions it has.
    pub fn regexes(&self) -> usize {
        match &self.0 {
            Kind::Terms(terms) => terms.regexes(),
            Kind::Json(json) => json.conditions().filter(|condition| condition.is_regex()).count(),
            Kind::Fields(fields) => fields.conditions().filter(|condition| condition.is_regex()).count(),
        }
    }
}

fn invalid(why: impl std::fmt::Display) -> PatternError {
    PatternError(format!("Invalid filter pattern: {why}"))
}
