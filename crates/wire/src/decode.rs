//! Why a request does not fit its shape.

use std::fmt;

use serde::de::{self, Expected, Unexpected};
use serde_json::Number;

/// What is wrong with a request, with the member's name as the client spells it where it is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A member that must be there is not.
    #[error("the member {member} is missing")]
    Missing {
        /// Its name.
        member: String,
    },
    /// A member that is not supported, whether AWS knows it or not.
    #[error("the member {member} is not supported")]
    Unknown {
        /// Its name.
        member: String,
    },
    /// A value of the wrong form.
    #[error("the value '{value}' of {member} is not valid")]
    Invalid {
        /// The member's name.
        member: String,
        /// The value.
        value: String,
    },
    /// A text that is none of an enum's.
    #[error("the value '{value}' of {member} is not valid")]
    UnknownValue {
        /// The member's name.
        member: String,
        /// The text.
        value: String,
        /// What would be taken.
        known: &'static [&'static str],
    },
    /// A value that AWS takes and this program does not honour.
    #[error("{member}: {why}")]
    NotHonoured {
        /// The member's name.
        member: String,
        /// What would be taken.
        why: String,
    },
    /// No request at all, or a value of another type than the member's.
    #[error("{}", join(member, why))]
    Malformed {
        /// The member's name, if it is about one.
        member: String,
        /// What is wrong.
        why: String,
    },
}

fn join(member: &str, why: &str) -> String {
    if member.is_empty() { why.to_owned() } else { format!("{member}: {why}") }
}

/// Marks a custom serde message as one of [`DecodeError::NotHonoured`], as serde carries texts alone.
pub(crate) const NOT_HONOURED: &str = "not honoured: ";

/// Puts a step in front of a path: a member's name or `[1]`.
pub(crate) fn prepend(path: &mut String, step: &str) {
    if !path.is_empty() && !path.starts_with('[') {
        path.insert(0, '.');
    }
    path.insert_str(0, step);
}

impl DecodeError {
    pub(crate) fn malformed(why: impl Into<String>) -> Self {
        DecodeError::Malformed { member: String::new(), why: why.into() }
    }

    /// Names what is around the member that the error is about.
    pub(crate) fn within(mut self: Box<Self>, step: &str) -> Box<Self> {
        match &mut *self {
            DecodeError::Missing { member }
            | DecodeError::Unknown { member }
            | DecodeError::Invalid { member, .. }
            | DecodeError::UnknownValue { member, .. }
            | DecodeError::NotHonoured { member, .. }
            | DecodeError::Malformed { member, .. } => prepend(member, step),
        }
        self
    }
}

/// A value in serde's words, with JSON's names for null and numbers.
struct Found<'a>(Unexpected<'a>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Unit => f.write_str("null"),
            Unexpected::Float(number) => match Number::from_f64(number) {
                Some(number) => write!(f, "floating point `{number}`"),
                None => self.0.fmt(f),
            },
            other => other.fmt(f),
        }
    }
}

impl de::Error for Box<DecodeError> {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        Box::new(match text.strip_prefix(NOT_HONOURED) {
            Some(why) => DecodeError::NotHonoured { member: String::new(), why: why.to_owned() },
            None => DecodeError::malformed(text),
        })
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Box::new(DecodeError::malformed(format!("invalid type: {}, expected {expected}", Found(found))))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let value = match found {
            // A number that Rust's type cannot hold: -1 for a port.
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            other => {
                let why = format!("invalid value: {}, expected {expected}", Found(other));
                return Box::new(DecodeError::malformed(why));
            }
        };
        Box::new(DecodeError::Invalid { member: String::new(), value })
    }

    fn missing_field(field: &'static str) -> Self {
        Box::new(DecodeError::Missing { member: field.to_owned() })
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Box::new(DecodeError::Unknown { member: field.to_owned() })
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Box::new(DecodeError::UnknownValue { member: String::new(), value: variant.to_owned(), known })
    }
}
