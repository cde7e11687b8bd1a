//! The way of a security group rule: from the API's answer to the first packet that is judged by it.
//!
//! `serve` and the agent are the binary's own. The interfaces are rows, as tasks have them, so that no container need
//! run. One interface sends a datagram of a flow of its own every moment, another hears those that are let in.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use control::ec2::interface::{self, NewInterface};
use control::{Auth, Context, Machine, Principal, Settings};
use desired::InterfaceKind;
use store::Store;
use sys::netns;
use types::{AccountId, Region, Timestamp};

use super::super::server::{Key, REGION, Server, element};
use crate::Error;

/// The pause between two datagrams.
const PAUSE: Duration = Duration::from_micros(200);
/// After this long without a datagram none comes any more.
const SILENCE: Duration = Duration::from_millis(150);
/// What has not happened by then never does.
const PATIENCE: Duration = Duration::from_secs(180);
const PORT: u16 = 7777;
const GROUPS: usize = 10;

/// In milliseconds, one a round.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) added: Vec<f64>,
    pub(super) removed: Vec<f64>,
}

pub(super) fn measure(
    binary: &Path,
    interfaces: usize,
    rules: usize,
    rounds: usize,
) -> Result<Changes, Error> {
    let mut server = Server::start(binary, tempfile::tempdir()?)?;
    let key = server.root_key()?;
    let network = prepare(&server, &key, rules)?;
    let folder = server.folder();
    server.paused(|| make_interfaces(&folder, &network, interfaces))?;
    let ends = ends(&folder, &network)?;
    wait("all interfaces have namespaces", || {
        ends.iter().all(|end| netns::exists(&folder.join("netns").join(end.id.as_str())))
    })?;
    let paths = ends.each_ref().map(|end| folder.join("netns").join(end.id.as_str()));
    let address = ends[1].address;
    // All is there when the last interface is: until then the first ones wait for their links.
    wait("the receiver has its address", || {
        netns::within(&paths[1], || UdpSocket::bind((address, PORT)).is_ok()).unwrap_or(false)
    })?;
    let probe = Probe::start(&paths, address)?;
    let change = |action: &str| -> Result<Instant, Error> {
        let group = &ends[1].security_groups[0];
        let body = format!(
            "Action={action}&Version=2016-11-15&GroupId={group}&IpPermissions.1.IpProtocol=udp\
             &IpPermissions.1.FromPort={PORT}&IpPermissions.1.ToPort={PORT}\
             &IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0%2F16"
        );
        server.call(&key, "ec2", REGION, &body)?;
        Ok(Instant::now())
    };
    // The first change finds out that everything stands.
    change("AuthorizeSecurityGroupIngress")?;
    wait("the first rule lets datagrams through", || probe.hears())?;
    change("RevokeSecurityGroupIngress")?;
    wait("the rule's end stops them", || !probe.hears())?;
    let mut changes = Changes::default();
    for round in 0..rounds {
        probe.forget();
        let answered = change("AuthorizeSecurityGroupIngress")?;
        wait("the added rule lets datagrams through", || probe.heard().is_some())?;
        changes.added.push(probe.since(answered, probe.heard().map(|(first, _)| first)));
        let answered = change("RevokeSecurityGroupIngress")?;
        wait("the removed rule stops them", || !probe.hears())?;
        changes.removed.push(probe.since(answered, probe.heard().map(|(_, last)| last + 1)));
        println!(
            "round {round}: added {:.1} ms, removed {:.1} ms",
            changes.added[round], changes.removed[round]
        );
    }
    Ok(changes)
}

/// What was made by calls.
struct Made {
    vpc: String,
    subnets: Vec<String>,
    groups: Vec<String>,
}

fn prepare(server: &Server, key: &Key, rules: usize) -> Result<Made, Error> {
    let call = |body: &str| server.call(key, "ec2", REGION, &format!("{body}&Version=2016-11-15"));
    let vpc = element(&call("Action=CreateVpc&CidrBlock=10.0.0.0%2F16")?, "vpcId")?;
    let subnet = |n: usize| {
        let range = format!("10.0.{}.0%2F20", n * 16);
        element(&call(&format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock={range}"))?, "subnetId")
    };
    let subnets = (0..2).map(subnet).collect::<Result<_, _>>()?;
    let group = |n: usize| -> Result<String, Error> {
        let made = call(&format!(
            "Action=CreateSecurityGroup&VpcId={vpc}&GroupName=bench{n}&GroupDescription=bench"
        ))?;
        let id = element(&made, "groupId")?;
        let mut body = format!("Action=AuthorizeSecurityGroupIngress&GroupId={id}");
        // One fewer, as each group has one for egress from the start.
        for rule in 1..rules / GROUPS {
            body += &format!(
                "&IpPermissions.{rule}.IpProtocol=tcp&IpPermissions.{rule}.FromPort={port}\
                 &IpPermissions.{rule}.ToPort={port}&IpPermissions.{rule}.IpRanges.1.CidrIp=10.0.0.0%2F16",
                port = 10_000 + rule
            );
        }
        call(&body)?;
        Ok(id)
    };
    let groups = (0..GROUPS).map(group).collect::<Result<_, _>>()?;
    Ok(Made { vpc, subnets, groups })
}

/// Makes the rows of interfaces, while nobody else has the database.
fn make_interfaces(folder: &Path, made: &Made, count: usize) -> Result<(), Error> {
    let store = Store::open(&folder.join("landfall.db"), &control::tables())?;
    let account = store
        .snapshot()
        .scan::<control::ec2::vpc::Vpc>("")
        .find(|vpc| vpc.id.as_str() == made.vpc)
        .map(|vpc| vpc.account.clone())
        .ok_or("the VPC has gone")?;
    let context = context(account)?;
    let (subnets, groups) = (made.subnets.clone(), made.groups.clone());
    store.write(move |rows| {
        (0..count).try_for_each(|n| {
            let new = NewInterface {
                subnet: &subnets[n % subnets.len()],
                security_groups: std::slice::from_ref(&groups[n % groups.len()]),
                description: format!("bench {n}"),
                kind: InterfaceKind::Task,
                public_address: false,
                requester: "amazon-ecs",
            };
            interface::create(rows, &context, new).map(drop)
        })
    })??;
    Ok(())
}

fn context(account: AccountId) -> Result<Context, Error> {
    let settings = Settings {
        account: account.clone(),
        access_key_id: String::new(),
        secret_access_key: String::new(),
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        host_address: Ipv4Addr::LOCALHOST,
        auth: Auth::Verify,
        metric_period: 60,
        token_key: [0; 32],
        ca_certificate: String::new(),
        certificates: Vec::new(),
        private_key: String::new(),
    };
    Ok(Context {
        settings: Arc::new(settings),
        account,
        region: Region::new(REGION)?,
        principal: Principal::Root,
        through: None,
        now: Timestamp::now(),
        machine: Arc::<Machine>::default(),
        request_id: "bench".to_owned(),
    })
}

/// Two interfaces of different groups, as the agent's part of the VPC has them.
fn ends(folder: &Path, made: &Made) -> Result<[desired::Interface; 2], Error> {
    let path = folder.join(format!("agent/desired/{}.json", made.vpc));
    let mut found = None;
    wait("the agent has the VPC", || {
        let part = std::fs::read(&path).ok().and_then(|bytes| desired::decode::<desired::Part>(&bytes).ok());
        found = part.and_then(|part| match part.body {
            Some(desired::Body::Vpc(vpc)) => Some(vpc.interfaces),
            _ => None,
        });
        found.is_some()
    })?;
    let interfaces = found.unwrap_or_default();
    let first = interfaces.first().ok_or("no interface")?.clone();
    let other = interfaces.iter().find(|one| one.security_groups != first.security_groups);
    Ok([first, other.ok_or("all interfaces have one group")?.clone()])
}

fn wait(what: &str, mut condition: impl FnMut() -> bool) -> Result<(), Error> {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{what}: that does not happen").into());
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(())
}

/// Datagrams from one interface to the other.
struct Probe {
    /// When each was sent.
    sent: Arc<Mutex<Vec<Instant>>>,
    /// The first and the last that were heard since it was forgotten, and when the last was.
    heard: Arc<Mutex<Option<(usize, usize, Instant)>>>,
    over: Arc<AtomicBool>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Probe {
    fn start(paths: &[std::path::PathBuf; 2], address: Ipv4Addr) -> Result<Self, Error> {
        let probe = Self { sent: Arc::default(), heard: Arc::default(), over: Arc::default() };
        let receiver = netns::within(&paths[1], || UdpSocket::bind((address, PORT)))??;
        receiver.set_read_timeout(Some(SILENCE))?;
        let (heard, over) = (probe.heard.clone(), probe.over.clone());
        std::thread::spawn(move || {
            let mut number = [0; 8];
            while !over.load(Ordering::Relaxed) {
                if receiver.recv(&mut number).is_ok()
                    && let Ok(number) = usize::try_from(u64::from_le_bytes(number))
                {
                    let mut heard = locked(&heard);
                    let first = heard.map_or(number, |(first, ..)| first);
                    *heard = Some((first, number, Instant::now()));
                }
            }
        });
        let (sent, over, namespace) = (probe.sent.clone(), probe.over.clone(), netns::open(&paths[0])?);
        std::thread::spawn(move || -> Result<(), String> {
            netns::enter(&namespace).map_err(|error| error.to_string())?;
            while !over.load(Ordering::Relaxed) {
                // A socket each, so that each datagram begins a flow.
                let socket = UdpSocket::bind("0.0.0.0:0").map_err(|error| error.to_string())?;
                let number = {
                    let mut sent = locked(&sent);
                    sent.push(Instant::now());
                    sent.len() as u64 - 1
                };
                let _ = socket.send_to(&number.to_le_bytes(), (address, PORT));
                std::thread::park_timeout(PAUSE);
            }
            Ok(())
        });
        Ok(probe)
    }

    fn forget(&self) {
        *locked(&self.heard) = None;
    }

    fn heard(&self) -> Option<(usize, usize)> {
        locked(&self.heard).map(|(first, last, _)| (first, last))
    }

    fn hears(&self) -> bool {
        locked(&self.heard).is_some_and(|(.., last)| last.elapsed() < SILENCE)
    }

    /// How long after `begun` a datagram was sent, in milliseconds; 0 for one that was sent before.
    fn since(&self, begun: Instant, number: Option<usize>) -> f64 {
        let sent = number.and_then(|number| locked(&self.sent).get(number).copied());
        sent.map_or(f64::NAN, |sent| sent.saturating_duration_since(begun).as_secs_f64() * 1000.0)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
