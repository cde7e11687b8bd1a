//! Statistics: from points to one number a period.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::point::Point;

/// One number a period, by the period's start.
pub type Series = BTreeMap<i64, f64>;

/// What one number tells of a period's points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// How many values there are.
    SampleCount,
    /// Their mean.
    Average,
    /// Their sum.
    Sum,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// `p99`: what so many percent do not exceed.
    Percentile(f64),
}

/// A statistic that is not known here: it may be a trimmed mean (`tm90`) or the like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the statistic {0}")]
pub struct UnknownStatistic(pub String);

impl FromStr for Statistic {
    type Err = UnknownStatistic;

    fn from_str(text: &str) -> Result<Self, UnknownStatistic> {
        let unknown = || UnknownStatistic(text.to_owned());
        Ok(match text {
            "SampleCount" => Statistic::SampleCount,
            "Average" => Statistic::Average,
            "Sum" => Statistic::Sum,
            "Minimum" => Statistic::Minimum,
            "Maximum" => Statistic::Maximum,
            _ => {
                let digits = text.strip_prefix('p').ok_or_else(unknown)?;
                let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                let percent = digits.parse::<f64>().ok().filter(|_| plain);
                Statistic::Percentile(percent.filter(|p| (0.0..=100.0).contains(p)).ok_or_else(unknown)?)
            }
        })
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statistic::Percentile(percent) => write!(f, "p{percent}"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl Statistic {
    /// The number. None: a percentile of a point without values.
    pub fn of(self, point: &Point) -> Option<f64> {
        match self {
            Statistic::SampleCount => Some(point.count),
            Statistic::Average => Some(point.sum / point.count),
            Statistic::Sum => Some(point.sum),
            Statistic::Minimum => Some(point.minimum),
            Statistic::Maximum => Some(point.maximum),
            Statistic::Percentile(percent) => point.percentile(percent),
        }
    }
}

/// Joins points into periods, which begin at multiples of `period` seconds. Those from `start` on and before `end`
/// count; a period that `start` cuts counts whole.
pub fn aggregate<'a>(
    points: impl IntoIterator<Item = (i64, &'a Point)>,
    start: i64,
    end: i64,
    period: i64,
) -> BTreeMap<i64, Point> {
    let period = period.max(1);
    let start = start - start.rem_euclid(period);
    let mut periods: BTreeMap<i64, Point> = BTreeMap::new();
    for (at, point) in points {
        if !(start..end).contains(&at) {
            continue;
        }
        periods
            .entry(at - at.rem_euclid(period))
            .and_modify(|joined| joined.merge(point))
            .or_insert_with(|| point.clone());
    }
    periods
}

/// The part of a series from `start` on and before `end`.
pub fn between(series: &Series, start: i64, end: i64) -> Series {
    if start >= end {
        return Series::new();
    }
    series.range(start..end).map(|(at, value)| (*at, *value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(value: f64) -> Point {
        Point::of(value, 1.0).unwrap()
    }

    #[test]
    fn periods_begin_at_their_multiples_and_the_end_is_left_out() {
        let points = [(59, point(1.0)), (60, point(2.0)), (119, point(4.0)), (120, point(8.0))];
        let periods = aggregate(points.iter().map(|(at, point)| (*at, point)), 70, 120, 60);
        let sums: Vec<_> = periods.iter().map(|(at, point)| (*at, Statistic::Sum.of(point))).collect();
        assert_eq!(sums, [(60, Some(6.0))]);
    }

    #[test]
    fn statistics_are_named_as_cloudwatch_names_them() {
        for name in ["SampleCount", "Average", "Sum", "Minimum", "Maximum", "p99", "p99.9"] {
            assert_eq!(name.parse::<Statistic>().unwrap().to_string(), name);
        }
        for name in ["average", "p101", "p", "p-1", "tm90", "PR(1:2)", "p1e1", "IQM"] {
            assert!(name.parse::<Statistic>().is_err(), "{name}");
        }
    }
}
