//! `landfall top`: what each task uses, as it goes on.
//!
//! The agent reads the counters; `serve` gives names, and while it does not answer the tasks' own folders do.

mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use agent::Client;
use desired::role::RoleDir;
use desired::{Body, Host, HostError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use serde_json::json;
use sys::usage::interface_counters;
use types::Timestamp;

use crate::status::{self, Status};
use crate::terminal;
use table::{Counters, Group, Known, Reading};

/// How long after the first reading the second is taken, from which the first screen is made.
const FIRST: Duration = Duration::from_secs(1);

/// `landfall top …`
#[derive(Debug, Clone, clap::Args)]
pub struct TopArgs {
    /// A service, a task (its id, the beginning of it, or its ARN) or a cluster [default: everything]
    pub name: Option<String>,
    /// Print one table and end, as without a terminal
    #[arg(long)]
    pub once: bool,
    /// As JSON: one document a reading, a line each
    #[arg(long)]
    pub json: bool,
    /// How often the counters are read
    #[arg(long, default_value = "2", value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub interval: u16,
}

/// What is waited for between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The next reading is due.
    Reading,
    /// The window has another size.
    Resized,
    /// It was told to end.
    End,
}

/// Shows what tasks use until it is told to end.
///
/// # Errors
/// When Landfall does not run, or a name is nothing's.
pub fn run(state: &Path, args: &TopArgs) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let on_terminal = std::io::stdout().is_terminal();
    let goes_on = !args.once && (args.json || on_terminal);
    let client = Client::new(state);
    let mut names = Names::ask(state);
    let mut before = names.read(&client).map_err(|error| silence(state, &error))?;
    if let Some(name) = args.name.as_deref().filter(|name| !names.has(name, &before)) {
        let words = "there is no service, task or cluster";
        return Err(format!("{words} '{name}' that runs; `landfall status` lists what runs").into());
    }
    // They are waited for rather than taken at once, so that nothing ends in the middle of a line.
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGWINCH] {
        signals.add(signal);
    }
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let interval = Duration::from_secs(args.interval.into());
    let mut screen = Screen::default();
    let mut pause = interval.min(FIRST);
    loop {
        let mut next = wait(&signals, pause)?;
        while next == Next::Resized {
            screen.resized();
            next = wait(&signals, pause)?;
        }
        if next == Next::End {
            return Ok(ExitCode::SUCCESS);
        }
        pause = interval;
        names = Names::ask(state);
        let after = match names.read(&client) {
            Ok(after) => after,
            // An agent that was killed is started again.
            Err(error) if !goes_on || names.status.is_none() => return Err(silence(state, &error)),
            Err(error) => {
                if !args.json {
                    screen.note(&format!("the agent does not answer, it is asked again: {error}"));
                }
                continue;
            }
        };
        let groups = names.groups(&before, &after, args.name.as_deref());
        let note =
            names.status.is_none().then_some("serve does not answer: status, health and age are not known");
        if args.json {
            let seconds = after.at.since(before.at).as_secs_f64();
            let document = json!({
                "time": after.at.iso(), "seconds": seconds, "serve": names.status.is_some(), "groups": groups,
            });
            terminal::line(&document.to_string());
        } else if goes_on {
            screen.show(&groups, note);
        } else {
            terminal::line(&table::lines(&groups, None).join("\n"));
            if let Some(note) = note {
                terminal::warn(note);
            }
        }
        if !goes_on {
            return Ok(ExitCode::SUCCESS);
        }
        before = after;
    }
}

/// Why there are no counters.
fn silence(state: &Path, error: &HostError) -> Box<dyn std::error::Error> {
    match status::ask(state) {
        None => status::silence(state).into(),
        Some(_) => format!("the agent does not answer: {error}").into(),
    }
}

/// Waits for a signal, at most so long.
fn wait(signals: &SignalFd, pause: Duration) -> nix::Result<Next> {
    let timeout = PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], timeout)?;
    let resized = u32::try_from(Signal::SIGWINCH as i32).ok();
    Ok(match signals.read_signal()? {
        None => Next::Reading,
        Some(signal) if Some(signal.ssi_signo) == resized => Next::Resized,
        Some(_) => Next::End,
    })
}

/// What is known of the tasks, and where it is from.
struct Names<'a> {
    state: &'a Path,
    /// None: `serve` does not answer.
    status: Option<Status>,
    tasks: BTreeMap<String, Known>,
}

impl<'a> Names<'a> {
    fn ask(state: &'a Path) -> Self {
        let status = status::ask(state);
        let now = Timestamp::now().epoch_seconds();
        let tasks = status.iter().flat_map(|status| &status.tasks).map(|task| {
            let known = Known {
                cluster_arn: task.cluster_arn.clone(),
                group: task.group.clone(),
                status: task.status.clone(),
                health: task.health.clone(),
                age: Some(Duration::try_from_secs_f64(now - task.created_at).unwrap_or_default().as_secs()),
                cpu: task.cpu,
                memory: task.memory,
                interface: task.interface.clone(),
            };
            (task.id.clone(), known)
        });
        let tasks = tasks.collect();
        Self { state, status, tasks }
    }

    /// The counters of all tasks. What `serve` did not name is named by its folder.
    fn read(&mut self, client: &Client) -> Result<Reading, HostError> {
        let usage = client.usage()?;
        let mut reading = Reading { at: usage.at, tasks: BTreeMap::new() };
        for (id, used) in usage.tasks {
            let id = id.to_string();
            if !self.tasks.contains_key(&id) {
                self.tasks.extend(in_folder(self.state, &id).map(|known| (id.clone(), known)));
            }
            let network = self.tasks.get(&id).and_then(|known| network(self.state, &known.interface));
            reading.tasks.insert(id, Counters { cpu: used.cpu, memory: used.memory, network });
        }
        Ok(reading)
    }

    /// Whether a name is something's.
    fn has(&self, name: &str, reading: &Reading) -> bool {
        let mut services = self.status.iter().flat_map(|status| &status.services);
        self.tasks.iter().any(|(id, known)| known.is_called(id, name))
            || reading.tasks.keys().any(|id| id.starts_with(name))
            || services.any(|service| service.name == name || service.cluster == name)
    }

    fn groups(&self, before: &Reading, after: &Reading, name: Option<&str>) -> Vec<Group> {
        let desired = |task: &Known| {
            let services = &self.status.as_ref()?.services;
            let it = services.iter().find(|service| {
                Some(service.name.as_str()) == task.service()
                    && service.cluster == task.cluster()
                    && service.region == task.region()
            });
            it.map(|service| service.desired)
        };
        let Some(name) = name else { return table::groups(before, after, &self.tasks, desired) };
        let fits = |id: &str| {
            self.tasks.get(id).map_or_else(|| id.starts_with(name), |known| known.is_called(id, name))
        };
        let known = self.tasks.iter().filter(|(id, _)| fits(id));
        let known = known.map(|(id, known)| (id.clone(), known.clone())).collect();
        let mut after = after.clone();
        after.tasks.retain(|id, _| fits(id));
        table::groups(before, &after, &known, desired)
    }
}

/// What a task's folder says of it.
fn in_folder(state: &Path, id: &str) -> Option<Known> {
    let part = RoleDir::new(state.join("tasks").join(id)).read_config().ok()?;
    let Some(Body::Task(task)) = part.body else { return None };
    let group = match task.metadata.service.as_str() {
        "" => format!("family:{}", task.metadata.family),
        service => format!("service:{service}"),
    };
    Some(Known {
        cluster_arn: task.metadata.cluster,
        group,
        cpu: task.cpu,
        memory: task.memory,
        interface: task.interface.to_string(),
        ..Known::default()
    })
}

/// The bytes that came in and went out at an interface.
fn network(state: &Path, interface: &str) -> Option<(u64, u64)> {
    if interface.is_empty() {
        return None;
    }
    let namespace = state.join("netns").join(interface);
    let counters = sys::netns::within(&namespace, || interface_counters("eth0")).ok()?.ok()??;
    Some((counters.received.bytes, counters.sent.bytes))
}

/// What was drawn on the terminal, which the next drawing replaces.
#[derive(Debug, Default)]
struct Screen {
    lines: Vec<String>,
    /// How many lines the cursor is below the first.
    drawn: usize,
}

impl Screen {
    fn show(&mut self, groups: &[Group], note: Option<&str>) {
        let size = sys::terminal::size(std::io::stdout());
        self.lines = table::lines(groups, size.map(|(columns, _)| columns));
        if groups.is_empty() {
            self.lines.push("no tasks".to_owned());
        }
        self.draw(note);
    }

    /// A line below the last table.
    fn note(&mut self, note: &str) {
        self.draw(Some(note));
    }

    /// Lines were broken anew: all that is on the screen goes.
    fn resized(&mut self) {
        terminal::draw("\x1b[2J\x1b[H");
        self.drawn = 0;
        self.draw(None);
    }

    fn draw(&mut self, note: Option<&str>) {
        let size = sys::terminal::size(std::io::stdout());
        let (text, drawn) = frame(&self.lines, note, size, self.drawn);
        terminal::draw(&text);
        self.drawn = drawn;
    }
}

/// What draws lines in the place of so many that were drawn before, and how many it draws. The cursor is hidden only
/// meanwhile, so that whatever ends the program leaves it. The window's last line is the cursor's.
fn frame(
    lines: &[String],
    note: Option<&str>,
    size: Option<(usize, usize)>,
    before: usize,
) -> (String, usize) {
    let (columns, rows) = size.unwrap_or((usize::MAX, usize::MAX));
    let room = rows.saturating_sub(1 + usize::from(note.is_some())).max(1);
    let cut = |line: &str| line.chars().take(columns).collect::<String>();
    let mut all: Vec<String> = lines.iter().take(room).map(|line| cut(line)).collect();
    if let (Some(first), true) = (all.first_mut(), !lines.is_empty()) {
        *first = format!("\x1b[7m{first}\x1b[0m");
    }
    if lines.len() > room
        && let Some(last) = all.last_mut()
    {
        *last = cut(&format!("… {} lines more: name a service or a cluster", lines.len() - room + 1));
    }
    all.extend(note.map(cut));
    let up = if before > 0 { format!("\x1b[{before}A") } else { String::new() };
    let body: String = all.iter().map(|line| format!("\x1b[2K{line}\n")).collect();
    (format!("\x1b[?25l{up}\r{body}\x1b[J\x1b[?25h"), all.len())
}
