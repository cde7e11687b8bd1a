use reachability::Direction::{Egress, Ingress};

use crate::fixture::*;

const ACLS: &str = "Control subnet traffic with network access control lists, docs.aws.amazon.com/vpc/latest/userguide/vpc-network-acls.html";
const RULES: &str = "Network ACL rules, docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html";
const EPHEMERAL: &str =
    "Custom network ACLs: ephemeral ports, docs.aws.amazon.com/vpc/latest/userguide/custom-network-acl.html";
const DEFAULT: &str =
    "Default network ACL, docs.aws.amazon.com/vpc/latest/userguide/default-network-acl.html";

#[test]
fn network_acls_decide_as_their_pages_say() {
    check(&[
        Case {
            rule: "The default ACL lets everything in and out.",
            page: DEFAULT,
            change: |_| (),
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "yes",
        },
        Case {
            rule: "An ACL without entries denies all: the last entry, *, cannot be removed.",
            page: RULES,
            change: |t| t.acl(Ingress, &[]),
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "forward SUBNET_ACL_RESTRICTION acl-own ingress *",
        },
        Case {
            rule: "Entries are tried by number, and the first that fits decides: a deny before an allow.",
            page: RULES,
            change: |t| {
                t.acl(Ingress, &[entry(100, true, all("0.0.0.0/0")), entry(90, false, all("10.0.0.0/24"))]);
            },
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "forward SUBNET_ACL_RESTRICTION acl-own ingress 90",
        },
        Case {
            rule: "An allow before a deny wins.",
            page: RULES,
            change: |t| {
                t.acl(Ingress, &[entry(110, false, all("10.0.0.0/24")), entry(100, true, all("0.0.0.0/0"))]);
            },
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "yes",
        },
        Case {
            rule: "ACLs are stateless: answers need an outbound entry for the client's ephemeral ports.",
            page: ACLS,
            change: |t| t.acl(Egress, &[entry(100, true, tcp(443, 443, "0.0.0.0/0"))]),
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "back SUBNET_ACL_RESTRICTION acl-own egress *",
        },
        Case {
            rule: "Ports 1024 to 65535 cover the ephemeral ports of all clients.",
            page: EPHEMERAL,
            change: |t| t.acl(Egress, &[entry(100, true, tcp(1024, 65535, "10.0.0.0/24"))]),
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "yes",
        },
        Case {
            rule: "Many Linux kernels take 32768 to 61000: that range is enough for a client here.",
            page: EPHEMERAL,
            change: |t| t.acl(Egress, &[entry(100, true, tcp(32768, 61000, "10.0.0.0/24"))]),
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "yes",
        },
        Case {
            rule: "Where only a part of the ephemeral ports is let out, some clients time out.",
            page: EPHEMERAL,
            change: |t| t.acl(Egress, &[entry(100, true, tcp(49152, 65535, "10.0.0.0/24"))]),
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "back SUBNET_ACL_RESTRICTION acl-own egress * for some ports",
        },
        Case {
            rule: "A client that took a port of that part gets its answer.",
            page: EPHEMERAL,
            change: |t| t.acl(Egress, &[entry(100, true, tcp(49152, 65535, "10.0.0.0/24"))]),
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000 50000",
            expected: "yes",
        },
        Case {
            rule: "For what a task asks for itself, answers have to be let into its subnet.",
            page: ACLS,
            change: |t| t.acl(Ingress, &[entry(100, true, tcp(3000, 3000, "10.0.0.0/16"))]),
            from: "eni-task",
            to: "198.19.0.10",
            traffic: "tcp 443",
            expected: "back SUBNET_ACL_RESTRICTION acl-own ingress *",
        },
        Case {
            rule: "A NAT gateway takes ports 1024 to 65535, whatever its client took: its subnet must let all of them in.",
            page: EPHEMERAL,
            change: |t| {
                let vpc = t.vpc("vpc-a");
                vpc.network_acls[0].ingress = vec![
                    entry(90, true, all("10.0.0.0/8")),
                    entry(100, true, tcp(32768, 61000, "0.0.0.0/0")),
                ];
            },
            from: "eni-task",
            to: "198.19.0.10",
            traffic: "tcp 443 40000",
            expected: "back SUBNET_ACL_RESTRICTION acl-a ingress * for some ports",
        },
        Case {
            rule: "ACLs do not hold between interfaces of one subnet.",
            page: ACLS,
            change: |t| {
                t.acl(Ingress, &[]);
                t.acl(Egress, &[]);
            },
            from: "eni-task",
            to: "eni-db",
            traffic: "tcp 5432",
            expected: "yes",
        },
        Case {
            rule: "They do between subnets of one VPC, although the local route leads there.",
            page: ACLS,
            change: |t| t.acl(Egress, &[entry(100, false, all("10.0.0.0/16"))]),
            from: "eni-task",
            to: "eni-lb",
            traffic: "tcp 80",
            expected: "forward SUBNET_ACL_RESTRICTION acl-own egress 100",
        },
        Case {
            rule: "ACLs cannot block the Amazon DNS server.",
            page: ACLS,
            change: |t| {
                t.acl(Ingress, &[]);
                t.acl(Egress, &[]);
            },
            from: "eni-task",
            to: "169.254.169.253",
            traffic: "udp 53",
            expected: "yes",
        },
        Case {
            rule: "An entry of one protocol says nothing of another.",
            page: RULES,
            change: |t| t.acl(Ingress, &[entry(100, true, udp(3000, "0.0.0.0/0"))]),
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "forward SUBNET_ACL_RESTRICTION acl-own ingress *",
        },
        Case {
            rule: "Statelessness holds for ICMP too: a ping's reply needs its own entry.",
            page: RULES,
            change: |t| {
                t.group("sg-task").ingress = vec![icmp(-1, -1, "0.0.0.0/0")];
                t.group("sg-lb").egress = vec![icmp(-1, -1, "0.0.0.0/0")];
                t.acl(Ingress, &[entry(100, true, icmp(8, -1, "0.0.0.0/0"))]);
                t.acl(Egress, &[entry(100, true, icmp(8, -1, "0.0.0.0/0"))]);
            },
            from: "eni-lb",
            to: "eni-task",
            traffic: "icmp 8",
            expected: "back SUBNET_ACL_RESTRICTION acl-own egress *",
        },
        Case {
            rule: "A subnet is held by the one ACL that is associated with it; another subnet's does not matter.",
            page: ACLS,
            change: |t| {
                t.acl(Ingress, &[]);
                t.acl(Egress, &[]);
            },
            from: "eni-lb",
            to: "eni-second",
            traffic: "tcp 3000",
            expected: "yes",
        },
        Case {
            rule: "The ACL sees what comes through a NAT gateway from the internet with the internet's address as source.",
            page: ACLS,
            change: |t| {
                t.acl(Ingress, &[entry(90, false, all("198.19.0.0/24")), entry(100, true, all("0.0.0.0/0"))]);
            },
            from: "eni-task",
            to: "198.19.0.11",
            traffic: "tcp 443",
            expected: "back SUBNET_ACL_RESTRICTION acl-own ingress 90",
        },
    ]);
}
