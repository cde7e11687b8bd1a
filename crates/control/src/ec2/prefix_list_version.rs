//! Changes of a prefix list: each change of its entries makes a version.

use serde::Deserialize;
use store::Tx;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::prefix_list::{
    Entry, EntryRequest, PrefixList, PrefixListResponse, State, Version, check_max_entries, check_name, own,
    sort, too_many_entries,
};
use crate::ec2::prefix_list_description::PrefixListDescription;
use crate::ec2::{answer, prefix_list_use};

/// The most versions that are kept. Source: "Amazon VPC quotas".
const MOST_VERSIONS: usize = 1_000;

fn wrong_version() -> ApiError {
    ApiError::new("PrefixListVersionMismatch", "The prefix list has the incorrect version number.")
}

/// Adds a version with these entries.
fn push(list: &mut PrefixList, mut entries: Vec<Entry>) -> Result<(), ApiError> {
    sort(&mut entries)?;
    if entries.len() > list.max_entries {
        return Err(too_many_entries());
    }
    list.versions.push(Version { number: list.version() + 1, entries });
    if list.versions.len() > MOST_VERSIONS {
        list.versions.remove(0);
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ModifyManagedPrefixList {
    prefix_list_id: String,
    current_version: Option<i64>,
    prefix_list_name: Option<String>,
    #[serde(default)]
    add_entry: Vec<EntryRequest>,
    #[serde(default)]
    remove_entry: Vec<EntryToRemove>,
    max_entries: Option<i64>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EntryToRemove {
    cidr: String,
}

pub(super) fn modify(
    rows: &mut Tx,
    context: &Context,
    request: ModifyManagedPrefixList,
) -> Result<PrefixListResponse, ApiError> {
    let mut list = (*own(rows, context, &request.prefix_list_id)?).clone();
    let changes_entries = !request.add_entry.is_empty() || !request.remove_entry.is_empty();
    if changes_entries && request.max_entries.is_some() {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "You cannot modify the entries and the maximum entries for the prefix list in the same request.",
        ));
    }
    if !changes_entries && request.max_entries.is_none() && request.prefix_list_name.is_none() {
        return Err(ApiError::new(
            "MissingParameter",
            "The request must contain one of AddEntries, RemoveEntries, PrefixListName, MaxEntries.",
        ));
    }
    match request.current_version {
        Some(version) if version != list.version() => return Err(wrong_version()),
        None if changes_entries => {
            return Err(ApiError::new(
                "MissingParameter",
                "The request must contain the parameter CurrentVersion",
            ));
        }
        _ => {}
    }
    list.state = State::ModifyComplete;
    if let Some(name) = request.prefix_list_name {
        check_name(&name)?;
        list.name = name;
    }
    if changes_entries {
        let entries = changed(&list, request.add_entry, request.remove_entry)?;
        push(&mut list, entries)?;
    }
    if let Some(most) = request.max_entries {
        let most = check_max_entries(most)?;
        if most < list.entries().len() {
            return Err(too_many_entries());
        }
        let cramped = prefix_list_use::without_room(rows, context, &list, most)?;
        if cramped.is_empty() {
            list.max_entries = most;
        } else {
            let ids: Vec<&str> = cramped.iter().take(10).map(String::as_str).collect();
            let why = format!(
                "The following VPC resources do not support the new maximum size: {}",
                ids.join(", ")
            );
            list.state = State::ModifyFailed(why);
        }
    }
    let prefix_list = PrefixListDescription::in_progress(rows, context, &list, "modify-in-progress");
    rows.put(list.clone());
    prefix_list_use::touch(rows, context, &list.id);
    answer(request.dry_run, PrefixListResponse { prefix_list })
}

/// The entries after removing and adding. What is removed goes first, so that one request can change a description.
fn changed(
    list: &PrefixList,
    add: Vec<EntryRequest>,
    remove: Vec<EntryToRemove>,
) -> Result<Vec<Entry>, ApiError> {
    let mut entries = list.entries().to_vec();
    for EntryToRemove { cidr } in remove {
        let net = cidr.parse::<ipnet::IpNet>().map(|net| net.trunc()).ok();
        let before = entries.len();
        entries.retain(|entry| Some(entry.cidr) != net);
        if entries.len() == before {
            return Err(ApiError::new(
                "InvalidPrefixListModification",
                format!("An entry with the CIDR ({cidr}) does not exist."),
            ));
        }
    }
    for entry in add {
        let entry = entry.entry(list.family)?;
        match entries.iter_mut().find(|there| there.cidr == entry.cidr) {
            Some(there) if *there == entry => {
                let description = entry.description.unwrap_or_default();
                return Err(ApiError::new(
                    "InvalidPrefixListModification",
                    format!(
                        "An entry with the CIDR ({}) and description ({description}) already exists.",
                        entry.cidr
                    ),
                ));
            }
            // An entry that is there gets the new description.
            Some(there) => *there = entry,
            None => entries.push(entry),
        }
    }
    Ok(entries)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RestoreManagedPrefixListVersion {
    prefix_list_id: String,
    previous_version: i64,
    current_version: i64,
    dry_run: Option<bool>,
}

pub(super) fn restore(
    rows: &mut Tx,
    context: &Context,
    request: RestoreManagedPrefixListVersion,
) -> Result<PrefixListResponse, ApiError> {
    let mut list = (*own(rows, context, &request.prefix_list_id)?).clone();
    if request.current_version != list.version() {
        return Err(wrong_version());
    }
    let earlier = list.versions.iter().find(|version| version.number == request.previous_version);
    let Some(entries) = earlier.map(|version| version.entries.clone()) else {
        return Err(no_version(&request.prefix_list_id, request.previous_version));
    };
    push(&mut list, entries)?;
    list.state = State::RestoreComplete;
    let prefix_list = PrefixListDescription::in_progress(rows, context, &list, "restore-in-progress");
    rows.put(list.clone());
    prefix_list_use::touch(rows, context, &list.id);
    answer(request.dry_run, PrefixListResponse { prefix_list })
}

pub(super) fn no_version(id: &str, version: i64) -> ApiError {
    ApiError::new(
        "PrefixListVersionNotFound",
        format!("The version ({version}) of the prefix list ({id}) does not exist."),
    )
}
