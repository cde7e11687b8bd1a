//! Which route table holds for a subnet, and which one is the main one.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{RouteTableAssociationId, SubnetId};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::route_table::{Association, RouteTable, get};
use crate::ec2::{Nothing, answer, subnet};

/// Ends the association of a subnet that is deleted.
pub(super) fn forget_subnet(rows: &mut Tx, context: &Context, subnet_id: &SubnetId) {
    if let Some((mut table, at)) = find(rows, context, |one| one.subnet_id.as_ref() == Some(subnet_id)) {
        table.associations.remove(at);
        rows.put(table);
    }
}

/// The table with the association that is looked for, and the association's place.
fn find(
    rows: &Snapshot,
    context: &Context,
    wanted: impl Fn(&Association) -> bool,
) -> Option<(RouteTable, usize)> {
    let prefix = context.prefix();
    rows.scan::<RouteTable>(&prefix)
        .find_map(|table| table.associations.iter().position(&wanted).map(|at| ((*table).clone(), at)))
}

fn find_association(rows: &Snapshot, context: &Context, id: &str) -> Result<(RouteTable, usize), ApiError> {
    find(rows, context, |one| one.id.as_str() == id).ok_or_else(|| {
        ApiError::new("InvalidAssociationID.NotFound", format!("The association ID '{id}' does not exist"))
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AssociateRouteTable {
    route_table_id: String,
    subnet_id: String,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
struct State {
    state: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssociateRouteTableResponse {
    association_id: String,
    association_state: State,
}

pub(super) fn associate(
    rows: &mut Tx,
    context: &Context,
    request: AssociateRouteTable,
) -> Result<AssociateRouteTableResponse, ApiError> {
    let mut table = (*get(rows, context, &request.route_table_id)?).clone();
    let subnet = subnet::get(rows, context, &request.subnet_id)?;
    if table.vpc_id != subnet.vpc_id {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("Route table {} and subnet {} belong to different networks", table.id, subnet.id),
        ));
    }
    let mine = |one: &Association| one.subnet_id.as_ref() == Some(&subnet.id);
    let id = match find(rows, context, mine) {
        Some((other, at)) if other.id == table.id => other.associations[at].id.clone(),
        Some(_) => {
            return Err(ApiError::new(
                "Resource.AlreadyAssociated",
                format!(
                    "the specified association for route table {} conflicts with an existing association",
                    table.id
                ),
            ));
        }
        None => {
            let id = RouteTableAssociationId::mint();
            table.associations.push(Association { id: id.clone(), subnet_id: Some(subnet.id.clone()) });
            rows.put(table);
            id
        }
    };
    answer(
        request.dry_run,
        AssociateRouteTableResponse {
            association_id: id.to_string(),
            association_state: State { state: "associated" },
        },
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DisassociateRouteTable {
    association_id: String,
    dry_run: Option<bool>,
}

pub(super) fn disassociate(
    rows: &mut Tx,
    context: &Context,
    request: DisassociateRouteTable,
) -> Result<Nothing, ApiError> {
    let (mut table, at) = find_association(rows, context, &request.association_id)?;
    if table.associations[at].subnet_id.is_none() {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("cannot disassociate the main route table association {}", request.association_id),
        ));
    }
    table.associations.remove(at);
    rows.put(table);
    answer(request.dry_run, Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReplaceRouteTableAssociation {
    association_id: String,
    route_table_id: String,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplaceRouteTableAssociationResponse {
    new_association_id: String,
    association_state: State,
}

/// Moves a subnet, or the role of the main table, to another table.
pub(super) fn replace_association(
    rows: &mut Tx,
    context: &Context,
    request: ReplaceRouteTableAssociation,
) -> Result<ReplaceRouteTableAssociationResponse, ApiError> {
    let (mut from, at) = find_association(rows, context, &request.association_id)?;
    let to = get(rows, context, &request.route_table_id)?;
    if from.vpc_id != to.vpc_id {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("Route tables {} and {} belong to different networks", from.id, to.id),
        ));
    }
    let old = from.associations.remove(at);
    let new = Association { id: RouteTableAssociationId::mint(), subnet_id: old.subnet_id };
    let id = new.id.to_string();
    if from.id == to.id {
        from.associations.push(new);
        rows.put(from);
    } else {
        let mut to = (*to).clone();
        to.associations.push(new);
        rows.put(from);
        rows.put(to);
    }
    answer(
        request.dry_run,
        ReplaceRouteTableAssociationResponse {
            new_association_id: id,
            association_state: State { state: "associated" },
        },
    )
}
