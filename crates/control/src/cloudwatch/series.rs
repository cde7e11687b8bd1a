//! The rows of metrics: which there are, and their points in blocks. A block is written again with each point that it
//! takes; what is old is joined into coarser blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::{Block, Point, Series, Statistic, Tier, aggregate};
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region};

use super::metric::{Metric, Unit};

/// How many points are kept in all. Beyond it the oldest are joined earlier than AWS does, as memory is bounded here.
const MOST_POINTS: usize = 600_000;
/// How many metrics an account has in a region at most, for the same reason.
pub const MOST_METRICS: usize = 20_000;
/// How many blocks one pass rolls up, so that no write takes long.
const BLOCKS_A_PASS: usize = 200;

/// A metric in one unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricSeries {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Which metric.
    pub metric: Metric,
    /// In which unit it was measured.
    pub unit: Unit,
}

/// A stretch of one series' points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricBlock {
    /// The key of the series.
    pub series: String,
    /// The points.
    pub block: Block,
}

fn tier_number(tier: Tier) -> usize {
    Tier::ALL.iter().position(|known| *known == tier).unwrap_or_default()
}

fn block_key(series: &str, tier: Tier, start: i64) -> String {
    format!("{series}/{}/{start:012}", tier_number(tier))
}

impl Row for MetricSeries {
    const TABLE: &'static str = "cloudwatch_series";

    fn key(&self) -> String {
        // A unit's stroke would be one of the key's.
        let unit = self.unit.text().replace('/', "-");
        format!("{}/{}/{}/{unit}", self.account, self.region, self.metric.id())
    }
}

impl Row for MetricBlock {
    const TABLE: &'static str = "cloudwatch_block";

    fn key(&self) -> String {
        block_key(&self.series, self.block.tier, self.block.start)
    }
}

impl MetricSeries {
    /// When its newest point is, in seconds since 1970.
    pub fn last_at(&self, rows: &Snapshot) -> Option<i64> {
        let prefix = format!("{}/", self.key());
        rows.scan::<MetricBlock>(&prefix)
            .filter_map(|row| row.block.points.last_key_value().map(|(at, _)| *at))
            .max()
    }
}

/// Takes a point down. False: there are too many metrics, and this would be a new one.
#[must_use]
pub fn record(rows: &mut Tx, series: MetricSeries, tier: Tier, at: i64, point: &Point) -> bool {
    let key = series.key();
    if rows.get::<MetricSeries>(&key).is_none() {
        let prefix = format!("{}/{}/", series.account, series.region);
        if rows.scan::<MetricSeries>(&prefix).count() >= MOST_METRICS {
            return false;
        }
        rows.put(series);
    }
    add(rows, &key, tier, at, point);
    true
}

fn add(rows: &mut Tx, series: &str, tier: Tier, at: i64, point: &Point) {
    let known = rows.get::<MetricBlock>(&block_key(series, tier, tier.block(at)));
    let mut row = known.map_or_else(
        || MetricBlock { series: series.to_owned(), block: Block::new(tier, at) },
        |known| (*known).clone(),
    );
    row.block.add(at, point);
    rows.put(row);
}

/// A metric's series in each unit, or in the one asked for.
pub fn find(
    rows: &Snapshot,
    account: &AccountId,
    region: &Region,
    metric: &Metric,
    unit: Option<Unit>,
) -> Vec<Arc<MetricSeries>> {
    let prefix = format!("{account}/{region}/{}/", metric.id());
    rows.scan::<MetricSeries>(&prefix).filter(|row| unit.is_none_or(|unit| row.unit == unit)).collect()
}

/// A series' points by periods of so many seconds, from `start` on and before `end`.
pub fn periods(
    rows: &Snapshot,
    series: &MetricSeries,
    (start, end): (i64, i64),
    period: i64,
) -> BTreeMap<i64, Point> {
    let prefix = format!("{}/", series.key());
    let start = start - start.rem_euclid(period.max(1));
    let blocks: Vec<Arc<MetricBlock>> = rows
        .scan::<MetricBlock>(&prefix)
        .filter(|row| row.block.start < end && row.block.start + row.block.tier.span() > start)
        .collect();
    let points = blocks.iter().flat_map(|row| row.block.points.iter().map(|(at, point)| (*at, point)));
    aggregate(points, start, end, period)
}

/// A statistic of a metric, in all units together when none is asked for.
pub fn statistic(
    rows: &Snapshot,
    all: &[Arc<MetricSeries>],
    range: (i64, i64),
    period: i64,
    statistic: Statistic,
) -> Series {
    let mut joined: BTreeMap<i64, Point> = BTreeMap::new();
    for series in all {
        for (at, point) in periods(rows, series, range, period) {
            joined.entry(at).and_modify(|known| known.merge(&point)).or_insert(point);
        }
    }
    joined.into_iter().filter_map(|(at, point)| Some((at, statistic.of(&point)?))).collect()
}

/// Joins what is older than its resolution is kept, and what is too much; forgets metrics that have no point left.
pub fn roll_up(rows: &mut Tx, now: i64) {
    let mut points = 0;
    let mut over: Vec<Arc<MetricBlock>> = Vec::new();
    let mut young: Vec<Arc<MetricBlock>> = Vec::new();
    for row in rows.scan::<MetricBlock>("") {
        points += row.block.points.len();
        if row.block.is_over(now) {
            over.push(row);
        } else if row.block.tier != Tier::Hour && row.block.start + row.block.tier.span() < now {
            young.push(row);
        }
    }
    if points > MOST_POINTS {
        young.sort_by_key(|row| (row.block.tier, row.block.start));
        let mut much = points - MOST_POINTS;
        for row in young {
            if much == 0 {
                break;
            }
            much = much.saturating_sub(row.block.points.len());
            over.push(row);
        }
    }
    let mut emptied = false;
    for row in over.into_iter().take(BLOCKS_A_PASS) {
        rows.delete::<MetricBlock>(&row.key());
        for (tier, at, point) in row.block.roll_up() {
            add(rows, &row.series, tier, at, &point);
        }
        emptied |= row.block.tier == Tier::Hour;
    }
    if emptied {
        let all: Vec<String> = rows.scan::<MetricSeries>("").map(|row| row.key()).collect();
        for key in all {
            if rows.scan::<MetricBlock>(&format!("{key}/")).next().is_none() {
                rows.delete::<MetricSeries>(&key);
            }
        }
    }
}
