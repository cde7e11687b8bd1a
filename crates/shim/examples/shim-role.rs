//! The shim's role and its helpers as a program of their own, for the tests: `shim-role <role folder> <state folder>`, and
//! `shim-role shell <role folder> <container> <program> <argument>…`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = shim::helper_main(std::env::args()) {
        return code;
    }
    let words: Vec<String> = std::env::args().collect();
    if let [_, verb, dir, container, command @ ..] = &*words
        && verb == "shell"
    {
        let Ok(desired::Part { body: Some(desired::Body::Task(task)), .. }) =
            desired::role::RoleDir::new(dir).read_config()
        else {
            return ExitCode::from(2);
        };
        let Some(container) = task.containers.iter().find(|known| known.name == *container) else {
            return ExitCode::from(2);
        };
        return match shim::shell(dir.as_ref(), container, command) {
            Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
            Err(error) => failed(&error),
        };
    }
    let mut folders = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(dir), Some(state)) = (folders.next(), folders.next()) else { return ExitCode::from(2) };
    match shim::run(&dir, &state) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::FAILURE
}
