//! A cluster's configuration: how ECS Exec logs its sessions. It is kept and shown, as stacks carry it; `ExecuteCommand`
//! itself is refused, so that there is nothing for it to act on.

use serde::{Deserialize, Serialize};
use wire::{ApiError, Empty as NoValue, False, OnlyDefault};

use super::invalid;

/// `ClusterConfiguration`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Configuration {
    /// How sessions are logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execute_command_configuration: Option<ExecuteCommandConfiguration>,
}

/// `ExecuteCommandConfiguration`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecuteCommandConfiguration {
    /// Where sessions are logged.
    #[serde(default)]
    pub logging: Logging,
    /// Where to, for [`Logging::Override`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_configuration: Option<LogConfiguration>,
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
    /// Shown as AWS does.
    #[serde(default)]
    pub cloud_watch_encryption_enabled: bool,
    /// Shown as AWS does.
    #[serde(default)]
    pub s3_encryption_enabled: bool,
}

/// The same in requests.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    execute_command_configuration: Option<AskedExecuteCommand>,
    #[serde(default, rename = "managedStorageConfiguration")]
    _managed_storage: OnlyDefault<NoValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AskedExecuteCommand {
    #[serde(default, rename = "kmsKeyId")]
    _kms_key_id: OnlyDefault<NoValue>,
    #[serde(default)]
    logging: Option<Logging>,
    log_configuration: Option<AskedLog>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AskedLog {
    cloud_watch_log_group_name: Option<String>,
    #[serde(default, rename = "cloudWatchEncryptionEnabled")]
    _cloud_watch_encryption_enabled: OnlyDefault<False>,
    #[serde(default, rename = "s3BucketName")]
    _bucket: OnlyDefault<NoValue>,
    #[serde(default, rename = "s3EncryptionEnabled")]
    _s3_encryption_enabled: OnlyDefault<False>,
    #[serde(default, rename = "s3KeyPrefix")]
    _key_prefix: OnlyDefault<NoValue>,
}

/// What a request's configuration is kept as.
///
/// # Errors
/// When a destination is given that is not asked for, or the other way round.
pub fn take(asked: Asked) -> Result<Configuration, ApiError> {
    let Some(asked) = asked.execute_command_configuration else { return Ok(Configuration::default()) };
    let logging = asked.logging.unwrap_or_default();
    let named = asked.log_configuration.and_then(|log| log.cloud_watch_log_group_name);
    let named = named.filter(|name| !name.is_empty());
    match (logging, named) {
        (Logging::Override, None) => {
            Err(invalid("A log configuration with a log group is required when logging is OVERRIDE."))
        }
        (Logging::None | Logging::Default, Some(_)) => {
            Err(invalid("A log configuration can be specified when logging is OVERRIDE only."))
        }
        (logging, named) => {
            let log_configuration = named.map(|name| LogConfiguration {
                cloud_watch_log_group_name: Some(name),
                cloud_watch_encryption_enabled: false,
                s3_encryption_enabled: false,
            });
            let execute_command_configuration =
                Some(ExecuteCommandConfiguration { logging, log_configuration });
            Ok(Configuration { execute_command_configuration })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: &str, kept: Result<&str, &str>) {
        let taken = serde_json::from_str::<Asked>(asked).map_err(|error| error.to_string());
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
