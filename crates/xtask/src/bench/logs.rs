//! A container that floods its log, in both modes of the awslogs driver.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::page;
use crate::program::Program;
use crate::{Error, install, repository};

/// How.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the container tries to print in a second, in megabytes
    #[arg(long, default_value_t = 100)]
    rate: u64,
    /// For how many seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Both {
    non_blocking: Measured,
    blocking: Measured,
}

#[derive(Debug, serde::Deserialize)]
struct Measured {
    /// Bytes a second that the container came to.
    rate: f64,
    /// MiB by role, before the task and at most while it ran.
    before: BTreeMap<String, f64>,
    memory: BTreeMap<String, f64>,
    /// Seconds of a call, before and meanwhile.
    idle_call: f64,
    call: f64,
}

impl Measured {
    /// MiB of roles.
    fn memory(&self, roles: &[&str]) -> String {
        let all: f64 = roles.iter().filter_map(|role| self.memory.get(*role)).sum();
        format!("{all:.1} MiB")
    }

    fn growth(&self, role: &str) -> f64 {
        let of = |memory: &BTreeMap<String, f64>| memory.get(role).copied().unwrap_or_default();
        of(&self.memory) - of(&self.before)
    }
}

pub(crate) fn run(binary: &Path, args: &Args) -> Result<(), Error> {
    install::python_environment()?;
    let printed = Program::new(repository::python_environment().join("bin/python"))
        .args(["-B", "-m", "oracle.bench_logs"])
        .args([binary])
        .args([(args.rate * 1_000_000).to_string(), args.seconds.to_string()])
        .limit(Duration::from_secs(1800))
        .quiet()?;
    let Both { non_blocking, blocking } = serde_json::from_str(printed.trim())?;
    let tries = format!("a container that prints {} MB/s for {} s", args.rate, args.seconds);
    let mut rows = Vec::new();
    for (mode, measured) in [("non-blocking", &non_blocking), ("blocking", &blocking)] {
        rows.extend([
            (format!("{tries}, {mode}: what it came to"), format!("{:.0} MB/s", measured.rate / 1e6)),
            ("its shim and log driver, at most".to_owned(), measured.memory(&["shim", "__logs"])),
            ("`serve` grew by".to_owned(), format!("{:.1} MiB", measured.growth("serve"))),
            (
                "GetCallerIdentity before, and meanwhile".to_owned(),
                format!("{:.1} ms, {:.1} ms", measured.idle_call * 1000.0, measured.call * 1000.0),
            ),
        ]);
    }
    let rows: Vec<(&str, String)> = rows.iter().map(|(what, cell)| (what.as_str(), cell.clone())).collect();
    page::put("logs", "A flood of log lines", &rows)
}
