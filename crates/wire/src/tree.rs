//! The request tree of the query protocols, and the serde deserializer that walks it.
//!
//! `Tag.1.Key=a&Tag.1.Value=b` becomes a tree by its dots. A list is a branch whose children are numbered, with a
//! level `member` (or the item's own name) between in awsQuery. Source: the Smithy specifications of the awsQuery
//! and ec2Query protocols.

use std::collections::HashMap;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::decode::DecodeError;

/// More parameters than any AWS call takes; a request beyond it is refused before it costs time.
const MOST_PARAMETERS: usize = 5_000;
/// Deeper than any AWS shape.
const DEEPEST: usize = 12;

/// A parsed request: a text, or named children in request order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// A value.
    Text(String),
    /// A structure or a list.
    Branch(Vec<(String, Tree)>),
}

impl Tree {
    /// Parses an awsQuery body: `Tags.member.1.Key=Name`.
    ///
    /// # Errors
    /// When it has too many parameters or too deep ones, or one is a value and a structure at once.
    pub fn from_query(body: &[u8]) -> Result<Tree, DecodeError> {
        Tree::from_pairs(body, str::to_owned)
    }

    /// Parses an ec2Query body, where `VpcId` on the way in is `vpcId` on the way out: member names begin with a
    /// small letter in the tree, so that one struct serves both ways.
    ///
    /// # Errors
    /// As [`Tree::from_query`].
    pub fn from_ec2_query(body: &[u8]) -> Result<Tree, DecodeError> {
        Tree::from_pairs(body, |segment| {
            let mut chars = segment.chars();
            chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
        })
    }

    fn from_pairs(body: &[u8], name: impl Fn(&str) -> String) -> Result<Tree, DecodeError> {
        let mut root = Growing::default();
        for (count, (key, value)) in form_urlencoded::parse(body).enumerate() {
            if count >= MOST_PARAMETERS {
                return Err(DecodeError::Malformed(format!("more than {MOST_PARAMETERS} parameters")));
            }
            if key.split('.').count() > DEEPEST {
                return Err(DecodeError::Malformed(format!("a parameter has more than {DEEPEST} levels")));
            }
            let leaf = key.split('.').fold(&mut root, |node, segment| node.child(&name(segment)));
            if leaf.text.replace(value.into_owned()).is_some() {
                return Err(DecodeError::Malformed(format!("the parameter {key} is given twice")));
            }
        }
        root.finish("")
    }

    /// Removes the direct child of this name that is a text: the protocol's own `Action` and `Version`.
    pub fn take_text(&mut self, name: &str) -> Option<String> {
        let Tree::Branch(children) = self else { return None };
        let at = children.iter().position(|(key, value)| key == name && matches!(value, Tree::Text(_)))?;
        match children.remove(at).1 {
            Tree::Text(text) => Some(text),
            Tree::Branch(_) => None,
        }
    }

    /// Reads the tree into a request struct.
    ///
    /// # Errors
    /// When a member is missing, unknown or of another form.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, DecodeError> {
        T::deserialize(self)
    }

    /// The items of a list, whichever way the protocol spells it: `X.1`, `X.member.1`, `X.Name.1`.
    fn into_items(self) -> Vec<Tree> {
        let Tree::Branch(mut children) = self else { return Vec::new() };
        if let [(name, Tree::Branch(inner))] = children.as_slice()
            && !is_index(name)
            && !inner.is_empty()
            && inner.iter().all(|(key, _)| is_index(key))
        {
            return children.remove(0).1.into_items();
        }
        children.sort_by_key(|(key, _)| key.parse::<u32>().unwrap_or(0));
        children.into_iter().map(|(_, item)| item).collect()
    }

    fn into_text(self) -> Result<String, DecodeError> {
        match self {
            Tree::Text(text) => Ok(text),
            Tree::Branch(children) if children.is_empty() => Ok(String::new()),
            Tree::Branch(_) => {
                Err(DecodeError::Malformed("a structure stands where a value is expected".to_owned()))
            }
        }
    }
}

fn is_index(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit())
}

/// A tree while parameters are still being added; finds children by name in constant time.
#[derive(Default)]
struct Growing {
    text: Option<String>,
    order: Vec<(String, Growing)>,
    index: HashMap<String, usize>,
}

impl Growing {
    fn child(&mut self, name: &str) -> &mut Growing {
        let at = *self.index.entry(name.to_owned()).or_insert_with(|| {
            self.order.push((name.to_owned(), Growing::default()));
            self.order.len() - 1
        });
        &mut self.order[at].1
    }

    fn finish(self, name: &str) -> Result<Tree, DecodeError> {
        match (self.text, self.order.is_empty()) {
            (Some(text), true) => Ok(Tree::Text(text)),
            (Some(text), false) if !text.is_empty() => Err(DecodeError::Malformed(format!(
                "the parameter {name} is a value and a structure at once"
            ))),
            _ => {
                let finish = |(name, child): (String, Growing)| {
                    let tree = child.finish(&name)?;
                    Ok((name, tree))
                };
                Ok(Tree::Branch(self.order.into_iter().map(finish).collect::<Result<_, _>>()?))
            }
        }
    }
}

macro_rules! parse_scalars {
    ($($method:ident => $visit:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let text = self.into_text()?;
            visitor.$visit(text.parse().map_err(|_| DecodeError::Invalid { member: None, value: text })?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tree {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self {
            Tree::Text(text) => visitor.visit_string(text),
            branch @ Tree::Branch(_) => branch.deserialize_map(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_string(self.into_text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_string(self.into_text()?)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(de::value::SeqDeserializer::new(self.into_items().into_iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let children = match self {
            Tree::Branch(children) => children,
            // An empty structure is spelled with a bare name.
            Tree::Text(text) if text.is_empty() => Vec::new(),
            Tree::Text(value) => return Err(DecodeError::Invalid { member: None, value }),
        };
        visitor.visit_map(Members { rest: children.into_iter(), value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_enum(self.into_text()?.into_deserializer())
    }

    parse_scalars! {
        deserialize_bool => visit_bool, deserialize_i32 => visit_i32, deserialize_i64 => visit_i64,
        deserialize_u16 => visit_u16, deserialize_u32 => visit_u32, deserialize_u64 => visit_u64,
        deserialize_f64 => visit_f64
    }
    forward_to_deserialize_any! {
        i8 i16 i128 u8 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, DecodeError> for Tree {
    type Deserializer = Tree;

    fn into_deserializer(self) -> Tree {
        self
    }
}

struct Members {
    rest: std::vec::IntoIter<(String, Tree)>,
    value: Option<(String, Tree)>,
}

impl<'de> de::MapAccess<'de> for Members {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some((key.clone(), value));
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        match self.value.take() {
            Some((name, value)) => seed.deserialize(value).map_err(|error| error.within(&name)),
            None => Err(de::Error::custom("a value was asked for before its name")),
        }
    }
}
