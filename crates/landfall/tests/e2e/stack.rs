//! One running stack: a state folder, a port and a loopback address of its own, so that tests run side by side.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Where the tests' state folders are. Short: Unix sockets' paths hold 108 bytes.
pub(crate) const FOLDER_PREFIX: &str = "/tmp/lf-e2e-";

/// The program under test.
const LANDFALL: &str = env!("CARGO_BIN_EXE_landfall");

pub(crate) struct Stack {
    pub(crate) state: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) host_address: String,
    pub(crate) environment: BTreeMap<String, String>,
    url: OnceLock<String>,
    ended: AtomicBool,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

#[allow(clippy::disallowed_methods, reason = "the tests run the real clients")]
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

impl Stack {
    /// Starts Landfall in the background and copies the example beside it.
    pub(crate) fn up() -> Self {
        Self::with("../../examples/echo-service")
    }

    /// Starts Landfall in the background and copies the configuration of a folder, named from this crate's, beside it.
    pub(crate) fn with(configuration: &str) -> Self {
        Self::with_arguments(configuration, &[])
    }

    /// As [`Stack::with`], with more arguments for `landfall up`.
    pub(crate) fn with_arguments(configuration: &str, more: &[&str]) -> Self {
        let id = types::random_hex(6);
        let state = PathBuf::from(format!("{FOLDER_PREFIX}{id}"));
        let octets = u32::from_str_radix(&id, 16).unwrap().to_be_bytes();
        let host_address = format!("127.{}.{}.{}", octets[1].max(1), octets[2], octets[3].clamp(1, 254));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listen = SocketAddr::from(([127, 0, 0, 1], port));
        let mut stack = Self {
            folder: state.join("tf"),
            state,
            listen,
            host_address,
            environment: BTreeMap::new(),
            url: OnceLock::new(),
            ended: AtomicBool::new(false),
        };
        let listen = listen.to_string();
        let host_address = stack.host_address.clone();
        let up = ["up", "--listen", &listen, "--host-address", &host_address];
        let up = stack.landfall(&[&up[..], more].concat());
        assert!(up.status.success(), "{}", text(&up));
        let env = stack.landfall(&["env", "--json"]);
        stack.environment = serde_json::from_slice(&env.stdout).unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(configuration), &stack.folder);
        stack
    }

    /// Runs the program under test on this stack's state.
    pub(crate) fn landfall(&self, arguments: &[&str]) -> Output {
        command(LANDFALL).arg("--state-dir").arg(&self.state).args(arguments).output().unwrap()
    }

    /// As [`Stack::landfall`]; must succeed, gives standard output.
    pub(crate) fn landfall_ok(&self, arguments: &[&str]) -> String {
        let output = self.landfall(arguments);
        assert!(output.status.success(), "landfall {arguments:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn client(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = command(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command
            .envs(&self.environment)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_PAGER", "")
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1")
            .current_dir(&self.folder);
        command
    }

    /// Runs Terraform; it must succeed (exit 0, or with `-detailed-exitcode` 0 alone).
    pub(crate) fn terraform(&self, arguments: &[&str]) -> String {
        let output = self.try_terraform(arguments);
        assert!(output.status.success(), "terraform {arguments:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn try_terraform(&self, arguments: &[&str]) -> Output {
        let mut terraform = self.client("terraform");
        if let Some(mirror) = mirror() {
            terraform.env("TF_CLI_ARGS_init", format!("-plugin-dir={}", mirror.display()));
        }
        terraform.args(arguments).arg("-no-color").output().expect(
            "terraform cannot be run: install Terraform 1.5 or later \
             (https://developer.hashicorp.com/terraform/install)",
        )
    }

    /// Calls the AWS CLI; gives its JSON.
    pub(crate) fn aws(&self, arguments: &str) -> Value {
        let output = self.try_aws(arguments);
        assert!(output.status.success(), "aws {arguments}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    pub(crate) fn try_aws(&self, arguments: &str) -> Output {
        // The pinned one that `cargo xtask test` installed beside its Python, else the one on the PATH.
        let pinned = std::env::var_os("LANDFALL_TEST_PYTHON")
            .map(|python| PathBuf::from(python).with_file_name("aws"));
        let program = pinned.filter(|aws| aws.exists()).unwrap_or_else(|| "aws".into());
        let words = arguments.split_whitespace();
        self.client(&program)
            .args(words)
            .args(["--output", "json"])
            .output()
            .expect("the AWS CLI cannot be run: `cargo xtask test` installs it")
    }

    /// Runs any other client.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.client(program).args(arguments).output().unwrap_or_else(|error| {
            panic!("{program} cannot be run ({error}): `cargo xtask test` installs it")
        })
    }

    /// The load balancer's URL as Terraform prints it.
    pub(crate) fn url(&self) -> String {
        self.url.get_or_init(|| self.terraform(&["output", "-raw", "url"])).clone()
    }

    /// A request to the load balancer by its name, on a new connection. None: no answer within the time.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str, within: Duration) -> Option<Answer> {
        let mut connection = self.connect()?;
        connection.set_read_timeout(Some(within)).unwrap();
        self.exchange(&mut connection, method, path, body)
    }

    /// A new connection to the load balancer's port on the host.
    pub(crate) fn connect(&self) -> Option<TcpStream> {
        let address: SocketAddr = format!("{}:80", self.host_address).parse().unwrap();
        TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()
    }

    /// One request on an open connection that stays open.
    pub(crate) fn exchange(
        &self,
        connection: &mut TcpStream,
        method: &str,
        path: &str,
        body: &str,
    ) -> Option<Answer> {
        let host = self.url().trim_start_matches("http://").to_owned();
        write!(
            connection,
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        self.read(connection)
    }

    /// The next answer on a connection.
    pub(crate) fn read(&self, connection: &mut TcpStream) -> Option<Answer> {
        read_answer(connection)
    }

    /// What another thread needs to send requests to the load balancer.
    pub(crate) fn sender(&self) -> Sender {
        Sender {
            address: format!("{}:80", self.host_address).parse().unwrap(),
            host: self.url().trim_start_matches("http://").to_owned(),
        }
    }

    /// `landfall status --json`.
    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.landfall_ok(&["status", "--json"])).unwrap()
    }

    /// Waits until a condition holds; fails with what was seen last.
    pub(crate) fn wait<T: std::fmt::Debug>(
        &self,
        what: &str,
        within: Duration,
        mut look: impl FnMut() -> Result<T, String>,
    ) -> T {
        let deadline = Instant::now() + within;
        loop {
            match look() {
                Ok(found) => return found,
                Err(seen) if Instant::now() >= deadline => {
                    panic!(
                        "{what}: not within {within:?}; last seen: {seen}\n{}",
                        self.landfall_ok(&["status"])
                    );
                }
                Err(_) => std::thread::park_timeout(Duration::from_millis(100)),
            }
        }
    }

    /// Waits until the load balancer answers 200.
    pub(crate) fn wait_for_200(&self, within: Duration) {
        self.wait("a 200 from the load balancer", within, || {
            match self.request("POST", "/", "hello world", Duration::from_secs(15)) {
                Some(Answer { status: 200, body }) if body == "hello world" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }

    /// Ends everything.
    pub(crate) fn down(&self) {
        let down = self.landfall(&["down", "--purge"]);
        assert!(down.status.success(), "{}", text(&down));
        self.ended.store(true, Ordering::SeqCst);
    }
}

/// Sends requests to the load balancer, each on a connection of its own.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    address: SocketAddr,
    host: String,
}

impl Sender {
    /// A GET. None: no answer within the time.
    pub(crate) fn get(&self, path: &str, within: Duration) -> Option<Answer> {
        let mut connection = TcpStream::connect_timeout(&self.address, within).ok()?;
        connection.set_read_timeout(Some(within)).ok()?;
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.host);
        connection.write_all(head.as_bytes()).ok()?;
        read_answer(&mut connection)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.ended.load(Ordering::SeqCst) {
            return;
        }
        for log in ["agent/role.log", "serve/role.log"] {
            let log = self.state.join(log);
            eprintln!("--- {}\n{}", log.display(), std::fs::read_to_string(&log).unwrap_or_default());
        }
        let _ = self.landfall(&["down", "--purge"]);
    }
}

fn read_answer(connection: &mut TcpStream) -> Option<Answer> {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(answer) = parse(&received) {
            return Some(answer);
        }
        match connection.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => received.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Copies a Terraform configuration with the modules inside it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.extension().is_some_and(|extension| extension == "tf") {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

/// What a program printed.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A whole answer with a content length, or chunks.
fn parse(received: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(received);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let lower = head.to_ascii_lowercase();
    let length =
        lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    match length {
        Some(length) if body.len() >= length => Some(Answer { status, body: body[..length].to_owned() }),
        Some(_) => None,
        None => body
            .strip_suffix("0\r\n\r\n")
            .map(|chunks| Answer { status, body: chunks.split("\r\n").skip(1).step_by(2).collect() }),
    }
}

/// A provider mirror, as the program itself finds it.
fn mirror() -> Option<PathBuf> {
    let holds = |folder: &Path| folder.join("registry.terraform.io/hashicorp/aws").is_dir();
    let named = std::env::var_os("LANDFALL_PROVIDER_MIRROR").map(PathBuf::from);
    let parents = ["/usr/local/share", "/usr/share", "/opt", "/srv", "/var/lib"];
    let folders = parents.iter().flat_map(|parent| std::fs::read_dir(parent).into_iter().flatten().flatten());
    named.into_iter().chain(folders.map(|entry| entry.path())).find(|folder| holds(folder))
}
