//! The answer to a question, from one look at the rows and the machine.

use control::{Machine, Settings};
use store::Snapshot;

use super::ends::{self, End};
use super::explanation::{Answer, Ask, Explanation, Level};
use super::pairs;
use super::reasons::{self, Reasons};
use super::world::World;

/// The most paths that an answer holds; the others look alike.
const MOST_PATHS: usize = 12;

/// Answers.
pub fn examine(
    rows: &Snapshot,
    settings: &Settings,
    machine: &Machine,
    agent: &agent::Client,
    ask: &Ask,
) -> Answer {
    let mut world = World::look(rows, settings, machine, agent);
    let mut reasons = Reasons::default();
    let outcome = match &ask.to {
        Some(to) => between(&mut world, ask, to, &mut reasons),
        None => alone(&mut world, ask, &mut reasons),
    };
    if let Err(why) = outcome {
        return Answer::Refused(why);
    }
    let Reasons { findings, mut paths } = reasons;
    let blocked = findings.iter().any(|finding| finding.level == Level::Blocks);
    let reachable =
        !blocked && paths.iter().all(|path| path.reachable) && !(paths.is_empty() && findings.is_empty());
    paths.sort_by_key(|path| path.reachable);
    let more_paths = paths.len().saturating_sub(MOST_PATHS);
    paths.truncate(MOST_PATHS);
    let subject = match &ask.to {
        Some(to) => format!("{} → {to}", ask.from),
        None => ask.from.clone(),
    };
    Answer::Explained(Box::new(Explanation {
        subject,
        reachable,
        findings,
        paths,
        more_paths,
        names: world.words(),
    }))
}

fn between(world: &mut World<'_>, ask: &Ask, asked: &str, reasons: &mut Reasons) -> Result<(), String> {
    let from = ends::find(world.rows, &ask.from).map_err(|error| error.to_string())?;
    let to = ends::find(world.rows, asked).map_err(|error| error.to_string())?;
    // The tasks of a service are asked in pairs: of one task alone nothing is left.
    let mut to_itself = false;
    for source in pairs::sources(world, &from)? {
        let (destinations, findings) = pairs::destinations(world, &source, &to)?;
        reasons.findings.extend(findings);
        for destination in destinations {
            if destination.end == source.end {
                to_itself = true;
                continue;
            }
            reasons.paths.extend(pairs::paths(world, &source, &destination, ask.port, ask.protocol)?);
        }
    }
    if to_itself && reasons.paths.is_empty() && reasons.findings.is_empty() {
        return Err(format!("{} and {asked} are one and the same: there is no path between them", ask.from));
    }
    Ok(())
}

fn alone(world: &mut World<'_>, ask: &Ask, reasons: &mut Reasons) -> Result<(), String> {
    match ends::find(world.rows, &ask.from).map_err(|error| error.to_string())? {
        End::LoadBalancer(balancer) => reasons::of_load_balancer(world, &balancer, None, reasons),
        End::Service(service) => reasons::of_service(world, &service, reasons),
        End::Task(task) => reasons::of_task(world, &task, reasons),
        End::Internet | End::Ecr | End::Address(_) | End::Interface(_) => {
            return Err(format!(
                "say also where the packets go: landfall explain {} <to>. Alone stands a load balancer, a service or a task",
                ask.from
            ));
        }
    }
    Ok(())
}
