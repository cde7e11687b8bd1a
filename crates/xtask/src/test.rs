//! `cargo xtask test`.

use std::time::Duration;

use crate::program::Program;
use crate::report::Report;
use crate::{Error, install, oracle, repository};

/// What to test.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Install nothing: the machine has what the tests need
    #[arg(long)]
    no_install: bool,
    /// Only tests whose name holds one of these; `oracle` stands for the oracle
    filter: Vec<String>,
}

impl Args {
    /// All tests, installing what they need.
    pub(crate) fn all() -> Self {
        Self { no_install: false, filter: Vec::new() }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let mut report = Report::default();
    steps(args, &mut report)?;
    report.finish()
}

/// The steps of `cargo xtask test`, noted in the report. An error is one of the preparation.
pub(crate) fn steps(args: &Args, report: &mut Report) -> Result<(), Error> {
    if !args.no_install {
        install::debian_packages()?;
        install::python_environment()?;
        install::redis()?;
    }
    // Everything is built first, so that a test's time limit is the test's own.
    if !report.step("build", build()) {
        return Ok(());
    }
    let filter: Vec<&String> = args.filter.iter().filter(|filter| *filter != "oracle").collect();
    if args.filter.is_empty() || filter.len() < args.filter.len() {
        oracle::step(report)?;
    }
    if args.filter.is_empty() || !filter.is_empty() {
        // Most of a test's time is waiting: for processes, packets and time-outs.
        let threads = std::thread::available_parallelism().map_or(2, usize::from).to_string();
        let tests = cargo(&["test", "--workspace", "--no-fail-fast", "--", "--test-threads", &threads]);
        report.step("tests", tests.args(&filter).limit(60 * MINUTE));
    }
    Ok(())
}

/// Builds the binary and all tests. Always the whole workspace: for a part of it cargo would choose other features of the
/// dependencies, and build them once more.
pub(crate) fn build() -> Program {
    cargo(&["test", "--workspace", "--no-run", "--quiet"]).limit(45 * MINUTE)
}

fn cargo(args: &[&str]) -> Program {
    Program::cargo()
        .args(args)
        // What the end-to-end tests find the AWS CLI and boto3 by.
        .env("LANDFALL_TEST_PYTHON", repository::python_environment().join("bin/python"))
        .env("LANDFALL_TEST_REDIS", repository::redis())
}
