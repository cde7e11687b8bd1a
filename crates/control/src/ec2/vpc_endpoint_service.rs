//! The AWS services that VPC endpoints lead to, and DescribeVpcEndpointServices.

use std::net::Ipv4Addr;

use ring::digest::{SHA256, digest as hash};
use serde::{Deserialize, Serialize};
use store::Snapshot;
use types::{PrefixListId, Region};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::answer;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::tag::Tag;
use crate::service::Service;

/// A service of AWS that VPC endpoints lead to: each one that Landfall answers for in a region. Source: "AWS services
/// that integrate with AWS PrivateLink".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointService {
    /// ECR's API.
    EcrApi,
    /// ECR's registry.
    EcrDkr,
    /// S3: the bucket of image layers.
    S3,
    /// STS.
    Sts,
    /// ECS.
    Ecs,
    /// EC2.
    Ec2,
    /// Elastic Load Balancing.
    ElasticLoadBalancing,
    /// CloudWatch Logs.
    Logs,
    /// CloudWatch.
    Monitoring,
    /// Systems Manager.
    Ssm,
    /// Secrets Manager.
    SecretsManager,
    /// Application Auto Scaling.
    ApplicationAutoscaling,
    /// Cloud Map.
    ServiceDiscovery,
    /// Cloud Map, where instances are discovered.
    DataServiceDiscovery,
}

/// What kind of endpoint leads to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndpointType {
    /// Routes in route tables.
    Gateway,
    /// Network interfaces in subnets.
    Interface,
}

impl EndpointType {
    /// As AWS spells it.
    pub(super) fn name(self) -> &'static str {
        match self {
            EndpointType::Gateway => "Gateway",
            EndpointType::Interface => "Interface",
        }
    }
}

impl EndpointService {
    /// All of them, in the order of their addresses.
    pub const ALL: [EndpointService; 14] = [
        EndpointService::EcrApi,
        EndpointService::EcrDkr,
        EndpointService::S3,
        EndpointService::Sts,
        EndpointService::Ecs,
        EndpointService::Ec2,
        EndpointService::ElasticLoadBalancing,
        EndpointService::Logs,
        EndpointService::Monitoring,
        EndpointService::Ssm,
        EndpointService::SecretsManager,
        EndpointService::ApplicationAutoscaling,
        EndpointService::ServiceDiscovery,
        EndpointService::DataServiceDiscovery,
    ];

    /// The end of its name, `ecr.api`.
    pub(crate) fn short(self) -> &'static str {
        match self {
            EndpointService::EcrApi => "ecr.api",
            EndpointService::EcrDkr => "ecr.dkr",
            other => other.host(),
        }
    }

    /// What its public name begins with, `api.ecr`.
    fn host(self) -> &'static str {
        match self {
            EndpointService::EcrApi => "api.ecr",
            EndpointService::EcrDkr => "dkr.ecr",
            EndpointService::S3 => "s3",
            EndpointService::Sts => "sts",
            EndpointService::Ecs => "ecs",
            EndpointService::Ec2 => "ec2",
            EndpointService::ElasticLoadBalancing => "elasticloadbalancing",
            EndpointService::Logs => "logs",
            EndpointService::Monitoring => "monitoring",
            EndpointService::Ssm => "ssm",
            EndpointService::SecretsManager => "secretsmanager",
            EndpointService::ApplicationAutoscaling => "application-autoscaling",
            EndpointService::ServiceDiscovery => "servicediscovery",
            EndpointService::DataServiceDiscovery => "data-servicediscovery",
        }
    }

    /// Whose actions it carries, as they begin: `ecr` of `ecr:BatchGetImage`.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            EndpointService::EcrApi | EndpointService::EcrDkr => "ecr",
            EndpointService::DataServiceDiscovery => "servicediscovery",
            other => other.host(),
        }
    }

    /// Whether calls of an API come through it. No API's do through the registry's or S3's.
    pub(crate) fn answers(self, api: Service) -> bool {
        !matches!(self, EndpointService::EcrDkr | EndpointService::S3) && self.prefix() == api.name()
    }

    /// Its name in a region, `com.amazonaws.ap-northeast-2.ecr.api`.
    pub fn name(self, region: &Region) -> String {
        format!("com.amazonaws.{region}.{}", self.short())
    }

    /// The service of this name in a region.
    ///
    /// # Errors
    /// InvalidServiceName when AWS has no such service there; a refusal by name for one that Landfall has no endpoints
    /// for.
    pub(super) fn find(name: &str, region: &Region) -> Result<Self, ApiError> {
        if let Some(service) = Self::ALL.into_iter().find(|service| service.name(region) == name) {
            return Ok(service);
        }
        let of_region = format!("com.amazonaws.{region}.");
        if name.strip_prefix(&of_region).is_some_and(|rest| !rest.is_empty() && !rest.starts_with("vpce.")) {
            return Err(ApiError::unsupported(format_args!("VPC endpoints for the service {name}")));
        }
        Err(unknown(name))
    }

    /// The kinds of endpoint that lead to it.
    pub(super) fn types(self) -> &'static [EndpointType] {
        match self {
            EndpointService::S3 => &[EndpointType::Gateway, EndpointType::Interface],
            _ => &[EndpointType::Interface],
        }
    }

    /// What the names of its endpoints end in, `api.ecr.<region>.vpce.amazonaws.com`.
    pub fn base_dns_name(self, region: &Region) -> String {
        format!("{}.{region}.vpce.amazonaws.com", self.host())
    }

    /// The service's public names, which lead to an interface endpoint inside a VPC with private DNS. `*.` in front
    /// stands for all names one label longer. The first one is the name that AWS calls the private DNS name.
    pub fn private_dns_names(self, region: &Region) -> Vec<String> {
        let own = format!("{}.{region}.amazonaws.com", self.host());
        match self {
            EndpointService::EcrDkr => vec![format!("*.{own}")],
            EndpointService::S3 => vec![own.clone(), format!("*.{own}")],
            _ => vec![own],
        }
    }

    /// The address that the service has on the internet, which a gateway endpoint has inside a VPC.
    pub fn address(self) -> Ipv4Addr {
        // Without fields an enum's value is its place among its variants.
        Ipv4Addr::new(198, 19, 0, FIRST_ADDRESS + self as u8)
    }
}

/// The last number of the first service's address.
const FIRST_ADDRESS: u8 = 10;

fn unknown(name: &str) -> ApiError {
    ApiError::new("InvalidServiceName", format!("The Vpc Endpoint Service '{name}' does not exist"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeVpcEndpointServices {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    service_name: Vec<String>,
    #[serde(default)]
    service_region: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeVpcEndpointServicesResponse {
    service_name_set: Vec<String>,
    service_detail_set: Vec<ServiceDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceDetail {
    service_name: String,
    service_id: String,
    service_type: Vec<ServiceType>,
    service_region: String,
    availability_zone_set: Vec<String>,
    availability_zone_id_set: Vec<String>,
    owner: &'static str,
    base_endpoint_dns_name_set: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_dns_name: Option<String>,
    private_dns_name_set: Vec<PrivateDnsName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_dns_name_verification_state: Option<&'static str>,
    vpc_endpoint_policy_supported: bool,
    acceptance_required: bool,
    manages_vpc_endpoints: bool,
    supported_ip_address_type_set: Vec<&'static str>,
    tag_set: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceType {
    service_type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PrivateDnsName {
    private_dns_name: String,
}

/// Hexadecimal digits that are always the same for a text: what AWS calls its own things is not ours to draw by lot.
pub(super) fn digest(text: &str) -> String {
    hash(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The id of AWS's service: the same in every answer, of this region and kind.
fn service_id(service: EndpointService, kind: EndpointType, region: &Region) -> String {
    let digest = digest(&format!("{}/{}", service.name(region), kind.name()));
    format!("vpce-svc-{}", &digest[..17])
}

impl ServiceDetail {
    fn new(service: EndpointService, kind: EndpointType, region: &Region) -> Self {
        let names = match kind {
            EndpointType::Gateway => Vec::new(),
            EndpointType::Interface => service.private_dns_names(region),
        };
        let zones = region.zones();
        Self {
            service_name: service.name(region),
            service_id: service_id(service, kind, region),
            service_type: vec![ServiceType { service_type: kind.name() }],
            service_region: region.to_string(),
            availability_zone_set: zones.iter().map(|zone| zone.name.clone()).collect(),
            availability_zone_id_set: zones.iter().map(|zone| zone.id.clone()).collect(),
            owner: "amazon",
            base_endpoint_dns_name_set: vec![match kind {
                EndpointType::Gateway => format!("{}.{region}.amazonaws.com", service.short()),
                EndpointType::Interface => service.base_dns_name(region),
            }],
            private_dns_name: names.first().cloned(),
            private_dns_name_verification_state: (!names.is_empty()).then_some("verified"),
            private_dns_name_set: names
                .into_iter()
                .map(|private_dns_name| PrivateDnsName { private_dns_name })
                .collect(),
            vpc_endpoint_policy_supported: true,
            acceptance_required: false,
            manages_vpc_endpoints: false,
            supported_ip_address_type_set: vec!["ipv4"],
            tag_set: Vec::new(),
        }
    }
}

impl Item for ServiceDetail {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("owner", |one| vec![one.owner.to_owned()]),
        ("service-name", |one| vec![one.service_name.clone()]),
        ("service-region", |one| vec![one.service_region.clone()]),
        ("service-type", |one| one.service_type.iter().map(|kind| kind.service_type.to_owned()).collect()),
        ("supported-ip-address-types", |one| {
            one.supported_ip_address_type_set.iter().map(|kind| (*kind).to_owned()).collect()
        }),
    ];

    fn id(&self) -> &str {
        &self.service_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        unknown(id)
    }
}

pub(super) fn describe(
    _: &Snapshot,
    context: &Context,
    request: DescribeVpcEndpointServices,
) -> Result<DescribeVpcEndpointServicesResponse, ApiError> {
    let region = &context.region;
    // A service of another region is had through that region's own API here.
    if let Some(other) = request.service_region.iter().find(|other| *other != region.as_str()) {
        return Err(ApiError::unsupported(format_args!("VPC endpoint services of another region ({other})")));
    }
    for name in &request.service_name {
        if !EndpointService::ALL.into_iter().any(|service| service.name(region) == *name) {
            return Err(unknown(name));
        }
    }
    let mut details: Vec<ServiceDetail> = EndpointService::ALL
        .into_iter()
        .flat_map(|service| service.types().iter().map(move |kind| (service, *kind)))
        .map(|(service, kind)| ServiceDetail::new(service, kind, region))
        .filter(|one| request.service_name.is_empty() || request.service_name.contains(&one.service_name))
        .collect();
    // Pages are in the order of ids.
    details.sort_by(|a, b| a.service_id.cmp(&b.service_id));
    let page = Ask {
        ids: &[],
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(details.into_iter())?;
    let mut details = page.items;
    details.sort_by(|a, b| a.service_name.cmp(&b.service_name));
    let mut service_name_set: Vec<String> = details.iter().map(|one| one.service_name.clone()).collect();
    service_name_set.dedup();
    answer(
        request.dry_run,
        DescribeVpcEndpointServicesResponse {
            service_name_set,
            service_detail_set: details,
            next_token: page.next_token,
        },
    )
}

/// The prefix list whose ranges a service has on the internet; AWS has one for each service with gateway endpoints.
pub(super) fn prefix_list(service: EndpointService, region: &Region) -> Option<PrefixListId> {
    service.types().contains(&EndpointType::Gateway).then(|| super::prefix_list::of_s3(region).id)
}
