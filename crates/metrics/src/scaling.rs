//! What a scaling policy makes of a metric: the next capacity. Pages: "Target tracking scaling policies", "Step scaling
//! policies", "Cooldown" of Application Auto Scaling's user guide.

use serde::{Deserialize, Serialize};

/// Scale-in of target tracking begins below this part of the target, so that capacity does not go up and down by turns.
pub const SCALE_IN_PART: f64 = 0.9;

/// How a step changes the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "AWS's names say it")]
pub enum AdjustmentType {
    ChangeInCapacity,
    PercentChangeInCapacity,
    ExactCapacity,
}

/// A step: between two distances from the alarm's threshold, a change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct StepAdjustment {
    /// From here on; without one from minus infinity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_interval_lower_bound: Option<f64>,
    /// Up to here; without one to infinity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_interval_upper_bound: Option<f64>,
    /// How much; percent for [`AdjustmentType::PercentChangeInCapacity`].
    pub scaling_adjustment: i64,
}

/// The least and the most that a target may be scaled to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The least.
    pub minimum: i64,
    /// The most.
    pub maximum: i64,
}

impl Bounds {
    /// The nearest allowed capacity.
    pub fn limit(self, capacity: i64) -> i64 {
        capacity.min(self.maximum).max(self.minimum)
    }
}

/// What happened before: for cooldowns. Times in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Past {
    /// Until when scaling out counts what was added already.
    pub out_until: i64,
    /// The capacity before the scale-out whose cooldown that is.
    pub out_from: i64,
    /// Until when nothing is scaled in.
    pub in_until: i64,
    /// When the last change was.
    pub last_at: i64,
}

/// The capacity at which a metric that falls with capacity as 1/x would be at its target.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "capacities are small")]
pub fn proportional(capacity: i64, metric: f64, target: f64) -> i64 {
    // Nothing can be shared out among no tasks.
    let exact = capacity.max(1) as f64 * metric / target;
    // 3.0000000001 is 3: a sum of floating points is a little off.
    (exact - 1e-9).ceil().clamp(0.0, 1e9) as i64
}

/// The capacity after a step. None: no step is for this distance from the threshold.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "capacities are small")]
pub fn step(
    kind: AdjustmentType,
    steps: &[StepAdjustment],
    least_change: i64,
    capacity: i64,
    metric: f64,
    threshold: f64,
) -> Option<i64> {
    let distance = metric - threshold;
    let adjustment = steps.iter().find(|step| step.covers(distance))?.scaling_adjustment;
    Some(match kind {
        AdjustmentType::ExactCapacity => adjustment,
        AdjustmentType::ChangeInCapacity => capacity + adjustment,
        AdjustmentType::PercentChangeInCapacity => {
            let exact = capacity as f64 * adjustment as f64 / 100.0;
            // "Scaling adjustment types": above 1 down, between 0 and 1 to 1, and so below zero.
            let change = match exact {
                exact if exact > 0.0 && exact < 1.0 => 1,
                exact if exact < 0.0 && exact > -1.0 => -1,
                exact => exact.trunc() as i64,
            };
            let change = if change == 0 { 0 } else { change.signum() * change.abs().max(least_change) };
            capacity + change
        }
    })
}

impl StepAdjustment {
    /// The lower bound belongs to a step above the threshold and the upper one does not; below, it is the other way.
    fn covers(&self, distance: f64) -> bool {
        let lower = self.metric_interval_lower_bound.unwrap_or(f64::NEG_INFINITY);
        let upper = self.metric_interval_upper_bound.unwrap_or(f64::INFINITY);
        if lower >= 0.0 || (lower == f64::NEG_INFINITY && upper > 0.0) {
            distance >= lower && distance < upper
        } else {
            distance > lower && distance <= upper
        }
    }
}

/// What a policy wants becomes what happens: within the bounds and as the cooldowns let it. `wants` says what the
/// policy makes of a capacity. None: the capacity stays.
pub fn settle(
    capacity: i64,
    wants: impl Fn(i64) -> Option<i64>,
    bounds: Bounds,
    past: Past,
    now: i64,
) -> Option<i64> {
    let wanted = bounds.limit(wants(capacity)?);
    if wanted > capacity {
        // "The capacity that was added by the scale-out activity counts towards the next one."
        let base = if now < past.out_until { past.out_from.min(capacity) } else { capacity };
        let wanted = bounds.limit(wants(base)?);
        return (wanted > capacity).then_some(wanted);
    }
    let in_cooldown = now < past.in_until || now < past.out_until;
    (wanted < capacity && !in_cooldown).then_some(wanted)
}

impl Past {
    /// Takes a change down.
    pub fn note(&mut self, from: i64, to: i64, out_cooldown: i64, in_cooldown: i64, now: i64) {
        self.last_at = now;
        if to > from {
            if now >= self.out_until {
                self.out_from = from;
            }
            self.out_until = now + out_cooldown;
            // A scale-out ends the cooldown of a scale-in.
            self.in_until = now;
        } else {
            self.in_until = now + in_cooldown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds { minimum: 1, maximum: 10 };

    #[test]
    fn the_proportion_reaches_the_target_from_above() {
        for (capacity, metric, target, want) in [
            (1, 100.0, 50.0, 2),
            (2, 75.0, 50.0, 3),
            (4, 10.0, 50.0, 1),
            (3, 50.0, 50.0, 3),
            (0, 10.0, 5.0, 2),
        ] {
            assert_eq!(proportional(capacity, metric, target), want);
        }
    }

    /// The example of "How step scaling policies work": +0%, +10%, +30% from a threshold of 50.
    #[test]
    fn steps_are_chosen_and_rounded_as_the_guide_s_example() {
        let between = |lower, upper, scaling_adjustment| StepAdjustment {
            metric_interval_lower_bound: lower,
            metric_interval_upper_bound: upper,
            scaling_adjustment,
        };
        let out = [
            between(Some(0.0), Some(10.0), 0),
            between(Some(10.0), Some(20.0), 10),
            between(Some(20.0), None, 30),
        ];
        let percent = AdjustmentType::PercentChangeInCapacity;
        for (metric, capacity, want) in
            [(55.0, 10, 10), (60.0, 10, 11), (69.9, 10, 11), (70.0, 10, 13), (70.0, 11, 14)]
        {
            assert_eq!(step(percent, &out, 0, capacity, metric, 50.0), Some(want), "{metric}");
        }
        assert_eq!(step(percent, &out, 0, 10, 49.0, 50.0), None);
        assert_eq!(step(percent, &out, 2, 10, 60.0, 50.0), Some(12));
        let down = [between(Some(-10.0), Some(0.0), -10), between(None, Some(-10.0), -30)];
        for (metric, want) in [(50.0, 9), (40.1, 9), (40.0, 7), (10.0, 7)] {
            assert_eq!(step(percent, &down, 0, 10, metric, 50.0), Some(want), "{metric}");
        }
    }

    #[test]
    fn what_was_added_counts_during_the_cooldown() {
        let mut past = Past::default();
        past.note(2, 3, 100, 100, 0);
        let add = |number| move |capacity| Some(capacity + number);
        assert_eq!(settle(3, add(1), BOUNDS, past, 50), None);
        assert_eq!(settle(3, add(3), BOUNDS, past, 50), Some(5));
        assert_eq!(settle(3, add(1), BOUNDS, past, 100), Some(4));
        assert_eq!(settle(3, add(-1), BOUNDS, past, 50), None);
        past.note(3, 2, 100, 100, 200);
        assert_eq!(settle(2, add(-1), BOUNDS, past, 299), None);
        assert_eq!(settle(2, add(1), BOUNDS, past, 201), Some(3));
        assert_eq!(settle(2, add(-1), BOUNDS, past, 300), Some(1));
    }

    proptest! {
        #[test]
        fn a_change_stays_within_the_bounds_and_a_steady_load_converges(
            load in 1.0_f64..2000.0, target in 10.0_f64..90.0, start in 1_i64..10,
        ) {
            let (mut capacity, mut past) = (start, Past::default());
            let mut changes = 0;
            for round in 0..40_i64 {
                let now = round * 60;
                #[allow(clippy::cast_precision_loss)]
                let metric = load / capacity as f64;
                let wants = |base| Some(proportional(base, metric, target));
                let act = metric > target || metric < target * SCALE_IN_PART;
                if let Some(next) = act.then(|| settle(capacity, wants, BOUNDS, past, now)).flatten() {
                    prop_assert!((BOUNDS.minimum..=BOUNDS.maximum).contains(&next));
                    past.note(capacity, next, 60, 60, now);
                    capacity = next;
                    changes += 1;
                }
            }
            #[allow(clippy::cast_precision_loss)]
            let metric = load / capacity as f64;
            prop_assert!(changes <= 2, "{changes} changes under a steady load");
            prop_assert!(metric <= target + 1e-6 || capacity == BOUNDS.maximum);
        }
    }
}
