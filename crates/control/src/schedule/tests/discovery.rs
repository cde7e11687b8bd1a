//! Tasks and their places in Cloud Map.

use desired::{Body, ContainerHealth, ContainerHealthStatus, TaskPhase};
use serde_json::{Value, json};
use types::{PartId, TaskId};

use super::world::World;
use crate::Service;
use crate::ecs::task::LastStatus;

/// A world whose VPC has the namespace `shop.internal` with a Cloud Map service `web`; its ARN.
fn world(records: &Value) -> (World, String) {
    let world = World::new(false);
    let hostnames = format!("VpcId={}&EnableDnsHostnames.Value=true", world.vpc);
    world.fixture.ok(Service::Ec2, "ModifyVpcAttribute", &hostnames);
    let call = |action: &str, body: &Value| -> Value {
        serde_json::from_str(&world.fixture.ok(Service::ServiceDiscovery, action, &body.to_string())).unwrap()
    };
    call("CreatePrivateDnsNamespace", &json!({"Name": "shop.internal", "Vpc": world.vpc}));
    let namespaces = call("ListNamespaces", &json!({}));
    let made = call(
        "CreateService",
        &json!({
            "Name": "web", "NamespaceId": namespaces["Namespaces"][0]["Id"],
            "DnsConfig": {"DnsRecords": records}, "HealthCheckCustomConfig": {"FailureThreshold": 1},
        }),
    );
    let arn = made["Service"]["Arn"].as_str().unwrap().to_owned();
    (world, arn)
}

/// What the VPC's DNS server says of `web.shop.internal`: addresses, and SRV records' ports and targets.
fn resolved(world: &World) -> (Vec<String>, Vec<String>) {
    let part = crate::project::project(&world.rows(), &world.fixture.api.settings, &PartId::Names);
    let Some(Body::Names(names)) = part else { panic!("{part:?}") };
    let found = names.vpcs.iter().flat_map(|vpc| &vpc.discovered).find(|one| one.name == "web.shop.internal");
    let addresses = found.iter().flat_map(|one| &one.addresses).map(ToString::to_string).collect();
    let services = found.iter().flat_map(|one| &one.services);
    (addresses, services.map(|srv| format!("{} {}", srv.port, srv.target)).collect())
}

#[test]
fn a_task_is_found_by_name_while_it_runs_and_not_any_more_when_it_is_told_to_end() {
    let (world, arn) = world(&json!([{"Type": "A", "TTL": 10}]));
    let mut request = world.service(1, false);
    request["serviceRegistries"] = json!([{"registryArn": arn}]);
    let printed = world.json("CreateService", &request);
    assert_eq!(printed["service"]["serviceRegistries"], json!([{"registryArn": arn}]));
    world.settle();
    let [task] = &*world.tasks() else { panic!("one task") };
    let address = task.interface.address.to_string();
    for phase in [TaskPhase::Pulling, TaskPhase::Starting] {
        world.reach(&task.id, phase);
        assert_eq!(resolved(&world).0, [""; 0], "{phase:?}");
    }
    world.reach(&task.id, TaskPhase::Running);
    assert_eq!(resolved(&world).0, [address]);
    let listed = world.fixture.ok(
        Service::ServiceDiscovery,
        "DiscoverInstances",
        &json!({"NamespaceName": "shop.internal", "ServiceName": "web"}).to_string(),
    );
    for word in ["\"ECS_SERVICE_NAME\":\"app\"", "\"ECS_CLUSTER_NAME\":\"c\"", task.id.as_str(), "HEALTHY"] {
        assert!(listed.contains(word), "{word} in {listed}");
    }

    let mut update = json!({"cluster": "c", "service": "app", "desiredCount": 0});
    world.json("UpdateService", &update);
    world.settle();
    let stopping = world.task(&task.id);
    assert!(stopping.stop && stopping.last_status == LastStatus::Stopping);
    assert_eq!(resolved(&world).0, [""; 0]);

    // One that is killed leaves no name behind either.
    update["desiredCount"] = json!(1);
    world.json("UpdateService", &update);
    world.play();
    let next: TaskId = world.tasks()[0].id.clone();
    assert_eq!(resolved(&world).0.len(), 1);
    world.reach(&next, TaskPhase::Stopped);
    assert_eq!(resolved(&world).0, [""; 0]);
}

#[test]
fn a_task_whose_container_is_not_healthy_is_not_found() {
    let (world, arn) = world(&json!([{"Type": "A", "TTL": 10}]));
    let mut request = world.service(1, false);
    request["serviceRegistries"] = json!([{"registryArn": arn}]);
    world.json("CreateService", &request);
    world.settle();
    let task = world.tasks()[0].id.clone();
    let is = |status: ContainerHealthStatus| {
        world.report(&task, TaskPhase::Running, |report| {
            let since = world.now();
            let health = ContainerHealth { status, since, exit_code: None, output: String::new() };
            report.containers.get_mut("app").unwrap().health = Some(health);
        });
        world.settle();
        resolved(&world).0.len()
    };
    assert_eq!(is(ContainerHealthStatus::Unknown), 0);
    assert_eq!(is(ContainerHealthStatus::Healthy), 1);
    assert_eq!(is(ContainerHealthStatus::Unhealthy), 0);
    assert_eq!(is(ContainerHealthStatus::Healthy), 1);
}

#[test]
fn srv_records_have_the_containers_port_and_the_tasks_own_names() {
    let (world, arn) = world(&json!([{"Type": "SRV", "TTL": 10}]));
    let mut request = world.service(1, false);
    for (registry, words) in [
        (json!({"registryArn": arn}), "SRV records"),
        (json!({"registryArn": arn, "containerName": "app"}), "both containerName and containerPort"),
        (json!({"registryArn": arn, "containerName": "app", "containerPort": 1}), "does not have"),
        (json!({"registryArn": arn, "port": 1, "containerName": "app", "containerPort": 3000}), "both port"),
        (json!({"registryArn": format!("{arn}x")}), "does not exist"),
    ] {
        request["serviceRegistries"] = json!([registry]);
        let (code, message) = world.refused("CreateService", &request);
        assert_eq!(code, "InvalidParameterException");
        assert!(message.contains(words), "{words} in {message}");
    }
    request["serviceRegistries"] =
        json!([{"registryArn": arn, "containerName": "app", "containerPort": 3000}]);
    world.json("CreateService", &request);
    world.play();
    let task = world.tasks()[0].id.clone();
    let target = format!("3000 {task}.web.shop.internal");
    assert_eq!(resolved(&world), (Vec::new(), vec![target]));
    // The Cloud Map service goes, with force: the task's end does not miss it.
    let of_task = json!({"ServiceId": arn, "InstanceId": task});
    world.fixture.ok(Service::ServiceDiscovery, "DeregisterInstance", &of_task.to_string());
    world.fixture.ok(Service::ServiceDiscovery, "DeleteService", &json!({"Id": arn}).to_string());
    world.json("UpdateService", &json!({"cluster": "c", "service": "app", "desiredCount": 0}));
    world.play();
    assert!(world.tasks().is_empty());
}

#[test]
fn another_registry_begins_a_deployment() {
    let (world, arn) = world(&json!([{"Type": "A", "TTL": 10}]));
    world.json("CreateService", &world.service(1, false));
    world.play();
    let first = world.tasks()[0].id.clone();
    let update = json!({"cluster": "c", "service": "app", "serviceRegistries": [{"registryArn": arn}]});
    let updated = world.json("UpdateService", &update);
    assert_eq!(updated["service"]["deployments"].as_array().unwrap().len(), 2);
    world.play();
    let [task] = &*world.tasks() else { panic!("one task") };
    assert_ne!(task.id, first);
    assert_eq!(resolved(&world).0, [task.interface.address.to_string()]);
}
