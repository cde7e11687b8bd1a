//! The registry's token: GetAuthorizationToken of the ECR API, signed as the execution role.

use desired::PullIdentity;
use serde::Deserialize;
use types::Timestamp;
use wire::sigv4::{Credentials, Request, Scope, sha256, sign};

use super::http::{Client, Patience};
use super::{TOKEN_TRIES, Trouble, retried};

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
    retried(TOKEN_TRIES, || ask(client, identity)).map_err(|(why, tries)| words(&why, tries))
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
    let failed = |why: &dyn std::fmt::Display| {
        Trouble::Again(format!("RequestError: send request failed caused by: {why}"))
    };
    let mut answer = sent.map_err(|why| failed(&why))?;
    let body = answer.body_mut().with_config().limit(1 << 20).read_to_vec().map_err(|why| failed(&why))?;
    read(answer.status().as_u16(), &body)
}

/// The token, or what the API says.
fn read(status: u16, body: &[u8]) -> Result<String, Trouble> {
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
    let text = format!("{kind}: {} status code: {status}", refusal.message);
    if status >= 500 { Err(Trouble::Again(text)) } else { Err(Trouble::Final(text)) }
}

fn words(why: &str, tries: u32) -> String {
    let what = format!(
        "unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr \
         registry auth: service call has been retried {tries} time(s): {why}"
    );
    // A role that may not: an error of the image's pull. Everything else keeps the task from being made at all.
    if why.contains("is not authorized to perform") || why.starts_with("AccessDenied") {
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
        assert!(matches!(read(200, body), Ok(token) if token == "QVdTOng="));
        assert!(matches!(read(200, b"{}"), Err(Trouble::Final(_))));
        let odd = br#"{"authorizationData":[{"authorizationToken":"a\r\nHost: evil"}]}"#;
        assert!(matches!(read(200, odd), Err(Trouble::Final(_))));
    }

    #[test]
    fn a_refusal_names_the_action_and_a_lost_packet_the_address() {
        let message = "User: arn:aws:sts::000000000001:assumed-role/app/1 is not authorized to perform: \
                       ecr:GetAuthorizationToken on resource: * because no identity-based policy allows the \
                       ecr:GetAuthorizationToken action";
        let body = format!(r#"{{"__type":"AccessDeniedException","message":"{message}"}}"#);
        let Err(Trouble::Final(why)) = read(400, body.as_bytes()) else { panic!("no final refusal") };
        let error = words(&why, 1);
        assert!(error.starts_with("CannotPullContainerError: "), "{error}");
        assert!(error.contains(&format!("AccessDeniedException: {message}")), "{error}");
        let error = words("RequestError: … dial tcp 198.19.0.10:443: i/o timeout", 3);
        assert!(error.starts_with("ResourceInitializationError: unable to pull secrets"), "{error}");
        assert!(error.contains("has been retried 3 time(s)"), "{error}");
    }
}
