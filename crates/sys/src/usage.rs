//! What is used: by a control group, by the whole machine, on a network interface; and how right the clock is.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use crate::cgroup::{Cgroup, Layout};
use crate::error::{Doing, Error, Result};

/// What a control group, with those below it, has used and holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// Its share of the processors.
    pub cpu: CpuUsage,
    /// Its memory.
    pub memory: MemoryUsage,
    /// How many processes and threads there are. None: the controller is not there.
    pub processes: Option<u64>,
    /// Bytes read from and written to devices.
    pub device_bytes: Vec<DeviceUsage>,
    /// Operations on devices.
    pub device_operations: Vec<DeviceUsage>,
}

/// Time on processors, in nanoseconds since the group was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuUsage {
    /// In all.
    pub total: u64,
    /// In programs.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// In all, by processor; empty where the kernel does not tell (version 2).
    pub per_cpu: Vec<u64>,
    /// How many periods of the limit there were, and in how many the limit was met.
    pub periods: u64,
    /// See `periods`.
    pub throttled_periods: u64,
    /// How long the group waited for the limit's sake.
    pub throttled_time: u64,
}

/// Memory in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryUsage {
    /// Now, caches included.
    pub usage: u64,
    /// The most there has been; 0 where the kernel does not tell.
    pub max_usage: u64,
    /// The group's own limit. None: its parent's.
    pub limit: Option<u64>,
    /// The kernel's statistics under their own names (`memory.stat`).
    pub statistics: BTreeMap<String, u64>,
}

/// A device's share of a count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceUsage {
    /// The device's number.
    pub major: u64,
    /// See `major`.
    pub minor: u64,
    /// `Read`, `Write`, `Discard`…
    pub operation: String,
    /// The count.
    pub value: u64,
}

/// Ticks of `/proc` and of `cpuacct.stat` in a second: USER_HZ, which is 100 on every architecture that Landfall is
/// built for.
const TICKS: u64 = 100;

const NANOSECONDS: u64 = 1_000_000_000;

impl Cgroup {
    /// What the group has used. None: there is no such group.
    ///
    /// # Errors
    /// When a counter cannot be read.
    pub fn usage(&self) -> Result<Option<Usage>> {
        if !self.folder("memory")?.exists() {
            return Ok(None);
        }
        match self.layout() {
            Layout::V1(_) => self.usage_v1(),
            Layout::V2(_) => self.usage_v2(),
        }
        .map(Some)
    }

    fn usage_v1(&self) -> Result<Usage> {
        // A controller that is not mounted, or in which the group has no folder, counts nothing.
        let text = |controller: &str, file: &str| match self.folder(controller) {
            Ok(folder) => read(&folder.join(file)),
            Err(_) => Ok(String::new()),
        };
        let (times, limits) = (text("cpuacct", "cpuacct.stat")?, text("cpu", "cpu.stat")?);
        let ticks = |name: &str| counter(&times, name) * (NANOSECONDS / TICKS);
        let limit = number(&text("memory", "memory.limit_in_bytes")?);
        Ok(Usage {
            cpu: CpuUsage {
                total: number(&text("cpuacct", "cpuacct.usage")?),
                user: ticks("user"),
                system: ticks("system"),
                per_cpu: numbers(&text("cpuacct", "cpuacct.usage_percpu")?),
                periods: counter(&limits, "nr_periods"),
                throttled_periods: counter(&limits, "nr_throttled"),
                throttled_time: counter(&limits, "throttled_time"),
            },
            memory: MemoryUsage {
                usage: number(&text("memory", "memory.usage_in_bytes")?),
                max_usage: number(&text("memory", "memory.max_usage_in_bytes")?),
                // "Unlimited" is the largest multiple of a page in 63 bits.
                limit: (limit < i64::MAX.unsigned_abs() >> 1).then_some(limit),
                statistics: statistics(&text("memory", "memory.stat")?),
            },
            processes: text("pids", "pids.current")?.trim().parse().ok(),
            device_bytes: devices_v1(&text("blkio", "blkio.throttle.io_service_bytes_recursive")?),
            device_operations: devices_v1(&text("blkio", "blkio.throttle.io_serviced_recursive")?),
        })
    }

    fn usage_v2(&self) -> Result<Usage> {
        let folder = self.folder("memory")?;
        let text = |file: &str| read(&folder.join(file));
        let times = text("cpu.stat")?;
        let microseconds = |name: &str| counter(&times, name) * 1000;
        let io = text("io.stat")?;
        Ok(Usage {
            cpu: CpuUsage {
                total: microseconds("usage_usec"),
                user: microseconds("user_usec"),
                system: microseconds("system_usec"),
                per_cpu: Vec::new(),
                periods: counter(&times, "nr_periods"),
                throttled_periods: counter(&times, "nr_throttled"),
                throttled_time: microseconds("throttled_usec"),
            },
            memory: MemoryUsage {
                usage: number(&text("memory.current")?),
                max_usage: number(&text("memory.peak")?),
                limit: text("memory.max")?.trim().parse().ok(),
                statistics: statistics(&text("memory.stat")?),
            },
            processes: text("pids.current")?.trim().parse().ok(),
            device_bytes: devices_v2(&io, [("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard")]),
            device_operations: devices_v2(&io, [("rios", "Read"), ("wios", "Write"), ("dios", "Discard")]),
        })
    }
}

/// The time that all processors of the machine together have been on, idle or not, in nanoseconds, and how many there
/// are: what a group's `total` is a share of.
///
/// # Errors
/// When `/proc/stat` cannot be read.
pub fn machine_cpu() -> Result<(u64, u32)> {
    let path = Path::new("/proc/stat");
    parse_machine_cpu(&fs::read_to_string(path).doing(|| format!("read {}", path.display()))?)
        .ok_or_else(|| Error::other("read /proc/stat", "its form is unknown"))
}

fn parse_machine_cpu(text: &str) -> Option<(u64, u32)> {
    let all = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; what guests use is in `user` already (proc_stat(5)).
    let ticks: u64 = numbers(all).iter().take(8).sum();
    let is_cpu = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let cpus = u32::try_from(text.lines().filter(is_cpu).count()).ok()?;
    Some((ticks * (NANOSECONDS / TICKS), cpus))
}

/// An interface's counters since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InterfaceCounters {
    /// What was received.
    pub received: Traffic,
    /// What was sent.
    pub sent: Traffic,
}

/// One direction of [`InterfaceCounters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that were broken.
    pub errors: u64,
    /// Packets that nobody had room for.
    pub dropped: u64,
}

/// The counters of an interface of the calling thread's network namespace. None: there is no such interface.
///
/// # Errors
/// When the kernel's list cannot be read.
pub fn interface_counters(name: &str) -> Result<Option<InterfaceCounters>> {
    // `/proc/net` is the namespace of the process's first thread.
    let path = Path::new("/proc/thread-self/net/dev");
    let text = fs::read_to_string(path).doing(|| format!("read {}", path.display()))?;
    Ok(parse_interface_counters(&text, name))
}

fn parse_interface_counters(text: &str, name: &str) -> Option<InterfaceCounters> {
    let of = |line: &str| line.trim_start().strip_prefix(name)?.strip_prefix(':').map(numbers);
    let counts = text.lines().find_map(of)?;
    let traffic = |at: usize| {
        let count = |offset: usize| counts.get(at + offset).copied().unwrap_or(0);
        Traffic { bytes: count(0), packets: count(1), errors: count(2), dropped: count(3) }
    };
    Some(InterfaceCounters { received: traffic(0), sent: traffic(8) })
}

/// How right the machine's clock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// By how much it may be wrong at most, as whoever keeps it believes.
    pub error_bound: Duration,
    /// Whether somebody keeps it.
    pub is_synchronized: bool,
}

/// Asks the kernel how right its clock is (adjtimex(2)).
///
/// # Errors
/// When the kernel refuses.
pub fn clock() -> Result<Clock> {
    // SAFETY: `timex` is plain numbers, for which zero is valid; `modes` 0 changes nothing.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live `timex` that nobody else uses.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return Err(std::io::Error::last_os_error()).doing(|| "read the clock's state".to_owned());
    }
    Ok(Clock {
        error_bound: Duration::from_micros(u64::try_from(timex.maxerror).unwrap_or(0)),
        is_synchronized: state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0,
    })
}

/// A file's text; empty when there is none.
fn read(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(String::new()),
        answer => answer.doing(|| format!("read {}", path.display())),
    }
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

fn numbers(text: &str) -> Vec<u64> {
    text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn counter(text: &str, name: &str) -> u64 {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value).unwrap_or(0)
}

fn statistics(text: &str) -> BTreeMap<String, u64> {
    let pair = |line: &str| {
        line.split_once(' ').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
    };
    text.lines().filter_map(pair).collect()
}

/// `8:16 Read 4096`; the line of the sum, `Total 4096`, names no device.
fn devices_v1(text: &str) -> Vec<DeviceUsage> {
    let entry = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        let (operation, value) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        Some(DeviceUsage { major: major.parse().ok()?, minor: minor.parse().ok()?, operation, value })
    };
    text.lines().filter_map(entry).collect()
}

/// `8:16 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`.
fn devices_v2(text: &str, keys: [(&str, &str); 3]) -> Vec<DeviceUsage> {
    let mut entries = Vec::new();
    for line in text.lines() {
        let Some((device, counts)) = line.split_once(' ') else { continue };
        let number = |(major, minor): (&str, &str)| Some((major.parse().ok()?, minor.parse().ok()?));
        let Some((major, minor)) = device.split_once(':').and_then(number) else { continue };
        for (key, operation) in keys {
            let value = |word: &str| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok();
            let Some(value) = counts.split(' ').find_map(value) else { continue };
            entries.push(DeviceUsage { major, minor, operation: operation.to_owned(), value });
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_in_the_form_of_both_versions() {
        let entry = |operation: &str, value| DeviceUsage {
            major: 8,
            minor: 16,
            operation: operation.to_owned(),
            value,
        };
        assert_eq!(
            devices_v1("8:16 Read 4096\n8:16 Write 1\nTotal 4097\n"),
            [entry("Read", 4096), entry("Write", 1)]
        );
        let text = "8:16 rbytes=4096 wbytes=1 rios=2 wios=3 dbytes=0 dios=0\n";
        let keys = [("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard")];
        assert_eq!(devices_v2(text, keys), [entry("Read", 4096), entry("Write", 1), entry("Discard", 0)]);
    }

    #[test]
    fn an_interface_is_found_by_its_whole_name() {
        let text = "Inter-| Receive | Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes\n    \
                    lo:  1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n  eth0:10 20 30 40 0 0 0 0 50 60 70 80 0 0 0 0\n";
        let traffic = |bytes, packets, errors, dropped| Traffic { bytes, packets, errors, dropped };
        let counters = InterfaceCounters { received: traffic(10, 20, 30, 40), sent: traffic(50, 60, 70, 80) };
        assert_eq!(parse_interface_counters(text, "eth0"), Some(counters));
        assert_eq!(parse_interface_counters(text, "eth"), None);
    }

    #[test]
    fn the_machines_time_counts_idle_processors_too() {
        let text = "cpu  1 2 3 4 5 6 7 8 9 9\ncpu0 1 2 3 4 5 6 7 8 9 9\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 5\n";
        assert_eq!(parse_machine_cpu(text), Some((36 * 10_000_000, 2)));
        assert!(machine_cpu().unwrap().0 > 0);
    }

    #[test]
    fn the_clock_tells_its_state_to_anybody() {
        let _ = clock().unwrap();
        assert!(interface_counters("lo").unwrap().is_some());
    }
}
