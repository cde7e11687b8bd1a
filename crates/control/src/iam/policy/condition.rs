//! The element `Condition`: operators, and what they say of a request's keys.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime};

use super::document::{Kind, Malformed};
use super::evaluate::Keys;
use super::pattern::{self, Piece};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        match self {
            Order::Equal => a == b,
            Order::Less => a < b,
            Order::LessOrEqual => a <= b,
            Order::Greater => a > b,
            Order::GreaterOrEqual => a >= b,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Text,
    TextIgnoringCase,
    TextLike,
    Number(Order),
    Date(Order),
    Bool,
    Ip,
    Arn,
    Null,
}

/// How the values of a key that has several are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    /// No set operator: a key has one value; of several, one that matches does.
    One,
    ForAnyValue,
    ForAllValues,
}

/// One operator on one key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    quantifier: Quantifier,
    test: Test,
    negated: bool,
    if_exists: bool,
    key: String,
    values: Vec<String>,
}

/// Keys that Landfall sets on requests. Others with these prefixes would be set by AWS and not by Landfall.
const KEYS: &[&str] = &[
    "aws:currenttime",
    "aws:epochtime",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principaltype",
    "aws:requestedregion",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "sts:externalid",
    "sts:rolesessionname",
];
/// The prefixes of the services that Landfall answers for. Of another service no request comes, whatever its keys say.
const OURS: &[&str] =
    &["aws", "ec2", "ecr", "ecs", "elasticloadbalancing", "iam", "logs", "secretsmanager", "ssm", "sts"];

fn operator(name: &str) -> Option<(Quantifier, Test, bool, bool)> {
    let (quantifier, name) = match name.split_once(':') {
        Some(("ForAnyValue", name)) => (Quantifier::ForAnyValue, name),
        Some(("ForAllValues", name)) => (Quantifier::ForAllValues, name),
        Some(_) => return None,
        None => (Quantifier::One, name),
    };
    let (name, if_exists) = match name.strip_suffix("IfExists") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let (test, negated) = match name {
        "StringEquals" => (Test::Text, false),
        "StringNotEquals" => (Test::Text, true),
        "StringEqualsIgnoreCase" => (Test::TextIgnoringCase, false),
        "StringNotEqualsIgnoreCase" => (Test::TextIgnoringCase, true),
        "StringLike" => (Test::TextLike, false),
        "StringNotLike" => (Test::TextLike, true),
        "NumericEquals" => (Test::Number(Order::Equal), false),
        "NumericNotEquals" => (Test::Number(Order::Equal), true),
        "NumericLessThan" => (Test::Number(Order::Less), false),
        "NumericLessThanEquals" => (Test::Number(Order::LessOrEqual), false),
        "NumericGreaterThan" => (Test::Number(Order::Greater), false),
        "NumericGreaterThanEquals" => (Test::Number(Order::GreaterOrEqual), false),
        "DateEquals" => (Test::Date(Order::Equal), false),
        "DateNotEquals" => (Test::Date(Order::Equal), true),
        "DateLessThan" => (Test::Date(Order::Less), false),
        "DateLessThanEquals" => (Test::Date(Order::LessOrEqual), false),
        "DateGreaterThan" => (Test::Date(Order::Greater), false),
        "DateGreaterThanEquals" => (Test::Date(Order::GreaterOrEqual), false),
        "Bool" => (Test::Bool, false),
        "IpAddress" => (Test::Ip, false),
        "NotIpAddress" => (Test::Ip, true),
        "ArnEquals" | "ArnLike" => (Test::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Test::Arn, true),
        "Null" if !if_exists && quantifier == Quantifier::One => (Test::Null, false),
        _ => return None,
    };
    Some((quantifier, test, negated, if_exists))
}

fn date(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    if let Ok(instant) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(instant.unix_timestamp());
    }
    let day = Date::parse(text, time::macros::format_description!("[year]-[month]-[day]")).ok()?;
    Some(day.midnight().assume_utc().unix_timestamp())
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

impl Test {
    /// Whether a value of the document has the operator's form.
    fn takes(self, value: &str) -> bool {
        if value.contains("${")
            && matches!(self, Test::Text | Test::TextLike | Test::TextIgnoringCase | Test::Arn)
        {
            return true;
        }
        match self {
            Test::Text | Test::TextLike | Test::TextIgnoringCase => true,
            Test::Number(_) => value.parse::<f64>().is_ok_and(f64::is_finite),
            Test::Date(_) => date(value).is_some(),
            Test::Bool | Test::Null => {
                value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
            }
            Test::Ip => network(value).is_some(),
            Test::Arn => value == "*" || value.starts_with("arn:"),
        }
    }

    /// Whether a request's value passes the test against one of the document's.
    fn passes(self, wanted: &str, found: &str, keys: &Keys, variables: bool) -> bool {
        let fill =
            |text: &str| if variables { pattern::filled(text, keys) } else { Some(pattern::plain(text)) };
        // Without wildcards: in these operators `*` stands for itself.
        let literal = |pieces: Vec<Piece>| -> Vec<Piece> {
            let letter = |piece| match piece {
                Piece::Any => Piece::Char('*'),
                Piece::One => Piece::Char('?'),
                piece => piece,
            };
            pieces.into_iter().map(letter).collect()
        };
        match self {
            Test::Text => fill(wanted).is_some_and(|p| pattern::matches(&literal(p), found, pattern::same)),
            Test::TextIgnoringCase => {
                fill(wanted).is_some_and(|p| pattern::matches(&literal(p), found, pattern::same_letter))
            }
            Test::TextLike => fill(wanted).is_some_and(|p| pattern::matches(&p, found, pattern::same)),
            Test::Arn => fill(wanted).is_some_and(|p| pattern::arn_matches(&p, found)),
            Test::Number(order) => match (found.parse::<f64>(), wanted.parse::<f64>()) {
                (Ok(found), Ok(wanted)) => order.holds(&found, &wanted),
                _ => false,
            },
            Test::Date(order) => match (date(found), date(wanted)) {
                (Some(found), Some(wanted)) => order.holds(&found, &wanted),
                _ => false,
            },
            Test::Bool | Test::Null => wanted.eq_ignore_ascii_case(found),
            Test::Ip => match (network(wanted), found.parse::<IpAddr>()) {
                (Some(network), Ok(address)) => network.contains(&address),
                _ => false,
            },
        }
    }
}

impl Condition {
    /// Reads the element `Condition`.
    pub(super) fn parse(element: &Value, kind: Kind) -> Result<Vec<Condition>, Malformed> {
        let Some(operators) = element.as_object() else { return Err(Malformed::syntax()) };
        let mut conditions = Vec::new();
        for (name, keys) in operators {
            let Some((quantifier, test, negated, if_exists)) = operator(name) else {
                return Err(Malformed(format!(
                    "The condition operator {name} is not valid or not supported by Landfall."
                )));
            };
            let Some(keys) = keys.as_object() else { return Err(Malformed::syntax()) };
            for (key, values) in keys {
                check_key(key, kind)?;
                let values = match values {
                    Value::Array(values) => values.iter().map(text).collect(),
                    value => text(value).map(|value| vec![value]),
                };
                let values: Vec<String> = values.ok_or_else(Malformed::syntax)?;
                if let Some(value) = values.iter().find(|value| !test.takes(value)) {
                    return Err(Malformed(format!(
                        "The value {value} of the condition key {key} is not valid for the operator {name}."
                    )));
                }
                let key = key.to_ascii_lowercase();
                conditions.push(Condition { quantifier, test, negated, if_exists, key, values });
            }
        }
        Ok(conditions)
    }

    /// Whether a request meets the condition.
    pub(super) fn holds(&self, keys: &Keys, variables: bool) -> bool {
        let found = keys.get(&self.key);
        if self.test == Test::Null {
            let absent = if found.is_empty() { "true" } else { "false" };
            return self.values.iter().any(|value| value.eq_ignore_ascii_case(absent));
        }
        let passes = |found: &String| {
            self.negated != self.values.iter().any(|wanted| self.test.passes(wanted, found, keys, variables))
        };
        match self.quantifier {
            Quantifier::ForAllValues => found.iter().all(passes),
            Quantifier::ForAnyValue if found.is_empty() => self.if_exists,
            // An absent key is different from every value.
            Quantifier::One if found.is_empty() => self.if_exists || self.negated,
            Quantifier::One | Quantifier::ForAnyValue => found.iter().any(passes),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn check_key(key: &str, kind: Kind) -> Result<(), Malformed> {
    let Some((vendor, _)) = key.split_once(':') else {
        return Err(Malformed(
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.".to_owned(),
        ));
    };
    let (vendor, key) = (vendor.to_ascii_lowercase(), key.to_ascii_lowercase());
    // Layers are read through endpoints, so that S3's requests are Landfall's there and nowhere else.
    let ours = OURS.contains(&vendor.as_str()) || kind == Kind::Endpoint && vendor == "s3";
    if ours && !KEYS.contains(&key.as_str()) {
        return Err(Malformed(format!(
            "The condition key {key} is not supported by Landfall: it would be ignored. Supported are {}.",
            KEYS.join(", ")
        )));
    }
    Ok(())
}
