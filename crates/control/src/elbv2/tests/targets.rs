//! Targets from registration to the end of draining, as the nodes' reports let them.

use std::collections::BTreeMap;
use std::time::Duration;

use desired::{Body, HealthReason, HealthState, LoadBalancerStatus, Observation, TargetStatus};
use expect_test::expect;
use types::{PartId, Timestamp};

use super::Stack;
use crate::elbv2::targets::forget_drained;
use crate::testing::element;

impl Stack {
    /// The nodes say this of the target 10.194.0.9:3000, having heard of all commits up to `generation`.
    fn report(&self, generation: u64, health: HealthState) {
        let status =
            TargetStatus { address: "10.194.0.9".parse().unwrap(), port: 3000, health, in_flight: 0 };
        self.fixture.api.machine.observe(Observation::LoadBalancer(LoadBalancerStatus {
            load_balancer: self.balancer(),
            generation,
            ready: true,
            error: None,
            targets: BTreeMap::from([(self.fill("{app}"), vec![status])]),
        }));
    }

    /// State, reason and description of the one target.
    fn health(&self) -> (String, String, String) {
        let shown = self.ok("DescribeTargetHealth", "TargetGroupArn={app}");
        let text = |name: &str| {
            if shown.contains(&format!("<{name}>")) {
                element(&shown, name).to_owned()
            } else {
                String::new()
            }
        };
        (text("State"), text("Reason"), text("Description"))
    }

    fn sequence(&self) -> u64 {
        self.fixture.api.store.snapshot().sequence()
    }

    /// Gives how long it is until the next delay is over.
    fn forget(&self, now: Timestamp) -> Option<Duration> {
        let machine = self.fixture.api.machine.clone();
        let write = move |rows: &mut store::Tx| -> Result<_, std::convert::Infallible> {
            Ok(forget_drained(rows, &machine, now))
        };
        self.fixture.api.store.write(write).unwrap().unwrap().map(|at| at.since(now))
    }

    /// The targets that the load balancer's part names.
    fn projected(&self) -> Vec<String> {
        let rows = self.fixture.api.store.snapshot();
        let part = PartId::LoadBalancer(self.balancer());
        let Some(Body::LoadBalancer(balancer)) =
            crate::project::project(&rows, &self.fixture.api.settings, &part)
        else {
            panic!("no load balancer")
        };
        let targets = balancer.target_groups.iter().flat_map(|group| &group.targets);
        targets.map(|target| format!("{}:{}", target.address, target.port)).collect()
    }
}

const ONE: &str = "TargetGroupArn={app}&Targets.member.1.Id=10.194.0.9";

#[test]
fn health_is_what_the_nodes_say() {
    let stack = Stack::new();
    stack.ok("RegisterTargets", ONE);
    let check = |health: Option<HealthState>, expected: [&str; 3]| {
        if let Some(health) = health {
            stack.report(stack.sequence(), health);
        }
        let (state, reason, description) = stack.health();
        assert_eq!([state.as_str(), &reason, &description], expected);
    };
    let unhealthy = |reason, description: &str| {
        Some(HealthState::Unhealthy { reason, description: description.to_owned() })
    };
    check(None, ["initial", "Elb.RegistrationInProgress", "Target registration is in progress"]);
    let checking = ["initial", "Elb.InitialHealthChecking", "Initial health checks in progress"];
    check(Some(HealthState::Initial), checking);
    check(Some(HealthState::Healthy), ["healthy", "", ""]);
    check(
        unhealthy(HealthReason::ResponseCodeMismatch, "Health checks failed with these codes: [404]"),
        ["unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [404]"],
    );
    check(
        unhealthy(HealthReason::Timeout, "Request timed out"),
        ["unhealthy", "Target.Timeout", "Request timed out"],
    );
    check(
        unhealthy(HealthReason::FailedHealthChecks, "Health checks failed"),
        ["unhealthy", "Target.FailedHealthChecks", "Health checks failed"],
    );
    // What they say of an earlier life of the target.
    check(Some(HealthState::Drained), checking);
}

#[test]
fn health_is_shown_as_clients_read_it() {
    let stack = Stack::new();
    stack.ok("RegisterTargets", &format!("{ONE}&Targets.member.2.Id=10.194.1.9&Targets.member.2.Port=81&Targets.member.2.AvailabilityZone=ap-northeast-2b"));
    stack.ok("ModifyTargetGroup", "TargetGroupArn={app}&HealthCheckPort=9000");
    stack.report(stack.sequence(), HealthState::Healthy);
    stack.shows(
        "DescribeTargetHealth",
        "TargetGroupArn={app}&Targets.member.1.Id=10.194.0.9&Targets.member.2.Id=10.194.1.9&Targets.member.2.Port=81&Targets.member.3.Id=10.194.0.10",
        &expect![[r#"
            DescribeTargetHealthResponse
              DescribeTargetHealthResult
                TargetHealthDescriptions
                  member
                    Target
                      Id: 10.194.0.9
                      Port: 3000
                      AvailabilityZone: ap-northeast-2a
                    HealthCheckPort: 9000
                    TargetHealth
                      State: healthy
                  member
                    Target
                      Id: 10.194.1.9
                      Port: 81
                      AvailabilityZone: ap-northeast-2b
                    HealthCheckPort: 9000
                    TargetHealth
                      State: initial
                      Reason: Elb.RegistrationInProgress
                      Description: Target registration is in progress
                  member
                    Target
                      Id: 10.194.0.10
                      Port: 3000
                      AvailabilityZone: ap-northeast-2a
                    HealthCheckPort: 9000
                    TargetHealth
                      State: unused
                      Reason: Target.NotRegistered
                      Description: Target is not registered to the target group
        "#]],
    );
}

#[test]
fn a_target_that_no_load_balancer_can_use_is_unused() {
    let stack = Stack::new();
    // Zone c has a subnet, and the load balancer no node in it.
    stack.ok("RegisterTargets", "TargetGroupArn={app}&Targets.member.1.Id=10.194.3.9");
    let (state, reason, description) = stack.health();
    assert_eq!((state.as_str(), reason.as_str()), ("unused", "Target.NotInUse"));
    assert_eq!(description, "Target is in an Availability Zone that is not enabled for the load balancer");
    assert!(stack.projected().is_empty(), "the nodes are not told of it");
    stack.ok("DeregisterTargets", "TargetGroupArn={app}&Targets.member.1.Id=10.194.3.9");
    assert_eq!(stack.forget(Timestamp::now()), None);
    assert_eq!(stack.health().0, "", "it has nothing to drain");
    stack.ok("RegisterTargets", ONE);
    stack.ok("DeleteListener", "ListenerArn={listener}");
    let (state, reason, description) = stack.health();
    assert_eq!((state.as_str(), reason.as_str()), ("unused", "Target.NotInUse"));
    assert_eq!(description, "Target group is not configured to receive traffic from the load balancer");
    stack.ok("DeregisterTargets", ONE);
    assert_eq!(stack.health().0, "", "a group without a load balancer forgets at once");
}

#[test]
fn a_deregistered_target_drains_until_the_nodes_say_so() {
    let stack = Stack::new();
    stack.ok("RegisterTargets", ONE);
    stack.report(stack.sequence(), HealthState::Drained);
    stack.ok("DeregisterTargets", ONE);
    let draining = ("draining", "Target.DeregistrationInProgress");
    let shown = || {
        let (state, reason, _) = stack.health();
        (state, reason)
    };
    assert_eq!(shown(), (draining.0.to_owned(), draining.1.to_owned()));
    assert_eq!(stack.projected(), ["10.194.0.9:3000"]);
    let now = Timestamp::now();
    assert!(stack.forget(now).is_some(), "the nodes have not heard of this deregistration yet");
    assert_eq!(shown().0, "draining");
    stack.report(stack.sequence(), HealthState::Draining);
    let left = stack.forget(now).unwrap();
    assert!(left <= Duration::from_secs(300) && left > Duration::from_secs(290), "{left:?}");
    assert_eq!(shown().0, "draining");
    stack.report(stack.sequence(), HealthState::Drained);
    assert_eq!(stack.forget(now), None);
    assert_eq!(shown().0, "");
    assert!(stack.projected().is_empty());
    let before = stack.sequence();
    stack.ok("DeregisterTargets", ONE);
    assert_eq!(stack.forget(now), None);
    assert_eq!(stack.sequence(), before, "nothing is left to change");
}

#[test]
fn draining_ends_with_the_delay_or_with_the_load_balancer() {
    let stack = Stack::new();
    stack.ok("ModifyTargetGroupAttributes", "TargetGroupArn={app}&Attributes.member.1.Key=deregistration_delay.timeout_seconds&Attributes.member.1.Value=5");
    stack.ok("RegisterTargets", ONE);
    stack.ok("DeregisterTargets", ONE);
    let now = Timestamp::now();
    assert!(stack.forget(now).unwrap() <= Duration::from_secs(5));
    assert_eq!(stack.forget(now.plus(Duration::from_secs(5))), None);
    assert_eq!(stack.health().0, "");
    stack.ok("RegisterTargets", ONE);
    stack.ok("DeregisterTargets", ONE);
    stack.ok("DeleteLoadBalancer", "LoadBalancerArn={lb}");
    assert_eq!(stack.forget(now), None);
    assert_eq!(stack.health().0, "");
}

#[test]
fn a_draining_target_can_be_registered_again() {
    let stack = Stack::new();
    stack.ok("RegisterTargets", ONE);
    stack.ok("DeregisterTargets", ONE);
    stack.ok("RegisterTargets", ONE);
    stack.report(stack.sequence(), HealthState::Healthy);
    assert_eq!(stack.health().0, "healthy");
    assert_eq!(stack.forget(Timestamp::now()), None);
    assert_eq!(stack.health().0, "healthy");
    let before = stack.sequence();
    stack.ok("RegisterTargets", ONE);
    assert_eq!(stack.sequence(), before, "it is registered already");
}

#[test]
fn targets_are_addresses_of_the_vpc() {
    let stack = Stack::new();
    for (target, code, words) in [
        ("Id=i-0123", "ValidationError", "The IP address 'i-0123' is not a valid IPv4 address"),
        (
            "Id=10.9.0.9",
            "ValidationError",
            "The Availability Zone is required for IP address '10.9.0.9' because it is not in the VPC",
        ),
        (
            "Id=10.194.77.1",
            "ValidationError",
            "The Availability Zone is required for IP address '10.194.77.1'",
        ),
        (
            "Id=10.9.0.9&Targets.member.1.AvailabilityZone=all",
            "UnsupportedOperation",
            "targets outside of the target group's VPC",
        ),
        (
            "Id=10.194.0.9&Targets.member.1.AvailabilityZone=all",
            "ValidationError",
            "The IP address '10.194.0.9' is within the VPC, and cannot have its Availability Zone overridden to 'all' from 'ap-northeast-2a'",
        ),
        (
            "Id=10.194.0.9&Targets.member.1.Port=0",
            "ValidationError",
            "Member must have value greater than or equal to 1",
        ),
        (
            "Id=10.194.0.9&Targets.member.1.Port=70000",
            "ValidationError",
            "Member must have value less than or equal to 65535",
        ),
        ("Id=10.194.0.9&Targets.member.1.QuicServerId=a", "ValidationError", "QuicServerId is not supported"),
    ] {
        stack.refused(
            "RegisterTargets",
            &format!("TargetGroupArn={{app}}&Targets.member.1.{target}"),
            code,
            words,
        );
    }
    stack.refused("RegisterTargets", "TargetGroupArn={app}", "ValidationError", "'targets'");
    stack.refused("DescribeTargetHealth", "TargetGroupArn={app}0", "TargetGroupNotFound", "not found");
    stack.refused(
        "DescribeTargetHealth",
        "TargetGroupArn={app}&Include.member.1=All",
        "InvalidParameterValue",
        "Include",
    );
}
