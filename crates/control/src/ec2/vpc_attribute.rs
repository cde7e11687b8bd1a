//! What can be switched on and off of a VPC.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::{ApiError, OnlyDefault};

use crate::context::Context;
use crate::ec2::vpc::{SharedTenancy, get};
use crate::ec2::{DONE, Done, Flag, Nothing, answer, invalid};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeVpcAttribute {
    vpc_id: String,
    attribute: String,
    dry_run: Option<bool>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeVpcAttributeResponse {
    vpc_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_dns_support: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_dns_hostnames: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_network_address_usage_metrics: Option<Value>,
}

#[derive(Debug, Serialize)]
struct Value {
    value: bool,
}

pub(super) fn describe_attribute(
    rows: &Snapshot,
    context: &Context,
    request: DescribeVpcAttribute,
) -> Result<DescribeVpcAttributeResponse, ApiError> {
    let vpc = get(rows, context, &request.vpc_id)?;
    let mut response = DescribeVpcAttributeResponse {
        vpc_id: vpc.id.to_string(),
        ..DescribeVpcAttributeResponse::default()
    };
    match request.attribute.as_str() {
        "enableDnsSupport" => response.enable_dns_support = Some(Value { value: vpc.enable_dns_support }),
        "enableDnsHostnames" => {
            response.enable_dns_hostnames = Some(Value { value: vpc.enable_dns_hostnames });
        }
        "enableNetworkAddressUsageMetrics" => {
            response.enable_network_address_usage_metrics =
                Some(Value { value: vpc.enable_network_address_usage_metrics });
        }
        other => return Err(invalid(other, "attribute", "Unknown VPC attribute.")),
    }
    answer(request.dry_run, response)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ModifyVpcAttribute {
    vpc_id: String,
    enable_dns_support: Option<Flag>,
    enable_dns_hostnames: Option<Flag>,
    enable_network_address_usage_metrics: Option<Flag>,
}

pub(super) fn modify_attribute(
    rows: &mut Tx,
    context: &Context,
    request: ModifyVpcAttribute,
) -> Result<Nothing, ApiError> {
    let mut vpc = (*get(rows, context, &request.vpc_id)?).clone();
    let hostnames = request.enable_dns_hostnames.as_ref().map(|flag| flag.value);
    let given = [
        (&mut vpc.enable_dns_support, request.enable_dns_support),
        (&mut vpc.enable_dns_hostnames, request.enable_dns_hostnames),
        (&mut vpc.enable_network_address_usage_metrics, request.enable_network_address_usage_metrics),
    ];
    let mut count = 0;
    for (attribute, flag) in given {
        if let Some(flag) = flag {
            *attribute = flag.value;
            count += 1;
        }
    }
    // "You can't modify the DNS resolution and DNS hostnames attributes in the same request."
    if count != 1 {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "Exactly one attribute must be specified in a request to modify a VPC's attributes",
        ));
    }
    // "You can only enable DNS hostnames if you've enabled DNS support."
    if hostnames == Some(true) && !vpc.enable_dns_support {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "You can only enable DNS hostnames if you've enabled DNS support.",
        ));
    }
    rows.put(vpc);
    Ok(Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ModifyVpcTenancy {
    vpc_id: String,
    #[allow(
        dead_code,
        reason = "decoding it is the check: every VPC has the default tenancy, and no other is sold"
    )]
    instance_tenancy: OnlyDefault<SharedTenancy>,
    dry_run: Option<bool>,
}

pub(super) fn modify_tenancy(
    rows: &mut Tx,
    context: &Context,
    request: ModifyVpcTenancy,
) -> Result<Done, ApiError> {
    get(rows, context, &request.vpc_id)?;
    answer(request.dry_run, DONE)
}
