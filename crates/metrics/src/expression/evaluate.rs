//! From an expression's tree and its series to a value.

use std::collections::BTreeMap;

use super::ExpressionError;
use super::parse::{Expression, Function, Operator};
use crate::statistic::Series;

/// What an expression is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(f64),
    /// One number a period.
    Series(Series),
    /// Several series.
    List(Vec<Series>),
}

/// What an expression is evaluated in.
#[derive(Debug)]
pub struct Environment<'a> {
    /// The values of the other queries by their ids.
    pub values: &'a BTreeMap<String, Value>,
    /// The ids of those that are metrics, which METRICS stands for.
    pub metrics: &'a [String],
    /// When the first period begins.
    pub start: i64,
    /// When the last one ends.
    pub end: i64,
    /// Seconds a period.
    pub period: i64,
}

/// Evaluates an expression.
///
/// # Errors
/// When it refers to what is not there, or a function gets something else than it takes.
pub fn evaluate(expression: &Expression, environment: &Environment<'_>) -> Result<Value, ExpressionError> {
    match expression {
        Expression::Number(number) => Ok(Value::Scalar(*number)),
        Expression::Name(name) => {
            environment.values.get(name).cloned().ok_or_else(|| ExpressionError::Unknown(name.clone()))
        }
        Expression::Negative(inner) => Ok(map(evaluate(inner, environment)?, |value| -value)),
        Expression::Binary(operator, left, right) => {
            let (left, right) = (evaluate(left, environment)?, evaluate(right, environment)?);
            binary(left, right, |a, b| operator.of(a, b))
        }
        Expression::List(items) => {
            let mut list = Vec::new();
            for item in items {
                match evaluate(item, environment)? {
                    Value::Series(series) => list.push(series),
                    Value::List(more) => list.extend(more),
                    Value::Scalar(_) => return Err(wrong("A list holds metrics, and not numbers")),
                }
            }
            Ok(Value::List(list))
        }
        Expression::Call(function, arguments) => call(*function, arguments, environment),
    }
}

impl Operator {
    fn of(self, a: f64, b: f64) -> f64 {
        let truth = |is: bool| if is { 1.0 } else { 0.0 };
        #[allow(clippy::float_cmp, reason = "that is what the expression asks")]
        match self {
            Operator::Or => truth(a != 0.0 || b != 0.0),
            Operator::And => truth(a != 0.0 && b != 0.0),
            Operator::Equal => truth(a == b),
            Operator::Unequal => truth(a != b),
            Operator::Less => truth(a < b),
            Operator::LessOrEqual => truth(a <= b),
            Operator::Greater => truth(a > b),
            Operator::GreaterOrEqual => truth(a >= b),
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
            Operator::Divide => a / b,
            Operator::Power => a.powf(b),
        }
    }
}

fn wrong(why: impl Into<String>) -> ExpressionError {
    ExpressionError::Type(why.into())
}

/// A value of each point; what has none leaves no point.
fn points(series: Series, of: impl Fn(f64) -> f64) -> Series {
    let points = series.into_iter().map(|(at, value)| (at, of(value)));
    points.filter(|(_, value)| value.is_finite()).collect()
}

fn map(value: Value, of: impl Fn(f64) -> f64 + Copy) -> Value {
    match value {
        Value::Scalar(number) => Value::Scalar(of(number)),
        Value::Series(series) => Value::Series(points(series, of)),
        Value::List(list) => Value::List(list.into_iter().map(|series| points(series, of)).collect()),
    }
}

fn both(left: &Series, right: &Series, of: impl Fn(f64, f64) -> f64) -> Series {
    let points = left.iter().filter_map(|(at, a)| Some((*at, of(*a, *right.get(at)?))));
    points.filter(|(_, value)| value.is_finite()).collect()
}

fn binary(left: Value, right: Value, of: impl Fn(f64, f64) -> f64 + Copy) -> Result<Value, ExpressionError> {
    Ok(match (left, right) {
        (Value::Scalar(a), Value::Scalar(b)) => Value::Scalar(of(a, b)),
        (left, Value::Scalar(b)) => map(left, |a| of(a, b)),
        (Value::Scalar(a), right) => map(right, |b| of(a, b)),
        (Value::Series(a), Value::Series(b)) => Value::Series(both(&a, &b, of)),
        (Value::List(list), Value::Series(b)) => Value::List(list.iter().map(|a| both(a, &b, of)).collect()),
        (Value::Series(a), Value::List(list)) => Value::List(list.iter().map(|b| both(&a, b, of)).collect()),
        (Value::List(_), Value::List(_)) => return Err(wrong("An operator stands between two lists")),
    })
}

fn call(
    function: Function,
    arguments: &[Expression],
    environment: &Environment<'_>,
) -> Result<Value, ExpressionError> {
    let name = function.name();
    let count = |numbers: std::ops::RangeInclusive<usize>| {
        if numbers.contains(&arguments.len()) {
            return Ok(());
        }
        Err(wrong(format!("{name} does not take {} arguments", arguments.len())))
    };
    match function {
        Function::Metrics => {
            count(0..=1)?;
            let holds = |id: &str| match arguments {
                [Expression::Name(part)] => id.contains(part.as_str()),
                _ => true,
            };
            let ids = environment.metrics.iter().filter(|id| holds(id));
            let series = ids.filter_map(|id| match environment.values.get(id) {
                Some(Value::Series(series)) => Some(series.clone()),
                _ => None,
            });
            return Ok(Value::List(series.collect()));
        }
        Function::Fill => {
            count(2..=2)?;
            return fill(evaluate(&arguments[0], environment)?, &arguments[1], environment);
        }
        Function::If => {
            count(2..=3)?;
            let values: Result<Vec<_>, _> = arguments.iter().map(|one| evaluate(one, environment)).collect();
            return choose(values?, environment);
        }
        _ => count(1..=1)?,
    }
    let value = evaluate(&arguments[0], environment)?;
    let over = |one: fn(&[f64]) -> f64, value| reduce(name, value, one);
    match function {
        Function::Abs => Ok(map(value, f64::abs)),
        Function::Ceil => Ok(map(value, f64::ceil)),
        Function::Floor => Ok(map(value, f64::floor)),
        Function::Log => Ok(map(value, f64::ln)),
        Function::Log10 => Ok(map(value, f64::log10)),
        Function::Average => over(mean, value),
        Function::Max => over(|all| all.iter().copied().fold(f64::NEG_INFINITY, f64::max), value),
        Function::Min => over(|all| all.iter().copied().fold(f64::INFINITY, f64::min), value),
        Function::Sum => over(|all| all.iter().sum(), value),
        Function::StandardDeviation => over(
            |all| {
                let mean = mean(all);
                #[allow(clippy::cast_precision_loss, reason = "a number of points")]
                let variance = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / all.len() as f64;
                variance.sqrt()
            },
            value,
        ),
        Function::Period => match value {
            #[allow(clippy::cast_precision_loss, reason = "seconds")]
            Value::Series(_) => Ok(Value::Scalar(environment.period as f64)),
            _ => Err(wrong("PERIOD takes one metric")),
        },
        Function::MetricCount => match value {
            #[allow(clippy::cast_precision_loss, reason = "a number of metrics")]
            Value::List(list) => Ok(Value::Scalar(list.len() as f64)),
            _ => Err(wrong("METRIC_COUNT takes a list")),
        },
        Function::DatapointCount => match value {
            #[allow(clippy::cast_precision_loss, reason = "a number of points")]
            Value::Series(series) => Ok(Value::Scalar(series.len() as f64)),
            _ => Err(wrong("DATAPOINT_COUNT takes one metric")),
        },
        Function::First | Function::Last => match value {
            Value::List(mut list) if !list.is_empty() => {
                let at = if function == Function::First { 0 } else { list.len() - 1 };
                Ok(Value::Series(list.swap_remove(at)))
            }
            Value::List(_) => Ok(Value::Series(Series::new())),
            _ => Err(wrong(format!("{name} takes a list"))),
        },
        Function::TimeSeries => match value {
            Value::Scalar(number) => Ok(Value::Series(grid(environment).map(|at| (at, number)).collect())),
            _ => Err(wrong("TIME_SERIES takes a number")),
        },
        Function::Diff | Function::DiffTime | Function::Rate => steps(function, value),
        Function::RunningSum => each(value, name, |series| {
            let mut sum = 0.0;
            let running = series.into_iter().map(|(at, value)| {
                sum += value;
                (at, sum)
            });
            running.collect()
        }),
        Function::Metrics | Function::Fill | Function::If => Err(wrong("this was answered above")),
    }
}

fn each(value: Value, name: &str, of: impl Fn(Series) -> Series) -> Result<Value, ExpressionError> {
    match value {
        Value::Series(series) => Ok(Value::Series(of(series))),
        Value::List(list) => Ok(Value::List(list.into_iter().map(of).collect())),
        Value::Scalar(_) => Err(wrong(format!("{name} takes a metric"))),
    }
}

/// What changes from each point to the next.
fn steps(function: Function, value: Value) -> Result<Value, ExpressionError> {
    each(value, function.name(), |series| {
        let points: Vec<(i64, f64)> = series.into_iter().collect();
        let steps = points.windows(2).map(|pair| {
            let ((before, a), (at, b)) = (pair[0], pair[1]);
            #[allow(clippy::cast_precision_loss, reason = "seconds between two points")]
            let seconds = (at - before) as f64;
            let step = match function {
                Function::Diff => b - a,
                Function::DiffTime => seconds,
                _ => (b - a) / seconds,
            };
            (at, step)
        });
        steps.collect()
    })
}

#[allow(clippy::cast_precision_loss, reason = "a number of points")]
fn mean(all: &[f64]) -> f64 {
    all.iter().sum::<f64>() / all.len() as f64
}

/// One series becomes a number; several become one, whose points are of the series that have one there.
fn reduce(name: &str, value: Value, of: fn(&[f64]) -> f64) -> Result<Value, ExpressionError> {
    match value {
        Value::Scalar(_) => Err(wrong(format!("{name} takes a metric or a list of metrics"))),
        Value::Series(series) if series.is_empty() => Ok(Value::Series(series)),
        Value::Series(series) => Ok(Value::Scalar(of(&series.into_values().collect::<Vec<_>>()))),
        Value::List(list) => {
            let mut all: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
            for (at, value) in list.into_iter().flatten() {
                all.entry(at).or_default().push(value);
            }
            Ok(Value::Series(all.into_iter().map(|(at, values)| (at, of(&values))).collect()))
        }
    }
}

/// The beginnings of the periods that are asked for.
fn grid(environment: &Environment<'_>) -> impl Iterator<Item = i64> + use<> {
    let period = environment.period.max(1);
    let end = environment.end;
    let first = environment.start - environment.start.rem_euclid(period);
    (0..).map(move |step| first + step * period).take_while(move |at| *at < end)
}

fn fill(value: Value, with: &Expression, environment: &Environment<'_>) -> Result<Value, ExpressionError> {
    let way = match with {
        Expression::Name(name) if super::parse::is_filling(name) => Err(name.as_str()),
        other => Ok(evaluate(other, environment)?),
    };
    each(value, "FILL", |series| {
        let filled = grid(environment).filter_map(|at| {
            if let Some(value) = series.get(&at) {
                return Some((at, *value));
            }
            let before = || series.range(..at).next_back();
            let value = match &way {
                Ok(Value::Scalar(number)) => Some(*number),
                Ok(Value::Series(other)) => other.get(&at).copied(),
                Ok(Value::List(_)) => None,
                Err("REPEAT") => before().map(|(_, value)| *value),
                Err(_) => before().zip(series.range(at..).next()).map(|((t0, a), (t1, b))| {
                    #[allow(clippy::cast_precision_loss, reason = "seconds between two points")]
                    let part = (at - t0) as f64 / (t1 - t0) as f64;
                    a + (b - a) * part
                }),
            };
            value.map(|value| (at, value))
        });
        filled.collect()
    })
}

/// IF(condition, then, else); without an else, only where the condition holds.
fn choose(values: Vec<Value>, environment: &Environment<'_>) -> Result<Value, ExpressionError> {
    let mut values = values.into_iter();
    let (Some(condition), Some(then), otherwise) = (values.next(), values.next(), values.next()) else {
        return Err(wrong("IF takes two or three arguments"));
    };
    let all_scalar = |value: &Value| matches!(value, Value::Scalar(_));
    if let (Value::Scalar(condition), true) =
        (&condition, all_scalar(&then) && otherwise.as_ref().is_none_or(all_scalar))
    {
        let otherwise = otherwise.unwrap_or_else(|| Value::Series(Series::new()));
        return Ok(if *condition == 0.0 { otherwise } else { then });
    }
    let times: Vec<i64> = match (&condition, &then, &otherwise) {
        (Value::Series(series), _, _) => series.keys().copied().collect(),
        (_, Value::Series(series), None | Some(Value::Scalar(_))) => series.keys().copied().collect(),
        _ => grid(environment).collect(),
    };
    let of = |value: &Value, at: i64| match value {
        Value::Scalar(number) => Ok(Some(*number)),
        Value::Series(series) => Ok(series.get(&at).copied()),
        Value::List(_) => Err(wrong("IF takes no list")),
    };
    let mut chosen = Series::new();
    for at in times {
        let Some(condition) = of(&condition, at)? else { continue };
        let value = match (&otherwise, condition == 0.0) {
            (_, false) => of(&then, at)?,
            (Some(otherwise), true) => of(otherwise, at)?,
            (None, true) => None,
        };
        chosen.extend(value.map(|value| (at, value)));
    }
    Ok(Value::Series(chosen))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use proptest::prelude::*;

    fn series(points: &[(i64, f64)]) -> Value {
        Value::Series(points.iter().copied().collect())
    }

    fn check(text: &str, want: Value) {
        let values = [
            ("m1".to_owned(), series(&[(0, 10.0), (60, 20.0), (180, 40.0)])),
            ("m2".to_owned(), series(&[(0, 2.0), (60, 0.0), (120, 5.0)])),
        ];
        let values = BTreeMap::from(values);
        let metrics = ["m1".to_owned(), "m2".to_owned()];
        let environment = Environment { values: &values, metrics: &metrics, start: 0, end: 240, period: 60 };
        let got = parse(text).and_then(|expression| evaluate(&expression, &environment));
        assert_eq!(got, Ok(want), "{text}");
    }

    #[test]
    fn arithmetic_binds_as_usual() {
        check("1 + 2 * 3 ^ 2 - 4 / 2", Value::Scalar(17.0));
        check("-2^2", Value::Scalar(-4.0));
        check("2^3^2", Value::Scalar(512.0));
        check("(1 + 2) * 3", Value::Scalar(9.0));
        check("1 < 2 && 3 >= 4 || 1", Value::Scalar(1.0));
    }

    #[test]
    fn two_series_meet_where_both_have_a_point_and_a_division_by_zero_leaves_none() {
        check("m1 / m2", series(&[(0, 5.0)]));
        check("m1 + m2", series(&[(0, 12.0), (60, 20.0)]));
        check("m1 / 10", series(&[(0, 1.0), (60, 2.0), (180, 4.0)]));
        check("m1 > 15", series(&[(0, 0.0), (60, 1.0), (180, 1.0)]));
    }

    #[test]
    fn a_function_of_one_metric_is_a_number_and_of_several_a_series() {
        check("AVG(m1)", Value::Scalar(70.0 / 3.0));
        check("sum([m1, m2])", series(&[(0, 12.0), (60, 20.0), (120, 5.0), (180, 40.0)]));
        check("MAX(METRICS())", series(&[(0, 10.0), (60, 20.0), (120, 5.0), (180, 40.0)]));
        check("METRIC_COUNT(METRICS(\"2\"))", Value::Scalar(1.0));
        check("m1 / PERIOD(m1)", series(&[(0, 10.0 / 60.0), (60, 20.0 / 60.0), (180, 40.0 / 60.0)]));
        check("RATE(m1)", series(&[(60, 10.0 / 60.0), (180, 20.0 / 120.0)]));
    }

    #[test]
    fn fill_and_if() {
        check("FILL(m1, 0)", series(&[(0, 10.0), (60, 20.0), (120, 0.0), (180, 40.0)]));
        check("FILL(m1, LINEAR)", series(&[(0, 10.0), (60, 20.0), (120, 30.0), (180, 40.0)]));
        check("FILL(m2, REPEAT)", series(&[(0, 2.0), (60, 0.0), (120, 5.0), (180, 5.0)]));
        check("IF(m1 > 15, m1)", series(&[(60, 20.0), (180, 40.0)]));
        check("IF(m1 > 15, 1, 0)", series(&[(0, 0.0), (60, 1.0), (180, 1.0)]));
        check("IF(1, m1, m2)", series(&[(0, 10.0), (60, 20.0), (180, 40.0)]));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for (text, name) in [
            ("SEARCH(' {AWS/ECS} ', 'Average', 60)", "SEARCH"),
            ("ANOMALY_DETECTION_BAND(m1, 2)", "ANOMALY_DETECTION_BAND"),
            ("SLICE(m1)", "SLICE"),
        ] {
            assert_eq!(parse(text), Err(ExpressionError::Function(name.to_owned())));
        }
        for text in ["", "m1 +", "M1", "m1 m2", "(m1", "[m1", "m1 % 2", "1..2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z0-9A-Z+*/^()\\[\\], <>=&|.'-]{0,60}") {
            let _ = parse(&text);
        }
    }
}
