//! The role `serve`: the AWS API, the registry, scheduling, the store.

pub mod calls;
mod flow_logs;
pub mod http;
pub mod keys;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use control::ecr::catalog::Catalog;
use control::reconcile::Reconciler;
use control::{Api, Auth, Machine, Settings};
use registry::{Blobs, LayerKey, Registry};
use store::Store;
use types::{Region, Timestamp};

use crate::background::{self, BackgroundError, Options};
use crate::doctor::{self, Verdict};
use crate::{status, terminal};
use keys::{Keys, make_state};

/// How often it is looked whether the agent lives.
const AGENT_LOOK: Duration = Duration::from_secs(1);
/// How often log events that are kept no longer are deleted.
const EXPIRY: Duration = Duration::from_secs(60);
/// How often the registry is swept.
const SWEEP: Duration = Duration::from_secs(3600);

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Start-up as for the background failed.
    #[error(transparent)]
    Background(#[from] BackgroundError),
    /// The keys failed.
    #[error(transparent)]
    Keys(#[from] keys::KeysError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The registry's folder failed.
    #[error(transparent)]
    Blobs(#[from] registry::BlobError),
    /// The store of log events failed.
    #[error(transparent)]
    Events(#[from] ::logs::Error),
    /// Another process serves this folder.
    #[error(transparent)]
    Role(#[from] desired::role::RoleError),
    /// The address cannot be listened on.
    #[error("{address}: {cause}. End the program that uses it, or choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        cause: std::io::Error,
    },
    /// A thread or signal handler cannot be made.
    #[error("the system refuses a thread or a signal handler: {0}")]
    System(#[from] std::io::Error),
}

/// Refuses a machine that cannot run Landfall, with every problem and its remedy.
///
/// # Errors
/// [`BackgroundError::Unfit`].
pub fn check_machine(
    state: &Path,
    listen: SocketAddr,
    host_address: Ipv4Addr,
) -> Result<(), BackgroundError> {
    let problems: Vec<String> = doctor::examine(state, listen, host_address, false)
        .into_iter()
        .filter(|check| check.verdict == Verdict::Problem)
        .map(|check| format!("  {}: {}\n    {}", check.name, check.seen, check.remedy))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(BackgroundError::Unfit(problems.join("\n"))) }
}

/// Serves until a signal or `down` ends it. `foreground`: a person watches.
///
/// # Errors
/// When it cannot begin.
pub fn run(state: &Path, options: &Options, foreground: bool) -> Result<(), ServeError> {
    let dir = background::serve_dir(state);
    if foreground {
        if status::ask(state).is_some() {
            return Err(desired::role::RoleError::Running(dir.path().to_owned()).into());
        }
        background::check_folder(state)?;
        check_machine(state, options.listen, options.host_address)?;
    }
    make_state(state)?;
    std::fs::create_dir_all(dir.path())?;
    let _lock = dir.lock()?;
    let keys = Keys::load_or_mint(state, options.account.as_ref())?;
    let certificates = keys.endpoint_certificates(state)?;
    let store = Arc::new(Store::open(&state.join("landfall.db"), &control::tables())?);
    if let Some(on) = options.internet {
        let turned = store.write(move |rows| {
            control::internet::turn(rows, on);
            Ok::<_, std::convert::Infallible>(())
        });
        let Ok(()) = turned?;
    }
    let listen = |cause| ServeError::Listen { address: options.listen, cause };
    let listener = TcpListener::bind(options.listen).map_err(listen)?;
    let settings = Arc::new(Settings {
        account: keys.account.clone(),
        access_key_id: keys.access_key_id.clone(),
        secret_access_key: keys.secret_access_key.clone(),
        listen: listener.local_addr().map_err(listen)?,
        host_address: options.host_address,
        auth: if options.verify { Auth::Verify } else { Auth::Off },
        metric_period: options.metric_period,
        token_key: keys.token_key,
        ca_certificate: keys.ca_certificate.clone(),
        certificates: certificates.certificates,
        private_key: certificates.key,
    });
    let machine = Arc::new(Machine::default());
    let blobs = Arc::new(Blobs::open(&state.join("registry"))?);
    let catalog = Arc::new(Catalog::new(store.clone(), settings.clone(), blobs.clone()));
    let registry = Registry::new(blobs.clone(), catalog, Arc::new(LayerKey::new(&settings.token_key)));
    let events = Arc::new(::logs::Store::open(&state.join("events"))?);
    let api = Arc::new(Api::new(store.clone(), settings.clone(), machine.clone(), events.clone()));
    let client = Arc::new(agent::Client::new(state));
    Reconciler::start(store.clone(), settings.clone(), machine.clone(), client)?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let calls = Arc::<calls::Calls>::default();
    let services = http::Services { api, registry: registry.clone(), calls: calls.clone() };
    http::serve(&listener, &http::endpoint_socket(state)?, &services, threads)?;
    let stop = status::answer(state, store.clone(), settings.clone(), machine, calls)?;
    terminal::line(&ready_line(&settings));
    if settings.auth == Auth::Off {
        terminal::warn("signatures are NOT verified (--auth off): whoever reaches the port is the root user");
    }
    // Only now: the API is there without the data plane.
    let folder = state.to_owned();
    std::thread::Builder::new().name("agent-watch".to_owned()).spawn(move || watch_agent(&folder))?;
    flow_logs::start(state, store.clone(), events.clone())?;
    let rows = store.clone();
    std::thread::Builder::new().name("expiry".to_owned()).spawn(move || expire(&rows, &events))?;
    std::thread::Builder::new().name("sweep".to_owned()).spawn(move || sweep(&store, &blobs, &registry))?;
    if wait_for_end(stop)? == End::Signal && foreground {
        terminal::note("The API has ended. Tasks and load balancers go on; `landfall down` ends them.");
    }
    Ok(())
}

/// Starts the agent, and again whenever it is not there: it has no parent that would.
fn watch_agent(state: &Path) {
    loop {
        if let Err(error) = background::start_agent(state) {
            terminal::warn(&format!("the agent cannot be started: {error}"));
        }
        std::thread::park_timeout(AGENT_LOOK);
    }
}

/// Deletes log events that are kept no longer.
fn expire(rows: &Store, events: &::logs::Store) {
    loop {
        if let Err(error) = control::logs::sweep(rows, events, Timestamp::now()) {
            terminal::warn(&format!("old log events cannot be deleted: {error}"));
        }
        std::thread::park_timeout(EXPIRY);
    }
}

/// Deletes what no image needs any more, and uploads that were left.
fn sweep(store: &Store, blobs: &Blobs, registry: &Registry<Catalog>) {
    loop {
        let live = control::ecr::live_digests(&store.snapshot());
        if let Err(error) = blobs.sweep(&live, registry::SWEEP_GRACE) {
            terminal::warn(&format!("the registry cannot be swept: {error}"));
        }
        if let Err(error) = registry.sweep_uploads(registry::UPLOAD_LIFE) {
            terminal::warn(&format!("old uploads cannot be removed: {error}"));
        }
        std::thread::park_timeout(SWEEP);
    }
}

/// The one line that says that calls are answered.
fn ready_line(settings: &Settings) -> String {
    let regions = Region::all().count();
    format!(
        "landfall is ready: AWS API on http://{}, account {}, {regions} regions",
        settings.listen, settings.account
    )
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Signal,
    Told,
}

/// Waits for SIGINT, SIGTERM or `down`.
fn wait_for_end(told: std::sync::mpsc::Receiver<()>) -> std::io::Result<End> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (send, ended) = tokio::sync::oneshot::channel();
        std::thread::Builder::new().name("told-to-end".to_owned()).spawn(move || {
            if told.recv().is_ok() {
                let _ = send.send(());
            }
        })?;
        Ok(tokio::select! {
            _ = interrupt.recv() => End::Signal,
            _ = terminate.recv() => End::Signal,
            Ok(()) = ended => End::Told,
        })
    })
}
