//! Counters of one node, shared by its threads. A request adds to them without waiting for anybody.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use desired::{GroupUsage, LoadBalancerUsage, Node, NodeUsage};
use hyper::StatusCode;

/// Into how many ranges of equal width the times from one power of two to the next fall.
const PARTS: u32 = 16;
/// Powers of two of microseconds: the last is 19 hours.
const POWERS: u32 = 36;

/// One node's counters.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Requests that a target was chosen for.
    pub(crate) requests: AtomicU64,
    /// Connections that were made,
    connections: AtomicU64,
    /// and those that were closed.
    closed: AtomicU64,
    /// Bytes from and to clients.
    pub(crate) bytes: AtomicU64,
    own_errors: Mutex<BTreeMap<u16, u64>>,
    groups: Mutex<BTreeMap<String, Arc<GroupMeter>>>,
}

/// A connection, counted as open until this is dropped.
#[derive(Debug)]
pub(crate) struct Open(Arc<Meter>);

impl Open {
    /// One that was made.
    pub(crate) fn new(meter: &Arc<Meter>) -> Self {
        meter.connections.fetch_add(1, Relaxed);
        Self(meter.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Relaxed);
    }
}

/// A target group's counters at one node.
#[derive(Debug)]
pub(crate) struct GroupMeter {
    requests: AtomicU64,
    /// By the first digit of the status.
    answers: [AtomicU64; 6],
    connection_errors: AtomicU64,
    micros: AtomicU64,
    times: Vec<AtomicU64>,
}

impl Default for GroupMeter {
    fn default() -> Self {
        let times = (0..PARTS * POWERS).map(|_| AtomicU64::new(0)).collect();
        let (requests, answers, connection_errors, micros) = Default::default();
        Self { requests, answers, connection_errors, micros, times }
    }
}

/// In which range a time falls.
fn range_of(micros: u64) -> usize {
    let micros = micros.max(1);
    let power = micros.ilog2();
    let part = if power >= 4 { (micros >> (power - 4)) & 15 } else { (micros << (4 - power)) & 15 };
    let range = u64::from(power.min(POWERS - 1) * PARTS) + part;
    usize::try_from(range).unwrap_or(0)
}

/// The middle of a range, in microseconds.
fn middle(range: u32) -> u64 {
    let (power, part) = (range / PARTS, u64::from(range % PARTS));
    if power <= 4 {
        return ((16 + part) >> (4 - power)).max(1);
    }
    let width = 1_u64 << (power - 4);
    (16 + part) * width + width / 2
}

impl GroupMeter {
    /// A target was chosen for a request.
    pub(crate) fn chosen(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// A target answered.
    pub(crate) fn answered(&self, status: StatusCode, after: Duration) {
        if let Some(count) = self.answers.get(usize::from(status.as_u16() / 100)) {
            count.fetch_add(1, Relaxed);
        }
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX >> 8);
        self.micros.fetch_add(micros, Relaxed);
        if let Some(count) = self.times.get(range_of(micros)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// No connection to a target could be made.
    pub(crate) fn not_connected(&self) {
        self.connection_errors.fetch_add(1, Relaxed);
    }

    fn read(&self) -> GroupUsage {
        let answers = (0..).zip(&self.answers).map(|(digit, count)| (digit, count.load(Relaxed)));
        let times = (0..).zip(&self.times).filter_map(|(range, count)| {
            let count = count.load(Relaxed);
            (count > 0).then(|| (middle(range), count))
        });
        let mut response_times = BTreeMap::new();
        for (time, count) in times {
            *response_times.entry(time).or_default() += count;
        }
        GroupUsage {
            requests: self.requests.load(Relaxed),
            answers: answers.filter(|(_, count)| *count > 0).collect(),
            connection_errors: self.connection_errors.load(Relaxed),
            response_micros: self.micros.load(Relaxed),
            response_times,
        }
    }
}

impl Meter {
    /// The node answered with an error of its own. That is rare: there is a lock.
    pub(crate) fn own_error(&self, status: StatusCode) {
        let mut errors = self.own_errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(status.as_u16()).or_default() += 1;
    }

    /// The counters of a target group, made with its first configuration.
    pub(crate) fn group(&self, arn: &str) -> Arc<GroupMeter> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.entry(arn.to_owned()).or_default().clone()
    }

    fn read(&self, node: &Node) -> NodeUsage {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let groups = groups.iter().map(|(arn, group)| (arn.clone(), group.read())).collect();
        let (made, closed) = (self.connections.load(Relaxed), self.closed.load(Relaxed));
        NodeUsage {
            interface: node.interface.to_string(),
            zone: node.zone.clone(),
            requests: self.requests.load(Relaxed),
            new_connections: made,
            active_connections: made.saturating_sub(closed),
            processed_bytes: self.bytes.load(Relaxed),
            own_errors: self.own_errors.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            groups,
        }
    }
}

/// The meters of all nodes, for the one who asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meters(Arc<Mutex<Nodes>>);

/// By interface.
type Nodes = BTreeMap<String, (Node, Arc<Meter>)>;

impl Meters {
    /// The meter of a node, the same one as long as the process lives.
    pub(crate) fn of(&self, node: &Node) -> Arc<Meter> {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry =
            meters.entry(node.interface.to_string()).or_insert_with(|| (node.clone(), Arc::default()));
        entry.0 = node.clone();
        entry.1.clone()
    }

    /// What all nodes have counted.
    pub(crate) fn read(&self) -> LoadBalancerUsage {
        let meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let nodes = meters.values().map(|(node, meter)| meter.read(node)).collect();
        LoadBalancerUsage { process: u64::from(std::process::id()), nodes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_is_told_within_three_percent(micros in 1_u64..(1 << 35)) {
            let range = u32::try_from(range_of(micros)).unwrap();
            let told = middle(range);
            let off = told.abs_diff(micros);
            prop_assert!(off * 100 <= micros * 4, "{told} for {micros}");
        }
    }

    #[test]
    fn answers_are_counted_by_their_first_digit() {
        let meter = Meter::default();
        let group = meter.group("g");
        for status in [200, 204, 404, 503] {
            group.chosen();
            group.answered(StatusCode::from_u16(status).unwrap(), Duration::from_millis(2));
        }
        let read = meter.group("g").read();
        assert_eq!(read.answers, [(2, 2), (4, 1), (5, 1)].into());
        assert_eq!((read.requests, read.response_micros), (4, 8000));
        assert_eq!(read.response_times.values().sum::<u64>(), 4);
    }
}
