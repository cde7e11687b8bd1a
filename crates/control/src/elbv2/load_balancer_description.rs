//! Load balancers as DescribeLoadBalancers shows them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use super::load_balancer::{LoadBalancer, OneRequest, get, not_found};
use super::{check_arn, page_of, validation};
use crate::{Context, Machine};

/// DescribeLoadBalancers' parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeRequest {
    #[serde(default)]
    load_balancer_arns: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    marker: Option<String>,
    page_size: Option<u32>,
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
pub(super) fn hosted_zone(region: &str) -> &'static str {
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
    pub(super) fn of(
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

/// DescribeLoadBalancers.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeRequest,
) -> Result<DescribeResponse, ApiError> {
    let DescribeRequest { load_balancer_arns: arns, names, marker, page_size } = request;
    if !arns.is_empty() && !names.is_empty() {
        return Err(validation("Load balancer names and ARNs cannot be specified at the same time"));
    }
    for arn in &arns {
        check_arn(context, arn, "loadbalancer/", "load balancer")?;
    }
    let prefix = context.prefix();
    let all = || rows.scan::<LoadBalancer>(&prefix);
    if !arns.iter().all(|arn| all().any(|row| row.arn == *arn)) {
        return Err(not_found("One or more load balancers not found".to_owned()));
    }
    if !names.iter().all(|name| all().any(|row| row.name == *name)) {
        return Err(not_found(format!("Load balancers '[{}]' not found", names.join(", "))));
    }
    let asked = all().filter(|row| {
        (arns.is_empty() || arns.contains(&row.arn)) && (names.is_empty() || names.contains(&row.name))
    });
    let page = page_of(asked, marker.as_deref(), page_size)?;
    Ok(DescribeResponse::of(context, page.items, page.next_token))
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
