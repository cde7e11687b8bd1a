//! The AWS API as this program's own commands call it: over loopback, signed with the root key pair.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use types::Timestamp;
use wire::sigv4::{Credentials, Scope, sign_json};

use crate::serve::keys::Keys;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer.
    #[error("Landfall's API at {endpoint} does not answer: {cause}. Is it up? `landfall up` starts it")]
    Unreachable {
        /// Where it was looked for.
        endpoint: SocketAddr,
        /// The client's words.
        cause: String,
    },
    /// An error answer.
    #[error("{action} failed: {body}")]
    Refused {
        /// The action.
        action: String,
        /// The answer's body.
        body: String,
    },
}

/// Signs and sends calls.
#[derive(Clone)]
pub struct Client {
    /// Where the API answers.
    pub endpoint: SocketAddr,
    /// As whom.
    pub keys: Keys,
    /// The region of all calls.
    pub region: String,
}

impl Client {
    /// A JSON call to ECR: `GetAuthorizationToken` with `{}`.
    ///
    /// # Errors
    /// When there is no answer, or an error answer.
    pub fn ecr(&self, action: &str, body: &str) -> Result<serde_json::Value, CallError> {
        self.json("ecr", &format!("AmazonEC2ContainerRegistry_V20150921.{action}"), action, body)
    }

    /// A JSON call to CloudWatch Logs.
    ///
    /// # Errors
    /// As [`Client::ecr`].
    pub fn logs(&self, action: &str, body: &str) -> Result<serde_json::Value, CallError> {
        self.json("logs", &format!("Logs_20140328.{action}"), action, body)
    }

    fn json(
        &self,
        service: &str,
        target: &str,
        action: &str,
        body: &str,
    ) -> Result<serde_json::Value, CallError> {
        let unreachable = |cause: &dyn std::fmt::Display| CallError::Unreachable {
            endpoint: self.endpoint,
            cause: cause.to_string(),
        };
        let host = self.endpoint.to_string();
        let headers = sign_json(
            &host,
            target,
            body.as_bytes(),
            Credentials {
                access_key_id: &self.keys.access_key_id,
                secret_access_key: &self.keys.secret_access_key,
                session_token: None,
            },
            Scope { region: &self.region, service },
            Timestamp::now(),
        );
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .build()
            .into();
        let mut request = agent.post(format!("http://{host}/"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.send(body).map_err(|error| unreachable(&error))?;
        let text = response.body_mut().read_to_string().map_err(|error| unreachable(&error))?;
        let refused = || CallError::Refused { action: action.to_owned(), body: text.clone() };
        if !response.status().is_success() {
            return Err(refused());
        }
        serde_json::from_str(&text).map_err(|_| refused())
    }

    /// The password of a registry token, as `aws ecr get-login-password` prints it.
    ///
    /// # Errors
    /// As [`Client::ecr`].
    pub fn registry_password(&self) -> Result<String, CallError> {
        let answer = self.ecr("GetAuthorizationToken", "{}")?;
        let token = answer["authorizationData"][0]["authorizationToken"].as_str().unwrap_or_default();
        let text = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.as_deref().and_then(|text| text.strip_prefix("AWS:")).map(str::to_owned).ok_or_else(|| {
            CallError::Refused { action: "GetAuthorizationToken".to_owned(), body: answer.to_string() }
        })
    }
}
