//! The API as the tests of this crate call it: in-process, over a store in a temporary folder, signatures off.

use std::net::Ipv4Addr;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use http::Request;
use store::Store;
use types::AccountId;

use crate::context::{Auth, Settings};
use crate::{Api, Machine, Service};

/// An API whose rows go with it.
pub(crate) struct Fixture {
    /// The API.
    pub(crate) api: Api,
    _folder: tempfile::TempDir,
}

/// The settings of tests: account 000000000001 on port 4566.
pub(crate) fn settings() -> Settings {
    Settings {
        account: AccountId::new("000000000001").unwrap(),
        access_key_id: "AKIATEST".to_owned(),
        secret_access_key: "secret".to_owned(),
        listen: "127.0.0.1:4566".parse().unwrap(),
        host_address: Ipv4Addr::LOCALHOST,
        auth: Auth::Off,
        metric_period: 60,
        token_key: [7; 32],
        ca_certificate: String::new(),
        certificates: Vec::new(),
        private_key: String::new(),
    }
}

impl Fixture {
    /// With no rows.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("landfall.db"), &crate::tables()).unwrap();
        let events = Arc::new(::logs::Store::open(&folder.path().join("logs")).unwrap());
        let api = Api::new(Arc::new(store), Arc::new(settings()), Arc::new(Machine::default()), events);
        Self { api, _folder: folder }
    }

    /// Calls an action in ap-northeast-2 (us-east-1 for IAM); `body` is the form without Action and Version, or the
    /// JSON document. Gives the status and the body, the request id replaced by `ID`.
    pub(crate) fn call(&self, service: Service, action: &str, body: &str) -> (u16, String) {
        let region = if service.is_global() { "us-east-1" } else { "ap-northeast-2" };
        self.call_in(region, service, action, body)
    }

    /// As [`Fixture::call`], in any region.
    pub(crate) fn call_in(&self, region: &str, service: Service, action: &str, body: &str) -> (u16, String) {
        let mut request = Request::builder().method("POST").uri("/").header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/{region}/{}/aws4_request, SignedHeaders=host;x-amz-date, Signature={}", service.name(), "0".repeat(64)),
        ).header("host", "localhost").header("x-amz-date", "20260101T000000Z");
        let body = match service.protocol() {
            wire::Protocol::AwsJson => {
                request = request.header("x-amz-target", format!("{}.{action}", service.version()));
                body.to_owned()
            }
            _ => {
                let and = if body.is_empty() { "" } else { "&" };
                format!("Action={action}&Version={}{and}{body}", service.version())
            }
        };
        let (send, receive) = mpsc::channel();
        self.api
            .answer(&request.body(Bytes::from(body)).unwrap(), move |response| send.send(response).unwrap());
        let response = receive.recv().unwrap();
        let id = response.headers()["x-amzn-requestid"].to_str().unwrap().to_owned();
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        (response.status().as_u16(), text.replace(&id, "ID"))
    }

    /// Calls CloudWatch with a document of JSON 1.0; `target` is the header.
    pub(crate) fn json(&self, target: &str, body: &str) -> (u16, String) {
        let credential = "AKIATEST/20260101/ap-northeast-2/monitoring/aws4_request";
        let signed = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0");
        let request = Request::builder().method("POST").uri("/").header("host", "localhost");
        let request = request.header("authorization", signed).header("x-amz-target", target);
        let (send, receive) = mpsc::channel();
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        self.api.answer(&request, move |response| send.send(response).unwrap());
        let response = receive.recv().unwrap();
        assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.0");
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    /// As [`Fixture::call`]; the call must succeed.
    pub(crate) fn ok(&self, service: Service, action: &str, body: &str) -> String {
        let (status, text) = self.call(service, action, body);
        assert_eq!(status, 200, "{action}: {text}");
        text
    }
}

/// The text of the first XML element of this name, for ids that one call gives and the next one takes.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let start = xml.find(&format!("<{name}>")).unwrap_or_else(|| panic!("no <{name}> in {xml}"));
    let rest = &xml[start + name.len() + 2..];
    &rest[..rest.find(&format!("</{name}>")).unwrap()]
}

/// The status and body of the answer to a bare request, signed (not truly) for `service`.
#[cfg(test)]
fn bare(method: &str, path: &str, service: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let credential = format!("AKIATEST/20260101/ap-northeast-2/{service}/aws4_request");
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost").header(
        "authorization",
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"),
    );
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (send, receive) = mpsc::channel();
    let request = request.body(Bytes::from(body.to_owned())).unwrap();
    Fixture::new().api.answer(&request, move |response| send.send(response).unwrap());
    let response = receive.recv().unwrap();
    (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
}

#[test]
fn a_service_that_is_not_here_is_refused_by_name_in_its_own_form() {
    let (status, text) = bare("GET", "/", "s3", &[], "");
    assert_eq!(status, 400);
    assert!(text.contains("<Code>UnknownService</Code>") && text.contains("s3"), "{text}");
    for (method, path, service) in [
        ("GET", "/2015-03-31/functions", "lambda"),
        ("GET", "/v2/apis", "apigateway"),
        ("GET", "/clusters", "eks"),
    ] {
        let (_, text) = bare(method, path, service, &[], "");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["__type"], "UnknownService");
        assert!(json["message"].as_str().unwrap().contains(service), "{text}");
    }
}

#[test]
fn classic_load_balancers_are_not_taken_for_those_of_version_2() {
    let form = "Action=DescribeLoadBalancers&Version=2012-06-01";
    let (status, text) = bare("POST", "/", "elasticloadbalancing", &[], form);
    assert_eq!(status, 400);
    assert!(text.contains("version 2012-06-01 of elasticloadbalancing"), "{text}");
}

#[test]
fn a_list_is_no_request() {
    let target = ("x-amz-target", "AmazonEC2ContainerServiceV20141113.CreateCluster");
    for body in
        [r#"["c"]"#, "[]", "\"c\"", "null", " [null]", r#"{"settings":[["containerInsights","enabled"]]}"#]
    {
        let (status, text) = bare("POST", "/", "ecs", &[target], body);
        assert_eq!(status, 400);
        assert!(text.contains("SerializationException"), "{body}: {text}");
    }
}

#[test]
fn a_request_that_does_not_fit_its_shape_has_the_service_s_own_code() {
    let fixture = Fixture::new();
    for (service, action, code) in [
        (Service::Ecr, "CreateRepository", "InvalidParameterException"),
        (Service::Ecs, "RegisterTaskDefinition", "InvalidParameterException"),
        (Service::Logs, "CreateLogGroup", "InvalidParameterException"),
        (Service::Ssm, "GetParameter", "ValidationException"),
        (Service::SecretsManager, "CreateSecret", "ValidationException"),
        (Service::AutoScaling, "PutScalingPolicy", "ValidationException"),
        (Service::ServiceDiscovery, "CreateHttpNamespace", "InvalidInput"),
    ] {
        let (status, text) = fixture.call(service, action, r#"{"Colour":"red"}"#);
        assert_eq!(status, 400);
        assert!(text.contains(code) && text.contains("Colour"), "{action}: {text}");
    }
}

#[test]
fn an_unknown_action_is_refused_by_name() {
    let fixture = Fixture::new();
    let (status, text) = fixture.call(Service::Ec2, "RunInstances", "");
    assert_eq!(status, 400);
    assert!(text.contains("<Code>InvalidAction</Code>") && text.contains("RunInstances"), "{text}");
    let (_, text) = fixture.call(Service::Ecs, "RegisterContainerInstance", "{}");
    assert!(text.contains("UnknownOperationException"), "{text}");
}
