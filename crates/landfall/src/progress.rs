//! Steps of long work: a spinner with the time taken on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal;

/// How steps are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// For a person.
    Steps,
    /// Not at all: the result is for a program.
    Nothing,
}

/// The steps of one piece of work.
#[derive(Debug)]
pub struct Steps {
    show: Show,
    number: usize,
    total: usize,
    /// How long each step took, by name.
    pub taken: Vec<(String, Duration)>,
}

/// A step that goes on.
#[derive(Debug)]
pub struct Step {
    bar: Option<ProgressBar>,
}

impl Step {
    /// What the step is at, shown on a terminal alone.
    pub fn at(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.chars().take(90).collect::<String>());
        }
    }
}

impl Steps {
    /// `total` steps are to come.
    pub fn new(show: Show, total: usize) -> Self {
        Self { show, number: 0, total, taken: Vec::new() }
    }

    /// Does one step and shows how it ended. `work` gives its result and a few words about it.
    ///
    /// # Errors
    /// The work's own.
    pub fn step<T, E>(
        &mut self,
        name: &str,
        work: impl FnOnce(&Step) -> Result<(T, String), E>,
    ) -> Result<T, E> {
        self.number += 1;
        let head = format!("{}/{}  {name}", self.number, self.total);
        let terminal = std::io::stderr().is_terminal();
        let bar = (self.show == Show::Steps && terminal).then(|| {
            let style = ProgressStyle::with_template("{spinner:.cyan} {prefix}  {elapsed:.dim}  {msg:.dim}");
            let bar = ProgressBar::new_spinner().with_prefix(head.clone());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if self.show == Show::Steps && !terminal {
            terminal::note(&format!("  {head} …"));
        }
        let step = Step { bar };
        let begun = Instant::now();
        let result = work(&step);
        let taken = begun.elapsed();
        self.taken.push((name.to_owned(), taken));
        if let Some(bar) = step.bar {
            bar.finish_and_clear();
        }
        if self.show == Show::Steps {
            let (mark, words) = match &result {
                Ok((_, words)) => ("ok", words.as_str()),
                Err(_) => ("failed", ""),
            };
            let (green, off) = match (terminal, result.is_ok()) {
                (true, true) => ("\u{1b}[32m", "\u{1b}[0m"),
                (true, false) => ("\u{1b}[31m", "\u{1b}[0m"),
                (false, _) => ("", ""),
            };
            terminal::note(&format!("  {green}{mark:<6}{off} {head}  {:.1} s  {words}", taken.as_secs_f64()));
        }
        result.map(|(value, _)| value)
    }
}
