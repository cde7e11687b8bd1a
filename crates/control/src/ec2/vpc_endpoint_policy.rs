//! Endpoint policies: who may do what through a VPC endpoint. `iam` decides by them.

use wire::ApiError;

use crate::iam::policy::{Kind, Policy};

/// The policy of an endpoint that was given none: everything is allowed.
pub(super) const FULL_ACCESS: &str =
    r#"{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}"#;

/// The longest policy, in characters. Source: "Control access to VPC endpoints using endpoint policies".
const LONGEST: usize = 20_480;

/// The policy to keep for a document; None for none.
///
/// # Errors
/// InvalidPolicyDocument for what is no policy, or holds what would not be honoured, by its name.
pub(super) fn check(document: Option<&str>) -> Result<Option<String>, ApiError> {
    let Some(text) = document.filter(|text| !text.is_empty()) else { return Ok(None) };
    let invalid = |why: String| {
        ApiError::new("InvalidPolicyDocument", format!("The Policy Document is not valid. {why}"))
    };
    if text.chars().count() > LONGEST {
        return Err(invalid(format!("It is longer than {LONGEST} characters.")));
    }
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        return Err(invalid(format!("Syntax error at position ({},{})", error.line(), error.column())));
    }
    Policy::parse(text, Kind::Endpoint).map_err(|malformed| invalid(malformed.to_string()))?;
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_kept_as_it_was_given() {
        for text in [
            FULL_ACCESS,
            r#"{"Version":"2008-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["*"],"Resource":["*"]}}"#,
            r#"{ "Version": "2012-10-17", "Statement": [
                {"Sid":"only us", "Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceVpc":"vpc-1"}}},
                {"Effect":"Allow","Principal":{"AWS":["000000000001","arn:aws:iam::000000000001:role/app"]},"Action":"ecr:*","Resource":"*"},
                {"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*"}]}"#,
        ] {
            assert_eq!(check(Some(text)).unwrap().as_deref(), Some(text));
        }
        assert_eq!(check(None).unwrap(), None);
        assert_eq!(check(Some("")).unwrap(), None);
    }

    #[test]
    fn what_would_not_be_honoured_is_refused_by_name() {
        let statement = |body: &str| format!("{{\"Statement\":{{\"Effect\":\"Allow\",{body}}}}}");
        let on_all = r#""Action":"*","Resource":"*""#;
        let conditional = |condition: &str| {
            statement(&format!(
                "\"Principal\":\"*\",{on_all},\"Condition\":{{\"StringEquals\":{{{condition}}}}}"
            ))
        };
        for (text, words) in [
            ("{".to_owned(), "Syntax error at position (1,1)"),
            ("[]".to_owned(), "Syntax errors in policy."),
            (statement(on_all), "Missing required field Principal"),
            (statement(r#""Principal":"*","Action":"*""#), "must contain resources"),
            (statement(r#""Principal":"*","Resource":"*""#), "must contain actions"),
            (statement(r#""NotPrincipal":"*","Action":"*","Resource":"*""#), "NotPrincipal is not supported"),
            (
                statement(r#""Principal":"*","Action":"*","Resource":"bucket""#),
                "Resource bucket must be in ARN format",
            ),
            (
                conditional(r#""aws:VpcSourceIp":"10.0.0.1""#),
                "condition key aws:vpcsourceip is not supported",
            ),
            (
                conditional(r#""s3:ResourceAccount":"000000000001""#),
                "condition key s3:resourceaccount is not",
            ),
            (" ".repeat(LONGEST + 1), "longer than 20480 characters"),
        ] {
            let error = check(Some(&text)).unwrap_err();
            assert_eq!(error.code, "InvalidPolicyDocument", "{text}");
            assert!(error.message.contains(words), "{text}: {}", error.message);
        }
    }
}
