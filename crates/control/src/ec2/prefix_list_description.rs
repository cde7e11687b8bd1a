//! Prefix lists, their entries and what references them, as they are shown.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::prefix_list::{AwsManaged, PrefixList, State, aws_managed};
use crate::ec2::prefix_list_version::no_version;
use crate::ec2::tag::{self, Tag};
use crate::ec2::{Resource, answer, prefix_list_use};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PrefixListDescription {
    prefix_list_id: String,
    address_family: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_message: Option<String>,
    prefix_list_arn: String,
    prefix_list_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_entries: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    tag_set: Vec<Tag>,
    owner_id: String,
}

impl PrefixListDescription {
    pub(super) fn new(rows: &Snapshot, context: &Context, list: &PrefixList) -> Self {
        let (state, state_message) = match &list.state {
            State::CreateComplete => ("create-complete", None),
            State::ModifyComplete => ("modify-complete", None),
            State::RestoreComplete => ("restore-complete", None),
            State::ModifyFailed(why) => ("modify-failed", Some(why.clone())),
            State::DeleteFailed(why) => ("delete-failed", Some(why.clone())),
        };
        Self {
            prefix_list_id: list.id.to_string(),
            address_family: list.family.name(),
            state,
            state_message,
            prefix_list_arn: context.arn("ec2", format!("prefix-list/{}", list.id)).to_string(),
            prefix_list_name: list.name.clone(),
            max_entries: Some(list.max_entries),
            version: Some(list.version()),
            tag_set: tag::of(rows, context, &list.id),
            owner_id: list.account.to_string(),
        }
    }

    /// As the call that changes the list shows it.
    pub(super) fn in_progress(
        rows: &Snapshot,
        context: &Context,
        list: &PrefixList,
        state: &'static str,
    ) -> Self {
        Self { state, state_message: None, ..Self::new(rows, context, list) }
    }

    /// AWS's own lists have no version and no largest size.
    fn aws_managed(context: &Context, list: &AwsManaged) -> Self {
        Self {
            prefix_list_id: list.id.to_string(),
            address_family: "IPv4",
            state: "create-complete",
            state_message: None,
            prefix_list_arn: format!("arn:aws:ec2:{}:aws:prefix-list/{}", context.region, list.id),
            prefix_list_name: list.name.clone(),
            max_entries: None,
            version: None,
            tag_set: Vec::new(),
            owner_id: "AWS".to_owned(),
        }
    }
}

impl Item for PrefixListDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("owner-id", |list| vec![list.owner_id.clone()]),
        ("prefix-list-id", |list| vec![list.prefix_list_id.clone()]),
        ("prefix-list-name", |list| vec![list.prefix_list_name.clone()]),
    ];
    const PAGE_SIZES: RangeInclusive<i32> = 1..=100;

    fn id(&self) -> &str {
        &self.prefix_list_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        PrefixList::not_found(id)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeManagedPrefixLists {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    prefix_list_id: Vec<String>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeManagedPrefixListsResponse {
    prefix_list_set: Vec<PrefixListDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeManagedPrefixLists,
) -> Result<DescribeManagedPrefixListsResponse, ApiError> {
    let prefix = context.prefix();
    let mut lists: Vec<PrefixListDescription> = rows
        .scan::<PrefixList>(&prefix)
        .map(|list| PrefixListDescription::new(rows, context, &list))
        .chain(
            aws_managed(&context.region).iter().map(|list| PrefixListDescription::aws_managed(context, list)),
        )
        .collect();
    lists.sort_by(|a, b| a.prefix_list_id.cmp(&b.prefix_list_id));
    let page = Ask {
        ids: &request.prefix_list_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(lists.into_iter())?;
    answer(
        request.dry_run,
        DescribeManagedPrefixListsResponse { prefix_list_set: page.items, next_token: page.next_token },
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GetManagedPrefixListEntries {
    prefix_list_id: String,
    target_version: Option<i64>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetManagedPrefixListEntriesResponse {
    entry_set: Vec<EntryDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryDescription {
    cidr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// Items without filters, in the order of a text of theirs.
macro_rules! plain_item {
    ($item:ident, $id:ident, $sizes:expr) => {
        impl Item for $item {
            const FILTERS: &'static [(&'static str, Values<Self>)] = &[];
            const PAGE_SIZES: RangeInclusive<i32> = $sizes;

            fn id(&self) -> &str {
                &self.$id
            }

            fn tags(&self) -> &[Tag] {
                &[]
            }

            fn not_found(id: &str) -> ApiError {
                PrefixList::not_found(id)
            }
        }
    };
}

plain_item!(EntryDescription, cidr, 1..=100);
plain_item!(AssociationDescription, resource_id, 5..=255);

pub(super) fn entries(
    rows: &Snapshot,
    context: &Context,
    request: GetManagedPrefixListEntries,
) -> Result<GetManagedPrefixListEntriesResponse, ApiError> {
    let id = &request.prefix_list_id;
    let managed = aws_managed(&context.region).into_iter().find(|list| list.id.as_str() == id);
    let mut entries: Vec<EntryDescription> = if let Some(managed) = managed {
        let entry = |net: ipnet::Ipv4Net| EntryDescription { cidr: net.to_string(), description: None };
        managed.entries.into_iter().map(entry).collect()
    } else {
        let list = super::get::<PrefixList>(rows, context, id)?;
        let wanted = request.target_version.unwrap_or_else(|| list.version());
        let version = list.versions.iter().find(|version| version.number == wanted);
        let version = version.ok_or_else(|| no_version(id, wanted))?;
        let entry = |entry: &super::prefix_list::Entry| EntryDescription {
            cidr: entry.cidr.to_string(),
            description: entry.description.clone(),
        };
        version.entries.iter().map(entry).collect()
    };
    entries.sort_by(|a, b| a.cidr.cmp(&b.cidr));
    let page =
        Ask { max_results: request.max_results, next_token: request.next_token.as_deref(), ..Ask::default() }
            .page(entries.into_iter())?;
    answer(
        request.dry_run,
        GetManagedPrefixListEntriesResponse { entry_set: page.items, next_token: page.next_token },
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GetManagedPrefixListAssociations {
    prefix_list_id: String,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetManagedPrefixListAssociationsResponse {
    prefix_list_association_set: Vec<AssociationDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AssociationDescription {
    resource_id: String,
    resource_owner: String,
}

pub(super) fn associations(
    rows: &Snapshot,
    context: &Context,
    request: GetManagedPrefixListAssociations,
) -> Result<GetManagedPrefixListAssociationsResponse, ApiError> {
    let list = super::prefix_list::own(rows, context, &request.prefix_list_id)?;
    let users = prefix_list_use::users(rows, context, &list.id).into_iter().map(|resource_id| {
        AssociationDescription { resource_id, resource_owner: context.account.to_string() }
    });
    let page =
        Ask { max_results: request.max_results, next_token: request.next_token.as_deref(), ..Ask::default() }
            .page(users)?;
    answer(
        request.dry_run,
        GetManagedPrefixListAssociationsResponse {
            prefix_list_association_set: page.items,
            next_token: page.next_token,
        },
    )
}

/// A list of AWS's own as the older call DescribePrefixLists shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServicePrefixList {
    cidr_set: Vec<String>,
    prefix_list_id: String,
    prefix_list_name: String,
}

impl Item for ServicePrefixList {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("prefix-list-id", |list| vec![list.prefix_list_id.clone()]),
        ("prefix-list-name", |list| vec![list.prefix_list_name.clone()]),
    ];

    fn id(&self) -> &str {
        &self.prefix_list_id
    }

    fn tags(&self) -> &[Tag] {
        &[]
    }

    fn not_found(id: &str) -> ApiError {
        PrefixList::not_found(id)
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribePrefixListsResponse {
    prefix_list_set: Vec<ServicePrefixList>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn describe_services(
    _: &Snapshot,
    context: &Context,
    request: DescribeManagedPrefixLists,
) -> Result<DescribePrefixListsResponse, ApiError> {
    let mut lists = aws_managed(&context.region);
    lists.sort_by(|a, b| a.id.cmp(&b.id));
    let page = Ask {
        ids: &request.prefix_list_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(lists.into_iter().map(|list| ServicePrefixList {
        cidr_set: list.entries.iter().map(ToString::to_string).collect(),
        prefix_list_id: list.id.to_string(),
        prefix_list_name: list.name,
    }))?;
    answer(
        request.dry_run,
        DescribePrefixListsResponse { prefix_list_set: page.items, next_token: page.next_token },
    )
}
