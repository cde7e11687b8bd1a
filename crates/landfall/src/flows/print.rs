//! Records as a table, as AWS's lines, as JSON.

use std::collections::BTreeMap;

use agent::{Action, Flow, FlowRecord, Seen};
use serde::Serialize;

use super::owner::Owner;

/// The table's first line.
pub fn header() -> String {
    row(["time", "action", "interface", "what", "way", "from", "to", "proto", "packets", "bytes", ""])
}

fn row(cells: [&str; 11]) -> String {
    let [time, action, interface, what, way, from, to, protocol, packets, bytes, reason] = cells;
    let line = format!(
        "{time:<8}  {action:<6}  {interface:<21}  {what:<18}  {way:<3}  {from:<21}  {to:<21}  {protocol:<5}  \
         {packets:>7}  {bytes:>9}  {reason}"
    );
    line.trim_end().to_owned()
}

/// A record as a line of the table; with `colours` the action is green or red.
pub fn line(record: &FlowRecord, owners: &BTreeMap<String, Owner>, colours: bool) -> String {
    let iso = record.end.iso();
    let time = iso.get(11..19).unwrap_or_default();
    let flow = match &record.seen {
        Seen::Flow(flow) => flow,
        Seen::Skipped { packets } => {
            let what = format!("at least {packets} packets came too fast to be recorded");
            return row([time, "SKIP", record.vpc.as_str(), &what, "", "", "", "", "", "", ""]);
        }
    };
    let owner = owners.get(flow.interface.as_str());
    let end = |address: std::net::Ipv4Addr, port: u16| match port {
        0 => address.to_string(),
        port => format!("{address}:{port}"),
    };
    let (action, colour) = match flow.action {
        Action::Accept => ("ACCEPT", 32),
        Action::Reject => ("REJECT", 31),
    };
    let way = if flow.direction == agent::network::Direction::Ingress { "in" } else { "out" };
    let note = [flow.reason.as_ref().map(|reason| words(reason, owner)), translated(flow)];
    let note: Vec<String> = note.into_iter().flatten().collect();
    let line = row([
        time,
        action,
        flow.interface.as_str(),
        &owner.map(|owner| owner.of.name()).unwrap_or_default(),
        way,
        &end(flow.source, flow.source_port),
        &end(flow.destination, flow.destination_port),
        &protocol(flow.protocol),
        &flow.packets.to_string(),
        &flow.bytes.to_string(),
        &note.join("; "),
    ]);
    if colours { line.replacen(action, &format!("\x1b[{colour}m{action}\x1b[0m"), 1) } else { line }
}

/// The packet's own address, where the record has the interface's.
fn translated(flow: &Flow) -> Option<String> {
    if flow.packet_source != flow.source {
        Some(format!("the packet is from {}", flow.packet_source))
    } else if flow.packet_destination != flow.destination {
        Some(format!("the packet is for {}", flow.packet_destination))
    } else {
        None
    }
}

fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        number => number.to_string(),
    }
}

/// A reason in words. It is the name of the counter that counted the packet.
fn words(reason: &str, owner: Option<&Owner>) -> String {
    use agent::network as n;
    let groups = owner.map(|owner| owner.security_groups.join(", ")).filter(|groups| !groups.is_empty());
    let of = groups.map_or_else(|| "of the security groups".to_owned(), |groups| format!("of {groups}"));
    match reason {
        n::EGRESS_DENIED => format!("no egress rule {of} allows it"),
        n::INGRESS_DENIED => format!("no ingress rule {of} allows it"),
        n::SPOOFED => "source check: the source is not the interface's address".to_owned(),
        n::MISDIRECTED => "destination check: the destination is not the interface's address".to_owned(),
        n::NO_PUBLIC_ADDRESS => {
            "the route leads to the internet gateway, the interface has no public address".to_owned()
        }
        n::INVALID => "it belongs to no connection and cannot begin one".to_owned(),
        counter => match counter.split('/').collect::<Vec<_>>().as_slice() {
            [acl, direction, "default"] => format!("network ACL {acl}: {direction} entry * denies it"),
            [acl, direction, number] => format!("network ACL {acl}: {direction} entry {number} denies it"),
            _ => counter.to_owned(),
        },
    }
}

/// The account, where it is known.
fn account<'a>(record: &FlowRecord, owners: &'a BTreeMap<String, Owner>, default: &'a str) -> &'a str {
    match &record.seen {
        Seen::Flow(flow) => owners.get(flow.interface.as_str()).map_or(default, |owner| &owner.account),
        Seen::Skipped { .. } => default,
    }
}

/// A record in the default format of AWS's flow logs, version 2.
pub fn version_2(record: &FlowRecord, owners: &BTreeMap<String, Owner>, default_account: &str) -> String {
    let account = account(record, owners, default_account);
    let (start, end) = (record.start.as_millis() / 1000, record.end.as_millis() / 1000);
    match &record.seen {
        Seen::Skipped { .. } => format!("2 {account} - - - - - - - - {start} {end} - SKIPDATA"),
        Seen::Flow(flow) => format!(
            "2 {account} {} {} {} {} {} {} {} {} {start} {end} {} OK",
            flow.interface,
            flow.source,
            flow.destination,
            flow.source_port,
            flow.destination_port,
            flow.protocol,
            flow.packets,
            flow.bytes,
            if flow.action == Action::Accept { "ACCEPT" } else { "REJECT" },
        ),
    }
}

/// A record by AWS's names, with what AWS does not tell behind them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Document<'a> {
    account_id: &'a str,
    vpc_id: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    flow: Option<FlowDocument<'a>>,
    start: String,
    end: String,
    log_status: &'static str,
    /// At least so many packets are not recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct FlowDocument<'a> {
    subnet_id: &'a str,
    interface_id: &'a str,
    flow_direction: &'static str,
    action: Action,
    srcaddr: std::net::Ipv4Addr,
    dstaddr: std::net::Ipv4Addr,
    srcport: u16,
    dstport: u16,
    protocol: u8,
    packets: u64,
    bytes: u64,
    pkt_srcaddr: std::net::Ipv4Addr,
    pkt_dstaddr: std::net::Ipv4Addr,
    tcp_flags: u8,
    traffic_path: Option<u8>,
    /// What the interface belongs to.
    owner: Option<&'a super::owner::Of>,
    /// The name of the counter that counted the refused packets.
    reason: Option<&'a str>,
    reason_text: Option<String>,
}

/// A record for a program.
pub fn document<'a>(
    record: &'a FlowRecord,
    owners: &'a BTreeMap<String, Owner>,
    default_account: &'a str,
) -> Document<'a> {
    let (flow, skipped) = match &record.seen {
        Seen::Skipped { packets } => (None, Some(*packets)),
        Seen::Flow(flow) => {
            let owner = owners.get(flow.interface.as_str());
            let flow = FlowDocument {
                subnet_id: flow.subnet.as_str(),
                interface_id: flow.interface.as_str(),
                flow_direction: flow.direction.name(),
                action: flow.action,
                srcaddr: flow.source,
                dstaddr: flow.destination,
                srcport: flow.source_port,
                dstport: flow.destination_port,
                protocol: flow.protocol,
                packets: flow.packets,
                bytes: flow.bytes,
                pkt_srcaddr: flow.packet_source,
                pkt_dstaddr: flow.packet_destination,
                tcp_flags: flow.tcp_flags,
                traffic_path: flow.path,
                owner: owner.map(|owner| &owner.of),
                reason: flow.reason.as_deref(),
                reason_text: flow.reason.as_deref().map(|reason| words(reason, owner)),
            };
            (Some(flow), None)
        }
    };
    Document {
        account_id: account(record, owners, default_account),
        vpc_id: record.vpc.as_str(),
        flow,
        start: record.start.iso(),
        end: record.end.iso(),
        log_status: if skipped.is_some() { "SKIPDATA" } else { "OK" },
        skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{flow, owners, record, skipped};
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_table_tells_who_refused_and_why() {
        let owners = owners();
        let mut lines = vec![header()];
        let mut add = |flow: Flow| lines.push(line(&record(flow), &owners, false));
        add(flow());
        add(Flow { reason: Some("acl-0a/ingress/90".to_owned()), ..flow() });
        add(Flow { reason: Some("acl-0a/egress/default".to_owned()), ..flow() });
        for reason in ["egress", "source-check", "no-public-address", "invalid", "something-new"] {
            let reason = if reason == "egress" { "security-group-egress" } else { reason };
            add(Flow { reason: Some(format!("denied/{reason}")), ..flow() });
        }
        let accepted = Flow { action: Action::Accept, reason: None, ..flow() };
        add(accepted.clone());
        add(Flow { source_port: 0, destination_port: 0, protocol: 1, ..accepted.clone() });
        add(Flow {
            interface: "eni-0000000000000000f".into(),
            packet_destination: [198, 19, 0, 10].into(),
            bytes: 12_345_678,
            ..accepted
        });
        lines.push(line(&skipped(), &owners, false));
        expect![[r#"
            time      action  interface              what                way  from                   to                     proto  packets      bytes
            19:45:00  REJECT  eni-0123456789abcdef0  web/0123abcd        in   10.20.0.10:43210       10.20.100.97:3000      tcp          2        120  no ingress rule of sg-0123456789abcdef0 allows it
            19:45:00  REJECT  eni-0123456789abcdef0  web/0123abcd        in   10.20.0.10:43210       10.20.100.97:3000      tcp          2        120  network ACL acl-0a: ingress entry 90 denies it
            19:45:00  REJECT  eni-0123456789abcdef0  web/0123abcd        in   10.20.0.10:43210       10.20.100.97:3000      tcp          2        120  network ACL acl-0a: egress entry * denies it
            19:45:00  REJECT  eni-0123456789abcdef0  web/0123abcd        in   10.20.0.10:43210       10.20.100.97:3000      tcp          2        120  no egress rule of sg-0123456789abcdef0 allows it
            19:45:00  REJECT  eni-0123456789abcdef0  web/0123abcd        in   10.20.0.10:43210       10.20.100.97:3000      tcp          2        120  source check: the source is not the interface's address
            19:45:00  REJECT  eni-0123456789abcdef0  web/0123abcd        in   10.20.0.10:43210       10.20.100.97:3000      tcp          2        120  the route leads to the internet gateway, the interface has no public address
            19:45:00  REJECT  eni-0123456789abcdef0  web/0123abcd        in   10.20.0.10:43210       10.20.100.97:3000      tcp          2        120  it belongs to no connection and cannot begin one
            19:45:00  REJECT  eni-0123456789abcdef0  web/0123abcd        in   10.20.0.10:43210       10.20.100.97:3000      tcp          2        120  denied/something-new
            19:45:00  ACCEPT  eni-0123456789abcdef0  web/0123abcd        in   10.20.0.10:43210       10.20.100.97:3000      tcp          2        120
            19:45:00  ACCEPT  eni-0123456789abcdef0  web/0123abcd        in   10.20.0.10             10.20.100.97           icmp         2        120
            19:45:00  ACCEPT  eni-0000000000000000f                      in   10.20.0.10:43210       10.20.100.97:3000      tcp          2   12345678  the packet is for 198.19.0.10
            19:45:00  SKIP    vpc-0123456789abcdef0  at least 1234 packets came too fast to be recorded"#]].assert_eq(&lines.join("\n"));
    }

    #[test]
    fn colours_are_round_the_action_alone() {
        let plain = line(&record(flow()), &owners(), false);
        let coloured = line(&record(flow()), &owners(), true);
        assert!(!plain.contains('\x1b'));
        assert_eq!(coloured.replace("\x1b[31m", "").replace("\x1b[0m", ""), plain);
    }

    #[test]
    fn awss_format_has_fourteen_fields() {
        let owners = owners();
        let mut unknown = flow();
        unknown.interface = "eni-0000000000000000f".into();
        let lines = [
            version_2(&record(flow()), &owners, "unknown"),
            version_2(&record(unknown), &owners, "unknown"),
            version_2(&skipped(), &owners, "000000000001"),
        ];
        assert!(lines.iter().all(|line| line.split(' ').count() == 14));
        expect![[r#"
            2 000000000001 eni-0123456789abcdef0 10.20.0.10 10.20.100.97 43210 3000 6 2 120 1795376690 1795376700 REJECT OK
            2 unknown eni-0000000000000000f 10.20.0.10 10.20.100.97 43210 3000 6 2 120 1795376690 1795376700 REJECT OK
            2 000000000001 - - - - - - - - 1795376690 1795376700 - SKIPDATA"#]].assert_eq(&lines.join("\n"));
    }

    #[test]
    fn json_has_awss_names_and_what_landfall_knows() {
        let owners = owners();
        let records = [record(flow()), skipped()];
        let documents: Vec<_> = records.iter().map(|record| document(record, &owners, "unknown")).collect();
        expect![[r#"
            [
              {
                "account-id": "000000000001",
                "vpc-id": "vpc-0123456789abcdef0",
                "subnet-id": "subnet-0123456789abcdef0",
                "interface-id": "eni-0123456789abcdef0",
                "flow-direction": "ingress",
                "action": "REJECT",
                "srcaddr": "10.20.0.10",
                "dstaddr": "10.20.100.97",
                "srcport": 43210,
                "dstport": 3000,
                "protocol": 6,
                "packets": 2,
                "bytes": 120,
                "pkt-srcaddr": "10.20.0.10",
                "pkt-dstaddr": "10.20.100.97",
                "tcp-flags": 2,
                "traffic-path": null,
                "owner": {
                  "task": {
                    "id": "0123abcd0123abcd0123abcd0123abcd",
                    "service": "web"
                  }
                },
                "reason": "denied/security-group-ingress",
                "reason-text": "no ingress rule of sg-0123456789abcdef0 allows it",
                "start": "2026-11-22T19:44:50.500Z",
                "end": "2026-11-22T19:45:00.000Z",
                "log-status": "OK"
              },
              {
                "account-id": "unknown",
                "vpc-id": "vpc-0123456789abcdef0",
                "start": "2026-11-22T19:44:50.500Z",
                "end": "2026-11-22T19:45:00.000Z",
                "log-status": "SKIPDATA",
                "skipped": 1234
              }
            ]"#]]
        .assert_eq(&serde_json::to_string_pretty(&documents).unwrap());
    }
}
