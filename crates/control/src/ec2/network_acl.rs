//! Network ACLs: every VPC's default one, which allows all, and those that are made, which deny all at first.

use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{AccountId, NetworkAclAssociationId, NetworkAclId, PartId, Region, SubnetId, VpcId};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::network_acl_description::NetworkAclDescription;
use crate::ec2::network_acl_entry::Entry;
use crate::ec2::tag::{self, TagSpecification};
use crate::ec2::{DONE, Done, Resource, answer, has_dependencies, vpc};

/// A network ACL.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NetworkAcl {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: NetworkAclId,
    /// Its VPC.
    pub vpc_id: VpcId,
    /// Whether new subnets get it.
    pub is_default: bool,
    /// Its entries by number, those for packets that enter a subnet. The last one, 32767, denies all and is not kept.
    pub ingress: Vec<Entry>,
    /// Those for packets that leave a subnet.
    pub egress: Vec<Entry>,
    /// The subnets that it holds for.
    pub associations: Vec<Association>,
    /// The token that its CreateNetworkAcl call gave.
    #[serde(default)]
    pub client_token: Option<String>,
}

/// A subnet's ACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Association {
    /// Its id.
    pub id: NetworkAclAssociationId,
    /// The subnet.
    pub subnet_id: SubnetId,
}

super::row!(NetworkAcl, "ec2_network_acl", |acl| vec![PartId::Vpc(acl.vpc_id.clone())]);

impl Resource for NetworkAcl {
    const TYPE: &'static str = "network-acl";
    const PREFIX: &'static str = NetworkAclId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new("InvalidNetworkAclID.NotFound", format!("The networkAcl ID '{id}' does not exist"))
    }
}

/// The network ACL of this id in the caller's account and region.
///
/// # Errors
/// InvalidNetworkAclID.NotFound
pub fn get(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<NetworkAcl>, ApiError> {
    super::get(rows, context, id)
}

/// The most ACLs of a VPC. Source: "Amazon VPC quotas".
const MOST: usize = 200;

/// Makes a new VPC's default ACL.
pub(super) fn create_default(rows: &mut Tx, context: &Context, vpc_id: &VpcId) -> NetworkAclId {
    let all = vec![Entry {
        number: 100,
        allow: true,
        protocol: desired::Protocol::All,
        ports: None,
        cidr_block: Ipv4Net::default().into(),
    }];
    let acl = rows.put(NetworkAcl {
        account: context.account.clone(),
        region: context.region.clone(),
        id: NetworkAclId::mint(),
        vpc_id: vpc_id.clone(),
        is_default: true,
        ingress: all.clone(),
        egress: all,
        associations: Vec::new(),
        client_token: None,
    });
    acl.id.clone()
}

/// Gives a subnet its ACL, and says by which association.
pub(super) fn associate(
    rows: &mut Tx,
    context: &Context,
    id: &NetworkAclId,
    subnet_id: &SubnetId,
) -> NetworkAclAssociationId {
    let association = NetworkAclAssociationId::mint();
    if let Some(acl) = rows.get::<NetworkAcl>(&context.key(id)) {
        let mut acl = (*acl).clone();
        acl.associations.push(Association { id: association.clone(), subnet_id: subnet_id.clone() });
        rows.put(acl);
    }
    association
}

/// Ends the association of a subnet that is deleted or gets another ACL.
pub(super) fn forget_subnet(rows: &mut Tx, context: &Context, subnet_id: &SubnetId) {
    let of_subnet = |acl: &NetworkAcl| acl.associations.iter().any(|one| one.subnet_id == *subnet_id);
    let found = rows.scan::<NetworkAcl>(&context.prefix()).find(|acl| of_subnet(acl));
    if let Some(acl) = found {
        let mut acl = (*acl).clone();
        acl.associations.retain(|one| one.subnet_id != *subnet_id);
        rows.put(acl);
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateNetworkAcl {
    vpc_id: String,
    client_token: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateNetworkAclResponse {
    network_acl: NetworkAclDescription,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<String>,
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateNetworkAcl,
) -> Result<CreateNetworkAclResponse, ApiError> {
    let vpc = vpc::get(rows, context, &request.vpc_id)?;
    let client_token = request.client_token.filter(|token| !token.is_empty());
    let prefix = context.prefix();
    let earlier = client_token.as_ref().and_then(|token| {
        rows.scan::<NetworkAcl>(&prefix).find(|acl| acl.client_token.as_ref() == Some(token))
    });
    let acl = match earlier {
        Some(acl) if acl.vpc_id == vpc.id => acl,
        Some(_) => {
            return Err(ApiError::new(
                "IdempotentParameterMismatch",
                "The client token you have provided is associated with a resource that has different parameters.",
            ));
        }
        None => {
            if rows.scan::<NetworkAcl>(&prefix).filter(|acl| acl.vpc_id == vpc.id).count() >= MOST {
                return Err(ApiError::new(
                    "NetworkAclLimitExceeded",
                    "The maximum number of network ACLs has been reached.",
                ));
            }
            let acl = rows.put(NetworkAcl {
                account: context.account.clone(),
                region: context.region.clone(),
                id: NetworkAclId::mint(),
                vpc_id: vpc.id.clone(),
                is_default: false,
                ingress: Vec::new(),
                egress: Vec::new(),
                associations: Vec::new(),
                client_token: client_token.clone(),
            });
            tag::specify::<NetworkAcl>(rows, context, &acl.id, &request.tag_specification)?;
            acl
        }
    };
    let network_acl = NetworkAclDescription::new(rows, context, &acl);
    answer(request.dry_run, CreateNetworkAclResponse { network_acl, client_token })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteNetworkAcl {
    network_acl_id: String,
    dry_run: Option<bool>,
}

pub(super) fn delete(rows: &mut Tx, context: &Context, request: DeleteNetworkAcl) -> Result<Done, ApiError> {
    let acl = get(rows, context, &request.network_acl_id)?;
    if acl.is_default {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("cannot delete default network ACL {}", acl.id),
        ));
    }
    if !acl.associations.is_empty() {
        return Err(has_dependencies("networkAcl", &acl.id));
    }
    tag::forget(rows, context, &acl.id);
    rows.delete::<NetworkAcl>(&context.key(&acl.id));
    answer(request.dry_run, DONE)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReplaceNetworkAclAssociation {
    association_id: String,
    network_acl_id: String,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplaceNetworkAclAssociationResponse {
    new_association_id: String,
}

pub(super) fn replace_association(
    rows: &mut Tx,
    context: &Context,
    request: ReplaceNetworkAclAssociation,
) -> Result<ReplaceNetworkAclAssociationResponse, ApiError> {
    let id = &request.association_id;
    let found = rows.scan::<NetworkAcl>(&context.prefix()).find_map(|acl| {
        let association = acl.associations.iter().find(|one| one.id.as_str() == *id)?;
        Some((acl.vpc_id.clone(), association.subnet_id.clone()))
    });
    let Some((vpc_id, subnet_id)) = found else {
        return Err(ApiError::new(
            "InvalidAssociationID.NotFound",
            format!("The association ID '{id}' does not exist"),
        ));
    };
    let acl = get(rows, context, &request.network_acl_id)?;
    if acl.vpc_id != vpc_id {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("networkAcl {} and subnet {subnet_id} belong to different networks", acl.id),
        ));
    }
    forget_subnet(rows, context, &subnet_id);
    let new = associate(rows, context, &acl.id, &subnet_id);
    answer(request.dry_run, ReplaceNetworkAclAssociationResponse { new_association_id: new.to_string() })
}
