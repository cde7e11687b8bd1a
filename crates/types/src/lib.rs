//! The nouns of Landfall: typed ids, accounts, regions, ARNs, time, the pause between two tries. No IO.

mod account;
mod arn;
mod backoff;
mod id;
mod part;
mod time;

pub use account::{AccountId, AvailabilityZone, InvalidName, Region};
pub use arn::{Arn, InvalidArn};
pub use backoff::Backoff;
pub use id::*;
pub use part::PartId;
pub use time::Timestamp;
