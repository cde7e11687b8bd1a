//! The metrics that AWS's services publish of themselves: what was used between two readings of a machine's counters.
//!
//! "Amazon ECS CloudWatch metrics" and "CloudWatch metrics for your Application Load Balancer" say which there are, with
//! which dimensions, and which of them are left out while they are zero.

use std::collections::BTreeMap;

use desired::{GroupUsage, HealthState, LoadBalancerUsage, NodeUsage, Usage};
use metrics::{Point, Tier};
use store::{Snapshot, Tx};
use types::{AccountId, Region};

use super::metric::{Metric, Unit};
use super::series::{self, MetricSeries};
use crate::ecs::task::Task;
use crate::elbv2::load_balancer::LoadBalancer;
use crate::elbv2::target_group;
use crate::machine::Reports;

const ECS: &str = "AWS/ECS";
const BALANCER: &str = "AWS/ApplicationELB";

/// A point of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: Region,
    /// What.
    pub metric: Metric,
    /// In which unit.
    pub unit: Unit,
    /// How much.
    pub point: Point,
}

/// Takes what was measured down, for the period that began at `at` and took so many seconds.
pub fn record(rows: &mut Tx, measured: Vec<Measured>, at: i64, period: i64) {
    let tier = if period >= 60 { Tier::Minute } else { Tier::Second };
    for Measured { account, region, metric, unit, point } in measured {
        // With too many metrics, the newest are not kept.
        let _ = series::record(rows, MetricSeries { account, region, metric, unit }, tier, at, &point);
    }
}

/// What happened from one reading to the next.
pub fn measure(rows: &Snapshot, reports: &Reports, before: &Usage, after: &Usage) -> Vec<Measured> {
    let mut all = Vec::new();
    ecs(rows, before, after, &mut all);
    for (id, usage) in &after.load_balancers {
        let Some(row) = rows.scan::<LoadBalancer>("").find(|row| row.id == *id) else { continue };
        let before = before.load_balancers.get(id).filter(|before| before.process == usage.process);
        if let Some(mut balancer) = Balancer::new(&row, reports, &mut all) {
            balancer.measure(before, usage);
            balancer.hosts(rows);
        }
    }
    all
}

/// The tasks of a service, or of a whole cluster.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Fleet {
    account: AccountId,
    region: Region,
    cluster: String,
    service: Option<String>,
}

/// CPU and memory of each service and cluster: a sample a task, in percent of what its task definition gives it.
fn ecs(rows: &Snapshot, before: &Usage, after: &Usage, all: &mut Vec<Measured>) {
    #[allow(clippy::cast_precision_loss, reason = "nanoseconds of a period fit a double")]
    let elapsed = after.at.since(before.at).as_nanos() as f64;
    if elapsed <= 0.0 {
        return;
    }
    let mut groups: BTreeMap<Fleet, Vec<(f64, f64)>> = BTreeMap::new();
    for task in rows.scan::<Task>("") {
        let (Some(then), Some(now)) = (before.tasks.get(&task.id), after.tasks.get(&task.id)) else {
            continue;
        };
        if task.cpu == 0 || task.memory == 0 {
            continue;
        }
        #[allow(clippy::cast_precision_loss, reason = "so much is used by no task")]
        let (used, held) = (now.cpu.saturating_sub(then.cpu) as f64, now.memory as f64);
        let cpu = used / (elapsed * f64::from(task.cpu) / 1024.0) * 100.0;
        let memory = held / (f64::from(task.memory) * 1_048_576.0) * 100.0;
        let key = |service| Fleet {
            account: task.account.clone(),
            region: task.region.clone(),
            cluster: task.cluster.clone(),
            service,
        };
        if task.service.is_some() {
            groups.entry(key(task.service.clone())).or_default().push((cpu, memory));
        }
        groups.entry(key(None)).or_default().push((cpu, memory));
    }
    for (Fleet { account, region, cluster, service }, tasks) in groups {
        let mut dimensions = vec![("ClusterName", cluster.as_str())];
        dimensions.extend(service.as_deref().map(|service| ("ServiceName", service)));
        let mut push = |name, values: Vec<f64>| {
            let point = Point::all(values.into_iter().map(|value| (value, 1.0)));
            all.extend(point.map(|point| Measured {
                account: account.clone(),
                region: region.clone(),
                metric: Metric::of(ECS, name, &dimensions),
                unit: Unit::Percent,
                point,
            }));
        };
        push("CPUUtilization", tasks.iter().map(|(cpu, _)| *cpu).collect());
        push("MemoryUtilization", tasks.iter().map(|(_, memory)| *memory).collect());
    }
}

struct Balancer<'a> {
    row: &'a LoadBalancer,
    account: AccountId,
    region: Region,
    /// `app/<name>/<id>`
    name: String,
    reports: &'a Reports,
    all: &'a mut Vec<Measured>,
}

/// How much a counter has grown.
fn grown(before: Option<u64>, after: u64) -> u64 {
    after.saturating_sub(before.unwrap_or(0))
}

/// A number that was counted in one period, as one sample.
#[allow(clippy::cast_precision_loss, reason = "a double holds more than happens in a period")]
fn counted(number: u64) -> Option<Point> {
    Point::of(number as f64, 1.0).ok()
}

/// Requests each of which counts 1, so that SampleCount and Average are theirs.
#[allow(clippy::cast_precision_loss, reason = "a double holds more than happens in a period")]
fn ones(number: u64) -> Option<Point> {
    if number == 0 { Point::of(0.0, 1.0).ok() } else { Point::of(1.0, number as f64).ok() }
}

/// What a target group's counters grew by.
#[allow(clippy::cast_precision_loss, reason = "a double holds more than happens in a period")]
fn response_times(before: Option<&GroupUsage>, after: &GroupUsage) -> Option<Point> {
    let grown_time = |(time, count): (&u64, &u64)| {
        let count = grown(before.and_then(|before| before.response_times.get(time)).copied(), *count);
        (count > 0).then(|| (*time as f64 / 1e6, count as f64))
    };
    let mut point = Point::all(after.response_times.iter().filter_map(grown_time))?;
    // The sum is known to the microsecond.
    let sum = grown(before.map(|before| before.response_micros), after.response_micros) as f64 / 1e6;
    point.sum = sum.clamp(point.minimum * point.count, point.maximum * point.count);
    Some(point)
}

impl<'a> Balancer<'a> {
    /// None: the row's key is none of ours.
    fn new(row: &'a LoadBalancer, reports: &'a Reports, all: &'a mut Vec<Measured>) -> Option<Self> {
        let mut scope = row.scope.split('/');
        let account = AccountId::new(scope.next()?).ok()?;
        let region = Region::new(scope.next()?).ok()?;
        let name = row.arn.split_once(":loadbalancer/")?.1.to_owned();
        Some(Self { row, account, region, name, reports, all })
    }

    fn push(&mut self, name: &str, dimensions: &[(&str, &str)], unit: Unit, point: Option<Point>) {
        self.all.extend(point.map(|point| Measured {
            account: self.account.clone(),
            region: self.region.clone(),
            metric: Metric::of(BALANCER, name, dimensions),
            unit,
            point,
        }));
    }

    /// Of the load balancer and of its zone; of the target group too when there is one.
    fn push_both(&mut self, name: &str, zone: &str, group: Option<&str>, unit: Unit, point: Option<Point>) {
        let (own, Some(point)) = (self.name.clone(), point) else { return };
        let mut dimensions = vec![("LoadBalancer", own.as_str())];
        dimensions.extend(group.map(|group| ("TargetGroup", group)));
        self.push(name, &dimensions, unit, Some(point.clone()));
        dimensions.push(("AvailabilityZone", zone));
        self.push(name, &dimensions, unit, Some(point));
    }

    fn measure(&mut self, before: Option<&LoadBalancerUsage>, after: &LoadBalancerUsage) {
        let then = |node: &NodeUsage| {
            before.and_then(|before| before.nodes.iter().find(|one| one.interface == node.interface))
        };
        let mut per_group: BTreeMap<&str, u64> = BTreeMap::new();
        for node in &after.nodes {
            let known = then(node);
            self.node(known, node);
            for (arn, group) in &node.groups {
                let known = known.and_then(|known| known.groups.get(arn));
                *per_group.entry(arn).or_default() +=
                    grown(known.map(|known| known.requests), group.requests);
                self.group(&node.zone, arn, known, group);
            }
        }
        let targets = self.reports.load_balancers.get(&self.row.id).map(|status| status.targets.clone());
        for (arn, targets) in targets.unwrap_or_default() {
            let Some((_, name)) = arn.split_once(":targetgroup/") else { continue };
            let (name, own) = (format!("targetgroup/{name}"), self.name.clone());
            let dimensions = [("LoadBalancer", own.as_str()), ("TargetGroup", name.as_str())];
            let healthy = targets.iter().filter(|one| one.health == HealthState::Healthy).count();
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let each = |requests: u64| requests as f64 / healthy.max(1) as f64;
            let each = each(per_group.get(arn.as_str()).copied().unwrap_or(0));
            let point = Point::of(each, 1.0).ok();
            self.push("RequestCountPerTarget", &dimensions, Unit::None, point.clone());
            self.push("RequestCountPerTarget", &dimensions[1..], Unit::None, point);
        }
    }

    /// How many targets of each group are healthy and how many are not: in all, and in each zone, those of the load
    /// balancer without a target included.
    fn hosts(&mut self, rows: &Snapshot) {
        let targets = self.reports.load_balancers.get(&self.row.id).map(|status| status.targets.clone());
        for (arn, targets) in targets.unwrap_or_default() {
            let Some((_, name)) = arn.split_once(":targetgroup/") else { continue };
            let Some(group) = target_group::get(rows, &arn) else { continue };
            let (name, own) = (format!("targetgroup/{name}"), self.name.clone());
            let mut zones: BTreeMap<&str, [u64; 2]> =
                self.row.nodes.iter().map(|node| (node.zone.as_str(), [0, 0])).collect();
            let mut all = [0, 0];
            for target in &targets {
                let which = match target.health {
                    HealthState::Healthy => 0,
                    HealthState::Unhealthy { .. } => 1,
                    HealthState::Initial | HealthState::Draining | HealthState::Drained => continue,
                };
                all[which] += 1;
                if let Some(zone) = group.zones.get(&target.address) {
                    zones.entry(zone).or_default()[which] += 1;
                }
            }
            for (which, metric) in ["HealthyHostCount", "UnHealthyHostCount"].into_iter().enumerate() {
                let mut dimensions = vec![("LoadBalancer", own.as_str()), ("TargetGroup", name.as_str())];
                self.push(metric, &dimensions, Unit::Count, counted(all[which]));
                for (zone, counts) in &zones {
                    dimensions.truncate(2);
                    dimensions.push(("AvailabilityZone", zone));
                    self.push(metric, &dimensions, Unit::Count, counted(counts[which]));
                }
            }
        }
    }

    fn node(&mut self, before: Option<&NodeUsage>, after: &NodeUsage) {
        let zone = after.zone.as_str();
        let of = |field: fn(&NodeUsage) -> u64| grown(before.map(field), field(after));
        self.push_both("RequestCount", zone, None, Unit::Count, ones(of(|node| node.requests)));
        // "Reporting criteria: There is a nonzero value"; RequestCount and RequestCountPerTarget are "Always reported".
        for (name, unit, count) in [
            ("NewConnectionCount", Unit::Count, of(|node| node.new_connections)),
            ("ActiveConnectionCount", Unit::Count, after.active_connections),
            ("ProcessedBytes", Unit::Bytes, of(|node| node.processed_bytes)),
        ] {
            self.push_both(name, zone, None, unit, counted(count).filter(|_| count > 0));
        }
        let mut by_digit: BTreeMap<u16, u64> = BTreeMap::new();
        for (status, count) in &after.own_errors {
            let count = grown(before.and_then(|before| before.own_errors.get(status)).copied(), *count);
            *by_digit.entry(status / 100).or_default() += count;
            if matches!(status, 500 | 502 | 503 | 504) && count > 0 {
                let name = format!("HTTPCode_ELB_{status}_Count");
                self.push_both(&name, zone, None, Unit::Count, ones(count));
            }
        }
        for (digit, count) in
            by_digit.into_iter().filter(|(digit, count)| *count > 0 && matches!(digit, 4 | 5))
        {
            self.push_both(&format!("HTTPCode_ELB_{digit}XX_Count"), zone, None, Unit::Count, ones(count));
        }
    }

    /// A target group's numbers, for the group and for the load balancer as a whole.
    fn group(&mut self, zone: &str, arn: &str, before: Option<&GroupUsage>, after: &GroupUsage) {
        let Some((_, name)) = arn.split_once(":targetgroup/") else { return };
        let name = format!("targetgroup/{name}");
        let requests = grown(before.map(|before| before.requests), after.requests);
        self.push_both("RequestCount", zone, Some(&name), Unit::Count, ones(requests));
        for which in [Some(name.as_str()), None] {
            for (digit, count) in &after.answers {
                let count = grown(before.and_then(|before| before.answers.get(digit)).copied(), *count);
                let metric = format!("HTTPCode_Target_{digit}XX_Count");
                self.push_both(&metric, zone, which, Unit::Count, ones(count).filter(|_| count > 0));
            }
            let times = response_times(before, after);
            self.push_both("TargetResponseTime", zone, which, Unit::Seconds, times);
            let errors = grown(before.map(|before| before.connection_errors), after.connection_errors);
            self.push_both(
                "TargetConnectionErrorCount",
                zone,
                which,
                Unit::Count,
                ones(errors).filter(|_| errors > 0),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use desired::{HealthReason, LoadBalancerStatus, Observation, TargetStatus, TaskUsage};
    use types::Timestamp;

    use super::*;
    use crate::schedule::tests::world::World;

    const BEGAN: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn reading(after: Duration) -> Usage {
        Usage { at: BEGAN.plus(after), ..Usage::default() }
    }

    /// A metric's point, by its name and how many dimensions it has.
    fn point(all: &[Measured], name: &str, dimensions: usize) -> Option<Point> {
        let found =
            all.iter().find(|one| one.metric.name == name && one.metric.dimensions.len() == dimensions);
        found.map(|one| one.point.clone())
    }

    #[test]
    fn a_service_s_use_is_in_percent_of_what_its_tasks_were_given() {
        let world = World::new(false);
        world.json("CreateService", &world.service(2, false));
        world.settle();
        let rows = world.fixture.api.store.snapshot();
        let (mut before, mut after) = (reading(Duration::ZERO), reading(Duration::from_secs(60)));
        // A quarter of a core each: half of it is used, and all of it; half of 512 MiB is held.
        for (task, cpu) in rows.scan::<Task>("").zip([7_500_000_000, 15_000_000_000]) {
            before.tasks.insert(task.id.clone(), TaskUsage { cpu: 1_000, memory: 0 });
            after.tasks.insert(task.id.clone(), TaskUsage { cpu: cpu + 1_000, memory: 256 << 20 });
        }
        let all = measure(&rows, &Reports::default(), &before, &after);
        for dimensions in [1, 2] {
            let cpu = point(&all, "CPUUtilization", dimensions).unwrap();
            assert_eq!((cpu.count, cpu.minimum, cpu.maximum), (2.0, 50.0, 100.0));
            assert_eq!(point(&all, "MemoryUtilization", dimensions).unwrap().sum, 100.0);
        }
        // A task that began in between is measured from the next reading on.
        before.tasks.clear();
        assert_eq!(measure(&rows, &Reports::default(), &before, &after), []);
    }

    #[test]
    fn healthy_and_unhealthy_targets_are_counted_in_each_zone_too() {
        let world = World::new(true);
        world.json("CreateService", &world.service(3, true));
        world.play();
        let group = target_group::get(&world.rows(), &world.target_group).unwrap();
        let health = |number: usize| match number {
            0 => HealthState::Unhealthy { reason: HealthReason::Timeout, description: String::new() },
            _ => HealthState::Healthy,
        };
        let targets = group.targets.iter().enumerate().map(|(number, target)| TargetStatus {
            address: target.address,
            port: target.port,
            health: health(number),
            in_flight: 0,
        });
        let id = world.rows().scan::<LoadBalancer>("").next().unwrap().id.clone();
        world.fixture.api.machine.observe(Observation::LoadBalancer(LoadBalancerStatus {
            load_balancer: id.clone(),
            generation: 1,
            ready: true,
            error: None,
            targets: [(group.arn.clone(), targets.collect())].into(),
        }));
        let (before, mut after) = (reading(Duration::ZERO), reading(Duration::from_secs(60)));
        let usage = LoadBalancerUsage { process: 1, nodes: Vec::new() };
        after.load_balancers.insert(id, usage);
        let reports = world.fixture.api.machine.reports();
        let all = measure(&world.rows(), &reports, &before, &after);
        let sum = |name: &str, zone: Option<&str>| {
            let of_zone = |one: &Measured| {
                let named = one.metric.dimensions.iter().find(|(name, _)| *name == "AvailabilityZone");
                named.map(|(_, value)| value.as_str()) == zone
            };
            let found = all.iter().find(|one| one.metric.name == name && of_zone(one));
            found.map(|one| one.point.sum)
        };
        let zones = ["ap-northeast-2a", "ap-northeast-2c"];
        assert_eq!((sum("HealthyHostCount", None), sum("UnHealthyHostCount", None)), (Some(2.0), Some(1.0)));
        for (name, total) in [("HealthyHostCount", 2.0), ("UnHealthyHostCount", 1.0)] {
            let counts = zones.map(|zone| sum(name, Some(zone)).unwrap());
            assert_eq!(counts.iter().sum::<f64>(), total, "{name}: {counts:?}");
        }
        let sick = group.zones.get(&group.targets[0].address).unwrap();
        assert_eq!(sum("UnHealthyHostCount", Some(sick)), Some(1.0));
    }

    #[test]
    fn an_idle_load_balancer_tells_its_requests_alone() {
        let world = World::new(true);
        let rows = world.fixture.api.store.snapshot();
        let id = rows.scan::<LoadBalancer>("").next().unwrap().id.clone();
        let counters = |new_connections, active_connections, processed_bytes| {
            let node = NodeUsage {
                interface: "eni-1".to_owned(),
                zone: "ap-northeast-2a".to_owned(),
                new_connections,
                active_connections,
                processed_bytes,
                ..NodeUsage::default()
            };
            LoadBalancerUsage { process: 1, nodes: vec![node] }
        };
        let (mut before, mut after) = (reading(Duration::ZERO), reading(Duration::from_secs(60)));
        before.load_balancers.insert(id.clone(), counters(5, 2, 700));
        after.load_balancers.insert(id.clone(), counters(5, 0, 700));
        let all = measure(&rows, &Reports::default(), &before, &after);
        let mut names: Vec<&str> = all.iter().map(|one| one.metric.name.as_str()).collect();
        names.dedup();
        assert_eq!(names, ["RequestCount"]);
        after.load_balancers.insert(id, counters(6, 1, 800));
        let all = measure(&rows, &Reports::default(), &before, &after);
        let sum = |name: &str| point(&all, name, 1).unwrap().sum;
        let sums = ["NewConnectionCount", "ActiveConnectionCount", "ProcessedBytes"].map(sum);
        assert_eq!(sums, [1.0, 1.0, 100.0]);
    }

    #[test]
    fn a_load_balancer_s_counters_are_told_by_what_they_grew_and_anew_after_a_restart() {
        let world = World::new(true);
        let rows = world.fixture.api.store.snapshot();
        let id = rows.scan::<LoadBalancer>("").next().unwrap().id.clone();
        let group = |requests, failed: u64| GroupUsage {
            requests,
            answers: [(2, requests - failed), (5, failed)].into(),
            connection_errors: 0,
            response_micros: requests * 2_000,
            response_times: [(2_000, requests)].into(),
        };
        let counters = |process, requests, failed| {
            let node = NodeUsage {
                interface: "eni-1".to_owned(),
                zone: "ap-northeast-2a".to_owned(),
                requests,
                own_errors: [(503, failed)].into(),
                groups: [(world.target_group.clone(), group(requests, failed))].into(),
                ..NodeUsage::default()
            };
            LoadBalancerUsage { process, nodes: vec![node] }
        };
        let (mut before, mut after) = (reading(Duration::ZERO), reading(Duration::from_secs(60)));
        before.load_balancers.insert(id.clone(), counters(1, 10, 1));
        after.load_balancers.insert(id.clone(), counters(1, 40, 1));
        let all = measure(&rows, &Reports::default(), &before, &after);
        assert_eq!(point(&all, "RequestCount", 1).unwrap().sum, 30.0);
        assert_eq!(point(&all, "RequestCount", 3).unwrap().sum, 30.0);
        assert_eq!(point(&all, "HTTPCode_Target_2XX_Count", 2).unwrap().sum, 30.0);
        // What did not happen has no point.
        assert_eq!(point(&all, "HTTPCode_Target_5XX_Count", 2), None);
        assert_eq!(point(&all, "HTTPCode_ELB_503_Count", 1), None);
        let times = point(&all, "TargetResponseTime", 2).unwrap();
        assert_eq!((times.count, times.percentile(99.0)), (30.0, Some(0.002)));
        assert!((times.sum - 0.06).abs() < 1e-9);
        after.load_balancers.insert(id, counters(2, 4, 2));
        let all = measure(&rows, &Reports::default(), &before, &after);
        assert_eq!(point(&all, "RequestCount", 1).unwrap().sum, 4.0);
        assert_eq!(point(&all, "HTTPCode_ELB_503_Count", 1).unwrap().sum, 2.0);
        assert_eq!(point(&all, "HTTPCode_ELB_5XX_Count", 1).unwrap().sum, 2.0);
    }
}
