//! Metric math: expressions over series ("Using math expressions with CloudWatch metrics").
//!
//! A number with a series is taken with each of its points; two series meet where both have one. What has no value (a
//! division by zero) has no point. Functions that are not known here are refused by name.

mod evaluate;
mod parse;

pub use evaluate::{Environment, Value, evaluate};
pub use parse::{Expression, Function, Operator, parse};

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It is none.
    #[error("{0}")]
    Syntax(String),
    /// A function of AWS's that is not known here, or none at all.
    #[error("the function {0} is not supported by Landfall")]
    Function(String),
    /// An id that no query has.
    #[error("the expression refers to '{0}', which is the Id of no query")]
    Unknown(String),
    /// A function got something else than it takes.
    #[error("{0}")]
    Type(String),
}
