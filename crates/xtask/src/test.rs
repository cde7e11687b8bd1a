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
    }
    // Everything is built first, so that a test's time limit is the test's own.
    let built = report.step("build", cargo(&["build", "--package", "landfall"]).limit(45 * MINUTE))
        && report
            .step("build tests", cargo(&["test", "--workspace", "--no-run", "--quiet"]).limit(45 * MINUTE));
    if !built {
        return Ok(());
    }
    let wants_oracle = args.filter.is_empty() || args.filter.iter().any(|filter| filter == "oracle");
    let filter: Vec<&String> = args.filter.iter().filter(|filter| *filter != "oracle").collect();
    if filter.is_empty() && !args.filter.is_empty() {
        return oracle::step(report);
    }
    let tests = |of: &[&str], threads: usize| {
        let threads = threads.to_string();
        cargo(&["test", "--no-fail-fast"]).args(of).args(["--", "--test-threads", &threads]).args(&filter)
    };
    // Most of a test's time is waiting: for processes, packets and time-outs. End-to-end tests run whole stacks.
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    report.step("crates", tests(&["--workspace", "--exclude", "landfall"], cores).limit(25 * MINUTE));
    if wants_oracle {
        oracle::step(report)?;
    }
    report.step("end to end", tests(&["--package", "landfall"], cores).limit(40 * MINUTE));
    Ok(())
}

fn cargo(args: &[&str]) -> Program {
    Program::cargo()
        .args(args)
        // What the end-to-end tests find the AWS CLI and boto3 by.
        .env("LANDFALL_TEST_PYTHON", repository::python_environment().join("bin/python"))
}
