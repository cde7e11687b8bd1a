//! What a path asks for: pure.

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    /// Of a container's endpoint.
    Container { id: &'a str, what: What, version: Version },
    /// The task role's key pair. None: the path names no id.
    Credentials(Option<&'a str>),
    /// Whether the task of a container's endpoint is protected from scaling in.
    Protection(&'a str),
    /// Nothing that there is. Tags (`taskWithTags`) are told on EC2 alone.
    Nothing,
}

/// What is told of a container or its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Container,
    ContainerStats,
    Task,
    TaskStats,
}

/// The version of the endpoint. Fargate gives containers the address of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V3,
    V4,
}

/// Takes a path apart.
pub(crate) fn read(path: &str) -> Asked<'_> {
    let mut steps = path.trim_start_matches('/').split('/');
    let version = match (steps.next(), steps.next()) {
        (Some("v4"), id) => (id, Version::V4),
        (Some("v3"), id) => (id, Version::V3),
        (Some("api"), Some(id)) => {
            let is_state = steps.eq(["task-protection", "v1", "state"]);
            return if is_state && !id.is_empty() { Asked::Protection(id) } else { Asked::Nothing };
        }
        (Some("v2"), Some("credentials")) => {
            return Asked::Credentials(steps.next().filter(|id| !id.is_empty()));
        }
        _ => return Asked::Nothing,
    };
    let (Some(id), version) = version else { return Asked::Nothing };
    let rest: Vec<&str> = steps.collect();
    let what = match rest.as_slice() {
        [] => What::Container,
        ["stats"] => What::ContainerStats,
        ["task"] => What::Task,
        ["task", "stats"] => What::TaskStats,
        _ => return Asked::Nothing,
    };
    if id.is_empty() { Asked::Nothing } else { Asked::Container { id, what, version } }
}

/// What ECS's agent says of an id that it does not know; it is also said of another task's.
pub(crate) fn not_found(id: &str, what: What, version: Version) -> String {
    let version = match version {
        Version::V3 => "V3",
        Version::V4 => "V4",
    };
    let (handler, wanted) = match what {
        What::Container => ("container metadata handler", None),
        What::ContainerStats => ("container stats handler", Some("container")),
        What::Task => ("task metadata handler", Some("task")),
        What::TaskStats => ("task stats handler", Some("task")),
    };
    let why = match wanted {
        Some("task") => {
            format!("unable to get task arn from request: unable to get task Arn from v3 endpoint ID: {id}")
        }
        _ => format!(
            "unable to get container ID from request: unable to get docker ID from v3 endpoint ID: {id}"
        ),
    };
    format!("{version} {handler}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_a_container_and_what_is_asked_of_it() {
        let of = |what, version| Asked::Container { id: "a-1", what, version };
        for (path, asked) in [
            ("/v4/a-1", of(What::Container, Version::V4)),
            ("/v4/a-1/task", of(What::Task, Version::V4)),
            ("/v4/a-1/stats", of(What::ContainerStats, Version::V4)),
            ("/v4/a-1/task/stats", of(What::TaskStats, Version::V4)),
            ("/v3/a-1/task", of(What::Task, Version::V3)),
            ("/v2/credentials/b-2", Asked::Credentials(Some("b-2"))),
            ("/v2/credentials/", Asked::Credentials(None)),
            ("/v2/credentials", Asked::Credentials(None)),
            ("/api/a-1/task-protection/v1/state", Asked::Protection("a-1")),
            ("/api//task-protection/v1/state", Asked::Nothing),
            ("/api/a-1/task-protection/v1", Asked::Nothing),
            ("/api/a-1/task-protection/v1/state/", Asked::Nothing),
            ("/api/a-1/fault/v1/network-latency/start", Asked::Nothing),
            ("/v4/a-1/taskWithTags", Asked::Nothing),
            ("/v4/a-1/associations/elastic-inference", Asked::Nothing),
            ("/v4/", Asked::Nothing),
            ("/v4", Asked::Nothing),
            ("/v2/metadata", Asked::Nothing),
            ("/", Asked::Nothing),
            ("", Asked::Nothing),
        ] {
            assert_eq!(read(path), asked, "{path}");
        }
    }

    #[test]
    fn an_unknown_id_is_answered_in_the_words_of_the_agent() {
        assert_eq!(
            not_found("a", What::Task, Version::V4),
            "V4 task metadata handler: unable to get task arn from request: unable to get task Arn from v3 endpoint \
             ID: a"
        );
        assert_eq!(
            not_found("a", What::Container, Version::V4),
            "V4 container metadata handler: unable to get container ID from request: unable to get docker ID from v3 \
             endpoint ID: a"
        );
    }
}
