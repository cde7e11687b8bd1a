//! One part's thread: makes the part so, again and again, until it is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use desired::{Body, Observation, Part, VpcStatus};
use types::{PartId, VpcId};

use crate::bell::Bell;
use crate::complain;
use crate::machine::Machine;
use crate::network::Outside;
use crate::roles::RoleKeeper;

/// How long a thread trusts that nobody changed what it made and that no bell was missed.
const TIMER: Duration = Duration::from_secs(5);
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How soon after a quick change all is looked at.
const SOON: Duration = Duration::from_secs(1);

/// What came of one look at a part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is as it should be, as far as it can be for now.
    Kept,
    /// Look again after this long.
    Again(Duration),
    /// Nothing of it is left.
    Gone,
}

/// Keeps a part until it is gone.
pub(crate) fn keep(machine: &Arc<Machine>, id: &PartId, bell: &Arc<Bell>) {
    let mut keeper = match id {
        PartId::Vpc(vpc) => {
            Keeper::Vpc(VpcKeeper { id: vpc.clone(), applied: None, looked: None, unrecorded: None })
        }
        _ => Keeper::Role(Box::new(RoleKeeper::new(machine, id, bell))),
    };
    let mut last = None;
    while let Some(part) = machine.part(id) {
        let step = match &mut keeper {
            Keeper::Vpc(keeper) => keeper.step(machine, &part),
            Keeper::Role(keeper) => keeper.step(&part),
        };
        let step = step.and_then(|step| match step {
            Step::Gone => match machine.forget(id) {
                Ok(true) => Ok(Step::Gone),
                Ok(false) => Ok(Step::Again(Duration::ZERO)),
                Err(error) => Err(error.to_string()),
            },
            step => Ok(step),
        });
        let wait = match step {
            Ok(Step::Gone) => return,
            Ok(Step::Kept) => TIMER,
            Ok(Step::Again(wait)) => wait,
            Err(why) => {
                // Once, not every second.
                if last.as_ref() != Some(&why) {
                    complain(&format!("{id}: {why}"));
                    last = Some(why);
                }
                RETRY
            }
        };
        bell.wait(wait);
    }
}

enum Keeper {
    Vpc(VpcKeeper),
    Role(Box<RoleKeeper>),
}

struct VpcKeeper {
    id: VpcId,
    /// The generation that is in the kernel.
    applied: Option<u64>,
    /// When the whole network was looked at last.
    looked: Option<Instant>,
    /// Why there are no flow records, if there are none.
    unrecorded: Option<String>,
}

impl VpcKeeper {
    fn step(&mut self, machine: &Machine, part: &Part) -> Result<Step, String> {
        let Some(body) = &part.body else { return self.remove(machine) };
        let Body::Vpc(vpc) = body else { return Err("the part is no VPC".to_owned()) };
        if vpc.interfaces.is_empty() {
            // The namespace goes.
            machine.flows.forget(&self.id);
        }
        if let Some(step) = self.quickly(machine, part.generation, vpc) {
            return Ok(step);
        }
        self.looked = Some(Instant::now());
        let result = machine.network.apply(vpc);
        if result.is_ok() {
            // Traffic does not wait for records; the next look tries again.
            let why = machine.flows.keep(&machine.network, vpc, part.generation).err();
            if let Some(why) = why.as_ref().filter(|why| self.unrecorded.as_ref() != Some(*why)) {
                complain(why);
            }
            self.unrecorded = why;
        }
        let error = result.as_ref().err().map(ToString::to_string);
        if let Ok(joined) = &result {
            machine.ring_vpcs(joined.clone());
            let news = self.applied != Some(part.generation);
            self.applied = Some(part.generation);
            if news {
                // Tasks wait for their interfaces.
                machine.ring_others(&part.id);
                machine.sweep(None).map_err(|error| error.to_string())?;
            }
        }
        let generation = self.applied.unwrap_or(0);
        machine.news.publish(Observation::Vpc(VpcStatus { vpc: self.id.clone(), generation, error }));
        result.map(|_| Step::Kept).map_err(|error| error.to_string())
    }

    /// Brings a change of rules alone to the packets at once. Nobody waits for it, but the bell may have been rung for
    /// something else as well: all is looked at soon, and however many rules come, in time.
    fn quickly(&mut self, machine: &Machine, generation: u64, vpc: &desired::Vpc) -> Option<Step> {
        let due = self.looked.is_none_or(|looked| looked.elapsed() > TIMER);
        if due || self.applied == Some(generation) || !machine.network.apply_rules(vpc).ok()? {
            return None;
        }
        self.applied = Some(generation);
        let status = VpcStatus { vpc: self.id.clone(), generation, error: None };
        machine.news.publish(Observation::Vpc(status));
        Some(Step::Again(SOON))
    }

    fn remove(&mut self, machine: &Machine) -> Result<Step, String> {
        // What still works in the network ends first; its end rings.
        if machine.is_used(&self.id) {
            return Ok(Step::Kept);
        }
        machine.flows.forget(&self.id);
        machine.network.remove(&self.id).map_err(|error| error.to_string())?;
        machine.sweep(Some(&self.id)).map_err(|error| error.to_string())?;
        Ok(Step::Gone)
    }
}

/// What the edge answers for and carries on in the `internet` namespace.
pub(crate) fn outside(edge: &desired::Edge) -> Outside {
    Outside {
        endpoints: edge.aws_endpoints.iter().map(|endpoint| endpoint.address).collect(),
        hosts: edge.internet_hosts.iter().map(|host| (host.address, host.port)).collect(),
        internet: edge.internet,
    }
}
