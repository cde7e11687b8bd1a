//! What the machine last reported. Not kept on disk: after a restart the machine tells it all again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use desired::{
    EdgeStatus, LoadBalancerStatus, NamesStatus, Observation, TargetStatus, TaskStatus, VpcStatus,
};
use types::{PartId, TaskId, VpcId};

/// The newest report of each part, and which of them are news.
#[derive(Debug, Default)]
pub struct Machine {
    reports: Mutex<Reports>,
    news: Mutex<ReportNews>,
}

/// What was reported anew since somebody last asked.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReportNews {
    /// The parts whose reports differ from those before.
    pub parts: BTreeSet<PartId>,
    /// The target groups in which a target's health differs, by ARN.
    pub groups: BTreeSet<String>,
}

/// See [`Machine`].
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Reports {
    /// By VPC.
    pub vpcs: BTreeMap<VpcId, VpcStatus>,
    /// By task.
    pub tasks: BTreeMap<TaskId, TaskStatus>,
    /// By the last part of a load balancer's ARN.
    pub load_balancers: BTreeMap<String, LoadBalancerStatus>,
    /// The host ports.
    pub edge: Option<EdgeStatus>,
    /// The DNS servers.
    pub names: Option<NamesStatus>,
}

impl Machine {
    /// The reports; hold the guard briefly.
    pub fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was reported since this was last asked.
    pub fn take_news(&self) -> ReportNews {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over an observation.
    pub fn observe(&self, observation: Observation) {
        let mut reports = self.reports();
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        match &observation {
            Observation::Task(status) if reports.tasks.get(&status.task) == Some(status) => {}
            Observation::LoadBalancer(status) => {
                let before = reports.load_balancers.get(&status.load_balancer);
                news.groups.extend(changed_groups(before, status));
                news.parts.insert(observation.part());
            }
            _ => drop(news.parts.insert(observation.part())),
        }
        drop(news);
        match observation {
            Observation::Vpc(status) => {
                reports.vpcs.insert(status.vpc.clone(), status);
            }
            Observation::Task(status) => {
                reports.tasks.insert(status.task.clone(), status);
            }
            Observation::LoadBalancer(status) => {
                reports.load_balancers.insert(status.load_balancer.clone(), status);
            }
            Observation::Edge(status) => reports.edge = Some(status),
            Observation::Names(status) => reports.names = Some(status),
            Observation::Removed { part } => match part {
                PartId::Vpc(id) => drop(reports.vpcs.remove(&id)),
                PartId::Task(id) => drop(reports.tasks.remove(&id)),
                PartId::LoadBalancer(id) => drop(reports.load_balancers.remove(&id)),
                PartId::Edge => reports.edge = None,
                PartId::Names => reports.names = None,
            },
        }
    }

    /// The health that a load balancer reports of a target group's target.
    pub fn target(
        &self,
        load_balancer: &str,
        group: &str,
        address: std::net::Ipv4Addr,
        port: u16,
    ) -> Option<TargetStatus> {
        let reports = self.reports();
        let targets = reports.load_balancers.get(load_balancer)?.targets.get(group)?;
        targets.iter().find(|target| target.address == address && target.port == port).cloned()
    }
}

/// The groups in which a target came, went, or has another health than before.
fn changed_groups(before: Option<&LoadBalancerStatus>, after: &LoadBalancerStatus) -> Vec<String> {
    let of = |status: &TargetStatus| (status.address, status.port, status.health.clone());
    let targets = |status: &LoadBalancerStatus, group: &str| {
        status.targets.get(group).map(|targets| targets.iter().map(of).collect::<Vec<_>>())
    };
    let differs = |group: &&String| before.and_then(|before| targets(before, group)) != targets(after, group);
    let gone = before.into_iter().flat_map(|before| before.targets.keys());
    after.targets.keys().chain(gone).filter(differs).cloned().collect()
}
