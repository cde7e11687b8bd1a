//! The table at the end of a run.

use std::time::Duration;

use crate::Error;
use crate::program::Program;

/// Tests that a step ran.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Counts {
    /// The sum of the closing lines of test runners: `test result: ok. 3 passed; 0 failed; 1 ignored; …` of cargo, and
    /// `3 passed, 0 failed` of the oracle.
    pub(crate) fn of(output: &str) -> Self {
        let closing = |line: &&str| line.contains("test result:") || line.starts_with("oracle: ");
        let mut counts = Self::default();
        for line in output.lines().filter(closing) {
            for part in line.split([';', ',', '.', ':']) {
                let mut words = part.split_whitespace();
                let (Some(number), Some(what)) =
                    (words.next().and_then(|word| word.parse::<u64>().ok()), words.next())
                else {
                    continue;
                };
                match what {
                    "passed" => counts.passed += number,
                    "failed" => counts.failed += number,
                    "ignored" => counts.ignored += number,
                    _ => {}
                }
            }
        }
        counts
    }
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    took: Duration,
    counts: Counts,
    error: Option<String>,
}

/// The steps that were run.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Step>);

impl Report {
    /// Runs a program as a step and shows it. Whether it went well.
    pub(crate) fn step(&mut self, name: &'static str, program: Program) -> bool {
        let step = match program.show() {
            Ok(ended) => {
                let error = (!ended.status.success()).then(|| ended.status.to_string());
                Step { name, took: ended.took, counts: Counts::of(&ended.output), error }
            }
            Err(error) => {
                Step { name, took: Duration::ZERO, counts: Counts::default(), error: Some(error.to_string()) }
            }
        };
        let well = step.error.is_none();
        self.0.push(step);
        well
    }

    /// Notes a step that did not get as far as to run.
    pub(crate) fn failed(&mut self, name: &'static str, error: &Error) {
        self.0.push(Step {
            name,
            took: Duration::ZERO,
            counts: Counts::default(),
            error: Some(error.to_string()),
        });
    }

    /// Prints the table; an error when a step failed or nothing was tested.
    pub(crate) fn finish(self) -> Result<(), Error> {
        println!("\n{}", self.table());
        let failed: Vec<&str> =
            self.0.iter().filter(|step| step.error.is_some()).map(|step| step.name).collect();
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
    }

    fn table(&self) -> String {
        let mut table = format!(
            "{:<12} {:>8} {:>7} {:>7} {:>8}  result\n",
            "step", "seconds", "passed", "failed", "ignored"
        );
        for Step { name, took, counts: Counts { passed, failed, ignored }, error } in &self.0 {
            let tested = passed + failed + ignored > 0;
            let number = |number: &u64| if tested { number.to_string() } else { String::new() };
            let result = error.as_deref().unwrap_or("ok");
            table += &format!(
                "{name:<12} {:>8.1} {:>7} {:>7} {:>8}  {result}\n",
                took.as_secs_f64(),
                number(passed),
                number(failed),
                number(ignored),
            );
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, passed: u64, failed: u64, ignored: u64) {
        assert_eq!(Counts::of(output), Counts { passed, failed, ignored }, "{output}");
    }

    #[test]
    fn closing_lines_of_test_runners_are_summed() {
        check(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            3,
            0,
            1,
        );
        check(
            "test result: FAILED. 3 passed; 2 failed; 0 ignored\ntest result: ok. 4 passed; 0 failed",
            7,
            2,
            0,
        );
        check("oracle: 12 passed, 1 failed", 12, 1, 0);
        check("12 passed in somebody's own words", 0, 0, 0);
    }

    #[test]
    fn the_table_names_what_failed() {
        let step = |name, error: Option<&str>, passed| Step {
            name,
            took: Duration::from_millis(1250),
            counts: Counts { passed, ..Counts::default() },
            error: error.map(str::to_owned),
        };
        let report = Report(vec![step("build", None, 0), step("oracle", Some("exit status: 1"), 5)]);
        expect_test::expect![[r#"
            step          seconds  passed  failed  ignored  result
            build             1.2                           ok
            oracle            1.2       5       0        0  exit status: 1
        "#]]
        .assert_eq(&report.table());
        report.finish().unwrap_err();
    }
}
