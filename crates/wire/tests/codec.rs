//! The codec, by examples in AWS's own forms.

use std::fmt::Debug;

use bytes::Bytes;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wire::{ApiError, Input, OnlyDefault, Protocol, Tree, documented_default};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code, reason = "read through Debug")]
struct DescribeVpcsRequest {
    #[serde(default, rename = "vpcId")]
    vpc_ids: Vec<String>,
    #[serde(default, rename = "filter")]
    filters: Vec<Filter>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code, reason = "read through Debug")]
struct Filter {
    name: String,
    #[serde(default, rename = "value")]
    values: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct CreateRoleRequest {
    role_name: String,
    max_session_duration: Option<i32>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tag {
    key: String,
    value: String,
}

documented_default!(
    /// REPLICA, the default scheduling strategy.
    Replica = "REPLICA"
);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code, reason = "read through Debug")]
struct CreateServiceRequest {
    service_name: String,
    #[serde(default)]
    scheduling_strategy: OnlyDefault<Replica>,
    network: Option<Network>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code, reason = "read through Debug")]
struct Network {
    subnets: Vec<String>,
}

fn check<T: DeserializeOwned + Debug>(protocol: Protocol, body: &str, want: &Expect) {
    let tree = match protocol {
        Protocol::Ec2Query => Tree::from_ec2_query(body.as_bytes()).map(|tree| Input::tree(protocol, tree)),
        Protocol::AwsQuery => Tree::from_query(body.as_bytes()).map(|tree| Input::tree(protocol, tree)),
        _ => Ok(Input::document(protocol, Bytes::copy_from_slice(body.as_bytes()))),
    };
    let got = match tree.and_then(Input::decode::<T>) {
        Ok(request) => format!("{request:?}"),
        Err(error) => {
            let code =
                if protocol == Protocol::AwsJson { "InvalidParameterException" } else { "ValidationError" };
            ApiError::from_decode(&error, protocol, code, "Act").to_string()
        }
    };
    want.assert_eq(&got);
}

#[test]
fn ec2_lists_are_flat_and_ordered_by_their_numbers() {
    check::<DescribeVpcsRequest>(
        Protocol::Ec2Query,
        "VpcId.2=vpc-b&VpcId.10=vpc-c&VpcId.1=vpc-a&Filter.1.Name=cidr&Filter.1.Value.1=10.0.0.0%2F16&DryRun=false",
        &expect![[
            r#"DescribeVpcsRequest { vpc_ids: ["vpc-a", "vpc-b", "vpc-c"], filters: [Filter { name: "cidr", values: ["10.0.0.0/16"] }], dry_run: Some(false) }"#
        ]],
    );
}

#[test]
fn query_lists_have_members_and_empty_ones_a_bare_name() {
    check::<CreateRoleRequest>(
        Protocol::AwsQuery,
        "RoleName=web&Tags.member.1.Key=env&Tags.member.1.Value=a%26b",
        &expect![[
            r#"CreateRoleRequest { role_name: "web", max_session_duration: None, tags: [Tag { key: "env", value: "a&b" }] }"#
        ]],
    );
    check::<CreateRoleRequest>(
        Protocol::AwsQuery,
        "RoleName=web&Tags=",
        &expect![[r#"CreateRoleRequest { role_name: "web", max_session_duration: None, tags: [] }"#]],
    );
}

#[test]
fn what_does_not_fit_is_named_in_the_service_s_words() {
    check::<DescribeVpcsRequest>(
        Protocol::Ec2Query,
        "Filter.1.Value.1=x",
        &expect!["MissingParameter: The request must contain the parameter Filter.Name"],
    );
    check::<DescribeVpcsRequest>(
        Protocol::Ec2Query,
        "Ipv4IpamPoolId=x",
        &expect![
            "UnknownParameter: The parameter Ipv4IpamPoolId is not recognized: Landfall does not support it for Act"
        ],
    );
    check::<DescribeVpcsRequest>(
        Protocol::Ec2Query,
        "DryRun=perhaps",
        &expect!["InvalidParameterValue: Value (perhaps) for parameter DryRun is invalid."],
    );
    check::<CreateRoleRequest>(
        Protocol::AwsQuery,
        "Tags=",
        &expect![
            "ValidationError: 1 validation error detected: Value null at 'roleName' failed to satisfy constraint: Member must not be null"
        ],
    );
    check::<CreateServiceRequest>(
        Protocol::AwsJson,
        r#"{"serviceName":"a","network":{"subnets":[],"vpc":"x"}}"#,
        &expect!["InvalidParameterException: The parameter network.vpc is not supported by Landfall for Act"],
    );
    check::<CreateServiceRequest>(
        Protocol::AwsJson,
        r#"{"serviceName":7}"#,
        &expect!["SerializationException: serviceName: invalid type: integer `7`, expected a string"],
    );
    check::<CreateServiceRequest>(
        Protocol::AwsJson,
        r#"{"serviceName":"#,
        &expect!["SerializationException: serviceName: EOF while parsing a value"],
    );
}

#[test]
fn a_member_takes_its_documented_default_alone() {
    for body in [r#"{"serviceName":"a"}"#, r#"{"serviceName":"a","schedulingStrategy":"REPLICA"}"#] {
        check::<CreateServiceRequest>(
            Protocol::AwsJson,
            body,
            &expect![[
                r#"CreateServiceRequest { service_name: "a", scheduling_strategy: default, network: None }"#
            ]],
        );
    }
    check::<CreateServiceRequest>(
        Protocol::AwsJson,
        r#"{"serviceName":"a","schedulingStrategy":"DAEMON"}"#,
        &expect![[
            r#"InvalidParameterException: schedulingStrategy: only the default 'REPLICA' is supported, not "DAEMON" by Landfall for Act"#
        ]],
    );
}

#[test]
fn a_value_that_is_not_known_here_is_refused_with_those_that_are() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Request {
        #[allow(dead_code, reason = "printed")]
        requires_compatibilities: Vec<Compatibility>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    enum Compatibility {
        Ec2,
        Fargate,
    }
    check::<Request>(
        Protocol::AwsJson,
        r#"{"requiresCompatibilities":["FARGATE","EXTERNAL"]}"#,
        &expect![
            "InvalidParameterException: requiresCompatibilities[1]: only 'EC2' or 'FARGATE' is supported, not 'EXTERNAL' by Landfall for Act"
        ],
    );
}

#[test]
fn a_number_out_of_range_and_a_list_for_an_object_are_refused_in_aws_s_words() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[allow(dead_code, reason = "read through Debug")]
    struct Request {
        container_port: u16,
    }
    for (body, want) in [
        (
            r#"{"containerPort":-1}"#,
            expect!["InvalidParameterException: Value '-1' at 'containerPort' is not valid"],
        ),
        (
            r#"{"containerPort":65536}"#,
            expect!["InvalidParameterException: Value '65536' at 'containerPort' is not valid"],
        ),
        ("[80]", expect!["SerializationException: a list stands where an object is expected"]),
    ] {
        check::<Request>(Protocol::AwsJson, body, &want);
    }
}

#[test]
fn responses_are_wrapped_escaped_and_leave_out_what_is_absent() {
    let role = CreateRoleRequest {
        role_name: "<web>\u{1}".into(),
        max_session_duration: None,
        tags: vec![Tag { key: "env".into(), value: "a&b".into() }],
    };
    let write = |protocol: Protocol| {
        String::from_utf8(protocol.encode("GetRole", "urn:x", "r", &role).unwrap()).unwrap()
    };
    expect![[r#"<GetRoleResponse xmlns="urn:x"><GetRoleResult><RoleName>&lt;web&gt;�</RoleName><Tags><member><Key>env</Key><Value>a&amp;b</Value></member></Tags></GetRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetRoleResponse>"#]]
        .assert_eq(&write(Protocol::AwsQuery));
    expect![[r#"<GetRoleResponse xmlns="urn:x"><requestId>r</requestId><RoleName>&lt;web&gt;�</RoleName><Tags><item><Key>env</Key><Value>a&amp;b</Value></item></Tags></GetRoleResponse>"#]]
        .assert_eq(&write(Protocol::Ec2Query));
}

#[test]
fn errors_have_each_protocol_s_form() {
    let error = ApiError::new("InvalidVpcID.NotFound", "The vpc ID 'vpc-<1>' does not exist");
    for (protocol, want) in [
        (
            Protocol::AwsQuery,
            expect![[
                r#"<ErrorResponse xmlns="urn:x"><Error><Type>Sender</Type><Code>InvalidVpcID.NotFound</Code><Message>The vpc ID &apos;vpc-&lt;1&gt;&apos; does not exist</Message></Error><RequestId>r</RequestId></ErrorResponse>"#
            ]],
        ),
        (
            Protocol::Ec2Query,
            expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <Response><Errors><Error><Code>InvalidVpcID.NotFound</Code><Message>The vpc ID &apos;vpc-&lt;1&gt;&apos; does not exist</Message></Error></Errors><RequestID>r</RequestID></Response>"#]],
        ),
        (
            Protocol::AwsJson,
            expect![[
                r#"{"__type":"InvalidVpcID.NotFound","message":"The vpc ID 'vpc-<1>' does not exist"}"#
            ]],
        ),
    ] {
        want.assert_eq(std::str::from_utf8(protocol.error("urn:x", "r", &error).body()).unwrap());
    }
}

#[test]
fn absurd_requests_are_refused_quickly() {
    let deep = format!("{}=x", vec!["a"; 100_000].join("."));
    assert!(Tree::from_query(deep.as_bytes()).is_err());
    let many: String = (0..100_000).map(|n| format!("K.{n}=x&")).collect();
    assert!(Tree::from_query(many.as_bytes()).is_err());
    assert!(Tree::from_query(b"A=1&A.B=2").is_err());
    assert!(Tree::from_query(b"A=1&A=2").is_err());
}

proptest! {
    #[test]
    fn no_body_makes_the_codec_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for parse in [Tree::from_query, Tree::from_ec2_query] {
            if let Ok(tree) = parse(&body) {
                let _ = tree.clone().decode::<CreateRoleRequest>();
                if let Err(error) = tree.decode::<DescribeVpcsRequest>() {
                    let _ = ApiError::from_decode(&error, Protocol::Ec2Query, "InvalidParameterValue", "Act");
                }
            }
        }
        let _ = Input::document(Protocol::AwsJson, Bytes::from(body)).decode::<CreateServiceRequest>();
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Point {
    timestamp: wire::Time,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<i64>,
}

fn cbor<T: Serialize>(value: &T) -> Bytes {
    let mut body = Vec::new();
    ciborium::into_writer(value, &mut body).expect("a value that has a form in CBOR");
    Bytes::from(body)
}

fn check_cbor(body: Bytes, want: &Expect) {
    let got = match Input::document(Protocol::RpcV2Cbor, body).decode::<Point>() {
        Ok(request) => format!("{request:?}"),
        Err(error) => {
            ApiError::from_decode(&error, Protocol::RpcV2Cbor, "ValidationError", "Act").to_string()
        }
    };
    want.assert_eq(&got);
}

#[test]
fn a_timestamp_has_each_protocol_s_form_on_the_way_out_and_in() {
    let point = Point {
        timestamp: types::Timestamp::from_millis(1_700_000_000_500).into(),
        value: 2.5,
        period: None,
    };
    let json = Protocol::AwsJson10.encode("Act", "", "id", &point).unwrap();
    assert_eq!(String::from_utf8(json.clone()).unwrap(), r#"{"Timestamp":1700000000.5,"Value":2.5}"#);
    let xml = Protocol::AwsQuery.encode("Act", "x", "id", &point).unwrap();
    assert!(String::from_utf8(xml).unwrap().contains("<Timestamp>2023-11-14T22:13:20.500Z</Timestamp>"));
    let body = Protocol::RpcV2Cbor.encode("Act", "", "id", &point).unwrap();
    // A map whose first value is tag 1 and a double.
    assert!(body.windows(3).any(|bytes| bytes == [b'p', 0xc1, 0xfb]), "{body:x?}");
    let same =
        |input: Input| assert_eq!(format!("{:?}", input.decode::<Point>().unwrap()), format!("{point:?}"));
    same(Input::document(Protocol::RpcV2Cbor, Bytes::from(body)));
    same(Input::document(Protocol::AwsJson10, Bytes::from(json)));
    let tree = Tree::from_query(b"Timestamp=2023-11-14T22%3A13%3A20.5Z&Value=2.5").unwrap();
    same(Input::tree(Protocol::AwsQuery, tree));
    let tree = Tree::from_query(b"Timestamp=2023-11-15T07%3A13%3A20.5%2B09%3A00&Value=2.5").unwrap();
    same(Input::tree(Protocol::AwsQuery, tree));
}

#[test]
fn what_does_not_fit_in_cbor_is_named_as_in_a_form() {
    use serde_json::json;
    check_cbor(
        cbor(&json!({ "Timestamp": 1, "Value": 1, "Period": 60 })),
        &expect!["Point { timestamp: Time(Timestamp(1000)), value: 1.0, period: Some(60) }"],
    );
    check_cbor(
        cbor(&json!({ "Timestamp": 1, "Value": 1, "Colour": "red" })),
        &expect!["ValidationError: The parameter Colour is not supported by Landfall for Act"],
    );
    check_cbor(
        cbor(&json!({ "Timestamp": 1 })),
        &expect![
            "ValidationError: 1 validation error detected: Value null at 'value' failed to satisfy constraint: Member must not be null"
        ],
    );
    check_cbor(
        cbor(&std::collections::BTreeMap::from([("Timestamp", 1.0), ("Value", f64::NAN)])),
        &expect![[r#"SerializationException: Value: invalid type: string "NaN", expected f64"#]],
    );
    check_cbor(Bytes::from_static(b"\xff\xff"), &expect!["SerializationException: the body is not CBOR"]);
    check_cbor(
        cbor(&json!([1])),
        &expect!["SerializationException: a list stands where an object is expected"],
    );
}

#[test]
fn an_error_in_cbor_names_its_shape_and_keeps_the_code_of_awsquery() {
    let error = ApiError::new("InvalidParameterValue", "no").with_shape("InvalidParameterValueException");
    let response = Protocol::RpcV2Cbor.error("", "id", &error);
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["smithy-protocol"], "rpc-v2-cbor");
    assert_eq!(response.headers()["x-amzn-query-error"], "InvalidParameterValue;Sender");
    let body: std::collections::BTreeMap<String, String> =
        ciborium::from_reader(response.body().as_ref()).unwrap();
    assert_eq!(body["__type"], "InvalidParameterValueException");
    assert_eq!(body["message"], "no");
}

#[test]
fn a_map_of_a_response_has_entries_in_xml() {
    #[derive(Serialize)]
    struct Answer {
        statistics: wire::Entries<f64>,
    }
    let answer = Answer { statistics: wire::Entries([("p99".to_owned(), 1.5)].into()) };
    let xml = String::from_utf8(Protocol::AwsQuery.encode("Act", "x", "id", &answer).unwrap()).unwrap();
    assert!(
        xml.contains("<statistics><entry><key>p99</key><value>1.5</value></entry></statistics>"),
        "{xml}"
    );
    let json = String::from_utf8(Protocol::AwsJson10.encode("Act", "", "id", &answer).unwrap()).unwrap();
    assert_eq!(json, r#"{"statistics":{"p99":1.5}}"#);
}

proptest! {
    #[test]
    fn no_cbor_makes_the_decoder_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Input::document(Protocol::RpcV2Cbor, Bytes::from(body)).decode::<Point>();
    }
}
