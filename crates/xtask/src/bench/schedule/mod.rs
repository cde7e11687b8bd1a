//! What a change costs the scheduler: in a simulation on a virtual clock, and in rows beside many other services.

mod rows;
mod simulation;

use super::{page, statistics::median};
use crate::Error;

/// How many services there are beside the one that changes.
const FEW: u32 = 100;
const MANY: u32 = 10_000;

pub(crate) fn run(rounds: usize) -> Result<(), Error> {
    let few = simulation::run(FEW, 1)?;
    let many = simulation::run(MANY, 2)?;
    let of = |seen: &simulation::Seen| -> Result<String, Error> {
        let rounds = median(&seen.micros).ok_or("no changes")?;
        let mut sorted = seen.micros.clone();
        sorted.sort_by(f64::total_cmp);
        let late = sorted[sorted.len() * 99 / 100];
        Ok(format!("{:.1} µs, {late:.1} µs in 99 of 100", rounds.middle))
    };
    let story = format!(
        "{} services of {} tasks, {} minutes: {} changes, {} tasks started, {} deployments taken back",
        MANY,
        simulation::TASKS,
        many.clock.as_secs() / 60,
        many.changes,
        many.started,
        many.rolled_back
    );
    let beside = |services: u32| -> Result<[String; 3], Error> {
        let measured = rows::run(services, rounds)?;
        let cell = |micros: &[f64]| median(micros).map(|found| found.cell(0, " µs")).ok_or("no rounds");
        Ok([cell(&measured.report)?, cell(&measured.ended)?, cell(&measured.everything)?])
    };
    let [report_few, ended_few, everything_few] = beside(FEW)?;
    let [report_many, ended_many, everything_many] = beside(MANY)?;
    page::put(
        "schedule",
        "The scheduler",
        &[
            ("simulated, bounds checked after each change", story),
            ("planning a change among 100 services", of(&few)?),
            ("planning a change among 10,000 services", of(&many)?),
            ("in rows: a report that changes a task, 100 services", report_few),
            ("the same, 10,000 services with 100,000 tasks", report_many),
            ("in rows: a task ends and another is started, 100 services", ended_few),
            ("the same, 10,000 services with 100,000 tasks", ended_many),
            ("in rows: a look at everything, 100 services", everything_few),
            ("the same, 10,000 services with 100,000 tasks", everything_many),
        ],
    )
}
