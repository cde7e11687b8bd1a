//! Errors as AWS's clients read them.

use std::borrow::Cow;

use http::StatusCode;

use crate::decode::DecodeError;
use crate::protocol::Protocol;

/// An error of the API: AWS's code and wording, and for refusals of Landfall's own a hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// AWS's code, `InvalidVpcID.NotFound`.
    pub code: Cow<'static, str>,
    /// AWS's words.
    pub message: String,
    /// The HTTP status.
    pub status: StatusCode,
    /// The name of the error's shape, where it differs from the code.
    shape: Option<&'static str>,
}

impl ApiError {
    /// An error of the client's, HTTP status 400.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), status: StatusCode::BAD_REQUEST, shape: None }
    }

    /// The same error with another HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same error as its model names it, where that is not its code: `InvalidParameterValueException` for
    /// `InvalidParameterValue`.
    #[must_use]
    pub fn with_shape(mut self, shape: &'static str) -> Self {
        self.shape = Some(shape);
        self
    }

    /// The name of its shape.
    pub fn shape(&self) -> &str {
        self.shape.unwrap_or(&self.code)
    }

    /// A failure of Landfall's own, HTTP status 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("InternalFailure", message).with_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What AWS knows and Landfall does not do. `what` names it: an action, a parameter, a value.
    pub fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::new(
            "UnsupportedOperation",
            format!("Landfall does not support {what}. See the coverage page of its documentation."),
        )
    }

    /// A form that is none.
    pub fn malformed_form(error: &DecodeError) -> Self {
        Self::new("MalformedQueryString", error.to_string())
    }

    /// A request that does not fit its shape, in the words of the protocol's services. `invalid` is the code that the
    /// service gives it, for members and for values if it speaks JSON.
    pub fn from_decode(error: &DecodeError, protocol: Protocol, invalid: &'static str, action: &str) -> Self {
        let is_ec2 = protocol == Protocol::Ec2Query;
        // The code for a value that is not honoured, and for a member.
        let (value_code, member_code) = match protocol {
            Protocol::AwsJson => (invalid, invalid),
            _ => ("InvalidParameterValue", invalid),
        };
        let given =
            |member: &str| if member.is_empty() { "unknown".to_owned() } else { spelled(protocol, member) };
        match error {
            DecodeError::Missing { member } if is_ec2 => Self::new(
                "MissingParameter",
                format!("The request must contain the parameter {}", given(member)),
            ),
            DecodeError::Missing { member } => {
                let member = if protocol == Protocol::AwsJson { member.clone() } else { lower_first(member) };
                Self::new(
                    member_code,
                    format!(
                        "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
                    ),
                )
            }
            DecodeError::Unknown { member } if is_ec2 => Self::new(
                "UnknownParameter",
                format!(
                    "The parameter {} is not recognized: Landfall does not support it for {action}",
                    given(member)
                ),
            ),
            DecodeError::Unknown { member } => Self::new(
                member_code,
                format!("The parameter {member} is not supported by Landfall for {action}"),
            ),
            DecodeError::NotHonoured { member, why } => Self::new(
                value_code,
                format!("{}: {why} by Landfall for {action}", spelled(protocol, member)),
            ),
            // AWS may know the value: a document's client is told the names of what is known here.
            DecodeError::UnknownValue { member, value, known } if protocol.is_document() => Self::new(
                value_code,
                format!(
                    "{member}: only {} is supported, not '{value}' by Landfall for {action}",
                    names(known)
                ),
            ),
            DecodeError::Invalid { member, value } | DecodeError::UnknownValue { member, value, .. }
                if is_ec2 =>
            {
                Self::new(
                    "InvalidParameterValue",
                    format!("Value ({value}) for parameter {} is invalid.", given(member)),
                )
            }
            DecodeError::Invalid { member, value } | DecodeError::UnknownValue { member, value, .. } => {
                Self::new(member_code, format!("Value '{value}' at '{}' is not valid", given(member)))
            }
            malformed @ DecodeError::Malformed { .. } if protocol.is_document() => {
                Self::new("SerializationException", malformed.to_string())
            }
            malformed @ DecodeError::Malformed { .. } => Self::malformed_form(malformed),
        }
    }
}

/// A member as the client wrote it: the tree's small first letters are Landfall's own where EC2's have capitals.
fn spelled(protocol: Protocol, member: &str) -> String {
    match protocol {
        Protocol::Ec2Query => member.split('.').map(upper_first).collect::<Vec<_>>().join("."),
        _ => member.to_owned(),
    }
}

/// `'EC2' or 'FARGATE'`; `'A', 'B', 'C'`.
fn names(known: &[&str]) -> String {
    let joint = if known.len() == 2 { " or " } else { ", " };
    known.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(joint)
}

fn upper_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}
