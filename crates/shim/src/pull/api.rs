//! Calls of AWS's JSON services, signed as the execution role, along the task's own network path.

use std::net::Ipv4Addr;

use desired::PullIdentity;
use serde::Deserialize;
use types::Timestamp;
use wire::sigv4::{Credentials, Scope, sign_json};

use super::http::{Client, Patience};
use super::{Failure, TOKEN_TRIES, Trouble, retried};

/// The longest answer, in bytes: ten parameters of 8 KB, or a secret of 64 KB in base64, in JSON.
const LONGEST: u64 = 1 << 20;

/// A call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The service as the signature names it.
    pub(crate) service: &'a str,
    pub(crate) host: &'a str,
    pub(crate) region: &'a str,
    /// `X-Amz-Target`
    pub(crate) target: &'a str,
    /// The JSON document.
    pub(crate) body: &'a [u8],
}

/// What came back, whatever it says. It may hold a secret.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// AWS's request id.
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
}

/// What an answer that is no success says.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    /// AWS's code.
    #[serde(rename = "__type", default)]
    pub(crate) kind: String,
    #[serde(alias = "Message", default)]
    pub(crate) message: String,
}

impl Answer {
    pub(crate) fn refusal(&self) -> Refusal {
        let refusal: Refusal = serde_json::from_slice(&self.body).unwrap_or(Refusal {
            kind: "UnknownError".to_owned(),
            message: String::from_utf8_lossy(&self.body).into_owned(),
        });
        let kind = refusal.kind.rsplit('#').next().unwrap_or_default().to_owned();
        Refusal { kind, ..refusal }
    }
}

/// Makes a call once.
pub(crate) fn send(client: &Client, identity: &PullIdentity, call: Call<'_>) -> Result<Answer, Trouble> {
    let Call { service, host, region, target, body } = call;
    let url = format!("https://{host}/");
    let token = Some(identity.session_token.as_str()).filter(|token| !token.is_empty());
    let signed = sign_json(
        host,
        target,
        body,
        Credentials {
            access_key_id: &identity.access_key_id,
            secret_access_key: &identity.secret_access_key,
            session_token: token,
        },
        Scope { region, service },
        Timestamp::now(),
    );
    let headers: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let sent = client.send("POST", &url, &headers, body, Patience::Exchange);
    let mut answer = sent.map_err(|no| Trouble::Unreachable(no.to_string()))?;
    let id = answer.headers().get("x-amzn-requestid").and_then(|id| id.to_str().ok());
    let id = id.unwrap_or_default().to_owned();
    let body = answer.body_mut().with_config().limit(LONGEST).read_to_vec();
    let body = body.map_err(|why| Trouble::Unreachable(format!("Post \"{url}\": {why}")))?;
    Ok(Answer { status: answer.status().as_u16(), id, body })
}

/// AWS's services as the execution role calls them.
pub(crate) struct Api<'a> {
    client: Client,
    identity: &'a PullIdentity,
}

impl<'a> Api<'a> {
    /// Names are asked of the task's own DNS servers.
    ///
    /// # Errors
    /// When the identity's certificate authority cannot be read.
    pub(crate) fn new(identity: &'a PullIdentity, dns_servers: &[Ipv4Addr]) -> Result<Self, String> {
        let client = Client::new(&identity.ca_certificate, dns_servers).map_err(|error| error.to_string())?;
        Ok(Self { client, identity })
    }

    /// Makes a call, again where there is no answer. An answer of any status but those of the moment is one, and its
    /// number of tries comes with it.
    pub(crate) fn call(&self, call: Call<'_>) -> Result<(Answer, u32), Failure> {
        let mut tries = 0;
        let answer = retried(TOKEN_TRIES, || {
            tries += 1;
            let answer = send(&self.client, self.identity, call)?;
            match answer.status {
                500.. if tries < TOKEN_TRIES => Err(Trouble::Again(answer.refusal().message)),
                _ => Ok(answer),
            }
        })?;
        Ok((answer, tries))
    }
}
