//! Prints tables in the syntax of `nft`.

use std::fmt::{Display, Formatter, Result, Write};

use super::{
    Base, Chain, Elements, Expression, Field, Hook, Kind, LOGGED_BYTES, Operator, Set, State, Table, Type,
    Value, Verdict,
};

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "table ip {} {{", self.name)?;
        for counter in &self.counters {
            writeln!(f, "  counter {counter}")?;
        }
        for (name, set) in &self.sets {
            let kind = if set.value.is_some() { "map" } else { "set" };
            writeln!(f, "  {kind} {name} {{{set}}}")?;
        }
        for (name, chain) in &self.chains {
            writeln!(f, "  chain {name} {{\n{chain}  }}")?;
        }
        f.write_char('}')
    }
}

fn joined<T: Display>(parts: &[T], between: &str) -> String {
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

impl Display for Type {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Type::Ipv4 => "ipv4_addr",
            Type::Mark => "mark",
            Type::Interface => "ifname",
            Type::Verdict => "verdict",
        })
    }
}

impl Display for Set {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, " type {}", joined(&self.key, " . "))?;
        if let Some(value) = self.value {
            write!(f, " : {value}")?;
        }
        f.write_str(match self.elements_are {
            Elements::Values => "",
            Elements::Intervals => "; flags interval",
            Elements::Counted => "; flags dynamic,timeout; timeout 1d",
        })?;
        if self.elements.is_empty() {
            return f.write_str("; ");
        }
        let element = |(key, value): (&Vec<Value>, &Option<Value>)| match value {
            Some(value) => format!("{} : {value}", joined(key, " . ")),
            None => joined(key, " . "),
        };
        let elements: Vec<String> = self.elements.iter().map(element).collect();
        write!(f, "; elements = {{ {} }} ", elements.join(", "))
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Value::Ipv4(address) => address.fmt(f),
            Value::Range(first, last) => write!(f, "{first}-{last}"),
            Value::Mark(mark) => write!(f, "{mark:#x}"),
            Value::Interface(name) => write!(f, "\"{name}\""),
            Value::Verdict(verdict) => verdict.fmt(f),
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Verdict::Accept => f.write_str("accept"),
            Verdict::Drop => f.write_str("drop"),
            Verdict::Jump(chain) => write!(f, "jump {chain}"),
            Verdict::Goto(chain) => write!(f, "goto {chain}"),
            Verdict::Return => f.write_str("return"),
        }
    }
}

impl Display for Chain {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Some(base) = &self.base {
            writeln!(f, "    {base}")?;
        }
        for rule in &self.rules {
            writeln!(f, "    {}", joined(rule, " "))?;
        }
        Ok(())
    }
}

impl Display for Base {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let kind = match self.kind {
            Kind::Filter => "filter",
            Kind::Nat => "nat",
        };
        let hook = match self.hook {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
        };
        let policy = if self.accept { "accept" } else { "drop" };
        write!(f, "type {kind} hook {hook} priority {}; policy {policy};", self.priority)
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Field::InputInterface => "iifname",
            Field::OutputInterface => "oifname",
            Field::Source => "ip saddr",
            Field::Destination => "ip daddr",
            Field::Mark => "meta mark",
        })
    }
}

impl Display for State {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            State::Invalid => "invalid",
            State::Established => "established",
            State::Related => "related",
            State::New => "new",
        })
    }
}

impl Display for Operator {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Operator::Is => "",
            Operator::IsNot => "!= ",
        })
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Expression::Interface(field, operator, name) => write!(f, "{field} {operator}\"{name}\""),
            Expression::Within(field, operator, range) => write!(f, "{field} {operator}{range}"),
            Expression::Protocol(number) => write!(f, "meta l4proto {number}"),
            Expression::Ports { destination, from, to } => {
                write!(f, "th {} {from}", if *destination { "dport" } else { "sport" })?;
                if from == to { Ok(()) } else { write!(f, "-{to}") }
            }
            Expression::IcmpType(number) => write!(f, "icmp type {number}"),
            Expression::IcmpCode(number) => write!(f, "icmp code {number}"),
            Expression::Fragment => f.write_str("ip frag-off & 0x3fff != 0"),
            Expression::Lookup { fields, operator, set } => {
                write!(f, "{} {operator}@{set}", joined(fields, " . "))
            }
            Expression::VerdictMap { fields, map } => write!(f, "{} vmap @{map}", joined(fields, " . ")),
            Expression::SetMark(mark) => write!(f, "meta mark set {mark:#x}"),
            Expression::SetMarkFrom { fields, map } => {
                write!(f, "meta mark set {} map @{map}", joined(fields, " . "))
            }
            Expression::State(states) => write!(f, "ct state {}", joined(states, ",")),
            Expression::Original(original) => {
                write!(f, "ct direction {}", if *original { "original" } else { "reply" })
            }
            Expression::DestinationTranslated(yes) => {
                write!(f, "ct status & dnat {} 0", if *yes { "!=" } else { "==" })
            }
            Expression::FlowMark(bits) => write!(f, "ct mark & {bits:#x} == {bits:#x}"),
            Expression::SetFlowMark(bits) => write!(f, "ct mark set ct mark | {bits:#x}"),
            Expression::Count(counter) => write!(f, "counter name {counter}"),
            Expression::Log { group, prefix } => {
                write!(f, "log prefix \"{prefix}\" group {group} snaplen {LOGGED_BYTES}")
            }
            Expression::CountBy { field, set } => write!(f, "update @{set} {{ {field} counter }}"),
            Expression::DestinationFrom { map } => write!(f, "dnat to ip daddr map @{map}"),
            Expression::SourceFrom { map } => write!(f, "snat to ip saddr map @{map}"),
            Expression::SourceTo { address, ports: None } => write!(f, "snat to {address}"),
            Expression::SourceTo { address, ports: Some((from, to)) } => {
                write!(f, "snat to {address}:{from}-{to}")
            }
            Expression::HandTo(listener) => write!(f, "tproxy to {listener}"),
            Expression::ClampSegment(size) => {
                write!(f, "tcp flags & (syn | rst) == syn tcp option maxseg size set {size}")
            }
            Expression::Reset => f.write_str("reject with tcp reset"),
            Expression::Verdict(verdict) => verdict.fmt(f),
        }
    }
}
