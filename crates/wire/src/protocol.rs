//! The protocols: how a request's body is read, a response's and an error's written.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cbor;
use crate::decode::DecodeError;
use crate::error::ApiError;
use crate::json;
use crate::tree::Tree;
use crate::writer::{Format, Writer};
use crate::xml;

/// A protocol of AWS's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Form in, XML with a result element out: IAM, STS, ELB.
    AwsQuery,
    /// Form in, flat XML out: EC2.
    Ec2Query,
    /// JSON both ways, the action in a header: ECS, ECR.
    AwsJson,
    /// As [`Protocol::AwsJson`], version 1.0, of a service whose errors keep the codes of awsQuery: CloudWatch.
    AwsJson10,
    /// CBOR both ways, the action in the path, with the same errors: CloudWatch.
    RpcV2Cbor,
}

/// A request's body, taken apart as far as its protocol goes without knowing the action's shape.
#[derive(Debug, Clone)]
pub struct Input {
    protocol: Protocol,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Tree(Tree),
    Document(Bytes),
}

impl Input {
    /// The tree of a request in awsQuery or ec2Query, without `Action` and `Version`.
    pub fn tree(protocol: Protocol, tree: Tree) -> Self {
        Self { protocol, body: Body::Tree(tree) }
    }

    /// The document of a request in JSON or CBOR.
    pub fn document(protocol: Protocol, body: Bytes) -> Self {
        Self { protocol, body: Body::Document(body) }
    }

    /// The protocol that the client speaks: a service may know several.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The document of a request in JSON.
    pub fn json(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Document(body) if self.protocol != Protocol::RpcV2Cbor => Some(body),
            _ => None,
        }
    }

    /// Reads the action's request struct.
    ///
    /// # Errors
    /// When a member is missing, unknown or of another form.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, DecodeError> {
        self.into_tree()?.decode()
    }

    fn into_tree(self) -> Result<Tree, DecodeError> {
        match (self.body, self.protocol) {
            (Body::Tree(tree), _) => Ok(tree),
            (Body::Document(body), Protocol::RpcV2Cbor) => cbor::read(&body),
            (Body::Document(body), _) => json::read(&body),
        }
    }
}

impl Protocol {
    fn content_type(self) -> &'static str {
        match self {
            Protocol::AwsQuery => "text/xml",
            Protocol::Ec2Query => "text/xml;charset=UTF-8",
            Protocol::AwsJson => "application/x-amz-json-1.1",
            Protocol::AwsJson10 => "application/x-amz-json-1.0",
            Protocol::RpcV2Cbor => "application/cbor",
        }
    }

    /// Whether requests and responses are documents with types of their own.
    pub(crate) fn is_document(self) -> bool {
        matches!(self, Protocol::AwsJson | Protocol::AwsJson10 | Protocol::RpcV2Cbor)
    }

    /// Whether errors carry awsQuery's code in a header of their own, beside the name of their shape.
    fn keeps_query_codes(self) -> bool {
        matches!(self, Protocol::AwsJson10 | Protocol::RpcV2Cbor)
    }

    /// Writes an action's response body.
    ///
    /// # Errors
    /// When the struct has no form in the protocol: an error of the program.
    pub fn encode<T: Serialize>(
        self,
        action: &str,
        xmlns: &str,
        request_id: &str,
        response: &T,
    ) -> Result<Vec<u8>, ApiError> {
        let (mut writer, name) = self.begin(action, xmlns, request_id);
        writer.value(&name, response).map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(self.end(writer, action, request_id))
    }

    /// A response as far as its struct, and the name of the element that this is.
    fn begin(self, action: &str, xmlns: &str, request_id: &str) -> (Writer, String) {
        let (format, envelope, name) = match self {
            Protocol::AwsQuery => {
                (Format::Xml("member"), xml::open_query(action, xmlns), format!("{action}Result"))
            }
            Protocol::Ec2Query => {
                (Format::Xml("item"), xml::open_ec2(action, xmlns, request_id), String::new())
            }
            Protocol::AwsJson | Protocol::AwsJson10 => (Format::Json, String::new(), String::new()),
            Protocol::RpcV2Cbor => (Format::Cbor, String::new(), String::new()),
        };
        let mut writer = Writer::new(format);
        writer.out.extend_from_slice(envelope.as_bytes());
        (writer, name)
    }

    fn end(self, mut writer: Writer, action: &str, request_id: &str) -> Vec<u8> {
        let envelope = match self {
            Protocol::AwsQuery => xml::close_query(action, request_id),
            Protocol::Ec2Query => xml::close_ec2(action),
            Protocol::AwsJson | Protocol::AwsJson10 | Protocol::RpcV2Cbor => String::new(),
        };
        writer.out.extend_from_slice(envelope.as_bytes());
        writer.out
    }

    /// The HTTP response around a body that [`Protocol::encode`] wrote.
    pub fn success(self, request_id: &str, body: Vec<u8>) -> Response<Bytes> {
        self.response(StatusCode::OK, request_id, body)
    }

    /// The HTTP response that says an error.
    pub fn error(self, xmlns: &str, request_id: &str, error: &ApiError) -> Response<Bytes> {
        let (code, message) = (xml::escaped(&error.code), xml::escaped(&error.message));
        let fault = if error.status.is_server_error() { "Receiver" } else { "Sender" };
        let body = match self {
            Protocol::AwsQuery => format!(
                "<ErrorResponse xmlns=\"{xmlns}\"><Error><Type>{fault}</Type><Code>{code}</Code>\
                 <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
            ),
            Protocol::Ec2Query => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
                 <Message>{message}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
            ),
            Protocol::AwsJson | Protocol::AwsJson10 => {
                serde_json::json!({ "__type": error.shape(), "message": error.message }).to_string()
            }
            Protocol::RpcV2Cbor => {
                let mut body = Vec::new();
                cbor::open(cbor::MAP, Some(2), &mut body);
                for text in ["__type", error.shape(), "message", &error.message] {
                    cbor::text(text, &mut body);
                }
                return self.with_query_code(error, fault, self.response(error.status, request_id, body));
            }
        };
        let mut response = self.response(error.status, request_id, body.into_bytes());
        if self == Protocol::AwsJson
            && let Ok(code) = HeaderValue::from_str(&error.code)
        {
            response.headers_mut().insert("x-amzn-errortype", code);
        }
        self.with_query_code(error, fault, response)
    }

    /// "awsQueryCompatible trait": the code that an awsQuery client knows, in a header.
    fn with_query_code(
        self,
        error: &ApiError,
        fault: &str,
        mut response: Response<Bytes>,
    ) -> Response<Bytes> {
        if self.keeps_query_codes()
            && let Ok(code) = HeaderValue::from_str(&format!("{};{fault}", error.code))
        {
            response.headers_mut().insert("x-amzn-query-error", code);
        }
        response
    }

    fn response(self, status: StatusCode, request_id: &str, body: Vec<u8>) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type()));
        if self == Protocol::RpcV2Cbor {
            headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        }
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}
