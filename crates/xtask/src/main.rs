//! `cargo xtask`: what developers and CI run.
//!
//! ```text
//! cargo xtask test [--no-install] [filter…]   every test, the end-to-end ones included
//! cargo xtask ci                              test, plus format, clippy and cargo deny
//! cargo xtask coverage [--check]              docs/coverage.md from the table of operations and the oracle
//! cargo xtask bench <which>                   docs/benchmarks.md
//! ```
#![allow(clippy::print_stdout, reason = "a tool for the terminal")]
#![allow(clippy::disallowed_methods, reason = "its work is to run other programs")]

mod bench;
mod ci;
mod coverage;
mod install;
mod oracle;
mod program;
mod report;
mod repository;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "What developers and CI run")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every test: all crates, the oracle, end to end.
    Test(test::Args),
    /// What CI runs: format, clippy, cargo deny, and every test.
    Ci(ci::Args),
    /// Write docs/coverage.md: which operations and fields are supported.
    Coverage(coverage::Args),
    /// Measure, and write docs/benchmarks.md.
    Bench(bench::Args),
}

/// Why a command failed, in words for the terminal.
type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    program::end_children_with_us();
    let result = match Args::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Ci(args) => ci::run(&args),
        Command::Coverage(args) => coverage::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nerror: {error}");
            ExitCode::FAILURE
        }
    }
}
