//! What references a prefix list: security group rules and routes.

use std::collections::BTreeSet;

use store::{Snapshot, Tx};
use types::PrefixListId;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::permission::Peer;
use crate::ec2::prefix_list::PrefixList;
use crate::ec2::route;
use crate::ec2::route_table::{Destination, RouteTable};
use crate::ec2::security_group;
use crate::ec2::security_group_rule::{self, SecurityGroupRule};

fn rule_names(rule: &SecurityGroupRule, id: &PrefixListId) -> bool {
    matches!(&rule.permission.peer, Peer::PrefixList(list) if list == id)
}

fn table_names(table: &RouteTable, id: &PrefixListId) -> bool {
    table.routes.iter().any(|route| matches!(&route.destination, Destination::PrefixList(list) if list == id))
}

/// The ids of the security groups and route tables that name a list, in order.
pub(super) fn users(rows: &Snapshot, context: &Context, id: &PrefixListId) -> BTreeSet<String> {
    let prefix = context.prefix();
    let groups = rows
        .scan::<SecurityGroupRule>(&prefix)
        .filter(|rule| rule_names(rule, id))
        .map(|rule| rule.group_id.to_string());
    let tables = rows
        .scan::<RouteTable>(&prefix)
        .filter(|table| table_names(table, id))
        .map(|table| table.id.to_string());
    groups.chain(tables).collect()
}

/// The users of a list that have no room for it with `most` entries.
pub(super) fn without_room(
    rows: &Snapshot,
    context: &Context,
    list: &PrefixList,
    most: usize,
) -> Result<BTreeSet<String>, ApiError> {
    let mut cramped = BTreeSet::new();
    if most <= list.max_entries {
        return Ok(cramped);
    }
    let more = most - list.max_entries;
    for id in users(rows, context, &list.id) {
        let has_room = if let Ok(group) = security_group::get(rows, context, &id) {
            security_group_rule::has_room(rows, context, &group.id, &list.id, more)?
        } else {
            let table = super::get::<RouteTable>(rows, context, &id)?;
            let times = table
                .routes
                .iter()
                .filter(|route| route.destination == Destination::PrefixList(list.id.clone()))
                .count();
            route::count(rows, context, &table)? + more * times <= route::MOST
        };
        if !has_room {
            cramped.insert(id);
        }
    }
    Ok(cramped)
}

/// Puts again what names a list, so that the networks in which its entries show are looked at.
pub(super) fn touch(rows: &mut Tx, context: &Context, id: &PrefixListId) {
    let prefix = context.prefix();
    let rules: Vec<_> = rows.scan::<SecurityGroupRule>(&prefix).filter(|rule| rule_names(rule, id)).collect();
    let tables: Vec<_> = rows.scan::<RouteTable>(&prefix).filter(|table| table_names(table, id)).collect();
    for rule in rules {
        rows.put((*rule).clone());
    }
    for table in tables {
        rows.put((*table).clone());
    }
}
