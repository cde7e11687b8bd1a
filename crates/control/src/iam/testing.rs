//! The API as sessions of roles call it in tests: with signatures that are verified.

use std::sync::{Arc, mpsc};

use bytes::Bytes;
use http::Request;
use store::Store;
use types::{Timestamp, VpcEndpointId};
use wire::sigv4::{self, Credentials, Scope};

use crate::context::{Auth, Settings};
use crate::{Api, Machine, Service, SessionKey, testing};

/// An API that verifies signatures.
pub(crate) struct Verifying {
    pub(crate) api: Api,
    _folder: tempfile::TempDir,
}

/// A key pair, of a session or the root user's.
pub(crate) type Keys = (String, String, Option<String>);

pub(crate) fn root() -> Keys {
    let settings = testing::settings();
    (settings.access_key_id, settings.secret_access_key, None)
}

pub(crate) fn of(session: &SessionKey) -> Keys {
    (session.access_key_id.clone(), session.secret_access_key.clone(), Some(session.session_token.clone()))
}

impl Verifying {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("landfall.db"), &crate::tables()).unwrap();
        let settings = Settings { auth: Auth::Verify, ..testing::settings() };
        let events = Arc::new(::logs::Store::open(&folder.path().join("logs")).unwrap());
        let api = Api::new(Arc::new(store), Arc::new(settings), Arc::new(Machine::default()), events);
        Self { api, _folder: folder }
    }

    /// Calls an action as [`testing::Fixture::call`] does, signed with these keys.
    pub(crate) fn call(&self, keys: &Keys, service: Service, action: &str, body: &str) -> (u16, String) {
        self.call_through(None, keys, service, action, body)
    }

    /// As [`Verifying::call`], through a VPC endpoint.
    pub(crate) fn call_through(
        &self,
        through: Option<&VpcEndpointId>,
        keys: &Keys,
        service: Service,
        action: &str,
        body: &str,
    ) -> (u16, String) {
        let mut headers = vec![("host".to_owned(), "localhost".to_owned())];
        let body = if service.protocol() == wire::Protocol::AwsJson {
            headers.push(("x-amz-target".to_owned(), format!("{}.{action}", service.version())));
            body.to_owned()
        } else {
            format!("Action={action}&Version={}&{body}", service.version())
        };
        let borrowed: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = sigv4::Request { method: "POST", path: "/", query: "", headers: &borrowed };
        let (access_key_id, secret_access_key, session_token) = keys;
        let added = sigv4::sign(
            request,
            &sigv4::sha256(body.as_bytes()),
            Credentials { access_key_id, secret_access_key, session_token: session_token.as_deref() },
            Scope {
                region: if service.is_global() { "us-east-1" } else { "ap-northeast-2" },
                service: service.name(),
            },
            Timestamp::now(),
        );
        let mut request = Request::builder().method("POST").uri("/");
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        for (name, value) in added {
            request = request.header(name, value);
        }
        if let Some(through) = through {
            request = request.extension(through.clone());
        }
        let (send, receive) = mpsc::channel();
        self.api
            .answer(&request.body(Bytes::from(body)).unwrap(), move |response| send.send(response).unwrap());
        let response = receive.recv().unwrap();
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        (response.status().as_u16(), text)
    }

    /// As [`Verifying::call`]; the call must succeed.
    pub(crate) fn ok(&self, keys: &Keys, service: Service, action: &str, body: &str) -> String {
        let (status, text) = self.call(keys, service, action, body);
        assert_eq!(status, 200, "{action}: {text}");
        text
    }

    /// As [`Verifying::call`] of a JSON service; the call must be refused for want of a policy that allows it on a resource.
    #[track_caller]
    pub(crate) fn refuses(
        &self,
        keys: &Keys,
        service: Service,
        action: &str,
        body: &serde_json::Value,
        resource: &str,
    ) {
        let (_, text) = self.call(keys, service, action, &body.to_string());
        let prefix = service.iam_prefix();
        let words =
            format!("is not authorized to perform: {prefix}:{action} on resource: {resource} because");
        assert!(text.contains("AccessDeniedException") && text.contains(&words), "{action} {body}: {text}");
    }

    /// Makes a role that root may assume and whose inline policy is `statement`, and assumes it.
    pub(crate) fn session(&self, role: &str, statement: Option<&str>) -> Keys {
        let trust = form(
            r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"000000000001"},"Action":"sts:AssumeRole"}}"#,
        );
        let root = root();
        self.ok(
            &root,
            Service::Iam,
            "CreateRole",
            &format!("RoleName={role}&AssumeRolePolicyDocument={trust}"),
        );
        if let Some(statement) = statement {
            let document = form(&format!("{{\"Version\":\"2012-10-17\",\"Statement\":{statement}}}"));
            let body = format!("RoleName={role}&PolicyName=inline&PolicyDocument={document}");
            self.ok(&root, Service::Iam, "PutRolePolicy", &body);
        }
        let body = format!("RoleArn=arn:aws:iam::000000000001:role/{role}&RoleSessionName=test");
        let answer = self.ok(&root, Service::Sts, "AssumeRole", &body);
        let text = |name| testing::element(&answer, name).to_owned();
        (text("AccessKeyId"), text("SecretAccessKey"), Some(text("SessionToken")))
    }
}

/// A value in a form.
pub(crate) fn form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
