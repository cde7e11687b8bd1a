//! Routes and the rules of policy routing.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage, rule};

use super::{Hop, Netlink, Route, Rule, RuleAction};
use crate::error::Result;

/// The table in which the kernel keeps the routes to a namespace's own addresses.
const KERNEL_LOCAL: u32 = 255;

impl Netlink {
    /// Every IPv4 route but those of the kernel's local table.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn routes(&mut self) -> Result<Vec<Route>> {
        self.links()?;
        let mut request = RouteMessage::default();
        request.header.address_family = AddressFamily::Inet;
        let request = RouteNetlinkMessage::GetRoute(request);
        let answers = self.socket.dump(&request, &|| "list the routes".to_owned())?;
        let read = |answer| match answer {
            RouteNetlinkMessage::NewRoute(message) => self.read_route(&message),
            _ => None,
        };
        Ok(answers.into_iter().filter_map(read).collect())
    }

    fn read_route(&self, message: &RouteMessage) -> Option<Route> {
        let mut table = u32::from(message.header.table);
        let (mut destination, mut gateway, mut link) = (Ipv4Addr::UNSPECIFIED, None, None);
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Table(number) => table = *number,
                RouteAttribute::Destination(RouteAddress::Inet(ip)) => destination = *ip,
                RouteAttribute::Gateway(RouteAddress::Inet(ip)) => gateway = Some(*ip),
                RouteAttribute::Oif(index) => link = Some(self.name(*index)),
                _ => (),
            }
        }
        let hop = match (message.header.kind, gateway, link) {
            (RouteType::BlackHole, _, _) => Hop::Blackhole,
            (RouteType::Throw, _, _) => Hop::Throw,
            (RouteType::Local, _, _) if table != KERNEL_LOCAL => Hop::Local,
            (RouteType::Unicast, Some(address), Some(link)) => Hop::Gateway { link, address },
            (RouteType::Unicast, None, Some(link)) => Hop::Link(link),
            _ => return None,
        };
        let destination = Ipv4Net::new(destination, message.header.destination_prefix_length).ok()?;
        Some(Route { table, destination, hop })
    }

    fn route_message(&mut self, route: &Route) -> Result<RouteMessage> {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.header.destination_prefix_length = route.destination.prefix_len();
        message.header.protocol = RouteProtocol::Static;
        message.attributes = vec![
            RouteAttribute::Table(route.table),
            RouteAttribute::Destination(RouteAddress::Inet(route.destination.network())),
        ];
        message.header.kind = RouteType::Unicast;
        match &route.hop {
            Hop::Blackhole => message.header.kind = RouteType::BlackHole,
            Hop::Throw => message.header.kind = RouteType::Throw,
            Hop::Local => {
                message.header.kind = RouteType::Local;
                message.header.scope = RouteScope::Host;
                message.attributes.push(RouteAttribute::Oif(self.index("lo")?));
            }
            Hop::Link(link) => {
                message.header.scope = RouteScope::Link;
                message.attributes.push(RouteAttribute::Oif(self.index(link)?));
            }
            Hop::Gateway { link, address } => {
                message.header.flags = RouteFlags::Onlink;
                message.attributes.push(RouteAttribute::Oif(self.index(link)?));
                message.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(*address)));
            }
        }
        Ok(message)
    }

    /// Adds a route, in the place of the one that the table has for the destination: at no moment is there none.
    ///
    /// # Errors
    /// When its link is not there or not up.
    pub fn add_route(&mut self, route: &Route) -> Result<()> {
        let message = self.route_message(route)?;
        let doing = || format!("add the route {route:?}");
        self.socket.change(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE, &doing)
    }

    /// Deletes a route.
    ///
    /// # Errors
    /// When there is no such route.
    pub fn delete_route(&mut self, route: &Route) -> Result<()> {
        let mut message = self.route_message(route)?;
        message.header.protocol = RouteProtocol::Unspec;
        message.header.scope = RouteScope::NoWhere;
        let doing = || format!("delete the route {route:?}");
        self.socket.change(RouteNetlinkMessage::DelRoute(message), 0, &doing)
    }

    /// Every rule but the one at priority 0, which looks into the kernel's local table.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn rules(&mut self) -> Result<Vec<Rule>> {
        let mut request = RuleMessage::default();
        request.header.family = AddressFamily::Inet;
        let request = RouteNetlinkMessage::GetRule(request);
        let answers = self.socket.dump(&request, &|| "list the rules".to_owned())?;
        let read = |answer| match answer {
            RouteNetlinkMessage::NewRule(message) => read_rule(&message),
            _ => None,
        };
        Ok(answers.into_iter().filter_map(read).filter(|rule| rule.priority != 0).collect())
    }

    /// Adds a rule, behind those of the same priority.
    ///
    /// # Errors
    /// When it is there already.
    pub fn add_rule(&mut self, rule: &Rule) -> Result<()> {
        let message = RouteNetlinkMessage::NewRule(rule_message(rule));
        self.socket.change(message, NLM_F_CREATE | NLM_F_EXCL, &|| format!("add the rule {rule:?}"))
    }

    /// Deletes a rule.
    ///
    /// # Errors
    /// When there is no such rule.
    pub fn delete_rule(&mut self, rule: &Rule) -> Result<()> {
        let message = RouteNetlinkMessage::DelRule(rule_message(rule));
        self.socket.change(message, 0, &|| format!("delete the rule {rule:?}"))
    }
}

fn read_rule(message: &RuleMessage) -> Option<Rule> {
    let (mut table, mut priority, mut mark) = (u32::from(message.header.table), 0, None);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Priority(number) => priority = *number,
            RuleAttribute::FwMark(number) => mark = Some(*number),
            _ => (),
        }
    }
    let action = match message.header.action {
        rule::RuleAction::ToTable => RuleAction::Table(table),
        rule::RuleAction::Blackhole => RuleAction::Blackhole,
        _ => return None,
    };
    Some(Rule { priority, mark, action })
}

fn rule_message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = AddressFamily::Inet;
    message.attributes.push(RuleAttribute::Priority(rule.priority));
    if let Some(mark) = rule.mark {
        message.attributes.push(RuleAttribute::FwMark(mark));
    }
    match rule.action {
        RuleAction::Table(table) => {
            message.header.action = rule::RuleAction::ToTable;
            message.attributes.push(RuleAttribute::Table(table));
        }
        RuleAction::Blackhole => message.header.action = rule::RuleAction::Blackhole,
    }
    message
}
