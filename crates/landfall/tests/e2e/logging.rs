//! A task whose output goes to CloudWatch Logs, read by the AWS CLI and by `landfall logs`; the VPC's flow log; and a task
//! whose role may not write.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cases::{push_program, the_second_plan_is_empty};
use crate::secrets::{compiled, run, wait_for};
use crate::stack::{Stack, text};

const FILE: &str = "logging.tf";
/// What the program says, as events.
const SAID: [&str; 4] = [
    "INFO begins",
    "ERROR something broke\n  at the second line",
    "{\"status\": 404, \"path\": \"/x\"}",
    "LAST words",
];

/// The whole case; the stack is as before in the end.
pub(crate) fn a_task_s_output_and_the_vpc_s_flows_are_in_cloudwatch_logs(stack: &Stack) {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/logging");
    push_program(stack, "talker", &compiled(&own.join("talker.rs")));
    std::fs::copy(own.join(FILE), stack.folder.join(FILE)).unwrap();
    stack.terraform(&["apply", "-auto-approve"]);
    the_second_plan_is_empty(stack);
    assert_eq!(stack.terraform(&["output", "-raw", "logging"]), "/echo/app /echo/flows");

    let arn = run(stack, "echo-talker");
    let task = wait_for(stack, &arn, "STOPPED");
    assert_eq!(task["containers"][0]["exitCode"], 5, "{task:#}");
    let stream = format!("ecs/app/{}", arn.rsplit('/').next().unwrap());
    let events = stack.aws(&format!(
        "logs get-log-events --log-group-name /echo/app --log-stream-name {stream} --start-from-head"
    ));
    assert_eq!(messages(&events), SAID);
    let found = stack.aws("logs filter-log-events --log-group-name /echo/app --filter-pattern {$.status=4*}");
    assert_eq!(messages(&found), SAID[2..3]);
    // What `aws logs tail --follow`, which the pinned version 1 of the CLI does not have, asks for again and again.
    let tail = stack.aws(
        "logs filter-log-events --log-group-name /echo/app --interleaved --start-time 1 --filter-pattern ERROR",
    );
    assert_eq!(messages(&tail), SAID[1..2]);
    let own = stack.landfall_ok(&["logs", "/echo/app", "--filter", "LAST", "--json"]);
    let own: Value = serde_json::from_str(own.trim()).unwrap();
    assert_eq!((&own["message"], &own["logStream"]), (&json!("LAST words"), &json!(stream)));

    let interface = task["attachments"][0]["details"].as_array().unwrap().iter();
    let interface = interface.clone().find(|detail| detail["name"] == "networkInterfaceId").unwrap();
    let stream = format!("{}-all", interface["value"].as_str().unwrap());
    stack.wait("the flow log has the task's pull", Duration::from_secs(90), || {
        let asked = format!("logs get-log-events --log-group-name /echo/flows --log-stream-name {stream}");
        let answer = stack.try_aws(&asked);
        let answer = text(&answer);
        if answer.contains(" 443 6 ") && answer.contains(" ACCEPT OK") { Ok(()) } else { Err(answer) }
    });
    let flow_logs = stack.aws("ec2 describe-flow-logs");
    assert_eq!(flow_logs["FlowLogs"][0]["DeliverLogsStatus"], "SUCCESS", "{flow_logs:#}");

    let policy = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";
    stack.iam("DetachRolePolicy", &format!("RoleName=echo-execution&PolicyArn={policy}"));
    let pull = r#"{"Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"}]}"#;
    stack.iam("PutRolePolicy", &format!("RoleName=echo-execution&PolicyName=pull&PolicyDocument={pull}"));
    let task = wait_for(stack, &run(stack, "echo-talker"), "STOPPED");
    let said = task["stoppedReason"].as_str().unwrap();
    for words in [
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to \
         create Cloudwatch log stream: AccessDeniedException: User: ",
        "is not authorized to perform: logs:CreateLogStream on resource: arn:aws:logs:",
    ] {
        assert!(said.contains(words), "{said}");
    }
    stack.iam("DeleteRolePolicy", "RoleName=echo-execution&PolicyName=pull");
    stack.iam("AttachRolePolicy", &format!("RoleName=echo-execution&PolicyArn={policy}"));
    std::fs::remove_file(stack.folder.join(FILE)).unwrap();
    stack.terraform(&["apply", "-auto-approve"]);
}

fn messages(answer: &Value) -> Vec<&str> {
    answer["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap()).collect()
}
