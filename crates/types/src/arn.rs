//! Amazon resource names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `arn:aws:<service>:<region>:<account>:<resource>`; region and account may be empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arn {
    /// `ecs`, `elasticloadbalancing`…
    pub service: String,
    /// Empty for global services.
    pub region: String,
    /// Empty for resources that AWS owns no account for; `aws` for managed policies.
    pub account: String,
    /// All after the fifth colon.
    pub resource: String,
}

/// A text that is no ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidArn(pub String);

impl fmt::Display for InvalidArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not an ARN (arn:aws:service:region:account:resource)", self.0)
    }
}

impl std::error::Error for InvalidArn {}

impl Arn {
    /// An ARN in the partition `aws`.
    pub fn new(service: &str, region: &str, account: &str, resource: impl Into<String>) -> Self {
        Self {
            service: service.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            resource: resource.into(),
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:aws:{}:{}:{}:{}", self.service, self.region, self.account, self.resource)
    }
}

impl FromStr for Arn {
    type Err = InvalidArn;

    fn from_str(text: &str) -> Result<Self, InvalidArn> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or_else(|| InvalidArn(text.to_owned()));
        if next()? != "arn" || next()? != "aws" {
            return Err(InvalidArn(text.to_owned()));
        }
        let arn = Self::new(next()?, next()?, next()?, next()?);
        if arn.service.is_empty() || arn.resource.is_empty() {
            return Err(InvalidArn(text.to_owned()));
        }
        Ok(arn)
    }
}

impl TryFrom<String> for Arn {
    type Error = InvalidArn;

    fn try_from(text: String) -> Result<Self, InvalidArn> {
        text.parse()
    }
}

impl From<Arn> for String {
    fn from(arn: Arn) -> String {
        arn.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_survives_text() {
        for text in [
            "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy",
            "arn:aws:ecs:ap-northeast-2:000000000001:task-definition/app:3",
        ] {
            assert_eq!(text.parse::<Arn>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_arn_is_refused() {
        for text in ["", "arn", "arn:aws:ecs", "arn:azure:ecs:r:a:x", "arn:aws:ecs:r:a:", "simon-test"] {
            assert!(text.parse::<Arn>().is_err(), "{text}");
        }
    }
}
