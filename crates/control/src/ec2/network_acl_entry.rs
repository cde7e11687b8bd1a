//! The entries of network ACLs: numbered, tried in ascending order, allowing or denying.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use store::Tx;
use wire::ApiError;

use crate::context::Context;
use crate::ec2::network_acl::{NetworkAcl, get};
use crate::ec2::permission::{ICMPV6, parse_ipv6, protocol};
use crate::ec2::vpc::parse_cidr;
use crate::ec2::{DONE, Done, answer, invalid};

/// An entry of a network ACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, 1 to 32766, unique in its direction.
    pub number: u16,
    /// Whether it allows or denies.
    pub allow: bool,
    /// The protocol.
    pub protocol: desired::Protocol,
    /// The ports, or the ICMP type and code; None for protocols without.
    pub ports: Option<desired::Ports>,
    /// The source (ingress) or the destination (egress). No packet matches an IPv6 range: no VPC has such addresses.
    pub cidr_block: IpNet,
}

impl Entry {
    /// Whether its ports are an ICMP type and code.
    pub fn is_icmp(&self) -> bool {
        self.protocol == desired::Protocol::Icmp || self.protocol == ICMPV6
    }

    /// What the packet filter knows of it; None for IPv6.
    pub fn desired(&self) -> Option<desired::NetworkAclEntry> {
        let IpNet::V4(cidr_block) = self.cidr_block else { return None };
        let Self { number, allow, protocol, ports, .. } = *self;
        Some(desired::NetworkAclEntry { number, allow, protocol, ports, cidr_block })
    }
}

/// The most entries of one direction and one IP version. Source: "Amazon VPC quotas": 20, of which the last one, that
/// denies all, is one.
const MOST: usize = 19;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NetworkAclEntryRequest {
    network_acl_id: String,
    rule_number: i32,
    protocol: String,
    rule_action: String,
    egress: bool,
    cidr_block: Option<String>,
    ipv6_cidr_block: Option<String>,
    icmp: Option<IcmpTypeCode>,
    port_range: Option<PortRange>,
    dry_run: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct IcmpTypeCode {
    r#type: Option<i32>,
    code: Option<i32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortRange {
    from: Option<i32>,
    to: Option<i32>,
}

/// An entry's number.
fn number(given: i32) -> Result<u16, ApiError> {
    u16::try_from(given)
        .ok()
        .filter(|number| (1..=32_766).contains(number))
        .ok_or_else(|| invalid(given, "ruleNumber", "Expecting a value between 1 and 32766."))
}

impl NetworkAclEntryRequest {
    fn entry(&self) -> Result<Entry, ApiError> {
        let allow = match self.rule_action.as_str() {
            "allow" => true,
            "deny" => false,
            other => return Err(invalid(other, "ruleAction", "Expecting allow or deny.")),
        };
        let protocol = protocol(&self.protocol)
            .ok_or_else(|| invalid(&self.protocol, "protocol", "Unknown protocol."))?;
        let given = |cidr: &Option<String>| cidr.clone().filter(|text| !text.is_empty());
        let cidr_block = match (given(&self.cidr_block), given(&self.ipv6_cidr_block)) {
            (Some(text), None) => IpNet::V4(parse_cidr(&text, "cidrBlock")?),
            (None, Some(text)) => IpNet::V6(parse_ipv6(&text)?),
            (None, None) => {
                return Err(ApiError::new(
                    "MissingParameter",
                    "Either 'cidrBlock' or 'ipv6CidrBlock' should be provided.",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(ApiError::new(
                    "InvalidParameterCombination",
                    "Only one of 'cidrBlock' and 'ipv6CidrBlock' can be provided.",
                ));
            }
        };
        let ports = self.ports(protocol, cidr_block)?;
        Ok(Entry { number: number(self.rule_number)?, allow, protocol, ports, cidr_block })
    }

    /// The ports of TCP and UDP, the type and code of ICMP; what else is given means nothing, as documented.
    /// Source: CreateNetworkAclEntry in the EC2 API reference ("-1", "58" and an IPv4 range, PortRange, IcmpTypeCode).
    fn ports(
        &self,
        protocol: desired::Protocol,
        cidr_block: IpNet,
    ) -> Result<Option<desired::Ports>, ApiError> {
        let missing = |name: &str| {
            ApiError::new("MissingParameter", format!("The request must contain the parameter {name}"))
        };
        match protocol {
            desired::Protocol::Tcp | desired::Protocol::Udp => {
                let range = self.port_range.ok_or_else(|| missing("portRange"))?;
                let from = range.from.ok_or_else(|| missing("portRange.from"))?;
                let to = range.to.ok_or_else(|| missing("portRange.to"))?;
                if !(0..=65_535).contains(&from) || !(0..=65_535).contains(&to) || from > to {
                    return Err(invalid(
                        format_args!("{from}-{to}"),
                        "portRange",
                        "Expecting two ports from 0 to 65535, the lower one first.",
                    ));
                }
                Ok(Some(desired::Ports { from, to }))
            }
            desired::Protocol::Number(58) if matches!(cidr_block, IpNet::V4(_)) => Ok(None),
            desired::Protocol::Icmp | ICMPV6 => {
                let icmp = self.icmp.ok_or_else(|| missing("icmpTypeCode"))?;
                let (kind, code) = (icmp.r#type.unwrap_or(-1), icmp.code.unwrap_or(-1));
                if !(-1..=255).contains(&kind) || !(-1..=255).contains(&code) {
                    return Err(invalid(
                        format_args!("{kind}/{code}"),
                        "icmpTypeCode",
                        "Expecting a type and a code from -1 to 255.",
                    ));
                }
                Ok(Some(desired::Ports { from: kind, to: if kind == -1 { -1 } else { code } }))
            }
            desired::Protocol::All | desired::Protocol::Number(_) => Ok(None),
        }
    }
}

/// The entries of one direction.
fn entries(acl: &mut NetworkAcl, egress: bool) -> &mut Vec<Entry> {
    if egress { &mut acl.egress } else { &mut acl.ingress }
}

fn not_found(egress: bool, number: u16) -> ApiError {
    let direction = if egress { "egress" } else { "ingress" };
    ApiError::new("InvalidNetworkAclEntry.NotFound", format!("no {direction} entry with number {number}"))
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: NetworkAclEntryRequest,
) -> Result<Done, ApiError> {
    let mut acl = (*get(rows, context, &request.network_acl_id)?).clone();
    let entry = request.entry()?;
    let entries = entries(&mut acl, request.egress);
    let Err(at) = entries.binary_search_by_key(&entry.number, |one| one.number) else {
        return Err(ApiError::new(
            "NetworkAclEntryAlreadyExists",
            format!("The network acl entry identified by {} already exists.", entry.number),
        ));
    };
    entries.insert(at, entry);
    check_quota(entries)?;
    rows.put(acl);
    answer(request.dry_run, DONE)
}

pub(super) fn replace(
    rows: &mut Tx,
    context: &Context,
    request: NetworkAclEntryRequest,
) -> Result<Done, ApiError> {
    let mut acl = (*get(rows, context, &request.network_acl_id)?).clone();
    let entry = request.entry()?;
    let entries = entries(&mut acl, request.egress);
    let at = entries
        .binary_search_by_key(&entry.number, |one| one.number)
        .map_err(|_| not_found(request.egress, entry.number))?;
    entries[at] = entry;
    check_quota(entries)?;
    rows.put(acl);
    answer(request.dry_run, DONE)
}

fn check_quota(entries: &[Entry]) -> Result<(), ApiError> {
    let v6 = entries.iter().filter(|entry| matches!(entry.cidr_block, IpNet::V6(_))).count();
    if v6 > MOST || entries.len() - v6 > MOST {
        return Err(ApiError::new(
            "NetworkAclEntryLimitExceeded",
            "The maximum number of network acl entries has been reached.",
        ));
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteNetworkAclEntry {
    network_acl_id: String,
    rule_number: i32,
    egress: bool,
    dry_run: Option<bool>,
}

pub(super) fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteNetworkAclEntry,
) -> Result<Done, ApiError> {
    let mut acl = (*get(rows, context, &request.network_acl_id)?).clone();
    let number = number(request.rule_number)?;
    let entries = entries(&mut acl, request.egress);
    let at = entries
        .binary_search_by_key(&number, |one| one.number)
        .map_err(|_| not_found(request.egress, number))?;
    entries.remove(at);
    rows.put(acl);
    answer(request.dry_run, DONE)
}
