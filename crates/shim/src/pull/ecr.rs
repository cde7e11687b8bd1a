//! The registry's token: GetAuthorizationToken of the ECR API, signed as the execution role.

use desired::PullIdentity;
use serde::Deserialize;
use types::Timestamp;
use wire::sigv4::{Credentials, Request, Scope, sha256, sign};

use super::http::{Client, Patience};
use super::{Failure, TOKEN_TRIES, Trouble, retried};

const TARGET: &str = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    authorization_data: Vec<Token>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    authorization_token: String,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
}

/// The token, as HTTP's Basic authorization takes it. The error begins with ECS's name for it.
pub(super) fn authorization_token(client: &Client, identity: &PullIdentity) -> Result<String, String> {
    retried(TOKEN_TRIES, || ask(client, identity)).map_err(|failure| words(&failure))
}

fn ask(client: &Client, identity: &PullIdentity) -> Result<String, Trouble> {
    let host = format!("api.ecr.{}.amazonaws.com", identity.region);
    let url = format!("https://{host}/");
    let body = b"{}";
    let headers = [("host", host.as_str()), ("content-type", CONTENT_TYPE), ("x-amz-target", TARGET)];
    let signed = headers.map(|(name, value)| (name, value.as_bytes()));
    let token = Some(identity.session_token.as_str()).filter(|token| !token.is_empty());
    let added = sign(
        Request { method: "POST", path: "/", query: "", headers: &signed },
        &sha256(body),
        Credentials {
            access_key_id: &identity.access_key_id,
            secret_access_key: &identity.secret_access_key,
            session_token: token,
        },
        Scope { region: &identity.region, service: "ecr" },
        Timestamp::now(),
    );
    let headers: Vec<(&str, &str)> = headers[1..]
        .iter()
        .copied()
        .chain(added.iter().map(|(name, value)| (*name, value.as_str())))
        .collect();
    let sent = client.send("POST", &url, &headers, body, Patience::Exchange);
    let mut answer = sent.map_err(|no| Trouble::Unreachable(no.to_string()))?;
    let id = answer.headers().get("x-amzn-requestid").and_then(|id| id.to_str().ok());
    let id = id.unwrap_or_default().to_owned();
    let body = answer.body_mut().with_config().limit(1 << 20).read_to_vec();
    let body = body.map_err(|why| Trouble::Unreachable(format!("Post \"{url}\": {why}")))?;
    read(answer.status().as_u16(), &id, &body)
}

/// The token, or what the API says.
fn read(status: u16, id: &str, body: &[u8]) -> Result<String, Trouble> {
    if status == 200 {
        let tokens: Option<Tokens> = serde_json::from_slice(body).ok();
        return tokens
            .and_then(|tokens| tokens.authorization_data.into_iter().next())
            .map(|token| token.authorization_token)
            .filter(|token| {
                token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
            })
            .ok_or_else(|| Trouble::Final("SerializationError: the answer holds no token".to_owned()));
    }
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or(Refusal {
        kind: "UnknownError".to_owned(),
        message: String::from_utf8_lossy(body).into_owned(),
    });
    let kind = refusal.kind.rsplit('#').next().unwrap_or_default();
    let text = format!(
        "https response error StatusCode: {status}, RequestID: {id}, api error {kind}: {}",
        refusal.message
    );
    if status >= 500 { Err(Trouble::Again(text)) } else { Err(Trouble::Final(text)) }
}

/// Fargate's words: those of AWS's SDK with what they mean for the task in front.
fn words(failure: &Failure) -> String {
    let Failure { why, tries, unreachable } = failure;
    let mut operation = "operation error ECR: GetAuthorizationToken".to_owned();
    if *tries > 1 {
        operation += &format!(", exceeded maximum number of attempts, {tries}");
    }
    if *unreachable {
        return format!(
            "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull registry auth \
             from Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your task network \
             configuration. {operation}, https response error StatusCode: 0, RequestID: , request send failed, {why}"
        );
    }
    let what = format!(
        "unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr \
         registry auth: service call has been retried {tries} time(s): {operation}, {why}"
    );
    // A role that may not: an error of the image's pull. Everything else keeps the task from being made at all.
    if why.contains("is not authorized to perform") || why.contains("api error AccessDenied") {
        format!("CannotPullContainerError: {what}")
    } else {
        format!("ResourceInitializationError: {what}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_from_the_answer() {
        let body = br#"{"authorizationData":[{"authorizationToken":"QVdTOng=","expiresAt":1.5}]}"#;
        assert!(matches!(read(200, "", body), Ok(token) if token == "QVdTOng="));
        assert!(matches!(read(200, "", b"{}"), Err(Trouble::Final(_))));
        let odd = br#"{"authorizationData":[{"authorizationToken":"a\r\nHost: evil"}]}"#;
        assert!(matches!(read(200, "", odd), Err(Trouble::Final(_))));
    }

    #[test]
    fn a_refusal_names_the_action() {
        for policy in ["identity-based", "VPC endpoint"] {
            let message = format!(
                "User: arn:aws:sts::000000000001:assumed-role/app/1 is not authorized to perform: \
                       ecr:GetAuthorizationToken on resource: * because no {policy} policy allows the \
                       ecr:GetAuthorizationToken action"
            );
            let body = format!(r#"{{"__type":"AccessDeniedException","message":"{message}"}}"#);
            let Err(Trouble::Final(why)) = read(400, "4f7b", body.as_bytes()) else {
                panic!("no final refusal")
            };
            assert_eq!(
                words(&Failure { why, tries: 1, unreachable: false }),
                format!(
                    "CannotPullContainerError: unable to pull secrets or registry auth: execution resource retrieval \
                 failed: unable to retrieve ecr registry auth: service call has been retried 1 time(s): operation \
                 error ECR: GetAuthorizationToken, https response error StatusCode: 400, RequestID: 4f7b, api error \
                 AccessDeniedException: {message}"
                )
            );
        }
    }

    #[test]
    fn an_api_that_fails_for_the_moment_is_not_taken_for_the_network() {
        let failed = read(500, "4f7b", br#"{"__type":"ServerException","message":"no"}"#);
        let Err(Trouble::Again(why)) = failed else { panic!("{failed:?}") };
        let error = words(&Failure { why, tries: 3, unreachable: false });
        assert!(error.starts_with("ResourceInitializationError: unable to pull secrets"), "{error}");
        assert!(!error.contains("connection issue"), "{error}");
        let end = "exceeded maximum number of attempts, 3, https response error StatusCode: 500, RequestID: 4f7b, api \
                   error ServerException: no";
        assert!(error.ends_with(end), "{error}");
    }
}
