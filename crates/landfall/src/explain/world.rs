//! What the analysis needs of the rows and the machine: one look, taken when a question comes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use control::ec2::interface::NetworkInterface;
use control::ec2::nat_gateway::NatGateway;
use control::ec2::tag::TagSet;
use control::ec2::vpc::Vpc;
use control::ecs::task::Task;
use control::elbv2::load_balancer::LoadBalancer;
use control::{Machine, Settings, project};
use desired::{Body, InterfaceKind};
use reachability::{Analysis, Counter, Query, QueryError, Topology, Way};
use resolver::{Found, Tables};
use store::Snapshot;
use types::{NetworkInterfaceId, PartId, SecurityGroupId, VpcId};

use super::explanation::{Path, Step};

/// The interface of a task that is not there yet, where a service's tasks would have one.
pub const NEXT_TASK: &str = "eni-of-the-next-task";

/// One look at everything.
pub struct World<'a> {
    /// The rows.
    pub rows: &'a Snapshot,
    /// How Landfall was started.
    pub settings: &'a Settings,
    /// What the machine reported.
    pub machine: &'a Machine,
    /// The machine itself, for counters and sockets.
    pub agent: &'a agent::Client,
    /// All networks.
    pub topology: Topology,
    names: Tables,
    answers_names: BTreeMap<VpcId, bool>,
    /// The counters of each VPC that was asked for.
    counted: BTreeMap<VpcId, BTreeMap<String, u64>>,
}

impl<'a> World<'a> {
    /// Looks.
    pub fn look(
        rows: &'a Snapshot,
        settings: &'a Settings,
        machine: &'a Machine,
        agent: &'a agent::Client,
    ) -> Self {
        let names = match project::project(rows, settings, &PartId::Names) {
            Some(Body::Names(names)) => names,
            _ => desired::Names { vpcs: Vec::new(), public: Vec::new(), internet: false, api: None },
        };
        Self {
            rows,
            settings,
            machine,
            agent,
            topology: project::topology(rows, settings),
            answers_names: names.vpcs.iter().map(|vpc| (vpc.vpc.clone(), vpc.enabled)).collect(),
            names: Tables::new(&names),
            counted: BTreeMap::new(),
        }
    }

    /// What a VPC's DNS server answers. None: it answers nothing at all (`enableDnsSupport` is off).
    pub fn resolve(&self, vpc: &VpcId, name: &str) -> Option<Vec<Ipv4Addr>> {
        if self.answers_names.get(vpc) == Some(&false) {
            return None;
        }
        let view = self.names.vpc(vpc)?;
        match view.find(name) {
            Found::Name { addresses, .. } => Some(addresses),
            Found::Unknown => Some(Vec::new()),
        }
    }

    /// An interface's row.
    pub fn interface(&self, id: &str) -> Option<Arc<NetworkInterface>> {
        self.rows.scan::<NetworkInterface>("").find(|one| one.id.as_str() == id)
    }

    /// Puts the interface that a service's next task would get into a subnet, for a service that has no task now.
    /// False when nothing of the VPC is on the machine.
    pub fn imagine(&mut self, subnet: &str, groups: &[String], public: bool) -> bool {
        let vpc =
            self.topology.vpcs.iter_mut().find(|vpc| vpc.subnets.iter().any(|one| one.id.as_str() == subnet));
        let Some(vpc) = vpc else { return false };
        let Some(range) = vpc.subnets.iter().find(|one| one.id.as_str() == subnet).map(|one| one.cidr_block)
        else {
            return false;
        };
        let taken: Vec<Ipv4Addr> = vpc.interfaces.iter().map(|one| one.address).collect();
        // AWS keeps the first four and the last address of a subnet.
        let free = range.hosts().skip(3).find(|address| !taken.contains(address));
        let Some(address) = free else { return false };
        let groups = match groups {
            [] => default_group(self.rows, &vpc.id).into_iter().collect(),
            groups => groups.iter().map(|id| id.as_str().into()).collect(),
        };
        vpc.interfaces.push(desired::Interface {
            id: NEXT_TASK.into(),
            subnet: subnet.into(),
            address,
            mac: [0; 6],
            // One that nobody else has.
            public_address: public.then_some(Ipv4Addr::new(198, 18, 255, 255)),
            security_groups: groups,
            source_dest_check: true,
            kind: InterfaceKind::Task,
        });
        true
    }

    /// Whether any network of the machine has an interface.
    pub fn has_interface(&self, id: &NetworkInterfaceId) -> bool {
        self.topology.vpcs.iter().any(|vpc| vpc.interfaces.iter().any(|one| one.id == *id))
    }

    /// Asks for a path, with what the kernel counted.
    ///
    /// # Errors
    /// When an end is not on the machine, or the question makes no sense.
    pub fn path(&mut self, query: &Query, from: &str, to: &str, traffic: &str) -> Result<Path, QueryError> {
        let analysis = reachability::analyse(&self.topology, query)?;
        let blocker = analysis.blocker().map(|(_, _, block)| (block.code, block.suggestion.clone()));
        let (explanation_code, suggestion) =
            blocker.map_or((None, None), |(code, suggestion)| (Some(code), suggestion));
        Ok(Path {
            from: from.to_owned(),
            to: to.to_owned(),
            traffic: traffic.to_owned(),
            reachable: analysis.reachable,
            explanation_code,
            suggestion,
            steps: self.steps(analysis),
        })
    }

    fn steps(&mut self, analysis: Analysis) -> Vec<Step> {
        let ways = [(Way::Forward, analysis.forward), (Way::Back, analysis.back)];
        let hops = ways.into_iter().flat_map(|(way, hops)| hops.into_iter().map(move |hop| (way, hop)));
        hops.map(|(way, hop)| {
            let packets = self.packets(&hop.counters);
            Step { way, hop, packets, text: String::new() }
        })
        .collect()
    }

    fn packets(&mut self, counters: &[Counter]) -> Option<u64> {
        let mut sum = None;
        for counter in counters {
            if !self.counted.contains_key(&counter.vpc) {
                let read = self.agent.counters(&counter.vpc).ok().flatten().unwrap_or_default();
                self.counted.insert(counter.vpc.clone(), read);
            }
            let found = self.counted.get(&counter.vpc).and_then(|all| all.get(&counter.name));
            sum = found.map(|found| sum.unwrap_or(0) + found).or(sum);
        }
        sum
    }

    /// Words for ids: whose an interface is, and what the tag `Name` says.
    pub fn words(&self) -> BTreeMap<String, String> {
        let mut words = BTreeMap::new();
        for tags in self.rows.scan::<TagSet>("") {
            if let Some(name) = tags.tags.get("Name").filter(|name| !name.is_empty()) {
                words.insert(tags.id.clone(), name.clone());
            }
        }
        for task in self.rows.scan::<Task>("") {
            words.insert(task.interface.id.to_string(), task_name(&task));
        }
        for balancer in self.rows.scan::<LoadBalancer>("") {
            for node in &balancer.nodes {
                words.insert(node.interface_id.clone(), format!("lb/{} in {}", balancer.name, node.zone));
            }
        }
        for gateway in self.rows.scan::<NatGateway>("") {
            words.extend(gateway.interface_id.iter().map(|id| (id.to_string(), gateway.id.to_string())));
        }
        for interface in self.rows.scan::<NetworkInterface>("") {
            let own = interface.id.to_string();
            words.entry(own).or_insert_with(|| interface.description.clone());
        }
        words.insert(NEXT_TASK.to_owned(), "the next task".to_owned());
        words.retain(|_, word| !word.is_empty());
        words
    }
}

fn default_group(rows: &Snapshot, vpc: &VpcId) -> Option<SecurityGroupId> {
    rows.scan::<Vpc>("").find(|row| row.id == *vpc).map(|row| row.default_security_group.clone())
}

/// A task as a person calls it: `task 1f00ab12 of service/web`.
pub fn task_name(task: &Task) -> String {
    let id = task.id.as_str();
    let short = &id[..8.min(id.len())];
    match &task.service {
        Some(service) => format!("task {short} of service/{service}"),
        None => format!("task {short}"),
    }
}
