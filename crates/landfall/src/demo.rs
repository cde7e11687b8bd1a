//! `landfall demo`: a whole deployment, as a user would do it, step by step.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use registry::image::Builder;
use registry::push::{self, Progress, Target};
use serde::Serialize;

use crate::background::{self, BackgroundError, wait_for};
use crate::cli::{ServeArgs, state_option};
use crate::client::{CallError, Client};
use crate::progress::{Show, Step, Steps};
use crate::serve::keys::{Keys, KeysError};
use crate::status::{self, Status};
use crate::terminal;
use crate::terraform::{Terraform, TerraformError};

/// The example, as it stands in the repository.
const FILES: &[(&str, &str)] = &[
    ("main.tf", include_str!("../../../examples/echo-service/main.tf")),
    ("network.tf", include_str!("../../../examples/echo-service/network.tf")),
    ("service.tf", include_str!("../../../examples/echo-service/service.tf")),
    ("load_balancer.tf", include_str!("../../../examples/echo-service/load_balancer.tf")),
    ("outputs.tf", include_str!("../../../examples/echo-service/outputs.tf")),
];
/// The sample application, a static binary.
const ECHO: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/echo"));
/// The region that the example stands in.
const REGION: &str = "ap-northeast-2";
/// How long a target may take to become healthy.
const HEALTHY_WITHIN: Duration = Duration::from_secs(120);

/// Why the demo did not get through.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The system.
    #[error(transparent)]
    Background(#[from] BackgroundError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Terraform.
    #[error(transparent)]
    Terraform(#[from] TerraformError),
    /// The API.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The push.
    #[error(transparent)]
    Push(#[from] push::PushError),
    /// A file.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// The service did not get healthy.
    #[error("no target got healthy within {seconds} s:\n{status}")]
    Unhealthy {
        /// How long it was waited for.
        seconds: u64,
        /// What runs.
        status: String,
    },
    /// The request failed.
    #[error("the load balancer at {url} cannot be asked: {cause}")]
    Request {
        /// Where.
        url: String,
        /// What happened.
        cause: String,
    },
    /// The answer is another one.
    #[error("the load balancer answered {status}: {body}")]
    Answer {
        /// The HTTP status line.
        status: String,
        /// The body.
        body: String,
    },
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    ok: bool,
    url: String,
    answer: String,
    steps: Vec<Took>,
    status: Option<Status>,
    destroyed: bool,
}

#[derive(Debug, Serialize)]
struct Took {
    step: String,
    seconds: f64,
}

/// Plays the deployment.
///
/// # Errors
/// When a step fails; what runs then is left as it is, to be looked at.
pub fn run(state: &Path, args: &ServeArgs, destroy: bool, json: bool) -> Result<(), DemoError> {
    let show = if json { Show::Nothing } else { Show::Steps };
    let mut steps = Steps::new(show, if destroy { 7 } else { 6 });
    let begun = Instant::now();
    let running = steps.step("start the platform", |_| -> Result<_, DemoError> {
        let status = background::up(state, args)?;
        let words = format!("AWS API on http://{}, account {}", status.listen, status.account);
        Ok((status, words))
    })?;
    let keys = match Keys::load(state)? {
        Some(keys) => keys,
        None => Keys::load_or_mint(state, args.account.as_ref())?,
    };
    let folder = write_example(state)?;
    let client = Client { endpoint: running.listen, keys, region: REGION.to_owned() };
    let terraform = Terraform::find(&folder, &environment(&client))?;
    steps.step("create the repository  (terraform apply -target=aws_ecr_repository.app)", |step| {
        terraform.run(&["init"], |line| step.at(line))?;
        terraform.run(&["apply", "-auto-approve", "-target=aws_ecr_repository.app"], |line| step.at(line))?;
        let repository = terraform.run(&["output", "-raw", "repository"], |_| ())?;
        Ok::<_, DemoError>(((), repository))
    })?;
    steps.step("build the image and push it", |step| push_image(&client, step))?;
    let created = steps.step("terraform apply", |step| {
        let printed = terraform.run(&["apply", "-auto-approve"], |line| step.at(line))?;
        let words =
            printed.lines().find(|line| line.starts_with("Apply complete!")).unwrap_or_default().to_owned();
        Ok::<_, DemoError>((terraform.run(&["output", "-raw", "url"], |_| ())?, words))
    })?;
    let url = created;
    steps.step("wait until the target is healthy", |step| {
        let healthy = wait_for(HEALTHY_WITHIN, || {
            let status = status::ask(state)?;
            let health = health_of(&status, &url)?;
            step.at(&health.1);
            (health.1 == "healthy").then_some(health.0)
        });
        match healthy {
            Some(target) => Ok(((), target)),
            None => Err(DemoError::Unhealthy {
                seconds: HEALTHY_WITHIN.as_secs(),
                status: status::ask(state).as_ref().map_or_else(String::new, status::table),
            }),
        }
    })?;
    let answer = steps.step(&format!("curl {url} --data 'hello world'"), |_| -> Result<_, DemoError> {
        let answer = post(&url, args.host_address, "hello world")?;
        Ok((answer.clone(), format!("→ {answer}")))
    })?;
    let status = status::ask(state);
    if destroy {
        steps.step("remove everything  (terraform destroy, landfall down --purge)", |step| {
            terraform.run(&["destroy", "-auto-approve"], |line| step.at(line))?;
            background::down(state, true)?;
            Ok::<_, DemoError>(((), "nothing is left".to_owned()))
        })?;
    }
    if json {
        let took =
            |(step, taken): &(String, Duration)| Took { step: step.clone(), seconds: taken.as_secs_f64() };
        let steps = steps.taken.iter().map(took).collect();
        let summary = Summary { ok: true, url, answer, steps, status, destroyed: destroy };
        terminal::line(&serde_json::to_string_pretty(&summary).unwrap_or_default());
    } else {
        terminal::line(&answer);
        if !destroy {
            terminal::note(&picture(status.as_ref(), &url, state, &folder, begun.elapsed()));
        }
    }
    Ok(())
}

/// The variables that lead AWS's tools to Landfall.
pub fn environment(client: &Client) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", format!("http://{}", client.endpoint)),
        ("AWS_ACCESS_KEY_ID", client.keys.access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", client.keys.secret_access_key.clone()),
        ("AWS_REGION", client.region.clone()),
        ("AWS_DEFAULT_REGION", client.region.clone()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Writes the example into the state folder, so that the checkout stays clean.
fn write_example(state: &Path) -> Result<PathBuf, DemoError> {
    let folder = state.join("demo");
    let write = |path: PathBuf, text: &str| {
        std::fs::write(&path, text).map_err(|cause| DemoError::File { path, cause })
    };
    std::fs::create_dir_all(&folder).map_err(|cause| DemoError::File { path: folder.clone(), cause })?;
    for (name, text) in FILES {
        write(folder.join(name), text)?;
    }
    Ok(folder)
}

fn push_image(client: &Client, step: &Step) -> Result<((), String), DemoError> {
    let built = Builder::new()
        .file("/echo", 0o755, ECHO)
        .entry_point(&["/echo"])
        .exposed_ports(&["3000/tcp"])
        .build()
        .map_err(|cause| DemoError::File { path: "/echo".into(), cause })?;
    let password = client.registry_password()?;
    let registry = client.endpoint.to_string();
    let target = Target { registry: &registry, repository: "echo", tag: Some("latest"), password: &password };
    let digest = push::push(&built, &target, &mut |progress| {
        if let Progress::Sent { sent, total, .. } = progress {
            step.at(&format!("{} of {} KiB", sent >> 10, total >> 10));
        }
    })?;
    let bytes: u64 = built.blobs.iter().map(|blob| blob.size).sum();
    Ok(((), format!("{registry}/echo:latest, {} KiB, {}", bytes >> 10, &digest.to_string()[..19])))
}

/// The target of the load balancer at a URL with its health.
fn health_of(status: &Status, url: &str) -> Option<(String, String)> {
    let balancer = status.load_balancers.iter().find(|lb| lb.urls.iter().any(|found| found == url))?;
    let target =
        balancer.targets.iter().find(|target| target.health == "healthy").or(balancer.targets.first())?;
    Some((target.target.clone(), target.health.clone()))
}

/// One POST over plain HTTP, to the host address whatever the name resolves to.
fn post(url: &str, host_address: Ipv4Addr, body: &str) -> Result<String, DemoError> {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let fail =
        |cause: &dyn std::fmt::Display| DemoError::Request { url: url.to_owned(), cause: cause.to_string() };
    let ask = || -> std::io::Result<String> {
        let address = SocketAddr::from((host_address, 80));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| fail(&error))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| fail(&"the answer is no HTTP"))?;
    let status = head.lines().next().unwrap_or_default().to_owned();
    if !status.contains(" 200 ") {
        return Err(DemoError::Answer { status, body: body.to_owned() });
    }
    Ok(body.to_owned())
}

/// What now runs, what to try, how to remove it.
fn picture(status: Option<&Status>, url: &str, state: &Path, folder: &Path, taken: Duration) -> String {
    let task = status.and_then(|status| status.tasks.first());
    let (address, zone) = task.map_or(("", ""), |task| (task.address.as_str(), task.zone.as_str()));
    let option = state_option(state);
    let program =
        std::env::current_exe().map_or_else(|_| "landfall".to_owned(), |path| path.display().to_string());
    let seconds = taken.as_secs();
    format!(
        "
  {url}
      │
      ▼  internet gateway
  ┌─ VPC 10.20.0.0/16 ───────────────────────────────────────┐
  │  public   10.20.0.0/24    10.20.1.0/24                   │
  │           load balancer   load balancer    NAT gateway   │
  │                 │  only port 3000              ▲         │
  │                 ▼                              │ image   │
  │  private  task {address:<15} {zone:<16}│ pull    │
  └──────────────────────────────────────────────────────────┘

That took {seconds} s, about 70 of them the AWS provider's own waits. It runs on. Try:

  eval \"$({program}{option} env)\"               # then terraform, aws and docker talk to it
  curl {url}/peer                # who the task sees
  {program}{option} status
  cd {folder} && terraform plan      # no changes

Remove one rule, and see a real timeout:

  aws ec2 describe-security-group-rules --query 'SecurityGroupRules[?FromPort==`3000`].[SecurityGroupRuleId,GroupId,IsEgress]'
  aws ec2 revoke-security-group-ingress --group-id <sg> --security-group-rule-ids <sgr>

Remove everything:

  (cd {folder} && terraform destroy) && {program}{option} down --purge
",
        folder = folder.display(),
    )
}
