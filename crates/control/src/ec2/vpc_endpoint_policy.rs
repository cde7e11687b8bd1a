//! Endpoint policies: who may do what through a VPC endpoint.

use serde_json::Value;
use wire::ApiError;

/// The policy of an endpoint that was given none: everything is allowed.
pub(super) const FULL_ACCESS: &str =
    r#"{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}"#;

/// The longest policy, in characters. Source: "Control access to VPC endpoints using endpoint policies".
const LONGEST: usize = 20_480;

/// The policy to keep for a document; None for none.
///
/// # Errors
/// InvalidParameter for what is no policy; a refusal by name for one that would not be honoured.
pub(super) fn check(document: Option<&str>) -> Result<Option<String>, ApiError> {
    let Some(text) = document.filter(|text| !text.is_empty()) else { return Ok(None) };
    let malformed = || ApiError::new("InvalidParameter", "Policy document is malformed.");
    if text.chars().count() > LONGEST {
        return Err(malformed());
    }
    let document: Value = serde_json::from_str(text).map_err(|_| malformed())?;
    if !document.is_object() {
        return Err(malformed());
    }
    if !is_full_access(&document) {
        return Err(ApiError::unsupported(
            "endpoint policies (PolicyDocument) that allow less than everything to everybody",
        ));
    }
    Ok(Some(text.to_owned()))
}

/// Whether a document allows everything to everybody, in one of the ways to say so.
fn is_full_access(document: &Value) -> bool {
    let one = |value: &Value| match value {
        Value::Array(items) if items.len() == 1 => items.first().cloned(),
        other => Some(other.clone()),
    };
    let everything = |value: Option<&Value>| value.and_then(one).is_some_and(|value| value == "*");
    let known = |object: &Value, names: &[&str]| {
        object.as_object().is_some_and(|object| object.keys().all(|name| names.contains(&name.as_str())))
    };
    let Some(statement) = document.get("Statement").and_then(one) else { return false };
    let version = document.get("Version");
    let principal = statement.get("Principal");
    known(document, &["Version", "Id", "Statement"])
        && version.is_none_or(|version| version == "2012-10-17" || version == "2008-10-17")
        && known(&statement, &["Sid", "Effect", "Principal", "Action", "Resource"])
        && statement.get("Effect").is_some_and(|effect| effect == "Allow")
        && everything(statement.get("Action"))
        && everything(statement.get("Resource"))
        && (everything(principal) || everything(principal.and_then(|principal| principal.get("AWS"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_access_is_known_in_all_its_forms_and_nothing_else_is() {
        for text in [
            FULL_ACCESS,
            r#"{"Version":"2008-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["*"],"Resource":["*"]}}"#,
        ] {
            assert_eq!(check(Some(text)).unwrap().as_deref(), Some(text));
        }
        for (text, code) in [
            ("{", "InvalidParameter"),
            ("[]", "InvalidParameter"),
            (
                r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}"#,
                "UnsupportedOperation",
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{}}]}"#,
                "UnsupportedOperation",
            ),
            (r#"{"Statement":[]}"#, "UnsupportedOperation"),
        ] {
            assert_eq!(check(Some(text)).unwrap_err().code, code, "{text}");
        }
    }
}
