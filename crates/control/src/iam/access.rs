//! Whether a caller may do what it asks for.

use std::sync::Arc;

use http::StatusCode;
use store::Snapshot;
use types::{AccountId, Region, Timestamp, VpcEndpointId};
use wire::{ApiError, Protocol};

use super::managed_policy;
use super::policy::{
    Caller, Decision, Keys, Kind, Policy, Request, Trust, decide, decide_endpoint, decide_trust,
};
use super::role::{self, Role};
use crate::context::{Context, Principal};
use crate::ec2::vpc_endpoint;
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
            _ => ApiError::new("AccessDenied", self.to_string()).with_status(StatusCode::FORBIDDEN),
        }
    }
}

/// Actions whose handlers ask for themselves, with the resource that the request names. A test calls each of them as a
/// session that has no policy.
fn is_asked_by_its_handler(action: &str) -> bool {
    action == "sts:AssumeRole" || ["iam:", "ecr:", "logs:"].iter().any(|service| action.starts_with(service))
}

/// What the dispatcher asks before an action: whether the caller's policies, and that of the VPC endpoint on the way,
/// allow it on `resource`. Root may do all that the way allows.
/// The handlers of IAM, ECR, CloudWatch Logs and AssumeRole ask for themselves with [`authorize_on`].
///
/// # Errors
/// AWS's AccessDenied, naming the caller, the action and the resource.
pub fn authorize(rows: &Snapshot, context: &Context, action: &str, resource: &str) -> Result<(), ApiError> {
    if is_asked_by_its_handler(action) {
        return Ok(());
    }
    authorize_on(rows, context, action, resource)
}

/// Whether the caller's policies, and that of the VPC endpoint on the way, allow an action on a resource (its ARN; `*`
/// where an action has none).
///
/// # Errors
/// As [`authorize`].
pub fn authorize_on(
    rows: &Snapshot,
    context: &Context,
    action: &str,
    resource: &str,
) -> Result<(), ApiError> {
    check(rows, Asker::of(context), action, resource).map_err(|denied| denied.api_error())
}

/// What an operation acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its ARN, or `*` where an action has none.
    pub arn: String,
    /// The document of its own policy, if it has one.
    pub policy: Option<String>,
}

impl Resource {
    /// A resource that has no policy of its own.
    pub fn of(arn: impl std::fmt::Display) -> Self {
        Self { arn: arn.to_string(), policy: None }
    }

    /// One of a service's in the caller's account and region, named by its ARN or by what stands in it behind `prefix`.
    pub fn named(context: &Context, service: &str, prefix: &str, named: &str) -> Self {
        match named.starts_with("arn:") {
            true => Self::of(named),
            false => Self::of(context.arn(service, format!("{prefix}{named}"))),
        }
    }
}

/// As [`authorize_on`], for every resource that a request names, and with the policies that resources have themselves.
///
/// # Errors
/// As [`authorize`].
pub fn authorize_each(
    rows: &Snapshot,
    context: &Context,
    action: &str,
    resources: &[Resource],
) -> Result<(), ApiError> {
    let asker = Asker::of(context);
    resources.iter().try_for_each(|resource| {
        check_resource(rows, asker, action, resource).map_err(|denied| denied.api_error())
    })
}

/// Whether a caller may act on a resource that may have a policy of its own. Within an account an allow of either policy
/// is enough, and a deny of either is a deny ("Policy evaluation logic", IAM User Guide). A policy that names the account
/// leaves it to the caller's own. The root user is asked too, as on AWS.
///
/// # Errors
/// [`Denied`], whose text is AWS's.
pub fn check_resource(
    rows: &Snapshot,
    asker: Asker<'_>,
    action: &str,
    resource: &Resource,
) -> Result<(), Denied> {
    let Some(document) = &resource.policy else { return check(rows, asker, action, &resource.arn) };
    let keys = keys(rows, asker);
    let request = Request { action, resource: &resource.arn, keys: &keys };
    // Written by another version, and not to be read any more: it denies rather than being left out.
    let own = Policy::parse(document, Kind::Resource).map_or(Trust::ExplicitDeny, |policy| {
        with_caller(rows, asker, |caller| decide_trust(&policy, caller, request))
    });
    if own == Trust::ExplicitDeny {
        let deny = Decision::ExplicitDeny { policy: resource.arn.clone() };
        return Err(refused(asker, Kind::Resource, &deny, request));
    }
    if own != Trust::Direct {
        return check(rows, asker, action, &resource.arn);
    }
    check_endpoint(rows, asker, request)?;
    match identity_decision(rows, asker, request) {
        deny @ Decision::ExplicitDeny { .. } => Err(refused(asker, Kind::Identity, &deny, request)),
        Decision::Allowed | Decision::ImplicitDeny => Ok(()),
    }
}

/// Who asks, where, when, and on which way.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The account.
    pub account: &'a AccountId,
    /// Who it is there.
    pub principal: &'a Principal,
    /// The region that is asked.
    pub region: &'a str,
    /// When.
    pub now: Timestamp,
    /// The VPC endpoint that the request came through.
    pub through: Option<&'a VpcEndpointId>,
}

impl<'a> Asker<'a> {
    /// The caller of the API.
    pub fn of(context: &'a Context) -> Self {
        // IAM's own region in condition keys.
        let region = if context.region == Region::global() { "us-east-1" } else { context.region.as_str() };
        Self {
            account: &context.account,
            principal: &context.principal,
            region,
            now: context.now,
            through: context.through.as_ref(),
        }
    }
}

/// As [`authorize_on`], where there is no call of the API: the registry.
///
/// # Errors
/// [`Denied`], whose text is AWS's.
pub fn check(rows: &Snapshot, asker: Asker<'_>, action: &str, resource: &str) -> Result<(), Denied> {
    if *asker.principal == Principal::Root && asker.through.is_none() {
        return Ok(());
    }
    let keys = keys(rows, asker);
    let request = Request { action, resource, keys: &keys };
    let endpoint = endpoint_decision(rows, asker, request);
    let identity = identity_decision(rows, asker, request);
    // An explicit deny counts before all else, and the way comes before the caller.
    let all = [(Kind::Endpoint, endpoint), (Kind::Identity, identity)];
    let explicit = all.iter().find(|(_, decision)| matches!(decision, Decision::ExplicitDeny { .. }));
    let denied = explicit.or_else(|| all.iter().find(|(_, decision)| *decision != Decision::Allowed));
    match denied {
        Some((kind, decision)) => Err(refused(asker, *kind, decision, request)),
        None => Ok(()),
    }
}

/// Whether the caller's own policies allow an action, whatever the way: for what is no call of a service.
///
/// # Errors
/// [`Denied`]
pub fn check_identity(rows: &Snapshot, asker: Asker<'_>, action: &str, resource: &str) -> Result<(), Denied> {
    let keys = keys(rows, asker);
    let request = Request { action, resource, keys: &keys };
    match identity_decision(rows, asker, request) {
        Decision::Allowed => Ok(()),
        decision => Err(refused(asker, Kind::Identity, &decision, request)),
    }
}

/// Whether the VPC endpoint on the way, if there is one, lets a request by; the caller's own policies left aside.
///
/// # Errors
/// [`Denied`]
pub fn check_endpoint(rows: &Snapshot, asker: Asker<'_>, request: Request<'_>) -> Result<(), Denied> {
    match endpoint_decision(rows, asker, request) {
        Decision::Allowed => Ok(()),
        decision => Err(refused(asker, Kind::Endpoint, &decision, request)),
    }
}

/// Whether a VPC endpoint lets a request for an object of S3 by that AWS itself has signed: a layer's.
pub fn endpoint_allows_object(
    rows: &Snapshot,
    through: &VpcEndpointId,
    region: &str,
    now: Timestamp,
    object: &str,
) -> bool {
    let keys = way_keys(rows, region, now, Some(through));
    let request = Request { action: "s3:GetObject", resource: object, keys: &keys };
    decide_through(rows, through, Caller::Aws, request) == Decision::Allowed
}

fn refused(asker: Asker<'_>, kind: Kind, decision: &Decision, request: Request<'_>) -> Denied {
    Denied {
        user: asker.principal.arn(asker.account).to_string(),
        action: request.action.to_owned(),
        resource: request.resource.to_owned(),
        because: decision.because(kind, request.action),
    }
}

fn identity_decision(rows: &Snapshot, asker: Asker<'_>, request: Request<'_>) -> Decision {
    let Principal::Session { role, role_id, .. } = asker.principal else { return Decision::Allowed };
    // A session of a role that was deleted, or deleted and made anew, may do nothing.
    match role::find(rows, asker.account, role).filter(|found| found.id == *role_id) {
        Some(role) => {
            let policies = policies(rows, &role);
            decide(policies.iter().map(|(name, policy)| (name.as_str(), policy)), request)
        }
        None => Decision::ImplicitDeny,
    }
}

/// [`Decision::Allowed`] for a request that came through no endpoint.
fn endpoint_decision(rows: &Snapshot, asker: Asker<'_>, request: Request<'_>) -> Decision {
    let Some(through) = asker.through else { return Decision::Allowed };
    with_caller(rows, asker, |caller| decide_through(rows, through, caller, request))
}

/// Decides for the caller as policies name it.
fn with_caller<T>(rows: &Snapshot, asker: Asker<'_>, decide: impl FnOnce(Caller<'_>) -> T) -> T {
    let account = asker.account.as_str();
    let Principal::Session { role, .. } = asker.principal else {
        return decide(Caller::Root { account });
    };
    let (role, session) =
        (role_arn(rows, asker.account, role), asker.principal.arn(asker.account).to_string());
    decide(Caller::Session { account, role: &role, session: &session })
}

fn decide_through(
    rows: &Snapshot,
    through: &VpcEndpointId,
    caller: Caller<'_>,
    request: Request<'_>,
) -> Decision {
    // Nothing passes an endpoint that is gone, nor one whose policy cannot be read (written by another version).
    let Some(endpoint) = vpc_endpoint::by_id(rows, through) else { return Decision::ImplicitDeny };
    // What one service's endpoint lets by is not another service's.
    if request.action.split(':').next() != Some(endpoint.service.prefix()) {
        return Decision::ImplicitDeny;
    }
    let Some(document) = &endpoint.policy else { return Decision::Allowed };
    match Policy::parse(document, Kind::Endpoint) {
        Ok(policy) => decide_endpoint(through.as_str(), &policy, caller, request),
        Err(_) => Decision::ImplicitDeny,
    }
}

fn role_arn(rows: &Snapshot, account: &AccountId, role: &str) -> String {
    role::find(rows, account, role)
        .map_or_else(|| format!("arn:aws:iam::{account}:role/{role}"), |role| role.arn().to_string())
}

/// The condition keys of every request, whoever asks.
fn way_keys(rows: &Snapshot, region: &str, now: Timestamp, through: Option<&VpcEndpointId>) -> Keys {
    let keys = Keys::default()
        .with("aws:RequestedRegion", region)
        .with("aws:CurrentTime", now.iso())
        .with("aws:EpochTime", (now.as_millis() / 1000).to_string());
    let Some(through) = through else { return keys };
    let keys = keys.with("aws:SourceVpce", through.as_str());
    match vpc_endpoint::by_id(rows, through) {
        Some(endpoint) => keys.with("aws:SourceVpc", endpoint.vpc_id.as_str()),
        None => keys,
    }
}

/// The condition keys of a caller's requests.
pub(crate) fn keys(rows: &Snapshot, asker: Asker<'_>) -> Keys {
    let Asker { account, principal, .. } = asker;
    let keys =
        way_keys(rows, asker.region, asker.now, asker.through).with("aws:PrincipalAccount", account.as_str());
    match principal {
        Principal::Root => keys
            .with("aws:PrincipalArn", principal.arn(account).to_string())
            .with("aws:PrincipalType", "Account")
            .with("aws:userid", account.as_str()),
        Principal::Session { role, role_id, session } => keys
            .with("aws:PrincipalArn", role_arn(rows, account, role))
            .with("aws:PrincipalType", "AssumedRole")
            .with("aws:userid", format!("{role_id}:{session}")),
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
