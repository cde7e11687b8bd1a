//! Network ACLs: stateless, every packet, before security groups. A new deny cuts established flows.

use desired::{NetworkAcl, NetworkAclEntry, Vpc};
use sys::nft::{Expression as E, Field, Operator, Rule, Set, Type, Value, Verdict};

use super::filter::{NOT_LET_IN, NOT_LET_OUT, Writer, deny, log, network_acl_base};
use super::matches;

pub(super) fn write(writer: &mut Writer, vpc: &Vpc) {
    writer.set("nacl_in", Set::map(&[Type::Mark], Type::Verdict));
    writer.set("nacl_out", Set::map(&[Type::Mark], Type::Verdict));
    for acl in &vpc.network_acls {
        chains(writer, acl);
    }
    for subnet in &vpc.subnets {
        for (map, direction) in [("nacl_in", "ingress"), ("nacl_out", "egress")] {
            let to = Verdict::Jump(format!("{}/{direction}", subnet.network_acl));
            writer.element(map, vec![Value::Mark(subnet.number)], Some(Value::Verdict(to)));
        }
    }
    network_acl_base(writer);
}

/// The chains of an ACL, and the counters of its entries.
pub(super) fn chains(writer: &mut Writer, acl: &NetworkAcl) {
    chain(writer, acl, "ingress", Field::Source, &acl.ingress);
    chain(writer, acl, "egress", Field::Destination, &acl.egress);
}

fn chain(writer: &mut Writer, acl: &NetworkAcl, direction: &str, end: Field, entries: &[NetworkAclEntry]) {
    let name = format!("{}/{direction}", acl.id);
    let reason = if end == Field::Source { NOT_LET_IN } else { NOT_LET_OUT };
    let mut entries: Vec<&NetworkAclEntry> = entries.iter().collect();
    entries.sort_by_key(|entry| entry.number);
    let mut rules: Vec<Rule> = Vec::new();
    for entry in entries {
        let Some(mut rule) = matches::protocol(entry.protocol, entry.ports) else { continue };
        if entry.cidr_block.prefix_len() > 0 {
            rule.push(E::Within(end, Operator::Is, entry.cidr_block));
        }
        let counter = format!("{name}/{}", entry.number);
        rule.push(writer.count(&counter));
        if entry.allow {
            rule.push(E::Verdict(Verdict::Return));
        } else {
            rule.extend([log(&counter), deny(reason)]);
        }
        rules.push(rule);
    }
    // What AWS shows as `*`.
    let counter = format!("{name}/default");
    rules.push(vec![writer.count(&counter), log(&counter), deny(reason)]);
    writer.chain(&name, rules);
}
