//! How long points are kept at which resolution, and the blocks in which they are kept.
//!
//! "Metrics retention": seconds for 3 hours, minutes for 15 days, five minutes for 63 days, hours for 455 days.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::point::Point;

/// A resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tier {
    /// High resolution.
    #[serde(rename = "1")]
    Second,
    /// The standard resolution.
    #[serde(rename = "60")]
    Minute,
    /// Old.
    #[serde(rename = "300")]
    FiveMinutes,
    /// Older.
    #[serde(rename = "3600")]
    Hour,
}

impl Tier {
    /// All of them, the finest first.
    pub const ALL: [Tier; 4] = [Tier::Second, Tier::Minute, Tier::FiveMinutes, Tier::Hour];

    /// Seconds from point to point.
    pub const fn seconds(self) -> i64 {
        match self {
            Tier::Second => 1,
            Tier::Minute => 60,
            Tier::FiveMinutes => 300,
            Tier::Hour => 3600,
        }
    }

    /// How long a point is kept at it, in seconds.
    pub const fn kept(self) -> i64 {
        match self {
            Tier::Second => 3 * 3600,
            Tier::Minute => 15 * 86_400,
            Tier::FiveMinutes => 63 * 86_400,
            Tier::Hour => 455 * 86_400,
        }
    }

    /// How much time one block holds, in seconds: enough that there are few, little enough to write one again with each
    /// new point.
    pub const fn span(self) -> i64 {
        match self {
            Tier::Second => 60,
            Tier::Minute => 3600,
            Tier::FiveMinutes => 6 * 3600,
            Tier::Hour => 10 * 86_400,
        }
    }

    /// The next coarser one.
    pub const fn coarser(self) -> Option<Tier> {
        match self {
            Tier::Second => Some(Tier::Minute),
            Tier::Minute => Some(Tier::FiveMinutes),
            Tier::FiveMinutes => Some(Tier::Hour),
            Tier::Hour => None,
        }
    }

    /// Where the block begins that holds a time.
    pub const fn block(self, at: i64) -> i64 {
        at - at.rem_euclid(self.span())
    }
}

/// A stretch of one metric's points at one resolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// The resolution.
    pub tier: Tier,
    /// When it begins.
    pub start: i64,
    /// The points by their times.
    pub points: BTreeMap<i64, Point>,
}

impl Block {
    /// An empty one that holds `at`.
    pub fn new(tier: Tier, at: i64) -> Self {
        Self { tier, start: tier.block(at), points: BTreeMap::new() }
    }

    /// Takes a point in; its time is rounded down to the resolution.
    pub fn add(&mut self, at: i64, point: &Point) {
        let at = at - at.rem_euclid(self.tier.seconds());
        self.points.entry(at).and_modify(|known| known.merge(point)).or_insert_with(|| point.clone());
    }

    /// Whether all its points are older than its resolution is kept.
    pub fn is_over(&self, now: i64) -> bool {
        self.start + self.tier.span() <= now - self.tier.kept()
    }

    /// What is kept of it at the next resolution. Values for percentiles go no further than minutes.
    pub fn roll_up(&self) -> Vec<(Tier, i64, Point)> {
        let Some(tier) = self.tier.coarser() else { return Vec::new() };
        let mut next: BTreeMap<i64, Point> = BTreeMap::new();
        for (at, point) in &self.points {
            let at = at - at.rem_euclid(tier.seconds());
            next.entry(at).and_modify(|joined| joined.merge(point)).or_insert_with(|| point.clone());
        }
        next.into_iter()
            .map(|(at, mut point)| {
                if tier > Tier::Minute {
                    point.forget_values();
                }
                (tier, at, point)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_is_lost_on_the_way_from_seconds_to_hours(
            values in prop::collection::vec((0_i64..100_000, 0.0_f64..10.0), 1..200),
        ) {
            let mut blocks: BTreeMap<(Tier, i64), Block> = BTreeMap::new();
            let take = |blocks: &mut BTreeMap<(Tier, i64), Block>, tier: Tier, at: i64, point: &Point| {
                blocks.entry((tier, tier.block(at))).or_insert_with(|| Block::new(tier, at)).add(at, point);
            };
            for (at, value) in &values {
                take(&mut blocks, Tier::Second, *at, &Point::of(*value, 1.0).unwrap());
            }
            while let Some(((tier, _), block)) = blocks.pop_first() {
                if tier == Tier::Hour {
                    blocks.insert((tier, block.start), block);
                    break;
                }
                for (tier, at, point) in block.roll_up() {
                    take(&mut blocks, tier, at, &point);
                }
            }
            let points = || blocks.values().flat_map(|block| block.points.values());
            #[allow(clippy::cast_precision_loss)]
            let count = values.len() as f64;
            prop_assert!((points().map(|point| point.count).sum::<f64>() - count).abs() < 1e-6);
            let sum: f64 = values.iter().map(|(_, value)| value).sum();
            prop_assert!((points().map(|point| point.sum).sum::<f64>() - sum).abs() < 1e-6);
        }
    }

    #[test]
    fn a_block_is_over_when_its_last_point_is() {
        let block = Block::new(Tier::Second, 125);
        assert_eq!(block.start, 120);
        assert!(!block.is_over(120 + 60 + 3 * 3600 - 1));
        assert!(block.is_over(120 + 60 + 3 * 3600));
    }
}
