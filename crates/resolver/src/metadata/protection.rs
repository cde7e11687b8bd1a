//! Whether a task is protected from scaling in, as ECS's agent tells it and is told: pure. Source: "Amazon ECS task scale-in
//! protection endpoint"; what it says of requests that cannot be is what the agent says.

use desired::Task;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Answer;
use super::api::{Called, Trouble};

/// What a task wants, as it says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Wanted {
    protection_enabled: Option<bool>,
    expires_in_minutes: Option<i32>,
}

/// A call of ECS's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) action: &'static str,
    pub(super) body: String,
}

/// Why ECS is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The body is no document of the form that there is.
    NotRead,
    /// The id is no container's of the task that asks.
    NoTask,
    /// The body does not say what is wanted.
    NothingWanted,
    /// The task has no role to ask as.
    NoRole,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Error<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<&'a str>,
    code: &'a str,
    message: &'a str,
}

/// Reads the body of a PUT.
pub(super) fn read(body: &[u8]) -> Result<Wanted, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::NotRead)
}

/// The call that changes a task's protection as it is wanted, or asks for it.
pub(super) fn call(task: &Task, wanted: Option<Wanted>) -> Result<Call, Refusal> {
    let mut body = json!({ "cluster": task.metadata.cluster, "tasks": [task.arn] });
    let mut action = "GetTaskProtection";
    if let Some(wanted) = wanted {
        action = "UpdateTaskProtection";
        body["protectionEnabled"] = wanted.protection_enabled.ok_or(Refusal::NothingWanted)?.into();
        if let Some(minutes) = wanted.expires_in_minutes {
            body["expiresInMinutes"] = minutes.into();
        }
    }
    match task.role {
        Some(_) => Ok(Call { action, body: body.to_string() }),
        None => Err(Refusal::NoRole),
    }
}

impl Refusal {
    /// As the agent answers it.
    pub(super) fn answer(self, task: Option<&Task>) -> Answer {
        let (status, code, message) = match self {
            Refusal::NotRead => {
                (400, "InvalidParameterException", "UpdateTaskProtection: failed to decode request")
            }
            Refusal::NoTask => (404, "ResourceNotFoundException", "Failed to find a task for the request"),
            Refusal::NothingWanted => (
                400,
                "InvalidParameterException",
                "Invalid request: does not contain 'ProtectionEnabled' field",
            ),
            Refusal::NoRole => (
                403,
                "AccessDeniedException",
                "Invalid Request: no task IAM role credentials available for task",
            ),
        };
        let arn = task.map(|task| task.arn.as_str());
        Answer::json(status, &json!({ "error": Error { arn, code, message } }))
    }
}

/// The agent's answer, from what ECS said.
pub(super) fn answer(task: &Task, called: Result<Called, Trouble>) -> Answer {
    let arn = Some(task.arn.as_str());
    let called = match called {
        Ok(called) => called,
        Err(Trouble::TimedOut) => {
            let message = "Timed out calling Amazon ECS Task Protection API";
            let error = Error { arn, code: "RequestCanceled", message };
            return Answer::json(504, &json!({ "error": error }));
        }
    };
    let said: Value = serde_json::from_slice(&called.body).unwrap_or_default();
    if called.status != 200 {
        let kind = said["__type"].as_str().unwrap_or("ServerException");
        let code = kind.rsplit('#').next().unwrap_or_default();
        let message = said["message"].as_str().or(said["Message"].as_str()).unwrap_or_default();
        let error = Error { arn, code, message };
        return Answer::json(called.status, &json!({ "requestID": called.request_id, "error": error }));
    }
    if let Some(failure) = said["failures"].get(0) {
        let failure =
            json!({ "Arn": failure["arn"], "Detail": failure["detail"], "Reason": failure["reason"] });
        return Answer::json(200, &json!({ "failure": failure }));
    }
    match said["protectedTasks"].get(0) {
        Some(told) => {
            let protection = json!({
                "ExpirationDate": told["expirationDate"].as_f64().map(date),
                "ProtectionEnabled": told["protectionEnabled"],
                "TaskArn": told["taskArn"],
            });
            Answer::json(200, &json!({ "protection": protection }))
        }
        None => {
            let error = Error { arn, code: "ServerException", message: "Unexpected error occurred" };
            Answer::json(500, &json!({ "error": error }))
        }
    }
}

/// `2022-10-06T02:29:16Z`, from seconds since 1970.
#[allow(clippy::cast_possible_truncation, reason = "whole seconds are told, as AWS's page shows them")]
fn date(seconds: f64) -> String {
    types::Timestamp::from_millis(seconds as i64 * 1000).iso().replace(".000Z", "Z")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::document::tests::task;
    use super::*;

    const ARN: &str = "arn:aws:ecs:ap-northeast-2:000000000001:task/shop/a";

    fn asked(body: &str) -> Result<Call, Refusal> {
        call(&task("a", 9), Some(read(body.as_bytes())?))
    }

    #[test]
    fn what_a_task_wants_is_asked_of_ecs() {
        let call = |body: &str| asked(body).unwrap().body;
        let cluster = "arn:aws:ecs:ap-northeast-2:000000000001:cluster/shop";
        let on = format!(r#"{{"cluster":"{cluster}","protectionEnabled":true,"tasks":["{ARN}"]}}"#);
        assert_eq!(call(r#"{"ProtectionEnabled":true}"#), on);
        let hour = call(r#"{"ProtectionEnabled":true,"ExpiresInMinutes":60}"#);
        assert!(hour.contains(r#""expiresInMinutes":60"#), "{hour}");
        let told = super::call(&task("a", 9), None).unwrap();
        assert_eq!(told.action, "GetTaskProtection");
        assert_eq!(told.body, format!(r#"{{"cluster":"{cluster}","tasks":["{ARN}"]}}"#));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_in_the_words_of_the_agent() {
        for (body, refusal) in [
            ("", Refusal::NotRead),
            ("[1]", Refusal::NotRead),
            (r#"{"Protection":true}"#, Refusal::NotRead),
            (r#"{"ProtectionEnabled":"yes"}"#, Refusal::NotRead),
            ("{}", Refusal::NothingWanted),
            (r#"{"ExpiresInMinutes":60}"#, Refusal::NothingWanted),
        ] {
            assert_eq!(asked(body), Err(refusal), "{body}");
        }
        let mut alone = task("a", 9);
        alone.role = None;
        assert_eq!(call(&alone, None), Err(Refusal::NoRole));
        let answer = Refusal::NoRole.answer(Some(&alone));
        assert_eq!(answer.status, 403);
        let words = "Invalid Request: no task IAM role credentials available for task";
        let error = json!({"Arn": ARN, "Code": "AccessDeniedException", "Message": words});
        assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), json!({ "error": error }));
        assert!(!Refusal::NotRead.answer(None).body.contains("Arn"));
    }

    fn check(status: u16, body: &str, expected_status: u16, expected: &Expect) {
        let called = Called { status, request_id: "r-1".to_owned(), body: body.as_bytes().to_vec() };
        let answer = answer(&task("a", 9), Ok(called));
        assert_eq!((answer.status, answer.content_type), (expected_status, "application/json"), "{body}");
        expected.assert_eq(&answer.body);
    }

    #[test]
    fn what_ecs_says_is_told_in_the_form_of_the_agent() {
        let arn = ARN;
        check(
            200,
            &format!(
                r#"{{"protectedTasks":[{{"taskArn":"{arn}","protectionEnabled":true,
                   "expirationDate":1665023356.633}}],"failures":[]}}"#
            ),
            200,
            &expect![[
                r#"{"protection":{"ExpirationDate":"2022-10-06T02:29:16Z","ProtectionEnabled":true,"TaskArn":"arn:aws:ecs:ap-northeast-2:000000000001:task/shop/a"}}"#
            ]],
        );
        check(
            200,
            &format!(
                r#"{{"protectedTasks":[{{"taskArn":"{arn}","protectionEnabled":false}}],"failures":[]}}"#
            ),
            200,
            &expect![[
                r#"{"protection":{"ExpirationDate":null,"ProtectionEnabled":false,"TaskArn":"arn:aws:ecs:ap-northeast-2:000000000001:task/shop/a"}}"#
            ]],
        );
        check(
            200,
            &format!(r#"{{"protectedTasks":[],"failures":[{{"arn":"{arn}","reason":"TASK_NOT_VALID"}}]}}"#),
            200,
            &expect![[
                r#"{"failure":{"Arn":"arn:aws:ecs:ap-northeast-2:000000000001:task/shop/a","Detail":null,"Reason":"TASK_NOT_VALID"}}"#
            ]],
        );
        check(
            400,
            r#"{"__type":"AccessDeniedException","message":"User: u is not authorized"}"#,
            400,
            &expect![[
                r#"{"error":{"Arn":"arn:aws:ecs:ap-northeast-2:000000000001:task/shop/a","Code":"AccessDeniedException","Message":"User: u is not authorized"},"requestID":"r-1"}"#
            ]],
        );
        let late = answer(&task("a", 9), Err(Trouble::TimedOut));
        assert_eq!(late.status, 504);
        assert!(late.body.contains("Timed out calling Amazon ECS Task Protection API"), "{}", late.body);
    }
}
