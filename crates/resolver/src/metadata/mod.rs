//! The task metadata endpoint and the tasks' credentials: HTTP at 169.254.170.2, port 80, in every VPC.
//!
//! A request takes this path: [`server`] reads it in the VPC's namespace, [`request`] says what is asked for, [`tasks`]
//! finds the task that owns the id, and asks its folder alone; [`document`] and [`stats`] write the answer. What `request`
//! and `document` do is pure. Source: "Amazon ECS task metadata endpoint version 4 for tasks on Fargate", "Task IAM role".
//!
//! ECS's agent is asked there whether the task is protected from scaling in: [`protection`] has the words of both sides, and
//! [`api`] asks `serve` as the task's role.
//!
//! The address is a link-local one that a task alone reaches through its own interface; security groups and network ACLs do
//! not apply to it.

mod api;
mod document;
mod protection;
mod request;
pub(crate) mod server;
mod stats;
mod tasks;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

use desired::Task;
use types::VpcId;

use request::{Asked, Version, What, read};
use stats::Samples;
use tasks::{Id, Owned, Tasks};

/// Where tasks ask.
pub(crate) const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 170, 2), 80);

/// What answers every VPC's tasks.
#[derive(Debug)]
pub(crate) struct Metadata {
    tasks: Tasks,
    samples: Samples,
}

/// Who asks: an address of a VPC. Nobody else can have it, as the router checks every packet's source.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) vpc: VpcId,
    pub(crate) address: Ipv4Addr,
    /// The VPC's DNS servers, for the documents.
    pub(crate) dns_servers: Vec<Ipv4Addr>,
    /// Where `serve` answers.
    pub(crate) api: Option<SocketAddr>,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

impl Answer {
    fn json(status: u16, document: &impl serde::Serialize) -> Self {
        let body = serde_json::to_string(document).unwrap_or_default();
        Self { status, content_type: "application/json", body }
    }

    /// What Go's own multiplexer says of a path that it does not know, as ECS's agent is one.
    fn no_such_page() -> Self {
        let body = "404 page not found\n".to_owned();
        Self { status: 404, content_type: "text/plain; charset=utf-8", body }
    }
}

impl Metadata {
    /// Over the tasks of a state folder.
    pub(crate) fn new(state: &Path) -> Self {
        Self { tasks: Tasks::new(state.to_owned()), samples: Samples::default() }
    }

    /// The answer to a GET of a path. None: statistics need a second reading, so ask again after [`stats::APART`]; what is
    /// missing still the `second` time is told as missing. It reads files, and may take its time.
    pub(crate) fn answer(&self, asker: &Asker, path: &str, second: bool) -> Option<Answer> {
        Some(match read(path) {
            Asked::Nothing => Answer::no_such_page(),
            Asked::Credentials(None) => {
                credentials_error("NoIdInRequest", "CredentialsV2Request: No Credential ID in the request")
            }
            Asked::Credentials(Some(id)) => self.credentials(asker, id),
            // What is asked of the agent is asked of `serve`, and not answered from here.
            Asked::Protection(_) => Answer::no_such_page(),
            Asked::Container { id, what, version } => {
                return self.container(asker, id, what, version, second);
            }
        })
    }

    /// The task of a container's endpoint, if it asks itself. It reads files, and may take its time.
    pub(crate) fn task(&self, asker: &Asker, id: &str) -> Option<Task> {
        self.tasks.find(asker, &Id::Container(id)).map(|owned| owned.task)
    }

    fn credentials(&self, asker: &Asker, id: &str) -> Answer {
        let owned = self.tasks.find(asker, &Id::Role(id));
        match owned.and_then(|owned| owned.task.role) {
            Some(role) => Answer::json(200, &document::Credentials::of(&role)),
            None => credentials_error("InvalidIdInRequest", "CredentialsV2Request: Credentials not found"),
        }
    }

    fn container(
        &self,
        asker: &Asker,
        id: &str,
        what: What,
        version: Version,
        second: bool,
    ) -> Option<Answer> {
        let Some(owned) = self.tasks.find(asker, &Id::Container(id)) else {
            return Some(Answer::json(404, &request::not_found(id, what, version)));
        };
        let paper = document::Paper {
            task: &owned.task,
            status: owned.status.as_ref(),
            dns_servers: &asker.dns_servers,
            version,
        };
        let container = owned.task.containers.iter().find(|container| container.endpoint == id)?;
        Some(match what {
            What::Container => Answer::json(200, &paper.container(container)),
            What::Task => {
                let extras = (version == Version::V4).then(|| document::Extras {
                    clock: sys::usage::clock().ok(),
                    now: types::Timestamp::now(),
                    storage_used: self.tasks.storage_used(&owned),
                });
                Answer::json(200, &paper.task(extras))
            }
            What::ContainerStats => {
                let found = self.samples.of(&[self.subject(&owned, container)], second)?;
                match found.values().next().filter(|stats| !stats.is_null()) {
                    Some(stats) => Answer::json(200, stats),
                    None => Answer::json(500, &format!("Unable to get container stats for: {id}")),
                }
            }
            What::TaskStats => {
                let containers = &owned.task.containers;
                let all: Vec<_> =
                    containers.iter().map(|container| self.subject(&owned, container)).collect();
                Answer::json(200, &self.samples.of(&all, second)?)
            }
        })
    }

    fn subject(&self, owned: &Owned, container: &desired::Container) -> stats::Subject {
        stats::Subject {
            docker_id: document::docker_id(owned.status.as_ref(), &container.name),
            name: container.name.clone(),
            cgroup: self.cgroup(owned, &container.name),
            network: self.tasks.state().join("netns").join(owned.task.interface.as_str()),
            memory_limit: u64::from(container.memory.unwrap_or(owned.task.memory)) << 20,
        }
    }

    fn cgroup(&self, owned: &Owned, container: &str) -> PathBuf {
        desired::tasks_cgroup(self.tasks.state()).join(owned.task.id.as_str()).join(container)
    }
}

/// An error of the credentials endpoint, in the form of ECS's agent.
fn credentials_error(code: &'static str, message: &'static str) -> Answer {
    Answer::json(400, &serde_json::json!({ "code": code, "message": message, "HTTPErrorCode": 400 }))
}
