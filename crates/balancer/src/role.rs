//! The process: its folder, its socket, its signals.

use std::path::Path;

use desired::role::{News, RoleDir, RoleError, answer_counting};
use desired::{LoadBalancerStatus, Observation};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::{Balancer, Place, Settings};

/// Why a load balancer's process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its folder.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// Its configuration.
    #[error("{folder}: {why}")]
    Config {
        /// The role folder.
        folder: std::path::PathBuf,
        /// What contradicts itself.
        why: String,
    },
    /// The process itself.
    #[error("signals cannot be waited for: {0}")]
    Signals(#[source] std::io::Error),
}

/// Plays a load balancer's role until SIGTERM, SIGINT, [`desired::role::Request::Stop`] or a part without a body;
/// then stops accepting, finishes what is in flight, and returns. `state` is the state folder, whose `netns/` holds the
/// nodes' namespaces. One that is not there yet is waited for, and named in the status.
///
/// # Errors
/// When the folder is locked or has no configuration of a load balancer.
pub fn run(dir: &Path, state: &Path) -> Result<(), Error> {
    let role = RoleDir::new(dir);
    let _lock = role.lock()?;
    let part = role.read_config()?;
    if part.body.is_none() {
        return Ok(());
    }
    raise_descriptors();
    let news = News::default();
    let told = news.clone();
    let publish = move |status: LoadBalancerStatus| told.publish(Observation::LoadBalancer(status));
    let settings = Settings::new(Place::Namespaces(state.join("netns")));
    let wrong = |why| Error::Config { folder: dir.to_owned(), why };
    let balancer = std::sync::Arc::new(Balancer::start(&part, settings, publish).map_err(wrong)?);
    let (stop, mut stopped) = mpsc::unbounded_channel();
    let applied = std::sync::Arc::downgrade(&balancer);
    let gone = stop.clone();
    let apply = move |part: desired::Part| {
        let balancer = applied.upgrade().ok_or("the load balancer is stopping")?;
        if part.body.is_none() && part.id == balancer.id() {
            // The main thread waits for this for as long as the process lives.
            let _ = gone.send(());
            return Ok(());
        }
        balancer.apply(&part)
    };
    let counted = std::sync::Arc::downgrade(&balancer);
    let stop = move || {
        let _ = stop.send(());
    };
    answer_counting(&role, news, apply, stop, move || Some(counted.upgrade()?.usage()))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(Error::Signals)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
            _ = stopped.recv() => (),
        }
        Ok::<(), Error>(())
    })?;
    if let Some(balancer) = std::sync::Arc::into_inner(balancer) {
        balancer.stop();
    }
    Ok(())
}

/// Every connection is a descriptor: take as many as the system gives.
fn raise_descriptors() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // The limit at hand holds on.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}
