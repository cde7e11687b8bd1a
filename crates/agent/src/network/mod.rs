//! Makes network namespaces match [`desired::Vpc`].
//!
//! [`compile`] turns a VPC into plain data; [`Network`] observes the namespaces and applies the difference. One
//! namespace a VPC is its implicit router; every interface is a leg into a namespace of its own; `internet` is where
//! public addresses are. The host's own namespace gets nothing.
//!
//! From a security group rule to a packet filter: `security_group::write` makes the rule of nf_tables, `filter` the
//! base chains that lead to it, `sys::nft` the kernel's bytes.

mod converge;
mod filter;
mod flows;
mod internet;
mod listening;
mod matches;
mod nat_gateway;
mod network_acl;
mod peering;
mod plan;
mod rules;
mod security_group;
mod vpc;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sys::{netns, nft};
use types::{NetworkInterfaceId, VpcId};

pub use filter::{
    EGRESS_DENIED, INGRESS_DENIED, INVALID, LOG_GROUP, MISDIRECTED, NO_INTERFACE, NO_PUBLIC_ADDRESS,
    NO_ROUTE, NO_SERVICE, NOT_ADDRESSED, NOT_LET_IN, NOT_LET_OUT, SPOOFED, TABLE,
};
pub use internet::{HOST, Outside};
pub use listening::Listening;
pub use nat_gateway::UNSOLICITED;
pub use plan::{
    InternetPlan, LegPlan, NamespacePlan, PeeringPlan, PlanError, VpcPlan, compile, endpoint_link,
    internet_link, leg_link, peering_link,
};
pub use security_group::{Direction, rule_counter};

/// The name of the namespace where public addresses are.
pub const INTERNET: &str = "internet";

/// Why a network is not as it should be. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The VPC contradicts itself.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] sys::Error),
    /// A kernel setting could not be written.
    #[error("/proc/sys/{key} cannot be set to {value}: {cause}")]
    Setting {
        /// Below `/proc/sys`.
        key: String,
        /// The value.
        value: String,
        /// The system's words.
        cause: std::io::Error,
    },
}

/// What a namespace's filter was when this process last wrote it.
#[derive(Debug, Clone)]
struct Written {
    table: nft::Table,
    generation: u32,
}

/// What this process knows of a VPC's namespaces. It only spares work: without it everything is looked at and the
/// filter is written anew.
#[derive(Debug, Default)]
struct Memory {
    /// What was applied last, and without an error.
    applied: Option<desired::Vpc>,
    filter: Option<Written>,
    /// By namespace: the leg's number in the router, and what the namespace was made to be.
    inside: BTreeMap<String, (u32, NamespacePlan)>,
    /// The peering connections that were found whole: the link, its number in the router.
    peerings: BTreeMap<String, u32>,
    /// What there was when stale flows were looked for last.
    flows: Option<flows::Standing>,
}

/// What this process knows of the `internet` namespace.
#[derive(Debug, Default)]
struct Known {
    outside: Outside,
    filter: Option<Written>,
}

/// The namespaces of one state folder.
#[derive(Debug)]
pub struct Network {
    folder: PathBuf,
    vpcs: Mutex<BTreeMap<VpcId, Arc<Mutex<Memory>>>>,
    /// Held while two routers are connected, so that only one of the two connects them.
    joining: Mutex<()>,
    /// What the `internet` namespace should be; held while it is changed.
    outside: Mutex<Known>,
    /// See [`Network::logs`].
    logs: OnceLock<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Network {
    /// The namespaces below a state folder, made or not.
    pub fn new(state: &Path) -> Self {
        Self {
            folder: state.join("netns"),
            vpcs: Mutex::default(),
            joining: Mutex::default(),
            outside: Mutex::default(),
            logs: OnceLock::new(),
        }
    }

    /// Whether the kernel hands out refused packets. Without that there are no records of them; everything else is as
    /// ever.
    pub fn logs(&self) -> bool {
        *self.logs.get_or_init(|| netns::apart(nft::can_log).unwrap_or(false))
    }

    /// Where a namespace is bound: `internet`, a VPC's or an interface's id.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn memory(&self, vpc: &VpcId) -> Arc<Mutex<Memory>> {
        lock(&self.vpcs).entry(vpc.clone()).or_default().clone()
    }

    /// The packets that each counter of a VPC has counted: those of [`rule_counter`], and the refusals, whose names
    /// begin with `denied/`: `denied/<reason>` of all packets, `denied/<reason>/<interface id>` of those whose interface
    /// it was (the sender's, or the receiver's where its side decides), which is there once it has counted. None for a
    /// VPC without a namespace.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn counters(&self, vpc: &VpcId) -> Result<Option<BTreeMap<String, u64>>, NetworkError> {
        let path = self.path(vpc.as_str());
        if !netns::exists(&path) {
            return Ok(None);
        }
        let (mut counters, by_link) = netns::within(&path, || {
            let by_link = filter::REASONS.map(|(reason, _)| (reason, nft::interface_counters(TABLE, reason)));
            Ok::<_, sys::Error>((nft::counters(TABLE)?, by_link))
        })??;
        let interfaces = self.interfaces()?;
        for (reason, by_link) in by_link {
            for (link, packets) in by_link? {
                if let Some(interface) = interfaces.get(&link) {
                    counters.insert(format!("{reason}/{interface}"), packets);
                }
            }
        }
        counters.insert(UNSOLICITED.to_owned(), 0);
        for gateway in self.nat_gateways(vpc) {
            let path = self.path(&gateway);
            let own = netns::within(&path, || nft::counters(nat_gateway::TABLE))??;
            let packets = own.get(UNSOLICITED).copied().unwrap_or_default();
            *counters.entry(UNSOLICITED.to_owned()).or_default() += packets;
            counters.insert(format!("{UNSOLICITED}/{gateway}"), packets);
        }
        Ok(Some(counters))
    }

    /// The interfaces that have a namespace, by the name of their link.
    fn interfaces(&self) -> Result<BTreeMap<String, NetworkInterfaceId>, NetworkError> {
        let names = netns::list(&self.folder)?;
        let names = names.iter().filter_map(|path| path.file_name()?.to_str());
        let interfaces = names.filter(|name| name.starts_with(NetworkInterfaceId::PREFIX));
        Ok(interfaces.map(NetworkInterfaceId::from).map(|id| (leg_link(&id), id)).collect())
    }

    /// The namespaces of a VPC's NAT gateways, as far as this process has looked at them.
    fn nat_gateways(&self, vpc: &VpcId) -> Vec<String> {
        let memory = self.memory(vpc);
        let memory = lock(&memory);
        let gateways = memory.inside.iter().filter(|(_, (_, plan))| plan.table.is_some());
        gateways.map(|(name, _)| name.clone()).filter(|name| netns::exists(&self.path(name))).collect()
    }

    /// Removes the namespaces that nothing wants, such as those a crash left behind. The folder is read before
    /// `wanted` is asked, so that a namespace that is made meanwhile is safe.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn sweep(&self, wanted: impl FnOnce() -> BTreeSet<String>) -> Result<(), NetworkError> {
        let mut found = netns::list(&self.folder)?;
        // Routers first: with their links go those of all their legs, at once.
        let is_router = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(VpcId::PREFIX.as_bytes()))
        };
        found.sort_by_key(|path| !is_router(path));
        let wanted = wanted();
        for path in found {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if wanted.contains(&name) {
                continue;
            }
            // Its links first: a process with a socket in it would keep them.
            converge::delete_links(&path, |_| true)?;
            netns::delete(&path)?;
        }
        Ok(())
    }

    /// Removes every namespace and the folder.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_all(&self) -> Result<(), NetworkError> {
        self.sweep(BTreeSet::new)?;
        lock(&self.vpcs).clear();
        Ok(netns::delete_all(&self.folder)?)
    }
}
