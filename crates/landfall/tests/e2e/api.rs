//! Calls of the API without the AWS CLI, which takes longer to start than most of what it asks for.

use serde_json::Value;
use wire::sigv4::{self, Credentials, Scope};

use crate::stack::Stack;

/// The region of the example.
pub(crate) const REGION: &str = "ap-northeast-2";

impl Stack {
    /// A call to ECS; it must succeed.
    pub(crate) fn ecs(&self, action: &str, body: &Value) -> Value {
        let target = format!("AmazonEC2ContainerServiceV20141113.{action}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &*target)];
        let (status, document) = self.post("ecs", &headers, &body.to_string());
        assert_eq!(status, 200, "{action} {body}: {document}");
        serde_json::from_str(&document).unwrap()
    }

    /// A call to ECR; it must succeed.
    pub(crate) fn ecr(&self, action: &str, body: &Value) -> Value {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{action}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &*target)];
        let (status, document) = self.post("ecr", &headers, &body.to_string());
        assert_eq!(status, 200, "{action} {body}: {document}");
        serde_json::from_str(&document).unwrap()
    }

    /// A call to EC2 with parameters `a=b&c=d`, whose values are taken as they stand; it must succeed.
    pub(crate) fn ec2(&self, action: &str, parameters: &str) -> String {
        self.try_ec2(action, parameters)
            .unwrap_or_else(|document| panic!("{action} {parameters}: {document}"))
    }

    /// As [`Stack::ec2`]; the error is AWS's document.
    pub(crate) fn try_ec2(&self, action: &str, parameters: &str) -> Result<String, String> {
        self.query("ec2", "2016-11-15", action, parameters)
    }

    /// A call to IAM; it must succeed.
    pub(crate) fn iam(&self, action: &str, parameters: &str) -> String {
        self.query("iam", "2010-05-08", action, parameters)
            .unwrap_or_else(|document| panic!("{action} {parameters}: {document}"))
    }

    fn query(&self, service: &str, version: &str, action: &str, parameters: &str) -> Result<String, String> {
        let mut body = format!("Action={action}&Version={version}");
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap();
            body += &format!("&{name}={}", encoded(value));
        }
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let (status, document) = self.post(service, &headers, &body);
        if status == 200 { Ok(document) } else { Err(document) }
    }

    /// The one id that a describing call gives for a filter.
    pub(crate) fn ec2_id(&self, action: &str, filter: &str, value: &str, element: &str) -> String {
        let found = self.ec2(action, &format!("Filter.1.Name={filter}&Filter.1.Value.1={value}"));
        text_of(&found, element).unwrap_or_else(|| panic!("no {element} in {found}")).to_owned()
    }

    fn post(&self, service: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let host = self.listen.to_string();
        let mut signed: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        signed.push(("host", host.as_bytes()));
        let key = |name: &str| self.environment[name].as_str();
        let added = sigv4::sign(
            sigv4::Request { method: "POST", path: "/", query: "", headers: &signed },
            &sigv4::sha256(body.as_bytes()),
            Credentials {
                access_key_id: key("AWS_ACCESS_KEY_ID"),
                secret_access_key: key("AWS_SECRET_ACCESS_KEY"),
                session_token: None,
            },
            Scope { region: REGION, service },
            types::Timestamp::now(),
        );
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = agent.post(format!("http://{host}/"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in added {
            request = request.header(name, value);
        }
        let mut response = request.send(body).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }
}

fn encoded(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(byte).collect()
}

/// The text of the first element of a name.
pub(crate) fn text_of<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    texts_of(document, name).into_iter().next()
}

/// The texts of all elements of a name that has no elements of the same name inside.
pub(crate) fn texts_of<'a>(document: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    document.split(&*open).skip(1).filter_map(|rest| rest.split_once(&*close)).map(|(text, _)| text).collect()
}
