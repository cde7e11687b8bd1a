//! From a query to the response: pure.

use std::net::Ipv4Addr;

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
        return Some(Answer::Further { silence: respond(query, rcode::SERVER_FAILURE, &[], 0, usize::MAX) });
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
        return Some(respond(&query, rcode::BAD_VERSION, &[], 0, usize::MAX));
    }
    let limit = match (transport, query.edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => 512,
        (Transport::Udp, Some((size, _))) => usize::from(size.clamp(512, UDP_SIZE)),
    };
    if !matches!(query.class, 1 | 255) {
        return Some(respond(&query, rcode::REFUSED, &[], 0, limit));
    }
    if matches!(query.kind, IXFR | AXFR) {
        return Some(respond(&query, rcode::NOT_IMPLEMENTED, &[], 0, limit));
    }
    let found = query.name.as_deref().map_or(Found::Unknown, |name| view.find(name));
    Some(match found {
        Found::Unknown => respond(&query, rcode::NAME_ERROR, &[], 0, limit),
        Found::Name { mut addresses, ttl } if matches!(query.kind, A | ANY) => {
            if !addresses.is_empty() {
                let first = turn % addresses.len();
                addresses.rotate_left(first);
            }
            respond(&query, rcode::NO_ERROR, &addresses, ttl, limit)
        }
        // The name has nothing but A records: every other type has an empty answer (RFC 2308, NODATA).
        Found::Name { .. } => respond(&query, rcode::NO_ERROR, &[], 0, limit),
    })
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

fn respond(query: &Query<'_>, code: u16, addresses: &[Ipv4Addr], ttl: u32, limit: usize) -> Vec<u8> {
    let opt = u16::from(query.edns.is_some());
    let negative = addresses.is_empty() && matches!(code, rcode::NO_ERROR | rcode::NAME_ERROR);
    // An A record is 16 bytes, its name being a pointer to the question's.
    let size = HEADER + query.question.len() + addresses.len() * 16 + usize::from(opt) * 11;
    let truncated = size > limit;
    let addresses = if truncated { &[] } else { addresses };
    let count = u16::try_from(addresses.len()).unwrap_or(u16::MAX);
    let mut bytes = header(query.head, code, truncated, [1, count, u16::from(negative), opt]);
    bytes.extend(query.question);
    for address in addresses {
        bytes.extend([0xc0, 0x0c, 0, 1, 0, 1]);
        bytes.extend(ttl.to_be_bytes());
        bytes.extend([0, 4]);
        bytes.extend(address.octets());
    }
    if negative {
        authority(&mut bytes);
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
fn authority(bytes: &mut Vec<u8>) {
    const SERVER: &[u8] = b"\x08landfall\x08internal\0";
    const MAILBOX: &[u8] = b"\x0ahostmaster\x08landfall\x08internal\0";
    const LENGTH: usize = SERVER.len() + MAILBOX.len() + 20;
    bytes.extend([0, 0, 6, 0, 1]);
    bytes.extend(NEGATIVE_TTL.to_be_bytes());
    bytes.extend(u16::try_from(LENGTH).unwrap_or(0).to_be_bytes());
    bytes.extend(SERVER);
    bytes.extend(MAILBOX);
    for number in [1, 3600, 600, 86_400, NEGATIVE_TTL] {
        bytes.extend(number.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tables;
    use desired::{Names, Record, VpcNames};
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
            }],
            public: vec![
                Record { name: "app.example".to_owned(), addresses: few, ttl: 60 },
                Record { name: "many.example".to_owned(), addresses: many, ttl: 60 },
            ],
            internet,
        })
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
