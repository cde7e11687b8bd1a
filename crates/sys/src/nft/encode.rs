//! Rules, keys and values as the kernel's attributes. The numbers are those of `linux/netfilter/nf_tables.h`.

use std::net::Ipv4Addr;

use super::{Elements, Expression, Field, LOGGED_BYTES, Operator, Rule, Set, Type, Value, Verdict};
use crate::netfilter::Attributes;

/// The verdict's register.
const VERDICT_REGISTER: u32 = 0;
/// The first of sixteen registers of four bytes; a field takes as many in a row as it needs.
const REGISTER: u32 = 8;

const NFT_META_MARK: u32 = 3;
const NFT_META_IIFNAME: u32 = 6;
const NFT_META_OIFNAME: u32 = 7;
const NFT_META_L4PROTO: u32 = 16;
const NFT_CT_STATE: u32 = 0;
const NFT_CT_DIRECTION: u32 = 1;
const NFT_CT_STATUS: u32 = 2;
const NFT_CT_MARK: u32 = 3;
const IPS_DST_NAT: u32 = 1 << 5;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const NFT_NAT_SNAT: u32 = 0;
const NFT_NAT_DNAT: u32 = 1;
const NFPROTO_IPV4: u32 = 2;
const MILLISECONDS_OF_A_DAY: u64 = 24 * 60 * 60 * 1000;

impl Type {
    /// Bytes in a register and in an element.
    pub(super) fn length(self) -> u32 {
        match self {
            Type::Ipv4 | Type::Mark => 4,
            Type::Interface | Type::Verdict => 16,
        }
    }

    /// The number by which the `nft` program knows the type; the kernel only hands it back.
    fn number(self) -> u32 {
        match self {
            Type::Ipv4 => 7,
            Type::Mark => 19,
            Type::Interface => 41,
            Type::Verdict => 0xffff_ff00,
        }
    }
}

impl Type {
    fn is_in_machine_order(self) -> bool {
        matches!(self, Type::Mark | Type::Interface)
    }
}

impl Field {
    fn kind(self) -> Type {
        match self {
            Field::InputInterface | Field::OutputInterface => Type::Interface,
            Field::Source | Field::Destination => Type::Ipv4,
            Field::Mark => Type::Mark,
        }
    }
}

/// A rule's expressions.
pub(super) fn rule(rule: &Rule) -> Attributes {
    let mut program = Program(Attributes::new());
    for expression in rule {
        program.add(expression);
    }
    program.0
}

/// A set's definition behind table and name.
pub(super) fn set(set: &Set, attributes: Attributes, id: u32) -> Attributes {
    const INTERVAL: u32 = 4;
    const MAP: u32 = 8;
    const TIMEOUT: u32 = 0x10;
    const FROM_PACKETS: u32 = 0x20;
    const CONCATENATED: u32 = 0x80;
    let mut flags = match set.elements_are {
        Elements::Values => 0,
        Elements::Intervals => INTERVAL,
        Elements::Counted => TIMEOUT | FROM_PACKETS,
    };
    if set.value.is_some() {
        flags |= MAP;
    }
    if set.key.len() > 1 {
        flags |= CONCATENATED;
    }
    let key_type = set.key.iter().fold(0, |all, part| all << 6 | part.number());
    let key_length: u32 = set.key.iter().map(|part| part.length()).sum();
    let byte_orders = [
        byte_order(0, set.key.iter().copied().find(|part| part.is_in_machine_order())),
        byte_order(1, set.value.filter(|value| value.is_in_machine_order())),
    ];
    let attributes = attributes.bytes(13, &byte_orders.concat());
    let mut attributes = attributes.u32(3, flags).u32(4, key_type).u32(5, key_length).u32(10, id);
    if let Some(value) = set.value {
        attributes = attributes.u32(6, value.number()).u32(7, value.length());
    }
    if set.elements_are == Elements::Counted {
        const MOST: u32 = 1 << 16;
        let size = Attributes::new().u32(1, MOST);
        attributes = attributes.bytes(11, &MILLISECONDS_OF_A_DAY.to_be_bytes()).nest(9, &size);
    }
    if set.key.len() > 1 {
        let part = |list: Attributes, part: &Type| list.nest(1, &Attributes::new().u32(1, part.length()));
        let parts = set.key.iter().fold(Attributes::new(), part);
        attributes = attributes.nest(9, &Attributes::new().nest(2, &parts));
    }
    attributes
}

/// A note for the `nft` program, which the kernel only hands back: that keys (0) or values (1) are in the machine's
/// byte order. Without it people would be shown marks turned round.
fn byte_order(of: u8, machine: Option<Type>) -> Vec<u8> {
    if machine.is_none() {
        return Vec::new();
    }
    [&[of, 4], 1_u32.to_ne_bytes().as_slice()].concat()
}

/// One element; a range is two, its first address and the one behind its last.
pub(super) fn elements(key: &[Value], value: Option<&Value>) -> Vec<Attributes> {
    const END_OF_INTERVAL: u32 = 1;
    let [Value::Range(first, last)] = key else { return vec![element(key, value)] };
    let mut ends = vec![element(&[Value::Ipv4(*first)], value)];
    // A range up to the last of all addresses has no end.
    if let Some(behind) = u32::from(*last).checked_add(1) {
        ends.push(element(&[Value::Ipv4(behind.into())], None).u32(3, END_OF_INTERVAL));
    }
    ends
}

fn element(key: &[Value], value: Option<&Value>) -> Attributes {
    let key: Vec<u8> = key.iter().flat_map(bytes).collect();
    let element = Attributes::new().nest(1, &Attributes::new().bytes(1, &key));
    match value {
        None => element,
        Some(Value::Verdict(verdict)) => element.nest(2, &self::verdict(verdict)),
        Some(value) => element.nest(2, &Attributes::new().bytes(1, &bytes(value))),
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Ipv4(address) => address.octets().to_vec(),
        Value::Mark(mark) => mark.to_ne_bytes().to_vec(),
        Value::Interface(name) => interface(name),
        // Neither is ever part of a longer key; a verdict as a value is an attribute of its own.
        Value::Range(..) | Value::Verdict(_) => Vec::new(),
    }
}

fn interface(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}

fn verdict(verdict: &Verdict) -> Attributes {
    let (code, chain) = match verdict {
        Verdict::Drop => (0, None),
        Verdict::Accept => (1, None),
        Verdict::Jump(chain) => (-3, Some(chain)),
        Verdict::Goto(chain) => (-4, Some(chain)),
        Verdict::Return => (-5_i32, None),
    };
    let inner = Attributes::new().u32(1, code.cast_unsigned());
    Attributes::new().nest(2, &chain.into_iter().fold(inner, |inner, chain| inner.text(2, chain)))
}

struct Program(Attributes);

impl Program {
    fn emit(&mut self, name: &str, data: &Attributes) {
        let expression = Attributes::new().text(1, name).nest(2, data);
        self.0.extend(&Attributes::new().nest(1, &expression));
    }

    fn add(&mut self, expression: &Expression) {
        match expression {
            Expression::Interface(field, operator, name) => {
                self.load(*field, REGISTER);
                self.compare(*operator, &interface(name));
            }
            Expression::Within(field, operator, range) => {
                self.load(*field, REGISTER);
                if range.prefix_len() < 32 {
                    self.mask(u32::from_ne_bytes(range.netmask().octets()), 0);
                }
                self.compare(*operator, &range.network().octets());
            }
            Expression::Protocol(number) => {
                self.meta(NFT_META_L4PROTO, REGISTER);
                self.compare(Operator::Is, &[*number]);
            }
            Expression::Ports { destination, from, to } => {
                self.payload(TRANSPORT_HEADER, if *destination { 2 } else { 0 }, 2, REGISTER);
                self.range(&from.to_be_bytes(), &to.to_be_bytes());
            }
            Expression::IcmpType(number) => {
                self.payload(TRANSPORT_HEADER, 0, 1, REGISTER);
                self.compare(Operator::Is, &[*number]);
            }
            Expression::IcmpCode(number) => {
                self.payload(TRANSPORT_HEADER, 1, 1, REGISTER);
                self.compare(Operator::Is, &[*number]);
            }
            Expression::Fragment => {
                // More fragments follow, or it is not the first.
                const FLAG_AND_OFFSET: [u8; 2] = [0x3f, 0xff];
                self.payload(NETWORK_HEADER, 6, 2, REGISTER);
                self.mask_bytes(&FLAG_AND_OFFSET);
                self.compare(Operator::IsNot, &[0, 0]);
            }
            Expression::Lookup { fields, operator, set } => {
                self.load_all(fields);
                let inverted = u32::from(*operator == Operator::IsNot);
                self.emit("lookup", &Attributes::new().text(1, set).u32(2, REGISTER).u32(5, inverted));
            }
            Expression::VerdictMap { fields, map } => {
                self.load_all(fields);
                self.look_up_into(map, VERDICT_REGISTER);
            }
            Expression::SetMark(mark) => {
                self.immediate(&mark.to_ne_bytes(), REGISTER);
                self.set_mark();
            }
            Expression::SetMarkFrom { fields, map } => {
                self.load_all(fields);
                self.look_up_into(map, REGISTER);
                self.set_mark();
            }
            Expression::State(states) => {
                self.flow(NFT_CT_STATE);
                self.mask(states.iter().fold(0, |bits, state| bits | *state as u32), 0);
                self.compare(Operator::IsNot, &0_u32.to_ne_bytes());
            }
            Expression::Original(original) => {
                self.flow(NFT_CT_DIRECTION);
                self.compare(Operator::Is, &[u8::from(!original)]);
            }
            Expression::DestinationTranslated(yes) => {
                self.flow(NFT_CT_STATUS);
                self.mask(IPS_DST_NAT, 0);
                let operator = if *yes { Operator::IsNot } else { Operator::Is };
                self.compare(operator, &0_u32.to_ne_bytes());
            }
            Expression::FlowMark(bits) => {
                self.flow(NFT_CT_MARK);
                self.mask(*bits, 0);
                self.compare(Operator::Is, &bits.to_ne_bytes());
            }
            Expression::SetFlowMark(bits) => {
                self.flow(NFT_CT_MARK);
                self.mask(!bits, *bits);
                self.emit("ct", &Attributes::new().u32(2, NFT_CT_MARK).u32(4, REGISTER));
            }
            Expression::Count(counter) => {
                const NFT_OBJECT_COUNTER: u32 = 1;
                self.emit("objref", &Attributes::new().u32(1, NFT_OBJECT_COUNTER).text(2, counter));
            }
            Expression::Log { group, prefix } => {
                let data = Attributes::new().bytes(1, &group.to_be_bytes()).text(2, prefix);
                self.emit("log", &data.u32(3, LOGGED_BYTES));
            }
            Expression::CountBy { field, set } => {
                const UPDATE: u32 = 1;
                self.load(*field, REGISTER);
                let counter = Attributes::new().text(1, "counter").nest(2, &Attributes::new());
                let data = Attributes::new().text(1, set).u32(3, UPDATE).u32(4, REGISTER).nest(7, &counter);
                self.emit("dynset", &data);
            }
            Expression::DestinationFrom { map } => {
                self.load(Field::Destination, REGISTER);
                self.look_up_into(map, REGISTER);
                self.translate(NFT_NAT_DNAT, false);
            }
            Expression::SourceFrom { map } => {
                self.load(Field::Source, REGISTER);
                self.look_up_into(map, REGISTER);
                self.translate(NFT_NAT_SNAT, false);
            }
            Expression::SourceTo { address, ports } => self.source_to(*address, *ports),
            Expression::HandTo(listener) => {
                self.immediate(&listener.ip().octets(), REGISTER);
                self.immediate(&listener.port().to_be_bytes(), REGISTER + 1);
                let data = Attributes::new().u32(1, NFPROTO_IPV4).u32(2, REGISTER).u32(3, REGISTER + 1);
                self.emit("tproxy", &data);
            }
            Expression::ClampSegment(size) => self.clamp_segment(*size),
            Expression::Reset => {
                const NFT_REJECT_TCP_RST: u32 = 1;
                self.emit("reject", &Attributes::new().u32(1, NFT_REJECT_TCP_RST));
            }
            Expression::Verdict(verdict) => {
                let data = Attributes::new().u32(1, VERDICT_REGISTER).nest(2, &self::verdict(verdict));
                self.emit("immediate", &data);
            }
        }
    }

    fn load_all(&mut self, fields: &[Field]) {
        let mut register = REGISTER;
        for field in fields {
            self.load(*field, register);
            register += field.kind().length() / 4;
        }
    }

    fn load(&mut self, field: Field, register: u32) {
        match field {
            Field::InputInterface => self.meta(NFT_META_IIFNAME, register),
            Field::OutputInterface => self.meta(NFT_META_OIFNAME, register),
            Field::Mark => self.meta(NFT_META_MARK, register),
            Field::Source => self.payload(NETWORK_HEADER, 12, 4, register),
            Field::Destination => self.payload(NETWORK_HEADER, 16, 4, register),
        }
    }

    fn meta(&mut self, key: u32, register: u32) {
        self.emit("meta", &Attributes::new().u32(2, key).u32(1, register));
    }

    fn set_mark(&mut self) {
        self.emit("meta", &Attributes::new().u32(2, NFT_META_MARK).u32(3, REGISTER));
    }

    fn flow(&mut self, key: u32) {
        self.emit("ct", &Attributes::new().u32(2, key).u32(1, REGISTER));
    }

    fn payload(&mut self, header: u32, offset: u32, length: u32, register: u32) {
        let data = Attributes::new().u32(1, register).u32(2, header).u32(3, offset).u32(4, length);
        self.emit("payload", &data);
    }

    fn immediate(&mut self, value: &[u8], register: u32) {
        let data = Attributes::new().bytes(1, value);
        self.emit("immediate", &Attributes::new().u32(1, register).nest(2, &data));
    }

    fn compare(&mut self, operator: Operator, value: &[u8]) {
        let data = Attributes::new().bytes(1, value);
        self.emit("cmp", &Attributes::new().u32(1, REGISTER).u32(2, operator as u32).nest(3, &data));
    }

    fn range(&mut self, from: &[u8], to: &[u8]) {
        let (from, to) = (Attributes::new().bytes(1, from), Attributes::new().bytes(1, to));
        let data = Attributes::new().u32(1, REGISTER).u32(2, Operator::Is as u32).nest(3, &from).nest(4, &to);
        self.emit("range", &data);
    }

    /// `value & mask ^ xor` on four bytes in the machine's order.
    fn mask(&mut self, mask: u32, xor: u32) {
        let data = Attributes::new()
            .u32(1, REGISTER)
            .u32(2, REGISTER)
            .u32(3, 4)
            .nest(4, &Attributes::new().bytes(1, &mask.to_ne_bytes()))
            .nest(5, &Attributes::new().bytes(1, &xor.to_ne_bytes()));
        self.emit("bitwise", &data);
    }

    /// The same with up to four bytes as they stand in the packet.
    fn mask_bytes(&mut self, mask: &[u8]) {
        let length = u32::try_from(mask.len()).unwrap_or(4);
        let data = Attributes::new()
            .u32(1, REGISTER)
            .u32(2, REGISTER)
            .u32(3, length)
            .nest(4, &Attributes::new().bytes(1, mask))
            .nest(5, &Attributes::new().bytes(1, &vec![0; mask.len()]));
        self.emit("bitwise", &data);
    }

    fn look_up_into(&mut self, map: &str, register: u32) {
        self.emit("lookup", &Attributes::new().text(1, map).u32(2, REGISTER).u32(3, register));
    }

    /// The address is in the first register, with ports in the second and third.
    fn translate(&mut self, kind: u32, ports: bool) {
        let mut data = Attributes::new().u32(1, kind).u32(2, NFPROTO_IPV4).u32(3, REGISTER);
        if ports {
            data = data.u32(5, REGISTER + 1).u32(6, REGISTER + 2);
        }
        self.emit("nat", &data);
    }

    fn source_to(&mut self, address: Ipv4Addr, ports: Option<(u16, u16)>) {
        self.immediate(&address.octets(), REGISTER);
        if let Some((from, to)) = ports {
            self.immediate(&from.to_be_bytes(), REGISTER + 1);
            self.immediate(&to.to_be_bytes(), REGISTER + 2);
        }
        self.translate(NFT_NAT_SNAT, ports.is_some());
    }

    /// On a SYN without RST: the kernel writes the option only when that makes it smaller.
    fn clamp_segment(&mut self, size: u16) {
        const SYN: u8 = 2;
        const RST: u8 = 4;
        const MAXIMUM_SEGMENT_SIZE: u8 = 2;
        const TCP_OPTION: u32 = 1;
        self.payload(TRANSPORT_HEADER, 13, 1, REGISTER);
        self.mask_bytes(&[SYN | RST]);
        self.compare(Operator::Is, &[SYN]);
        self.immediate(&size.to_be_bytes(), REGISTER);
        let option = Attributes::new()
            .bytes(2, &[MAXIMUM_SEGMENT_SIZE])
            .u32(3, 2)
            .u32(4, 2)
            .u32(6, TCP_OPTION)
            .u32(7, REGISTER);
        self.emit("exthdr", &option);
    }
}
