//! Names and what they stand for.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use desired::{Names, Record};
use types::VpcId;

use crate::upstream::may_be_asked;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It exists. Without addresses it has nothing to answer with.
    Name {
        /// Its addresses.
        addresses: Vec<Ipv4Addr>,
        /// Seconds for which they may be kept.
        ttl: u32,
    },
    /// Nothing has that name, nor a name below it (RFC 8020).
    Unknown,
}

/// Records that are looked up together.
#[derive(Debug, Default)]
struct Zone {
    exact: HashMap<String, (Vec<Ipv4Addr>, u32)>,
    /// By what stands behind `*.`.
    wild: HashMap<String, (Vec<Ipv4Addr>, u32)>,
    /// Names that have names below them.
    above: HashSet<String>,
}

impl Zone {
    fn new(records: &[Record]) -> Self {
        let mut zone = Self::default();
        for record in records {
            let name = record.name.trim_end_matches('.').to_ascii_lowercase();
            let mut rest = name.as_str();
            while let Some((_, parent)) = rest.split_once('.') {
                zone.above.insert(parent.to_owned());
                rest = parent;
            }
            let (names, key) = match name.strip_prefix("*.") {
                Some(suffix) => (&mut zone.wild, suffix.to_owned()),
                None => (&mut zone.exact, name),
            };
            // Records of one name are one set: it lives as long as its shortest-lived member.
            let (addresses, ttl) = names.entry(key).or_insert_with(|| (Vec::new(), record.ttl));
            addresses.extend(&record.addresses);
            *ttl = record.ttl.min(*ttl);
        }
        zone
    }

    fn find(&self, name: &str) -> Option<&(Vec<Ipv4Addr>, u32)> {
        self.exact.get(name).or_else(|| self.wild.get(name.split_once('.')?.1))
    }
}

/// Every VPC's names, made for looking up.
#[derive(Debug, Default)]
pub struct Tables {
    vpcs: HashMap<VpcId, View>,
}

/// What one VPC resolves.
#[derive(Debug)]
pub struct View {
    own: Zone,
    public: Arc<Zone>,
    internet: bool,
}

impl Tables {
    /// Indexes the names.
    pub fn new(names: &Names) -> Self {
        let public = Arc::new(Zone::new(&names.public));
        let view = |records: &[Record]| View {
            own: Zone::new(records),
            public: public.clone(),
            internet: names.internet,
        };
        Self { vpcs: names.vpcs.iter().map(|vpc| (vpc.vpc.clone(), view(&vpc.records))).collect() }
    }

    /// One VPC's names. None for a VPC that is not listed.
    pub fn vpc(&self, vpc: &VpcId) -> Option<&View> {
        self.vpcs.get(vpc)
    }
}

impl View {
    /// Whether a name in lower case without the final dot is asked of the host's own DNS servers: it is none of ours,
    /// though it may have one below it.
    pub fn is_asked_further(&self, name: &str) -> bool {
        self.internet
            && self.own.find(name).is_none()
            && self.public.find(name).is_none()
            && may_be_asked(name)
    }

    /// Looks up a name in lower case without the final dot: the VPC's own names, then public ones, then what RFC 6761
    /// says of `localhost`.
    pub fn find(&self, name: &str) -> Found {
        if let Some((addresses, ttl)) = self.own.find(name).or_else(|| self.public.find(name)) {
            return Found::Name { addresses: addresses.clone(), ttl: *ttl };
        }
        if name == "localhost" || name.ends_with(".localhost") {
            return Found::Name { addresses: vec![Ipv4Addr::LOCALHOST], ttl: 60 };
        }
        if name.is_empty() || self.own.above.contains(name) || self.public.above.contains(name) {
            return Found::Name { addresses: Vec::new(), ttl: 0 };
        }
        Found::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use desired::VpcNames;

    fn record(name: &str, last: u8) -> Record {
        Record { name: name.to_owned(), addresses: vec![Ipv4Addr::new(198, 18, 0, last)], ttl: 60 }
    }

    fn find(name: &str) -> Found {
        let vpc = VpcId::from("vpc-1");
        let names = Names {
            vpcs: vec![VpcNames {
                vpc: vpc.clone(),
                servers: Vec::new(),
                enabled: true,
                records: vec![record("internal-lb.elb.amazonaws.com", 1), record("both.example", 2)],
            }],
            public: vec![
                record("*.dkr.ecr.r.amazonaws.com", 3),
                record("both.example", 4),
                record("app-1.r.elb.localhost", 5),
                Record { name: "empty.example".to_owned(), addresses: Vec::new(), ttl: 1 },
            ],
            internet: false,
        };
        Tables::new(&names).vpc(&vpc).unwrap().find(name)
    }

    fn address(last: u8) -> Found {
        Found::Name { addresses: vec![Ipv4Addr::new(198, 18, 0, last)], ttl: 60 }
    }

    #[test]
    fn a_vpc_s_own_name_wins_over_a_public_one() {
        assert_eq!(find("both.example"), address(2));
        assert_eq!(find("internal-lb.elb.amazonaws.com"), address(1));
    }

    #[test]
    fn a_wildcard_is_exactly_one_label_more() {
        assert_eq!(find("123.dkr.ecr.r.amazonaws.com"), address(3));
        assert_eq!(find("a.b.dkr.ecr.r.amazonaws.com"), Found::Unknown);
    }

    #[test]
    fn a_name_above_a_known_one_exists_and_has_no_address() {
        let nothing = |ttl| Found::Name { addresses: Vec::new(), ttl };
        assert_eq!(find("dkr.ecr.r.amazonaws.com"), nothing(0));
        assert_eq!(find("com"), nothing(0));
        assert_eq!(find(""), nothing(0));
        assert_eq!(find("empty.example"), nothing(1));
        assert_eq!(find("else.example"), Found::Unknown);
    }

    #[test]
    fn localhost_is_the_asker_itself_unless_a_record_says_more() {
        let own = Found::Name { addresses: vec![Ipv4Addr::LOCALHOST], ttl: 60 };
        assert_eq!(find("localhost"), own);
        assert_eq!(find("any.localhost"), own);
        assert_eq!(find("app-1.r.elb.localhost"), address(5));
    }

    #[test]
    fn a_vpc_that_is_not_listed_has_no_names() {
        let names = Names { vpcs: Vec::new(), public: vec![record("a", 1)], internet: false };
        assert!(Tables::new(&names).vpc(&VpcId::from("vpc-1")).is_none());
    }
}
