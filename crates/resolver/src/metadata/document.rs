//! The documents: pure. Members and spelling are those of a task on Fargate, platform version 1.4.0.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use desired::{
    Container, ContainerStatus, LogDestination, LogMode, RoleSession, Task, TaskPhase, TaskStatus,
};
use serde::Serialize;
use serde_json::Number;
use sys::usage::Clock;
use types::Timestamp;

use super::request::Version;

/// Storage that every Fargate task has, in GiB ("Fargate task ephemeral storage").
const LEAST_STORAGE: u32 = 20;

/// MiB of a task's storage that Fargate itself needs: 20 GiB are told as 20,496 MiB.
const STORAGE_OVERHEAD: u64 = 16;

/// The answer of the credentials endpoint.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Credentials<'a> {
    role_arn: &'a str,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: String,
}

impl<'a> Credentials<'a> {
    pub(crate) fn of(role: &'a RoleSession) -> Self {
        Self {
            role_arn: &role.role_arn,
            access_key_id: &role.access_key_id,
            secret_access_key: &role.secret_access_key,
            token: &role.session_token,
            expiration: role.expires_at.iso(),
        }
    }
}

/// What documents are written from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paper<'a> {
    pub(crate) task: &'a Task,
    pub(crate) status: Option<&'a TaskStatus>,
    pub(crate) dns_servers: &'a [Ipv4Addr],
    pub(crate) version: Version,
}

/// What a task is told beside itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extras {
    /// None: the kernel does not tell.
    pub(crate) clock: Option<Clock>,
    pub(crate) now: Timestamp,
    /// In bytes.
    pub(crate) storage_used: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TaskDocument<'a> {
    cluster: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    service_name: &'a str,
    #[serde(rename = "TaskARN")]
    task_arn: &'a str,
    family: &'a str,
    revision: String,
    desired_status: &'static str,
    known_status: &'static str,
    limits: Limits,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_stopped_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_stopped_at: Option<String>,
    availability_zone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    launch_type: Option<&'a str>,
    containers: Vec<ContainerDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_drift: Option<ClockDrift>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral_storage_metrics: Option<StorageMetrics>,
}

#[derive(Serialize)]
struct Limits {
    /// vCPUs of a task, units of a container.
    #[serde(rename = "CPU")]
    cpu: Number,
    /// MiB.
    #[serde(rename = "Memory", skip_serializing_if = "Option::is_none")]
    memory: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ContainerDocument<'a> {
    docker_id: String,
    name: &'a str,
    docker_name: &'a str,
    image: &'a str,
    #[serde(rename = "ImageID", skip_serializing_if = "Option::is_none")]
    image_id: Option<&'a str>,
    labels: BTreeMap<&'a str, String>,
    desired_status: &'static str,
    known_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    limits: Limits,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Health<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_driver: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_options: Option<BTreeMap<&'static str, String>>,
    #[serde(rename = "ContainerARN", skip_serializing_if = "Option::is_none")]
    container_arn: Option<&'a str>,
    networks: [Network<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshotter: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restart_count: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health<'a> {
    status: desired::ContainerHealthStatus,
    status_since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    output: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Network<'a> {
    network_mode: &'static str,
    #[serde(rename = "IPv4Addresses")]
    addresses: Vec<Ipv4Addr>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    more: Option<Subnet<'a>>,
}

/// What version 4 tells of a network beyond version 3.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Subnet<'a> {
    attachment_index: u32,
    #[serde(rename = "MACAddress")]
    mac_address: &'a str,
    #[serde(rename = "IPv4SubnetCIDRBlock")]
    cidr: &'a str,
    domain_name_servers: Vec<Ipv4Addr>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    domain_name_search_list: &'a [String],
    #[serde(rename = "PrivateDNSName")]
    private_dns_name: &'a str,
    #[serde(rename = "SubnetGatewayIpv4Address", skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClockDrift {
    /// Milliseconds.
    clock_error_bound: f64,
    reference_timestamp: String,
    clock_synchronization_status: &'static str,
}

/// In MiB.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StorageMetrics {
    utilized: u64,
    reserved: u64,
}

/// A container's own id; empty before it is made.
pub(crate) fn docker_id(status: Option<&TaskStatus>, container: &str) -> String {
    status
        .and_then(|status| status.containers.get(container))
        .map(|of| of.runtime_id.clone())
        .unwrap_or_default()
}

impl<'a> Paper<'a> {
    /// The task's document.
    pub(crate) fn task(self, extras: Option<Extras>) -> TaskDocument<'a> {
        let (task, metadata) = (self.task, &self.task.metadata);
        let iso = |at: Option<Timestamp>| at.map(Timestamp::iso);
        let storage = u64::from(task.ephemeral_storage.max(LEAST_STORAGE)) * 1024 + STORAGE_OVERHEAD;
        TaskDocument {
            cluster: &metadata.cluster,
            service_name: &metadata.service,
            task_arn: &task.arn,
            family: &metadata.family,
            revision: metadata.revision.to_string(),
            desired_status: self.desired_status(),
            known_status: match self.status.map(|status| status.phase) {
                None | Some(TaskPhase::Pulling) => "NONE",
                Some(TaskPhase::Starting) => "CREATED",
                Some(TaskPhase::Running | TaskPhase::Stopping) => "RUNNING",
                Some(TaskPhase::Stopped) => "STOPPED",
            },
            limits: Limits { cpu: cpus(task.cpu), memory: Some(task.memory) },
            pull_started_at: iso(self.status.and_then(|status| status.pull_started_at)),
            pull_stopped_at: iso(self.status.and_then(|status| status.pull_stopped_at)),
            execution_stopped_at: iso(self.status.and_then(|status| status.execution_stopped_at)),
            availability_zone: &metadata.availability_zone,
            launch_type: self.v4(metadata.launch_type.as_str()),
            containers: task.containers.iter().map(|container| self.container(container)).collect(),
            clock_drift: extras.and_then(|extras| {
                let clock = extras.clock?;
                Some(ClockDrift {
                    clock_error_bound: f64::from(
                        u32::try_from(clock.error_bound.as_micros()).unwrap_or(u32::MAX),
                    ) / 1000.0,
                    reference_timestamp: extras.now.iso(),
                    clock_synchronization_status: match clock.is_synchronized {
                        true => "SYNCHRONIZED",
                        false => "NOT_SYNCHRONIZED",
                    },
                })
            }),
            ephemeral_storage_metrics: extras
                .map(|extras| StorageMetrics { utilized: extras.storage_used >> 20, reserved: storage }),
        }
    }

    /// One container's document.
    pub(crate) fn container(self, container: &'a Container) -> ContainerDocument<'a> {
        let status = self.status.and_then(|status| status.containers.get(&container.name));
        let iso = |at: Option<Timestamp>| at.map(Timestamp::iso);
        ContainerDocument {
            docker_id: docker_id(self.status, &container.name),
            name: &container.name,
            docker_name: &container.name,
            image: &container.image.image,
            image_id: status.and_then(|status| status.image_digest.as_deref()),
            labels: self.labels(container),
            desired_status: self.desired_status(),
            known_status: status.map_or("NONE", known_status),
            exit_code: status.and_then(|status| status.exit_code),
            // Docker's least share.
            limits: Limits { cpu: container.cpu.max(2).into(), memory: container.memory },
            created_at: iso(status.and_then(|status| status.created_at)),
            started_at: iso(status.and_then(|status| status.started_at)),
            finished_at: iso(status.and_then(|status| status.finished_at)),
            r#type: "NORMAL",
            health: status.and_then(|status| status.health.as_ref()).map(|health| Health {
                status: health.status,
                status_since: health.since.iso(),
                exit_code: health.exit_code,
                output: &health.output,
            }),
            log_driver: container.log.as_ref().and_then(|_| self.v4("awslogs")),
            log_options: container.log.as_ref().and_then(|log| self.v4(log_options(log))),
            container_arn: Some(container.arn.as_str())
                .filter(|arn| !arn.is_empty())
                .and_then(|arn| self.v4(arn)),
            networks: [self.network()],
            snapshotter: self.v4("overlayfs"),
            restart_count: container
                .restart_policy
                .as_ref()
                .and_then(|_| self.v4(status.map_or(0, |status| status.restarts))),
        }
    }

    /// What version 3 does not tell.
    fn v4<T>(self, value: T) -> Option<T> {
        (self.version == Version::V4).then_some(value)
    }

    fn desired_status(self) -> &'static str {
        if self.task.stop { "STOPPED" } else { "RUNNING" }
    }

    fn labels(self, container: &'a Container) -> BTreeMap<&'a str, String> {
        let (task, metadata) = (self.task, &self.task.metadata);
        let mut labels: BTreeMap<&str, String> =
            container.docker_labels.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        labels.extend([
            ("com.amazonaws.ecs.cluster", metadata.cluster.clone()),
            ("com.amazonaws.ecs.container-name", container.name.clone()),
            ("com.amazonaws.ecs.task-arn", task.arn.clone()),
            ("com.amazonaws.ecs.task-definition-family", metadata.family.clone()),
            ("com.amazonaws.ecs.task-definition-version", metadata.revision.to_string()),
        ]);
        labels
    }

    fn network(self) -> Network<'a> {
        let metadata = &self.task.metadata;
        let subnet: Option<ipnet::Ipv4Net> = metadata.subnet_cidr.parse().ok();
        // The subnet's first address is its router.
        let gateway =
            subnet.and_then(|subnet| Some(format!("{}/{}", subnet.hosts().next()?, subnet.prefix_len())));
        Network {
            network_mode: "awsvpc",
            addresses: metadata.address.into_iter().collect(),
            more: self.v4(Subnet {
                attachment_index: 0,
                mac_address: &metadata.mac_address,
                cidr: &metadata.subnet_cidr,
                domain_name_servers: self.dns_servers.iter().take(1).copied().collect(),
                domain_name_search_list: &self.task.dns.search,
                private_dns_name: &metadata.private_dns_name,
                gateway,
            }),
        }
    }
}

fn known_status(status: &ContainerStatus) -> &'static str {
    match status {
        status if status.running => "RUNNING",
        status if status.exit_code.is_some() || status.finished_at.is_some() => "STOPPED",
        status if !status.runtime_id.is_empty() => "CREATED",
        status if status.image_digest.is_some() => "PULLED",
        _ => "NONE",
    }
}

/// Units as vCPUs: 256 is 0.25, 1024 is 1.
fn cpus(units: u32) -> Number {
    match units % 1024 {
        0 => (units / 1024).into(),
        _ => Number::from_f64(f64::from(units) / 1024.0).unwrap_or_else(|| 0.into()),
    }
}

fn log_options(log: &LogDestination) -> BTreeMap<&'static str, String> {
    let mut options = BTreeMap::from([
        ("awslogs-group", log.group.clone()),
        ("awslogs-region", log.region.clone()),
        ("awslogs-stream", log.stream.clone()),
    ]);
    if log.create_group {
        options.insert("awslogs-create-group", "true".to_owned());
    }
    if let Some(pattern) = &log.message_start {
        options.insert("awslogs-multiline-pattern", pattern.clone());
    }
    if let LogMode::NonBlocking { max_buffer } = log.mode {
        options.insert("mode", "non-blocking".to_owned());
        options.insert("max-buffer-size", max_buffer.to_string());
    }
    options
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use desired::{ContainerHealth, ContainerHealthStatus, ImageReference, PullIdentity, TaskMetadata};
    use expect_test::{Expect, expect};
    use std::time::Duration;
    use types::{NetworkInterfaceId, TaskId, VpcId};

    /// A task `<name>` at 10.0.1.`last` of vpc-1; its container's id is `<name>-app`, its role's `<name>-role`.
    pub(crate) fn task(name: &str, last: u8) -> Task {
        let ecs = "arn:aws:ecs:ap-northeast-2:000000000001";
        Task {
            id: TaskId::from(name),
            arn: format!("{ecs}:task/shop/{name}"),
            vpc: VpcId::from("vpc-1"),
            interface: NetworkInterfaceId::from("eni-1"),
            cpu: 256,
            memory: 512,
            dns: desired::Dns::default(),
            containers: vec![Container {
                name: "app".to_owned(),
                image: ImageReference { image: "r/app:1".to_owned(), ..ImageReference::default() },
                cpu: 128,
                docker_labels: [("team".to_owned(), "blue".to_owned())].into(),
                arn: format!("{ecs}:container/shop/{name}/c"),
                endpoint: format!("{name}-app"),
                log: Some(LogDestination {
                    region: "ap-northeast-2".to_owned(),
                    group: "/ecs/app".to_owned(),
                    stream: "ecs/app/a".to_owned(),
                    create_group: false,
                    mode: LogMode::Blocking,
                    message_start: None,
                }),
                ..Container::default()
            }],
            pull: PullIdentity { region: "ap-northeast-2".to_owned(), ..PullIdentity::default() },
            role: Some(RoleSession {
                id: format!("{name}-role"),
                role_arn: "arn:aws:iam::000000000001:role/app".to_owned(),
                access_key_id: "ASIA1".to_owned(),
                secret_access_key: "secret".to_owned(),
                session_token: "token".to_owned(),
                expires_at: Timestamp::from_millis(1_795_376_700_000),
            }),
            volumes: Vec::new(),
            shares_processes: false,
            ephemeral_storage: 0,
            metadata: TaskMetadata {
                cluster: format!("{ecs}:cluster/shop"),
                service: "web".to_owned(),
                family: "app".to_owned(),
                revision: 3,
                availability_zone: "ap-northeast-2a".to_owned(),
                address: Some(Ipv4Addr::new(10, 0, 1, last)),
                subnet_cidr: "10.0.1.0/24".to_owned(),
                mac_address: "02:00:00:00:00:01".to_owned(),
                private_dns_name: "ip-10-0-1-9.ap-northeast-2.compute.internal".to_owned(),
                launch_type: "FARGATE".to_owned(),
            },
            stop: false,
        }
    }

    fn status() -> TaskStatus {
        let at = |seconds: i64| Some(Timestamp::from_millis(1_795_376_700_000 + seconds * 1000));
        TaskStatus {
            task: TaskId::from("a"),
            phase: TaskPhase::Running,
            pull_started_at: at(0),
            pull_stopped_at: at(1),
            started_at: at(2),
            execution_stopped_at: None,
            error: None,
            containers: [(
                "app".to_owned(),
                ContainerStatus {
                    runtime_id: "a-1234567890".to_owned(),
                    image_digest: Some("sha256:1".to_owned()),
                    running: true,
                    created_at: at(1),
                    started_at: at(2),
                    health: Some(ContainerHealth {
                        status: ContainerHealthStatus::Healthy,
                        since: Timestamp::from_millis(1_795_376_700_000),
                        exit_code: Some(0),
                        output: String::new(),
                    }),
                    ..ContainerStatus::default()
                },
            )]
            .into(),
        }
    }

    #[track_caller]
    fn check(document: &impl Serialize, expected: &Expect) {
        expected.assert_eq(&serde_json::to_string_pretty(document).unwrap());
    }

    #[test]
    fn a_running_task_is_described_as_on_fargate() {
        let (mut task, status) = (task("a", 9), status());
        task.dns.search = vec!["ap-northeast-2.compute.internal".to_owned()];
        let dns_servers = [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(169, 254, 169, 253)];
        let paper =
            Paper { task: &task, status: Some(&status), dns_servers: &dns_servers, version: Version::V4 };
        let extras = Extras {
            clock: Some(Clock { error_bound: Duration::from_micros(557), is_synchronized: true }),
            now: Timestamp::from_millis(1_795_376_700_000),
            storage_used: 281 << 20,
        };
        check(
            &paper.task(Some(extras)),
            &expect![[r#"
            {
              "Cluster": "arn:aws:ecs:ap-northeast-2:000000000001:cluster/shop",
              "ServiceName": "web",
              "TaskARN": "arn:aws:ecs:ap-northeast-2:000000000001:task/shop/a",
              "Family": "app",
              "Revision": "3",
              "DesiredStatus": "RUNNING",
              "KnownStatus": "RUNNING",
              "Limits": {
                "CPU": 0.25,
                "Memory": 512
              },
              "PullStartedAt": "2026-11-22T19:45:00.000Z",
              "PullStoppedAt": "2026-11-22T19:45:01.000Z",
              "AvailabilityZone": "ap-northeast-2a",
              "LaunchType": "FARGATE",
              "Containers": [
                {
                  "DockerId": "a-1234567890",
                  "Name": "app",
                  "DockerName": "app",
                  "Image": "r/app:1",
                  "ImageID": "sha256:1",
                  "Labels": {
                    "com.amazonaws.ecs.cluster": "arn:aws:ecs:ap-northeast-2:000000000001:cluster/shop",
                    "com.amazonaws.ecs.container-name": "app",
                    "com.amazonaws.ecs.task-arn": "arn:aws:ecs:ap-northeast-2:000000000001:task/shop/a",
                    "com.amazonaws.ecs.task-definition-family": "app",
                    "com.amazonaws.ecs.task-definition-version": "3",
                    "team": "blue"
                  },
                  "DesiredStatus": "RUNNING",
                  "KnownStatus": "RUNNING",
                  "Limits": {
                    "CPU": 128
                  },
                  "CreatedAt": "2026-11-22T19:45:01.000Z",
                  "StartedAt": "2026-11-22T19:45:02.000Z",
                  "Type": "NORMAL",
                  "Health": {
                    "status": "HEALTHY",
                    "statusSince": "2026-11-22T19:45:00.000Z",
                    "exitCode": 0
                  },
                  "LogDriver": "awslogs",
                  "LogOptions": {
                    "awslogs-group": "/ecs/app",
                    "awslogs-region": "ap-northeast-2",
                    "awslogs-stream": "ecs/app/a"
                  },
                  "ContainerARN": "arn:aws:ecs:ap-northeast-2:000000000001:container/shop/a/c",
                  "Networks": [
                    {
                      "NetworkMode": "awsvpc",
                      "IPv4Addresses": [
                        "10.0.1.9"
                      ],
                      "AttachmentIndex": 0,
                      "MACAddress": "02:00:00:00:00:01",
                      "IPv4SubnetCIDRBlock": "10.0.1.0/24",
                      "DomainNameServers": [
                        "10.0.0.2"
                      ],
                      "DomainNameSearchList": [
                        "ap-northeast-2.compute.internal"
                      ],
                      "PrivateDNSName": "ip-10-0-1-9.ap-northeast-2.compute.internal",
                      "SubnetGatewayIpv4Address": "10.0.1.1/24"
                    }
                  ],
                  "Snapshotter": "overlayfs"
                }
              ],
              "ClockDrift": {
                "ClockErrorBound": 0.557,
                "ReferenceTimestamp": "2026-11-22T19:45:00.000Z",
                "ClockSynchronizationStatus": "SYNCHRONIZED"
              },
              "EphemeralStorageMetrics": {
                "Utilized": 281,
                "Reserved": 20496
              }
            }"#]],
        );
    }

    #[test]
    fn before_its_shim_has_spoken_a_task_is_told_by_what_it_shall_be() {
        let mut task = task("a", 9);
        task.containers[0].log = None;
        task.metadata.service = String::new();
        task.stop = true;
        let paper = Paper { task: &task, status: None, dns_servers: &[], version: Version::V3 };
        check(
            &paper.task(None),
            &expect![[r#"
            {
              "Cluster": "arn:aws:ecs:ap-northeast-2:000000000001:cluster/shop",
              "TaskARN": "arn:aws:ecs:ap-northeast-2:000000000001:task/shop/a",
              "Family": "app",
              "Revision": "3",
              "DesiredStatus": "STOPPED",
              "KnownStatus": "NONE",
              "Limits": {
                "CPU": 0.25,
                "Memory": 512
              },
              "AvailabilityZone": "ap-northeast-2a",
              "Containers": [
                {
                  "DockerId": "",
                  "Name": "app",
                  "DockerName": "app",
                  "Image": "r/app:1",
                  "Labels": {
                    "com.amazonaws.ecs.cluster": "arn:aws:ecs:ap-northeast-2:000000000001:cluster/shop",
                    "com.amazonaws.ecs.container-name": "app",
                    "com.amazonaws.ecs.task-arn": "arn:aws:ecs:ap-northeast-2:000000000001:task/shop/a",
                    "com.amazonaws.ecs.task-definition-family": "app",
                    "com.amazonaws.ecs.task-definition-version": "3",
                    "team": "blue"
                  },
                  "DesiredStatus": "STOPPED",
                  "KnownStatus": "NONE",
                  "Limits": {
                    "CPU": 128
                  },
                  "Type": "NORMAL",
                  "Networks": [
                    {
                      "NetworkMode": "awsvpc",
                      "IPv4Addresses": [
                        "10.0.1.9"
                      ]
                    }
                  ]
                }
              ]
            }"#]],
        );
    }

    #[test]
    fn only_version_4_counts_the_restarts_of_a_container_that_may_have_some() {
        let (mut task, mut status) = (task("a", 9), status());
        let count = |task: &Task, status: &TaskStatus, version| {
            let paper = Paper { task, status: Some(status), dns_servers: &[], version };
            serde_json::to_value(paper.container(&task.containers[0])).unwrap().get("RestartCount").cloned()
        };
        assert_eq!(count(&task, &status, Version::V4), None);
        let attempt_period = Duration::from_secs(60);
        task.containers[0].restart_policy =
            Some(desired::RestartPolicy { ignored_exit_codes: Vec::new(), attempt_period });
        assert_eq!(count(&task, &status, Version::V4), Some(0.into()));
        status.containers.get_mut("app").unwrap().restarts = 2;
        assert_eq!(count(&task, &status, Version::V4), Some(2.into()));
        assert_eq!(count(&task, &status, Version::V3), None);
    }

    #[test]
    fn a_container_goes_from_none_to_stopped() {
        let mut status = ContainerStatus::default();
        assert_eq!(known_status(&status), "NONE");
        status.image_digest = Some("sha256:1".to_owned());
        assert_eq!(known_status(&status), "PULLED");
        status.runtime_id = "a".to_owned();
        assert_eq!(known_status(&status), "CREATED");
        status.running = true;
        assert_eq!(known_status(&status), "RUNNING");
        (status.running, status.exit_code) = (false, Some(0));
        assert_eq!(known_status(&status), "STOPPED");
    }

    #[test]
    fn credentials_are_in_the_form_that_sdks_read() {
        let role = task("a", 9).role.unwrap();
        check(
            &Credentials::of(&role),
            &expect![[r#"
            {
              "RoleArn": "arn:aws:iam::000000000001:role/app",
              "AccessKeyId": "ASIA1",
              "SecretAccessKey": "secret",
              "Token": "token",
              "Expiration": "2026-11-22T19:45:00.000Z"
            }"#]],
        );
    }

    #[test]
    fn units_are_told_as_processors() {
        assert_eq!([256, 1024, 4096].map(|units| cpus(units).to_string()), ["0.25", "1", "4"]);
    }
}
