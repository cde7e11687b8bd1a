//! Volumes of a task definition: empty folders that a task's containers share and that go with it ("Bind mounts").

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wire::ApiError;

use crate::ecs::client;
use crate::ecs::container_definition::{Given, not_on_fargate};

/// A volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Volume {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Printed as AWS does, an empty document.
    #[serde(default)]
    pub host: Host,
    /// Refused by Fargate.
    #[serde(default, skip_serializing)]
    docker_volume_configuration: Given,
    /// Refused.
    #[serde(default, skip_serializing)]
    efs_volume_configuration: Given,
    /// Refused by Fargate.
    #[serde(default, rename = "fsxWindowsFileServerVolumeConfiguration", skip_serializing)]
    fsx_volume_configuration: Given,
    /// Refused.
    #[serde(default, rename = "s3filesVolumeConfiguration", skip_serializing)]
    s3_files_volume_configuration: Given,
    /// Refused but for `false`, which is printed when it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    configured_at_launch: Option<bool>,
}

/// Where a volume lies.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Host {
    /// Refused by Fargate.
    #[serde(default, skip_serializing)]
    source_path: Given,
}

/// Checks the volumes of a task definition; gives their names.
///
/// # Errors
/// In ECS's words; what AWS would take and Landfall does not is refused by name.
pub(super) fn check(volumes: &[Volume]) -> Result<BTreeSet<&str>, ApiError> {
    let mut names = BTreeSet::new();
    for volume in volumes {
        let name = volume.name.as_str();
        if crate::ecs::valid_name("Volume.name", name).is_err() {
            return Err(client(
                "Volume.name should not be null or empty, and contain letters, numbers, - and _ alone.",
            ));
        }
        if !names.insert(name) {
            return Err(client(format!("Volume names must be unique: '{name}' is given twice.")));
        }
        volume.host.source_path.refuse(not_on_fargate("sourcePath"))?;
        volume.docker_volume_configuration.refuse(not_on_fargate("dockerVolumeConfiguration"))?;
        volume.fsx_volume_configuration.refuse(not_on_fargate("fsxWindowsFileServerVolumeConfiguration"))?;
        volume
            .efs_volume_configuration
            .unsupported(format_args!("efsVolumeConfiguration (volume '{name}')"))?;
        volume
            .s3_files_volume_configuration
            .unsupported(format_args!("s3filesVolumeConfiguration (volume '{name}')"))?;
        if volume.configured_at_launch == Some(true) {
            return Err(ApiError::unsupported(format_args!("configuredAtLaunch (volume '{name}')")));
        }
    }
    Ok(names)
}
