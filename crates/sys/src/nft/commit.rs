//! Transactions, and what the kernel tells about its tables.

use std::collections::BTreeMap;

use nix::errno::Errno;

use super::{Base, Change, Kind, Table, diff, encode};
use crate::error::{Error, Result};
use crate::netfilter::{
    Attributes, Messages, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, Socket, attribute, attributes, number, text,
};

const NFPROTO_IPV4: u8 = 2;
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const DELETE_CHAIN: u16 = 5;
const NEW_RULE: u16 = 6;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const DELETE_SET: u16 = 11;
const NEW_ELEMENT: u16 = 12;
const GET_ELEMENT: u16 = 13;
const DELETE_ELEMENT: u16 = 14;
const GET_GENERATION: u16 = 16;
const NEW_OBJECT: u16 = 18;
const GET_OBJECT: u16 = 19;
const DELETE_OBJECT: u16 = 20;
const OBJECT_COUNTER: u32 = 1;
/// An attribute holds less than 64 KiB; elements are sent in lists below half of that.
const LIST_BYTES: usize = 1 << 15;

/// Why a transaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody changed the namespace's tables since the generation that the change was made for.
    #[error("the tables have changed meanwhile")]
    Stale,
    /// The kernel refused a message. Nothing of the transaction happened.
    #[error(transparent)]
    Refused(#[from] Error),
}

/// A transaction that is being written.
struct Batch<'a> {
    table: &'a str,
    messages: Messages,
    /// What each message is about, by sequence number from 1.
    about: Vec<String>,
}

impl<'a> Batch<'a> {
    fn new(table: &'a str, generation: Option<u32>) -> Self {
        let mut batch = Self { table, messages: Messages::new(), about: Vec::new() };
        let body = generation.map_or_else(Attributes::new, |number| Attributes::new().u32(1, number));
        batch.messages.push(BATCH_BEGIN, 0, 0, SUBSYSTEM, &body);
        batch.about.push("begin a transaction".to_owned());
        batch
    }

    fn push(&mut self, kind: u16, flags: u16, body: &Attributes, about: String) {
        self.messages.push(SUBSYSTEM << 8 | kind, flags, NFPROTO_IPV4, 0, body);
        self.about.push(about);
    }

    fn named(&self) -> Attributes {
        Attributes::new().text(1, self.table)
    }

    fn table(&mut self, kind: u16) {
        let (body, about) = (self.named(), format!("write the table {}", self.table));
        self.push(kind, if kind == NEW_TABLE { NLM_F_CREATE } else { 0 }, &body, about);
    }

    fn change(&mut self, change: &Change<'_>) {
        match change {
            Change::AddCounter(name) => {
                let body = self.named().text(2, name).u32(3, OBJECT_COUNTER).nest(4, &Attributes::new());
                self.push(NEW_OBJECT, NLM_F_CREATE, &body, format!("add the counter {name}"));
            }
            Change::AddSet(name, set) => {
                let body = encode::set(set, self.named().text(2, name), self.messages.next);
                self.push(NEW_SET, NLM_F_CREATE, &body, format!("add the set {name}"));
            }
            Change::AddChain(name, base) => {
                let body = chain(self.named().text(3, name), *base);
                self.push(NEW_CHAIN, NLM_F_CREATE, &body, format!("add the chain {name}"));
            }
            Change::FlushChain(name) => {
                let body = self.named().text(2, name);
                self.push(DELETE_RULE, 0, &body, format!("flush the chain {name}"));
            }
            Change::AddRule(chain, rule) => {
                let body = self.named().text(2, chain).nest(4, &encode::rule(rule));
                let words: Vec<String> = rule.iter().map(ToString::to_string).collect();
                let about = format!("add to the chain {chain} the rule {}", words.join(" "));
                self.push(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, &body, about);
            }
            Change::DeleteElements(name, _, keys) => {
                let elements = keys.iter().flat_map(|key| encode::elements(key, None));
                self.elements(DELETE_ELEMENT, 0, name, elements);
            }
            Change::AddElements(name, _, elements) => {
                let elements = elements.iter().flat_map(|(key, value)| encode::elements(key, value.as_ref()));
                self.elements(NEW_ELEMENT, NLM_F_CREATE, name, elements);
            }
            Change::DeleteChain(name) => {
                let body = self.named().text(3, name);
                self.push(DELETE_CHAIN, 0, &body, format!("delete the chain {name}"));
            }
            Change::DeleteSet(name) => {
                let body = self.named().text(2, name);
                self.push(DELETE_SET, 0, &body, format!("delete the set {name}"));
            }
            Change::DeleteCounter(name) => {
                let body = self.named().text(2, name).u32(3, OBJECT_COUNTER);
                self.push(DELETE_OBJECT, 0, &body, format!("delete the counter {name}"));
            }
        }
    }

    fn elements(&mut self, kind: u16, flags: u16, set: &str, elements: impl Iterator<Item = Attributes>) {
        let mut list = Attributes::new();
        let verb = if kind == NEW_ELEMENT { "add elements to" } else { "delete elements of" };
        let send = |list: &mut Attributes, batch: &mut Self| {
            if !list.is_empty() {
                let body = batch.named().text(2, set).nest(3, list);
                batch.push(kind, flags, &body, format!("{verb} {set}"));
                *list = Attributes::new();
            }
        };
        for element in elements {
            list.extend(&Attributes::new().nest(1, &element));
            if list.len() > LIST_BYTES {
                send(&mut list, self);
            }
        }
        send(&mut list, self);
    }

    fn send(mut self) -> std::result::Result<(), CommitError> {
        self.messages.push(BATCH_END, 0, 0, SUBSYSTEM, &Attributes::new());
        self.about.push("end a transaction".to_owned());
        let refusals = Socket::open()?.send_batch(&self.messages)?;
        let Some(first) = refusals.into_iter().next() else { return Ok(()) };
        // The kernel answers a batch of an older generation with a number that user space is not meant to see.
        const ERESTART: i32 = 85;
        if first.sequence == 1 && first.cause.raw_os_error() == Some(ERESTART) {
            return Err(CommitError::Stale);
        }
        let about = self.about.get(first.sequence as usize - 1).cloned().unwrap_or_default();
        Err(Error { doing: format!("nf_tables: {about}"), cause: first.cause }.into())
    }
}

fn chain(body: Attributes, base: Option<Base>) -> Attributes {
    let Some(base) = base else { return body };
    let hook = Attributes::new().u32(1, base.hook as u32).u32(2, base.priority.cast_unsigned());
    let kind = match base.kind {
        Kind::Filter => "filter",
        Kind::Nat => "nat",
    };
    body.nest(4, &hook).u32(5, u32::from(base.accept)).text(7, kind)
}

/// Applies changes to a table in one transaction, in the calling thread's namespace. With a generation only if the
/// namespace's tables are still at it.
///
/// # Errors
/// When the tables have moved on, or the kernel refuses; nothing has changed then.
pub fn commit(
    table: &str,
    changes: &[Change<'_>],
    generation: Option<u32>,
) -> std::result::Result<(), CommitError> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::new(table, generation);
    for change in changes {
        batch.change(change);
    }
    batch.send()
}

/// Puts a table in the place of whatever has its name, in one transaction: no packet sees anything between the two.
/// Flows keep their conntrack state; counters begin at zero.
///
/// # Errors
/// When the kernel refuses; nothing has changed then.
pub fn replace(table: &Table) -> Result<()> {
    let mut batch = Batch::new(&table.name, None);
    // Deleting what is not there is an error, so that it is made first.
    for kind in [NEW_TABLE, DELETE_TABLE, NEW_TABLE] {
        batch.table(kind);
    }
    let nothing = Table::default();
    for change in diff(&nothing, table) {
        batch.change(&change);
    }
    batch.send().map_err(|error| match error {
        CommitError::Refused(error) => error,
        CommitError::Stale => Error { doing: format!("replace {}", table.name), cause: Errno::EAGAIN.into() },
    })
}

/// Whether the kernel knows [`Expression::Log`](super::Expression::Log). Leaves a table behind: for a namespace of the
/// question's own ([`crate::netns::apart`]).
pub fn can_log() -> bool {
    let rule = vec![super::Expression::Log { group: 1, prefix: "?".to_owned() }];
    let chain = super::Chain::new(vec![rule]);
    let chains = [("log".to_owned(), chain)].into();
    replace(&Table { name: "log".to_owned(), chains, ..Table::default() }).is_ok()
}

/// The number of transactions that the calling thread's namespace has seen: when it is what it was, nobody has changed
/// a table.
///
/// # Errors
/// When the kernel refuses.
pub fn generation() -> Result<u32> {
    let doing = || "read the generation of the nf_tables".to_owned();
    let mut messages = Messages::new();
    // With an acknowledgement, so that the end of the answer is told.
    let kind = SUBSYSTEM << 8 | GET_GENERATION;
    messages.push(kind, crate::netfilter::NLM_F_ACK, NFPROTO_IPV4, 0, &Attributes::new());
    let mut found = None;
    Socket::open()?.request(&messages, &doing, |answer| {
        found = attribute(answer, 1).and_then(|value| u32::try_from(number(value)).ok());
    })?;
    found.ok_or_else(|| Error::other(doing(), "the kernel does not say"))
}

/// The packets that each named counter of a table has counted, in the calling thread's namespace.
///
/// # Errors
/// When the kernel refuses.
pub fn counters(table: &str) -> Result<BTreeMap<String, u64>> {
    let doing = || format!("read the counters of the table {table}");
    let mut messages = Messages::new();
    let body = Attributes::new().text(1, table).u32(3, OBJECT_COUNTER);
    messages.push(SUBSYSTEM << 8 | GET_OBJECT, NLM_F_DUMP, NFPROTO_IPV4, 0, &body);
    let mut counters = BTreeMap::new();
    Socket::open()?.request(&messages, &doing, |answer| {
        let packets = attribute(answer, 4).and_then(|data| attribute(data, 2)).map(number);
        if let (Some(name), Some(packets)) = (attribute(answer, 2), packets) {
            counters.insert(text(name), packets);
        }
    })?;
    Ok(counters)
}

/// The packets that each element of a set of [`super::Elements::Counted`] has counted, by the interface that is its key,
/// in the calling thread's namespace.
///
/// # Errors
/// When the kernel refuses.
pub fn interface_counters(table: &str, set: &str) -> Result<BTreeMap<String, u64>> {
    let doing = || format!("read the elements of {set} in the table {table}");
    let mut messages = Messages::new();
    let body = Attributes::new().text(1, table).text(2, set);
    messages.push(SUBSYSTEM << 8 | GET_ELEMENT, NLM_F_DUMP, NFPROTO_IPV4, 0, &body);
    let mut counters = BTreeMap::new();
    Socket::open()?.request(&messages, &doing, |answer| {
        for (_, element) in attribute(answer, 3).into_iter().flat_map(attributes) {
            let name = attribute(element, 1).and_then(|key| attribute(key, 1));
            let counter = attribute(element, 7).and_then(|expression| attribute(expression, 2));
            if let (Some(name), Some(packets)) = (name, counter.and_then(|data| attribute(data, 2))) {
                let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
                counters.insert(String::from_utf8_lossy(&name[..end]).into_owned(), number(packets));
            }
        }
    })?;
    Ok(counters)
}
