//! What a VPC's hosts find at its own addresses: DNS at base + 2 and at 169.254.169.253, and for tasks their metadata and
//! credentials at 169.254.170.2 ([`metadata`]).
//!
//! A query takes this path: [`serve`] reads it in the VPC's namespace, [`query`] takes it apart, [`zone`] looks the
//! name up, [`answer`] writes the response. A name that the part does not hold does not exist; with the internet on it is
//! asked of the host's own DNS servers ([`upstream`]). All but `serve`, `desk` and `upstream` is pure.

mod answer;
mod desk;
mod metadata;
mod query;
mod serve;
mod upstream;
mod zone;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use desired::role::{News, RoleDir, RoleError, answer as answer_socket};
use desired::{Body, Part};
use tokio::sync::{Notify, watch};
use types::{PartId, VpcId};

pub use answer::{Answer, Transport, answer};
pub use zone::{Found, Tables, View};

/// Why the resolver cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its folder cannot be used.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// Its configuration is another role's.
    #[error("{folder}: config.json is not the part `names`: {why}")]
    Config {
        /// The role's folder.
        folder: PathBuf,
        /// What it is.
        why: String,
    },
    /// The machine gives no event loop.
    #[error("the event loop cannot be started: {0}")]
    Runtime(std::io::Error),
}

/// What the resolver works by.
#[derive(Debug)]
pub(crate) struct Taken {
    generation: u64,
    /// None: the part shall be gone.
    names: Option<desired::Names>,
    tables: Tables,
}

impl Taken {
    fn new(part: Part) -> Result<Self, String> {
        let names = match (part.id, part.body) {
            (PartId::Names, Some(Body::Names(names))) => Some(names),
            (PartId::Names, None) => None,
            (id, _) => return Err(format!("the resolver is no part {id}")),
        };
        let tables = names.as_ref().map(Tables::new).unwrap_or_default();
        Ok(Self { generation: part.generation, names, tables })
    }

    /// Where `serve` answers.
    pub(crate) fn api(&self) -> Option<SocketAddr> {
        self.names.as_ref().and_then(|names| names.api)
    }

    /// A VPC's DNS servers; none when it has none.
    pub(crate) fn dns_servers(&self, vpc: &VpcId) -> Vec<Ipv4Addr> {
        let mut vpcs = self.names.iter().flat_map(|names| &names.vpcs);
        let of = vpcs.find(|names| names.vpc == *vpc && names.enabled);
        of.map(|names| names.servers.clone()).unwrap_or_default()
    }
}

/// Plays the role in `dir` (see [`desired::role`]) until it is told to stop; the namespaces are in `state`/netns.
///
/// # Errors
/// When the folder cannot be used, holds no configuration, or another process plays the role.
pub fn run(dir: &Path, state: &Path) -> Result<(), Error> {
    let role = RoleDir::new(dir);
    let _lock = role.lock()?;
    let taken =
        Taken::new(role.read_config()?).map_err(|why| Error::Config { folder: dir.to_owned(), why })?;
    let (sender, receiver) = watch::channel(Arc::new(taken));
    let (news, stop) = (News::default(), Arc::new(Notify::new()));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    let stopping = stop.clone();
    answer_socket(&role, news.clone(), move |part| apply(&sender, part), move || stopping.notify_one())?;
    runtime.block_on(async {
        tokio::select! {
            () = desk::keep(state, receiver, news) => (),
            () = stop.notified() => (),
        }
        // The thread that was told to stop has its answer to send yet.
        tokio::time::sleep(Duration::from_millis(50)).await;
    });
    Ok(())
}

fn apply(sender: &watch::Sender<Arc<Taken>>, part: Part) -> Result<(), String> {
    let new = Taken::new(part)?;
    let mut refused = None;
    sender.send_if_modified(|taken| {
        if new.generation < taken.generation {
            refused =
                Some(format!("generation {} is stale, {} is at hand", new.generation, taken.generation));
            return false;
        }
        *taken = Arc::new(new);
        true
    });
    refused.map_or(Ok(()), Err)
}
