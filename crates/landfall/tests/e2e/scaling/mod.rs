//! A service that follows its load: CPU is burnt through the load balancer, and the count goes from 1 to 3 and back.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::cases;
use crate::stack::Stack;

/// From the load's begin to the last task's first answer, and from its end to one task: three and fifteen periods of a
/// second, two cooldowns of five, and a start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn service(stack: &Stack) -> Value {
    stack.aws("ecs describe-services --cluster echo --services echo")["services"][0].clone()
}

/// Waits until a service has so many tasks, all of them running.
fn wait_for(stack: &Stack, count: i64) {
    stack.wait(&format!("{count} running tasks"), PATIENCE, || {
        let service = service(stack);
        let now = (service["desiredCount"].as_i64(), service["runningCount"].as_i64());
        if now == (Some(count), Some(count)) { Ok(()) } else { Err(format!("{now:?}: {service}")) }
    });
}

pub(crate) fn a_service_follows_its_load_from_one_to_three_and_back(stack: &Stack) {
    std::fs::write(stack.folder.join("scaling.tf"), include_str!("scaling.tf")).unwrap();
    cases::two_steps_of_the_first_apply(stack);
    cases::the_second_plan_is_empty(stack);
    stack.wait("the first deployment's end", PATIENCE, || {
        let state = service(stack)["deployments"][0]["rolloutState"].clone();
        if state == "COMPLETED" { Ok(()) } else { Err(state.to_string()) }
    });
    let load = Load::begin(stack, "/burn");
    wait_for(stack, 3);
    stack.wait("answers of three tasks", PATIENCE, || {
        let tasks = load.tasks();
        if tasks.len() == 3 { Ok(()) } else { Err(format!("{tasks:?}")) }
    });
    alarms_and_metrics_tell(stack);
    load.end();
    wait_for(stack, 1);
    let activities = stack.aws("application-autoscaling describe-scaling-activities --service-namespace ecs");
    let activities = activities["ScalingActivities"].as_array().unwrap().clone();
    let last = &activities[0];
    assert_eq!(last["Description"], "Setting desired count to 1.", "{activities:?}");
    assert!(last["Cause"].as_str().unwrap().contains("-AlarmLow-"), "{last}");
    cases::the_second_plan_is_empty(stack);
    a_scheduled_action_sets_the_least(stack);
    a_step_policy_follows_an_alarm_on_a_metric_of_our_own(stack);
    requests_per_target_are_followed(stack);
    cases::destroy_takes_everything(stack);
}

/// Calls Application Auto Scaling for the service.
fn autoscaling(stack: &Stack, call: &str) -> Value {
    let target = "--service-namespace ecs --scalable-dimension ecs:service:DesiredCount --resource-id service/echo/echo";
    stack.aws(&format!("application-autoscaling {call} {target}"))
}

/// The newest activities' descriptions and causes.
fn activities(stack: &Stack) -> Vec<String> {
    let told = autoscaling(stack, "describe-scaling-activities");
    let text = |activity: &Value| {
        format!("{} {}", activity["Description"].as_str().unwrap(), activity["Cause"].as_str().unwrap())
    };
    told["ScalingActivities"].as_array().unwrap().iter().map(text).collect()
}

fn a_scheduled_action_sets_the_least(stack: &Stack) {
    // Time for the call itself on a busy machine: what lies in the past is not done.
    let soon = types::Timestamp::now().plus(Duration::from_secs(10)).iso();
    let at = soon.split('.').next().unwrap();
    let action = "MinCapacity=2,MaxCapacity=3";
    autoscaling(
        stack,
        &format!(
            "put-scheduled-action --scheduled-action-name soon --schedule at({at}) --scalable-target-action {action}"
        ),
    );
    wait_for(stack, 2);
    let told = activities(stack);
    assert!(told.iter().any(|text| text.contains("scheduled action name soon was triggered")), "{told:#?}");
    autoscaling(stack, "register-scalable-target --min-capacity 1");
    wait_for(stack, 1);
}

fn a_step_policy_follows_an_alarm_on_a_metric_of_our_own(stack: &Stack) {
    let policies = autoscaling(stack, "describe-scaling-policies --policy-names step");
    let policy = policies["ScalingPolicies"][0]["PolicyARN"].as_str().unwrap().to_owned();
    stack.aws(&format!(
        "cloudwatch put-metric-alarm --alarm-name queue --namespace Echo --metric-name Waiting --statistic Maximum \
         --period 10 --evaluation-periods 1 --threshold 5 --comparison-operator GreaterThanThreshold \
         --treat-missing-data notBreaching --alarm-actions {policy}"
    ));
    stack.aws(
        "cloudwatch put-metric-data --namespace Echo --metric-name Waiting --value 9 --storage-resolution 1",
    );
    wait_for(stack, 2);
    let (told, cause) = (activities(stack), "monitor alarm queue in state ALARM triggered policy step");
    assert!(told.iter().any(|text| text.contains(cause)), "{told:#?}");
    wait_for(stack, 1);
    stack.aws("cloudwatch delete-alarms --alarm-names queue");
}

fn requests_per_target_are_followed(stack: &Stack) {
    let end = |arn: &Value, mark: &str| arn.as_str().unwrap().split_once(mark).unwrap().1.to_owned();
    let balancer = &stack.aws("elbv2 describe-load-balancers")["LoadBalancers"][0]["LoadBalancerArn"];
    let group = &stack.aws("elbv2 describe-target-groups")["TargetGroups"][0]["TargetGroupArn"];
    let label = format!("{}/targetgroup/{}", end(balancer, ":loadbalancer/"), end(group, ":targetgroup/"));
    let follow = serde_json::json!({
        "TargetValue": 5.0, "ScaleOutCooldown": 2, "ScaleInCooldown": 2,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label},
    });
    autoscaling(stack, "delete-scaling-policy --policy-name cpu");
    autoscaling(
        stack,
        &format!(
            "put-scaling-policy --policy-name requests --policy-type TargetTrackingScaling \
             --target-tracking-scaling-policy-configuration {follow}"
        ),
    );
    let load = Load::begin(stack, "/");
    wait_for(stack, 3);
    load.end();
    wait_for(stack, 1);
    let told = activities(stack);
    let followed = |text: &&String| text.ends_with(" in state ALARM triggered policy requests");
    assert!(told.iter().filter(followed).count() >= 2, "{told:#?}");
}

/// What is seen while three tasks burn.
fn alarms_and_metrics_tell(stack: &Stack) {
    let alarms = stack
        .aws("cloudwatch describe-alarms --alarm-name-prefix TargetTracking-service/echo/echo-AlarmHigh");
    assert_eq!(alarms["MetricAlarms"].as_array().unwrap().len(), 1, "{alarms}");
    let listed = stack.aws("cloudwatch list-metrics");
    let names: BTreeSet<String> = listed["Metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|metric| {
            format!("{}/{}", metric["Namespace"].as_str().unwrap(), metric["MetricName"].as_str().unwrap())
        })
        .collect();
    for name in [
        "AWS/ECS/CPUUtilization",
        "AWS/ECS/MemoryUtilization",
        "AWS/ApplicationELB/RequestCount",
        "AWS/ApplicationELB/RequestCountPerTarget",
        "AWS/ApplicationELB/TargetResponseTime",
        "AWS/ApplicationELB/HTTPCode_Target_2XX_Count",
        "AWS/ApplicationELB/HealthyHostCount",
        "AWS/ApplicationELB/ProcessedBytes",
        "AWS/ApplicationELB/NewConnectionCount",
        "AWS/ApplicationELB/ActiveConnectionCount",
    ] {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
}

/// Clients that burn CPU, each on one connection after the other.
struct Load {
    clients: Vec<std::thread::JoinHandle<()>>,
    ended: Arc<AtomicBool>,
    tasks: Arc<Mutex<BTreeSet<String>>>,
}

impl Load {
    fn begin(stack: &Stack, path: &'static str) -> Self {
        let (ended, tasks) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
        let sender = stack.sender();
        let clients = (0..6)
            .map(|_| {
                let (ended, tasks, sender) = (ended.clone(), tasks.clone(), sender.clone());
                std::thread::spawn(move || {
                    while !ended.load(Ordering::SeqCst) {
                        if let Some(answer) =
                            sender.get(path, Duration::from_secs(20)).filter(|a| a.status == 200)
                        {
                            tasks.lock().unwrap().insert(answer.body);
                        }
                    }
                })
            })
            .collect();
        Self { clients, ended, tasks }
    }

    fn tasks(&self) -> BTreeSet<String> {
        self.tasks.lock().unwrap().clone()
    }

    fn end(self) {
        self.ended.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().unwrap();
        }
    }
}
