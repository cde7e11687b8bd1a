//! DHCP options: the region's default set, as AWS makes it for the first VPC, and those that are made.
//!
//! A container asks the DNS server of its VPC and no other, and has no search domain: a set may say so in as many words,
//! and nothing else.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{AccountId, DhcpOptionsId, Region};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::filter::{Ask, Filter, Item, Values};
use crate::ec2::tag::{self, Tag, TagSpecification};
use crate::ec2::vpc::{self, Vpc};
use crate::ec2::{DONE, Done, Resource, answer, has_dependencies, invalid};

/// A set of DHCP options.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DhcpOptions {
    /// Its account.
    pub(super) account: AccountId,
    /// Its region.
    pub(super) region: Region,
    /// Its id.
    pub(super) id: DhcpOptionsId,
    /// Whether new VPCs get it.
    #[serde(default = "yes")]
    pub(super) is_default: bool,
    /// Whether it names the region's own domain.
    #[serde(default = "yes")]
    pub(super) has_domain_name: bool,
}

/// What rows of before there were other sets say of theirs.
fn yes() -> bool {
    true
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
    let found = rows.scan::<DhcpOptions>(&context.prefix()).find(|options| options.is_default);
    if let Some(options) = found {
        return options.id.clone();
    }
    let id = DhcpOptionsId::mint();
    rows.put(DhcpOptions {
        account: context.account.clone(),
        region: context.region.clone(),
        id: id.clone(),
        is_default: true,
        has_domain_name: true,
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
pub(super) struct CreateDhcpOptions {
    #[serde(default)]
    dhcp_configuration: Vec<NewConfiguration>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewConfiguration {
    key: String,
    #[serde(default)]
    value: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateDhcpOptionsResponse {
    dhcp_options: DhcpOptionsDescription,
}

/// AWS's name for the DNS server of the VPC.
const OWN_SERVER: &str = "AmazonProvidedDNS";

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateDhcpOptions,
) -> Result<CreateDhcpOptionsResponse, ApiError> {
    let (mut has_domain_name, mut has_server) = (false, false);
    for option in &request.dhcp_configuration {
        let (key, values) = (option.key.as_str(), option.value.join(","));
        let own_domain = domain_name(&context.region);
        match key {
            "domain-name" if values == own_domain => has_domain_name = true,
            "domain-name-servers" if values == OWN_SERVER => has_server = true,
            "domain-name" => {
                let why =
                    format!("Landfall's containers have no search domain. It takes {own_domain} alone.");
                return Err(invalid(values, key, &why));
            }
            "domain-name-servers" => {
                let why =
                    format!("Landfall's containers ask their VPC's DNS server. It takes {OWN_SERVER} alone.");
                return Err(invalid(values, key, &why));
            }
            "ntp-servers"
            | "netbios-name-servers"
            | "netbios-node-type"
            | "ipv6-address-preferred-lease-time" => {
                return Err(invalid(values, key, "Landfall does not support this DHCP option."));
            }
            other => {
                return Err(ApiError::new(
                    "InvalidParameterValue",
                    format!("Value ({other}) for parameter key is invalid. Unknown DHCP option."),
                ));
            }
        }
    }
    if !has_server {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "Landfall's containers ask their VPC's DNS server: the options must contain domain-name-servers={OWN_SERVER}."
            ),
        ));
    }
    let options = rows.put(DhcpOptions {
        account: context.account.clone(),
        region: context.region.clone(),
        id: DhcpOptionsId::mint(),
        is_default: false,
        has_domain_name,
    });
    tag::specify::<DhcpOptions>(rows, context, &options.id, &request.tag_specification)?;
    let dhcp_options = DhcpOptionsDescription::new(rows, context, &options);
    answer(request.dry_run, CreateDhcpOptionsResponse { dhcp_options })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteDhcpOptions {
    dhcp_options_id: String,
    dry_run: Option<bool>,
}

pub(super) fn delete(rows: &mut Tx, context: &Context, request: DeleteDhcpOptions) -> Result<Done, ApiError> {
    let options = super::get::<DhcpOptions>(rows, context, &request.dhcp_options_id)?;
    if rows.scan::<Vpc>(&context.prefix()).any(|vpc| vpc.dhcp_options_id == options.id) {
        return Err(has_dependencies("dhcpOptions", &options.id));
    }
    tag::forget(rows, context, &options.id);
    rows.delete::<DhcpOptions>(&context.key(&options.id));
    answer(request.dry_run, DONE)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AssociateDhcpOptions {
    dhcp_options_id: String,
    vpc_id: String,
    dry_run: Option<bool>,
}

/// What stands for no set of options. The DNS server of the VPC answers with and without one.
const NONE: &str = "default";

pub(super) fn associate(
    rows: &mut Tx,
    context: &Context,
    request: AssociateDhcpOptions,
) -> Result<Done, ApiError> {
    let mut vpc = (*vpc::get(rows, context, &request.vpc_id)?).clone();
    vpc.dhcp_options_id = match request.dhcp_options_id.as_str() {
        NONE => DhcpOptionsId::from(NONE),
        id => super::get::<DhcpOptions>(rows, context, id)?.id.clone(),
    };
    rows.put(vpc);
    answer(request.dry_run, DONE)
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

impl DhcpOptionsDescription {
    fn new(rows: &Snapshot, context: &Context, options: &DhcpOptions) -> Self {
        let one = |key, value: String| Configuration { key, value_set: vec![Value { value }] };
        let domain = options.has_domain_name.then(|| one("domain-name", domain_name(&options.region)));
        let server = one("domain-name-servers", OWN_SERVER.to_owned());
        Self {
            dhcp_options_id: options.id.to_string(),
            owner_id: options.account.to_string(),
            dhcp_configuration_set: domain.into_iter().chain([server]).collect(),
            tag_set: tag::of(rows, context, &options.id),
        }
    }
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
    let items =
        rows.scan::<DhcpOptions>(&prefix).map(|options| DhcpOptionsDescription::new(rows, context, &options));
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
