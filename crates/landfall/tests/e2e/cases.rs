//! The cases. Each leaves the stack as it found it.

use std::io::Write;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use registry::image::{Builder, Image};
use registry::push::{Target, push};
use serde_json::Value;

use crate::stack::{Stack, text};

/// The sample application that build.rs compiled.
const ECHO: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/echo"));
/// Long enough for a silent time-out to be told from an answer.
const SILENCE: Duration = Duration::from_secs(3);

/// `terraform apply -target`, a push, `terraform apply`: as the article advises.
pub(crate) fn two_steps_of_the_first_apply(stack: &Stack) {
    stack.terraform(&["init"]);
    stack.terraform(&["apply", "-auto-approve", "-target=aws_ecr_repository.app"]);
    assert_eq!(stack.terraform(&["output", "-raw", "repository"]), format!("{}/echo", stack.listen));
    push_echo(stack);
    stack.terraform(&["apply", "-auto-approve"]);
    stack.wait_for_200(Duration::from_secs(60));
}

/// Pushes the sample application to the repository `echo`.
pub(crate) fn push_echo(stack: &Stack) {
    push_program(stack, "latest", ECHO);
}

/// Pushes a program that listens on port 3000 to the repository `echo`, under a tag.
pub(crate) fn push_program(stack: &Stack, tag: &str, program: &[u8]) {
    let image = Builder::new()
        .file("/echo", 0o755, program.to_vec())
        .entry_point(&["/echo"])
        .exposed_ports(&["3000/tcp"])
        .build()
        .unwrap();
    push_image(stack, "echo", tag, &image);
}

/// What `aws ecr get-login-password` stands for: `AWS:` and the password.
pub(crate) fn registry_login(stack: &Stack) -> String {
    let token = stack.ecr("GetAuthorizationToken", &serde_json::json!({}));
    let token = token["authorizationData"][0]["authorizationToken"].as_str().unwrap();
    String::from_utf8(STANDARD.decode(token).unwrap()).unwrap()
}

/// Pushes an image to a repository, under a tag.
pub(crate) fn push_image(stack: &Stack, repository: &str, tag: &str, image: &Image) {
    let login = registry_login(stack);
    let password = login.strip_prefix("AWS:").unwrap();
    let registry = stack.listen.to_string();
    let target = Target { registry: &registry, repository, tag: Some(tag), password };
    push(image, &target, &mut |_| ()).unwrap();
}

/// Terraform sees nothing to change.
pub(crate) fn the_second_plan_is_empty(stack: &Stack) {
    let plan = stack.try_terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
}

/// What is sent comes back, small, large and in chunks, by curl with the name that Terraform printed.
pub(crate) fn hello_world_comes_back(stack: &Stack) {
    let url = stack.url();
    let host = url.trim_start_matches("http://").to_owned();
    let resolve = format!("{host}:80:{}", stack.host_address);
    let curl = stack.run("curl", &["-sS", "--resolve", &resolve, &url, "--data", "hello world"]);
    assert_eq!(text(&curl), "hello world");
    let large = "x".repeat(300_000);
    let answer = stack.request("POST", "/", &large, Duration::from_secs(20)).unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, large.len()));
    let unknown =
        stack.run("curl", &["-sS", "-H", "Host: nobody.example", &format!("http://{}", stack.host_address)]);
    assert!(
        text(&unknown).contains(&host),
        "a name that is none of the load balancers' lists them: {}",
        text(&unknown)
    );
}

/// The task's peer is a node of the load balancer; the client is the one fixed address of the host inside.
pub(crate) fn the_task_sees_the_load_balancer_and_the_client_s_address(stack: &Stack) {
    let answer = stack.request("GET", "/peer", "", Duration::from_secs(10)).unwrap();
    let line = |prefix: &str| {
        answer
            .body
            .lines()
            .find_map(|line| line.strip_prefix(prefix))
            .unwrap_or_else(|| panic!("{answer:?}"))
            .to_owned()
    };
    assert!(line("peer ").starts_with("10.20.0.") || line("peer ").starts_with("10.20.1."), "{answer:?}");
    assert_eq!(line("x-forwarded-for "), "198.19.0.1");
}

/// Statuses, attachments, events and health through the AWS CLI.
pub(crate) fn the_cli_shows_the_service_as_aws_does(stack: &Stack) {
    let service = &stack.aws("ecs describe-services --cluster echo --services echo")["services"][0];
    assert_eq!(
        (&service["status"], &service["runningCount"], &service["desiredCount"]),
        (&"ACTIVE".into(), &1.into(), &1.into()),
        "{service:#}"
    );
    let events: Vec<&str> =
        service["events"].as_array().unwrap().iter().filter_map(|event| event["message"].as_str()).collect();
    for words in ["has started 1 tasks", "registered 1 targets in", "has reached a steady state"] {
        assert!(events.iter().any(|event| event.contains(words)), "{words}: {events:?}");
    }
    let tasks = stack.aws("ecs list-tasks --cluster echo --service-name echo");
    let arn = tasks["taskArns"][0].as_str().unwrap();
    let task = &stack.aws(&format!("ecs describe-tasks --cluster echo --tasks {arn}"))["tasks"][0];
    assert_eq!(task["lastStatus"], "RUNNING", "{task:#}");
    for at in ["createdAt", "connectivityAt", "pullStartedAt", "pullStoppedAt", "startedAt"] {
        assert!(!task[at].is_null(), "{at}: {task:#}");
    }
    let details = task["attachments"][0]["details"].as_array().unwrap();
    let detail = |name: &str| {
        details.iter().find(|detail| detail["name"] == name).map(|detail| detail["value"].clone())
    };
    let address = detail("privateIPv4Address").unwrap();
    assert!(address.as_str().unwrap().starts_with("10.20.10"), "{task:#}");
    let interface = detail("networkInterfaceId").unwrap();
    let eni = &stack.aws(&format!(
        "ec2 describe-network-interfaces --network-interface-ids {}",
        interface.as_str().unwrap()
    ))["NetworkInterfaces"][0];
    assert_eq!(eni["PrivateIpAddress"], address);
    assert_eq!(target_health(stack)[0].0, "healthy");
    let roles = stack.aws("iam list-roles");
    let names: Vec<&str> =
        roles["Roles"].as_array().unwrap().iter().filter_map(|r| r["RoleName"].as_str()).collect();
    for linked in ["AWSServiceRoleForECS", "AWSServiceRoleForElasticLoadBalancing"] {
        assert!(names.contains(&linked), "{names:?}");
    }
    let refused = stack.try_aws("iam create-user --user-name eve");
    assert!(!refused.status.success() && text(&refused).contains("CreateUser"), "{}", text(&refused));
}

/// State and reason of each target.
fn target_health(stack: &Stack) -> Vec<(String, String)> {
    let groups = stack.aws("elbv2 describe-target-groups --names echo");
    let arn = groups["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap();
    let health = stack.aws(&format!("elbv2 describe-target-health --target-group-arn {arn}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    health["TargetHealthDescriptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| (text(&target["TargetHealth"]["State"]), text(&target["TargetHealth"]["Reason"])))
        .collect()
}

fn group_id(stack: &Stack, name: &str) -> String {
    let groups = stack.aws(&format!("ec2 describe-security-groups --filters Name=group-name,Values={name}"));
    groups["SecurityGroups"][0]["GroupId"].as_str().unwrap().to_owned()
}

/// Revokes a rule, hands over to a check, and puts it back.
fn without_rule(stack: &Stack, group: &str, direction: &str, permission: &str, check: impl FnOnce()) {
    let id = group_id(stack, group);
    stack
        .aws(&format!("ec2 revoke-security-group-{direction} --group-id {id} --ip-permissions {permission}"));
    check();
    stack.aws(&format!(
        "ec2 authorize-security-group-{direction} --group-id {id} --ip-permissions {permission}"
    ));
    stack.wait_for_200(Duration::from_secs(90));
}

fn no_new_connection_but_open_ones_live(stack: &Stack, open: &mut std::net::TcpStream) {
    // The connection from the load balancer to the task that served this one is pooled, tracked, and lives on.
    let answer = stack.exchange(open, "POST", "/", "still here");
    assert_eq!(answer.map(|answer| answer.body).as_deref(), Some("still here"));
    // Its health checks need new connections. Default settings: every 30 s, 5 s time-out, 2 failures.
    stack.wait("the target unhealthy for Target.Timeout", Duration::from_secs(100), || {
        let health = target_health(stack);
        // The service replaces a sick task, so that a new target may stand beside it; none becomes healthy.
        let timed_out =
            |(state, reason): &(String, String)| state == "unhealthy" && reason == "Target.Timeout";
        let dead = health.iter().any(timed_out) && health.iter().all(|(state, _)| state != "healthy");
        if dead { Ok(()) } else { Err(format!("{health:?}")) }
    });
}

/// A request that needs a new connection to the target gets 504 after ten seconds: one that cannot use a pooled one.
fn new_connections_time_out(stack: &Stack) {
    // Requests whose bodies are not complete hold the pooled connections, until there are more than those.
    let url = stack.url();
    let mut held: Vec<_> = (0..24)
        .map(|_| {
            let mut connection = stack.connect().unwrap();
            connection.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
            let host = url.trim_start_matches("http://");
            write!(connection, "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\n\r\nx").unwrap();
            connection
        })
        .collect();
    std::thread::park_timeout(Duration::from_millis(500));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let finish = |connection: &mut std::net::TcpStream| {
            connection.write_all(b"x").unwrap();
            stack.read(connection).map_or(0, |answer| answer.status)
        };
        let threads: Vec<_> =
            held.iter_mut().map(|connection| scope.spawn(move || finish(connection))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(statuses.contains(&504), "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 504)), "{statuses:?}");
}

pub(crate) fn without_the_ingress_rule_no_new_connection_reaches_the_task(stack: &Stack) {
    let lb = group_id(stack, "echo-lb");
    let permission = format!("IpProtocol=tcp,FromPort=3000,ToPort=3000,UserIdGroupPairs=[{{GroupId={lb}}}]");
    let mut open = stack.connect().unwrap();
    stack.exchange(&mut open, "POST", "/", "first").unwrap();
    without_rule(stack, "echo-app", "ingress", &permission, || {
        new_connections_time_out(stack);
        no_new_connection_but_open_ones_live(stack, &mut open);
    });
}

pub(crate) fn without_the_egress_rule_no_new_connection_leaves_the_load_balancer(stack: &Stack) {
    let app = group_id(stack, "echo-app");
    let permission = format!("IpProtocol=tcp,FromPort=3000,ToPort=3000,UserIdGroupPairs=[{{GroupId={app}}}]");
    without_rule(stack, "echo-lb", "egress", &permission, || new_connections_time_out(stack));
}

pub(crate) fn without_its_own_rule_the_load_balancer_is_silent(stack: &Stack) {
    let permission = "IpProtocol=tcp,FromPort=80,ToPort=80,IpRanges=[{CidrIp=0.0.0.0/0}]";
    without_rule(stack, "echo-lb", "ingress", permission, || {
        assert_eq!(stack.request("POST", "/", "x", SILENCE), None, "the client gets no answer at all");
    });
}

/// Kills a process of the stack, by the number in which its role's command line names its folder.
fn kill(stack: &Stack, role: &str) {
    let needle = format!("role\0{role}\0");
    let state = stack.state.to_str().unwrap();
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(command) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let command = String::from_utf8_lossy(&command).into_owned();
        if command.contains(&needle) && command.contains(state) {
            let pid: i32 = entry.file_name().to_string_lossy().parse().unwrap();
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
                .unwrap();
            killed += 1;
        }
    }
    assert!(killed > 0, "there is no process for the role {role}");
}

/// The task below its service, with memory and CPU; a name that nothing has is refused.
pub(crate) fn top_shows_what_the_task_uses(stack: &Stack) {
    let output = stack.landfall(&["top", "echo", "--json", "--once"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let task = &document["groups"][0]["tasks"][0];
    assert_eq!(task["task"], stack.status()["tasks"][0]["id"], "{}", text(&output));
    assert_eq!(task["status"], "RUNNING");
    assert!(task["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{task}");
    for number in ["cpu_percent", "memory_percent", "received_bytes_per_second", "sent_bytes_per_second"] {
        assert!(task[number].as_f64().is_some_and(|number| number >= 0.0), "{number}: {task}");
    }
    let output = stack.landfall(&["top"]);
    assert!(output.status.success() && text(&output).contains("MEMORY/LIMIT"), "{}", text(&output));
    let output = stack.landfall(&["top", "nothing-has-this-name"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}

/// Requests go through at every moment while `serve` is dead and while it comes back.
pub(crate) fn the_data_plane_goes_on_while_serve_is_dead(stack: &Stack) {
    let before = stack.status();
    let mut open = stack.connect().unwrap();
    kill(stack, "serve");
    for _ in 0..20 {
        assert_eq!(stack.exchange(&mut open, "POST", "/", "on").map(|answer| answer.status), Some(200));
        assert_eq!(
            stack.request("POST", "/", "on", Duration::from_secs(5)).map(|answer| answer.status),
            Some(200)
        );
    }
    let after = stack.wait("serve is back", Duration::from_secs(20), || {
        let output = stack.landfall(&["status", "--json"]);
        serde_json::from_slice::<Value>(&output.stdout)
            .ok()
            .filter(|status| !status.is_null())
            .ok_or_else(|| text(&output))
    });
    assert_ne!(before["pid"], after["pid"]);
    assert_eq!(before["tasks"], after["tasks"], "the same task runs on");
    stack.wait("the target healthy again", Duration::from_secs(20), || {
        let health = target_health(stack);
        if health.iter().all(|(state, _)| state == "healthy") { Ok(()) } else { Err(format!("{health:?}")) }
    });
}

pub(crate) fn the_agent_may_die_and_comes_back(stack: &Stack) {
    let before = stack.status();
    let mut open = stack.connect().unwrap();
    kill(stack, "agent");
    assert_eq!(stack.exchange(&mut open, "POST", "/", "on").map(|answer| answer.status), Some(200));
    // `serve` or the next command starts it again; a change that needs it goes through.
    let up =
        stack.landfall(&["up", "--listen", &stack.listen.to_string(), "--host-address", &stack.host_address]);
    assert!(up.status.success(), "{}", text(&up));
    without_its_own_rule_the_load_balancer_is_silent(stack);
    assert_eq!(before["tasks"], stack.status()["tasks"], "the same task runs on");
}

/// With both gone the edge starts the agent, and the agent starts `serve`; nobody types anything.
pub(crate) fn serve_and_the_agent_may_die_together(stack: &Stack) {
    let before = stack.status();
    let mut open = stack.connect().unwrap();
    kill(stack, "serve");
    kill(stack, "agent");
    // An agent that was quicker than the second kill has started `serve` again: then the loss is of the agent alone.
    assert_eq!(stack.exchange(&mut open, "POST", "/", "on").map(|answer| answer.status), Some(200));
    let after = stack.wait("both are back", Duration::from_secs(20), || {
        let output = stack.landfall(&["status", "--json"]);
        let status = serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default();
        if status["problems"].as_array().is_some_and(Vec::is_empty) { Ok(status) } else { Err(text(&output)) }
    });
    assert_eq!(before["tasks"], after["tasks"], "the same task runs on");
    assert_eq!(stack.exchange(&mut open, "POST", "/", "on").map(|answer| answer.status), Some(200));
}

pub(crate) fn a_killed_balancer_comes_back(stack: &Stack) {
    kill(stack, "balancer");
    stack.wait_for_200(Duration::from_secs(30));
}

/// A shim that dies takes its containers along; the service starts another task.
pub(crate) fn a_killed_task_is_replaced(stack: &Stack) {
    let before = stack.aws("ecs list-tasks --cluster echo")["taskArns"][0].clone();
    kill(stack, "shim");
    stack.wait("another task runs", Duration::from_secs(60), || {
        let tasks = stack.aws("ecs list-tasks --cluster echo");
        let tasks = tasks["taskArns"].as_array().unwrap().clone();
        if tasks.len() == 1 && tasks[0] != before { Ok(()) } else { Err(format!("{tasks:?}")) }
    });
    stack.wait_for_200(Duration::from_secs(60));
}

/// Stops the one task and waits for a stopped one whose reason holds some words.
fn stopped_for(stack: &Stack, words: &[&str]) {
    let task = stack.aws("ecs list-tasks --cluster echo")["taskArns"][0].as_str().unwrap().to_owned();
    stack.aws(&format!("ecs stop-task --cluster echo --task {task}"));
    stack.wait(&format!("a task stopped for {words:?}"), Duration::from_secs(120), || {
        let stopped = stack.aws("ecs list-tasks --cluster echo --desired-status STOPPED");
        let arns: Vec<String> = stopped["taskArns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arn| arn.as_str().unwrap().to_owned())
            .collect();
        if arns.is_empty() {
            return Err("no task has stopped".to_owned());
        }
        let tasks = stack.aws(&format!("ecs describe-tasks --cluster echo --tasks {}", arns.join(" ")));
        let reasons: Vec<String> = tasks["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| {
                format!("{} / {}", task["stopCode"].as_str().unwrap_or_default(), task["stoppedReason"])
            })
            .collect();
        let found = reasons.iter().any(|reason| words.iter().all(|word| reason.contains(word)));
        if found { Ok(()) } else { Err(format!("{reasons:#?}")) }
    });
}

pub(crate) fn a_role_without_policy_cannot_pull(stack: &Stack) {
    let policy = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";
    stack.aws(&format!("iam detach-role-policy --role-name echo-execution --policy-arn {policy}"));
    stopped_for(stack, &["TaskFailedToStart", "CannotPullContainerError", "ecr:GetAuthorizationToken"]);
    stack.aws(&format!("iam attach-role-policy --role-name echo-execution --policy-arn {policy}"));
    stack.wait_for_200(Duration::from_secs(180));
}

/// A client of another make: pull the image, push it under another tag, find it by the API.
pub(crate) fn skopeo_pushes_and_pulls(stack: &Stack) {
    let password = String::from_utf8(stack.try_aws("ecr get-login-password").stdout).unwrap();
    let credentials = format!("AWS:{}", password.trim());
    let image = |tag: &str| format!("docker://{}/echo:{tag}", stack.listen);
    let layout = format!("oci:{}/layout:latest", stack.folder.display());
    let pull = ["copy", "--src-tls-verify=false", "--src-creds", &credentials, &image("latest"), &layout];
    let pulled = stack.run("skopeo", &pull);
    assert!(pulled.status.success(), "{}", text(&pulled));
    let push = ["copy", "--dest-tls-verify=false", "--dest-creds", &credentials, &layout, &image("second")];
    let pushed = stack.run("skopeo", &push);
    assert!(pushed.status.success(), "{}", text(&pushed));
    let images = stack.aws("ecr describe-images --repository-name echo");
    let tags = images["imageDetails"].to_string();
    assert!(tags.contains("second"), "{images:#}");
    stack.aws("ecr batch-delete-image --repository-name echo --image-ids imageTag=second");
}

/// `terraform destroy` succeeds, and no network is left.
pub(crate) fn destroy_takes_everything(stack: &Stack) {
    stack.terraform(&["destroy", "-auto-approve"]);
    let status = stack.status();
    for list in ["services", "tasks", "load_balancers"] {
        assert_eq!(status[list].as_array().map(Vec::len), Some(0), "{list}: {status:#}");
    }
    let namespaces = || {
        let entries = std::fs::read_dir(stack.state.join("netns")).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name != "internet")
            .collect::<Vec<_>>()
    };
    stack.wait("the namespaces are gone", Duration::from_secs(20), || {
        let left = namespaces();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}
