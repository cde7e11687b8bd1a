//! The OCI distribution API, as a client that only pulls.

use std::io::{Read, Write};

use ring::digest::{Context, SHA256};
use serde::Deserialize;
use ureq::Body;
use ureq::http::Response;

use super::Trouble;
use super::content::{Digest, Store};
use super::http::{Client, NoAnswer, Patience};

/// The longest manifest, as registries and clients have it.
pub(super) const MANIFEST_LIMIT: u64 = 4 << 20;

/// The manifests that are understood.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.docker.distribution.manifest.v2+json";

/// A repository, as one who may pull from it.
pub(super) struct Registry<'a> {
    pub(super) client: &'a Client,
    /// The host's name; the port is 443.
    pub(super) host: &'a str,
    pub(super) repository: &'a str,
    /// For Basic authorization.
    pub(super) token: &'a str,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Registry<'_> {
    fn ask(
        &self,
        method: &str,
        path: &str,
        accept: &str,
        patience: Patience,
    ) -> Result<Response<Body>, NoAnswer> {
        let url = format!("https://{}/v2/{}/{path}", self.host, self.repository);
        let authorization = format!("Basic {}", self.token);
        let headers = [("authorization", authorization.as_str()), ("accept", accept)];
        self.client.send(method, &url, &headers, b"", patience)
    }

    /// The digest that a tag leads to; the reference itself where the answer does not say it, so that the manifest's
    /// own request tells why.
    pub(super) fn resolve(&self, reference: &str) -> Result<String, Trouble> {
        let answer = self.ask("HEAD", &format!("manifests/{reference}"), ACCEPT, Patience::Exchange);
        let answer = answer.map_err(|no| Trouble::Unreachable(format!("failed to do request: {no}")))?;
        if answer.status().as_u16() == 404 {
            return Err(self.not_found(reference));
        }
        let digest = answer.headers().get("docker-content-digest").and_then(|digest| digest.to_str().ok());
        let digest = digest.filter(|_| answer.status().is_success()).and_then(Digest::parse);
        Ok(digest.map_or_else(|| reference.to_owned(), |digest| digest.to_string()))
    }

    /// Fargate asks again for what is not there.
    fn not_found(&self, reference: &str) -> Trouble {
        let at = if reference.contains(':') { '@' } else { ':' };
        Trouble::Again(format!("{}/{}{at}{reference}: not found", self.host, self.repository))
    }

    /// A manifest's bytes; verified when it is asked for by digest.
    pub(super) fn manifest(&self, reference: &str) -> Result<Vec<u8>, Trouble> {
        let answer = self.ask("GET", &format!("manifests/{reference}"), ACCEPT, Patience::Exchange);
        let mut answer = answer.map_err(|no| Trouble::Unreachable(format!("failed to do request: {no}")))?;
        let status = answer.status();
        if status.as_u16() == 404 {
            return Err(self.not_found(reference));
        }
        if !status.is_success() {
            let why = format!(
                "pulling from host {} failed with status code [manifests {reference}]: {status}{}",
                self.host,
                said(&mut answer)
            );
            return Err(again_if(status.is_server_error(), why));
        }
        let body = answer.body_mut().with_config().limit(MANIFEST_LIMIT).read_to_vec();
        let body =
            body.map_err(|error| Trouble::Unreachable(format!("failed to read the manifest: {error}")))?;
        match Digest::parse(reference) {
            Some(digest) if Digest::of(&body) != digest => Err(Trouble::Final(format!(
                "the manifest has the digest {} and not the one that was asked for, {digest}",
                Digest::of(&body)
            ))),
            _ => Ok(body),
        }
    }

    /// Asks for a blob at the registry and at where that leads, and fetches its body unless it is in the store. `image`
    /// is what Fargate's words have in place of an address, which is a secret: it is signed.
    pub(super) fn blob(&self, image: &str, digest: &Digest, size: u64, store: &Store) -> Result<(), Trouble> {
        let say = |why: String| format!("failed to copy: httpReadSeeker: failed open: {why}");
        let lost = |no: NoAnswer| {
            Trouble::Unreachable(say(format!("failed to do request: {} {image}: {}", no.verb, no.why)))
        };
        let path = format!("blobs/{digest}");
        let mut answer = self.ask("GET", &path, "*/*", Patience::Stream).map_err(lost)?;
        let mut url = format!("https://{}/v2/{}/{path}", self.host, self.repository);
        let known = store.has(digest);
        if answer.status().is_redirection() {
            // A connection whose answer was read to its end serves the next request, too.
            let _ = answer.body_mut().with_config().limit(64 << 10).read_to_vec();
            url = location(&answer, self.host).ok_or_else(|| {
                Trouble::Final(say(format!("{url} answers {} without a location", answer.status())))
            })?;
            // Whoever holds the layers must not get the token. One byte shows that what is known can be had.
            let headers = [("accept", "*/*"), ("range", "bytes=0-0")];
            let headers = &headers[..if known { 2 } else { 1 }];
            answer = self.client.send("GET", &url, headers, b"", Patience::Stream).map_err(lost)?;
        }
        let status = answer.status();
        let reached = status.is_success() || known && status.as_u16() == 416;
        if !reached {
            let open = url.split('?').next().unwrap_or_default();
            let why = say(format!("unexpected status code {open}: {status}{}", said(&mut answer)));
            return Err(again_if(status.is_server_error(), why));
        }
        if known {
            let _ = answer.body_mut().with_config().limit(64 << 10).read_to_vec();
            return Ok(());
        }
        let reader = answer.into_body().into_with_config().limit(size.saturating_add(1)).reader();
        store.add(digest, |file| copy_verified(reader, file, digest, size))
    }
}

fn again_if(again: bool, why: String) -> Trouble {
    if again { Trouble::Again(why) } else { Trouble::Final(why) }
}

/// What a registry says about a refusal: it names the action that a role may not.
fn said(answer: &mut Response<Body>) -> String {
    let body = answer.body_mut().with_config().limit(64 << 10).read_to_vec().unwrap_or_default();
    let errors: Vec<OneError> = serde_json::from_slice::<Errors>(&body).map(|e| e.errors).unwrap_or_default();
    errors.first().map(|error| format!(": {}: {}", error.code, error.message)).unwrap_or_default()
}

/// Where a redirect leads.
fn location(answer: &Response<Body>, host: &str) -> Option<String> {
    let location = answer.headers().get("location")?.to_str().ok()?;
    if location.starts_with('/') && !location.starts_with("//") {
        return Some(format!("https://{host}{location}"));
    }
    Some(location.to_owned())
}

/// Copies exactly the blob that was promised.
fn copy_verified(
    mut reader: impl Read,
    file: &mut impl Write,
    digest: &Digest,
    size: u64,
) -> Result<(), Trouble> {
    let (mut hash, mut copied, mut chunk) = (Context::new(&SHA256), 0, vec![0; 128 << 10]);
    loop {
        let read =
            reader.read(&mut chunk).map_err(|cause| Trouble::Again(format!("failed to copy: {cause}")))?;
        if read == 0 {
            break;
        }
        hash.update(&chunk[..read]);
        file.write_all(&chunk[..read])
            .map_err(|cause| Trouble::Final(format!("failed to write the blob {digest}: {cause}")))?;
        copied += read as u64;
    }
    if copied != size {
        return Err(Trouble::Again(format!(
            "failed to copy: the blob {digest} ends after {copied} bytes, the manifest says {size}"
        )));
    }
    let found = Digest::from(hash.finish());
    if found != *digest {
        return Err(Trouble::Final(format!("the blob {digest} has the digest {found}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_that_is_not_as_promised_is_refused() {
        let digest = Digest::of(b"layer");
        let mut file = Vec::new();
        copy_verified(&b"layer"[..], &mut file, &digest, 5).unwrap();
        assert_eq!(file, b"layer");
        assert!(matches!(copy_verified(&b"lay"[..], &mut file, &digest, 5), Err(Trouble::Again(_))));
        assert!(matches!(copy_verified(&b"lAyer"[..], &mut file, &digest, 5), Err(Trouble::Final(_))));
    }
}
