//! `cargo xtask coverage`: the public page of what is supported.

use crate::report::Report;
use crate::{Error, oracle, repository};

/// What to do with the page.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fail when the page is not what it should be, instead of writing it
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    crate::test::build().quiet()?;
    crate::install::python_environment()?;
    let mut report = Report::default();
    if report.step("oracle", oracle::program()?)
        && let Err(error) = write(args.check)
    {
        report.failed("coverage", &error);
    }
    report.finish()
}

/// Writes the page from the oracle's results, or checks that it is as it would be written.
pub(crate) fn write(check: bool) -> Result<(), Error> {
    let page = repository::root().join("docs/coverage.md");
    let results = oracle::results();
    let fresh =
        std::fs::read_to_string(&results).map_err(|error| format!("{}: {error}", results.display()))?;
    let fresh: Results = serde_json::from_str(&fresh)?;
    if !check {
        std::fs::create_dir_all(repository::root().join("docs"))?;
        std::fs::write(&page, fresh.page)?;
        println!("written: {}", page.display());
        return Ok(());
    }
    if std::fs::read_to_string(&page).unwrap_or_default() == fresh.page {
        return Ok(());
    }
    Err("docs/coverage.md is not up to date: run `cargo xtask coverage`".into())
}

/// What the oracle leaves.
#[derive(Debug, serde::Deserialize)]
struct Results {
    /// The coverage page, in Markdown.
    page: String,
}
