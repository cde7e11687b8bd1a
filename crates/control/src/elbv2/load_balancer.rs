//! Application load balancers.

use std::collections::BTreeMap;
use std::sync::Arc;

use desired::InterfaceKind;
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{PartId, Timestamp, VpcId, random_hex};
use wire::{ApiError, Empty, OnlyDefault, documented_default};

use super::listener::Listener;
use super::load_balancer_description::DescribeResponse;
use super::{
    EmptyResponse, Tag, attributes, check_arn, check_name, check_tags, constraint, last_part, target_group,
    validation,
};
use crate::ec2::{interface, internet_gateway, security_group, subnet, vpc};
use crate::iam::service_linked_role::{self, LinkedService};
use crate::{Context, Machine};

documented_default!(
    /// The one type there is so far.
    Application = "application"
);
documented_default!(
    /// The one address type there is so far.
    Ipv4 = "ipv4"
);

/// A load balancer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// The last part of the ARN, sixteen hexadecimal digits.
    pub id: String,
    /// Its ARN; account and region stand in it.
    pub arn: String,
    /// Its name, unique in account and region.
    pub name: String,
    /// Its DNS name.
    pub dns_name: String,
    /// Whether it has private addresses alone.
    pub internal: bool,
    /// Its VPC.
    pub vpc_id: String,
    /// Its nodes, one a subnet.
    pub nodes: Vec<Node>,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// Attributes that were set; the others have their defaults.
    pub attributes: BTreeMap<String, String>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether its nodes have answered once.
    pub active: bool,
    /// The key's account and region.
    pub scope: String,
}

/// A load balancer's node in one subnet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node {
    /// The subnet.
    pub subnet_id: String,
    /// Its availability zone.
    pub zone: String,
    /// The node's network interface.
    pub interface_id: String,
}

impl Row for LoadBalancer {
    const TABLE: &'static str = "elbv2_load_balancer";

    fn key(&self) -> String {
        format!("{}{}", self.scope, self.id)
    }

    fn parts(&self) -> Vec<PartId> {
        vec![PartId::LoadBalancer(self.id.clone()), PartId::Edge, PartId::Names]
    }
}

/// The load balancer of an ARN.
///
/// # Errors
/// ValidationError when it is no ARN of a load balancer, LoadBalancerNotFound.
pub fn get(rows: &Snapshot, context: &Context, arn: &str) -> Result<Arc<LoadBalancer>, ApiError> {
    check_arn(context, arn, "loadbalancer/", "load balancer")?;
    rows.get::<LoadBalancer>(&context.key(last_part(arn)))
        .filter(|row| row.arn == arn)
        .ok_or_else(|| not_found(format!("Load balancer '{arn}' not found")))
}

pub(super) fn not_found(message: String) -> ApiError {
    ApiError::new("LoadBalancerNotFound", message)
}

/// CreateLoadBalancer's parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CreateRequest {
    name: String,
    #[serde(default)]
    subnets: Vec<String>,
    #[serde(default)]
    subnet_mappings: Vec<SubnetMapping>,
    #[serde(default)]
    security_groups: Vec<String>,
    scheme: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default, rename = "Type")]
    _type: OnlyDefault<Application>,
    #[serde(default, rename = "IpAddressType")]
    _ip_address_type: OnlyDefault<Ipv4>,
    #[serde(default, rename = "CustomerOwnedIpv4Pool")]
    _customer_owned_ipv4_pool: OnlyDefault<Empty>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SubnetMapping {
    subnet_id: String,
}

/// The free addresses that a subnet must have ("Application Load Balancers", "Subnets for your load balancer").
const FREE_ADDRESSES: usize = 8;

/// CreateLoadBalancer. The same call again gives the load balancer that is there.
pub fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateRequest,
) -> Result<DescribeResponse, ApiError> {
    check_name("The load balancer name", &request.name)?;
    if request.name.starts_with("internal-") {
        return Err(validation(format!(
            "The load balancer name '{}' cannot begin with 'internal-'",
            request.name
        )));
    }
    check_tags(&request.tags)?;
    let internal = match request.scheme.as_deref() {
        None | Some("internet-facing") => false,
        Some("internal") => true,
        Some(other) => {
            return Err(constraint("scheme", other, "satisfy enum value set: [internal, internet-facing]"));
        }
    };
    if !request.subnets.is_empty() && !request.subnet_mappings.is_empty() {
        return Err(validation("Only one of subnets and subnet mappings can be specified"));
    }
    let mut subnets = request.subnets;
    subnets.extend(request.subnet_mappings.into_iter().map(|mapping| mapping.subnet_id));
    let (subnets, vpc_id) = check_subnets(rows, context, &subnets)?;
    let groups = check_groups(rows, context, vpc_id.as_str(), request.security_groups)?;
    let existing = rows.scan::<LoadBalancer>(&context.prefix()).find(|row| row.name == request.name);
    if let Some(existing) = existing {
        let same = existing.internal == internal
            && existing.nodes.len() == subnets.len()
            && existing.nodes.iter().all(|node| subnets.iter().any(|it| it.id.as_str() == node.subnet_id))
            && existing.security_groups.len() == groups.len()
            && existing.security_groups.iter().all(|id| groups.contains(id))
            && existing.tags == request.tags;
        if same {
            return Ok(DescribeResponse::of(context, [existing], None));
        }
        return Err(ApiError::new(
            "DuplicateLoadBalancerName",
            format!(
                "A load balancer with the same name '{}' exists, but with different settings",
                request.name
            ),
        ));
    }
    if !internal && internet_gateway::attached(rows, context, &vpc_id).is_none() {
        return Err(ApiError::new("InvalidSubnet", format!("VPC {vpc_id} has no internet gateway")));
    }
    if let Some(full) = subnets.iter().find(|subnet| subnet.available_addresses(rows) < FREE_ADDRESSES) {
        return Err(ApiError::new(
            "InvalidSubnet",
            format!(
                "Not enough IP space available in {}. ELB requires at least {FREE_ADDRESSES} free IP addresses in each subnet.",
                full.id
            ),
        ));
    }
    service_linked_role::ensure(rows, &context.account, LinkedService::ElasticLoadBalancing, context.now);
    let id = random_hex(16);
    let arn =
        context.arn("elasticloadbalancing", format!("loadbalancer/app/{}/{id}", request.name)).to_string();
    let mut nodes = Vec::new();
    for subnet in subnets {
        let interface = interface::create(
            rows,
            context,
            interface::NewInterface {
                subnet: subnet.id.as_str(),
                security_groups: &groups,
                description: format!("ELB app/{}/{id}", request.name),
                kind: InterfaceKind::LoadBalancer,
                public_address: !internal,
                requester: "amazon-elb",
            },
        )?;
        nodes.push(Node {
            subnet_id: subnet.id.to_string(),
            zone: subnet.availability_zone.clone(),
            interface_id: interface.id.to_string(),
        });
    }
    let row = rows.put(LoadBalancer {
        id,
        arn,
        dns_name: dns_name(&request.name, context.region.as_str(), internal),
        name: request.name,
        internal,
        vpc_id: vpc_id.to_string(),
        nodes,
        security_groups: groups,
        attributes: BTreeMap::new(),
        tags: request.tags,
        created_at: context.now,
        active: false,
        scope: context.prefix(),
    });
    Ok(DescribeResponse::of(context, [row], None))
}

/// A name under `localhost` leads a host program to 127.0.0.1 with no set-up; an internal one resolves in VPCs alone.
fn dns_name(name: &str, region: &str, internal: bool) -> String {
    let number = u64::from_str_radix(&random_hex(8), 16).unwrap_or_default() + 1_000_000_000;
    if internal {
        format!("internal-{name}-{number}.{region}.elb.amazonaws.com")
    } else {
        format!("{name}-{number}.{region}.elb.localhost").to_lowercase()
    }
}

/// The subnets of a request, in at least two zones of one VPC.
fn check_subnets(
    rows: &Snapshot,
    context: &Context,
    ids: &[String],
) -> Result<(Vec<Arc<subnet::Subnet>>, VpcId), ApiError> {
    let mut subnets: Vec<Arc<subnet::Subnet>> = Vec::new();
    for id in ids {
        let subnet = subnet::get(rows, context, id)
            .map_err(|_| ApiError::new("SubnetNotFound", format!("The subnet ID '{id}' does not exist")))?;
        if subnets.iter().any(|other| other.vpc_id != subnet.vpc_id) {
            return Err(ApiError::new("InvalidSubnet", "All subnets must belong to the same VPC"));
        }
        if subnets.iter().any(|other| other.availability_zone == subnet.availability_zone) {
            return Err(ApiError::new(
                "InvalidConfigurationRequest",
                "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
            ));
        }
        subnets.push(subnet);
    }
    match subnets.as_slice() {
        [first, _, ..] => {
            let vpc_id = first.vpc_id.clone();
            Ok((subnets, vpc_id))
        }
        _ => Err(validation("At least two subnets in two different Availability Zones must be specified")),
    }
}

/// The most groups of a load balancer. Source: "Quotas for your Application Load Balancers".
const MOST_GROUPS: usize = 5;

/// The groups of a request, each once and all of the VPC; the VPC's default group for none.
fn check_groups(
    rows: &Snapshot,
    context: &Context,
    vpc_id: &str,
    ids: Vec<String>,
) -> Result<Vec<String>, ApiError> {
    let mut groups: Vec<String> = Vec::new();
    for id in ids {
        let found = security_group::get(rows, context, &id);
        if !found.is_ok_and(|group| group.vpc_id.as_str() == vpc_id) {
            return Err(ApiError::new(
                "InvalidConfigurationRequest",
                format!("One or more security groups are invalid: '{id}' is none of VPC {vpc_id}"),
            ));
        }
        if !groups.contains(&id) {
            groups.push(id);
        }
    }
    if groups.is_empty() {
        return Ok(vec![vpc::get(rows, context, vpc_id)?.default_security_group.to_string()]);
    }
    if groups.len() > MOST_GROUPS {
        return Err(ApiError::new(
            "InvalidConfigurationRequest",
            "The maximum number of security groups per load balancer has been reached",
        ));
    }
    Ok(groups)
}

/// Marks the load balancers active whose nodes have answered. Called when the machine reports.
pub fn advance(rows: &mut Tx, machine: &Machine) {
    let ready: Vec<Arc<LoadBalancer>> = {
        let reports = machine.reports();
        rows.scan::<LoadBalancer>("")
            .filter(|row| {
                !row.active && reports.load_balancers.get(&row.id).is_some_and(|report| report.ready)
            })
            .collect()
    };
    for row in ready {
        rows.put(LoadBalancer { active: true, ..(*row).clone() });
    }
}

/// A request that names one load balancer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct OneRequest {
    /// Its ARN.
    pub(super) load_balancer_arn: String,
}

/// DeleteLoadBalancer: with its listeners and network interfaces. One that is not there is no error.
pub fn delete(rows: &mut Tx, context: &Context, request: OneRequest) -> Result<EmptyResponse, ApiError> {
    check_arn(context, &request.load_balancer_arn, "loadbalancer/", "load balancer")?;
    let Ok(row) = get(rows, context, &request.load_balancer_arn) else { return Ok(EmptyResponse {}) };
    if attributes::load_balancer_value(&row, "deletion_protection.enabled") == "true" {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!("Load balancer '{}' cannot be deleted because deletion protection is enabled", row.arn),
        ));
    }
    let listeners: Vec<Arc<Listener>> = rows
        .scan::<Listener>(&context.prefix())
        .filter(|listener| listener.load_balancer_arn == row.arn)
        .collect();
    for listener in listeners {
        rows.delete::<Listener>(&listener.key());
    }
    target_group::refresh_uses(rows, context);
    for node in &row.nodes {
        interface::delete(rows, context, &node.interface_id);
    }
    rows.delete::<LoadBalancer>(&row.key());
    Ok(EmptyResponse {})
}

/// SetSecurityGroups' parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SetSecurityGroupsRequest {
    load_balancer_arn: String,
    security_groups: Vec<String>,
}

/// SetSecurityGroups' response.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetSecurityGroupsResponse {
    security_group_ids: Vec<String>,
}

/// SetSecurityGroups, on every node.
pub fn set_security_groups(
    rows: &mut Tx,
    context: &Context,
    request: SetSecurityGroupsRequest,
) -> Result<SetSecurityGroupsResponse, ApiError> {
    let row = get(rows, context, &request.load_balancer_arn)?;
    if request.security_groups.is_empty() {
        return Err(validation("At least one security group must be specified"));
    }
    let groups = check_groups(rows, context, &row.vpc_id, request.security_groups)?;
    for node in &row.nodes {
        interface::set_security_groups(rows, context, &node.interface_id, &groups)?;
    }
    rows.put(LoadBalancer { security_groups: groups.clone(), ..(*row).clone() });
    Ok(SetSecurityGroupsResponse { security_group_ids: groups })
}
