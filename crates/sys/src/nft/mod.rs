//! nf_tables without `nft`: a table as plain data, the difference of two tables, and one transaction that makes the
//! kernel follow.
//!
//! [`Table`] says what should be; [`Change`]s lead from one table to another; [`commit`] sends them as one batch, which
//! the kernel takes as a whole or not at all. Tables are of family `ip`. The words are those of the `nft` program:
//! a table prints in its syntax.

mod commit;
mod diff;
mod encode;
mod expression;
mod print;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::Serialize;

pub use commit::{CommitError, can_log, commit, counters, generation, interface_counters, replace};
pub use diff::{Change, diff};
pub use expression::{Expression, Field, Operator, State};

/// How much of a packet [`Expression::Log`] copies, in bytes: the longest IPv4 header and TCP's without options.
pub const LOGGED_BYTES: u32 = 80;

/// A table: everything that is in one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Named counters.
    pub counters: BTreeSet<String>,
    /// Sets and maps by name.
    pub sets: BTreeMap<String, Set>,
    /// Chains by name.
    pub chains: BTreeMap<String, Chain>,
}

/// The type of a set's key or a map's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Type {
    /// An IPv4 address.
    Ipv4,
    /// A packet mark.
    Mark,
    /// The name of an interface.
    Interface,
    /// What is done with the packet. Only a value.
    Verdict,
}

/// A key's part or a map's value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Value {
    /// Of [`Type::Ipv4`].
    Ipv4(Ipv4Addr),
    /// Of [`Type::Ipv4`], from the first to the last address, in a set of intervals alone.
    Range(Ipv4Addr, Ipv4Addr),
    /// Of [`Type::Mark`].
    Mark(u32),
    /// Of [`Type::Interface`].
    Interface(String),
    /// Of [`Type::Verdict`].
    Verdict(Verdict),
}

/// What is done with a packet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Verdict {
    /// It goes on: to the next base chain of the hook, or on its way.
    Accept,
    /// It is dropped without a word.
    Drop,
    /// The chain's rules, then those behind the jump.
    Jump(String),
    /// The chain's rules, not those behind.
    Goto(String),
    /// Back to behind the last jump.
    Return,
}

/// A set, or with `value` a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Set {
    /// The key's parts.
    pub key: Vec<Type>,
    /// A map's value.
    pub value: Option<Type>,
    /// What its elements are.
    pub elements_are: Elements,
    /// The elements; a set's have no value.
    pub elements: BTreeMap<Vec<Value>, Option<Value>>,
}

impl Set {
    /// An empty set.
    pub fn new(key: &[Type]) -> Self {
        Self { key: key.to_vec(), value: None, elements_are: Elements::Values, elements: BTreeMap::new() }
    }

    /// A set of address ranges. No two of them may touch: the kernel keeps their ends.
    pub fn intervals(ranges: impl IntoIterator<Item = (Ipv4Addr, Ipv4Addr)>) -> Self {
        let element = |(first, last)| (vec![Value::Range(first, last)], None);
        let elements = ranges.into_iter().map(element).collect();
        Self { elements_are: Elements::Intervals, elements, ..Self::new(&[Type::Ipv4]) }
    }

    /// A set whose elements packets make, each with a counter of its own ([`Expression::CountBy`]).
    pub fn counters(key: Type) -> Self {
        Self { elements_are: Elements::Counted, ..Self::new(&[key]) }
    }

    /// An empty map.
    pub fn map(key: &[Type], value: Type) -> Self {
        Self { value: Some(value), ..Self::new(key) }
    }
}

/// What the elements of a set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Elements {
    /// Single values.
    Values,
    /// [`Value::Range`]s.
    Intervals,
    /// What packets have made; none is ever added otherwise. One that counts nothing for a day goes.
    Counted,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Chain {
    /// Where the kernel enters it. None: rules lead to it.
    pub base: Option<Base>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
    /// Whether their order means nothing: one that comes is then put behind those that are there.
    pub unordered: bool,
}

impl Chain {
    /// A chain to which rules lead.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { base: None, rules, unordered: false }
    }

    /// A chain that the kernel enters.
    pub fn at(base: Base, rules: Vec<Rule>) -> Self {
        Self { base: Some(base), rules, unordered: false }
    }

    /// A chain to which rules lead, and in which the order of its own means nothing.
    pub fn unordered(rules: Vec<Rule>) -> Self {
        Self { base: None, rules, unordered: true }
    }
}

/// A base chain's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Base {
    /// Filter or NAT.
    pub kind: Kind,
    /// The point on a packet's way.
    pub hook: Hook,
    /// The place among the chains of the hook; lower ones come first.
    pub priority: i32,
    /// Whether a packet that reaches the chain's end goes on.
    pub accept: bool,
}

/// A base chain's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// Sees every packet.
    Filter,
    /// Sees the first packet of a flow.
    Nat,
}

/// A point on a packet's way through a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Hook {
    /// Before the route is looked up.
    Prerouting = 0,
    /// To this namespace itself.
    Input = 1,
    /// Through it.
    Forward = 2,
    /// From this namespace itself.
    Output = 3,
    /// After the route was looked up.
    Postrouting = 4,
}

impl Table {
    /// The same table without [`Expression::Log`], for a kernel that has none.
    #[must_use]
    pub fn without_logs(mut self) -> Self {
        for rule in self.chains.values_mut().flat_map(|chain| &mut chain.rules) {
            rule.retain(|expression| !matches!(expression, Expression::Log { .. }));
        }
        self
    }
}

/// A rule: expressions that are tried in order until one does not match.
pub type Rule = Vec<Expression>;
