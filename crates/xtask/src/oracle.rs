//! The oracle: AWS's published models against a real `landfall serve`.

use std::path::PathBuf;
use std::time::Duration;

use crate::program::Program;
use crate::report::Report;
use crate::{Error, repository};

/// Where the oracle's results are left for the coverage page.
pub(crate) fn results() -> PathBuf {
    repository::target().join("oracle.json")
}

/// The oracle as a program. The binary has been built.
pub(crate) fn program() -> Result<Program, Error> {
    let python = repository::python_environment().join("bin/python");
    if !python.exists() {
        return Err(
            "the oracle needs its Python environment: `cargo xtask test` without --no-install makes it"
                .into(),
        );
    }
    Ok(Program::new(python)
        .args(["-B", "-m", "oracle", "--landfall"])
        .args([repository::landfall("debug")])
        .args(["--results"])
        .args([results()])
        .limit(Duration::from_secs(900)))
}

/// Runs the oracle as a step, then checks that the coverage page says what it found.
pub(crate) fn step(report: &mut Report) -> Result<(), Error> {
    if report.step("oracle", program()?)
        && let Err(error) = crate::coverage::write(true)
    {
        report.failed("coverage", &error);
    }
    Ok(())
}
