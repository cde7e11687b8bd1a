//! What was measured within one moment: a statistic set, and the values themselves as far as percentiles need them.

use serde::{Deserialize, Serialize};

/// How many different values one point keeps apart. PutMetricData takes 150 at once.
const MOST_VALUES: usize = 160;
/// How wide the ranges are into which values fall that are too many, as a ratio: a percentile is right within 1%.
const RATIO: f64 = 1.02;

/// Values and how often each occurred, in ascending order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Values(Vec<(f64, f64)>);

/// The measurements of one second or minute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// How many.
    #[serde(rename = "n")]
    pub count: f64,
    /// Their sum.
    #[serde(rename = "s")]
    pub sum: f64,
    /// The least.
    #[serde(rename = "a")]
    pub minimum: f64,
    /// The greatest.
    #[serde(rename = "z")]
    pub maximum: f64,
    /// The values. None: they are not known, and there are no percentiles ("Percentiles": statistic sets have them when
    /// their minimum is their maximum).
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    values: Option<Values>,
}

/// Why numbers make no point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    /// Not a number, infinite, or beyond ±2^360 ("MetricDatum").
    #[error("a value is not a number or too large")]
    OutOfRange,
    /// A minimum above the maximum, or a count that is not positive.
    #[error("a statistic set contradicts itself")]
    Contradiction,
}

/// Whether CloudWatch takes a number as a value.
fn in_range(value: f64) -> bool {
    value.abs() <= 2_f64.powi(360)
}

impl Values {
    fn add(&mut self, value: f64, count: f64) {
        match self.0.binary_search_by(|(known, _)| known.total_cmp(&value)) {
            Ok(at) => self.0[at].1 += count,
            Err(at) => self.0.insert(at, (value, count)),
        }
        if self.0.len() > MOST_VALUES {
            self.join_close();
        }
    }

    /// Joins values that lie close together; all of one range are told as its middle, weighted by how often they were.
    fn join_close(&mut self) {
        let (mut ratio, all) = (RATIO, std::mem::take(&mut self.0));
        loop {
            let mut joined: Vec<(f64, f64, f64)> = Vec::new();
            for (value, count) in &all {
                match joined.last_mut() {
                    Some((first, sum, weight)) if *first > 0.0 && *value <= *first * ratio => {
                        *sum += value * count;
                        *weight += count;
                    }
                    _ => joined.push((*value, value * count, *count)),
                }
            }
            if joined.len() <= MOST_VALUES / 2 || ratio > 1e6 {
                self.0 = joined.into_iter().map(|(_, sum, weight)| (sum / weight, weight)).collect();
                // What cannot be joined (negative numbers) has no percentiles either way.
                self.0.truncate(MOST_VALUES);
                return;
            }
            ratio *= RATIO;
        }
    }

    /// The least value that `percent` of all do not exceed.
    fn percentile(&self, percent: f64) -> Option<f64> {
        let total: f64 = self.0.iter().map(|(_, count)| count).sum();
        let wanted = total * percent / 100.0;
        let mut seen = 0.0;
        for (value, count) in &self.0 {
            seen += count;
            // A sum of fractions is a little off.
            if seen + total * 1e-9 >= wanted {
                return Some(*value);
            }
        }
        self.0.last().map(|(value, _)| *value)
    }
}

impl Point {
    /// One value, `count` times.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn of(value: f64, count: f64) -> Result<Self, PointError> {
        if !in_range(value) || !in_range(count) {
            return Err(PointError::OutOfRange);
        }
        if count <= 0.0 {
            return Err(PointError::Contradiction);
        }
        let values = Some(Values(vec![(value, count)]));
        Ok(Self { count, sum: value * count, minimum: value, maximum: value, values })
    }

    /// A statistic set.
    ///
    /// # Errors
    /// When a number is out of range, or the set contradicts itself.
    pub fn set(count: f64, sum: f64, minimum: f64, maximum: f64) -> Result<Self, PointError> {
        if ![count, sum, minimum, maximum].into_iter().all(in_range) {
            return Err(PointError::OutOfRange);
        }
        if count <= 0.0 || minimum > maximum {
            return Err(PointError::Contradiction);
        }
        #[allow(clippy::float_cmp, reason = "the same number, not nearly the same")]
        let values = (minimum == maximum).then(|| Values(vec![(minimum, count)]));
        Ok(Self { count, sum, minimum, maximum, values })
    }

    /// Several values at once. None: there are none.
    pub fn all(values: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let points = values.into_iter().filter_map(|(value, count)| Self::of(value, count).ok());
        points.reduce(|mut all, one| {
            all.merge(&one);
            all
        })
    }

    /// Takes another point's measurements in.
    pub fn merge(&mut self, other: &Point) {
        self.count += other.count;
        self.sum += other.sum;
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
        match (&mut self.values, &other.values) {
            (Some(values), Some(more)) => {
                for (value, count) in &more.0 {
                    values.add(*value, *count);
                }
            }
            _ => self.values = None,
        }
    }

    /// Forgets the values: a percentile is not asked of a point as old as this.
    pub fn forget_values(&mut self) {
        self.values = None;
    }

    /// The least value that `percent` of all do not exceed. None when the values are not known or any is negative.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let values = self.values.as_ref().filter(|_| self.minimum >= 0.0)?;
        values.percentile(percent).map(|value| value.clamp(self.minimum, self.maximum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_percentile_is_the_least_value_that_is_not_exceeded() {
        let point = Point::all((1..=100).map(|value| (f64::from(value), 1.0))).unwrap();
        for (percent, value) in [(50.0, 50.0), (90.0, 90.0), (99.0, 99.0), (100.0, 100.0), (0.1, 1.0)] {
            assert_eq!(point.percentile(percent), Some(value), "p{percent}");
        }
    }

    #[test]
    fn a_statistic_set_has_percentiles_only_when_all_its_values_are_one() {
        assert_eq!(Point::set(2.0, 3.0, 1.0, 2.0).unwrap().percentile(50.0), None);
        assert_eq!(Point::set(2.0, 4.0, 2.0, 2.0).unwrap().percentile(50.0), Some(2.0));
        assert_eq!(Point::set(1.0, 4.0, 5.0, 2.0), Err(PointError::Contradiction));
        assert_eq!(Point::of(f64::NAN, 1.0), Err(PointError::OutOfRange));
    }

    proptest! {
        #[test]
        fn many_values_keep_their_sum_and_nearly_their_percentiles(
            values in prop::collection::vec(0.0001_f64..100.0, 1..2000), percent in 1.0_f64..100.0,
        ) {
            let point = Point::all(values.iter().map(|value| (*value, 1.0))).unwrap();
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let rank = ((values.len() as f64 * percent / 100.0).ceil() as usize).clamp(1, values.len());
            let found = point.percentile(percent).unwrap();
            prop_assert!((point.sum - values.iter().sum::<f64>()).abs() < 1e-6);
            prop_assert!(point.values.as_ref().unwrap().0.len() <= MOST_VALUES);
            // Joined again and again, a value moves by at most a few ranges.
            let (low, high) = (sorted[rank - 1] * 0.8, sorted[rank - 1] * 1.25);
            prop_assert!((low..=high).contains(&found), "{found} for {}", sorted[rank - 1]);
        }
    }
}
