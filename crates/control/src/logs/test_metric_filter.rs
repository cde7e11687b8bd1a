//! TestMetricFilter: a pattern held against messages, without a group.

use std::collections::BTreeMap;

use ::logs::Pattern;
use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use super::{allowed, bad_pattern, violated};
use crate::context::Context;

/// How many messages a request may have.
const MOST: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TestMetricFilter {
    filter_pattern: String,
    log_event_messages: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Matches {
    matches: Vec<Match>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Match {
    event_number: usize,
    event_message: String,
    extracted_values: BTreeMap<String, String>,
}

pub(super) fn test_metric_filter(
    rows: &Snapshot,
    context: &Context,
    request: TestMetricFilter,
) -> Result<Matches, ApiError> {
    allowed(rows, context, "TestMetricFilter", "")?;
    let pattern = Pattern::parse(&request.filter_pattern).map_err(bad_pattern)?;
    let messages = request.log_event_messages;
    if messages.is_empty() || messages.len() > MOST {
        let constraint = format!("Member must have length between 1 and {MOST}, inclusive");
        return Err(violated(format!("{} messages", messages.len()), "logEventMessages", &constraint));
    }
    let numbered = messages.into_iter().zip(1..).filter(|(message, _)| pattern.matches(message));
    let matches = numbered.map(|(message, number)| Match {
        event_number: number,
        extracted_values: pattern.extract(&message),
        event_message: message,
    });
    Ok(Matches { matches: matches.collect() })
}
