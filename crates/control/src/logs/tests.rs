use serde_json::{Value, json};
use types::Timestamp;

use super::*;
use crate::Service;
use crate::iam::testing::{Verifying, root};
use crate::testing::Fixture;

fn ok(fixture: &Fixture, action: &str, request: &Value) -> Value {
    let text = fixture.ok(Service::Logs, action, &request.to_string());
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
}

fn refused(fixture: &Fixture, action: &str, request: &Value) -> String {
    let (status, text) = fixture.call(Service::Logs, action, &request.to_string());
    assert!(status >= 400, "{action}: {text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    format!("{}: {}", answer["__type"].as_str().unwrap(), answer["message"].as_str().unwrap())
}

fn group_with_streams(fixture: &Fixture, streams: &[&str]) {
    ok(fixture, "CreateLogGroup", &json!({"logGroupName": "/app", "tags": {"team": "a"}}));
    for stream in streams {
        ok(fixture, "CreateLogStream", &json!({"logGroupName": "/app", "logStreamName": stream}));
    }
}

fn put(fixture: &Fixture, stream: &str, events: &[(i64, &str)]) -> Value {
    let events: Vec<Value> =
        events.iter().map(|(time, message)| json!({"timestamp": time, "message": message})).collect();
    let request = json!({"logGroupName": "/app", "logStreamName": stream, "logEvents": events});
    ok(fixture, "PutLogEvents", &request)
}

fn messages(answer: &Value) -> Vec<&str> {
    answer["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap()).collect()
}

fn now() -> i64 {
    Timestamp::now().as_millis()
}

#[test]
fn a_group_is_made_described_kept_and_deleted_as_terraform_does_it() {
    let fixture = Fixture::new();
    group_with_streams(&fixture, &["a"]);
    let again = refused(&fixture, "CreateLogGroup", &json!({"logGroupName": "/app"}));
    assert_eq!(again, "ResourceAlreadyExistsException: The specified log group already exists");
    ok(&fixture, "PutRetentionPolicy", &json!({"logGroupName": "/app", "retentionInDays": 7}));
    let odd = refused(&fixture, "PutRetentionPolicy", &json!({"logGroupName": "/app", "retentionInDays": 2}));
    assert!(odd.contains("Value '2' at 'retentionInDays' failed to satisfy constraint"), "{odd}");
    put(&fixture, "a", &[(now(), "twelve bytes")]);
    let listed = ok(&fixture, "DescribeLogGroups", &json!({"logGroupNamePrefix": "/app"}));
    let group = &listed["logGroups"][0];
    assert_eq!(group["arn"], "arn:aws:logs:ap-northeast-2:000000000001:log-group:/app:*");
    assert_eq!(group["logGroupArn"], "arn:aws:logs:ap-northeast-2:000000000001:log-group:/app");
    assert_eq!((&group["retentionInDays"], &group["storedBytes"]), (&json!(7), &json!(38)));
    let arn = &group["logGroupArn"];
    ok(&fixture, "TagResource", &json!({"resourceArn": arn, "tags": {"stage": "test"}}));
    ok(&fixture, "UntagResource", &json!({"resourceArn": arn, "tagKeys": ["team"]}));
    let tags = ok(&fixture, "ListTagsForResource", &json!({"resourceArn": arn}));
    assert_eq!(tags, json!({"tags": {"stage": "test"}}));
    ok(&fixture, "DeleteLogGroup", &json!({"logGroupName": "/app"}));
    let gone = refused(&fixture, "DescribeLogStreams", &json!({"logGroupName": "/app"}));
    assert_eq!(gone, "ResourceNotFoundException: The specified log group does not exist.");
    assert_eq!(fixture.api.events.streams().unwrap().len(), 1);
    sweep(&fixture.api.store, &fixture.api.events, Timestamp::now()).unwrap();
    assert_eq!(fixture.api.events.streams().unwrap().len(), 0);
}

#[test]
fn names_and_what_is_not_honoured_are_refused_by_name() {
    let fixture = Fixture::new();
    let cases = [
        (json!({"logGroupName": "a b"}), "logGroupName"),
        (json!({"logGroupName": ""}), "logGroupName"),
        (json!({"logGroupName": "a", "kmsKeyId": "arn:aws:kms:x"}), "kmsKeyId"),
        (json!({"logGroupName": "a", "logGroupClass": "INFREQUENT_ACCESS"}), "logGroupClass"),
        (json!({"logGroupName": "a", "tags": {"aws:x": "y"}}), "aws:"),
    ];
    for (request, word) in cases {
        let error = refused(&fixture, "CreateLogGroup", &request);
        assert!(error.starts_with("InvalidParameterException: ") && error.contains(word), "{error}");
    }
    for action in
        ["StartLiveTail", "StartQuery", "PutSubscriptionFilter", "CreateExportTask", "AssociateKmsKey"]
    {
        let error = refused(&fixture, action, &json!({}));
        assert!(error.contains(&format!("The action {action} is not supported by Landfall")), "{error}");
    }
    group_with_streams(&fixture, &["a"]);
    let odd = refused(&fixture, "CreateLogStream", &json!({"logGroupName": "/app", "logStreamName": "a:b"}));
    assert!(odd.contains("logStreamName"), "{odd}");
    let twice = refused(&fixture, "CreateLogStream", &json!({"logGroupName": "/app", "logStreamName": "a"}));
    assert_eq!(twice, "ResourceAlreadyExistsException: The specified log stream already exists");
}

#[test]
fn events_are_read_page_by_page_forwards_and_backwards() {
    let fixture = Fixture::new();
    group_with_streams(&fixture, &["a"]);
    let begin = now() - 1000;
    let events: Vec<(i64, String)> = (0..10).map(|at| (begin + at, format!("m{at}"))).collect();
    let events: Vec<(i64, &str)> = events.iter().map(|(time, text)| (*time, text.as_str())).collect();
    put(&fixture, "a", &events);
    let get = |more: Value| {
        let mut request = json!({"logGroupName": "/app", "logStreamName": "a", "limit": 4});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ok(&fixture, "GetLogEvents", &request)
    };
    let newest = get(json!({}));
    assert_eq!(messages(&newest), ["m6", "m7", "m8", "m9"]);
    let before = get(json!({"nextToken": newest["nextBackwardToken"]}));
    assert_eq!(messages(&before), ["m2", "m3", "m4", "m5"]);
    let end = get(json!({"nextToken": newest["nextForwardToken"]}));
    assert_eq!(messages(&end), [""; 0]);
    assert_eq!(end["nextForwardToken"], newest["nextForwardToken"], "the end says itself again");
    put(&fixture, "a", &[(begin + 10, "m10")]);
    assert_eq!(messages(&get(json!({"nextToken": newest["nextForwardToken"]}))), ["m10"]);
    let head = get(json!({"startFromHead": true}));
    assert_eq!(messages(&head), ["m0", "m1", "m2", "m3"]);
    assert_eq!(messages(&get(json!({"nextToken": head["nextForwardToken"]}))), ["m4", "m5", "m6", "m7"]);
    let part = get(json!({"startFromHead": true, "startTime": begin + 3, "endTime": begin + 5}));
    assert_eq!(messages(&part), ["m3", "m4"]);
    let odd = json!({"logGroupName": "/app", "logStreamName": "a", "nextToken": "x"});
    let odd = refused(&fixture, "GetLogEvents", &odd);
    assert_eq!(odd, "InvalidParameterException: The specified nextToken is invalid.");
}

#[test]
fn events_of_all_streams_are_filtered_in_the_order_of_time_over_pages() {
    let fixture = Fixture::new();
    group_with_streams(&fixture, &["a", "b", "other"]);
    let begin = now() - 1000;
    put(&fixture, "a", &[(begin, "ERROR a0"), (begin + 2, "info a2"), (begin + 4, "ERROR a4")]);
    put(&fixture, "b", &[(begin, "ERROR b0"), (begin + 3, "ERROR b3")]);
    put(&fixture, "other", &[(begin + 1, "ERROR other1")]);
    let all = |request: &Value| {
        let (mut request, mut all) = (request.clone(), Vec::new());
        loop {
            let page = ok(&fixture, "FilterLogEvents", &request);
            all.extend(messages(&page).into_iter().map(str::to_owned));
            let Some(token) = page.get("nextToken") else { return all };
            request["nextToken"] = token.clone();
        }
    };
    let want = ["ERROR a0", "ERROR b0", "ERROR other1", "ERROR b3", "ERROR a4"];
    for limit in 1..6 {
        let request = json!({"logGroupName": "/app", "filterPattern": "ERROR", "limit": limit});
        assert_eq!(all(&request), want);
    }
    let named = json!({"logGroupIdentifier": "/app", "logStreamNames": ["b", "a"], "startTime": begin + 1});
    assert_eq!(all(&named), ["info a2", "ERROR b3", "ERROR a4"]);
    let until = json!({"logGroupName": "/app", "startTime": begin + 2, "endTime": begin + 3});
    assert_eq!(all(&until), ["info a2", "ERROR b3"], "the end is included, other than by GetLogEvents");
    let prefix = json!({"logGroupName": "/app", "logStreamNamePrefix": "o"});
    assert_eq!(all(&prefix), ["ERROR other1"]);
    let odd = refused(&fixture, "FilterLogEvents", &json!({"logGroupName": "/app", "filterPattern": "a.b"}));
    assert_eq!(odd, "InvalidParameterException: Invalid character(s) in term 'a.b'");
    let page = ok(&fixture, "FilterLogEvents", &json!({"logGroupName": "/app", "limit": 1}));
    assert_eq!(page["events"][0]["eventId"].as_str().unwrap().len(), 56);
}

#[test]
fn streams_are_listed_by_name_or_by_their_last_event() {
    let fixture = Fixture::new();
    group_with_streams(&fixture, &["a", "b", "c"]);
    let begin = now() - 1000;
    put(&fixture, "b", &[(begin, "x")]);
    put(&fixture, "a", &[(begin + 1, "x")]);
    let list = |more: Value| {
        let mut request = json!({"logGroupName": "/app", "limit": 2});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut names = Vec::new();
        loop {
            let page = ok(&fixture, "DescribeLogStreams", &request);
            for stream in page["logStreams"].as_array().unwrap() {
                names.push(stream["logStreamName"].as_str().unwrap().to_owned());
            }
            let Some(token) = page.get("nextToken") else { return names };
            request["nextToken"] = token.clone();
        }
    };
    assert_eq!(list(json!({})), ["a", "b", "c"]);
    assert_eq!(list(json!({"descending": true})), ["c", "b", "a"]);
    assert_eq!(list(json!({"orderBy": "LastEventTime", "descending": true})), ["a", "b", "c"]);
    assert_eq!(list(json!({"logStreamNamePrefix": "b"})), ["b"]);
    let both = json!({"logGroupName": "/app", "orderBy": "LastEventTime", "logStreamNamePrefix": "b"});
    let both = refused(&fixture, "DescribeLogStreams", &both);
    assert!(both.contains("Cannot order by LastEventTime with a logStreamNamePrefix."), "{both}");
    let streams = ok(&fixture, "DescribeLogStreams", &json!({"logGroupName": "/app"}));
    assert_eq!(streams["logStreams"][1]["lastEventTimestamp"], json!(begin));
    assert_eq!(streams["logStreams"][2].get("lastEventTimestamp"), None);
}

#[test]
fn old_events_are_refused_hidden_and_deleted() {
    let fixture = Fixture::new();
    group_with_streams(&fixture, &["a"]);
    let day = 24 * 3600 * 1000;
    let old = now() - 3 * day;
    put(&fixture, "a", &[(old, "three days old")]);
    let answer = put(&fixture, "a", &[(now() - 15 * day, "too old"), (now(), "now")]);
    assert_eq!(answer["rejectedLogEventsInfo"], json!({"tooOldLogEventEndIndex": 1}));
    let get = || {
        let request = json!({"logGroupName": "/app", "logStreamName": "a", "startFromHead": true});
        let answer = ok(&fixture, "GetLogEvents", &request);
        messages(&answer).len()
    };
    assert_eq!(get(), 2);
    ok(&fixture, "PutRetentionPolicy", &json!({"logGroupName": "/app", "retentionInDays": 1}));
    assert_eq!(get(), 1);
    let answer = put(&fixture, "a", &[(old, "three days old")]);
    assert_eq!(answer["rejectedLogEventsInfo"], json!({"expiredLogEventEndIndex": 1}));
    let later = Timestamp::from_millis(now() + 3 * day);
    sweep(&fixture.api.store, &fixture.api.events, later).unwrap();
    let id = fixture.api.store.snapshot().scan::<LogStream>("").next().unwrap().id.clone();
    assert_eq!(fixture.api.events.summary(&id).unwrap().events, 0);
}

#[test]
fn a_pattern_is_tested_on_messages() {
    let fixture = Fixture::new();
    let request = json!({"filterPattern": "[level, code = 4*]", "logEventMessages": ["E 404", "E 500"]});
    let want = json!({"matches": [{"eventNumber": 1, "eventMessage": "E 404",
        "extractedValues": {"$level": "E", "$code": "404"}}]});
    assert_eq!(ok(&fixture, "TestMetricFilter", &request), want);
}

/// The calls of every operation, on the group and stream of a role's policy.
#[test]
fn every_operation_asks_the_caller_s_policies_about_the_group_or_the_stream() {
    let api = Verifying::new();
    let root = root();
    for (action, body) in [
        ("CreateLogGroup", json!({"logGroupName": "/app"})),
        ("CreateLogStream", json!({"logGroupName": "/app", "logStreamName": "a"})),
    ] {
        api.ok(&root, Service::Logs, action, &body.to_string());
    }
    let nobody = api.session("nobody", None);
    let arn = "arn:aws:logs:ap-northeast-2:000000000001:log-group:/app";
    let statement = format!(
        r#"{{"Effect":"Allow","Action":"logs:*","Resource":["{arn}:*","{arn}","arn:aws:logs:*:*:log-group::*"]}}"#
    );
    let app = api.session("app", Some(&statement));
    let group = json!({"logGroupName": "/app"});
    let stream = json!({"logGroupName": "/app", "logStreamName": "b"});
    let event = json!([{"timestamp": now(), "message": "x"}]);
    let calls = [
        ("DescribeLogGroups", json!({})),
        ("PutMetricFilter", metric_filter("errors")),
        ("DescribeMetricFilters", group.clone()),
        ("DeleteMetricFilter", json!({"logGroupName": "/app", "filterName": "errors"})),
        ("TestMetricFilter", json!({"filterPattern": "", "logEventMessages": ["x"]})),
        ("PutRetentionPolicy", json!({"logGroupName": "/app", "retentionInDays": 1})),
        ("DeleteRetentionPolicy", group.clone()),
        ("CreateLogStream", stream.clone()),
        ("DescribeLogStreams", group.clone()),
        ("PutLogEvents", json!({"logGroupName": "/app", "logStreamName": "b", "logEvents": event})),
        ("GetLogEvents", stream.clone()),
        ("FilterLogEvents", group.clone()),
        ("TagResource", json!({"resourceArn": arn, "tags": {"a": "b"}})),
        ("ListTagsForResource", json!({"resourceArn": arn})),
        ("UntagResource", json!({"resourceArn": arn, "tagKeys": ["a"]})),
        ("TagLogGroup", json!({"logGroupName": "/app", "tags": {"a": "b"}})),
        ("ListTagsLogGroup", group.clone()),
        ("UntagLogGroup", json!({"logGroupName": "/app", "tags": ["a"]})),
        ("DeleteLogStream", stream),
        ("DeleteLogGroup", group.clone()),
        ("CreateLogGroup", group),
    ];
    let mut called: Vec<&str> = calls.iter().map(|(action, _)| *action).collect();
    called.sort_unstable();
    let all: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(called, all);
    for (action, body) in calls {
        let (status, text) = api.call(&nobody, Service::Logs, action, &body.to_string());
        assert!(status == 400 && text.contains("AccessDeniedException"), "{action}: {text}");
        api.ok(&app, Service::Logs, action, &body.to_string());
    }
    let (_, text) = api.call(&app, Service::Logs, "CreateLogGroup", r#"{"logGroupName":"/other"}"#);
    assert!(
        text.contains("on resource: arn:aws:logs:ap-northeast-2:000000000001:log-group:/other:"),
        "{text}"
    );
}

fn metric_filter(name: &str) -> Value {
    json!({
        "logGroupName": "/app", "filterName": name, "filterPattern": "{ $.latency > 0 }",
        "metricTransformations": [{"metricName": "Latency", "metricNamespace": "App", "metricValue": "$.latency",
            "unit": "Milliseconds", "dimensions": {"Path": "$.path"}}],
    })
}

#[test]
fn what_a_metric_filter_finds_is_measured_and_minutes_without_a_match_have_the_default() {
    let fixture = Fixture::new();
    group_with_streams(&fixture, &["a"]);
    ok(&fixture, "PutMetricFilter", &metric_filter("latency"));
    let errors = json!({
        "logGroupName": "/app", "filterName": "errors", "filterPattern": "ERROR",
        "metricTransformations":
            [{"metricName": "Errors", "metricNamespace": "App", "metricValue": "1", "defaultValue": 0.0}],
    });
    ok(&fixture, "PutMetricFilter", &errors);
    let described = ok(&fixture, "DescribeMetricFilters", &json!({"logGroupName": "/app"}));
    assert_eq!(described["metricFilters"][0]["metricTransformations"], errors["metricTransformations"]);
    assert_eq!(described["metricFilters"].as_array().unwrap().len(), 2);
    let groups = ok(&fixture, "DescribeLogGroups", &json!({}));
    assert_eq!(groups["logGroups"][0]["metricFilterCount"], 2);
    let minute = now().div_euclid(60_000) * 60_000 - 60_000;
    put(
        &fixture,
        "a",
        &[
            (minute, r#"{"latency": 20, "path": "/a"}"#),
            (minute + 1, r#"{"latency": 40, "path": "/a"}"#),
            (minute + 2, r#"{"latency": 60}"#),
        ],
    );
    put(&fixture, "a", &[(minute + 60_000, "ERROR one"), (minute + 60_001, "ERROR two")]);
    let rows = fixture.api.store.snapshot();
    let mut measured: Vec<(String, f64, f64)> = rows
        .scan::<crate::cloudwatch::MetricBlock>("")
        .flat_map(|row| {
            let series = rows.get::<crate::cloudwatch::MetricSeries>(&row.series).unwrap();
            let name = series.metric.name.clone();
            let points: Vec<_> = row.block.points.values().cloned().collect();
            points.into_iter().map(move |point| (name.clone(), point.sum, point.count)).collect::<Vec<_>>()
        })
        .collect();
    measured.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let want = [("Errors", 0.0, 1.0), ("Errors", 2.0, 2.0), ("Latency", 60.0, 2.0)];
    assert_eq!(measured, want.map(|(name, sum, count)| (name.to_owned(), sum, count)));

    for (change, word) in [
        (json!({"metricValue": "$.x y"}), "neither a number nor a field"),
        (json!({"metricNamespace": "AWS/X"}), "AWS/"),
        (json!({"defaultValue": 1.0}), "mutually exclusive"),
        (json!({"dimensions": {"a": "b"}}), "dimension 'a'"),
    ] {
        let mut request = metric_filter("odd");
        let transformation = request["metricTransformations"][0].as_object_mut().unwrap();
        transformation.extend(change.as_object().unwrap().clone());
        let error = refused(&fixture, "PutMetricFilter", &request);
        assert!(error.starts_with("InvalidParameterException: ") && error.contains(word), "{error}");
    }
    let one = metric_filter("odd")["metricTransformations"][0].clone();
    for (given, bound) in [(json!([]), "greater"), (json!([one, one]), "less")] {
        let mut request = metric_filter("odd");
        request["metricTransformations"] = given;
        let error = refused(&fixture, "PutMetricFilter", &request);
        assert!(error.ends_with(&format!("Member must have length {bound} than or equal to 1")), "{error}");
    }
    ok(&fixture, "DeleteMetricFilter", &json!({"logGroupName": "/app", "filterName": "latency"}));
    let gone =
        refused(&fixture, "DeleteMetricFilter", &json!({"logGroupName": "/app", "filterName": "latency"}));
    assert_eq!(gone, "ResourceNotFoundException: The specified metric filter does not exist.");
}
