//! A `landfall serve` of the bench's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use types::Timestamp;
use wire::sigv4::{self, Credentials, Request, Scope};

use crate::Error;
use crate::program::{Program, Started};

/// Where all calls are signed for.
pub(crate) const REGION: &str = "ap-northeast-2";

/// A key pair, or a role session's key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// The running server. Everything of it is removed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Started,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its ready line.
    pub(crate) ready_after: Duration,
    state: tempfile::TempDir,
    binary: std::path::PathBuf,
}

impl Server {
    /// Starts it with a state folder: a new one, or what `state` holds.
    pub(crate) fn start(binary: &Path, state: tempfile::TempDir) -> Result<Self, Error> {
        let (process, address, ready_after) = launch(binary, &state.path().join("landfall"))?;
        Ok(Self { process, address, ready_after, state, binary: binary.to_owned() })
    }

    /// The state folder.
    pub(crate) fn folder(&self) -> std::path::PathBuf {
        self.state.path().join("landfall")
    }

    /// Takes everything down, does something to the state folder meanwhile, and starts again.
    pub(crate) fn paused(&mut self, work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let down = Program::new(&self.binary).args(["down", "--state-dir"]).args([self.folder()]);
        down.limit(Duration::from_secs(60)).quiet()?;
        self.process.0.wait()?;
        work()?;
        (self.process, self.address, self.ready_after) = launch(&self.binary, &self.folder())?;
        Ok(())
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// The root user's key pair.
    pub(crate) fn root_key(&self) -> Result<Key, Error> {
        #[derive(serde::Deserialize)]
        struct Kept {
            access_key_id: String,
            secret_access_key: String,
        }
        let text = std::fs::read_to_string(self.state.path().join("landfall/credentials.json"))?;
        let kept: Kept = serde_json::from_str(&text)?;
        Ok(Key { id: kept.access_key_id, secret: kept.secret_access_key, token: None })
    }

    /// A query call; its document.
    pub(crate) fn call(&self, key: &Key, service: &str, region: &str, body: &str) -> Result<String, Error> {
        // Each call is one of its own: what has the invocation of another would get that one's answer.
        static INVOCATION: AtomicU64 = AtomicU64::new(0);
        let invocation = format!("bench-{}", INVOCATION.fetch_add(1, Ordering::Relaxed));
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(&query(self.address, key, service, region, body, &invocation))?;
        let (status, document) = answer(&mut stream)?;
        if status == 200 { Ok(document) } else { Err(format!("{body}: {status} {document}").into()) }
    }

    /// The key of a session of a role that is made for it.
    pub(crate) fn role_key(&self, root: &Key) -> Result<Key, Error> {
        let trust = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22\
                     %3A%7B%22AWS%22%3A%22%2A%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
        let role = self.call(
            root,
            "iam",
            "us-east-1",
            &format!("Action=CreateRole&Version=2010-05-08&RoleName=bench&AssumeRolePolicyDocument={trust}"),
        )?;
        let arn = element(&role, "Arn")?.replace(':', "%3A").replace('/', "%2F");
        let body = format!("Action=AssumeRole&Version=2011-06-15&RoleSessionName=bench&RoleArn={arn}");
        let session = self.call(root, "sts", REGION, &body)?;
        Ok(Key {
            id: element(&session, "AccessKeyId")?,
            secret: element(&session, "SecretAccessKey")?,
            token: Some(element(&session, "SessionToken")?),
        })
    }
}

fn launch(binary: &Path, state: &Path) -> Result<(Started, SocketAddr, Duration), Error> {
    let begun = Instant::now();
    let mut process = Program::new(binary)
        .args(["serve", "--listen", "127.0.0.1:0", "--state-dir"])
        .args([state])
        .start()?;
    let mut line = String::new();
    let stdout = process.0.stdout.take().ok_or("no standard output")?;
    BufReader::new(stdout).read_line(&mut line)?;
    let ready_after = begun.elapsed();
    let address = line
        .split_once("http://")
        .and_then(|(_, rest)| rest.split([',', ' ', '\n']).next())
        .ok_or_else(|| format!("no address in the ready line '{line}'"))?
        .parse()?;
    Ok((process, address, ready_after))
}

impl Drop for Server {
    fn drop(&mut self) {
        let purge = Program::new(&self.binary)
            .args(["down", "--purge", "--state-dir"])
            .args([self.state.path().join("landfall")])
            .limit(Duration::from_secs(60));
        if let Err(error) = purge.quiet() {
            println!("the bench's own server could not be removed: {error}");
        }
    }
}

pub(super) fn element(document: &str, name: &str) -> Result<String, Error> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let found = document.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
    found.map(|(text, _)| text.to_owned()).ok_or_else(|| format!("no {name} in {document}").into())
}

/// The bytes of a signed query request. `invocation` makes it another request than the next.
pub(crate) fn query(
    address: SocketAddr,
    key: &Key,
    service: &str,
    region: &str,
    body: &str,
    invocation: &str,
) -> Vec<u8> {
    let host = address.to_string();
    let headers: [(&str, &[u8]); 3] = [
        ("amz-sdk-invocation-id", invocation.as_bytes()),
        ("content-type", b"application/x-www-form-urlencoded; charset=utf-8"),
        ("host", host.as_bytes()),
    ];
    let added = sigv4::sign(
        Request { method: "POST", path: "/", query: "", headers: &headers },
        &sigv4::sha256(body.as_bytes()),
        Credentials {
            access_key_id: &key.id,
            secret_access_key: &key.secret,
            session_token: key.token.as_deref(),
        },
        Scope { region, service },
        Timestamp::now(),
    );
    let mut text = String::from("POST / HTTP/1.1\r\n");
    for (name, value) in &headers {
        text += &format!("{name}: {}\r\n", String::from_utf8_lossy(value));
    }
    for (name, value) in added {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("content-length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}

/// Reads one answer: its status and body.
pub(crate) fn answer(stream: &mut impl Read) -> Result<(u16, String), Error> {
    let mut bytes = Vec::new();
    let mut part = [0; 8192];
    loop {
        if let Some(head) = Head::parse(&bytes)?
            && bytes.len() >= head.length
        {
            return Ok((head.status, String::from_utf8_lossy(&bytes[head.body..head.length]).into_owned()));
        }
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Err("the server closed the connection in the middle of an answer".into());
        }
        bytes.extend_from_slice(&part[..read]);
    }
}

/// What the head of an answer says.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Where the body begins.
    body: usize,
    /// The length of the whole answer.
    pub(crate) length: usize,
}

impl Head {
    /// None while the head is not whole.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&bytes[..end])?;
        let status = head.get(9..12).ok_or("no status")?.parse()?;
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .ok_or("an answer without content-length")?;
        Ok(Some(Self { status, body: end + 4, length: end + 4 + length.1.trim().parse::<usize>()? }))
    }
}
