//! `landfall logs`: what containers wrote, from the tasks' folders, or the events of a log group.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ::logs::Pattern;
use serde_json::{Value, json};
use types::Timestamp;

use crate::client::{CallError, Client};
use crate::flows::duration;
use crate::serve::keys::Keys;
use crate::{named, status, terminal};

/// How often new lines are looked for.
const FOLLOW: Duration = Duration::from_millis(300);
/// How far back a followed group is looked at again: events come in late.
const LATE: i64 = 10_000;

/// `landfall logs`
#[derive(Debug, clap::Args)]
pub struct LogArgs {
    /// A service's name, a task's id or ARN, or a log group's name
    name: String,
    /// Go on as they write
    #[arg(long, short)]
    follow: bool,
    /// Of the last 30s, 5m, 2h or 1d
    #[arg(long, value_parser = duration, value_name = "TIME")]
    since: Option<Duration>,
    /// What matches a filter pattern of CloudWatch Logs: `ERROR`, `"two words"`, `{ $.status = 5* }`
    #[arg(long, value_name = "PATTERN")]
    filter: Option<String>,
    /// A JSON document a line
    #[arg(long)]
    json: bool,
    /// The log group's region
    #[arg(long, default_value = "ap-northeast-2")]
    region: String,
}

/// Prints the lines that are asked for, oldest first.
///
/// # Errors
/// When a log cannot be read.
pub fn run(state: &Path, args: &LogArgs) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let pattern = Pattern::parse(args.filter.as_deref().unwrap_or_default())?;
    let millis = |since: Duration| i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let since = args.since.map(|since| Timestamp::now().as_millis().saturating_sub(millis(since)));
    let since = Timestamp::from_millis(since.unwrap_or(0));
    if !find(state, &args.name).is_empty() {
        return of_tasks(state, args, &pattern, since);
    }
    if let Some(group) = Group::find(state, args)? {
        return group.print(args, since);
    }
    if status::ask(state).is_none() {
        return Err(named::silence(state, &args.name).into());
    }
    terminal::warn(&format!(
        "there is no service or task '{0}' with logs, and no log group '{0}' in {1}; `landfall status` lists services \
         and tasks",
        args.name, args.region
    ));
    Ok(ExitCode::FAILURE)
}

/// The time of the last line that was shown, and how many lines of that time were.
type Shown = BTreeMap<(String, String), (Timestamp, usize)>;

fn of_tasks(
    state: &Path,
    args: &LogArgs,
    pattern: &Pattern,
    since: Timestamp,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut shown = Shown::new();
    loop {
        let mut lines = Vec::new();
        for (id, dir) in &find(state, &args.name) {
            for container in containers(dir) {
                let (last, count) =
                    shown.entry((id.clone(), container.clone())).or_insert((Timestamp::from_millis(0), 0));
                let mut same = *count;
                for line in shim::logs::read(dir, &container)? {
                    if line.time < *last {
                        continue;
                    }
                    if line.time == *last && same > 0 {
                        same -= 1;
                        continue;
                    }
                    (*last, *count) = (line.time, if line.time == *last { *count + 1 } else { 1 });
                    if line.time < since || !pattern.matches(&line.message) {
                        continue;
                    }
                    let text = if args.json {
                        json!({
                            "time": line.time.iso(), "task": id, "container": container, "stream": line.stream,
                            "message": line.message,
                        })
                        .to_string()
                    } else {
                        let short = &id[..8.min(id.len())];
                        format!("{} {short}/{container} {}", line.time.iso(), line.message)
                    };
                    lines.push((line.time, text));
                }
            }
        }
        // Of one time, in the order in which they were read.
        lines.sort_by_key(|(time, _)| *time);
        for (_, text) in lines {
            terminal::line(&text);
        }
        if !args.follow {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::park_timeout(FOLLOW);
    }
}

/// A log group, asked for as any client asks.
struct Group {
    client: Client,
    name: String,
}

impl Group {
    /// The group of the name that is asked for, if there is one.
    fn find(state: &Path, args: &LogArgs) -> Result<Option<Self>, Box<dyn std::error::Error>> {
        let Some(status) = status::ask(state) else { return Ok(None) };
        let keys = Keys::load(state)?.ok_or("the state folder has no keys")?;
        let region = types::Region::new(&args.region)?.to_string();
        let client = Client { endpoint: status.listen, keys, region };
        let answer =
            client.logs("DescribeLogGroups", &json!({"logGroupNamePrefix": args.name}).to_string())?;
        let named = answer["logGroups"].as_array().into_iter().flatten();
        let found = named.into_iter().any(|group| group["logGroupName"] == args.name.as_str());
        Ok(found.then(|| Self { client, name: args.name.clone() }))
    }

    /// All events from a time on that match, page by page.
    fn events(&self, args: &LogArgs, from: i64) -> Result<Vec<Value>, CallError> {
        let (mut all, mut token) = (Vec::new(), Value::Null);
        loop {
            let mut request = json!({"logGroupName": self.name, "startTime": from});
            if let Some(filter) = &args.filter {
                request["filterPattern"] = json!(filter);
            }
            if !token.is_null() {
                request["nextToken"] = token;
            }
            let answer = self.client.logs("FilterLogEvents", &request.to_string())?;
            all.extend(answer["events"].as_array().cloned().unwrap_or_default());
            token = answer["nextToken"].clone();
            if token.is_null() {
                return Ok(all);
            }
        }
    }

    fn print(&self, args: &LogArgs, since: Timestamp) -> Result<ExitCode, Box<dyn std::error::Error>> {
        let mut from = since.as_millis();
        let mut seen: BTreeMap<String, i64> = BTreeMap::new();
        loop {
            for event in self.events(args, from)? {
                let id = event["eventId"].as_str().unwrap_or_default().to_owned();
                let time = event["timestamp"].as_i64().unwrap_or(0);
                if seen.insert(id, time).is_some() {
                    continue;
                }
                from = from.max(time - LATE);
                let text = |name: &str| event[name].as_str().unwrap_or_default();
                let at = Timestamp::from_millis(time).iso();
                terminal::line(&if args.json {
                    json!({"time": at, "logStream": text("logStreamName"), "message": text("message")})
                        .to_string()
                } else {
                    format!("{at} {} {}", text("logStreamName"), text("message"))
                });
            }
            if !args.follow {
                return Ok(ExitCode::SUCCESS);
            }
            seen.retain(|_, time| *time >= from);
            std::thread::park_timeout(FOLLOW);
        }
    }
}

/// The containers that have a log in a task's folder.
fn containers(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir.join("logs")).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".log")?.to_owned())).collect();
    names.sort();
    names
}

/// The tasks that a name means (an id, an ARN, a service's name) with their folders: a running one's own, or where the
/// logs of a stopped one are kept for an hour.
fn find(state: &Path, name: &str) -> Vec<(String, PathBuf)> {
    let id = name.rsplit('/').next().unwrap_or(name).to_owned();
    let tasks = named::of_service(state, name);
    let mut ids: Vec<String> = tasks.running.into_iter().chain(tasks.ended).collect();
    ids.push(id);
    let folders =
        ids.iter().flat_map(|id| ["tasks", "logs"].map(|folder| (id.clone(), state.join(folder).join(id))));
    // An id of a person's own making must not lead out of the state folder.
    folders
        .filter(|(id, folder)| id.chars().all(|c| c.is_ascii_hexdigit()) && folder.join("logs").is_dir())
        .collect()
}
