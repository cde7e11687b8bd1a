//! The `__pull` helper: an image, along the task's own network path, as its execution role.
//!
//! It enters the task's network namespace and knows no name but through the task's DNS servers and no certificate
//! authority but Landfall's. Every pull asks for a token and for the manifest; every layer is asked for, authorised, and
//! asked for again at the region's layer bucket; only the body of a blob that is on disk already is not fetched again.
//! Thus what is on disk changes nothing about whether a task can start.
//!
//! It fails in the words of Fargate ("Amazon ECS stopped task error messages"). Where packets get lost Fargate takes
//! minutes to say so; here it is six seconds at the API and the layer bucket, fifteen at the registry.

pub(crate) mod api;
mod content;
mod decompress;
mod dns;
mod ecr;
pub(crate) mod http;
mod image;
mod registry;
mod unpack;

use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use desired::{ImageReference, PullIdentity};
use nix::poll::{PollTimeout, poll};
use serde::{Deserialize, Serialize};

use crate::helper::{Report, tell};
pub(crate) use image::ImageConfig;

/// The address of the Amazon DNS server in every VPC.
const DNS_SERVER: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);

/// From the first packet to a TLS session: time for one more SYN, which Linux sends after a second. Fargate waits for 30
/// seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For a whole small exchange: a token, a manifest, a redirect.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// For the next bytes of a layer.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// For one answer of the DNS server, which is asked twice.
const DNS_TIMEOUT: Duration = Duration::from_millis(1500);
/// How often a token is asked for, as by Fargate.
const TOKEN_TRIES: u32 = 3;
/// How often a manifest is asked for, as by Fargate.
const MANIFEST_TRIES: u32 = 7;
/// How often a blob is asked for.
const BLOB_TRIES: u32 = 3;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// What the helper is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) image: ImageReference,
    pub(crate) identity: PullIdentity,
    /// Who is asked for names.
    pub(crate) dns_servers: Vec<Ipv4Addr>,
    /// The task's network namespace.
    pub(crate) network: PathBuf,
    /// The state folder, with `content` and `snapshots`.
    pub(crate) state: PathBuf,
}

/// An image that is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pulled {
    /// The digest that the reference led to.
    pub(crate) digest: String,
    pub(crate) config: ImageConfig,
    /// The layers' diff ids, the lowest first, in hexadecimal digits.
    pub(crate) layers: Vec<String>,
    /// The task's own address, as the way to the DNS server shows it.
    pub(crate) address: Option<Ipv4Addr>,
}

/// An unpacked layer.
pub(crate) fn snapshot(state: &Path, diff_id: &str) -> PathBuf {
    state.join("snapshots").join(diff_id).join("fs")
}

/// Pulls the image.
pub(crate) fn main(job: &Job, shim: &Arc<UnixStream>) -> Result<Report, String> {
    let cannot = |why: String| format!("CannotPullContainerError: {why}");
    let enter = || sys::netns::enter(sys::netns::open(&job.network)?);
    enter().map_err(|error| cannot(error.to_string()))?;
    let address = own_address();
    let image = &job.image;
    let Some(host) = &image.registry else {
        return Err(cannot(format!(
            "pull image manifest has been retried 1 time(s): failed to resolve ref {0}: no registry of that name is \
             reachable from here; bring the image into a repository with `landfall image import <archive> \
             <repository>` and name that repository in the task definition",
            image.image
        )));
    };
    if job.identity.role_arn.is_none() {
        return Err(cannot(format!(
            "the task definition names no execution role, and Fargate needs one to pull {} from ECR: set executionRoleArn",
            image.image
        )));
    }
    let client = http::Client::new(&job.identity.ca_certificate, &job.dns_servers)
        .map_err(|why| cannot(why.to_string()))?;
    let token = ecr::authorization_token(&client, &job.identity)?;
    let registry = registry::Registry { client: &client, host, repository: &image.repository, token: &token };
    let store = content::Store::new(&job.state);
    let progress = |text: String| {
        // Whoever is not there to hear it is not there to wait for the image either.
        let _ = tell(shim, &Report::Progress(format!("{}: {text}", image.image)));
    };
    let pulled = image::pull(&registry, &store, image, &progress).map_err(cannot)?;
    Ok(Report::Pulled(Box::new(Pulled { address, ..pulled })))
}

/// The address that packets to the DNS server leave from; nothing is sent.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((DNS_SERVER, 53)).ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(address) => Some(address),
        std::net::IpAddr::V6(_) => None,
    }
}

/// Why a try failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There was no answer: no address, no connection, or one that broke. It may work next time.
    Unreachable(String),
    /// An answer that is of the moment.
    Again(String),
    /// An answer that will not change.
    Final(String),
}

/// Why nothing more is tried.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The words of the last try.
    pub(crate) why: String,
    /// How many tries there were.
    pub(crate) tries: u32,
    /// Whether the last one had no answer.
    pub(crate) unreachable: bool,
}

/// Tries up to `limit` times.
fn retried<T>(limit: u32, mut attempt: impl FnMut() -> Result<T, Trouble>) -> Result<T, Failure> {
    let mut tries = 1;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(Trouble::Unreachable(_) | Trouble::Again(_)) if tries < limit => {
                tries += 1;
                let _ = poll(&mut [], PollTimeout::try_from(PAUSE).unwrap_or(PollTimeout::MAX));
            }
            Err(Trouble::Unreachable(why)) => return Err(Failure { why, tries, unreachable: true }),
            Err(Trouble::Again(why) | Trouble::Final(why)) => {
                return Err(Failure { why, tries, unreachable: false });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_retried_and_answers_are_not() {
        let mut calls = 0;
        let mut fail = |trouble: fn(String) -> Trouble| {
            let failed = retried(3, || -> Result<(), Trouble> {
                calls += 1;
                Err(trouble("no".to_owned()))
            });
            failed.map_err(|failure| (failure.tries, failure.unreachable))
        };
        assert_eq!(fail(Trouble::Unreachable), Err((3, true)));
        assert_eq!(fail(Trouble::Again), Err((3, false)));
        assert_eq!(fail(Trouble::Final), Err((1, false)));
        assert_eq!(calls, 7);
    }
}
