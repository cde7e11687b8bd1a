//! An image with the Python, the boto3 and the libraries of this machine, and a program for them.

use registry::image::{Builder, Image};

use crate::stack::Stack;

/// Prints, as JSON, the interpreter's file, the files of its library, those of boto3 with the models of the services that are
/// named, and the shared objects that all of them need.
const FILES: &str = r#"
import json, os, subprocess, sys, sysconfig
import boto3, botocore, s3transfer, jmespath, dateutil, urllib3, six

services = sys.argv[1:]
program = os.path.realpath(sys.executable)
left_out = {"test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3", "__pycache__", "site-packages", "turtledemo"}

def below(folder, models=False):
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in left_out and not name.startswith("config-") and (not models or name in services or "-" in name)]
        yield from (os.path.join(path, name) for name in names)

library = list(below(sysconfig.get_paths()["stdlib"]))
packages = {}
for module in (boto3, botocore, s3transfer, jmespath, dateutil, urllib3):
    folder = os.path.dirname(module.__file__)
    data = os.path.join(folder, "data")
    for path in below(folder):
        if not path.startswith(data + os.sep):
            packages[path] = os.path.relpath(path, os.path.dirname(folder))
    if os.path.isdir(data):
        for path in below(data, models=True):
            packages[path] = os.path.relpath(path, os.path.dirname(folder))
packages[six.__file__] = "six.py"

objects, seen = set(), [program] + [path for path in library if ".so" in os.path.basename(path)]
for line in subprocess.run(["ldd", *seen], capture_output=True, text=True).stdout.splitlines():
    words = line.split()
    path = words[2] if "=>" in words and len(words) > 2 else words[0] if words else ""
    if path.startswith("/") and not path.endswith(":"):
        objects.add(path)
for path in list(objects):
    for name in ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"):
        beside = os.path.join(os.path.dirname(path), name)
        if os.path.basename(path).startswith("libc.so") and os.path.exists(beside):
            objects.add(beside)
print(json.dumps({"program": program, "library": library + sorted(objects), "packages": packages}))
"#;

#[derive(serde::Deserialize)]
struct Files {
    program: String,
    library: Vec<String>,
    packages: std::collections::BTreeMap<String, String>,
}

/// The image of a program of Python's that uses boto3 for some services.
pub(crate) fn python_image(stack: &Stack, program: &str, services: &[&str]) -> Image {
    // The one that `cargo xtask test` installed boto3 for, else the one on the PATH.
    let python = std::env::var("LANDFALL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let arguments: Vec<&str> = ["-c", FILES].into_iter().chain(services.iter().copied()).collect();
    let printed = stack.run(&python, &arguments);
    assert!(printed.status.success(), "{}", crate::stack::text(&printed));
    let files: Files = serde_json::from_slice(&printed.stdout).unwrap();
    let read = |path: &str| std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut image = Builder::new()
        .file(&files.program, 0o755, read(&files.program))
        .file("/main.py", 0o644, program.as_bytes().to_vec())
        .environment(&["PYTHONPATH=/packages", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"])
        .entry_point(&[&files.program, "/main.py"]);
    for path in &files.library {
        image = image.file(path, 0o755, read(path));
    }
    for (path, inside) in &files.packages {
        image = image.file(&format!("/packages/{inside}"), 0o644, read(path));
    }
    image.build().unwrap()
}
