//! The ends of a path as a person names them, found in the rows.

use std::net::Ipv4Addr;
use std::sync::Arc;

use control::ec2::interface::NetworkInterface;
use control::ecs::service::Service;
use control::ecs::task::{LastStatus, Task};
use control::elbv2::load_balancer::LoadBalancer;
use store::Snapshot;

/// One end.
#[derive(Debug, Clone)]
pub enum End {
    /// Everything that is outside of all VPCs.
    Internet,
    /// What an image pull needs: ECR's API, the registry, and the bucket of the layers.
    Ecr,
    /// An address; whose it is, the path shows.
    Address(Ipv4Addr),
    /// A network interface.
    Interface(Arc<NetworkInterface>),
    /// A task.
    Task(Arc<Task>),
    /// A service: its tasks.
    Service(Arc<Service>),
    /// A load balancer: its nodes.
    LoadBalancer(Arc<LoadBalancer>),
}

/// Why a name is no end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Nothing is named so.
    #[error(
        "there is no task, service, load balancer or network interface '{named}'{}",
        if known.is_empty() { "; nothing runs yet".to_owned() } else { format!("; there are {}", known.join(", ")) }
    )]
    Nothing {
        /// What was asked for.
        named: String,
        /// What there is, in the form in which it may be asked for.
        known: Vec<String>,
    },
    /// Several things are.
    #[error("'{named}' may be {}: say which", candidates.join(" or "))]
    Several {
        /// What was asked for.
        named: String,
        /// What it may be, in the form in which it may be asked for.
        candidates: Vec<String>,
    },
}

/// The most names that an error lists.
const MOST_KNOWN: usize = 12;
/// So many digits of a task's id are enough, as `landfall logs` prints eight.
const SHORTEST_TASK: usize = 6;

/// What a name means: `internet`, `ecr`, an address, an interface's id, a task's id or the first digits of it, a
/// service's or load balancer's name, an ARN, a DNS name; with `task/`, `service/`, `lb/` or `eni/` in front it is one of
/// these alone.
///
/// # Errors
/// When it means nothing, or several things.
pub fn find(rows: &Snapshot, named: &str) -> Result<End, Unknown> {
    match named {
        "internet" => return Ok(End::Internet),
        "ecr" => return Ok(End::Ecr),
        _ => (),
    }
    if let Ok(address) = named.parse() {
        return Ok(End::Address(address));
    }
    let mut found = candidates(rows, named);
    match (found.len(), found.pop()) {
        (1, Some((_, end))) => Ok(end),
        (0, _) | (_, None) => Err(Unknown::Nothing { named: named.to_owned(), known: known(rows) }),
        (_, Some(last)) => {
            found.push(last);
            let candidates = found.into_iter().map(|(name, _)| name).collect();
            Err(Unknown::Several { named: named.to_owned(), candidates })
        }
    }
}

fn candidates(rows: &Snapshot, named: &str) -> Vec<(String, End)> {
    let (kind, name) = match named.split_once('/') {
        Some((kind @ ("task" | "service" | "lb" | "eni"), name)) => (Some(kind), name),
        _ => (None, named),
    };
    let may_be = |one: &str| kind.is_none_or(|kind| kind == one);
    let mut found = Vec::new();
    if may_be("eni") {
        let is = |one: &Arc<NetworkInterface>| one.id.as_str() == name;
        found.extend(
            rows.scan::<NetworkInterface>("")
                .filter(is)
                .map(|one| (format!("eni/{}", one.id), End::Interface(one))),
        );
    }
    if may_be("task") {
        let id = name.rsplit('/').next().unwrap_or(name);
        let is = |task: &Arc<Task>| {
            let short = id.len() >= SHORTEST_TASK && task.id.as_str().starts_with(id);
            task.arn() == name || (short && !name.starts_with("arn:"))
        };
        found.extend(
            rows.scan::<Task>("").filter(is).map(|task| (format!("task/{}", task.id), End::Task(task))),
        );
    }
    if may_be("service") {
        let is = |service: &Arc<Service>| {
            (service.is_active() || service.is_draining())
                && (service.name == name
                    || service.arn() == name
                    || name.split_once('/') == Some((&service.cluster, &service.name)))
        };
        let services: Vec<_> = rows.scan::<Service>("").filter(is).collect();
        let several = services.len() > 1;
        found.extend(services.into_iter().map(|service| {
            let shown = if several {
                format!("service/{}/{}", service.cluster, service.name)
            } else {
                format!("service/{}", service.name)
            };
            (shown, End::Service(service))
        }));
    }
    if may_be("lb") {
        let host = name.to_ascii_lowercase().replace(".elb.amazonaws.com", ".elb.localhost");
        let is = |balancer: &Arc<LoadBalancer>| {
            let dns = balancer.dns_name.to_ascii_lowercase().replace(".elb.amazonaws.com", ".elb.localhost");
            balancer.name == name || balancer.arn == name || dns == host
        };
        let balancers: Vec<_> = rows.scan::<LoadBalancer>("").filter(is).collect();
        let several = balancers.len() > 1;
        found.extend(balancers.into_iter().map(|balancer| {
            let shown = if several { balancer.arn.clone() } else { format!("lb/{}", balancer.name) };
            (shown, End::LoadBalancer(balancer))
        }));
    }
    found
}

/// What there is to ask about.
fn known(rows: &Snapshot) -> Vec<String> {
    let balancers = rows.scan::<LoadBalancer>("").map(|one| format!("lb/{}", one.name));
    let services =
        rows.scan::<Service>("").filter(|one| one.is_active()).map(|one| format!("service/{}", one.name));
    let tasks = rows
        .scan::<Task>("")
        .filter(|task| task.last_status != LastStatus::Stopped)
        .map(|task| format!("task/{}", &task.id.as_str()[..8.min(task.id.as_str().len())]));
    let mut all: Vec<String> = balancers.chain(services).chain(tasks).collect();
    all.truncate(MOST_KNOWN);
    all
}

/// The interface that has a private address. None when nobody has; several VPCs may have the same range.
///
/// # Errors
/// When interfaces of several VPCs have it.
pub fn holder(rows: &Snapshot, address: Ipv4Addr) -> Result<Option<Arc<NetworkInterface>>, Unknown> {
    let mut found: Vec<_> = rows
        .scan::<NetworkInterface>("")
        .filter(|one| one.private_address == address || one.public_address == Some(address))
        .collect();
    if found.len() > 1 {
        let candidates = found.iter().map(|one| format!("{} of {}", one.id, one.vpc_id)).collect();
        return Err(Unknown::Several { named: address.to_string(), candidates });
    }
    Ok(found.pop())
}
