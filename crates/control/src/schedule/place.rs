//! Where tasks start and which of too many end: the zones of a service stay in balance.

use std::collections::BTreeMap;

use super::decide::{Decision, Health, ServiceView, TaskView, Tasks, bounds};
use crate::ecs::capacity_provider;
use crate::ecs::service::{Deployment, HeldBack, Rebalancing, RolloutState, Service, Waits};
use crate::ecs::task::LastStatus;

/// The next tasks of a deployment, which has `own`: each goes to the zone with the fewest tasks of the deployment, in it
/// to the subnet with the fewest. The first `replaces` of them take the place of others.
pub(super) fn starts(
    view: &ServiceView<'_>,
    deployment: &Deployment,
    own: &[&TaskView],
    count: usize,
    replaces: usize,
) -> Vec<Decision> {
    let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    let mut providers: BTreeMap<String, usize> = BTreeMap::new();
    for task in own {
        *zones.entry(&task.zone).or_default() += 1;
        *taken.entry(&task.subnet).or_default() += 1;
        if let Some(provider) = &task.provider {
            *providers.entry(provider.clone()).or_default() += 1;
        }
    }
    let subnets = view.subnets.get(&deployment.id).map(Vec::as_slice).unwrap_or_default();
    let mut starts = Vec::new();
    for number in 0..count {
        let load = |(subnet, zone): &&(String, String)| {
            let of = |counts: &BTreeMap<&str, usize>, name: &str| counts.get(name).copied().unwrap_or(0);
            (of(&zones, zone), of(&taken, subnet))
        };
        let Some((subnet, zone)) = subnets.iter().min_by_key(load) else { break };
        *zones.entry(zone).or_default() += 1;
        *taken.entry(subnet).or_default() += 1;
        let of = |name: &str| providers.get(name).copied().unwrap_or(0);
        let provider = capacity_provider::next(&deployment.capacity_provider_strategy, of).map(str::to_owned);
        if let Some(provider) = &provider {
            *providers.entry(provider.clone()).or_default() += 1;
        }
        starts.push(Decision::Start {
            deployment: deployment.id.clone(),
            subnet: subnet.clone(),
            provider,
            replaces: number < replaces,
        });
    }
    starts
}

/// The tasks that are too many: those that do not run yet first, then those that do not serve yet, as enough that do must
/// stay, then from the zone with the most, there the newest
/// ("Update Amazon ECS service parameters"; it says nothing of a task's age). Protected ones stay: also gives how many
/// there still are too many.
pub(super) fn excess(view: &ServiceView<'_>, good: &[&TaskView], desired: usize) -> (Vec<Decision>, usize) {
    let count = good.len().saturating_sub(desired);
    if count == 1 && moves(view, good) {
        // The one that is to make up for another zone's surplus is on its way.
        return (Vec::new(), 0);
    }
    let mut zones = by_zone(good.iter().copied());
    let mut left: Vec<&TaskView> = good.iter().copied().filter(|task| !task.is_protected()).collect();
    let mut retired = Vec::new();
    for _ in 0..count {
        let rank = |index: &usize| {
            let task = left[*index];
            let load = zones.get(task.zone.as_str()).copied().unwrap_or(0);
            (task.last_status != LastStatus::Running, task.health != Health::Serving, load, *index)
        };
        let Some(chosen) = (0..left.len()).max_by_key(rank) else { break };
        let task = left.remove(chosen);
        if let Some(load) = zones.get_mut(task.zone.as_str()) {
            *load -= 1;
        }
        retired.push(Decision::Retire { task: task.id.clone(), cause: None });
    }
    let missed = count - retired.len();
    (retired, missed)
}

/// The tasks of earlier deployments that may end: those that never ran at once but for what is needed in place of
/// others, the running ones as far as enough stay. What the load balancer thinks counts against an old task only when it
/// says so: after a restart nothing is known of health, and no old task may end for that. Protected ones stay; also gives
/// the deployments that should have fewer tasks but for that.
pub(super) fn replaced(
    service: &Service,
    tasks: &Tasks<'_>,
    least: usize,
    keep: usize,
) -> (Vec<Decision>, Vec<HeldBack>) {
    let completed = |task: &TaskView| {
        let own = service.deployments.iter().find(|known| known.id == task.deployment);
        own.is_some_and(|own| own.rollout_state == RolloutState::Completed)
    };
    let (mut running, starting): (Vec<&TaskView>, Vec<&TaskView>) =
        tasks.others.iter().partition(|task| task.runs());
    let fine = running.iter().filter(|task| !task.is_failing()).count();
    let mut hold = keep.saturating_sub(fine);
    let mut retire = Vec::new();
    let mut missed = Vec::new();
    for task in starting {
        if completed(task) && hold > 0 {
            hold -= 1;
        } else if task.is_protected() {
            missed.push(task);
        } else {
            retire.push(task.retire());
        }
    }
    let all = tasks.serving() + running.len();
    // Where there is no room for another, one that fails goes first, also of a version that is kept up.
    let (bound, most) = bounds(service);
    let sick = if tasks.all() >= most { running.len() - fine } else { 0 };
    let spare = all.saturating_sub(least).max(all.saturating_sub(bound).min(sick));
    // First those that fail, then those of deployments that never were complete.
    running.sort_by_key(|task| (!task.is_failing(), completed(task)));
    let (protected, free): (Vec<_>, Vec<_>) = running.into_iter().partition(|task| task.is_protected());
    let short = spare.saturating_sub(free.len());
    retire.extend(free.into_iter().take(spare).map(TaskView::retire));
    missed.extend(protected.into_iter().take(short));
    let held = service
        .deployments
        .iter()
        .skip(1)
        .filter(|known| missed.iter().any(|task| task.deployment == known.id));
    let held = held.map(|known| HeldBack {
        deployment: known.id.clone(),
        waits: Waits::Deployment,
        protected: tasks
            .others
            .iter()
            .filter(|task| task.deployment == known.id && task.is_protected())
            .count(),
    });
    (retire, held.collect())
}

fn by_zone<'a>(tasks: impl Iterator<Item = &'a TaskView>) -> BTreeMap<&'a str, usize> {
    let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
    for task in tasks {
        *zones.entry(&task.zone).or_default() += 1;
    }
    zones
}

/// How many tasks each zone of the primary deployment has that serve.
fn zones(view: &ServiceView<'_>, good: &[&TaskView]) -> Vec<(String, usize)> {
    let serving = by_zone(good.iter().copied().filter(|task| task.health == Health::Serving));
    let primary = view.service.primary();
    let subnets = primary.and_then(|primary| view.subnets.get(&primary.id)).map(Vec::as_slice);
    let mut zones: BTreeMap<&str, usize> =
        subnets.unwrap_or_default().iter().map(|(_, zone)| (zone.as_str(), 0)).collect();
    zones.extend(serving);
    zones.into_iter().map(|(zone, count)| (zone.to_owned(), count)).collect()
}

/// Whether a task shall move to another zone ("Balancing an Amazon ECS service across Availability Zones"): all that are
/// desired serve, and two zones differ by more than one. Then another starts before one of the fullest zone ends, which
/// must not be protected.
pub(super) fn moves(view: &ServiceView<'_>, good: &[&TaskView]) -> bool {
    is_uneven(view, good) && may_leave(&zones(view, good), good)
}

/// Whether protected tasks alone keep the zones out of balance.
pub(super) fn is_held(view: &ServiceView<'_>, good: &[&TaskView]) -> bool {
    is_uneven(view, good) && !may_leave(&zones(view, good), good)
}

fn is_uneven(view: &ServiceView<'_>, good: &[&TaskView]) -> bool {
    let service = view.service;
    let desired = usize::try_from(service.desired_count).unwrap_or(usize::MAX);
    let (_, most) = bounds(service);
    let serving = good.iter().filter(|task| task.health == Health::Serving).count();
    service.availability_zone_rebalancing == Rebalancing::Enabled
        && service.deployments.len() == 1
        && serving == desired
        && most > desired
        && differ(&zones(view, good))
}

/// Whether a zone with a surplus has a task that may end.
fn may_leave(zones: &[(String, usize)], good: &[&TaskView]) -> bool {
    let least = zones.iter().map(|(_, count)| *count).min().unwrap_or(0);
    let full = |zone: &str| zones.iter().any(|(name, count)| name == zone && *count > least + 1);
    good.iter().any(|task| !task.is_protected() && full(&task.zone))
}

fn differ(zones: &[(String, usize)]) -> bool {
    let counts = || zones.iter().map(|(_, count)| *count);
    counts().max().unwrap_or(0) - counts().min().unwrap_or(0) > 1
}

/// What has to be said of the zones.
pub(super) fn balance(view: &ServiceView<'_>, good: &[&TaskView], serving: bool) -> Option<Decision> {
    let zones = zones(view, good);
    match view.service.rebalancing {
        false if moves(view, good) => Some(Decision::Imbalanced { zones }),
        true if serving && !differ(&zones) => Some(Decision::Balanced { zones }),
        _ => None,
    }
}
