//! What the protocols write in different ways: timestamps and maps.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use types::Timestamp;

/// How the writer knows a [`Time`].
pub(crate) const TIME: &str = "$wire::Time";
/// How the writer knows [`Entries`].
pub(crate) const ENTRIES: &str = "$wire::Entries";

/// A timestamp of a request or response that is spoken in several protocols: ISO 8601 in XML and forms, seconds since
/// 1970 in JSON, the same with tag 1 in CBOR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Timestamp);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(TIME, &self.0.epoch_seconds())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl de::Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a timestamp")
    }

    #[allow(clippy::cast_possible_truncation, reason = "checked to fit")]
    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Time, E> {
        // The end of the year 9999, in which ISO 8601 ends.
        if !(0.0..253_402_300_800.0).contains(&seconds) {
            return Err(E::custom(format!("{seconds} is not a timestamp")));
        }
        Ok(Time(Timestamp::from_millis((seconds * 1000.0).round() as i64)))
    }

    #[allow(clippy::cast_precision_loss, reason = "what is larger than a double's digits is refused")]
    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Time, E> {
        self.visit_f64(seconds as f64)
    }

    #[allow(clippy::cast_precision_loss, reason = "what is larger than a double's digits is refused")]
    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Time, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
        if let Ok(seconds) = text.parse::<f64>() {
            return self.visit_f64(seconds);
        }
        // The AWS CLI writes an offset, SDKs write Z; a time without either is UTC.
        let parsed = OffsetDateTime::parse(text, &Rfc3339)
            .or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339))
            .map_err(|_| E::custom(format!("'{text}' is not a timestamp")))?;
        let millis = i64::try_from(parsed.unix_timestamp_nanos() / 1_000_000);
        Ok(Time(Timestamp::from_millis(millis.map_err(E::custom)?)))
    }
}

/// A map of a response: an object in JSON and CBOR, `entry` elements in XML.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries<V>(pub BTreeMap<String, V>);

impl<V: Serialize> Serialize for Entries<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(ENTRIES, &self.0)
    }
}
