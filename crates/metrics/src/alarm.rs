//! When an alarm changes its state, and why, in CloudWatch's words ("Using Amazon CloudWatch alarms").

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::statistic::Series;

/// How many periods before the evaluation periods are looked at for points in the place of missing ones. "Configuring
/// how alarms treat missing data" shows five for three periods.
const EXTRA: i64 = 2;

/// An alarm's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// The metric is within the threshold.
    Ok,
    /// It is not.
    Alarm,
    /// There is too little to tell.
    InsufficientData,
}

impl State {
    /// As CloudWatch spells it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::Alarm => "ALARM",
            State::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// How a value is compared with the threshold; it is breaching when this holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each says it")]
pub enum Comparison {
    GreaterThanOrEqualToThreshold,
    GreaterThanThreshold,
    LessThanThreshold,
    LessThanOrEqualToThreshold,
}

impl Comparison {
    fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Comparison::GreaterThanOrEqualToThreshold => value >= threshold,
            Comparison::GreaterThanThreshold => value > threshold,
            Comparison::LessThanThreshold => value < threshold,
            Comparison::LessThanOrEqualToThreshold => value <= threshold,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Comparison::GreaterThanOrEqualToThreshold => "greater than or equal to",
            Comparison::GreaterThanThreshold => "greater than",
            Comparison::LessThanThreshold => "less than",
            Comparison::LessThanOrEqualToThreshold => "less than or equal to",
        }
    }
}

/// What a period without a point counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Missing {
    /// As nothing: with no points at all, the alarm has insufficient data.
    #[default]
    Missing,
    /// As nothing: with no points at all, the alarm stays as it is.
    Ignore,
    /// As beyond the threshold.
    Breaching,
    /// As within the threshold.
    NotBreaching,
}

/// What an alarm looks at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The comparison.
    pub comparison: Comparison,
    /// What with.
    pub threshold: f64,
    /// Seconds a period.
    pub period: i64,
    /// How many periods are looked at.
    pub evaluation_periods: i64,
    /// How many of them have to be breaching.
    pub datapoints_to_alarm: i64,
    /// What a period without a point counts as.
    pub missing: Missing,
}

/// The state that follows, with CloudWatch's reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The state.
    pub state: State,
    /// Why.
    pub reason: String,
    /// The points that decided, the newest first.
    pub points: Vec<(i64, f64)>,
}

impl Rule {
    /// The times that an evaluation at `now` looks at: whole periods that have ended.
    pub fn range(&self, now: i64) -> (i64, i64) {
        let end = now - now.rem_euclid(self.period);
        (end - (self.evaluation_periods + EXTRA) * self.period, end)
    }

    /// Whether a value is beyond the threshold.
    pub fn is_breaching(&self, value: f64) -> bool {
        self.comparison.holds(value, self.threshold)
    }

    /// What the points of [`Rule::range`] make of the alarm. None: it stays in the state that it is in.
    pub fn evaluate(&self, series: &Series, now: i64) -> Option<Verdict> {
        let (start, end) = self.range(now);
        let n = usize::try_from(self.evaluation_periods).unwrap_or(1).max(1);
        let m = self.datapoints_to_alarm;
        let real: Vec<(i64, f64)> =
            crate::statistic::between(series, start, end).into_iter().rev().take(n).collect();
        let breaching = real.iter().filter(|(_, value)| self.is_breaching(*value)).count();
        let (breaching, known) = (count(breaching), count(real.len()));
        let missing = self.evaluation_periods - known;
        let verdict = |state| Some(self.verdict(state, &real, breaching, missing));
        if missing > 0 && real.is_empty() {
            return match self.missing {
                Missing::Missing => verdict(State::InsufficientData),
                Missing::Ignore => None,
                Missing::Breaching if missing >= m => verdict(State::Alarm),
                Missing::Breaching | Missing::NotBreaching => verdict(State::Ok),
            };
        }
        let filled = if self.missing == Missing::Breaching { breaching + missing } else { breaching };
        if filled >= m {
            return verdict(State::Alarm);
        }
        let undecided = missing > 0 && breaching == known;
        match self.missing {
            Missing::Ignore if undecided => None,
            Missing::Missing if undecided => {
                // The oldest breaching point is old enough, and none since says otherwise.
                let oldest = real.last().map_or(0, |(at, _)| (end - at) / self.period);
                if oldest >= m { verdict(State::Alarm) } else { None }
            }
            _ => verdict(State::Ok),
        }
    }

    fn verdict(&self, state: State, real: &[(i64, f64)], breaching: i64, missing: i64) -> Verdict {
        let plural = |number: i64| if number == 1 { "" } else { "s" };
        let were = |number: i64| if number == 1 { "was" } else { "were" };
        let reason = if state == State::InsufficientData {
            let n = self.evaluation_periods;
            format!("Insufficient Data: {n} datapoint{} {} unknown.", plural(n), were(n))
        } else if real.is_empty() {
            let (n, kind) = (self.evaluation_periods, self.treatment());
            format!(
                "Threshold Crossed: no datapoints were received for {n} period{} and {missing} missing datapoint{} {} \
                 treated as [{kind}].",
                plural(n),
                plural(missing),
                were(missing)
            )
        } else {
            let alarm = state == State::Alarm;
            let telling: Vec<_> =
                real.iter().filter(|(_, value)| self.is_breaching(*value) == alarm).collect();
            let listed = if telling.is_empty() { real.iter().collect() } else { telling };
            let texts: Vec<String> =
                listed.iter().map(|(at, value)| format!("{value:?} ({})", moment(*at))).collect();
            let (number, last) = (if alarm { breaching } else { count(real.len()) - breaching }, real.len());
            let (not, from, to) = if alarm { ("", "OK", "ALARM") } else { ("not ", "ALARM", "OK") };
            let least = if alarm {
                self.datapoints_to_alarm
            } else {
                self.evaluation_periods - self.datapoints_to_alarm + 1
            };
            let treated = if missing > 0 && matches!(self.missing, Missing::Breaching | Missing::NotBreaching)
            {
                let kind = self.treatment();
                format!(
                    " and {missing} missing datapoint{} {} treated as [{kind}]",
                    plural(missing),
                    were(missing)
                )
            } else {
                String::new()
            };
            format!(
                "Threshold Crossed: {number} out of the last {last} datapoint{} [{}] {} {not}{} the threshold ({:?}){treated} \
                 (minimum {least} datapoint{} for {from} -> {to} transition).",
                plural(count(last)),
                texts.join(", "),
                were(number),
                self.comparison.words(),
                self.threshold,
                plural(least),
            )
        };
        Verdict { state, reason, points: real.to_vec() }
    }

    fn treatment(&self) -> &'static str {
        match self.missing {
            Missing::Breaching => "Breaching",
            Missing::NotBreaching => "NonBreaching",
            Missing::Ignore => "Ignored",
            Missing::Missing => "Missing",
        }
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `26/11/26 01:02:00`
fn moment(at: i64) -> String {
    let format = format_description!("[day]/[month]/[year repr:last_two] [hour]:[minute]:[second]");
    OffsetDateTime::from_unix_timestamp(at).ok().and_then(|at| at.format(format).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn rule(n: i64, m: i64, missing: Missing) -> Rule {
        Rule {
            comparison: Comparison::GreaterThanThreshold,
            threshold: 50.0,
            period: 60,
            evaluation_periods: n,
            datapoints_to_alarm: m,
            missing,
        }
    }

    /// Points as AWS's tables write them, the newest at the right: `0` within, `X` beyond, `-` missing.
    fn series(text: &str) -> Series {
        let points = text.split(' ').zip(0_i64..).filter_map(|(point, period)| match point {
            "0" => Some((period * 60, 1.0)),
            "X" => Some((period * 60, 99.0)),
            _ => None,
        });
        points.collect()
    }

    const EACH: [Missing; 4] = [Missing::Missing, Missing::Ignore, Missing::Breaching, Missing::NotBreaching];

    fn check(n: i64, m: i64, points: &str, want: [Option<State>; 4]) {
        let got = EACH.map(|missing| rule(n, m, missing).evaluate(&series(points), 300).map(|v| v.state));
        assert_eq!(got, want, "{m} of {n}: {points}");
    }

    /// "Configuring how CloudWatch alarms treat missing data", both tables.
    #[test]
    fn missing_points_are_treated_as_aws_s_tables_say() {
        let (ok, alarm, insufficient, stays) =
            (Some(State::Ok), Some(State::Alarm), Some(State::InsufficientData), None);
        check(3, 3, "0 - X - X", [ok; 4]);
        check(3, 3, "0 - - - -", [ok; 4]);
        check(3, 3, "- - - - -", [insufficient, stays, alarm, ok]);
        check(3, 3, "0 X X - X", [alarm; 4]);
        check(3, 3, "- - X - -", [alarm, stays, alarm, ok]);
        check(3, 2, "0 - X - X", [alarm; 4]);
        check(3, 2, "0 0 X 0 X", [alarm; 4]);
        check(3, 2, "0 - X - -", [ok, ok, alarm, ok]);
        check(3, 2, "- - - - 0", [ok, ok, alarm, ok]);
        check(3, 2, "- - - X -", [alarm, stays, alarm, ok]);
    }

    fn check_reason(n: i64, m: i64, missing: Missing, points: &str, want: &Expect) {
        want.assert_eq(&rule(n, m, missing).evaluate(&series(points), 300).unwrap().reason);
    }

    #[test]
    fn reasons_are_in_cloudwatch_s_words() {
        check_reason(
            1,
            1,
            Missing::Missing,
            "- - - 0 X",
            &expect![
                "Threshold Crossed: 1 out of the last 1 datapoint [99.0 (01/01/70 00:04:00)] was greater than the threshold (50.0) (minimum 1 datapoint for OK -> ALARM transition)."
            ],
        );
        check_reason(
            3,
            2,
            Missing::Missing,
            "0 0 X X 0",
            &expect![
                "Threshold Crossed: 2 out of the last 3 datapoints [99.0 (01/01/70 00:03:00), 99.0 (01/01/70 00:02:00)] were greater than the threshold (50.0) (minimum 2 datapoints for OK -> ALARM transition)."
            ],
        );
        check_reason(
            3,
            2,
            Missing::Missing,
            "0 0 X 0 0",
            &expect![
                "Threshold Crossed: 2 out of the last 3 datapoints [1.0 (01/01/70 00:04:00), 1.0 (01/01/70 00:03:00)] were not greater than the threshold (50.0) (minimum 2 datapoints for ALARM -> OK transition)."
            ],
        );
        check_reason(
            3,
            3,
            Missing::Missing,
            "- - - - -",
            &expect!["Insufficient Data: 3 datapoints were unknown."],
        );
        check_reason(
            3,
            3,
            Missing::Breaching,
            "- - - - -",
            &expect![
                "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as [Breaching]."
            ],
        );
    }

    proptest! {
        #[test]
        fn without_missing_points_the_last_n_decide(points in prop::collection::vec(any::<bool>(), 5), n in 1_i64..=5, m in 1_i64..=5) {
            let m = m.min(n);
            let text: Vec<&str> = points.iter().map(|beyond| if *beyond { "X" } else { "0" }).collect();
            let beyond = points.iter().rev().take(usize::try_from(n).unwrap()).filter(|beyond| **beyond).count();
            let want = if count(beyond) >= m { State::Alarm } else { State::Ok };
            for missing in EACH {
                let got = rule(n, m, missing).evaluate(&series(&text.join(" ")), 300).map(|v| v.state);
                prop_assert_eq!(got, Some(want));
            }
        }
    }
}
