//! AttachNetworkInterface and DetachNetworkInterface. There are no instances, so that nothing can be attached to one;
//! what services attached is the services' to detach.

use serde::Deserialize;
use store::Tx;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::Nothing;
use crate::ec2::interface::NetworkInterface;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AttachNetworkInterface {
    network_interface_id: String,
    instance_id: String,
    #[allow(dead_code, reason = "the call never succeeds")]
    device_index: u32,
    #[allow(dead_code, reason = "the call never succeeds")]
    network_card_index: Option<u32>,
    #[allow(dead_code, reason = "the call never succeeds")]
    dry_run: Option<bool>,
}

/// The answer for an instance: there are none.
pub(super) fn no_instance(id: &str) -> ApiError {
    ApiError::new("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"))
}

pub(super) fn attach(
    rows: &mut Tx,
    context: &Context,
    request: AttachNetworkInterface,
) -> Result<Nothing, ApiError> {
    super::get::<NetworkInterface>(rows, context, &request.network_interface_id)?;
    Err(no_instance(&request.instance_id))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DetachNetworkInterface {
    attachment_id: String,
    #[allow(dead_code, reason = "the call never succeeds")]
    force: Option<bool>,
    #[allow(dead_code, reason = "the call never succeeds")]
    dry_run: Option<bool>,
}

pub(super) fn detach(
    rows: &mut Tx,
    context: &Context,
    request: DetachNetworkInterface,
) -> Result<Nothing, ApiError> {
    let id = &request.attachment_id;
    let attached = |one: &NetworkInterface| one.attachment_id.as_ref().is_some_and(|own| own.as_str() == id);
    if rows.scan::<NetworkInterface>(&context.prefix()).any(|one| attached(&one)) {
        return Err(ApiError::new(
            "OperationNotPermitted",
            "You are not allowed to manage 'ela-attach' attachments.",
        ));
    }
    Err(ApiError::new("InvalidAttachmentID.NotFound", format!("The attachment ID '{id}' does not exist")))
}
