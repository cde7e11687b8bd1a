//! What a handler knows besides its request and the rows: who calls, where, when, and how Landfall was started.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use types::{AccountId, Arn, Region, Timestamp, VpcEndpointId};

use crate::machine::Machine;

/// How Landfall was started. Never changes while it runs.
#[derive(Clone)]
pub struct Settings {
    /// The account that the root key pair belongs to.
    pub account: AccountId,
    /// The root user's access key id.
    pub access_key_id: String,
    /// The root user's secret key.
    pub secret_access_key: String,
    /// Where the API and the registry answer on the host; it stands in repository URIs.
    pub listen: SocketAddr,
    /// Where load balancers are reached on the host.
    pub host_address: Ipv4Addr,
    /// Whether signatures are verified.
    pub auth: Auth,
    /// How often the platform measures itself, in seconds: a minute on AWS.
    pub metric_period: u32,
    /// Signs ECR's tokens and layer links; minted at first start.
    pub token_key: [u8; 32],
    /// The certificate of the local authority that signs AWS's names inside VPCs, PEM.
    pub ca_certificate: String,
    /// The certificates for those names.
    pub certificates: Vec<desired::Certificate>,
    /// Their private key, PEM.
    pub private_key: String,
}

impl Settings {
    /// See [`Settings::metric_period`].
    pub fn metric_period_seconds(&self) -> i64 {
        i64::from(self.metric_period.max(1))
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No secret reaches a log.
        f.debug_struct("Settings")
            .field("account", &self.account)
            .field("listen", &self.listen)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// Whether signatures are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Every request is verified.
    Verify,
    /// Every request is taken for the root user's: for tools that sign with anything.
    Off,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The account's root user: everything is allowed.
    Root,
    /// A session of a role, as AssumeRole makes it.
    Session {
        /// The role's name.
        role: String,
        /// The role's unique id, `AROA…`.
        role_id: String,
        /// The session's name.
        session: String,
    },
}

impl Principal {
    /// The ARN as GetCallerIdentity and denials print it.
    pub fn arn(&self, account: &AccountId) -> Arn {
        match self {
            Principal::Root => Arn::new("iam", "", account.as_str(), "root"),
            Principal::Session { role, session, .. } => {
                Arn::new("sts", "", account.as_str(), format!("assumed-role/{role}/{session}"))
            }
        }
    }
}

/// One call's surroundings.
#[derive(Debug, Clone)]
pub struct Context {
    /// How Landfall was started.
    pub settings: Arc<Settings>,
    /// The caller's account.
    pub account: AccountId,
    /// The region that the request is scoped to; [`Region::global`] for global services.
    pub region: Region,
    /// Who calls.
    pub principal: Principal,
    /// The VPC endpoint that the call came through.
    pub through: Option<VpcEndpointId>,
    /// When the call came. Every timestamp that the call writes is this one.
    pub now: Timestamp,
    /// What the machine reports.
    pub machine: Arc<Machine>,
    /// The request's own id, as the response carries it.
    pub request_id: String,
}

impl Context {
    /// An ARN of a resource in the caller's account and region.
    pub fn arn(&self, service: &str, resource: impl Into<String>) -> Arn {
        Arn::new(service, self.region.as_str(), self.account.as_str(), resource)
    }

    /// A row key: account, region, and the resource's own id.
    pub fn key(&self, id: impl std::fmt::Display) -> String {
        format!("{}/{}/{id}", self.account, self.region)
    }

    /// The prefix of all row keys of the caller's account and region.
    pub fn prefix(&self) -> String {
        format!("{}/{}/", self.account, self.region)
    }
}
