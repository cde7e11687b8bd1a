//! The three protocols: how a request's body is read, a response's and an error's written.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::decode::DecodeError;
use crate::error::ApiError;
use crate::tree::Tree;
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
}

/// A request's body, taken apart as far as the protocol goes without knowing the action's shape.
#[derive(Debug, Clone)]
pub enum Input {
    /// awsQuery and ec2Query, without `Action` and `Version`.
    Tree(Tree),
    /// awsJson.
    Json(Bytes),
}

impl Input {
    /// Reads the action's request struct.
    ///
    /// # Errors
    /// When a member is missing, unknown or of another form.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, DecodeError> {
        match self {
            Input::Tree(tree) => tree.decode(),
            Input::Json(body) => {
                let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
                // serde would take a list for a struct's members in their order.
                if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
                    return Err(DecodeError::Malformed(
                        "a list stands where an object is expected".to_owned(),
                    ));
                }
                let mut json = serde_json::Deserializer::from_slice(body);
                let request =
                    serde_path_to_error::deserialize(&mut json).map_err(|e| DecodeError::from_json(&e))?;
                json.end().map_err(|e| DecodeError::Malformed(e.to_string()))?;
                Ok(request)
            }
        }
    }
}

impl Protocol {
    fn content_type(self) -> &'static str {
        match self {
            Protocol::AwsQuery => "text/xml",
            Protocol::Ec2Query => "text/xml;charset=UTF-8",
            Protocol::AwsJson => "application/x-amz-json-1.1",
        }
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
        let written = match self {
            Protocol::AwsQuery => {
                xml::query_response(action, xmlns, request_id, response).map(String::into_bytes)
            }
            Protocol::Ec2Query => {
                xml::ec2_response(action, xmlns, request_id, response).map(String::into_bytes)
            }
            Protocol::AwsJson => {
                return serde_json::to_vec(response).map_err(|error| ApiError::internal(error.to_string()));
            }
        };
        written.map_err(|error| ApiError::internal(error.to_string()))
    }

    /// The HTTP response around a body that [`Protocol::encode`] wrote.
    pub fn success(self, request_id: &str, body: Vec<u8>) -> Response<Bytes> {
        self.response(StatusCode::OK, request_id, body)
    }

    /// The HTTP response that says an error.
    pub fn error(self, xmlns: &str, request_id: &str, error: &ApiError) -> Response<Bytes> {
        let (mut code, mut message) = (String::new(), String::new());
        xml::escape(&error.code, &mut code);
        xml::escape(&error.message, &mut message);
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
            Protocol::AwsJson => {
                serde_json::json!({ "__type": error.code, "message": error.message }).to_string()
            }
        };
        let mut response = self.response(error.status, request_id, body.into_bytes());
        if self == Protocol::AwsJson
            && let Ok(code) = HeaderValue::from_str(&error.code)
        {
            response.headers_mut().insert("x-amzn-errortype", code);
        }
        response
    }

    fn response(self, status: StatusCode, request_id: &str, body: Vec<u8>) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type()));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}
