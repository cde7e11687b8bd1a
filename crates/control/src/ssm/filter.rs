//! Filters of parameters ("ParameterStringFilter", AWS Systems Manager API reference).

use serde::Deserialize;
use wire::ApiError;

use super::parameter::{Parameter, ParameterVersion};

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ParameterStringFilter {
    key: String,
    option: Option<String>,
    #[serde(default)]
    values: Vec<String>,
}

impl ParameterStringFilter {
    /// Whether it asks for versions by their labels.
    pub(super) fn is_of_labels(&self) -> bool {
        self.key == "Label"
    }
}

/// The older form ("ParametersFilter"): names that begin with a value, all else as it is.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ParametersFilter {
    key: String,
    values: Vec<String>,
}

impl From<ParametersFilter> for ParameterStringFilter {
    fn from(filter: ParametersFilter) -> Self {
        let option = (filter.key == "Name").then(|| "BeginsWith".to_owned());
        Self { key: filter.key, option, values: filter.values }
    }
}

/// The keys that a listing takes besides `tag:`, each with its options, the one that holds without any first.
pub(super) type Keys = &'static [(&'static str, &'static [&'static str])];

/// DescribeParameters'.
pub(super) const DESCRIBE: Keys = &[
    ("Name", &["Equals", "BeginsWith", "Contains"]),
    ("Type", &["Equals"]),
    ("KeyId", &["Equals", "BeginsWith"]),
    ("Path", &["OneLevel", "Recursive"]),
    ("Tier", &["Equals"]),
    ("DataType", &["Equals"]),
];

/// GetParametersByPath's.
pub(super) const BY_PATH: Keys =
    &[("Type", &["Equals", "BeginsWith"]), ("KeyId", &["Equals", "BeginsWith"]), ("Label", &["Equals"])];

/// Refuses filters that a listing does not know.
pub(super) fn check(filters: &[ParameterStringFilter], keys: Keys) -> Result<(), ApiError> {
    for filter in filters {
        let tag: (&str, &[&str]) = ("tag:", &["Equals"]);
        let known = match keys.iter().find(|(key, _)| *key == filter.key) {
            Some(known) => *known,
            None if filter.key.strip_prefix("tag:").is_some_and(|key| !key.is_empty())
                && keys.iter().any(|(key, _)| *key == "Name") =>
            {
                tag
            }
            None => {
                let valid: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
                return Err(ApiError::new(
                    "InvalidFilterKey",
                    format!(
                        "The following filter key is not valid: {}. Valid filter keys include: [{}].",
                        filter.key,
                        valid.join(", ")
                    ),
                ));
            }
        };
        if let Some(option) = filter.option.as_deref().filter(|option| !known.1.contains(option)) {
            return Err(ApiError::new(
                "InvalidFilterOption",
                format!(
                    "The following filter option is not valid: {option}. Valid options include: [{}].",
                    known.1.join(", ")
                ),
            ));
        }
        // A tag may be asked for by its key alone.
        if filter.values.is_empty() && known.0 != "tag:" {
            return Err(ApiError::new(
                "InvalidFilterValue",
                format!("The following filter values are missing: null for filter key {}", filter.key),
            ));
        }
        if filter.values.len() > 50 {
            return Err(ApiError::new("InvalidFilterValue", "A filter can have at most 50 values."));
        }
        if filter.key == "Path" && filter.values.iter().any(|path| !path.starts_with('/')) {
            return Err(ApiError::new(
                "InvalidFilterValue",
                format!(
                    "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a \
                     forward slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use \
                     only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special \
                     characters are not allowed. All sub-paths, if specified, must use the forward slash symbol \"/\". \
                     Valid example: /get/parameters2-/by1./path0_. Given: {}",
                    filter.values.join(", ")
                ),
            ));
        }
    }
    Ok(())
}

/// Whether a parameter is below a path: directly, or at any depth.
pub(super) fn is_below(name: &str, path: &str, recursive: bool) -> bool {
    let path = path.trim_end_matches('/');
    let rest = name.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'));
    rest.is_some_and(|rest| recursive || !rest.contains('/'))
}

/// Whether a version passes all filters, which were checked.
pub(super) fn passes(
    filters: &[ParameterStringFilter],
    parameter: &Parameter,
    version: &ParameterVersion,
) -> bool {
    filters.iter().all(|filter| {
        let text = |found: &str| {
            filter.values.iter().any(|wanted| match filter.option.as_deref() {
                Some("BeginsWith") => found.starts_with(wanted.as_str()),
                Some("Contains") => found.contains(wanted.as_str()),
                _ => found == wanted,
            })
        };
        match filter.key.as_str() {
            // Names are compared without regard to the slash in front.
            "Name" => text(&parameter.name) || parameter.name.strip_prefix('/').is_some_and(text),
            "Type" => text(version.kind.name()),
            "KeyId" => version.key_id().is_some_and(text),
            "Tier" => text(version.tier.name()),
            "DataType" => text("text"),
            "Label" => version.labels.iter().any(|label| text(label)),
            "Path" => {
                let recursive = filter.option.as_deref() == Some("Recursive");
                filter.values.iter().any(|path| is_below(&parameter.name, path, recursive))
            }
            key => {
                let found = key.strip_prefix("tag:").and_then(|key| parameter.tags.get(key));
                found.is_some_and(|found| filter.values.is_empty() || text(found))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_one_level_or_all_the_way_down() {
        for (name, path, recursive, expected) in [
            ("/a/b", "/a", false, true),
            ("/a/b", "/a/", false, true),
            ("/a/b/c", "/a", false, false),
            ("/a/b/c", "/a", true, true),
            ("/ab", "/a", true, false),
            ("/a", "/", false, true),
            ("/a/b", "/", true, true),
            ("a", "/", true, false),
        ] {
            assert_eq!(is_below(name, path, recursive), expected, "{name} below {path}, {recursive}");
        }
    }
}
