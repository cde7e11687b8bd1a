//! An explanation as a person reads it.

use std::fmt::Write;

use desired::{InterfaceKind, NetworkAclEntry, Peer, Ports, Protocol, Route, RouteTarget, Rule};
use reachability::{
    AclDecision, Code, Component, Direction, GroupDecision, Header, Hop, Owner, RouteDecision, RouterService,
    Suggestion, Transport, Way,
};

use super::explanation::{Explanation, Level, Path, Step};
use super::tfstate::{Addresses, entry_key, route_key};

/// How AWS's ids are called: by the Terraform address, else by a word that helps.
#[derive(Debug)]
pub struct Names<'a> {
    words: &'a std::collections::BTreeMap<String, String>,
    terraform: &'a Addresses,
}

impl<'a> Names<'a> {
    /// With the words that `serve` knows and the addresses of a state file.
    pub fn new(words: &'a std::collections::BTreeMap<String, String>, terraform: &'a Addresses) -> Self {
        Self { words, terraform }
    }

    /// `sg-1 (aws_security_group.web)`, `eni-1 (lb/web in az)`, `sg-1`.
    pub fn of(&self, id: &str) -> String {
        if let Some(address) = self.terraform.of(id) {
            return format!("{id} ({address})");
        }
        match self.words.get(id) {
            // The interface of something that has an id of its own: a NAT gateway, an endpoint.
            Some(word) => match self.terraform.of(word) {
                Some(address) => format!("{id} ({word}, {address})"),
                None => format!("{id} ({word})"),
            },
            None => id.to_owned(),
        }
    }

    fn terraform(&self, key: &str) -> String {
        self.terraform.of(key).map(|address| format!(" ({address})")).unwrap_or_default()
    }
}

/// Whether the output may have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours(pub bool);

impl Colours {
    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn mark(self, level: Level) -> String {
        match level {
            Level::Ok => self.paint("32", "✓"),
            Level::Note => self.paint("33", "·"),
            Level::Blocks => self.paint("1;31", "✗"),
        }
    }
}

/// How an explanation is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// With colours.
    pub colours: Colours,
    /// Paths that are open are one line each.
    pub brief: bool,
    /// Nothing is shortened.
    pub full: bool,
}

/// Writes the words of every hop into it, for the text and for JSON.
pub fn put_into_words(explanation: &mut Explanation, terraform: &Addresses) {
    let words = explanation.names.clone();
    let names = Names::new(&words, terraform);
    for path in &mut explanation.paths {
        for (at, step) in path.steps.iter_mut().enumerate() {
            let sends = step.way == Way::Back || at == 0;
            step.text = hop(&step.hop, sends, &names);
        }
    }
}

/// The sentence that says whether it is reachable and if not, why; and the one that says what to add.
pub fn verdict(explanation: &Explanation, names: &Names<'_>) -> (String, Option<String>) {
    if explanation.reachable {
        return (format!("{}: reachable", explanation.subject), None);
    }
    // What is not there at all comes before a packet that does not get there, but a blocked packet is often the cause.
    let path = explanation.paths.iter().find(|path| !path.reachable);
    if let Some(path) = path
        && let Some(step) = path.steps.iter().find(|step| step.hop.block.is_some())
    {
        let way = if step.way == Way::Back { "the answer of " } else { "" };
        let code = path.explanation_code.map(|code| format!(" [{code}]")).unwrap_or_default();
        let text = format!(
            "{way}{} from {} to {} is dropped: {}{code}",
            path.traffic, path.from, path.to, step.text
        );
        let remedy = path.suggestion.as_ref().map(|suggestion| suggestion.sentence(&|id| names.of(id)));
        return (text, remedy);
    }
    let blocks = |finding: &&super::explanation::Finding| finding.level == Level::Blocks;
    // The first thing that has a remedy is the cause; others follow from it.
    let finding = explanation.findings.iter().filter(blocks).find(|finding| finding.remedy.is_some());
    match finding.or_else(|| explanation.findings.iter().find(blocks)) {
        Some(finding) => (finding.text.clone(), finding.remedy.clone()),
        None => (format!("{}: there is no path to look at", explanation.subject), None),
    }
}

/// All of it.
pub fn render(explanation: &Explanation, names: &Names<'_>, style: Style) -> String {
    let colours = style.colours;
    let mut out = String::new();
    let _ = writeln!(out, "{}", colours.paint("1", &explanation.subject));
    for finding in &explanation.findings {
        let _ = writeln!(out, "  {} {}", colours.mark(finding.level), finding.text);
    }
    let mut shown: Vec<(Option<Code>, Option<&Suggestion>)> = Vec::new();
    for path in &explanation.paths {
        let cause = (path.explanation_code, path.suggestion.as_ref());
        let brief = match style.full {
            true => false,
            // What is in order is a line when it was not asked for; so is what is blocked for a reason that was shown.
            false => (path.reachable && style.brief) || (!path.reachable && shown.contains(&cause)),
        };
        if !brief {
            let _ = writeln!(out);
        }
        render_path(&mut out, path, brief, style.colours);
        shown.push(cause);
    }
    if explanation.more_paths > 0 {
        let _ = writeln!(out, "  … and {} more paths", explanation.more_paths);
    }
    let (sentence, remedy) = verdict(explanation, names);
    let mark = colours.mark(if explanation.reachable { Level::Ok } else { Level::Blocks });
    let _ = writeln!(out, "\n{mark} {sentence}");
    if let Some(remedy) = remedy {
        let _ = writeln!(out, "  → {remedy}");
    }
    out
}

fn render_path(out: &mut String, path: &Path, brief: bool, colours: Colours) {
    let verdict = if path.reachable {
        colours.paint("32", "reachable")
    } else {
        colours.paint("1;31", "not reachable")
    };
    let title = format!("{} → {}  {}", path.from, path.to, path.traffic);
    if brief {
        let (level, why) = match path.reachable {
            true => (Level::Ok, String::new()),
            false => (Level::Blocks, format!("  {verdict}, likewise")),
        };
        let _ = writeln!(out, "  {} {title}{why}", colours.mark(level));
        return;
    }
    let _ = writeln!(out, "{title}  {verdict}");
    let mut way = Way::Forward;
    let mut blocked = false;
    for step in &path.steps {
        if step.way != way {
            way = step.way;
            let _ = writeln!(out, "    the answer:");
        }
        render_step(out, step, &mut blocked, colours);
    }
}

fn render_step(out: &mut String, step: &Step, blocked: &mut bool, colours: Colours) {
    let level = match (&step.hop.block, *blocked) {
        (Some(_), _) => Level::Blocks,
        // What stands behind the first hop that blocks is never met.
        (None, true) => Level::Note,
        (None, false) => Level::Ok,
    };
    let first = step.hop.block.is_some() && !*blocked;
    *blocked |= step.hop.block.is_some();
    let kind = kind(&step.hop.component);
    let packets = match step.packets {
        None => String::new(),
        Some(1) => "  1 packet".to_owned(),
        Some(packets) => format!("  {} packets", thousands(packets)),
    };
    let here = if first { colours.paint("1;31", "  ◀ here") } else { String::new() };
    let _ = writeln!(out, "  {} {kind:<17} {}{packets}{here}", colours.mark(level), step.text);
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn kind(component: &Component) -> &'static str {
    match component {
        Component::Interface { .. } => "interface",
        Component::SecurityGroups { .. } => "security group",
        Component::NetworkAcl { .. } => "network ACL",
        Component::RouteTable { .. } => "route table",
        Component::InternetGateway { .. } => "internet gateway",
        Component::NatGateway { .. } => "NAT gateway",
        Component::Peering { .. } => "peering",
        Component::GatewayEndpoint { .. } => "endpoint",
        Component::Router { .. } => "VPC router",
        Component::Internet { .. } => "internet",
    }
}

/// A hop in words, without its kind. `sends`: of the internet's two ends it is the one that sends.
fn hop(hop: &Hop, sends: bool, names: &Names<'_>) -> String {
    let mut text = match &hop.component {
        Component::Interface { id, of, address, public_address, source_dest_check } => {
            let public = public_address.map(|public| format!(", public {public}")).unwrap_or_default();
            let check = match hop.block.as_ref().map(|block| block.code) {
                None => "",
                Some(Code::DisconnectedVpcs) => ", whose VPC is not connected with the destination's",
                Some(Code::VpceIntraVpcTraffic) => ", an endpoint: it sends nothing but answers",
                Some(_) if *source_dest_check => {
                    " its source/destination check drops packets of other addresses"
                }
                Some(_) => ", which leads nowhere else",
            };
            let of = if *of == InterfaceKind::NatGateway { " of a NAT gateway" } else { "" };
            format!("{}{of} {address}{public}{check}", names.of(id.as_str()))
        }
        Component::SecurityGroups { groups, direction, decision, .. } => {
            groups_text(hop, groups, *direction, decision, names)
        }
        Component::NetworkAcl { id, direction, decision } => {
            let acl = names.of(id.as_str());
            match decision {
                AclDecision::Entry { entry } => {
                    let key = entry_key(id.as_str(), *direction == Direction::Egress, entry.number.into());
                    format!("{acl} {} {}{}", direction.name(), entry_text(entry), names.terraform(&key))
                }
                AclDecision::Default => {
                    format!("{acl} {} *: deny, no entry matches {}", direction.name(), header(&hop.header))
                }
            }
        }
        Component::RouteTable { id, decision } => {
            let table = names.of(id.as_str());
            match decision {
                RouteDecision::Local { range } => {
                    let nobody = match hop.block {
                        Some(_) => format!(", but nothing is at {}", hop.header.destination),
                        None => String::new(),
                    };
                    format!("{table} {range} → local{nobody}")
                }
                RouteDecision::Route { route, active } => {
                    let key = route_key(id.as_str(), &route.destination.to_string());
                    let state = match &hop.block {
                        _ if !active => ", state blackhole: its target is gone",
                        Some(block) if block.code == Code::NoPossibleDestination => ", in a circle",
                        Some(_) => ", which is another way",
                        None => "",
                    };
                    format!("{table} {}{state}{}", route_text(route, names), names.terraform(&key))
                }
                RouteDecision::NoRoute => format!("{table} has no route to {}", hop.header.destination),
            }
        }
        Component::InternetGateway { outwards } => internet_gateway_text(hop, *outwards),
        Component::NatGateway { interface } => {
            let name = names.of(interface.as_str());
            match &hop.block {
                Some(block) if block.code == Code::NgwRequiresSourceInVpc => {
                    format!("{name} translates for its own VPC alone, not for {}", hop.header.source)
                }
                Some(_) => format!("{name} takes in nothing but answers"),
                None => name,
            }
        }
        Component::Peering { id, to } => {
            let text = format!("{} to {}", names.of(id.as_str()), names.of(to.as_str()));
            match &hop.block {
                Some(block) if block.code == Code::PcxRequiresAddressInVpcCidr => {
                    let Header { source, destination, .. } = &hop.header;
                    format!(
                        "{text} carries nothing but packets between the two VPCs' own addresses, not {source} → {destination}"
                    )
                }
                Some(_) => format!("{text}, where nothing is at {}", hop.header.destination),
                None => text,
            }
        }
        Component::GatewayEndpoint { id } => names.of(id.as_str()),
        Component::Router { service } => match service {
            RouterService::Dns if hop.block.is_some() => {
                "an Amazon DNS server answers its own VPC alone".to_owned()
            }
            RouterService::Dns => "the Amazon DNS server answers".to_owned(),
            RouterService::TaskMetadata => "the task metadata endpoint".to_owned(),
            RouterService::None => format!("nothing answers at {}", hop.header.destination),
        },
        Component::Internet { owner } => owner_text(owner, hop, sends, names),
    };
    if let Some(translated) = &hop.translated {
        let _ = write!(text, ", {}", translation(&hop.header, translated));
    }
    if hop.block.as_ref().is_some_and(|block| block.partial) {
        text.push_str(", for some of the client's ports");
    }
    text
}

fn internet_gateway_text(hop: &Hop, outwards: bool) -> String {
    let Header { source, destination, .. } = &hop.header;
    match (&hop.block, outwards) {
        (None, _) => "attached".to_owned(),
        (Some(_), false) => format!("{destination} is no public address of this VPC"),
        (Some(block), true) => match block.code {
            Code::IgwDestinationAddressNotInRfc1918Egress | Code::IgwDestinationAddressNotInRfc6598Egress => {
                format!("{destination} is a private address: no internet gateway leads there")
            }
            _ => format!("{source} has no public address, or no gateway is attached"),
        },
    }
}

fn groups_text(
    hop: &Hop,
    groups: &[types::SecurityGroupId],
    direction: Direction,
    decision: &GroupDecision,
    names: &Names<'_>,
) -> String {
    match decision {
        GroupDecision::Rule { group, rule } => {
            format!("{} {} {}", names.of(group.as_str()), direction.name(), rule_text(rule, direction, names))
        }
        GroupDecision::Answer => "the flow is known: its answers need no rule".to_owned(),
        GroupDecision::NoRule => {
            let all: Vec<String> = groups.iter().map(|id| names.of(id.as_str())).collect();
            let (verb, end, address) = match direction {
                Direction::Ingress => ("ingress", "from", hop.header.source),
                Direction::Egress => ("egress", "to", hop.header.destination),
            };
            let has = if all.len() == 1 { "has" } else { "have" };
            format!("{} {has} no {verb} rule for {} {end} {address}", all.join(", "), header(&hop.header))
        }
    }
}

fn rule_text(rule: &Rule, direction: Direction, names: &Names<'_>) -> String {
    let end = if direction == Direction::Ingress { "from" } else { "to" };
    let peer = match &rule.peer {
        Peer::Cidr(range) => range.to_string(),
        Peer::Group(id) => names.of(id.as_str()),
        Peer::PrefixList(id) => names.of(id.as_str()),
    };
    format!("{} {end} {peer}", protocol_text(rule.protocol, rule.ports))
}

fn entry_text(entry: &NetworkAclEntry) -> String {
    let what = if entry.allow { "allow" } else { "deny" };
    format!("{}: {what} {} {}", entry.number, protocol_text(entry.protocol, entry.ports), entry.cidr_block)
}

fn route_text(route: &Route, names: &Names<'_>) -> String {
    let destination = match &route.prefix_list {
        Some(list) => format!("{} of {}", route.destination, names.of(list.as_str())),
        None => route.destination.to_string(),
    };
    let target = match &route.target {
        RouteTarget::InternetGateway => "the internet gateway".to_owned(),
        RouteTarget::Interface(id) => names.of(id.as_str()),
        RouteTarget::Peering(id) => names.of(id.as_str()),
        RouteTarget::Endpoint(id) => names.of(id.as_str()),
        RouteTarget::Blackhole => "nowhere".to_owned(),
    };
    format!("{destination} → {target}")
}

fn protocol_text(protocol: Protocol, ports: Option<Ports>) -> String {
    let with = |name: &str| match ports {
        None => format!("all {name}"),
        Some(Ports { from, to }) if from <= 0 && !(0..65535).contains(&to) => format!("all {name}"),
        Some(Ports { from, to }) if from == to => format!("{name} {from}"),
        Some(Ports { from, to }) => format!("{name} {from}-{to}"),
    };
    match protocol {
        Protocol::All => "all".to_owned(),
        Protocol::Tcp => with("tcp"),
        Protocol::Udp => with("udp"),
        Protocol::Icmp => match ports {
            Some(Ports { from, .. }) if from >= 0 => format!("icmp type {from}"),
            _ => "all icmp".to_owned(),
        },
        Protocol::Number(number) => format!("protocol {number}"),
    }
}

/// What a packet is, by its destination port: `tcp 3000`.
fn header(header: &Header) -> String {
    let port = |name: &str, range: reachability::PortRange| {
        if range.from == range.to {
            format!("{name} {}", range.from)
        } else {
            format!("{name} {}-{}", range.from, range.to)
        }
    };
    match header.transport {
        Transport::Tcp { destination, .. } => port("tcp", destination),
        Transport::Udp { destination, .. } => port("udp", destination),
        Transport::Icmp { kind, .. } => format!("icmp type {kind}"),
    }
}

fn translation(before: &Header, after: &Header) -> String {
    let mut parts = Vec::new();
    if before.source != after.source {
        parts.push(format!("source {} → {}", before.source, after.source));
    }
    if before.destination != after.destination {
        parts.push(format!("destination {} → {}", before.destination, after.destination));
    }
    if parts.is_empty() { "ports translated".to_owned() } else { parts.join(", ") }
}

fn owner_text(owner: &Owner, hop: &Hop, sends: bool, names: &Names<'_>) -> String {
    let address = if sends { hop.header.source } else { hop.header.destination };
    match owner {
        Owner::Host => "this machine, as 198.19.0.1".to_owned(),
        Owner::Service { name } => format!("AWS's {name} at {address}"),
        Owner::Pretend { name: Some(name) } => format!("the pretend host {name} at {address}"),
        Owner::Pretend { name: None } => format!("the pretend host {address}"),
        Owner::Interface { interface, .. } => {
            format!("{address} is {}", names.of(interface.as_str()))
        }
        Owner::World => "the real internet".to_owned(),
        // Landfall's own range: the internet, also the real one, has nobody there.
        Owner::Nobody if hop.block.is_some() && matches!(address.octets(), [198, 18 | 19, ..]) => {
            format!("nobody has {address}")
        }
        Owner::Nobody if hop.block.is_some() => {
            format!("nobody is at {address}: outbound traffic is off (`landfall internet`)")
        }
        Owner::Nobody if sends => "somebody".to_owned(),
        Owner::Nobody => "the way out is open; outbound traffic is off (`landfall internet`)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::{Expect, expect};
    use reachability::{Block, Counter, PortRange};

    use super::super::explanation::Finding;
    use super::*;

    fn step(way: Way, component: Component, code: Option<Code>, packets: Option<u64>) -> Step {
        let port = |port| PortRange { from: port, to: port };
        let header = Header {
            source: "10.0.0.5".parse().unwrap(),
            destination: "10.0.1.9".parse().unwrap(),
            transport: Transport::Tcp {
                source: PortRange { from: 32768, to: 60999 },
                destination: port(3000),
            },
        };
        let counters = vec![Counter { vpc: "vpc-1".into(), name: "denied".to_owned() }];
        let block = code.map(|code| Block { code, partial: false, suggestion: None });
        let hop = Hop { vpc: None, subnet: None, component, header, translated: None, counters, block };
        Step { way, hop, packets, text: String::new() }
    }

    fn groups(id: &str, decision: GroupDecision) -> Component {
        Component::SecurityGroups {
            interface: "eni-1".into(),
            groups: vec![id.into()],
            direction: Direction::Ingress,
            decision,
        }
    }

    fn path(to: &str, blocked: bool) -> Path {
        let table = Component::RouteTable {
            id: "rtb-1".into(),
            decision: RouteDecision::Local { range: "10.0.0.0/16".parse().unwrap() },
        };
        let code = blocked.then_some(Code::EniSgRulesMismatch);
        let decision = if blocked { GroupDecision::NoRule } else { GroupDecision::Answer };
        Path {
            from: "lb/web".to_owned(),
            to: to.to_owned(),
            traffic: "tcp 3000".to_owned(),
            reachable: !blocked,
            explanation_code: code,
            suggestion: blocked.then(|| Suggestion::AddSecurityGroupRule {
                group: "sg-2".into(),
                direction: Direction::Ingress,
                protocol: Protocol::Tcp,
                ports: Some(Ports { from: 3000, to: 3000 }),
                peer: reachability::SuggestedPeer::Group("sg-1".into()),
            }),
            steps: vec![
                step(Way::Forward, table, None, None),
                step(Way::Forward, groups("sg-2", decision), code, Some(1_234)),
            ],
        }
    }

    fn check(paths: Vec<Path>, finding: Level, brief: bool, expected: &Expect) {
        let findings = vec![Finding {
            level: finding,
            about: "x".to_owned(),
            text: "target 10.0.1.9:3000".to_owned(),
            remedy: None,
        }];
        let mut explanation = Explanation {
            subject: "web".to_owned(),
            reachable: finding != Level::Blocks && paths.iter().all(|path| path.reachable),
            findings,
            paths,
            more_paths: 0,
            names: BTreeMap::from([("rtb-1".to_owned(), "main".to_owned())]),
        };
        let terraform = Addresses::parse(
            br#"{"resources": [{"mode": "managed", "type": "aws_security_group", "name": "app",
                "instances": [{"attributes": {"id": "sg-2"}}]}]}"#,
        )
        .unwrap();
        put_into_words(&mut explanation, &terraform);
        let words = explanation.names.clone();
        let style = Style { colours: Colours(false), brief, full: false };
        expected.assert_eq(&render(&explanation, &Names::new(&words, &terraform), style));
    }

    #[test]
    fn the_first_hop_that_blocks_is_marked_and_what_to_add_is_said_once() {
        let paths = vec![path("task a", true), path("task b", true), path("task c", false)];
        check(
            paths,
            Level::Ok,
            true,
            &expect![[r#"
                web
                  ✓ target 10.0.1.9:3000

                lb/web → task a  tcp 3000  not reachable
                  ✓ route table       rtb-1 (main) 10.0.0.0/16 → local
                  ✗ security group    sg-2 (aws_security_group.app) has no ingress rule for tcp 3000 from 10.0.0.5  1,234 packets  ◀ here
                  ✗ lb/web → task b  tcp 3000  not reachable, likewise
                  ✓ lb/web → task c  tcp 3000

                ✗ tcp 3000 from lb/web to task a is dropped: sg-2 (aws_security_group.app) has no ingress rule for tcp 3000 from 10.0.0.5 [ENI_SG_RULES_MISMATCH]
                  → Add to sg-2 (aws_security_group.app) an ingress rule that allows tcp 3000 from sg-1.
            "#]],
        );
    }

    #[test]
    fn what_is_in_order_is_shown_hop_by_hop_when_it_was_asked_for() {
        check(
            vec![path("task c", false)],
            Level::Ok,
            false,
            &expect![[r#"
                web
                  ✓ target 10.0.1.9:3000

                lb/web → task c  tcp 3000  reachable
                  ✓ route table       rtb-1 (main) 10.0.0.0/16 → local
                  ✓ security group    the flow is known: its answers need no rule  1,234 packets

                ✓ web: reachable
            "#]],
        );
    }

    #[test]
    fn each_hop_that_stops_a_packet_says_why() {
        let nobody = BTreeMap::new();
        let addresses = Addresses::default();
        let text = |component, code| {
            hop(&step(Way::Forward, component, code, None).hop, false, &Names::new(&nobody, &addresses))
        };
        let gateway = Component::InternetGateway { outwards: true };
        let nat = Component::NatGateway { interface: "eni-nat".into() };
        let peering = Component::Peering { id: "pcx-1".into(), to: "vpc-2".into() };
        let dns = Component::Router { service: RouterService::Dns };
        let interface = Component::Interface {
            id: "eni-1".into(),
            of: InterfaceKind::Task,
            address: [10, 0, 0, 5].into(),
            public_address: None,
            source_dest_check: true,
        };
        let range = "10.0.0.0/16".parse().unwrap();
        let local = Component::RouteTable { id: "rtb-1".into(), decision: RouteDecision::Local { range } };
        for (component, code, expected) in [
            (interface.clone(), None, "eni-1 10.0.0.5"),
            (
                interface.clone(),
                Some(Code::EniSourceDestCheckRestriction),
                "eni-1 10.0.0.5 its source/destination check drops packets of other addresses",
            ),
            (
                interface,
                Some(Code::DisconnectedVpcs),
                "eni-1 10.0.0.5, whose VPC is not connected with the destination's",
            ),
            (gateway.clone(), None, "attached"),
            (
                gateway.clone(),
                Some(Code::IgwPublicIpAssociationForEgress),
                "10.0.0.5 has no public address, or no gateway is attached",
            ),
            (
                gateway,
                Some(Code::IgwDestinationAddressNotInRfc1918Egress),
                "10.0.1.9 is a private address: no internet gateway leads there",
            ),
            (nat.clone(), None, "eni-nat"),
            (nat.clone(), Some(Code::NoPossibleDestination), "eni-nat takes in nothing but answers"),
            (
                nat,
                Some(Code::NgwRequiresSourceInVpc),
                "eni-nat translates for its own VPC alone, not for 10.0.0.5",
            ),
            (peering.clone(), None, "pcx-1 to vpc-2"),
            (
                peering.clone(),
                Some(Code::PcxRequiresAddressInVpcCidr),
                "pcx-1 to vpc-2 carries nothing but packets between the two VPCs' own addresses, not 10.0.0.5 → 10.0.1.9",
            ),
            (peering, Some(Code::NoPossibleDestination), "pcx-1 to vpc-2, where nothing is at 10.0.1.9"),
            (dns.clone(), None, "the Amazon DNS server answers"),
            (dns, Some(Code::ProtocolRestriction), "an Amazon DNS server answers its own VPC alone"),
            (
                local,
                Some(Code::NoPossibleDestination),
                "rtb-1 10.0.0.0/16 → local, but nothing is at 10.0.1.9",
            ),
        ] {
            assert_eq!(text(component, code), expected);
        }
    }

    #[test]
    fn with_every_path_open_the_finding_is_the_verdict() {
        check(
            vec![path("task c", false)],
            Level::Blocks,
            true,
            &expect![[r#"
                web
                  ✗ target 10.0.1.9:3000
                  ✓ lb/web → task c  tcp 3000

                ✗ target 10.0.1.9:3000
            "#]],
        );
    }
}
