//! docs/benchmarks.md: one part a bench, each replaced when its bench is run again.

use crate::{Error, repository};

const HEAD: &str = "# Benchmarks\n\nMedians of several rounds, in brackets the least and the most. Each table names the \
                    command that makes it again.\n";

/// Puts a bench's table into the page and prints it.
pub(crate) fn put(name: &str, title: &str, rows: &[(&str, String)]) -> Result<(), Error> {
    let mut part = format!(
        "## {title}\n\n`cargo xtask bench {name}` on {}\n\n| what | measured |\n| --- | --- |\n",
        machine()
    );
    for (what, measured) in rows {
        part += &format!("| {what} | {measured} |\n");
    }
    println!("\n{part}");
    let path = repository::root().join("docs/benchmarks.md");
    let old = std::fs::read_to_string(&path).unwrap_or_else(|_| HEAD.to_owned());
    std::fs::create_dir_all(repository::root().join("docs"))?;
    std::fs::write(&path, replaced(&old, name, &part))?;
    Ok(())
}

fn replaced(page: &str, name: &str, part: &str) -> String {
    let (begin, end) = (format!("<!-- bench {name} -->\n"), format!("<!-- end {name} -->\n"));
    let part = format!("{begin}{part}{end}");
    match (page.find(&begin), page.find(&end)) {
        (Some(from), Some(to)) if from < to => format!("{}{part}{}", &page[..from], &page[to + end.len()..]),
        _ => format!("{page}\n{part}"),
    }
}

/// `2 cores of …, Linux 6.1, load average of five minutes 0.10`
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processors", |(_, name)| name);
    // What else ran: a machine that was busy before measures itself, not Landfall.
    let load = read("/proc/loadavg").split(' ').nth(1).unwrap_or("unknown").to_owned();
    let system = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores of {model}, Linux {}, load average of five minutes {load}", system.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_replaces_its_own_part_of_the_page_alone() {
        let page = replaced(&replaced("head\n", "a", "one\n"), "b", "two\n");
        expect_test::expect![[r"
            head

            <!-- bench a -->
            three
            <!-- end a -->

            <!-- bench b -->
            two
            <!-- end b -->
        "]]
        .assert_eq(&replaced(&page, "a", "three\n"));
    }
}
