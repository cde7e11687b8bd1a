//! Users: not yet. Their actions are refused by name, with what to do instead.

use serde::de::IgnoredAny;
use store::Tx;
use wire::ApiError;

use super::{Nothing, authorize_on};
use crate::context::Context;

fn refuse(rows: &Tx, context: &Context, action: &str) -> Result<Nothing, ApiError> {
    authorize_on(rows, context, &format!("iam:{action}"), "*")?;
    Err(ApiError::unsupported(format_args!(
        "IAM users and their access keys ({action}). Call with the key pair that 'landfall env' prints, and let a role \
         be assumed (sts:AssumeRole) by who needs less"
    )))
}

pub(super) fn create_user(rows: &mut Tx, context: &Context, _: IgnoredAny) -> Result<Nothing, ApiError> {
    refuse(rows, context, "CreateUser")
}

pub(super) fn create_access_key(
    rows: &mut Tx,
    context: &Context,
    _: IgnoredAny,
) -> Result<Nothing, ApiError> {
    refuse(rows, context, "CreateAccessKey")
}
