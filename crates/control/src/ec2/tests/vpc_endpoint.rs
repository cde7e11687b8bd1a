//! VPC endpoints.

use std::net::Ipv4Addr;

use desired::{EdgeStatus, Observation, RouteTarget};
use types::Timestamp;

use super::Stack;
use crate::ec2::vpc_endpoint::{VpcEndpoint, settle};
use crate::ec2::vpc_endpoint_service::EndpointService;
use crate::testing::{element, settings};

const S3: &str = "com.amazonaws.ap-northeast-2.s3";
const API: &str = "com.amazonaws.ap-northeast-2.ecr.api";

impl Stack {
    /// With both DNS attributes on.
    fn named() -> Self {
        let stack = Self::new();
        stack.ok("ModifyVpcAttribute", "VpcId={vpc}&EnableDnsHostnames.Value=true");
        stack
    }

    fn endpoint(&self, body: &str) -> String {
        element(&self.ok("CreateVpcEndpoint", &format!("VpcId={{vpc}}&{body}")), "vpcEndpointId").to_owned()
    }

    fn shown(&self, endpoint: &str) -> String {
        self.ok("DescribeVpcEndpoints", &format!("VpcEndpointId.1={endpoint}"))
    }

    fn listens(&self, generation: u64) {
        self.fixture
            .api
            .machine
            .observe(Observation::Edge(EdgeStatus { generation, ..EdgeStatus::default() }));
    }

    fn network(&self) -> desired::Vpc {
        let context = self.context();
        let id = self.vpc.as_str().into();
        let rows = self.fixture.api.store.snapshot();
        crate::project::vpc::project(&rows, &context.account, &context.region, &id).unwrap()
    }

    fn edge(&self) -> desired::Edge {
        let rows = self.fixture.api.store.snapshot();
        match crate::project::project(&rows, &settings(), &types::PartId::Edge).unwrap() {
            desired::Body::Edge(edge) => edge,
            other => panic!("{other:?}"),
        }
    }

    fn names(&self) -> desired::Names {
        let rows = self.fixture.api.store.snapshot();
        match crate::project::project(&rows, &settings(), &types::PartId::Names).unwrap() {
            desired::Body::Names(names) => names,
            other => panic!("{other:?}"),
        }
    }
}

/// Each text of an element of this name.
fn all<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).map(|rest| &rest[..rest.find(&close).unwrap()]).collect()
}

#[test]
fn a_gateway_endpoint_is_a_route_that_comes_and_goes_with_its_association() {
    let stack = Stack::new();
    stack.interface(vec![], false).unwrap();
    let id = stack.endpoint(&format!("ServiceName={S3}&RouteTableId.1={{table}}"));
    let shown = stack.shown(&id);
    for (name, text) in [("vpcEndpointType", "Gateway"), ("state", "available"), ("serviceName", S3)] {
        assert_eq!(element(&shown, name), text);
    }
    assert!(
        shown.contains(&format!("<routeTableIdSet><item>{}</item></routeTableIdSet>", stack.table)),
        "{shown}"
    );
    let table = stack.ok("DescribeRouteTables", "RouteTableId.1={table}");
    assert!(table.contains(&format!("<gatewayId>{id}</gatewayId>")), "{table}");
    let list = element(&table, "destinationPrefixListId").to_owned();
    let route = || {
        let network = stack.network();
        let found = network.route_tables.into_iter().find(|one| one.id.as_str() == stack.table).unwrap();
        found.routes
    };
    let [one] = route().try_into().unwrap();
    assert_eq!(one.destination, "198.19.0.12/32".parse().unwrap());
    assert_eq!(one.target, RouteTarget::Endpoint(id.as_str().into()));
    assert_eq!(one.prefix_list.unwrap().as_str(), list);
    assert_eq!(stack.network().gateway_endpoints[0].addresses, [Ipv4Addr::new(198, 19, 0, 12)]);
    let [listener] = stack.edge().vpc_endpoints.try_into().unwrap();
    assert_eq!((listener.namespace.as_str(), listener.address), (id.as_str(), Ipv4Addr::new(198, 19, 0, 12)));
    assert!(listener.names.contains(&"*.s3.ap-northeast-2.amazonaws.com".to_owned()));
    stack.refused(
        "CreateVpcEndpoint",
        &format!("VpcId={{vpc}}&ServiceName={S3}&RouteTableId.1={{table}}"),
        "RouteAlreadyExists",
        &format!("already has a route with destination-prefix-list-id {list}"),
    );
    for action in ["DeleteRoute", "ReplaceRoute"] {
        let target = if action == "ReplaceRoute" { "&GatewayId={gateway}" } else { "" };
        let body = format!("RouteTableId={{table}}&DestinationPrefixListId={list}{target}");
        stack.refused(action, &body, "InvalidParameterValue", &format!("VPC endpoint route {list}"));
    }
    let body = format!("RouteTableId={{table}}&DestinationPrefixListId={list}&GatewayId={{gateway}}");
    stack.refused("CreateRoute", &body, "RouteAlreadyExists", &list);
    stack.refused("DeleteVpc", "VpcId={vpc}", "DependencyViolation", "has dependencies");
    let modify = |body: &str| stack.ok("ModifyVpcEndpoint", &format!("VpcEndpointId={id}&{body}"));
    modify("RemoveRouteTableId.1={table}");
    assert_eq!(route(), []);
    modify("AddRouteTableId.1={table}");
    assert_eq!(route().len(), 1);
    stack.ok("DeleteRouteTable", "RouteTableId={table}");
    assert!(element(&stack.shown(&id), "vpcEndpointId") == id && !stack.shown(&id).contains(&stack.table));
    let deleted = stack.ok("DeleteVpcEndpoints", &format!("VpcEndpointId.1={id}&VpcEndpointId.2=vpce-0"));
    assert_eq!(element(&deleted, "resourceId"), "vpce-0");
    assert_eq!(element(&deleted, "code"), "InvalidVpcEndpointId.NotFound");
    stack.refused(
        "DescribeVpcEndpoints",
        &format!("VpcEndpointId.1={id}"),
        "InvalidVpcEndpointId.NotFound",
        &id,
    );
    assert_eq!(stack.network().gateway_endpoints, []);
}

#[test]
fn an_interface_endpoint_has_an_interface_a_subnet_and_names() {
    let stack = Stack::named();
    let id = stack.endpoint(&format!(
        "VpcEndpointType=Interface&ServiceName={API}&SubnetId.1={{subnet}}&SecurityGroupId.1={{group}}"
    ));
    assert_eq!(element(&stack.shown(&id), "state"), "pending");
    let made = stack.sequence();
    stack.applied(made, None);
    assert_eq!(element(&stack.shown(&id), "state"), "pending", "nobody listens yet");
    stack.fixture.api.machine.observe(Observation::Edge(EdgeStatus {
        generation: made,
        unanswered: [id.as_str().into()].into(),
        ..EdgeStatus::default()
    }));
    assert_eq!(element(&stack.shown(&id), "state"), "pending", "one of its addresses is not answered yet");
    stack.listens(made);
    let shown = stack.shown(&id);
    assert_eq!(element(&shown, "state"), "available");
    let interface = stack.ok("DescribeNetworkInterfaces", "Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}");
    for (name, text) in [
        ("interfaceType", "vpc_endpoint"),
        ("requesterManaged", "true"),
        ("description", &format!("VPC Endpoint Interface {id}")),
    ] {
        assert_eq!(element(&interface, name), text);
    }
    let eni = element(&interface, "networkInterfaceId");
    let address: Ipv4Addr = element(&interface, "privateIpAddress").parse().unwrap();
    assert!(shown.contains(&format!("<networkInterfaceIdSet><item>{eni}</item>")), "{shown}");
    let names = all(&shown, "dnsName");
    let [regional, zonal, private] = names.as_slice() else { panic!("{names:?}") };
    assert!(
        regional.starts_with(&format!("{id}-"))
            && regional.ends_with(".api.ecr.ap-northeast-2.vpce.amazonaws.com")
    );
    assert!(zonal.ends_with("-ap-northeast-2a.api.ecr.ap-northeast-2.vpce.amazonaws.com"));
    assert_eq!(*private, "api.ecr.ap-northeast-2.amazonaws.com");
    let resolved = |name: &str| -> (Vec<Ipv4Addr>, Vec<Ipv4Addr>) {
        let names = stack.names();
        let of = |records: &[desired::Record]| -> Vec<Ipv4Addr> {
            records
                .iter()
                .filter(|record| record.name == name)
                .flat_map(|record| record.addresses.clone())
                .collect()
        };
        (of(&names.vpcs[0].records), of(&names.public))
    };
    assert_eq!(resolved(private), (vec![address], vec![Ipv4Addr::new(198, 19, 0, 10)]));
    for name in [regional, zonal] {
        assert_eq!(resolved(name), (vec![], vec![address]), "an endpoint's own names are public");
    }
    let [listener] = stack.edge().vpc_endpoints.try_into().unwrap();
    assert_eq!((listener.namespace.as_str(), listener.address), (eni, address));
    assert!(names.iter().all(|name| listener.names.iter().any(|one| one == name)), "{listener:?}");
    assert_eq!(stack.network().interfaces[0].kind, desired::InterfaceKind::Endpoint);
    stack.ok("ModifyVpcAttribute", "VpcId={vpc}&EnableDnsHostnames.Value=false");
    assert_eq!(resolved(private).0, Vec::<Ipv4Addr>::new(), "private DNS needs the VPC's attribute");
    stack.ok("ModifyVpcAttribute", "VpcId={vpc}&EnableDnsHostnames.Value=true");
    stack.ok("ModifyVpcEndpoint", &format!("VpcEndpointId={id}&PrivateDnsEnabled=false"));
    assert_eq!(resolved(private).0, Vec::<Ipv4Addr>::new());
    stack.refused(
        "ModifyVpcEndpoint",
        &format!("VpcEndpointId={id}&RemoveSecurityGroupId.1={{group}}"),
        "InvalidParameter",
        "at least one security group",
    );
    stack.ok("DeleteVpcEndpoints", &format!("VpcEndpointId.1={id}"));
    assert_eq!(element(&stack.shown(&id), "state"), "deleting");
    assert!(stack.edge().vpc_endpoints.is_empty());
    stack.applied(stack.sequence(), None);
    stack.refused(
        "DescribeVpcEndpoints",
        &format!("VpcEndpointId.1={id}"),
        "InvalidVpcEndpointId.NotFound",
        &id,
    );
    let machine = stack.fixture.api.machine.clone();
    let settled: Result<(), wire::ApiError> = stack
        .fixture
        .api
        .store
        .write(move |rows| {
            settle(rows, &machine.reports(), Timestamp::now());
            Ok(())
        })
        .unwrap();
    settled.unwrap();
    assert_eq!(stack.fixture.api.store.snapshot().scan::<VpcEndpoint>("").count(), 0);
}

#[test]
fn the_interfaces_of_an_endpoint_follow_its_subnets_and_groups() {
    let stack = Stack::named();
    let make = |cidr: &str, zone: &str| {
        let body = format!("VpcId={{vpc}}&CidrBlock={cidr}&AvailabilityZone={zone}");
        element(&stack.ok("CreateSubnet", &body), "subnetId").to_owned()
    };
    let (same, other) = (make("10.194.1.0/24", "ap-northeast-2a"), make("10.194.2.0/24", "ap-northeast-2c"));
    let id = stack.endpoint(&format!("VpcEndpointType=Interface&ServiceName={API}"));
    assert_eq!(element(&stack.shown(&id), "state"), "available", "there is nothing to wait for");
    let modify = |body: &str| stack.ok("ModifyVpcEndpoint", &format!("VpcEndpointId={id}&{body}"));
    modify(
        "AddSubnetId.1={subnet}&SubnetConfiguration.1.SubnetId={subnet}&SubnetConfiguration.1.Ipv4=10.194.0.77",
    );
    assert_eq!(element(&stack.shown(&id), "state"), "pending");
    assert_eq!(stack.network().interfaces[0].address, Ipv4Addr::new(10, 194, 0, 77));
    stack.refused(
        "ModifyVpcEndpoint",
        &format!("VpcEndpointId={id}&AddSubnetId.1={same}"),
        "DuplicateSubnetsInSameZone",
        &same,
    );
    modify(&format!("AddSubnetId.1={other}&AddSecurityGroupId.1={{group}}"));
    let groups: Vec<usize> = stack.network().interfaces.iter().map(|one| one.security_groups.len()).collect();
    assert_eq!(groups, [2, 2], "the default group and the added one, on both");
    modify("RemoveSubnetId.1={subnet}");
    let network = stack.network();
    assert_eq!(network.interfaces.len(), 1);
    assert_eq!(network.interfaces[0].subnet.as_str(), other);
}

#[test]
fn an_endpoint_that_could_not_work_is_refused() {
    let stack = Stack::new();
    let check = |body: &str, code: &str, words: &str| {
        stack.refused("CreateVpcEndpoint", &format!("VpcId={{vpc}}&{body}"), code, words);
    };
    let interface = format!("VpcEndpointType=Interface&ServiceName={API}");
    check(&interface, "InvalidParameter", "requires both enableDnsSupport and enableDnsHostnames");
    stack.ok("ModifyVpcAttribute", "VpcId={vpc}&EnableDnsHostnames.Value=true");
    stack.endpoint(&interface);
    check(&interface, "InvalidParameter", "conflicting DNS domain for api.ecr.ap-northeast-2.amazonaws.com");
    stack.endpoint(&format!("{interface}&PrivateDnsEnabled=false"));
    check(
        &format!("ServiceName={API}"),
        "InvalidParameter",
        "Endpoint type (Gateway) does not match available service types ([Interface]).",
    );
    check("ServiceName=com.amazonaws.eu-west-1.s3", "InvalidServiceName", "does not exist");
    check(
        "ServiceName=com.amazonaws.ap-northeast-2.dynamodb",
        "UnsupportedOperation",
        "com.amazonaws.ap-northeast-2.dynamodb",
    );
    // What an agent on EC2 instances would ask is asked by nobody on Fargate.
    let agent = "VpcEndpointType=Interface&ServiceName=com.amazonaws.ap-northeast-2.ecs-agent";
    check(agent, "UnsupportedOperation", "com.amazonaws.ap-northeast-2.ecs-agent");
    for kind in ["GatewayLoadBalancer", "Resource", "ServiceNetwork"] {
        check(&format!("VpcEndpointType={kind}&ServiceName={S3}"), "UnsupportedOperation", kind);
    }
    check(&format!("ServiceName={S3}&RouteTableId.1=rtb-1"), "InvalidRouteTableId.NotFound", "rtb-1");
    check(&format!("ServiceName={S3}&PrivateDnsEnabled=true"), "InvalidParameter", "Private DNS");
    let s3 = format!("VpcEndpointType=Interface&ServiceName={S3}&SubnetId.1={{subnet}}");
    check(&s3, "InvalidParameter", "must have a Gateway endpoint for the service");
    stack.endpoint(&format!("{s3}&DnsOptions.PrivateDnsOnlyForInboundResolverEndpoint=false"));
    let private = |stack: &Stack| {
        let names = stack.names();
        names.vpcs[0].records.iter().any(|record| record.name == "*.s3.ap-northeast-2.amazonaws.com")
    };
    assert!(private(&stack));
    check(&format!("{s3}&DnsOptions.DnsRecordIpType=dualstack"), "InvalidParameterValue", "ipv4");
}

#[test]
fn an_s3_endpoint_for_inbound_resolvers_alone_leaves_the_vpcs_own_names_to_its_gateway_endpoint() {
    let stack = Stack::named();
    stack.endpoint(&format!("ServiceName={S3}"));
    let id = stack.endpoint(&format!("VpcEndpointType=Interface&ServiceName={S3}&SubnetId.1={{subnet}}"));
    let shown = stack.shown(&id);
    assert_eq!(element(&shown, "privateDnsOnlyForInboundResolverEndpoint"), "true");
    assert!(all(&shown, "dnsName")[0].starts_with("*.vpce-"), "{shown}");
    assert!(stack.names().vpcs[0].records.iter().all(|record| !record.name.contains(".s3.")));
}

#[test]
fn the_services_that_endpoints_lead_to_are_listed() {
    let stack = Stack::new();
    let check = |body: &str, expected: &[&str]| {
        let shown = stack.ok("DescribeVpcEndpointServices", body);
        let details = element(&shown, "serviceDetailSet");
        let names = all(details, "serviceName");
        let names: Vec<&str> =
            names.iter().map(|name| name.strip_prefix("com.amazonaws.ap-northeast-2.").unwrap()).collect();
        assert_eq!(names, expected, "{body}");
    };
    check(
        "",
        &[
            "application-autoscaling",
            "data-servicediscovery",
            "ec2",
            "ecr.api",
            "ecr.dkr",
            "ecs",
            "elasticloadbalancing",
            "logs",
            "monitoring",
            "s3",
            "s3",
            "secretsmanager",
            "servicediscovery",
            "ssm",
            "sts",
        ],
    );
    check(&format!("ServiceName.1={S3}"), &["s3", "s3"]);
    check("Filter.1.Name=service-type&Filter.1.Value.1=Gateway", &["s3"]);
    stack.refused("DescribeVpcEndpointServices", "ServiceName.1=x", "InvalidServiceName", "'x'");
    let shown = stack.ok("DescribeVpcEndpointServices", &format!("ServiceName.1={API}"));
    assert_eq!(element(&shown, "privateDnsName"), "api.ecr.ap-northeast-2.amazonaws.com");
}

#[test]
fn each_service_has_a_name_and_an_address_and_an_endpoint_takes_the_name_over() {
    let stack = Stack::named();
    let mut addresses = Vec::new();
    for service in EndpointService::ALL {
        let name = service.name(&stack.context().region);
        let inbound = if service == EndpointService::S3 {
            "&DnsOptions.PrivateDnsOnlyForInboundResolverEndpoint=false"
        } else {
            ""
        };
        stack.endpoint(&format!(
            "VpcEndpointType=Interface&ServiceName={name}&SubnetId.1={{subnet}}{inbound}"
        ));
        addresses.push(service.address());
    }
    addresses.dedup();
    assert_eq!(addresses.len(), EndpointService::ALL.len());
    let (names, edge) = (stack.names(), stack.edge());
    for name in ["logs", "ssm", "secretsmanager", "monitoring", "ecs", "ec2", "data-servicediscovery"] {
        let name = format!("{name}.ap-northeast-2.amazonaws.com");
        let of = |records: &[desired::Record]| {
            records.iter().find(|record| record.name == name).unwrap().addresses.clone()
        };
        let (public, private) = (of(&names.public)[0], of(&names.vpcs[0].records)[0]);
        let aws = edge.aws_endpoints.iter().find(|aws| aws.names.contains(&name)).unwrap();
        assert_eq!(aws.address, public);
        let inside = edge.vpc_endpoints.iter().find(|one| one.names.contains(&name)).unwrap();
        assert_eq!(inside.address, private);
    }
    let global =
        |name: &str| edge.aws_endpoints.iter().filter(|aws| aws.names.iter().any(|one| one == name)).count();
    assert_eq!((global("iam.amazonaws.com"), global("sts.amazonaws.com")), (1, 1));
}
