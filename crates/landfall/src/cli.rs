//! The command line, as it is written.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use control::internet::Place;
use types::AccountId;

use crate::explain::Protocol;
use crate::flows::FlowArgs;
use crate::logs::LogArgs;
use crate::top::TopArgs;

/// A real AWS container stack on one Linux machine.
#[derive(Debug, Parser)]
#[command(name = "landfall", version, propagate_version = true, disable_help_subcommand = true)]
#[command(
    after_help = "Try it: `landfall demo` plays a whole deployment. Then `eval \"$(landfall env)\"` and use \
                        terraform, the AWS CLI and docker as with AWS."
)]
pub struct Cli {
    /// Where everything is kept.
    #[arg(
        long,
        global = true,
        env = "LANDFALL_STATE_DIR",
        default_value = STATE,
        value_name = "FOLDER"
    )]
    pub state_dir: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where the state is unless it is said.
const STATE: &str = "/var/lib/landfall";

/// What a command needs in order to find a state folder: nothing for the usual one.
pub fn state_option(state: &Path) -> String {
    if state == Path::new(STATE) { String::new() } else { format!(" --state-dir {}", state.display()) }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer the AWS API in the foreground; Ctrl-C ends the API alone, tasks and load balancers go on
    Serve(ServeArgs),
    /// Start everything in the background
    Up(ServeArgs),
    /// End everything: tasks, load balancers, networks, the API
    Down {
        /// Delete the state folder as well
        #[arg(long)]
        purge: bool,
    },
    /// Print the variables that lead AWS tools here: eval "$(landfall env)"
    Env {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// The region to name
        #[arg(long, default_value = "ap-northeast-2")]
        region: String,
    },
    /// Show what runs: services, tasks, load balancers
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how much CPU, memory and network each task uses, as it goes on
    Top(TopArgs),
    /// Say why something does not answer, or whether packets get from one end to another
    #[command(
        after_help = "An end is a task, a service, a load balancer (name, ARN or DNS name), an interface (eni-…), an \
                            address, `internet` or `ecr`; `task/`, `service/` or `lb/` in front say which of several is \
                            meant. Exits with 0 when it is reachable, 1 when not, 2 when the question makes no sense.\n\n\
                            landfall explain web              why the service or load balancer does not answer\n\
                            landfall explain web ecr          whether its tasks reach their image\n\
                            landfall explain internet lb/web  the way in\n\
                            landfall explain 1f00ab12 10.0.1.9 --port 5432"
    )]
    Explain {
        /// Where packets come from; alone: what does not answer
        from: String,
        /// Where they go
        to: Option<String>,
        /// The destination's port [default: the one that it is known to have]
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,
        /// What is sent
        #[arg(long, default_value = "tcp")]
        protocol: Protocol,
        /// The Terraform state whose names are used; `terraform state pull` writes one [default: terraform.tfstate of
        /// this folder]
        #[arg(long, value_name = "FILE")]
        tfstate: Option<PathBuf>,
        /// Show every hop of every path
        #[arg(long)]
        full: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what a service's or a task's containers wrote, or what is in a log group
    Logs(LogArgs),
    /// Open a terminal in a container, or run one program in it
    #[command(
        after_help = "landfall shell 1f00ab12                        a terminal in the task's only container\n\
                            landfall shell web --container app -- ls -l /  one program, its exit code passed on\n\
                            pg_dump … | landfall shell db -- psql          works without a terminal too"
    )]
    Shell {
        /// A task's id, the beginning of one, its ARN, or the name of a service with one task
        task: String,
        /// The container, where there are several
        #[arg(long, short, value_name = "NAME")]
        container: Option<String>,
        /// The program and its arguments [default: /bin/sh]
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// The internet that VPCs see: pretend hosts on it, and whether it is the real one
    #[command(subcommand)]
    Internet(InternetCommand),
    /// Show which packets went through the VPCs and which were refused, and why
    Flows(FlowArgs),
    /// Work with images
    #[command(subcommand)]
    Image(ImageCommand),
    /// Check whether this machine can run Landfall
    Doctor {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Where the API would answer
        #[arg(long, default_value = "127.0.0.1:4566", value_name = "ADDRESS:PORT")]
        listen: SocketAddr,
    },
    /// Play a whole deployment: repository, image, terraform apply, a request through the load balancer
    Demo {
        /// Remove everything at the end
        #[arg(long)]
        destroy: bool,
        /// Print one machine-readable summary
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        serve: ServeArgs,
    },
    /// Print the table of operations as JSON
    #[command(hide = true)]
    Operations,
    /// A role of the running system; not for use by hand
    #[command(hide = true)]
    Role {
        /// Which role
        role: Role,
        /// The role's folder
        #[arg(long)]
        dir: PathBuf,
    },
}

/// A role that another one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// See ARCHITECTURE.md for what each does.
    Agent,
    /// The API in the background, as `up` starts it.
    Serve,
    /// One task's containers.
    Shim,
    /// One load balancer.
    Balancer,
    /// Host ports and AWS names.
    Edge,
    /// DNS.
    Resolver,
}

/// `landfall internet …`
#[derive(Debug, Subcommand)]
pub enum InternetCommand {
    /// Put a pretend host on the internet: what VPCs send to it, by TCP or UDP, arrives at a socket of this machine
    Map {
        /// Its name or public IPv4 address, with one port or for all: api.example.com:443, 203.0.113.7
        #[arg(value_name = "NAME OR IP[:PORT]")]
        place: Place,
        /// The socket of this machine: 127.0.0.1:9000
        #[arg(value_name = "HOST:PORT")]
        to: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a pretend host away
    Unmap {
        /// As it was mapped
        #[arg(value_name = "NAME OR IP[:PORT]")]
        place: Place,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the pretend hosts, and who came to them, by the address seen outside
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Let what leaves a VPC through an internet gateway go on to the real network
    On,
    /// Keep it on this machine, as at first
    Off,
    /// Show whether it is on
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// `landfall image …`
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Put an image from a `docker save` archive or an OCI image layout into a repository
    Import {
        /// The archive, or the layout's folder
        source: PathBuf,
        /// The repository, with a tag if not `latest`: app, app:v2
        repository: String,
        /// The repository's region
        #[arg(long, default_value = "ap-northeast-2")]
        region: String,
    },
}

/// How the API is served.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Where the API and the registry answer
    #[arg(long, default_value = "127.0.0.1:4566", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Where load balancers are reached on this host, by their names and ports
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub host_address: Ipv4Addr,
    /// The account, twelve digits; chosen at the first start
    #[arg(long, value_parser = AccountId::new)]
    pub account: Option<AccountId>,
    /// Whether signatures are verified; `off` is for tools that sign with anything
    #[arg(long, default_value = "on")]
    pub auth: Switch,
    /// How often services measure themselves, in seconds: less than AWS's minute for trying out scaling
    #[arg(long, default_value = "60", value_name = "SECONDS", value_parser = metric_period)]
    pub metric_period: u32,
    /// Whether what leaves a VPC through an internet gateway goes on to the real network; stays as it was if not said,
    /// off at first
    #[arg(long)]
    pub internet: Option<Switch>,
}

/// A period that fits into minutes, so that a minute's points are whole.
fn metric_period(text: &str) -> Result<u32, String> {
    let seconds = text.parse().ok().filter(|seconds| matches!(seconds, 1 | 2 | 5 | 10 | 20 | 30 | 60));
    seconds.ok_or_else(|| "1, 2, 5, 10, 20, 30 or 60 seconds".to_owned())
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}
