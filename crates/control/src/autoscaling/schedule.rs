//! Schedules: `at(…)`, `rate(…)`, `cron(…)` with a time zone ("Schedule recurring scaling actions using cron
//! expressions", "… rate expressions").

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan};
use wire::ApiError;

use super::validation;

/// How many days ahead a day is looked for: a leap day on a given day of the week comes within 28 years, but for the
/// turn of a century.
const FURTHEST_DAYS: usize = 366 * 41;

/// When something happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Once.
    At(DateTime),
    /// Every so many seconds from when it began.
    Rate(i64),
    /// Whenever the clock shows one of these.
    Cron(Box<Cron>),
}

/// The fields of a cron expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Cron {
    minutes: BTreeSet<i64>,
    hours: BTreeSet<i64>,
    days: Days,
    months: BTreeSet<i64>,
    years: BTreeSet<i64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Days {
    OfMonth(BTreeSet<i64>),
    /// `L`
    LastOfMonth,
    /// 1 is Sunday.
    OfWeek(BTreeSet<i64>),
    /// `6#3`: the third Friday.
    Nth {
        day: i64,
        nth: i64,
    },
    /// `6L`: the last Friday.
    LastOfWeek(i64),
}

fn bad(text: &str) -> ApiError {
    validation(format!("The schedule expression '{text}' is not valid: it is at(…), rate(…) or cron(…)."))
}

/// Reads a schedule expression.
///
/// # Errors
/// When it is none.
pub fn parse(text: &str) -> Result<Schedule, ApiError> {
    let bad = || bad(text);
    let inner = |kind: &str| text.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')').map(str::trim);
    if let Some(time) = inner("at") {
        return time.parse().map(Schedule::At).map_err(|_| bad());
    }
    if let Some(rate) = inner("rate") {
        let (number, unit) = rate.split_once(' ').ok_or_else(bad)?;
        let number: i64 =
            number.parse().ok().filter(|number| (1..=100_000).contains(number)).ok_or_else(bad)?;
        let seconds = match unit.trim() {
            "minute" | "minutes" => 60,
            "hour" | "hours" => 3600,
            "day" | "days" => 86_400,
            _ => return Err(bad()),
        };
        // "rate(1 minutes)" is refused.
        if (number == 1) == unit.trim().ends_with('s') {
            return Err(bad());
        }
        return Ok(Schedule::Rate(number * seconds));
    }
    let fields: Vec<&str> = inner("cron").ok_or_else(bad)?.split_whitespace().collect();
    let [minutes, hours, day_of_month, months, day_of_week, years] = fields[..] else { return Err(bad()) };
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    const WEEK: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    if day_of_month.contains('W') {
        return Err(validation("Landfall does not support W (the nearest weekday) in a cron expression."));
    }
    // "If you specify a value or a * (asterisk) in one of the fields, you must use a ? (question mark) in the other."
    let days = match (day_of_month, day_of_week) {
        ("L", "?") => Some(Days::LastOfMonth),
        (month, "?") => values(month, 1, 31, &[]).map(Days::OfMonth),
        ("?", week) => match (week.split_once('#'), week.strip_suffix('L')) {
            (Some((day, nth)), _) => {
                let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth));
                value(day, 1, 7, &WEEK).zip(nth).map(|(day, nth)| Days::Nth { day, nth })
            }
            (None, Some("")) => Some(Days::OfWeek([7].into())),
            (None, Some(day)) => value(day, 1, 7, &WEEK).map(Days::LastOfWeek),
            (None, None) => values(week, 1, 7, &WEEK).map(Days::OfWeek),
        },
        _ => None,
    };
    let cron = |days| {
        Some(Cron {
            minutes: values(minutes, 0, 59, &[])?,
            hours: values(hours, 0, 23, &[])?,
            days,
            months: values(months, 1, 12, &MONTHS)?,
            years: values(years, 1970, 2199, &[])?,
        })
    };
    days.and_then(cron).map(|cron| Schedule::Cron(Box::new(cron))).ok_or_else(bad)
}

fn value(text: &str, least: i64, most: i64, names: &[&str]) -> Option<i64> {
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let number = match named {
        Some(at) => i64::try_from(at).ok()? + least,
        None => text.parse().ok()?,
    };
    (least..=most).contains(&number).then_some(number)
}

/// `*`, `1,3`, `1-5`, `0/15`, `*/5`
fn values(field: &str, least: i64, most: i64, names: &[&str]) -> Option<BTreeSet<i64>> {
    let mut all = BTreeSet::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<i64>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (value(from, least, most, names)?, value(to, least, most, names)?),
            None => {
                let from = value(range, least, most, names)?;
                (from, if step.is_some() { most } else { from })
            }
        };
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        if from <= to {
            all.extend((from..=to).step_by(step));
        } else {
            // FRI-MON goes round the end.
            all.extend((from..=most).chain(least..=to).step_by(step));
        }
    }
    Some(all)
}

/// A time zone by its name of the IANA database.
///
/// # Errors
/// When there is none of this name.
pub fn zone(name: Option<&str>) -> Result<TimeZone, ApiError> {
    match name.filter(|name| !name.is_empty()) {
        None => Ok(TimeZone::UTC),
        Some(name) => TimeZone::get(name).map_err(|_| {
            validation(format!("The time zone '{name}' is not one of the IANA time zone database."))
        }),
    }
}

impl Schedule {
    /// The next time after `after`, in seconds since 1970; `began` is when a rate began. None: there is none.
    pub fn next(&self, zone: &TimeZone, began: i64, after: i64) -> Option<i64> {
        match self {
            Schedule::At(time) => instant(zone, *time).filter(|at| *at > after),
            Schedule::Rate(seconds) => {
                let steps = (after - began).div_euclid(*seconds) + 1;
                Some(began + steps.max(1) * seconds)
            }
            Schedule::Cron(cron) => cron.next(zone, after),
        }
    }
}

/// A clock's time as an instant. One that the clock skips when it is put forward is the time an hour on.
fn instant(zone: &TimeZone, time: DateTime) -> Option<i64> {
    zone.to_ambiguous_timestamp(time).compatible().ok().map(Instant::as_second)
}

impl Cron {
    fn next(&self, zone: &TimeZone, after: i64) -> Option<i64> {
        let now = Instant::from_second(after).ok()?;
        // A day back, as a clock that is put back shows a time twice.
        let mut date = zone.to_datetime(now).date().checked_sub(1.day()).ok()?;
        for _ in 0..FURTHEST_DAYS {
            if self.is_on(date) {
                let times = self
                    .hours
                    .iter()
                    .flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
                let at = times.filter_map(|(hour, minute)| {
                    let time = Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()?;
                    instant(zone, date.to_datetime(time)).filter(|at| *at > after)
                });
                if let Some(at) = at.min() {
                    return Some(at);
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn is_on(&self, date: Date) -> bool {
        let (day, last) = (i64::from(date.day()), i64::from(date.days_in_month()));
        let weekday = i64::from(date.weekday().to_sunday_one_offset());
        let on = match &self.days {
            Days::OfMonth(days) => days.contains(&day),
            Days::LastOfMonth => day == last,
            Days::OfWeek(days) => days.contains(&weekday),
            Days::Nth { day: wanted, nth } => weekday == *wanted && (day - 1) / 7 + 1 == *nth,
            Days::LastOfWeek(wanted) => weekday == *wanted && day + 7 > last,
        };
        on && self.months.contains(&i64::from(date.month())) && self.years.contains(&i64::from(date.year()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, zone_name: &str, after: &str, want: &[&str]) {
        let (schedule, zone) = (parse(text).unwrap(), zone(Some(zone_name)).unwrap());
        let began = after.parse::<Instant>().unwrap().as_second();
        let mut at = began;
        for want in want {
            at = schedule.next(&zone, began, at).unwrap();
            assert_eq!(Instant::from_second(at).unwrap().to_string(), *want, "{text} in {zone_name}");
        }
    }

    #[test]
    fn the_next_time_of_each_kind() {
        let after = "2026-11-26T01:54:32Z";
        check("at(2026-12-24T18:00:00)", "Europe/Berlin", after, &["2026-12-24T17:00:00Z"]);
        check("rate(5 minutes)", "", after, &["2026-11-26T01:59:32Z", "2026-11-26T02:04:32Z"]);
        check("cron(0 9 * * ? *)", "Asia/Seoul", after, &["2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"]);
        check("cron(0/20 1-2 * * ? *)", "UTC", after, &["2026-11-26T02:00:00Z", "2026-11-26T02:20:00Z"]);
        check("cron(30 17 ? * MON-FRI *)", "UTC", "2026-11-27T18:00:00Z", &["2026-11-30T17:30:00Z"]);
        check("cron(0 0 L 2 ? *)", "UTC", after, &["2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z"]);
        check("cron(0 0 ? * 6#3 *)", "UTC", after, &["2026-12-18T00:00:00Z"]);
        check("cron(0 0 ? * 6L *)", "UTC", after, &["2026-11-27T00:00:00Z", "2026-12-25T00:00:00Z"]);
    }

    #[test]
    fn a_clock_that_is_put_forward_or_back_does_not_lose_or_repeat_a_time() {
        check(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"],
        );
        check(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "at()",
            "at(tomorrow)",
            "rate(0 minutes)",
            "rate(1 minutes)",
            "rate(2 minute)",
            "rate(5 weeks)",
            "cron(* * * * *)",
            "cron(60 * * * ? *)",
            "cron(0 0 1 * MON *)",
            "cron(0 12 * * MON *)",
            "cron(0 12 * * * *)",
            "cron(0 12 ? * ? *)",
            "cron(? 12 * * ? *)",
            "cron(0 0 15W * ? *)",
            "cron(0 0 ? * 8 *)",
            "cron(0/0 0 * * ? *)",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(zone(Some("Mars/Olympus")).is_err());
    }

    #[test]
    fn a_time_that_is_over_and_a_day_that_never_comes_have_no_next() {
        let utc = TimeZone::UTC;
        assert_eq!(parse("at(2020-01-01T00:00:00)").unwrap().next(&utc, 0, 1_700_000_000), None);
        assert_eq!(parse("cron(0 0 30 2 ? *)").unwrap().next(&utc, 0, 1_700_000_000), None);
    }
}
