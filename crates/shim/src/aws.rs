//! The variables that ECS gives every container: pure. Source: "Amazon ECS environment variables".

use std::collections::BTreeMap;

use desired::{Container, Task};

use crate::trust;

/// Where a task finds its metadata and its role's key pair.
const ENDPOINT: &str = "http://169.254.170.2";

/// A container's environment: what ECS says of where it runs, then the task definition's, then the addresses of what is its
/// own alone. The image's comes before all of it.
pub(crate) fn environment(task: &Task, container: &Container) -> BTreeMap<String, String> {
    let region = task.pull.region.as_str();
    let own =
        [("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE"), ("AWS_REGION", region), ("AWS_DEFAULT_REGION", region)];
    let mut variables: BTreeMap<String, String> =
        own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if container.trust_ca {
        variables.extend(trust::VARIABLES.map(|name| (name.to_owned(), trust::BUNDLE.to_owned())));
    }
    variables.extend(container.environment.clone());
    if !container.endpoint.is_empty() {
        let addresses = [
            ("ECS_CONTAINER_METADATA_URI_V4", "v4"),
            ("ECS_CONTAINER_METADATA_URI", "v3"),
            ("ECS_AGENT_URI", "api"),
        ];
        for (name, root) in addresses {
            variables.insert(name.to_owned(), format!("{ENDPOINT}/{root}/{}", container.endpoint));
        }
    }
    if let Some(role) = &task.role {
        let path = format!("/v2/credentials/{}", role.id);
        variables.insert("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI".to_owned(), path);
    }
    variables
}
