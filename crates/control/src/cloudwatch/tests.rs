//! CloudWatch through the API, in awsQuery's forms; the oracle calls it in CBOR.

use expect_test::expect;
use metrics::{Point, Tier};
use store::Row;
use types::Timestamp;

use super::metric::{Metric, Unit};
use super::{MetricBlock, MetricSeries, evaluate, series};
use crate::Service;
use crate::testing::Fixture;

fn put(fixture: &Fixture, name: &str, value: &str) {
    fixture.ok(
        Service::CloudWatch,
        "PutMetricData",
        &format!("Namespace=Test&MetricData.member.1.MetricName={name}&MetricData.member.1.Value={value}"),
    );
}

const ALARM: &str = "AlarmName=high&Namespace=Test&MetricName=Load&Statistic=Average&Period=60&EvaluationPeriods=1\
                     &Threshold=50&ComparisonOperator=GreaterThanThreshold";

fn code(fixture: &Fixture, action: &str, form: &str) -> String {
    let (status, text) = fixture.call(Service::CloudWatch, action, form);
    assert_ne!(status, 200, "{text}");
    let part = |name: &str| crate::testing::element(&text, name).to_owned();
    format!("{} {}: {}", status, part("Code"), part("Message"))
}

#[test]
fn what_was_put_is_listed() {
    let fixture = Fixture::new();
    put(&fixture, "Load", "1.5");
    put(&fixture, "Other", "2");
    expect![[r#"<ListMetricsResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><ListMetricsResult><Metrics><member><Namespace>Test</Namespace><MetricName>Load</MetricName><Dimensions></Dimensions></member></Metrics></ListMetricsResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></ListMetricsResponse>"#]]
    .assert_eq(&fixture.ok(Service::CloudWatch, "ListMetrics", "MetricName=Load"));
}

#[test]
fn the_same_metric_is_put_in_json_and_read_in_a_form() {
    let fixture = Fixture::new();
    let (status, text) = fixture.json(
        "GraniteServiceVersion20100801.PutMetricData",
        r#"{"Namespace": "Test", "MetricData": [{"MetricName": "Load", "Value": 4}]}"#,
    );
    assert_eq!((status, text.as_str()), (200, "{}"));
    assert!(fixture.ok(Service::CloudWatch, "ListMetrics", "").contains("<MetricName>Load</MetricName>"));
    let (status, text) = fixture.json("GraniteServiceVersion20100801.PutDashboard", "{}");
    assert_eq!(status, 400);
    assert!(text.contains("PutDashboard") && text.contains("console"), "{text}");
}

#[test]
fn what_is_wrong_is_named() {
    let fixture = Fixture::new();
    let datum = "Namespace=Test&MetricData.member.1.MetricName=Load&MetricData.member.1.";
    for (action, form, want) in [
        (
            "PutMetricData",
            format!("{datum}Unit=Percent"),
            expect!["400 MissingParameter: The parameter MetricData.member.1.Value is required."],
        ),
        (
            "PutMetricData",
            "Namespace=:x&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1".to_owned(),
            expect!["400 InvalidParameterValue: The value :x for parameter Namespace is invalid."],
        ),
        (
            "PutMetricData",
            format!("{datum}Value=NaN"),
            expect![
                "400 InvalidParameterValue: The value for parameter MetricData.member.1.Value is invalid: a value is not a number or too large."
            ],
        ),
        (
            "PutMetricData",
            format!("{datum}Value=1&MetricData.member.1.Timestamp=2020-01-01T00:00:00Z"),
            expect![
                "400 InvalidParameterValue: The value 2020-01-01T00:00:00.000Z for parameter MetricData.member.1.Timestamp is invalid. Timestamp must specify a time no more than two weeks in the past."
            ],
        ),
        (
            "PutMetricAlarm",
            ALARM.replace("Period=60", "Period=7"),
            expect!["400 ValidationError: Period must be 10, 20, 30 or a multiple of 60"],
        ),
        (
            "PutMetricAlarm",
            format!("{ALARM}&AlarmActions.member.1=arn:aws:sns:ap-northeast-2:000000000001:t"),
            expect![
                "400 ValidationError: Landfall does not support the action arn:aws:sns:ap-northeast-2:000000000001:t: only scaling policies of Application Auto Scaling are carried out. Leave the action out, or put the alarm with ActionsEnabled false."
            ],
        ),
        (
            "PutMetricAlarm",
            ALARM.replace("Statistic=Average", "ExtendedStatistic=tm90"),
            expect!["400 ValidationError: Landfall does not support the statistic tm90."],
        ),
        (
            "PutMetricAlarm",
            format!("{ALARM}&DatapointsToAlarm=2"),
            expect!["400 ValidationError: DatapointsToAlarm must be between 1 and EvaluationPeriods."],
        ),
        (
            "PutCompositeAlarm",
            "AlarmName=x&AlarmRule=TRUE".to_owned(),
            expect![
                "400 InvalidAction: The action PutCompositeAlarm is not supported by Landfall for monitoring. Alarms here are metric alarms: a composite alarm has no evaluation here."
            ],
        ),
        (
            "SetAlarmState",
            "AlarmName=none&StateValue=OK&StateReason=x".to_owned(),
            expect!["404 ResourceNotFound: Alarm none does not exist."],
        ),
    ] {
        want.assert_eq(&code(&fixture, action, &form));
    }
}

/// Evaluates all alarms, so many seconds from now.
fn later(fixture: &Fixture, seconds: i64) {
    let now = Timestamp::from_millis(Timestamp::now().as_millis() + seconds * 1000);
    let write = move |tx: &mut store::Tx| -> Result<(), std::convert::Infallible> {
        evaluate::settle(tx, now);
        Ok(())
    };
    let Ok(()) = fixture.api.store.write(write).unwrap();
}

fn state(fixture: &Fixture) -> String {
    let text = fixture.ok(Service::CloudWatch, "DescribeAlarms", "");
    crate::testing::element(&text, "StateValue").to_owned()
}

#[test]
fn an_alarm_follows_its_metric_and_its_history_tells() {
    let fixture = Fixture::new();
    fixture.ok(Service::CloudWatch, "PutMetricAlarm", ALARM);
    assert_eq!(state(&fixture), "INSUFFICIENT_DATA");
    put(&fixture, "Load", "99");
    later(&fixture, 60);
    assert_eq!(state(&fixture), "ALARM");
    let text = fixture.ok(Service::CloudWatch, "DescribeAlarms", "StateValue=ALARM");
    assert!(text.contains("1 out of the last 1 datapoint [99.0 ("), "{text}");
    put(&fixture, "Load", "0");
    put(&fixture, "Load", "0");
    later(&fixture, 60);
    assert_eq!(state(&fixture), "OK");
    later(&fixture, 600);
    assert_eq!(state(&fixture), "INSUFFICIENT_DATA");
    let text =
        fixture.ok(Service::CloudWatch, "DescribeAlarmHistory", "HistoryItemType=StateUpdate&MaxRecords=2");
    assert_eq!(text.matches("<HistorySummary>").count(), 2);
    assert!(
        text.contains("Alarm updated from OK to INSUFFICIENT_DATA") && text.contains("<NextToken>"),
        "{text}"
    );
    fixture.ok(Service::CloudWatch, "DeleteAlarms", "AlarmNames.member.1=high");
    let text = fixture.ok(Service::CloudWatch, "DescribeAlarmHistory", "");
    assert!(!text.contains("<HistorySummary>"), "{text}");
}

#[test]
fn old_points_are_joined_and_forgotten_metrics_go() {
    let fixture = Fixture::new();
    let account = types::AccountId::new("000000000001").unwrap();
    let region = types::Region::new("ap-northeast-2").unwrap();
    let row = MetricSeries { account, region, metric: Metric::of("Test", "Load", &[]), unit: Unit::None };
    let key = row.key();
    let write = move |tx: &mut store::Tx| -> Result<(), std::convert::Infallible> {
        for at in 0..120 {
            assert!(series::record(tx, row.clone(), Tier::Second, at, &Point::of(1.0, 1.0).unwrap()));
        }
        let blocks = |tx: &store::Snapshot| -> Vec<(Tier, usize)> {
            let rows = tx.scan::<MetricBlock>("").filter(|row| row.series == key);
            rows.map(|row| (row.block.tier, row.block.points.len())).collect()
        };
        assert_eq!(blocks(tx), [(Tier::Second, 60), (Tier::Second, 60)]);
        series::roll_up(tx, 4 * 3600);
        assert_eq!(blocks(tx), [(Tier::Minute, 2)]);
        series::roll_up(tx, 20 * 86_400);
        assert_eq!(blocks(tx), [(Tier::FiveMinutes, 1)]);
        series::roll_up(tx, 100 * 86_400);
        assert_eq!(blocks(tx), [(Tier::Hour, 1)]);
        let whole = series::periods(tx, &row, (0, 3600), 3600);
        assert_eq!(whole[&0].sum, 120.0);
        series::roll_up(tx, 500 * 86_400);
        assert!(tx.get::<MetricSeries>(&row.key()).is_none());
        Ok(())
    };
    let Ok(()) = fixture.api.store.write(write).unwrap();
}
