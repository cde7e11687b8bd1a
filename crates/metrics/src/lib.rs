//! Metrics as CloudWatch has them: points and their statistics, how long they are kept at which resolution, arithmetic
//! over them, alarms, and what a scaling policy makes of an alarm. Pure: time is a number that the caller passes, in
//! seconds since 1970.

pub mod alarm;
pub mod expression;
mod point;
mod retention;
pub mod scaling;
mod statistic;

pub use point::{Point, PointError, Values};
pub use retention::{Block, Tier};
pub use statistic::{Series, Statistic, UnknownStatistic, aggregate, between};
