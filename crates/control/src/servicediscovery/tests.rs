//! Namespaces, services and instances over the API, and what DNS says of them.

use desired::{Body, Names, VpcNames};
use serde_json::{Value, json};
use types::PartId;

use crate::Service;
use crate::testing::{Fixture, element, settings};

struct World {
    fixture: Fixture,
    vpc: String,
}

impl World {
    /// A VPC with an interface, so that somebody asks its DNS server, and with both DNS attributes.
    fn new() -> Self {
        let fixture = Fixture::new();
        let vpc =
            element(&fixture.ok(Service::Ec2, "CreateVpc", "CidrBlock=10.0.0.0/16"), "vpcId").to_owned();
        let hostnames = format!("VpcId={vpc}&EnableDnsHostnames.Value=true");
        fixture.ok(Service::Ec2, "ModifyVpcAttribute", &hostnames);
        let subnet = format!("VpcId={vpc}&CidrBlock=10.0.1.0/24&AvailabilityZone=ap-northeast-2a");
        let subnet = element(&fixture.ok(Service::Ec2, "CreateSubnet", &subnet), "subnetId").to_owned();
        let allocation = fixture.ok(Service::Ec2, "AllocateAddress", "Domain=vpc");
        let gateway = fixture.ok(Service::Ec2, "CreateInternetGateway", "");
        let gateway = element(&gateway, "internetGatewayId");
        let attach = format!("VpcId={vpc}&InternetGatewayId={gateway}");
        fixture.ok(Service::Ec2, "AttachInternetGateway", &attach);
        let nat = format!("SubnetId={subnet}&AllocationId={}", element(&allocation, "allocationId"));
        fixture.ok(Service::Ec2, "CreateNatGateway", &nat);
        Self { fixture, vpc }
    }

    fn ok(&self, action: &str, body: &Value) -> Value {
        let text = self.fixture.ok(Service::ServiceDiscovery, action, &body.to_string());
        serde_json::from_str(&text).unwrap()
    }

    /// The code of an error.
    fn refused(&self, action: &str, body: &Value) -> String {
        let (status, text) = self.fixture.call(Service::ServiceDiscovery, action, &body.to_string());
        assert_eq!(status, 400, "{action} {body}: {text}");
        let error: Value = serde_json::from_str(&text).unwrap();
        error["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned()
    }

    /// What an operation was about.
    fn target(&self, begun: &Value, kind: &str) -> String {
        let operation = self.ok("GetOperation", &json!({"OperationId": begun["OperationId"]}));
        assert_eq!(operation["Operation"]["Status"], "SUCCESS");
        operation["Operation"]["Targets"][kind].as_str().unwrap().to_owned()
    }

    fn namespace(&self) -> String {
        let begun = self.ok("CreatePrivateDnsNamespace", &json!({"Name": "shop.internal", "Vpc": self.vpc}));
        self.target(&begun, "NAMESPACE")
    }

    fn service(&self, namespace: &str, records: &Value, more: &Value) -> String {
        let mut request =
            json!({"Name": "web", "NamespaceId": namespace, "DnsConfig": {"DnsRecords": records}});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ok("CreateService", &request)["Service"]["Id"].as_str().unwrap().to_owned()
    }

    fn register(&self, service: &str, id: &str, attributes: &Value) {
        let request = json!({"ServiceId": service, "InstanceId": id, "Attributes": attributes});
        let begun = self.ok("RegisterInstance", &request);
        assert_eq!(self.target(&begun, "INSTANCE"), id);
    }

    fn names(&self) -> VpcNames {
        let rows = self.fixture.api.store.snapshot();
        let Some(Body::Names(Names { vpcs, .. })) =
            crate::project::project(&rows, &settings(), &PartId::Names)
        else {
            panic!("no names")
        };
        vpcs.into_iter().find(|names| names.vpc.as_str() == self.vpc).unwrap()
    }

    fn discovered(&self) -> Vec<String> {
        let mut found: Vec<String> = self
            .names()
            .discovered
            .iter()
            .flat_map(|service| {
                let a = service.addresses.iter().map(|address| format!("{} A {address}", service.name));
                let srv = service.services.iter().map(|srv| {
                    format!(
                        "{} SRV {} {} {} {}",
                        service.name, srv.priority, srv.weight, srv.port, srv.target
                    )
                });
                a.chain(srv).collect::<Vec<_>>()
            })
            .collect();
        found.sort();
        found
    }
}

#[test]
fn a_private_namespace_is_resolved_in_its_vpc_and_lives_until_it_is_empty() {
    let world = World::new();
    let namespace = world.namespace();
    assert!(namespace.starts_with("ns-") && namespace.len() == 19, "{namespace}");
    let printed = world.ok("GetNamespace", &json!({"Id": namespace}))["Namespace"].clone();
    assert_eq!((&printed["Type"], &printed["ServiceCount"]), (&json!("DNS_PRIVATE"), &json!(0)));
    let zone = printed["Properties"]["DnsProperties"]["HostedZoneId"].as_str().unwrap();
    assert!(zone.starts_with('Z') && zone.len() == 21, "{zone}");
    assert_eq!(world.names().zones[0].name, "shop.internal");

    let again = json!({"Name": "shop.internal", "Vpc": world.vpc});
    assert_eq!(world.refused("CreatePrivateDnsNamespace", &again), "NamespaceAlreadyExists");
    let service = world.service(&namespace, &json!([{"Type": "A", "TTL": 10}]), &json!({}));
    assert_eq!(world.discovered(), [""; 0]);
    world.register(&service, "one", &json!({"AWS_INSTANCE_IPV4": "10.0.1.9"}));
    world.register(&service, "two", &json!({"AWS_INSTANCE_IPV4": "10.0.1.10"}));
    assert_eq!(world.discovered(), ["web.shop.internal A 10.0.1.10", "web.shop.internal A 10.0.1.9"]);
    assert_eq!(world.names().discovered[0].at_most, 8);

    assert_eq!(world.refused("DeleteNamespace", &json!({"Id": namespace})), "ResourceInUse");
    assert_eq!(world.refused("DeleteService", &json!({"Id": service})), "ResourceInUse");
    for id in ["one", "two"] {
        world.ok("DeregisterInstance", &json!({"ServiceId": service, "InstanceId": id}));
    }
    let gone = json!({"ServiceId": service, "InstanceId": "one"});
    assert_eq!(world.refused("DeregisterInstance", &gone), "InstanceNotFound");
    world.ok("DeleteService", &json!({"Id": service}));
    world.ok("DeleteNamespace", &json!({"Id": namespace}));
    assert!(world.names().zones.is_empty());
    assert_eq!(world.refused("GetNamespace", &json!({"Id": namespace})), "NamespaceNotFound");
}

#[test]
fn without_dns_names_of_its_own_a_vpc_does_not_see_the_namespace() {
    let world = World::new();
    world.namespace();
    let hostnames = format!("VpcId={}&EnableDnsHostnames.Value=false", world.vpc);
    world.fixture.ok(Service::Ec2, "ModifyVpcAttribute", &hostnames);
    assert!(world.names().zones.is_empty());
}

#[test]
fn srv_records_lead_to_names_that_lead_to_addresses() {
    let world = World::new();
    let namespace = world.namespace();
    let records = json!([{"Type": "SRV", "TTL": 20}]);
    let service = world.service(&namespace, &records, &json!({}));
    let no_port =
        json!({"ServiceId": service, "InstanceId": "a1", "Attributes": {"AWS_INSTANCE_IPV4": "10.0.1.9"}});
    assert_eq!(world.refused("RegisterInstance", &no_port), "InvalidInput");
    world.register(&service, "a1", &json!({"AWS_INSTANCE_IPV4": "10.0.1.9", "AWS_INSTANCE_PORT": "3000"}));
    assert_eq!(world.discovered(), ["web.shop.internal SRV 1 1 3000 a1.web.shop.internal"]);
    let names = world.names();
    let target = names.records.iter().find(|record| record.name == "a1.web.shop.internal").unwrap();
    assert_eq!((target.addresses[0].to_string().as_str(), target.ttl), ("10.0.1.9", 20));
}

#[test]
fn what_is_unhealthy_is_found_only_when_nothing_else_is() {
    let world = World::new();
    let namespace = world.namespace();
    let records = json!([{"Type": "A", "TTL": 10}]);
    let custom = json!({"HealthCheckCustomConfig": {"FailureThreshold": 1}});
    let service = world.service(&namespace, &records, &custom);
    for (id, last) in [("one", 1), ("two", 2)] {
        let attributes =
            json!({"AWS_INSTANCE_IPV4": format!("10.0.1.{last}"), "AWS_INIT_HEALTH_STATUS": "HEALTHY"});
        world.register(&service, id, &attributes);
    }
    let say = |id: &str, status: &str| {
        let request = json!({"ServiceId": service, "InstanceId": id, "Status": status});
        world.ok("UpdateInstanceCustomHealthStatus", &request);
    };
    say("one", "UNHEALTHY");
    assert_eq!(world.discovered(), ["web.shop.internal A 10.0.1.2"]);
    let statuses = world.ok("GetInstancesHealthStatus", &json!({"ServiceId": service}));
    assert_eq!(statuses["Status"], json!({"one": "UNHEALTHY", "two": "HEALTHY"}));
    let discover = |more: Value| {
        let mut request = json!({"NamespaceName": "shop.internal", "ServiceName": "web"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let found = world.ok("DiscoverInstances", &request);
        let ids: Vec<String> = found["Instances"]
            .as_array()
            .unwrap()
            .iter()
            .map(|instance| instance["InstanceId"].as_str().unwrap().to_owned())
            .collect();
        ids
    };
    assert_eq!(discover(json!({})), ["two"]);
    assert_eq!(discover(json!({"HealthStatus": "ALL"})), ["one", "two"]);
    assert_eq!(discover(json!({"HealthStatus": "UNHEALTHY"})), ["one"]);
    assert_eq!(discover(json!({"QueryParameters": {"AWS_INSTANCE_IPV4": "10.0.1.9"}})), [""; 0]);
    say("two", "UNHEALTHY");
    assert_eq!(world.discovered().len(), 2);
    assert_eq!(discover(json!({})), ["one", "two"]);
    let revision = json!({"NamespaceName": "shop.internal", "ServiceName": "web"});
    let first = world.ok("DiscoverInstancesRevision", &revision)["InstancesRevision"].clone();
    say("two", "HEALTHY");
    assert_ne!(world.ok("DiscoverInstancesRevision", &revision)["InstancesRevision"], first);
}

#[test]
fn a_namespace_of_the_api_alone_has_no_records() {
    let world = World::new();
    let begun =
        world.ok("CreateHttpNamespace", &json!({"Name": "Shop", "Tags": [{"Key": "a", "Value": "b"}]}));
    let namespace = world.target(&begun, "NAMESPACE");
    let with_records = json!({"Name": "web", "NamespaceId": namespace, "DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 1}]}});
    assert_eq!(world.refused("CreateService", &with_records), "InvalidInput");
    let made = world.ok("CreateService", &json!({"Name": "web", "NamespaceId": namespace}));
    assert_eq!(made["Service"]["Type"], "HTTP");
    let service = made["Service"]["Id"].as_str().unwrap();
    world.register(service, "x", &json!({"url": "https://example.com"}));
    let found = world.ok("DiscoverInstances", &json!({"NamespaceName": "Shop", "ServiceName": "web"}));
    assert_eq!(found["Instances"][0]["Attributes"], json!({"url": "https://example.com"}));
    assert!(world.names().zones.is_empty());
    let arn = world.ok("GetNamespace", &json!({"Id": namespace}))["Namespace"]["Arn"].clone();
    let tags = world.ok("ListTagsForResource", &json!({"ResourceARN": arn}));
    assert_eq!(tags["Tags"], json!([{"Key": "a", "Value": "b"}]));
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let world = World::new();
    let namespace = world.namespace();
    let service = |more: Value| {
        let mut request = json!({"Name": "web", "NamespaceId": namespace});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.fixture.call(Service::ServiceDiscovery, "CreateService", &request.to_string())
    };
    for (more, word) in [
        (json!({"HealthCheckConfig": {"Type": "HTTP"}}), "healthCheckConfig"),
        (json!({"DnsConfig": {"DnsRecords": [{"Type": "CNAME", "TTL": 1}]}}), "CNAME"),
        (json!({"DnsConfig": {"DnsRecords": [{"Type": "AAAA", "TTL": 1}]}}), "AAAA"),
        (json!({"DnsConfig": {"DnsRecords": []}}), "DnsRecords"),
        (json!({"Name": "-web"}), "-web"),
    ] {
        let (status, text) = service(more);
        assert_eq!(status, 400, "{text}");
        assert!(text.to_lowercase().contains(&word.to_lowercase()), "{word} in {text}");
    }
    let (status, text) = world.fixture.call(
        Service::ServiceDiscovery,
        "CreatePublicDnsNamespace",
        &json!({"Name": "example.com"}).to_string(),
    );
    assert_eq!(status, 400);
    assert!(text.contains("CreatePublicDnsNamespace"), "{text}");
    let nowhere = json!({"Name": "a.internal", "Vpc": "vpc-0123456789abcdef0"});
    assert_eq!(world.refused("CreatePrivateDnsNamespace", &nowhere), "InvalidInput");
}
