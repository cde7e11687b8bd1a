//! What the codec says of documents that do not fit their shape.

use std::collections::BTreeMap;

use bytes::Bytes;
use expect_test::expect;
use serde::Deserialize;
use wire::{ApiError, Input, OnlyDefault, Protocol};

/// Members of every kind that requests have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code, reason = "read through Debug")]
struct Shape {
    name: String,
    on: Option<bool>,
    count: Option<u16>,
    ratio: Option<f64>,
    kind: Option<Kind>,
    #[serde(default)]
    parts: Vec<Part>,
    part: Option<Part>,
    labels: Option<BTreeMap<String, String>>,
    at: Option<wire::Time>,
    id: Option<types::VpcId>,
    #[serde(default)]
    only: OnlyDefault<wire::Empty>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code, reason = "read through Debug")]
struct Part {
    port: i64,
    kind: Option<Kind>,
    #[serde(default)]
    only: OnlyDefault<wire::False>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Kind {
    A,
    B,
    C,
}

/// Each body with what it is read as, or what is said of it.
fn said(protocol: Protocol, bodies: &[&str]) -> String {
    let mut said = String::new();
    for body in bodies {
        let bytes = match protocol {
            Protocol::RpcV2Cbor => {
                let mut cbor = Vec::new();
                let value: serde_json::Value = serde_json::from_str(body).expect("JSON");
                ciborium::into_writer(&value, &mut cbor).expect("a form in CBOR");
                Bytes::from(cbor)
            }
            _ => Bytes::copy_from_slice(body.as_bytes()),
        };
        let got = match Input::document(protocol, bytes).decode::<Shape>() {
            Ok(request) => format!("{request:?}"),
            Err(error) => {
                ApiError::from_decode(&error, protocol, "InvalidParameterException", "Act").to_string()
            }
        };
        said += &format!("{body}\n    {got}\n");
    }
    said
}

const BODIES: &[&str] = &[
    r#"{"name":"a","on":true,"count":7,"ratio":1,"kind":"B","parts":[{"port":-1}],"part":{"port":2,"kind":null,"only":false},"labels":{"x":"y"},"at":1.5,"id":"vpc-0123456789abcdef0","only":null}"#,
    r#"{"name":"a","on":null,"count":null,"ratio":null,"kind":null,"part":null,"labels":null,"at":null,"id":null}"#,
    "{}",
    "null",
    "7",
    r#""a""#,
    "[]",
    r#"["a"]"#,
    r#"{"name":null}"#,
    r#"{"name":7}"#,
    r#"{"name":1.5}"#,
    r#"{"name":true}"#,
    r#"{"name":["a"]}"#,
    r#"{"name":{"a":1}}"#,
    r#"{"name":"a","on":"true"}"#,
    r#"{"name":"a","on":1}"#,
    r#"{"name":"a","count":"7"}"#,
    r#"{"name":"a","count":-7}"#,
    r#"{"name":"a","count":65536}"#,
    r#"{"name":"a","count":1e30}"#,
    r#"{"name":"a","count":1.0}"#,
    r#"{"name":"a","count":true}"#,
    r#"{"name":"a","ratio":"1"}"#,
    r#"{"name":"a","ratio":[]}"#,
    r#"{"name":"a","kind":"D"}"#,
    r#"{"name":"a","kind":"b"}"#,
    r#"{"name":"a","parts":null}"#,
    r#"{"name":"a","parts":{}}"#,
    r#"{"name":"a","parts":"x"}"#,
    r#"{"name":"a","parts":[{"port":1},{}]}"#,
    r#"{"name":"a","parts":[{"port":1},null]}"#,
    r#"{"name":"a","parts":[{"port":1},7]}"#,
    r#"{"name":"a","parts":[{"port":"x"}]}"#,
    r#"{"name":"a","parts":[{"port":1,"kind":"D"}]}"#,
    r#"{"name":"a","parts":[{"port":1,"other":{"x":1}}]}"#,
    r#"{"name":"a","parts":[{"port":1,"only":true}]}"#,
    r#"{"name":"a","part":7}"#,
    r#"{"name":"a","part":{"only":false}}"#,
    r#"{"name":"a","part":{"port":1,"name":1}}"#,
    r#"{"name":"a","labels":{"x":1}}"#,
    r#"{"name":"a","labels":[]}"#,
    r#"{"name":"a","labels":{"x":null}}"#,
    r#"{"name":"a","at":"2024-01-01T00:00:00Z"}"#,
    r#"{"name":"a","at":"yesterday"}"#,
    r#"{"name":"a","at":-1}"#,
    r#"{"name":"a","at":true}"#,
    r#"{"name":"a","id":"sg-1"}"#,
    r#"{"name":"a","id":7}"#,
    r#"{"name":"a","only":"x"}"#,
    r#"{"name":"a","only":{"x":[1,2.5,null]}}"#,
    r#"{"other":1}"#,
];

#[test]
fn what_does_not_fit_in_json_is_named() {
    expect![[r#"
        {"name":"a","on":true,"count":7,"ratio":1,"kind":"B","parts":[{"port":-1}],"part":{"port":2,"kind":null,"only":false},"labels":{"x":"y"},"at":1.5,"id":"vpc-0123456789abcdef0","only":null}
            Shape { name: "a", on: Some(true), count: Some(7), ratio: Some(1.0), kind: Some(B), parts: [Part { port: -1, kind: None, only: default }], part: Some(Part { port: 2, kind: None, only: default }), labels: Some({"x": "y"}), at: Some(Time(Timestamp(1500))), id: Some(VpcId("vpc-0123456789abcdef0")), only: default }
        {"name":"a","on":null,"count":null,"ratio":null,"kind":null,"part":null,"labels":null,"at":null,"id":null}
            Shape { name: "a", on: None, count: None, ratio: None, kind: None, parts: [], part: None, labels: None, at: None, id: None, only: default }
        {}
            InvalidParameterException: 1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null
        null
            SerializationException: invalid type: null, expected struct Shape
        7
            SerializationException: invalid type: integer `7`, expected struct Shape
        "a"
            SerializationException: invalid type: string "a", expected struct Shape
        []
            SerializationException: a list stands where an object is expected
        ["a"]
            SerializationException: a list stands where an object is expected
        {"name":null}
            SerializationException: name: invalid type: null, expected a string
        {"name":7}
            SerializationException: name: invalid type: integer `7`, expected a string
        {"name":1.5}
            SerializationException: name: invalid type: floating point `1.5`, expected a string
        {"name":true}
            SerializationException: name: invalid type: boolean `true`, expected a string
        {"name":["a"]}
            SerializationException: name: invalid type: sequence, expected a string
        {"name":{"a":1}}
            SerializationException: name: invalid type: map, expected a string
        {"name":"a","on":"true"}
            SerializationException: on: invalid type: string "true", expected a boolean
        {"name":"a","on":1}
            SerializationException: on: invalid type: integer `1`, expected a boolean
        {"name":"a","count":"7"}
            SerializationException: count: invalid type: string "7", expected u16
        {"name":"a","count":-7}
            InvalidParameterException: Value '-7' at 'count' is not valid
        {"name":"a","count":65536}
            InvalidParameterException: Value '65536' at 'count' is not valid
        {"name":"a","count":1e30}
            SerializationException: count: invalid type: floating point `1e+30`, expected u16
        {"name":"a","count":1.0}
            SerializationException: count: invalid type: floating point `1.0`, expected u16
        {"name":"a","count":true}
            SerializationException: count: invalid type: boolean `true`, expected u16
        {"name":"a","ratio":"1"}
            SerializationException: ratio: invalid type: string "1", expected f64
        {"name":"a","ratio":[]}
            SerializationException: ratio: invalid type: sequence, expected f64
        {"name":"a","kind":"D"}
            InvalidParameterException: kind: only 'A', 'B', 'C' is supported, not 'D' by Landfall for Act
        {"name":"a","kind":"b"}
            InvalidParameterException: kind: only 'A', 'B', 'C' is supported, not 'b' by Landfall for Act
        {"name":"a","parts":null}
            SerializationException: parts: invalid type: null, expected a sequence
        {"name":"a","parts":{}}
            SerializationException: parts: invalid type: map, expected a sequence
        {"name":"a","parts":"x"}
            SerializationException: parts: invalid type: string "x", expected a sequence
        {"name":"a","parts":[{"port":1},{}]}
            InvalidParameterException: 1 validation error detected: Value null at 'parts[1].port' failed to satisfy constraint: Member must not be null
        {"name":"a","parts":[{"port":1},null]}
            SerializationException: parts[1]: invalid type: null, expected struct Part
        {"name":"a","parts":[{"port":1},7]}
            SerializationException: parts[1]: invalid type: integer `7`, expected struct Part
        {"name":"a","parts":[{"port":"x"}]}
            SerializationException: parts[0].port: invalid type: string "x", expected i64
        {"name":"a","parts":[{"port":1,"kind":"D"}]}
            InvalidParameterException: parts[0].kind: only 'A', 'B', 'C' is supported, not 'D' by Landfall for Act
        {"name":"a","parts":[{"port":1,"other":{"x":1}}]}
            InvalidParameterException: The parameter parts[0].other is not supported by Landfall for Act
        {"name":"a","parts":[{"port":1,"only":true}]}
            InvalidParameterException: parts[0].only: only the default 'false' is supported, not true by Landfall for Act
        {"name":"a","part":7}
            SerializationException: part: invalid type: integer `7`, expected struct Part
        {"name":"a","part":{"only":false}}
            InvalidParameterException: 1 validation error detected: Value null at 'part.port' failed to satisfy constraint: Member must not be null
        {"name":"a","part":{"port":1,"name":1}}
            InvalidParameterException: The parameter part.name is not supported by Landfall for Act
        {"name":"a","labels":{"x":1}}
            SerializationException: labels.x: invalid type: integer `1`, expected a string
        {"name":"a","labels":[]}
            SerializationException: labels: invalid type: sequence, expected a map
        {"name":"a","labels":{"x":null}}
            SerializationException: labels.x: invalid type: null, expected a string
        {"name":"a","at":"2024-01-01T00:00:00Z"}
            Shape { name: "a", on: None, count: None, ratio: None, kind: None, parts: [], part: None, labels: None, at: Some(Time(Timestamp(1704067200000))), id: None, only: default }
        {"name":"a","at":"yesterday"}
            SerializationException: at: 'yesterday' is not a timestamp
        {"name":"a","at":-1}
            SerializationException: at: -1 is not a timestamp
        {"name":"a","at":true}
            SerializationException: at: invalid type: boolean `true`, expected a timestamp
        {"name":"a","id":"sg-1"}
            Shape { name: "a", on: None, count: None, ratio: None, kind: None, parts: [], part: None, labels: None, at: None, id: Some(VpcId("sg-1")), only: default }
        {"name":"a","id":7}
            SerializationException: id: invalid type: integer `7`, expected a string
        {"name":"a","only":"x"}
            InvalidParameterException: only: only an empty value is supported, not "x" by Landfall for Act
        {"name":"a","only":{"x":[1,2.5,null]}}
            InvalidParameterException: only: only an empty value is supported, not {"x":[1,2.5,null]} by Landfall for Act
        {"other":1}
            InvalidParameterException: The parameter other is not supported by Landfall for Act
    "#]].assert_eq(&said(Protocol::AwsJson, BODIES));
    expect![[r#"

            InvalidParameterException: 1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null
	
            SerializationException: EOF while parsing a value
        {"name":"a"}x
            SerializationException: trailing characters at line 1 column 13
        {"name":"a","name":"b"}
            SerializationException: duplicate field `name`
        {"name":"a","parts":[{"port":1,"port":2}]}
            SerializationException: parts[0]: duplicate field `port`
        {"name":"a","labels":{"x":"1","x":"2"}}
            Shape { name: "a", on: None, count: None, ratio: None, kind: None, parts: [], part: None, labels: Some({"x": "2"}), at: None, id: None, only: default }
        {"name":"a","parts":[{"port":1},{"port":}]}
            SerializationException: parts[1].port: expected value
        {"name":"a","part":{"port":1
            SerializationException: part: EOF while parsing an object
        {"name":"a"
            SerializationException: EOF while parsing an object
        {"name":"\ud800"}
            SerializationException: name: unexpected end of hex escape
        {"name":"a",}
            SerializationException: trailing comma
        {7:1}
            SerializationException: key must be a string
        {"name":"a","count":1e999}
            SerializationException: count: number out of range
        {"name":"a","kind":7}
            SerializationException: kind: invalid type: integer `7`, expected a string
        {"name":"a","kind":{"B":null}}
            SerializationException: kind: invalid type: map, expected a string
        {"name":"a","kind":{"D":1}}
            SerializationException: kind: invalid type: map, expected a string
        {"name":"a","part":[1]}
            SerializationException: part: a list stands where an object is expected
        {"name":"a","parts":[[1]]}
            SerializationException: parts[0]: a list stands where an object is expected
    "#]].assert_eq(&said(
        Protocol::AwsJson,
        &[
            "",
            "\t",
            r#"{"name":"a"}x"#,
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":"a","parts":[{"port":1,"port":2}]}"#,
            r#"{"name":"a","labels":{"x":"1","x":"2"}}"#,
            r#"{"name":"a","parts":[{"port":1},{"port":}]}"#,
            r#"{"name":"a","part":{"port":1"#,
            r#"{"name":"a""#,
            r#"{"name":"\ud800"}"#,
            r#"{"name":"a",}"#,
            r#"{7:1}"#,
            r#"{"name":"a","count":1e999}"#,
            r#"{"name":"a","kind":7}"#,
            r#"{"name":"a","kind":{"B":null}}"#,
            r#"{"name":"a","kind":{"D":1}}"#,
            r#"{"name":"a","part":[1]}"#,
            r#"{"name":"a","parts":[[1]]}"#,
        ],
    ));
}

#[test]
fn what_does_not_fit_in_cbor_is_named_as_in_json() {
    let in_json = said(Protocol::AwsJson10, BODIES);
    assert_eq!(said(Protocol::RpcV2Cbor, BODIES), in_json);
}

#[test]
fn what_does_not_fit_in_a_form_is_named() {
    let said = |body: &str| {
        let tree = wire::Tree::from_query(body.as_bytes()).unwrap();
        let got = Input::tree(Protocol::AwsQuery, tree).decode::<Shape>();
        let error = got.expect_err(body);
        format!(
            "{body}\n    {}\n",
            ApiError::from_decode(&error, Protocol::AwsQuery, "ValidationError", "Act")
        )
    };
    let bodies = [
        "name.x=1",
        "name=a&on=1",
        "name=a&count=-7",
        "name=a&kind=D",
        "name=a&parts=x",
        "name=a&parts.member.1.port=1&parts.member.2.port=x",
        "name=a&parts.member.1=x",
        "name=a&part=7",
        "name=a&part.only=false",
        "name=a&at=yesterday",
        "name=a&only=x",
        "name=a&other.member.1=1",
    ];
    expect![[r#"
        name.x=1
            MalformedQueryString: name: a structure stands where a value is expected
        name=a&on=1
            ValidationError: Value '1' at 'on' is not valid
        name=a&count=-7
            ValidationError: Value '-7' at 'count' is not valid
        name=a&kind=D
            ValidationError: Value 'D' at 'kind' is not valid
        name=a&parts=x
            ValidationError: Value 'x' at 'parts' is not valid
        name=a&parts.member.1.port=1&parts.member.2.port=x
            ValidationError: Value 'x' at 'parts.port' is not valid
        name=a&parts.member.1=x
            ValidationError: Value 'x' at 'parts' is not valid
        name=a&part=7
            ValidationError: Value '7' at 'part' is not valid
        name=a&part.only=false
            ValidationError: 1 validation error detected: Value null at 'part.port' failed to satisfy constraint: Member must not be null
        name=a&at=yesterday
            MalformedQueryString: at: 'yesterday' is not a timestamp
        name=a&only=x
            InvalidParameterValue: only: only an empty value is supported, not "x" by Landfall for Act
        name=a&other.member.1=1
            ValidationError: The parameter other is not supported by Landfall for Act
    "#]].assert_eq(&bodies.map(said).concat());
}
