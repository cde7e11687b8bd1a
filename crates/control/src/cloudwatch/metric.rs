//! A metric's identity: a namespace, a name and dimensions.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use wire::ApiError;

use super::invalid;

/// A metric. Two with other dimensions are two metrics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Metric {
    /// `AWS/ECS`
    pub namespace: String,
    /// `CPUUtilization`
    pub name: String,
    /// Values by names.
    pub dimensions: BTreeMap<String, String>,
}

/// A dimension as requests and responses write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Dimension {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Metric {
    /// Of a namespace of AWS's own.
    pub fn of(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Self {
        let dimensions = dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { namespace: namespace.to_owned(), name: name.to_owned(), dimensions: dimensions.collect() }
    }

    /// A text that stands for it in row keys.
    pub fn id(&self) -> String {
        let mut text = format!("{}\n{}", self.namespace, self.name);
        for (name, value) in &self.dimensions {
            text.push('\n');
            text.push_str(name);
            text.push('\t');
            text.push_str(value);
        }
        let hash = digest(&SHA256, text.as_bytes());
        hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Its dimensions as responses write them.
    pub fn print_dimensions(&self) -> Vec<Dimension> {
        print_dimensions(&self.dimensions)
    }
}

/// Dimensions as responses write them.
pub fn print_dimensions(dimensions: &BTreeMap<String, String>) -> Vec<Dimension> {
    dimensions.iter().map(|(name, value)| Dimension { name: name.clone(), value: value.clone() }).collect()
}

/// Takes a request's dimensions; `at` is the parameter's name up to the list.
///
/// # Errors
/// By the page "Dimension": lengths, the number, one name twice.
pub fn take_dimensions(dimensions: Vec<Dimension>, at: &str) -> Result<BTreeMap<String, String>, ApiError> {
    if dimensions.len() > 30 {
        return Err(invalid(format!("The collection {at} must not have a size greater than 30.")));
    }
    let mut taken = BTreeMap::new();
    for (number, Dimension { name, value }) in (1..).zip(dimensions) {
        for (part, text, most) in [("Name", &name, 255), ("Value", &value, 1024)] {
            if text.trim().is_empty() || text.chars().count() > most || text.contains(['\n', '\t']) {
                return Err(invalid(format!(
                    "The value {text} for parameter {at}.member.{number}.{part} is invalid."
                )));
            }
        }
        if taken.insert(name.clone(), value).is_some() {
            return Err(invalid(format!("The parameter {at} names the dimension {name} twice.")));
        }
    }
    Ok(taken)
}

/// Checks a namespace, whose pattern is `[^:].*`.
///
/// # Errors
/// As [`check_name`], and when it begins with a colon.
pub fn check_namespace(text: &str, parameter: &str) -> Result<(), ApiError> {
    check_name(text, parameter)?;
    match text.starts_with(':') {
        true => Err(invalid(format!("The value {text} for parameter {parameter} is invalid."))),
        false => Ok(()),
    }
}

/// Checks a metric's or an alarm's name.
///
/// # Errors
/// When it is empty or too long.
pub fn check_name(text: &str, parameter: &str) -> Result<(), ApiError> {
    if text.is_empty() || text.chars().count() > 255 || text.chars().any(char::is_control) {
        return Err(invalid(format!("The value {text} for parameter {parameter} is invalid.")));
    }
    Ok(())
}

macro_rules! units {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A unit of measurement.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each says it")]
        pub enum Unit { $(#[serde(rename = $text)] $name,)* #[default] None }

        impl Unit {
            /// As CloudWatch spells it.
            pub const fn text(self) -> &'static str {
                match self { $(Unit::$name => $text,)* Unit::None => "None" }
            }
        }
    };
}

units! {
    Seconds = "Seconds", Microseconds = "Microseconds", Milliseconds = "Milliseconds", Bytes = "Bytes",
    Kilobytes = "Kilobytes", Megabytes = "Megabytes", Gigabytes = "Gigabytes", Terabytes = "Terabytes", Bits = "Bits",
    Kilobits = "Kilobits", Megabits = "Megabits", Gigabits = "Gigabits", Terabits = "Terabits", Percent = "Percent",
    Count = "Count", BytesPerSecond = "Bytes/Second", KilobytesPerSecond = "Kilobytes/Second",
    MegabytesPerSecond = "Megabytes/Second", GigabytesPerSecond = "Gigabytes/Second",
    TerabytesPerSecond = "Terabytes/Second", BitsPerSecond = "Bits/Second", KilobitsPerSecond = "Kilobits/Second",
    MegabitsPerSecond = "Megabits/Second", GigabitsPerSecond = "Gigabits/Second",
    TerabitsPerSecond = "Terabits/Second", CountPerSecond = "Count/Second",
}
