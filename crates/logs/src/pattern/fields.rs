//! Space-delimited messages: `[ip, user, ..., status = 4*, bytes > 1000]`.

use std::collections::BTreeMap;

use super::condition::{Condition, Value, number};
use super::scan::Scan;
use super::{PatternError, invalid};

/// A pattern's fields. Where a message has more words than there are fields and there is no ellipsis, the last field is
/// all that is left.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    before: Vec<Field>,
    /// The fields behind the ellipsis, if there is one.
    after: Option<Vec<Field>>,
}

#[derive(Debug, Clone)]
struct Field {
    /// Empty: it has none.
    name: String,
    /// Alternatives, of which each condition of one has to hold. Empty: anything will do.
    any: Vec<Vec<Condition>>,
}

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let mut scan = Scan::new(text);
        scan.expect("[")?;
        let (mut before, mut after) = (Vec::new(), None::<Vec<Field>>);
        loop {
            scan.space();
            if scan.take("...") {
                if after.replace(Vec::new()).is_some() {
                    return Err(invalid("there may be one ellipsis"));
                }
            } else {
                let field = Field::parse(&mut scan)?;
                after.as_mut().unwrap_or(&mut before).push(field);
            }
            scan.space();
            if scan.take("]") {
                break;
            }
            scan.expect(",")?;
        }
        scan.space();
        if !scan.is_done() {
            return Err(scan.unexpected("the end"));
        }
        Ok(Self { before, after })
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.all().flat_map(|field| field.any.iter().flatten())
    }

    fn all(&self) -> impl Iterator<Item = &Field> {
        self.before.iter().chain(self.after.iter().flatten())
    }

    pub(super) fn names(&self, selector: &str) -> bool {
        selector.strip_prefix('$').is_some_and(|name| self.all().any(|field| field.name == name))
    }

    /// Each field with its words. None: the message has too few.
    fn pair<'a, 'm>(&'a self, message: &'m str) -> Option<Vec<(&'a Field, &'m str)>> {
        let words = split(message);
        let Some(after) = &self.after else {
            let last = self.before.len().checked_sub(1)?;
            let (begin, _) = *words.get(last)?;
            let mut pairs: Vec<_> = self.before.iter().zip(words.iter().map(|(_, word)| *word)).collect();
            if words.len() > self.before.len() {
                pairs[last].1 = message[begin..].trim_end();
            }
            return Some(pairs);
        };
        let from_end = words.len().checked_sub(after.len())?;
        if from_end < self.before.len() {
            return None;
        }
        let text = |words: &[(usize, &'m str)]| words.iter().map(|(_, word)| *word).collect::<Vec<_>>();
        let (head, tail) = (text(&words), text(&words[from_end..]));
        Some(self.before.iter().zip(head).chain(after.iter().zip(tail)).collect())
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        self.pair(message).is_some_and(|pairs| pairs.iter().all(|(field, word)| field.holds(word)))
    }

    pub(super) fn extract(&self, message: &str) -> BTreeMap<String, String> {
        let pairs = self.pair(message).unwrap_or_default().into_iter().zip(1..);
        let named = pairs.map(|((field, word), at)| match field.name.as_str() {
            "" => (format!("${at}"), word.to_owned()),
            name => (format!("${name}"), word.to_owned()),
        });
        named.collect()
    }
}

impl Field {
    /// `name`, `name = value`, `name = a || name = b`, `name != a && name != b`; also nothing at all.
    fn parse(scan: &mut Scan<'_>) -> Result<Self, PatternError> {
        let grouped = scan.take("(");
        let name = word(scan);
        let (mut any, mut all) = (Vec::new(), Vec::new());
        scan.space();
        while !matches!(scan.peek(), Some(',' | ']' | ')') | None) {
            all.push(Condition::parse(scan, ",]&|)")?);
            scan.space();
            if scan.take("&&") {
                again(scan, &name)?;
            } else if scan.take("||") {
                any.push(std::mem::take(&mut all));
                again(scan, &name)?;
            } else {
                break;
            }
        }
        if !all.is_empty() {
            any.push(all);
        }
        if grouped {
            scan.expect(")")?;
        }
        Ok(Self { name, any })
    }

    fn holds(&self, word: &str) -> bool {
        let value = number(word).map_or(Value::Text(word), |number| Value::Number(number, word));
        self.any.is_empty() || self.any.iter().any(|all| all.iter().all(|condition| condition.holds(value)))
    }
}

fn word(scan: &mut Scan<'_>) -> String {
    scan.space();
    scan.while_(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@')).to_owned()
}

/// The name, once more.
fn again(scan: &mut Scan<'_>, name: &str) -> Result<(), PatternError> {
    let again = word(scan);
    if again == *name { Ok(()) } else { Err(invalid(format!("'{again}' in the conditions of '{name}'"))) }
}

/// The words of a message, with where they begin; what is between brackets or quotation marks is one.
fn split(message: &str) -> Vec<(usize, &str)> {
    let (mut words, mut at) = (Vec::new(), 0);
    while let Some(begin) = message[at..].find(|c: char| !c.is_whitespace()).map(|skip| at + skip) {
        let rest = &message[begin..];
        let closing = match rest.chars().next() {
            Some('[') => rest.find(']'),
            Some('"') => rest[1..].find('"').map(|end| end + 1),
            _ => None,
        };
        let (word, end) = match closing {
            Some(end) => (&rest[1..end], begin + end + 1),
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (&rest[..end], begin + end)
            }
        };
        words.push((begin, word));
        at = end;
    }
    words
}
