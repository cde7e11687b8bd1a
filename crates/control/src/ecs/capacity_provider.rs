//! Capacity providers: FARGATE and FARGATE_SPOT as names, and the strategies of clusters and services that choose
//! between them. A task of FARGATE_SPOT runs as any other here: nobody takes its capacity away.

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use wire::ApiError;

use super::cluster::{self, Cluster, OneCluster};
use super::service::Service;
use super::tag::Tag;
use super::{Failure, invalid};
use crate::Context;

/// The providers there are. Both belong to AWS, in every account.
pub const NAMES: [&str; 2] = ["FARGATE", "FARGATE_SPOT"];

/// The most items of a strategy ("capacityProviderStrategy").
const MOST: usize = 20;

/// An item of a strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StrategyItem {
    /// The provider.
    pub capacity_provider: String,
    /// The share of the tasks beyond all bases that it gets.
    #[serde(default)]
    pub weight: u32,
    /// How many tasks it gets before weights count. One item alone may have one.
    #[serde(default)]
    pub base: u32,
}

/// The provider of the next task, for a service whose tasks have these providers: the base first, then whoever is
/// furthest behind its weight. None: the strategy is empty.
pub fn next(strategy: &[StrategyItem], taken: impl Fn(&str) -> usize) -> Option<&str> {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let short = strategy.iter().find(|item| taken(&item.capacity_provider) < count(item.base));
    let behind = |item: &&StrategyItem| {
        let beyond = taken(&item.capacity_provider).saturating_sub(count(item.base)) as u64;
        // Over a common denominator: shares are compared without rounding.
        (beyond + 1) * 1_000_000 / u64::from(item.weight.max(1))
    };
    let weighed = || strategy.iter().filter(|item| item.weight > 0).min_by_key(behind);
    short.or_else(weighed).map(|item| item.capacity_provider.as_str())
}

/// Checks a strategy for a cluster that has these providers.
///
/// # Errors
/// In ECS's words, by the page of CapacityProviderStrategyItem.
pub(super) fn check(strategy: &[StrategyItem], associated: &[String]) -> Result<(), ApiError> {
    if strategy.is_empty() {
        return Ok(());
    }
    if strategy.len() > MOST {
        return Err(invalid(format!("A capacity provider strategy can have at most {MOST} items.")));
    }
    for (number, item) in strategy.iter().enumerate() {
        known(&item.capacity_provider)?;
        if !associated.contains(&item.capacity_provider) {
            return Err(invalid(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. Associate the capacity provider with the cluster and try again.",
            ));
        }
        if strategy[..number].iter().any(|other| other.capacity_provider == item.capacity_provider) {
            return Err(invalid(
                "The specified capacity provider strategy cannot contain duplicate capacity providers.",
            ));
        }
        if item.weight > 1000 {
            return Err(invalid("The weight of a capacity provider must be from 0 to 1000."));
        }
        if item.base > 100_000 {
            return Err(invalid("The base of a capacity provider must be from 0 to 100000."));
        }
    }
    if strategy.iter().all(|item| item.weight == 0) {
        return Err(invalid(
            "The specified capacity provider strategy must have at least one capacity provider with a weight greater than 0.",
        ));
    }
    if strategy.iter().filter(|item| item.base > 0).count() > 1 {
        return Err(invalid(
            "The specified capacity provider strategy can have only one capacity provider with a base greater than 0.",
        ));
    }
    Ok(())
}

fn known(name: &str) -> Result<(), ApiError> {
    if NAMES.contains(&name) {
        return Ok(());
    }
    Err(invalid(format!(
        "The specified capacity provider was not found. Specify a valid name or ARN and try again: {name}"
    )))
}

/// What new tasks of a request run on: its own strategy, else the launch type FARGATE, else the cluster's default
/// strategy. Empty: the launch type.
///
/// # Errors
/// When both are given, or neither and the cluster has no default: AWS then takes instances, of which there are none.
pub(crate) fn choose(
    cluster: &Cluster,
    launch_type: Option<&str>,
    strategy: Vec<StrategyItem>,
) -> Result<Vec<StrategyItem>, ApiError> {
    match launch_type {
        Some(_) if !strategy.is_empty() => Err(invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        )),
        Some("FARGATE") => Ok(Vec::new()),
        None if !strategy.is_empty() => {
            check(&strategy, &cluster.capacity_providers)?;
            Ok(strategy)
        }
        None if !cluster.default_capacity_provider_strategy.is_empty() => {
            Ok(cluster.default_capacity_provider_strategy.clone())
        }
        other => Err(ApiError::unsupported(format_args!(
            "launchType {}: only FARGATE",
            other.unwrap_or("EC2 (the default)")
        ))),
    }
}

/// Checks the providers that a cluster shall have.
///
/// # Errors
/// When one does not exist.
pub(super) fn take(names: Vec<String>) -> Result<Vec<String>, ApiError> {
    let mut taken = Vec::new();
    for name in names {
        known(&name)?;
        if !taken.contains(&name) {
            taken.push(name);
        }
    }
    Ok(taken)
}

/// `PutClusterCapacityProviders`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutClusterCapacityProviders {
    cluster: String,
    capacity_providers: Vec<String>,
    default_capacity_provider_strategy: Vec<StrategyItem>,
}

/// Says which providers a cluster has, and which its tasks take when a request says nothing.
pub fn put(
    rows: &mut Tx,
    context: &Context,
    request: PutClusterCapacityProviders,
) -> Result<OneCluster, ApiError> {
    let mut cluster = (*cluster::get_active(rows, context, Some(&request.cluster))?).clone();
    let providers = take(request.capacity_providers)?;
    check(&request.default_capacity_provider_strategy, &providers)?;
    let gone = |name: &String| !providers.contains(name);
    let used = |service: &Service| {
        let items = service.deployments.iter().flat_map(|deployment| &deployment.capacity_provider_strategy);
        items.map(|item| &item.capacity_provider).any(gone)
    };
    let prefix = cluster.prefix();
    if rows.scan::<Service>(&prefix).filter(|service| service.is_active()).any(|service| used(&service)) {
        return Err(ApiError::new(
            "ResourceInUseException",
            "The specified capacity provider is in use and cannot be removed.",
        ));
    }
    cluster.capacity_providers = providers;
    cluster.default_capacity_provider_strategy = request.default_capacity_provider_strategy;
    let cluster = rows.put(cluster);
    Ok(OneCluster::print(rows, &cluster))
}

/// `DescribeCapacityProviders`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DescribeCapacityProviders {
    capacity_providers: Option<Vec<String>>,
    cluster: Option<String>,
    #[serde(default, rename = "include")]
    _include: Vec<Include>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// AWS's own providers have no tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Include {
    Tags,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityProviderList {
    capacity_providers: Vec<CapacityProviderView>,
    failures: Vec<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CapacityProviderView {
    capacity_provider_arn: String,
    name: String,
    status: &'static str,
    tags: [Tag; 0],
}

/// Describes the providers named, or all.
pub fn describe(
    rows: &Snapshot,
    context: &Context,
    request: DescribeCapacityProviders,
) -> Result<CapacityProviderList, ApiError> {
    let cluster = match &request.cluster {
        Some(named) => Some(cluster::get(rows, context, Some(named))?),
        None => None,
    };
    let associated = |name: &str| {
        cluster.as_ref().is_none_or(|cluster| cluster.capacity_providers.iter().any(|known| known == name))
    };
    let prefix = super::arn(&context.account, &context.region, "capacity-provider/");
    let named = request.capacity_providers.filter(|named| !named.is_empty());
    let named = named.unwrap_or_else(|| {
        NAMES.iter().filter(|name| associated(name)).map(|name| (*name).to_owned()).collect()
    });
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for named in named {
        let name = named.strip_prefix(&*prefix).unwrap_or(&named);
        match NAMES.contains(&name) && associated(name) {
            true => found.push(name.to_owned()),
            false => failures.push(Failure::missing(context, "capacity-provider/", &named)),
        }
    }
    found.sort();
    found.dedup();
    let page = super::page(found, request.max_results, 100, request.next_token.as_deref())?;
    Ok(CapacityProviderList {
        capacity_providers: page
            .items
            .into_iter()
            .map(|name| CapacityProviderView {
                capacity_provider_arn: format!("{prefix}{name}"),
                name,
                status: "ACTIVE",
                tags: [],
            })
            .collect(),
        failures,
        next_token: page.next_token,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Which providers the first so many tasks get.
    fn check_order(items: &[(&str, u32, u32)], tasks: usize, expected: &str) {
        let strategy: Vec<StrategyItem> = items
            .iter()
            .map(|(name, weight, base)| StrategyItem {
                capacity_provider: (*name).to_owned(),
                weight: *weight,
                base: *base,
            })
            .collect();
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        let mut order = String::new();
        for _ in 0..tasks {
            let name = next(&strategy, |name| taken.get(name).copied().unwrap_or(0)).unwrap().to_owned();
            order.push(if name == "FARGATE" { 'f' } else { 's' });
            *taken.entry(name).or_default() += 1;
        }
        assert_eq!(order, expected, "{items:?}");
    }

    #[test]
    fn tasks_fill_the_base_and_then_follow_the_weights() {
        check_order(&[("FARGATE", 1, 0)], 3, "fff");
        check_order(&[("FARGATE", 1, 0), ("FARGATE_SPOT", 1, 0)], 4, "fsfs");
        check_order(&[("FARGATE", 1, 2), ("FARGATE_SPOT", 4, 0)], 12, "ffsssfssssfs");
        check_order(&[("FARGATE", 0, 2), ("FARGATE_SPOT", 1, 0)], 5, "ffsss");
    }
}
