//! Reading a pattern's text, and regular expressions as patterns may have them.

use regex::Regex;

use super::{PatternError, invalid};

/// A pattern's text and how far it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes a text that stands here.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Takes a text that must stand here, after spaces.
    pub(super) fn expect(&mut self, text: &str) -> Result<(), PatternError> {
        self.space();
        if self.take(text) { Ok(()) } else { Err(self.unexpected(&format!("'{text}'"))) }
    }

    pub(super) fn unexpected(&self, wanted: &str) -> PatternError {
        match self.peek() {
            Some(_) => invalid(format!("expected {wanted} at '{}'", self.rest)),
            None => invalid(format!("expected {wanted} at the end")),
        }
    }

    /// Takes characters as long as they please.
    pub(super) fn while_(&mut self, please: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !please(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Takes a phrase behind its opening quotation mark, up to the closing one; a backslash takes the next character as
    /// it is.
    pub(super) fn quoted(&mut self) -> Result<String, PatternError> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c => text.push(c),
            }
        }
        Err(invalid("a quotation mark is not closed"))
    }

    /// Takes a regular expression behind its opening `%`, up to the closing one.
    pub(super) fn regex(&mut self) -> Result<Regex, PatternError> {
        let Some((text, rest)) = self.rest.split_once('%') else {
            return Err(invalid("a regular expression must end with %"));
        };
        self.rest = rest;
        regex(text)
    }
}

/// A regular expression of the characters and operators that patterns may have; `(` and `)` are none of them.
fn regex(text: &str) -> Result<Regex, PatternError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":_#=@/;,- ^$?[]{}|\\*+.".contains(c);
    if let Some(odd) = text.chars().find(|c| !allowed(*c)) {
        return Err(invalid(format!("'{odd}' is not supported in a regular expression")));
    }
    if text.is_empty() {
        return Err(invalid("a regular expression is empty"));
    }
    let built = regex::RegexBuilder::new(text).size_limit(1 << 20).build();
    built.map_err(|_| invalid(format!("%{text}% is no regular expression")))
}
