//! Deployments over the API: the circuit breaker, health checks, records and revisions, capacity providers.

use std::time::Duration;

use desired::{
    ContainerHealth, ContainerHealthStatus, HealthReason, HealthState, LoadBalancerStatus, Observation,
    TargetStatus, TaskPhase,
};
use expect_test::expect;
use serde_json::{Value, json};
use types::TaskId;

use super::world::World;
use crate::ecs::task::{LastStatus, StopCode};
use crate::elbv2::target_group;

fn with_breaker(mut request: Value, rollback: bool) -> Value {
    request["deploymentConfiguration"] =
        json!({"deploymentCircuitBreaker": {"enable": true, "rollback": rollback}});
    request
}

/// All starting tasks fail to start, as often as the service tries within ten minutes.
fn let_them_fail(world: &mut World) {
    for _ in 0..40 {
        let wake = world.settle();
        let starting: Vec<TaskId> = world
            .tasks()
            .iter()
            .filter(|task| task.last_status == LastStatus::Provisioning)
            .map(|task| task.id.clone())
            .collect();
        for id in &starting {
            world.report(id, TaskPhase::Stopped, |status| {
                status.started_at = None;
                status.error = Some("CannotPullContainerError: no".to_owned());
            });
        }
        match wake {
            _ if !starting.is_empty() => {}
            Some(wake) if wake.since(world.now()) <= Duration::from_secs(60) => {
                world.pass(wake.since(world.now()));
            }
            _ => return,
        }
    }
}

fn described(world: &World) -> Value {
    world.json("DescribeServices", &json!({"cluster": "c", "services": ["app"]}))["services"][0].clone()
}

fn deployments(world: &World) -> Vec<Value> {
    let listed = world.json("ListServiceDeployments", &json!({"cluster": "c", "service": "app"}));
    let arns: Vec<Value> = listed["serviceDeployments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["serviceDeploymentArn"].clone())
        .collect();
    let found = world.json("DescribeServiceDeployments", &json!({"serviceDeploymentArns": arns}));
    assert_eq!(found["failures"], json!([]));
    found["serviceDeployments"].as_array().unwrap().clone()
}

#[test]
fn the_circuit_breaker_rolls_back_to_the_last_completed_deployment() {
    let mut world = World::new(false);
    world.json("CreateService", &with_breaker(world.service(2, false), true));
    world.play();
    let good = described(&world)["deployments"][0]["id"].as_str().unwrap().to_owned();
    world.register("127.0.0.1:4566/app:broken");
    world.json("UpdateService", &json!({"cluster": "c", "service": "app", "taskDefinition": "app:2"}));
    let_them_fail(&mut world);
    let service = described(&world);
    let primary = &service["deployments"][0];
    assert_eq!(primary["id"], good, "{service:#}");
    assert_eq!(
        (&primary["status"], &primary["taskDefinition"]),
        (&json!("PRIMARY"), &service["taskDefinition"])
    );
    assert!(service["taskDefinition"].as_str().unwrap().ends_with("/app:1"));
    assert_eq!((&service["runningCount"], &service["deployments"][1]), (&json!(2), &Value::Null));
    assert_eq!(primary["rolloutState"], "COMPLETED");
    let [back, first] = &*deployments(&world) else { panic!("two deployments") };
    assert_eq!(first["status"], "SUCCESSFUL");
    assert_eq!(first["deploymentCircuitBreaker"]["status"], "MONITORING_COMPLETE");
    assert_eq!(back["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(
        back["statusReason"],
        "Service deployment rolled back because the circuit breaker threshold was exceeded."
    );
    assert_eq!(
        back["deploymentCircuitBreaker"],
        json!({"status": "TRIGGERED", "failureCount": 4, "threshold": 3})
    );
    assert_eq!(back["rollback"]["serviceRevisionArn"], first["targetServiceRevision"]["arn"]);
    assert_eq!(back["sourceServiceRevisions"][0]["runningTaskCount"], 2);
    let arns = json!([back["targetServiceRevision"]["arn"], first["targetServiceRevision"]["arn"]]);
    let revisions = world.json("DescribeServiceRevisions", &json!({"serviceRevisionArns": arns}));
    let image = |number: usize| &revisions["serviceRevisions"][number]["containerImages"][0]["image"];
    assert_eq!((image(0), image(1)), (&json!("127.0.0.1:4566/app:broken"), &json!("127.0.0.1:4566/app:1")));
    let events = world.events();
    let from = events.iter().position(|event| event.contains("deployment failed")).unwrap();
    expect![[r#"
        (service app) (deployment ecs-svc/N) deployment failed: tasks failed to start.
        (service app) rolling back to deployment ecs-svc/N.
        (service app) (deployment ecs-svc/N) deployment completed.
        (service app) has reached a steady state."#]]
    .assert_eq(&events[from..].join("\n"));
}

#[test]
fn a_first_deployment_that_fails_starts_no_more_tasks() {
    let mut world = World::new(false);
    world.json("CreateService", &with_breaker(world.service(1, false), true));
    let_them_fail(&mut world);
    let service = described(&world);
    let primary = &service["deployments"][0];
    assert_eq!((&primary["rolloutState"], &primary["failedTasks"]), (&json!("FAILED"), &json!(3)));
    assert_eq!(primary["rolloutStateReason"], "ECS deployment circuit breaker: tasks failed to start.");
    assert_eq!((&service["runningCount"], &service["pendingCount"]), (&json!(0), &json!(0)));
    let [only] = &*deployments(&world) else { panic!("one deployment") };
    assert_eq!(only["status"], "STOPPED");
    // A new deployment begins anew.
    world.json("UpdateService", &json!({"cluster": "c", "service": "app", "forceNewDeployment": true}));
    world.play();
    assert_eq!(described(&world)["deployments"][0]["rolloutState"], "COMPLETED");
}

#[test]
fn a_deployment_under_way_is_stopped_by_hand_and_taken_back() {
    let world = World::new(false);
    world.json("CreateService", &world.service(1, false));
    world.play();
    world.json("UpdateService", &json!({"cluster": "c", "service": "app", "forceNewDeployment": true}));
    world.settle();
    let [running, first] = &*deployments(&world) else { panic!("two deployments") };
    assert_eq!((&running["status"], &first["status"]), (&json!("IN_PROGRESS"), &json!("SUCCESSFUL")));
    let stop = json!({"serviceDeploymentArn": running["serviceDeploymentArn"]});
    world.json("StopServiceDeployment", &stop);
    assert_eq!(deployments(&world)[0]["status"], "ROLLBACK_IN_PROGRESS");
    world.play();
    assert_eq!(deployments(&world)[0]["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(world.refused("StopServiceDeployment", &stop).0, "ConflictException");
    assert_eq!(world.tasks().len(), 1);
}

#[test]
fn a_deployment_that_its_percentages_block_is_told_of_once() {
    for (count, minimum, maximum) in [(1, 50, 100), (3, 100, 101)] {
        let mut world = World::new(false);
        let mut request = world.service(count, false);
        request["deploymentConfiguration"] =
            json!({"minimumHealthyPercent": minimum, "maximumPercent": maximum});
        world.json("CreateService", &request);
        world.play();
        let blocked = "(service app) was unable to stop or start tasks during a deployment because of the service \
                       deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.";
        let told = |world: &World| world.events().iter().filter(|event| *event == blocked).count();
        assert_eq!(told(&world), 0, "{:?}", world.events());
        world.json("UpdateService", &json!({"cluster": "c", "service": "app", "forceNewDeployment": true}));
        world.play();
        world.pass(Duration::from_secs(300));
        world.play();
        assert_eq!(told(&world), 1, "{:?}", world.events());
        assert_eq!(described(&world)["deployments"][0]["rolloutState"], "IN_PROGRESS");
        let freed = json!({"minimumHealthyPercent": minimum, "maximumPercent": 200});
        world.json(
            "UpdateService",
            &json!({"cluster": "c", "service": "app", "deploymentConfiguration": freed}),
        );
        world.play();
        assert_eq!(described(&world)["deployments"][0]["rolloutState"], "COMPLETED");
        assert_eq!((told(&world), world.service_row().blocked), (1, false));
    }
}

#[test]
fn another_deployment_takes_the_place_of_one_under_way() {
    let world = World::new(false);
    world.json("CreateService", &world.service(2, false));
    world.play();
    let force = json!({"cluster": "c", "service": "app", "forceNewDeployment": true});
    world.json("UpdateService", &force);
    world.settle();
    world.json("UpdateService", &force);
    let service = described(&world);
    let states: Vec<&str> = service["deployments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["status"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["PRIMARY", "ACTIVE", "ACTIVE"]);
    assert_eq!(deployments(&world)[1]["status"], "STOPPED");
    world.play();
    assert_eq!(described(&world)["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(world.tasks().len(), 2);
}

/// The load balancers find the target at a task's address unhealthy, and all others healthy.
fn observe_one_unhealthy(world: &World, id: &TaskId) {
    let address = world.task(id).interface.address;
    let group = target_group::get(&world.rows(), &world.target_group).unwrap();
    let targets = group.targets.iter().map(|target| TargetStatus {
        address: target.address,
        port: target.port,
        health: match target.lifecycle {
            desired::TargetLifecycle::Draining { .. } => HealthState::Drained,
            desired::TargetLifecycle::Registered if target.address == address => HealthState::Unhealthy {
                reason: HealthReason::ResponseCodeMismatch,
                description: "Health checks failed with these codes: [404]".to_owned(),
            },
            desired::TargetLifecycle::Registered => HealthState::Healthy,
        },
        in_flight: 0,
    });
    for balancer in &group.load_balancer_arns {
        world.fixture.api.machine.observe(Observation::LoadBalancer(LoadBalancerStatus {
            load_balancer: balancer.rsplit('/').next().unwrap().to_owned(),
            generation: world.rows().sequence(),
            ready: true,
            error: None,
            targets: [(group.arn.clone(), targets.clone().collect())].into(),
        }));
    }
}

#[test]
fn a_task_that_fails_the_load_balancer_s_check_is_replaced_after_the_grace_period() {
    let mut world = World::new(true);
    let mut request = world.service(1, true);
    request["healthCheckGracePeriodSeconds"] = json!(30);
    world.json("CreateService", &request);
    world.play();
    let [sick] = &*world.tasks() else { panic!("one task") };
    observe_one_unhealthy(&world, &sick.id);
    assert_eq!(
        world.settle().unwrap().since(world.now()),
        Duration::from_secs(30),
        "until then it does not count"
    );
    assert_eq!(world.tasks().len(), 1);
    world.pass(Duration::from_secs(30));
    world.settle();
    let [_, other] = &*world.tasks() else { panic!("another starts first") };
    assert!(world.task(&sick.id).is_wanted());
    world.reach(&other.id, TaskPhase::Running);
    observe_one_unhealthy(&world, &sick.id);
    world.settle();
    let ended = world.task(&sick.id);
    assert_eq!(ended.stop_code, Some(StopCode::ServiceSchedulerInitiated));
    let reason = ended.stopped_reason.as_deref().unwrap().replace(&world.target_group, "GROUP");
    assert_eq!(reason, "Task failed ELB health checks in (target-group GROUP)");
    world.play();
    assert_eq!(world.tasks().len(), 1);
    let events = world.events();
    expect![[r#"
        (service app) (task ID) (port 3000) is unhealthy in (target-group GROUP) due to (reason Health checks failed with these codes: [404]).
        (service app) has started 1 tasks: (task ID). Amazon ECS replaced 1 tasks due to an unhealthy status.
        (service app) registered 1 targets in (target-group GROUP)
        (service app) deregistered 1 targets in (target-group GROUP)
        (service app) has begun draining connections on 1 tasks.
        (service app) has stopped 1 running tasks: (task ID).
        (service app) has reached a steady state."#]]
    .assert_eq(&events[4..].join("\n"));
}

#[test]
fn a_task_whose_container_is_unhealthy_is_replaced() {
    let world = World::new(false);
    world.json("CreateService", &world.service(1, false));
    world.play();
    let [sick] = &*world.tasks() else { panic!("one task") };
    let health = |world: &World, id: &TaskId, status: ContainerHealthStatus| {
        world.report(id, TaskPhase::Running, |report| {
            report.containers.get_mut("app").unwrap().health =
                Some(ContainerHealth { status, since: world.now(), exit_code: None, output: String::new() });
        });
        world.settle();
    };
    health(&world, &sick.id, ContainerHealthStatus::Unhealthy);
    let [_, other] = &*world.tasks() else { panic!("another starts first") };
    health(&world, &other.id, ContainerHealthStatus::Unknown);
    assert!(world.task(&sick.id).is_wanted(), "nobody knows yet whether the other is well");
    health(&world, &other.id, ContainerHealthStatus::Healthy);
    assert_eq!(world.task(&sick.id).stopped_reason.as_deref(), Some("Task failed container health checks"));
    assert!(
        world.events().iter().any(|event| event == "(service app) (task ID) failed container health checks.")
    );
}

#[test]
fn tasks_take_the_capacity_providers_of_the_strategy() {
    let world = World::new(false);
    let strategy = json!([
        {"capacityProvider": "FARGATE", "base": 1, "weight": 1}, {"capacityProvider": "FARGATE_SPOT", "weight": 3},
    ]);
    let mut request = world.service(5, false);
    request.as_object_mut().unwrap().remove("launchType");
    request["capacityProviderStrategy"] = strategy.clone();
    let refused = world.refused("CreateService", &request);
    assert!(refused.1.contains("not associated with the cluster"), "{refused:?}");
    let put = json!({
        "cluster": "c", "capacityProviders": ["FARGATE", "FARGATE_SPOT"], "defaultCapacityProviderStrategy": [],
    });
    world.json("PutClusterCapacityProviders", &put);
    let made = world.json("CreateService", &request);
    assert_eq!(
        (&made["service"]["launchType"], &made["service"]["capacityProviderStrategy"][1]["weight"]),
        (&Value::Null, &json!(3))
    );
    world.play();
    let spot =
        world.tasks().iter().filter(|task| task.capacity_provider.as_deref() == Some("FARGATE_SPOT")).count();
    assert_eq!(spot, 3, "one is the base's, of the other four one is FARGATE's");
    let gone =
        json!({"cluster": "c", "capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": []});
    assert_eq!(world.refused("PutClusterCapacityProviders", &gone).0, "ResourceInUseException");
    request["launchType"] = json!("FARGATE");
    request["serviceName"] = json!("other");
    assert!(world.refused("CreateService", &request).1.starts_with("Specifying both a launch type"));
    // With a default strategy of the cluster, a request need not say anything.
    let put = json!({
        "cluster": "c", "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
        "defaultCapacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
    });
    world.json("PutClusterCapacityProviders", &put);
    let run = json!({
        "cluster": "c", "taskDefinition": "app",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": world.subnets}},
    });
    assert_eq!(world.json("RunTask", &run)["tasks"][0]["capacityProviderName"], "FARGATE_SPOT");
}

#[test]
fn records_beyond_the_newest_are_forgotten_with_the_revisions_that_nothing_names() {
    let world = World::new(false);
    world.json("CreateService", &world.service(0, false));
    for _ in 0..60 {
        world.json("UpdateService", &json!({"cluster": "c", "service": "app", "forceNewDeployment": true}));
        world.settle();
    }
    let rows = world.rows();
    assert_eq!(rows.scan::<crate::ecs::service::record::Record>("").count(), 50);
    assert!(rows.scan::<crate::ecs::service::revision::Revision>("").count() <= 51);
    world.json("DeleteService", &json!({"cluster": "c", "service": "app"}));
    let mut world = world;
    world.settle();
    world.pass(Duration::from_secs(3601));
    world.settle();
    assert_eq!(world.rows().scan::<crate::ecs::service::record::Record>("").count(), 0);
}
