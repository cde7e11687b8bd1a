//! The service `iam`.

use store::TableDef;

use crate::operation::Operation;

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[];

/// The tables of its rows.
pub const TABLES: &[TableDef] = &[];

/// Whether the caller's policies allow an action on a resource. Root may do all.
///
/// # Errors
/// AWS's AccessDenied, naming the caller, the action and the resource.
pub fn authorize(
    rows: &store::Snapshot,
    context: &crate::Context,
    action: &str,
    resource: &str,
) -> Result<(), wire::ApiError> {
    let _ = rows;
    if context.principal == crate::Principal::Root {
        return Ok(());
    }
    Err(wire::ApiError::new(
        "AccessDenied",
        format!(
            "User: {} is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action",
            context.principal.arn(&context.account)
        ),
    ))
}
