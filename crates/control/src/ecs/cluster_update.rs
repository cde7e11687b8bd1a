//! `UpdateCluster` and `UpdateClusterSettings`.

use serde::Deserialize;
use store::Tx;
use wire::{ApiError, Empty as NoValue, OnlyDefault};

use super::cluster::{self, ClusterSetting, OneCluster};
use super::cluster_configuration;
use crate::Context;

/// `UpdateCluster`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateCluster {
    cluster: String,
    #[serde(default)]
    settings: Vec<ClusterSetting>,
    configuration: Option<cluster_configuration::Asked>,
    #[serde(default, rename = "serviceConnectDefaults")]
    _service_connect_defaults: OnlyDefault<NoValue>,
}

/// Changes a cluster's settings.
pub fn update(rows: &mut Tx, context: &Context, request: UpdateCluster) -> Result<OneCluster, ApiError> {
    let configuration = request.configuration.map(cluster_configuration::take).transpose()?;
    let answer = change(rows, context, &request.cluster, &request.settings)?;
    let Some(configuration) = configuration else { return Ok(answer) };
    let mut cluster = (*cluster::get_active(rows, context, Some(&request.cluster))?).clone();
    cluster.configuration = configuration;
    let cluster = rows.put(cluster);
    Ok(OneCluster::print(rows, &cluster))
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
    change(rows, context, &request.cluster, &request.settings)
}

fn change(
    rows: &mut Tx,
    context: &Context,
    named: &str,
    settings: &[ClusterSetting],
) -> Result<OneCluster, ApiError> {
    let mut cluster = (*cluster::get_active(rows, context, Some(named))?).clone();
    if let Some(value) = cluster::container_insights(settings)? {
        cluster.container_insights = value;
        rows.put(cluster.clone());
    }
    Ok(OneCluster::print(rows, &cluster))
}
