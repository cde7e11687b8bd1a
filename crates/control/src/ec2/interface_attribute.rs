//! ModifyNetworkInterfaceAttribute, DescribeNetworkInterfaceAttribute and ResetNetworkInterfaceAttribute.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::interface::{self, NetworkInterface};
use crate::ec2::interface_create::check_description;
use crate::ec2::interface_description::{AttachmentDescription, GroupDescription, InterfaceDescription};
use crate::ec2::{Flag, Nothing, answer};

/// A text attribute as the Modify calls spell it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ModifyNetworkInterfaceAttribute {
    network_interface_id: String,
    description: Option<Text>,
    source_dest_check: Option<Flag>,
    #[serde(default)]
    security_group_id: Vec<String>,
    dry_run: Option<bool>,
}

/// The interface of this id, which no service manages: AWS lets nobody but the service change its own.
///
/// # Errors
/// InvalidNetworkInterfaceID.NotFound, AuthFailure.
pub(super) fn of_user(
    rows: &Snapshot,
    context: &Context,
    id: &str,
) -> Result<std::sync::Arc<NetworkInterface>, ApiError> {
    let interface = super::get::<NetworkInterface>(rows, context, id)?;
    if interface.is_requester_managed() {
        return Err(managed_by_service());
    }
    Ok(interface)
}

/// What AWS says to whoever would change an interface of a service.
pub(super) fn managed_by_service() -> ApiError {
    ApiError::new("AuthFailure", "You do not have permission to access the specified resource.")
}

pub(super) fn modify(
    rows: &mut Tx,
    context: &Context,
    request: ModifyNetworkInterfaceAttribute,
) -> Result<Nothing, ApiError> {
    let interface = of_user(rows, context, &request.network_interface_id)?;
    let given = usize::from(request.description.is_some())
        + usize::from(request.source_dest_check.is_some())
        + usize::from(!request.security_group_id.is_empty());
    if given != 1 {
        return Err(ApiError::new(
            if given == 0 { "MissingParameter" } else { "InvalidParameterCombination" },
            "The request must contain exactly one of description, sourceDestCheck, groups",
        ));
    }
    if let Some(description) = request.description {
        check_description(&description.value)?;
        rows.put(NetworkInterface { description: description.value, ..(*interface).clone() });
    } else if let Some(check) = request.source_dest_check {
        rows.put(NetworkInterface { source_dest_check: check.value, ..(*interface).clone() });
    } else {
        let id = interface.id.as_str();
        interface::set_security_groups(rows, context, id, &request.security_group_id)?;
    }
    answer(request.dry_run, Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ResetNetworkInterfaceAttribute {
    network_interface_id: String,
    /// AWS takes a text here; what it says means nothing, and that it is there means everything.
    source_dest_check: Option<String>,
    dry_run: Option<bool>,
}

pub(super) fn reset(
    rows: &mut Tx,
    context: &Context,
    request: ResetNetworkInterfaceAttribute,
) -> Result<Nothing, ApiError> {
    let interface = of_user(rows, context, &request.network_interface_id)?;
    if request.source_dest_check.is_none() {
        return Err(ApiError::new(
            "MissingParameter",
            "The request must contain the parameter sourceDestCheck",
        ));
    }
    rows.put(NetworkInterface { source_dest_check: true, ..(*interface).clone() });
    answer(request.dry_run, Nothing {})
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Attribute {
    Description,
    GroupSet,
    SourceDestCheck,
    Attachment,
    AssociatePublicIpAddress,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeNetworkInterfaceAttribute {
    network_interface_id: String,
    attribute: Attribute,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Value<T> {
    value: T,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeNetworkInterfaceAttributeResponse {
    network_interface_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Value<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_set: Option<Vec<GroupDescription>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_dest_check: Option<Value<bool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attachment: Option<AttachmentDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    associate_public_ip_address: Option<bool>,
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeNetworkInterfaceAttribute,
) -> Result<DescribeNetworkInterfaceAttributeResponse, ApiError> {
    let interface = super::get::<NetworkInterface>(rows, context, &request.network_interface_id)?;
    let shown = InterfaceDescription::new(rows, context, &interface);
    let mut response = DescribeNetworkInterfaceAttributeResponse {
        network_interface_id: interface.id.to_string(),
        ..DescribeNetworkInterfaceAttributeResponse::default()
    };
    match request.attribute {
        Attribute::Description => response.description = Some(Value { value: interface.description.clone() }),
        Attribute::GroupSet => response.group_set = Some(shown.group_set),
        Attribute::SourceDestCheck => {
            response.source_dest_check = Some(Value { value: interface.source_dest_check });
        }
        Attribute::Attachment => response.attachment = shown.attachment,
        Attribute::AssociatePublicIpAddress => {
            let automatic = interface.public_address.is_some() && interface.elastic.is_none();
            response.associate_public_ip_address = Some(automatic);
        }
    }
    answer(request.dry_run, response)
}
