//! Deployment alarms: CloudWatch's alarms that give a deployment up ("How CloudWatch alarms detect Amazon ECS deployment
//! failures").

use std::sync::Arc;
use std::time::Duration;

use metrics::alarm::State;
use serde::{Deserialize, Serialize};
use store::Snapshot;
use wire::ApiError;

use super::Service;
use crate::cloudwatch::MetricAlarm;
use crate::ecs::invalid;

/// `alarms` of a deployment configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeploymentAlarms {
    /// The alarms, of the service's account and region. One that does not exist never gives anything up.
    pub alarm_names: Vec<String>,
    /// Whether the last deployment that completed takes the place of one that is given up.
    pub rollback: bool,
    /// Whether they are watched.
    pub enable: bool,
}

/// What a service's alarms are after a request, which need not name them. All off, as Terraform asks for when its block is
/// gone, is none.
///
/// # Errors
/// When there is nothing to watch.
pub(super) fn take(
    requested: Option<DeploymentAlarms>,
    current: Option<DeploymentAlarms>,
) -> Result<Option<DeploymentAlarms>, ApiError> {
    let Some(requested) = requested else { return Ok(current) };
    match requested.alarm_names.is_empty() {
        false if requested.alarm_names.iter().any(String::is_empty) => {
            Err(invalid("deploymentConfiguration.alarms.alarmNames cannot have an empty name."))
        }
        false => Ok(Some(requested)),
        true if requested.enable || requested.rollback => {
            Err(invalid("deploymentConfiguration.alarms.alarmNames cannot be empty when alarms are enabled."))
        }
        true => Ok(None),
    }
}

/// The prefix under which the services are found whose deployment an alarm may give up, by the alarm's key.
pub fn found_by_alarm(key: &str) -> String {
    format!("alarm/{key}/")
}

impl Service {
    /// The names of the alarms that may give its deployments up.
    pub fn alarm_names(&self) -> &[String] {
        let on = self.alarms.as_ref().filter(|alarms| alarms.enable);
        on.map(|alarms| alarms.alarm_names.as_slice()).unwrap_or_default()
    }

    /// The keys of these alarms.
    pub(super) fn alarm_keys(&self) -> impl Iterator<Item = String> {
        self.alarm_names().iter().map(|name| format!("{}/{}/{name}", self.account, self.region))
    }

    fn known_alarms(&self, rows: &Snapshot) -> Vec<Arc<MetricAlarm>> {
        self.alarm_keys().filter_map(|key| rows.get::<MetricAlarm>(&key)).collect()
    }

    /// The names of those that are in ALARM.
    pub fn raised_alarms(&self, rows: &Snapshot) -> Vec<String> {
        let known = self.known_alarms(rows);
        let raised = known.iter().filter(|alarm| alarm.state == State::Alarm);
        raised.map(|alarm| alarm.name.clone()).collect()
    }

    /// Whether a deployment that begins now is watched: it is not when an alarm is in ALARM already, so that a deployment
    /// can mend what another broke.
    pub(super) fn watches(&self, rows: &Snapshot) -> bool {
        !self.alarm_names().is_empty() && self.raised_alarms(rows).is_empty()
    }

    /// How long a deployment that has all of its tasks, and no others, is watched yet. AWS computes it from the alarms and
    /// does not say how; here it is the time in which the slowest of them finds out about what began just now: its
    /// evaluation periods, and the one that had begun before.
    pub fn bake_time(&self, rows: &Snapshot) -> Duration {
        let time = |alarm: &Arc<MetricAlarm>| {
            let seconds = (alarm.rule.evaluation_periods + 1) * alarm.rule.period;
            Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
        };
        self.known_alarms(rows).iter().map(time).max().unwrap_or_default()
    }
}
