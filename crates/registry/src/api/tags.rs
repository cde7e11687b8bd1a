//! `/v2/<name>/tags/list`

use hyper::header::{CONTENT_TYPE, HeaderValue, LINK};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde_json::json;

use super::{Call, action, header, query};
use crate::body::{BoxBody, full};
use crate::catalog::Catalog;
use crate::error::ApiError;

impl<C: Catalog> Call<C> {
    /// GET: the tags in order, `n` at most and those behind `last`.
    pub(super) async fn list_tags(&self, head: &Parts, name: String) -> Result<Response<BoxBody>, ApiError> {
        let count = query(head, "n").map(|text| {
            text.parse::<usize>().map_err(|_| {
                let message = "the query parameter 'n' must be a number";
                ApiError::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", message)
            })
        });
        let (count, last) = (count.transpose()?, query(head, "last"));
        let listed = self.admitted(action::LIST_IMAGES, name.clone(), |shared, session, name| {
            Ok(shared.catalog.tags(session, name)?)
        });
        let (tags, next) = page(listed.await?, count, last.as_deref());
        let mut response = full(json!({ "name": name, "tags": tags }).to_string(), false);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((count, last)) = next {
            let link = format!("</v2/{name}/tags/list?n={count}&last={last}>; rel=\"next\"");
            response.headers_mut().insert(LINK, header(&link)?);
        }
        Ok(response)
    }
}

/// One page, and with what `n` and `last` the next is asked for.
fn page(
    mut tags: Vec<String>,
    count: Option<usize>,
    last: Option<&str>,
) -> (Vec<String>, Option<(usize, String)>) {
    tags.sort_unstable();
    if let Some(last) = last {
        tags.retain(|tag| tag.as_str() > last);
    }
    let Some(count) = count.filter(|count| *count < tags.len()) else { return (tags, None) };
    tags.truncate(count);
    let next = tags.last().map(|last| (count, last.clone()));
    (tags, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn pages_follow_each_other() {
        let all = tags(&["c", "a", "b"]);
        assert_eq!(page(all.clone(), None, None), (tags(&["a", "b", "c"]), None));
        assert_eq!(page(all.clone(), Some(2), None), (tags(&["a", "b"]), Some((2, "b".into()))));
        assert_eq!(page(all.clone(), Some(2), Some("b")), (tags(&["c"]), None));
        assert_eq!(page(all.clone(), Some(3), None), (tags(&["a", "b", "c"]), None));
        assert_eq!(page(all, Some(0), None), (tags(&[]), None));
    }
}
