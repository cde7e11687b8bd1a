//! What a JSON value or a field is compared with.

use regex::Regex;

use super::scan::Scan;
use super::{PatternError, invalid};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A comparison with a fixed value.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    operator: Operator,
    operand: Operand,
}

#[derive(Debug, Clone)]
enum Operand {
    /// As it was written, for values that are text.
    Number(f64, String),
    /// The parts between asterisks.
    Text(Vec<String>),
    Regex(Regex),
}

/// A value from a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(f64, &'a str),
}

impl Operator {
    pub(super) fn parse(scan: &mut Scan<'_>) -> Result<Self, PatternError> {
        scan.space();
        let all = [
            ("!=", Self::NotEqual),
            ("<=", Self::LessOrEqual),
            (">=", Self::GreaterOrEqual),
            ("=", Self::Equal),
            ("<", Self::Less),
            (">", Self::Greater),
        ];
        let found = all.into_iter().find(|(text, _)| scan.take(text));
        found.map(|(_, operator)| operator).ok_or_else(|| scan.unexpected("an operator"))
    }

    fn holds(self, a: f64, b: f64) -> bool {
        match self {
            #[allow(clippy::float_cmp, reason = "a number is written the same way in both")]
            Self::Equal => a == b,
            #[allow(clippy::float_cmp, reason = "a number is written the same way in both")]
            Self::NotEqual => a != b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
        }
    }
}

impl Condition {
    /// Reads an operator and what follows it, up to one of `ends`.
    pub(super) fn parse(scan: &mut Scan<'_>, ends: &str) -> Result<Self, PatternError> {
        let operator = Operator::parse(scan)?;
        scan.space();
        let operand = if scan.take("%") {
            Operand::Regex(scan.regex()?)
        } else if scan.take("\"") {
            Operand::Text(scan.quoted()?.split('*').map(str::to_owned).collect())
        } else {
            let word = scan.while_(|c| !c.is_whitespace() && !ends.contains(c) && c != '"');
            if word.is_empty() {
                return Err(scan.unexpected("a value"));
            }
            match number(word) {
                Some(value) => Operand::Number(value, word.to_owned()),
                None => Operand::Text(word.split('*').map(str::to_owned).collect()),
            }
        };
        let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if ordered && !matches!(operand, Operand::Number(..)) {
            return Err(invalid("<, <=, > and >= compare with a number"));
        }
        Ok(Self { operator, operand })
    }

    pub(super) fn is_regex(&self) -> bool {
        matches!(self.operand, Operand::Regex(_))
    }

    pub(super) fn holds(&self, value: Value<'_>) -> bool {
        let text = match value {
            Value::Text(text) | Value::Number(_, text) => text,
        };
        let equal = match (&self.operand, value) {
            (Operand::Number(want, _), Value::Number(is, _)) => return self.operator.holds(is, *want),
            (Operand::Number(_, written), Value::Text(_)) => text == written,
            (Operand::Text(parts), _) => is_like(text, parts),
            (Operand::Regex(regex), _) => regex.is_match(text),
        };
        match self.operator {
            Operator::Equal => equal,
            Operator::NotEqual => !equal,
            // A text is neither more nor less than a number.
            _ => false,
        }
    }
}

/// A number as patterns and messages write one: with a sign, a fraction, scientific notation.
pub(super) fn number(text: &str) -> Option<f64> {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    (text.chars().all(plain) && text.chars().any(|c| c.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// Whether a text is made of these parts with anything between them.
fn is_like(text: &str, parts: &[String]) -> bool {
    let [first, rest @ ..] = parts else { return text.is_empty() };
    let [middle @ .., last] = rest else { return text == first };
    let Some(mut text) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some(at) = text.find(part.as_str()) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last.as_str())
}
