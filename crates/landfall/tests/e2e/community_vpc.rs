//! Networks as the community VPC module makes them, by a configuration of our own with the module's resources and
//! arguments (`community_vpc/`): made, seen to need no change, used by tasks, and destroyed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cases;
use crate::stack::{Stack, text};

/// The whole test.
pub(crate) fn is_made_used_and_destroyed(stack: &Stack) {
    stack.terraform(&["init"]);
    stack.terraform(&["apply", "-auto-approve"]);
    let plan = stack.try_terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(plan.status.code(), Some(0), "the second plan is not empty: {}", text(&plan));
    cases::push_echo(stack);
    let places: Value = serde_json::from_str(&stack.terraform(&["output", "-json", "places"])).unwrap();
    // All at once: none knows of the others.
    let started: Vec<(&String, Value)> =
        places.as_object().unwrap().iter().map(|(name, place)| (name, run(stack, place))).collect();
    for (name, task) in &started {
        let find = json!({"cluster": "community", "tasks": [task]});
        stack.wait(&format!("a task in {name}"), Duration::from_secs(90), || {
            let task = stack.ecs("DescribeTasks", &find)["tasks"][0].clone();
            assert_ne!(task["lastStatus"], "STOPPED", "{name}: {task:#}");
            if task["lastStatus"] == "RUNNING" { Ok(()) } else { Err(format!("{task:#}")) }
        });
    }
    for (_, task) in &started {
        stack.ecs("StopTask", &json!({"cluster": "community", "task": task}));
    }
    stack.wait("the tasks have ended", Duration::from_secs(60), || {
        let status = stack.status();
        let tasks = status["tasks"].as_array().map(Vec::len);
        if tasks == Some(0) { Ok(()) } else { Err(format!("{status:#}")) }
    });
    cases::destroy_takes_everything(stack);
    for (action, element) in [
        ("DescribeNatGateways", "natGatewayId"),
        ("DescribeAddresses", "allocationId"),
        ("DescribeVpcEndpoints", "vpcEndpointId"),
    ] {
        let left = stack.ec2(action, "");
        let live = crate::api::texts_of(&left, "state").iter().any(|state| *state != "deleted");
        assert!(!left.contains(&format!("<{element}>")) || !live, "{left}");
    }
}

/// Runs a task in a subnet with a security group; gives its ARN.
fn run(stack: &Stack, place: &Value) -> Value {
    let network = json!({"awsvpcConfiguration": {
        "subnets": [place[0]], "securityGroups": [place[1]], "assignPublicIp": "DISABLED",
    }});
    let run = json!({
        "cluster": "community", "taskDefinition": "echo", "launchType": "FARGATE", "networkConfiguration": network,
    });
    stack.ecs("RunTask", &run)["tasks"][0]["taskArn"].clone()
}
