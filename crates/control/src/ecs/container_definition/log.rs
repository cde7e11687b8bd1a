//! `logConfiguration`: the log driver `awslogs` ("LogConfiguration", "Send Amazon ECS logs to CloudWatch").

use std::collections::BTreeMap;

use desired::{LogDestination, LogMode};
use serde::{Deserialize, Serialize};
use types::{Region, TaskId};
use wire::ApiError;

use super::refused::Given;
use crate::ecs::client;

/// How much waits in non-blocking mode when `max-buffer-size` does not say, in bytes: `10m`.
const MAX_BUFFER: u64 = 10 << 20;

/// The options that `awslogs` has on Fargate.
const OPTIONS: [&str; 8] = [
    "awslogs-create-group",
    "awslogs-datetime-format",
    "awslogs-group",
    "awslogs-multiline-pattern",
    "awslogs-region",
    "awslogs-stream-prefix",
    "max-buffer-size",
    "mode",
];

/// Where a container's output goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogConfiguration {
    /// `awslogs`; the other drivers are refused by name.
    pub log_driver: String,
    /// The driver's options.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Refused.
    #[serde(default, skip_serializing)]
    pub secret_options: Given,
}

/// Checks a configuration.
///
/// # Errors
/// In ECS's words; another driver is refused by name.
pub(super) fn check(log: &LogConfiguration) -> Result<(), ApiError> {
    let driver = log.log_driver.as_str();
    match driver {
        "awslogs" => (),
        "awsfirelens" | "splunk" => {
            return Err(ApiError::unsupported(format!("the log driver '{driver}'")));
        }
        _ => {
            return Err(client(format!(
                "Fargate only supports the log drivers awslogs, splunk and awsfirelens, not '{driver}'."
            )));
        }
    }
    log.secret_options.refuse("Log driver awslogs disallows secret options.")?;
    let odd: Vec<&str> =
        log.options.keys().map(String::as_str).filter(|name| !OPTIONS.contains(name)).collect();
    if !odd.is_empty() {
        return Err(client(format!("Log driver awslogs disallows options: {}", odd.join(", "))));
    }
    for name in ["awslogs-group", "awslogs-region", "awslogs-stream-prefix"] {
        if log.option(name).is_none() {
            return Err(client(format!("Log driver awslogs requires option: {name}")));
        }
    }
    let region = log.option("awslogs-region").unwrap_or_default();
    if Region::new(region).is_err() {
        return Err(client(format!("Log driver awslogs: '{region}' is not a region.")));
    }
    let one_of = |name: &str, values: [&str; 2]| match log.option(name) {
        Some(value) if !values.contains(&value) => Err(client(format!(
            "Log driver awslogs: option {name} must be '{}' or '{}', not '{value}'.",
            values[0], values[1]
        ))),
        _ => Ok(()),
    };
    one_of("awslogs-create-group", ["true", "false"])?;
    one_of("mode", ["blocking", "non-blocking"])?;
    if log.option("awslogs-datetime-format").is_some() && log.option("awslogs-multiline-pattern").is_some() {
        return Err(client(
            "Log driver awslogs: you cannot configure log opt 'awslogs-datetime-format' and \
             'awslogs-multiline-pattern' at the same time",
        ));
    }
    if let Some(text) = log.option("max-buffer-size") {
        if log.option("mode") == Some("blocking") {
            return Err(client("Log driver awslogs: max-buffer-size is for mode non-blocking alone."));
        }
        if bytes(text).is_none_or(|size| size == 0) {
            return Err(client(format!("Log driver awslogs: invalid max-buffer-size '{text}'.")));
        }
    }
    Ok(())
}

impl LogConfiguration {
    fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What the machine is told: the stream is `prefix/container/task`. `blocks`: whether the mode is blocking where the
    /// options do not say. A buffer's size has no meaning then.
    pub fn destination(&self, container: &str, task: &TaskId, blocks: bool) -> LogDestination {
        let text = |name: &str| self.option(name).unwrap_or_default().to_owned();
        let mode = match self.option("mode") {
            Some("blocking") => LogMode::Blocking,
            None if blocks => LogMode::Blocking,
            _ => LogMode::NonBlocking {
                max_buffer: self.option("max-buffer-size").and_then(bytes).unwrap_or(MAX_BUFFER),
            },
        };
        let pattern = self.option("awslogs-multiline-pattern").map(str::to_owned);
        LogDestination {
            region: text("awslogs-region"),
            group: text("awslogs-group"),
            stream: format!("{}/{container}/{task}", text("awslogs-stream-prefix")),
            create_group: self.option("awslogs-create-group") == Some("true"),
            mode,
            message_start: pattern.or_else(|| self.option("awslogs-datetime-format").map(date_pattern)),
        }
    }
}

/// A size as Docker reads one: bytes, or with `k`, `m`, `g` (and a `b` behind it) powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let (digits, power) = match text.chars().last()? {
        'k' => (&text[..text.len() - 1], 10),
        'm' => (&text[..text.len() - 1], 20),
        'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << power)
}

/// The regular expression for a time in strftime's notation, with the codes that the driver knows
/// ("awslogs-datetime-format"). What is no code stands for itself.
fn date_pattern(format: &str) -> String {
    let mut pattern = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            if !c.is_alphanumeric() && !c.is_whitespace() && c.is_ascii() {
                pattern.push('\\');
            }
            pattern.push(c);
            continue;
        }
        let Some(code) = rest.next() else { break };
        let known = match code {
            'A' => "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)",
            'a' => "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)",
            'B' => {
                "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
            }
            'b' => "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
            'd' => "(?:0[1-9]|[12][0-9]|3[01])",
            'f' => "[0-9]{6}",
            'H' => "(?:[01][0-9]|2[0-3])",
            'I' => "(?:0[1-9]|1[0-2])",
            'j' => "(?:0[0-9][1-9]|[1-2][0-9]{2}|3[0-6][0-9])",
            'L' => r"\.[0-9]{3}",
            'm' => "(?:0[1-9]|1[0-2])",
            'M' => "[0-5][0-9]",
            'p' => "[AP]M",
            'S' => "[0-5][0-9]",
            'w' => "[0-6]",
            'y' => "[0-9]{2}",
            'Y' => "[0-9]{4}",
            'Z' => "[A-Z]{1,4}T",
            'z' => r"[+-][0-9]{4}",
            '%' => "%",
            _ => "",
        };
        pattern.push_str(known);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(driver: &str, options: &[(&str, &str)]) -> LogConfiguration {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        LogConfiguration {
            log_driver: driver.to_owned(),
            options: options.collect(),
            secret_options: Given::default(),
        }
    }

    const NEEDED: [(&str, &str); 3] =
        [("awslogs-group", "/app"), ("awslogs-region", "us-east-1"), ("awslogs-stream-prefix", "ecs")];

    fn with(more: &[(&str, &str)]) -> LogConfiguration {
        log("awslogs", &[&NEEDED, more].concat())
    }

    #[test]
    fn what_fargate_does_not_take_is_refused() {
        let cases = [
            (log("json-file", &[]), "not 'json-file'"),
            (log("awsfirelens", &[]), "the log driver 'awsfirelens'"),
            (log("splunk", &[]), "the log driver 'splunk'"),
            (log("awslogs", &NEEDED[..2]), "requires option: awslogs-stream-prefix"),
            (with(&[("awslogs-endpoint", "x")]), "disallows options: awslogs-endpoint"),
            (with(&[("mode", "x")]), "must be 'blocking' or 'non-blocking', not 'x'"),
            (with(&[("awslogs-create-group", "yes")]), "awslogs-create-group"),
            (with(&[("max-buffer-size", "0")]), "max-buffer-size"),
            (with(&[("max-buffer-size", "ten")]), "max-buffer-size"),
            (with(&[("mode", "blocking"), ("max-buffer-size", "1m")]), "max-buffer-size"),
            (
                with(&[("awslogs-datetime-format", "%Y"), ("awslogs-multiline-pattern", "x")]),
                "at the same time",
            ),
        ];
        for (log, words) in cases {
            let error = check(&log).unwrap_err();
            assert!(error.message.contains(words), "{words}: {error}");
        }
        assert_eq!(check(&with(&[("mode", "blocking"), ("awslogs-create-group", "true")])), Ok(()));
    }

    #[test]
    fn a_stream_is_named_by_prefix_container_and_task_and_the_defaults_are_aws_s() {
        let task = TaskId::from("0123456789abcdef0123456789abcdef");
        let destination = with(&[]).destination("web", &task, false);
        assert_eq!(destination.stream, "ecs/web/0123456789abcdef0123456789abcdef");
        assert_eq!(destination.mode, LogMode::NonBlocking { max_buffer: 10 << 20 });
        assert!(!destination.create_group && destination.message_start.is_none());
        let destination = with(&[("max-buffer-size", "25m"), ("awslogs-multiline-pattern", "^INFO")]);
        let destination = destination.destination("web", &task, false);
        assert_eq!(destination.mode, LogMode::NonBlocking { max_buffer: 25 << 20 });
        assert_eq!(destination.message_start.as_deref(), Some("^INFO"));
        // The account's setting stands for what is not said.
        assert_eq!(with(&[]).destination("web", &task, true).mode, LogMode::Blocking);
        let destination = with(&[("mode", "non-blocking")]).destination("web", &task, true);
        assert_eq!(destination.mode, LogMode::NonBlocking { max_buffer: 10 << 20 });
    }

    #[test]
    fn sizes_and_times_are_read_as_docker_reads_them() {
        for (text, size) in [("5", 5), ("1k", 1024), ("4KB", 4096), ("2m", 2 << 20), ("1g", 1 << 30)] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        assert_eq!(bytes("m"), None);
        let pattern = date_pattern("[%b %d, %Y %H:%M:%S]");
        let want = r"\[(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (?:0[1-9]|[12][0-9]|3[01])\, [0-9]{4} (?:[01][0-9]|2[0-3])\:[0-5][0-9]\:[0-5][0-9]\]";
        assert_eq!(pattern, want);
    }
}
