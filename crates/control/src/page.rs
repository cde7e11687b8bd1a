//! Pages of a listing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// One page and the token that asks for the next one.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The page's items.
    pub items: Vec<T>,
    /// None on the last page.
    pub next_token: Option<String>,
}

/// A token that this listing never gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidToken;

/// Cuts a page out of `items`, which are in the order of `key`. A token names the last item given, so that a page
/// goes on in the right place when rows came or went meanwhile. Without `most`, all items are one page.
///
/// # Errors
/// When the token is none of ours.
pub fn page<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    most: Option<usize>,
    token: Option<&str>,
) -> Result<Page<T>, InvalidToken> {
    let after = match token.filter(|token| !token.is_empty()) {
        None => None,
        Some(token) => {
            let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| InvalidToken)?;
            let text = String::from_utf8(bytes).map_err(|_| InvalidToken)?;
            Some(text.strip_prefix("after:").ok_or(InvalidToken)?.to_owned())
        }
    };
    let mut rest = items.into_iter().filter(|item| after.as_ref().is_none_or(|after| key(item) > *after));
    let Some(most) = most else {
        return Ok(Page { items: rest.collect(), next_token: None });
    };
    let items: Vec<T> = rest.by_ref().take(most.max(1)).collect();
    let next_token = match (rest.next(), items.last()) {
        (Some(_), Some(last)) => Some(URL_SAFE_NO_PAD.encode(format!("after:{}", key(last)))),
        _ => None,
    };
    Ok(Page { items, next_token })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_foreign_token_is_refused() {
        assert_eq!(page(["a"], |item| (*item).to_owned(), None, Some("zzz")), Err(InvalidToken));
    }

    proptest! {
        #[test]
        fn the_pages_together_are_the_whole(items in prop::collection::btree_set("[a-z]{1,4}", 0..30), most in 1_usize..7) {
            let (mut all, mut token) = (Vec::new(), None);
            loop {
                let page = page(items.iter().cloned(), String::clone, Some(most), token.as_deref()).unwrap();
                prop_assert!(page.items.len() <= most);
                all.extend(page.items);
                token = page.next_token;
                if token.is_none() { break; }
            }
            prop_assert_eq!(all, items.into_iter().collect::<Vec<_>>());
        }
    }
}
