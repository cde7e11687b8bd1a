//! GetLogEvents.

use ::logs::{Event, Position};
use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::{ApiError, False, OnlyDefault};

use super::{
    EVENT_OVERHEAD, LARGEST_PAGE, LONGEST_PAGE, allowed_on_stream, disk_failed, group, invalid, limit,
    stream, time_range,
};
use crate::context::Context;
use crate::operation::Disk;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GetLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<i64>,
    start_from_head: Option<bool>,
    #[serde(default, rename = "unmask")]
    _unmask: OnlyDefault<False>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogEvents {
    events: Vec<OutputLogEvent>,
    next_forward_token: String,
    next_backward_token: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputLogEvent {
    timestamp: i64,
    message: String,
    ingestion_time: i64,
}

/// Which way a token goes on, and from where: forwards from the first position there could be next, backwards up to, not
/// including, the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Forward(Position),
    Backward(Position),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (way, Position { timestamp, sequence }) = match self {
            Token::Forward(position) => ('f', position),
            Token::Backward(position) => ('b', position),
        };
        write!(f, "{way}/{timestamp:019}{sequence:037}/s")
    }
}

impl Token {
    fn parse(text: &str) -> Option<Self> {
        let (way, digits) = text.strip_suffix("/s")?.split_once('/')?;
        if digits.len() != 56 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let position =
            Position { timestamp: digits[..19].parse().ok()?, sequence: digits[19..].parse().ok()? };
        match way {
            "f" => Some(Token::Forward(position)),
            "b" => Some(Token::Backward(position)),
            _ => None,
        }
    }
}

pub(super) fn get_log_events(
    rows: &Snapshot,
    context: &Context,
    disk: Disk<'_>,
    request: GetLogEvents,
) -> Result<LogEvents, ApiError> {
    let events = disk.events;
    let name = group::named(context, request.log_group_name, request.log_group_identifier)?;
    allowed_on_stream(rows, context, "GetLogEvents", &name, &request.log_stream_name)?;
    let most = limit(request.limit, LONGEST_PAGE)?;
    let (group, stream) = stream::get(rows, context, &name, &request.log_stream_name)?;
    let mut range = time_range(&group, context, request.start_time, request.end_time)?;
    let token = match &request.next_token {
        None => None,
        Some(token) => {
            Some(Token::parse(token).ok_or_else(|| invalid("The specified nextToken is invalid."))?)
        }
    };
    let backwards = match token {
        Some(Token::Forward(from)) => {
            range.start = range.start.max(from);
            false
        }
        Some(Token::Backward(to)) => {
            range.end = range.end.min(to);
            true
        }
        None => !request.start_from_head.unwrap_or(false),
    };
    let mut reader = events.read(&stream.id, range.clone(), backwards).map_err(disk_failed)?;
    let (mut page, mut bytes) = (Vec::<Event>::new(), 0);
    while page.len() < most {
        let Some(event) = reader.next_event().map_err(|cause| disk_failed(cause.into()))? else { break };
        bytes += event.message.len() as u64 + EVENT_OVERHEAD;
        if bytes > LARGEST_PAGE && !page.is_empty() {
            break;
        }
        page.push(event);
    }
    if backwards {
        page.reverse();
    }
    // At the end the token that was given comes again ("GetLogEvents").
    let (first, last) = match (page.first(), page.last(), token) {
        (Some(first), Some(last), _) => (first.position, last.position.next()),
        (_, _, Some(Token::Forward(at) | Token::Backward(at))) => (at, at),
        _ => (range.start, range.start),
    };
    let events = page.into_iter().map(|event| OutputLogEvent {
        timestamp: event.position.timestamp,
        message: event.message,
        ingestion_time: event.ingested,
    });
    Ok(LogEvents {
        events: events.collect(),
        next_forward_token: Token::Forward(last).to_string(),
        next_backward_token: Token::Backward(first).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_is_read_as_it_was_written(timestamp in 0..i64::MAX, sequence: u64, forward: bool) {
            let position = Position { timestamp, sequence };
            let token = if forward { Token::Forward(position) } else { Token::Backward(position) };
            prop_assert_eq!(Token::parse(&token.to_string()), Some(token));
        }
    }

    #[test]
    fn a_foreign_token_is_refused() {
        for token in ["", "f/1/s", "x/00000000000000000000000000000000000000000000000000000001/s"] {
            assert_eq!(Token::parse(token), None);
        }
    }
}
