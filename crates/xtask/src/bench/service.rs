//! CreateService to the first 200 through the load balancer.

use std::path::Path;
use std::time::Duration;

use super::memory::Args;
use super::{page, statistics::median};
use crate::program::Program;
use crate::{Error, install, repository};

/// How often.
const ROUNDS: usize = 9;

pub(crate) fn run(binary: &Path, args: &Args) -> Result<(), Error> {
    install::python_environment()?;
    let variables = Program::new(binary)
        .args(["env", "--json", "--state-dir"])
        .args([&args.state_dir])
        .limit(Duration::from_secs(30))
        .quiet()?;
    let variables: std::collections::BTreeMap<String, String> = serde_json::from_str(&variables)?;
    let script = repository::root().join("oracle/bench_service.py");
    let mut program = Program::new(repository::python_environment().join("bin/python"))
        .args([script.as_os_str(), ROUNDS.to_string().as_ref()])
        .limit(Duration::from_secs(600));
    for (name, value) in &variables {
        program = program.env(name, value);
    }
    let printed = program.quiet()?;
    let seconds: Vec<f64> = printed.lines().map(str::parse).collect::<Result<_, _>>()?;
    let cell = median(&seconds).map(|of| of.cell(2, " s")).ok_or("no rounds")?;
    page::put(
        "service",
        "A service",
        &[
            ("CreateService to the first 200 through the load balancer, the image's blobs on disk", cell),
            ("promised", "1.5 s".to_owned()),
        ],
    )
}
