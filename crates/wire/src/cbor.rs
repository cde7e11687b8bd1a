//! Smithy's RPC v2 protocol with CBOR bodies, between CBOR and the forms that the other protocols have.
//!
//! A request becomes the [`Tree`] that the same document in JSON would become. A response
//! is written by its own serde forms; [`crate::Time`] is a number with tag 1. Source: "Smithy RPC v2 CBOR protocol".

use bytes::Bytes;
use ciborium::Value as Cbor;
use serde::Serialize;
use serde_json::Number;

use crate::decode::DecodeError;
use crate::tree::Tree;

/// Deeper than any AWS shape.
const DEEPEST: usize = 24;

/// Reads a body; an empty one is an empty object.
///
/// # Errors
/// When it is no CBOR, holds bytes (no shape of these services does), or more than one value.
pub(crate) fn read(body: &Bytes) -> Result<Tree, DecodeError> {
    if body.is_empty() {
        return Ok(Tree::Object(Vec::new()));
    }
    let mut rest: &[u8] = body;
    let value: Cbor = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEEPEST)
        .map_err(|_| DecodeError::malformed("the body is not CBOR"))?;
    if !rest.is_empty() {
        return Err(DecodeError::malformed("the body holds more than one value"));
    }
    tree(value)
}

fn tree(value: Cbor) -> Result<Tree, DecodeError> {
    Ok(match value {
        Cbor::Null => Tree::Null,
        Cbor::Bool(value) => Tree::Bool(value),
        Cbor::Text(text) => Tree::String(text),
        Cbor::Integer(number) => {
            let number = i128::from(number);
            let small = i64::try_from(number).map(Number::from);
            let number = small.or_else(|_| u64::try_from(number).map(Number::from));
            Tree::Number(number.map_err(|_| DecodeError::malformed("a number has more than 64 bits"))?)
        }
        // JSON has no such number: its protocols write a text in its place.
        Cbor::Float(number) => match Number::from_f64(number) {
            Some(number) => Tree::Number(number),
            None => Tree::String(number.to_string()),
        },
        Cbor::Tag(1, inner) => match *inner {
            Cbor::Integer(_) | Cbor::Float(_) => tree(*inner)?,
            _ => return Err(DecodeError::malformed("a timestamp is no number")),
        },
        Cbor::Array(items) => Tree::List(items.into_iter().map(tree).collect::<Result<_, _>>()?),
        Cbor::Map(members) => {
            let mut object = Vec::with_capacity(members.len());
            for (name, value) in members {
                let Cbor::Text(name) = name else {
                    return Err(DecodeError::malformed("the name of a member is no text"));
                };
                object.push((name, tree(value)?));
            }
            Tree::Object(object)
        }
        _ => return Err(DecodeError::malformed("a value of this kind stands in no request")),
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
