//! Statistics in the form of Docker's API ("ContainerStats"), each from two readings at least a second apart.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use sys::cgroup::{Cgroup, Layout};
use sys::usage::{CpuUsage, DeviceUsage, InterfaceCounters, Traffic, Usage, interface_counters, machine_cpu};
use types::Timestamp;

/// The least time between the two readings of an answer. Fargate, too, has no statistics of a container's first second.
pub(crate) const APART: Duration = Duration::from_secs(1);

/// How long a reading is kept for the next answer.
const KEPT: Duration = Duration::from_secs(60);

/// What a container is called inside, where it is counted.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) docker_id: String,
    pub(crate) name: String,
    /// Below the control groups' mounts.
    pub(crate) cgroup: PathBuf,
    /// The task's network namespace.
    pub(crate) network: PathBuf,
    /// In bytes, told where the group itself has none.
    pub(crate) memory_limit: u64,
}

/// One reading.
#[derive(Debug, Clone)]
struct Sample {
    at: Instant,
    time: Timestamp,
    usage: Usage,
    machine: u64,
    cpus: u32,
    network: Option<InterfaceCounters>,
}

/// The last readings of containers, by their ids: the newest, and the one before.
#[derive(Debug, Default)]
pub(crate) struct Samples(Mutex<HashMap<String, (Option<Sample>, Sample)>>);

impl Samples {
    /// The statistics of containers by their ids, null for one that does not run. None: one has its first reading only now,
    /// so ask again after [`APART`]; the `second` time it is null.
    pub(crate) fn of(&self, subjects: &[Subject], second: bool) -> Option<Map<String, Value>> {
        let mut all = Map::new();
        let mut too_early = false;
        for subject in subjects.iter().filter(|subject| !subject.docker_id.is_empty()) {
            let sample = subject.read();
            let runs = sample.is_some();
            let pair = sample.and_then(|sample| self.keep(&subject.docker_id, sample));
            too_early |= runs && pair.is_none();
            let stats = pair.map_or(Value::Null, |(before, now)| subject.print(&before, &now));
            all.insert(subject.docker_id.clone(), stats);
        }
        (second || !too_early).then_some(all)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, (Option<Sample>, Sample)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a reading; gives the two that an answer is made from, none when this is the first.
    fn keep(&self, id: &str, sample: Sample) -> Option<(Sample, Sample)> {
        let mut kept = self.kept();
        kept.retain(|_, (_, last)| sample.at.duration_since(last.at) < KEPT);
        let pair = match kept.remove(id) {
            None => (None, sample),
            Some((before, last)) if sample.at.duration_since(last.at) < APART => (before, last),
            Some((_, last)) => (Some(last), sample),
        };
        let told = pair.0.clone().map(|before| (before, pair.1.clone()));
        kept.insert(id.to_owned(), pair);
        told
    }
}

impl Subject {
    /// A reading. None: the container does not run.
    fn read(&self) -> Option<Sample> {
        let usage = Cgroup::new(Layout::of_this_machine().ok()?, &self.cgroup).usage().ok()??;
        let (machine, cpus) = machine_cpu().ok()?;
        let network = sys::netns::within(&self.network, || interface_counters("eth0")).ok()?.ok()?;
        Some(Sample { at: Instant::now(), time: Timestamp::now(), usage, machine, cpus, network })
    }

    fn print(&self, before: &Sample, now: &Sample) -> Value {
        let memory = &now.usage.memory;
        let seconds = now.at.duration_since(before.at).as_secs_f64();
        let traffic = |sample: &Sample| sample.network.unwrap_or_default();
        let (old, new) = (traffic(before), traffic(now));
        json!({
            "read": now.time.iso(),
            "preread": before.time.iso(),
            "name": self.name,
            "id": self.docker_id,
            "num_procs": 0,
            "pids_stats": now.usage.processes.map_or(json!({}), |count| json!({ "current": count })),
            "blkio_stats": {
                "io_service_bytes_recursive": devices(&now.usage.device_bytes),
                "io_serviced_recursive": devices(&now.usage.device_operations),
                "io_queue_recursive": [],
                "io_service_time_recursive": [],
                "io_wait_time_recursive": [],
                "io_merged_recursive": [],
                "io_time_recursive": [],
                "sectors_recursive": [],
            },
            "storage_stats": {},
            "cpu_stats": cpu(&now.usage.cpu, now.machine, now.cpus),
            "precpu_stats": cpu(&before.usage.cpu, before.machine, before.cpus),
            "memory_stats": {
                "usage": memory.usage,
                "max_usage": memory.max_usage,
                "stats": memory.statistics,
                "limit": memory.limit.unwrap_or(self.memory_limit),
            },
            "networks": { "eth0": interface(new) },
            "network_rate_stats": {
                "rx_bytes_per_sec": rate(old.received, new.received, seconds),
                "tx_bytes_per_sec": rate(old.sent, new.sent, seconds),
            },
        })
    }
}

fn cpu(usage: &CpuUsage, machine: u64, cpus: u32) -> Value {
    let mut of = Map::new();
    of.insert("total_usage".to_owned(), usage.total.into());
    if !usage.per_cpu.is_empty() {
        of.insert("percpu_usage".to_owned(), usage.per_cpu.clone().into());
    }
    of.insert("usage_in_kernelmode".to_owned(), usage.system.into());
    of.insert("usage_in_usermode".to_owned(), usage.user.into());
    json!({
        "cpu_usage": of,
        "system_cpu_usage": machine,
        "online_cpus": cpus,
        "throttling_data": {
            "periods": usage.periods,
            "throttled_periods": usage.throttled_periods,
            "throttled_time": usage.throttled_time,
        },
    })
}

fn devices(entries: &[DeviceUsage]) -> Value {
    let entry = |entry: &DeviceUsage| json!({ "major": entry.major, "minor": entry.minor, "op": entry.operation, "value": entry.value });
    entries.iter().map(entry).collect()
}

fn interface(counters: InterfaceCounters) -> Value {
    let InterfaceCounters { received, sent } = counters;
    json!({
        "rx_bytes": received.bytes, "rx_packets": received.packets,
        "rx_errors": received.errors, "rx_dropped": received.dropped,
        "tx_bytes": sent.bytes, "tx_packets": sent.packets,
        "tx_errors": sent.errors, "tx_dropped": sent.dropped,
    })
}

#[allow(clippy::cast_precision_loss, reason = "a rate need not be exact to the byte")]
fn rate(before: Traffic, now: Traffic, seconds: f64) -> f64 {
    now.bytes.saturating_sub(before.bytes) as f64 / seconds.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: Instant, total: u64) -> Sample {
        let cpu = CpuUsage { total, ..CpuUsage::default() };
        let usage = Usage { cpu, ..Usage::default() };
        let traffic = Traffic { bytes: total, ..Traffic::default() };
        let network = Some(InterfaceCounters { received: traffic, sent: Traffic::default() });
        Sample { at, time: Timestamp::from_millis(0), usage, machine: total * 10, cpus: 2, network }
    }

    #[test]
    fn an_answer_has_two_readings_at_least_a_second_apart() {
        let (samples, start) = (Samples::default(), Instant::now());
        let mut told = Vec::new();
        for (millis, total) in [(0, 1), (500, 2), (1000, 3), (1500, 4), (3000, 5)] {
            let pair = samples.keep("a", sample(start + Duration::from_millis(millis), total));
            told.push(pair.map(|(before, now)| (before.usage.cpu.total, now.usage.cpu.total)));
        }
        assert_eq!(told, [None, None, Some((1, 3)), Some((1, 3)), Some((3, 5))]);
        let late = samples.keep("b", sample(start + Duration::from_secs(120), 1));
        assert!(late.is_none() && samples.kept().len() == 1, "what nobody asks for is forgotten");
    }

    #[test]
    fn a_share_of_the_processors_can_be_computed_as_docker_does() {
        let start = Instant::now();
        let subject = Subject {
            docker_id: "a-1".to_owned(),
            name: "app".to_owned(),
            cgroup: PathBuf::new(),
            network: PathBuf::new(),
            memory_limit: 1 << 20,
        };
        let stats = subject.print(&sample(start, 100), &sample(start + Duration::from_secs(2), 300));
        let delta = |path: &str| {
            let of = |when: &str| stats.pointer(&format!("/{when}/{path}")).unwrap().as_u64().unwrap();
            of("cpu_stats") - of("precpu_stats")
        };
        assert_eq!((delta("cpu_usage/total_usage"), delta("system_cpu_usage")), (200, 2000));
        assert_eq!(stats.pointer("/network_rate_stats/rx_bytes_per_sec").unwrap().as_f64(), Some(100.0));
        assert_eq!(stats.pointer("/memory_stats/limit").unwrap().as_u64(), Some(1 << 20));
    }
}
