//! Account settings. Each is kept as it is put. `containerInsights` is what new clusters begin with, `defaultLogDriverMode`
//! what new tasks do; of the others a value that would have to change what Landfall does is refused.

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, Tx};
use types::{AccountId, Region};
use wire::ApiError;

use super::invalid;
use crate::Context;

/// A setting that was put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSetting {
    account: AccountId,
    region: Region,
    /// For whom; empty: for all that have none of their own.
    principal: String,
    name: Name,
    value: String,
}

/// What can be set. The others of AWS's are of instances, or of what Landfall does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Name {
    ServiceLongArnFormat,
    TaskLongArnFormat,
    ContainerInstanceLongArnFormat,
    AwsvpcTrunking,
    ContainerInsights,
    #[serde(rename = "fargateFIPSMode")]
    FargateFipsMode,
    TagResourceAuthorization,
    FargateTaskRetirementWaitPeriod,
    GuardDutyActivate,
    DefaultLogDriverMode,
    FargateEventWindows,
}

impl Name {
    const ALL: [Name; 11] = [
        Name::AwsvpcTrunking,
        Name::ContainerInsights,
        Name::ContainerInstanceLongArnFormat,
        Name::DefaultLogDriverMode,
        Name::FargateEventWindows,
        Name::FargateFipsMode,
        Name::FargateTaskRetirementWaitPeriod,
        Name::GuardDutyActivate,
        Name::ServiceLongArnFormat,
        Name::TagResourceAuthorization,
        Name::TaskLongArnFormat,
    ];

    /// The value of an account that never put one, and the values that can be put. A value that is AWS's too but would
    /// have to change what happens here is not among them.
    fn values(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Name::ServiceLongArnFormat | Name::TaskLongArnFormat | Name::ContainerInstanceLongArnFormat => {
                ("enabled", &["enabled"])
            }
            // There are no instances.
            Name::AwsvpcTrunking => ("disabled", &["disabled", "enabled"]),
            Name::ContainerInsights => ("disabled", &["disabled", "enabled", "enhanced"]),
            Name::FargateFipsMode | Name::FargateEventWindows => ("disabled", &["disabled"]),
            Name::TagResourceAuthorization => ("on", &["on"]),
            // Nobody retires a task here.
            Name::FargateTaskRetirementWaitPeriod => ("7", &["0", "7", "14"]),
            Name::GuardDutyActivate => ("off", &["off"]),
            Name::DefaultLogDriverMode => ("non-blocking", &["blocking", "non-blocking"]),
        }
    }
}

impl Row for AccountSetting {
    const TABLE: &'static str = "ecs_account_setting";

    fn key(&self) -> String {
        key(&self.account, &self.region, &self.principal, self.name)
    }
}

fn key(account: &AccountId, region: &Region, principal: &str, name: Name) -> String {
    format!("{account}/{region}/{}/{principal}", printed(name))
}

/// A name as AWS spells it.
fn printed(name: Name) -> String {
    serde_json::to_value(name).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The value that holds for a principal.
fn effective(rows: &Snapshot, context: &Context, principal: &str, name: Name) -> String {
    let of = |principal: &str| {
        rows.get::<AccountSetting>(&key(&context.account, &context.region, principal, name))
            .map(|row| row.value.clone())
    };
    of(principal).or_else(|| of("")).unwrap_or_else(|| name.values().0.to_owned())
}

/// Whether new clusters have Container Insights when their request says nothing: the account's `containerInsights`.
pub(super) fn container_insights(rows: &Snapshot, context: &Context) -> String {
    let principal = context.principal.arn(&context.account).to_string();
    effective(rows, context, &principal, Name::ContainerInsights)
}

/// Whether containers whose `logConfiguration` has no `mode` wait for their log driver: `defaultLogDriverMode`, of whoever
/// registered their task definition ("Default log driver mode").
pub(crate) fn blocks_on_logs(rows: &Snapshot, context: &Context, registered_by: &str) -> bool {
    effective(rows, context, registered_by, Name::DefaultLogDriverMode) == "blocking"
}

/// `PutAccountSetting`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutAccountSetting {
    name: Name,
    value: String,
    principal_arn: Option<String>,
}

/// `PutAccountSettingDefault`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutAccountSettingDefault {
    name: Name,
    value: String,
}

/// One setting, as answers carry it.
#[derive(Debug, Serialize)]
pub struct OneSetting {
    setting: SettingView,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct SettingView {
    name: Name,
    value: String,
    principal_arn: String,
    r#type: &'static str,
}

fn view(context: &Context, name: Name, value: String, principal: &str) -> SettingView {
    let root = || format!("arn:aws:iam::{}:root", context.account);
    let principal_arn = if principal.is_empty() { root() } else { principal.to_owned() };
    SettingView { name, value, principal_arn, r#type: "user" }
}

fn set(
    rows: &mut Tx,
    context: &Context,
    principal: String,
    name: Name,
    value: String,
) -> Result<OneSetting, ApiError> {
    let (_, values) = name.values();
    let named = printed(name);
    if named.ends_with("LongArnFormat") && value == "disabled" {
        // Terraform knows these words when it takes its setting back.
        return Err(invalid("You can no longer disable Long Arn settings"));
    }
    if !values.contains(&value.as_str()) {
        return Err(invalid(format!(
            "Invalid setting: of the name {named} Landfall honours the value {}, not '{value}'.",
            values.join(", ")
        )));
    }
    let setting = view(context, name, value.clone(), &principal);
    rows.put(AccountSetting {
        account: context.account.clone(),
        region: context.region.clone(),
        principal,
        name,
        value,
    });
    Ok(OneSetting { setting })
}

/// Whom a request names, or who calls. The root user stands for the whole account.
fn principal(context: &Context, named: Option<String>) -> Result<String, ApiError> {
    let own = context.principal.arn(&context.account).to_string();
    let named = named.filter(|named| !named.is_empty()).unwrap_or(own);
    let arn: types::Arn = named.parse().map_err(|_| invalid("Invalid principalArn specified."))?;
    match arn.resource.as_str() {
        _ if arn.account != context.account.as_str() => Err(invalid("Invalid principalArn specified.")),
        "root" => Ok(String::new()),
        _ => Ok(named),
    }
}

/// Puts a setting for a principal.
pub fn put(rows: &mut Tx, context: &Context, request: PutAccountSetting) -> Result<OneSetting, ApiError> {
    let principal = principal(context, request.principal_arn)?;
    set(rows, context, principal, request.name, request.value)
}

/// Puts a setting for all that have none of their own.
pub fn put_default(
    rows: &mut Tx,
    context: &Context,
    request: PutAccountSettingDefault,
) -> Result<OneSetting, ApiError> {
    set(rows, context, String::new(), request.name, request.value)
}

/// `DeleteAccountSetting`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteAccountSetting {
    name: Name,
    principal_arn: Option<String>,
}

/// Takes a principal's own setting away; the account's holds again.
pub fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteAccountSetting,
) -> Result<OneSetting, ApiError> {
    let principal = principal(context, request.principal_arn)?;
    rows.delete::<AccountSetting>(&key(&context.account, &context.region, &principal, request.name));
    let value = effective(rows, context, &principal, request.name);
    Ok(OneSetting { setting: view(context, request.name, value, &principal) })
}

/// `ListAccountSettings`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListAccountSettings {
    name: Option<Name>,
    value: Option<String>,
    principal_arn: Option<String>,
    #[serde(default)]
    effective_settings: bool,
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingList {
    settings: Vec<SettingView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The settings of a principal that were put, or with `effectiveSettings` those that hold.
pub fn list(
    rows: &Snapshot,
    context: &Context,
    request: ListAccountSettings,
) -> Result<SettingList, ApiError> {
    if request.value.is_some() && request.name.is_none() {
        return Err(invalid("You must specify a setting name with the value filter."));
    }
    let principal = principal(context, request.principal_arn)?;
    let names = Name::ALL.into_iter().filter(|name| request.name.is_none_or(|asked| asked == *name));
    let settings = names.filter_map(|name| {
        let own = || {
            rows.get::<AccountSetting>(&key(&context.account, &context.region, &principal, name))
                .map(|row| row.value.clone())
        };
        let value = match request.effective_settings {
            true => Some(effective(rows, context, &principal, name)),
            false => own(),
        };
        value.map(|value| view(context, name, value, &principal))
    });
    let settings: Vec<SettingView> =
        settings.filter(|row| request.value.as_ref().is_none_or(|asked| *asked == row.value)).collect();
    let names = settings.iter().map(|row| printed(row.name)).collect();
    let page = super::page(names, request.max_results, 10, request.next_token.as_deref())?;
    let found = |name: &String| settings.iter().find(|row| printed(row.name) == *name).cloned();
    Ok(SettingList { settings: page.items.iter().filter_map(found).collect(), next_token: page.next_token })
}
