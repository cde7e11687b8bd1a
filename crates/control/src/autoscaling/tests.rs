//! Application Auto Scaling through the API, and what alarms and schedules make of a service's count.

use expect_test::expect;
use metrics::{Point, Tier};
use serde_json::{Value, json};
use store::Tx;
use types::Timestamp;

use super::act;
use crate::Service;
use crate::cloudwatch::metric::{Metric, Unit};
use crate::cloudwatch::{MetricSeries, evaluate, series};
use crate::ecs::service::{RolloutState, Service as EcsService};
use crate::schedule::tests::world::World;

const WHERE: &str =
    r#""ServiceNamespace":"ecs","ResourceId":"service/c/app","ScalableDimension":"ecs:service:DesiredCount""#;

struct Scaled(World);

impl Scaled {
    /// A cluster `c` with a service `app` that wants one task and has no deployment under way; a target from 1 to 4.
    fn new() -> Self {
        let world = World::new(false);
        world.json("CreateService", &world.service(1, false));
        let own = Self(world);
        own.write(|tx| {
            let known = tx.scan::<EcsService>("").next().unwrap();
            let mut service = (*known).clone();
            service.deployments[0].rollout_state = RolloutState::Completed;
            tx.put(service);
        });
        own.ok("RegisterScalableTarget", &format!(r#"{{{WHERE},"MinCapacity":1,"MaxCapacity":4}}"#));
        own
    }

    fn write(&self, work: impl FnOnce(&mut Tx) + Send + 'static) {
        let write = move |tx: &mut Tx| -> Result<(), std::convert::Infallible> {
            work(tx);
            Ok(())
        };
        let Ok(()) = self.0.fixture.api.store.write(write).unwrap();
    }

    fn ok(&self, action: &str, body: &str) -> Value {
        serde_json::from_str(&self.0.fixture.ok(Service::AutoScaling, action, body)).unwrap()
    }

    fn refused(&self, action: &str, body: &str) -> String {
        let (status, text) = self.0.fixture.call(Service::AutoScaling, action, body);
        assert_eq!(status, 400, "{text}");
        let error: Value = serde_json::from_str(&text).unwrap();
        format!("{}: {}", error["__type"].as_str().unwrap(), error["message"].as_str().unwrap())
    }

    fn count(&self) -> u32 {
        self.0.fixture.api.store.snapshot().scan::<EcsService>("").next().unwrap().desired_count
    }

    /// The service's CPU in the minute before `now`, then what alarms and policies make of it.
    fn minute(&self, now: i64, cpu: f64) {
        self.write(move |tx| {
            let account = types::AccountId::new("000000000001").unwrap();
            let region = types::Region::new("ap-northeast-2").unwrap();
            let metric =
                Metric::of("AWS/ECS", "CPUUtilization", &[("ClusterName", "c"), ("ServiceName", "app")]);
            let row = MetricSeries { account, region, metric, unit: Unit::Percent };
            assert!(series::record(tx, row, Tier::Minute, now - 60, &Point::of(cpu, 1.0).unwrap()));
            let at = Timestamp::from_millis(now * 1000);
            evaluate::settle(tx, at);
            act::settle(tx, at);
        });
    }

    fn activities(&self, all: bool) -> Vec<Value> {
        let body = format!(r#"{{"ServiceNamespace":"ecs","IncludeNotScaledActivities":{all}}}"#);
        self.ok("DescribeScalingActivities", &body)["ScalingActivities"].as_array().unwrap().clone()
    }
}

fn tracking(besides: &str) -> String {
    format!(
        r#"{{{WHERE},"PolicyName":"cpu","PolicyType":"TargetTrackingScaling","TargetTrackingScalingPolicyConfiguration":{{"TargetValue":50,
        "PredefinedMetricSpecification":{{"PredefinedMetricType":"ECSServiceAverageCPUUtilization"}}{besides}}}}}"#
    )
}

#[test]
fn a_service_follows_its_load_up_and_down_within_its_bounds() {
    let own = Scaled::new();
    let put = own.ok("PutScalingPolicy", &tracking(r#","ScaleOutCooldown":60,"ScaleInCooldown":60"#));
    let names: Vec<&str> =
        put["Alarms"].as_array().unwrap().iter().map(|a| a["AlarmName"].as_str().unwrap()).collect();
    assert!(names[0].starts_with("TargetTracking-service/c/app-AlarmHigh-"), "{names:?}");
    assert!(names[1].starts_with("TargetTracking-service/c/app-AlarmLow-"), "{names:?}");
    let mut now = 1_800_000_000;
    let mut minute = |cpu: f64| {
        now += 60;
        own.minute(now, cpu);
        own.count()
    };
    assert_eq!([minute(100.0), minute(100.0)], [1, 1], "three minutes make an alarm");
    assert_eq!(minute(100.0), 2);
    assert_eq!(minute(100.0), 4, "the cooldown is over, and the load has not become less");
    assert_eq!(minute(100.0), 4, "the maximum");
    let not = own.activities(true)[0].clone();
    assert_eq!(
        not["NotScaledReasons"],
        json!([{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 4, "CurrentCapacity": 4}])
    );
    for _ in 0..14 {
        assert_eq!(minute(10.0), 4, "fifteen minutes make an alarm");
    }
    assert_eq!(minute(10.0), 1);
    let last = own.activities(false)[0].clone();
    assert_eq!(last["Description"], "Setting desired count to 1.");
    assert_eq!(
        last["StatusMessage"],
        "Successfully set desired count to 1. Change successfully fulfilled by ecs."
    );
    let cause = last["Cause"].as_str().unwrap();
    assert!(cause.starts_with("monitor alarm TargetTracking-service/c/app-AlarmLow-"), "{cause}");
    assert!(cause.ends_with(" in state ALARM triggered policy cpu"), "{cause}");
    own.ok("DeleteScalingPolicy", &format!(r#"{{{WHERE},"PolicyName":"cpu"}}"#));
    let alarms = own.0.fixture.ok(Service::CloudWatch, "DescribeAlarms", "");
    assert!(!alarms.contains("<AlarmName>"), "{alarms}");
}

#[test]
fn the_cooldown_counts_what_was_added_and_a_deployment_keeps_it_from_scaling_in() {
    let own = Scaled::new();
    own.ok("PutScalingPolicy", &tracking(r#","ScaleInCooldown":0"#));
    let start = 1_800_000_000;
    for round in 1..=6 {
        own.minute(start + round * 60, 100.0);
    }
    assert_eq!(own.count(), 2, "100% of one task is 50% of two, and the cooldown is 300 s");
    own.write(|tx| {
        let mut service = (*tx.scan::<EcsService>("").next().unwrap()).clone();
        service.deployments[0].rollout_state = RolloutState::InProgress;
        tx.put(service);
    });
    for round in 7..=30 {
        own.minute(start + round * 60, 1.0);
    }
    assert_eq!(own.count(), 2);
    let reason = &own.activities(true)[0]["NotScaledReasons"][0]["Code"];
    assert_eq!(reason, "TargetServicePutResourceAsUnscalable");
}

#[test]
fn what_is_suspended_does_not_scale() {
    let own = Scaled::new();
    own.ok("PutScalingPolicy", &tracking(""));
    own.ok(
        "RegisterScalableTarget",
        &format!(r#"{{{WHERE},"SuspendedState":{{"DynamicScalingOutSuspended":true}}}}"#),
    );
    for round in 1..=5 {
        own.minute(1_800_000_000 + round * 60, 100.0);
    }
    assert_eq!(own.count(), 1);
}

fn stepping(steps: &str) -> String {
    format!(
        r#"{{{WHERE},"PolicyName":"step","PolicyType":"StepScaling","StepScalingPolicyConfiguration":{{
        "AdjustmentType":"ChangeInCapacity","Cooldown":60,"MetricAggregationType":"Average","StepAdjustments":[{steps}]}}}}"#
    )
}

/// A policy that adds one task, and two from 20 above the threshold on; the alarm `high` at 60% asks it.
fn step_by_an_alarm(own: &Scaled) -> String {
    let put = own.ok(
        "PutScalingPolicy",
        &stepping(
            r#"{"MetricIntervalLowerBound":0,"MetricIntervalUpperBound":20,"ScalingAdjustment":1},
            {"MetricIntervalLowerBound":20,"ScalingAdjustment":2}"#,
        ),
    );
    let arn = put["PolicyARN"].as_str().unwrap();
    own.0.fixture.ok(
        Service::CloudWatch,
        "PutMetricAlarm",
        &format!(
            "AlarmName=high&Namespace=AWS/ECS&MetricName=CPUUtilization&Statistic=Average&Period=60&EvaluationPeriods=1\
             &Threshold=60&ComparisonOperator=GreaterThanThreshold&AlarmActions.member.1={arn}\
             &Dimensions.member.1.Name=ClusterName&Dimensions.member.1.Value=c\
             &Dimensions.member.2.Name=ServiceName&Dimensions.member.2.Value=app"
        ),
    );
    arn.to_owned()
}

/// The summaries of the actions in the alarm `high`'s history, the newest first.
fn actions(own: &Scaled) -> Vec<String> {
    let form = "AlarmName=high&HistoryItemType=Action";
    let text = own.0.fixture.ok(Service::CloudWatch, "DescribeAlarmHistory", form);
    let mut parts = text.split("<HistorySummary>");
    parts.next();
    parts.map(|part| part.split_once('<').unwrap().0.to_owned()).collect()
}

#[test]
fn an_alarm_of_one_s_own_takes_a_step() {
    let own = Scaled::new();
    let arn = step_by_an_alarm(&own);
    own.minute(1_800_000_060, 85.0);
    assert_eq!(own.count(), 3);
    let described = own.ok("DescribeScalingPolicies", r#"{"ServiceNamespace":"ecs"}"#);
    assert_eq!(described["ScalingPolicies"][0]["Alarms"][0]["AlarmName"], "high");
    assert_eq!(actions(&own), [format!("Successfully executed action {arn}")]);
}

#[test]
fn set_alarm_state_takes_the_step_of_the_value_in_its_reason() {
    let own = Scaled::new();
    let arn = step_by_an_alarm(&own);
    let set = |state: &str, data: &str| {
        let data: String = form_urlencoded::byte_serialize(data.as_bytes()).collect();
        let form = format!("AlarmName=high&StateValue={state}&StateReason=test&StateReasonData={data}");
        own.0.fixture.ok(Service::CloudWatch, "SetAlarmState", &form);
        own.count()
    };
    let executed = format!("Successfully executed action {arn}");
    let failed = "Failed to execute AutoScaling action: Metric data points must be provided".to_owned();
    assert_eq!(set("ALARM", ""), 1, "no value, no step");
    assert_eq!(actions(&own), std::slice::from_ref(&failed));
    let data = r#"{"version":"1.0","recentDatapoints":[61.0,85.0],"threshold":60.0}"#;
    assert_eq!(set("ALARM", data), 1, "the state is the same: no action");
    assert_eq!(set("OK", data), 1, "it has no action of this state");
    assert_eq!(set("ALARM", data), 3);
    assert_eq!(actions(&own), [executed, failed]);
    let last = own.activities(false)[0].clone();
    assert_eq!(last["Cause"], "monitor alarm high in state ALARM triggered policy step");
    own.0.fixture.ok(Service::CloudWatch, "DisableAlarmActions", "AlarmNames.member.1=high");
    set("OK", data);
    set("ALARM", r#"{"recentDatapoints":[99.0],"threshold":60.0}"#);
    assert_eq!((own.count(), actions(&own).len()), (3, 2), "actions are off");
}

#[test]
fn a_metric_is_tracked_by_one_policy_alone() {
    let own = Scaled::new();
    own.ok("PutScalingPolicy", &tracking(""));
    own.ok("PutScalingPolicy", &tracking(r#","ScaleInCooldown":60"#));
    let other = tracking("").replace(r#""PolicyName":"cpu""#, r#""PolicyName":"other""#);
    expect![
        "ValidationException: Only one TargetTrackingScaling policy for a given metric specification is allowed."
    ]
    .assert_eq(&own.refused("PutScalingPolicy", &other.replace("50", "70")));
    own.ok("PutScalingPolicy", &other.replace("AverageCPU", "AverageMemory"));
}

#[test]
fn steps_that_do_not_cover_the_metric_once_are_refused() {
    let own = Scaled::new();
    let step = |lower: Option<f64>, upper: Option<f64>| {
        let bound = |name: &str, bound: Option<f64>| {
            bound.map_or_else(String::new, |bound| format!(r#""MetricInterval{name}Bound":{bound},"#))
        };
        format!("{{{}{}\"ScalingAdjustment\":1}}", bound("Lower", lower), bound("Upper", upper))
    };
    for (steps, want) in [
        (
            vec![step(None, None)],
            expect![
                "ValidationException: Both lower and upper bounds of a step adjustment cannot be left unspecified"
            ],
        ),
        (
            vec![step(None, Some(0.0)), step(None, Some(5.0)), step(Some(5.0), None)],
            expect!["ValidationException: At most one StepAdjustment may have an unspecified lower bound"],
        ),
        (
            vec![step(Some(0.0), None), step(Some(5.0), None)],
            expect!["ValidationException: At most one StepAdjustment may have an unspecified upper bound"],
        ),
        (
            vec![step(Some(0.0), Some(10.0))],
            expect![
                "ValidationException: There must be a StepAdjustment with an unspecified upper bound (i.e., upper bound is null) when one StepAdjustment has a positive upper bound"
            ],
        ),
        (
            vec![step(Some(-10.0), Some(0.0))],
            expect![
                "ValidationException: There must be a StepAdjustment with an unspecified lower bound (i.e., lower bound is null) when one StepAdjustment has a negative lower bound"
            ],
        ),
        (
            vec![step(Some(0.0), Some(10.0)), step(Some(5.0), None)],
            expect!["ValidationException: StepAdjustment intervals cannot overlap"],
        ),
        (
            vec![step(Some(0.0), Some(10.0)), step(Some(20.0), None)],
            expect!["ValidationException: StepAdjustment intervals cannot have gaps between them"],
        ),
    ] {
        want.assert_eq(&own.refused("PutScalingPolicy", &stepping(&steps.join(","))));
    }
    own.ok("PutScalingPolicy", &stepping(&step(None, Some(0.0))));
    own.ok("PutScalingPolicy", &stepping(&[step(None, Some(-5.0)), step(Some(-5.0), Some(0.0))].join(",")));
}

#[test]
fn bounds_and_schedules_bring_a_count_within_them() {
    let own = Scaled::new();
    own.ok("RegisterScalableTarget", &format!(r#"{{{WHERE},"MinCapacity":2}}"#));
    assert_eq!(own.count(), 2);
    assert_eq!(own.activities(false)[0]["Cause"], "minimum capacity was set to 2");
    own.ok(
        "PutScheduledAction",
        &format!(
            r#"{{{WHERE},"ScheduledActionName":"evening","Schedule":"cron(0 18 * * ? *)","Timezone":"Asia/Seoul",
            "ScalableTargetAction":{{"MinCapacity":1,"MaxCapacity":1}}}}"#
        ),
    );
    own.write(|tx| act::settle(tx, Timestamp::now()));
    assert_eq!(own.count(), 2);
    own.write(|tx| act::settle(tx, Timestamp::from_millis(Timestamp::now().as_millis() + 86_400_000)));
    assert_eq!(own.count(), 1);
    let causes: Vec<Value> = own.activities(false).iter().map(|one| one["Cause"].clone()).collect();
    assert!(causes.contains(&json!("scheduled action name evening was triggered")), "{causes:?}");
    assert!(causes.contains(&json!("maximum capacity was set to 1")), "{causes:?}");
}

#[test]
fn what_is_wrong_is_named() {
    let own = Scaled::new();
    for (action, body, want) in [
        (
            "RegisterScalableTarget",
            WHERE.replace("c/app", "c/none") + r#","MinCapacity":1,"MaxCapacity":2"#,
            expect!["ValidationException: ECS service doesn't exist: service/c/none"],
        ),
        (
            "RegisterScalableTarget",
            format!(r#"{WHERE},"MinCapacity":3,"MaxCapacity":2"#),
            expect!["ValidationException: Maximum capacity cannot be less than minimum capacity"],
        ),
        (
            "RegisterScalableTarget",
            WHERE.replace("\"ecs\"", "\"dynamodb\""),
            expect![
                "ValidationException: ServiceNamespace: only 'ecs' is supported, not 'dynamodb' by Landfall for RegisterScalableTarget"
            ],
        ),
        (
            "DeleteScalingPolicy",
            format!(r#"{WHERE},"PolicyName":"none""#),
            expect![
                "ObjectNotFoundException: No scaling policy found for service namespace: ecs, resource ID: service/c/app, scalable dimension: ecs:service:DesiredCount, policy name: none"
            ],
        ),
        (
            "PutScheduledAction",
            format!(
                r#"{WHERE},"ScheduledActionName":"x","Schedule":"cron(1 2 3)","ScalableTargetAction":{{"MinCapacity":1}}"#
            ),
            expect![
                "ValidationException: The schedule expression 'cron(1 2 3)' is not valid: it is at(…), rate(…) or cron(…)."
            ],
        ),
        (
            "PutScalingPolicy",
            format!(r#"{WHERE},"PolicyName":"x","PolicyType":"PredictiveScaling""#),
            expect![
                "ValidationException: PolicyType: only 'StepScaling' or 'TargetTrackingScaling' is supported, not 'PredictiveScaling' by Landfall for PutScalingPolicy"
            ],
        ),
        (
            "GetPredictiveScalingForecast",
            WHERE.to_owned(),
            expect![
                "UnknownOperationException: The action GetPredictiveScalingForecast is not supported by Landfall for application-autoscaling. The coverage page of its documentation lists what is."
            ],
        ),
    ] {
        want.assert_eq(&own.refused(action, &format!("{{{body}}}")));
    }
}
