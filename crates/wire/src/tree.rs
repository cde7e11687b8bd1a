//! A request's body as a tree, whichever protocol it is in; `shape.rs` reads it into a request struct.
//!
//! A form's `Tag.1.Key=a&Tag.1.Value=b` becomes a tree by its dots. A list is a branch whose children are numbered, with a
//! level `member` (or the item's own name) between in awsQuery. JSON and CBOR say themselves what is a list and what a
//! number: `json.rs`, `cbor.rs`. Source: the Smithy specifications of the protocols.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::Number;

use crate::decode::DecodeError;

/// More parameters than any AWS call takes; a request beyond it is refused before it costs time.
const MOST_PARAMETERS: usize = 5_000;
/// Deeper than any AWS shape.
const DEEPEST: usize = 12;

/// A parsed request. A form leaves open what its values and structures are, a document does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// A form's value, of whatever type the request struct has there.
    Text(String),
    /// A form's structure or list: named children in request order.
    Branch(Vec<(String, Tree)>),
    /// A document's null.
    Null,
    /// A document's truth value.
    Bool(bool),
    /// A document's number.
    Number(Number),
    /// A document's text.
    String(String),
    /// A document's list.
    List(Vec<Tree>),
    /// A document's object: named members in request order.
    Object(Vec<(String, Tree)>),
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
                return Err(DecodeError::malformed(format!("more than {MOST_PARAMETERS} parameters")));
            }
            if key.split('.').count() > DEEPEST {
                return Err(DecodeError::malformed(format!("a parameter has more than {DEEPEST} levels")));
            }
            let leaf = key.split('.').fold(&mut root, |node, segment| node.child(&name(segment)));
            if leaf.text.replace(value.into_owned()).is_some() {
                return Err(DecodeError::malformed(format!("the parameter {key} is given twice")));
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
            _ => None,
        }
    }

    /// Reads the tree into a request struct.
    ///
    /// # Errors
    /// When a member is missing, unknown or of another form.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, DecodeError> {
        T::deserialize(self).map_err(|error| *error)
    }

    /// The items of a form's list, whichever way the protocol spells it: `X.1`, `X.member.1`, `X.Name.1`.
    pub(crate) fn items(mut children: Vec<(String, Tree)>) -> Vec<Tree> {
        if let [(name, Tree::Branch(inner))] = children.as_mut_slice()
            && !is_index(name)
            && !inner.is_empty()
            && inner.iter().all(|(key, _)| is_index(key))
        {
            children = std::mem::take(inner);
        }
        children.sort_by_key(|(key, _)| key.parse::<u32>().unwrap_or(0));
        children.into_iter().map(|(_, item)| item).collect()
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
            (Some(text), false) if !text.is_empty() => Err(DecodeError::malformed(format!(
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
