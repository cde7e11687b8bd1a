//! The shim's role and its helpers as a program of their own, for the tests: `shim-role <role folder> <state folder>`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = shim::helper_main(std::env::args()) {
        return code;
    }
    let mut folders = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(dir), Some(state)) = (folders.next(), folders.next()) else { return ExitCode::from(2) };
    match shim::run(&dir, &state) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}
