//! NAT gateways: an interface in a subnet, with an elastic address (public) or without (private).
//!
//! The row keeps what was asked and what is over; whether a gateway works already is what the machine reports, and is
//! worked out when it is shown.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::{Snapshot, Tx};
use types::{
    AccountId, AddressAssociationId, AllocationId, NatGatewayId, NetworkInterfaceId, Region, SubnetId,
    Timestamp, VpcId,
};
use wire::ApiError;

use crate::context::Context;
use crate::ec2::interface::{self, NewInterface, Wanted};
use crate::ec2::nat_gateway_description::NatGatewayDescription;
use crate::ec2::tag::{self, TagSpecification};
use crate::ec2::{Resource, address, answer, internet_gateway, subnet};
use crate::machine::Reports;

/// A NAT gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NatGateway {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: NatGatewayId,
    /// Its VPC.
    pub vpc_id: VpcId,
    /// Its subnet.
    pub subnet_id: SubnetId,
    /// Whether it has a public address.
    pub public: bool,
    /// Its interface; None when it could not be made.
    pub interface_id: Option<NetworkInterfaceId>,
    /// The interface's private address.
    pub private_address: Option<Ipv4Addr>,
    /// The elastic address.
    pub elastic: Option<ElasticAddress>,
    /// How far it is.
    pub state: NatGatewayState,
    /// The commit that made it.
    pub sequence: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// The token that its CreateNatGateway call gave.
    pub client_token: Option<String>,
}

/// The elastic address of a NAT gateway, also after its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElasticAddress {
    /// Its allocation.
    pub allocation_id: AllocationId,
    /// The address.
    pub public_address: Ipv4Addr,
    /// Its association; None when it failed.
    pub association_id: Option<AddressAssociationId>,
}

/// How far a NAT gateway is, as far as rows know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NatGatewayState {
    /// It was asked for; it works when the machine says so.
    Created,
    /// The machine had it working once.
    Available,
    /// It could not be made.
    Failed {
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// It is gone; it is shown for an hour.
    Deleted {
        /// When.
        at: Timestamp,
        /// The commit that deleted it.
        sequence: u64,
    },
}

// It shows in the network through its interface alone, whose row is put and deleted with it.
super::row!(NatGateway, "ec2_nat_gateway", |_| Vec::new());

impl Resource for NatGateway {
    const TYPE: &'static str = "natgateway";
    const PREFIX: &'static str = NatGatewayId::PREFIX;

    fn not_found(id: &str) -> ApiError {
        ApiError::new("NatGatewayNotFound", format!("NatGateway {id} was not found"))
    }
}

/// How long a gateway that failed or was deleted is shown. Source: "Delete a NAT gateway" in the VPC user guide.
const SHOWN_AFTER_END: Duration = Duration::from_secs(3600);
/// How long the machine may report errors before a gateway counts as failed: the error may be of an earlier change.
const PATIENCE: Duration = Duration::from_secs(20);

impl NatGateway {
    /// Whether it holds an interface and an address.
    pub fn is_live(&self) -> bool {
        matches!(self.state, NatGatewayState::Created | NatGatewayState::Available)
    }

    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        match &self.state {
            NatGatewayState::Created | NatGatewayState::Available => false,
            NatGatewayState::Failed { .. } => now.since(self.created_at) > SHOWN_AFTER_END,
            NatGatewayState::Deleted { at, .. } => now.since(*at) > SHOWN_AFTER_END,
        }
    }

    /// The state that AWS shows, and for a failed gateway the code and the words.
    pub(super) fn shown(
        &self,
        reports: &Reports,
        now: Timestamp,
    ) -> (&'static str, Option<(String, String)>) {
        let status = reports.vpcs.get(&self.vpc_id);
        let applied = |sequence: u64| status.is_some_and(|status| status.generation >= sequence);
        match &self.state {
            NatGatewayState::Available => ("available", None),
            NatGatewayState::Created if applied(self.sequence) => ("available", None),
            NatGatewayState::Created => match status.and_then(|status| status.error.clone()) {
                Some(error) if now.since(self.created_at) > PATIENCE => {
                    ("failed", Some(("InternalError".to_owned(), error)))
                }
                _ => ("pending", None),
            },
            NatGatewayState::Failed { code, message } => ("failed", Some((code.clone(), message.clone()))),
            NatGatewayState::Deleted { sequence, .. } if status.is_none() || applied(*sequence) => {
                ("deleted", None)
            }
            NatGatewayState::Deleted { .. } => ("deleting", None),
        }
    }
}

/// The NAT gateway of this id, which is not failed or deleted.
///
/// # Errors
/// NatGatewayNotFound
pub fn get(rows: &Snapshot, context: &Context, id: &str) -> Result<Arc<NatGateway>, ApiError> {
    let gateway = super::get::<NatGateway>(rows, context, id)?;
    if gateway.is_live() { Ok(gateway) } else { Err(NatGateway::not_found(id)) }
}

/// Writes down which gateways the machine has working, so that they stay available while it says nothing (after a
/// restart), and forgets those that ended an hour ago. For a reconciler; cheap when there is nothing to do.
pub fn settle(rows: &mut Tx, reports: &Reports, now: Timestamp) {
    let all: Vec<Arc<NatGateway>> = rows.scan::<NatGateway>("").collect();
    for gateway in all {
        let key = store::Row::key(&*gateway);
        if gateway.is_forgotten(now) {
            rows.delete::<tag::TagSet>(&key);
            rows.delete::<NatGateway>(&key);
        } else if gateway.state == NatGatewayState::Created && gateway.shown(reports, now).0 == "available" {
            rows.put(NatGateway { state: NatGatewayState::Available, ..(*gateway).clone() });
        }
    }
}

/// Whether [`settle`] has anything to do: no write is queued for nothing.
pub fn is_unsettled(rows: &Snapshot, reports: &Reports, now: Timestamp) -> bool {
    rows.scan::<NatGateway>("").any(|gateway| {
        gateway.is_forgotten(now)
            || (gateway.state == NatGatewayState::Created && gateway.shown(reports, now).0 == "available")
    })
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ConnectivityType {
    #[default]
    Public,
    Private,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateNatGateway {
    subnet_id: String,
    allocation_id: Option<String>,
    #[serde(default)]
    connectivity_type: ConnectivityType,
    private_ip_address: Option<Ipv4Addr>,
    client_token: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateNatGatewayResponse {
    nat_gateway: NatGatewayDescription,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<String>,
}

pub(super) fn create(
    rows: &mut Tx,
    context: &Context,
    request: CreateNatGateway,
) -> Result<CreateNatGatewayResponse, ApiError> {
    let token = request.client_token.clone().filter(|token| !token.is_empty());
    let earlier = token.as_ref().and_then(|token| {
        rows.scan::<NatGateway>(&context.prefix())
            .find(|gateway| gateway.client_token.as_ref() == Some(token))
    });
    let public = request.connectivity_type == ConnectivityType::Public;
    let gateway = match earlier {
        Some(gateway) => {
            let allocation = gateway.elastic.as_ref().map(|elastic| elastic.allocation_id.as_str());
            let other_address =
                request.private_ip_address.is_some() && request.private_ip_address != gateway.private_address;
            if other_address
                || gateway.subnet_id.as_str() != request.subnet_id
                || gateway.public != public
                || allocation != request.allocation_id.as_deref()
            {
                return Err(ApiError::new(
                    "IdempotentParameterMismatch",
                    "The client token was used before with other parameters.",
                ));
            }
            gateway
        }
        None => {
            let gateway = make(rows, context, &request, public, token.clone())?;
            tag::specify::<NatGateway>(rows, context, &gateway.id, &request.tag_specification)?;
            gateway
        }
    };
    let nat_gateway = NatGatewayDescription::new(rows, context, &gateway);
    answer(request.dry_run, CreateNatGatewayResponse { nat_gateway, client_token: token })
}

fn make(
    rows: &mut Tx,
    context: &Context,
    request: &CreateNatGateway,
    public: bool,
    client_token: Option<String>,
) -> Result<Arc<NatGateway>, ApiError> {
    let subnet = subnet::get(rows, context, &request.subnet_id)?;
    let elastic = match (public, request.allocation_id.as_deref()) {
        (true, Some(id)) => Some(address::get(rows, context, id)?),
        (true, None) => {
            return Err(ApiError::new(
                "MissingParameter",
                "The request must contain the parameter AllocationId for a public NAT gateway",
            ));
        }
        (false, None) => None,
        (false, Some(_)) => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "A private NAT gateway has no AllocationId",
            ));
        }
    };
    let mut gateway = NatGateway {
        account: context.account.clone(),
        region: context.region.clone(),
        id: NatGatewayId::mint(),
        vpc_id: subnet.vpc_id.clone(),
        subnet_id: subnet.id.clone(),
        public,
        interface_id: None,
        private_address: None,
        elastic: elastic.as_ref().map(|elastic| ElasticAddress {
            allocation_id: elastic.id.clone(),
            public_address: elastic.public_address,
            association_id: None,
        }),
        state: NatGatewayState::Created,
        sequence: rows.next_sequence(),
        created_at: context.now,
        client_token,
    };
    // What AWS finds out only while it makes the gateway is a failed gateway, not a refused call.
    let fail = |code: &str, message: String| NatGatewayState::Failed { code: code.to_owned(), message };
    if let Some(taken) = elastic.as_ref().filter(|elastic| elastic.association.is_some()) {
        gateway.state = fail(
            "Resource.AlreadyAssociated",
            format!("Elastic IP address [{}] is already associated", taken.id),
        );
        return Ok(rows.put(gateway));
    }
    if public && internet_gateway::attached(rows, context, &subnet.vpc_id).is_none() {
        gateway.state = fail(
            "Gateway.NotAttached",
            format!("Network {} has no Internet gateway attached", subnet.vpc_id),
        );
        return Ok(rows.put(gateway));
    }
    let new = NewInterface {
        subnet: &request.subnet_id,
        security_groups: &[],
        description: format!("Interface for NAT Gateway {}", gateway.id),
        kind: desired::InterfaceKind::NatGateway,
        public_address: false,
        requester: "amazon-aws",
    };
    let wanted = Wanted { primary: request.private_ip_address, ..Wanted::default() };
    let interface = match interface::create_at(rows, context, new, &wanted) {
        Ok(interface) => interface,
        Err(error) if error.code == "InsufficientFreeAddressesInSubnet" => {
            gateway.state = fail(
                "InsufficientFreeAddressesInSubnet",
                format!("Subnet {} has insufficient free addresses to create this NAT gateway", subnet.id),
            );
            return Ok(rows.put(gateway));
        }
        Err(error) => return Err(error),
    };
    gateway.interface_id = Some(interface.id.clone());
    gateway.private_address = Some(interface.private_address);
    if let Some(elastic) = &mut gateway.elastic {
        let address = address::lead_to(rows, context, elastic.allocation_id.as_str(), &interface.id)?;
        elastic.association_id = address.association.as_ref().map(|one| one.id.clone());
    }
    Ok(rows.put(gateway))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteNatGateway {
    nat_gateway_id: String,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteNatGatewayResponse {
    nat_gateway_id: String,
}

pub(super) fn delete(
    rows: &mut Tx,
    context: &Context,
    request: DeleteNatGateway,
) -> Result<DeleteNatGatewayResponse, ApiError> {
    let gateway = super::get::<NatGateway>(rows, context, &request.nat_gateway_id)?;
    if !matches!(gateway.state, NatGatewayState::Deleted { .. }) {
        if let Some(id) = &gateway.interface_id {
            interface::delete(rows, context, id.as_str());
        }
        // One that failed had no interface: nothing changes on the machine, and no report is to be waited for.
        let sequence = if gateway.interface_id.is_some() { rows.next_sequence() } else { 0 };
        let state = NatGatewayState::Deleted { at: context.now, sequence };
        rows.put(NatGateway { state, ..(*gateway).clone() });
    }
    answer(request.dry_run, DeleteNatGatewayResponse { nat_gateway_id: gateway.id.to_string() })
}
