//! Projecting the parts that are marked dirty gives the same as projecting everything.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use desired::{Body, LoadBalancerStatus, Observation};
use proptest::prelude::*;
use types::PartId;

use crate::Service::{self, Ec2, Ecs, Elbv2};
use crate::elbv2::load_balancer::{self, LoadBalancer};
use crate::project::project;
use crate::reconcile::every_part;
use crate::schedule::tests::world::World;
use crate::testing::element;

/// A call, its body with `{pool}` for a thing made earlier and `{a|b}` for a choice, and where the thing that it makes
/// is found in the answer.
type Call = (Service, &'static str, &'static str, Option<(&'static str, &'static str)>);

const CALLS: &[Call] = &[
    (Ec2, "CreateVpc", "CidrBlock=10.1.0.0/16", Some(("vpc", "vpcId"))),
    (Ec2, "ModifyVpcAttribute", "VpcId={vpc}&EnableDnsSupport.Value={true|false}", None),
    (Ec2, "ModifyVpcAttribute", "VpcId={vpc}&EnableDnsHostnames.Value={true|false}", None),
    (Ec2, "DeleteVpc", "VpcId={vpc}", None),
    (
        Ec2,
        "CreateSubnet",
        "VpcId={vpc}&CidrBlock=10.{194|1}.{1|2|3|4}.0/24&AvailabilityZone=ap-northeast-2{a|b|c}",
        Some(("subnet", "subnetId")),
    ),
    (Ec2, "DeleteSubnet", "SubnetId={subnet}", None),
    (Ec2, "ModifySubnetAttribute", "SubnetId={subnet}&MapPublicIpOnLaunch.Value={true|false}", None),
    (Ec2, "CreateInternetGateway", "", Some(("gateway", "internetGatewayId"))),
    (Ec2, "AttachInternetGateway", "InternetGatewayId={gateway}&VpcId={vpc}", None),
    (Ec2, "DetachInternetGateway", "InternetGatewayId={gateway}&VpcId={vpc}", None),
    (Ec2, "CreateRouteTable", "VpcId={vpc}", Some(("table", "routeTableId"))),
    (Ec2, "DeleteRouteTable", "RouteTableId={table}", None),
    (
        Ec2,
        "CreateRoute",
        "RouteTableId={table}&DestinationCidrBlock={0.0.0.0/0|9.0.0.0/8}&GatewayId={gateway}",
        None,
    ),
    (
        Ec2,
        "CreateRoute",
        "RouteTableId={table}&DestinationCidrBlock={0.0.0.0/0|8.0.0.0/8}&NatGatewayId={nat}",
        None,
    ),
    (Ec2, "ReplaceRoute", "RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&NatGatewayId={nat}", None),
    (Ec2, "DeleteRoute", "RouteTableId={table}&DestinationCidrBlock={0.0.0.0/0|9.0.0.0/8}", None),
    (
        Ec2,
        "AssociateRouteTable",
        "RouteTableId={table}&SubnetId={subnet}",
        Some(("association", "associationId")),
    ),
    (Ec2, "DisassociateRouteTable", "AssociationId={association}", None),
    (
        Ec2,
        "ReplaceRouteTableAssociation",
        "AssociationId={association}&RouteTableId={table}",
        Some(("association", "newAssociationId")),
    ),
    (Ec2, "AllocateAddress", "", Some(("address", "allocationId"))),
    (Ec2, "ReleaseAddress", "AllocationId={address}", None),
    (Ec2, "CreateNatGateway", "SubnetId={subnet}&AllocationId={address}", Some(("nat", "natGatewayId"))),
    (Ec2, "CreateNatGateway", "SubnetId={subnet}&ConnectivityType=private", Some(("nat", "natGatewayId"))),
    (Ec2, "DeleteNatGateway", "NatGatewayId={nat}", None),
    (
        Ec2,
        "CreateVpcEndpoint",
        "VpcId={vpc}&ServiceName=com.amazonaws.ap-northeast-2.s3&RouteTableId.1={table}",
        Some(("endpoint", "vpcEndpointId")),
    ),
    (
        Ec2,
        "CreateVpcEndpoint",
        "VpcId={vpc}&VpcEndpointType=Interface&ServiceName=com.amazonaws.ap-northeast-2.ecr.{api|dkr}&SubnetId.1={subnet}&PrivateDnsEnabled={true|false}",
        Some(("endpoint", "vpcEndpointId")),
    ),
    (Ec2, "ModifyVpcEndpoint", "VpcEndpointId={endpoint}&{Add|Remove}SubnetId.1={subnet}", None),
    (Ec2, "ModifyVpcEndpoint", "VpcEndpointId={endpoint}&{Add|Remove}RouteTableId.1={table}", None),
    (Ec2, "ModifyVpcEndpoint", "VpcEndpointId={endpoint}&{Add|Remove}SecurityGroupId.1={group}", None),
    (Ec2, "ModifyVpcEndpoint", "VpcEndpointId={endpoint}&PrivateDnsEnabled={true|false}", None),
    (Ec2, "DeleteVpcEndpoints", "VpcEndpointId.1={endpoint}", None),
    (Ec2, "CreateNetworkInterface", "SubnetId={subnet}", Some(("interface", "networkInterfaceId"))),
    (Ec2, "AssociateAddress", "NetworkInterfaceId={interface}&AllocationId={address}", None),
    (Ec2, "DeleteNetworkInterface", "NetworkInterfaceId={interface}", None),
    (
        Ec2,
        "CreateSecurityGroup",
        "VpcId={vpc}&GroupName={g|h}&GroupDescription=d",
        Some(("group", "groupId")),
    ),
    (Ec2, "DeleteSecurityGroup", "GroupId={group}", None),
    (
        Ec2,
        "AuthorizeSecurityGroupIngress",
        "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort={80|81}&IpPermissions.1.ToPort=90&IpPermissions.1.Groups.1.GroupId={group}",
        None,
    ),
    (
        Ec2,
        "RevokeSecurityGroupEgress",
        "GroupId={group}&IpPermissions.1.IpProtocol=-1&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0",
        None,
    ),
    (Ec2, "CreateTags", "ResourceId.1={vpc}&Tag.1.Key=Name&Tag.1.Value={a|b}", None),
    (
        Elbv2,
        "CreateLoadBalancer",
        "Name={m|n|o}&Subnets.member.1={subnet}&Subnets.member.2={subnet}&Scheme={internal|internet-facing}",
        Some(("balancer", "LoadBalancerArn")),
    ),
    (Elbv2, "DeleteLoadBalancer", "LoadBalancerArn={balancer}", None),
    (Elbv2, "SetSecurityGroups", "LoadBalancerArn={balancer}&SecurityGroups.member.1={group}", None),
    (
        Elbv2,
        "ModifyLoadBalancerAttributes",
        "LoadBalancerArn={balancer}&Attributes.member.1.Key=idle_timeout.timeout_seconds&Attributes.member.1.Value={5|6}",
        None,
    ),
    (
        Elbv2,
        "CreateTargetGroup",
        "Name={m|n|o}&Protocol=HTTP&Port=80&VpcId={vpc}&TargetType=ip",
        Some(("targets", "TargetGroupArn")),
    ),
    (Elbv2, "ModifyTargetGroup", "TargetGroupArn={targets}&HealthCheckPath=%2F{a|b}", None),
    (
        Elbv2,
        "ModifyTargetGroupAttributes",
        "TargetGroupArn={targets}&Attributes.member.1.Key=deregistration_delay.timeout_seconds&Attributes.member.1.Value={5|6}",
        None,
    ),
    (Elbv2, "DeleteTargetGroup", "TargetGroupArn={targets}", None),
    (
        Elbv2,
        "RegisterTargets",
        "TargetGroupArn={targets}&Targets.member.1.Id=10.194.{100|101|1}.{9|10}",
        None,
    ),
    (
        Elbv2,
        "DeregisterTargets",
        "TargetGroupArn={targets}&Targets.member.1.Id=10.194.{100|101|1}.{9|10}",
        None,
    ),
    (
        Elbv2,
        "CreateListener",
        "LoadBalancerArn={balancer}&Protocol=HTTP&Port={80|81}&DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={targets}",
        Some(("listener", "ListenerArn")),
    ),
    (
        Elbv2,
        "ModifyListener",
        "ListenerArn={listener}&Port={80|82}&DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={targets}",
        None,
    ),
    (
        Elbv2,
        "ModifyListener",
        "ListenerArn={listener}&DefaultActions.member.1.Type=fixed-response&DefaultActions.member.1.FixedResponseConfig.StatusCode=200",
        None,
    ),
    (Elbv2, "DeleteListener", "ListenerArn={listener}", None),
    (
        Elbv2,
        "AddTags",
        "ResourceArns.member.1={balancer}&Tags.member.1.Key=a&Tags.member.1.Value={a|b}",
        None,
    ),
    (Ecs, "UpdateService", r#"{"cluster":"c","service":"<app|other>","desiredCount":<0|1|2|3>}"#, None),
    (Ecs, "UpdateService", r#"{"cluster":"c","service":"<app|other>","forceNewDeployment":true}"#, None),
    (
        Ecs,
        "CreateService",
        r#"{"cluster":"c","serviceName":"<app|other>","taskDefinition":"app","desiredCount":<1|2>,"launchType":"FARGATE","networkConfiguration":{"awsvpcConfiguration":{"subnets":["{subnet}"]}},"loadBalancers":[{"targetGroupArn":"{targets}","containerName":"app","containerPort":3000}]}"#,
        None,
    ),
    (Ecs, "DeleteService", r#"{"cluster":"c","service":"<app|other>","force":true}"#, None),
    (
        Ecs,
        "RunTask",
        r#"{"cluster":"c","taskDefinition":"app","launchType":"FARGATE","networkConfiguration":{"awsvpcConfiguration":{"subnets":["{subnet}"],"assignPublicIp":"ENABLED"}}}"#,
        None,
    ),
];

/// What Landfall does by itself.
const OWN: [&str; 4] = ["schedule", "the machine follows", "the load balancers are ready", "time passes"];

struct Play {
    world: World,
    pools: BTreeMap<&'static str, Vec<String>>,
    dirty: Arc<Mutex<BTreeSet<PartId>>>,
    /// Kept up by projecting dirty parts alone.
    told: BTreeMap<PartId, Body>,
    log: Vec<String>,
}

impl Play {
    fn new() -> Self {
        let world = World::new(true);
        let dirty: Arc<Mutex<BTreeSet<PartId>>> = Arc::default();
        let marks = dirty.clone();
        world
            .fixture
            .api
            .store
            .watch(move |commit| marks.lock().unwrap().extend(commit.dirty.iter().cloned()));
        let rows = world.rows();
        let balancer = rows.scan::<LoadBalancer>("").next().unwrap();
        let listener = rows.scan::<crate::elbv2::listener::Listener>("").next().unwrap();
        let found =
            |action: &str, name: &str| vec![element(&world.fixture.ok(Ec2, action, ""), name).to_owned()];
        let pools = BTreeMap::from([
            ("gateway", found("DescribeInternetGateways", "internetGatewayId")),
            ("table", found("DescribeRouteTables", "routeTableId")),
            ("vpc", vec![world.vpc.clone()]),
            ("subnet", world.subnets.to_vec()),
            ("group", vec![world.group.clone()]),
            ("targets", vec![world.target_group.clone()]),
            ("balancer", vec![balancer.arn.clone()]),
            ("listener", vec![listener.arn.clone()]),
        ]);
        let mut play = Self { world, pools, dirty, told: BTreeMap::new(), log: Vec::new() };
        play.world.json("CreateService", &play.world.service(1, true));
        play.told = play.everything();
        play.dirty.lock().unwrap().clear();
        play
    }

    fn everything(&self) -> BTreeMap<PartId, Body> {
        let rows = self.world.rows();
        let mut all = every_part(&rows);
        all.extend(self.told.keys().cloned());
        all.into_iter()
            .filter_map(|id| Some((id.clone(), project(&rows, &self.world.fixture.api.settings, &id)?)))
            .collect()
    }

    /// Puts things and choices into a call's body. Gives the things too.
    fn fill(&self, body: &str, mut choice: usize) -> (String, Vec<String>) {
        let mut pick = |of: usize| {
            let at = choice % of;
            choice = choice / of + at * 7 + 1;
            at
        };
        let (mut filled, mut picked) = (String::new(), Vec::new());
        let mut rest = body;
        let is_json = body.starts_with('{');
        while let Some(open) = rest.find(['{', '<']) {
            filled += &rest[..open];
            let end = if rest[open..].starts_with('<') { '>' } else { '}' };
            let close = rest[open..].find(end).map(|at| open + at);
            let name = close.map_or("", |close| &rest[open + 1..close]);
            let things = self.pools.get(name);
            if let Some(things) = things.filter(|things| !things.is_empty()) {
                picked.push(things[pick(things.len())].clone());
                filled += &picked[picked.len() - 1];
            } else if name.contains('|') && !name.contains('"') {
                let options: Vec<&str> = name.split('|').collect();
                filled += options[pick(options.len())];
            } else if is_json {
                filled.push_str(&rest[open..=open]);
                rest = &rest[open + 1..];
                continue;
            } else {
                filled += "none";
            }
            rest = &rest[close.unwrap() + 1..];
        }
        (filled + rest, picked)
    }

    fn step(&mut self, which: usize, choice: usize) {
        let which = which % (CALLS.len() + OWN.len() * 3);
        if let Some((service, action, body, made)) = CALLS.get(which) {
            let takes_away =
                ["Delete", "Release", "Disassociate"].iter().any(|word| action.starts_with(word));
            if takes_away && !["DeleteSubnet", "DeleteVpc"].contains(action) && !choice.is_multiple_of(3) {
                // Else little would live long enough to be used.
                return;
            }
            let (body, picked) = self.fill(body, choice);
            let (status, answer) = self.world.fixture.call(*service, action, &body);
            self.log.push(format!("{action} {body}: {status}"));
            assert!(status < 500, "{action} {body}: {answer}");
            if status == 200 && takes_away {
                for things in self.pools.values_mut() {
                    things.retain(|thing| picked.first() != Some(thing));
                }
            }
            if let (200, Some((pool, named))) = (status, made)
                && let Some(start) = answer.find(&format!("<{named}>"))
            {
                let id = answer[start + named.len() + 2..].split('<').next().unwrap().to_owned();
                let things = self.pools.entry(pool).or_default();
                if !things.contains(&id) {
                    things.push(id);
                }
            }
        } else {
            let own = (which - CALLS.len()) % OWN.len();
            self.log.push(OWN[own].to_owned());
            match own {
                0 => drop(self.world.settle()),
                1 => self.world.play(),
                2 => self.ready(),
                _ => self.world.pass(Duration::from_secs(100)),
            }
        }
        self.check();
    }

    fn ready(&self) {
        let rows = self.world.rows();
        for row in rows.scan::<LoadBalancer>("") {
            self.world.fixture.api.machine.observe(Observation::LoadBalancer(LoadBalancerStatus {
                load_balancer: row.id.clone(),
                generation: rows.sequence(),
                ready: true,
                error: None,
                targets: BTreeMap::new(),
            }));
        }
        let (machine, now) = (self.world.fixture.api.machine.clone(), self.world.now());
        let write = move |tx: &mut store::Tx| -> Result<(), Infallible> {
            load_balancer::advance(tx, &machine);
            crate::ec2::nat_gateway::settle(tx, &machine.reports(), now);
            crate::ec2::vpc_endpoint::settle(tx, &machine.reports(), now);
            Ok(())
        };
        self.world.fixture.api.store.write(write).unwrap().unwrap();
    }

    fn check(&mut self) {
        let rows = self.world.rows();
        for id in std::mem::take(&mut *self.dirty.lock().unwrap()) {
            match project(&rows, &self.world.fixture.api.settings, &id) {
                Some(body) => drop(self.told.insert(id, body)),
                None => drop(self.told.remove(&id)),
            }
        }
        for (id, body) in &self.everything() {
            assert_eq!(self.told.get(id), Some(body), "{id} changed unnoticed: {:#?}", self.log);
        }
        assert_eq!(self.told.len(), self.everything().len(), "a part is gone unnoticed: {:#?}", self.log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dirty_parts_are_all_that_changed(steps in prop::collection::vec((any::<u16>(), any::<u16>()), 1..60)) {
        let mut play = Play::new();
        for (which, choice) in steps {
            play.step(which.into(), choice.into());
        }
    }
}

/// The play is worth something only if its calls do something.
#[test]
fn every_call_of_the_play_succeeds_somewhere() {
    let mut seen = BTreeSet::new();
    // The same numbers every time.
    let mut random = 1_u64;
    for _ in 0..16 {
        let mut play = Play::new();
        for _ in 0..280 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            play.step((random >> 40) as usize, (random >> 20) as usize & 0xffff);
        }
        let done = play.log.iter().filter(|line| line.ends_with(": 200"));
        seen.extend(done.map(|line| line.split(' ').next().unwrap().to_owned()));
    }
    let all: BTreeSet<String> = CALLS.iter().map(|(_, action, ..)| (*action).to_owned()).collect();
    let never: Vec<_> = all.difference(&seen).collect();
    assert!(never.is_empty(), "{never:?} never succeeds");
}
