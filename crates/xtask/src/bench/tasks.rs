//! RunTask to RUNNING beside `docker run`, memory of idle tasks, many tasks at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::page;
use super::statistics::median;
use crate::program::Program;
use crate::{Error, install, repository};

/// How.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// How many tasks at once
    #[arg(long, default_value_t = 200)]
    many: usize,
    /// A folder with dockerd, docker, containerd and runc, to be measured beside; they run in a folder and namespaces of
    /// their own
    #[arg(long, value_name = "FOLDER")]
    docker: Option<PathBuf>,
}

#[derive(Debug, serde::Deserialize)]
struct Measured {
    /// Seconds of each round.
    landfall: Vec<f64>,
    docker: Vec<f64>,
    /// Seconds until all of many run.
    many: f64,
    stopped: f64,
    /// MiB a task, by role.
    memory: BTreeMap<String, f64>,
}

pub(crate) fn run(binary: &Path, args: &Args) -> Result<(), Error> {
    install::python_environment()?;
    let mut program = Program::new(repository::python_environment().join("bin/python"))
        .args(["-B", "-m", "oracle.bench_tasks"])
        .args([binary])
        .args([args.rounds.to_string(), args.many.to_string()])
        .limit(Duration::from_secs(1800));
    if let Some(docker) = &args.docker {
        program = program.args([std::path::absolute(docker)?]);
    }
    let printed = program.quiet()?;
    let measured: Measured = serde_json::from_str(printed.trim())?;
    let milliseconds = |rounds: &[f64]| {
        let rounds: Vec<f64> = rounds.iter().map(|seconds| seconds * 1000.0).collect();
        median(&rounds).map_or("not measured".to_owned(), |of| of.cell(0, " ms"))
    };
    let middle = |rounds: &[f64]| median(rounds).map(|of| of.middle);
    let part = match (middle(&measured.landfall), middle(&measured.docker)) {
        (Some(own), Some(docker)) => format!("{:.2}", own / docker),
        _ => "not measured".to_owned(),
    };
    let memory: f64 = measured.memory.values().sum();
    let many = format!("RunTask to RUNNING of the last of {} tasks at once", args.many);
    let stopped = format!("StopTask to STOPPED of the last of these {}", args.many);
    page::put(
        "tasks",
        "Tasks",
        &[
            ("RunTask to RUNNING, the image's blobs on disk", milliseconds(&measured.landfall)),
            (
                "`docker run --detach --network none` of the same image, by turns",
                milliseconds(&measured.docker),
            ),
            ("Landfall's part of that", part),
            ("promised", "0.5".to_owned()),
            (&many, format!("{:.1} s", measured.many)),
            (&stopped, format!("{:.1} s", measured.stopped)),
            ("memory of an idle task besides its programs' own (proportional)", format!("{memory:.1} MiB")),
            ("promised", "6 MB".to_owned()),
        ],
    )
}
