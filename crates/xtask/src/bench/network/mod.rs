//! What the enforcement costs packets, and how long it takes to change.
//!
//! All packets stay inside namespaces of the bench's own.

mod rule_change;
mod topology;
mod traffic;

use std::path::Path;
use std::time::{Duration, Instant};

use super::{page, statistics::median};
use crate::Error;
use crate::program::Program;
use topology::{Place, Plain};
use traffic::Measured;

/// The rules of both kinds in all groups together.
const RULES: usize = 500;
/// How long the release build and the bench may take together.
const LIMIT: Duration = Duration::from_secs(1800);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many interfaces are many; the promises speak of 1,000
    #[arg(long, default_value_t = 1000)]
    interfaces: usize,
    /// How often packets are measured on each place
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How often the many interfaces are made
    #[arg(long, default_value_t = 5)]
    makings: usize,
    /// How often a rule is added, and removed
    #[arg(long, default_value_t = 21)]
    changes: usize,
}

/// Runs this bench in a release build of this program.
fn built_for_release(binary: &Path, args: &Args) -> Result<(), Error> {
    let numbers = [
        ("--interfaces", args.interfaces),
        ("--rounds", args.rounds),
        ("--makings", args.makings),
        ("--changes", args.changes),
    ];
    let numbers: Vec<String> =
        numbers.iter().flat_map(|(name, number)| [(*name).to_owned(), number.to_string()]).collect();
    let ended = Program::cargo()
        .args(["run", "--release", "--quiet", "--package", "xtask", "--", "bench", "--binary"])
        .args([binary])
        .args(["network"])
        .args(&numbers)
        .limit(LIMIT)
        .show()?;
    if ended.status.success() { Ok(()) } else { Err("the bench of the network failed".into()) }
}

pub(crate) fn run(binary: &Path, args: &Args) -> Result<(), Error> {
    // The agent's own code makes the interfaces in this process: it has to be built as it is shipped.
    if cfg!(debug_assertions) {
        return built_for_release(binary, args);
    }
    let many = args.interfaces;
    let mut rows: Vec<(String, String)> = Vec::new();
    for interfaces in [2, many] {
        let plain = Plain::make()?;
        let place = Place::make(interfaces, RULES)?;
        // In turns, so that what else the machine does meets both alike.
        let (mut own, mut bare): (Vec<Measured>, Vec<Measured>) = (Vec::new(), Vec::new());
        for round in 0..args.rounds {
            bare.push(traffic::measure(&plain.ends())?);
            own.push(traffic::measure(&place.ends())?);
            println!("{interfaces} interfaces, round {round}: {:?} beside {:?}", own[round], bare[round]);
        }
        for (what, promised, of) in [
            ("TCP throughput", " (promised: ≥ 0.9)", (|one| one.bytes_a_second) as fn(&Measured) -> f64),
            ("round trip", " (promised: ≤ 1.3)", |one| one.round_trip),
            ("new connections a second", "", |one| one.connections_a_second),
        ] {
            let ratios: Vec<f64> = own.iter().zip(&bare).map(|(own, bare)| of(own) / of(bare)).collect();
            let cell = median(&ratios).ok_or("no rounds")?.cell(2, "");
            let what =
                format!("{what} at {interfaces} interfaces and {RULES} rules, as a ratio to a plain pair");
            rows.push((what, format!("{cell}{promised}")));
        }
    }
    let mut makings = Vec::new();
    for round in 0..args.makings {
        let begun = Instant::now();
        let place = Place::make(many, RULES)?;
        makings.push(begun.elapsed().as_secs_f64());
        println!("{many} interfaces from nothing, round {round}: {:.2} s", makings[round]);
        drop(place);
    }
    let cell = median(&makings).ok_or("no rounds")?.cell(2, " s");
    rows.push((format!("{many} interfaces from nothing"), format!("{cell} (promised: ≤ 2.5 s)")));
    let changes = rule_change::measure(binary, many, RULES, args.changes)?;
    for (what, promised, times) in [("added", "10", changes.added), ("removed", "25", changes.removed)] {
        let cell = median(&times).ok_or("no rounds")?.cell(1, " ms");
        let what = format!("from the API's answer to the first packet judged, a rule {what}");
        rows.push((what, format!("{cell} (promised: ≤ {promised} ms)")));
    }
    let rows: Vec<(&str, String)> = rows.iter().map(|(what, cell)| (what.as_str(), cell.clone())).collect();
    page::put("network", "The network", &rows)
}
