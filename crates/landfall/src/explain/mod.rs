//! `landfall explain`: why something does or does not answer. `serve` looks (it has the rows and asks the agent), the
//! command line names things as Terraform does and prints.

mod ends;
mod examine;
mod explanation;
mod pairs;
mod pull;
mod reasons;
mod text;
mod tfstate;
mod world;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use examine::examine;
pub use explanation::{Answer, Ask, Protocol};

use crate::{status, terminal};
use text::{Colours, Names, Style};
use tfstate::Addresses;

/// Not reachable.
const NOT_REACHABLE: u8 = 1;
/// The question makes no sense, or nobody answers.
const USAGE: u8 = 2;

/// Asks and prints. The exit code is 0 for reachable, 1 for not, 2 for a question that cannot be answered.
///
/// # Errors
/// When the output cannot be made.
pub fn run(
    state: &Path,
    ask: &Ask,
    tfstate: Option<&PathBuf>,
    json: bool,
    full: bool,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let terraform = match terraform(tfstate) {
        Ok(terraform) => terraform,
        Err(error) => {
            terminal::warn(&error.to_string());
            return Ok(ExitCode::from(USAGE));
        }
    };
    let mut explanation = match status::explain(state, ask) {
        Some(Answer::Explained(explanation)) => explanation,
        Some(Answer::Refused(why)) => {
            terminal::warn(&why);
            return Ok(ExitCode::from(USAGE));
        }
        None => {
            terminal::warn(&status::silence(state));
            return Ok(ExitCode::from(USAGE));
        }
    };
    text::put_into_words(&mut explanation, &terraform);
    let words = explanation.names.clone();
    let names = Names::new(&words, &terraform);
    if json {
        let (verdict, remedy) = text::verdict(&explanation, &names);
        let mut document = serde_json::to_value(&explanation)?;
        document["verdict"] = verdict.into();
        document["remedy"] = remedy.into();
        terminal::line(&serde_json::to_string_pretty(&document)?);
    } else {
        let colours = Colours(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none());
        let style = Style { colours, brief: ask.to.is_none(), full };
        terminal::line(text::render(&explanation, &names, style).trim_end());
    }
    Ok(if explanation.reachable { ExitCode::SUCCESS } else { ExitCode::from(NOT_REACHABLE) })
}

/// The state file that was named, or the one of this folder if there is one.
fn terraform(named: Option<&PathBuf>) -> Result<Addresses, tfstate::StateError> {
    match named {
        Some(path) => Addresses::read(path),
        None => {
            let path = Path::new(tfstate::DEFAULT);
            if path.is_file() { Addresses::read(path) } else { Ok(Addresses::default()) }
        }
    }
}
