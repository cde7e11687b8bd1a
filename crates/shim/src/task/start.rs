//! One container, from its mounts to its own program.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process;
use std::time::{Duration, Instant};

use desired::{Container, ContainerHealth, ContainerHealthStatus};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sys::process::{Ended, SealedSelf};
use types::{Timestamp, random_hex};

use super::health::Checks;
use super::order::START_TIMEOUT;
use super::stdio::Stdio;
use super::{Running, Shim, complain};
use crate::helper::{CREATE, Helper, PAUSE, Report};
use crate::logs::Log;
use crate::pull::{self, Pulled};
use crate::{aws, create, pause, resources, volume};

/// How long a container may take from its helper's start to its own program.
const START_LIMIT: Duration = Duration::from_secs(60);

impl Shim<'_> {
    /// Makes and starts one container; the reason why not, in the words of containerd and runc.
    pub(super) fn start(
        &mut self,
        program: &SealedSelf,
        container: &Container,
        image: &Pulled,
    ) -> Result<(), String> {
        let well_named = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if !well_named(&container.name) {
            return Err(format!("a container cannot be named '{}'", container.name.escape_default()));
        }
        let layers: Vec<_> = image.layers.iter().map(|layer| pull::snapshot(self.state, layer)).collect();
        let bundle =
            resources::Bundle::mount(self.dir, &container.name, &layers).map_err(|e| not_created(&e))?;
        volume::fill(self.dir, &container.mounts, &image.config.volumes, &bundle.rootfs)
            .map_err(|e| not_created(&e))?;
        let hostname = hostname(image.address, &self.task.pull.region);
        bundle.name(&hostname, image.address, &self.task.dns).map_err(|e| not_created(&e))?;
        self.launch(program, container, image, bundle)
    }

    /// Starts a container that has ended in the root file system that it has left.
    pub(super) fn start_again(
        &mut self,
        program: &SealedSelf,
        container: &Container,
        image: &Pulled,
    ) -> Result<(), String> {
        let bundle = resources::Bundle::new(self.dir, &container.name);
        bundle.forget().map_err(|e| not_created(&e))?;
        self.launch(program, container, image, bundle)
    }

    fn launch(
        &mut self,
        program: &SealedSelf,
        container: &Container,
        image: &Pulled,
        bundle: resources::Bundle,
    ) -> Result<(), String> {
        let created_at = Timestamp::now();
        let log = Log::open(self.dir, &container.name).map_err(|e| not_created(&e))?;
        let (stdio, output) = Stdio::new(self.dir, container).map_err(|e| not_created(&e))?;
        let group = resources::container_cgroup(self.state, self.task.id.as_str(), &container.name)
            .map_err(|e| not_created(&e))?;
        let job = create::Job {
            container: Container {
                environment: aws::environment(&self.task, container),
                ..container.clone()
            },
            secrets: self.secrets.variables(container),
            image: image.config.clone(),
            rootfs: bundle.rootfs,
            runtime: bundle.runtime,
            etc: bundle.etc,
            volumes: volume::folder(self.dir),
            bundle: bundle.folder,
            network: self.network(),
            processes: self.pause.map(pause::namespace),
            cgroup: group.oci_path(),
            input: stdio.input(),
            terminal: stdio.terminal(),
            hostname: hostname(image.address, &self.task.pull.region),
            authority: self.task.pull.ca_certificate.clone(),
        };
        let oom_kills = self.oom_kills(&container.name);
        let helper =
            Helper::start(program, CREATE, self.dir, &job, Some(output)).map_err(|e| not_created(&e))?;
        let pid = self.await_exec(helper).map_err(|why| {
            format!(
                "failed to create new container runtime task: failed to create shim task: OCI runtime create failed: \
                 unable to start container process: {why}: unknown"
            )
        })?;
        let sink = self.logger.sink(&container.name);
        let (input, output) = stdio.keep(&log, sink.as_ref()).map_err(|error| {
            let _ = kill(pid, Signal::SIGKILL);
            not_created(&error)
        })?;
        let running = Running {
            pid,
            _input: input,
            stop_signal: image.config.stop_signal(),
            stop_timeout: container.stop_timeout,
            kill_at: None,
            told: false,
            started: Instant::now(),
            patience: container.start_timeout.unwrap_or(START_TIMEOUT),
            checks: container.health_check.clone().map(Checks::new),
            output,
            oom_kills,
        };
        self.running.insert(container.name.clone(), running);
        if let Some(status) = self.status.containers.get_mut(&container.name) {
            if status.runtime_id.is_empty() {
                status.runtime_id = runtime_id(self.task.id.as_str(), &random_hex(16));
                status.created_at = Some(created_at);
            } else {
                status.restarts += 1;
            }
            status.running = true;
            status.started_at = Some(Timestamp::now());
            status.health = container.health_check.as_ref().map(|_| ContainerHealth {
                status: ContainerHealthStatus::Unknown,
                since: Timestamp::now(),
                exit_code: None,
                output: String::new(),
            });
        }
        if let Some(code) = self.early.remove(&pid) {
            self.ended(Ended { pid, code });
        }
        Ok(())
    }

    /// Makes the PID namespace that the containers share, with a first process that is none of theirs.
    pub(super) fn start_pause(&mut self, program: &SealedSelf) -> Result<(), String> {
        let bundle = resources::Bundle::new(self.dir, pause::NAME);
        let group = resources::container_cgroup(self.state, self.task.id.as_str(), pause::NAME)
            .map_err(|e| not_created(&e))?;
        let job = pause::Job {
            rootfs: bundle.rootfs,
            runtime: bundle.runtime,
            bundle: bundle.folder,
            network: self.network(),
            cgroup: group.oci_path(),
        };
        let helper = Helper::start(
            program,
            PAUSE,
            self.dir,
            &job,
            Some((process::Stdio::null(), process::Stdio::null())),
        );
        let helper = helper.map_err(|e| not_created(&e))?;
        self.pause = Some(self.await_exec(helper)?);
        Ok(())
    }

    fn network(&self) -> PathBuf {
        self.state.join("netns").join(self.task.interface.as_str())
    }

    /// Waits until the container's own program runs; gives its process.
    fn await_exec(&mut self, mut helper: Helper) -> Result<Pid, String> {
        let deadline = Instant::now() + START_LIMIT;
        let (mut pid, mut failed) = (None, None);
        loop {
            let woken =
                self.events.wait(&[helper.as_fd()], Some(deadline)).map_err(|error| error.to_string())?;
            self.stop |= woken.stop;
            for child in woken.ended {
                self.ended(child);
            }
            let (reports, closed) = helper.reports();
            for report in reports {
                match report {
                    Report::Created { pid: number } => pid = Some(Pid::from_raw(number)),
                    Report::Failed(why) => failed = Some(why),
                    Report::Progress(text) => complain(&text),
                    _ => (),
                }
            }
            match (failed.take(), pid) {
                (Some(why), _) => return Err(why),
                (None, Some(pid)) if closed => return Ok(pid),
                (None, None) if closed => return Err("the helper ended unexpectedly".to_owned()),
                _ if Instant::now() >= deadline => {
                    helper.kill();
                    return Err(format!("context deadline exceeded ({} s)", START_LIMIT.as_secs()));
                }
                _ => (),
            }
        }
    }
}

/// containerd's words for a container that could not be made.
fn not_created(error: &dyn std::fmt::Display) -> String {
    format!("failed to create new container runtime task: {error}")
}

/// A container's id as Fargate has it: the task's, and ten digits of its own, here made of random hexadecimal ones.
fn runtime_id(task: &str, random: &str) -> String {
    const LEAST: u64 = 1_000_000_000;
    let number = u64::from_str_radix(random, 16).unwrap_or_default();
    format!("{task}-{}", LEAST + number % (9 * LEAST))
}

/// Fargate's name for a task: its address in the region's internal domain.
fn hostname(address: Option<std::net::Ipv4Addr>, region: &str) -> String {
    match address {
        Some(address) => {
            let [a, b, c, d] = address.octets();
            format!("ip-{a}-{b}-{c}-{d}.{region}.compute.internal")
        }
        None => "localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_s_id_is_its_task_s_with_ten_digits_behind() {
        for (random, digits) in [
            ("0", "1000000000"),
            ("00000000ffffffff", "5294967295"),
            ("ffffffffffffffff", "4709551615"),
            ("218711a00", "1000000000"),
        ] {
            assert_eq!(runtime_id("6af4bf11", random), format!("6af4bf11-{digits}"));
        }
    }

    #[test]
    fn a_task_is_named_by_its_address() {
        let name = hostname(Some([10, 194, 100, 10].into()), "ap-northeast-2");
        assert_eq!(name, "ip-10-194-100-10.ap-northeast-2.compute.internal");
    }
}
