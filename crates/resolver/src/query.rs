//! Taking a DNS query apart: RFC 1035, section 4; EDNS by RFC 6891. What hosts send is hostile until proved otherwise,
//! so no more is read than an answer needs, and nothing is followed.

/// The length of a message's header.
pub(crate) const HEADER: usize = 12;

/// RFC 1035's and RFC 6891's response codes.
pub(crate) mod rcode {
    pub(crate) const NO_ERROR: u16 = 0;
    pub(crate) const FORMAT_ERROR: u16 = 1;
    pub(crate) const SERVER_FAILURE: u16 = 2;
    pub(crate) const NAME_ERROR: u16 = 3;
    pub(crate) const NOT_IMPLEMENTED: u16 = 4;
    pub(crate) const REFUSED: u16 = 5;
    pub(crate) const BAD_VERSION: u16 = 16;
}

/// A query with one question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Query<'a> {
    pub(crate) head: Head,
    /// The question as it came (name, type, class), to be repeated with its upper and lower case as it is.
    pub(crate) question: &'a [u8],
    /// The name in lower case without the final dot. None: it has bytes that no name of ours has.
    pub(crate) name: Option<String>,
    pub(crate) kind: u16,
    pub(crate) class: u16,
    /// The asker's UDP size and EDNS version.
    pub(crate) edns: Option<(u16, u8)>,
}

/// What every answer repeats of a query's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: u16,
    pub(crate) flags: u16,
}

/// Why a message is no query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoQuery {
    /// It deserves no answer: it is too short, or an answer itself (which must never be answered, or two servers could
    /// talk for ever).
    Silence,
    /// It is answered by its header and this code alone.
    Code(Head, u16),
}

/// Reads a query.
pub(crate) fn read(message: &[u8]) -> Result<Query<'_>, NoQuery> {
    let mut bytes = Bytes(message);
    let header = [(); 6].map(|()| bytes.u16());
    let [Some(id), Some(flags), Some(questions), Some(answers), Some(authorities), Some(additional)] = header
    else {
        return Err(NoQuery::Silence);
    };
    let head = Head { id, flags };
    if flags & 0x8000 != 0 {
        return Err(NoQuery::Silence);
    }
    if flags & 0x7800 != 0 {
        return Err(NoQuery::Code(head, rcode::NOT_IMPLEMENTED));
    }
    let broken = NoQuery::Code(head, rcode::FORMAT_ERROR);
    if questions != 1 {
        return Err(broken);
    }
    let Some((name, kind, class)) = question(&mut bytes) else {
        return Err(broken);
    };
    let question = &message[HEADER..message.len() - bytes.0.len()];
    let mut edns = None;
    let records = usize::from(answers) + usize::from(authorities) + usize::from(additional);
    for _ in 0..records {
        let Some((kind, class, ttl)) = record(&mut bytes) else {
            return Err(broken);
        };
        if kind == 41 {
            // The record's class is the asker's UDP size; the second byte of its time to live is the version.
            let version = ttl.to_be_bytes()[1];
            if edns.replace((class, version)).is_some() {
                return Err(broken);
            }
        }
    }
    Ok(Query { head, question, name, kind, class, edns })
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }
}

fn question(bytes: &mut Bytes<'_>) -> Option<(Option<String>, u16, u16)> {
    let mut name = Some(String::new());
    let mut length = 1;
    loop {
        let label = match bytes.u8()? {
            0 => break,
            // Nothing stands before the first question that a pointer could point to.
            count @ 1..=63 => bytes.take(usize::from(count))?,
            _ => return None,
        };
        length += 1 + label.len();
        if length > 255 {
            return None;
        }
        name = name.filter(|_| label.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'.'));
        if let Some(name) = &mut name {
            if !name.is_empty() {
                name.push('.');
            }
            name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
        }
    }
    Some((name, bytes.u16()?, bytes.u16()?))
}

/// Skips one record; its type, class and time to live.
fn record(bytes: &mut Bytes<'_>) -> Option<(u16, u16, u32)> {
    loop {
        match bytes.u8()? {
            0 => break,
            count @ 1..=63 => bytes.take(usize::from(count))?,
            0xc0.. => {
                bytes.u8()?;
                break;
            }
            _ => return None,
        };
    }
    let (kind, class, ttl, length) = (bytes.u16()?, bytes.u16()?, bytes.u32()?, bytes.u16()?);
    bytes.take(usize::from(length))?;
    Some((kind, class, ttl))
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, TYPE, rdata::OPT};

    fn packet(name: &str) -> Packet<'_> {
        let mut packet = Packet::new_query(7);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = Name::new_unchecked(name);
        packet.questions.push(Question::new(name, QTYPE::TYPE(TYPE::A), CLASS::IN.into(), false));
        packet
    }

    #[test]
    fn a_query_is_read_as_another_program_writes_it() {
        let mut packet = packet("App.Example.COM");
        *packet.opt_mut() = Some(OPT { opt_codes: Vec::new(), udp_packet_size: 4096, version: 0 });
        let bytes = packet.build_bytes_vec().unwrap();
        let query = read(&bytes).unwrap();
        assert_eq!(query.head, Head { id: 7, flags: 0x0100 });
        assert_eq!(query.name.as_deref(), Some("app.example.com"));
        assert_eq!((query.kind, query.class, query.edns), (1, 1, Some((4096, 0))));
        assert_eq!(query.question, &bytes[HEADER..HEADER + 21]);
    }

    #[test]
    fn what_is_cut_short_is_a_format_error_and_half_a_header_is_nothing() {
        let bytes = packet("a.example").build_bytes_vec().unwrap();
        for length in 0..HEADER {
            assert_eq!(read(&bytes[..length]), Err(NoQuery::Silence));
        }
        for length in HEADER..bytes.len() {
            assert!(matches!(read(&bytes[..length]), Err(NoQuery::Code(_, rcode::FORMAT_ERROR))), "{length}");
        }
    }

    #[test]
    fn an_answer_is_not_answered() {
        let mut bytes = packet("a.example").build_bytes_vec().unwrap();
        bytes[2] |= 0x80;
        assert_eq!(read(&bytes), Err(NoQuery::Silence));
    }

    #[test]
    fn other_opcodes_are_not_implemented() {
        let mut bytes = packet("a.example").build_bytes_vec().unwrap();
        bytes[2] |= 0x28;
        assert!(matches!(read(&bytes), Err(NoQuery::Code(_, rcode::NOT_IMPLEMENTED))));
    }

    #[test]
    fn a_question_that_points_elsewhere_is_a_format_error() {
        let mut bytes = packet("a").build_bytes_vec().unwrap();
        bytes.splice(HEADER..HEADER + 3, [0xc0, 0x0c]);
        assert!(matches!(read(&bytes), Err(NoQuery::Code(_, rcode::FORMAT_ERROR))));
    }

    #[test]
    fn a_dot_inside_a_label_is_no_separator() {
        let mut bytes = packet("a-example").build_bytes_vec().unwrap();
        bytes[HEADER + 2] = b'.';
        assert_eq!(read(&bytes).unwrap().name, None);
    }
}
