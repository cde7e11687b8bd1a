//! CBOR, the bodies of Smithy's RPC v2 protocol.
//!
//! A request becomes the [`Tree`] that the same document in JSON would become. A response is written by `writer.rs` of the
//! pieces that are here; [`crate::Time`] is a number with tag 1. Source: "Smithy RPC v2 CBOR protocol".

use bytes::Bytes;
use ciborium::Value as Cbor;
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

/// The major types of heads.
pub(crate) const UNSIGNED: u8 = 0x00;
pub(crate) const NEGATIVE: u8 = 0x20;
const TEXT: u8 = 0x60;
pub(crate) const ARRAY: u8 = 0x80;
pub(crate) const MAP: u8 = 0xa0;
pub(crate) const TAG: u8 = 0xc0;
/// Whole values.
pub(crate) const FALSE: u8 = 0xf4;
pub(crate) const TRUE: u8 = 0xf5;
pub(crate) const NULL: u8 = 0xf6;
/// Ends an array or a map without a length.
pub(crate) const BREAK: u8 = 0xff;

/// What a value begins with: its major type, and a number in as few bytes as it fits in. Source: RFC 8949, section 3.
#[allow(clippy::cast_possible_truncation, reason = "each fits")]
pub(crate) fn head(major: u8, number: u64, out: &mut Vec<u8>) {
    match number {
        0..24 => out.push(major | number as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, number as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(number as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// An array's or a map's beginning, with the number of its items or entries where it is known.
pub(crate) fn open(major: u8, length: Option<usize>, out: &mut Vec<u8>) {
    match length {
        Some(length) => head(major, length as u64, out),
        None => out.push(major | 31),
    }
}

/// A text.
pub(crate) fn text(text: &str, out: &mut Vec<u8>) {
    head(TEXT, text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// A double.
pub(crate) fn float(number: f64, out: &mut Vec<u8>) {
    out.push(0xfb);
    out.extend_from_slice(&number.to_be_bytes());
}
