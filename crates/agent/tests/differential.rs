//! The analysis against the packets: random small topologies, random questions, and for each question a real packet.
//!
//! `LANDFALL_DIFFERENTIAL_SEED=<seed>` runs the one topology of a seed that has failed, and
//! `LANDFALL_DIFFERENTIAL_TOPOLOGIES=<number>` more than the usual number of topologies.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "differential/dice.rs"]
mod dice;
#[path = "differential/draw.rs"]
mod draw;
#[path = "differential/probe.rs"]
mod probe;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use dice::Dice;
use probe::World;
use reachability::{Analysis, Code, Component, Counter, End, Query, RouteDecision, Topology, analyse};

/// Topologies in a run, and questions about each: more than 500 cases.
const TOPOLOGIES: u64 = 22;
const QUESTIONS: u16 = 25;

/// Topologies that have once failed, by what was wrong.
const KEPT: [(&str, u64); 6] = [
    ("an answer that a more specific route leads to another interface", 1_795_648_856_239_857),
    ("a VPC that nothing connects and that has the sender's own range", 1_795_648_856_239_863),
    ("an interface whose subnet's table leads its own traffic to a NAT gateway", 1_795_648_856_239_875),
    ("two NAT gateways whose subnets' routes lead to each other", 1_795_649_367_022_879),
    ("an answer from a peered VPC to an address that its sender only borrowed", 1_795_649_151_074_998),
    ("an answer to a peered VPC that leaves by the NAT gateway", 1_795_648_856_239_887),
];

/// What came of a run.
#[derive(Debug, Default)]
struct Tally {
    reachable: usize,
    /// Negatives that a counter told.
    counted: usize,
    /// Negatives that nothing counts: behind a gateway nobody has the address.
    silent: usize,
    /// Negatives that led a packet elsewhere, where whoever is there drops it, or has no use of it.
    astray: usize,
    /// Ways that are open for some of a NAT gateway's ports.
    open_for_some: usize,
    codes: BTreeMap<Code, usize>,
}

#[test]
fn the_analysis_and_the_packets_agree() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let seeds: Vec<u64> = match number("LANDFALL_DIFFERENTIAL_SEED") {
        Some(seed) => vec![seed],
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
            let first = u64::try_from(now).unwrap();
            let count = number("LANDFALL_DIFFERENTIAL_TOPOLOGIES").unwrap_or(TOPOLOGIES);
            (first..first + count).collect()
        }
    };
    eprintln!("seeds {} to {}", seeds[0], seeds[seeds.len() - 1]);
    let mut tally = Tally::default();
    let wrong: Vec<String> = seeds.into_iter().flat_map(|seed| disagreements(seed, &mut tally)).collect();
    eprintln!("{tally:#?}");
    assert!(wrong.is_empty(), "{} disagree:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn topologies_that_have_once_failed_agree() {
    for (name, seed) in KEPT {
        let wrong = disagreements(seed, &mut Tally::default());
        assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n\n"));
    }
}

fn disagreements(seed: u64, tally: &mut Tally) -> Vec<String> {
    let mut dice = Dice::new(seed);
    let topology = draw::topology(seed, &mut dice);
    let queries: Vec<Query> = (0..QUESTIONS)
        .map(|at| draw::query(&topology, 33000 + at * 7 + u16::from(dice.byte(7)), &mut dice))
        .collect();
    let wrong = compare(&topology, &queries, tally).into_iter();
    wrong.map(|complaint| format!("LANDFALL_DIFFERENTIAL_SEED={seed}\n{complaint}")).collect()
}

/// Asks each question, sends its packet, and says where the two disagree.
fn compare(topology: &Topology, queries: &[Query], tally: &mut Tally) -> Vec<String> {
    let world = World::new(topology);
    let mut wrong = Vec::new();
    for query in queries {
        let analysis = analyse(topology, query).unwrap();
        let header = &analysis.forward[0].header;
        let from = match &query.from {
            End::Interface(id) => Some(id.as_str()),
            _ => None,
        };
        let expected = expected(&analysis);
        let seen = world.send(topology, from, header, analysis.reachable || !expected.is_empty());
        let denied: BTreeSet<&(String, String)> = seen
            .rose
            .keys()
            .filter(|(_, name)| name.starts_with("denied/") && name != "denied/invalid")
            .filter(|(_, name)| name.matches('/').count() == 1)
            .collect();
        let complaint = if let Some((_, _, block)) = analysis.blocker() {
            *tally.codes.entry(block.code).or_default() += 1;
            if analysis.blockers().all(|(_, _, block)| block.partial) {
                tally.open_for_some += 1;
                continue;
            }
            if seen.answered {
                Some("the packet gets through")
            } else if goes_astray(&analysis) {
                tally.astray += 1;
                None
            } else if expected.is_empty() {
                tally.silent += 1;
                (!denied.is_empty()).then_some("another counter has risen")
            } else {
                tally.counted += 1;
                let told = denied.iter().any(|name| expected.contains(*name));
                let only = denied.iter().all(|name| expected.contains(*name));
                (!told || !only).then_some("not the counters of what blocks have risen")
            }
        } else {
            tally.reachable += 1;
            let missing = analysis.forward.iter().chain(&analysis.back).any(|hop| {
                let has_risen = |counter: &Counter| {
                    seen.rose.contains_key(&(counter.vpc.to_string(), counter.name.clone()))
                };
                !hop.counters.is_empty() && !hop.counters.iter().any(has_risen)
            });
            match (seen.answered, missing) {
                (false, _) => Some("the packet does not get through"),
                (true, true) => Some("not all counters of what lets it through have risen"),
                (true, false) => None,
            }
        };
        if let Some(complaint) = complaint {
            let (rose, way) = (&seen.rose, describe(&analysis));
            wrong.push(format!("{complaint}: {query:?}\n{way}\nrose: {rose:#?}\nexpected: {expected:#?}"));
        }
    }
    wrong
}

/// Whether the packet, or its answer, came to somebody else, or to somebody who does not take it: the analysis does not
/// follow it further, and what is said there may be counted.
fn goes_astray(analysis: &Analysis) -> bool {
    analysis.blockers().any(|(_, hop, block)| {
        let route = matches!(
            &hop.component,
            Component::RouteTable { decision: RouteDecision::Route { active: true, .. }, .. }
        );
        // In a circle between NAT gateways, until the packet is too old, which is said with ICMP.
        let circle = matches!(hop.component, Component::NatGateway { .. }) && hop.counters.is_empty();
        // What no program listens for in an endpoint's namespace is answered with ICMP, and that may be denied.
        let endpoint = block.code == Code::VpceGatewayProtocolRestriction;
        route || circle || endpoint || block.code == Code::DisconnectedVpcs
    })
}

/// The counters that have to rise: where a packet gets through those of all hops, else any one of those that block.
fn expected(analysis: &Analysis) -> BTreeSet<(String, String)> {
    let hops = analysis.forward.iter().chain(&analysis.back);
    hops.filter(|hop| hop.block.is_some() != analysis.reachable)
        .flat_map(|hop| &hop.counters)
        .filter(|counter| analysis.reachable || counter.name.starts_with("denied/"))
        .map(|counter| (counter.vpc.to_string(), counter.name.clone()))
        .collect()
}

fn describe(analysis: &Analysis) -> String {
    let ways = [("→", &analysis.forward), ("←", &analysis.back)];
    let mut text = Vec::new();
    for (arrow, hops) in ways {
        for hop in hops {
            let blocks =
                hop.block.as_ref().map(|block| format!(" BLOCKS {}", block.code)).unwrap_or_default();
            let header = &hop.header;
            let what = match &hop.component {
                Component::RouteTable { id, decision } => format!("{id} {decision:?}"),
                other => format!("{other:?}"),
            };
            text.push(format!("{arrow} {} → {} {what}{blocks}", header.source, header.destination));
        }
    }
    text.join("\n")
}
