//! The service `application-autoscaling`: Application Auto Scaling, of ECS services.

use store::TableDef;

use crate::operation::Operation;

/// The table of operations.
pub const OPERATIONS: &[Operation] = &[];

/// The tables of its rows.
pub const TABLES: &[TableDef] = &[];
