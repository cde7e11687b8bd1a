//! Application load balancers.

use std::collections::BTreeMap;
use std::sync::Arc;

use desired::InterfaceKind;
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{PartId, Timestamp, VpcId, random_hex};
use wire::{ApiError, Empty, OnlyDefault, documented_default};

use super::listener::Listener;
use super::{Tag, attributes, check_name, check_tags, last_part, validation};
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
pub fn get(rows: &Snapshot, context: &Context, arn: &str) -> Result<Arc<LoadBalancer>, ApiError> {
    rows.get::<LoadBalancer>(&context.key(last_part(arn)))
        .filter(|row| row.arn == arn)
        .ok_or_else(|| not_found(format!("Load balancer '{arn}' not found")))
}

fn not_found(message: String) -> ApiError {
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

/// CreateLoadBalancer. The same call again gives the load balancer that is there.
pub fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateRequest,
) -> Result<DescribeResponse, ApiError> {
    check_name("Load balancer", &request.name)?;
    if request.name.starts_with("internal-") {
        return Err(validation(format!(
            "Load balancer name '{}' cannot begin with 'internal-'",
            request.name
        )));
    }
    check_tags(&request.tags)?;
    let internal = match request.scheme.as_deref() {
        None | Some("internet-facing") => false,
        Some("internal") => true,
        Some(other) => {
            return Err(validation(format!("Scheme '{other}' must be one of: internet-facing, internal")));
        }
    };
    let mut subnets = request.subnets;
    subnets.extend(request.subnet_mappings.into_iter().map(|mapping| mapping.subnet_id));
    let groups = request.security_groups;
    let existing = rows.scan::<LoadBalancer>(&context.prefix()).find(|row| row.name == request.name);
    if let Some(existing) = existing {
        let same_subnets = existing.nodes.len() == subnets.len()
            && existing.nodes.iter().all(|node| subnets.contains(&node.subnet_id));
        let same = existing.internal == internal
            && same_subnets
            && (groups.is_empty() || same_set(&existing.security_groups, &groups))
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
    let mut zones: Vec<(String, String, String)> = Vec::new();
    for id in &subnets {
        let subnet = subnet::get(rows, context, id)
            .map_err(|_| ApiError::new("SubnetNotFound", format!("The subnet ID '{id}' does not exist")))?;
        let zone = subnet.availability_zone.clone();
        if zones.iter().any(|(_, other, _)| *other == zone) {
            return Err(ApiError::new(
                "InvalidConfigurationRequest",
                "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
            ));
        }
        zones.push((id.clone(), zone, subnet.vpc_id.to_string()));
    }
    if zones.len() < 2 {
        return Err(validation("At least two subnets in two different Availability Zones must be specified"));
    }
    let vpc_id = zones[0].2.clone();
    if zones.iter().any(|(.., vpc)| *vpc != vpc_id) {
        return Err(ApiError::new("InvalidSubnet", "All subnets must belong to the same VPC"));
    }
    if !internal && internet_gateway::attached(rows, context, &VpcId::from(vpc_id.as_str())).is_none() {
        return Err(ApiError::new("InvalidSubnet", format!("VPC {vpc_id} has no internet gateway")));
    }
    let groups = check_groups(rows, context, &vpc_id, groups)?;
    service_linked_role::ensure(rows, &context.account, LinkedService::ElasticLoadBalancing, context.now);
    let id = random_hex(16);
    let arn =
        context.arn("elasticloadbalancing", format!("loadbalancer/app/{}/{id}", request.name)).to_string();
    let number = u64::from_str_radix(&random_hex(8), 16).unwrap_or_default() % 9_000_000_000 + 1_000_000_000;
    let (name, region) = (&request.name, &context.region);
    // A name under `localhost` leads a host program to 127.0.0.1 with no set-up; an internal one resolves in VPCs alone.
    let dns_name = if internal {
        format!("internal-{name}-{number}.{region}.elb.amazonaws.com")
    } else {
        format!("{name}-{number}.{region}.elb.localhost").to_lowercase()
    };
    let mut nodes = Vec::new();
    for (subnet_id, zone, _) in zones {
        let interface = interface::create(
            rows,
            context,
            interface::NewInterface {
                subnet: &subnet_id,
                security_groups: &groups,
                description: format!("ELB app/{name}/{id}"),
                kind: InterfaceKind::LoadBalancer,
                public_address: !internal,
                requester: "amazon-elb",
            },
        )?;
        nodes.push(Node { subnet_id, zone, interface_id: interface.id.to_string() });
    }
    let row = rows.put(LoadBalancer {
        id,
        arn,
        name: request.name.clone(),
        dns_name,
        internal,
        vpc_id,
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

/// Whether two lists hold the same ids.
fn same_set(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().all(|id| b.contains(id))
}

/// The groups of a request, all of the VPC; the VPC's default group for none.
fn check_groups(
    rows: &Snapshot,
    context: &Context,
    vpc_id: &str,
    groups: Vec<String>,
) -> Result<Vec<String>, ApiError> {
    if groups.is_empty() {
        return Ok(vec![vpc::get(rows, context, vpc_id)?.default_security_group.to_string()]);
    }
    if groups.len() > 5 {
        return Err(ApiError::new(
            "InvalidConfigurationRequest",
            "A load balancer can have at most five security groups",
        ));
    }
    for id in &groups {
        let found = security_group::get(rows, context, id);
        if !found.is_ok_and(|group| group.vpc_id.as_str() == vpc_id) {
            return Err(ApiError::new(
                "InvalidConfigurationRequest",
                format!("One or more security groups are invalid: '{id}' does not exist in VPC {vpc_id}"),
            ));
        }
    }
    Ok(groups)
}

/// DescribeLoadBalancers' parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeRequest {
    #[serde(default)]
    load_balancer_arns: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    marker: Option<String>,
    page_size: Option<usize>,
}

/// DescribeLoadBalancers' response, CreateLoadBalancer's too.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeResponse {
    load_balancers: Vec<Description>,
    next_marker: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    load_balancer_arn: String,
    #[serde(rename = "DNSName")]
    dns_name: String,
    canonical_hosted_zone_id: &'static str,
    created_time: String,
    load_balancer_name: String,
    scheme: &'static str,
    vpc_id: String,
    state: State,
    r#type: &'static str,
    availability_zones: Vec<Zone>,
    security_groups: Vec<String>,
    ip_address_type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    code: &'static str,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Zone {
    zone_name: String,
    subnet_id: String,
    load_balancer_addresses: Vec<()>,
}

/// The hosted zones of load balancers' names; "Elastic Load Balancing endpoints and quotas", AWS General Reference.
fn hosted_zone(region: &str) -> &'static str {
    match region {
        "ap-northeast-1" => "Z14GRHDCWA56QT",
        "ap-northeast-2" => "ZWKZPGTI48KDX",
        "ap-northeast-3" => "Z5LXEXXYW11ES",
        "ap-south-1" => "ZP97RAFLXTNZK",
        "ap-southeast-1" => "Z1LMS91P8CMLE5",
        "ap-southeast-2" => "Z1GM3OXH4ZPM65",
        "ca-central-1" => "ZQSVJUPU6J1EY",
        "eu-central-1" => "Z215JYRZR1TBD5",
        "eu-north-1" => "Z23TAZ6LKFMNIO",
        "eu-west-1" => "Z32O12XQLNTSW2",
        "eu-west-2" => "ZHURV8PSTC4K8",
        "eu-west-3" => "Z3Q77PNBQS71R4",
        "sa-east-1" => "Z2P70J7HTTTPLU",
        "us-east-2" => "Z3AADJGX6KTTL2",
        "us-west-1" => "Z368ELLRRE2KJ0",
        "us-west-2" => "Z1H1FL5HABSF5",
        _ => "Z35SXDOTRQ7X7K",
    }
}

impl DescribeResponse {
    fn of(
        context: &Context,
        balancers: impl IntoIterator<Item = Arc<LoadBalancer>>,
        next_marker: Option<String>,
    ) -> Self {
        let describe = |row: Arc<LoadBalancer>| Description {
            load_balancer_arn: row.arn.clone(),
            dns_name: row.dns_name.clone(),
            canonical_hosted_zone_id: hosted_zone(context.region.as_str()),
            created_time: row.created_at.iso(),
            load_balancer_name: row.name.clone(),
            scheme: if row.internal { "internal" } else { "internet-facing" },
            vpc_id: row.vpc_id.clone(),
            state: state(&row, &context.machine),
            r#type: "application",
            availability_zones: row
                .nodes
                .iter()
                .map(|node| Zone {
                    zone_name: node.zone.clone(),
                    subnet_id: node.subnet_id.clone(),
                    load_balancer_addresses: Vec::new(),
                })
                .collect(),
            security_groups: row.security_groups.clone(),
            ip_address_type: "ipv4",
        };
        Self { load_balancers: balancers.into_iter().map(describe).collect(), next_marker }
    }
}

/// As the machine reports it: `provisioning` until every node answers once, `active_impaired` when one no longer does.
fn state(row: &LoadBalancer, machine: &Machine) -> State {
    let reports = machine.reports();
    let report = reports.load_balancers.get(&row.id);
    let error = report.and_then(|report| report.error.clone());
    let code = match (row.active, report) {
        (false, _) => "provisioning",
        (true, Some(report)) if !report.ready => "active_impaired",
        (true, _) => "active",
    };
    State { code, reason: error.filter(|_| code != "active") }
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

/// DescribeLoadBalancers.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeRequest,
) -> Result<DescribeResponse, ApiError> {
    if !request.load_balancer_arns.is_empty() && !request.names.is_empty() {
        return Err(validation("Load balancer names and ARNs cannot be specified at the same time"));
    }
    if !request.load_balancer_arns.is_empty() {
        let found: Result<Vec<_>, _> =
            request.load_balancer_arns.iter().map(|arn| get(rows, context, arn)).collect();
        let found = found.map_err(|_| not_found("One or more load balancers not found".to_owned()))?;
        return Ok(DescribeResponse::of(context, found, None));
    }
    let prefix = context.prefix();
    if !request.names.is_empty() {
        let find = |name: &String| rows.scan::<LoadBalancer>(&prefix).find(|row| row.name == *name);
        let found: Option<Vec<_>> = request.names.iter().map(find).collect();
        let found = found
            .ok_or_else(|| not_found(format!("Load balancers '[{}]' not found", request.names.join(", "))))?;
        return Ok(DescribeResponse::of(context, found, None));
    }
    let page = crate::page::page(
        rows.scan::<LoadBalancer>(&prefix),
        |row| row.key(),
        Some(request.page_size.unwrap_or(400).clamp(1, 400)),
        request.marker.as_deref(),
    )
    .map_err(|_| validation("Invalid marker"))?;
    Ok(DescribeResponse::of(context, page.items, page.next_token))
}

/// A request that names one load balancer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct OneRequest {
    /// Its ARN.
    pub(super) load_balancer_arn: String,
}

/// A response without content.
#[derive(Debug, Serialize)]
pub struct EmptyResponse {}

/// DeleteLoadBalancer: with its listeners and network interfaces. One that is not there is no error.
pub fn delete(rows: &mut Tx, context: &Context, request: OneRequest) -> Result<EmptyResponse, ApiError> {
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
    super::target_group::refresh_uses(rows, context);
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

/// DescribeCapacityReservation's response: there never is a reservation, as ModifyCapacityReservation is not supported.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CapacityReservationResponse {
    decrease_requests_remaining: u32,
    capacity_reservation_state: Vec<()>,
}

/// DescribeCapacityReservation.
pub fn describe_capacity_reservation(
    rows: &Snapshot,
    context: &Context,
    request: OneRequest,
) -> Result<CapacityReservationResponse, ApiError> {
    get(rows, context, &request.load_balancer_arn)?;
    Ok(CapacityReservationResponse { decrease_requests_remaining: 2, capacity_reservation_state: Vec::new() })
}
