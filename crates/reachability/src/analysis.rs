//! What comes out: the path hop by hop, and what stops the packet.

use std::net::Ipv4Addr;

use desired::{InterfaceKind, NetworkAclEntry, Route, Rule};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use types::{
    NetworkAclId, NetworkInterfaceId, RouteTableId, SecurityGroupId, SubnetId, VpcEndpointId, VpcId,
    VpcPeeringConnectionId,
};

use crate::{Code, Header, Query, Suggestion};

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    /// What was asked.
    pub query: Query,
    /// Whether the packet arrives and, where an answer belongs to it, the answer comes back.
    pub reachable: bool,
    /// The packet's way, up to where nothing leads on.
    pub forward: Vec<Hop>,
    /// The answer's way. Empty when the packet's way ends early, or when nothing is answered.
    pub back: Vec<Hop>,
}

impl Analysis {
    /// The hops that block, the first one first: first those of the packet's way, then those of the answer's. A packet
    /// that a filter drops is followed further, so that all that is in its way is found at once.
    pub fn blockers(&self) -> impl Iterator<Item = (Way, &Hop, &Block)> {
        let forward = self.forward.iter().map(|hop| (Way::Forward, hop));
        let back = self.back.iter().map(|hop| (Way::Back, hop));
        forward.chain(back).filter_map(|(way, hop)| Some((way, hop, hop.block.as_ref()?)))
    }

    /// The first hop that blocks; None when the destination is reachable.
    pub fn blocker(&self) -> Option<(Way, &Hop, &Block)> {
        self.blockers().next()
    }
}

/// Which of the two ways a hop is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// From the asked source to the asked destination.
    Forward,
    /// The answer's.
    Back,
}

/// One thing that a packet meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The VPC that it is in; None in the internet.
    pub vpc: Option<VpcId>,
    /// The subnet that it belongs to or stands for, where there is one.
    pub subnet: Option<SubnetId>,
    /// What it is, and what it decides.
    pub component: Component,
    /// The packet as it arrives here.
    pub header: Header,
    /// The packet as it goes on, where this hop translates an address or a port.
    pub translated: Option<Header>,
    /// The kernel's counters that count such a packet here, in the namespace of [`Counter::vpc`]. Where several rules let
    /// it through it is one of them that counts.
    pub counters: Vec<Counter>,
    /// Why the packet goes no further; None if it does.
    pub block: Option<Block>,
}

/// A counter in a VPC's namespace, by the name that the agent gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Counter {
    /// The VPC in whose namespace it is.
    pub vpc: VpcId,
    /// Its name: `sg-…/ingress/tcp/80-80/0.0.0.0/0`, `acl-…/ingress/100`, `denied/…`.
    pub name: String,
}

/// Why a hop blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// AWS's explanation code.
    pub code: Code,
    /// Whether only some of the client's possible ports are concerned: some connections get through, others do not.
    pub partial: bool,
    /// What would open the way, if that is clear.
    pub suggestion: Option<Suggestion>,
}

/// The two directions of a security group or a network ACL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the interface, into the subnet.
    Ingress,
    /// From the interface, out of the subnet.
    Egress,
}

impl Direction {
    /// `ingress` or `egress`.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }
}

/// What a hop is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Component {
    /// A network interface that sends, receives, or hands on (a NAT gateway's). Here is the source/destination check.
    Interface {
        /// Its id.
        id: NetworkInterfaceId,
        /// What it belongs to.
        of: InterfaceKind,
        /// Its private address.
        address: Ipv4Addr,
        /// Its public address.
        public_address: Option<Ipv4Addr>,
        /// Whether packets of other addresses are dropped.
        source_dest_check: bool,
    },
    /// The security groups of an interface, together.
    SecurityGroups {
        /// The interface.
        interface: NetworkInterfaceId,
        /// All of its groups.
        groups: Vec<SecurityGroupId>,
        /// Which rules were asked.
        direction: Direction,
        /// What decided.
        decision: GroupDecision,
    },
    /// A subnet's network ACL.
    NetworkAcl {
        /// Its id.
        id: NetworkAclId,
        /// Which entries were asked.
        direction: Direction,
        /// What decided.
        decision: AclDecision,
    },
    /// A subnet's route table.
    RouteTable {
        /// Its id.
        id: RouteTableId,
        /// What decided.
        decision: RouteDecision,
    },
    /// The VPC's internet gateway (missing, if the hop blocks with [`Code::NoPath`]).
    InternetGateway {
        /// Whether the packet goes out into the internet.
        outwards: bool,
    },
    /// A NAT gateway, by its interface. The packet crosses the VPC's router a second time with its address.
    NatGateway {
        /// Its interface.
        interface: NetworkInterfaceId,
    },
    /// A peering connection, to the VPC that the next hop is in.
    Peering {
        /// Its id.
        id: VpcPeeringConnectionId,
        /// The VPC on the other side.
        to: VpcId,
    },
    /// A gateway endpoint with its service behind it.
    GatewayEndpoint {
        /// Its id.
        id: VpcEndpointId,
    },
    /// What the VPC's router itself answers: DNS, and the tasks' metadata. Groups and ACLs do not hold for it.
    Router {
        /// What answers.
        service: RouterService,
    },
    /// The internet, and who has the address there.
    Internet {
        /// Who.
        owner: Owner,
    },
}

/// What decided about a packet among an interface's security groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum GroupDecision {
    /// A rule allows it.
    Rule {
        /// The rule's group.
        group: SecurityGroupId,
        /// The rule.
        rule: Rule,
    },
    /// It belongs to a flow whose first packet was allowed: answers need no rule.
    Answer,
    /// No rule allows it.
    NoRule,
}

/// What decided about a packet in a network ACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum AclDecision {
    /// The entry that matches first. With several ports that the client may have, it is the first one that denies any
    /// of them, or else the first that allows some.
    Entry {
        /// The entry.
        entry: NetworkAclEntry,
    },
    /// No entry matches: the last one, shown as `*`, denies.
    Default,
}

/// What decided about a packet in a route table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum RouteDecision {
    /// The local route of a range of the VPC.
    Local {
        /// The range.
        range: Ipv4Net,
    },
    /// The route with the longest prefix.
    Route {
        /// The route; with [`Route::prefix_list`], an entry of that list.
        route: Route,
        /// Whether its state is `active`; else `blackhole`.
        active: bool,
    },
    /// None fits.
    NoRoute,
}

/// What a VPC's router answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouterService {
    /// The Amazon DNS server, at base + 2 and at 169.254.169.253.
    Dns,
    /// The task metadata endpoint, 169.254.170.2.
    TaskMetadata,
    /// Nothing that it has.
    None,
}

/// Who has an address of the internet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "who")]
pub enum Owner {
    /// The host of the machine, 198.19.0.1.
    Host,
    /// One of AWS's services, by the last part of its endpoint's name.
    Service {
        /// `ecr.api`, `ecr.dkr`, `s3`, `sts`.
        name: String,
    },
    /// A pretend host (`landfall internet map`).
    Pretend {
        /// Its name, if it has one.
        name: Option<String>,
    },
    /// An interface, as its public address.
    Interface {
        /// Its VPC.
        vpc: VpcId,
        /// Its id.
        interface: NetworkInterfaceId,
    },
    /// Somebody in the real internet: outbound traffic is on.
    World,
    /// Nobody: outbound traffic is off, the packet disappears. When all the internet was asked for the hop does not
    /// block all the same: the way out is open.
    Nobody,
}
