//! Why a signature is not accepted, in AWS's words.

use http::StatusCode;
use types::Timestamp;

use super::instant::basic_iso;
use crate::error::ApiError;
use crate::protocol::Protocol;

/// How a service's protocol words its refusals. The same fault has other codes and statuses in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// awsQuery and REST-XML services: IAM, STS, Elastic Load Balancing. "Common Errors" of their API references.
    Query,
    /// EC2 ("Error codes for the Amazon EC2 API").
    Ec2,
    /// awsJson services: ECS, ECR.
    Json,
}

impl From<Protocol> for Family {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            // JSON 1.0 and CBOR keep the codes of awsQuery.
            Protocol::AwsQuery | Protocol::AwsJson10 | Protocol::RpcV2Cbor => Family::Query,
            Protocol::Ec2Query => Family::Ec2,
            Protocol::AwsJson => Family::Json,
        }
    }
}

impl Family {
    /// How many minutes a request's time may be off. EC2 and the JSON services document five minutes; the query
    /// services take fifteen ("Signature expired: … - 15 min.").
    pub fn skew_minutes(self) -> i64 {
        match self {
            Family::Query => 15,
            Family::Ec2 | Family::Json => 5,
        }
    }
}

/// Why a request's signature is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The request is not signed at all.
    MissingAuthenticationToken,
    /// Something of the signature is not there or has not the right form. The text says what.
    IncompleteSignature(String),
    /// Nobody has this access key, or its session token is not the one that was given out with it.
    UnknownAccessKey,
    /// The credential scope names another date, region or service than the request. The text says what.
    Scope(String),
    /// The request was signed too long ago.
    SignatureExpired {
        /// When it was signed.
        signed: Timestamp,
        /// The server's time.
        now: Timestamp,
        /// How many minutes are allowed.
        minutes: i64,
    },
    /// The request was signed in the future.
    NotYetCurrent {
        /// When it was signed.
        signed: Timestamp,
        /// The server's time.
        now: Timestamp,
        /// How many minutes are allowed.
        minutes: i64,
    },
    /// A presigned request came after its `X-Amz-Expires`.
    PresignedExpired,
    /// The role session's time is over.
    ExpiredToken,
    /// The payload is not the one that was signed, or was not signed. The text says what.
    Payload(String),
    /// The secret, or something of the signed request, is another one.
    SignatureDoesNotMatch,
}

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. \
    Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";

impl Refusal {
    /// AWS's error code.
    pub fn code(&self, family: Family) -> &'static str {
        use Refusal as R;
        match (family, self) {
            (Family::Query, R::MissingAuthenticationToken) => "MissingAuthenticationToken",
            (Family::Ec2, R::MissingAuthenticationToken) => "AuthFailure",
            (Family::Json, R::MissingAuthenticationToken) => "MissingAuthenticationTokenException",
            (Family::Query | Family::Ec2, R::IncompleteSignature(_)) => "IncompleteSignature",
            (Family::Json, R::IncompleteSignature(_)) => "IncompleteSignatureException",
            (Family::Query, R::UnknownAccessKey) => "InvalidClientTokenId",
            (Family::Json, R::UnknownAccessKey) => "UnrecognizedClientException",
            (Family::Ec2, R::UnknownAccessKey | R::SignatureDoesNotMatch | R::Scope(_) | R::Payload(_)) => {
                "AuthFailure"
            }
            (Family::Ec2, R::SignatureExpired { .. } | R::NotYetCurrent { .. } | R::ExpiredToken)
            | (Family::Query | Family::Ec2, R::PresignedExpired) => "RequestExpired",
            (Family::Query, R::ExpiredToken) => "ExpiredToken",
            (Family::Json, R::ExpiredToken) => "ExpiredTokenException",
            (
                Family::Query,
                R::Scope(_)
                | R::SignatureExpired { .. }
                | R::NotYetCurrent { .. }
                | R::Payload(_)
                | R::SignatureDoesNotMatch,
            ) => "SignatureDoesNotMatch",
            (
                Family::Json,
                R::Scope(_)
                | R::SignatureExpired { .. }
                | R::NotYetCurrent { .. }
                | R::PresignedExpired
                | R::Payload(_)
                | R::SignatureDoesNotMatch,
            ) => "InvalidSignatureException",
        }
    }

    /// The HTTP status that goes with the code.
    pub fn status(&self, family: Family) -> u16 {
        match family {
            Family::Json => 400,
            Family::Query => match self {
                Refusal::PresignedExpired => 400,
                _ => 403,
            },
            Family::Ec2 => match self.code(family) {
                "AuthFailure" => 401,
                _ => 400,
            },
        }
    }

    /// The error as a service of the family answers it.
    pub fn api_error(&self, family: Family) -> ApiError {
        let status = StatusCode::from_u16(self.status(family)).unwrap_or(StatusCode::FORBIDDEN);
        ApiError::new(self.code(family), self.message(family)).with_status(status)
    }

    /// AWS's words.
    pub fn message(&self, family: Family) -> String {
        match (self, family) {
            (Refusal::MissingAuthenticationToken, Family::Query) => {
                "Request is missing Authentication Token".to_owned()
            }
            (Refusal::MissingAuthenticationToken, Family::Json) => "Missing Authentication Token".to_owned(),
            (
                Refusal::MissingAuthenticationToken
                | Refusal::UnknownAccessKey
                | Refusal::SignatureDoesNotMatch,
                Family::Ec2,
            ) => "AWS was not able to validate the provided access credentials".to_owned(),
            (Refusal::UnknownAccessKey, _) => {
                "The security token included in the request is invalid.".to_owned()
            }
            (
                Refusal::PresignedExpired
                | Refusal::ExpiredToken
                | Refusal::SignatureExpired { .. }
                | Refusal::NotYetCurrent { .. },
                Family::Ec2,
            )
            | (Refusal::PresignedExpired, _) => "Request has expired.".to_owned(),
            (Refusal::ExpiredToken, _) => "The security token included in the request is expired".to_owned(),
            (Refusal::SignatureExpired { signed, now, minutes }, _) => format!(
                "Signature expired: {} is now earlier than {} ({} - {minutes} min.)",
                basic_iso(*signed),
                basic_iso(shifted(*now, -minutes)),
                basic_iso(*now),
            ),
            (Refusal::NotYetCurrent { signed, now, minutes }, _) => format!(
                "Signature not yet current: {} is still later than {} ({} + {minutes} min.)",
                basic_iso(*signed),
                basic_iso(shifted(*now, *minutes)),
                basic_iso(*now),
            ),
            (Refusal::SignatureDoesNotMatch, _) => MISMATCH.to_owned(),
            (Refusal::IncompleteSignature(text) | Refusal::Scope(text) | Refusal::Payload(text), _) => {
                text.clone()
            }
        }
    }
}

fn shifted(time: Timestamp, minutes: i64) -> Timestamp {
    Timestamp::from_millis(time.as_millis().saturating_add(minutes * 60_000))
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message(Family::Query))
    }
}

impl std::error::Error for Refusal {}
