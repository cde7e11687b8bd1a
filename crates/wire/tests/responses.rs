//! What the codec writes, against serde's own writers.

use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};
use wire::Protocol;

fn values() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1000..1000_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn written<T: Serialize>(protocol: Protocol, value: &T) -> Vec<u8> {
    protocol.encode("Act", "urn:x", "r", value).expect("a response")
}

proptest! {
    #[test]
    fn documents_are_what_serde_s_own_writers_and_readers_have(value in values()) {
        let json = written(Protocol::AwsJson, &value);
        prop_assert_eq!(String::from_utf8(json).unwrap(), serde_json::to_string(&value).unwrap());
        let cbor = written(Protocol::RpcV2Cbor, &value);
        prop_assert_eq!(ciborium::from_reader::<Value, _>(cbor.as_slice()).unwrap(), value);
    }
}

#[derive(Serialize)]
struct Flat {
    first: u8,
    #[serde(flatten)]
    inner: Inner,
    none: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u8>,
    list: [Kind; 2],
}

#[derive(Serialize)]
struct Inner {
    text: String,
    number: f64,
}

#[derive(Serialize)]
enum Kind {
    Plain,
    Union(i8),
}

#[test]
fn members_of_a_flattened_struct_are_members_like_others_and_a_union_is_an_object() {
    let inner = Inner { text: "a\"<".into(), number: 1.0 };
    let list = [Kind::Plain, Kind::Union(-1)];
    let flat = Flat { first: 1, inner, none: None, skipped: None, list };
    let json = r#"{"first":1,"text":"a\"<","number":1.0,"none":null,"list":["Plain",{"Union":-1}]}"#;
    assert_eq!(String::from_utf8(written(Protocol::AwsJson, &flat)).unwrap(), json);
    assert_eq!(serde_json::to_string(&flat).unwrap(), json);
    let cbor = written(Protocol::RpcV2Cbor, &flat);
    let read: Value = ciborium::from_reader(cbor.as_slice()).unwrap();
    assert_eq!(read, serde_json::from_str::<Value>(json).unwrap());
    let xml = String::from_utf8(written(Protocol::Ec2Query, &flat)).unwrap();
    assert_eq!(
        xml,
        "<ActResponse xmlns=\"urn:x\"><requestId>r</requestId><first>1</first><text>a&quot;&lt;</text>\
         <number>1</number><list><item>Plain</item><item><Union>-1</Union></item></list></ActResponse>"
    );
}

#[test]
fn what_has_no_form_is_an_error_of_the_program() {
    let error = Protocol::AwsJson.encode("Act", "", "r", &std::collections::BTreeMap::from([(1, 2)]));
    assert_eq!(error.unwrap_err().code, "InternalFailure");
    assert_eq!(written(Protocol::AwsJson, &json!({})), b"{}");
}
