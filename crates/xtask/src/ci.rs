//! `cargo xtask ci`.

use std::time::Duration;

use crate::program::Program;
use crate::report::Report;
use crate::{Error, install, test};

/// CI takes no choices.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<(), Error> {
    let mut report = Report::default();
    report.step("format", Program::cargo().args(["fmt", "--all", "--check"]));
    report.step(
        "clippy",
        Program::cargo()
            .args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
            .limit(Duration::from_secs(1800)),
    );
    match install::cargo_deny() {
        Ok(()) => {
            report.step("deny", Program::cargo().args(["deny", "check", "licenses", "bans", "sources"]));
        }
        Err(error) => report.failed("deny", &error),
    }
    if let Err(error) = test::steps(&test::Args::all(), &mut report) {
        report.failed("test", &error);
    }
    report.finish()
}
