//! Why a request does not fit its shape.

use std::fmt;

use serde::de;

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
    #[error("the value '{value}'{} is not valid", member.as_ref().map(|name| format!(" of {name}")).unwrap_or_default())]
    Invalid {
        /// The member's name, if known.
        member: Option<String>,
        /// The value.
        value: String,
    },
    /// A value that AWS takes and this program does not honour.
    #[error("{member}: {why}")]
    NotHonoured {
        /// The member's name.
        member: String,
        /// What would be taken.
        why: String,
    },
    /// No request at all.
    #[error("{0}")]
    Malformed(String),
}

/// Marks a custom serde message as one of [`DecodeError::NotHonoured`], as serde carries texts alone.
pub(crate) const NOT_HONOURED: &str = "not honoured: ";

impl DecodeError {
    /// Names the member that the error is about, if it is not named yet; outer names are put in front.
    pub(crate) fn within(self, name: &str) -> Self {
        let join = |inner: String| {
            if inner.is_empty() { name.to_owned() } else { format!("{name}.{inner}") }
        };
        match self {
            DecodeError::Missing { member } => DecodeError::Missing { member: join(member) },
            DecodeError::Unknown { member } => DecodeError::Unknown { member: join(member) },
            DecodeError::NotHonoured { member, why } => {
                DecodeError::NotHonoured { member: join(member), why }
            }
            DecodeError::Invalid { member, value } => {
                DecodeError::Invalid { member: Some(join(member.unwrap_or_default())), value }
            }
            malformed @ DecodeError::Malformed(_) => malformed,
        }
    }

    /// Reads a JSON document; serde_json names the member in its message, the path names what is around it.
    pub(crate) fn from_json(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let (path, text) = (error.path().to_string(), error.inner().to_string());
        let text = text.split(" at line ").next().unwrap_or_default();
        let quoted = |prefix: &str| {
            let rest = text.strip_prefix(prefix)?;
            Some(rest.split('`').next().unwrap_or_default().to_owned())
        };
        let path = if path == "." { String::new() } else { path };
        if let Some(member) = quoted("missing field `") {
            return DecodeError::Missing {
                member: if path.is_empty() { member } else { format!("{path}.{member}") },
            };
        }
        if let Some(member) = quoted("unknown field `") {
            // The path may or may not end with the unknown member itself.
            let around =
                path.strip_suffix(&member).map_or(path.as_str(), |around| around.trim_end_matches('.'));
            let around = around.trim_end_matches('?').trim_end_matches('.');
            return DecodeError::Unknown {
                member: if around.is_empty() { member } else { format!("{around}.{member}") },
            };
        }
        if let Some(why) = text.strip_prefix(NOT_HONOURED) {
            return DecodeError::NotHonoured { member: path, why: why.to_owned() };
        }
        if let Some(value) = quoted("unknown variant `") {
            // AWS may know the value; the names of what is known here stand after it.
            let known = text.split_once("expected ").map_or("", |(_, known)| known);
            let known = known.trim_start_matches("one of ").replace('`', "'");
            return DecodeError::NotHonoured {
                member: path,
                why: format!("only {known} is supported, not '{value}'"),
            };
        }
        // A number that Rust's type cannot hold: -1 for a port.
        if let Some(value) = quoted("invalid value: integer `") {
            return DecodeError::Invalid { member: Some(path), value };
        }
        if path.is_empty() {
            return DecodeError::Malformed(text.to_owned());
        }
        DecodeError::Malformed(format!("{path}: {text}"))
    }
}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        match text.strip_prefix(NOT_HONOURED) {
            Some(why) => DecodeError::NotHonoured { member: String::new(), why: why.to_owned() },
            None => DecodeError::Malformed(text),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        DecodeError::Missing { member: field.to_owned() }
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        DecodeError::Unknown { member: field.to_owned() }
    }

    fn unknown_variant(variant: &str, _: &'static [&'static str]) -> Self {
        DecodeError::Invalid { member: None, value: variant.to_owned() }
    }
}
