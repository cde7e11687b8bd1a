//! The names of parameters, and what a request may put behind one. Source: "PutParameter" and "GetParameter" in the AWS
//! Systems Manager API reference.

use wire::ApiError;

use super::invalid;
use crate::context::Context;
use crate::iam::Resource;

/// The longest name, in characters; with its ARN's beginning it is AWS's 1011.
const LONGEST: usize = 1011;
/// The most levels of a hierarchy.
const LEVELS: usize = 15;

/// Checks a new parameter's name.
pub(super) fn check(name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(super::failed("name", name, "Member must have length greater than or equal to 1"));
    }
    if name.chars().count() > LONGEST {
        return Err(super::failed(
            "name",
            name,
            &format!("Member must have length less than or equal to {LONGEST}"),
        ));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(invalid("Parameter name must be a fully qualified name."));
    }
    let first = name.trim_start_matches('/').to_ascii_lowercase();
    if first.starts_with("aws") {
        return Err(ApiError::new(
            "AccessDeniedException",
            format!("No access to reserved parameter name: {name}."),
        ));
    }
    let fits = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    let parts = name.strip_prefix('/').unwrap_or(name);
    if first.starts_with("ssm") || !parts.split('/').all(fits) {
        return Err(invalid(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of \
             sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the \
             following 3 symbols .-_",
        ));
    }
    if parts.split('/').count() > LEVELS {
        return Err(ApiError::new(
            "HierarchyLevelLimitExceededException",
            format!(
                "A hierarchy can have a maximum of {LEVELS} levels. For more information, see Requirements and \
                 constraints for parameter names in the AWS Systems Manager User Guide."
            ),
        ));
    }
    Ok(())
}

/// What a request asks for: names of the parameter that are possible, and which version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The name; two when an ARN does not tell whether the name begins with a slash. Empty when it is an ARN of another
    /// account, region or service.
    pub(super) names: Vec<String>,
    /// `:3` or `:label`; None for the latest version.
    pub(super) selector: Option<String>,
}

/// Reads what a request gives for a name: the name or the ARN, with a selector behind.
pub(super) fn asked(context: &Context, text: &str) -> Asked {
    let (rest, arn) = match text.strip_prefix("arn:") {
        Some(_) => {
            let resource: Option<(types::Arn, bool)> = text.parse().ok().map(|arn: types::Arn| {
                let ours = arn.service == "ssm"
                    && arn.region == context.region.as_str()
                    && arn.account == context.account.as_str();
                (arn, ours)
            });
            match resource {
                Some((arn, true)) => (arn.resource, true),
                _ => return Asked { names: Vec::new(), selector: None },
            }
        }
        None => (text.to_owned(), false),
    };
    let (name, selector) = match rest.split_once(':') {
        Some((name, selector)) => (name.to_owned(), Some(format!(":{selector}"))),
        None => (rest, None),
    };
    let names = match (arn, name.strip_prefix("parameter/")) {
        (false, _) => vec![name],
        // The slash of a hierarchy is the one behind `parameter`.
        (true, Some(own)) if own.contains('/') => vec![format!("/{own}")],
        (true, Some(own)) => vec![format!("/{own}"), own.to_owned()],
        (true, None) => Vec::new(),
    };
    Asked { names, selector }
}

/// A parameter's ARN.
pub(super) fn arn(context: &Context, name: &str) -> String {
    context.arn("ssm", format!("parameter/{}", name.strip_prefix('/').unwrap_or(name))).to_string()
}

/// What policies are asked about for what a request gives for a name.
pub(super) fn resource(context: &Context, text: &str) -> Resource {
    match asked(context, text).names.first() {
        Some(name) => Resource::of(arn(context, name)),
        None => Resource::of(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_aws_s_form() {
        for name in ["a", "/a", "/app/db/password", "My.Name_1-2"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for (name, code) in [
            ("", "ValidationException"),
            ("a/b", "ValidationException"),
            ("/a//b", "ValidationException"),
            ("/a/", "ValidationException"),
            ("a b", "ValidationException"),
            ("ssm-x", "ValidationException"),
            ("/SSM/x", "ValidationException"),
            ("/aws/x", "AccessDeniedException"),
            ("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", "HierarchyLevelLimitExceededException"),
        ] {
            assert_eq!(check(name).unwrap_err().code, code, "{name}");
        }
    }
}
