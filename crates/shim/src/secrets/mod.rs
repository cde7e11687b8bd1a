//! The `__secrets` helper: the values of a task's environment variables that stand in Parameter Store or Secrets Manager,
//! along the task's own network path, as its execution role.
//!
//! Values go from AWS's answer to the shim's memory, from there to the helper that makes the container, and from that
//! into the environment of the container's program. No file and no log holds one. Every start of a task reads them anew.
//!
//! It fails in the words of Fargate ("Amazon ECS stopped task error messages"), after six seconds where packets get lost;
//! Fargate takes minutes.

mod asm;
mod parameters;
mod reference;

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use desired::{Container, PullIdentity};
use serde::{Deserialize, Serialize};

use crate::helper::Report;
use crate::pull::api::Api;
use reference::Source;

/// What every failure begins with.
const FRONT: &str = "ResourceInitializationError: unable to pull secrets or registry auth";

/// What the helper is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Where the values are, as the task definition spells it.
    pub(crate) values_from: Vec<String>,
    pub(crate) identity: PullIdentity,
    /// Who is asked for names.
    pub(crate) dns_servers: Vec<Ipv4Addr>,
    /// The task's network namespace.
    pub(crate) network: PathBuf,
}

/// Secret values, by where they are from or by the variables that they are for.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Values(pub(crate) BTreeMap<String, String>);

impl Values {
    /// The environment variables that these values, by where they are from, make of a container's secrets.
    pub(crate) fn variables(&self, container: &Container) -> Values {
        let value =
            |secret: &desired::Secret| Some((secret.name.clone(), self.0.get(&secret.value_from)?.clone()));
        Values(container.secrets.iter().filter_map(value).collect())
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No value reaches a log.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads the values.
pub(crate) fn main(job: &Job) -> Result<Report, String> {
    let failed = |why: String| format!("{FRONT}: {why}");
    let enter = || sys::netns::enter(sys::netns::open(&job.network)?);
    enter().map_err(|error| failed(error.to_string()))?;
    let api = Api::new(&job.identity, &job.dns_servers).map_err(failed)?;
    let mut values = BTreeMap::new();
    let (mut secrets, mut parameters) = (Vec::new(), Vec::new());
    for value_from in &job.values_from {
        match reference::parse(value_from, &job.identity.region).map_err(failed)? {
            Source::Secret(secret) => secrets.push((value_from, secret)),
            Source::Parameter(parameter) => parameters.push((value_from, parameter)),
        }
    }
    asm::fetch(&api, &secrets, &mut values).map_err(failed)?;
    parameters::fetch(&api, &parameters, &mut values).map_err(failed)?;
    Ok(Report::Secrets(Values(values)))
}

/// Whether a try ended because its time was over: then Go's SDK says that, and not what the network said.
fn is_time_out(why: &str) -> bool {
    why.contains("i/o timeout") || why.contains("context deadline exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_printed() {
        let values = Values([("PASSWORD".to_owned(), "hunter2".to_owned())].into());
        assert_eq!(format!("{values:?}"), r#"{"PASSWORD"}"#);
    }
}
