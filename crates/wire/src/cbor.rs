//! Smithy's RPC v2 protocol with CBOR bodies, between CBOR and the forms that the other protocols have.
//!
//! A request becomes the JSON document that says the same, so that one decoder names what is wrong in it. A response
//! is written by its own serde forms; [`crate::Time`] is a number with tag 1. Source: "Smithy RPC v2 CBOR protocol".

use bytes::Bytes;
use ciborium::Value as Cbor;
use serde::Serialize;
use serde_json::{Map, Number, Value};

use crate::decode::DecodeError;

/// Deeper than any AWS shape.
const DEEPEST: usize = 24;

/// A body as the JSON document that says the same; an empty one is an empty structure.
///
/// # Errors
/// When it is no CBOR, holds bytes (no shape of these services does), or more than one value.
pub(crate) fn to_json(body: &Bytes) -> Result<Value, DecodeError> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let mut rest: &[u8] = body;
    let value: Cbor = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEEPEST)
        .map_err(|_| malformed("the body is not CBOR"))?;
    if !rest.is_empty() {
        return Err(malformed("the body holds more than one value"));
    }
    json(value)
}

fn json(value: Cbor) -> Result<Value, DecodeError> {
    Ok(match value {
        Cbor::Null => Value::Null,
        Cbor::Bool(value) => Value::Bool(value),
        Cbor::Text(text) => Value::String(text),
        Cbor::Integer(number) => {
            let number = i128::from(number);
            let small = i64::try_from(number).map(Number::from);
            let number = small.or_else(|_| u64::try_from(number).map(Number::from));
            Value::Number(number.map_err(|_| malformed("a number has more than 64 bits"))?)
        }
        // JSON has no such number: its protocols write a text in its place.
        Cbor::Float(number) => match Number::from_f64(number) {
            Some(number) => Value::Number(number),
            None => Value::String(number.to_string()),
        },
        Cbor::Tag(1, inner) => match *inner {
            Cbor::Integer(_) | Cbor::Float(_) => json(*inner)?,
            _ => return Err(malformed("a timestamp is no number")),
        },
        Cbor::Array(items) => Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        Cbor::Map(members) => {
            let mut object = Map::new();
            for (name, value) in members {
                let Cbor::Text(name) = name else { return Err(malformed("the name of a member is no text")) };
                object.insert(name, json(value)?);
            }
            Value::Object(object)
        }
        _ => return Err(malformed("a value of this kind stands in no request")),
    })
}

/// A response or an error.
///
/// # Errors
/// When it has no form in CBOR: an error of the program.
pub(crate) fn write<T: Serialize>(response: &T) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    ciborium::into_writer(response, &mut body).map_err(|error| error.to_string())?;
    Ok(body)
}

fn malformed(why: &str) -> DecodeError {
    DecodeError::Malformed(why.to_owned())
}
