//! Managed prefix lists: ranges under one name, in versions. AWS's own lists are no rows: they are worked out.

use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{AccountId, PrefixListId, Region};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::prefix_list_description::PrefixListDescription;
use crate::ec2::tag::{self, TagSpecification};
use crate::ec2::{Resource, answer, invalid, prefix_list_use};

/// A customer-managed prefix list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PrefixList {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: PrefixListId,
    /// Its name; several lists may have the same one.
    pub name: String,
    /// Which addresses its entries are.
    pub family: Family,
    /// What it may grow to. This is what counts against the quotas of what references it.
    pub max_entries: usize,
    /// The versions that are kept, the oldest first; never empty.
    pub versions: Vec<Version>,
    /// What became of the last change.
    pub state: State,
    /// The token that its CreateManagedPrefixList call gave.
    pub client_token: Option<String>,
}

/// Which addresses a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// IPv4 addresses.
    IPv4,
    /// IPv6 addresses. No VPC has any yet: such a list is kept and shown, and no packet can match it.
    IPv6,
}

impl Family {
    pub(super) fn name(self) -> &'static str {
        match self {
            Family::IPv4 => "IPv4",
            Family::IPv6 => "IPv6",
        }
    }
}

/// The entries as one change left them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number, from 1.
    pub number: i64,
    /// Its entries, by range.
    pub entries: Vec<Entry>,
}

/// A range of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The range.
    pub cidr: IpNet,
    /// Words of the user's.
    pub description: Option<String>,
}

/// What became of the last change. Changes are done at once; the calls that make them say that they are in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was made.
    CreateComplete,
    /// It was changed.
    ModifyComplete,
    /// An earlier version's entries are its entries again.
    RestoreComplete,
    /// What references it has no room for its new size.
    ModifyFailed(String),
    /// Something still references it.
    DeleteFailed(String),
}

// What references a list is put again when its entries change (`prefix_list_use::touch`).
super::row!(PrefixList, "ec2_prefix_list", |_| Vec::new());

impl Resource for PrefixList {
    const TYPE: &'static str = "prefix-list";
    const PREFIX: &'static str = PrefixListId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidPrefixListID.NotFound", format!("The prefix list ({id}) does not exist."))
    }
}

impl PrefixList {
    /// Its entries now.
    pub fn entries(&self) -> &[Entry] {
        self.versions.last().map_or(&[], |version| &version.entries)
    }

    /// The number of its version.
    pub fn version(&self) -> i64 {
        self.versions.last().map_or(1, |version| version.number)
    }
}

/// A list of AWS's own: the addresses of a service in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsManaged {
    /// Its id, the same for as long as there is Landfall.
    pub id: PrefixListId,
    /// `com.amazonaws.<region>.<service>`, with `global` in place of the region for a list of all regions.
    pub name: String,
    /// What it counts against the quotas of what names it.
    pub weight: usize,
    /// Its ranges.
    pub entries: Vec<Ipv4Net>,
}

/// AWS's list of this name in a region.
fn of_aws(region: &Region, name: String, weight: usize, entries: Vec<Ipv4Net>) -> AwsManaged {
    // FNV-1a: the id has to be the same in every run, and a list of all regions has one in each.
    let hash = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let own = if name.contains(region.as_str()) { "" } else { region.as_str() };
    let hash = name.bytes().chain(own.bytes()).fold(0x811c_9dc5_u32, hash);
    AwsManaged { id: PrefixListId::from(format!("pl-{hash:08x}")), name, weight, entries }
}

/// AWS's list of S3 in a region, which a gateway endpoint's routes name.
pub fn of_s3(region: &Region) -> AwsManaged {
    let host = format!("s3.{region}.amazonaws.com");
    let addresses = crate::project::endpoints(std::slice::from_ref(region))
        .into_iter()
        .filter(|endpoint| endpoint.names.iter().any(|name| name.ends_with(&host)))
        .map(|endpoint| Ipv4Net::from(endpoint.address))
        .collect();
    of_aws(region, format!("com.amazonaws.{region}.s3"), 1, addresses)
}

/// AWS's lists in a region. Source: "AWS-managed prefix lists" in the VPC user guide, with each one's weight. Neither
/// DynamoDB nor CloudFront is there: no packet goes to one or comes from the other, and their lists have no ranges.
pub fn aws_managed(region: &Region) -> Vec<AwsManaged> {
    let cloudfront = "com.amazonaws.global.cloudfront.origin-facing".to_owned();
    vec![
        of_s3(region),
        of_aws(region, format!("com.amazonaws.{region}.dynamodb"), 1, Vec::new()),
        of_aws(region, cloudfront, 55, Vec::new()),
    ]
}

/// The IPv4 ranges of a list, AWS's own or a customer's, in order. None: there is no such list.
pub fn ranges(
    rows: &Snapshot,
    account: &AccountId,
    region: &Region,
    id: &PrefixListId,
) -> Option<Vec<Ipv4Net>> {
    if let Some(list) = aws_managed(region).into_iter().find(|list| list.id == *id) {
        return Some(list.entries);
    }
    let list = rows.get::<PrefixList>(&format!("{account}/{region}/{id}"))?;
    let range = |entry: &Entry| match entry.cidr {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    };
    Some(list.entries().iter().filter_map(range).collect())
}

/// What a list counts against the quotas of what references it, and the addresses that it holds.
///
/// # Errors
/// InvalidPrefixListID.NotFound
pub(super) fn weight(rows: &Snapshot, context: &Context, id: &str) -> Result<(usize, Family), ApiError> {
    if let Some(list) = aws_managed(&context.region).iter().find(|list| list.id.as_str() == id) {
        return Ok((list.weight, Family::IPv4));
    }
    super::get::<PrefixList>(rows, context, id).map(|list| (list.max_entries, list.family))
}

/// The customer-managed list of this id, to change it.
///
/// # Errors
/// InvalidPrefixListID.NotFound, UnauthorizedOperation for AWS's own lists.
pub(super) fn own(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<PrefixList>, ApiError> {
    if aws_managed(&context.region).iter().any(|list| list.id.as_str() == id) {
        return Err(ApiError::new(
            "UnauthorizedOperation",
            format!("The prefix list ({id}) is AWS-managed: it cannot be modified or deleted."),
        ));
    }
    super::get(rows, context, id)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EntryRequest {
    cidr: String,
    description: Option<String>,
}

impl EntryRequest {
    /// The entry, its host bits zero.
    pub(super) fn entry(self, family: Family) -> Result<Entry, ApiError> {
        let wrong =
            || invalid(&self.cidr, "Cidr", &format!("This is not a valid {} CIDR block.", family.name()));
        let cidr = self.cidr.parse::<IpNet>().map_err(|_| wrong())?.trunc();
        match (cidr, family) {
            (IpNet::V4(_), Family::IPv4) | (IpNet::V6(_), Family::IPv6) => {}
            _ => return Err(wrong()),
        }
        let description = self.description.filter(|text| !text.is_empty());
        if description.as_ref().is_some_and(|text| text.chars().count() > 255) {
            return Err(invalid("Description", "Entries", "A description has up to 255 characters."));
        }
        Ok(Entry { cidr, description })
    }
}

/// Puts entries in order. Each range once.
pub(super) fn sort(entries: &mut [Entry]) -> Result<(), ApiError> {
    entries.sort_by_key(|entry| entry.cidr);
    match entries.windows(2).find(|pair| pair[0].cidr == pair[1].cidr) {
        Some(pair) => Err(ApiError::new(
            "InvalidPrefixListModification",
            format!("The CIDR ({}) appears more than once in the entries of the prefix list.", pair[0].cidr),
        )),
        None => Ok(()),
    }
}

/// Source: CreateManagedPrefixList in the EC2 API reference.
pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() || name.chars().count() > 255 || name.starts_with("com.amazonaws") {
        let why = "A name has up to 255 characters and does not start with com.amazonaws.";
        return Err(invalid(name, "PrefixListName", why));
    }
    Ok(())
}

/// The most entries of a list. Source: "Amazon VPC quotas".
const MOST_ENTRIES: usize = 1_000;
/// The most lists of a region. Source: "Amazon VPC quotas".
const MOST_LISTS: usize = 100;

pub(super) fn check_max_entries(max_entries: i64) -> Result<usize, ApiError> {
    usize::try_from(max_entries).ok().filter(|most| (1..=MOST_ENTRIES).contains(most)).ok_or_else(|| {
        invalid(max_entries, "MaxEntries", &format!("A prefix list has 1 to {MOST_ENTRIES} entries."))
    })
}

pub(super) fn too_many_entries() -> ApiError {
    ApiError::new(
        "PrefixListMaxEntriesExceeded",
        "You've reached the maximum number of entries for the prefix list.",
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateManagedPrefixList {
    prefix_list_name: String,
    #[serde(default)]
    entry: Vec<EntryRequest>,
    max_entries: i64,
    address_family: String,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    client_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PrefixListResponse {
    pub(super) prefix_list: PrefixListDescription,
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateManagedPrefixList,
) -> Result<PrefixListResponse, ApiError> {
    let family = match request.address_family.as_str() {
        "IPv4" => Family::IPv4,
        "IPv6" => Family::IPv6,
        other => return Err(invalid(other, "AddressFamily", "Valid values: IPv4 | IPv6.")),
    };
    check_name(&request.prefix_list_name)?;
    let max_entries = check_max_entries(request.max_entries)?;
    let mut entries =
        request.entry.into_iter().map(|entry| entry.entry(family)).collect::<Result<Vec<_>, _>>()?;
    sort(&mut entries)?;
    if entries.len() > max_entries {
        return Err(too_many_entries());
    }
    let prefix = context.prefix();
    let token = request.client_token.filter(|token| !token.is_empty());
    let earlier = rows.scan::<PrefixList>(&prefix).find(|list| token.is_some() && list.client_token == token);
    let list = match earlier {
        Some(list)
            if list.name != request.prefix_list_name
                || list.family != family
                || list
                    .versions
                    .first()
                    .is_some_and(|first| first.number == 1 && first.entries != entries) =>
        {
            return Err(ApiError::new(
                "IdempotentParameterMismatch",
                "The client token was used before with other parameters.",
            ));
        }
        Some(list) => list,
        None => {
            if rows.scan::<PrefixList>(&prefix).count() >= MOST_LISTS {
                return Err(ApiError::new(
                    "PrefixListLimitExceeded",
                    "The maximum number of prefix lists has been reached.",
                ));
            }
            let list = rows.put(PrefixList {
                account: context.account.clone(),
                region: context.region.clone(),
                id: PrefixListId::mint(),
                name: request.prefix_list_name,
                family,
                max_entries,
                versions: vec![Version { number: 1, entries }],
                state: State::CreateComplete,
                client_token: token,
            });
            tag::specify::<PrefixList>(rows, context, &list.id, &request.tag_specification)?;
            list
        }
    };
    let prefix_list = PrefixListDescription::in_progress(rows, context, &list, "create-in-progress");
    answer(request.dry_run, PrefixListResponse { prefix_list })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteManagedPrefixList {
    prefix_list_id: String,
    dry_run: Option<bool>,
}

/// Deletes a list. One that something references stays, in the state `delete-failed`.
pub(super) fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteManagedPrefixList,
) -> Result<PrefixListResponse, ApiError> {
    let list = own(rows, context, &request.prefix_list_id)?;
    let prefix_list = PrefixListDescription::in_progress(rows, context, &list, "delete-in-progress");
    let users = prefix_list_use::users(rows, context, &list.id);
    if users.is_empty() {
        tag::forget(rows, context, &list.id);
        rows.delete::<PrefixList>(&context.key(&list.id));
    } else {
        let ids: Vec<&str> = users.iter().take(10).map(String::as_str).collect();
        let why = format!("The prefix list is referenced by: {}", ids.join(", "));
        rows.put(PrefixList { state: State::DeleteFailed(why), ..(*list).clone() });
    }
    answer(request.dry_run, PrefixListResponse { prefix_list })
}
