//! The article's network, role, image and load balancer, over the API; the machine is what the test reports.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use desired::{
    ContainerStatus, HealthState, LoadBalancerStatus, Observation, TargetStatus, TaskPhase, TaskStatus,
};
use serde_json::{Value, json};
use store::Snapshot;
use types::{PartId, TaskId, Timestamp};

use crate::ecs::service::Service as ServiceRow;
use crate::ecs::task::{LastStatus, Task};
use crate::elbv2::target_group;
use crate::elbv2::targets;
use crate::schedule::Agenda;
use crate::schedule::health::UNCHECKED;
use crate::testing::{Fixture, element};
use crate::{Context, Principal, Service};

/// The fixture with what a service needs.
pub(crate) struct World {
    pub(crate) fixture: Fixture,
    pub(crate) subnets: [String; 2],
    pub(crate) group: String,
    pub(crate) vpc: String,
    pub(crate) target_group: String,
    pub(crate) role: String,
    agenda: Arc<Mutex<Agenda>>,
    now: Mutex<Timestamp>,
}

pub(crate) const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl World {
    /// A cluster, the task definition `app:1`, and a target group with or without a listener.
    pub(crate) fn new(with_listener: bool) -> Self {
        let fixture = Fixture::new();
        let ec2 = |action: &str, body: &str, name: &str| {
            element(&fixture.ok(Service::Ec2, action, body), name).to_owned()
        };
        let vpc = ec2("CreateVpc", "CidrBlock=10.194.0.0/16", "vpcId");
        let subnet = |zone: &str, third: u32| {
            let body =
                format!("VpcId={vpc}&CidrBlock=10.194.{third}.0/24&AvailabilityZone=ap-northeast-2{zone}");
            ec2("CreateSubnet", &body, "subnetId")
        };
        let subnets = [subnet("a", 100), subnet("c", 101)];
        let gateway = ec2("CreateInternetGateway", "", "internetGatewayId");
        fixture.ok(
            Service::Ec2,
            "AttachInternetGateway",
            &format!("VpcId={vpc}&InternetGatewayId={gateway}"),
        );
        let group = ec2(
            "CreateSecurityGroup",
            &format!("VpcId={vpc}&GroupName=app-sg&GroupDescription=Managed"),
            "groupId",
        );
        let role = fixture.ok(
            Service::Iam,
            "CreateRole",
            &format!("RoleName=exec&AssumeRolePolicyDocument={}", encoded(TRUST)),
        );
        let role = element(&role, "Arn").to_owned();
        let made = fixture.ok(
            Service::Elbv2,
            "CreateTargetGroup",
            &format!("Name=app&Port=3000&Protocol=HTTP&TargetType=ip&VpcId={vpc}"),
        );
        let target_group = element(&made, "TargetGroupArn").to_owned();
        let now = Mutex::new(Timestamp::from_millis(1_700_000_000_000));
        let agenda: Arc<Mutex<Agenda>> = Arc::default();
        let hears = agenda.clone();
        fixture.api.store.watch(move |commit| {
            hears.lock().unwrap().hear(commit);
        });
        let world = Self { agenda, fixture, subnets, group, vpc, target_group, role, now };
        if with_listener {
            world.listen();
        }
        world.json("CreateCluster", &json!({"clusterName": "c"}));
        world.register("127.0.0.1:4566/app:1");
        world
    }

    /// Makes the load balancer whose listener uses the target group.
    pub(crate) fn listen(&self) {
        let [a, c] = &self.subnets;
        let made = self.fixture.ok(
            Service::Elbv2,
            "CreateLoadBalancer",
            &format!("Name=lb&Subnets.member.1={a}&Subnets.member.2={c}&Type=application"),
        );
        let arn = element(&made, "LoadBalancerArn");
        let action = format!(
            "DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={}",
            self.target_group
        );
        let body = format!("LoadBalancerArn={arn}&Port=80&Protocol=HTTP&{action}");
        self.fixture.ok(Service::Elbv2, "CreateListener", &body);
    }

    /// Registers the next revision of `app`.
    pub(crate) fn register(&self, image: &str) -> Value {
        self.json("RegisterTaskDefinition", &self.definition(image))
    }

    pub(crate) fn definition(&self, image: &str) -> Value {
        json!({
            "family": "app", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
            "cpu": "256", "memory": "512", "executionRoleArn": self.role,
            "containerDefinitions": [{
                "name": "app", "image": image, "cpu": 0,
                "portMappings": [{"hostPort": 3000, "protocol": "tcp", "containerPort": 3000}],
            }],
        })
    }

    /// The request of a service `app` with so many tasks.
    pub(crate) fn service(&self, count: u32, with_load_balancer: bool) -> Value {
        let mut request = json!({
            "cluster": "c", "serviceName": "app", "taskDefinition": "app", "desiredCount": count,
            "launchType": "FARGATE", "availabilityZoneRebalancing": "DISABLED",
            "networkConfiguration": {"awsvpcConfiguration": {
                "subnets": self.subnets, "securityGroups": [self.group],
            }},
        });
        if with_load_balancer {
            request["loadBalancers"] = self.load_balancers();
        }
        request
    }

    pub(crate) fn load_balancers(&self) -> Value {
        json!([{"targetGroupArn": self.target_group, "containerName": "app", "containerPort": 3000}])
    }

    /// Calls ECS; it must succeed.
    pub(crate) fn json(&self, action: &str, body: &Value) -> Value {
        serde_json::from_str(&self.fixture.ok(Service::Ecs, action, &body.to_string())).unwrap()
    }

    /// Calls ECS; it must fail. Gives the code and the message.
    pub(crate) fn refused(&self, action: &str, body: &Value) -> (String, String) {
        let (status, text) = self.fixture.call(Service::Ecs, action, &body.to_string());
        assert_eq!(status, 400, "{action}: {text}");
        let error: Value = serde_json::from_str(&text).unwrap();
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let code = text("__type");
        (code.rsplit('#').next().unwrap().to_owned(), text("message") + &text("Message"))
    }

    /// Runs the scheduler until it has nothing more to do now. Gives when it wants to be called again. It looks at what
    /// changed alone; a run that looks at everything must find nothing that this has missed.
    pub(crate) fn settle(&self) -> Option<Timestamp> {
        for _ in 0..50 {
            let wake = self.run();
            if !self.agenda.lock().unwrap().is_waiting() && wake.is_none_or(|wake| wake > self.now()) {
                let before = self.rows().sequence();
                self.agenda.lock().unwrap().look_at_everything();
                assert_eq!(self.run(), wake, "a look at everything finds other timers");
                assert_eq!(self.rows().sequence(), before, "a look at everything finds more to do");
                return wake;
            }
        }
        panic!("the scheduler does not come to rest");
    }

    fn run(&self) -> Option<Timestamp> {
        let (settings, machine, now) =
            (self.fixture.api.settings.clone(), self.fixture.api.machine.clone(), self.now());
        let agenda = self.agenda.clone();
        let write = move |tx: &mut store::Tx| -> Result<_, Infallible> {
            let context = |account: &types::AccountId, region: &types::Region| Context {
                settings: settings.clone(),
                account: account.clone(),
                region: region.clone(),
                principal: Principal::Root,
                through: None,
                now,
                machine: machine.clone(),
                request_id: String::new(),
            };
            targets::forget_drained(tx, &machine, now);
            Ok(super::super::run(tx, context, &machine, now, &mut agenda.lock().unwrap()))
        };
        self.fixture.api.store.write(write).unwrap().unwrap()
    }

    pub(crate) fn pass(&mut self, duration: Duration) {
        let now = self.now.get_mut().unwrap();
        *now = now.plus(duration);
    }

    pub(crate) fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    pub(crate) fn rows(&self) -> Arc<Snapshot> {
        self.fixture.api.store.snapshot()
    }

    pub(crate) fn service_row(&self) -> Arc<ServiceRow> {
        self.rows().scan::<ServiceRow>("").next().unwrap()
    }

    /// The tasks that are not STOPPED, the oldest first.
    pub(crate) fn tasks(&self) -> Vec<Arc<Task>> {
        let rows = self.rows();
        let mut tasks: Vec<_> =
            rows.scan::<Task>("").filter(|task| task.last_status != LastStatus::Stopped).collect();
        tasks.sort_by_key(|task| (task.created_at, task.id.clone()));
        tasks
    }

    pub(crate) fn task(&self, id: &TaskId) -> Arc<Task> {
        self.rows().scan::<Task>("").find(|task| task.id == *id).unwrap()
    }

    /// What the machine says of a task.
    pub(crate) fn report(&self, id: &TaskId, phase: TaskPhase, change: impl FnOnce(&mut TaskStatus)) {
        let running = matches!(phase, TaskPhase::Running | TaskPhase::Stopping);
        let container = ContainerStatus {
            runtime_id: format!("{}-1234567890", "0".repeat(32)),
            image_digest: Some(format!("sha256:{}", "1".repeat(64))),
            exit_code: (phase == TaskPhase::Stopped).then_some(143),
            running,
            ..ContainerStatus::default()
        };
        let mut status = TaskStatus {
            task: id.clone(),
            phase,
            pull_started_at: Some(self.now()),
            pull_stopped_at: (phase > TaskPhase::Pulling).then_some(self.now()),
            started_at: (phase >= TaskPhase::Running).then_some(self.now()),
            execution_stopped_at: (phase == TaskPhase::Stopped).then_some(self.now()),
            error: None,
            containers: BTreeMap::from([("app".to_owned(), container)]),
        };
        change(&mut status);
        self.fixture.api.machine.observe(Observation::Task(status));
    }

    /// Reports and lets the scheduler act on it.
    pub(crate) fn reach(&self, id: &TaskId, phase: TaskPhase) {
        self.report(id, phase, |_| {});
        self.settle();
    }

    /// The machine does at once what it is told: tasks start, stop, and are healthy or drained as they are asked to.
    pub(crate) fn play(&self) {
        for _ in 0..50 {
            let before = self.rows().sequence();
            self.settle();
            for task in self.tasks() {
                let Some(part) =
                    crate::project::task::project(&self.rows(), &self.fixture.api.settings, &task.id)
                else {
                    let part = PartId::Task(task.id.clone());
                    self.fixture.api.machine.observe(Observation::Removed { part });
                    continue;
                };
                self.report(
                    &task.id,
                    if part.stop { TaskPhase::Stopped } else { TaskPhase::Running },
                    |status| status.started_at = task.started_at.or(status.started_at),
                );
            }
            self.observe_targets();
            let wake = self.settle();
            if self.rows().sequence() == before {
                // A task that nobody checks must have run for a while.
                match wake.filter(|wake| wake.since(self.now()) <= UNCHECKED) {
                    Some(wake) => *self.now.lock().unwrap() = wake,
                    None => return,
                }
            }
        }
        panic!("the machine and the scheduler do not come to rest");
    }

    /// The load balancers find every registered target healthy and every other one drained.
    pub(crate) fn observe_targets(&self) {
        let Some(group) = target_group::get(&self.rows(), &self.target_group) else { return };
        let health = |target: &desired::Target| match target.lifecycle {
            desired::TargetLifecycle::Registered => HealthState::Healthy,
            desired::TargetLifecycle::Draining { .. } => HealthState::Drained,
        };
        let targets = group.targets.iter().map(|target| TargetStatus {
            address: target.address,
            port: target.port,
            health: health(target),
            in_flight: 0,
        });
        for balancer in &group.load_balancer_arns {
            self.fixture.api.machine.observe(Observation::LoadBalancer(LoadBalancerStatus {
                load_balancer: balancer.rsplit('/').next().unwrap().to_owned(),
                generation: self.rows().sequence(),
                ready: true,
                error: None,
                targets: BTreeMap::from([(group.arn.clone(), targets.clone().collect())]),
            }));
        }
    }

    /// The messages of the service's events, the oldest first, with ids taken out.
    pub(crate) fn events(&self) -> Vec<String> {
        let events = &self.service_row().events;
        let plain = |message: &str| {
            let words = message.split(' ').map(|word| {
                let word = word.replace(&self.target_group, "GROUP").replace(&self.role, "ROLE");
                let hex = word.trim_end_matches([')', '.']);
                if hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return word.replace(hex, "ID");
                }
                if hex.starts_with("ecs-svc/") { word.replace(hex, "ecs-svc/N") } else { word }
            });
            words.collect::<Vec<_>>().join(" ")
        };
        events.iter().rev().map(|event| plain(&event.message)).collect()
    }
}
