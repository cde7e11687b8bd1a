//! The service as its clients call it.

mod default_vpc;
mod dhcp_options;
mod network_acl;
mod network_insights;
mod own_interface;
mod prefix_list;
mod route;
mod vpc_cidr_block;
mod vpc_endpoint;
mod vpc_peering;

use std::sync::Arc;

use desired::{InterfaceKind, Observation, VpcStatus};
use types::{PartId, Region, SecurityGroupId, Timestamp, VpcId};

use crate::ec2::interface::{self, NetworkInterface, NewInterface};
use crate::ec2::{nat_gateway, route_table, security_group, subnet, vpc};
use crate::testing::{Fixture, element, settings};
use crate::{Context, Principal, Service};

/// A VPC as the tests need it.
struct Stack {
    fixture: Fixture,
    vpc: String,
    subnet: String,
    gateway: String,
    table: String,
    allocation: String,
    group: String,
}

impl Stack {
    fn new() -> Self {
        let fixture = Fixture::new();
        let make = |action: &str, body: &str, name: &str| {
            element(&fixture.ok(Service::Ec2, action, body), name).to_owned()
        };
        let vpc = make("CreateVpc", "CidrBlock=10.194.0.0/16", "vpcId");
        let subnet = make(
            "CreateSubnet",
            &format!("VpcId={vpc}&CidrBlock=10.194.0.0/24&AvailabilityZone=ap-northeast-2a"),
            "subnetId",
        );
        let gateway = make("CreateInternetGateway", "", "internetGatewayId");
        let table = make("CreateRouteTable", &format!("VpcId={vpc}"), "routeTableId");
        let allocation = make("AllocateAddress", "Domain=vpc", "allocationId");
        let group = make(
            "CreateSecurityGroup",
            &format!("VpcId={vpc}&GroupName=app&GroupDescription=Managed"),
            "groupId",
        );
        fixture.ok(
            Service::Ec2,
            "AttachInternetGateway",
            &format!("InternetGatewayId={gateway}&VpcId={vpc}"),
        );
        Self { fixture, vpc, subnet, gateway, table, allocation, group }
    }

    /// Replaces `{vpc}`, `{subnet}`… in a body.
    fn fill(&self, body: &str) -> String {
        [
            ("{vpc}", &self.vpc),
            ("{subnet}", &self.subnet),
            ("{gateway}", &self.gateway),
            ("{table}", &self.table),
            ("{allocation}", &self.allocation),
            ("{group}", &self.group),
        ]
        .into_iter()
        .fold(body.to_owned(), |body, (name, value)| body.replace(name, value))
    }

    #[track_caller]
    fn ok(&self, action: &str, body: &str) -> String {
        self.fixture.ok(Service::Ec2, action, &self.fill(body))
    }

    /// The call must fail with this code, and say these words.
    #[track_caller]
    fn refused(&self, action: &str, body: &str, code: &str, words: &str) {
        let (status, text) = self.fixture.call(Service::Ec2, action, &self.fill(body));
        let text = text.replace("&apos;", "'").replace("&quot;", "\"");
        assert_ne!(status, 200, "{action} {body}: {text}");
        assert_eq!(element(&text, "Code"), code, "{action} {body}: {text}");
        let words = self.fill(words);
        assert!(element(&text, "Message").contains(&words), "{action} {body}: {text}, not {words}");
    }

    fn context(&self) -> Context {
        Context {
            settings: Arc::new(settings()),
            account: settings().account,
            region: Region::new("ap-northeast-2").unwrap(),
            principal: Principal::Root,
            through: None,
            now: Timestamp::now(),
            machine: self.fixture.api.machine.clone(),
            request_id: "test".to_owned(),
        }
    }

    fn interface(
        &self,
        groups: Vec<String>,
        public_address: bool,
    ) -> Result<Arc<NetworkInterface>, wire::ApiError> {
        let (context, subnet) = (self.context(), self.subnet.clone());
        self.fixture
            .api
            .store
            .write(move |rows| {
                let new = NewInterface {
                    subnet: &subnet,
                    security_groups: &groups,
                    description: "ELB app/x/1".to_owned(),
                    kind: InterfaceKind::LoadBalancer,
                    public_address,
                    requester: "amazon-elb",
                };
                interface::create(rows, &context, new)
            })
            .unwrap()
    }

    fn delete_interface(&self, interface: &NetworkInterface) {
        let (context, id) = (self.context(), interface.id.to_string());
        let deleted: Result<(), wire::ApiError> = self
            .fixture
            .api
            .store
            .write(move |rows| {
                interface::delete(rows, &context, &id);
                Ok(())
            })
            .unwrap();
        deleted.unwrap();
    }

    fn applied(&self, generation: u64, error: Option<&str>) {
        self.fixture.api.machine.observe(Observation::Vpc(VpcStatus {
            vpc: VpcId::from(self.vpc.as_str()),
            generation,
            error: error.map(str::to_owned),
        }));
    }

    fn sequence(&self) -> u64 {
        self.fixture.api.store.snapshot().sequence()
    }
}

#[test]
fn an_id_that_is_no_security_groups_is_malformed() {
    let stack = Stack::new();
    for (action, body) in [
        ("DescribeSecurityGroups", "GroupId.1=web"),
        ("DeleteSecurityGroup", "GroupId=web"),
        ("CreateNetworkInterface", "SubnetId={subnet}&SecurityGroupId.1=web"),
    ] {
        stack.refused(action, body, "InvalidGroupId.Malformed", "Invalid id: \"web\" (expecting \"sg-...\")");
    }
    stack.refused(
        "DescribeSecurityGroups",
        "GroupId.1=sg-1",
        "InvalidGroup.NotFound",
        "'sg-1' does not exist",
    );
}

#[test]
fn each_listing_takes_the_page_sizes_that_ec2_documents_for_it() {
    let stack = Stack::new();
    for (action, least, greatest) in [
        ("DescribeVpcs", 5, 1000),
        ("DescribeRouteTables", 5, 100),
        ("DescribeManagedPrefixLists", 1, 100),
        ("DescribeNetworkInsightsPaths", 1, 100),
        ("DescribeNetworkInsightsAnalyses", 1, 100),
        ("DescribeEgressOnlyInternetGateways", 5, 255),
        ("DescribeAddressesAttribute", 1, 1000),
    ] {
        let rest = if action == "DescribeAddressesAttribute" { "&Attribute=domain-name" } else { "" };
        let sized = |size: i32| format!("MaxResults={size}{rest}");
        stack.ok(action, &sized(least));
        stack.ok(action, &sized(greatest));
        let code = "InvalidParameterValue";
        let words = format!("Expecting a value greater than or equal to {least}.");
        stack.refused(action, &sized(least - 1), code, &words);
        let words = format!("Expecting a value less than or equal to {greatest}.");
        stack.refused(action, &sized(greatest + 1), code, &words);
    }
}

#[test]
fn what_aws_refuses_is_refused_in_its_words() {
    let stack = Stack::new();
    stack.ok("AssociateRouteTable", "RouteTableId={table}&SubnetId={subnet}");
    stack.ok("CreateRoute", "RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}");
    let web = "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=80&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0";
    stack.ok("AuthorizeSecurityGroupIngress", web);
    let prefix_list = format!("{web}&IpPermissions.1.PrefixListIds.1.PrefixListId=pl-1");
    let port_99 = web.replace("=80", "=99");
    for (action, body, code, words) in [
        ("CreateVpc", "CidrBlock=10.0.0.0/8", "InvalidVpc.Range", "The CIDR '10.0.0.0/8' is invalid."),
        ("CreateVpc", "CidrBlock=169.254.0.0/24", "InvalidVpc.Range", "169.254.0.0/24"),
        (
            "CreateVpc",
            "CidrBlock=10.0.0.0",
            "InvalidParameterValue",
            "Value (10.0.0.0) for parameter cidrBlock",
        ),
        (
            "CreateVpc",
            "CidrBlock=10.0.0.0/16&InstanceTenancy=dedicated",
            "InvalidParameterValue",
            "InstanceTenancy",
        ),
        ("CreateVpc", "CidrBlock=10.0.0.0/16&Ipv4IpamPoolId=x", "UnknownParameter", "Ipv4IpamPoolId"),
        ("CreateVpc", "CidrBlock=10.0.0.0/16&DryRun=true", "DryRunOperation", "would have succeeded"),
        ("DescribeVpcs", "VpcId.1=vpc-1", "InvalidVpcID.NotFound", "The vpc ID 'vpc-1' does not exist"),
        (
            "DescribeVpcs",
            "Filter.1.Name=x&Filter.1.Value.1=y",
            "InvalidParameterValue",
            "The filter 'x' is invalid",
        ),
        ("DescribeVpcs", "MaxResults=4", "InvalidParameterValue", "greater than or equal to 5"),
        ("DescribeVpcs", "NextToken=zzz", "InvalidPaginationToken", "not valid"),
        ("DescribeVpcAttribute", "VpcId={vpc}&Attribute=x", "InvalidParameterValue", "(x)"),
        (
            "DeleteVpc",
            "VpcId={vpc}",
            "DependencyViolation",
            "The vpc '{vpc}' has dependencies and cannot be deleted.",
        ),
        (
            "CreateSubnet",
            "VpcId={vpc}&CidrBlock=10.194.0.128/25",
            "InvalidSubnet.Conflict",
            "conflicts with another subnet",
        ),
        ("CreateSubnet", "VpcId={vpc}&CidrBlock=10.195.0.0/24", "InvalidSubnet.Range", "10.195.0.0/24"),
        (
            "CreateSubnet",
            "VpcId={vpc}&CidrBlock=10.194.9.0/24&AvailabilityZone=us-east-1a",
            "InvalidParameterValue",
            "ap-northeast-2a, ap-northeast-2b",
        ),
        (
            "ModifySubnetAttribute",
            "SubnetId={subnet}&EnableDns64.Value=true",
            "InvalidParameterValue",
            "EnableDns64",
        ),
        (
            "AttachInternetGateway",
            "InternetGatewayId={gateway}&VpcId={vpc}",
            "Resource.AlreadyAssociated",
            "is already attached to network {vpc}",
        ),
        (
            "DetachInternetGateway",
            "InternetGatewayId=igw-1&VpcId={vpc}",
            "InvalidInternetGatewayID.NotFound",
            "The internetGateway ID 'igw-1' does not exist",
        ),
        (
            "DeleteInternetGateway",
            "InternetGatewayId={gateway}",
            "DependencyViolation",
            "The internetGateway '{gateway}' has dependencies",
        ),
        (
            "CreateRoute",
            "RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}",
            "RouteAlreadyExists",
            "The route identified by 0.0.0.0/0 already exists.",
        ),
        (
            "CreateRoute",
            "RouteTableId={table}&DestinationCidrBlock=10.194.1.0/24&GatewayId={gateway}",
            "InvalidParameterValue",
            "equal to or more specific",
        ),
        (
            "CreateRoute",
            "RouteTableId=rtb-1&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}",
            "InvalidRouteTableID.NotFound",
            "The routeTable ID 'rtb-1' does not exist",
        ),
        (
            "CreateRoute",
            "RouteTableId={table}&DestinationCidrBlock=1.0.0.0/8&TransitGatewayId=tgw-1",
            "UnknownParameter",
            "TransitGatewayId",
        ),
        (
            "CreateRoute",
            "RouteTableId={table}&DestinationCidrBlock=1.0.0.0/8&GatewayId=vgw-1",
            "UnsupportedOperation",
            "vgw-1",
        ),
        (
            "DeleteRoute",
            "RouteTableId={table}&DestinationCidrBlock=10.194.0.0/16",
            "InvalidParameterValue",
            "cannot remove local route",
        ),
        (
            "DeleteRoute",
            "RouteTableId={table}&DestinationCidrBlock=1.0.0.0/8",
            "InvalidRoute.NotFound",
            "no route with destination-cidr-block 1.0.0.0/8",
        ),
        (
            "DeleteRouteTable",
            "RouteTableId={table}",
            "DependencyViolation",
            "The routeTable '{table}' has dependencies",
        ),
        ("DisassociateRouteTable", "AssociationId=rtbassoc-1", "InvalidAssociationID.NotFound", "rtbassoc-1"),
        (
            "CreateSecurityGroup",
            "VpcId={vpc}&GroupName=app&GroupDescription=x",
            "InvalidGroup.Duplicate",
            "The security group 'app' already exists for VPC '{vpc}'",
        ),
        (
            "CreateSecurityGroup",
            "VpcId={vpc}&GroupName=sg-x&GroupDescription=x",
            "InvalidParameterValue",
            "may not be in the format sg-*",
        ),
        (
            "CreateSecurityGroup",
            "VpcId={vpc}&GroupName=default&GroupDescription=x",
            "InvalidParameterValue",
            "reserved",
        ),
        (
            "AuthorizeSecurityGroupIngress",
            web,
            "InvalidPermission.Duplicate",
            "the specified rule \"peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW\" already exists",
        ),
        (
            "AuthorizeSecurityGroupIngress",
            prefix_list.as_str(),
            "InvalidPrefixListID.NotFound",
            "The prefix list (pl-1) does not exist.",
        ),
        (
            "RevokeSecurityGroupIngress",
            port_99.as_str(),
            "InvalidPermission.NotFound",
            "The specified rule does not exist in this security group.",
        ),
        (
            "RevokeSecurityGroupEgress",
            web,
            "InvalidPermission.NotFound",
            "does not exist in this security group",
        ),
        (
            "DescribeSecurityGroupRules",
            "SecurityGroupRuleId.1=sgr-1",
            "InvalidSecurityGroupRuleId.NotFound",
            "sgr-1",
        ),
        (
            "ReleaseAddress",
            "AllocationId=eipalloc-1",
            "InvalidAllocationID.NotFound",
            "The allocation ID 'eipalloc-1' does not exist",
        ),
        (
            "CreateNatGateway",
            "SubnetId={subnet}&AllocationId=eipalloc-1",
            "InvalidAllocationID.NotFound",
            "eipalloc-1",
        ),
        ("DeleteNatGateway", "NatGatewayId=nat-1", "NatGatewayNotFound", "NatGateway nat-1 was not found"),
        (
            "CreateTags",
            "ResourceId.1={vpc}&Tag.1.Key=aws:x&Tag.1.Value=",
            "InvalidParameterValue",
            "reserved",
        ),
        ("CreateTags", "ResourceId.1=i-1&Tag.1.Key=x&Tag.1.Value=", "InvalidID", "The ID 'i-1' is not valid"),
    ] {
        stack.refused(action, body, code, words);
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let stack = Stack::new();
    let before = stack.ok("DescribeTags", "");
    let sequence = stack.sequence();
    stack.refused("CreateTags", "ResourceId.1={vpc}&Tag.1.Key=a&DryRun=true", "DryRunOperation", "");
    stack.refused("DeleteVpc", "VpcId={vpc}&DryRun=true", "DependencyViolation", "");
    assert_eq!((stack.ok("DescribeTags", ""), stack.sequence()), (before, sequence));
}

#[test]
fn a_new_group_lets_all_out_and_the_default_group_its_own_in() {
    let stack = Stack::new();
    let text = stack.ok("DescribeSecurityGroups", "GroupId.1={group}");
    assert!(text.contains("<ipPermissions></ipPermissions>"), "{text}");
    assert!(text.contains("<cidrIp>0.0.0.0/0</cidrIp>"), "{text}");
    let text = stack.ok("DescribeSecurityGroups", "Filter.1.Name=group-name&Filter.1.Value.1=default");
    let id = element(&text, "groupId").to_owned();
    assert_eq!(
        text.matches(&format!("<groupId>{id}</groupId>")).count(),
        2,
        "itself and its rule's peer: {text}"
    );
}

#[test]
fn a_group_that_is_worn_or_referred_to_stays() {
    let stack = Stack::new();
    let other = stack.ok("CreateSecurityGroup", "VpcId={vpc}&GroupName=lb&GroupDescription=x");
    let other = element(&other, "groupId");
    let rule = format!(
        "GroupId={other}&IpPermissions.1.IpProtocol=-1&IpPermissions.1.Groups.1.GroupId={{group}}&IpPermissions.1.FromPort=0&IpPermissions.1.ToPort=0"
    );
    stack.ok("AuthorizeSecurityGroupIngress", &rule);
    let words = "resource {group} has a dependent object";
    stack.refused("DeleteSecurityGroup", "GroupId={group}", "DependencyViolation", words);
    stack.ok("RevokeSecurityGroupIngress", &rule);
    let interface = stack.interface(vec![stack.group.clone()], false).unwrap();
    stack.refused("DeleteSecurityGroup", "GroupId={group}", "DependencyViolation", words);
    stack.delete_interface(&interface);
    stack.ok("DeleteSecurityGroup", "GroupId={group}");
}

#[test]
fn a_group_has_at_most_sixty_rules_a_direction() {
    let stack = Stack::new();
    let ranges = |from: usize, count: usize| {
        let range = |n: usize| format!("&IpPermissions.1.IpRanges.{n}.CidrIp=10.0.{}.0/24", from + n);
        let ranges: String = (1..=count).map(range).collect();
        format!("GroupId={{group}}&IpPermissions.1.IpProtocol=-1{ranges}")
    };
    stack.ok("AuthorizeSecurityGroupIngress", &ranges(0, 60));
    stack.refused("AuthorizeSecurityGroupIngress", &ranges(60, 1), "RulesPerSecurityGroupLimitExceeded", "");
    stack.ok("RevokeSecurityGroupIngress", &ranges(0, 1));
    stack.ok("AuthorizeSecurityGroupIngress", &ranges(60, 1));
}

#[test]
fn a_nat_gateway_is_available_when_the_machine_has_it() {
    let stack = Stack::new();
    let id = stack.ok("CreateNatGateway", "SubnetId={subnet}&AllocationId={allocation}&ClientToken=t");
    let id = element(&id, "natGatewayId").to_owned();
    let state = || {
        let text = stack.ok("DescribeNatGateways", &format!("NatGatewayId.1={id}"));
        (element(&text, "state").to_owned(), text)
    };
    let made = stack.sequence();
    assert_eq!(state().0, "pending");
    stack.applied(made - 1, Some("out of memory"));
    assert_eq!(state().0, "pending", "the error may be an earlier change's");
    stack.applied(made, None);
    assert_eq!(state().0, "available");
    let again = stack.ok("CreateNatGateway", "SubnetId={subnet}&AllocationId={allocation}&ClientToken=t");
    assert_eq!(element(&again, "natGatewayId"), id, "one token, one gateway");

    stack.refused("ReleaseAddress", "AllocationId={allocation}", "InvalidIPAddress.InUse", "is in use");
    let words = "Network {vpc} has some mapped public address(es).";
    stack.refused(
        "DetachInternetGateway",
        "InternetGatewayId={gateway}&VpcId={vpc}",
        "DependencyViolation",
        words,
    );
    let association = stack.ok("DescribeAddresses", "AllocationId.1={allocation}");
    let association = format!("AssociationId={}", element(&association, "associationId"));
    stack.refused("DisassociateAddress", &association, "AuthFailure", "permission");

    stack.ok("DeleteNatGateway", &format!("NatGatewayId={id}"));
    assert_eq!(state().0, "deleting");
    stack.applied(stack.sequence(), None);
    let (shown, text) = state();
    assert_eq!(shown, "deleted");
    assert!(text.contains("<deleteTime>"), "{text}");
    stack.refused("DisassociateAddress", &association, "InvalidAssociationID.NotFound", "");
    stack.ok("ReleaseAddress", "AllocationId={allocation}");
    stack.ok("DetachInternetGateway", "InternetGatewayId={gateway}&VpcId={vpc}");
}

#[test]
fn a_nat_gateway_that_the_machine_cannot_make_fails_with_its_words() {
    let stack = Stack::new();
    stack.ok("CreateNatGateway", "SubnetId={subnet}&AllocationId={allocation}");
    let made = stack.sequence();
    let aged: Result<(), wire::ApiError> = stack
        .fixture
        .api
        .store
        .write(|rows| {
            let gateway = rows.scan::<nat_gateway::NatGateway>("").next().unwrap();
            let created_at = Timestamp::from_millis(gateway.created_at.as_millis() - 60_000);
            rows.put(nat_gateway::NatGateway { created_at, ..(*gateway).clone() });
            Ok(())
        })
        .unwrap();
    aged.unwrap();
    assert_eq!(element(&stack.ok("DescribeNatGateways", ""), "state"), "pending", "nothing is reported yet");
    stack.applied(made - 1, Some("the kernel has no nf_tables"));
    let text = stack.ok("DescribeNatGateways", "");
    assert_eq!(element(&text, "state"), "failed");
    assert_eq!(element(&text, "failureMessage"), "the kernel has no nf_tables");
}

#[test]
fn a_nat_gateway_without_a_way_out_fails() {
    let stack = Stack::new();
    stack.ok("DetachInternetGateway", "InternetGatewayId={gateway}&VpcId={vpc}");
    let text = stack.ok("CreateNatGateway", "SubnetId={subnet}&AllocationId={allocation}");
    assert_eq!(element(&text, "state"), "failed");
    assert_eq!(element(&text, "failureCode"), "Gateway.NotAttached");
    assert!(element(&text, "failureMessage").contains("has no Internet gateway attached"));
    stack.ok("ReleaseAddress", "AllocationId={allocation}");
    // The machine knew nothing of it, and tells nothing of its end.
    stack.applied(1, None);
    let id = element(&text, "natGatewayId").to_owned();
    stack.ok("DeleteNatGateway", &format!("NatGatewayId={id}"));
    let text = stack.ok("DescribeNatGateways", &format!("NatGatewayId.1={id}"));
    assert_eq!(element(&text, "state"), "deleted");
}

#[test]
fn a_settled_gateway_stays_available_and_an_old_one_is_forgotten() {
    let stack = Stack::new();
    stack.ok("CreateNatGateway", "SubnetId={subnet}&AllocationId={allocation}&TagSpecification.1.ResourceType=natgateway&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=x");
    stack.applied(stack.sequence(), None);
    let settle = |later: u64| {
        let machine = stack.fixture.api.machine.clone();
        let now = Timestamp::now().plus(std::time::Duration::from_secs(later));
        let unsettled =
            nat_gateway::is_unsettled(&stack.fixture.api.store.snapshot(), &machine.reports(), now);
        let written: Result<(), wire::ApiError> = stack
            .fixture
            .api
            .store
            .write(move |rows| {
                nat_gateway::settle(rows, &machine.reports(), now);
                Ok(())
            })
            .unwrap();
        written.unwrap();
        unsettled
    };
    assert!(settle(0));
    assert!(!settle(0), "nothing is left to do");
    // As after a restart: the machine has not told anything yet.
    let part = PartId::Vpc(VpcId::from(stack.vpc.as_str()));
    stack.fixture.api.machine.observe(Observation::Removed { part });
    let text = stack.ok("DescribeNatGateways", "");
    assert_eq!(element(&text, "state"), "available");
    stack.ok("DeleteNatGateway", &format!("NatGatewayId={}", element(&text, "natGatewayId")));
    assert!(!settle(3_000));
    assert!(settle(4_000));
    assert!(!stack.ok("DescribeNatGateways", "").contains("nat-"));
    assert!(!stack.ok("DescribeTags", "").contains("nat-"));
}

#[test]
fn interfaces_get_free_addresses_and_give_them_back() {
    let stack = Stack::new();
    let small = stack.ok("CreateSubnet", "VpcId={vpc}&CidrBlock=10.194.7.0/28");
    let stack = Stack { subnet: element(&small, "subnetId").to_owned(), ..stack };
    let all: Vec<_> = (0..11).map(|_| stack.interface(Vec::new(), true).unwrap()).collect();
    let mut hosts: Vec<u8> = all.iter().map(|interface| interface.private_address.octets()[3]).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, (4..15).collect::<Vec<u8>>(), "the first four and the last are AWS's");
    let publics: std::collections::BTreeSet<_> = all.iter().map(|one| one.public_address.unwrap()).collect();
    assert_eq!(publics.len(), all.len());
    assert!(publics.iter().all(|address| address.octets()[..2] == [198, 18]));
    let macs: std::collections::BTreeSet<_> = all.iter().map(|one| one.mac).collect();
    assert_eq!(macs.len(), all.len());
    assert_eq!(stack.interface(Vec::new(), true).unwrap_err().code, "InsufficientFreeAddressesInSubnet");
    let text = stack.ok("DescribeSubnets", "SubnetId.1={subnet}");
    assert_eq!(element(&text, "availableIpAddressCount"), "0");
    stack.delete_interface(&all[3]);
    assert_eq!(stack.interface(Vec::new(), false).unwrap().private_address, all[3].private_address);
    stack.refused("DeleteSubnet", "SubnetId={subnet}", "DependencyViolation", "The subnet '{subnet}'");
    let words = "some mapped public address(es)";
    stack.refused(
        "DetachInternetGateway",
        "InternetGatewayId={gateway}&VpcId={vpc}",
        "DependencyViolation",
        words,
    );
}

#[test]
fn an_interface_without_groups_wears_the_default_one_and_no_foreign_one() {
    let stack = Stack::new();
    let interface = stack.interface(Vec::new(), false).unwrap();
    let (context, rows) = (stack.context(), stack.fixture.api.store.snapshot());
    let default = security_group::default_of(&rows, &context, &stack.vpc).unwrap();
    assert_eq!(interface.security_groups, std::slice::from_ref(&default.id));
    let other = stack.ok("CreateVpc", "CidrBlock=10.195.0.0/16");
    let rows = stack.fixture.api.store.snapshot();
    let foreign = security_group::default_of(&rows, &context, element(&other, "vpcId")).unwrap();
    let refused = stack.interface(vec![foreign.id.to_string()], false).unwrap_err();
    assert_eq!(refused.code, "InvalidParameter");
    let groups: Vec<String> = vec![SecurityGroupId::mint().to_string()];
    assert_eq!(stack.interface(groups, false).unwrap_err().code, "InvalidGroup.NotFound");
    assert_eq!(
        subnet::zone_of(&rows, &context, &stack.vpc, interface.private_address).unwrap(),
        "ap-northeast-2a"
    );
}

#[test]
fn a_service_s_interface_is_shown_as_its_own() {
    let stack = Stack::new();
    let interface = stack.interface(vec![stack.group.clone()], true).unwrap();
    let text = stack.ok("DescribeNetworkInterfaces", "Filter.1.Name=description&Filter.1.Value.1=ELB app/*");
    for (name, value) in [
        ("networkInterfaceId", interface.id.as_str()),
        ("requesterId", "amazon-elb"),
        ("requesterManaged", "true"),
        ("interfaceType", "interface"),
        ("groupName", "app"),
        ("ipOwnerId", "amazon-elb"),
        ("status", "in-use"),
    ] {
        assert_eq!(element(&text, name), value, "{text}");
    }
    assert!(!text.contains("publicDnsName"), "{text}");
    stack.ok("ModifyVpcAttribute", "VpcId={vpc}&EnableDnsHostnames.Value=true");
    let text = stack.ok("DescribeNetworkInterfaces", "Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}");
    assert!(element(&text, "publicDnsName").starts_with("ec2-198-18-"), "{text}");
}

#[test]
fn a_deleted_vpc_leaves_nothing_but_the_region_s_dhcp_options() {
    let stack = Stack::new();
    stack.ok("CreateTags", "ResourceId.1={vpc}&ResourceId.2={group}&Tag.1.Key=Name&Tag.1.Value=x");
    for (action, body) in [
        ("DeleteSecurityGroup", "GroupId={group}"),
        ("DeleteRouteTable", "RouteTableId={table}"),
        ("DetachInternetGateway", "InternetGatewayId={gateway}&VpcId={vpc}"),
        ("DeleteInternetGateway", "InternetGatewayId={gateway}"),
        ("ReleaseAddress", "AllocationId={allocation}"),
        ("DeleteSubnet", "SubnetId={subnet}"),
        ("DeleteVpc", "VpcId={vpc}"),
    ] {
        stack.ok(action, body);
    }
    let rows = stack.fixture.api.store.snapshot();
    // What is left is the default VPC's.
    assert_eq!(rows.scan::<vpc::Vpc>("").count(), 1);
    assert_eq!(rows.scan::<route_table::RouteTable>("").count(), 1);
    assert_eq!(rows.scan::<security_group::SecurityGroup>("").count(), 1);
    assert_eq!(rows.scan::<super::security_group_rule::SecurityGroupRule>("").count(), 2);
    assert_eq!(rows.scan::<super::network_acl::NetworkAcl>("").count(), 1);
    assert_eq!(rows.scan::<super::tag::TagSet>("").count(), 0);
    assert_eq!(rows.scan::<super::public_address::PublicAddress>("").count(), 0);
}

#[test]
fn a_number_is_never_given_twice() {
    let stack = Stack::new();
    let (context, next) = (stack.context(), |cidr: &str| {
        let text = stack.ok("CreateSubnet", &format!("VpcId={{vpc}}&CidrBlock={cidr}"));
        element(&text, "subnetId").to_owned()
    });
    let number = |id: &str| subnet::get(&stack.fixture.api.store.snapshot(), &context, id).unwrap().number;
    let second = next("10.194.1.0/24");
    let (a, b) = (number(&stack.subnet), number(&second));
    stack.ok("DeleteSubnet", &format!("SubnetId={second}"));
    let third = number(&next("10.194.1.0/24"));
    assert_eq!((a, b, third), (1, 2, 3));
}

#[test]
fn tags_are_found_changed_and_paged() {
    let stack = Stack::new();
    let found = |filter: &str| stack.ok("DescribeTags", filter).matches("<item>").count();
    let tags: String = (0..12).map(|n| format!("&Tag.{}.Key=k{n:02}&Tag.{}.Value=v", n + 1, n + 1)).collect();
    stack.ok("CreateTags", &format!("ResourceId.1={{vpc}}{tags}"));
    assert_eq!(found(""), 12);
    assert_eq!(found("Filter.1.Name=key&Filter.1.Value.1=k0*"), 10);
    assert_eq!(found("Filter.1.Name=resource-type&Filter.1.Value.1=subnet"), 0);
    stack.ok("DeleteTags", "ResourceId.1={vpc}&Tag.1.Key=k00&Tag.1.Value=other");
    assert_eq!(found(""), 12, "a tag with another value stays");
    stack.ok("DeleteTags", "ResourceId.1={vpc}&Tag.1.Key=k00");
    let (mut seen, mut token) = (0, String::new());
    loop {
        let text = stack.ok("DescribeTags", &format!("MaxResults=5&NextToken={token}"));
        seen += text.matches("<item>").count();
        if !text.contains("<nextToken>") {
            break;
        }
        token = element(&text, "nextToken").to_owned();
    }
    assert_eq!(seen, 11);
    stack.ok("DeleteTags", "ResourceId.1={vpc}");
    assert_eq!(found(""), 0);
}

#[test]
fn another_region_sees_nothing_of_it() {
    let stack = Stack::new();
    let rows = stack.fixture.api.store.snapshot();
    let context = Context { region: Region::new("us-east-1").unwrap(), ..stack.context() };
    assert_eq!(vpc::get(&rows, &context, &stack.vpc).unwrap_err().code, "InvalidVpcID.NotFound");
}
