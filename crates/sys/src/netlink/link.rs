//! Links, their addresses and pinned neighbours.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::RouteType;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::{Address, Link, Mac, Neighbour, Netlink};
use crate::error::{Error, Result};

/// One end of a veth pair that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct VethEnd<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its MAC address.
    pub mac: Mac,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// How many bytes of TCP the kernel may hand over in one piece, to be cut into segments only where that is needed
    /// (`gso_ipv4_max_size` and `gro_ipv4_max_size` of ip-link(8), "BIG TCP"). None: 64 KiB. Kernels before 6.3 know no
    /// more, and pass over it.
    pub gso_ipv4_max: Option<u32>,
}

impl VethEnd<'_> {
    fn message(&self) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(self.name.to_owned()),
            LinkAttribute::Address(self.mac.to_vec()),
            LinkAttribute::Mtu(self.mtu),
        ];
        if let Some(most) = self.gso_ipv4_max {
            message
                .attributes
                .extend([LinkAttribute::GsoIpv4MaxSize(most), LinkAttribute::GroIpv4MaxSize(most)]);
        }
        message
    }
}

impl Netlink {
    /// Every link.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn links(&mut self) -> Result<Vec<Link>> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.socket.dump(&request, &|| "list the links".to_owned())?;
        let links: Vec<Link> = answers
            .into_iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewLink(message) => Some(read(message)),
                _ => None,
            })
            .collect();
        self.numbers = links.iter().map(|link| (link.name.clone(), link.index)).collect();
        self.names = links.iter().map(|link| (link.index, link.name.clone())).collect();
        Ok(links)
    }

    /// Makes a veth pair: `near` here, `far` born inside `namespace`. Neither end is ever seen anywhere else. Both are
    /// down: the kernel cannot make the far one up.
    ///
    /// # Errors
    /// When a name is taken or the kernel refuses.
    pub fn add_veth(
        &mut self,
        near: &VethEnd<'_>,
        far: &VethEnd<'_>,
        namespace: BorrowedFd<'_>,
    ) -> Result<()> {
        let mut peer = far.message();
        peer.attributes.push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
        let mut message = near.message();
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        let doing = || format!("make the link {} with {} in another namespace", near.name, far.name);
        self.socket.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL, &doing)
    }

    /// Brings a link up.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn set_up(&mut self, name: &str) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = self.index(name)?;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        let doing = || format!("bring the link {name} up");
        self.socket.change(RouteNetlinkMessage::SetLink(message), 0, &doing)
    }

    /// Deletes a link, and with it a veth's other end, its routes and neighbours.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn delete_link(&mut self, name: &str) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = self.index(name)?;
        self.numbers.remove(name);
        self.names.remove(&message.header.index);
        self.socket.change(RouteNetlinkMessage::DelLink(message), 0, &|| format!("delete the link {name}"))
    }

    /// Deletes links as [`Netlink::delete_link`] does, all at once: the kernel waits some 20 ms for each deletion,
    /// whatever it deletes. Those that are gone already are passed over.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn delete_links<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        /// No link that is to stay is in this group.
        const DOOMED: u32 = 0x6c66_0001;
        let gone = |error: &Error| error.is(Errno::ENODEV);
        self.links()?;
        let mut any = false;
        for name in names {
            let Ok(index) = self.index(name) else { continue };
            let mut message = LinkMessage::default();
            message.header.index = index;
            message.attributes = vec![LinkAttribute::Group(DOOMED)];
            let doing = || format!("mark the link {name} for deletion");
            match self.socket.change(RouteNetlinkMessage::SetLink(message), 0, &doing) {
                Ok(()) => any = true,
                Err(error) if gone(&error) => (),
                Err(error) => return Err(error),
            }
        }
        if !any {
            return Ok(());
        }
        let mut message = LinkMessage::default();
        message.attributes = vec![LinkAttribute::Group(DOOMED)];
        let doing = || "delete the links that are marked for it".to_owned();
        match self.socket.change(RouteNetlinkMessage::DelLink(message), 0, &doing) {
            Err(error) if gone(&error) => Ok(()),
            answer => answer,
        }?;
        self.links().map(drop)
    }

    /// Every IPv4 address but 127.0.0.1.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn addresses(&mut self) -> Result<Vec<Address>> {
        self.links()?;
        let mut request = AddressMessage::default();
        request.header.family = AddressFamily::Inet;
        let request = RouteNetlinkMessage::GetAddress(request);
        let answers = self.socket.dump(&request, &|| "list the addresses".to_owned())?;
        let read = |answer| {
            let RouteNetlinkMessage::NewAddress(message) = answer else { return None };
            let address = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
                _ => None,
            })?;
            let address = Ipv4Net::new(address, message.header.prefix_len).ok()?;
            (!address.addr().is_loopback())
                .then(|| Address { link: self.name(message.header.index), address })
        };
        Ok(answers.into_iter().filter_map(read).collect())
    }

    fn address_message(&mut self, address: &Address) -> Result<AddressMessage> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = address.address.prefix_len();
        message.header.index = self.index(&address.link)?;
        message.header.scope = AddressScope::Universe;
        let ip = IpAddr::V4(address.address.addr());
        message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
        Ok(message)
    }

    /// Gives a link an address. One that is there already is left alone.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn add_address(&mut self, address: &Address) -> Result<()> {
        let mut message = self.address_message(address)?;
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Noprefixroute));
        let doing = || format!("add the address {} to {}", address.address, address.link);
        self.socket.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE, &doing)
    }

    /// Takes an address from a link.
    ///
    /// # Errors
    /// When the link does not have it.
    pub fn delete_address(&mut self, address: &Address) -> Result<()> {
        let message = self.address_message(address)?;
        let doing = || format!("delete the address {} from {}", address.address, address.link);
        self.socket.change(RouteNetlinkMessage::DelAddress(message), 0, &doing)
    }

    /// Every pinned neighbour.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn neighbours(&mut self) -> Result<Vec<Neighbour>> {
        self.links()?;
        let mut request = NeighbourMessage::default();
        request.header.family = AddressFamily::Inet;
        let request = RouteNetlinkMessage::GetNeighbour(request);
        let answers = self.socket.dump(&request, &|| "list the neighbours".to_owned())?;
        let read = |answer| {
            let RouteNetlinkMessage::NewNeighbour(message) = answer else { return None };
            if message.header.state != NeighbourState::Permanent {
                return None;
            }
            let (mut address, mut mac) = (None, None);
            for attribute in message.attributes {
                match attribute {
                    NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => address = Some(ip),
                    NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.try_into().ok(),
                    _ => (),
                }
            }
            Some(Neighbour { link: self.name(message.header.ifindex), address: address?, mac: mac? })
        };
        Ok(answers.into_iter().filter_map(read).collect())
    }

    fn neighbour_message(&mut self, neighbour: &Neighbour) -> Result<NeighbourMessage> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = self.index(&neighbour.link)?;
        message.header.state = NeighbourState::Permanent;
        message.header.kind = RouteType::Unicast;
        let ip: Ipv4Addr = neighbour.address;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)),
            NeighbourAttribute::LinkLayerAddress(neighbour.mac.to_vec()),
        ];
        Ok(message)
    }

    /// Pins a neighbour, in the place of one that is there.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn add_neighbour(&mut self, neighbour: &Neighbour) -> Result<()> {
        let message = self.neighbour_message(neighbour)?;
        let doing = || format!("pin the neighbour {} on {}", neighbour.address, neighbour.link);
        self.socket.change(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE, &doing)
    }

    /// Forgets a neighbour.
    ///
    /// # Errors
    /// When there is no such neighbour.
    pub fn delete_neighbour(&mut self, neighbour: &Neighbour) -> Result<()> {
        let message = self.neighbour_message(neighbour)?;
        let doing = || format!("forget the neighbour {} on {}", neighbour.address, neighbour.link);
        self.socket.change(RouteNetlinkMessage::DelNeighbour(message), 0, &doing)
    }
}

fn read(message: LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: Mac::default(),
        mtu: 0,
        up: message.header.flags.contains(LinkFlags::Up),
        peer: None,
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(bytes) => link.mac = bytes.try_into().unwrap_or_default(),
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Link(peer) => link.peer = Some(peer),
            _ => (),
        }
    }
    link
}
