//! Log events that did not reach CloudWatch Logs, in words: pure.

use desired::ContainerStatus;

/// A container's: how many, why, and what helps.
pub fn of(container: &ContainerStatus) -> impl Iterator<Item = String> {
    let counted = |events: u64| match events {
        1 => "1 log event was".to_owned(),
        events => format!("{events} log events were"),
    };
    let dropped = (container.dropped_events > 0).then(|| {
        format!("{} dropped, coming faster than they could be sent", counted(container.dropped_events))
    });
    let refused = (container.refused_events > 0).then(|| {
        let because = container.refused_because.as_deref().unwrap_or_default();
        let code = because.split(':').next().unwrap_or_default();
        let remedy = match code {
            "ResourceNotFoundException" => {
                "; a task makes its log stream when it starts: create the log group if it is gone, and start the task again"
            }
            "AccessDeniedException" => "; allow logs:PutLogEvents in the policies of the task's execution role",
            _ => "",
        };
        let counted = counted(container.refused_events);
        format!("{counted} lost, refused by CloudWatch Logs: {}{remedy}", because.trim_end_matches('.'))
    });
    dropped.into_iter().chain(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_told_apart_from_what_is_dropped_with_reason_and_remedy() {
        let lost = |dropped, refused, because: &str| {
            let status = ContainerStatus {
                dropped_events: dropped,
                refused_events: refused,
                refused_because: Some(because.to_owned()).filter(|because| !because.is_empty()),
                ..ContainerStatus::default()
            };
            of(&status).collect::<Vec<_>>()
        };
        assert_eq!(lost(0, 0, ""), [""; 0]);
        assert_eq!(lost(18, 0, ""), ["18 log events were dropped, coming faster than they could be sent"]);
        assert_eq!(
            lost(1, 18, "ResourceNotFoundException: The specified log group does not exist."),
            [
                "1 log event was dropped, coming faster than they could be sent",
                "18 log events were lost, refused by CloudWatch Logs: ResourceNotFoundException: The specified log group \
                 does not exist; a task makes its log stream when it starts: create the log group if it is gone, and start \
                 the task again",
            ]
        );
        let denied = lost(0, 1, "AccessDeniedException: no");
        assert!(
            denied[0].ends_with("no; allow logs:PutLogEvents in the policies of the task's execution role")
        );
        assert_eq!(
            lost(0, 1, "InvalidParameterException: no"),
            ["1 log event was lost, refused by CloudWatch Logs: InvalidParameterException: no"]
        );
    }
}
