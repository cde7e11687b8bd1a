//! What can be switched on and off of a subnet.

use serde::Deserialize;
use store::Tx;
use wire::{ApiError, OnlyDefault};

use crate::context::Context;
use crate::ec2::subnet::get;
use crate::ec2::{Flag, Nothing, Off};

wire::documented_default!(
    /// Names of instances are made from their addresses.
    IpName = "ip-name"
);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ModifySubnetAttribute {
    subnet_id: String,
    map_public_ip_on_launch: Option<Flag>,
    assign_ipv6_address_on_creation: Option<Off>,
    map_customer_owned_ip_on_launch: Option<Off>,
    enable_dns64: Option<Off>,
    enable_resource_name_dns_a_record_on_launch: Option<Off>,
    #[serde(rename = "enableResourceNameDnsAAAARecordOnLaunch")]
    enable_resource_name_dns_aaaa_record_on_launch: Option<Off>,
    disable_lni_at_device_index: Option<Off>,
    private_dns_hostname_type_on_launch: Option<OnlyDefault<IpName>>,
}

pub(super) fn modify_attribute(
    rows: &mut Tx,
    context: &Context,
    request: ModifySubnetAttribute,
) -> Result<Nothing, ApiError> {
    let mut subnet = (*get(rows, context, &request.subnet_id)?).clone();
    let given = [
        request.map_public_ip_on_launch.is_some(),
        request.assign_ipv6_address_on_creation.is_some(),
        request.map_customer_owned_ip_on_launch.is_some(),
        request.enable_dns64.is_some(),
        request.enable_resource_name_dns_a_record_on_launch.is_some(),
        request.enable_resource_name_dns_aaaa_record_on_launch.is_some(),
        request.disable_lni_at_device_index.is_some(),
        request.private_dns_hostname_type_on_launch.is_some(),
    ];
    // "You can only modify one attribute at a time."
    if given.iter().filter(|given| **given).count() != 1 {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "Exactly one attribute must be specified in a request to modify a subnet's attributes",
        ));
    }
    if let Some(flag) = request.map_public_ip_on_launch {
        subnet.map_public_ip_on_launch = flag.value;
    }
    rows.put(subnet);
    Ok(Nothing {})
}
