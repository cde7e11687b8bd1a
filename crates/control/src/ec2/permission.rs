//! The contents of security group rules as requests spell them: permissions with many peers, one rule for each.

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use store::Snapshot;
use types::{PrefixListId, SecurityGroupId};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::vpc::parse_cidr;
use crate::ec2::{Resource, invalid, prefix_list, security_group, security_group_reference};

/// What a rule allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// The protocol.
    pub protocol: desired::Protocol,
    /// The ports, or the ICMP type and code; None for protocols without.
    pub ports: Option<desired::Ports>,
    /// The other end.
    pub peer: Peer,
}

/// The other end that a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// IPv4 addresses.
    Ipv4(Ipv4Net),
    /// IPv6 addresses. No VPC has any yet: such a rule is kept and shown, and no packet can match it.
    Ipv6(Ipv6Net),
    /// The interfaces of a group: of the same VPC, or of a peered one.
    Group(SecurityGroupId),
    /// The entries of a prefix list.
    PrefixList(PrefixListId),
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Peer::Ipv4(net) => net.fmt(f),
            Peer::Ipv6(net) => net.fmt(f),
            Peer::Group(id) => id.fmt(f),
            Peer::PrefixList(id) => id.fmt(f),
        }
    }
}

/// ICMP for IPv6; EC2 knows it by name.
pub(super) const ICMPV6: desired::Protocol = desired::Protocol::Number(58);

/// The name or number that responses show.
pub(super) fn protocol_name(protocol: desired::Protocol) -> String {
    match protocol {
        desired::Protocol::All => "-1".to_owned(),
        desired::Protocol::Tcp => "tcp".to_owned(),
        desired::Protocol::Udp => "udp".to_owned(),
        desired::Protocol::Icmp => "icmp".to_owned(),
        ICMPV6 => "icmpv6".to_owned(),
        desired::Protocol::Number(number) => number.to_string(),
    }
}

/// The number that network ACLs show.
pub(super) fn protocol_number(protocol: desired::Protocol) -> String {
    match protocol {
        desired::Protocol::All => "-1".to_owned(),
        desired::Protocol::Tcp => "6".to_owned(),
        desired::Protocol::Udp => "17".to_owned(),
        desired::Protocol::Icmp => "1".to_owned(),
        desired::Protocol::Number(number) => number.to_string(),
    }
}

/// The protocol that a request names or numbers.
pub(super) fn protocol(text: &str) -> Option<desired::Protocol> {
    Some(match text.to_ascii_lowercase().as_str() {
        "-1" | "all" => desired::Protocol::All,
        "tcp" | "6" => desired::Protocol::Tcp,
        "udp" | "17" => desired::Protocol::Udp,
        "icmp" | "1" => desired::Protocol::Icmp,
        "icmpv6" | "58" => ICMPV6,
        other => desired::Protocol::Number(other.parse().ok()?),
    })
}

fn parse_protocol(text: &str) -> Result<desired::Protocol, ApiError> {
    protocol(text).ok_or_else(|| {
        ApiError::new(
            "InvalidPermission.Malformed",
            format!("Unsupported IP protocol \"{text}\" - supported: [tcp, udp, icmp, icmpv6, -1, 0-255]"),
        )
    })
}

/// Checks the ports of a protocol. Source: IpPermission in the EC2 API reference.
fn parse_ports(
    protocol: desired::Protocol,
    from: Option<i32>,
    to: Option<i32>,
) -> Result<Option<desired::Ports>, ApiError> {
    let malformed = |message: String| Err(ApiError::new("InvalidParameterValue", message));
    let name = protocol_name(protocol).to_ascii_uppercase();
    match protocol {
        desired::Protocol::Tcp | desired::Protocol::Udp => {
            let (Some(from), Some(to)) = (from, to) else {
                return malformed(
                    "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."
                        .to_owned(),
                );
            };
            if from == -1 || to == -1 {
                return malformed(
                    "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."
                        .to_owned(),
                );
            }
            if !(0..=65_535).contains(&from) || !(0..=65_535).contains(&to) || from > to {
                return malformed(format!("Invalid {name} port range ({from}:{to})"));
            }
            Ok(Some(desired::Ports { from, to }))
        }
        desired::Protocol::Icmp | ICMPV6 => {
            let (kind, code) = (from.unwrap_or(-1), to.unwrap_or(-1));
            if !(-1..=255).contains(&kind) {
                return malformed(format!("{name} code ({kind}) out of range"));
            }
            if !(-1..=255).contains(&code) || (kind == -1 && code != -1) {
                return malformed(format!("{name} code ({code}) out of range"));
            }
            Ok(Some(desired::Ports { from: kind, to: code }))
        }
        desired::Protocol::All | desired::Protocol::Number(_) => Ok(None),
    }
}

/// A permission with its peers, as Authorize and Revoke take it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IpPermission {
    ip_protocol: Option<String>,
    from_port: Option<i32>,
    to_port: Option<i32>,
    #[serde(default)]
    groups: Vec<UserIdGroupPair>,
    #[serde(default)]
    ip_ranges: Vec<IpRange>,
    #[serde(default)]
    ipv6_ranges: Vec<Ipv6Range>,
    #[serde(default)]
    prefix_list_ids: Vec<PrefixListPeer>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PrefixListPeer {
    description: Option<String>,
    prefix_list_id: String,
}

/// A group of the same VPC or of a peered one. The VPC and the connection are those that the group is found by; to name
/// them is to ask for a check.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserIdGroupPair {
    description: Option<String>,
    group_id: Option<String>,
    group_name: Option<String>,
    user_id: Option<String>,
    vpc_id: Option<String>,
    vpc_peering_connection_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IpRange {
    description: Option<String>,
    cidr_ip: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ipv6Range {
    description: Option<String>,
    cidr_ipv6: String,
}

impl IpPermission {
    /// A permission for one IPv4 range: the short form of the Authorize and Revoke calls.
    pub(super) fn short(
        ip_protocol: Option<String>,
        from_port: Option<i32>,
        to_port: Option<i32>,
        cidr_ip: Option<String>,
    ) -> Option<Self> {
        if ip_protocol.is_none() && from_port.is_none() && to_port.is_none() && cidr_ip.is_none() {
            return None;
        }
        let ip_ranges = cidr_ip.into_iter().map(|cidr_ip| IpRange { description: None, cidr_ip }).collect();
        Some(Self { ip_protocol, from_port, to_port, ip_ranges, ..Self::default() })
    }

    /// The rules that it stands for, each with its description. Peers must be given, groups must exist in the VPC of
    /// `group`.
    pub(super) fn rules(
        &self,
        rows: &Snapshot,
        context: &Context,
        group: &security_group::SecurityGroup,
    ) -> Result<Vec<(Permission, Option<String>)>, ApiError> {
        let Some(protocol) = &self.ip_protocol else {
            return Err(ApiError::new(
                "MissingParameter",
                "The request must contain the parameter ipProtocol",
            ));
        };
        let protocol = parse_protocol(protocol)?;
        let ports = parse_ports(protocol, self.from_port, self.to_port)?;
        let mut rules = Vec::new();
        let mut push = |peer, description: &Option<String>| -> Result<(), ApiError> {
            let description = description.clone().filter(|text| !text.is_empty());
            check_description(description.as_deref())?;
            rules.push((Permission { protocol, ports, peer }, description));
            Ok(())
        };
        for range in &self.ip_ranges {
            push(Peer::Ipv4(parse_cidr(&range.cidr_ip, "cidrIp")?), &range.description)?;
        }
        for range in &self.ipv6_ranges {
            push(Peer::Ipv6(parse_ipv6(&range.cidr_ipv6)?), &range.description)?;
        }
        for pair in &self.groups {
            push(Peer::Group(pair.group(rows, context, group)?), &pair.description)?;
        }
        for list in &self.prefix_list_ids {
            prefix_list::weight(rows, context, &list.prefix_list_id)?;
            let id = PrefixListId::from(list.prefix_list_id.as_str());
            push(Peer::PrefixList(id), &list.description)?;
        }
        if rules.is_empty() {
            return Err(ApiError::new(
                "InvalidParameterValue",
                "Invalid value 'null' for protocol. VPC security group rules must specify a peer: ipRanges, ipv6Ranges, groups or prefixListIds.",
            ));
        }
        Ok(rules)
    }
}

/// Reads an IPv6 range; its host bits become zero.
pub(super) fn parse_ipv6(text: &str) -> Result<Ipv6Net, ApiError> {
    text.parse::<Ipv6Net>()
        .map(|net| net.trunc())
        .map_err(|_| invalid(text, "cidrIpv6", "This is not a valid IPv6 CIDR block."))
}

impl UserIdGroupPair {
    fn group(
        &self,
        rows: &Snapshot,
        context: &Context,
        of: &security_group::SecurityGroup,
    ) -> Result<SecurityGroupId, ApiError> {
        if let Some(user) = self.user_id.as_deref().filter(|user| *user != context.account.as_str()) {
            return Err(ApiError::unsupported(format_args!(
                "rules that refer to another account's security group (UserId {user})"
            )));
        }
        let Some(id) = self.group_id.as_deref().filter(|id| !id.is_empty()) else {
            let name = self.group_name.as_deref().unwrap_or_default();
            return Err(invalid(name, "groupName", "In a VPC, a group is named by its groupId."));
        };
        let id = referenced(rows, context, of, id)?;
        let (vpc, peering) = security_group_reference::place(rows, context, of, &id);
        for (given, found) in [
            (&self.vpc_id, Some(vpc.to_string())),
            (&self.vpc_peering_connection_id, peering.map(|id| id.to_string())),
        ] {
            if given.as_ref().is_some_and(|given| !given.is_empty() && Some(given) != found.as_ref()) {
                return Err(security_group::SecurityGroup::not_found(id.as_str()));
            }
        }
        Ok(id)
    }
}

/// The group that a rule of `of` refers to: of the same VPC, or of one that is peered with it in the same region. A rule
/// that is there already may be spoken of when its group or the peering is gone: it is stale.
fn referenced(
    rows: &Snapshot,
    context: &Context,
    of: &security_group::SecurityGroup,
    id: &str,
) -> Result<SecurityGroupId, ApiError> {
    let id = SecurityGroupId::from(id);
    if security_group_reference::may_refer(rows, of, &id)
        || security_group_reference::refers(rows, context, of, &id)
    {
        return Ok(id);
    }
    let group = security_group::get(rows, context, id.as_str())?;
    Err(ApiError::new(
        "InvalidGroup.NotFound",
        format!(
            "You have specified two resources that belong to different networks. {} is not in {}",
            group.id, of.vpc_id
        ),
    ))
}

/// Source: IpRange in the EC2 API reference.
pub(super) fn check_description(text: Option<&str>) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    match text {
        Some(text) if text.chars().count() > 255 || !text.chars().all(allowed) => Err(ApiError::new(
            "InvalidParameterValue",
            "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        )),
        _ => Ok(()),
    }
}

/// One rule's new content, as ModifySecurityGroupRules takes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RuleRequest {
    ip_protocol: Option<String>,
    from_port: Option<i32>,
    to_port: Option<i32>,
    cidr_ipv4: Option<String>,
    cidr_ipv6: Option<String>,
    referenced_group_id: Option<String>,
    prefix_list_id: Option<String>,
    pub(super) description: Option<String>,
}

impl RuleRequest {
    pub(super) fn permission(
        &self,
        rows: &Snapshot,
        context: &Context,
        group: &security_group::SecurityGroup,
    ) -> Result<Permission, ApiError> {
        let Some(protocol) = &self.ip_protocol else {
            return Err(ApiError::new(
                "MissingParameter",
                "The request must contain the parameter IpProtocol",
            ));
        };
        let protocol = parse_protocol(protocol)?;
        let ports = parse_ports(protocol, self.from_port, self.to_port)?;
        check_description(self.description.as_deref())?;
        let peer = match (&self.cidr_ipv4, &self.cidr_ipv6, &self.referenced_group_id, &self.prefix_list_id) {
            (Some(cidr), None, None, None) => Peer::Ipv4(parse_cidr(cidr, "cidrIpv4")?),
            (None, Some(cidr), None, None) => Peer::Ipv6(parse_ipv6(cidr)?),
            (None, None, Some(id), None) => Peer::Group(referenced(rows, context, group, id)?),
            (None, None, None, Some(id)) => {
                prefix_list::weight(rows, context, id)?;
                Peer::PrefixList(PrefixListId::from(id.as_str()))
            }
            _ => {
                return Err(ApiError::new(
                    "InvalidParameterCombination",
                    "A security group rule must have exactly one of CidrIpv4, CidrIpv6, ReferencedGroupId, PrefixListId",
                ));
            }
        };
        Ok(Permission { protocol, ports, peer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_ports(protocol: &str, from: i32, to: i32, expected: Result<Option<(i32, i32)>, &str>) {
        let protocol = parse_protocol(protocol).unwrap();
        let ports = parse_ports(protocol, Some(from), Some(to));
        let ports = ports.map(|ports| ports.map(|ports| (ports.from, ports.to)));
        assert_eq!(ports.map_err(|error| error.message), expected.map_err(str::to_owned));
    }

    #[test]
    fn ports_are_checked_by_protocol() {
        check_ports("tcp", 80, 80, Ok(Some((80, 80))));
        check_ports("6", 0, 65_535, Ok(Some((0, 65_535))));
        check_ports("tcp", 81, 80, Err("Invalid TCP port range (81:80)"));
        check_ports("udp", 0, 65_536, Err("Invalid UDP port range (0:65536)"));
        check_ports(
            "tcp",
            -1,
            -1,
            Err("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."),
        );
        check_ports("icmp", 8, -1, Ok(Some((8, -1))));
        check_ports("icmp", -1, 3, Err("ICMP code (3) out of range"));
        check_ports("-1", 0, 0, Ok(None));
        check_ports("50", 0, 0, Ok(None));
    }

    #[test]
    fn protocols_have_one_name() {
        for (given, shown) in
            [("6", "tcp"), ("TCP", "tcp"), ("all", "-1"), ("58", "icmpv6"), ("50", "50"), ("0", "0")]
        {
            assert_eq!(protocol_name(parse_protocol(given).unwrap()), shown);
        }
        assert!(parse_protocol("sctp").is_err());
        assert!(parse_protocol("256").is_err());
    }
}
