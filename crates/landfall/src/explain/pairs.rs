//! From one end to another: which packets are meant, and their paths.

use std::sync::Arc;

use control::ecs::service::Service;
use control::ecs::task::{LastStatus, Task};
use control::ecs::task_definition::{self, TaskDefinition};
use control::elbv2::listener::Listener;
use control::elbv2::load_balancer::LoadBalancer;
use reachability::{End as PathEnd, Query, Traffic};
use types::{AccountId, NetworkInterfaceId, Region, VpcId};

use super::ends::{self, End};
use super::explanation::{Finding, Path, Protocol};
use super::pull;
use super::world::{NEXT_TASK, World, task_name};

/// HTTPS: the port of AWS's services, and of the internet unless another is asked for.
pub const HTTPS: u16 = 443;

/// Where packets come from.
#[derive(Debug, Clone)]
pub struct Source {
    /// For the analysis.
    pub end: PathEnd,
    /// In words.
    pub name: String,
    /// Its VPC; None for the internet.
    pub vpc: Option<VpcId>,
    /// The region whose AWS names it asks for.
    pub region: Option<Region>,
    /// Its account.
    pub account: Option<AccountId>,
    /// What it runs, where it is a task.
    pub definition: Option<Arc<TaskDefinition>>,
}

/// Where packets go.
#[derive(Debug, Clone)]
pub struct Destination {
    /// For the analysis.
    pub end: PathEnd,
    /// In words.
    pub name: String,
    /// The ports that it is known to have.
    pub ports: Vec<u16>,
    /// What is sent to it, whatever was asked for. None: what was asked for.
    pub protocol: Option<Protocol>,
}

/// The interface of an end, as a source.
pub fn from_interface(world: &World<'_>, id: &str, name: String) -> Source {
    let row = world.interface(id);
    Source {
        end: PathEnd::Interface(NetworkInterfaceId::from(id)),
        name,
        vpc: row.as_ref().map(|row| row.vpc_id.clone()),
        region: row.as_ref().map(|row| row.region.clone()),
        account: row.as_ref().map(|row| row.account.clone()),
        definition: None,
    }
}

/// The internet as a source.
pub fn from_internet() -> Source {
    Source {
        end: PathEnd::Internet,
        name: "internet".to_owned(),
        vpc: None,
        region: None,
        account: None,
        definition: None,
    }
}

/// The tasks of a service that are not over.
pub fn tasks(world: &World<'_>, service: &Service) -> Vec<Arc<Task>> {
    let is = |task: &Arc<Task>| {
        task.service.as_deref() == Some(&service.name)
            && task.cluster == service.cluster
            && task.region == service.region
            && task.account == service.account
            && task.last_status < LastStatus::Deactivating
    };
    world.rows.scan::<Task>("").filter(is).collect()
}

/// Where the packets of an end come from.
///
/// # Errors
/// When the end sends nothing, in words for a person.
pub fn sources(world: &mut World<'_>, end: &End) -> Result<Vec<Source>, String> {
    match end {
        End::Internet => Ok(vec![from_internet()]),
        End::Ecr => Err("ecr answers only: ask for a path to it".to_owned()),
        End::Address(address) => match ends::holder(world.rows, *address)
            .map_err(|error| error.to_string())?
        {
            Some(row) => Ok(vec![from_interface(world, row.id.as_str(), format!("{address} ({})", row.id))]),
            None => Ok(vec![Source {
                end: PathEnd::Address(*address),
                name: address.to_string(),
                ..from_internet()
            }]),
        },
        End::Interface(row) => Ok(vec![from_interface(world, row.id.as_str(), row.id.to_string())]),
        End::Task(task) => Ok(vec![of_task(world, task)?]),
        End::Service(service) => of_service(world, service),
        End::LoadBalancer(balancer) => Ok(balancer
            .nodes
            .iter()
            .map(|node| {
                from_interface(world, &node.interface_id, format!("lb/{} in {}", balancer.name, node.zone))
            })
            .collect()),
    }
}

fn of_task(world: &World<'_>, task: &Task) -> Result<Source, String> {
    if task.last_status == LastStatus::Stopped || !world.has_interface(&task.interface.id) {
        let why = task.stopped_reason.as_deref().unwrap_or("its interface is gone");
        return Err(format!(
            "{} has stopped: {why}. Ask for its service, or for a task that runs",
            task_name(task)
        ));
    }
    let definition = task_definition::get(world.rows, &task.task_definition);
    Ok(Source { definition, ..from_interface(world, task.interface.id.as_str(), task_name(task)) })
}

/// A service's tasks; without any the one that comes next, in each of its subnets.
fn of_service(world: &mut World<'_>, service: &Service) -> Result<Vec<Source>, String> {
    let there: Vec<Source> =
        tasks(world, service).iter().filter_map(|task| of_task(world, task).ok()).collect();
    if !there.is_empty() {
        return Ok(there);
    }
    let definition = service
        .primary()
        .and_then(|deployment| task_definition::get(world.rows, &deployment.task_definition));
    let network = service.primary().map(|deployment| deployment.network.clone());
    let network = network.ok_or_else(|| format!("service/{} has no deployment", service.name))?;
    let public = network.assign_public_ip == control::ecs::AssignPublicIp::Enabled;
    let subnet = network.subnets.first().cloned().unwrap_or_default();
    if !world.imagine(&subnet, &network.security_groups, public) {
        return Err(format!(
            "service/{} has no task now, and nothing else of its VPC runs: there is no network yet to look at",
            service.name
        ));
    }
    let vpc = world
        .topology
        .vpcs
        .iter()
        .find(|vpc| vpc.interfaces.iter().any(|one| one.id.as_str() == NEXT_TASK))
        .map(|vpc| vpc.id.clone());
    Ok(vec![Source {
        end: PathEnd::Interface(NEXT_TASK.into()),
        name: format!("the next task of service/{} in {subnet}", service.name),
        vpc,
        region: Some(service.region.clone()),
        account: Some(service.account.clone()),
        definition,
    }])
}

/// Where packets from `source` to an end go, and what was found on the way there (names that do not resolve).
///
/// # Errors
/// When there is nothing to send to, in words for a person.
pub fn destinations(
    world: &World<'_>,
    source: &Source,
    end: &End,
) -> Result<(Vec<Destination>, Vec<Finding>), String> {
    let plain = |end, name, ports| Ok((vec![Destination { end, name, ports, protocol: None }], Vec::new()));
    match end {
        End::Internet => plain(PathEnd::Internet, "internet".to_owned(), vec![HTTPS]),
        End::Ecr if source.vpc.is_none() => {
            Err(format!("{} is in no VPC: an image is pulled by a task or a service", source.name))
        }
        End::Ecr => Ok(pull::needs(world, source)),
        End::Address(address) => plain(PathEnd::Address(*address), address.to_string(), Vec::new()),
        End::Interface(row) => plain(PathEnd::Interface(row.id.clone()), row.id.to_string(), Vec::new()),
        End::Task(task) => {
            of_task(world, task)?;
            Ok((vec![to_task(world, task)], Vec::new()))
        }
        End::Service(service) => {
            let there: Vec<Destination> = tasks(world, service)
                .iter()
                .filter(|task| of_task(world, task).is_ok())
                .map(|task| to_task(world, task))
                .collect();
            if there.is_empty() {
                return Err(format!(
                    "service/{0} has no task now: `landfall explain service/{0}` says why",
                    service.name
                ));
            }
            Ok((there, Vec::new()))
        }
        End::LoadBalancer(balancer) => Ok((to_balancer(world, source, balancer), Vec::new())),
    }
}

fn to_task(world: &World<'_>, task: &Task) -> Destination {
    let definition = task_definition::get(world.rows, &task.task_definition);
    let ports = definition.iter().flat_map(|definition| &definition.containers);
    Destination {
        end: PathEnd::Interface(task.interface.id.clone()),
        name: task_name(task),
        ports: ports
            .flat_map(|container| container.port_mappings.iter().map(|mapping| mapping.container_port))
            .collect(),
        protocol: None,
    }
}

/// A load balancer's listeners, by port.
pub fn listeners(world: &World<'_>, balancer: &LoadBalancer) -> Vec<Arc<Listener>> {
    let mut found: Vec<_> = world
        .rows
        .scan::<Listener>(&balancer.scope)
        .filter(|listener| listener.load_balancer_arn == balancer.arn)
        .collect();
    found.sort_by_key(|listener| listener.port);
    found
}

/// A load balancer's nodes by the addresses that its name leads to.
pub fn to_balancer(world: &World<'_>, source: &Source, balancer: &LoadBalancer) -> Vec<Destination> {
    let ports: Vec<u16> = listeners(world, balancer).iter().map(|listener| listener.port).collect();
    balancer
        .nodes
        .iter()
        .filter_map(|node| {
            let row = world.interface(&node.interface_id)?;
            // Everybody resolves the public addresses of one that faces the internet.
            let end = match row.public_address.filter(|_| !balancer.internal && source.vpc.is_some()) {
                Some(public) => PathEnd::Address(public),
                None => PathEnd::Interface(row.id.clone()),
            };
            Some(Destination {
                end,
                name: format!("lb/{} in {}", balancer.name, node.zone),
                ports: ports.clone(),
                protocol: None,
            })
        })
        .collect()
}

/// The packet of a protocol to a port.
pub fn traffic(protocol: Protocol, port: Option<u16>) -> Traffic {
    let (source_port, destination_port) = (None, port);
    match protocol {
        Protocol::Tcp => Traffic::Tcp { source_port, destination_port },
        Protocol::Udp => Traffic::Udp { source_port, destination_port },
        Protocol::Icmp => Traffic::Icmp { kind: 8, code: 0 },
    }
}

/// What is sent, in words: `tcp 443`, `icmp echo`.
pub fn traffic_name(protocol: Protocol, port: Option<u16>) -> String {
    match (protocol, port) {
        (Protocol::Icmp, _) => "icmp echo".to_owned(),
        (protocol, Some(port)) => format!("{} {port}", protocol.name()),
        (protocol, None) => protocol.name().to_owned(),
    }
}

/// The paths from one source to one destination, one a port.
///
/// # Errors
/// When no port is known or asked for, in words for a person.
pub fn paths(
    world: &mut World<'_>,
    source: &Source,
    destination: &Destination,
    port: Option<u16>,
    protocol: Protocol,
) -> Result<Vec<Path>, String> {
    let (port, protocol) = match destination.protocol {
        Some(own) => (None, own),
        None => (port, protocol),
    };
    let ports: Vec<Option<u16>> = match (protocol, port) {
        (Protocol::Icmp, _) => vec![None],
        (_, Some(port)) => vec![Some(port)],
        (_, None) if destination.ports.is_empty() => {
            return Err(format!("say which port of {} is meant: --port <PORT>", destination.name));
        }
        (_, None) => destination.ports.iter().copied().map(Some).collect(),
    };
    ports
        .into_iter()
        .map(|port| {
            let query = Query {
                from: source.end.clone(),
                source_address: None,
                to: destination.end.clone(),
                traffic: traffic(protocol, port),
            };
            world
                .path(&query, &source.name, &destination.name, &traffic_name(protocol, port))
                .map_err(|error| error.to_string())
        })
        .collect()
}
