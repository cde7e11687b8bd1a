//! Pretend hosts of the internet, as the stack's task reaches them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::Value;
use sys::netns;

use crate::stack::Stack;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stub on loopback stands for a third party's API: the task resolves its name, reaches it through the NAT gateway,
/// and is seen by the gateway's elastic address. Nothing else is reached, and nothing when it is gone.
pub(crate) fn a_pretend_host_is_reached_by_its_name_through_the_nat_gateway(stack: &Stack) {
    let stub = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = stub.local_addr().unwrap().to_string();
    stack.landfall_ok(&["internet", "map", "api.example.com:443", &to]);
    let serving = std::thread::spawn(move || {
        let (mut stream, peer) = stub.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = String::new();
        stream.read_to_string(&mut request).unwrap();
        stream.write_all(request.to_uppercase().as_bytes()).unwrap();
        peer
    });
    let task = stack.state.join("netns").join(task_interface(stack));
    let ask = || (resolve("api.example.com"), resolve("other.example.com"));
    let (address, other) = netns::within(&task, ask).unwrap();
    assert_eq!(other, None, "with the internet off no other name exists");
    let address = address.expect("the name is resolved as soon as it is mapped");
    let exchange = || {
        let mut stream = TcpStream::connect((address, 443)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"from inside").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert_eq!(netns::within(&task, exchange).unwrap(), "FROM INSIDE");
    assert!(serving.join().unwrap().ip().is_loopback());

    let gateways = stack.aws("ec2 describe-nat-gateways --filter Name=state,Values=available");
    let elastic =
        gateways["NatGateways"][0]["NatGatewayAddresses"][0]["PublicIp"].as_str().unwrap().to_owned();
    let seen = visit(stack);
    assert_eq!(seen["protocol"], "tcp");
    let source: SocketAddr = seen["source"].as_str().unwrap().parse().unwrap();
    assert_eq!(source.ip().to_string(), elastic);

    // Another port of it, and another address: packets disappear, as they always do with the internet off.
    for silent in [SocketAddr::from((address, 80)), SocketAddr::from(([203, 0, 113, 9], 443))] {
        let connect = || TcpStream::connect_timeout(&silent, Duration::from_millis(500));
        let error = netns::within(&task, connect).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{silent}");
    }
    stack.landfall_ok(&["internet", "unmap", "api.example.com:443"]);
    assert_eq!(netns::within(&task, || resolve("api.example.com")).unwrap(), None);
    let refused = stack.landfall(&["internet", "unmap", "api.example.com:443"]);
    assert_eq!(refused.status.code(), Some(1));
}

/// The first visit to the one pretend host.
fn visit(stack: &Stack) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let listed = stack.landfall_ok(&["internet", "list", "--json"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let visit = &listed["hosts"][0]["recent"][0];
        if !visit.is_null() {
            return visit.clone();
        }
        assert!(Instant::now() < deadline, "no visit is listed: {listed:#}");
    }
}

/// The interface of the service's task.
fn task_interface(stack: &Stack) -> String {
    let tasks = stack.aws("ecs list-tasks --cluster echo --service-name echo");
    let arn = tasks["taskArns"][0].as_str().unwrap();
    let task = &stack.aws(&format!("ecs describe-tasks --cluster echo --tasks {arn}"))["tasks"][0];
    let details = task["attachments"][0]["details"].as_array().unwrap();
    let id = details.iter().find(|detail| detail["name"] == "networkInterfaceId").unwrap();
    id["value"].as_str().unwrap().to_owned()
}

/// A name's address as the VPC's DNS server has it; None when it does not exist.
fn resolve(name: &str) -> Option<Ipv4Addr> {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&query, "169.254.169.253:53").unwrap();
    let mut response = [0; 512];
    let length = socket.recv(&mut response).unwrap();
    // The only record is an A record, its address last.
    let last: [u8; 4] = response[length - 4..length].try_into().unwrap();
    match response[3] & 0xf {
        0 => Some(Ipv4Addr::from(last)),
        code => {
            assert_eq!(code, 3, "{name}");
            None
        }
    }
}
