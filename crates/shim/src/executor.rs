//! The last steps inside a container's first process, from libcontainer's hand to the container's own program.

use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, access};

use crate::helper::{Report, tell};
use crate::seccomp;
use crate::secrets::Values;

/// Ties the container's life to the shim's, forbids it system calls, and runs it.
#[derive(Debug, Clone)]
pub(crate) struct Tied {
    /// The shim holds the other end for as long as it waits for this container's start.
    pub(crate) shim: Arc<UnixStream>,
    /// Whether the program runs below an init process.
    pub(crate) init: bool,
    /// Environment variables that stand in no file.
    pub(crate) secrets: Values,
}

impl Executor for Tied {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let why = self.replace(spec);
        // From here on nobody but the shim hears what this process says.
        let _ = tell(&self.shim, &Report::Failed(why.clone()));
        Err(ExecutorError::Other(why))
    }

    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let (arguments, path) = asked(spec);
        match arguments.first() {
            Some(program) => find(program, &path).map(drop),
            None => Err("no command specified".to_owned()),
        }
        .map_err(ExecutorValidationError::ArgValidationError)
    }

    fn setup_envs(
        &self,
        variables: HashMap<String, String>,
    ) -> Result<(), libcontainer::workload::ExecutorSetEnvsError> {
        // The helper was started with no environment; execve is given the container's own.
        drop(variables);
        Ok(())
    }
}

impl Tied {
    /// Becomes the container's program; returns only with the reason why not.
    fn replace(&self, spec: &Spec) -> String {
        if let Err(why) = tie(&self.shim) {
            return why;
        }
        let (arguments, path) = asked(spec);
        let program = match arguments.first().map(|program| find(program, &path)) {
            Some(Ok(program)) => program,
            Some(Err(why)) => return why,
            None => return "no command specified".to_owned(),
        };
        let mut environment =
            spec.process().as_ref().and_then(|process| process.env().clone()).unwrap_or_default();
        environment.retain(|variable| {
            let name = variable.split('=').next().unwrap_or_default();
            !self.secrets.0.contains_key(name)
        });
        environment.extend(self.secrets.0.iter().map(|(name, value)| format!("{name}={value}")));
        let strings =
            |list: &[String]| list.iter().map(|s| CString::new(s.as_str())).collect::<Result<Vec<_>, _>>();
        let (Ok(name), Ok(arguments), Ok(environment)) =
            (CString::new(program.as_os_str().as_bytes()), strings(&arguments), strings(&environment))
        else {
            return "a NUL byte in the command or the environment".to_owned();
        };
        if let Err(error) = sys::signals::reset() {
            return error.to_string();
        }
        if let Err(error) = seccompiler::apply_filter(&seccomp::program()) {
            return format!("install the seccomp filter: {error}");
        }
        if self.init
            && let Err(error) = sys::process::split_off_init()
        {
            return error.to_string();
        }
        match nix::unistd::execve(&name, &arguments, &environment) {
            Err(errno) => format!("exec {}: {}", program.display(), words(errno)),
            Ok(never) => match never {},
        }
    }
}

/// Has the kernel kill this process when the shim ends. Last of all, because a change of user clears it.
pub(crate) fn tie(shim: &UnixStream) -> Result<(), String> {
    if let Err(errno) = prctl::set_pdeathsig(Signal::SIGKILL) {
        return Err(format!("tie the container to its shim: {}", words(errno)));
    }
    // The shim may have died before the kernel was told.
    let mut fds = [PollFd::new(shim.as_fd(), PollFlags::empty())];
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
    let asked = poll(&mut fds, PollTimeout::ZERO);
    match asked.is_err() || fds[0].revents().is_some_and(|events| events.intersects(gone)) {
        true => Err("the shim has ended".to_owned()),
        false => Ok(()),
    }
}

fn asked(spec: &Spec) -> (Vec<String>, String) {
    let process = spec.process().as_ref();
    let arguments = process.and_then(|process| process.args().clone()).unwrap_or_default();
    let environment =
        process.and_then(|process| process.env().as_ref()).map(Vec::as_slice).unwrap_or_default();
    let path = environment.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
    (arguments, path.to_owned())
}

/// The file that a command means, by the rules and in the words of runc.
fn find(command: &str, path: &str) -> Result<PathBuf, String> {
    let refuse = |why: &str| format!("exec: \"{command}\": {why}");
    if command.contains('/') {
        let program = Path::new(command);
        return match std::fs::metadata(program) {
            Err(cause) => {
                let errno = Errno::from_raw(cause.raw_os_error().unwrap_or_default());
                Err(refuse(&format!("stat {command}: {}", words(errno))))
            }
            Ok(file) if file.is_dir() => Err(refuse("is a directory")),
            Ok(_) if access(program, AccessFlags::X_OK).is_err() => Err(refuse("permission denied")),
            Ok(_) => Ok(program.to_owned()),
        };
    }
    let folders = path.split(':').map(|folder| if folder.is_empty() { "." } else { folder });
    folders
        .map(|folder| Path::new(folder).join(command))
        .find(|file| file.is_file() && access(file, AccessFlags::X_OK).is_ok())
        .ok_or_else(|| refuse("executable file not found in $PATH"))
}

/// The kernel's words with a small first letter, as Go prints them.
pub(crate) fn words(errno: Errno) -> String {
    let text = errno.desc();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_or_refused_in_runc_s_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app");
        std::fs::write(&file, "#!").unwrap();
        let path = format!("/nowhere:{}", folder.path().display());
        assert_eq!(
            find("app", &path).unwrap_err(),
            r#"exec: "app": executable file not found in $PATH"#,
            "not executable"
        );
        assert!(find(file.to_str().unwrap(), "").unwrap_err().ends_with("permission denied"));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&file, mode).unwrap();
        assert_eq!(find("app", &path), Ok(file));
        assert_eq!(
            find("/no/app", &path).unwrap_err(),
            r#"exec: "/no/app": stat /no/app: no such file or directory"#
        );
        assert!(find("/", "").unwrap_err().ends_with("is a directory"));
    }
}
