use crate::fixture::*;

const IGW: &str = "Enable internet access for a VPC using an internet gateway, docs.aws.amazon.com/vpc/latest/userguide/VPC_Internet_Gateway.html";
const NAT: &str = "NAT gateways, docs.aws.amazon.com/vpc/latest/userguide/vpc-nat-gateway.html";
const NAT_BASICS: &str =
    "NAT gateway basics, docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-basics.html";
const NAT_TROUBLE: &str =
    "Troubleshoot NAT gateways, docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html";
const ADDRESSES: &str = "IP addressing for your VPCs and subnets, docs.aws.amazon.com/vpc/latest/userguide/vpc-ip-addressing.html";
const CODES: &str = "Reachability Analyzer explanation codes, docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html";

#[test]
fn gateways_carry_what_their_pages_say() {
    check(&[
        Case {
            rule: "An interface with a public address in a subnet with a route to an internet gateway is reached from the internet.",
            page: IGW,
            change: |_| (),
            from: "internet",
            to: "eni-lb",
            traffic: "tcp 80",
            expected: "yes",
        },
        Case {
            rule: "Its group still has to let the traffic in.",
            page: IGW,
            change: |_| (),
            from: "internet",
            to: "eni-lb",
            traffic: "tcp 81",
            expected: "forward ENI_SG_RULES_MISMATCH groups of eni-lb ingress",
        },
        Case {
            rule: "A private address alone is not reached from the internet.",
            page: IGW,
            change: |_| (),
            from: "internet",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "forward IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS igw",
        },
        Case {
            rule: "The subnet's route table must lead back to the internet gateway.",
            page: IGW,
            change: |t| t.routes("rtb-public").clear(),
            from: "internet",
            to: "eni-lb",
            traffic: "tcp 80",
            expected: "back NO_ROUTE_TO_DESTINATION rtb-public",
        },
        Case {
            rule: "A public address in a subnet whose default route is a NAT gateway is of no use: answers leave by another way.",
            page: IGW,
            change: |t| {
                t.eni("eni-task").public_address = Some([198, 18, 0, 30].into());
                t.group("sg-task").ingress = vec![all("0.0.0.0/0")];
            },
            from: "internet",
            to: "eni-task",
            traffic: "tcp 80",
            expected: "back NO_ROUTE_TO_DESTINATION rtb-private",
        },
        Case {
            rule: "Without an attached internet gateway a VPC has no way in.",
            page: IGW,
            change: |t| t.vpc("vpc-a").internet_gateway = false,
            from: "internet",
            to: "eni-lb",
            traffic: "tcp 80",
            expected: "forward NO_PATH igw",
        },
        Case {
            rule: "Only interfaces with a public address get out through an internet gateway.",
            page: IGW,
            change: |t| t.routes("rtb-private")[0] = route("0.0.0.0/0", "igw-"),
            from: "eni-task",
            to: "internet",
            traffic: "tcp 443",
            expected: "forward IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS igw",
        },
        Case {
            rule: "With one they do.",
            page: IGW,
            change: |t| {
                t.routes("rtb-private")[0] = route("0.0.0.0/0", "igw-");
                t.eni("eni-task").public_address = Some([198, 18, 0, 30].into());
            },
            from: "eni-task",
            to: "internet",
            traffic: "tcp 443",
            expected: "yes",
        },
        Case {
            rule: "Internet gateways carry no traffic to private addresses.",
            page: CODES,
            change: |t| t.group("sg-lb").egress = vec![all("0.0.0.0/0")],
            from: "eni-lb",
            to: "172.16.0.1",
            traffic: "tcp 80",
            expected: "forward IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS igw",
        },
        Case {
            rule: "Nor to shared addresses.",
            page: CODES,
            change: |t| t.group("sg-lb").egress = vec![all("0.0.0.0/0")],
            from: "eni-lb",
            to: "100.64.0.1",
            traffic: "tcp 80",
            expected: "forward IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS igw",
        },
        Case {
            rule: "A public NAT gateway lets a private subnet reach the internet.",
            page: NAT,
            change: |_| (),
            from: "eni-task",
            to: "internet",
            traffic: "tcp 443",
            expected: "yes",
        },
        Case {
            rule: "But nobody outside can begin a connection through it.",
            page: NAT,
            change: |_| (),
            from: "internet",
            to: "198.18.0.20",
            traffic: "tcp 3000",
            expected: "forward NO_POSSIBLE_DESTINATION NAT eni-nat",
        },
        Case {
            rule: "Nor can an interface of the VPC with the gateway itself.",
            page: NAT,
            change: |_| (),
            from: "eni-task",
            to: "eni-nat",
            traffic: "tcp 3000",
            expected: "forward NO_POSSIBLE_DESTINATION NAT eni-nat",
        },
        Case {
            rule: "The gateway must be in a subnet whose route table leads to an internet gateway.",
            page: NAT_TROUBLE,
            change: |t| {
                t.routes("rtb-public").remove(0);
            },
            from: "eni-task",
            to: "internet",
            traffic: "tcp 443",
            expected: "forward NO_ROUTE_TO_DESTINATION rtb-public",
        },
        Case {
            rule: "A gateway in the subnet that it serves, by the same table, leads nowhere.",
            page: NAT_TROUBLE,
            change: |t| t.vpc("vpc-a").subnets[0].route_table = "rtb-private".into(),
            from: "eni-task",
            to: "198.19.0.10",
            traffic: "tcp 443",
            expected: "forward NO_POSSIBLE_DESTINATION rtb-private",
        },
        Case {
            rule: "A private NAT gateway has no elastic address: the internet gateway drops its traffic.",
            page: NAT_BASICS,
            change: |t| t.eni("eni-nat").public_address = None,
            from: "eni-task",
            to: "internet",
            traffic: "tcp 443",
            expected: "forward IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS igw",
        },
        Case {
            rule: "No group can be put on a NAT gateway; its subnet's ACL holds.",
            page: NAT_BASICS,
            change: |t| t.vpc("vpc-a").network_acls[0].egress = vec![entry(100, true, all("10.0.0.0/8"))],
            from: "eni-task",
            to: "internet",
            traffic: "tcp 443",
            expected: "forward SUBNET_ACL_RESTRICTION acl-a egress *",
        },
        Case {
            rule: "A NAT gateway takes TCP, UDP and ICMP.",
            page: NAT_BASICS,
            change: |_| (),
            from: "eni-task",
            to: "198.19.0.10",
            traffic: "icmp 8",
            expected: "yes",
        },
        Case {
            rule: "An interface reaches another's public address by way of the gateways, and comes with its own public one.",
            page: ADDRESSES,
            change: |_| (),
            from: "eni-task",
            to: "198.18.0.10",
            traffic: "tcp 80",
            expected: "yes",
        },
        Case {
            rule: "So a group that admits the sender's private address alone does not admit it there.",
            page: ADDRESSES,
            change: |t| t.group("sg-lb").ingress = vec![tcp(80, 80, "10.0.0.0/16")],
            from: "eni-task",
            to: "198.18.0.10",
            traffic: "tcp 80",
            expected: "forward ENI_SG_RULES_MISMATCH groups of eni-lb ingress",
        },
        Case {
            rule: "An interface reaches itself by its own public address through the internet gateway, if its group admits that address.",
            page: ADDRESSES,
            change: |t| t.group("sg-lb").egress = vec![all("0.0.0.0/0")],
            from: "eni-lb",
            to: "198.18.0.10",
            traffic: "tcp 80",
            expected: "yes",
        },
        Case {
            rule: "A public address that nobody has is nobody's.",
            page: ADDRESSES,
            change: |_| (),
            from: "eni-task",
            to: "198.18.200.200",
            traffic: "tcp 80",
            expected: "forward NO_POSSIBLE_DESTINATION internet",
        },
    ]);
}
