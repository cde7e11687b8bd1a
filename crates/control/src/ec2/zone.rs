//! What the region itself is asked: zones, regions, the account's attributes.

use serde::{Deserialize, Serialize};
use store::Snapshot;
use types::Region;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Filter, Item, Values, matcher};
use crate::ec2::tag::Tag;
use crate::ec2::{answer, default_vpc};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeAvailabilityZones {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    zone_name: Vec<String>,
    #[serde(default)]
    zone_id: Vec<String>,
    /// Shows zones that the account has not opted in to, too. There are none.
    #[allow(dead_code, reason = "both answers are the same")]
    all_availability_zones: Option<bool>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeAvailabilityZonesResponse {
    availability_zone_info: Vec<ZoneDescription>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ZoneDescription {
    zone_name: String,
    zone_id: String,
    zone_state: &'static str,
    zone_type: &'static str,
    region_name: String,
    group_name: String,
    network_border_group: String,
    opt_in_status: &'static str,
    message_set: Vec<String>,
}

impl Item for ZoneDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("group-name", |zone| vec![zone.group_name.clone()]),
        ("message", |_| Vec::new()),
        ("opt-in-status", |zone| vec![zone.opt_in_status.to_owned()]),
        ("parent-zone-id", |_| Vec::new()),
        ("parent-zone-name", |_| Vec::new()),
        ("region-name", |zone| vec![zone.region_name.clone()]),
        ("state", |zone| vec![zone.zone_state.to_owned()]),
        ("zone-id", |zone| vec![zone.zone_id.clone()]),
        ("zone-name", |zone| vec![zone.zone_name.clone()]),
        ("zone-type", |zone| vec![zone.zone_type.to_owned()]),
    ];

    fn id(&self) -> &str {
        &self.zone_name
    }

    fn tags(&self) -> &[Tag] {
        &[]
    }

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidParameterValue", format!("Invalid availability zone: [{id}]"))
    }
}

pub(super) fn describe_availability_zones(
    _: &Snapshot,
    context: &Context,
    request: DescribeAvailabilityZones,
) -> Result<DescribeAvailabilityZonesResponse, ApiError> {
    let matches = matcher::<ZoneDescription>(&request.filter)?;
    let zones = context.region.zones();
    if let Some(name) = request.zone_name.iter().find(|name| !zones.iter().any(|zone| zone.name == **name)) {
        return Err(ZoneDescription::not_found(name));
    }
    if let Some(id) = request.zone_id.iter().find(|id| !zones.iter().any(|zone| zone.id == **id)) {
        return Err(ApiError::new("InvalidParameterValue", format!("Invalid availability zone-id: [{id}]")));
    }
    let mut availability_zone_info: Vec<ZoneDescription> = zones
        .into_iter()
        .filter(|zone| request.zone_name.is_empty() || request.zone_name.contains(&zone.name))
        .filter(|zone| request.zone_id.is_empty() || request.zone_id.contains(&zone.id))
        .map(|zone| ZoneDescription {
            zone_name: zone.name,
            zone_id: zone.id,
            zone_state: "available",
            zone_type: "availability-zone",
            region_name: context.region.to_string(),
            group_name: format!("{}-zg-1", context.region),
            network_border_group: context.region.to_string(),
            opt_in_status: "opt-in-not-required",
            message_set: Vec::new(),
        })
        .collect();
    availability_zone_info.retain(matches);
    answer(request.dry_run, DescribeAvailabilityZonesResponse { availability_zone_info })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeRegions {
    #[serde(default)]
    filter: Vec<Filter>,
    #[serde(default)]
    region_name: Vec<String>,
    /// Shows regions that the account has not opted in to, too. There are none.
    #[allow(dead_code, reason = "both answers are the same")]
    all_regions: Option<bool>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeRegionsResponse {
    region_info: Vec<RegionDescription>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RegionDescription {
    region_name: String,
    region_endpoint: String,
    opt_in_status: &'static str,
}

impl Item for RegionDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("endpoint", |region| vec![region.region_endpoint.clone()]),
        ("opt-in-status", |region| vec![region.opt_in_status.to_owned()]),
        ("region-name", |region| vec![region.region_name.clone()]),
    ];

    fn id(&self) -> &str {
        &self.region_name
    }

    fn tags(&self) -> &[Tag] {
        &[]
    }

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidParameterValue", format!("Invalid region names: [{id}]"))
    }
}

pub(super) fn describe_regions(
    _: &Snapshot,
    _: &Context,
    request: DescribeRegions,
) -> Result<DescribeRegionsResponse, ApiError> {
    let matches = matcher::<RegionDescription>(&request.filter)?;
    if let Some(name) = request.region_name.iter().find(|name| Region::new(name).is_err()) {
        return Err(RegionDescription::not_found(name));
    }
    let mut region_info: Vec<RegionDescription> = Region::all()
        .map(|region| RegionDescription {
            region_endpoint: format!("ec2.{region}.amazonaws.com"),
            region_name: region.to_string(),
            opt_in_status: "opt-in-not-required",
        })
        .filter(|region| request.region_name.is_empty() || request.region_name.contains(&region.region_name))
        .collect();
    region_info.retain(matches);
    answer(request.dry_run, DescribeRegionsResponse { region_info })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeAccountAttributes {
    #[serde(default)]
    attribute_name: Vec<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeAccountAttributesResponse {
    account_attribute_set: Vec<AccountAttribute>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountAttribute {
    attribute_name: &'static str,
    attribute_value_set: Vec<AttributeValue>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AttributeValue {
    attribute_value: String,
}

pub(super) fn describe_account_attributes(
    rows: &Snapshot,
    context: &Context,
    request: DescribeAccountAttributes,
) -> Result<DescribeAccountAttributesResponse, ApiError> {
    let default_vpc = default_vpc::of_region(rows, context);
    let default_vpc = default_vpc.map_or_else(|| "none".to_owned(), |vpc| vpc.id.to_string());
    // Source: DescribeAccountAttributes in the EC2 API reference.
    let attributes = [
        ("default-vpc", default_vpc),
        ("supported-platforms", "VPC".to_owned()),
        ("vpc-max-security-groups-per-interface", "5".to_owned()),
    ];
    let wanted = &request.attribute_name;
    if let Some(name) = wanted.iter().find(|name| !attributes.iter().any(|(known, _)| known == name)) {
        return Err(super::invalid(name, "attributeName", "Landfall knows no such account attribute."));
    }
    let account_attribute_set = attributes
        .into_iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name))
        .map(|(attribute_name, attribute_value)| AccountAttribute {
            attribute_name,
            attribute_value_set: vec![AttributeValue { attribute_value }],
        })
        .collect();
    answer(request.dry_run, DescribeAccountAttributesResponse { account_attribute_set })
}
