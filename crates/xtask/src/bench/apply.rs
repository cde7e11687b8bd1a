//! What Landfall itself takes of the demo's Terraform runs.

use std::path::Path;
use std::time::Duration;

use super::page;
use crate::Error;
use crate::program::Program;

/// One run is enough: it sums hundreds of calls, and takes a minute and a half.
pub(crate) fn run(binary: &Path) -> Result<(), Error> {
    let folder = tempfile::Builder::new().prefix("lf-bench-").tempdir()?;
    let state = folder.path().join("s");
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let listen = format!("127.0.0.1:{port}");
    let printed = Program::new(binary)
        .args([
            "demo",
            "--json",
            "--destroy",
            "--host-address",
            "127.86.0.1",
            "--listen",
            &listen,
            "--state-dir",
        ])
        .args([&state])
        .limit(Duration::from_secs(600))
        .quiet();
    if printed.is_err() {
        // A demo that failed leaves its stack to be looked at; a bench leaves nothing.
        Program::new(binary)
            .args(["down", "--purge", "--state-dir"])
            .args([&state])
            .limit(Duration::from_secs(300))
            .quiet()?;
    }
    let summary: serde_json::Value = serde_json::from_str(&printed?)?;
    let calls = &summary["status"]["calls"];
    let (count, seconds) =
        calls["count"].as_u64().zip(calls["seconds"].as_f64()).ok_or("the summary has no calls")?;
    page::put(
        "apply",
        "Terraform's calls",
        &[
            ("calls of the demo's `terraform apply`, the one with -target included", count.to_string()),
            ("server time of all of them, from the whole request to its answer", format!("{seconds:.2} s")),
            ("promised", "2 s".to_owned()),
        ],
    )
}
