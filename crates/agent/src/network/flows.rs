//! Which flows conntrack may go on knowing when interfaces and public addresses change.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sys::conntrack::{Flow, forget};

use super::{NetworkError, PeeringPlan, VpcPlan};

/// What a VPC's flows depend on. Only when it changes flows are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// Interfaces with their private and public addresses.
    interfaces: BTreeSet<(String, Ipv4Addr, Option<Ipv4Addr>)>,
    peerings: BTreeSet<PeeringPlan>,
}

impl Standing {
    pub(super) fn new(plan: &VpcPlan) -> Self {
        let interface =
            |(name, leg): (&String, &super::LegPlan)| Some((name.clone(), leg.address?, leg.public));
        Self {
            interfaces: plan.legs.iter().filter_map(interface).collect(),
            peerings: plan.peerings.iter().cloned().collect(),
        }
    }

    /// The ranges of the peering connections that are no more.
    fn closed_since(&self, before: Option<&Self>) -> Vec<Ipv4Net> {
        let gone = before.into_iter().flat_map(|before| before.peerings.difference(&self.peerings));
        gone.flat_map(|peering| peering.cidr_blocks.iter().copied()).collect()
    }
}

/// The addresses of a VPC by which a flow is judged.
#[derive(Debug)]
pub(super) struct Addresses {
    ranges: Vec<Ipv4Net>,
    private: BTreeSet<Ipv4Addr>,
    public: BTreeMap<Ipv4Addr, Ipv4Addr>,
    /// Addresses that another interface has now.
    reused: BTreeSet<Ipv4Addr>,
    /// Ranges that were behind a peering connection which is no more.
    closed: Vec<Ipv4Net>,
}

impl Addresses {
    pub(super) fn new(
        plan: &VpcPlan,
        reused: BTreeSet<Ipv4Addr>,
        now: &Standing,
        before: Option<&Standing>,
    ) -> Self {
        let private = plan.legs.values().filter_map(|leg| leg.address).chain([plan.dns]).collect();
        let public = plan.legs.values().filter_map(|leg| Some((leg.public?, leg.address?))).collect();
        let closed = now.closed_since(before);
        Self { ranges: plan.cidr_blocks.clone(), private, public, reused, closed }
    }

    /// Whether a flow belongs to interfaces that are there, under the public addresses that they have.
    fn stands(&self, flow: &Flow) -> bool {
        let (original, reply) = (flow.original, flow.reply);
        let to = original.destination == reply.source
            || self.public.get(&original.destination) == Some(&reply.source);
        let from = original.source == reply.destination
            || self.public.get(&reply.destination) == Some(&original.source);
        to && from && flow.addresses().iter().all(|address| self.has(*address))
    }

    fn has(&self, address: Ipv4Addr) -> bool {
        let inside = self.ranges.iter().any(|range| range.contains(&address));
        let closed = self.closed.iter().any(|range| range.contains(&address));
        !closed && !self.reused.contains(&address) && (!inside || self.private.contains(&address))
    }

    /// Forgets the flows of the calling thread's namespace, a router's, that do not stand: who gets an address next
    /// must not inherit what was established with it.
    pub(super) fn clean_router(&self) -> Result<(), NetworkError> {
        forget(|flow| !self.stands(flow))?;
        Ok(())
    }

    /// The same in a NAT gateway's namespace, whose translations are its own.
    pub(super) fn clean_nat_gateway(&self) -> Result<(), NetworkError> {
        forget(|flow| !flow.addresses().iter().all(|address| self.has(*address)))?;
        Ok(())
    }
}
