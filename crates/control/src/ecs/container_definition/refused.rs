//! Members that Fargate refuses, and in which words.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use wire::ApiError;

use super::ContainerDefinition;
use crate::ecs::client;

/// A member of which nothing is kept but whether it says anything: null, false and what is empty do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given(bool);

impl Given {
    /// Refuses a member that says something.
    ///
    /// # Errors
    /// With these words.
    pub(crate) fn refuse(self, words: impl Into<String>) -> Result<(), ApiError> {
        if self.0 { Err(client(words)) } else { Ok(()) }
    }

    /// Refuses a member that Landfall does not know how to honour.
    ///
    /// # Errors
    /// With the member's name.
    pub(crate) fn unsupported(self, what: impl std::fmt::Display) -> Result<(), ApiError> {
        if self.0 { Err(ApiError::unsupported(what)) } else { Ok(()) }
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            Value::Bool(true) | Value::Number(_) => true,
        }))
    }
}

impl Serialize for Given {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

/// The words for a member that no Fargate task has.
pub(crate) fn not_on_fargate(member: &str) -> String {
    format!("Fargate compatible task definitions do not support {member}")
}

/// Refuses what a task of Fargate's, whose network mode is awsvpc, cannot have.
///
/// # Errors
/// In ECS's words; what AWS would take and Landfall does not is refused by name.
pub(super) fn check(container: &ContainerDefinition) -> Result<(), ApiError> {
    let c = container;
    let on = |value: Option<bool>| Given(value == Some(true));
    on(c.privileged).refuse("Fargate requires that the 'privileged' setting be 'false'")?;
    on(c.disable_networking)
        .refuse("Disable Networking is not supported on container when networkMode=awsvpc")?;
    c.links.refuse("Links are not supported when networkMode=awsvpc")?;
    c.hostname.refuse("Hostname is not supported on container when networkMode=awsvpc")?;
    c.dns_servers.refuse("DNS servers are not supported on container when networkMode=awsvpc")?;
    c.dns_search_domains
        .refuse("DNS search domains are not supported on container when networkMode=awsvpc")?;
    c.extra_hosts.refuse("Extra hosts are not supported on container when networkMode=awsvpc")?;
    c.docker_security_options.refuse(not_on_fargate("dockerSecurityOptions"))?;
    c.credential_specs.refuse(not_on_fargate("credentialSpecs"))?;
    c.resource_requirements
        .refuse("Tasks using the Fargate launch type do not support GPU resource requirements")?;
    let named = |member: &str| format!("{member} (container '{}')", c.name);
    c.environment_files.unsupported(named("environmentFiles"))?;
    c.repository_credentials.unsupported(named("repositoryCredentials"))?;
    c.firelens_configuration.unsupported(named("firelensConfiguration"))?;
    if let Some(linux) = &c.linux_parameters {
        linux.devices.refuse(not_on_fargate("devices"))?;
        linux.shared_memory_size.refuse(not_on_fargate("sharedMemorySize"))?;
        linux.max_swap.refuse(not_on_fargate("maxSwap"))?;
        linux.swappiness.refuse(not_on_fargate("swappiness"))?;
        let added = linux.capabilities.iter().flat_map(|capabilities| &capabilities.add).flatten();
        if let Some(other) = added.into_iter().find(|name| *name != "SYS_PTRACE") {
            return Err(client(format!("{other} is not allowed on Fargate.")));
        }
    }
    Ok(())
}
