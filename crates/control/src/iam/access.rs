//! Whether a caller may do what it asks for.

use std::sync::Arc;

use http::StatusCode;
use store::Snapshot;
use types::{AccountId, Region, Timestamp};
use wire::{ApiError, Protocol};

use super::managed_policy;
use super::policy::{Decision, Keys, Kind, Policy, Request, decide};
use super::role::{self, Role};
use crate::context::{Context, Principal};
use crate::service::Service;

/// A caller's request that its policies do not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("User: {user} is not authorized to perform: {action} on resource: {resource} {because}")]
pub struct Denied {
    /// The caller's ARN.
    pub user: String,
    /// The action.
    pub action: String,
    /// What it was for.
    pub resource: String,
    /// AWS's words for which kind of policy denies.
    pub because: String,
}

impl Denied {
    /// The error as the action's service answers it.
    pub fn api_error(&self) -> ApiError {
        let service = self.action.split(':').next().and_then(Service::from_name);
        match service.map(Service::protocol) {
            Some(Protocol::AwsJson) => ApiError::new("AccessDeniedException", self.to_string()),
            Some(Protocol::Ec2Query) => ApiError::new(
                "UnauthorizedOperation",
                format!("You are not authorized to perform this operation. {self}"),
            )
            .with_status(StatusCode::FORBIDDEN),
            Some(Protocol::AwsQuery) | None => {
                ApiError::new("AccessDenied", self.to_string()).with_status(StatusCode::FORBIDDEN)
            }
        }
    }
}

/// Actions whose handlers ask for themselves, with the resource that the request names. A test calls each of them as a
/// session that has no policy.
fn is_asked_by_its_handler(action: &str) -> bool {
    action == "sts:AssumeRole" || action.starts_with("iam:") || action.starts_with("ecr:")
}

/// What the dispatcher asks before an action: whether the caller's policies allow it on `resource`. Root may do all.
/// The handlers of IAM, ECR and AssumeRole ask for themselves with [`authorize_on`].
///
/// # Errors
/// AWS's AccessDenied, naming the caller, the action and the resource.
pub fn authorize(rows: &Snapshot, context: &Context, action: &str, resource: &str) -> Result<(), ApiError> {
    if is_asked_by_its_handler(action) {
        return Ok(());
    }
    authorize_on(rows, context, action, resource)
}

/// Whether the caller's policies allow an action on a resource (its ARN; `*` where an action has none).
///
/// # Errors
/// As [`authorize`].
pub fn authorize_on(
    rows: &Snapshot,
    context: &Context,
    action: &str,
    resource: &str,
) -> Result<(), ApiError> {
    let region = region_name(&context.region);
    check(rows, &context.account, &context.principal, region, context.now, action, resource)
        .map_err(|denied| denied.api_error())
}

/// IAM's own region in condition keys.
fn region_name(region: &Region) -> &str {
    if *region == Region::global() { "us-east-1" } else { region.as_str() }
}

/// As [`authorize_on`], where there is no call of the API: the registry.
///
/// # Errors
/// [`Denied`], whose text is AWS's.
pub fn check(
    rows: &Snapshot,
    account: &AccountId,
    principal: &Principal,
    region: &str,
    now: Timestamp,
    action: &str,
    resource: &str,
) -> Result<(), Denied> {
    let Principal::Session { role, role_id, .. } = principal else { return Ok(()) };
    let keys = keys(rows, account, principal, region, now);
    // A session of a role that was deleted, or deleted and made anew, may do nothing.
    let decision = match role::find(rows, account, role).filter(|found| found.id == *role_id) {
        Some(role) => {
            let policies = policies(rows, &role);
            let named = policies.iter().map(|(name, policy)| (name.as_str(), policy));
            decide(named, Request { action, resource, keys: &keys })
        }
        None => Decision::ImplicitDeny,
    };
    if decision == Decision::Allowed {
        return Ok(());
    }
    Err(Denied {
        user: principal.arn(account).to_string(),
        action: action.to_owned(),
        resource: resource.to_owned(),
        because: decision.because(action),
    })
}

/// The condition keys of a caller's requests.
pub(crate) fn keys(
    rows: &Snapshot,
    account: &AccountId,
    principal: &Principal,
    region: &str,
    now: Timestamp,
) -> Keys {
    let keys = Keys::default()
        .with("aws:PrincipalAccount", account.as_str())
        .with("aws:RequestedRegion", region)
        .with("aws:CurrentTime", now.iso())
        .with("aws:EpochTime", (now.as_millis() / 1000).to_string());
    match principal {
        Principal::Root => keys
            .with("aws:PrincipalArn", principal.arn(account).to_string())
            .with("aws:PrincipalType", "Account")
            .with("aws:userid", account.as_str()),
        Principal::Session { role, role_id, session } => {
            let arn = role::find(rows, account, role)
                .map_or_else(|| format!("arn:aws:iam::{account}:role/{role}"), |role| role.arn().to_string());
            keys.with("aws:PrincipalArn", arn)
                .with("aws:PrincipalType", "AssumedRole")
                .with("aws:userid", format!("{role_id}:{session}"))
        }
    }
}

/// A role's policies with their names. Documents are checked when they are written; one that cannot be read any more
/// (written by another version) denies everything rather than being left out.
fn policies(rows: &Snapshot, role: &Arc<Role>) -> Vec<(String, Policy)> {
    let deny =
        || Policy::parse(r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#, Kind::Identity);
    let parse = |name: &str, document: &str| {
        let policy = Policy::parse(document, Kind::Identity).or_else(|_| deny()).ok()?;
        Some((name.to_owned(), policy))
    };
    let attached = role.attached.iter().filter_map(|arn| {
        let found = managed_policy::lookup(rows, &role.account, arn)?;
        parse(arn, &found.document)
    });
    let inline = role.inline.iter().filter_map(|(name, document)| parse(name, document));
    attached.chain(inline).collect()
}
