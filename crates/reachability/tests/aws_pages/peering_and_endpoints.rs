use desired::InterfaceKind;

use crate::fixture::*;

const PEERING: &str =
    "How VPC peering connections work, docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html";
const PEER_ROUTES: &str = "Update your route tables for a VPC peering connection, docs.aws.amazon.com/vpc/latest/peering/vpc-peering-routing.html";
const PEER_GROUPS: &str = "Update your security groups to reference peer security groups, docs.aws.amazon.com/vpc/latest/peering/vpc-peering-security-groups.html";
const GATEWAY: &str = "Gateway endpoints, docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html";
const INTERFACE: &str = "Access an AWS service using an interface VPC endpoint, docs.aws.amazon.com/vpc/latest/privatelink/create-interface-endpoint.html";
const CODES: &str = "Reachability Analyzer explanation codes, docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html";

#[test]
fn peering_connections_carry_what_their_pages_say() {
    check(&[
        Case {
            rule: "With routes on both sides peered VPCs reach each other by private addresses.",
            page: PEER_ROUTES,
            change: |_| (),
            from: "eni-task",
            to: "eni-b",
            traffic: "tcp 8080",
            expected: "yes",
        },
        Case {
            rule: "The sender's VPC needs a route to the other's range.",
            page: PEER_ROUTES,
            change: |t| {
                t.routes("rtb-private").remove(1);
                t.routes("rtb-public").remove(1);
            },
            from: "eni-task",
            to: "eni-b",
            traffic: "tcp 8080",
            expected: "forward IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS igw",
        },
        Case {
            rule: "A NAT gateway may lead into a peered VPC, where its own address is seen, which wears no group.",
            page: "NAT gateway use cases, docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-scenarios.html",
            change: |t| {
                t.routes("rtb-private").remove(1);
            },
            from: "eni-task",
            to: "eni-b",
            traffic: "tcp 8080",
            expected: "forward ENI_SG_RULES_MISMATCH groups of eni-b ingress",
        },
        Case {
            rule: "The other VPC needs one back: a route on one side alone is not enough.",
            page: PEER_ROUTES,
            change: |t| {
                t.routes("rtb-b").remove(0);
            },
            from: "eni-task",
            to: "eni-b",
            traffic: "tcp 8080",
            expected: "back NO_ROUTE_TO_DESTINATION rtb-b",
        },
        Case {
            rule: "A route to a peering connection that was deleted is a black hole.",
            page: PEERING,
            change: |t| {
                t.vpc("vpc-a").peerings.clear();
                t.vpc("vpc-b").peerings.remove(0);
            },
            from: "eni-task",
            to: "10.1.0.10",
            traffic: "tcp 8080",
            expected: "forward BAD_STATE_ROUTE rtb-private",
        },
        Case {
            rule: "VPCs that nothing connects do not reach each other.",
            page: CODES,
            change: |_| (),
            from: "eni-task",
            to: "eni-c",
            traffic: "tcp 80",
            expected: "forward DISCONNECTED_VPCS eni-task",
        },
        Case {
            rule: "Peering is not transitive: a route through B does not lead to C.",
            page: PEERING,
            change: |t| t.routes("rtb-private").push(route("10.2.0.0/16", "pcx-ab")),
            from: "eni-task",
            to: "10.2.0.10",
            traffic: "tcp 80",
            expected: "forward PCX_REQUIRES_ADDRESS_IN_VPC_CIDR pcx-ab",
        },
        Case {
            rule: "Nor does a peering connection lead to the other VPC's internet or NAT gateway.",
            page: PEERING,
            change: |t| t.routes("rtb-b").push(route("0.0.0.0/0", "pcx-ab")),
            from: "eni-b",
            to: "198.19.0.10",
            traffic: "tcp 443",
            expected: "forward PCX_REQUIRES_ADDRESS_IN_VPC_CIDR pcx-ab",
        },
        Case {
            rule: "Nor to its gateway endpoints.",
            page: PEERING,
            change: |t| t.routes("rtb-b").push(route("198.19.0.12/32", "pcx-ab")),
            from: "eni-b",
            to: "198.19.0.12",
            traffic: "tcp 443",
            expected: "forward PCX_REQUIRES_ADDRESS_IN_VPC_CIDR pcx-ab",
        },
        Case {
            rule: "A rule may name a group of the peered VPC: its interfaces are meant.",
            page: PEER_GROUPS,
            change: |t| {
                let rule = all("sg-b");
                t.group("sg-task").ingress.push(rule);
            },
            from: "eni-b",
            to: "eni-task",
            traffic: "tcp 22",
            expected: "yes",
        },
        Case {
            rule: "Another interface of this VPC does not wear the peered VPC's group.",
            page: PEER_GROUPS,
            change: |t| t.group("sg-task").ingress = vec![all("sg-b")],
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "forward ENI_SG_RULES_MISMATCH groups of eni-task ingress",
        },
        Case {
            rule: "Without the connection such a rule is stale and admits nobody.",
            page: PEER_GROUPS,
            change: |t| t.vpc("vpc-b").peerings[0].security_groups.clear(),
            from: "eni-task",
            to: "eni-b",
            traffic: "tcp 8080",
            expected: "forward ENI_SG_RULES_MISMATCH groups of eni-b ingress",
        },
        Case {
            rule: "Each side's ACLs and groups hold on its own side.",
            page: PEERING,
            change: |t| t.vpc("vpc-b").network_acls[0].ingress = vec![entry(1, false, all("10.0.10.0/24"))],
            from: "eni-task",
            to: "eni-b",
            traffic: "tcp 8080",
            expected: "forward SUBNET_ACL_RESTRICTION acl-b ingress 1",
        },
    ]);
}

#[test]
fn endpoints_carry_what_their_pages_say() {
    check(&[
        Case {
            rule: "A route by the service's prefix list leads to a gateway endpoint.",
            page: GATEWAY,
            change: |_| (),
            from: "eni-task",
            to: "vpce-s3",
            traffic: "tcp 443",
            expected: "yes",
        },
        Case {
            rule: "Only subnets whose table was associated with it use it.",
            page: GATEWAY,
            change: |t| t.group("sg-lb").egress = vec![all("0.0.0.0/0")],
            from: "eni-lb",
            to: "vpce-s3",
            traffic: "tcp 443",
            expected: "forward NO_ROUTE_TO_DESTINATION rtb-public",
        },
        Case {
            rule: "A table without that route sends the traffic to the internet as before.",
            page: GATEWAY,
            change: |t| {
                t.routes("rtb-private").pop();
            },
            from: "eni-task",
            to: "vpce-s3",
            traffic: "tcp 443",
            expected: "forward NO_ROUTE_TO_DESTINATION rtb-private",
        },
        Case {
            rule: "The endpoint works without internet and NAT gateway.",
            page: GATEWAY,
            change: |t| {
                t.vpc("vpc-a").internet_gateway = false;
                t.routes("rtb-private").remove(0);
            },
            from: "eni-task",
            to: "198.19.0.12",
            traffic: "tcp 443",
            expected: "yes",
        },
        Case {
            rule: "Outbound rules must let the traffic to the service out, by its prefix list for example.",
            page: GATEWAY,
            change: |t| t.group("sg-task").egress = vec![tcp(443, 443, "10.0.0.0/16")],
            from: "eni-task",
            to: "vpce-s3",
            traffic: "tcp 443",
            expected: "forward ENI_SG_RULES_MISMATCH groups of eni-task egress",
        },
        Case {
            rule: "ACLs must let the traffic out, and the answers in.",
            page: GATEWAY,
            change: |t| {
                t.acl(reachability::Direction::Ingress, &[entry(100, true, all("10.0.0.0/8"))]);
            },
            from: "eni-task",
            to: "vpce-s3",
            traffic: "tcp 443",
            expected: "back SUBNET_ACL_RESTRICTION acl-own ingress *",
        },
        Case {
            rule: "Gateway endpoints take only TCP and ICMP echo.",
            page: CODES,
            change: |_| (),
            from: "eni-task",
            to: "vpce-s3",
            traffic: "udp 443",
            expected: "forward VPCE_GATEWAY_PROTOCOL_RESTRICTION vpce-s3",
        },
        Case {
            rule: "An endpoint cannot be used from outside of its VPC.",
            page: GATEWAY,
            change: |_| (),
            from: "eni-b",
            to: "vpce-s3",
            traffic: "tcp 443",
            expected: "forward DISCONNECTED_VPCS eni-b",
        },
        Case {
            rule: "An interface endpoint is an interface with a group, which must let its clients in.",
            page: INTERFACE,
            change: |_| (),
            from: "eni-task",
            to: "eni-endpoint",
            traffic: "tcp 443",
            expected: "yes",
        },
        Case {
            rule: "Clients that its group does not admit time out.",
            page: INTERFACE,
            change: |t| t.group("sg-endpoint").ingress = vec![tcp(443, 443, "10.0.0.0/24")],
            from: "eni-task",
            to: "eni-endpoint",
            traffic: "tcp 443",
            expected: "forward ENI_SG_RULES_MISMATCH groups of eni-endpoint ingress",
        },
        Case {
            rule: "A peered VPC reaches an interface endpoint as it does any interface.",
            page: INTERFACE,
            change: |t| t.group("sg-endpoint").ingress = vec![tcp(443, 443, "10.0.0.0/8")],
            from: "eni-b",
            to: "eni-endpoint",
            traffic: "tcp 443",
            expected: "yes",
        },
        Case {
            rule: "An endpoint begins no connection.",
            page: CODES,
            change: |t| t.eni("eni-endpoint").kind = InterfaceKind::Endpoint,
            from: "eni-endpoint",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "forward VPCE_INTRA_VPC_TRAFFIC eni-endpoint",
        },
    ]);
}
