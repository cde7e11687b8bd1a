//! The registry's token: GetAuthorizationToken of the ECR API, signed as the execution role.

use desired::PullIdentity;
use serde::Deserialize;

use super::api::{Answer, Call, Refusal, send};
use super::http::Client;
use super::{Failure, TOKEN_TRIES, Trouble, retried};

const TARGET: &str = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";

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

/// The token, as HTTP's Basic authorization takes it. The error begins with ECS's name for it.
pub(super) fn authorization_token(client: &Client, identity: &PullIdentity) -> Result<String, String> {
    retried(TOKEN_TRIES, || ask(client, identity)).map_err(|failure| words(&failure))
}

fn ask(client: &Client, identity: &PullIdentity) -> Result<String, Trouble> {
    let host = format!("api.ecr.{}.amazonaws.com", identity.region);
    let call = Call { service: "ecr", host: &host, region: &identity.region, target: TARGET, body: b"{}" };
    read(&send(client, identity, call)?)
}

/// The token, or what the API says.
fn read(answer: &Answer) -> Result<String, Trouble> {
    if answer.status == 200 {
        let tokens: Option<Tokens> = serde_json::from_slice(&answer.body).ok();
        return tokens
            .and_then(|tokens| tokens.authorization_data.into_iter().next())
            .map(|token| token.authorization_token)
            .filter(|token| {
                token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
            })
            .ok_or_else(|| Trouble::Final("SerializationError: the answer holds no token".to_owned()));
    }
    let Answer { status, id, .. } = answer;
    let Refusal { kind, message } = answer.refusal();
    let text =
        format!("https response error StatusCode: {status}, RequestID: {id}, api error {kind}: {message}");
    if *status >= 500 { Err(Trouble::Again(text)) } else { Err(Trouble::Final(text)) }
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

    fn read(status: u16, id: &str, body: &[u8]) -> Result<String, Trouble> {
        super::read(&Answer { status, id: id.to_owned(), body: body.to_vec() })
    }

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
