//! The metadata endpoint as a whole: tasks' folders, and HTTP from addresses of network namespaces of the test's own.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use desired::role::{Request, RoleDir};
use desired::{
    Body, Container, ContainerStatus, ImageReference, Names, Part, PullIdentity, RoleSession, Task,
    TaskMetadata, TaskPhase, TaskStatus, VpcNames, encode,
};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
use serde_json::Value;
use sys::cgroup::{Cgroup, Layout, Limits};
use sys::netlink::{Address, Netlink};
use sys::netns;
use tempfile::TempDir;
use types::{NetworkInterfaceId, PartId, TaskId, Timestamp, VpcId};

const PATIENCE: Duration = Duration::from_secs(20);
const ENDPOINT: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);

/// A state folder with two VPCs whose tasks have the same addresses, and a resolver.
struct Stage {
    folder: TempDir,
    role: RoleDir,
    playing: Option<std::thread::JoinHandle<Result<(), resolver::Error>>>,
}

impl Stage {
    fn new() -> Self {
        Self::with_api(None)
    }

    fn with_api(api: Option<SocketAddr>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vpc = |vpc: &str| VpcNames {
            vpc: VpcId::from(vpc),
            servers: vec![Ipv4Addr::new(10, 0, 0, 2)],
            enabled: vpc == "vpc-a",
            records: Vec::new(),
            zones: Vec::new(),
            discovered: Vec::new(),
        };
        let names =
            Names { vpcs: vec![vpc("vpc-a"), vpc("vpc-b")], public: Vec::new(), internet: false, api };
        let role = RoleDir::new(folder.path().join("resolver"));
        let part = Part { id: PartId::Names, generation: 1, body: Some(Body::Names(names)) };
        role.write_config(&part).unwrap();
        let stage = Self { folder, role, playing: None };
        for vpc in ["vpc-a", "vpc-b"] {
            // In place of links: the tasks' addresses are on the router's loopback, too.
            stage.network(vpc, &[ENDPOINT, Ipv4Addr::new(10, 0, 0, 2), address(9), address(10)]);
        }
        stage
    }

    fn network(&self, name: &str, addresses: &[Ipv4Addr]) {
        let path = self.folder.path().join("netns").join(name);
        netns::create(&path).unwrap();
        let work = || {
            let mut netlink = Netlink::open().unwrap();
            netlink.set_up("lo").unwrap();
            for address in addresses {
                netlink.add_address(&Address { link: "lo".to_owned(), address: (*address).into() }).unwrap();
            }
        };
        netns::within(&path, work).unwrap();
    }

    fn start(&mut self) {
        let (dir, state) = (self.role.path().to_owned(), self.folder.path().to_owned());
        self.playing = Some(std::thread::spawn(move || resolver::run(&dir, &state)));
    }

    fn dir(&self, task: &str) -> PathBuf {
        self.folder.path().join("tasks").join(task)
    }

    fn write(&self, task: &Task) {
        let body = Some(Body::Task(Box::new(task.clone())));
        let part = Part { id: PartId::Task(task.id.clone()), generation: 1, body };
        RoleDir::new(self.dir(task.id.as_str())).write_config(&part).unwrap();
    }

    fn runs(&self, task: &Task) {
        let container = ContainerStatus {
            runtime_id: format!("{}-1", task.id),
            running: true,
            ..ContainerStatus::default()
        };
        let status = TaskStatus {
            task: task.id.clone(),
            phase: TaskPhase::Running,
            pull_started_at: Some(Timestamp::now()),
            pull_stopped_at: Some(Timestamp::now()),
            started_at: Some(Timestamp::now()),
            execution_stopped_at: None,
            error: None,
            containers: [("app".to_owned(), container)].into(),
        };
        std::fs::write(self.dir(task.id.as_str()).join("status.json"), encode(&status).unwrap()).unwrap();
    }

    fn cgroup(&self, task: &Task) -> Cgroup {
        let name = desired::tasks_cgroup(self.folder.path()).join(task.id.as_str()).join("app");
        Cgroup::new(Layout::of_this_machine().unwrap(), name)
    }

    /// GETs a path from an address of a VPC, once the endpoint answers.
    fn get(&self, vpc: &str, from: Ipv4Addr, path: &str) -> (u16, String) {
        self.send("GET", vpc, from, path, "")
    }

    fn send(&self, method: &str, vpc: &str, from: Ipv4Addr, path: &str, body: &str) -> (u16, String) {
        let deadline = Instant::now() + PATIENCE;
        let mut stream = loop {
            match netns::within(&self.folder.path().join("netns").join(vpc), || dial(from)).unwrap() {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "{vpc}: {error}"),
            }
            std::thread::yield_now();
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: 169.254.170.2\r\nContent-Length: {length}");
        write!(stream, "{head}\r\nConnection: close\r\n\r\n{body}").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn json(&self, vpc: &str, from: Ipv4Addr, path: &str) -> Value {
        let (status, body) = self.get(vpc, from, path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(playing) = self.playing.take() {
            let _ = self.role.ask(&Request::Stop, PATIENCE);
            let _ = playing.join();
        }
        let _ = netns::delete_all(&self.folder.path().join("netns"));
        if let Ok(layout) = Layout::of_this_machine() {
            let _ = Cgroup::new(layout, desired::tasks_cgroup(self.folder.path())).remove();
        }
    }
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, last)
}

/// Connects to the endpoint from an address.
fn dial(from: Ipv4Addr) -> std::io::Result<TcpStream> {
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&fd);
    bind(number, &SockaddrIn::from(std::net::SocketAddrV4::new(from, 0)))?;
    connect(number, &SockaddrIn::from(std::net::SocketAddrV4::new(ENDPOINT, 80)))?;
    let stream = TcpStream::from(fd);
    assert!(matches!(stream.local_addr()?, SocketAddr::V4(own) if *own.ip() == from));
    Ok(stream)
}

fn task(vpc: &str, last: u8) -> Task {
    let id = TaskId::mint();
    Task {
        arn: format!("arn:aws:ecs:ap-northeast-2:000000000001:task/shop/{id}"),
        vpc: VpcId::from(vpc),
        interface: NetworkInterfaceId::from(format!("eni-{last}").as_str()),
        cpu: 256,
        memory: 512,
        dns: desired::Dns::default(),
        containers: vec![Container {
            name: "app".to_owned(),
            image: ImageReference { image: "app:1".to_owned(), ..ImageReference::default() },
            endpoint: format!("{id}-app"),
            ..Container::default()
        }],
        pull: PullIdentity { region: "ap-northeast-2".to_owned(), ..PullIdentity::default() },
        role: Some(RoleSession {
            id: format!("{id}-role"),
            role_arn: "arn:aws:iam::000000000001:role/app".to_owned(),
            access_key_id: "ASIA1".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: "token".to_owned(),
            expires_at: Timestamp::now().plus(Duration::from_secs(3600)),
        }),
        volumes: Vec::new(),
        shares_processes: false,
        ephemeral_storage: 0,
        metadata: TaskMetadata {
            address: Some(address(last)),
            subnet_cidr: "10.0.1.0/24".to_owned(),
            launch_type: "FARGATE".to_owned(),
            ..TaskMetadata::default()
        },
        stop: false,
        id,
    }
}

#[test]
fn a_task_is_told_of_itself_and_nobody_else_is() {
    let mut stage = Stage::new();
    let (own, other, far) = (task("vpc-a", 9), task("vpc-a", 10), task("vpc-b", 9));
    for task in [&own, &other, &far] {
        stage.write(task);
        stage.runs(task);
    }
    stage.start();
    let endpoint = &own.containers[0].endpoint;
    let container = stage.json("vpc-a", address(9), &format!("/v4/{endpoint}"));
    assert_eq!((&container["Name"], &container["KnownStatus"]), (&"app".into(), &"RUNNING".into()));
    assert_eq!(container["Networks"][0]["SubnetGatewayIpv4Address"], "10.0.1.1/24");
    assert_eq!(container["Networks"][0]["DomainNameServers"][0], "10.0.0.2");
    let document = stage.json("vpc-a", address(9), &format!("/v4/{endpoint}/task"));
    assert_eq!((&document["TaskARN"], &document["Limits"]["CPU"]), (&own.arn.clone().into(), &0.25.into()));
    assert!(document["ClockDrift"]["ClockErrorBound"].is_number());
    assert_eq!(document["EphemeralStorageMetrics"]["Reserved"], 20496);
    let old = stage.json("vpc-a", address(9), &format!("/v3/{endpoint}/task"));
    assert!(old["LaunchType"].is_null() && old["TaskARN"] == document["TaskARN"]);
    let role = stage.json("vpc-a", address(9), &format!("/v2/credentials/{}-role", own.id));
    assert_eq!((&role["AccessKeyId"], &role["Token"]), (&"ASIA1".into(), &"token".into()));
    assert_eq!(role["RoleArn"], "arn:aws:iam::000000000001:role/app");
    assert!(role["Expiration"].as_str().unwrap().ends_with('Z'));

    // Its neighbour, and the task of another VPC that has the same address, are told nothing; nor is a guess.
    for (vpc, from, id) in [
        ("vpc-a", address(10), own.id.as_str()),
        ("vpc-b", address(9), own.id.as_str()),
        ("vpc-a", address(9), other.id.as_str()),
        ("vpc-a", address(9), "0123"),
    ] {
        let (status, body) = stage.get(vpc, from, &format!("/v2/credentials/{id}-role"));
        assert_eq!(status, 400, "{vpc} {from}: {body}");
        let error: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(error["code"], "InvalidIdInRequest");
        let (status, body) = stage.get(vpc, from, &format!("/v4/{id}-app/task"));
        assert_eq!(status, 404, "{vpc} {from}: {body}");
        assert!(body.contains("unable to get task Arn from v3 endpoint ID"), "{body}");
    }
    let (status, _) = stage.get("vpc-a", address(9), &format!("/v4/{endpoint}/taskWithTags"));
    assert_eq!(status, 404);
    // Without a DNS server of its own a VPC has the endpoint all the same.
    let far_one = stage.json("vpc-b", address(9), &format!("/v4/{}", far.containers[0].endpoint));
    assert!(far_one["Networks"][0]["DomainNameServers"].as_array().unwrap().is_empty());
}

#[test]
fn a_new_key_pair_is_given_out_as_soon_as_it_is_in_the_folder() {
    let mut stage = Stage::new();
    let mut own = task("vpc-a", 9);
    stage.write(&own);
    stage.start();
    let path = format!("/v2/credentials/{}-role", own.id);
    assert_eq!(stage.json("vpc-a", address(9), &path)["AccessKeyId"], "ASIA1");
    own.role.as_mut().unwrap().access_key_id = "ASIA2".to_owned();
    stage.write(&own);
    assert_eq!(stage.json("vpc-a", address(9), &path)["AccessKeyId"], "ASIA2");
    // A task that has its address later is not taken for it.
    std::fs::remove_dir_all(stage.dir(own.id.as_str())).unwrap();
    let next = task("vpc-a", 9);
    stage.write(&next);
    assert_eq!(stage.get("vpc-a", address(9), &path).0, 400);
    let path = format!("/v2/credentials/{}-role", next.id);
    assert_eq!(stage.json("vpc-a", address(9), &path)["AccessKeyId"], "ASIA1");
}

#[test]
fn statistics_are_counted_in_the_containers_own_group_and_interface() {
    let mut stage = Stage::new();
    let own = task("vpc-a", 9);
    stage.write(&own);
    stage.runs(&own);
    stage.network(own.interface.as_str(), &[]);
    stage.start();
    let endpoint = &own.containers[0].endpoint;
    // Nothing runs: there is nothing to tell of.
    assert_eq!(stage.get("vpc-a", address(9), &format!("/v4/{endpoint}/stats")).0, 500);
    let (first, second) = {
        stage.cgroup(&own).create(&Limits { memory: Some(64 << 20), ..Limits::default() }).unwrap();
        let get = |what: &str| stage.json("vpc-a", address(9), &format!("/v4/{endpoint}/{what}"));
        (get("stats"), get("task/stats"))
    };
    assert_eq!((&first["name"], &first["id"]), (&"app".into(), &format!("{}-1", own.id).into()));
    assert_eq!(first["memory_stats"]["limit"], 64 << 20);
    assert!(first["preread"].as_str().unwrap() < first["read"].as_str().unwrap());
    let machine = |stats: &Value, when: &str| stats[when]["system_cpu_usage"].as_u64().unwrap();
    assert!(machine(&first, "cpu_stats") > machine(&first, "precpu_stats"));
    assert!(first["networks"]["eth0"]["rx_bytes"].is_number());
    assert_eq!(second[format!("{}-1", own.id)]["name"], "app");
}

/// Answers one request after the other with these bodies; gives the requests as they came.
fn answer_calls(listener: TcpListener, bodies: Vec<String>) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let call = |body: String| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
            // Its body is a JSON object, which ends it.
            while !request.ends_with(b"}") {
                let read = stream.read(&mut buffer).unwrap();
                assert!(read > 0, "the request breaks off");
                request.extend_from_slice(&buffer[..read]);
            }
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\nx-amzn-requestid: r\r\ncontent-length: {length}");
            write!(stream, "{head}\r\n\r\n{body}").unwrap();
            String::from_utf8(request).unwrap()
        };
        bodies.into_iter().map(call).collect()
    })
}

#[test]
fn a_task_asks_the_agent_for_protection_and_ecs_is_called_as_its_role() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut stage = Stage::with_api(Some(listener.local_addr().unwrap()));
    let own = task("vpc-a", 9);
    stage.write(&own);
    stage.start();
    let told = |on: bool| {
        let arn = &own.arn;
        format!(r#"{{"protectedTasks":[{{"taskArn":"{arn}","protectionEnabled":{on}}}],"failures":[]}}"#)
    };
    let calls = answer_calls(listener, vec![told(true), told(false)]);
    let path = format!("/api/{}/task-protection/v1/state", own.containers[0].endpoint);
    let send = |method: &str, from: u8, body: &str| {
        let (status, body) = stage.send(method, "vpc-a", address(from), &path, body);
        (status, serde_json::from_str::<Value>(&body).unwrap_or_default())
    };
    // What cannot be is not asked.
    assert_eq!(send("PUT", 9, "{}").0, 400);
    assert_eq!(send("PUT", 9, "on").1["error"]["Code"], "InvalidParameterException");
    assert_eq!(send("POST", 9, "{}").0, 405);
    let (status, refused) = send("GET", 10, "");
    assert_eq!((status, &refused["error"]["Code"]), (404, &"ResourceNotFoundException".into()));

    let (status, told) = send("PUT", 9, r#"{"ProtectionEnabled":true,"ExpiresInMinutes":5}"#);
    assert_eq!((status, &told["protection"]["ProtectionEnabled"]), (200, &true.into()));
    assert_eq!(told["protection"]["TaskArn"], own.arn.as_str());
    assert_eq!(send("GET", 9, "").1["protection"]["ProtectionEnabled"], false);
    let calls = calls.join().unwrap();
    for (call, action) in calls.iter().zip(["UpdateTaskProtection", "GetTaskProtection"]) {
        for words in [
            "host: ecs.ap-northeast-2.amazonaws.com\r\n",
            &*format!("x-amz-target: AmazonEC2ContainerServiceV20141113.{action}\r\n"),
            "x-amz-security-token: token\r\n",
            "authorization: AWS4-HMAC-SHA256 Credential=ASIA1/",
            "/ap-northeast-2/ecs/aws4_request",
            &*own.arn,
        ] {
            assert!(call.contains(words), "{words} in {call}");
        }
    }
    assert!(calls[0].contains(r#""expiresInMinutes":5,"protectionEnabled":true"#), "{}", calls[0]);

    // Nobody answers any more.
    let (status, late) = send("GET", 9, "");
    assert_eq!((status, &late["error"]["Code"]), (504, &"RequestCanceled".into()));
}
