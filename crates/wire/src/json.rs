//! A document in JSON as a [`Tree`].

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use crate::decode::{DecodeError, prepend};
use crate::tree::Tree;

/// Reads a body; an empty one is an empty object.
///
/// # Errors
/// When it is no JSON, or more than one value: with the member that is cut off.
pub(crate) fn read(body: &[u8]) -> Result<Tree, DecodeError> {
    if body.is_empty() {
        return Ok(Tree::Object(Vec::new()));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut member = String::new();
    let tree = Reader { failed: &mut member }.deserialize(&mut json).map_err(|error| {
        let text = error.to_string();
        let why = text.split(" at line ").next().unwrap_or_default().to_owned();
        DecodeError::Malformed { member, why }
    })?;
    json.end().map_err(|error| DecodeError::malformed(error.to_string()))?;
    Ok(tree)
}

/// Reads one value; where that fails, `failed` is its path.
struct Reader<'a> {
    failed: &'a mut String,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Tree, E> {
        Number::from_f64(number).map(Tree::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        loop {
            match list.next_element_seed(Reader { failed: &mut *self.failed }) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => return Ok(Tree::List(items)),
                Err(error) => {
                    prepend(self.failed, &format!("[{}]", items.len()));
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = object.next_key::<String>()? {
            match object.next_value_seed(Reader { failed: &mut *self.failed }) {
                Ok(value) => members.push((name, value)),
                Err(error) => {
                    prepend(self.failed, &name);
                    return Err(error);
                }
            }
        }
        Ok(Tree::Object(members))
    }
}
