//! JSON messages: `{ $.user.id = 1 && ($.actions[*] = "GET" || $.error IS NULL) }`.

use std::collections::BTreeMap;

use serde_json::Value as Document;

use super::condition::{Condition, Value};
use super::scan::Scan;
use super::{PatternError, invalid};

/// How deep parentheses may be.
const DEPTH: usize = 32;
/// How many wildcards the selectors of a pattern may have.
const WILDCARDS: usize = 3;

#[derive(Debug, Clone)]
pub(super) struct Json(Expression);

#[derive(Debug, Clone)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    One(Selector, Test),
}

#[derive(Debug, Clone)]
enum Test {
    Compare(Condition),
    Null,
    True,
    False,
    NotExists,
}

/// A way into a document.
#[derive(Debug, Clone)]
struct Selector {
    /// As it was written.
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
    /// Any element, or any member.
    Any,
}

impl Json {
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let mut scan = Scan::new(text);
        scan.expect("{")?;
        let json = Self(any(&mut scan, 0)?);
        scan.expect("}")?;
        scan.space();
        if !scan.is_done() {
            return Err(scan.unexpected("the end"));
        }
        let mut wildcards = 0;
        json.0.each(&mut |selector, _| wildcards += selector.wildcards());
        if wildcards > WILDCARDS {
            return Err(invalid(format!("there may be at most {WILDCARDS} wildcards in selectors")));
        }
        Ok(json)
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let mut all = Vec::new();
        self.0.each(&mut |_, test| {
            if let Test::Compare(condition) = test {
                all.push(condition);
            }
        });
        all.into_iter()
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        document(message).is_some_and(|document| self.0.holds(&document))
    }

    pub(super) fn extract(&self, message: &str) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        if let Some(document) = document(message) {
            self.0.each(&mut |selector, _| {
                if let Some(value) = selector.find(&document).into_iter().find_map(plain) {
                    all.insert(selector.text.clone(), value);
                }
            });
        }
        all
    }
}

/// What a selector leads to in a JSON message.
pub(super) fn select(message: &str, selector: &str) -> Option<String> {
    let selector = Selector::parse(&mut Scan::new(selector)).ok()?;
    selector.find(&document(message)?).into_iter().find_map(plain)
}

pub(super) fn is_selector(text: &str) -> bool {
    let mut scan = Scan::new(text);
    Selector::parse(&mut scan).is_ok() && scan.is_done()
}

/// Only an object is a JSON event.
fn document(message: &str) -> Option<Document> {
    let message = message.trim_start();
    message.starts_with('{').then(|| serde_json::from_str(message).ok()).flatten()
}

fn plain(value: &Document) -> Option<String> {
    match value {
        Document::String(text) => Some(text.clone()),
        Document::Number(_) | Document::Bool(_) => Some(value.to_string()),
        Document::Null | Document::Array(_) | Document::Object(_) => None,
    }
}

impl Expression {
    fn holds(&self, document: &Document) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(document)),
            Self::Any(any) => any.iter().any(|one| one.holds(document)),
            Self::One(selector, test) => {
                let found = selector.find(document);
                match test {
                    Test::NotExists => found.is_empty(),
                    Test::Null => found.iter().any(|value| value.is_null()),
                    Test::True => found.contains(&&Document::Bool(true)),
                    Test::False => found.contains(&&Document::Bool(false)),
                    Test::Compare(condition) => found.into_iter().any(|value| match value {
                        Document::String(text) => condition.holds(Value::Text(text)),
                        Document::Number(number) => number
                            .as_f64()
                            .is_some_and(|of| condition.holds(Value::Number(of, &number.to_string()))),
                        Document::Bool(value) => condition.holds(Value::Text(&value.to_string())),
                        // "If a property selector points to an array or object, the filter pattern won't match."
                        Document::Null | Document::Array(_) | Document::Object(_) => false,
                    }),
                }
            }
        }
    }

    fn each<'a>(&'a self, see: &mut impl FnMut(&'a Selector, &'a Test)) {
        match self {
            Self::All(list) | Self::Any(list) => list.iter().for_each(|one| one.each(see)),
            Self::One(selector, test) => see(selector, test),
        }
    }
}

fn any(scan: &mut Scan<'_>, depth: usize) -> Result<Expression, PatternError> {
    if depth > DEPTH {
        return Err(invalid("too many parentheses"));
    }
    let mut list = vec![all(scan, depth)?];
    loop {
        scan.space();
        if !scan.take("||") {
            break;
        }
        list.push(all(scan, depth)?);
    }
    Ok(Expression::Any(list))
}

fn all(scan: &mut Scan<'_>, depth: usize) -> Result<Expression, PatternError> {
    let mut list = vec![one(scan, depth)?];
    loop {
        scan.space();
        if !scan.take("&&") {
            break;
        }
        list.push(one(scan, depth)?);
    }
    Ok(Expression::All(list))
}

fn one(scan: &mut Scan<'_>, depth: usize) -> Result<Expression, PatternError> {
    scan.space();
    if scan.take("(") {
        let inner = any(scan, depth + 1)?;
        scan.expect(")")?;
        return Ok(inner);
    }
    let selector = Selector::parse(scan)?;
    scan.space();
    let test = if scan.take("IS") {
        match keyword(scan) {
            "NULL" => Test::Null,
            "TRUE" => Test::True,
            "FALSE" => Test::False,
            _ => return Err(invalid("IS is followed by NULL, TRUE or FALSE")),
        }
    } else if scan.take("NOT") {
        match keyword(scan) {
            "EXISTS" => Test::NotExists,
            _ => return Err(invalid("NOT is followed by EXISTS")),
        }
    } else {
        Test::Compare(Condition::parse(scan, "&|)}")?)
    };
    Ok(Expression::One(selector, test))
}

fn keyword<'a>(scan: &mut Scan<'a>) -> &'a str {
    scan.space();
    scan.while_(|c| c.is_ascii_alphabetic())
}

impl Selector {
    /// `$.name`, then `.name`, `.*`, `[0]`, `[*]`, `['name']`.
    fn parse(scan: &mut Scan<'_>) -> Result<Self, PatternError> {
        let begin = scan.rest();
        if !scan.take("$") || !matches!(scan.peek(), Some('.' | '[')) {
            return Err(scan.unexpected("a selector like $.name"));
        }
        let mut steps = Vec::new();
        loop {
            let dot = scan.take(".");
            if scan.take("[") {
                if scan.take("*") {
                    steps.push(Step::Any);
                } else if let Some(mark) = scan.peek().filter(|mark| matches!(mark, '\'' | '"')) {
                    scan.take(&mark.to_string());
                    steps.push(Step::Name(scan.while_(|c| c != mark).to_owned()));
                    scan.expect(&mark.to_string())?;
                } else {
                    let index = scan.while_(|c| c.is_ascii_digit()).parse();
                    steps.push(Step::Index(index.map_err(|_| scan.unexpected("an index"))?));
                }
                scan.expect("]")?;
            } else if dot && scan.take("*") {
                steps.push(Step::Any);
            } else if dot {
                let name = scan.while_(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '@' | '$'));
                if name.is_empty() {
                    return Err(scan.unexpected("a name"));
                }
                steps.push(Step::Name(name.to_owned()));
            } else {
                break;
            }
        }
        let text = begin[..begin.len() - scan.rest().len()].to_owned();
        let selector = Self { text, steps };
        if selector.wildcards() > 1 {
            return Err(invalid(format!("{} has more than one wildcard", selector.text)));
        }
        Ok(selector)
    }

    fn wildcards(&self) -> usize {
        self.steps.iter().filter(|step| **step == Step::Any).count()
    }

    fn find<'d>(&self, document: &'d Document) -> Vec<&'d Document> {
        let mut found = vec![document];
        for step in &self.steps {
            let next = |value: &'d Document| -> Vec<&'d Document> {
                match (step, value) {
                    (Step::Name(name), Document::Object(members)) => members.get(name).into_iter().collect(),
                    (Step::Index(index), Document::Array(items)) => items.get(*index).into_iter().collect(),
                    (Step::Any, Document::Array(items)) => items.iter().collect(),
                    (Step::Any, Document::Object(members)) => members.values().collect(),
                    _ => Vec::new(),
                }
            };
            found = found.into_iter().flat_map(next).collect();
        }
        found
    }
}
