//! Compiles the sample application, one file of std-only Rust, into a static binary that the demo packs into an image.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let app = PathBuf::from("../../examples/echo-service/app/echo.rs");
    println!("cargo::rerun-if-changed={}", app.display());
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let echo = PathBuf::from(variable("OUT_DIR")).join("echo");
    #[allow(clippy::disallowed_methods, reason = "the compiler is run here, and nothing at run time")]
    let output = Command::new(variable("RUSTC"))
        .args(["--edition", "2024", "--target", &variable("TARGET"), "-C", "target-feature=+crt-static"])
        .args(["-C", "opt-level=s", "-C", "panic=abort", "-C", "strip=symbols", "-o"])
        .arg(&echo)
        .arg(&app)
        .output()
        .unwrap_or_else(|error| panic!("rustc cannot be run: {error}"));
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let hint = if words.contains("libc.a") || words.contains("-lc") || words.contains("cannot find") {
            "\n\nThe C library cannot be linked statically: libc.a is missing. Install your C library's development \
             package: libc6-dev (Debian, Ubuntu), glibc-static (Fedora, RHEL), glibc (Arch)."
        } else {
            ""
        };
        panic!("the sample application cannot be compiled:\n{words}{hint}");
    }
}
