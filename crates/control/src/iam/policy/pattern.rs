//! Texts with `*`, `?` and policy variables.

use super::evaluate::Keys;

/// A piece of a pattern whose variables are filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Char(char),
    /// `?`
    One,
    /// `*`
    Any,
}

/// The pieces of a text without variables.
pub(super) fn plain(text: &str) -> Vec<Piece> {
    text.chars()
        .map(|c| match c {
            '*' => Piece::Any,
            '?' => Piece::One,
            c => Piece::Char(c),
        })
        .collect()
}

/// The pieces of a text, its variables (`${aws:PrincipalAccount}`, `${aws:username, 'nobody'}`, `${*}`) filled in. A
/// wildcard in a variable's value stands for itself. None when a variable without a default has no value: then nothing
/// matches.
pub(super) fn filled(text: &str, keys: &Keys) -> Option<Vec<Piece>> {
    let (mut pieces, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("${") {
        let Some((variable, behind)) = after.split_once('}') else { break };
        pieces.extend(plain(before));
        let (name, default) = match variable.split_once(',') {
            Some((name, default)) => (name.trim(), Some(default.trim().trim_matches('\''))),
            None => (variable, None),
        };
        let literal = match name {
            "*" | "?" | "$" => name.to_owned(),
            name => match keys.get(name) {
                [value] => value.clone(),
                // A key with several values has no one text.
                [_, ..] => return None,
                [] => default?.to_owned(),
            },
        };
        pieces.extend(literal.chars().map(Piece::Char));
        rest = behind;
    }
    pieces.extend(plain(rest));
    Some(pieces)
}

/// Whether a text matches a pattern, in time linear in their product.
pub(super) fn matches(pattern: &[Piece], text: &str, same: impl Fn(char, char) -> bool) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and up to where it has eaten the text.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some(Piece::Any) => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some(Piece::One) => true,
            Some(Piece::Char(c)) => same(*c, text[t]),
            None => false,
        };
        if step {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, eaten)) = star {
            star = Some((at, eaten + 1));
            (p, t) = (at + 1, eaten + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|piece| *piece == Piece::Any)
}

/// Whether an ARN matches a pattern, segment by segment. A wildcard does not reach over a colon, but for a `*` that
/// ends the pattern ("Resource", IAM JSON policy elements).
pub(super) fn arn_matches(pattern: &[Piece], arn: &str) -> bool {
    let wanted: Vec<&[Piece]> = pattern.splitn(6, |piece| *piece == Piece::Char(':')).collect();
    let mut rest = arn;
    for (index, segment) in wanted.iter().enumerate() {
        if index + 1 == wanted.len() {
            return (wanted.len() == 6 || segment.last() == Some(&Piece::Any))
                && matches(segment, rest, same);
        }
        let Some((first, behind)) = rest.split_once(':') else { return false };
        if !matches(segment, first, same) {
            return false;
        }
        rest = behind;
    }
    false
}

/// As it is.
pub(super) fn same(a: char, b: char) -> bool {
    a == b
}

/// Without regard to case.
pub(super) fn same_letter(a: char, b: char) -> bool {
    a == b || a.to_lowercase().eq(b.to_lowercase())
}
