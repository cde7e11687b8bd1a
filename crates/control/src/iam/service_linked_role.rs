//! Roles that belong to a service, made when the service is used for the first time ("Using service-linked roles",
//! IAM User Guide).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use store::Tx;
use types::{AccountId, Timestamp};
use wire::{ApiError, Empty, OnlyDefault};

use super::role::{OneRole, Role, RoleShape, key};
use super::validate::unique_id;
use super::{authorize_on, conflict};
use crate::context::Context;

/// A service that has such a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkedService {
    /// `ecs.amazonaws.com`: made with the first cluster or service.
    Ecs,
    /// `elasticloadbalancing.amazonaws.com`: made with the first load balancer.
    ElasticLoadBalancing,
    /// `ecs.application-autoscaling.amazonaws.com`: made with the first scalable target of ECS.
    AutoScalingEcs,
}

impl LinkedService {
    const ALL: [LinkedService; 3] =
        [LinkedService::Ecs, LinkedService::ElasticLoadBalancing, LinkedService::AutoScalingEcs];

    /// The role's ARN in an account.
    pub fn arn(self, account: &AccountId) -> String {
        format!("arn:aws:iam::{account}:role/aws-service-role/{}/{}", self.principal(), self.role_name())
    }

    /// The service's principal.
    pub const fn principal(self) -> &'static str {
        match self {
            LinkedService::Ecs => "ecs.amazonaws.com",
            LinkedService::ElasticLoadBalancing => "elasticloadbalancing.amazonaws.com",
            LinkedService::AutoScalingEcs => "ecs.application-autoscaling.amazonaws.com",
        }
    }

    const fn role_name(self) -> &'static str {
        match self {
            LinkedService::Ecs => "AWSServiceRoleForECS",
            LinkedService::ElasticLoadBalancing => "AWSServiceRoleForElasticLoadBalancing",
            LinkedService::AutoScalingEcs => "AWSServiceRoleForApplicationAutoScaling_ECSService",
        }
    }

    const fn policy(self) -> &'static str {
        match self {
            LinkedService::Ecs => "arn:aws:iam::aws:policy/aws-service-role/AmazonECSServiceRolePolicy",
            LinkedService::ElasticLoadBalancing => {
                "arn:aws:iam::aws:policy/aws-service-role/AWSElasticLoadBalancingServiceRolePolicy"
            }
            LinkedService::AutoScalingEcs => {
                "arn:aws:iam::aws:policy/aws-service-role/AWSApplicationAutoscalingECSServicePolicy"
            }
        }
    }

    const fn description(self) -> &'static str {
        match self {
            LinkedService::Ecs => "Role to enable Amazon ECS to manage your cluster.",
            LinkedService::ElasticLoadBalancing => "Allows ELB to call AWS services on your behalf.",
            LinkedService::AutoScalingEcs => "Role to enable Application Auto Scaling to scale ECS services.",
        }
    }
}

/// The service's role in an account; made if it is not there yet.
pub fn ensure(rows: &mut Tx, account: &AccountId, service: LinkedService, now: Timestamp) -> Arc<Role> {
    if let Some(role) = rows.get::<Role>(&key(account, service.role_name())) {
        return role;
    }
    let principal = service.principal();
    rows.put(Role {
        account: account.clone(),
        name: service.role_name().to_owned(),
        path: format!("/aws-service-role/{principal}/"),
        id: unique_id("AROA", 17),
        trust: format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"{principal}"}},"Action":"sts:AssumeRole"}}]}}"#
        ),
        description: Some(service.description().to_owned()),
        max_session_duration: 3600,
        tags: BTreeMap::new(),
        inline: BTreeMap::new(),
        attached: BTreeSet::from([service.policy().to_owned()]),
        service: Some(principal.to_owned()),
        created_at: now,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateServiceLinkedRole {
    #[serde(rename = "AWSServiceName")]
    service_name: String,
    #[serde(rename = "Description")]
    description: Option<String>,
    #[serde(default, rename = "CustomSuffix")]
    _custom_suffix: OnlyDefault<Empty>,
}

pub(super) fn create_service_linked_role(
    rows: &mut Tx,
    context: &Context,
    request: CreateServiceLinkedRole,
) -> Result<OneRole, ApiError> {
    let resource =
        format!("arn:aws:iam::{}:role/aws-service-role/{}/*", context.account, request.service_name);
    authorize_on(rows, context, "iam:CreateServiceLinkedRole", &resource)?;
    let Some(service) =
        LinkedService::ALL.into_iter().find(|known| known.principal() == request.service_name)
    else {
        return Err(ApiError::unsupported(format_args!(
            "a service-linked role for {}; it has those of {}",
            request.service_name,
            LinkedService::ALL.map(LinkedService::principal).join(", ")
        )));
    };
    if rows.get::<Role>(&key(&context.account, service.role_name())).is_some() {
        // AWS's own code and words for this case.
        return Err(conflict(
            "InvalidInput",
            format!(
                "Service role name {} has been taken in this account, please try a different suffix.",
                service.role_name()
            ),
        )
        .with_status(http::StatusCode::BAD_REQUEST));
    }
    let mut role = (*ensure(rows, &context.account, service, context.now)).clone();
    if let Some(text) = request.description {
        role.description = Some(text);
    }
    let role = rows.put(role);
    Ok(OneRole { role: RoleShape::from(&*role) })
}
