//! A program with an unmodified SDK inside a task: it finds its role's key pair, trusts the local certificate authority, and
//! calls AWS by AWS's own names through the NAT gateway.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::REGION;
use crate::cases::push_image;
use crate::python_image::python_image;
use crate::stack::Stack;

/// What it may and who it is, once a second.
const PROGRAM: &str = r#"
import json, os, time, urllib.error, urllib.request
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

def say(what, value):
    print(what, json.dumps(value, default=str), flush=True)

def attempt(call):
    try:
        return call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    except Exception as error:
        return f"{type(error).__name__}: {error}"

metadata = os.environ["ECS_CONTAINER_METADATA_URI_V4"]
for path in ("", "/task", "/stats", "/task/stats"):
    with urllib.request.urlopen(metadata + path, timeout=20) as answer:
        say("metadata" + path, json.load(answer))

def protection():
    try:
        with urllib.request.urlopen(os.environ["ECS_AGENT_URI"] + "/task-protection/v1/state", timeout=20) as answer:
            return json.load(answer)["failure"]["Reason"]
    except urllib.error.HTTPError as error:
        return json.load(error)["error"]["Code"]

config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10)
sts, ecs = boto3.client("sts", config=config), boto3.client("ecs", config=config)
for _ in range(120):
    say("identity", attempt(lambda: sts.get_caller_identity()["Arn"]))
    say("clusters", attempt(lambda: len(ecs.list_clusters()["clusterArns"])))
    say("protection", attempt(protection))
    time.sleep(1)
"#;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ecs-tasks.amazonaws.com"}}]}"#;
const MAY_LIST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ecs:ListClusters","ecs:GetTaskProtection"],"Resource":"*"}]}"#;

/// The last value that the program said of something.
fn said(stack: &Stack, task: &str, what: &str) -> Option<Value> {
    let logs = stack.landfall(&["logs", task]);
    let logs = String::from_utf8(logs.stdout).unwrap();
    let value = |line: &str| {
        let (_, rest) = line.split_once(&format!(" {what} "))?;
        serde_json::from_str(rest).ok()
    };
    logs.lines().rev().find_map(value)
}

#[track_caller]
fn says(stack: &Stack, task: &str, what: &str, expected: &Value) {
    stack.wait(&format!("{what} is {expected}"), Duration::from_secs(60), || {
        let found = said(stack, task, what);
        if found.as_ref() == Some(expected) {
            return Ok(());
        }
        Err(format!("{found:?}\n{}", String::from_utf8_lossy(&stack.landfall(&["logs", task]).stdout)))
    });
}

/// Starts the program as a task with the role `program`; gives the task's id. With `trusted` the container opts in to
/// trusting the local authority.
fn start(stack: &Stack, account: &str, trusted: bool) -> String {
    let service = stack.ecs("DescribeServices", &json!({"cluster": "echo", "services": ["echo"]}));
    let network = service["services"][0]["networkConfiguration"].clone();
    let mut container = json!({"name": "program", "image": format!("{}/program:latest", stack.listen)});
    if trusted {
        container["dockerLabels"] = json!({"landfall.trust-ca": "true"});
    }
    let definition = json!({
        "family": "program", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "cpu": "512", "memory": "1024", "containerDefinitions": [container],
        "executionRoleArn": format!("arn:aws:iam::{account}:role/echo-execution"),
        "taskRoleArn": format!("arn:aws:iam::{account}:role/program"),
    });
    let registered = stack.ecs("RegisterTaskDefinition", &definition);
    let run = json!({
        "cluster": "echo", "launchType": "FARGATE", "networkConfiguration": network,
        "taskDefinition": registered["taskDefinition"]["taskDefinitionArn"],
    });
    let started = stack.ecs("RunTask", &run);
    let arn = started["tasks"][0]["taskArn"].as_str().unwrap_or_else(|| panic!("{started:#}"));
    arn.rsplit('/').next().unwrap().to_owned()
}

pub(crate) fn an_unmodified_sdk_calls_aws_as_the_task_role(stack: &Stack) {
    let service = stack.ecs("DescribeServices", &json!({"cluster": "echo", "services": ["echo"]}));
    let account =
        service["services"][0]["serviceArn"].as_str().unwrap().split(':').nth(4).unwrap().to_owned();
    stack.ecr("CreateRepository", &json!({"repositoryName": "program"}));
    push_image(stack, "program", "latest", &python_image(stack, PROGRAM, &["sts", "ecs"]));
    stack.iam("CreateRole", &format!("RoleName=program&AssumeRolePolicyDocument={TRUST}"));

    let task = start(stack, &account, true);
    let identity = format!("arn:aws:sts::{account}:assumed-role/program/{task}");
    says(stack, &task, "identity", &json!(identity));
    says(stack, &task, "clusters", &json!("AccessDeniedException"));
    says(stack, &task, "protection", &json!("AccessDeniedException"));
    let policy = format!("RoleName=program&PolicyName=list&PolicyDocument={MAY_LIST}");
    stack.iam("PutRolePolicy", &policy);
    says(stack, &task, "clusters", &json!(1));
    // It is no service's.
    says(stack, &task, "protection", &json!("TASK_NOT_VALID"));

    let document = said(stack, &task, "metadata/task").unwrap();
    assert_eq!(document["TaskARN"], format!("arn:aws:ecs:{REGION}:{account}:task/echo/{task}"));
    assert_eq!((&document["LaunchType"], &document["Limits"]["CPU"]), (&json!("FARGATE"), &json!(0.5)));
    let own = said(stack, &task, "metadata").unwrap();
    assert_eq!((&own["Name"], &own["KnownStatus"]), (&json!("program"), &json!("RUNNING")));
    let stats = said(stack, &task, "metadata/stats").unwrap();
    assert!(stats["memory_stats"]["usage"].as_u64().unwrap() > 1 << 20, "{stats:#}");
    assert!(stats["cpu_stats"]["cpu_usage"]["total_usage"].as_u64().unwrap() > 0, "{stats:#}");
    assert!(stats["networks"]["eth0"]["rx_bytes"].as_u64().unwrap() > 0, "{stats:#}");
    let all = said(stack, &task, "metadata/task/stats").unwrap();
    assert_eq!(all.as_object().unwrap().keys().next().unwrap(), own["DockerId"].as_str().unwrap());

    // Without opting in the certificate is of an authority that nobody knows.
    let stranger = start(stack, &account, false);
    stack.wait("a certificate that is not trusted", Duration::from_secs(60), || {
        let found = said(stack, &stranger, "identity");
        match &found {
            Some(Value::String(text)) if text.contains("CERTIFICATE_VERIFY_FAILED") => Ok(()),
            _ => Err(format!("{found:?}")),
        }
    });

    // The role goes while its session lives, and another of the same name is not the same.
    stack.iam("DeleteRolePolicy", "RoleName=program&PolicyName=list");
    stack.iam("DeleteRole", "RoleName=program");
    says(stack, &task, "clusters", &json!("UnrecognizedClientException"));
    says(stack, &task, "identity", &json!("InvalidClientTokenId"));
    stack.iam("CreateRole", &format!("RoleName=program&AssumeRolePolicyDocument={TRUST}"));
    stack.iam("PutRolePolicy", &policy);
    let before = stack.landfall_ok(&["logs", &task]).lines().count();
    stack.wait("the program has asked twice more", Duration::from_secs(20), || {
        let lines = stack.landfall_ok(&["logs", &task]).lines().count();
        if lines > before + 4 { Ok(()) } else { Err(format!("{lines} lines")) }
    });
    assert_eq!(said(stack, &task, "clusters"), Some(json!("UnrecognizedClientException")));
    stack.iam("DeleteRolePolicy", "RoleName=program&PolicyName=list");
    stack.iam("DeleteRole", "RoleName=program");
    for task in [&task, &stranger] {
        stack.ecs("StopTask", &json!({"cluster": "echo", "task": task}));
    }
    stack.ecr("DeleteRepository", &json!({"repositoryName": "program", "force": true}));
}
