//! Log streams.

use std::cmp::Reverse;
use std::sync::Arc;

use ::logs::Summary;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region, Timestamp, random_hex};
use wire::ApiError;

use super::group::{self, LogGroup};
use super::{Done, allowed, allowed_on_stream, disk_failed, invalid, limit, stream_missing, violated};
use crate::context::Context;
use crate::operation::Disk;

/// A log stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogStream {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// The group that it belongs to.
    pub group: String,
    /// Its name, unique in the group.
    pub name: String,
    /// Under what its events are stored. A stream that is made again has another one.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Row for LogStream {
    const TABLE: &'static str = "logs_stream";

    fn key(&self) -> String {
        format!("{}/{}/{}:{}", self.account, self.region, self.group, self.name)
    }
}

/// The stream that a request names.
///
/// # Errors
/// When it or its group does not exist.
pub(super) fn get(
    rows: &Snapshot,
    context: &Context,
    group: &str,
    name: &str,
) -> Result<(Arc<LogGroup>, Arc<LogStream>), ApiError> {
    let group = group::get(rows, context, group)?;
    let stream = rows.get::<LogStream>(&format!("{}{name}", group.prefix())).ok_or_else(stream_missing)?;
    Ok((group, stream))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OneStream {
    log_group_name: String,
    log_stream_name: String,
}

pub(super) fn create_log_stream(
    rows: &mut Tx,
    context: &Context,
    request: OneStream,
) -> Result<Done, ApiError> {
    let OneStream { log_group_name, log_stream_name: name } = request;
    allowed_on_stream(rows, context, "CreateLogStream", &log_group_name, &name)?;
    if name.is_empty() || name.chars().count() > 512 {
        let constraint = "Member must have length between 1 and 512, inclusive";
        return Err(violated(name, "logStreamName", constraint));
    }
    if name.contains([':', '*']) {
        let constraint = "Member must satisfy regular expression pattern: [^:*]*";
        return Err(violated(name, "logStreamName", constraint));
    }
    let group = group::get(rows, context, &log_group_name)?;
    if rows.get::<LogStream>(&format!("{}{name}", group.prefix())).is_some() {
        return Err(ApiError::new(
            "ResourceAlreadyExistsException",
            "The specified log stream already exists",
        ));
    }
    rows.put(LogStream {
        account: context.account.clone(),
        region: context.region.clone(),
        group: group.name.clone(),
        name,
        id: random_hex(24),
        created_at: context.now,
    });
    Ok(Done {})
}

/// Deletes a stream; its events follow, see [`super::sweep`].
pub(super) fn delete_log_stream(
    rows: &mut Tx,
    context: &Context,
    request: OneStream,
) -> Result<Done, ApiError> {
    let OneStream { log_group_name, log_stream_name: name } = request;
    allowed_on_stream(rows, context, "DeleteLogStream", &log_group_name, &name)?;
    let (_, stream) = get(rows, context, &log_group_name, &name)?;
    rows.delete::<LogStream>(&stream.key());
    Ok(Done {})
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
enum OrderBy {
    #[default]
    LogStreamName,
    LastEventTime,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeLogStreams {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<OrderBy>,
    descending: Option<bool>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogStreams {
    log_streams: Vec<StreamView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamView {
    log_stream_name: String,
    creation_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_event_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_ingestion_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_sequence_token: Option<String>,
    arn: String,
    stored_bytes: u64,
}

/// Where a stream is in a listing.
type Place = (i64, String);

pub(super) fn describe_log_streams(
    rows: &Snapshot,
    context: &Context,
    disk: Disk<'_>,
    request: DescribeLogStreams,
) -> Result<LogStreams, ApiError> {
    let events = disk.events;
    let name = group::named(context, request.log_group_name, request.log_group_identifier)?;
    allowed(rows, context, "DescribeLogStreams", &name)?;
    let group = group::get(rows, context, &name)?;
    let prefix = request.log_stream_name_prefix.filter(|prefix| !prefix.is_empty());
    let by_time = request.order_by.unwrap_or_default() == OrderBy::LastEventTime;
    if by_time && prefix.is_some() {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let most = limit(request.limit, 50)?;
    let after = match request.next_token {
        None => None,
        Some(token) => Some(place_of(&token).ok_or_else(|| invalid("The specified nextToken is invalid."))?),
    };
    let key = format!("{}{}", group.prefix(), prefix.unwrap_or_default());
    let mut all: Vec<(Place, Arc<LogStream>)> = Vec::new();
    for stream in rows.scan::<LogStream>(&key) {
        let time = if by_time { events.summary(&stream.id).map_err(disk_failed)?.last } else { None };
        all.push(((time.unwrap_or(0), stream.name.clone()), stream));
    }
    let descending = request.descending.unwrap_or(false);
    if descending {
        all.sort_by(|a, b| Reverse(&a.0).cmp(&Reverse(&b.0)));
    } else {
        all.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let mut rest = all.into_iter().filter(|(place, _)| {
        after.as_ref().is_none_or(|after| if descending { place < after } else { place > after })
    });
    let page: Vec<(Place, Arc<LogStream>)> = rest.by_ref().take(most).collect();
    let next_token = rest
        .next()
        .and(page.last())
        .map(|((time, name), _)| URL_SAFE_NO_PAD.encode(format!("{time}:{name}")));
    let views = page
        .into_iter()
        .map(|(_, stream)| Ok(view(&group, &stream, events.summary(&stream.id).map_err(disk_failed)?)));
    Ok(LogStreams { log_streams: views.collect::<Result<_, ApiError>>()?, next_token })
}

fn place_of(token: &str) -> Option<Place> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (time, name) = text.split_once(':')?;
    Some((time.parse().ok()?, name.to_owned()))
}

fn view(group: &LogGroup, stream: &LogStream, summary: Summary) -> StreamView {
    StreamView {
        log_stream_name: stream.name.clone(),
        creation_time: stream.created_at.as_millis(),
        first_event_timestamp: summary.first,
        last_event_timestamp: summary.last,
        last_ingestion_time: summary.last_ingested,
        upload_sequence_token: Some(super::put::sequence_token(stream)),
        arn: format!("{}:log-stream:{}", group.arn(), stream.name),
        // "From June 17, 2019, this parameter is no longer supported for log streams, and is always reported as zero."
        stored_bytes: 0,
    }
}
