//! What a person reads: lines on standard output and error, colours on a terminal alone.
#![allow(clippy::print_stderr, reason = "this is the one place that prints")]

use std::io::Write;

/// How a shell reports a program that SIGPIPE ended.
const BROKEN_PIPE: i32 = 128 + 13;

/// A line of a command's result. When nobody reads on (`landfall flows | head`) the program ends.
pub fn line(text: &str) {
    let written = writeln!(std::io::stdout().lock(), "{text}");
    if written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        std::process::exit(BROKEN_PIPE);
    }
}

/// A line for a person, not part of the result.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// Something is not as it should be.
pub fn warn(text: &str) {
    eprintln!("landfall: {text}");
}
