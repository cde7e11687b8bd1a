//! What an interface belongs to, by the rows.

use std::collections::BTreeMap;

use control::ec2::interface::NetworkInterface;
use control::ec2::nat_gateway::NatGateway;
use control::ecs::task::Task;
use control::elbv2::load_balancer::LoadBalancer;
use serde::{Deserialize, Serialize};
use store::Snapshot;

/// An interface's account, groups and owner. An interface that is gone is known for as long as its owner is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The interface's id.
    pub interface: String,
    /// Its account.
    pub account: String,
    /// Its security groups, while it is there.
    pub security_groups: Vec<String>,
    /// What it belongs to.
    pub of: Of,
}

/// What an interface belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// A task.
    Task {
        /// Its id.
        id: String,
        /// Its service's name.
        service: Option<String>,
    },
    /// A load balancer.
    LoadBalancer {
        /// Its name.
        name: String,
        /// Its ARN.
        arn: String,
    },
    /// A NAT gateway.
    NatGateway {
        /// Its id.
        id: String,
    },
    /// Something else: the interface's description.
    Other(String),
}

impl Of {
    /// In a few words: `web/0123abcd` is a task of a service.
    pub fn name(&self) -> String {
        match self {
            Of::Task { id, service } => {
                let short = &id[..id.len().min(8)];
                format!("{}/{short}", service.as_deref().unwrap_or("task"))
            }
            Of::LoadBalancer { name, .. } => format!("lb/{name}"),
            Of::NatGateway { id } => id.clone(),
            Of::Other(description) => description.clone(),
        }
    }
}

/// The owners of all interfaces, by the interface.
pub fn gather(rows: &Snapshot) -> Vec<Owner> {
    let mut owners: BTreeMap<String, Owner> = BTreeMap::new();
    for row in rows.scan::<NetworkInterface>("") {
        let owner = Owner {
            interface: row.id.to_string(),
            account: row.account.to_string(),
            security_groups: row.security_groups.iter().map(ToString::to_string).collect(),
            of: Of::Other(row.description.clone()),
        };
        owners.insert(owner.interface.clone(), owner);
    }
    let mut belongs = |interface: &str, account: &str, of: Of| {
        let owner = owners.entry(interface.to_owned()).or_insert_with(|| Owner {
            interface: interface.to_owned(),
            account: account.to_owned(),
            security_groups: Vec::new(),
            of: of.clone(),
        });
        owner.of = of;
    };
    for row in rows.scan::<Task>("") {
        let of = Of::Task { id: row.id.to_string(), service: row.service.clone() };
        belongs(row.interface.id.as_str(), row.account.as_str(), of);
    }
    for row in rows.scan::<LoadBalancer>("") {
        let account = row.arn.split(':').nth(4).unwrap_or_default();
        for node in &row.nodes {
            let of = Of::LoadBalancer { name: row.name.clone(), arn: row.arn.clone() };
            belongs(&node.interface_id, account, of);
        }
    }
    for row in rows.scan::<NatGateway>("") {
        if let Some(interface) = &row.interface_id {
            belongs(interface.as_str(), row.account.as_str(), Of::NatGateway { id: row.id.to_string() });
        }
    }
    owners.into_values().collect()
}
