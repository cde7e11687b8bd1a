//! Names and what they stand for.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use desired::{Discovered, Names, PrivateZone, Record, ServiceRecord, VpcNames};
use types::VpcId;

use crate::upstream::may_be_asked;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It exists. Without records it has nothing to answer with.
    Name {
        /// Its addresses.
        addresses: Vec<Ipv4Addr>,
        /// Seconds for which they may be kept.
        ttl: u32,
        /// Its SRV records.
        services: Vec<ServiceRecord>,
        /// Seconds for which they may be kept.
        services_ttl: u32,
        /// How many records of a type an answer has at most. None: all.
        at_most: Option<usize>,
    },
    /// Nothing has that name, nor a name below it (RFC 8020).
    Unknown,
}

/// A name's records.
#[derive(Debug, Clone, Default)]
struct Entry {
    addresses: Vec<Ipv4Addr>,
    ttl: u32,
    services: Vec<ServiceRecord>,
    services_ttl: u32,
    at_most: Option<usize>,
}

impl Entry {
    fn found(&self) -> Found {
        Found::Name {
            addresses: self.addresses.clone(),
            ttl: self.ttl,
            services: self.services.clone(),
            services_ttl: self.services_ttl,
            at_most: self.at_most,
        }
    }
}

/// Records that are looked up together.
#[derive(Debug, Default)]
struct Zone {
    exact: HashMap<String, Entry>,
    /// By what stands behind `*.`.
    wild: HashMap<String, Entry>,
    /// Names that have names below them.
    above: HashSet<String>,
}

impl Zone {
    fn new(records: &[Record]) -> Self {
        let mut zone = Self::default();
        for record in records {
            let name = record.name.trim_end_matches('.').to_ascii_lowercase();
            zone.exists(&name);
            let (names, key) = match name.strip_prefix("*.") {
                Some(suffix) => (&mut zone.wild, suffix.to_owned()),
                None => (&mut zone.exact, name),
            };
            // Records of one name are one set: it lives as long as its shortest-lived member.
            let entry = names.entry(key).or_insert_with(|| Entry { ttl: record.ttl, ..Entry::default() });
            entry.addresses.extend(&record.addresses);
            entry.ttl = record.ttl.min(entry.ttl);
        }
        zone
    }

    /// Names above this one exist.
    fn exists(&mut self, name: &str) {
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            self.above.insert(parent.to_owned());
            rest = parent;
        }
    }

    fn discover(&mut self, service: &Discovered) {
        self.exists(&service.name);
        let entry = Entry {
            addresses: service.addresses.clone(),
            ttl: service.ttl,
            services: service.services.clone(),
            services_ttl: service.services_ttl,
            at_most: Some(service.at_most.max(1)),
        };
        self.exact.insert(service.name.clone(), entry);
    }

    fn find(&self, name: &str) -> Option<&Entry> {
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
    /// Domains of the VPC's own.
    zones: Vec<PrivateZone>,
    public: Arc<Zone>,
    internet: bool,
}

impl Tables {
    /// Indexes the names.
    pub fn new(names: &Names) -> Self {
        let public = Arc::new(Zone::new(&names.public));
        let view = |vpc: &VpcNames| {
            let mut own = Zone::new(&vpc.records);
            vpc.zones.iter().for_each(|zone| own.exists(&zone.name));
            vpc.discovered.iter().for_each(|service| own.discover(service));
            View { own, zones: vpc.zones.clone(), public: public.clone(), internet: names.internet }
        };
        Self { vpcs: names.vpcs.iter().map(|vpc| (vpc.vpc.clone(), view(vpc))).collect() }
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
            && self.zone(name).is_none()
            && self.own.find(name).is_none()
            && self.public.find(name).is_none()
            && may_be_asked(name)
    }

    /// The innermost domain of the VPC's own that a name is in.
    fn zone(&self, name: &str) -> Option<&PrivateZone> {
        let within = |zone: &&PrivateZone| {
            name.strip_suffix(&*zone.name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.zones.iter().filter(within).max_by_key(|zone| zone.name.len())
    }

    /// Seconds for which it may be remembered that a name does not exist, where its domain says so.
    pub fn negative_ttl(&self, name: &str) -> Option<u32> {
        self.zone(name).map(|zone| zone.negative_ttl)
    }

    /// Looks up a name in lower case without the final dot: the VPC's own names, then public ones, then what RFC 6761
    /// says of `localhost`.
    pub fn find(&self, name: &str) -> Found {
        let is_own = self.zone(name).is_some();
        let public = (!is_own).then_some(&self.public);
        if let Some(entry) = self.own.find(name).or_else(|| public?.find(name)) {
            return entry.found();
        }
        if name == "localhost" || name.ends_with(".localhost") {
            return Entry { addresses: vec![Ipv4Addr::LOCALHOST], ttl: 60, ..Entry::default() }.found();
        }
        let is_above = |zone: &Zone| zone.above.contains(name);
        let is_zone = self.zones.iter().any(|zone| zone.name == name);
        if name.is_empty() || is_zone || is_above(&self.own) || public.is_some_and(|zone| is_above(zone)) {
            return Entry::default().found();
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

    fn service(name: &str, count: u8) -> Discovered {
        let target =
            |last| ServiceRecord { priority: 1, weight: 1, port: 80, target: format!("{last}.{name}") };
        Discovered {
            name: name.to_owned(),
            addresses: (0..count).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect(),
            ttl: 10,
            services: (0..count).map(target).collect(),
            services_ttl: 20,
            at_most: 8,
        }
    }

    fn find(name: &str) -> Found {
        view().find(name)
    }

    fn view() -> View {
        let vpc = VpcId::from("vpc-1");
        let names = Names {
            vpcs: vec![VpcNames {
                vpc: vpc.clone(),
                servers: Vec::new(),
                enabled: true,
                records: vec![record("internal-lb.elb.amazonaws.com", 1), record("both.example", 2)],
                zones: vec![PrivateZone { name: "shop.example".to_owned(), negative_ttl: 7 }],
                discovered: vec![service("web.shop.example", 2)],
            }],
            public: vec![
                record("*.dkr.ecr.r.amazonaws.com", 3),
                record("both.example", 4),
                record("www.shop.example", 6),
                record("app-1.r.elb.localhost", 5),
                Record { name: "empty.example".to_owned(), addresses: Vec::new(), ttl: 1 },
            ],
            internet: false,
            api: None,
        };
        Tables::new(&names).vpcs.remove(&vpc).unwrap()
    }

    fn address(last: u8) -> Found {
        Entry { addresses: vec![Ipv4Addr::new(198, 18, 0, last)], ttl: 60, ..Entry::default() }.found()
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
        let nothing = |ttl| Entry { ttl, ..Entry::default() }.found();
        assert_eq!(find("dkr.ecr.r.amazonaws.com"), nothing(0));
        assert_eq!(find("com"), nothing(0));
        assert_eq!(find(""), nothing(0));
        assert_eq!(find("empty.example"), nothing(1));
        assert_eq!(find("else.example"), Found::Unknown);
    }

    #[test]
    fn localhost_is_the_asker_itself_unless_a_record_says_more() {
        let own = Entry { addresses: vec![Ipv4Addr::LOCALHOST], ttl: 60, ..Entry::default() }.found();
        assert_eq!(find("localhost"), own);
        assert_eq!(find("any.localhost"), own);
        assert_eq!(find("app-1.r.elb.localhost"), address(5));
    }

    #[test]
    fn a_domain_of_the_vpcs_own_hides_the_public_one() {
        let Found::Name { addresses, services, ttl, services_ttl, at_most } = find("web.shop.example") else {
            panic!("it is there")
        };
        assert_eq!((addresses.len(), services.len(), ttl, services_ttl, at_most), (2, 2, 10, 20, Some(8)));
        // A public name of the same domain is not seen here, and the host's servers are not asked.
        assert_eq!(find("www.shop.example"), Found::Unknown);
        assert_eq!(find("shop.example"), Entry::default().found());
        assert_eq!(view().negative_ttl("none.shop.example"), Some(7));
        assert_eq!(view().negative_ttl("workshop.example"), None);
        let asked = View { internet: true, ..view() };
        assert!(!asked.is_asked_further("none.shop.example") && asked.is_asked_further("none.example"));
    }

    #[test]
    fn a_vpc_that_is_not_listed_has_no_names() {
        let names = Names { vpcs: Vec::new(), public: vec![record("a", 1)], internet: false, api: None };
        assert!(Tables::new(&names).vpc(&VpcId::from("vpc-1")).is_none());
    }
}
