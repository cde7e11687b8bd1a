//! A client that pushes an image as `docker push` does, over plain HTTP to a registry on this machine.

use std::io::{self, Read};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, SendBody};

use crate::digest::Digest;
use crate::image::{Blob, Image, ManifestFile};

/// Where an image goes.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The registry's address, `127.0.0.1:4566`.
    pub registry: &'a str,
    /// The repository, which exists.
    pub repository: &'a str,
    /// The tag. None: the image is known by its digest only.
    pub tag: Option<&'a str>,
    /// The token's password (GetAuthorizationToken gives `AWS:<password>` in base64).
    pub password: &'a str,
}

impl std::fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password never reaches a log.
        f.debug_struct("Target")
            .field("registry", &self.registry)
            .field("repository", &self.repository)
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

/// What a push is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The registry has the blob already.
    Exists {
        /// The blob.
        digest: Digest,
    },
    /// So much of the blob has been sent.
    Sent {
        /// The blob.
        digest: Digest,
        /// Bytes sent.
        sent: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A manifest has been stored.
    Manifest {
        /// The manifest.
        digest: Digest,
    },
}

/// Why a push ended.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// No connection, or it broke.
    #[error("the registry at {registry} cannot be reached: {cause}")]
    Connection {
        /// Its address.
        registry: String,
        /// The client's words.
        cause: String,
    },
    /// The registry refused.
    #[error("the registry refuses to {doing}: {message} ({code}, HTTP {status})")]
    Refused {
        /// `store blob sha256:…`
        doing: String,
        /// The status.
        status: u16,
        /// The registry's code, `DENIED`…
        code: String,
        /// Its words.
        message: String,
    },
}

/// Pushes an image; gives its digest. Blobs that the repository has are not sent again.
pub fn push(
    image: &Image,
    target: &Target<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Digest, PushError> {
    let client = Client::new(target);
    for blob in &image.blobs {
        client.blob(blob, progress)?;
    }
    for part in &image.parts {
        client.manifest(part, &part.digest.to_string(), progress)?;
    }
    let digest = image.manifest.digest;
    let reference = target.tag.map_or_else(|| digest.to_string(), str::to_owned);
    client.manifest(&image.manifest, &reference, progress)?;
    Ok(digest)
}

struct Client<'a> {
    agent: Agent,
    target: &'a Target<'a>,
    authorization: String,
}

impl<'a> Client<'a> {
    fn new(target: &'a Target<'a>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // The registry is on this machine, whatever proxy the environment names.
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(Duration::from_secs(300)))
            .build();
        let authorization = format!("Basic {}", STANDARD.encode(format!("AWS:{}", target.password)));
        Self { agent: Agent::new_with_config(config), target, authorization }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/v2/{}/{path}", self.target.registry, self.target.repository)
    }

    fn broken(&self, error: &ureq::Error) -> PushError {
        PushError::Connection { registry: self.target.registry.to_owned(), cause: error.to_string() }
    }

    fn manifest(
        &self,
        manifest: &ManifestFile,
        reference: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), PushError> {
        let request = self
            .agent
            .put(self.url(&format!("manifests/{reference}")))
            .header("Authorization", &self.authorization)
            .header("Content-Type", &manifest.media_type);
        let response = request.send(&manifest.bytes[..]).map_err(|error| self.broken(&error))?;
        expect(response, StatusCode::CREATED, || format!("store the manifest '{reference}'"))?;
        progress(Progress::Manifest { digest: manifest.digest });
        Ok(())
    }

    fn blob(&self, blob: &Blob, progress: &mut dyn FnMut(Progress)) -> Result<(), PushError> {
        let Blob { digest, size, .. } = *blob;
        let authorization = &self.authorization;
        let head =
            self.agent.head(self.url(&format!("blobs/{digest}"))).header("Authorization", authorization);
        if head.call().map_err(|error| self.broken(&error))?.status() == StatusCode::OK {
            progress(Progress::Exists { digest });
            return Ok(());
        }
        let post = self.agent.post(self.url("blobs/uploads/")).header("Authorization", authorization);
        let response = post.send_empty().map_err(|error| self.broken(&error))?;
        let begun = expect(response, StatusCode::ACCEPTED, || format!("begin blob {digest}"))?;
        let location = begun.headers().get("location").and_then(|value| value.to_str().ok());
        // The token is for this registry: it is not carried to another.
        let Some(path) = location.filter(|path| path.starts_with('/')) else {
            let cause = "it gives no place for the upload".to_owned();
            return Err(PushError::Connection { registry: self.target.registry.to_owned(), cause });
        };
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = format!("http://{}{path}{separator}digest={digest}", self.target.registry);
        let mut reader = Counted { inner: blob.reader(), digest, sent: 0, total: size, progress };
        let put = self
            .agent
            .put(url)
            .header("Authorization", authorization)
            .header("Content-Type", "application/octet-stream")
            .header("Content-Length", size.to_string());
        let response = put.send(SendBody::from_reader(&mut reader)).map_err(|error| self.broken(&error))?;
        expect(response, StatusCode::CREATED, || format!("store blob {digest}"))?;
        Ok(())
    }
}

#[derive(Deserialize)]
struct Refusals {
    errors: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    #[serde(default)]
    message: String,
}

fn expect(
    mut response: Response<Body>,
    expected: StatusCode,
    doing: impl FnOnce() -> String,
) -> Result<Response<Body>, PushError> {
    if response.status() == expected {
        return Ok(response);
    }
    let text = response.body_mut().with_config().limit(64 * 1024).read_to_string().unwrap_or_default();
    let refusal =
        serde_json::from_str::<Refusals>(&text).ok().and_then(|refusals| refusals.errors.into_iter().next());
    let (code, message) = refusal.map_or(("UNKNOWN".to_owned(), text), |it| (it.code, it.message));
    Err(PushError::Refused { doing: doing(), status: response.status().as_u16(), code, message })
}

/// Reports what is read.
struct Counted<'a> {
    inner: Box<dyn Read + Send>,
    digest: Digest,
    sent: u64,
    total: u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 {
            self.sent += count as u64;
            (self.progress)(Progress::Sent { digest: self.digest, sent: self.sent, total: self.total });
        }
        Ok(count)
    }
}
