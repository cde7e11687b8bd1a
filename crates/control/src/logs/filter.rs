//! FilterLogEvents: the events of a group's streams, merged by time, that match a pattern.

use std::sync::Arc;

use ::logs::{Event, Pattern, Position, Reader};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::{ApiError, False, OnlyDefault};

use super::group::{self, LogGroup};
use super::stream::LogStream;
use super::{
    EVENT_OVERHEAD, LARGEST_PAGE, LONGEST_PAGE, allowed, bad_pattern, disk_failed, invalid, limit,
    stream_missing, time_range,
};
use crate::context::Context;
use crate::operation::Disk;

/// How many bytes of events a page looks at; the token that it then has goes on behind them. A page may be empty and
/// have a token, as AWS documents.
const LOOK: u64 = 32 << 20;
/// How many streams a request may name.
const MOST_NAMES: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FilterLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
    /// "The value is ignored and is always true."
    #[serde(rename = "interleaved")]
    _interleaved: Option<bool>,
    #[serde(default, rename = "unmask")]
    _unmask: OnlyDefault<False>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilteredLogEvents {
    events: Vec<FilteredLogEvent>,
    /// "This parameter returns an empty list."
    searched_log_streams: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FilteredLogEvent {
    log_stream_name: String,
    timestamp: i64,
    message: String,
    ingestion_time: i64,
    event_id: String,
}

/// The last event that was looked at: events of all streams are in the order of their times, those of one time in the
/// order of their streams' names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    timestamp: i64,
    stream: String,
    sequence: u64,
}

impl Place {
    fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}:{}:{}", self.timestamp, self.sequence, self.stream))
    }

    fn parse(token: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let mut parts = text.splitn(3, ':');
        Some(Self {
            timestamp: parts.next()?.parse().ok()?,
            sequence: parts.next()?.parse().ok()?,
            stream: parts.next()?.to_owned(),
        })
    }

    /// From where a stream is to be read on.
    fn start(&self, stream: &str) -> Position {
        match stream.cmp(&self.stream) {
            std::cmp::Ordering::Less => Position::at(self.timestamp.saturating_add(1)),
            std::cmp::Ordering::Equal => {
                Position { timestamp: self.timestamp, sequence: self.sequence }.next()
            }
            std::cmp::Ordering::Greater => Position::at(self.timestamp),
        }
    }
}

/// A stream that is read, and its next event.
struct Head {
    stream: Arc<LogStream>,
    reader: Reader,
    next: Event,
}

pub(super) fn filter_log_events(
    rows: &Snapshot,
    context: &Context,
    disk: Disk<'_>,
    request: FilterLogEvents,
) -> Result<FilteredLogEvents, ApiError> {
    let events = disk.events;
    let name = group::named(context, request.log_group_name, request.log_group_identifier)?;
    allowed(rows, context, "FilterLogEvents", &name)?;
    let group = group::get(rows, context, &name)?;
    let pattern = Pattern::parse(&request.filter_pattern.unwrap_or_default()).map_err(bad_pattern)?;
    let most = limit(request.limit, LONGEST_PAGE)?;
    let after = match &request.next_token {
        None => None,
        Some(token) => {
            Some(Place::parse(token).ok_or_else(|| invalid("The specified nextToken is invalid."))?)
        }
    };
    // "Events with a timestamp later than this time are not returned", where GetLogEvents leaves out the end itself.
    let end = request.end_time.map(|end| end.saturating_add(1));
    let range = time_range(&group, context, request.start_time, end)?;
    let names = request.log_stream_names.filter(|names| !names.is_empty());
    let mut heads = Vec::new();
    for stream in streams(rows, &group, names, request.log_stream_name_prefix)? {
        let start = after.as_ref().map_or(range.start, |after| after.start(&stream.name).max(range.start));
        let mut reader = events.read(&stream.id, start..range.end, false).map_err(disk_failed)?;
        if let Some(next) = next(&mut reader)? {
            heads.push(Head { stream, reader, next });
        }
    }
    let (mut page, mut bytes, mut last) = (Vec::new(), 0, after);
    loop {
        let order = |head: &Head| (head.next.position.timestamp, head.stream.name.clone());
        let Some((at, _)) = heads.iter().enumerate().min_by_key(|(_, head)| order(head)) else {
            return Ok(FilteredLogEvents { events: page, searched_log_streams: [], next_token: None });
        };
        let looked: u64 = heads.iter().map(|head| head.reader.bytes_read()).sum();
        let event = &heads[at].next;
        let matches = pattern.matches(&event.message);
        let size = event.message.len() as u64 + EVENT_OVERHEAD;
        let full = page.len() >= most || (matches && bytes + size > LARGEST_PAGE && !page.is_empty());
        if full || (looked > LOOK && last.is_some()) {
            let next_token = last.as_ref().map(Place::token);
            return Ok(FilteredLogEvents { events: page, searched_log_streams: [], next_token });
        }
        let head = &mut heads[at];
        let following = next(&mut head.reader)?;
        let stream = head.stream.clone();
        let event = match following {
            Some(following) => std::mem::replace(&mut head.next, following),
            None => heads.swap_remove(at).next,
        };
        let Position { timestamp, sequence } = event.position;
        last = Some(Place { timestamp, sequence, stream: stream.name.clone() });
        if matches {
            bytes += size;
            page.push(FilteredLogEvent {
                log_stream_name: stream.name.clone(),
                timestamp,
                message: event.message,
                ingestion_time: event.ingested,
                event_id: event_id(&stream, event.position),
            });
        }
    }
}

fn next(reader: &mut Reader) -> Result<Option<Event>, ApiError> {
    reader.next_event().map_err(|cause| disk_failed(cause.into()))
}

/// The streams that a request means, in the order of their names.
fn streams(
    rows: &Snapshot,
    group: &LogGroup,
    names: Option<Vec<String>>,
    prefix: Option<String>,
) -> Result<Vec<Arc<LogStream>>, ApiError> {
    let prefix = prefix.filter(|prefix| !prefix.is_empty());
    let Some(mut names) = names else {
        let key = format!("{}{}", group.prefix(), prefix.unwrap_or_default());
        return Ok(rows.scan::<LogStream>(&key).collect());
    };
    if prefix.is_some() {
        return Err(invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters."));
    }
    if names.len() > MOST_NAMES {
        return Err(invalid(format!("logStreamNames may have at most {MOST_NAMES} members.")));
    }
    names.sort();
    names.dedup();
    let get = |name: String| rows.get::<LogStream>(&format!("{}{name}", group.prefix()));
    names.into_iter().map(|name| get(name).ok_or_else(stream_missing)).collect()
}

/// 56 digits: the time, the event's number in its stream, the stream.
fn event_id(stream: &LogStream, position: Position) -> String {
    let of_stream = u128::from_str_radix(&stream.id, 16).unwrap_or_default() % 10_u128.pow(21);
    format!("{:015}{:020}{of_stream:021}", position.timestamp, position.sequence)
}
