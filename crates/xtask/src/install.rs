//! What the tests need beyond the build.

use std::path::Path;
use std::time::Duration;

use crate::program::{Program, is_there};
use crate::{Error, repository};

/// Programs of the tests, and the Debian packages that hold them.
const PROGRAMS: &[(&str, &str)] = &[
    ("skopeo", "skopeo"),
    ("buildah", "buildah"),
    ("curl", "curl"),
    ("node", "nodejs"),
    ("nft", "nftables"),
    ("python3", "python3"),
];
/// `cargo deny`, as CI wants it.
const CARGO_DENY: &str = "0.20.2";

/// Debian packages that are missing. `nft` is the tests' second opinion; Landfall itself does not use it.
pub(crate) fn debian_packages() -> Result<(), Error> {
    let mut missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    if is_there("python3") && Program::new("python3").args(["-c", "import ensurepip, venv"]).quiet().is_err()
        || missing.contains(&"python3")
    {
        missing.push("python3-venv");
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !is_there("apt-get") {
        return Err(format!(
            "the tests need {}: install them, or leave them out with --no-install",
            missing.join(", ")
        )
        .into());
    }
    println!("installing what the tests need: {}", missing.join(", "));
    run("apt-get", &["update", "-q"])?;
    let install = ["install", "-q", "-y", "--no-install-recommends"];
    run("apt-get", &[&install, &missing[..]].concat())
}

/// Runs a program that installs something; it must succeed.
fn run(program: impl AsRef<Path>, args: &[&str]) -> Result<(), Error> {
    let program = program.as_ref();
    let ended = Program::new(program)
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .limit(Duration::from_secs(900))
        .show()?;
    if ended.status.success() { Ok(()) } else { Err(format!("{} failed", program.display()).into()) }
}

/// Debian's Redis with the libraries that this machine lacks, in a folder of its own: an image is made of it. Nothing is
/// installed, and no daemon is started.
pub(crate) fn redis() -> Result<(), Error> {
    let folder = repository::redis();
    if folder.join("usr/bin/redis-server").exists() {
        return Ok(());
    }
    println!("fetching Debian's Redis into {}", folder.display());
    let packages = folder.join("packages");
    std::fs::create_dir_all(packages.join("partial"))?;
    let archives = format!("Dir::Cache::archives={}", packages.display());
    let fetch =
        ["install", "-q", "-y", "--no-install-recommends", "--reinstall", "--download-only", "-o", &archives];
    let fetched = run("apt-get", &[&fetch[..], &["redis-server"]].concat());
    if fetched.is_err() {
        run("apt-get", &["update", "-q"])?;
        run("apt-get", &[&fetch[..], &["redis-server"]].concat())?;
    }
    for package in std::fs::read_dir(&packages)? {
        let package = package?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            run("dpkg", &["-x", &package.to_string_lossy(), &folder.to_string_lossy()])?;
        }
    }
    Ok(())
}

/// The Python environment of the oracle: made once, and again when its list of packages changes.
pub(crate) fn python_environment() -> Result<(), Error> {
    let folder = repository::python_environment();
    let wanted = std::fs::read_to_string(repository::root().join("oracle/requirements.txt"))?;
    let stamp = folder.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
        return Ok(());
    }
    println!("making the Python environment of the tests in {}", folder.display());
    let path = folder.to_string_lossy();
    run("python3", &["-m", "venv", "--clear", &path])?;
    let pip = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "oracle/requirements.txt"];
    run(folder.join("bin/python"), &pip)?;
    std::fs::write(stamp, wanted)?;
    Ok(())
}

/// `cargo deny`: built once, which takes minutes.
pub(crate) fn cargo_deny() -> Result<(), Error> {
    if is_there("cargo-deny") || Program::cargo().args(["deny", "--version"]).quiet().is_ok() {
        return Ok(());
    }
    println!("installing cargo-deny {CARGO_DENY}: this takes some minutes");
    let ended = Program::new("nice")
        .args(["cargo", "install", "--locked", "--version", CARGO_DENY, "cargo-deny"])
        .limit(Duration::from_secs(1800))
        .show()?;
    if ended.status.success() { Ok(()) } else { Err("cargo-deny could not be installed".into()) }
}
