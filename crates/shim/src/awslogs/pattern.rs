//! `awslogs-multiline-pattern`: a regular expression as Docker's driver reads it, which is as Go does. Pure.

use regex::bytes::Regex;

/// Compiles a pattern in Go's notation ("syntax" of Go's package `regexp`). Neither knows look-around or back references.
///
/// # Errors
/// In the words of Docker's driver for a pattern that is none.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(&from_go(pattern)).map_err(|error| {
        let text = error.to_string();
        // The parser draws a picture of several lines, of which the last says why.
        let why = text.lines().last().unwrap_or_default();
        let why = why.strip_prefix("error: ").unwrap_or(why);
        format!("awslogs could not parse multiline pattern key {pattern:?}: error parsing regexp: {why}")
    })
}

/// What Go reads otherwise than the crate: a brace that repeats nothing stands for itself, as do `\<` and `\>`, what is
/// between `\Q` and `\E`, and in a class `[`, `&` and `~`.
fn from_go(pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    // Where the class's first member stands, for a `]` there ends nothing.
    let mut class: Option<usize> = None;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let mut taken = c.len_utf8();
        let at = pattern.len() - rest.len();
        match (c, class) {
            ('\\', None) if after.starts_with('Q') => {
                let quoted = &after[1..];
                let end = quoted.find("\\E");
                out.push_str(&regex::escape(&quoted[..end.unwrap_or(quoted.len())]));
                taken = end.map_or(rest.len(), |end| 2 + end + 2);
            }
            ('\\', _) => {
                let escaped = after.chars().next();
                taken += escaped.map_or(0, char::len_utf8);
                match escaped {
                    Some('<' | '>') => out.push_str(&after[..1]),
                    _ => out.push_str(&rest[..taken]),
                }
            }
            ('{', None) if !repeats(after) => out.push_str("\\{"),
            ('[', None) => {
                if after.starts_with('^') {
                    taken += 1;
                }
                out.push_str(&rest[..taken]);
                class = Some(at + taken);
            }
            ('[', Some(_)) if after.starts_with(':') && after.contains(":]") => {
                taken += after.find(":]").unwrap_or_default() + 2;
                out.push_str(&rest[..taken]);
            }
            ('[' | '&' | '~', Some(_)) => out.extend(['\\', c]),
            (']', Some(first)) => {
                out.push(']');
                if at != first {
                    class = None;
                }
            }
            _ => out.push(c),
        }
        rest = &rest[taken..];
    }
    out
}

/// Whether what stands behind a brace is a count of repetitions: `3}`, `3,}` or `3,5}`.
fn repeats(after: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    after.split_once('}').is_some_and(|(count, _)| match count.split_once(',') {
        Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
        None => is_number(count),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_takes_means_the_same() {
        for (pattern, matches, others) in [
            (r#"^{"level""#, r#"{"level":1"#, "level"),
            (r"^\d{4}-\d{2,}", "2026-07", "202-07"),
            (r"^\<[0-9]+\>", "<34>", "34"),
            (r"^\Q[a+b]\E:", "[a+b]:", "aab:"),
            (r"^\Q(", "(", "Q"),
            ("^[[]", "[INFO]", "INFO"),
            ("^[]x]", "]", "y"),
            ("^[^]x]", "y", "]"),
            ("^[[:alpha:][]", "[", "1"),
            ("^[a&&b~~]", "&", "c"),
            ("^(?i)info", "INFO", "warn"),
            ("a{,3}", "a{,3}", "aaa"),
            ("^é", "é", "e"),
        ] {
            let regex = compile(pattern).unwrap();
            assert!(regex.is_match(matches.as_bytes()), "{pattern} as {regex}");
            assert!(!regex.is_match(others.as_bytes()), "{pattern} as {regex}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_in_docker_s_words() {
        for (pattern, want) in [
            (
                "[",
                r#"awslogs could not parse multiline pattern key "[": error parsing regexp: unclosed character class"#,
            ),
            ("^(?=x)", "look-around, including look-ahead and look-behind, is not supported"),
            (r"(a)\1", "backreferences are not supported"),
            ("a{2000}{2000}", "exceeds size limit"),
            ("*", "repetition operator missing expression"),
            ("\\", "incomplete escape sequence"),
        ] {
            let why = compile(pattern).unwrap_err();
            assert!(why.contains(want) && !why.contains('\n'), "{pattern}: {why}");
        }
    }
}
