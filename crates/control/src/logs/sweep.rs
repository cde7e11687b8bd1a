//! What has to go: the events of streams that were deleted, and those that retention takes.

use std::collections::BTreeMap;

use ::logs::Error;
use store::{Row, Store};
use types::Timestamp;

use super::group::LogGroup;
use super::stream::LogStream;

/// Deletes events that are kept no longer. To be called now and then.
///
/// # Errors
/// When the disk refuses; the next time goes on.
pub fn sweep(rows: &Store, events: &::logs::Store, now: Timestamp) -> Result<(), Error> {
    // Before the rows are looked at: a stream's row is there before its folder.
    let stored = events.streams()?;
    let rows = rows.snapshot();
    let groups: BTreeMap<String, Option<i64>> =
        rows.scan::<LogGroup>("").map(|group| (group.key(), group.kept_since(now))).collect();
    let streams: BTreeMap<String, String> = rows
        .scan::<LogStream>("")
        .map(|stream| (stream.id.clone(), format!("{}/{}/{}", stream.account, stream.region, stream.group)))
        .collect();
    for id in stored {
        match streams.get(&id) {
            Some(group) => {
                events.expire(&id, groups.get(group).copied().flatten(), now.as_millis())?;
            }
            None => events.remove(&id)?,
        }
    }
    Ok(())
}
