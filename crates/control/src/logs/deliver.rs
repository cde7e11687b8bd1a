//! Events that AWS itself writes: flow logs.

use ::logs::NewEvent;
use store::{Row, Store, Tx};
use types::{AccountId, Region, Timestamp, random_hex};

use super::group::LogGroup;
use super::metric_filter;
use super::stream::LogStream;

/// Why nothing is written.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The rows cannot be written.
    #[error(transparent)]
    Rows(#[from] store::StoreError),
    /// The events cannot be written.
    #[error(transparent)]
    Events(#[from] ::logs::Error),
}

/// Writes events to a stream, which is made if it is not there, and so is the group.
///
/// # Errors
/// When the disk refuses.
pub fn deliver(
    rows: &Store,
    events: &::logs::Store,
    (account, region): (&AccountId, &Region),
    (group, stream): (&str, &str),
    batch: Vec<NewEvent>,
    now: Timestamp,
) -> Result<(), DeliverError> {
    let key = format!("{account}/{region}/{group}:{stream}");
    let known = rows.snapshot().get::<LogStream>(&key).map(|known| known.id.clone());
    let id = match known {
        Some(id) => id,
        None => {
            let (account, region) = (account.clone(), region.clone());
            let (group, stream) = (group.to_owned(), stream.to_owned());
            let made = rows.write(move |rows: &mut Tx| {
                Ok::<_, std::convert::Infallible>(make(rows, account, region, group, stream, now))
            })?;
            let Ok(id) = made;
            id
        }
    };
    let snapshot = rows.snapshot();
    let group = snapshot.get::<LogGroup>(&format!("{account}/{region}/{group}"));
    let measured = group.map(|group| metric_filter::measure(&snapshot, &group, &batch));
    events.append(&id, batch, now.as_millis())?;
    metric_filter::publish(rows, measured.unwrap_or_default());
    Ok(())
}

/// The stream's id.
fn make(
    rows: &mut Tx,
    account: AccountId,
    region: Region,
    group: String,
    name: String,
    now: Timestamp,
) -> String {
    let key = format!("{account}/{region}/{group}");
    if rows.get::<LogGroup>(&key).is_none() {
        rows.put(LogGroup {
            account: account.clone(),
            region: region.clone(),
            name: group.clone(),
            created_at: now,
            retention_in_days: None,
            tags: std::collections::BTreeMap::new(),
        });
    }
    let row = LogStream { account, region, group, name, id: random_hex(24), created_at: now };
    match rows.get::<LogStream>(&row.key()) {
        Some(known) => known.id.clone(),
        None => rows.put(row).id.clone(),
    }
}
