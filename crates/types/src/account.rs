//! Accounts, regions and availability zones: the first two parts of every key.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name that does not have the form AWS gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidName {
    /// What was to be named: `account`, `region`…
    pub kind: &'static str,
    /// What was given.
    pub value: String,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not a valid {}", self.value, self.kind)
    }
}

impl std::error::Error for InvalidName {}

/// A twelve-digit AWS account number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(String);

impl AccountId {
    /// Takes exactly twelve digits.
    pub fn new(value: &str) -> Result<Self, InvalidName> {
        if value.len() == 12 && value.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidName { kind: "account (twelve digits)", value: value.to_owned() })
        }
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Regions that are on in every account, each with its number of zones a new account sees.
/// Source: "Regions and Availability Zones" in the AWS Global Infrastructure documentation.
const REGIONS: &[(&str, &str, &[char])] = &[
    ("ap-northeast-1", "apne1", &['a', 'c', 'd']),
    ("ap-northeast-2", "apne2", &['a', 'b', 'c', 'd']),
    ("ap-northeast-3", "apne3", &['a', 'b', 'c']),
    ("ap-south-1", "aps1", &['a', 'b', 'c']),
    ("ap-southeast-1", "apse1", &['a', 'b', 'c']),
    ("ap-southeast-2", "apse2", &['a', 'b', 'c']),
    ("ca-central-1", "cac1", &['a', 'b', 'd']),
    ("eu-central-1", "euc1", &['a', 'b', 'c']),
    ("eu-north-1", "eun1", &['a', 'b', 'c']),
    ("eu-west-1", "euw1", &['a', 'b', 'c']),
    ("eu-west-2", "euw2", &['a', 'b', 'c']),
    ("eu-west-3", "euw3", &['a', 'b', 'c']),
    ("sa-east-1", "sae1", &['a', 'b', 'c']),
    ("us-east-1", "use1", &['a', 'b', 'c', 'd', 'e', 'f']),
    ("us-east-2", "use2", &['a', 'b', 'c']),
    ("us-west-1", "usw1", &['a', 'c']),
    ("us-west-2", "usw2", &['a', 'b', 'c', 'd']),
];

/// One of the regions that are enabled in every AWS account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Region(String);

impl Region {
    /// Takes the name of a known region; any other name is refused.
    pub fn new(value: &str) -> Result<Self, InvalidName> {
        if REGIONS.iter().any(|(name, ..)| *name == value) {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidName { kind: "region", value: value.to_owned() })
        }
    }

    /// The key under which resources of global services (IAM) are kept.
    pub fn global() -> Self {
        Self("aws-global".to_owned())
    }

    /// Every region, by name.
    pub fn all() -> impl Iterator<Item = Region> {
        REGIONS.iter().map(|(name, ..)| Region((*name).to_owned()))
    }

    /// The region's name, `ap-northeast-2`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region's zones, in order.
    pub fn zones(&self) -> Vec<AvailabilityZone> {
        let Some((name, short, letters)) = REGIONS.iter().find(|(name, ..)| *name == self.0) else {
            return Vec::new();
        };
        let zone = |(index, letter): (usize, &char)| AvailabilityZone {
            name: format!("{name}{letter}"),
            id: format!("{short}-az{}", index + 1),
        };
        letters.iter().enumerate().map(zone).collect()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An availability zone: its name in the account and its id that is the same in all accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvailabilityZone {
    /// `ap-northeast-2a`
    pub name: String,
    /// `apne2-az1`
    pub id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_article_s_zones_exist() {
        let names: Vec<String> =
            Region::new("ap-northeast-2").unwrap().zones().into_iter().map(|zone| zone.name).collect();
        assert_eq!(names, ["ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c", "ap-northeast-2d"]);
    }

    #[test]
    fn unknown_regions_and_malformed_accounts_are_refused() {
        assert!(Region::new("mars-north-1").is_err());
        assert!(AccountId::new("12345678901").is_err());
        assert!(AccountId::new("12345678901x").is_err());
    }
}
