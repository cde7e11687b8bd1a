//! Logged packets and flows with counters, in a namespace of the test's own.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::conntrack::{self, Accounts, Carried};
use sys::netlink::Netlink;
use sys::netns::apart;
use sys::nflog::Listener;
use sys::nft::{Base, Chain, Expression as E, Hook, Kind, Rule, Table, Verdict, replace};

const PATIENCE: Duration = Duration::from_secs(5);

/// UDP to port 9 is handled by a rule.
fn filter(end: &[E]) -> Table {
    let mut rule: Rule = vec![E::Protocol(17), E::Ports { destination: true, from: 9, to: 9 }];
    rule.extend(end.iter().cloned());
    let base = Some(Base { kind: Kind::Filter, hook: Hook::Input, priority: 0, accept: true });
    let chains = [("input".to_owned(), Chain { base, ..Chain::new(vec![rule]) })].into();
    Table { name: "t".to_owned(), chains, ..Table::default() }
}

fn log() -> E {
    E::Log { group: 1, prefix: "acl-0123456789abcdef0/ingress/default".to_owned() }
}

fn wait(readable: impl AsFd) {
    let mut fds = [PollFd::new(readable.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::try_from(PATIENCE).unwrap()).unwrap(), 1, "nothing comes");
}

#[test]
fn a_logged_packet_is_handed_out_with_the_reason_and_the_interface() {
    apart(|| {
        let lo = {
            let mut netlink = Netlink::open().unwrap();
            netlink.set_up("lo").unwrap();
            netlink.links().unwrap()[0].index
        };
        replace(&filter(&[log(), E::Verdict(Verdict::Drop)])).unwrap();
        let mut listener = Listener::open(1).unwrap();
        assert!(Listener::open(1).is_err(), "a group has one listener");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&[7; 300], "127.0.0.1:9").unwrap();
        wait(&listener);
        let mut logged = Vec::new();
        assert_eq!(listener.read(|packet| logged.push(packet)).unwrap(), 0);
        let [only] = logged.as_slice() else { panic!("{logged:?}") };
        assert_eq!(only.prefix, "acl-0123456789abcdef0/ingress/default");
        assert_eq!((only.input, only.output), (Some(lo), None));
        assert_eq!(only.packet.len(), 80);
        assert_eq!(only.packet[12..20], [127, 0, 0, 1, 127, 0, 0, 1]);
        assert_eq!(
            u16::from_be_bytes([only.packet[2], only.packet[3]]),
            328,
            "the length is the whole one's"
        );
        drop(listener);
        Listener::open(1).unwrap();
    })
    .unwrap();
}

#[test]
fn a_flood_is_not_kept_and_what_was_lost_is_counted() {
    apart(|| {
        Netlink::open().unwrap().set_up("lo").unwrap();
        replace(&filter(&[log(), E::Verdict(Verdict::Drop)])).unwrap();
        let mut listener = Listener::open(1).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        const SENT: u64 = 20_000;
        for _ in 0..SENT {
            socket.send_to(b"x", "127.0.0.1:9").unwrap();
        }
        let (mut read, mut lost) = (0, listener.read(|_| ()).unwrap());
        assert!(lost == 0, "what is lost shows with the packet after it");
        let deadline = Instant::now() + PATIENCE;
        // One more at a time, until there is room again and its number tells.
        while lost == 0 {
            assert!(Instant::now() < deadline, "no loss is seen");
            socket.send_to(b"x", "127.0.0.1:9").unwrap();
            wait(&listener);
            lost += listener.read(|_| read += 1).unwrap();
        }
        assert!(lost > SENT / 2 && read < SENT / 2, "read {read}, lost {lost}");
    })
    .unwrap();
}

#[test]
fn a_flow_is_told_with_its_counters_and_so_is_its_end() {
    apart(|| {
        Netlink::open().unwrap().set_up("lo").unwrap();
        for setting in ["acct", "timestamp"] {
            let path = format!("/proc/sys/net/netfilter/nf_conntrack_{setting}");
            std::fs::write(path, "1").unwrap();
        }
        replace(&filter(&[E::State(vec![sys::nft::State::New]), E::Verdict(Verdict::Accept)])).unwrap();
        let accounts = Accounts::open().unwrap();
        let [a, b] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        b.set_read_timeout(Some(PATIENCE)).unwrap();
        for length in [1, 100] {
            a.send_to(&vec![0; length], b.local_addr().unwrap()).unwrap();
            b.recv(&mut [0; 200]).unwrap();
        }
        b.send_to(b"answer", a.local_addr().unwrap()).unwrap();
        let look = || {
            let mut found = Vec::new();
            accounts.entries(|entry| found.push(entry)).unwrap();
            found
        };
        let found = look();
        let [only] = found.as_slice() else { panic!("{found:?}") };
        let [port_a, port_b] = [&a, &b].map(|socket| socket.local_addr().unwrap().port());
        assert_eq!((only.original.source, only.original.protocol), (Ipv4Addr::LOCALHOST, 17));
        assert_eq!((only.original.source_port, only.original.destination_port), (port_a, port_b));
        assert_eq!((only.reply.source_port, only.reply.destination_port), (port_b, port_a));
        assert_eq!(only.sent, Some(Carried { packets: 2, bytes: 28 + 1 + 28 + 100 }));
        assert_eq!(only.answered, Some(Carried { packets: 1, bytes: 34 }));
        assert!(only.began.unwrap() > 1_000_000_000 * 1_500_000_000 && only.tcp.is_none(), "{only:?}");
        assert_eq!(conntrack::forget(|_| true).unwrap(), 1);
        wait(&accounts);
        let mut ended = Vec::new();
        assert!(!accounts.ended(|entry| ended.push(entry)).unwrap());
        assert_eq!(ended, found);
        assert!(look().is_empty());
    })
    .unwrap();
}
