//! What a person reads: lines on standard output and error, colours on a terminal alone.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the one place that prints")]

/// A line of a command's result.
pub fn line(text: &str) {
    println!("{text}");
}

/// A line for a person, not part of the result.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// Something is not as it should be.
pub fn warn(text: &str) {
    eprintln!("landfall: {text}");
}
