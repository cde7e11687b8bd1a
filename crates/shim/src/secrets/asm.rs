//! Values from Secrets Manager.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::is_time_out;
use super::reference::Secret;
use crate::pull::Failure;
use crate::pull::api::{Answer, Api, Call, Refusal};

/// The errors of GetSecretValue's model; the SDK calls all others `api error`.
const MODELLED: &[&str] = &[
    "DecryptionFailure",
    "InternalServiceError",
    "InvalidParameterException",
    "InvalidRequestException",
    "ResourceNotFoundException",
];

/// Of one secret and version, and of all keys in it.
type Version<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

/// Adds the values of secrets, each asked for once.
pub(super) fn fetch(
    api: &Api<'_>,
    secrets: &[(&String, Secret)],
    values: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let mut read: BTreeMap<Version<'_>, String> = BTreeMap::new();
    for (value_from, secret) in secrets {
        let version: Version<'_> =
            (&secret.id, secret.version_stage.as_deref(), secret.version_id.as_deref());
        let text = match read.get(&version) {
            Some(text) => text,
            None => read.entry(version).or_insert(ask(api, secret)?),
        };
        let value = match &secret.json_key {
            Some(key) => member(text, key).map_err(|why| retried(1, &why))?,
            None => text.clone(),
        };
        values.insert((*value_from).clone(), value);
    }
    Ok(())
}

fn retried(tries: u32, why: &str) -> String {
    format!(
        "execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried {tries} \
         time(s): {why}"
    )
}

fn ask(api: &Api<'_>, secret: &Secret) -> Result<String, String> {
    let mut body = serde_json::json!({ "SecretId": secret.id });
    for (name, value) in [("VersionStage", &secret.version_stage), ("VersionId", &secret.version_id)] {
        if let Some(value) = value {
            body[name] = Value::from(value.as_str());
        }
    }
    let answered = api.call(Call {
        service: "secretsmanager",
        host: &format!("secretsmanager.{}.amazonaws.com", secret.region),
        region: &secret.region,
        target: "secretsmanager.GetSecretValue",
        body: body.to_string().as_bytes(),
    });
    match answered {
        Ok((answer, tries)) => text(&answer, &secret.id).map_err(|why| retried(tries, &why)),
        Err(failure) => Err(unanswered(&failure, &secret.id)),
    }
}

fn unanswered(failure: &Failure, id: &str) -> String {
    let Failure { why, tries, .. } = failure;
    let end = if is_time_out(why) {
        "https response error StatusCode: 0, RequestID: , canceled, context deadline exceeded".to_owned()
    } else {
        format!(
            "exceeded maximum number of attempts, {tries}, https response error StatusCode: 0, RequestID: , request send \
             failed, {why}"
        )
    };
    format!(
        "unable to retrieve secret from asm: There is a connection issue between the task and AWS Secrets Manager. Check \
         your task network configuration. failed to fetch secret {id} from secrets manager: operation error Secrets \
         Manager: GetSecretValue, {end}"
    )
}

/// The secret's text, or why there is none.
fn text(answer: &Answer, id: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(rename = "SecretString")]
        text: Option<String>,
    }
    let failed = |why: &str| format!("failed to fetch secret {id} from secrets manager: {why}");
    if answer.status == 200 {
        let found: Option<Found> = serde_json::from_slice(&answer.body).ok();
        return found.and_then(|found| found.text).ok_or_else(|| {
            failed("its value is no text (SecretBinary), and cannot be an environment variable's")
        });
    }
    let Refusal { kind, message } = answer.refusal();
    let api_error = if MODELLED.contains(&kind.as_str()) { "" } else { "api error " };
    Err(failed(&format!(
        "operation error Secrets Manager: GetSecretValue, https response error StatusCode: {}, RequestID: {}, \
         {api_error}{kind}: {message}",
        answer.status, answer.id
    )))
}

/// What is at a key of a text that is a JSON object: a text as it is, anything else as JSON. No error repeats the text.
fn member(text: &str, key: &str) -> Result<String, String> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(mut members)) => match members.remove(key) {
            Some(Value::String(value)) => Ok(value),
            Some(value) => Ok(value.to_string()),
            None => Err(format!("retrieved secret from Secrets Manager did not contain json key {key}")),
        },
        Ok(_) | Err(_) => Err(format!(
            "retrieved secret from Secrets Manager is not a JSON object, and so has no json key {key}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_to_its_value_alone() {
        let secret = r#"{"user":"a","port":5432,"on":true}"#;
        for (key, expected) in [("user", "a"), ("port", "5432"), ("on", "true")] {
            assert_eq!(member(secret, key), Ok(expected.to_owned()));
        }
        assert_eq!(
            member(secret, "none").unwrap_err(),
            "retrieved secret from Secrets Manager did not contain json key none"
        );
        for text in ["hunter2", r#"["hunter2"]"#, r#""hunter2""#, r#"{"a":"hunter2""#] {
            assert!(!member(text, "a").unwrap_err().contains("hunter2"));
        }
    }

    #[test]
    fn refusals_are_told_as_the_sdk_tells_them() {
        let answer = |kind: &str| Answer {
            status: 400,
            id: "4f7b".to_owned(),
            body: format!(r#"{{"__type":"{kind}","Message":"no"}}"#).into_bytes(),
        };
        let front = "failed to fetch secret s from secrets manager: operation error Secrets Manager: GetSecretValue, https \
                     response error StatusCode: 400, RequestID: 4f7b, ";
        for (kind, end) in [
            ("AccessDeniedException", "api error AccessDeniedException: no"),
            ("ResourceNotFoundException", "ResourceNotFoundException: no"),
        ] {
            assert_eq!(text(&answer(kind), "s").unwrap_err(), format!("{front}{end}"));
        }
    }
}
