//! `landfall flows`: what went through the VPCs and what was refused, as the agent recorded it.

mod choice;
pub mod owner;
mod print;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use agent::{Client, FlowRecord, FlowReport, Seen};
use clap::{Args, ValueEnum};
use types::Timestamp;

use crate::{status, terminal};
use choice::Choice;
pub use choice::duration;
use owner::Owner;

/// Nothing was recorded that fits.
const NOTHING: u8 = 3;
/// How long one question waits when records are followed.
const WAIT: Duration = Duration::from_secs(20);
/// How long an agent that does not answer is waited for before it is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// `landfall flows …`
#[derive(Debug, Clone, Args)]
pub struct FlowArgs {
    /// Go on as packets come
    #[arg(long, short)]
    pub follow: bool,
    /// As JSON; with --follow one document a line
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// As a table, or as lines of AWS's flow logs (version 2)
    #[arg(long, default_value = "table")]
    pub format: Format,
    #[command(flatten)]
    pub choice: Choice,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// `2 000000000001 eni-… 10.0.0.5 10.0.1.5 43210 80 6 10 4000 1795376690 1795376700 ACCEPT OK`
    Aws,
}

/// Shows records, oldest first.
///
/// # Errors
/// When Landfall does not run, or a name is nothing's.
pub fn run(state: &Path, args: &FlowArgs) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let client = Client::new(state);
    let mut report = match client.flows(None, Duration::ZERO) {
        Ok(report) => report,
        Err(_) if status::ask(state).is_none() => return Err(status::silence(state).into()),
        Err(error) => return Err(format!("the agent does not answer: {error}").into()),
    };
    let mut shown = Shown::new(state, args);
    if let Some(unknown) = args.choice.unknown(&shown.owners) {
        return Err(format!("{unknown}; `landfall status` lists what runs").into());
    }
    loop {
        shown.add(&report);
        if report.more {
            report = client.flows(Some(report.next), Duration::ZERO)?;
        } else if !args.follow {
            return Ok(shown.end());
        } else {
            report = follow(&client, state, report.next)?;
        }
    }
}

/// The next records. An agent that was killed is started again, and its numbers go on.
fn follow(client: &Client, state: &Path, next: u64) -> Result<FlowReport, String> {
    loop {
        match client.flows(Some(next), WAIT) {
            Ok(report) => return Ok(report),
            Err(_) if status::ask(state).is_none() => return Err(status::silence(state)),
            Err(_) => std::thread::park_timeout(AGAIN),
        }
    }
}

/// What was shown so far.
struct Shown<'a> {
    state: &'a Path,
    args: &'a FlowArgs,
    owners: BTreeMap<String, Owner>,
    account: String,
    colours: bool,
    /// What `--since` counts back from: what comes later is always shown.
    began: Timestamp,
    /// How many records fitted.
    count: usize,
    /// For JSON that is not followed: one document at the end.
    documents: Vec<serde_json::Value>,
    problems: Vec<String>,
}

impl<'a> Shown<'a> {
    fn new(state: &'a Path, args: &'a FlowArgs) -> Self {
        let mut shown = Self {
            state,
            args,
            owners: BTreeMap::new(),
            account: status::ask(state).map_or_else(|| "unknown".to_owned(), |status| status.account),
            colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            began: Timestamp::now(),
            count: 0,
            documents: Vec::new(),
            problems: Vec::new(),
        };
        shown.learn();
        shown
    }

    /// Asks who the interfaces belong to. What went meanwhile stays known.
    fn learn(&mut self) {
        let owners = status::owners(self.state).unwrap_or_default();
        self.owners.extend(owners.into_iter().map(|owner| (owner.interface.clone(), owner)));
    }

    fn add(&mut self, report: &FlowReport) {
        for problem in &report.problems {
            if !self.problems.contains(problem) {
                terminal::warn(problem);
                self.problems.push(problem.clone());
            }
        }
        if report.missed > 0 {
            terminal::warn(&format!("{} records were gone before they could be shown", report.missed));
        }
        let unknown = |record: &FlowRecord| match &record.seen {
            Seen::Flow(flow) => !self.owners.contains_key(flow.interface.as_str()),
            Seen::Skipped { .. } => false,
        };
        if report.records.iter().any(unknown) {
            self.learn();
        }
        for record in &report.records {
            if self.args.choice.fits(record, &self.owners, self.began) {
                self.show(record);
            }
        }
    }

    fn show(&mut self, record: &FlowRecord) {
        if self.args.json {
            let document = print::document(record, &self.owners, &self.account);
            match serde_json::to_value(document) {
                Ok(document) if self.args.follow => terminal::line(&document.to_string()),
                Ok(document) => self.documents.push(document),
                Err(error) => terminal::warn(&format!("a record cannot be JSON: {error}")),
            }
        } else if self.args.format == Format::Aws {
            terminal::line(&print::version_2(record, &self.owners, &self.account));
        } else {
            if self.count == 0 {
                terminal::line(&print::header());
            }
            terminal::line(&print::line(record, &self.owners, self.colours));
        }
        self.count += 1;
    }

    fn end(self) -> ExitCode {
        if self.args.json {
            terminal::line(&format!("{:#}", serde_json::Value::Array(self.documents)));
        }
        if self.count > 0 {
            return ExitCode::SUCCESS;
        }
        terminal::note(&format!(
            "nothing that fits was recorded. The newest {} records since the agent's start are kept",
            agent::flows::KEPT
        ));
        ExitCode::from(NOTHING)
    }
}

#[cfg(test)]
mod tests {
    use agent::network::Direction;
    use agent::{Action, Flow};
    use owner::Of;

    use super::*;

    pub fn flow() -> Flow {
        Flow {
            interface: "eni-0123456789abcdef0".into(),
            subnet: "subnet-0123456789abcdef0".into(),
            direction: Direction::Ingress,
            action: Action::Reject,
            source: [10, 20, 0, 10].into(),
            destination: [10, 20, 100, 97].into(),
            source_port: 43210,
            destination_port: 3000,
            protocol: 6,
            packets: 2,
            bytes: 120,
            packet_source: [10, 20, 0, 10].into(),
            packet_destination: [10, 20, 100, 97].into(),
            tcp_flags: 2,
            path: None,
            reason: Some(agent::network::INGRESS_DENIED.to_owned()),
        }
    }

    fn of(seen: Seen) -> FlowRecord {
        FlowRecord {
            vpc: "vpc-0123456789abcdef0".into(),
            start: Timestamp::from_millis(1_795_376_690_500),
            end: Timestamp::from_millis(1_795_376_700_000),
            seen,
        }
    }

    pub fn record(flow: Flow) -> FlowRecord {
        of(Seen::Flow(Box::new(flow)))
    }

    pub fn skipped() -> FlowRecord {
        of(Seen::Skipped { packets: 1234 })
    }

    pub fn owners() -> BTreeMap<String, Owner> {
        let interface = "eni-0123456789abcdef0".to_owned();
        let of = Of::Task { id: "0123abcd".repeat(4), service: Some("web".to_owned()) };
        let owner = Owner {
            interface: interface.clone(),
            account: "000000000001".to_owned(),
            security_groups: vec!["sg-0123456789abcdef0".to_owned()],
            of,
        };
        [(interface, owner)].into()
    }
}
