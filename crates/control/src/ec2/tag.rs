//! Tags. A resource's tags are one row, apart from the resource: a tag changes no network.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::{Nothing, Resource, answer};

/// The tags of one resource.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TagSet {
    /// The resource's account.
    pub account: AccountId,
    /// The resource's region.
    pub region: Region,
    /// The resource.
    pub id: String,
    /// What it is, `route-table`.
    pub resource_type: String,
    /// Key to value.
    pub tags: BTreeMap<String, String>,
}

super::row!(TagSet, "ec2_tags", |_| Vec::new());

/// A tag, in requests and responses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value, possibly empty.
    #[serde(default)]
    pub value: String,
}

/// Tags that a Create call gives with the resource.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TagSpecification {
    resource_type: Option<String>,
    #[serde(default)]
    tag: Vec<Tag>,
}

/// The most tags of a resource. Source: "Tag restrictions" in the EC2 user guide.
const MOST: usize = 50;

/// The tags of a resource, by key.
pub fn of(rows: &Snapshot, context: &Context, id: impl std::fmt::Display) -> Vec<Tag> {
    let Some(set) = rows.get::<TagSet>(&context.key(id)) else { return Vec::new() };
    set.tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// Puts the tags that a Create call gives on the new resource.
pub(super) fn specify<R: Resource>(
    rows: &mut Tx,
    context: &Context,
    id: impl std::fmt::Display,
    specifications: &[TagSpecification],
) -> Result<(), ApiError> {
    for specification in specifications {
        let given = specification.resource_type.as_deref().unwrap_or_default();
        if given != R::TYPE {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("'{given}' is not a valid taggable resource type for this operation."),
            ));
        }
    }
    let tags: Vec<Tag> = specifications.iter().flat_map(|specification| specification.tag.clone()).collect();
    for (at, tag) in tags.iter().enumerate() {
        if tags[..at].iter().any(|earlier| earlier.key == tag.key) {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("Duplicate tag key '{}' specified.", tag.key),
            ));
        }
    }
    if tags.is_empty() { Ok(()) } else { add(rows, context, &id.to_string(), R::TYPE, &tags) }
}

/// Forgets the tags of a resource that is gone.
pub(super) fn forget(rows: &mut Tx, context: &Context, id: impl std::fmt::Display) {
    rows.delete::<TagSet>(&context.key(id));
}

fn add(rows: &mut Tx, context: &Context, id: &str, kind: &str, tags: &[Tag]) -> Result<(), ApiError> {
    let mut set = rows.get::<TagSet>(&context.key(id)).map_or_else(
        || TagSet {
            account: context.account.clone(),
            region: context.region.clone(),
            id: id.to_owned(),
            resource_type: kind.to_owned(),
            tags: BTreeMap::new(),
        },
        |set| (*set).clone(),
    );
    for tag in tags {
        check(tag)?;
        set.tags.insert(tag.key.clone(), tag.value.clone());
    }
    if set.tags.len() > MOST {
        return Err(ApiError::new(
            "TagLimitExceeded",
            format!("The maximum number of Tags for a resource has been reached: {MOST}"),
        ));
    }
    rows.put(set);
    Ok(())
}

fn check(tag: &Tag) -> Result<(), ApiError> {
    let error = |message: String| Err(ApiError::new("InvalidParameterValue", message));
    if tag.key.is_empty() {
        return error("Tag key cannot be null or empty".to_owned());
    }
    if tag.key.to_ascii_lowercase().starts_with("aws:") {
        return error("Tag keys starting with 'aws:' are reserved for internal use".to_owned());
    }
    if tag.key.chars().count() > 128 {
        return error(format!("Tag key exceeds the maximum length of 128 characters: {}", tag.key));
    }
    if tag.value.chars().count() > 256 {
        return error(format!("Tag value exceeds the maximum length of 256 characters: {}", tag.value));
    }
    Ok(())
}

/// What can be tagged: the prefix of its ids, its type, whether an id names one, and the error if not.
type Kind = (&'static str, &'static str, fn(&Snapshot, &str) -> bool, fn(&str) -> ApiError);

const fn kind<R: Resource>() -> Kind {
    (R::PREFIX, R::TYPE, |rows, key| rows.get::<R>(key).is_some(), R::not_found)
}

/// A peering connection is seen in the regions of both its VPCs; its row is the requester's.
const PEERING: Kind = (
    super::vpc_peering::VpcPeeringConnection::PREFIX,
    super::vpc_peering::VpcPeeringConnection::TYPE,
    super::vpc_peering::is_at,
    super::vpc_peering::VpcPeeringConnection::not_found,
);

const KINDS: &[Kind] = &[
    kind::<super::vpc::Vpc>(),
    kind::<super::subnet::Subnet>(),
    kind::<super::internet_gateway::InternetGateway>(),
    kind::<super::route_table::RouteTable>(),
    kind::<super::security_group::SecurityGroup>(),
    kind::<super::security_group_rule::SecurityGroupRule>(),
    kind::<super::network_acl::NetworkAcl>(),
    kind::<super::address::Address>(),
    kind::<super::nat_gateway::NatGateway>(),
    kind::<super::network_insights_path::NetworkInsightsPath>(),
    kind::<super::network_insights_analysis::NetworkInsightsAnalysis>(),
    kind::<super::flow_log::FlowLog>(),
    kind::<super::prefix_list::PrefixList>(),
    PEERING,
    kind::<super::interface::NetworkInterface>(),
    kind::<super::dhcp_options::DhcpOptions>(),
    kind::<super::vpc_endpoint::VpcEndpoint>(),
];

/// The type of the resource of this id, which must be there.
fn kind_of(rows: &Snapshot, context: &Context, id: &str) -> Result<&'static str, ApiError> {
    let Some((_, kind, exists, not_found)) = KINDS.iter().find(|(prefix, ..)| id.starts_with(prefix)) else {
        return Err(ApiError::new("InvalidID", format!("The ID '{id}' is not valid")));
    };
    if exists(rows, &context.key(id)) { Ok(kind) } else { Err(not_found(id)) }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateTags {
    resource_id: Vec<String>,
    tag: Vec<Tag>,
    dry_run: Option<bool>,
}

pub(super) fn create_tags(
    rows: &mut Tx,
    context: &Context,
    request: CreateTags,
) -> Result<Nothing, ApiError> {
    for id in &request.resource_id {
        let kind = kind_of(rows, context, id)?;
        add(rows, context, id, kind, &request.tag)?;
    }
    answer(request.dry_run, Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TagToDelete {
    key: String,
    /// None deletes the tag whatever its value; a text, also the empty one, deletes it with this value alone.
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteTags {
    resource_id: Vec<String>,
    /// Empty: all tags.
    #[serde(default)]
    tag: Vec<TagToDelete>,
    dry_run: Option<bool>,
}

pub(super) fn delete_tags(
    rows: &mut Tx,
    context: &Context,
    request: DeleteTags,
) -> Result<Nothing, ApiError> {
    for id in &request.resource_id {
        kind_of(rows, context, id)?;
        let Some(set) = rows.get::<TagSet>(&context.key(id)) else { continue };
        let mut set = (*set).clone();
        set.tags.retain(|key, value| {
            let named = |tag: &TagToDelete| tag.key == *key && tag.value.as_ref().is_none_or(|v| v == value);
            !request.tag.is_empty() && !request.tag.iter().any(named)
        });
        if set.tags.is_empty() {
            rows.delete::<TagSet>(&set.key());
        } else {
            rows.put(set);
        }
    }
    answer(request.dry_run, Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeTags {
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeTagsResponse {
    tag_set: Vec<TagDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TagDescription {
    resource_id: String,
    resource_type: String,
    key: String,
    value: String,
    #[serde(skip)]
    order: String,
    #[serde(skip)]
    itself: [Tag; 1],
}

impl Item for TagDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("key", |tag| vec![tag.key.clone()]),
        ("resource-id", |tag| vec![tag.resource_id.clone()]),
        ("resource-type", |tag| vec![tag.resource_type.clone()]),
        ("value", |tag| vec![tag.value.clone()]),
    ];

    fn id(&self) -> &str {
        &self.order
    }

    fn tags(&self) -> &[Tag] {
        &self.itself
    }

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidID", format!("The ID '{id}' is not valid"))
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeTags,
) -> Result<DescribeTagsResponse, ApiError> {
    let prefix = context.prefix();
    let items = rows.scan::<TagSet>(&prefix).flat_map(|set| {
        let one = |(key, value): (&String, &String)| TagDescription {
            resource_id: set.id.clone(),
            resource_type: set.resource_type.clone(),
            key: key.clone(),
            value: value.clone(),
            order: format!("{}\u{1}{key}", set.id),
            itself: [Tag { key: key.clone(), value: value.clone() }],
        };
        set.tags.iter().map(one).collect::<Vec<_>>()
    });
    let page = Ask {
        ids: &[],
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(items)?;
    answer(request.dry_run, DescribeTagsResponse { tag_set: page.items, next_token: page.next_token })
}
