//! PutLogEvents.

use ::logs::NewEvent;
use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::{ApiError, Empty, OnlyDefault};

use super::metric_filter;
use super::stream::{self, LogStream};
use super::{EVENT_OVERHEAD, allowed_on_stream, disk_failed, invalid, violated};
use crate::context::Context;
use crate::operation::Disk;

/// The largest batch, in bytes, and the largest event.
const LARGEST: u64 = 1 << 20;
/// The most events of a batch.
const MOST: usize = 10_000;

const HOUR: i64 = 3600 * 1000;
/// The longest time from a batch's first valid event to its last.
const SPAN: i64 = 24 * HOUR;
/// How old an event may be.
const OLDEST: i64 = 14 * 24 * HOUR;
/// How far ahead an event may be.
const AHEAD: i64 = 2 * HOUR;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PutLogEvents {
    log_group_name: String,
    log_stream_name: String,
    log_events: Vec<InputLogEvent>,
    /// "The sequence token is now ignored in PutLogEvents actions."
    #[serde(rename = "sequenceToken")]
    _sequence_token: Option<String>,
    #[serde(default, rename = "entity")]
    _entity: OnlyDefault<Empty>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputLogEvent {
    timestamp: i64,
    message: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutLogEventsResponse {
    next_sequence_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_log_events_info: Option<Rejected>,
}

/// Which events of a batch were not taken.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rejected {
    /// From this one on they are too new.
    #[serde(skip_serializing_if = "Option::is_none")]
    too_new_log_event_start_index: Option<usize>,
    /// Those before this one are too old.
    #[serde(skip_serializing_if = "Option::is_none")]
    too_old_log_event_end_index: Option<usize>,
    /// Those before this one are older than the group keeps events.
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_log_event_end_index: Option<usize>,
}

/// The token that is given out and not asked for any more.
pub(super) fn sequence_token(stream: &LogStream) -> String {
    let number = u128::from_str_radix(&stream.id, 16).unwrap_or_default();
    format!("{number:056}")
}

pub(super) fn put_log_events(
    rows: &Snapshot,
    context: &Context,
    disk: Disk<'_>,
    request: PutLogEvents,
) -> Result<PutLogEventsResponse, ApiError> {
    let events = disk.events;
    allowed_on_stream(rows, context, "PutLogEvents", &request.log_group_name, &request.log_stream_name)?;
    let batch = request.log_events;
    check(&batch)?;
    let (group, stream) = stream::get(rows, context, &request.log_group_name, &request.log_stream_name)?;
    let now = context.now.as_millis();
    let (valid, rejected) = sort_out(&batch, now, group.kept_since(context.now));
    if let [first, .., last] = &batch[valid.clone()]
        && last.timestamp - first.timestamp > SPAN
    {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    let taken = batch.into_iter().skip(valid.start).take(valid.len());
    let taken: Vec<NewEvent> =
        taken.map(|event| NewEvent { timestamp: event.timestamp, message: event.message }).collect();
    if !taken.is_empty() {
        let measured = metric_filter::measure(rows, &group, &taken);
        events.append(&stream.id, taken, now).map_err(disk_failed)?;
        metric_filter::publish(disk.rows, measured);
    }
    let rejected = (rejected != Rejected::default()).then_some(rejected);
    Ok(PutLogEventsResponse {
        next_sequence_token: sequence_token(&stream),
        rejected_log_events_info: rejected,
    })
}

/// What refuses a batch whole.
fn check(batch: &[InputLogEvent]) -> Result<(), ApiError> {
    if batch.is_empty() || batch.len() > MOST {
        let constraint = if batch.is_empty() {
            "Member must have length greater than or equal to 1".to_owned()
        } else {
            format!("Member must have length less than or equal to {MOST}")
        };
        return Err(violated(format!("{} log events", batch.len()), "logEvents", &constraint));
    }
    let mut size = 0;
    for (event, number) in batch.iter().zip(1..) {
        if event.timestamp < 0 {
            let member = format!("logEvents.{number}.member.timestamp");
            return Err(violated(
                event.timestamp,
                &member,
                "Member must have value greater than or equal to 0",
            ));
        }
        if event.message.is_empty() {
            let member = format!("logEvents.{number}.member.message");
            return Err(violated("", &member, "Member must have length greater than or equal to 1"));
        }
        let bytes = event.message.len() as u64 + EVENT_OVERHEAD;
        if bytes > LARGEST {
            return Err(invalid(format!("Log event too large: {bytes} bytes exceeds limit of {LARGEST}")));
        }
        size += bytes;
    }
    if size > LARGEST {
        return Err(invalid(format!("Upload too large: {size} bytes exceeds limit of {LARGEST}")));
    }
    if !batch.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    Ok(())
}

/// Which events of a batch in order are taken, and which are not.
fn sort_out(
    batch: &[InputLogEvent],
    now: i64,
    kept_since: Option<i64>,
) -> (std::ops::Range<usize>, Rejected) {
    let before = |time: i64| batch.partition_point(|event| event.timestamp < time);
    let old = before(now - OLDEST);
    let expired = kept_since.map_or(0, before);
    let new = batch.partition_point(|event| event.timestamp <= now + AHEAD);
    let rejected = Rejected {
        too_new_log_event_start_index: (new < batch.len()).then_some(new),
        too_old_log_event_end_index: (old > 0).then_some(old),
        expired_log_event_end_index: (expired > 0).then_some(expired),
    };
    let start = old.max(expired);
    (start..new.max(start), rejected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(times: &[i64]) -> Vec<InputLogEvent> {
        times.iter().map(|&timestamp| InputLogEvent { timestamp, message: "x".to_owned() }).collect()
    }

    #[test]
    fn what_is_too_old_or_too_new_is_told_apart() {
        let now = 100 * SPAN;
        let times = [now - 20 * SPAN, now - 10 * SPAN, now, now + AHEAD, now + AHEAD + 1];
        let (valid, rejected) = sort_out(&batch(&times), now, None);
        assert_eq!(valid, 1..4);
        let want = Rejected {
            too_new_log_event_start_index: Some(4),
            too_old_log_event_end_index: Some(1),
            expired_log_event_end_index: None,
        };
        assert_eq!(rejected, want);
        let (valid, rejected) = sort_out(&batch(&times), now, Some(now - SPAN));
        assert_eq!((valid, rejected.expired_log_event_end_index), (2..4, Some(2)));
        assert_eq!(sort_out(&batch(&times[..1]), now, None).0, 1..1);
    }

    #[test]
    fn a_batch_that_breaks_a_limit_is_refused_whole() {
        let refused = |batch: &[InputLogEvent]| check(batch).unwrap_err().message;
        assert!(refused(&batch(&[2, 1])).contains("must be in chronological order"));
        assert!(refused(&batch(&vec![1; MOST + 1])).contains("less than or equal to 10000"));
        assert!(refused(&[]).contains("greater than or equal to 1"));
        let large = |length| InputLogEvent { timestamp: 1, message: "x".repeat(length) };
        assert_eq!(check(&[large((1 << 20) - 26)]), Ok(()));
        assert_eq!(
            refused(&[large((1 << 20) - 25)]),
            "Log event too large: 1048577 bytes exceeds limit of 1048576"
        );
        assert!(refused(&[large(600_000), large(600_000)]).starts_with("Upload too large: 1200052 bytes"));
    }
}
