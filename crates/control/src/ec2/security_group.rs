//! Security groups. Their rules are rows of their own, in `security_group_rule`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{AccountId, PartId, Region, SecurityGroupId, VpcId};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::interface::NetworkInterface;
use crate::ec2::ip_permission::{IpPermissionDescription, grouped};
use crate::ec2::permission::Peer;
use crate::ec2::security_group_rule::{self, SecurityGroupRule};
use crate::ec2::tag::{self, Tag, TagSpecification};
use crate::ec2::vpc_endpoint::VpcEndpoint;
use crate::ec2::{Resource, answer, default_vpc, vpc};

/// A security group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: SecurityGroupId,
    /// Its VPC.
    pub vpc_id: VpcId,
    /// Its name, unique in the VPC.
    pub name: String,
    /// Its description.
    pub description: String,
}

super::row!(SecurityGroup, "ec2_security_group", |group| vec![PartId::Vpc(group.vpc_id.clone())]);

impl Resource for SecurityGroup {
    const TYPE: &'static str = "security-group";
    const PREFIX: &'static str = SecurityGroupId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        if !id.starts_with("sg-") {
            return ApiError::new(
                "InvalidGroupId.Malformed",
                format!("Invalid id: \"{id}\" (expecting \"sg-...\")"),
            );
        }
        ApiError::new("InvalidGroup.NotFound", format!("The security group '{id}' does not exist"))
    }
}

/// The security group of this id in the caller's account and region.
///
/// # Errors
/// InvalidGroup.NotFound
pub fn get(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<SecurityGroup>, ApiError> {
    super::get(rows, context, id)
}

/// The default group of a VPC: for those who name none.
///
/// # Errors
/// InvalidVpcID.NotFound
pub fn default_of(rows: &Snapshot, context: &Context, vpc_id: &str) -> Result<Arc<SecurityGroup>, ApiError> {
    let vpc = vpc::get(rows, context, vpc_id)?;
    get(rows, context, vpc.default_security_group.as_str())
}

/// The group that comes with every VPC.
const DEFAULT: &str = "default";

fn put(rows: &mut Tx, context: &Context, vpc_id: &VpcId, name: &str, description: &str) -> SecurityGroupId {
    let group = rows.put(SecurityGroup {
        account: context.account.clone(),
        region: context.region.clone(),
        id: SecurityGroupId::mint(),
        vpc_id: vpc_id.clone(),
        name: name.to_owned(),
        description: description.to_owned(),
    });
    security_group_rule::allow_all_egress(rows, &group);
    group.id.clone()
}

/// Makes a new VPC's default group: all may go out, and its own members may come in.
pub(super) fn create_default(rows: &mut Tx, context: &Context, vpc_id: &VpcId) -> SecurityGroupId {
    let id = put(rows, context, vpc_id, DEFAULT, "default VPC security group");
    if let Some(group) = rows.get::<SecurityGroup>(&context.key(&id)) {
        security_group_rule::allow_own_ingress(rows, &group);
    }
    id
}

/// The group of this name in the default VPC: names alone find no other.
///
/// # Errors
/// InvalidGroup.NotFound
fn named(rows: &Snapshot, context: &Context, name: &str) -> Result<Arc<SecurityGroup>, ApiError> {
    let vpc = default_vpc::of_region(rows, context);
    let in_default = |group: &SecurityGroup| vpc.as_ref().is_some_and(|vpc| group.vpc_id == vpc.id);
    rows.scan::<SecurityGroup>(&context.prefix())
        .find(|group| group.name == name && in_default(group))
        .ok_or_else(|| {
            let vpc = vpc.as_ref().map_or("null", |vpc| vpc.id.as_str());
            ApiError::new(
                "InvalidGroup.NotFound",
                format!("The security group '{name}' does not exist in default VPC '{vpc}'"),
            )
        })
}

/// The group that a call names, by its id or, in the default VPC, by its name.
///
/// # Errors
/// InvalidGroup.NotFound, MissingParameter, InvalidParameterCombination
pub(super) fn of_id_or_name(
    rows: &Snapshot,
    context: &Context,
    id: Option<&str>,
    name: Option<&str>,
) -> Result<Arc<SecurityGroup>, ApiError> {
    match (id, name) {
        (Some(id), None) => get(rows, context, id),
        (None, Some(name)) => named(rows, context, name),
        (None, None) => Err(ApiError::new(
            "MissingParameter",
            "The request must contain the parameter groupName or groupId",
        )),
        (Some(_), Some(_)) => Err(ApiError::new(
            "InvalidParameterCombination",
            "The parameters groupName and groupId cannot be used together",
        )),
    }
}

/// Deletes a group with its rules and tags.
pub(super) fn remove(rows: &mut Tx, context: &Context, id: &SecurityGroupId) {
    let rules: Vec<_> = security_group_rule::of_group(rows, context, id);
    for rule in rules {
        tag::forget(rows, context, &rule.id);
        rows.delete::<SecurityGroupRule>(&context.key(&rule.id));
    }
    tag::forget(rows, context, id);
    rows.delete::<SecurityGroup>(&context.key(id));
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateSecurityGroup {
    group_name: String,
    group_description: String,
    vpc_id: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateSecurityGroupResponse {
    group_id: String,
    security_group_arn: String,
    tag_set: Vec<Tag>,
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateSecurityGroup,
) -> Result<CreateSecurityGroupResponse, ApiError> {
    let vpc = match &request.vpc_id {
        Some(id) => vpc::get(rows, context, id)?,
        None => default_vpc::for_who_names_none(rows, context)?,
    };
    let name = request.group_name.trim();
    check_text(name, "groupName")?;
    check_text(&request.group_description, "GroupDescription")?;
    if name.to_ascii_lowercase().starts_with(SecurityGroupId::PREFIX) {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "invalid value for parameter groupName ({name}). Group names may not be in the format sg-*."
            ),
        ));
    }
    if name == DEFAULT {
        return Err(ApiError::new(
            "InvalidParameterValue",
            "Cannot use reserved security group name: default",
        ));
    }
    let taken = rows
        .scan::<SecurityGroup>(&context.prefix())
        .any(|group| group.vpc_id == vpc.id && group.name == name);
    if taken {
        return Err(ApiError::new(
            "InvalidGroup.Duplicate",
            format!("The security group '{name}' already exists for VPC '{}'", vpc.id),
        ));
    }
    let id = put(rows, context, &vpc.id, name, &request.group_description);
    tag::specify::<SecurityGroup>(rows, context, &id, &request.tag_specification)?;
    answer(
        request.dry_run,
        CreateSecurityGroupResponse {
            group_id: id.to_string(),
            security_group_arn: arn(context, &id),
            tag_set: tag::of(rows, context, &id),
        },
    )
}

/// Names and descriptions: up to 255 of a few characters. Source: CreateSecurityGroup in the EC2 API reference.
fn check_text(text: &str, parameter: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    if text.is_empty() {
        return Err(ApiError::new(
            "MissingParameter",
            format!("The request must contain the parameter {parameter}"),
        ));
    }
    if text.chars().count() > 255 || !text.chars().all(allowed) {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "Value ({text}) for parameter {parameter} is invalid. Character sets beyond ASCII are not supported."
            ),
        ));
    }
    Ok(())
}

fn arn(context: &Context, id: &SecurityGroupId) -> String {
    context.arn("ec2", format!("security-group/{id}")).to_string()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteSecurityGroup {
    group_id: Option<String>,
    group_name: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteSecurityGroupResponse {
    r#return: bool,
    group_id: String,
}

pub(super) fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteSecurityGroup,
) -> Result<DeleteSecurityGroupResponse, ApiError> {
    let group = of_id_or_name(rows, context, request.group_id.as_deref(), request.group_name.as_deref())?;
    if group.name == DEFAULT {
        return Err(ApiError::new(
            "CannotDelete",
            format!("the specified group: \"{}\" name: \"default\" cannot be deleted by a user", group.id),
        ));
    }
    let prefix = context.prefix();
    let worn =
        rows.scan::<NetworkInterface>(&prefix).any(|interface| interface.security_groups.contains(&group.id));
    // A rule of its own that names the group itself goes with it; one of a peered VPC becomes stale.
    let referenced = rows
        .scan::<SecurityGroupRule>(&prefix)
        .filter(|rule| rule.vpc_id == group.vpc_id && rule.group_id != group.id)
        .any(|rule| rule.permission.peer == Peer::Group(group.id.clone()));
    let of_endpoint = rows.scan::<VpcEndpoint>(&prefix).any(|endpoint| endpoint.wears(&group.id));
    if worn || of_endpoint || referenced {
        return Err(ApiError::new(
            "DependencyViolation",
            format!("resource {} has a dependent object", group.id),
        ));
    }
    remove(rows, context, &group.id);
    answer(request.dry_run, DeleteSecurityGroupResponse { r#return: true, group_id: group.id.to_string() })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeSecurityGroups {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    group_id: Vec<String>,
    #[serde(default)]
    group_name: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeSecurityGroupsResponse {
    security_group_info: Vec<SecurityGroupDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SecurityGroupDescription {
    group_id: String,
    group_name: String,
    group_description: String,
    owner_id: String,
    vpc_id: String,
    security_group_arn: String,
    ip_permissions: Vec<IpPermissionDescription>,
    ip_permissions_egress: Vec<IpPermissionDescription>,
    tag_set: Vec<Tag>,
}

impl SecurityGroupDescription {
    fn new(
        rows: &Snapshot,
        context: &Context,
        group: &SecurityGroup,
        rules: &[Arc<SecurityGroupRule>],
    ) -> Self {
        let side = |egress: bool| {
            let of_side = rules.iter().filter(|rule| rule.egress == egress);
            grouped(rows, context, of_side.map(|rule| &**rule))
        };
        Self {
            group_id: group.id.to_string(),
            group_name: group.name.clone(),
            group_description: group.description.clone(),
            owner_id: group.account.to_string(),
            vpc_id: group.vpc_id.to_string(),
            security_group_arn: arn(context, &group.id),
            ip_permissions: side(false),
            ip_permissions_egress: side(true),
            tag_set: tag::of(rows, context, &group.id),
        }
    }
}

fn all(
    permissions: &[IpPermissionDescription],
    values: fn(&IpPermissionDescription) -> Vec<String>,
) -> Vec<String> {
    permissions.iter().flat_map(values).collect()
}

impl Item for SecurityGroupDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("description", |group| vec![group.group_description.clone()]),
        ("egress.ip-permission.cidr", |group| {
            all(&group.ip_permissions_egress, IpPermissionDescription::cidrs)
        }),
        ("egress.ip-permission.from-port", |group| {
            all(&group.ip_permissions_egress, IpPermissionDescription::first_ports)
        }),
        ("egress.ip-permission.group-id", |group| {
            all(&group.ip_permissions_egress, IpPermissionDescription::group_ids)
        }),
        ("egress.ip-permission.group-name", |group| {
            all(&group.ip_permissions_egress, IpPermissionDescription::group_names)
        }),
        ("egress.ip-permission.ipv6-cidr", |group| {
            all(&group.ip_permissions_egress, IpPermissionDescription::ipv6_cidrs)
        }),
        ("egress.ip-permission.prefix-list-id", |group| {
            all(&group.ip_permissions_egress, IpPermissionDescription::prefix_list_ids)
        }),
        ("egress.ip-permission.protocol", |group| {
            all(&group.ip_permissions_egress, IpPermissionDescription::protocols)
        }),
        ("egress.ip-permission.to-port", |group| {
            all(&group.ip_permissions_egress, IpPermissionDescription::last_ports)
        }),
        ("egress.ip-permission.user-id", |group| {
            all(&group.ip_permissions_egress, IpPermissionDescription::user_ids)
        }),
        ("group-id", |group| vec![group.group_id.clone()]),
        ("group-name", |group| vec![group.group_name.clone()]),
        ("ip-permission.cidr", |group| all(&group.ip_permissions, IpPermissionDescription::cidrs)),
        ("ip-permission.from-port", |group| all(&group.ip_permissions, IpPermissionDescription::first_ports)),
        ("ip-permission.group-id", |group| all(&group.ip_permissions, IpPermissionDescription::group_ids)),
        ("ip-permission.group-name", |group| {
            all(&group.ip_permissions, IpPermissionDescription::group_names)
        }),
        ("ip-permission.ipv6-cidr", |group| all(&group.ip_permissions, IpPermissionDescription::ipv6_cidrs)),
        ("ip-permission.prefix-list-id", |group| {
            all(&group.ip_permissions, IpPermissionDescription::prefix_list_ids)
        }),
        ("ip-permission.protocol", |group| all(&group.ip_permissions, IpPermissionDescription::protocols)),
        ("ip-permission.to-port", |group| all(&group.ip_permissions, IpPermissionDescription::last_ports)),
        ("ip-permission.user-id", |group| all(&group.ip_permissions, IpPermissionDescription::user_ids)),
        ("owner-id", |group| vec![group.owner_id.clone()]),
        ("vpc-id", |group| vec![group.vpc_id.clone()]),
    ];

    fn id(&self) -> &str {
        &self.group_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        SecurityGroup::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeSecurityGroups,
) -> Result<DescribeSecurityGroupsResponse, ApiError> {
    let mut ids = request.group_id;
    for name in &request.group_name {
        ids.push(named(rows, context, name)?.id.to_string());
    }
    let prefix = context.prefix();
    let mut rules: std::collections::BTreeMap<SecurityGroupId, Vec<Arc<SecurityGroupRule>>> =
        std::collections::BTreeMap::new();
    for rule in rows.scan::<SecurityGroupRule>(&prefix) {
        rules.entry(rule.group_id.clone()).or_default().push(rule);
    }
    let items = rows.scan::<SecurityGroup>(&prefix).map(|group| {
        let rules = rules.get(&group.id).map_or(&[][..], Vec::as_slice);
        SecurityGroupDescription::new(rows, context, &group, rules)
    });
    let page = Ask {
        ids: &ids,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(items)?;
    answer(
        request.dry_run,
        DescribeSecurityGroupsResponse { security_group_info: page.items, next_token: page.next_token },
    )
}
