//! Which parts a machine is told, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use desired::{Body, Host, HostError, Part};
use store::Snapshot;
use types::PartId;

use crate::context::Settings;
use crate::ec2::vpc::Vpc;
use crate::ec2::vpc_peering::VpcPeeringConnection;
use crate::ecs::task::Task;
use crate::elbv2::load_balancer::LoadBalancer;
use crate::project;

/// What the loop hears between two passes.
#[derive(Debug)]
pub(super) enum News {
    /// A commit changed rows that show in these parts.
    Dirty(BTreeSet<PartId>),
    /// The machine was away: it may have lost what it was told.
    Lost,
}

/// What the next pass looks at.
#[derive(Debug, PartialEq, Eq)]
enum Scope {
    /// Everything, and it is told all of it: nobody knows what the machine holds.
    Everything,
    /// Everything, and it is told what differs from what it was told before, or what it lost.
    Differences,
    /// These parts.
    Dirty(BTreeSet<PartId>),
}

/// The memory of the loop: what the machine was told.
#[derive(Debug)]
pub(super) struct HandOver {
    told: BTreeMap<PartId, Body>,
    scope: Scope,
}

impl Default for HandOver {
    /// At first everything is told: what was committed while no machine could be reached, and what it holds that the
    /// rows do not.
    fn default() -> Self {
        Self { told: BTreeMap::new(), scope: Scope::Everything }
    }
}

/// What the machine would not take, and why, in words for a person.
pub(super) type Refusals = Vec<String>;

impl HandOver {
    /// The next pass tells everything.
    pub(super) fn start_over(&mut self) {
        self.scope = Scope::Everything;
    }

    /// The next pass compares everything, in case a signal was lost.
    pub(super) fn compare(&mut self) {
        if let Scope::Dirty(_) = self.scope {
            self.scope = Scope::Differences;
        }
    }

    pub(super) fn hear(&mut self, news: News) {
        match (news, &mut self.scope) {
            (News::Lost, _) => self.start_over(),
            (News::Dirty(parts), Scope::Dirty(waiting)) => waiting.extend(parts),
            (News::Dirty(_), Scope::Everything | Scope::Differences) => {}
        }
    }

    /// Hands over what is due. A part that the machine refuses does not hold up the others; it is tried again when
    /// everything is compared.
    ///
    /// # Errors
    /// When the machine does not answer; the next pass then tells everything.
    pub(super) fn pass(
        &mut self,
        rows: &Snapshot,
        settings: &Settings,
        host: &dyn Host,
    ) -> Result<Refusals, HostError> {
        let scope = std::mem::replace(&mut self.scope, Scope::Everything);
        let (parts, held) = match scope {
            Scope::Dirty(parts) => (with_peers(rows, parts), BTreeSet::new()),
            Scope::Everything | Scope::Differences => {
                let held: BTreeSet<PartId> = match host.parts() {
                    Ok(held) => held.into_iter().collect(),
                    Err(unreachable @ HostError::Unreachable(_)) => return Err(unreachable),
                    Err(HostError::Refused(why)) => {
                        self.scope = scope;
                        return Ok(vec![why]);
                    }
                };
                if scope == Scope::Everything {
                    self.told.clear();
                }
                self.told.retain(|id, _| held.contains(id));
                (every_part(rows).union(&held).cloned().collect(), held)
            }
        };
        let mut refused = Refusals::new();
        let mut changed = Vec::new();
        for id in parts {
            // One part that cannot be projected must not hold up the others.
            let Ok(body) = catch_unwind(AssertUnwindSafe(|| project::project(rows, settings, &id))) else {
                refused.push(format!("{id}: projecting it failed inside Landfall"));
                continue;
            };
            let is_left_over = body.is_none() && held.contains(&id);
            if self.told.get(&id) != body.as_ref() || is_left_over {
                changed.push(Part { id, generation: rows.sequence(), body });
            }
        }
        // Networks first, then names, then what works in them.
        changed.sort_by_key(|part| match part.id {
            PartId::Vpc(_) => 0,
            PartId::Names => 1,
            PartId::Edge => 2,
            PartId::LoadBalancer(_) => 3,
            PartId::Task(_) => 4,
        });
        match self.tell(host, &changed) {
            Ok(()) => {}
            Err(HostError::Refused(_)) if changed.len() > 1 => {
                for part in &changed {
                    match self.tell(host, std::slice::from_ref(part)) {
                        Ok(()) => {}
                        Err(HostError::Refused(why)) => refused.push(format!("{}: {why}", part.id)),
                        Err(unreachable) => return Err(unreachable),
                    }
                }
            }
            Err(HostError::Refused(why)) => {
                refused.extend(changed.first().map(|part| format!("{}: {why}", part.id)));
            }
            Err(unreachable) => return Err(unreachable),
        }
        self.scope = Scope::Dirty(BTreeSet::new());
        Ok(refused)
    }

    fn tell(&mut self, host: &dyn Host, parts: &[Part]) -> Result<(), HostError> {
        if parts.is_empty() {
            return Ok(());
        }
        host.apply(parts)?;
        for part in parts {
            match &part.body {
                Some(body) => drop(self.told.insert(part.id.clone(), body.clone())),
                None => drop(self.told.remove(&part.id)),
            }
        }
        Ok(())
    }
}

/// These parts and the networks of the VPCs that are peered with theirs: a network has the peer's ranges in it, and the
/// addresses of those of the peer's groups that its rules name.
pub(crate) fn with_peers(rows: &Snapshot, mut parts: BTreeSet<PartId>) -> BTreeSet<PartId> {
    let active: Vec<_> =
        rows.scan::<VpcPeeringConnection>("").filter(|peering| peering.is_active()).collect();
    let peers: Vec<PartId> = active
        .iter()
        .flat_map(|peering| {
            let [a, b] = peering.sides().map(|side| PartId::Vpc(side.vpc_id.clone()));
            [(a.clone(), b.clone()), (b, a)]
        })
        .filter_map(|(from, to)| parts.contains(&from).then_some(to))
        .collect();
    parts.extend(peers);
    parts
}

/// Every part that the rows make.
pub fn every_part(rows: &Snapshot) -> BTreeSet<PartId> {
    let vpcs = rows.scan::<Vpc>("").map(|vpc| PartId::Vpc(vpc.id.clone()));
    let tasks = rows.scan::<Task>("").map(|task| PartId::Task(task.id.clone()));
    let balancers = rows.scan::<LoadBalancer>("").map(|balancer| PartId::LoadBalancer(balancer.id.clone()));
    vpcs.chain(tasks).chain(balancers).chain([PartId::Edge, PartId::Names]).collect()
}
