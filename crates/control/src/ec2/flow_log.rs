//! Flow logs: what of a VPC's traffic is written to CloudWatch Logs. Where the records come from, and how they are
//! delivered, is no matter of the rows.

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, FlowLogId, Region, Timestamp};
use wire::{ApiError, Empty, OnlyDefault};

use crate::context::Context;
use crate::ec2::flow_log_format::{DEFAULT, Format};
use crate::ec2::interface::NetworkInterface;
use crate::ec2::subnet::Subnet;
use crate::ec2::tag::{self, TagSpecification};
use crate::ec2::vpc::Vpc;
use crate::ec2::{Resource, answer, invalid};
use crate::iam;

/// A flow log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowLog {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: FlowLogId,
    /// When it was made; what went on before is not in it.
    pub created_at: Timestamp,
    /// A VPC, a subnet or a network interface.
    pub resource: String,
    /// Which traffic.
    pub traffic: TrafficType,
    /// The log group.
    pub group: String,
    /// Its ARN, where it was named by that: it is shown again, or Terraform would make the flow log anew.
    #[serde(default)]
    pub destination: Option<String>,
    /// As whom it is written.
    pub role_arn: String,
    /// The lines' fields.
    pub format: String,
    /// The longest time of one record, in seconds: 60 or 600.
    pub interval: u32,
    /// Why nothing can be delivered, in AWS's words. None: it can.
    pub error: Option<String>,
}

/// Which traffic a flow log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TrafficType {
    /// What was let through.
    Accept,
    /// What was refused.
    Reject,
    /// Both.
    All,
}

impl TrafficType {
    /// The end of the streams' names, `eni-…-all`.
    pub const fn suffix(self) -> &'static str {
        match self {
            TrafficType::Accept => "accept",
            TrafficType::Reject => "reject",
            TrafficType::All => "all",
        }
    }
}

super::row!(FlowLog, "ec2_flow_log", |_| Vec::new());

/// Up to where the machine's records are delivered: one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The number of the next record.
    pub next: u64,
}

impl Row for Delivered {
    const TABLE: &'static str = "ec2_flow_log_delivered";

    fn key(&self) -> String {
        String::new()
    }
}

impl Resource for FlowLog {
    const TYPE: &'static str = "vpc-flow-log";
    const PREFIX: &'static str = FlowLogId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidFlowLogId.NotFound", format!("The flow log ID '{id}' does not exist"))
    }
}

impl FlowLog {
    /// Whether it has the records of an interface, which is in a subnet of a VPC.
    pub fn covers(&self, vpc: &str, subnet: &str, interface: &str) -> bool {
        [vpc, subnet, interface].contains(&self.resource.as_str())
    }
}

/// Whether a flow log's role may be taken by the service that delivers, and may write to a stream of its group.
pub fn may_deliver(rows: &Snapshot, log: &FlowLog, stream: &str, now: Timestamp) -> bool {
    let Some(role) = iam::find_by_arn(rows, &log.role_arn).filter(|role| role.account == log.account) else {
        return false;
    };
    if !crate::sts::session::may_be_assumed_by_service(
        &role,
        "vpc-flow-logs.amazonaws.com",
        log.region.as_str(),
        now,
    ) {
        return false;
    }
    let principal = crate::Principal::Session {
        role: role.name.clone(),
        role_id: role.id.clone(),
        session: log.id.to_string(),
    };
    let asker = iam::Asker {
        account: &log.account,
        principal: &principal,
        region: log.region.as_str(),
        now,
        through: None,
    };
    let resource = format!("log-group:{}:log-stream:{stream}", log.group);
    let arn = types::Arn::new("logs", log.region.as_str(), log.account.as_str(), resource).to_string();
    let may = |action: &str| iam::check_identity(rows, asker, action, &arn).is_ok();
    may("logs:CreateLogStream") && may("logs:PutLogEvents")
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateFlowLogs {
    resource_id: Vec<String>,
    resource_type: String,
    traffic_type: Option<String>,
    log_destination_type: Option<String>,
    log_destination: Option<String>,
    log_group_name: Option<String>,
    deliver_logs_permission_arn: Option<String>,
    log_format: Option<String>,
    max_aggregation_interval: Option<u32>,
    client_token: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    #[serde(default, rename = "deliverCrossAccountRole")]
    _deliver_cross_account_role: OnlyDefault<Empty>,
    #[serde(default, rename = "destinationOptions")]
    _destination_options: OnlyDefault<Empty>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateFlowLogsResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<String>,
    flow_log_id_set: Vec<String>,
    unsuccessful: Vec<String>,
}

/// The group of a destination: its name, or its ARN with or without `:*` behind it.
fn group(context: &Context, request: &CreateFlowLogs) -> Result<String, ApiError> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    match (given(&request.log_group_name), given(&request.log_destination)) {
        (Some(_), Some(_)) => Err(ApiError::new(
            "InvalidParameter",
            "Please only provide LogGroupName or only provide LogDestination.",
        )),
        (Some(name), None) => Ok(name),
        (None, Some(arn)) => {
            let own = context.arn("logs", "log-group:").to_string();
            let name = arn.strip_prefix(&own).map(|name| name.strip_suffix(":*").unwrap_or(name));
            name.map(str::to_owned).ok_or_else(|| {
                invalid(&arn, "LogDestination", "It is not the ARN of a log group of this region.")
            })
        }
        (None, None) => Err(ApiError::new(
            "InvalidParameter",
            "LogDestination can't be empty if LogGroupName is not provided.",
        )),
    }
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateFlowLogs,
) -> Result<CreateFlowLogsResponse, ApiError> {
    match request.log_destination_type.as_deref() {
        None | Some("" | "cloud-watch-logs") => (),
        Some(kind @ ("s3" | "kinesis-data-firehose")) => {
            return Err(ApiError::unsupported(format!(
                "flow logs to {kind}; it writes them to CloudWatch Logs"
            )));
        }
        Some(other) => return Err(invalid(other, "LogDestinationType", "It must be cloud-watch-logs.")),
    }
    let group = group(context, &request)?;
    let role_arn = request.deliver_logs_permission_arn.clone().filter(|arn| !arn.is_empty());
    let role_arn = role_arn.ok_or_else(|| {
        ApiError::new(
            "InvalidParameter",
            "DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs.",
        )
    })?;
    if iam::find_by_arn(rows, &role_arn).is_none() {
        return Err(invalid(&role_arn, "DeliverLogsPermissionArn", "There is no role of that ARN."));
    }
    let traffic = match request.traffic_type.as_deref() {
        Some("ACCEPT") => TrafficType::Accept,
        Some("REJECT") => TrafficType::Reject,
        Some("ALL") => TrafficType::All,
        None => {
            return Err(ApiError::new(
                "MissingParameter",
                "The request must contain the parameter TrafficType",
            ));
        }
        Some(other) => return Err(invalid(other, "TrafficType", "It must be ACCEPT, REJECT or ALL.")),
    };
    let format = request.log_format.clone().filter(|format| !format.is_empty());
    let format = format.unwrap_or_else(|| DEFAULT.to_owned());
    if let Err(word) = Format::parse(&format) {
        return Err(invalid(word, "LogFormat", "It is no field of flow logs that Landfall has a value for."));
    }
    let interval = request.max_aggregation_interval.unwrap_or(600);
    if interval != 60 && interval != 600 {
        return Err(invalid(interval, "MaxAggregationInterval", "It must be 60 or 600."));
    }
    if request.resource_id.is_empty() {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter ResourceId"));
    }
    let mut ids = Vec::new();
    for resource in &request.resource_id {
        match request.resource_type.as_str() {
            "VPC" => drop(super::get::<Vpc>(rows, context, resource)?),
            "Subnet" => drop(super::get::<Subnet>(rows, context, resource)?),
            "NetworkInterface" => drop(super::get::<NetworkInterface>(rows, context, resource)?),
            kind @ ("TransitGateway" | "TransitGatewayAttachment" | "RegionalNatGateway") => {
                return Err(ApiError::unsupported(format!("flow logs of the resource type {kind}")));
            }
            other => {
                return Err(invalid(other, "ResourceType", "It must be VPC, Subnet or NetworkInterface."));
            }
        }
        let log = FlowLog {
            account: context.account.clone(),
            region: context.region.clone(),
            id: FlowLogId::mint(),
            created_at: context.now,
            resource: resource.clone(),
            traffic,
            group: group.clone(),
            destination: request.log_destination.clone().filter(|arn| !arn.is_empty()),
            role_arn: role_arn.clone(),
            format: format.clone(),
            interval,
            error: None,
        };
        let prefix = context.prefix();
        let same = |known: &FlowLog| {
            known.resource == log.resource && known.traffic == log.traffic && known.group == log.group
        };
        if rows.scan::<FlowLog>(&prefix).any(|known| same(&known)) {
            return Err(ApiError::new(
                "FlowLogAlreadyExists",
                "Error. There is an existing Flow Log with the same configuration and log destination.",
            ));
        }
        let log = rows.put(log);
        tag::specify::<FlowLog>(rows, context, &log.id, &request.tag_specification)?;
        ids.push(log.id.to_string());
    }
    answer(
        request.dry_run,
        CreateFlowLogsResponse {
            client_token: request.client_token,
            flow_log_id_set: ids,
            unsuccessful: Vec::new(),
        },
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteFlowLogs {
    flow_log_id: Vec<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct DeleteFlowLogsResponse {
    unsuccessful: Vec<String>,
}

pub(super) fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteFlowLogs,
) -> Result<DeleteFlowLogsResponse, ApiError> {
    for id in &request.flow_log_id {
        let log = super::get::<FlowLog>(rows, context, id)?;
        rows.delete::<FlowLog>(&log.key());
        tag::forget(rows, context, &log.id);
    }
    answer(request.dry_run, DeleteFlowLogsResponse { unsuccessful: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Service;
    use crate::testing::{Fixture, element};

    const TRUST: &str = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22sts%3AAssumeRole%22%2C%22Principal%22%3A%7B%22Service%22%3A%22vpc-flow-logs.amazonaws.com%22%7D%7D%7D";
    const ROLE: &str = "arn:aws:iam::000000000001:role/flows";

    #[test]
    fn a_flow_log_is_made_described_tagged_and_deleted_as_terraform_does_it() {
        let fixture = Fixture::new();
        let vpc = fixture.ok(Service::Ec2, "CreateVpc", "CidrBlock=10.194.0.0/16");
        let vpc = element(&vpc, "vpcId");
        let role = format!("RoleName=flows&AssumeRolePolicyDocument={TRUST}");
        fixture.ok(Service::Iam, "CreateRole", &role);
        let base =
            format!("ResourceType=VPC&ResourceId.1={vpc}&TrafficType=ALL&DeliverLogsPermissionArn={ROLE}");
        let arn = "arn:aws:logs:ap-northeast-2:000000000001:log-group:/vpc:*";
        let refused = |more: &str, word: &str| {
            let (status, text) = fixture.call(Service::Ec2, "CreateFlowLogs", &format!("{base}&{more}"));
            assert!(status >= 400 && text.contains(word), "{more}: {text}");
        };
        refused("LogDestinationType=s3&LogDestination=arn:aws:s3:::b", "flow logs to s3");
        refused("", "LogDestination can");
        refused("LogGroupName=/vpc&MaxAggregationInterval=30", "MaxAggregationInterval");
        refused("LogGroupName=/vpc&LogFormat=%24%7Bflow-id%7D", "LogFormat");
        let asked = format!(
            "{base}&LogDestination={arn}&MaxAggregationInterval=60&TagSpecification.1.ResourceType=vpc-flow-log&\
             TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b"
        );
        let made = fixture.ok(Service::Ec2, "CreateFlowLogs", &asked);
        refused("LogGroupName=/vpc", "FlowLogAlreadyExists");
        let id = element(&made, "item");
        let described = fixture.ok(Service::Ec2, "DescribeFlowLogs", &format!("FlowLogId.1={id}"));
        for (name, value) in [
            ("logGroupName", "/vpc"),
            ("resourceId", vpc),
            ("maxAggregationInterval", "60"),
            ("deliverLogsStatus", "SUCCESS"),
            ("trafficType", "ALL"),
            ("logFormat", DEFAULT),
        ] {
            assert_eq!(element(&described, name), value);
        }
        let rows = fixture.api.store.snapshot();
        let log = rows.scan::<FlowLog>("").next().unwrap();
        assert!(!may_deliver(&rows, &log, "eni-1-all", Timestamp::now()), "the role has no policy");
        let policy = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22logs%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D";
        let policy = format!("RoleName=flows&PolicyName=logs&PolicyDocument={policy}");
        fixture.ok(Service::Iam, "PutRolePolicy", &policy);
        assert!(may_deliver(&fixture.api.store.snapshot(), &log, "eni-1-all", Timestamp::now()));
        fixture.ok(Service::Ec2, "DeleteFlowLogs", &format!("FlowLogId.1={id}"));
        let listed = fixture.ok(Service::Ec2, "DescribeFlowLogs", "");
        assert!(!listed.contains(id), "{listed}");
    }
}
