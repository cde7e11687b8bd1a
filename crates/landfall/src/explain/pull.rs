//! What an image pull needs besides packets: names, and the policies of the role and of the VPC endpoints on the way.

use std::net::Ipv4Addr;
use std::sync::Arc;

use control::Principal;
use control::ec2::dhcp_options;
use control::ec2::vpc::Vpc;
use control::ec2::vpc_endpoint::{VpcEndpoint, Way};
use control::ec2::vpc_endpoint_service::EndpointService;
use control::iam::{self, Asker};
use control::project::task::image_reference;
use desired::{Dns, RouteTarget};
use reachability::End as PathEnd;
use types::{Arn, Timestamp, VpcId};

use super::explanation::{Finding, Level, Protocol};
use super::pairs::{Destination, HTTPS, Source};
use super::world::World;

/// The port of DNS.
const DOMAIN: u16 = 53;

/// What a pull asks for, in its order, each at the address that the source's own DNS server gives; and what would not
/// let it have it.
pub fn needs(world: &World<'_>, source: &Source) -> (Vec<Destination>, Vec<Finding>) {
    // Who is in no VPC has no DNS server that knows the names.
    let (Some(region), Some(account), Some(vpc)) = (&source.region, &source.account, &source.vpc) else {
        return (Vec::new(), Vec::new());
    };
    let asked = [
        (EndpointService::EcrApi, format!("api.ecr.{region}.amazonaws.com")),
        (EndpointService::EcrDkr, format!("{account}.dkr.ecr.{region}.amazonaws.com")),
        (EndpointService::S3, registry::layer_bucket_host(region)),
    ];
    let (mut found, mut findings) = (Vec::new(), Vec::new());
    let row = world.rows.scan::<Vpc>("").find(|row| row.id == *vpc);
    let dns = row.as_ref().map_or_else(Dns::default, |row| dhcp_options::dns(world.rows, row));
    let own = |server: &Ipv4Addr| {
        Dns::default().servers.contains(server) || row.as_ref().is_some_and(|row| row.dns_server() == *server)
    };
    // The first server that answers is the only one that is heard.
    let foreign = dns.servers.first().filter(|server| !own(server));
    if let (Some(server), Some(row)) = (foreign, &row) {
        found.push(Destination {
            end: PathEnd::Address(*server),
            name: format!("the DNS server {server} of {}", row.dhcp_options_id),
            ports: vec![DOMAIN],
            protocol: Some(Protocol::Udp),
        });
        findings.push(Finding {
            level: Level::Note,
            about: row.dhcp_options_id.to_string(),
            text: format!(
                "names are asked of {server}, which {} names: what it answers is not known here, and private names are \
                 AmazonProvidedDNS's alone. AWS's public addresses are looked at",
                row.dhcp_options_id
            ),
            remedy: None,
        });
    }
    for (service, name) in asked {
        let resolved = match foreign {
            Some(_) => vec![service.address()],
            None => world.resolve(vpc, &name).unwrap_or_default(),
        };
        // A task asks the first one.
        let Some(address) = resolved.first().copied() else {
            findings.push(Finding {
                level: Level::Blocks,
                about: vpc.to_string(),
                text: format!("{name} does not resolve in {vpc}"),
                remedy: Some(format!("Switch enableDnsSupport of {vpc} on (enable_dns_support = true).")),
            });
            continue;
        };
        findings.extend(refusal(world, source, service, endpoint(world, source, vpc, address).as_deref()));
        found.push(Destination {
            end: PathEnd::Address(address),
            name: format!("{name} ({address})"),
            ports: vec![HTTPS],
            protocol: None,
        });
    }
    (found, findings)
}

/// The VPC endpoint that an address leads to: the one whose interface has it, or the one that the subnet's route table
/// has a route to.
fn endpoint(world: &World<'_>, source: &Source, vpc: &VpcId, address: Ipv4Addr) -> Option<Arc<VpcEndpoint>> {
    let network = world.topology.vpcs.iter().find(|network| network.id == *vpc)?;
    let PathEnd::Interface(interface) = &source.end else { return None };
    let interface = network.interfaces.iter().find(|one| one.id == *interface)?;
    let subnet = network.subnets.iter().find(|subnet| subnet.id == interface.subnet)?;
    let table = network.route_tables.iter().find(|table| table.id == subnet.route_table)?;
    let routed = table.routes.iter().find_map(|route| match &route.target {
        RouteTarget::Endpoint(id) if route.destination == address.into() => Some(id),
        _ => None,
    });
    let leads = |one: &Arc<VpcEndpoint>| match &one.way {
        Way::Gateway { .. } => routed == Some(&one.id),
        Way::Interface(of) => one.vpc_id == *vpc && of.nodes.iter().any(|node| node.address == address),
    };
    world.rows.scan::<VpcEndpoint>("").filter(|one| one.is_live()).find(leads)
}

/// What the execution role may not do there, or the endpoint does not let by.
fn refusal(
    world: &World<'_>,
    source: &Source,
    service: EndpointService,
    endpoint: Option<&VpcEndpoint>,
) -> Option<Finding> {
    let (Some(region), Some(account)) = (&source.region, &source.account) else { return None };
    let now = Timestamp::now();
    let way = |endpoint: &VpcEndpoint| format!("{} ({})", endpoint.id, endpoint.service.name(region));
    if service == EndpointService::S3 {
        let endpoint = endpoint?;
        let bucket = registry::layer_bucket_host(region);
        let object = format!("arn:aws:s3:::{}/*", bucket.split('.').next().unwrap_or_default());
        if iam::endpoint_allows_object(world.rows, &endpoint.id, region.as_str(), now, &object) {
            return None;
        }
        return Some(Finding {
            level: Level::Blocks,
            about: endpoint.id.to_string(),
            text: format!("the policy of {} does not let s3:GetObject of {object} by", way(endpoint)),
            remedy: Some(format!(
                "Allow s3:GetObject of {object} to everybody (principal `*`) in the policy of {}: ECR signs the \
                 addresses of layers itself.",
                endpoint.id
            )),
        });
    }
    let definition = source.definition.as_ref()?;
    let role = iam::find_by_arn(world.rows, definition.execution_role_arn.as_deref()?)?;
    let principal = Principal::Session {
        role: role.name.clone(),
        role_id: role.id.clone(),
        session: "landfall-explain".to_owned(),
    };
    let through = endpoint.map(|endpoint| &endpoint.id);
    let asker = Asker { account, principal: &principal, region: region.as_str(), now, through };
    let asked: Vec<(&str, String)> = match service {
        EndpointService::EcrApi => vec![("ecr:GetAuthorizationToken", "*".to_owned())],
        _ => {
            let image = |image: &String| image_reference(world.settings, account, region, image);
            let images = definition.containers.iter().map(|container| image(&container.image));
            let arn = |name: String| {
                Arn::new("ecr", region.as_str(), account.as_str(), format!("repository/{name}"))
            };
            images
                .filter(|image| image.registry.is_some())
                .map(|image| arn(image.repository).to_string())
                .flat_map(|arn| {
                    ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"].map(|action| (action, arn.clone()))
                })
                .collect()
        }
    };
    let denied =
        asked.iter().find_map(|(action, resource)| iam::check(world.rows, asker, action, resource).err())?;
    let by_endpoint = denied.because.contains("VPC endpoint policy");
    let (about, who, policy) = match endpoint.filter(|_| by_endpoint) {
        Some(endpoint) => {
            let policy = format!("the policy of {}", endpoint.id);
            (endpoint.id.to_string(), format!("the policy of {} does not let", way(endpoint)), policy)
        }
        None => {
            let name = format!("role/{}", role.name);
            (
                role.arn().to_string(),
                format!("the execution role {name} may not do"),
                format!("a policy of {name}"),
            )
        }
    };
    let by = if by_endpoint { format!(" by for role/{}", role.name) } else { String::new() };
    Some(Finding {
        level: Level::Blocks,
        about,
        text: format!("{who} {} on {}{by}: {}", denied.action, denied.resource, denied.because),
        remedy: Some(format!("Allow {} on {} in {policy}.", denied.action, denied.resource)),
    })
}
