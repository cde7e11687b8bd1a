//! Sessions of roles: temporary key pairs.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use store::Tx;
use types::{AccountId, Region, Timestamp};

use crate::SessionKey;
use crate::iam::policy::{Caller, Keys, Kind, Policy, Request, Trust, decide_trust};
use crate::iam::{self, Role};

/// What tasks assume their roles as.
pub const ECS_TASKS: &str = "ecs-tasks.amazonaws.com";

/// `bytes` random bytes in base64.
///
/// # Panics
/// When the operating system has no random numbers to give, as nothing may be minted then.
fn random(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    if SystemRandom::new().fill(&mut buffer).is_err() {
        panic!("the operating system gives no random numbers");
    }
    STANDARD.encode(buffer)
}

/// A new session of a role, and the end of those whose time is over. Whether the caller may have it was decided
/// before.
pub fn mint(rows: &mut Tx, role: &Role, session: &str, duration: Duration, now: Timestamp) -> SessionKey {
    forget_expired(rows, now);
    let session = SessionKey {
        access_key_id: iam::unique_id("ASIA", 16),
        secret_access_key: random(30),
        session_token: format!("IQoJb3JpZ2lu{}", random(192)),
        account: role.account.clone(),
        role: role.name.clone(),
        role_id: role.id.clone(),
        session: session.to_owned(),
        expires_at: now.plus(duration),
    };
    rows.put(session.clone());
    session
}

/// How long an expired key pair is remembered, so that its holder is told ExpiredToken and not that nobody has it.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

fn forget_expired(rows: &mut Tx, now: Timestamp) {
    let old = |session: &SessionKey| now.since(session.expires_at) > REMEMBERED;
    let expired: Vec<String> = rows
        .scan::<SessionKey>("")
        .filter(|session| old(session))
        .map(|session| session.access_key_id.clone())
        .collect();
    for key in expired {
        rows.delete::<SessionKey>(&key);
    }
}

/// A role that the ECS service may not assume for a task, in ECS's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "ECS was unable to assume the role '{role_arn}' that was provided for this task. Please verify that the role being \
     passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role."
)]
pub struct NotAssumable {
    /// The role's ARN, as the task definition gives it.
    pub role_arn: String,
}

/// The session in which a task's role is used: of its execution role for the image pull. Good for six hours, as ECS's
/// own; its name is the task's id.
///
/// # Errors
/// When the role does not exist, or its trust policy does not let `ecs-tasks.amazonaws.com` assume it for this task.
pub fn mint_for_task(
    rows: &mut Tx,
    account: &AccountId,
    region: &Region,
    role_arn: &str,
    task_arn: &str,
    now: Timestamp,
) -> Result<SessionKey, NotAssumable> {
    let refused = || NotAssumable { role_arn: role_arn.to_owned() };
    let role =
        iam::find_by_arn(rows, role_arn).filter(|role| role.account == *account).ok_or_else(refused)?;
    let name = task_arn.rsplit('/').next().unwrap_or(task_arn);
    let keys = Keys::default()
        .with("aws:RequestedRegion", region.as_str())
        .with("aws:CurrentTime", now.iso())
        .with("aws:EpochTime", (now.as_millis() / 1000).to_string())
        .with("aws:SourceAccount", account.as_str())
        .with("aws:SourceArn", task_arn)
        .with("sts:RoleSessionName", name);
    match trust(&role, Caller::Service(ECS_TASKS), &keys) {
        Trust::Direct | Trust::Account => Ok(mint(rows, &role, name, Duration::from_secs(6 * 3600), now)),
        Trust::ImplicitDeny | Trust::ExplicitDeny => Err(refused()),
    }
}

/// Whether a role's trust policy lets a service of AWS's take it.
pub fn may_be_assumed_by_service(role: &Role, service: &str, region: &str, now: Timestamp) -> bool {
    let keys = Keys::default()
        .with("aws:RequestedRegion", region)
        .with("aws:CurrentTime", now.iso())
        .with("aws:EpochTime", (now.as_millis() / 1000).to_string())
        .with("aws:SourceAccount", role.account.as_str());
    matches!(trust(role, Caller::Service(service), &keys), Trust::Direct | Trust::Account)
}

/// What a role's trust policy says. One that cannot be read any more lets nobody in.
pub(super) fn trust(role: &Role, caller: Caller<'_>, keys: &Keys) -> Trust {
    let arn = role.arn().to_string();
    let request = Request { action: "sts:AssumeRole", resource: &arn, keys };
    Policy::parse(&role.trust, Kind::Trust)
        .map_or(Trust::ImplicitDeny, |policy| decide_trust(&policy, caller, request))
}
