//! What tasks and load balancers have used, read when it is asked for: nothing wakes up in between.

use std::time::Duration;

use desired::role::{Reply, Request, RoleDir};
use desired::{TaskUsage, Usage};
use sys::cgroup::{Cgroup, Layout};
use types::{PartId, Timestamp};

use crate::machine::Machine;

/// How long a load balancer's process may take to answer. One that is busy is left out this time.
const PATIENCE: Duration = Duration::from_secs(2);

/// The counters of all tasks and load balancers that there are.
pub(crate) fn usage(machine: &Machine) -> Usage {
    let mut usage = Usage { at: Timestamp::now(), ..Usage::default() };
    let layout = Layout::of_this_machine().ok();
    let tasks = desired::tasks_cgroup(&machine.state);
    for part in machine.parts() {
        match &part.id {
            PartId::Task(id) => {
                let group = layout.clone().map(|layout| Cgroup::new(layout, tasks.join(id.to_string())));
                // A task without a control group has not begun, or has ended.
                let Some(Ok(Some(used))) = group.map(|group| group.usage()) else { continue };
                let reclaimable = ["total_inactive_file", "inactive_file"];
                let cache = reclaimable.iter().find_map(|name| used.memory.statistics.get(*name));
                let memory = used.memory.usage.saturating_sub(cache.copied().unwrap_or(0));
                usage.tasks.insert(id.clone(), TaskUsage { cpu: used.cpu.total, memory });
            }
            PartId::LoadBalancer(id) => {
                let dir = RoleDir::new(machine.state.join("lb").join(id));
                if let Ok(Reply::Usage(counters)) = dir.ask(&Request::Usage, PATIENCE) {
                    usage.load_balancers.insert(id.clone(), counters);
                }
            }
            _ => (),
        }
    }
    usage
}
