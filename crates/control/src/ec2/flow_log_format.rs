//! The lines of flow logs: pure.
//!
//! <https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html>

use std::collections::BTreeMap;

/// AWS's default format: version 2.
pub const DEFAULT: &str = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} \
                           ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}";

/// The fields that Landfall knows, with the version of AWS's that has them.
pub const FIELDS: [(&str, u8); 24] = [
    ("version", 2),
    ("account-id", 2),
    ("interface-id", 2),
    ("srcaddr", 2),
    ("dstaddr", 2),
    ("srcport", 2),
    ("dstport", 2),
    ("protocol", 2),
    ("packets", 2),
    ("bytes", 2),
    ("start", 2),
    ("end", 2),
    ("action", 2),
    ("log-status", 2),
    ("vpc-id", 3),
    ("subnet-id", 3),
    ("instance-id", 3),
    ("tcp-flags", 3),
    ("type", 3),
    ("pkt-srcaddr", 3),
    ("pkt-dstaddr", 3),
    ("region", 4),
    ("flow-direction", 5),
    ("traffic-path", 5),
];

/// A format, ready to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format(Vec<&'static str>);

impl Format {
    /// Reads `${version} ${srcaddr} …`: fields with spaces between them.
    ///
    /// # Errors
    /// With the word that is no field known here.
    pub fn parse(text: &str) -> Result<Self, String> {
        let field = |word: &str| {
            let name = word.strip_prefix("${").and_then(|word| word.strip_suffix('}'));
            let known = name.and_then(|name| FIELDS.iter().find(|(known, _)| *known == name));
            known.map(|(name, _)| *name).ok_or_else(|| word.to_owned())
        };
        let fields = text.split_whitespace().map(field).collect::<Result<Vec<_>, _>>()?;
        if fields.is_empty() { Err(text.to_owned()) } else { Ok(Self(fields)) }
    }

    /// A line; what a record has no value for is `-`.
    pub fn line(&self, values: &BTreeMap<&str, String>) -> String {
        let newest =
            FIELDS.iter().filter(|(name, _)| self.0.contains(name)).map(|(_, version)| version).max();
        let version = newest.map_or_else(|| "2".to_owned(), ToString::to_string);
        let word = |name: &&'static str| match *name {
            "version" => version.clone(),
            name => values.get(name).cloned().unwrap_or_else(|| "-".to_owned()),
        };
        self.0.iter().map(word).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_fields_that_were_asked_for_and_the_version_that_has_them_all() {
        let values = BTreeMap::from([("srcaddr", "10.0.0.5".to_owned()), ("vpc-id", "vpc-1".to_owned())]);
        let line = |format: &str| Format::parse(format).unwrap().line(&values);
        assert_eq!(line("${version} ${srcaddr} ${instance-id}"), "3 10.0.0.5 -");
        assert_eq!(line("${vpc-id} ${version} ${traffic-path}"), "vpc-1 5 -");
        assert_eq!(line(DEFAULT), "2 - - 10.0.0.5 - - - - - - - - - -");
        assert_eq!(Format::parse("${srcaddr} ${ecs-task-id}"), Err("${ecs-task-id}".to_owned()));
        assert_eq!(Format::parse("srcaddr"), Err("srcaddr".to_owned()));
        assert!(Format::parse(" ").is_err());
    }
}
