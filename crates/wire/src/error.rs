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

    /// A request that does not fit its shape, in the words of the protocol's services.
    pub fn from_decode(error: &DecodeError, protocol: Protocol, action: &str) -> Self {
        let spelled = |member: &str| match protocol {
            // The tree's small first letters are Landfall's own; the client wrote a capital.
            Protocol::Ec2Query => member
                .split('.')
                .map(|part| {
                    let mut chars = part.chars();
                    chars
                        .next()
                        .map(|first| first.to_ascii_uppercase())
                        .into_iter()
                        .chain(chars)
                        .collect::<String>()
                })
                .collect::<Vec<_>>()
                .join("."),
            _ => member.to_owned(),
        };
        match (error, protocol) {
            (DecodeError::Missing { member }, Protocol::Ec2Query) => Self::new(
                "MissingParameter",
                format!("The request must contain the parameter {}", spelled(member)),
            ),
            (
                DecodeError::Missing { member },
                Protocol::AwsQuery | Protocol::AwsJson10 | Protocol::RpcV2Cbor,
            ) => Self::new(
                "ValidationError",
                format!(
                    "1 validation error detected: Value null at '{}' failed to satisfy constraint: Member must not be null",
                    lower_first(member)
                ),
            ),
            (DecodeError::Missing { member }, Protocol::AwsJson) => Self::new(
                "InvalidParameterException",
                format!(
                    "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
                ),
            ),
            (DecodeError::Unknown { member }, Protocol::Ec2Query) => Self::new(
                "UnknownParameter",
                format!(
                    "The parameter {} is not recognized: Landfall does not support it for {action}",
                    spelled(member)
                ),
            ),
            (
                DecodeError::Unknown { member },
                Protocol::AwsQuery | Protocol::AwsJson10 | Protocol::RpcV2Cbor,
            ) => Self::new(
                "ValidationError",
                format!("The parameter {member} is not supported by Landfall for {action}"),
            ),
            (DecodeError::Unknown { member }, Protocol::AwsJson) => Self::new(
                "InvalidParameterException",
                format!("The parameter {member} is not supported by Landfall for {action}"),
            ),
            (DecodeError::NotHonoured { member, why }, _) => Self::new(
                if protocol == Protocol::AwsJson {
                    "InvalidParameterException"
                } else {
                    "InvalidParameterValue"
                },
                format!("{}: {why} by Landfall for {action}", spelled(member)),
            ),
            (DecodeError::Invalid { member, value }, Protocol::Ec2Query) => Self::new(
                "InvalidParameterValue",
                format!(
                    "Value ({value}) for parameter {} is invalid.",
                    spelled(member.as_deref().unwrap_or("unknown"))
                ),
            ),
            (DecodeError::Invalid { member, value }, _) => Self::new(
                if protocol == Protocol::AwsJson { "InvalidParameterException" } else { "ValidationError" },
                format!("Value '{value}' at '{}' is not valid", member.as_deref().unwrap_or("unknown")),
            ),
            (DecodeError::Malformed(why), Protocol::AwsJson | Protocol::AwsJson10 | Protocol::RpcV2Cbor) => {
                Self::new("SerializationException", why.clone())
            }
            (DecodeError::Malformed(why), _) => Self::new("MalformedQueryString", why.clone()),
        }
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}
