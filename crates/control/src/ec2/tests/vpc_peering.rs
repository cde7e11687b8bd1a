use std::time::Duration;

use types::{Timestamp, VpcId};

use super::Stack;
use crate::Service;
use crate::ec2::vpc_peering::{self, PeeringState, VpcPeeringConnection};
use crate::testing::element;

/// A stack with a second VPC beside its own.
struct Two {
    stack: Stack,
    peer: String,
}

impl Two {
    fn new() -> Self {
        let stack = Stack::new();
        let peer = element(&stack.ok("CreateVpc", "CidrBlock=10.195.0.0/16"), "vpcId").to_owned();
        Self { stack, peer }
    }

    /// Asks for a connection to the second VPC.
    fn asked(&self) -> String {
        let text =
            self.stack.ok("CreateVpcPeeringConnection", &format!("VpcId={{vpc}}&PeerVpcId={}", self.peer));
        assert_eq!(element(&text, "code"), "initiating-request", "{text}");
        assert_eq!(element(&text, "message"), "Initiating Request to 000000000001");
        element(&text, "vpcPeeringConnectionId").to_owned()
    }

    fn call(&self, action: &str, id: &str) -> String {
        self.stack.ok(action, &format!("VpcPeeringConnectionId={id}"))
    }

    fn described(&self, id: &str) -> String {
        self.stack.ok("DescribeVpcPeeringConnections", &format!("VpcPeeringConnectionId.1={id}"))
    }

    #[track_caller]
    fn is(&self, id: &str, code: &str, message: &str) {
        let text = self.described(id);
        assert_eq!((element(&text, "code"), element(&text, "message")), (code, message), "{text}");
    }

    #[track_caller]
    fn refused(&self, action: &str, id: &str, code: &str, words: &str) {
        self.stack.refused(action, &format!("VpcPeeringConnectionId={id}"), code, words);
    }

    /// The group of the second VPC that a rule may refer to.
    fn far_group(&self) -> String {
        let body = format!("VpcId={}&GroupName=far&GroupDescription=far", self.peer);
        element(&self.stack.ok("CreateSecurityGroup", &body), "groupId").to_owned()
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut VpcPeeringConnection) + Send + 'static) {
        let (context, id) = (self.stack.context(), id.to_owned());
        let written: Result<(), wire::ApiError> = self
            .stack
            .fixture
            .api
            .store
            .write(move |rows| {
                let mut peering = (*vpc_peering::get(rows, &context, &id)?).clone();
                change(&mut peering);
                rows.put(peering);
                Ok(())
            })
            .unwrap();
        written.unwrap();
    }
}

fn from(group: &str) -> String {
    format!("GroupId={{group}}&IpPermissions.1.IpProtocol=-1&IpPermissions.1.Groups.1.GroupId={group}")
}

#[test]
fn a_connection_is_asked_for_accepted_and_deleted() {
    let two = Two::new();
    let id = two.asked();
    two.is(&id, "pending-acceptance", "Pending Acceptance by 000000000001");
    assert!(!two.described(&id).contains("10.195.0.0/16"), "the accepter's range is not told yet");
    let words = format!("Peering {id} is not active. Peering options can be added only to active peerings.");
    let dns = "AccepterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc=true";
    let modify = format!("VpcPeeringConnectionId={id}&{dns}");
    two.stack.refused("ModifyVpcPeeringConnectionOptions", &modify, "OperationNotPermitted", &words);
    assert_eq!(element(&two.call("AcceptVpcPeeringConnection", &id), "code"), "provisioning");
    two.is(&id, "active", "Active");
    two.stack.ok("ModifyVpcPeeringConnectionOptions", &modify);
    let text = two.described(&id);
    assert!(text.contains("10.194.0.0/16") && text.contains("10.195.0.0/16"), "{text}");
    assert_eq!(text.matches("<allowDnsResolutionFromRemoteVpc>true<").count(), 1, "{text}");
    let classic =
        modify.replace("AllowDnsResolutionFromRemoteVpc", "AllowEgressFromLocalVpcToRemoteClassicLink");
    two.stack.refused("ModifyVpcPeeringConnectionOptions", &classic, "InvalidParameterValue", "ClassicLink");
    let again = format!("VpcId={}&PeerVpcId={{vpc}}", two.peer);
    two.stack.refused("CreateVpcPeeringConnection", &again, "VpcPeeringConnectionAlreadyExists", &two.peer);
    two.call("DeleteVpcPeeringConnection", &id);
    two.is(&id, "deleted", "Deleted by 000000000001");
    let words =
        format!("Invalid state transition for {id}, attempted to transition from deleted to deleting");
    two.refused("DeleteVpcPeeringConnection", &id, "InvalidStateTransition", &words);
    two.refused("DeleteVpcPeeringConnection", "pcx-1", "InvalidVpcPeeringConnectionID.NotFound", "'pcx-1'");
    two.asked();
}

#[test]
fn a_request_is_rejected_or_expires_and_is_forgotten() {
    let two = Two::new();
    let id = two.asked();
    two.call("RejectVpcPeeringConnection", &id);
    two.is(&id, "rejected", "Rejected by 000000000001");
    two.refused("AcceptVpcPeeringConnection", &id, "InvalidStateTransition", "from rejected to provisioning");
    two.refused("DeleteVpcPeeringConnection", &id, "InvalidStateTransition", "from rejected to deleting");
    let day = Duration::from_secs(24 * 3600);
    let ago = |days: i64| Timestamp::from_millis(Timestamp::now().as_millis() - days * 24 * 3600 * 1000);
    let old = two.asked();
    two.change(&old, move |peering| peering.created_at = ago(8));
    two.is(&old, "expired", "Expired");
    two.refused("AcceptVpcPeeringConnection", &old, "InvalidStateTransition", "from expired to provisioning");
    two.change(&old, move |peering| peering.created_at = ago(10));
    two.refused("AcceptVpcPeeringConnection", &old, "InvalidVpcPeeringConnectionID.NotFound", "");
    let later = Timestamp::now().plus(day);
    let swept: Result<(), wire::ApiError> = two
        .stack
        .fixture
        .api
        .store
        .write(move |rows| {
            vpc_peering::forget_old(rows, later);
            Ok(())
        })
        .unwrap();
    swept.unwrap();
    assert_eq!(two.stack.fixture.api.store.snapshot().scan::<VpcPeeringConnection>("").count(), 0);
}

#[test]
fn vpcs_that_overlap_or_are_not_there_cannot_be_peered() {
    let two = Two::new();
    let overlapping = element(&two.stack.ok("CreateVpc", "CidrBlock=10.194.128.0/20"), "vpcId").to_owned();
    for peer in [overlapping.as_str(), "vpc-0123456789abcdef0", &two.stack.vpc] {
        let body = format!("VpcId={{vpc}}&PeerVpcId={peer}");
        let text = two.stack.ok("CreateVpcPeeringConnection", &body);
        assert_eq!(element(&text, "code"), "initiating-request");
        let id = element(&text, "vpcPeeringConnectionId");
        two.is(id, "failed", "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range");
        two.refused("DeleteVpcPeeringConnection", id, "InvalidStateTransition", "from failed to deleting");
    }
    let other = format!("VpcId={{vpc}}&PeerVpcId={}&PeerOwnerId=000000000002", two.peer);
    two.stack.refused("CreateVpcPeeringConnection", &other, "UnsupportedOperation", "000000000002");
}

#[test]
fn a_connection_between_regions_is_accepted_in_the_accepters() {
    let stack = Stack::new();
    let far = |action: &str, body: &str| stack.fixture.call_in("us-east-1", Service::Ec2, action, body);
    let (_, text) = far("CreateVpc", "CidrBlock=10.195.0.0/16");
    let peer = element(&text, "vpcId");
    let body = format!("VpcId={{vpc}}&PeerVpcId={peer}&PeerRegion=us-east-1");
    let text = stack.ok("CreateVpcPeeringConnection", &body);
    let body = format!("VpcPeeringConnectionId={}", element(&text, "vpcPeeringConnectionId"));
    stack.refused("AcceptVpcPeeringConnection", &body, "OperationNotPermitted", "in region us-east-1");
    let (status, text) = far("AcceptVpcPeeringConnection", &body);
    assert_eq!((status, element(&text, "code")), (200, "provisioning"), "{text}");
    let options = format!("{body}&AccepterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc=true");
    stack.refused("ModifyVpcPeeringConnectionOptions", &options, "OperationNotPermitted", "us-east-1");
    assert_eq!(far("ModifyVpcPeeringConnectionOptions", &options).0, 200);
    let tags = format!("ResourceId.1={}&Tag.1.Key=a&Tag.1.Value=b", body.split('=').next_back().unwrap());
    assert_eq!(far("CreateTags", &tags).0, 200);
    let here = stack.ok("DescribeVpcPeeringConnections", "");
    assert!(here.contains("<code>active</code>") && !here.contains("<key>a</key>"), "{here}");
    let there = far("DescribeVpcPeeringConnections", "").1;
    assert!(there.contains("<key>a</key>") && there.contains("<region>ap-northeast-2</region>"), "{there}");
    stack.refused(
        "CreateVpcPeeringConnection",
        &format!("VpcId={{vpc}}&PeerVpcId={peer}&PeerRegion=us-east-1"),
        "VpcPeeringConnectionAlreadyExists",
        peer,
    );
    // In this region there is no such VPC.
    let lost = stack.ok("CreateVpcPeeringConnection", &format!("VpcId={{vpc}}&PeerVpcId={peer}"));
    let shown = element(&lost, "vpcPeeringConnectionId");
    let shown = stack.ok("DescribeVpcPeeringConnections", &format!("VpcPeeringConnectionId.1={shown}"));
    assert_eq!(element(&shown, "code"), "failed");
    stack.interface(vec![], false).unwrap();
    let rows = stack.fixture.api.store.snapshot();
    let context = stack.context();
    let id = stack.vpc.as_str().into();
    let network = crate::project::vpc::project(&rows, &context.account, &context.region, &id).unwrap();
    assert!(network.peerings[0].between_regions);
    // A rule cannot refer to a group of another region.
    let (_, text) = far("DescribeSecurityGroups", "");
    stack.refused(
        "AuthorizeSecurityGroupIngress",
        &from(element(&text, "groupId")),
        "InvalidGroup.NotFound",
        "",
    );
}

#[test]
fn a_deleted_vpc_ends_its_connections() {
    let two = Two::new();
    let id = two.asked();
    two.call("AcceptVpcPeeringConnection", &id);
    two.stack.ok("DeleteVpc", &format!("VpcId={}", two.peer));
    two.is(&id, "deleted", "Deleted by 000000000001");
    let rows = two.stack.fixture.api.store.snapshot();
    let context = two.stack.context();
    let [peering] = &vpc_peering::of_vpc(&rows, &context.account, &VpcId::from(two.stack.vpc.as_str()))[..]
    else {
        panic!("one connection");
    };
    assert!(matches!(peering.state, PeeringState::Deleted(_)));
}

#[test]
fn a_rule_refers_to_a_peers_group_until_it_is_stale() {
    let two = Two::new();
    let group = two.far_group();
    let words = format!("{group} is not in {{vpc}}");
    two.stack.refused("AuthorizeSecurityGroupIngress", &from(&group), "InvalidGroup.NotFound", &words);
    let id = two.asked();
    two.stack.refused("AuthorizeSecurityGroupIngress", &from(&group), "InvalidGroup.NotFound", &words);
    two.call("AcceptVpcPeeringConnection", &id);
    let wrong = format!("{}&IpPermissions.1.Groups.1.VpcId={{vpc}}", from(&group));
    two.stack.refused("AuthorizeSecurityGroupIngress", &wrong, "InvalidGroup.NotFound", "");
    let text = two.stack.ok("AuthorizeSecurityGroupIngress", &from(&group));
    for (name, value) in
        [("vpcId", two.peer.as_str()), ("vpcPeeringConnectionId", &id), ("peeringStatus", "active")]
    {
        assert_eq!(element(&text, name), value, "{text}");
    }
    let text = two.stack.ok("DescribeSecurityGroups", "GroupId.1={group}");
    assert_eq!(element(&text, "peeringStatus"), "active", "{text}");
    let by_name = "Filter.1.Name=ip-permission.group-name&Filter.1.Value.1=far";
    let text = two.stack.ok("DescribeSecurityGroups", by_name);
    assert_eq!(element(&text, "groupName"), "app", "{text}");
    let text = two.stack.ok("DescribeSecurityGroupReferences", &format!("GroupId.1={group}"));
    assert_eq!(element(&text, "referencingVpcId"), two.stack.vpc);
    let stale = || two.stack.ok("DescribeStaleSecurityGroups", "VpcId={vpc}");
    assert!(!stale().contains(&group));
    two.stack.refused("AuthorizeSecurityGroupIngress", &from(&group), "InvalidPermission.Duplicate", "");
    // A group goes though a peer's rule refers to it.
    two.stack.ok("DeleteSecurityGroup", &format!("GroupId={group}"));
    assert_eq!(element(&stale(), "peeringStatus"), "active");
    two.call("DeleteVpcPeeringConnection", &id);
    let text = stale();
    assert_eq!(element(&text, "peeringStatus"), "deleted");
    assert_eq!(element(&text, "groupName"), "app");
    two.stack.ok("RevokeSecurityGroupIngress", &from(&group));
    assert!(!stale().contains(&group));
    two.stack.refused("AuthorizeSecurityGroupIngress", &from(&group), "InvalidGroup.NotFound", "");
}
