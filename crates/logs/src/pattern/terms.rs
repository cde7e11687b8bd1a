//! Terms: words and phrases that a message contains, in any order.

use memchr::memmem::Finder;
use regex::Regex;

use super::scan::Scan;
use super::{PatternError, invalid};

/// Terms. Letters count as they are written, and a term is found inside of words too.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms {
    all: Vec<Term>,
    any: Vec<Term>,
    none: Vec<Term>,
}

#[derive(Debug, Clone)]
enum Term {
    Text(Box<Finder<'static>>),
    Regex(Regex),
}

impl Term {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Term::Text(finder) => finder.find(message.as_bytes()).is_some(),
            Term::Regex(regex) => regex.is_match(message),
        }
    }
}

impl Terms {
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let (mut terms, mut scan) = (Self::default(), Scan::new(text));
        loop {
            scan.space();
            if scan.is_done() {
                break;
            }
            let list = match scan.peek() {
                Some('?') => &mut terms.any,
                Some('-') => &mut terms.none,
                _ => &mut terms.all,
            };
            let _ = scan.take("?") || scan.take("-");
            if scan.take("%") {
                list.push(Term::Regex(scan.regex()?));
                continue;
            }
            let word = if scan.take("\"") {
                scan.quoted()?
            } else {
                let word = scan.while_(|c| !c.is_whitespace() && c != '"');
                if word.is_empty() {
                    return Err(invalid("a term is missing behind ? or -"));
                }
                if !word.chars().all(|c| c.is_alphanumeric() || c == '_') {
                    return Err(PatternError(format!("Invalid character(s) in term '{word}'")));
                }
                word.to_owned()
            };
            // `" "` is documented to match everything.
            if !word.trim().is_empty() {
                list.push(Term::Text(Box::new(Finder::new(&word).into_owned())));
            }
        }
        // "If you combine "?" with other filter patterns, all question mark terms will be ignored."
        if !terms.all.is_empty() || !terms.none.is_empty() {
            terms.any.clear();
        }
        Ok(terms)
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        self.all.iter().all(|term| term.is_in(message))
            && !self.none.iter().any(|term| term.is_in(message))
            && (self.any.is_empty() || self.any.iter().any(|term| term.is_in(message)))
    }

    pub(super) fn regexes(&self) -> usize {
        let all = [&self.all, &self.any, &self.none].into_iter().flatten();
        all.filter(|term| matches!(term, Term::Regex(_))).count()
    }
}
