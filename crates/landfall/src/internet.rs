//! `landfall internet`: pretend hosts, and whether the internet that VPCs see is the real one.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use control::Machine;
use control::internet::{self, Called, Host, Mapping, Place};
use desired::{InternetHostStatus, Visit};
use serde::{Deserialize, Serialize};
use store::{Snapshot, Store};
use sys::netlink::Netlink;

use crate::background::wait_for;
use crate::cli::InternetCommand;
use crate::{status, terminal};

/// How long the machine has for what was asked for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `serve` is asked about the internet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Put a pretend host there.
    Map {
        /// Where it stands.
        place: Place,
        /// Where its packets shall arrive.
        to: SocketAddr,
    },
    /// Take it away.
    Unmap {
        /// Where it stands.
        place: Place,
    },
    /// Show what is there.
    List,
    /// Turn the way to the real network on or off.
    Turn {
        /// On.
        on: bool,
    },
    /// Whether the machine has done what a commit asked for.
    Done(Commit),
}

/// What is waited for after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The commit's number.
    number: u64,
    /// Whether names changed as well.
    names: bool,
}

/// What `serve` answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Mapped.
    Mapped(Mapping, Commit),
    /// No longer mapped.
    Unmapped(Host, Commit),
    /// What is there.
    Listed(Internet),
    /// Turned.
    Turned(Commit),
    /// See [`Question::Done`].
    Done(bool),
    /// Not done, and why.
    Refused(String),
}

/// The internet as VPCs see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Internet {
    /// Whether what leaves through an internet gateway goes on to the real network.
    pub internet: bool,
    /// The pretend hosts.
    pub hosts: Vec<Shown>,
}

/// A pretend host as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Its name or address, with its port if it has one alone.
    pub host: String,
    /// Its public address inside.
    pub address: std::net::Ipv4Addr,
    /// Where its packets arrive.
    pub to: SocketAddr,
    /// How many connections and UDP flows there were since the edge began.
    pub visits: u64,
    /// The last of them, the newest first.
    pub recent: Vec<Came>,
}

/// A connection or UDP flow as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Came {
    /// When it came.
    pub at: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Where it came from, as seen outside.
    pub source: SocketAddr,
    /// The port that it was sent to.
    pub port: u16,
    /// Why it was not led on.
    pub error: Option<String>,
}

impl Came {
    fn new(visit: &Visit) -> Self {
        Self {
            at: visit.at.iso(),
            protocol: if visit.tcp { "tcp" } else { "udp" }.to_owned(),
            source: visit.source.into(),
            port: visit.port,
            error: visit.error.clone(),
        }
    }
}

impl Shown {
    fn new(host: &Host, seen: Option<&InternetHostStatus>) -> Self {
        Self {
            host: host.place.to_string(),
            address: host.address,
            to: host.to,
            visits: seen.map_or(0, |seen| seen.visits),
            recent: seen.map_or_else(Vec::new, |seen| seen.recent.iter().map(Came::new).collect()),
        }
    }
}

/// Answers a question from the rows and the machine's reports.
pub fn answer(store: &Store, machine: &Machine, question: Question) -> Answer {
    let refused = |error: &dyn std::fmt::Display| Answer::Refused(error.to_string());
    match question {
        Question::Map { place, to } => {
            if let Err(why) = check(to, internet::is_on(&store.snapshot())) {
                return Answer::Refused(why);
            }
            let written = store.write(move |rows| {
                let names = is_new_name(rows, &place);
                let mapping = internet::map(rows, place, to)?;
                let number = if mapping.before == Some(to) { 0 } else { rows.next_sequence() };
                Ok::<_, internet::NotMapped>((mapping, Commit { number, names }))
            });
            match written {
                Ok(Ok((mapping, commit))) => Answer::Mapped(mapping, commit),
                Ok(Err(error)) => refused(&error),
                Err(error) => refused(&error),
            }
        }
        Question::Unmap { place } => {
            let written = store.write(move |rows| {
                let host = internet::unmap(rows, &place)?;
                let commit = Commit { number: rows.next_sequence(), names: is_new_name(rows, &host.place) };
                Ok::<_, internet::NotMapped>(((*host).clone(), commit))
            });
            match written {
                Ok(Ok((host, commit))) => Answer::Unmapped(host, commit),
                Ok(Err(error)) => refused(&error),
                Err(error) => refused(&error),
            }
        }
        Question::List => Answer::Listed(gather(store, machine)),
        Question::Turn { on } => {
            let written = store.write(move |rows| {
                let number = if internet::is_on(rows) == on { 0 } else { rows.next_sequence() };
                internet::turn(rows, on);
                Ok::<_, std::convert::Infallible>(Commit { number, names: number > 0 })
            });
            match written {
                Ok(Ok(commit)) => Answer::Turned(commit),
                Err(error) => refused(&error),
            }
        }
        Question::Done(commit) => {
            let reports = machine.reports();
            let edge = reports.edge.as_ref().map(|edge| edge.generation);
            let names = reports.names.as_ref().map(|names| names.generation);
            let reached = |generation: Option<u64>| generation >= Some(commit.number);
            Answer::Done(reached(edge) && (!commit.names || reached(names)))
        }
    }
}

/// Whether a place has a name that no pretend host has: with its first the name appears, with its last it goes.
fn is_new_name(rows: &Snapshot, place: &Place) -> bool {
    matches!(place.host, Called::Name(_)) && !internet::hosts(rows).any(|host| host.place.host == place.host)
}

/// A pretend host is a socket of this machine; with the internet on it may be any.
fn check(to: SocketAddr, internet: bool) -> Result<(), String> {
    if to.port() == 0 {
        return Err(format!("{to} has no port"));
    }
    if to.ip().is_unspecified() {
        return Err(format!("{} is no address to connect to: use 127.0.0.1", to.ip()));
    }
    let own =
        Netlink::open().and_then(|mut netlink| netlink.is_own(to.ip())).map_err(|error| error.to_string())?;
    if own || internet {
        return Ok(());
    }
    Err(format!(
        "{} is no address of this machine, and nothing may leave it while the internet is off: \
         `landfall internet on` allows it",
        to.ip()
    ))
}

fn gather(store: &Store, machine: &Machine) -> Internet {
    let rows = store.snapshot();
    let reports = machine.reports();
    let hosts = internet::hosts(&rows).map(|host| {
        let mut reported = reports.edge.iter().flat_map(|edge| &edge.internet_hosts);
        let of = |seen: &&InternetHostStatus| (seen.address, seen.port) == (host.address, host.place.port);
        Shown::new(&host, reported.find(of))
    });
    Internet { internet: internet::is_on(&rows), hosts: hosts.collect() }
}

/// Runs a command.
///
/// # Errors
/// When `serve` does not run or refuses.
pub fn run(state: &Path, command: &InternetCommand) -> Result<ExitCode, Box<dyn std::error::Error>> {
    match command {
        InternetCommand::Map { place, to, json } => {
            let question = Question::Map { place: place.clone(), to: resolve(to)? };
            let Answer::Mapped(mapping, commit) = ask(state, &question)? else { return Err(confused()) };
            settle(state, commit)?;
            show(*json, &Shown::new(&mapping.host, None), || mapped(&mapping))?;
        }
        InternetCommand::Unmap { place, json } => {
            let question = Question::Unmap { place: place.clone() };
            let Answer::Unmapped(host, commit) = ask(state, &question)? else { return Err(confused()) };
            settle(state, commit)?;
            show(*json, &Shown::new(&host, None), || format!("{} is no longer mapped", host.place))?;
        }
        InternetCommand::List { json } => {
            let internet = list(state)?;
            show(*json, &internet, || table(&internet))?;
        }
        InternetCommand::On => {
            turn(state, true)?;
            terminal::line(described(true));
        }
        InternetCommand::Off => {
            turn(state, false)?;
            terminal::line(described(false));
        }
        InternetCommand::Status { json } => {
            let on = list(state)?.internet;
            show(*json, &serde_json::json!({ "internet": on }), || described(on).to_owned())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Turns the way to the real network on or off, and waits until it is.
///
/// # Errors
/// When `serve` does not run or refuses.
pub fn turn(state: &Path, on: bool) -> Result<(), Box<dyn std::error::Error>> {
    let Answer::Turned(commit) = ask(state, &Question::Turn { on })? else { return Err(confused()) };
    settle(state, commit)
}

fn list(state: &Path) -> Result<Internet, Box<dyn std::error::Error>> {
    match ask(state, &Question::List)? {
        Answer::Listed(internet) => Ok(internet),
        _ => Err(confused()),
    }
}

fn confused() -> Box<dyn std::error::Error> {
    "what runs is of another version: `landfall down`, then `landfall up`".into()
}

fn ask(state: &Path, question: &Question) -> Result<Answer, Box<dyn std::error::Error>> {
    match status::ask_internet(state, question.clone()) {
        Some(Answer::Refused(why)) => Err(why.into()),
        Some(answer) => Ok(answer),
        None => Err(status::silence(state).into()),
    }
}

/// Waits until the machine has done it, so that the next packet is treated by it.
fn settle(state: &Path, commit: Commit) -> Result<(), Box<dyn std::error::Error>> {
    let done = || matches!(ask(state, &Question::Done(commit)), Ok(Answer::Done(true))).then_some(());
    wait_for(PATIENCE, done).ok_or_else(|| {
        "it is noted, but the machine has not done it yet: `landfall status` shows what keeps it".into()
    })
}

/// The socket that `<host>:<port>` names; IPv4 before IPv6, as with most servers on loopback.
fn resolve(text: &str) -> Result<SocketAddr, String> {
    let found: Vec<SocketAddr> =
        text.to_socket_addrs().map_err(|error| format!("'{text}' is no <host>:<port>: {error}"))?.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("'{text}' has no address"))
}

fn show<T: Serialize>(json: bool, value: &T, text: impl FnOnce() -> String) -> Result<(), serde_json::Error> {
    terminal::line(&if json { serde_json::to_string_pretty(value)? } else { text() });
    Ok(())
}

fn described(on: bool) -> &'static str {
    if on {
        "the internet is on: what leaves a VPC through an internet gateway goes on to the real network"
    } else {
        "the internet is off: what leaves a VPC through an internet gateway reaches pretend hosts alone"
    }
}

fn mapped(mapping: &Mapping) -> String {
    let Host { place, address, to } = &mapping.host;
    let address = match place.host {
        Called::Name(_) => format!(" ({address})"),
        Called::Address(_) => String::new(),
    };
    let before = mapping.before.filter(|before| before != to);
    let before = before.map_or_else(String::new, |before| format!(", no longer to {before}"));
    format!("{place}{address} leads to {to}{before}")
}

/// The internet as a person reads it.
fn table(internet: &Internet) -> String {
    let mut lines = vec![described(internet.internet).to_owned()];
    if internet.hosts.is_empty() {
        lines.push(
            "no pretend hosts: `landfall internet map api.example.com:443 127.0.0.1:9000` makes one".into(),
        );
    }
    for host in &internet.hosts {
        let Shown { host, address, to, visits, recent } = host;
        let visits = if *visits == 1 { "1 visit".to_owned() } else { format!("{visits} visits") };
        lines.push(format!("{host}  {address} → {to}  {visits}"));
        for visit in recent {
            let Came { at, protocol, source, port, .. } = visit;
            let error = visit.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            lines.push(format!("    {at}  {protocol} from {source} to port {port}{error}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::sync::Arc;

    fn serve() -> (tempfile::TempDir, Arc<Store>, Machine) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("landfall.db"), &control::tables()).unwrap();
        (folder, Arc::new(store), Machine::default())
    }

    fn map(place: &str, to: &str) -> Question {
        Question::Map { place: place.parse().unwrap(), to: to.parse().unwrap() }
    }

    #[test]
    fn only_sockets_of_this_machine_are_mapped_while_the_internet_is_off() {
        let (_folder, store, machine) = serve();
        let mut seen = String::new();
        for to in ["127.0.0.1:9000", "127.9.9.9:1", "[::1]:80", "192.0.2.7:80", "0.0.0.0:80", "127.0.0.1:0"] {
            let line = match answer(&store, &machine, map("api.example.com:443", to)) {
                Answer::Mapped(mapping, _) => mapped(&mapping),
                Answer::Refused(why) => why,
                other => panic!("{other:?}"),
            };
            seen += &format!("{line}\n");
        }
        expect![[r#"
            api.example.com:443 (198.19.128.1) leads to 127.0.0.1:9000
            api.example.com:443 (198.19.128.1) leads to 127.9.9.9:1, no longer to 127.0.0.1:9000
            api.example.com:443 (198.19.128.1) leads to [::1]:80, no longer to 127.9.9.9:1
            192.0.2.7 is no address of this machine, and nothing may leave it while the internet is off: `landfall internet on` allows it
            0.0.0.0 is no address to connect to: use 127.0.0.1
            127.0.0.1:0 has no port
        "#]]
        .assert_eq(&seen);
        assert!(matches!(answer(&store, &machine, Question::Turn { on: true }), Answer::Turned(_)));
        let outside = answer(&store, &machine, map("api.example.com:443", "192.0.2.7:80"));
        assert!(matches!(outside, Answer::Mapped(..)), "{outside:?}");
    }

    #[test]
    fn the_list_tells_of_visits_by_the_address_seen_outside() {
        let (_folder, store, machine) = serve();
        let listed = || match answer(&store, &machine, Question::List) {
            Answer::Listed(internet) => table(&internet),
            other => panic!("{other:?}"),
        };
        expect![[r#"
            the internet is off: what leaves a VPC through an internet gateway reaches pretend hosts alone
            no pretend hosts: `landfall internet map api.example.com:443 127.0.0.1:9000` makes one"#]]
        .assert_eq(&listed());
        answer(&store, &machine, map("api.example.com", "127.0.0.1:9000"));
        answer(&store, &machine, map("203.0.113.7:53", "127.0.0.1:5300"));
        let visit = Visit {
            at: types::Timestamp::from_millis(1_790_000_000_000),
            tcp: true,
            source: "198.18.0.3:41234".parse().unwrap(),
            port: 443,
            error: Some("Connection refused (os error 111)".to_owned()),
        };
        machine.observe(desired::Observation::Edge(desired::EdgeStatus {
            generation: 2,
            internet_hosts: vec![InternetHostStatus {
                address: "198.19.128.1".parse().unwrap(),
                port: None,
                visits: 1,
                recent: vec![visit],
            }],
            ..desired::EdgeStatus::default()
        }));
        expect![[r#"
            the internet is off: what leaves a VPC through an internet gateway reaches pretend hosts alone
            203.0.113.7:53  203.0.113.7 → 127.0.0.1:5300  0 visits
            api.example.com  198.19.128.1 → 127.0.0.1:9000  1 visit
                2026-09-21T14:13:20.000Z  tcp from 198.18.0.3:41234 to port 443: Connection refused (os error 111)"#]].assert_eq(&listed());
    }

    #[test]
    fn a_change_is_done_when_the_machine_says_so_and_none_is_done_at_once() {
        let (_folder, store, machine) = serve();
        let done = |commit| match answer(&store, &machine, Question::Done(commit)) {
            Answer::Done(done) => done,
            other => panic!("{other:?}"),
        };
        let Answer::Mapped(_, commit) = answer(&store, &machine, map("203.0.113.7", "127.0.0.1:9000")) else {
            panic!("not mapped")
        };
        assert!(!done(commit));
        let status = |generation| {
            machine.observe(desired::Observation::Edge(desired::EdgeStatus {
                generation,
                ..desired::EdgeStatus::default()
            }));
        };
        status(commit.number - 1);
        assert!(!done(commit));
        status(commit.number);
        assert!(done(commit));
        let Answer::Mapped(_, again) = answer(&store, &machine, map("203.0.113.7", "127.0.0.1:9000")) else {
            panic!("not mapped")
        };
        assert!(done(again));
    }
}
