//! The nouns of Landfall: typed ids, accounts, regions, ARNs, time. No IO.

mod account;
mod arn;
mod id;
mod part;
mod time;

pub use account::{AccountId, AvailabilityZone, InvalidName, Region};
pub use arn::{Arn, InvalidArn};
pub use id::*;
pub use part::PartId;
pub use time::Timestamp;
