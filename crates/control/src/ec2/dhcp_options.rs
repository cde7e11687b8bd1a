//! DHCP options: the region's default set, as AWS makes it for the first VPC, and those that are made.
//!
//! A task is told of a set's DNS servers and domain in `/etc/resolv.conf`. The other options are kept and shown: nothing
//! in a container asks for them, as Fargate's containers have no DHCP client.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use desired::Dns;
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
    /// Its options by key. None: those of AWS's own set.
    #[serde(default)]
    pub(super) options: Option<BTreeMap<String, Vec<String>>>,
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
        options: None,
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
const SERVERS: &str = "domain-name-servers";
const DOMAIN: &str = "domain-name";
/// The most servers of a kind.
const MOST_SERVERS: usize = 4;

impl DhcpOptions {
    /// The options by key.
    fn options(&self) -> BTreeMap<String, Vec<String>> {
        self.options.clone().unwrap_or_else(|| {
            let own = [(DOMAIN, domain_name(&self.region)), (SERVERS, OWN_SERVER.to_owned())];
            own.into_iter().map(|(key, value)| (key.to_owned(), vec![value])).collect()
        })
    }
}

/// What a VPC's hosts are told of DNS ("DHCP option set concepts", Amazon VPC User Guide): AmazonProvidedDNS is the
/// address at the base of the VPC's range plus two; where no server is named Nitro's hosts ask 169.254.169.253.
pub fn dns(rows: &Snapshot, vpc: &Vpc) -> Dns {
    let key = format!("{}/{}/{}", vpc.account, vpc.region, vpc.dhcp_options_id);
    let mut options = rows.get::<DhcpOptions>(&key).map(|set| set.options()).unwrap_or_default();
    let server = |name: &String| if name == OWN_SERVER { Some(vpc.dns_server()) } else { name.parse().ok() };
    let servers: Vec<Ipv4Addr> = options.remove(SERVERS).iter().flatten().filter_map(server).collect();
    let domains = options.remove(DOMAIN).unwrap_or_default();
    Dns {
        search: domains.iter().flat_map(|one| one.split_ascii_whitespace()).map(str::to_owned).collect(),
        servers: if servers.is_empty() { Dns::default().servers } else { servers },
    }
}

/// An option as it is kept.
///
/// # Errors
/// InvalidParameterValue for values that the option cannot have, and for options that there are not.
fn checked(option: &NewConfiguration) -> Result<Vec<String>, ApiError> {
    let key = option.key.as_str();
    // Several servers may also be one value with commas.
    let listed = || -> Vec<String> {
        let values = option.value.iter().flat_map(|value| value.split(','));
        values.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).collect()
    };
    let refuse = |why: &str| Err(invalid(option.value.join(","), key, why));
    let servers = |also: Option<&str>| {
        let values = listed();
        if values.is_empty() || values.len() > MOST_SERVERS {
            return refuse("There may be one to four of them.");
        }
        let fits = |value: &String| Some(value.as_str()) == also || value.parse::<Ipv4Addr>().is_ok();
        match values.iter().find(|value| !fits(value)) {
            Some(value) if value.parse::<std::net::Ipv6Addr>().is_ok() => {
                Err(ApiError::unsupported(format_args!("an IPv6 address in {key} ({value})")))
            }
            Some(value) => Err(invalid(value.clone(), key, "It is no IP address.")),
            None => Ok(values),
        }
    };
    match key {
        SERVERS => servers(Some(OWN_SERVER)),
        "ntp-servers" | "netbios-name-servers" => servers(None),
        "netbios-node-type" => match &listed()[..] {
            [kind] if matches!(kind.as_str(), "1" | "2" | "4" | "8") => Ok(vec![kind.clone()]),
            _ => refuse("It is one of 1, 2, 4 and 8."),
        },
        DOMAIN => match &option.value[..] {
            [domain] if is_domain(domain) => Ok(vec![domain.clone()]),
            _ => refuse("It is one domain name, or several with spaces between them."),
        },
        "ipv6-address-preferred-lease-time" => {
            Err(ApiError::unsupported(format_args!("the DHCP option {key}: no VPC has IPv6")))
        }
        other => Err(ApiError::new(
            "InvalidParameterValue",
            format!("Value ({other}) for parameter key is invalid. Unknown DHCP option."),
        )),
    }
}

/// Whether a text is domain names with spaces between them, as a line of resolv.conf takes them.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let name = |name: &str| name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(label);
    let mut names = text.split(' ').filter(|name| !name.is_empty()).peekable();
    names.peek().is_some() && names.all(name)
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateDhcpOptions,
) -> Result<CreateDhcpOptionsResponse, ApiError> {
    if request.dhcp_configuration.is_empty() {
        let missing = "The request must contain the parameter dhcpConfiguration";
        return Err(ApiError::new("MissingParameter", missing));
    }
    let mut kept = BTreeMap::new();
    for option in &request.dhcp_configuration {
        if kept.insert(option.key.clone(), checked(option)?).is_some() {
            return Err(invalid(&option.key, "key", "Each DHCP option may be given once."));
        }
    }
    let options = rows.put(DhcpOptions {
        account: context.account.clone(),
        region: context.region.clone(),
        id: DhcpOptionsId::mint(),
        is_default: false,
        options: Some(kept),
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

/// What stands for no set of options.
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
    key: String,
    value_set: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct Value {
    value: String,
}

impl DhcpOptionsDescription {
    fn new(rows: &Snapshot, context: &Context, options: &DhcpOptions) -> Self {
        let values = |values: Vec<String>| values.into_iter().map(|value| Value { value }).collect();
        let one = |(key, of): (String, Vec<String>)| Configuration { key, value_set: values(of) };
        Self {
            dhcp_options_id: options.id.to_string(),
            owner_id: options.account.to_string(),
            dhcp_configuration_set: options.options().into_iter().map(one).collect(),
            tag_set: tag::of(rows, context, &options.id),
        }
    }
}

impl Item for DhcpOptionsDescription {
    const FILTERS: &'static [(&'static str, Values<Self>)] = &[
        ("dhcp-options-id", |options| vec![options.dhcp_options_id.clone()]),
        ("key", |options| options.dhcp_configuration_set.iter().map(|one| one.key.clone()).collect()),
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
