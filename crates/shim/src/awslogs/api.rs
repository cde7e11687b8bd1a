//! CloudWatch Logs as the driver calls it, signed as the execution role; failures in the words of Fargate.

use std::net::Ipv4Addr;

use desired::PullIdentity;
use serde::Serialize;

use super::RETRY;
use super::message::Message;
use crate::pull::Trouble;
use crate::pull::api::{self, Call, Refusal};
use crate::pull::http::Client;

/// How often making a stream is tried when there is no answer.
const TRIES: u32 = 3;

/// The API of one region.
pub(super) struct Api {
    client: Client,
    ca_certificate: String,
    dns_servers: Vec<Ipv4Addr>,
    region: String,
}

/// Why a call did not do what it was to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// There was no answer.
    Unreachable(String),
    /// The service said no.
    Answered { status: u16, code: String, message: String, request_id: String },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stream<'a> {
    log_group_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_stream_name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Events<'a> {
    log_group_name: &'a str,
    log_stream_name: &'a str,
    log_events: Vec<Event<'a>>,
}

#[derive(Serialize)]
struct Event<'a> {
    timestamp: i64,
    message: &'a str,
}

impl Refused {
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self, Refused::Answered { code, .. } if code == name)
    }

    /// Whether the key pair is not good any more.
    pub(super) fn is_of_the_session(&self) -> bool {
        ["ExpiredTokenException", "UnrecognizedClientException"].iter().any(|code| self.is(code))
    }

    /// Whether the same call may succeed later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Refused::Unreachable(_) => true,
            Refused::Answered { status, code, .. } => *status >= 500 || code.contains("Throttling"),
        }
    }

    /// The service's code and words.
    pub(super) fn because(&self) -> String {
        match self {
            Refused::Unreachable(why) => why.clone(),
            Refused::Answered { code, message, .. } => format!("{code}: {message}"),
        }
    }

    /// The words of AWS's SDK.
    pub(super) fn reason(&self) -> String {
        match self {
            Refused::Unreachable(why) => format!("RequestError: send request failed caused by: {why}"),
            Refused::Answered { status, code, message, request_id } => {
                format!("{code}: {message} status code: {status}, request id: {request_id}")
            }
        }
    }

    /// Fargate's words for a stream that could not be made.
    pub(super) fn words(&self) -> String {
        format!(
            "create stream has been retried 1 times: failed to create Cloudwatch log stream: {}: exit status 1",
            self.reason()
        )
    }
}

impl Api {
    pub(super) fn new(ca_certificate: &str, dns_servers: &[Ipv4Addr], region: &str) -> Result<Self, String> {
        let client = Client::new(ca_certificate, dns_servers).map_err(|why| why.to_string())?;
        Ok(Self {
            client,
            ca_certificate: ca_certificate.to_owned(),
            dns_servers: dns_servers.to_owned(),
            region: region.to_owned(),
        })
    }

    /// Makes a stream; one that is there already is as good.
    pub(super) fn create_stream(
        &mut self,
        identity: &PullIdentity,
        group: &str,
        stream: &str,
    ) -> Result<(), Refused> {
        let body = Stream { log_group_name: group, log_stream_name: Some(stream) };
        self.make(identity, "CreateLogStream", &body)
    }

    /// Makes a group; one that is there already is as good.
    pub(super) fn create_group(&mut self, identity: &PullIdentity, group: &str) -> Result<(), Refused> {
        self.make(identity, "CreateLogGroup", &Stream { log_group_name: group, log_stream_name: None })
    }

    fn make(&mut self, identity: &PullIdentity, action: &str, body: &impl Serialize) -> Result<(), Refused> {
        let (mut tries, mut retry) = (1, RETRY);
        loop {
            match self.call(identity, action, body) {
                Err(refused) if refused.is("ResourceAlreadyExistsException") => return Ok(()),
                Err(refused) if refused.may_pass() && tries < TRIES => {
                    // As AWS's SDK does: a service that answers nobody now may do so in a moment.
                    std::thread::park_timeout(retry.pause());
                    retry.grow();
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    /// Sends a batch.
    pub(super) fn put(
        &mut self,
        identity: &PullIdentity,
        group: &str,
        stream: &str,
        batch: &[Message],
    ) -> Result<(), Refused> {
        let events = batch.iter().map(|message| Event { timestamp: message.time, message: &message.text });
        let body = Events { log_group_name: group, log_stream_name: stream, log_events: events.collect() };
        self.call(identity, "PutLogEvents", &body)
    }

    fn call(&mut self, identity: &PullIdentity, action: &str, body: &impl Serialize) -> Result<(), Refused> {
        let result = self.exchange(identity, action, body);
        if let Err(Refused::Unreachable(_)) = &result
            && let Ok(client) = Client::new(&self.ca_certificate, &self.dns_servers)
        {
            // The name may lead elsewhere by now: to a VPC endpoint, or past one.
            self.client = client;
        }
        result
    }

    fn exchange(&self, identity: &PullIdentity, action: &str, body: &impl Serialize) -> Result<(), Refused> {
        let body = serde_json::to_vec(body).map_err(|error| Refused::Unreachable(error.to_string()))?;
        let call = Call {
            service: "logs",
            host: &format!("logs.{}.amazonaws.com", self.region),
            region: &self.region,
            target: &format!("Logs_20140328.{action}"),
            body: &body,
        };
        let answer = api::send(&self.client, identity, call).map_err(|trouble| match trouble {
            Trouble::Unreachable(why) | Trouble::Again(why) | Trouble::Final(why) => {
                Refused::Unreachable(why)
            }
        })?;
        if answer.status == 200 {
            return Ok(());
        }
        let Refusal { kind: code, message } = answer.refusal();
        Err(Refused::Answered { status: answer.status, code, message, request_id: answer.id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_cannot_be_made_is_told_as_fargate_tells_it() {
        let missing = Refused::Answered {
            status: 400,
            code: "ResourceNotFoundException".to_owned(),
            message: "The specified log group does not exist.".to_owned(),
            request_id: "4f7b".to_owned(),
        };
        assert_eq!(
            missing.words(),
            "create stream has been retried 1 times: failed to create Cloudwatch log stream: \
             ResourceNotFoundException: The specified log group does not exist. status code: 400, request id: 4f7b: \
             exit status 1"
        );
        assert!(missing.is("ResourceNotFoundException") && !missing.may_pass());
        let path = "Post \"https://logs.us-east-1.amazonaws.com/\": dial tcp 198.19.0.10:443: i/o timeout";
        let lost = Refused::Unreachable(path.to_owned());
        assert!(lost.may_pass() && !lost.is_of_the_session());
        assert!(lost.words().contains(&format!("RequestError: send request failed caused by: {path}")));
    }
}
