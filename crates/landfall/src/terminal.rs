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

/// Text on a terminal as it is, at once: what is drawn in place of something.
pub fn draw(text: &str) {
    let mut out = std::io::stdout().lock();
    // A terminal that is gone ends the program by a signal.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A line for a person, not part of the result.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// Something is not as it should be.
pub fn warn(text: &str) {
    eprintln!("landfall: {text}");
}
