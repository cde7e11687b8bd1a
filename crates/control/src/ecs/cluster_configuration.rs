//! A cluster's configuration: how ECS Exec logs its sessions. It is kept and shown, as stacks carry it; `ExecuteCommand`
//! itself is refused, so that there is nothing for it to act on.

use serde::{Deserialize, Serialize, Serializer};
use wire::{ApiError, Empty as NoValue, False, OnlyDefault};

use super::invalid;

/// `ClusterConfiguration`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Configuration {
    /// How sessions are logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execute_command_configuration: Option<ExecuteCommandConfiguration>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub managed_storage_configuration: OnlyDefault<NoValue>,
}

/// `ExecuteCommandConfiguration`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecuteCommandConfiguration {
    /// Where sessions are logged; [`take`] fills in the default.
    #[serde(default)]
    pub logging: Option<Logging>,
    /// Where to, for [`Logging::Override`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_configuration: Option<LogConfiguration>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub kms_key_id: OnlyDefault<NoValue>,
}

/// `ExecuteCommandLogging`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Logging {
    /// Nowhere.
    None,
    /// To the container's own log.
    #[default]
    Default,
    /// As [`LogConfiguration`] says.
    Override,
}

/// `ExecuteCommandLogConfiguration`, without S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogConfiguration {
    /// The log group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch_log_group_name: Option<String>,
    /// Not honoured; printed as AWS does, `false`.
    #[serde(default, serialize_with = "no")]
    pub cloud_watch_encryption_enabled: OnlyDefault<False>,
    /// Not honoured; printed as AWS does, `false`.
    #[serde(default, serialize_with = "no")]
    pub s3_encryption_enabled: OnlyDefault<False>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub s3_bucket_name: OnlyDefault<NoValue>,
    /// Not honoured.
    #[serde(default, skip_serializing)]
    pub s3_key_prefix: OnlyDefault<NoValue>,
}

fn no<S: Serializer>(_: &OnlyDefault<False>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(false)
}

/// What a request's configuration is kept as.
///
/// # Errors
/// When a destination is given that is not asked for, or the other way round.
pub fn take(mut asked: Configuration) -> Result<Configuration, ApiError> {
    if let Some(sessions) = &mut asked.execute_command_configuration {
        let logging = *sessions.logging.get_or_insert_default();
        sessions
            .log_configuration
            .take_if(|log| log.cloud_watch_log_group_name.as_deref().is_none_or(str::is_empty));
        match (logging, &sessions.log_configuration) {
            (Logging::Override, None) => {
                return Err(invalid(
                    "A log configuration with a log group is required when logging is OVERRIDE.",
                ));
            }
            (Logging::None | Logging::Default, Some(_)) => {
                return Err(invalid("A log configuration can be specified when logging is OVERRIDE only."));
            }
            _ => {}
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: &str, kept: Result<&str, &str>) {
        let taken = serde_json::from_str::<Configuration>(asked).map_err(|error| error.to_string());
        let taken = taken.and_then(|asked| take(asked).map_err(|error| error.message.clone()));
        let taken = taken.map(|kept| serde_json::to_string(&kept).unwrap());
        match kept {
            Ok(kept) => assert_eq!(taken.as_deref(), Ok(kept), "{asked}"),
            Err(words) => {
                assert!(taken.as_ref().is_err_and(|error| error.contains(words)), "{asked}: {taken:?}");
            }
        }
    }

    #[test]
    fn how_sessions_are_logged_is_kept_and_what_needs_s3_or_kms_is_refused() {
        check("{}", Ok("{}"));
        let default = r#"{"executeCommandConfiguration":{"logging":"DEFAULT"}}"#;
        check(r#"{"executeCommandConfiguration":{}}"#, Ok(default));
        check(default, Ok(default));
        check(
            r#"{"executeCommandConfiguration":{"logging":"OVERRIDE","logConfiguration":{"cloudWatchLogGroupName":"a"}}}"#,
            Ok(
                r#"{"executeCommandConfiguration":{"logging":"OVERRIDE","logConfiguration":{"cloudWatchLogGroupName":"a","cloudWatchEncryptionEnabled":false,"s3EncryptionEnabled":false}}}"#,
            ),
        );
        check(r#"{"executeCommandConfiguration":{"logging":"OVERRIDE"}}"#, Err("required"));
        check(
            r#"{"executeCommandConfiguration":{"logging":"NONE","logConfiguration":{"cloudWatchLogGroupName":"a"}}}"#,
            Err("OVERRIDE only"),
        );
        check(r#"{"executeCommandConfiguration":{"kmsKeyId":"k"}}"#, Err("not \"k\""));
        check(
            r#"{"executeCommandConfiguration":{"logging":"OVERRIDE","logConfiguration":{"s3BucketName":"b"}}}"#,
            Err("not \"b\""),
        );
        check(r#"{"managedStorageConfiguration":{"kmsKeyId":"k"}}"#, Err("only"));
    }
}
