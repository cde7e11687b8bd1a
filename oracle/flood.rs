//! Prints lines of a kilobyte at a rate, as the bench of logs asks: `RATE` bytes a second for `SECONDS`. The last line tells
//! how many lines there were and how long they took, in milliseconds; it comes two seconds later, when there is room again
//! in a buffer that was full.

use std::io::Write;
use std::time::{Duration, Instant};

const LINE: usize = 1024;
const TICKS: u64 = 100;

fn main() -> std::io::Result<()> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(1_u64);
    let (rate, seconds) = (number("RATE"), number("SECONDS"));
    let (begun, mut lines) = (Instant::now(), 0_u64);
    let mut out = std::io::stdout().lock();
    for tick in 0..seconds * TICKS {
        let mut text = Vec::new();
        for _ in 0..rate / TICKS / LINE as u64 {
            lines += 1;
            let at = text.len();
            write!(text, "{lines} ")?;
            text.resize(at + LINE - 1, b'x');
            text.push(b'\n');
        }
        out.write_all(&text)?;
        let due = Duration::from_millis(1000 / TICKS) * (tick + 1) as u32;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    let took = begun.elapsed().as_millis();
    std::thread::sleep(Duration::from_secs(2));
    writeln!(out, "LAST {lines} {took}")
}
