//! Two readings and what is known of the tasks, as rows and as a text. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use types::Timestamp;

/// The counters of all tasks at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// When.
    pub at: Timestamp,
    /// By the task's id.
    pub tasks: BTreeMap<String, Counters>,
}

/// A task's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counters {
    /// Time on processors since it began, in nanoseconds.
    pub cpu: u64,
    /// Bytes of memory now.
    pub memory: u64,
    /// Bytes that came in and went out at its interface since it was made. None: it could not be read.
    pub network: Option<(u64, u64)>,
}

/// What is known of a task besides its counters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// Its cluster's ARN.
    pub cluster_arn: String,
    /// `service:<name>`, `family:<family>`, or as RunTask was told.
    pub group: String,
    /// Empty where only the agent answers, as are `health` and `age`.
    pub status: String,
    /// See `status`.
    pub health: String,
    /// See `status`. In seconds.
    pub age: Option<u64>,
    /// In units of 1/1024 of a core; 0: not known.
    pub cpu: u32,
    /// In MiB; 0: not known.
    pub memory: u32,
    /// Its network interface.
    pub interface: String,
}

impl Known {
    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        self.cluster_arn.rsplit('/').next().unwrap_or_default()
    }

    /// The region of its cluster.
    pub fn region(&self) -> &str {
        self.cluster_arn.split(':').nth(3).unwrap_or_default()
    }

    /// Its service's name.
    pub fn service(&self) -> Option<&str> {
        self.group.strip_prefix("service:")
    }

    /// Whether a name is its service's, its cluster's (or the ARN of one of these), its own id, the beginning of that, or
    /// its ARN.
    pub fn is_called(&self, id: &str, name: &str) -> bool {
        let last = name.rsplit('/').next().unwrap_or(name);
        let kind =
            name.rsplit(':').next().and_then(|resource| resource.split_once('/')).map(|(kind, _)| kind);
        match kind {
            Some("task") => id == last,
            Some("service") => self.service() == Some(last),
            Some("cluster") => self.cluster_arn == name || self.cluster() == last,
            _ => self.service() == Some(name) || self.cluster() == name || id.starts_with(name),
        }
    }
}

/// What is used, of what there is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Used {
    /// Cores' worth of CPU time. None: there is only one reading so far.
    pub cpu_cores: Option<f64>,
    /// The limit. None: not known.
    pub cpu_limit_cores: Option<f64>,
    /// The part of the limit.
    pub cpu_percent: Option<f64>,
    /// Bytes, without what the kernel may take back. None: it has not begun.
    pub memory_bytes: Option<u64>,
    /// The limit. None: not known.
    pub memory_limit_bytes: Option<u64>,
    /// The part of the limit.
    pub memory_percent: Option<f64>,
    /// What comes in.
    pub received_bytes_per_second: Option<f64>,
    /// What goes out.
    pub sent_bytes_per_second: Option<f64>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its id.
    pub task: String,
    /// Its last status.
    pub status: Option<String>,
    /// Its health.
    pub health: Option<String>,
    /// How long ago it was made.
    pub age_seconds: Option<u64>,
    /// What it uses.
    #[serde(flatten)]
    pub used: Used,
}

/// The tasks of a service, or of a family that RunTask started.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// `service:<name>`, `family:<family>`. Empty: not known.
    pub group: String,
    /// Its cluster's ARN.
    pub cluster_arn: String,
    /// How many tasks the service shall have. None: it is none, or `serve` does not answer.
    pub desired: Option<u32>,
    /// What its tasks use together.
    #[serde(flatten)]
    pub used: Used,
    /// Its tasks, those that use most CPU first.
    pub tasks: Vec<Row>,
}

fn percent(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    part.zip(whole).filter(|(_, whole)| *whole > 0.0).map(|(part, whole)| part / whole * 100.0)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "no machine has so much that a double would be wrong in the first digits"
)]
fn double(number: u64) -> f64 {
    number as f64
}

/// What a task used between two readings.
fn used(before: Option<&Counters>, after: Option<&Counters>, seconds: f64, known: &Known) -> Used {
    let pair = before.zip(after).filter(|_| seconds > 0.0);
    let rate = |before: u64, after: u64| double(after.saturating_sub(before)) / seconds;
    let network = pair.and_then(|(before, after)| before.network.zip(after.network));
    let cpu_limit_cores = (known.cpu > 0).then(|| f64::from(known.cpu) / 1024.0);
    let memory_limit_bytes = (known.memory > 0).then(|| u64::from(known.memory) << 20);
    let cpu_cores = pair.map(|(before, after)| rate(before.cpu, after.cpu) / 1e9);
    let memory_bytes = after.map(|after| after.memory);
    Used {
        cpu_cores,
        cpu_limit_cores,
        cpu_percent: percent(cpu_cores, cpu_limit_cores),
        memory_bytes,
        memory_limit_bytes,
        memory_percent: percent(memory_bytes.map(double), memory_limit_bytes.map(double)),
        received_bytes_per_second: network.map(|(before, after)| rate(before.0, after.0)),
        sent_bytes_per_second: network.map(|(before, after)| rate(before.1, after.1)),
    }
}

/// What several use together: the sum of what is known, of the limits of those of which it is known.
fn together<'a>(all: impl Iterator<Item = &'a Used> + Clone) -> Used {
    fn sum<T: std::iter::Sum<T>>(values: impl Iterator<Item = Option<T>>) -> Option<T> {
        let mut values = values.flatten().peekable();
        values.peek().is_some().then(|| values.sum())
    }
    let cpu_cores = sum(all.clone().map(|used| used.cpu_cores));
    let cpu_limit_cores = sum(all.clone().map(|used| used.cpu_cores.and(used.cpu_limit_cores)));
    let memory_bytes = sum(all.clone().map(|used| used.memory_bytes));
    let memory_limit_bytes = sum(all.clone().map(|used| used.memory_bytes.and(used.memory_limit_bytes)));
    Used {
        cpu_cores,
        cpu_limit_cores,
        cpu_percent: percent(cpu_cores, cpu_limit_cores),
        memory_bytes,
        memory_limit_bytes,
        memory_percent: percent(memory_bytes.map(double), memory_limit_bytes.map(double)),
        received_bytes_per_second: sum(all.clone().map(|used| used.received_bytes_per_second)),
        sent_bytes_per_second: sum(all.map(|used| used.sent_bytes_per_second)),
    }
}

/// The tasks that are known or have counters, by group, those that use most CPU first. `desired` gives how many tasks a
/// service shall have.
pub fn groups(
    before: &Reading,
    after: &Reading,
    known: &BTreeMap<String, Known>,
    desired: impl Fn(&Known) -> Option<u32>,
) -> Vec<Group> {
    let seconds = after.at.since(before.at).as_secs_f64();
    let nothing = Known::default();
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    let ids: std::collections::BTreeSet<&String> = known.keys().chain(after.tasks.keys()).collect();
    for id in ids {
        let task = known.get(id).unwrap_or(&nothing);
        let key = (task.cluster_arn.clone(), task.group.clone());
        let group = groups.entry(key).or_insert_with(|| Group {
            group: task.group.clone(),
            cluster_arn: task.cluster_arn.clone(),
            desired: desired(task),
            used: Used::default(),
            tasks: Vec::new(),
        });
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        group.tasks.push(Row {
            task: id.clone(),
            status: text(&task.status),
            health: text(&task.health),
            age_seconds: task.age,
            used: used(before.tasks.get(id), after.tasks.get(id), seconds, task),
        });
    }
    let most = |a: &Used, b: &Used| b.cpu_cores.unwrap_or(-1.0).total_cmp(&a.cpu_cores.unwrap_or(-1.0));
    let mut groups: Vec<Group> = groups.into_values().collect();
    for group in &mut groups {
        group.used = together(group.tasks.iter().map(|row| &row.used));
        group.tasks.sort_by(|a, b| most(&a.used, &b.used));
    }
    groups.sort_by(|a, b| most(&a.used, &b.used));
    groups
}

/// A number of bytes in at most five signs: `0`, `980`, `12.3K`, `4.0M`.
fn bytes(number: f64) -> String {
    let mut number = number;
    for unit in ["", "K", "M", "G"] {
        if number < 999.5 {
            return match unit {
                "" => format!("{number:.0}"),
                _ if number < 99.95 => format!("{number:.1}{unit}"),
                _ => format!("{number:.0}{unit}"),
            };
        }
        number /= 1024.0;
    }
    format!("{number:.1}T")
}

/// A time in its largest units: `42s`, `5m10s`, `3h20m`, `2d4h`.
fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{}s", seconds % 60),
        3600..86_400 => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

const HEADER: [&str; 10] =
    ["SERVICE/TASK", "STATUS", "HEALTH", "CPU%", "CORES", "MEMORY/LIMIT", "MEM%", "IN/s", "OUT/s", "AGE"];

fn cells(name: String, status: String, health: &str, age_seconds: Option<u64>, used: &Used) -> [String; 10] {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let one = |value: Option<f64>| or_none(value.map(|value| format!("{value:.1}")));
    let memory = match (used.memory_bytes, used.memory_limit_bytes) {
        (None, _) => "-".to_owned(),
        (Some(held), None) => bytes(double(held)),
        (Some(held), Some(limit)) => format!("{}/{}", bytes(double(held)), bytes(double(limit))),
    };
    [
        name,
        status,
        health.to_owned(),
        one(used.cpu_percent),
        or_none(used.cpu_cores.map(|cores| format!("{cores:.2}"))),
        memory,
        one(used.memory_percent),
        or_none(used.received_bytes_per_second.map(bytes)),
        or_none(used.sent_bytes_per_second.map(bytes)),
        or_none(age_seconds.map(age)),
    ]
}

/// The groups as lines, the header first. With a width the names are made short, and what is still too long is cut off.
pub fn lines(groups: &[Group], width: Option<usize>) -> Vec<String> {
    let mut table = vec![HEADER.map(str::to_owned)];
    for group in groups {
        let name = match group.group.strip_prefix("service:").unwrap_or(&group.group) {
            "" => "(names are not known)".to_owned(),
            name => format!("{name} ({})", group.cluster_arn.rsplit('/').next().unwrap_or_default()),
        };
        let running = group.tasks.iter().filter(|row| row.status.as_deref() == Some("RUNNING")).count();
        let status = group.desired.map_or_else(String::new, |desired| format!("{running} of {desired}"));
        table.push(cells(name, status, "", None, &group.used));
        // Of a group there is no age: its cell stays empty.
        if let Some([.., last]) = table.last_mut() {
            last.clear();
        }
        for row in &group.tasks {
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            // What has no check of its own is neither.
            let health = text(&row.health.clone().filter(|health| health != "UNKNOWN"));
            let id = format!("  {}", row.task.get(..8).unwrap_or(&row.task));
            table.push(cells(id, text(&row.status), &health, row.age_seconds, &row.used));
        }
    }
    let mut widths = [0; 10];
    for row in &table {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(cell.chars().count());
        }
    }
    if let Some(width) = width {
        let rest: usize = widths.iter().skip(1).map(|width| width + 2).sum();
        widths[0] = widths[0].min(width.saturating_sub(rest).max(HEADER[0].len()));
    }
    let line = |row: &[String; 10]| {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
            let cell = short(cell, width);
            // Words to the left, numbers to the right.
            line += &if at < 3 { format!("{cell:<width$}  ") } else { format!("{cell:>width$}  ") };
        }
        let line = line.trim_end();
        width.map_or_else(|| line.to_owned(), |width| line.chars().take(width).collect())
    };
    table.iter().map(line).collect()
}

/// A text of at most so many signs; `…` stands for what is left out.
fn short(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}
