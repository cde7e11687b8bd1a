//! `GetRandomPassword`.

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use super::invalid_parameter;
use crate::context::Context;

const LOWERCASE: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const UPPERCASE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const NUMBERS: &[u8] = b"0123456789";
const PUNCTUATION: &[u8] = b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// The length of a password for which the request has none.
const LENGTH: i64 = 32;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct GetRandomPassword {
    password_length: Option<i64>,
    exclude_characters: Option<String>,
    #[serde(default)]
    exclude_numbers: Option<bool>,
    #[serde(default)]
    exclude_punctuation: Option<bool>,
    #[serde(default)]
    exclude_uppercase: Option<bool>,
    #[serde(default)]
    exclude_lowercase: Option<bool>,
    #[serde(default)]
    include_space: Option<bool>,
    require_each_included_type: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RandomPassword {
    random_password: String,
}

/// A number below `bound`, each as likely as the others. `bound` is from 1 to 2^32.
///
/// # Panics
/// When the operating system has no random numbers to give, as nothing may be minted then.
fn below(bound: usize) -> usize {
    let bound = bound as u64;
    // What lies beyond the last whole multiple would make small numbers likelier.
    let limit = (1_u64 << 32) / bound * bound;
    loop {
        let mut bytes = [0; 4];
        if SystemRandom::new().fill(&mut bytes).is_err() {
            panic!("the operating system gives no random numbers");
        }
        let number = u64::from(u32::from_le_bytes(bytes));
        if number < limit {
            return usize::try_from(number % bound).unwrap_or_default();
        }
    }
}

/// `length` characters out of `letters`, which are ASCII and not none.
pub(super) fn choose(letters: &[u8], length: usize) -> String {
    (0..length).map(|_| char::from(letters[below(letters.len())])).collect()
}

pub(super) fn get_random_password(
    _: &Snapshot,
    _: &Context,
    request: GetRandomPassword,
) -> Result<RandomPassword, ApiError> {
    let length = request.password_length.unwrap_or(LENGTH);
    let Some(length) = usize::try_from(length).ok().filter(|length| (1..=4096).contains(length)) else {
        return Err(invalid_parameter("The password length must be from 1 to 4096 characters."));
    };
    let excluded = request.exclude_characters.unwrap_or_default();
    let kinds = [
        (LOWERCASE, !request.exclude_lowercase.unwrap_or(false)),
        (UPPERCASE, !request.exclude_uppercase.unwrap_or(false)),
        (NUMBERS, !request.exclude_numbers.unwrap_or(false)),
        (PUNCTUATION, !request.exclude_punctuation.unwrap_or(false)),
        (b" ".as_slice(), request.include_space.unwrap_or(false)),
    ];
    let kept = |letters: &[u8]| -> Vec<u8> {
        letters.iter().copied().filter(|letter| !excluded.contains(char::from(*letter))).collect()
    };
    let kinds: Vec<Vec<u8>> = kinds
        .into_iter()
        .filter(|(_, included)| *included)
        .map(|(letters, _)| kept(letters))
        .filter(|letters| !letters.is_empty())
        .collect();
    if kinds.is_empty() {
        return Err(invalid_parameter("The password cannot be generated: all characters are excluded."));
    }
    let each = request.require_each_included_type.unwrap_or(true);
    if each && kinds.len() > length {
        return Err(invalid_parameter(
            "The password length must be at least the number of included character types.",
        ));
    }
    let mut letters: Vec<u8> = Vec::with_capacity(length);
    if each {
        letters.extend(kinds.iter().map(|kind| kind[below(kind.len())]));
    }
    let all = kinds.concat();
    while letters.len() < length {
        letters.push(all[below(all.len())]);
    }
    // So that the kinds' order does not show (Fisher and Yates).
    for last in (1..letters.len()).rev() {
        letters.swap(last, below(last + 1));
    }
    Ok(RandomPassword { random_password: letters.into_iter().map(char::from).collect() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::below;

    proptest! {
        #[test]
        fn a_number_is_below_its_bound(bound in 1_usize..100_000) {
            prop_assert!(below(bound) < bound);
        }
    }
}
