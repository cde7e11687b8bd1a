//! A task that gets a parameter and a secret of Terraform's, shows them over HTTP, and does not start when its role may
//! not read them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cases::{push_program, the_second_plan_is_empty};
use crate::stack::Stack;

const FILE: &str = "secrets.tf";

/// The whole case; the stack is as before in the end.
pub(crate) fn a_task_gets_a_parameter_and_a_secret(stack: &Stack) {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/secrets");
    push_program(stack, "environment", &compiled(&own.join("environment.rs")));
    std::fs::copy(own.join(FILE), stack.folder.join(FILE)).unwrap();
    stack.terraform(&["apply", "-auto-approve"]);
    the_second_plan_is_empty(stack);
    assert_eq!(
        stack.terraform(&["output", "-raw", "secrets"]),
        "token-of-the-e2e someone echo/database /echo/level /echo/token 24"
    );
    let run = run(stack, "echo-secrets");
    let task = wait_for(stack, &run, "RUNNING");
    assert_eq!(
        shown(stack, &task),
        "SHOWN_LEVEL=chatty\nSHOWN_PASSWORD=hunter2\nSHOWN_TOKEN=token-of-the-e2e\n"
    );
    for text in [task.to_string(), stack.landfall_ok(&["status", "--json"])] {
        assert!(!text.contains("hunter2") && !text.contains("token-of-the-e2e"), "{text}");
    }
    let id = run.rsplit('/').next().unwrap();
    for file in ["landfall.db".to_owned(), "landfall.db-wal".to_owned(), format!("tasks/{id}/config.json")] {
        let bytes = std::fs::read(stack.state.join(&file)).unwrap_or_default();
        for value in ["hunter2", "token-of-the-e2e"] {
            assert!(!bytes.windows(value.len()).any(|window| window == value.as_bytes()), "{file}");
        }
    }
    stack.ecs("StopTask", &json!({"cluster": "echo", "task": run}));

    stack.iam("DeleteRolePolicy", "RoleName=echo-execution&PolicyName=secrets");
    let denied = self::run(stack, "echo-secrets");
    let task = wait_for(stack, &denied, "STOPPED");
    let said = task["stoppedReason"].as_str().unwrap();
    assert_eq!(task["stopCode"], "TaskFailedToStart", "{task:#}");
    for words in [
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable \
         to retrieve secrets from ssm: service call has been retried 1 time(s): AccessDeniedException: User: ",
        "is not authorized to perform: ssm:GetParameters on resource: arn:aws:ssm:",
        ":parameter/echo/level because no identity-based policy allows the ssm:GetParameters action",
    ] {
        assert!(said.contains(words), "{said}");
    }
    wait_for(stack, &run, "STOPPED");
    std::fs::remove_file(stack.folder.join(FILE)).unwrap();
    stack.terraform(&["apply", "-auto-approve"]);
}

/// Starts a task of a task definition in the networks of the example's service.
pub(crate) fn run(stack: &Stack, definition: &str) -> String {
    let services = stack.ecs("DescribeServices", &json!({"cluster": "echo", "services": ["echo"]}));
    let started = stack.ecs(
        "RunTask",
        &json!({
            "cluster": "echo", "taskDefinition": definition, "launchType": "FARGATE",
            "networkConfiguration": services["services"][0]["networkConfiguration"],
        }),
    );
    started["tasks"][0]["taskArn"].as_str().unwrap().to_owned()
}

pub(crate) fn described(stack: &Stack, arn: &str) -> Value {
    stack.ecs("DescribeTasks", &json!({"cluster": "echo", "tasks": [arn]}))["tasks"][0].clone()
}

/// Waits until a task has a status; gives the task.
#[track_caller]
pub(crate) fn wait_for(stack: &Stack, arn: &str, status: &str) -> Value {
    stack.wait(&format!("the task is {status}"), Duration::from_secs(60), || {
        let task = described(stack, arn);
        if task["lastStatus"] == status { Ok(task) } else { Err(format!("{task:#}")) }
    })
}

/// What the task's program answers, inside the task's own network.
fn shown(stack: &Stack, task: &Value) -> String {
    let details = task["attachments"][0]["details"].as_array().unwrap();
    let detail = |name: &str| {
        let detail = details.iter().find(|detail| detail["name"] == name).unwrap();
        detail["value"].as_str().unwrap().to_owned()
    };
    let address =
        SocketAddr::from((detail("privateIPv4Address").parse::<std::net::Ipv4Addr>().unwrap(), 3000));
    let namespace = stack.state.join("netns").join(detail("networkInterfaceId"));
    stack.wait("the program answers", Duration::from_secs(10), || {
        let ask = || {
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = sys::netns::within(&namespace, ask).unwrap().map_err(|cause| cause.to_string())?;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).ok_or(answer.clone())
    })
}

/// A file of std-only Rust as a static binary.
pub(crate) fn compiled(source: &Path) -> Vec<u8> {
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("environment-{}", std::process::id()));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    #[allow(clippy::disallowed_methods, reason = "a test compiles the program of its image")]
    let status = std::process::Command::new(rustc)
        .args(["--edition", "2024", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
        .args([&binary, source])
        .status()
        .unwrap();
    assert!(status.success(), "the program does not compile");
    let bytes = std::fs::read(&binary).unwrap();
    std::fs::remove_file(&binary).unwrap();
    bytes
}
