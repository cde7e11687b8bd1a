//! What is scaled: `service/<cluster>/<service>` of ECS, by its desired count.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::Snapshot;
use types::{AccountId, Region};
use wire::ApiError;

use super::validation;
use crate::Context;
use crate::ecs::service::Service;

/// The service namespaces that can be scaled here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceNamespace {
    /// ECS.
    #[serde(rename = "ecs")]
    Ecs,
}

/// The dimensions that can be scaled here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScalableDimension {
    /// How many tasks a service wants.
    #[serde(rename = "ecs:service:DesiredCount")]
    DesiredCount,
}

/// A service of ECS as a scalable target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its cluster's name.
    pub cluster: String,
    /// Its name.
    pub service: String,
}

impl Place {
    /// Of a `ResourceId`.
    ///
    /// # Errors
    /// When it is none of a service.
    pub fn take(context: &Context, resource_id: &str) -> Result<Self, ApiError> {
        let mut parts = resource_id.split('/');
        let (kind, cluster, service) = (parts.next(), parts.next(), parts.next());
        match (kind, cluster, service, parts.next()) {
            (Some("service"), Some(cluster), Some(service), None)
                if !cluster.is_empty() && !service.is_empty() =>
            {
                Ok(Self {
                    account: context.account.clone(),
                    region: context.region.clone(),
                    cluster: cluster.to_owned(),
                    service: service.to_owned(),
                })
            }
            _ => Err(validation(format!(
                "Unsupported resource ID '{resource_id}' for service namespace ecs and scalable dimension \
                 ecs:service:DesiredCount: it has the form service/cluster-name/service-name."
            ))),
        }
    }

    /// `service/<cluster>/<service>`
    pub fn resource_id(&self) -> String {
        format!("service/{}/{}", self.cluster, self.service)
    }

    /// The key of the service's row, and of the scalable target's.
    pub fn key(&self) -> String {
        format!("{}/{}/{}/{}", self.account, self.region, self.cluster, self.service)
    }

    /// The service, while it is active.
    pub fn service(&self, rows: &Snapshot) -> Option<Arc<Service>> {
        rows.get::<Service>(&self.key()).filter(|service| service.is_active())
    }
}
