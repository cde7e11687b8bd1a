//! The service `secretsmanager`: Secrets Manager.

use store::TableDef;

use crate::operation::Operation;

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[];

/// The tables of its rows.
pub const TABLES: &[TableDef] = &[];
