//! Services from their creation to their end.

use std::time::Duration;

use desired::TaskPhase;
use expect_test::expect;
use serde_json::json;

use super::world::{TRUST, World};
use crate::Service;
use crate::ec2::interface::NetworkInterface;
use crate::ecs::service::ServiceStatus;
use crate::ecs::task::{LastStatus, StopCode};
use crate::elbv2::target_group;

#[test]
fn a_service_lives_from_its_first_task_to_its_end() {
    let world = World::new(true);
    world.json("CreateService", &world.service(1, true));
    world.settle();
    let [first] = &*world.tasks() else { panic!("one task") };
    assert_eq!(first.last_status, LastStatus::Provisioning);
    assert!(first.pull.is_some());
    for (phase, status) in [
        (TaskPhase::Pulling, LastStatus::Pending),
        (TaskPhase::Starting, LastStatus::Pending),
        (TaskPhase::Running, LastStatus::Running),
    ] {
        world.reach(&first.id, phase);
        assert_eq!(world.task(&first.id).last_status, status, "{phase:?}");
    }
    let targets = || target_group::get(&world.rows(), &world.target_group).unwrap().targets.clone();
    assert_eq!(targets().len(), 1);
    assert_eq!((targets()[0].address, targets()[0].port), (first.interface.address, 3000));
    assert!(!world.service_row().steady, "no load balancer has found it healthy yet");
    world.observe_targets();
    world.settle();
    assert!(world.service_row().steady);

    // It is killed, and another takes its place.
    world.report(&first.id, TaskPhase::Stopped, |status| {
        status.containers.get_mut("app").unwrap().exit_code = Some(137);
    });
    world.settle();
    let ended = world.task(&first.id);
    assert_eq!(
        (ended.last_status, ended.stop_code),
        (LastStatus::Stopped, Some(StopCode::EssentialContainerExited))
    );
    assert_eq!(ended.stopped_reason.as_deref(), Some("Essential container in task exited"));
    assert_eq!(ended.containers[0].exit_code, Some(137));
    assert!(ended.pull.is_none(), "the role's session ends with the task");
    world.play();
    let [second] = &*world.tasks() else { panic!("one task") };
    assert_ne!(second.id, first.id);
    assert_eq!(targets().len(), 1);
    assert_eq!(targets()[0].address, second.interface.address);

    // A new revision replaces it; the old one serves until the new one is healthy.
    world.register("127.0.0.1:4566/app:2");
    world.json("UpdateService", &json!({"cluster": "c", "service": "app", "taskDefinition": "app:2"}));
    world.settle();
    let tasks = world.tasks();
    assert_eq!(tasks.len(), 2);
    let third = tasks.iter().find(|task| task.task_definition.ends_with(":2")).unwrap();
    world.reach(&third.id, TaskPhase::Running);
    assert_eq!(world.task(&second.id).last_status, LastStatus::Running);
    world.play();
    assert_eq!(world.tasks().len(), 1);
    assert_eq!(world.service_row().deployments.len(), 1);

    // As Terraform destroys it.
    world.json("UpdateService", &json!({"cluster": "c", "service": "app", "desiredCount": 0}));
    world.json("DeleteService", &json!({"cluster": "c", "service": "app"}));
    assert_eq!(world.service_row().status, ServiceStatus::Draining);
    world.settle();
    let third = world.task(&third.id);
    assert_eq!(third.last_status, LastStatus::Deactivating, "it drains first");
    assert!(!third.stop);
    world.observe_targets();
    world.settle();
    assert!(world.task(&third.id).stop, "drained, so that it is told to end");
    assert_eq!(world.task(&third.id).last_status, LastStatus::Stopping);
    assert_eq!(world.service_row().status, ServiceStatus::Draining);
    world.play();
    assert_eq!(world.service_row().status, ServiceStatus::Inactive);
    assert_eq!(targets().len(), 0);
    let interfaces =
        world.rows().scan::<NetworkInterface>("").filter(|row| row.requester == "amazon-ecs").count();
    assert_eq!(interfaces, 0);
    world.json("DeleteCluster", &json!({"cluster": "c"}));

    expect![[r#"
        (service app) has started 1 tasks: (task ID).
        (service app) registered 1 targets in (target-group GROUP)
        (service app) (deployment ecs-svc/N) deployment completed.
        (service app) has reached a steady state.
        (service app) deregistered 1 targets in (target-group GROUP)
        (service app) has begun draining connections on 1 tasks.
        (service app) has started 1 tasks: (task ID).
        (service app) registered 1 targets in (target-group GROUP)
        (service app) has reached a steady state.
        (service app) has started 1 tasks: (task ID).
        (service app) registered 1 targets in (target-group GROUP)
        (service app) deregistered 1 targets in (target-group GROUP)
        (service app) has begun draining connections on 1 tasks.
        (service app) has stopped 1 running tasks: (task ID).
        (service app) (deployment ecs-svc/N) deployment completed.
        (service app) has reached a steady state.
        (service app) deregistered 1 targets in (target-group GROUP)
        (service app) has begun draining connections on 1 tasks.
        (service app) has stopped 1 running tasks: (task ID)."#]]
    .assert_eq(&world.events().join("\n"));
}

#[test]
fn a_load_balancer_added_later_replaces_the_tasks() {
    let world = World::new(true);
    world.json("CreateService", &world.service(2, false));
    world.play();
    assert!(target_group::get(&world.rows(), &world.target_group).unwrap().targets.is_empty());
    let update = json!({"cluster": "c", "service": "app", "loadBalancers": world.load_balancers()});
    world.json("UpdateService", &update);
    world.play();
    assert_eq!(world.tasks().len(), 2);
    assert_eq!(target_group::get(&world.rows(), &world.target_group).unwrap().targets.len(), 2);
}

#[test]
fn tasks_are_spread_over_the_zones() {
    let world = World::new(false);
    world.json("CreateService", &world.service(4, false));
    world.play();
    let zones = || {
        let mut zones: Vec<String> =
            world.tasks().iter().map(|task| task.availability_zone.clone()).collect();
        zones.sort();
        zones.into_iter().map(|zone| zone.chars().last().unwrap()).collect::<String>()
    };
    assert_eq!(zones(), "aacc");
    world.json("UpdateService", &json!({"cluster": "c", "service": "app", "desiredCount": 2}));
    world.play();
    assert_eq!(zones(), "ac");
}

#[test]
fn a_task_that_cannot_pull_is_tried_again_with_growing_waits() {
    let mut world = World::new(false);
    world.json("CreateService", &world.service(1, false));
    let mut waits = Vec::new();
    for _ in 0..9 {
        let wake = world.settle();
        if let Some(wake) = wake.filter(|_| world.tasks().is_empty()) {
            waits.push(wake.since(world.now()).as_secs());
            world.pass(wake.since(world.now()));
            world.settle();
        }
        let [task] = &*world.tasks() else { panic!("one task") };
        world.report(&task.id, TaskPhase::Stopped, |status| {
            status.started_at = None;
            status.error = Some("CannotPullContainerError: no".to_owned());
            status.containers.clear();
        });
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60]);
    let service = world.service_row();
    assert!(service.deployments[0].failed_tasks >= 8);
    let events = world.events();
    assert_eq!(
        &events[..3],
        [
            "(service app) has started 1 tasks: (task ID).",
            "(service app) was unable to place a task. Reason: CannotPullContainerError: no.",
            "(service app) has started 1 tasks: (task ID).",
        ]
    );
    assert_eq!(events.iter().filter(|event| event.contains("unable to place a task")).count(), 8);
    assert_eq!(events.iter().filter(|event| event.contains("unable to consistently start tasks")).count(), 1);
    let stopped = world.json("ListTasks", &json!({"cluster": "c", "desiredStatus": "STOPPED"}));
    let described = world.json("DescribeTasks", &json!({"cluster": "c", "tasks": [stopped["taskArns"][0]]}));
    assert_eq!(described["tasks"][0]["stopCode"], "TaskFailedToStart");
    assert_eq!(described["tasks"][0]["stoppedReason"], "CannotPullContainerError: no");
}

#[test]
fn a_role_that_may_not_be_assumed_fails_in_ecs_s_words() {
    let mut world = World::new(false);
    let other = TRUST.replace("ecs-tasks", "ec2");
    let other: String = form_urlencoded::byte_serialize(other.as_bytes()).collect();
    let trust = |document: &str| {
        let body = format!("RoleName=exec&PolicyDocument={document}");
        world.fixture.ok(Service::Iam, "UpdateAssumeRolePolicy", &body);
    };
    trust(&other);
    world.json("CreateService", &world.service(1, false));
    let wake = world.settle().unwrap();
    assert!(world.tasks().is_empty());
    expect![[r#"
        (service app) failed to launch a task with (error ECS was unable to assume the role 'ROLE' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.)."#]]
    .assert_eq(&world.events().join("\n"));
    let good: String = form_urlencoded::byte_serialize(TRUST.as_bytes()).collect();
    trust(&good);
    world.pass(wake.since(world.now()));
    world.settle();
    assert_eq!(world.tasks().len(), 1);
}

#[test]
fn a_stopped_task_drains_first_and_is_replaced() {
    let world = World::new(true);
    world.json("CreateService", &world.service(1, true));
    world.play();
    let [task] = &*world.tasks() else { panic!("one task") };
    let stop = json!({"cluster": "c", "task": task.arn(), "reason": "try"});
    let stopping = world.json("StopTask", &stop);
    assert_eq!(stopping["task"]["desiredStatus"], "STOPPED");
    world.settle();
    assert_eq!(world.task(&task.id).last_status, LastStatus::Deactivating);
    assert_eq!(world.tasks().len(), 2, "another starts meanwhile");
    world.play();
    let ended = world.task(&task.id);
    assert_eq!(ended.last_status, LastStatus::Stopped);
    assert_eq!(
        (ended.stop_code, ended.stopped_reason.as_deref()),
        (Some(StopCode::UserInitiated), Some("try"))
    );
    assert_eq!(world.service_row().failures.rounds, 0, "that was no failure");
}

#[test]
fn what_is_gone_is_forgotten_after_an_hour() {
    let mut world = World::new(false);
    world.json("CreateService", &world.service(1, false));
    world.play();
    let [task] = &*world.tasks() else { panic!("one task") };
    world.json("DeleteService", &json!({"cluster": "c", "service": "app", "force": true}));
    world.play();
    let describe = json!({"cluster": "c", "tasks": [task.id.as_str()]});
    assert_eq!(world.json("DescribeTasks", &describe)["tasks"][0]["lastStatus"], "STOPPED");
    let wake = world.settle().unwrap();
    assert_eq!(wake.since(world.now()), Duration::from_secs(3600));
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.settle(), None);
    let gone = world.json("DescribeTasks", &describe);
    assert_eq!(gone["failures"][0]["reason"], "MISSING");
    let services = json!({"cluster": "c", "services": ["app"]});
    assert_eq!(world.json("DescribeServices", &services)["failures"][0]["reason"], "MISSING");
}

#[test]
fn a_machine_that_forgot_everything_ends_no_task() {
    let world = World::new(true);
    world.json("CreateService", &world.service(2, true));
    world.play();
    let before: Vec<_> = world.tasks().iter().map(|task| task.id.clone()).collect();
    *world.fixture.api.machine.reports() = crate::Reports::default();
    world.register("127.0.0.1:4566/app:2");
    world.json("UpdateService", &json!({"cluster": "c", "service": "app", "taskDefinition": "app:2"}));
    world.settle();
    for id in &before {
        assert_eq!(world.task(id).last_status, LastStatus::Running);
    }
}

#[test]
fn a_task_of_run_task_is_not_replaced() {
    let world = World::new(false);
    let request = json!({
        "cluster": "c", "taskDefinition": "app", "launchType": "FARGATE", "count": 2, "clientToken": "t",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": world.subnets}},
    });
    let started = world.json("RunTask", &request);
    assert_eq!(started["tasks"].as_array().unwrap().len(), 2);
    let again = world.json("RunTask", &request);
    assert_eq!(again["tasks"].as_array().unwrap().len(), 2);
    let other = json!({
        "cluster": "c", "taskDefinition": "app", "launchType": "FARGATE", "count": 1, "clientToken": "t",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": world.subnets}},
    });
    assert_eq!(world.refused("RunTask", &other).0, "ConflictException");
    world.play();
    assert_eq!(world.tasks().len(), 2, "the same token starts nothing more");
    for task in world.tasks() {
        assert_eq!(task.group, "family:app");
        world.reach(&task.id, TaskPhase::Stopped);
    }
    assert!(world.tasks().is_empty());
    assert_eq!(world.settle().unwrap().since(world.now()), Duration::from_secs(3600));
}

#[test]
fn a_task_is_projected_until_the_machine_has_ended_it() {
    let world = World::new(false);
    world.json("CreateService", &world.service(1, false));
    world.settle();
    let [task] = &*world.tasks() else { panic!("one task") };
    let part = || crate::project::task::project(&world.rows(), &world.fixture.api.settings, &task.id);
    let made = part().unwrap();
    assert_eq!(made.interface, task.interface.id);
    assert_eq!(made.vpc.as_str(), world.vpc);
    assert_eq!((made.cpu, made.memory, made.stop), (256, 512, false));
    let container = &made.containers[0];
    assert_eq!(
        container.image.registry.as_deref(),
        Some("000000000001.dkr.ecr.ap-northeast-2.amazonaws.com")
    );
    assert_eq!((&*container.image.repository, &*container.image.reference), ("app", "1"));
    assert_eq!(container.stop_timeout, Duration::from_secs(30));
    assert!(container.essential && !made.pull.session_token.is_empty());
    world.json("StopTask", &json!({"cluster": "c", "task": task.id.as_str()}));
    world.settle();
    assert!(part().unwrap().stop);
    world.reach(&task.id, TaskPhase::Stopped);
    assert_eq!(part(), None);
}

#[test]
fn a_full_subnet_holds_up_the_task_that_finds_no_address() {
    let world = World::new(false);
    let body = format!("VpcId={}&CidrBlock=10.194.200.0/28", world.vpc);
    let small = world.fixture.ok(Service::Ec2, "CreateSubnet", &body);
    let small = crate::testing::element(&small, "subnetId");
    let mut request = world.service(12, false);
    request["networkConfiguration"]["awsvpcConfiguration"]["subnets"] = json!([small]);
    world.json("CreateService", &request);
    world.settle();
    assert_eq!(world.tasks().len(), 11, "16 addresses but the 5 that AWS keeps");
    let sessions = world.rows().scan::<crate::SessionKey>("").count();
    assert_eq!(sessions, 11, "the role's session went with the task that could not be");
    let events = world.events().join(" ");
    let words = format!(
        "failed to launch a task with (error Unexpected EC2 error while attempting to Create Network Interface in subnet '{small}': InsufficientFreeAddressesInSubnet"
    );
    assert!(events.contains(&words), "{events}");
}

#[test]
fn a_target_that_somebody_registers_anew_holds_no_task_up() {
    let world = World::new(true);
    world.json("CreateService", &world.service(1, true));
    world.play();
    let [task] = &*world.tasks() else { panic!("one task") };
    world.json("StopTask", &json!({"cluster": "c", "task": task.id.as_str()}));
    world.settle();
    assert!(!world.task(&task.id).stop);
    let body = format!(
        "TargetGroupArn={}&Targets.member.1.Id={}&Targets.member.1.Port=3000",
        world.target_group, task.interface.address
    );
    world.fixture.ok(Service::Elbv2, "RegisterTargets", &body);
    world.settle();
    assert!(world.task(&task.id).stop);
}
