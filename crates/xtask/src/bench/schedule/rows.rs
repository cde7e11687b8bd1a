//! The scheduler over rows: one service changes beside many that do not.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Instant;

use bytes::Bytes;
use control::ecs::service::Service as ServiceRow;
use control::ecs::task::Task;
use control::schedule::{self, Agenda};
use control::{Api, Auth, Context, Machine, Principal, Service, Settings};
use desired::{Observation, TaskPhase, TaskStatus};
use serde_json::{Value, json};
use store::{Store, Tx};
use types::{AccountId, Region, TaskId, Timestamp};

use super::simulation::TASKS;
use crate::Error;

const REGION: &str = "ap-northeast-2";
const ACCOUNT: &str = "000000000001";

/// Microseconds of each round, without the commit to disk.
pub(super) struct Measured {
    /// A report says a little more of a running task.
    pub(super) report: Vec<f64>,
    /// A task has ended, until another one's row is there.
    pub(super) ended: Vec<f64>,
    /// Everything is looked at.
    pub(super) everything: Vec<f64>,
}

struct World {
    api: Api,
    agenda: Arc<Mutex<Agenda>>,
    settings: Arc<Settings>,
    machine: Arc<Machine>,
    _folder: tempfile::TempDir,
}

pub(super) fn run(services: u32, rounds: usize) -> Result<Measured, Error> {
    let world = World::new()?;
    world.fill(services)?;
    world.agenda().look_at_everything();
    world.settle()?;
    let mut measured = Measured { report: Vec::new(), ended: Vec::new(), everything: Vec::new() };
    for _ in 0..rounds.max(9) {
        let task = world.a_task()?;
        world.report(&task.id, TaskPhase::Running, 1);
        measured.report.push(world.settle()?);
        world.report(&task.id, TaskPhase::Stopped, 2);
        measured.ended.push(world.settle()?);
        world.agenda().look_at_everything();
        measured.everything.push(world.settle()?);
        // The new one runs before the next round.
        for task in world.tasks("app") {
            world.report(&task.id, TaskPhase::Running, 0);
        }
        world.settle()?;
    }
    Ok(measured)
}

impl World {
    fn new() -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let store = Arc::new(Store::open(&folder.path().join("landfall.db"), &control::tables())?);
        let settings = Arc::new(Settings {
            account: AccountId::new(ACCOUNT)?,
            access_key_id: "AKIABENCH".to_owned(),
            secret_access_key: "secret".to_owned(),
            listen: "127.0.0.1:4566".parse()?,
            host_address: Ipv4Addr::LOCALHOST,
            auth: Auth::Off,
            token_key: [7; 32],
            ca_certificate: String::new(),
            certificates: Vec::new(),
            private_key: String::new(),
            metric_period: 60,
        });
        let machine = Arc::new(Machine::default());
        let agenda: Arc<Mutex<Agenda>> = Arc::default();
        let hears = agenda.clone();
        store.watch(move |commit| {
            hears.lock().unwrap_or_else(PoisonError::into_inner).hear(commit);
        });
        let events = Arc::new(logs::Store::open(&folder.path().join("logs"))?);
        let api = Api::new(store, settings.clone(), machine.clone(), events);
        let world = Self { api, agenda, settings, machine, _folder: folder };
        world.first_service()?;
        Ok(world)
    }

    fn agenda(&self) -> std::sync::MutexGuard<'_, Agenda> {
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One service over the API, with its tasks running.
    fn first_service(&self) -> Result<(), Error> {
        let vpc = element(&self.call(Service::Ec2, "CreateVpc", "&CidrBlock=10.0.0.0/16")?, "vpcId")?;
        let body = format!("&VpcId={vpc}&CidrBlock=10.0.0.0/17&AvailabilityZone={REGION}a");
        let subnet = element(&self.call(Service::Ec2, "CreateSubnet", &body)?, "subnetId")?;
        self.json("CreateCluster", &json!({"clusterName": "c"}))?;
        let definition = json!({
            "family": "app", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256",
            "memory": "512", "containerDefinitions": [{"name": "app", "image": "app"}],
        });
        self.json("RegisterTaskDefinition", &definition)?;
        let service = json!({
            "cluster": "c", "serviceName": "app", "taskDefinition": "app", "desiredCount": TASKS,
            "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": [subnet]}},
        });
        self.json("CreateService", &service)?;
        self.settle()?;
        for task in self.tasks("app") {
            self.report(&task.id, TaskPhase::Running, 0);
        }
        self.settle()?;
        Ok(())
    }

    /// Copies of the service and its tasks, until there are so many.
    fn fill(&self, services: u32) -> Result<(), Error> {
        let tasks = self.tasks("app");
        let rows = self.api.store.snapshot();
        let first = rows.scan::<ServiceRow>("").next().ok_or("no service")?;
        for number in 1..services {
            let (tasks, first) = (tasks.clone(), first.clone());
            self.write(move |tx| {
                let mut copy = (*first).clone();
                copy.name = format!("app-{number}");
                for task in &tasks {
                    let mut own = (**task).clone();
                    own.id = TaskId::mint();
                    own.service = Some(copy.name.clone());
                    tx.put(own);
                }
                tx.put(copy);
            })?;
        }
        Ok(())
    }

    fn tasks(&self, service: &str) -> Vec<Arc<Task>> {
        let key = format!("{ACCOUNT}/{REGION}/c/{service}");
        self.api.store.snapshot().find::<Task>(&control::ecs::task::found_by_service(&key)).collect()
    }

    fn a_task(&self) -> Result<Arc<Task>, Error> {
        self.tasks("app")
            .into_iter()
            .find(|task| task.started_at.is_some())
            .ok_or_else(|| "no task runs".into())
    }

    /// What the machine says of a task; `step` makes it differ from what it said before.
    fn report(&self, task: &TaskId, phase: TaskPhase, step: i64) {
        // Long enough ago that a task that nobody checks counts as healthy.
        let long_ago = Timestamp::from_millis(Timestamp::now().as_millis() - 100_000);
        self.machine.observe(Observation::Task(TaskStatus {
            task: task.clone(),
            phase,
            pull_started_at: Some(Timestamp::from_millis(step)),
            pull_stopped_at: Some(long_ago),
            started_at: Some(long_ago),
            execution_stopped_at: None,
            error: None,
            containers: BTreeMap::new(),
        }));
    }

    /// Runs the scheduler until it has nothing more to do. Gives the microseconds that its runs took.
    fn settle(&self) -> Result<f64, Error> {
        let mut micros = 0.0;
        for _ in 0..20 {
            let (agenda, settings, machine) =
                (self.agenda.clone(), self.settings.clone(), self.machine.clone());
            let took = self.write(move |tx| {
                let now = Timestamp::now();
                let context = |account: &AccountId, region: &Region| Context {
                    settings: settings.clone(),
                    account: account.clone(),
                    region: region.clone(),
                    principal: Principal::Root,
                    through: None,
                    now,
                    machine: machine.clone(),
                    request_id: String::new(),
                };
                let mut agenda = agenda.lock().unwrap_or_else(PoisonError::into_inner);
                let begun = Instant::now();
                schedule::run(tx, context, &machine, now, &mut agenda);
                begun.elapsed()
            })?;
            micros += took.as_secs_f64() * 1e6;
            if !self.agenda().is_waiting() {
                return Ok(micros);
            }
        }
        Err("the scheduler does not come to rest".into())
    }

    fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut Tx) -> T + Send + 'static,
    ) -> Result<T, Error> {
        match self.api.store.write(move |tx| Ok::<T, Infallible>(write(tx)))? {
            Ok(done) => Ok(done),
        }
    }

    fn json(&self, action: &str, body: &Value) -> Result<String, Error> {
        self.call(Service::Ecs, action, &body.to_string())
    }

    fn call(&self, service: Service, action: &str, body: &str) -> Result<String, Error> {
        let credential = format!("AKIABENCH/20260101/{REGION}/{}/aws4_request", service.name());
        let mut request =
            http::Request::builder().method("POST").uri("/").header("host", "localhost").header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"),
            );
        let body = if service == Service::Ecs {
            request = request.header("x-amz-target", format!("{}.{action}", service.version()));
            body.to_owned()
        } else {
            format!("Action={action}&Version={}{body}", service.version())
        };
        let (send, receive) = mpsc::channel();
        self.api.answer(&request.body(Bytes::from(body))?, move |response| {
            let _ = send.send(response);
        });
        let response = receive.recv()?;
        let text = String::from_utf8(response.body().to_vec())?;
        if response.status().is_success() { Ok(text) } else { Err(format!("{action}: {text}").into()) }
    }
}

/// The text of the first element of a name.
fn element(xml: &str, name: &str) -> Result<String, Error> {
    let found = || {
        let (_, rest) = xml.split_once(&format!("<{name}>"))?;
        rest.split_once("</").map(|(text, _)| text.to_owned())
    };
    found().ok_or_else(|| format!("no <{name}> in {xml}").into())
}
