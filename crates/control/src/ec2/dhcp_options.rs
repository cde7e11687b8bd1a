//! DHCP options: the region's default set, as AWS makes it for the first VPC.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{AccountId, DhcpOptionsId, Region};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::tag::{self, Tag};
use crate::ec2::{Resource, answer};

/// The default DHCP options of an account in a region.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DhcpOptions {
    /// Their account.
    pub(super) account: AccountId,
    /// Their region.
    pub(super) region: Region,
    /// Their id.
    pub(super) id: DhcpOptionsId,
}

super::row!(DhcpOptions, "ec2_dhcp_options", |_| Vec::new());

impl Resource for DhcpOptions {
    const TYPE: &'static str = "dhcp-options";
    const PREFIX: &'static str = DhcpOptionsId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidDhcpOptionsID.NotFound", format!("The dhcpOption ID '{id}' does not exist"))
    }
}

/// The region's default options, made now if there are none.
pub(super) fn of_region(rows: &mut Tx, context: &Context) -> DhcpOptionsId {
    let found = rows.scan::<DhcpOptions>(&context.prefix()).next();
    if let Some(options) = found {
        return options.id.clone();
    }
    let id = DhcpOptionsId::mint();
    rows.put(DhcpOptions {
        account: context.account.clone(),
        region: context.region.clone(),
        id: id.clone(),
    });
    id
}

/// The domain that a region's private names end with.
pub(super) fn domain_name(region: &Region) -> String {
    match region.as_str() {
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeDhcpOptions {
    #[serde(default)]
    dhcp_options_id: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<i32>,
    next_token: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeDhcpOptionsResponse {
    dhcp_options_set: Vec<DhcpOptionsDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DhcpOptionsDescription {
    dhcp_options_id: String,
    owner_id: String,
    dhcp_configuration_set: Vec<Configuration>,
    tag_set: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    key: &'static str,
    value_set: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct Value {
    value: String,
}

impl Item for DhcpOptionsDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("dhcp-options-id", |options| vec![options.dhcp_options_id.clone()]),
        ("key", |options| options.dhcp_configuration_set.iter().map(|one| one.key.to_owned()).collect()),
        ("owner-id", |options| vec![options.owner_id.clone()]),
        ("value", |options| {
            let values = options.dhcp_configuration_set.iter().flat_map(|one| &one.value_set);
            values.map(|value| value.value.clone()).collect()
        }),
    ];

    fn id(&self) -> &str {
        &self.dhcp_options_id
    }

    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }

    fn not_found(id: &str) -> ApiError {
        DhcpOptions::not_found(id)
    }
}

pub(super) fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeDhcpOptions,
) -> Result<DescribeDhcpOptionsResponse, ApiError> {
    let prefix = context.prefix();
    let items = rows.scan::<DhcpOptions>(&prefix).map(|options| {
        let one = |key, value: String| Configuration { key, value_set: vec![Value { value }] };
        DhcpOptionsDescription {
            dhcp_options_id: options.id.to_string(),
            owner_id: options.account.to_string(),
            dhcp_configuration_set: vec![
                one("domain-name", domain_name(&options.region)),
                one("domain-name-servers", "AmazonProvidedDNS".to_owned()),
            ],
            tag_set: tag::of(rows, context, &options.id),
        }
    });
    let page = Ask {
        ids: &request.dhcp_options_id,
        filters: &request.filter,
        max_results: request.max_results,
        next_token: request.next_token.as_deref(),
    }
    .page(items)?;
    answer(
        request.dry_run,
        DescribeDhcpOptionsResponse { dhcp_options_set: page.items, next_token: page.next_token },
    )
}
