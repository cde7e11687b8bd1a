//! Landfall's command line: reads the arguments, hands on to what they ask for.

mod background;
mod cli;
mod client;
mod demo;
mod doctor;
mod explain;
mod flows;
mod image;
mod internet;
mod logs;
mod losses;
mod named;
mod progress;
mod serve;
mod shell;
mod status;
mod terminal;
mod terraform;
mod top;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use background::Options;
use cli::{Cli, Command, ImageCommand, Role, Switch};
use doctor::Verdict;

/// Something failed.
const FAILED: u8 = 1;

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    // The single-threaded helpers of a shim, before anything makes a thread.
    if let Some(code) = shim::helper_main(std::env::args()) {
        return code;
    }
    // Who starts this program with signals blocked would hand that on to every role: none could be told to end.
    if let Err(error) = nix::sys::signal::SigSet::empty().thread_set_mask() {
        terminal::warn(&format!("blocked signals cannot be let through: {error}"));
    }
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            terminal::warn(&error.to_string());
            ExitCode::from(FAILED)
        }
    }
}

fn run(cli: &Cli) -> Outcome {
    // Roles are started with other working folders: a relative path would lead elsewhere there. Nor may a link stand
    // in it: mounts are listed under the folder that it leads to, and `down --purge` would delete the link alone.
    let state = without_links(&std::path::absolute(&cli.state_dir)?);
    let state = state.as_path();
    match &cli.command {
        Command::Serve(args) => serve::run(state, &Options::from(args), true)?,
        Command::Up(args) => {
            let status = background::up(state, args)?;
            if let Some(switch) = args.internet {
                internet::turn(state, switch == Switch::On)?;
            }
            terminal::line(&format!(
                "landfall is up: AWS API on http://{}, account {}. eval \"$(landfall env{})\" leads AWS tools to it",
                status.listen,
                status.account,
                cli::state_option(state)
            ));
        }
        Command::Down { purge } => {
            background::down(state, *purge)?;
            terminal::line("landfall is down");
        }
        Command::Env { json, region } => env(state, region, *json)?,
        Command::Status { json } => return show_status(state, *json),
        Command::Top(args) => return top::run(state, args),
        Command::Explain { from, to, port, protocol, tfstate, full, json } => {
            let ask = explain::Ask { from: from.clone(), to: to.clone(), port: *port, protocol: *protocol };
            return explain::run(state, &ask, tfstate.as_ref(), *json, *full);
        }
        Command::Logs(args) => return logs::run(state, args),
        Command::Shell { task, container, command } => {
            return shell::run(state, task, container.as_deref(), command);
        }
        Command::Internet(command) => return internet::run(state, command),
        Command::Flows(args) => return flows::run(state, args),
        Command::Image(ImageCommand::Import { source, repository, region }) => {
            image::import(state, source, repository, region)?;
        }
        Command::Doctor { json, listen } => return examine(state, *listen, *json),
        Command::Demo { destroy, json, serve } => demo::run(state, serve, *destroy, *json)?,
        Command::Operations => {
            let operation = |operation: &control::Operation| serde_json::json!({ "service": operation.service.model(), "operation": operation.name });
            let all: Vec<_> =
                control::Service::ALL.into_iter().flat_map(control::operations).map(operation).collect();
            terminal::line(&serde_json::to_string_pretty(&all)?);
        }
        Command::Role { role, dir } => role_main(*role, dir, state)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The same path with every link followed, as far as it exists.
fn without_links(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Err(_), Some(parent), Some(name)) => without_links(parent).join(name),
        (found, ..) => found.unwrap_or_else(|_| path.to_owned()),
    }
}

fn role_main(role: Role, dir: &Path, state: &Path) -> Result<(), Box<dyn std::error::Error>> {
    match role {
        Role::Agent => {
            let settings =
                agent::Settings { end: remove_tasks_cgroup, ..agent::Settings::of_this_program()? };
            agent::run_with(state, settings)?;
        }
        Role::Serve => {
            let options =
                background::options(state).ok_or("there is no serve/options.json: use `landfall up`")?;
            serve::run(state, &options, false)?;
        }
        Role::Shim => shim::run(dir, state)?,
        Role::Balancer => balancer::run(dir, state)?,
        Role::Edge => {
            // There is one wherever anything runs.
            background::guard_agent(state)?;
            edge::run(dir, state)?;
        }
        Role::Resolver => resolver::run(dir, state)?,
    }
    Ok(())
}

/// The control group of all tasks, which no single shim may remove.
fn remove_tasks_cgroup(state: &Path) -> Result<(), String> {
    let group = shim::tasks_cgroup(state).map_err(|error| error.to_string())?;
    group.remove().map_err(|error| error.to_string())
}

fn env(state: &Path, region: &str, json: bool) -> Result<(), Box<dyn std::error::Error>> {
    let region = types::Region::new(region)?;
    let status = status::ask(state).ok_or_else(|| status::silence(state))?;
    let keys = serve::keys::Keys::load(state)?.ok_or("the state folder has no keys")?;
    let client = client::Client { endpoint: status.listen, keys, region: region.to_string() };
    let variables = demo::environment(&client);
    if json {
        let map: std::collections::BTreeMap<_, _> = variables.into_iter().collect();
        terminal::line(&serde_json::to_string_pretty(&map)?);
    } else {
        for (name, value) in variables {
            terminal::line(&format!("export {name}='{value}'"));
        }
    }
    Ok(())
}

fn show_status(state: &Path, json: bool) -> Outcome {
    let Some(status) = status::ask(state) else {
        if json {
            terminal::line("null");
        }
        terminal::warn(&status::silence(state));
        return Ok(ExitCode::from(FAILED));
    };
    if json {
        terminal::line(&serde_json::to_string_pretty(&status)?);
    } else {
        terminal::line(status::table(&status).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn examine(state: &Path, listen: std::net::SocketAddr, json: bool) -> Outcome {
    let running = status::ask(state);
    let listen = running.as_ref().map_or(listen, |status| status.listen);
    let checks = doctor::examine(state, listen, std::net::Ipv4Addr::LOCALHOST, running.is_some());
    if json {
        terminal::line(&serde_json::to_string_pretty(&checks)?);
    } else {
        for check in &checks {
            let mark = match check.verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Problem => "PROBLEM",
            };
            terminal::line(&format!("{mark:<8} {:<13} {}", check.name, check.seen));
            if !check.remedy.is_empty() {
                terminal::line(&format!("         {:<13} → {}", "", check.remedy));
            }
        }
    }
    let fit = checks.iter().all(|check| check.verdict != Verdict::Problem);
    Ok(if fit { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_in_the_part_of_a_path_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap().join("real");
        std::fs::create_dir(&real).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(without_links(&link), real);
        assert_eq!(without_links(&link.join("not/yet")), real.join("not/yet"));
    }
}
