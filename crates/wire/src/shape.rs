//! Reads a [`Tree`] into a request struct: the one serde deserializer that all protocols share.
//!
//! Every request struct is compiled for this deserializer, so that what it does for each of them is kept small. A form's
//! texts are parsed into what the struct wants; a document's values must have that type. An error names its member.

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::decode::DecodeError;
use crate::tree::Tree;

/// Errors are boxed: they are passed up through every level of a request.
type Result<T> = std::result::Result<T, Box<DecodeError>>;

impl Tree {
    fn mismatch(&self, expected: &dyn Expected) -> Box<DecodeError> {
        let unexpected = match self {
            Tree::Null => Unexpected::Unit,
            Tree::Bool(value) => Unexpected::Bool(*value),
            Tree::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Unexpected::Unsigned(number),
                (_, Some(number)) => Unexpected::Signed(number),
                _ => Unexpected::Float(number.as_f64().unwrap_or_default()),
            },
            Tree::Text(text) | Tree::String(text) => Unexpected::Str(text),
            Tree::List(_) => Unexpected::Seq,
            Tree::Branch(_) | Tree::Object(_) => Unexpected::Map,
        };
        Box::invalid_type(unexpected, expected)
    }

    fn into_text(self, expected: &dyn Expected) -> Result<String> {
        match self {
            Tree::Text(text) | Tree::String(text) => Ok(text),
            Tree::Branch(children) if children.is_empty() => Ok(String::new()),
            Tree::Branch(_) => {
                Err(DecodeError::malformed("a structure stands where a value is expected").into())
            }
            other => Err(other.mismatch(expected)),
        }
    }

    fn into_items(self, expected: &dyn Expected) -> Result<Items> {
        let (items, in_document) = match self {
            Tree::List(items) => (items, true),
            Tree::Branch(children) => (Tree::items(children), false),
            // An empty list is spelled with a bare name.
            Tree::Text(text) if text.is_empty() => (Vec::new(), false),
            Tree::Text(value) => return Err(invalid(value)),
            other => return Err(other.mismatch(expected)),
        };
        Ok(Items { rest: items.into_iter(), at: in_document.then_some(0) })
    }

    fn into_members(self, expected: &dyn Expected) -> Result<Members> {
        let members = match self {
            Tree::Branch(members) | Tree::Object(members) => members,
            // An empty structure is spelled with a bare name.
            Tree::Text(text) if text.is_empty() => Vec::new(),
            Tree::Text(value) => return Err(invalid(value)),
            other => return Err(other.mismatch(expected)),
        };
        Ok(Members { rest: members.into_iter(), current: None })
    }
}

fn invalid(value: String) -> Box<DecodeError> {
    Box::new(DecodeError::Invalid { member: String::new(), value })
}

macro_rules! scalars {
    ($($method:ident => $visit:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            if !matches!(self, Tree::Text(_) | Tree::Branch(_)) {
                return self.deserialize_any(visitor);
            }
            let text = self.into_text(&visitor)?;
            visitor.$visit(text.parse().map_err(|_| invalid(text))?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tree {
    type Error = Box<DecodeError>;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(value),
            Tree::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (_, Some(number)) => visitor.visit_i64(number),
                _ => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            },
            Tree::Text(text) | Tree::String(text) => visitor.visit_string(text),
            Tree::List(_) => self.deserialize_seq(visitor),
            Tree::Branch(_) | Tree::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let text = self.into_text(&visitor)?;
        visitor.visit_string(text)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let items = self.into_items(&visitor)?;
        visitor.visit_seq(items)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let members = self.into_members(&visitor)?;
        visitor.visit_map(members)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if matches!(self, Tree::List(_)) {
            // serde would take it for the struct's members in their order.
            return Err(DecodeError::malformed("a list stands where an object is expected").into());
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Tree::Null => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    /// No request has a union that is not a struct of optional members: an enum is one of the known texts.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(self.into_text(&"a string")?.into_deserializer())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    scalars! {
        deserialize_bool => visit_bool, deserialize_f32 => visit_f32, deserialize_f64 => visit_f64,
        deserialize_i8 => visit_i8, deserialize_i16 => visit_i16, deserialize_i32 => visit_i32,
        deserialize_i64 => visit_i64, deserialize_u8 => visit_u8, deserialize_u16 => visit_u16,
        deserialize_u32 => visit_u32, deserialize_u64 => visit_u64
    }
    forward_to_deserialize_any! { i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier }
}

struct Items {
    rest: std::vec::IntoIter<Tree>,
    /// In a document, which one is next. Forms name the list alone.
    at: Option<usize>,
}

impl<'de> de::SeqAccess<'de> for Items {
    type Error = Box<DecodeError>;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(item) = self.rest.next() else { return Ok(None) };
        let at = self.at;
        self.at = at.map(|at| at + 1);
        match (seed.deserialize(item), at) {
            (Ok(value), _) => Ok(Some(value)),
            (Err(error), Some(at)) => Err(error.within(&format!("[{at}]"))),
            (Err(error), None) => Err(error),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Members {
    rest: std::vec::IntoIter<(String, Tree)>,
    current: Option<(String, Tree)>,
}

impl<'de> de::MapAccess<'de> for Members {
    type Error = Box<DecodeError>;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.current = self.rest.next();
        let Some((name, _)) = &self.current else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        match self.current.take() {
            Some((name, value)) => seed.deserialize(value).map_err(|error| error.within(&name)),
            None => Err(Box::custom("a value was asked for before its name")),
        }
    }
}
