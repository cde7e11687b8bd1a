//! Calls of ECS's API as a task's role, to `serve` on the host: ECS's agent does not go through the task's network either.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use desired::{RoleSession, Task};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use types::Timestamp;
use wire::sigv4::{Credentials, Scope, sign_json};

use super::protection::Call;

/// How long the agent waits for ECS, tries again included.
const PATIENCE: Duration = Duration::from_secs(4);

/// Before the next try.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest answer, in bytes.
const LONGEST: usize = 64 << 10;

/// What came back, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Called {
    pub(super) status: u16,
    /// AWS's request id.
    pub(super) request_id: String,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// None came in time: `serve` is not there, or is too slow.
    TimedOut,
}

/// Makes a call as the role of a task, again where there is no answer: saying twice that a task is protected says it once.
pub(super) async fn ask(api: Option<SocketAddr>, task: &Task, call: &Call) -> Result<Called, Trouble> {
    let (Some(api), Some(role)) = (api, &task.role) else { return Err(Trouble::TimedOut) };
    let region = task.arn.split(':').nth(3).unwrap_or_default();
    let tries = async {
        loop {
            if let Some(called) = send(api, role, region, call).await {
                return called;
            }
            sleep(PAUSE).await;
        }
    };
    timeout(PATIENCE, tries).await.map_err(|_| Trouble::TimedOut)
}

/// Once. None: the connection broke, or never was.
async fn send(api: SocketAddr, role: &RoleSession, region: &str, call: &Call) -> Option<Called> {
    let stream = TcpStream::connect(api).await.ok()?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    // It ends with the sender.
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(signed(role, region, call)?).await.ok()?;
    let id = answer.headers().get("x-amzn-requestid").and_then(|id| id.to_str().ok());
    let request_id = id.unwrap_or_default().to_owned();
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), LONGEST).collect().await.ok()?.to_bytes().to_vec();
    connection.abort();
    Some(Called { status, request_id, body })
}

/// The request, signed for ECS in a region.
fn signed(role: &RoleSession, region: &str, call: &Call) -> Option<Request<Full<Bytes>>> {
    let host = format!("ecs.{region}.amazonaws.com");
    let target = format!("AmazonEC2ContainerServiceV20141113.{}", call.action);
    let headers = sign_json(
        &host,
        &target,
        call.body.as_bytes(),
        Credentials {
            access_key_id: &role.access_key_id,
            secret_access_key: &role.secret_access_key,
            session_token: Some(&role.session_token),
        },
        Scope { region, service: "ecs" },
        Timestamp::now(),
    );
    let mut request = Request::post("/").header("host", host);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(Full::new(Bytes::from(call.body.clone()))).ok()
}
