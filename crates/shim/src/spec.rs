//! The OCI runtime spec of a container: what of the task definition and of the image holds, as Docker and ECS decide it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use desired::{Container, LinuxParameters};
use libcontainer::oci_spec::OciSpecError;
use libcontainer::oci_spec::runtime::{
    Capabilities, Capability, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxCpuBuilder,
    LinuxDeviceCgroupBuilder, LinuxMemoryBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType,
    LinuxPidsBuilder, LinuxResourcesBuilder, PosixRlimit, PosixRlimitBuilder, PosixRlimitType,
    ProcessBuilder, RootBuilder, Spec, SpecBuilder, UserBuilder, get_default_maskedpaths,
    get_default_readonly_paths,
};

use crate::mounts;
use crate::pull::ImageConfig;
use crate::user::User;

/// Docker's `PATH` for an image that sets none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Processes and threads of one container: more than any service needs, fewer than the host has numbers.
const PROCESSES: i64 = 4096;

/// All that decides a container's spec.
pub(crate) struct Input<'a> {
    pub(crate) container: &'a Container,
    pub(crate) image: &'a ImageConfig,
    pub(crate) user: User,
    pub(crate) rootfs: &'a Path,
    /// The folder with `hosts`, `hostname` and `resolv.conf`.
    pub(crate) etc: &'a Path,
    /// The folder with the task's volumes, each a folder of its name.
    pub(crate) volumes: &'a Path,
    pub(crate) network: &'a Path,
    /// The PID namespace that it shares. None: it has its own.
    pub(crate) processes: Option<&'a Path>,
    /// The control group's path below the mounts.
    pub(crate) cgroup: PathBuf,
    pub(crate) hostname: &'a str,
    /// Whether the machine counts swap.
    pub(crate) counts_swap: bool,
    /// The limit of open files where the task definition sets none.
    pub(crate) open_files: u64,
}

/// The command: the task definition's entry point takes the image's place with its `Cmd`, as `docker run --entrypoint`.
pub(crate) fn arguments(container: &Container, image: &ImageConfig) -> Vec<String> {
    let given = |list: &Option<Vec<String>>| list.clone().filter(|list| !list.is_empty());
    let (entry_point, command) = (given(&container.entry_point), given(&container.command));
    match entry_point {
        Some(entry_point) => entry_point.into_iter().chain(command.unwrap_or_default()).collect(),
        None => {
            image.entrypoint.iter().cloned().chain(command.unwrap_or_else(|| image.cmd.clone())).collect()
        }
    }
}

/// The folder that the command starts in.
pub(crate) fn working_folder(container: &Container, image: &ImageConfig) -> PathBuf {
    let given = container.working_directory.as_deref().filter(|folder| !folder.is_empty());
    Path::new("/").join(given.unwrap_or(&image.working_dir))
}

/// The environment: `PATH`, `HOME` and `HOSTNAME`, in a terminal `TERM`, as Docker sets them, then the image's, then the task definition's.
fn environment(input: &Input<'_>) -> Result<Vec<String>, String> {
    let mut variables: BTreeMap<&str, &str> = BTreeMap::new();
    variables.extend([("PATH", PATH), ("HOME", input.user.home.as_str()), ("HOSTNAME", input.hostname)]);
    if input.container.pseudo_terminal {
        variables.insert("TERM", "xterm");
    }
    variables.extend(input.image.env.iter().filter_map(|variable| variable.split_once('=')));
    variables.extend(input.container.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    if let Some((name, _)) = variables
        .iter()
        .find(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0'))
    {
        return Err(format!("the environment variable '{}' is malformed", name.escape_default()));
    }
    Ok(variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

/// Docker's default capabilities but MKNOD, as containers have no use for devices of their own; without those that are
/// dropped, with those that are added. To drop ALL leaves those that are added, in whatever order they are named.
fn capabilities(linux: &LinuxParameters) -> Result<Capabilities, String> {
    use Capability as C;
    let named = |name: &String| {
        let name = serde_json::Value::String(format!("CAP_{name}"));
        serde_json::from_value::<C>(name).map_err(|error| error.to_string())
    };
    let all = linux.drop_capabilities.iter().any(|name| name == "ALL");
    let mut set = if all { Capabilities::new() } else { default_capabilities() };
    for name in linux.drop_capabilities.iter().filter(|name| *name != "ALL") {
        set.remove(&named(name)?);
    }
    for name in &linux.add_capabilities {
        set.insert(named(name)?);
    }
    Ok(set)
}

fn default_capabilities() -> Capabilities {
    use Capability as C;
    [
        C::Chown,
        C::DacOverride,
        C::Fsetid,
        C::Fowner,
        C::NetRaw,
        C::Setgid,
        C::Setuid,
        C::Setfcap,
        C::Setpcap,
        C::NetBindService,
        C::SysChroot,
        C::Kill,
        C::AuditWrite,
    ]
    .into_iter()
    .collect()
}

fn limits(container: &Container, open_files: u64) -> Result<Vec<PosixRlimit>, String> {
    let mut limits: BTreeMap<&str, (u64, u64)> = BTreeMap::from([("nofile", (open_files, open_files))]);
    limits.extend(container.ulimits.iter().map(|(name, limit)| (name.as_str(), *limit)));
    let limit = |(name, (soft, hard)): (&str, (u64, u64))| {
        let kind = serde_json::Value::String(format!("RLIMIT_{}", name.to_uppercase()));
        let kind: PosixRlimitType =
            serde_json::from_value(kind).map_err(|_| format!("the ulimit '{name}' is unknown"))?;
        PosixRlimitBuilder::default().typ(kind).soft(soft).hard(hard).build().map_err(|e| e.to_string())
    };
    limits.into_iter().map(limit).collect()
}

/// A container's namespaces: its own, but for the network and, when it is given one, that of processes.
pub(crate) fn namespaces(
    network: &Path,
    processes: Option<&Path>,
) -> Result<Vec<LinuxNamespace>, OciSpecError> {
    use LinuxNamespaceType as T;
    let kind = |kind| LinuxNamespaceBuilder::default().typ(kind);
    let own = [T::Ipc, T::Uts, T::Mount, T::Cgroup].map(kind);
    let processes = match processes {
        Some(path) => kind(T::Pid).path(path),
        None => kind(T::Pid),
    };
    let shared = kind(T::Network).path(network);
    own.into_iter().chain([processes, shared]).map(LinuxNamespaceBuilder::build).collect()
}

/// The whole spec, or in words for a person why there is none.
pub(crate) fn build(input: &Input<'_>) -> Result<Spec, String> {
    let environment = environment(input)?;
    let limits = limits(input.container, input.open_files)?;
    let set = capabilities(&input.container.linux)?;
    let arguments = arguments(input.container, input.image);
    if arguments.is_empty() {
        return Err("no command specified".to_owned());
    }
    assemble(input, environment, limits, set, arguments).map_err(|error| error.to_string())
}

fn assemble(
    input: &Input<'_>,
    environment: Vec<String>,
    limits: Vec<PosixRlimit>,
    set: Capabilities,
    arguments: Vec<String>,
) -> Result<Spec, OciSpecError> {
    let Input { container, image, user, .. } = input;
    let mut given = LinuxCapabilitiesBuilder::default()
        .bounding(set.clone())
        .effective(set.clone())
        .permitted(set)
        .build()?;
    given.set_inheritable(None);
    given.set_ambient(None);
    let owner =
        UserBuilder::default().uid(user.uid).gid(user.gid).additional_gids(user.groups.clone()).build()?;
    let process = ProcessBuilder::default()
        .args(arguments)
        .env(environment)
        .cwd(working_folder(container, image))
        .user(owner)
        .capabilities(given)
        .rlimits(limits)
        .no_new_privileges(true)
        .terminal(container.pseudo_terminal)
        .build()?;
    let mut resources = LinuxResourcesBuilder::default()
        .cpu(LinuxCpuBuilder::default().shares(u64::from(container.cpu).max(2)).build()?)
        .pids(LinuxPidsBuilder::default().limit(PROCESSES).build()?)
        .devices(vec![LinuxDeviceCgroupBuilder::default().allow(false).access("rwm").build()?]);
    if container.memory.is_some() || container.memory_reservation.is_some() {
        let bytes = |mebibytes: u32| i64::from(mebibytes) << 20;
        let mut memory = LinuxMemoryBuilder::default();
        if let Some(limit) = container.memory.map(bytes) {
            memory = memory.limit(limit);
            if input.counts_swap {
                memory = memory.swap(limit);
            }
        }
        if let Some(reservation) = container.memory_reservation.map(bytes) {
            memory = memory.reservation(reservation);
        }
        resources = resources.memory(memory.build()?);
    }
    let controls = container.system_controls.clone().into_iter();
    let linux = LinuxBuilder::default()
        .namespaces(namespaces(input.network, input.processes)?)
        .resources(resources.build()?)
        .cgroups_path(&input.cgroup)
        .sysctl(controls.collect::<HashMap<_, _>>())
        .masked_paths(get_default_maskedpaths())
        .readonly_paths(get_default_readonly_paths())
        .build()?;
    SpecBuilder::default()
        .version("1.0.2")
        .hostname(input.hostname)
        .process(process)
        .root(RootBuilder::default().path(input.rootfs).readonly(container.readonly_root_filesystem).build()?)
        .mounts(mounts::all(container, input.etc, input.volumes)?)
        .linux(linux)
        .build()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use desired::ImageReference;

    pub(crate) fn container() -> Container {
        Container {
            name: "app".to_owned(),
            image: ImageReference {
                image: "app".to_owned(),
                registry: None,
                repository: "app".to_owned(),
                reference: "latest".to_owned(),
            },
            essential: true,
            stop_timeout: Duration::from_secs(30),
            ..Container::default()
        }
    }

    fn list(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    #[track_caller]
    fn check(image: (&str, &str), task: (Option<&str>, Option<&str>), want: &str) {
        let image = ImageConfig { entrypoint: list(image.0), cmd: list(image.1), ..ImageConfig::default() };
        let container = Container { entry_point: task.0.map(list), command: task.1.map(list), ..container() };
        assert_eq!(arguments(&container, &image), list(want));
    }

    #[test]
    fn entry_point_and_command_follow_docker_s_rules() {
        check(("entry", "cmd"), (None, None), "entry cmd");
        check(("entry", "cmd"), (None, Some("mine")), "entry mine");
        check(("entry", "cmd"), (Some("other"), None), "other");
        check(("entry", "cmd"), (Some("other"), Some("mine")), "other mine");
        check(("entry", "cmd"), (Some(""), Some("")), "entry cmd");
        check(("", ""), (None, None), "");
    }

    fn build_with(container: &Container, image: &ImageConfig) -> Result<Spec, String> {
        let user = User { uid: 7, gid: 8, groups: vec![9], home: "/home/app".to_owned() };
        build(&Input {
            container,
            image,
            user,
            rootfs: Path::new("/r"),
            etc: Path::new("/e"),
            volumes: Path::new("/v"),
            network: Path::new("/n"),
            processes: None,
            cgroup: "/landfall-0/t/app".into(),
            hostname: "ip-10-0-0-9",
            counts_swap: true,
            open_files: 1024,
        })
    }

    #[test]
    fn the_task_definition_s_environment_wins_over_the_image_s() {
        let image = ImageConfig {
            env: vec!["A=image".into(), "B=image".into()],
            cmd: vec!["x".into()],
            ..ImageConfig::default()
        };
        let container = Container { environment: [("B".into(), "task".into())].into(), ..container() };
        let spec = build_with(&container, &image).unwrap();
        let seen = spec.process().as_ref().unwrap().env().clone().unwrap();
        let path = format!("PATH={PATH}");
        assert_eq!(seen, ["A=image", "B=task", "HOME=/home/app", "HOSTNAME=ip-10-0-0-9", path.as_str()]);
    }

    #[test]
    fn no_container_gets_the_cgroup_mount_or_mknod() {
        let image = ImageConfig { cmd: vec!["x".into()], ..ImageConfig::default() };
        let spec = build_with(&container(), &image).unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        assert!(!text.contains("/sys/fs/cgroup"), "{text}");
        assert!(!text.contains("CAP_MKNOD") && text.contains("CAP_CHOWN"), "{text}");
        assert!(text.contains(r#""noNewPrivileges":true"#), "{text}");
    }

    #[test]
    fn capabilities_are_docker_s_less_what_is_dropped_and_what_is_added() {
        use Capability as C;
        let set = |drop: &str, add: &str| {
            let linux = LinuxParameters {
                drop_capabilities: list(drop),
                add_capabilities: list(add),
                ..LinuxParameters::default()
            };
            capabilities(&linux).unwrap()
        };
        assert_eq!(set("", ""), default_capabilities());
        assert_eq!(set("ALL", ""), Capabilities::new());
        assert_eq!(set("ALL", "SYS_PTRACE"), [C::SysPtrace].into_iter().collect());
        let some = set("NET_RAW CHOWN WAKE_ALARM", "SYS_PTRACE");
        assert!(!some.contains(&C::NetRaw) && !some.contains(&C::Chown) && some.contains(&C::SysPtrace));
        assert_eq!(some.len(), default_capabilities().len() - 1);
    }

    #[test]
    fn volumes_and_file_systems_in_memory_are_mounted() {
        let image = ImageConfig { cmd: vec!["x".into()], ..ImageConfig::default() };
        let linux = LinuxParameters {
            tmpfs: vec![desired::Tmpfs { path: "/run".into(), size: 64, options: list("exec") }],
            ..LinuxParameters::default()
        };
        let mounts =
            vec![desired::VolumeMount { volume: "data".into(), path: "/srv".into(), read_only: true }];
        let spec = build_with(&Container { linux, mounts, ..container() }, &image).unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        for want in [
            r#"{"destination":"/run","type":"tmpfs","source":"tmpfs","options":["nosuid","nodev","noexec","exec","size=64m","mode=1777"]}"#,
            r#"{"destination":"/srv","type":"bind","source":"/v/data","options":["bind","rprivate","nosuid","nodev","ro"]}"#,
        ] {
            assert!(text.contains(want), "{want} in {text}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let image = ImageConfig { cmd: vec!["x".into()], ..ImageConfig::default() };
        let odd = Container { ulimits: [("nonsense".into(), (1, 2))].into(), ..container() };
        assert_eq!(build_with(&odd, &image).unwrap_err(), "the ulimit 'nonsense' is unknown");
        let odd = Container { environment: [("A=B".into(), String::new())].into(), ..container() };
        assert!(build_with(&odd, &image).unwrap_err().contains("'A=B'"));
        assert_eq!(build_with(&container(), &ImageConfig::default()).unwrap_err(), "no command specified");
    }
}
