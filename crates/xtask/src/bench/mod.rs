//! `cargo xtask bench`: what is promised in numbers, measured.
//!
//! Each bench runs several rounds against the release binary and writes its table, with the command that made it, to its
//! own place in docs/benchmarks.md.

mod apply;
mod auth;
mod build;
mod logs;
mod memory;
mod network;
mod page;
mod peer;
mod schedule;
mod server;
mod service;
mod size;
mod startup;
mod statistics;
mod tasks;

use std::path::PathBuf;
use std::time::Duration;

use crate::program::Program;
use crate::{Error, repository};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    which: Which,
    /// Measure this binary instead of building one
    #[arg(long, global = true)]
    binary: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Which {
    /// From the start of `serve` to its first answer.
    Startup(Rounds),
    /// Signed requests a second: 10,000 distinct ones from two keys at 16 connections, 1 in 1,000 with a wrong signature.
    Auth(Rounds),
    /// Memory of all processes of a running stack, `landfall demo`'s for example.
    Memory(memory::Args),
    /// CreateService to the first 200, on a stack that `landfall demo` left running on 127.0.0.1.
    Service(memory::Args),
    /// The server time of all calls of the demo's apply; runs the demo and removes it.
    Apply,
    /// Packets through a VPC beside a plain pair of links, 1,000 interfaces from nothing, and the way of a security group
    /// rule from the API to the packets. As root.
    Network(network::Args),
    /// RunTask to RUNNING beside `docker run`, memory of idle tasks, many tasks at once. As root.
    Tasks(tasks::Args),
    /// A container that floods its log, in both modes of the awslogs driver. As root.
    Logs(logs::Args),
    /// What a change costs the scheduler: simulated, and in rows beside 10,000 services with 100,000 tasks.
    Schedule(Rounds),
    /// The stripped binary.
    Size,
    /// A clean release build.
    Build,
}

#[derive(Debug, clap::Args)]
struct Rounds {
    /// How often
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if cfg!(debug_assertions) && matches!(args.which, Which::Auth(_) | Which::Network(_) | Which::Schedule(_))
    {
        // The client side must not be what is measured.
        return again_optimised();
    }
    if args.binary.is_none() && !matches!(args.which, Which::Build | Which::Memory(_) | Which::Schedule(_)) {
        let build = Program::cargo().args(["build", "--release", "--package", "landfall"]);
        let ended = build.limit(Duration::from_secs(3600)).show()?;
        if !ended.status.success() {
            return Err("the release build failed".into());
        }
    }
    let binary = args.binary.clone().unwrap_or_else(|| repository::landfall("release"));
    let binary = std::path::absolute(binary)?;
    match &args.which {
        Which::Startup(rounds) => startup::run(&binary, rounds.rounds),
        Which::Auth(rounds) => auth::run(&binary, rounds.rounds),
        Which::Memory(args) => memory::run(args),
        Which::Service(args) => service::run(&binary, args),
        Which::Apply => apply::run(&binary),
        Which::Network(args) => network::run(&binary, args),
        Which::Tasks(args) => tasks::run(&binary, args),
        Which::Logs(args) => logs::run(&binary, args),
        Which::Schedule(rounds) => schedule::run(rounds.rounds),
        Which::Size => size::run(&binary),
        Which::Build => build::run(),
    }
}

fn again_optimised() -> Result<(), Error> {
    let program = Program::cargo()
        .args(["run", "--quiet", "--release", "--package", "xtask", "--"])
        .args(std::env::args_os().skip(1))
        .limit(Duration::from_secs(7200));
    if program.show()?.status.success() { Ok(()) } else { Err("the bench failed".into()) }
}
