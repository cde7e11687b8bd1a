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
    let load = Load::begin(stack);
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
    cases::destroy_takes_everything(stack);
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
    fn begin(stack: &Stack) -> Self {
        let (ended, tasks) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
        let sender = stack.sender();
        let clients = (0..6)
            .map(|_| {
                let (ended, tasks, sender) = (ended.clone(), tasks.clone(), sender.clone());
                std::thread::spawn(move || {
                    while !ended.load(Ordering::SeqCst) {
                        if let Some(answer) =
                            sender.get("/burn", Duration::from_secs(20)).filter(|a| a.status == 200)
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
