//! Terraform, as the demo and the tests run it: found, pointed at Landfall, and on a machine without a network given
//! the provider from a mirror folder.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why Terraform could not do it.
#[derive(Debug, thiserror::Error)]
pub enum TerraformError {
    /// There is none.
    #[error(
        "neither terraform nor tofu is on the PATH. Install Terraform 1.5 or later \
         (https://developer.hashicorp.com/terraform/install) or OpenTofu (https://opentofu.org/docs/intro/install/)"
    )]
    Missing,
    /// It cannot be run.
    #[error("{program} cannot be run: {cause}")]
    Start {
        /// Which program.
        program: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// It failed.
    #[error("`{program} {arguments}` failed:\n{output}")]
    Failed {
        /// Which program.
        program: String,
        /// Its arguments.
        arguments: String,
        /// The end of what it printed.
        output: String,
    },
}

/// Terraform or OpenTofu, in one folder, towards one endpoint.
#[derive(Debug, Clone)]
pub struct Terraform {
    program: PathBuf,
    folder: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Terraform {
    /// Finds the program on the PATH; `environment` are the variables that lead it to Landfall.
    ///
    /// # Errors
    /// [`TerraformError::Missing`], with how to get it.
    pub fn find(folder: &Path, environment: &[(String, String)]) -> Result<Self, TerraformError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = ["terraform", "tofu"]
            .into_iter()
            .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
            .find(|candidate| candidate.is_file())
            .ok_or(TerraformError::Missing)?;
        let mut variables: Vec<(OsString, OsString)> =
            environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        variables.push(("TF_IN_AUTOMATION".into(), "1".into()));
        variables.push(("TF_INPUT".into(), "0".into()));
        variables.push(("CHECKPOINT_DISABLE".into(), "1".into()));
        if let Some(mirror) = provider_mirror() {
            let mut argument = OsString::from("-plugin-dir=");
            argument.push(mirror);
            variables.push(("TF_CLI_ARGS_init".into(), argument));
        }
        Ok(Self { program, folder: folder.to_owned(), environment: variables })
    }

    /// Runs it and hands on each line as it comes. Gives what it printed on standard output.
    ///
    /// # Errors
    /// When it cannot be run or fails.
    pub fn run(&self, arguments: &[&str], mut line: impl FnMut(&str)) -> Result<String, TerraformError> {
        #[allow(clippy::disallowed_methods, reason = "the demo plays what a user does with Terraform")]
        let mut command = Command::new(&self.program);
        // No setting of the user's own AWS tools may lead it to AWS.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        let child = command
            .args(arguments)
            .arg("-no-color")
            .current_dir(&self.folder)
            .envs(self.environment.iter().cloned())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let start = |cause| TerraformError::Start { program: self.program.clone(), cause };
        let mut child = child.map_err(start)?;
        let errors = child.stderr.take().map(|stderr| {
            std::thread::spawn(move || {
                BufReader::new(stderr).lines().map_while(Result::ok).collect::<Vec<_>>()
            })
        });
        let mut printed = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                line(&text);
                printed.push(text);
            }
        }
        let errors = errors.and_then(|thread| thread.join().ok()).unwrap_or_default();
        let status = child.wait().map_err(start)?;
        if status.success() {
            return Ok(printed.join("\n"));
        }
        printed.extend(errors);
        Err(TerraformError::Failed {
            program: self.program.display().to_string(),
            arguments: arguments.join(" "),
            output: printed[printed.len().saturating_sub(60)..].join("\n"),
        })
    }
}

/// A folder that holds the AWS provider as `terraform providers mirror` lays it out. Terraform's own default places are
/// looked at, the folder in LANDFALL_PROVIDER_MIRROR, and the usual places for add-on software.
pub fn provider_mirror() -> Option<PathBuf> {
    let holds = |folder: &Path| folder.join("registry.terraform.io/hashicorp/aws").is_dir();
    if let Some(named) = std::env::var_os("LANDFALL_PROVIDER_MIRROR").map(PathBuf::from) {
        return Some(named).filter(|folder| holds(folder));
    }
    let mut places: Vec<PathBuf> = Vec::new();
    if let Some(home) = std::env::var_os("HOME").map(PathBuf::from) {
        places.push(home.join(".terraform.d/plugins"));
        places.push(home.join(".local/share/terraform/plugins"));
    }
    for parent in ["/usr/local/share", "/usr/share", "/opt", "/srv", "/var/lib"] {
        places.push(Path::new(parent).join("terraform/plugins"));
        let folders = std::fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path());
        places.extend(folders);
    }
    places.into_iter().find(|folder| holds(folder))
}
