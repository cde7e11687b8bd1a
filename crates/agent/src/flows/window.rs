//! From counters and refused packets to records. Pure: what the kernel told goes in, records come out.
//!
//! conntrack counts a flow's packets when they come to the router, before network ACLs and security groups judge them.
//! So what was refused is taken off again where it did not pass: everywhere when it was refused on its way out of the
//! sender, at the receiver alone when it was refused there. The first packet of a flow, when it is refused, leaves no
//! flow behind; the sender's interface, which let it out, has a record made of the refusal itself.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sys::conntrack::{Carried, Entry, TcpState, Tuple};
use types::{NetworkInterfaceId, Timestamp};

use super::packet::{FIN, Packet, RST, SYN, SYN_ACK};
use super::record::{Action, Flow, FlowRecord, Seen};
use super::topology::{Place, Topology, Way};
use crate::network::{Direction, EGRESS_DENIED, INVALID, NO_PUBLIC_ADDRESS, SPOOFED};

/// How long a flow that goes on is summed up before there is a record of it.
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// How many flows are followed at a time.
const FLOWS: usize = 1 << 15;
/// How many kinds of refused packets are told apart within a window.
const REFUSALS: usize = 1 << 12;

const ICMP: u8 = 1;
const TCP: u8 = 6;

/// A flow in the kernel. Numbers are used again, the tuple with it is not at once.
type Key = (u32, Tuple);

/// A flow that is followed.
#[derive(Debug)]
struct Known {
    /// What is recorded of the first packet's direction, and of the answers.
    recorded: [Carried; 2],
    /// Until when.
    until: Timestamp,
    /// What conntrack counted and the filter refused, by direction, for the sender's interface and for the receiver's.
    refused: [[Carried; 2]; 2],
    /// Whether there is a record.
    is_recorded: bool,
    told: Told,
    /// The last collection that saw it.
    round: u64,
}

/// Which TCP flags are in a record already.
#[derive(Debug, Default)]
struct Told {
    syn: bool,
    syn_ack: bool,
    end: bool,
}

/// What was refused alike within a window.
#[derive(Debug)]
struct Refused {
    place: Place,
    /// The interface that let it out, when it was refused at another.
    sender: Option<Place>,
    carried: Carried,
    tcp_flags: u8,
    first: Timestamp,
    last: Timestamp,
    /// Whether it is taken off its flow already.
    is_settled: bool,
}

/// Sums up one VPC.
#[derive(Debug)]
pub(super) struct Window {
    flows: HashMap<Key, Known>,
    refused: BTreeMap<(NetworkInterfaceId, Direction, Tuple, String), Refused>,
    /// Records of flows that have ended.
    ended: Vec<FlowRecord>,
    skipped: u64,
    since: Timestamp,
    round: u64,
}

impl Window {
    /// Flows that are there already are recorded from now on.
    pub(super) fn new(now: Timestamp, entries: &[Entry]) -> Self {
        let known = |entry: &Entry| {
            let recorded = [entry.sent.unwrap_or_default(), entry.answered.unwrap_or_default()];
            let told = Told { syn: true, syn_ack: true, end: false };
            let known = Known {
                recorded,
                until: now,
                refused: Default::default(),
                is_recorded: true,
                told,
                round: 0,
            };
            (key(entry), known)
        };
        Self {
            flows: entries.iter().take(FLOWS).map(known).collect(),
            refused: BTreeMap::new(),
            ended: Vec::new(),
            skipped: 0,
            since: now,
            round: 0,
        }
    }

    /// Counts what is known to be missing.
    pub(super) fn skip(&mut self, packets: u64) {
        self.skipped += packets;
    }

    /// Takes in a refused packet, with the names of the links that it came in by and was to go out by.
    pub(super) fn refuse(
        &mut self,
        topology: &Topology,
        packet: &Packet,
        reason: &str,
        (input, output): (Option<&str>, Option<&str>),
        now: Timestamp,
    ) {
        if !topology.is_logged(&packet.tuple) {
            return;
        }
        let sender = input.and_then(|link| topology.behind(link));
        let receiver = output.and_then(|link| topology.behind(link));
        let at_sender = match reason {
            SPOOFED | EGRESS_DENIED | NO_PUBLIC_ADDRESS => true,
            INVALID => sender.is_some(),
            entry => entry.contains("/egress/"),
        };
        let (place, direction) =
            if at_sender { (sender, Direction::Egress) } else { (receiver, Direction::Ingress) };
        // From the internet or another VPC to nothing of this one.
        let Some(place) = place else { return };
        let key = (place.interface.clone(), direction, packet.tuple, reason.to_owned());
        if self.refused.len() >= REFUSALS && !self.refused.contains_key(&key) {
            self.skipped += 1;
            return;
        }
        let refused = self.refused.entry(key).or_insert_with(|| Refused {
            place: place.clone(),
            sender: sender.filter(|_| !at_sender).cloned(),
            carried: Carried::default(),
            tcp_flags: 0,
            first: now,
            last: now,
            is_settled: false,
        });
        refused.carried = plus(refused.carried, Carried { packets: 1, bytes: packet.bytes });
        refused.tcp_flags |= packet.tcp_flags;
        refused.last = now;
    }

    /// Takes in a flow that has ended, with its last counters.
    pub(super) fn end(&mut self, topology: &Topology, now: Timestamp, entry: &Entry) {
        if !topology.is_logged(&entry.original) {
            return;
        }
        let mut known = self.flows.remove(&key(entry)).unwrap_or_else(|| Known::new(entry, now));
        for (way, tuple) in ways(entry).into_iter().enumerate() {
            for ((_, direction, of, _), refused) in &mut self.refused {
                if *of == tuple && refused.first >= began(entry, now) {
                    known.owe(way, *direction, refused.carried);
                    refused.is_settled = true;
                }
            }
        }
        self.ended.extend(known.settle(topology, entry, now));
    }

    /// The records that are due, of all flows of the kernel: those of new and of ended flows, of refused packets, and of
    /// flows that go on once a window; with `force` all that is not recorded yet.
    pub(super) fn collect(
        &mut self,
        topology: &Topology,
        now: Timestamp,
        entries: &[Entry],
        force: bool,
    ) -> Vec<FlowRecord> {
        self.round += 1;
        let mut records = std::mem::take(&mut self.ended);
        let logged = || entries.iter().filter(|entry| topology.is_logged(&entry.original));
        for entry in logged() {
            let room = self.flows.len() < FLOWS;
            match self.flows.entry(key(entry)) {
                Slot::Occupied(mut known) => known.get_mut().round = self.round,
                Slot::Vacant(slot) if room => slot.insert(Known::new(entry, now)).round = self.round,
                // Told once, not with every collection.
                Slot::Vacant(_) => self.skipped += u64::from(began(entry, now) >= self.since),
            }
        }
        records.extend(self.refusals(topology, now, entries));
        for entry in logged() {
            let Some(known) = self.flows.get_mut(&key(entry)) else { continue };
            let over = matches!(entry.tcp, Some(TcpState::Closed | TcpState::Reset));
            if force || over || !known.is_recorded || now.since(known.until) >= WINDOW {
                records.extend(known.settle(topology, entry, now));
            }
        }
        // One that has just ended is told of as such, at the latest before the next collection.
        self.flows.retain(|_, known| known.round + 1 >= self.round);
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 {
            let seen = Seen::Skipped { packets: skipped };
            records.push(FlowRecord { vpc: topology.vpc.clone(), start: self.since, end: now, seen });
        }
        self.since = now;
        records.sort_by_key(|record| record.end);
        records
    }

    /// The records of refused packets, which are taken off their flows.
    fn refusals(&mut self, topology: &Topology, now: Timestamp, entries: &[Entry]) -> Vec<FlowRecord> {
        let mut records = Vec::new();
        let all = std::mem::take(&mut self.refused);
        if all.is_empty() {
            return records;
        }
        let mut flows: HashMap<Tuple, (Key, usize, Timestamp)> = HashMap::new();
        for entry in entries {
            for (way, tuple) in ways(entry).into_iter().enumerate() {
                flows.insert(tuple, (key(entry), way, began(entry, now)));
            }
        }
        for ((_, direction, tuple, reason), refused) in all {
            let record = |place: &Place, direction, action, reason| {
                let (start, end) = (refused.first, refused.last);
                let of = Of { tuple, carried: refused.carried, tcp_flags: refused.tcp_flags, start, end };
                of.record(topology, place, direction, action, reason)
            };
            records.push(record(&refused.place, direction, Action::Reject, Some(reason)));
            // A packet that came before the flow began was another's first: it was not counted.
            let flow = flows.get(&tuple).filter(|(_, _, began)| refused.first >= *began);
            let known = flow.and_then(|(key, way, _)| Some((self.flows.get_mut(key)?, *way)));
            match (known, &refused.sender) {
                _ if refused.is_settled => (),
                (Some((known, way)), _) => known.owe(way, direction, refused.carried),
                (None, Some(sender)) => {
                    records.push(record(sender, Direction::Egress, Action::Accept, None));
                }
                (None, None) => (),
            }
        }
        records
    }
}

impl Known {
    fn new(entry: &Entry, now: Timestamp) -> Self {
        Self {
            recorded: Default::default(),
            until: began(entry, now),
            refused: Default::default(),
            is_recorded: false,
            told: Told::default(),
            round: 0,
        }
    }

    /// Takes what was refused off a direction of the flow: what was refused on its way out was at neither interface let
    /// through.
    fn owe(&mut self, way: usize, refused_at: Direction, carried: Carried) {
        let [sender, receiver] = &mut self.refused[way];
        if refused_at == Direction::Egress {
            *sender = plus(*sender, carried);
        }
        *receiver = plus(*receiver, carried);
    }

    /// The records of what came since the last ones.
    fn settle(&mut self, topology: &Topology, entry: &Entry, now: Timestamp) -> Vec<FlowRecord> {
        let mut records = Vec::new();
        let (Some(sent), Some(answered)) = (entry.sent, entry.answered) else { return records };
        let counted = [sent, answered];
        let new = [0, 1].map(|way| minus(counted[way], self.recorded[way]));
        if new.iter().all(|carried| carried.packets == 0) {
            return records;
        }
        let flags = self.tcp_flags(entry, new);
        let [first, answer] = ways(entry);
        let from = topology.at(first.source);
        let to = match from.map(|from| topology.way(from, first.destination)) {
            // Translated there, whatever the address is.
            Some(Way::Through(place)) => Some(place),
            _ => topology.at(first.destination),
        };
        for (way, tuple, ends) in [(0, first, [from, to]), (1, answer, [to, from])] {
            for (end, direction) in [(0, Direction::Egress), (1, Direction::Ingress)] {
                let refused = &mut self.refused[way][end];
                let carried = minus(new[way], *refused);
                *refused = minus(*refused, new[way]);
                let Some(place) = ends[end].filter(|_| carried.packets > 0) else { continue };
                let of = Of { tuple, carried, tcp_flags: flags[way], start: self.until, end: now };
                records.push(of.record(topology, place, direction, Action::Accept, None));
            }
        }
        (self.recorded, self.until, self.is_recorded) = (counted, now, true);
        records
    }

    /// The flags that the connection's state proves, by direction.
    fn tcp_flags(&mut self, entry: &Entry, new: [Carried; 2]) -> [u8; 2] {
        let (Some(state), TCP) = (entry.tcp, entry.original.protocol) else { return [0, 0] };
        let mut flags = [0, 0];
        // A flow that begins in the middle is not taken up.
        if !std::mem::replace(&mut self.told.syn, true) {
            flags[0] |= SYN;
        }
        let answered = matches!(state, TcpState::Established | TcpState::Closing | TcpState::Closed);
        if answered && !std::mem::replace(&mut self.told.syn_ack, true) {
            flags[1] |= SYN_ACK;
        }
        match state {
            TcpState::Closed if !std::mem::replace(&mut self.told.end, true) => {
                flags = flags.map(|flags| flags | FIN);
            }
            // A port that nobody listens on. Else it is not known which side broke off.
            TcpState::Reset if !self.told.syn_ack && new.iter().all(|carried| carried.packets == 1) => {
                flags[1] |= RST;
            }
            _ => (),
        }
        flags
    }
}

/// Packets of one direction.
struct Of {
    tuple: Tuple,
    carried: Carried,
    tcp_flags: u8,
    start: Timestamp,
    end: Timestamp,
}

impl Of {
    fn record(
        &self,
        topology: &Topology,
        place: &Place,
        direction: Direction,
        action: Action,
        reason: Option<String>,
    ) -> FlowRecord {
        let tuple = self.tuple;
        let leaves = direction == Direction::Egress;
        let port = |port| if tuple.protocol == ICMP { 0 } else { port };
        let flow = Flow {
            interface: place.interface.clone(),
            subnet: place.subnet.clone(),
            direction,
            action,
            source: if leaves { place.address } else { tuple.source },
            destination: if leaves { tuple.destination } else { place.address },
            source_port: port(tuple.source_port),
            destination_port: port(tuple.destination_port),
            protocol: tuple.protocol,
            packets: self.carried.packets,
            bytes: self.carried.bytes,
            packet_source: tuple.source,
            packet_destination: tuple.destination,
            tcp_flags: self.tcp_flags,
            path: leaves.then(|| topology.way(place, tuple.destination).number()).flatten(),
            reason,
        };
        let (start, end) = (self.start.min(self.end), self.end);
        FlowRecord { vpc: topology.vpc.clone(), start, end, seen: Seen::Flow(Box::new(flow)) }
    }
}

fn key(entry: &Entry) -> Key {
    (entry.id, entry.original)
}

/// The two directions as the filter sees them: under private addresses.
fn ways(entry: &Entry) -> [Tuple; 2] {
    let (original, reply) = (entry.original, entry.reply);
    let first = Tuple { destination: reply.source, destination_port: reply.source_port, ..original };
    let answer = Tuple {
        source: first.destination,
        destination: first.source,
        source_port: first.destination_port,
        destination_port: first.source_port,
        ..first
    };
    [first, answer]
}

fn began(entry: &Entry, now: Timestamp) -> Timestamp {
    let millis = entry.began.and_then(|nanos| i64::try_from(nanos / 1_000_000).ok());
    millis.map_or(now, Timestamp::from_millis).min(now)
}

fn plus(a: Carried, b: Carried) -> Carried {
    Carried { packets: a.packets.saturating_add(b.packets), bytes: a.bytes.saturating_add(b.bytes) }
}

fn minus(a: Carried, b: Carried) -> Carried {
    Carried { packets: a.packets.saturating_sub(b.packets), bytes: a.bytes.saturating_sub(b.bytes) }
}

#[cfg(test)]
mod tests;
