//! From a query to the response: pure.

use desired::ServiceRecord;

use crate::query::{HEADER, Head, NoQuery, Query, rcode, read};
use crate::zone::{Found, View};

/// How a query came; it bounds the answer's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// At most 512 bytes, with EDNS at most 1232 (what crosses every path in one piece); else cut, and asked again
    /// over TCP.
    Udp,
    /// At most 65,535 bytes.
    Tcp,
}

/// The largest UDP message that we send and say that we take, as the DNS flag day of 2020 recommends.
const UDP_SIZE: u16 = 1232;

/// Seconds for which it may be remembered that a name does not exist. Short: load balancers come and go.
const NEGATIVE_TTL: u32 = 5;

const A: u16 = 1;
const SRV: u16 = 33;
const IXFR: u16 = 251;
const AXFR: u16 = 252;
const ANY: u16 = 255;

/// What a message gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This response.
    Ours(Vec<u8>),
    /// What the host's own DNS servers say.
    Further {
        /// The response when none of them says anything: SERVFAIL.
        silence: Vec<u8>,
    },
}

/// The answer to a message, None when it deserves none. `turn` counts the queries, so that a name's addresses take
/// turns at coming first.
pub fn answer(view: &View, message: &[u8], transport: Transport, turn: usize) -> Option<Answer> {
    let query = read(message);
    if let Ok(Query { name: Some(name), class: 1, kind, .. }) = &query
        && !matches!(*kind, IXFR | AXFR)
        && view.is_asked_further(name)
        && let Ok(query) = &query
    {
        return Some(Answer::Further {
            silence: respond(query, rcode::SERVER_FAILURE, &[], NEGATIVE_TTL, usize::MAX),
        });
    }
    ours(view, query, transport, turn).map(Answer::Ours)
}

fn ours(
    view: &View,
    query: Result<Query<'_>, NoQuery>,
    transport: Transport,
    turn: usize,
) -> Option<Vec<u8>> {
    let query = match query {
        Ok(query) => query,
        Err(NoQuery::Silence) => return None,
        Err(NoQuery::Code(head, code)) => return Some(header(head, code, false, [0; 4])),
    };
    if query.edns.is_some_and(|(_, version)| version > 0) {
        return Some(respond(&query, rcode::BAD_VERSION, &[], NEGATIVE_TTL, usize::MAX));
    }
    let limit = match (transport, query.edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => 512,
        (Transport::Udp, Some((size, _))) => usize::from(size.clamp(512, UDP_SIZE)),
    };
    if !matches!(query.class, 1 | 255) {
        return Some(respond(&query, rcode::REFUSED, &[], NEGATIVE_TTL, limit));
    }
    if matches!(query.kind, IXFR | AXFR) {
        return Some(respond(&query, rcode::NOT_IMPLEMENTED, &[], NEGATIVE_TTL, limit));
    }
    let name = query.name.as_deref();
    let negative = name.and_then(|name| view.negative_ttl(name)).unwrap_or(NEGATIVE_TTL);
    Some(match name.map_or(Found::Unknown, |name| view.find(name)) {
        Found::Unknown => respond(&query, rcode::NAME_ERROR, &[], negative, limit),
        // A type of which the name has no record has an empty answer (RFC 2308, NODATA).
        Found::Name { addresses, ttl, services, services_ttl, at_most } => {
            let mut records = Vec::new();
            if matches!(query.kind, A | ANY) {
                let a = addresses.iter().map(|address| record(A, ttl, &address.octets()));
                records.extend(taking_turns(a.collect(), turn, at_most));
            }
            if matches!(query.kind, SRV | ANY) {
                let srv =
                    services.iter().filter_map(|service| Some(record(SRV, services_ttl, &data(service)?)));
                records.extend(taking_turns(srv.collect(), turn, at_most));
            }
            respond(&query, rcode::NO_ERROR, &records, negative, limit)
        }
    })
}

/// Records, another one first at each turn, and not more than so many.
fn taking_turns(mut records: Vec<Vec<u8>>, turn: usize, at_most: Option<usize>) -> Vec<Vec<u8>> {
    if !records.is_empty() {
        let first = turn % records.len();
        records.rotate_left(first);
    }
    records.truncate(at_most.unwrap_or(usize::MAX));
    records
}

/// A record of the question's name, to which it points.
fn record(kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xc0, 0x0c];
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(ttl.to_be_bytes());
    bytes.extend(u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
    bytes.extend(data);
    bytes
}

/// An SRV record's data; its target is written out in full (RFC 2782). None: the target is no domain name.
fn data(service: &ServiceRecord) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for number in [service.priority, service.weight, service.port] {
        bytes.extend(number.to_be_bytes());
    }
    for label in service.target.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        bytes.push(length);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    (bytes.len() <= 6 + 255).then_some(bytes)
}

fn header(head: Head, code: u16, truncated: bool, counts: [u16; 4]) -> Vec<u8> {
    // Repeated: the opcode, "recursion desired", "checking disabled". Ours: "response", "recursion available".
    let flags = head.flags & 0x7910 | 0x8080 | u16::from(truncated) << 9 | code & 0xf;
    let mut bytes = Vec::with_capacity(128);
    for word in [head.id, flags].into_iter().chain(counts) {
        bytes.extend(word.to_be_bytes());
    }
    bytes
}

/// A response with records, or with how long it may be remembered that there are none.
fn respond(query: &Query<'_>, code: u16, records: &[Vec<u8>], negative_ttl: u32, limit: usize) -> Vec<u8> {
    let opt = u16::from(query.edns.is_some());
    let negative = records.is_empty() && matches!(code, rcode::NO_ERROR | rcode::NAME_ERROR);
    let length: usize = records.iter().map(Vec::len).sum();
    let size = HEADER + query.question.len() + length + usize::from(opt) * 11;
    let truncated = size > limit;
    let records = if truncated { &[] } else { records };
    let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
    let mut bytes = header(query.head, code, truncated, [1, count, u16::from(negative), opt]);
    bytes.extend(query.question);
    bytes.extend(records.iter().flatten());
    if negative {
        authority(&mut bytes, negative_ttl);
    }
    if opt == 1 {
        bytes.extend([0, 0, 41]);
        bytes.extend(UDP_SIZE.to_be_bytes());
        // The response code's upper eight bits, EDNS version 0, no flags, no options.
        bytes.extend([u8::try_from(code >> 4).unwrap_or(0), 0, 0, 0, 0, 0]);
    }
    bytes
}

/// The record by which a resolver knows how long it may remember "no" (RFC 2308): the root's, as all names are below it.
fn authority(bytes: &mut Vec<u8>, negative_ttl: u32) {
    const SERVER: &[u8] = b"\x08landfall\x08internal\0";
    const MAILBOX: &[u8] = b"\x0ahostmaster\x08landfall\x08internal\0";
    const LENGTH: usize = SERVER.len() + MAILBOX.len() + 20;
    bytes.extend([0, 0, 6, 0, 1]);
    bytes.extend(negative_ttl.to_be_bytes());
    bytes.extend(u16::try_from(LENGTH).unwrap_or(0).to_be_bytes());
    bytes.extend(SERVER);
    bytes.extend(MAILBOX);
    for number in [1, 3600, 600, 86_400, negative_ttl] {
        bytes.extend(number.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::Tables;
    use desired::{Discovered, Names, PrivateZone, Record, VpcNames};
    use proptest::prelude::*;
    use simple_dns::rdata::{OPT, RData};
    use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
    use types::VpcId;

    fn tables(internet: bool) -> Tables {
        let many = (0..200).map(|last| Ipv4Addr::new(10, 0, 1, last)).collect();
        let few = (1..=3).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect();
        Tables::new(&Names {
            vpcs: vec![VpcNames {
                vpc: VpcId::from("vpc-1"),
                servers: Vec::new(),
                enabled: true,
                records: Vec::new(),
                zones: vec![PrivateZone { name: "shop.internal".to_owned(), negative_ttl: 30 }],
                discovered: vec![discovered("web", 12, 8), discovered("one", 3, 1)],
            }],
            public: vec![
                Record { name: "app.example".to_owned(), addresses: few, ttl: 60 },
                Record { name: "many.example".to_owned(), addresses: many, ttl: 60 },
            ],
            internet,
            api: None,
        })
    }

    fn discovered(name: &str, count: u8, at_most: usize) -> Discovered {
        let target = |last: u8| ServiceRecord {
            priority: 1,
            weight: 1,
            port: 3000 + u16::from(last),
            target: format!("task{last}.{name}.shop.internal"),
        };
        Discovered {
            name: format!("{name}.shop.internal"),
            addresses: (0..count).map(|last| Ipv4Addr::new(10, 0, 2, last)).collect(),
            ttl: 10,
            services: (0..count).map(target).collect(),
            services_ttl: 20,
            at_most,
        }
    }

    fn bytes(message: &[u8], transport: Transport, turn: usize) -> Option<Vec<u8>> {
        match answer(tables(false).vpc(&VpcId::from("vpc-1")).unwrap(), message, transport, turn)? {
            Answer::Ours(bytes) => Some(bytes),
            further @ Answer::Further { .. } => panic!("{further:?}"),
        }
    }

    fn message(name: &str, kind: QTYPE, class: QCLASS, edns: Option<u16>) -> Vec<u8> {
        let mut packet = Packet::new_query(7);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet.questions.push(Question::new(Name::new_unchecked(name), kind, class, false));
        *packet.opt_mut() =
            edns.map(|udp_packet_size| OPT { opt_codes: Vec::new(), udp_packet_size, version: 0 });
        packet.build_bytes_vec().unwrap()
    }

    fn ask(name: &str, kind: TYPE) -> Vec<u8> {
        message(name, kind.into(), CLASS::IN.into(), None)
    }

    fn addresses(packet: &Packet<'_>) -> Vec<Ipv4Addr> {
        let address = |record: &simple_dns::ResourceRecord<'_>| match &record.rdata {
            RData::A(a) => Ipv4Addr::from(a.address),
            other => panic!("{other:?}"),
        };
        packet.answers.iter().map(address).collect()
    }

    #[test]
    fn a_known_name_is_answered_with_its_case_kept_and_its_addresses_in_turn() {
        let mut firsts = Vec::new();
        for turn in 0..4 {
            let response = bytes(&ask("aPP.eXample", TYPE::A), Transport::Udp, turn).unwrap();
            let packet = Packet::parse(&response).unwrap();
            assert_eq!((packet.id(), packet.rcode()), (7, RCODE::NoError));
            let flags =
                PacketFlag::RESPONSE | PacketFlag::RECURSION_DESIRED | PacketFlag::RECURSION_AVAILABLE;
            assert!(packet.has_flags(flags));
            assert!(!packet.has_flags(PacketFlag::TRUNCATION));
            assert_eq!(packet.questions[0].qname.to_string(), "aPP.eXample");
            assert_eq!(packet.answers[0].name.to_string(), "aPP.eXample");
            assert_eq!((packet.answers.len(), packet.answers[0].ttl), (3, 60));
            firsts.push(addresses(&packet)[0].octets()[3]);
        }
        assert_eq!(firsts, [1, 2, 3, 1]);
    }

    #[test]
    fn a_service_answers_with_some_of_its_instances_and_all_take_their_turns() {
        for (name, shown, all) in [("web.shop.internal", 8, 12), ("one.shop.internal", 1, 3)] {
            let mut seen = std::collections::BTreeSet::new();
            for turn in 0..20 {
                let response = bytes(&ask(name, TYPE::A), Transport::Udp, turn).unwrap();
                let packet = Packet::parse(&response).unwrap();
                assert_eq!((packet.answers.len(), packet.answers[0].ttl), (shown, 10), "{name}");
                seen.extend(addresses(&packet));
            }
            assert_eq!(seen.len(), all, "{name}");
        }
    }

    #[test]
    fn an_srv_record_names_a_port_and_the_name_of_an_address() {
        let response = bytes(&ask("one.shop.internal", TYPE::SRV), Transport::Udp, 1).unwrap();
        let packet = Packet::parse(&response).unwrap();
        let [answer] = &*packet.answers else { panic!("{packet:?}") };
        let RData::SRV(srv) = &answer.rdata else { panic!("{answer:?}") };
        assert_eq!((srv.priority, srv.weight, srv.port, answer.ttl), (1, 1, 3001, 20));
        assert_eq!(srv.target.to_string(), "task1.one.shop.internal");
        let nothing = bytes(&ask("one.shop.internal", TYPE::MX), Transport::Udp, 0).unwrap();
        assert_eq!(Packet::parse(&nothing).unwrap().answers.len(), 0);
        // Eight targets with long names do not fit into the smallest message.
        let cut = bytes(&ask("web.shop.internal", TYPE::SRV), Transport::Udp, 0).unwrap();
        assert!(Packet::parse(&cut).unwrap().has_flags(PacketFlag::TRUNCATION) || cut.len() <= 512);
        let whole = bytes(&ask("web.shop.internal", TYPE::SRV), Transport::Tcp, 0).unwrap();
        assert_eq!(Packet::parse(&whole).unwrap().answers.len(), 8);
    }

    #[test]
    fn a_domain_of_the_vpcs_own_says_how_long_no_is_remembered() {
        let response = bytes(&ask("none.shop.internal", TYPE::A), Transport::Udp, 0).unwrap();
        let packet = Packet::parse(&response).unwrap();
        let RData::SOA(soa) = &packet.name_servers[0].rdata else { panic!("{packet:?}") };
        assert_eq!((packet.rcode(), soa.minimum), (RCODE::NameError, 30));
    }

    #[test]
    fn other_types_of_a_known_name_are_empty_and_say_how_long_that_holds() {
        for kind in [TYPE::AAAA, TYPE::TXT, TYPE::HTTPS, TYPE::Unknown(65_400)] {
            let response = bytes(&ask("app.example", kind), Transport::Udp, 0).unwrap();
            assert_eq!(response[3] & 0xf, 0, "{kind:?}");
            assert_eq!(&response[6..10], [0, 0, 0, 1], "{kind:?}");
        }
        let response = bytes(&ask("app.example", TYPE::AAAA), Transport::Udp, 0).unwrap();
        let packet = Packet::parse(&response).unwrap();
        let RData::SOA(soa) = &packet.name_servers[0].rdata else { panic!("{packet:?}") };
        assert_eq!((soa.minimum, soa.mname.to_string().as_str()), (NEGATIVE_TTL, "landfall.internal"));
    }

    #[test]
    fn an_unknown_name_does_not_exist_whatever_is_asked_of_it() {
        for kind in [TYPE::A, TYPE::AAAA, TYPE::MX] {
            let response = bytes(&ask("no.example.org", kind), Transport::Udp, 0).unwrap();
            let packet = Packet::parse(&response).unwrap();
            assert_eq!((packet.rcode(), packet.name_servers.len()), (RCODE::NameError, 1));
        }
    }

    #[test]
    fn with_the_internet_on_names_of_others_are_asked_further_and_ours_are_not() {
        let tables = tables(true);
        for (name, kind, further) in [
            ("app.example", TYPE::A, false),
            ("app.example", TYPE::AAAA, false),
            ("else.example", TYPE::A, true),
            ("deep.app.example", TYPE::MX, true),
            ("example", TYPE::A, false),
            ("x.localhost", TYPE::A, false),
        ] {
            let view = tables.vpc(&VpcId::from("vpc-1")).unwrap();
            match answer(view, &ask(name, kind), Transport::Udp, 0).unwrap() {
                Answer::Ours(_) => assert!(!further, "{name}"),
                Answer::Further { silence } => {
                    assert!(further, "{name}");
                    assert_eq!(Packet::parse(&silence).unwrap().rcode(), RCODE::ServerFailure);
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_and_comes_whole_over_tcp() {
        let cases = [(Transport::Udp, None, 0), (Transport::Udp, Some(4096), 0), (Transport::Tcp, None, 200)];
        for (transport, edns, count) in cases {
            let query = message("many.example", TYPE::A.into(), CLASS::IN.into(), edns);
            let response = bytes(&query, transport, 0).unwrap();
            let packet = Packet::parse(&response).unwrap();
            assert_eq!(packet.answers.len(), count, "{transport:?} {edns:?}");
            assert_eq!(packet.has_flags(PacketFlag::TRUNCATION), count == 0);
            assert_eq!(packet.opt().map(|opt| opt.udp_packet_size), edns.map(|_| UDP_SIZE));
        }
    }

    #[test]
    fn what_is_not_done_is_said() {
        let code = |query: &[u8]| bytes(query, Transport::Udp, 0).unwrap()[3] & 0xf;
        assert_eq!(code(&message("app.example", TYPE::A.into(), CLASS::CH.into(), None)), 5);
        assert_eq!(code(&message("app.example", QTYPE::AXFR, CLASS::IN.into(), None)), 4);
        assert_eq!(code(&message("app.example", QTYPE::ANY, CLASS::IN.into(), None)), 0);
        assert_eq!(code(&[0, 7, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0]), 1);
    }

    #[test]
    fn a_newer_edns_is_told_our_version() {
        let mut query = message("app.example", TYPE::A.into(), CLASS::IN.into(), Some(1232));
        let version = query.len() - 5;
        query[version] = 1;
        let response = bytes(&query, Transport::Udp, 0).unwrap();
        assert_eq!(response[3] & 0xf, 0);
        assert_eq!(&response[response.len() - 6..], [1, 0, 0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(message in proptest::collection::vec(any::<u8>(), 0..600), turn: usize) {
            let _ = bytes(&message, Transport::Udp, turn);
        }

        #[test]
        fn a_query_with_any_byte_changed_gets_a_message_of_its_id_or_nothing(
            at in 0_usize..40, byte: u8, turn: usize,
        ) {
            let mut query = message("app.example", TYPE::A.into(), CLASS::IN.into(), Some(1232));
            let at = at % query.len();
            query[at] = byte;
            if let Some(response) = bytes(&query, Transport::Udp, turn) {
                prop_assert_eq!(&response[..2], &query[..2]);
                prop_assert!(response[2] & 0x80 != 0 && response.len() <= usize::from(UDP_SIZE));
            }
        }
    }
}
