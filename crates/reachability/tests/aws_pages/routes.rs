use crate::fixture::*;

const TABLES: &str = "Configure route tables, docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html";
const PRIORITY: &str =
    "How route priority works, docs.aws.amazon.com/vpc/latest/userguide/route-tables-priority.html";
const SUBNETS: &str =
    "Subnet route tables, docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html";
const CIDRS: &str = "VPC CIDR blocks, docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html";
const ENIS: &str = "Elastic network interfaces, docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html";

#[test]
fn routes_lead_as_their_pages_say() {
    check(&[
        Case {
            rule: "Every route table has a local route: subnets of a VPC reach each other without any other route.",
            page: SUBNETS,
            change: |t| {
                t.routes("rtb-public").clear();
                t.routes("rtb-private").clear();
            },
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "yes",
        },
        Case {
            rule: "A VPC's secondary range has a local route as well.",
            page: CIDRS,
            change: |_| (),
            from: "eni-lb",
            to: "eni-second",
            traffic: "tcp 3000",
            expected: "yes",
        },
        Case {
            rule: "Without a route to the destination traffic goes nowhere.",
            page: TABLES,
            change: |t| t.routes("rtb-private").clear(),
            from: "eni-task",
            to: "198.19.0.10",
            traffic: "tcp 443",
            expected: "forward NO_ROUTE_TO_DESTINATION rtb-private",
        },
        Case {
            rule: "The longest prefix wins: a route for a part of the addresses is taken before 0.0.0.0/0.",
            page: PRIORITY,
            change: |t| t.routes("rtb-private").push(route("198.19.0.0/24", "blackhole")),
            from: "eni-task",
            to: "198.19.0.10",
            traffic: "tcp 443",
            expected: "forward BAD_STATE_ROUTE rtb-private",
        },
        Case {
            rule: "Addresses outside of that part still go by the wider route.",
            page: PRIORITY,
            change: |t| t.routes("rtb-private").push(route("198.19.0.0/28", "blackhole")),
            from: "eni-task",
            to: "203.0.113.50",
            traffic: "tcp 443",
            expected: "yes",
        },
        Case {
            rule: "A wider route than the VPC's own range never takes the VPC's own traffic.",
            page: PRIORITY,
            change: |t| t.routes("rtb-public").push(route("10.0.0.0/8", "blackhole")),
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "yes",
        },
        Case {
            rule: "A route more specific than the local one may lead a subnet's traffic to an appliance.",
            page: TABLES,
            change: |t| t.routes("rtb-public").push(route("10.0.10.0/24", "eni-task2")),
            from: "eni-lb",
            to: "eni-task",
            traffic: "tcp 3000",
            expected: "forward ENI_SOURCE_DEST_CHECK_RESTRICTION eni-task2",
        },
        Case {
            rule: "A static route is preferred to a prefix list's for the same range.",
            page: PRIORITY,
            change: |t| t.routes("rtb-private").push(route("198.19.0.12/32", "blackhole")),
            from: "eni-task",
            to: "198.19.0.12",
            traffic: "tcp 443",
            expected: "forward BAD_STATE_ROUTE rtb-private",
        },
        Case {
            rule: "A route whose target was deleted is in the state blackhole and drops traffic.",
            page: "Route, docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Route.html",
            change: |t| t.routes("rtb-private")[0] = route("0.0.0.0/0", "blackhole"),
            from: "eni-task",
            to: "198.19.0.10",
            traffic: "tcp 443",
            expected: "forward BAD_STATE_ROUTE rtb-private",
        },
        Case {
            rule: "A route to an internet gateway that is detached is a black hole.",
            page: "Route, docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Route.html",
            change: |t| {
                t.vpc("vpc-a").internet_gateway = false;
                t.group("sg-lb").egress = vec![all("0.0.0.0/0")];
            },
            from: "eni-lb",
            to: "198.19.0.1",
            traffic: "tcp 3000",
            expected: "forward BAD_STATE_ROUTE rtb-public",
        },
        Case {
            rule: "A subnet without a table of its own has the VPC's main table.",
            page: SUBNETS,
            change: |t| {
                let vpc = t.vpc("vpc-a");
                vpc.route_tables[1].id = "rtb-forgotten".into();
                vpc.subnets[1].route_table = "rtb-public".into();
            },
            from: "eni-task",
            to: "198.19.0.10",
            traffic: "tcp 443",
            expected: "forward IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS igw",
        },
        Case {
            rule: "Only the sender's subnet's table says where a packet goes.",
            page: SUBNETS,
            change: |t| t.routes("rtb-public").clear(),
            from: "eni-task",
            to: "eni-b",
            traffic: "tcp 8080",
            expected: "yes",
        },
        Case {
            rule: "An address of the range that no interface has is nobody's.",
            page: TABLES,
            change: |_| (),
            from: "eni-task",
            to: "10.0.10.77",
            traffic: "tcp 80",
            expected: "forward NO_POSSIBLE_DESTINATION rtb-private",
        },
        Case {
            rule: "With source/destination check an interface may send from its own address alone.",
            page: ENIS,
            change: |_| (),
            from: "eni-task as 10.0.10.30",
            to: "eni-task2",
            traffic: "tcp 3000",
            expected: "forward ENI_SOURCE_DEST_CHECK_RESTRICTION eni-task",
        },
        Case {
            rule: "Without the check it may send from others, and the groups decide.",
            page: ENIS,
            change: |t| t.eni("eni-task").source_dest_check = false,
            from: "eni-task as 10.0.10.99",
            to: "eni-task2",
            traffic: "tcp 3000",
            expected: "forward ENI_SG_RULES_MISMATCH groups of eni-task2 ingress",
        },
        Case {
            rule: "A route to an interface whose check is on is of no use: it takes only what is for its own address.",
            page: ENIS,
            change: |t| {
                t.routes("rtb-private").push(route("192.168.0.0/16", "eni-lb"));
                t.group("sg-lb").ingress = vec![all("0.0.0.0/0")];
            },
            from: "eni-task",
            to: "192.168.1.1",
            traffic: "tcp 80",
            expected: "forward ENI_SOURCE_DEST_CHECK_RESTRICTION eni-lb",
        },
    ]);
}
