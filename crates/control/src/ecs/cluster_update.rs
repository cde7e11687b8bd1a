//! `UpdateCluster` and `UpdateClusterSettings`.

use serde::Deserialize;
use store::Tx;
use wire::{ApiError, Empty as NoValue, OnlyDefault};

use super::cluster::{self, ClusterSetting, OneCluster};
use super::cluster_configuration::{self, Configuration};
use crate::Context;

/// `UpdateCluster`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateCluster {
    cluster: String,
    #[serde(default)]
    settings: Vec<ClusterSetting>,
    configuration: Option<Configuration>,
    #[serde(default, rename = "serviceConnectDefaults")]
    _service_connect_defaults: OnlyDefault<NoValue>,
}

/// Changes a cluster's settings.
pub fn update(rows: &mut Tx, context: &Context, request: UpdateCluster) -> Result<OneCluster, ApiError> {
    let configuration = request.configuration.map(cluster_configuration::take).transpose()?;
    change(rows, context, &request.cluster, &request.settings, configuration)
}

/// `UpdateClusterSettings`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateClusterSettings {
    cluster: String,
    settings: Vec<ClusterSetting>,
}

/// Changes a cluster's settings.
pub fn update_settings(
    rows: &mut Tx,
    context: &Context,
    request: UpdateClusterSettings,
) -> Result<OneCluster, ApiError> {
    change(rows, context, &request.cluster, &request.settings, None)
}

fn change(
    rows: &mut Tx,
    context: &Context,
    named: &str,
    settings: &[ClusterSetting],
    configuration: Option<Configuration>,
) -> Result<OneCluster, ApiError> {
    let before = cluster::get_active(rows, context, Some(named))?;
    let mut cluster = (*before).clone();
    if let Some(value) = cluster::container_insights(settings)? {
        cluster.container_insights = value;
    }
    if let Some(configuration) = configuration {
        cluster.configuration = configuration;
    }
    if cluster != *before {
        rows.put(cluster.clone());
    }
    Ok(OneCluster::print(rows, &cluster))
}
