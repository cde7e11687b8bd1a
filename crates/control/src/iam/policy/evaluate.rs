//! From policies and a request to a decision.

use std::collections::BTreeMap;

use super::document::{Kind, Listed, Named, Policy, Statement};
use super::pattern;

/// The condition keys of a request, by name without regard to case.
#[derive(Debug, Clone, Default)]
pub struct Keys(BTreeMap<String, Vec<String>>);

impl Keys {
    /// Sets a key to one value.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.insert(key.to_ascii_lowercase(), vec![value.into()]);
        self
    }

    /// Sets a key to several values.
    #[must_use]
    pub fn with_all(mut self, key: &str, values: Vec<String>) -> Self {
        self.0.insert(key.to_ascii_lowercase(), values);
        self
    }

    pub(super) fn get(&self, key: &str) -> &[String] {
        self.0.get(key).or_else(|| self.0.get(&key.to_ascii_lowercase())).map_or(&[], Vec::as_slice)
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `ecr:BatchGetImage`
    pub action: &'a str,
    /// The resource's ARN, or `*` for actions that have none.
    pub resource: &'a str,
    /// The condition keys.
    pub keys: &'a Keys,
}

/// What identity-based policies say, or a VPC endpoint's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allowed,
    /// No statement allows it.
    ImplicitDeny,
    /// A statement denies it, whatever others allow.
    ExplicitDeny {
        /// The name of the policy that denies.
        policy: String,
    },
}

impl Decision {
    /// The end of AWS's denial: which kind of policy denies, and how. Empty when it is allowed. Source: "Troubleshoot
    /// access denied error messages", IAM User Guide.
    pub fn because(&self, kind: Kind, action: &str) -> String {
        let (article, policy) = match kind {
            Kind::Identity => ("an", "identity-based policy"),
            Kind::Trust | Kind::Resource => ("a", "resource-based policy"),
            Kind::Endpoint => ("a", "VPC endpoint policy"),
        };
        match self {
            Decision::Allowed => String::new(),
            Decision::ImplicitDeny => format!("because no {policy} allows the {action} action"),
            Decision::ExplicitDeny { .. } => format!("with an explicit deny in {article} {policy}"),
        }
    }
}

/// Decides a request by its bearer's policies, each with its name: an explicit deny wins over an allow, an allow over
/// nothing.
pub fn decide<'a>(
    policies: impl IntoIterator<Item = (&'a str, &'a Policy)>,
    request: Request<'_>,
) -> Decision {
    let mut decision = Decision::ImplicitDeny;
    for (name, policy) in policies {
        for statement in &policy.statements {
            if statement.applies(request, policy.variables) {
                if !statement.allow {
                    return Decision::ExplicitDeny { policy: name.to_owned() };
                }
                decision = Decision::Allowed;
            }
        }
    }
    decision
}

/// Decides a request by the policy of the VPC endpoint that it came through: like a bearer's own policies, of the
/// statements that name the caller.
pub fn decide_endpoint(name: &str, policy: &Policy, caller: Caller<'_>, request: Request<'_>) -> Decision {
    let mut decision = Decision::ImplicitDeny;
    for statement in &policy.statements {
        let named = statement.principals.iter().any(|named| named.covers(caller).is_some());
        if named && statement.applies(request, policy.variables) {
            if !statement.allow {
                return Decision::ExplicitDeny { policy: name.to_owned() };
            }
            decision = Decision::Allowed;
        }
    }
    decision
}

/// Who wants to assume a role, or comes through a VPC endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller<'a> {
    /// An account's root user.
    Root {
        /// The account.
        account: &'a str,
    },
    /// A session of another role.
    Session {
        /// The account.
        account: &'a str,
        /// The role's ARN.
        role: &'a str,
        /// The session's ARN.
        session: &'a str,
    },
    /// One of AWS's services, `ecs-tasks.amazonaws.com`.
    Service(&'a str),
    /// An account of AWS's own, as which ECR signs the addresses of layers. No policy names it.
    Aws,
}

/// What a trust policy, or another policy of a resource, says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The caller itself may: assume the role, or do what it asks for.
    Direct,
    /// The caller's account may: the caller's own policies have to allow it as well.
    Account,
    /// Nothing lets the caller.
    ImplicitDeny,
    /// A statement denies it.
    ExplicitDeny,
}

/// Decides by a role's trust policy whether a caller may assume it (`request.action` is `sts:AssumeRole`), or by another
/// resource's own policy whether a caller may act on it.
pub fn decide_trust(policy: &Policy, caller: Caller<'_>, request: Request<'_>) -> Trust {
    let mut decision = Trust::ImplicitDeny;
    for statement in &policy.statements {
        let how = statement.principals.iter().filter_map(|named| named.covers(caller)).min();
        let Some(how) = how.filter(|_| statement.applies(request, policy.variables)) else { continue };
        if !statement.allow {
            return Trust::ExplicitDeny;
        }
        if how == How::Itself || decision == Trust::ImplicitDeny {
            decision = if how == How::Itself { Trust::Direct } else { Trust::Account };
        }
    }
    decision
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    Itself,
    ByAccount,
}

impl Named {
    fn covers(&self, caller: Caller<'_>) -> Option<How> {
        match (self, caller) {
            (Named::Everyone, _) => Some(How::Itself),
            (Named::Account(named), Caller::Root { account }) => (named == account).then_some(How::Itself),
            (Named::Account(named), Caller::Session { account, .. }) => {
                (named == account).then_some(How::ByAccount)
            }
            (Named::Arn(named), Caller::Session { role, session, .. }) => {
                (named == role || named == session).then_some(How::Itself)
            }
            (Named::Service(named), Caller::Service(service)) => (named == service).then_some(How::Itself),
            (Named::Account(_) | Named::Arn(_) | Named::Service(_) | Named::Federated, _) => None,
        }
    }
}

impl Statement {
    /// Whether the statement speaks of the request, principals left aside.
    fn applies(&self, request: Request<'_>, variables: bool) -> bool {
        let fill = |text: &str| {
            if variables { pattern::filled(text, request.keys) } else { Some(pattern::plain(text)) }
        };
        let action =
            |wanted: &str| pattern::matches(&pattern::plain(wanted), request.action, pattern::same_letter);
        let resource =
            |wanted: &str| fill(wanted).is_some_and(|pieces| pattern::arn_matches(&pieces, request.resource));
        self.actions.covers(action)
            && self.resources.covers(resource)
            && self.conditions.iter().all(|condition| condition.holds(request.keys, variables))
    }
}

impl Listed {
    fn covers(&self, matches: impl Fn(&str) -> bool) -> bool {
        self.not != self.patterns.iter().any(|wanted| matches(wanted))
    }
}
