//! Memory of all processes of a stack.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::page;
use crate::Error;

/// Which stack.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The state folder of a running Landfall
    #[arg(long, default_value = "/var/lib/landfall")]
    pub(super) state_dir: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let state = std::fs::canonicalize(&args.state_dir)?;
    let mut roles: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        if let Some((role, proportional)) = role_of(&path, &state) {
            let sum = roles.entry(role).or_default();
            *sum = (sum.0 + 1, sum.1 + proportional / 1024.0);
        }
    }
    if roles.is_empty() {
        return Err(format!("no Landfall runs with the state folder {}", state.display()).into());
    }
    let total: f64 = roles.values().map(|(_, memory)| memory).sum();
    let names: Vec<(String, String)> = roles
        .into_iter()
        .map(|(role, (count, memory))| (format!("`{role}`, {count} running"), format!("{memory:.1} MiB")))
        .collect();
    let mut rows: Vec<(&str, String)> =
        names.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    rows.push(("all", format!("{total:.1} MiB")));
    rows.push(("promised", "120 MB".to_owned()));
    page::put("memory", "Memory of a running stack (proportional set size)", &rows)
}

/// The role of a process of this state folder, and its proportional memory in KiB.
fn role_of(process: &Path, state: &Path) -> Option<(String, f64)> {
    let id: u32 = process.file_name()?.to_str()?.parse().ok()?;
    let words = std::fs::read(process.join("cmdline")).ok()?;
    let words: Vec<&str> =
        words.split(|&byte| byte == 0).filter_map(|word| std::str::from_utf8(word).ok()).collect();
    let is_ours = words.first()?.rsplit('/').next() == Some("landfall");
    let names_state =
        words.iter().any(|word| Path::new(word.trim_start_matches("--state-dir=")).starts_with(state));
    if !is_ours || !names_state {
        return None;
    }
    let after_role = words.iter().position(|&word| word == "role").and_then(|at| words.get(at + 1));
    let role = after_role.or_else(|| words.get(1))?;
    Some(((*role).to_owned(), rollup(id, "Pss:")?))
}

/// The resident memory of a process in KiB.
pub(crate) fn resident(process: u32) -> Result<f64, Error> {
    rollup(process, "Rss:").ok_or_else(|| "no memory figures in /proc: not root?".into())
}

fn rollup(process: u32, line: &str) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    text.lines().find_map(|found| found.strip_prefix(line))?.split_whitespace().next()?.parse().ok()
}
