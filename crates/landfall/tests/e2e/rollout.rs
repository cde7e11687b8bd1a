//! Deployments under load: no request is lost while tasks come and go, and a broken version is taken back.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::stack::{Answer, Stack, text};

/// What the example is with a circuit breaker, two tasks, and an image and a port to choose.
const VARIABLES: &str = r#"
variable "tag" { default = "latest" }
variable "port" { default = "3000" }
variable "release" { default = "1" }

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
  default_capacity_provider_strategy {
    capacity_provider = "FARGATE"
    weight            = 1
  }
}
"#;
const OVERRIDE: &str = r#"
resource "aws_ecs_task_definition" "app" {
  container_definitions = jsonencode([{
    name         = "app"
    image        = "${aws_ecr_repository.app.repository_url}:${var.tag}"
    portMappings = [{ containerPort = 3000 }]
    environment  = [{ name = "PORT", value = var.port }, { name = "RELEASE", value = var.release }]
  }])
}

resource "aws_ecs_service" "app" {
  desired_count         = 2
  wait_for_steady_state = true

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
}

resource "aws_lb_target_group" "app" {
  health_check {
    interval            = 5
    timeout             = 2
    unhealthy_threshold = 2
  }
}
"#;

/// How long a rollout may take here.
const PATIENCE: Duration = Duration::from_secs(180);

/// Requests from several clients at once, over connections that stay open, over new ones, and slowly.
struct Load {
    ended: AtomicBool,
    answered: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

impl Load {
    /// Runs `act` under load; every request must be answered.
    fn during(stack: &Stack, act: impl FnOnce()) {
        let load = Self {
            ended: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
            failed: Mutex::new(Vec::new()),
        };
        // Terraform is asked for the name before the clock runs.
        stack.url();
        std::thread::scope(|scope| {
            for client in 0..6 {
                let load = &load;
                scope.spawn(move || match client {
                    0..3 => load.keep_alive(stack),
                    3 | 4 => load.new_connections(stack),
                    _ => load.slowly(stack),
                });
            }
            // The clients end when the act does, also by a panic.
            let _end = End(&load.ended);
            act();
        });
        let failed = load.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let answered = load.answered.into_inner();
        assert!(answered > 100, "{answered} requests are no load");
        assert!(failed.is_empty(), "{} of {answered} requests failed: {failed:#?}", failed.len());
        println!("    {answered} requests, none lost");
    }

    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::SeqCst)
    }

    fn take(&self, kind: &str, body: &str, answer: Option<&Answer>, begun: Instant) {
        if answer.is_some_and(|answer| answer.status == 200 && answer.body == body) {
            self.answered.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let what = format!("{kind}: {answer:?} after {:?}", begun.elapsed());
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn keep_alive(&self, stack: &Stack) {
        let mut connection = stack.connect().expect("a connection to the load balancer");
        connection.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        while self.goes_on() {
            let begun = Instant::now();
            let answer = stack.exchange(&mut connection, "POST", "/", "kept alive");
            let cut = answer.is_none();
            self.take("a connection that stays open", "kept alive", answer.as_ref(), begun);
            if cut {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn new_connections(&self, stack: &Stack) {
        while self.goes_on() {
            let begun = Instant::now();
            let answer = stack.request("POST", "/", "new", Duration::from_secs(15));
            self.take("a new connection", "new", answer.as_ref(), begun);
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// A request that takes most of a second: it is in flight when its target begins to drain.
    fn slowly(&self, stack: &Stack) {
        let host = stack.url().trim_start_matches("http://").to_owned();
        while self.goes_on() {
            let begun = Instant::now();
            let answer = stack.connect().and_then(|mut connection| {
                connection.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
                write!(connection, "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 8\r\n\r\nhalf")
                    .ok()?;
                std::thread::park_timeout(Duration::from_millis(800));
                connection.write_all(b"half").ok()?;
                stack.read(&mut connection)
            });
            self.take("a slow request", "halfhalf", answer.as_ref(), begun);
        }
    }
}

/// Ends the load when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn service(stack: &Stack) -> Value {
    stack.aws("ecs describe-services --cluster echo --services echo")["services"][0].clone()
}

/// Waits until one deployment is left and has its tasks.
fn wait_stable(stack: &Stack, count: u64) -> Value {
    stack.wait("a steady service", PATIENCE, || {
        let service = service(stack);
        let deployments = service["deployments"].as_array().map(Vec::len);
        let stable = deployments == Some(1)
            && service["runningCount"] == count
            && service["deployments"][0]["rolloutState"] == "COMPLETED";
        if stable { Ok(service) } else { Err(service["deployments"].to_string()) }
    })
}

fn task_arns(stack: &Stack) -> Vec<String> {
    let tasks = stack.aws("ecs list-tasks --cluster echo --service-name echo");
    tasks["taskArns"].as_array().unwrap().iter().filter_map(|arn| arn.as_str().map(str::to_owned)).collect()
}

/// Terraform rolls a new task definition out, and waits until the service is steady.
pub(crate) fn terraform_rolls_a_new_version_out(stack: &Stack) {
    std::fs::write(stack.folder.join("variables_of_the_test.tf"), VARIABLES).unwrap();
    std::fs::write(stack.folder.join("test_override.tf"), OVERRIDE).unwrap();
    stack.terraform(&["apply", "-auto-approve"]);
    let before = task_arns(stack);
    assert_eq!(before.len(), 2);
    Load::during(stack, || {
        stack.terraform(&["apply", "-auto-approve", "-var", "release=2"]);
    });
    let after = task_arns(stack);
    assert!(after.len() == 2 && after.iter().all(|arn| !before.contains(arn)), "{before:?} {after:?}");
    let plan = stack.try_terraform(&["plan", "-detailed-exitcode", "-var", "release=2"]);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
}

/// The service scales out and in, and its tasks are replaced by force.
pub(crate) fn scaling_and_a_forced_deployment(stack: &Stack) {
    Load::during(stack, || {
        stack.aws("ecs update-service --cluster echo --service echo --desired-count 4");
        stack.aws("ecs wait services-stable --cluster echo --services echo");
        wait_stable(stack, 4);
        stack.aws("ecs update-service --cluster echo --service echo --desired-count 1");
        wait_stable(stack, 1);
        stack.aws("ecs update-service --cluster echo --service echo --force-new-deployment");
        wait_stable(stack, 1);
        stack.aws("ecs update-service --cluster echo --service echo --desired-count 2");
        wait_stable(stack, 2);
    });
}

/// A task that is stopped by hand drains first, and gets SIGTERM then.
pub(crate) fn a_task_is_stopped(stack: &Stack) {
    Load::during(stack, || {
        let arn = task_arns(stack).remove(0);
        stack.aws(&format!("ecs stop-task --cluster echo --task {arn}"));
        stack.wait("the task's end", PATIENCE, || {
            let task = &stack.aws(&format!("ecs describe-tasks --cluster echo --tasks {arn}"))["tasks"][0];
            if task["lastStatus"] == "STOPPED" { Ok(()) } else { Err(task["lastStatus"].to_string()) }
        });
        wait_stable(stack, 2);
    });
}

/// A version that cannot be pulled, and one that does not listen where it should, are taken back; the old one serves all
/// the time.
pub(crate) fn broken_versions_are_taken_back(stack: &Stack) {
    let good = service(stack);
    for (broken, words) in [
        ("tag=none", "was unable to place a task. Reason: CannotPullContainerError"),
        ("port=3001", "is unhealthy in (target-group"),
    ] {
        Load::during(stack, || {
            // Whether Terraform calls that a failure differs between its provider's versions.
            let applied =
                stack.try_terraform(&["apply", "-auto-approve", "-var", "release=2", "-var", broken]);
            let service = stack.wait("the rollback", PATIENCE, || {
                let service = service(stack);
                let back = service["taskDefinition"] == good["taskDefinition"];
                if back { Ok(service) } else { Err(format!("{}\n{service:#}", text(&applied))) }
            });
            assert_eq!(service["deployments"][0]["id"], good["deployments"][0]["id"]);
            let service = wait_stable(stack, 2);
            let events: Vec<&str> = service["events"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|event| event["message"].as_str())
                .collect();
            for words in [words, "deployment failed: tasks failed to start.", "rolling back to deployment"] {
                assert!(events.iter().any(|event| event.contains(words)), "{words}: {events:#?}");
            }
            let listed = stack.aws("ecs list-service-deployments --cluster echo --service echo");
            assert_eq!(listed["serviceDeployments"][0]["status"], "ROLLBACK_SUCCESSFUL");
        });
    }
    // Terraform puts its own task definition back.
    stack.terraform(&["apply", "-auto-approve", "-var", "release=2"]);
}
