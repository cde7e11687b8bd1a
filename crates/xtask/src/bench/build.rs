//! A clean release build.

use std::time::Duration;

use super::page;
use crate::Error;
use crate::program::Program;

pub(crate) fn run() -> Result<(), Error> {
    let folder = tempfile::tempdir_in(crate::repository::target())?;
    let fetch = Program::cargo().args(["fetch", "--locked"]);
    fetch.quiet()?;
    let ended = Program::cargo()
        .args(["build", "--release", "--package", "landfall", "--target-dir"])
        .args([folder.path()])
        .limit(Duration::from_secs(7200))
        .show()?;
    if !ended.status.success() {
        return Err("the build failed".into());
    }
    page::put(
        "build",
        "Build",
        &[
            (
                "clean release build, dependencies fetched before",
                format!("{:.0} s", ended.took.as_secs_f64()),
            ),
            ("promised on two cores", "480 s".to_owned()),
        ],
    )
}
