//! Images of real programs, made as a user makes them: files in a folder, `buildah` in place of `docker build` and
//! `docker push`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cases::registry_login;
use crate::stack::{Stack, text};

/// A root file system that is being made.
pub(crate) struct Image<'a> {
    stack: &'a Stack,
    root: PathBuf,
}

impl<'a> Image<'a> {
    /// An empty one in the stack's folder.
    pub(crate) fn new(stack: &'a Stack, name: &str) -> Self {
        let root = stack.state.join("images").join(name).join("root");
        for folder in ["tmp", "etc"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
        Self { stack, root }
    }

    /// Puts a file there.
    pub(crate) fn file(self, from: &Path, to: &str) -> Self {
        let to = self.root.join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        self
    }

    /// Puts a program there with the libraries that it is linked with, some of which are in a folder of their own.
    pub(crate) fn program(mut self, from: &Path, to: &str, libraries: Option<&Path>) -> Self {
        let folder = libraries.map(|folder| format!("LD_LIBRARY_PATH={}", folder.display()));
        let from = from.to_str().unwrap();
        let arguments: Vec<&str> = folder.as_deref().into_iter().chain(["ldd", from]).collect();
        let linked = text(&self.stack.run("env", &arguments));
        for line in linked.lines() {
            let path = line.split_whitespace().find(|word| word.starts_with('/'));
            let Some(path) = path else { continue };
            let inside = libraries.and_then(|folder| Path::new(path).strip_prefix(folder).ok());
            let to = inside
                .map_or(path.to_owned(), |name| format!("/usr/lib/x86_64-linux-gnu/{}", name.display()));
            self = self.file(Path::new(path), &to);
        }
        self.file(Path::new(from), to)
    }

    /// Makes the image and pushes it to a repository of the stack, with the tag `latest`.
    pub(crate) fn push(self, repository: &str, entry_point: &[&str], command: &[&str]) {
        let folder = self.root.parent().unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (storage, runroot, policy) = (path("storage"), path("run"), path("policy.json"));
        fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
        let own = ["--storage-driver", "vfs", "--root", &storage, "--runroot", &runroot];
        let buildah = |words: &[&str]| {
            let output = self.stack.run("buildah", &[&own[..], words].concat());
            assert!(output.status.success(), "buildah {words:?}: {}", text(&output));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let list = |words: &[&str]| serde_json::to_string(words).unwrap();
        let container = buildah(&["from", "scratch"]);
        buildah(&["copy", &container, &path("root"), "/"]);
        buildah(&["config", "--entrypoint", &list(entry_point), "--cmd", &list(command), &container]);
        buildah(&["commit", "--signature-policy", &policy, &container, repository]);
        let login = registry_login(self.stack);
        let remote = format!("docker://{}/{repository}:latest", self.stack.listen);
        let to = ["--tls-verify=false", "--creds", &login, "--format", "v2s2", repository, &remote];
        buildah(&[&["push", "--signature-policy", &policy][..], &to].concat());
        fs::remove_dir_all(folder).unwrap();
    }
}

/// The Node of this machine with the scripts of `application/image`.
pub(crate) fn push_node(stack: &Stack) {
    let node = text(&stack.run("which", &["node"]));
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/application/image");
    Image::new(stack, "app")
        .program(&fs::canonicalize(node.trim()).unwrap(), "/usr/bin/node", None)
        .file(&scripts.join("echo.js"), "/app/echo.js")
        .file(&scripts.join("beat.js"), "/app/beat.js")
        .push("app", &["/usr/bin/node"], &["/app/echo.js"]);
}

/// Redis from Debian's package.
pub(crate) fn push_redis(stack: &Stack) {
    let debian = std::env::var_os("LANDFALL_TEST_REDIS").map(PathBuf::from).expect(
        "LANDFALL_TEST_REDIS does not say where Debian's Redis is unpacked: `cargo xtask test` fetches it",
    );
    let program = debian.join("usr/bin/redis-server");
    Image::new(stack, "redis")
        .program(&program, "/usr/bin/redis-server", Some(&debian.join("usr/lib/x86_64-linux-gnu")))
        .push(
            "redis",
            &["/usr/bin/redis-server"],
            &["--save", "", "--protected-mode", "no", "--dir", "/tmp"],
        );
}
