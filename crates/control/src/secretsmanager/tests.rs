//! Secrets Manager as its callers see it.

use serde_json::{Value, json};
use types::Timestamp;

use super::{Secret, SecretVersion, forget_deleted};
use crate::Service::SecretsManager;
use crate::iam::testing::{Verifying, root};
use crate::testing::Fixture;

const ONE: &str = "11111111-1111-1111-1111-111111111111";
const TWO: &str = "22222222-2222-2222-2222-222222222222";
const THREE: &str = "33333333-3333-3333-3333-333333333333";

fn ok(fixture: &Fixture, action: &str, body: Value) -> Value {
    serde_json::from_str(&fixture.ok(SecretsManager, action, &body.to_string())).unwrap()
}

fn refused(fixture: &Fixture, action: &str, body: Value) -> (String, String) {
    let (status, text) = fixture.call(SecretsManager, action, &body.to_string());
    assert_eq!(status, 400, "{action}: {text}");
    let error: Value = serde_json::from_str(&text).unwrap();
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (text("__type"), text("message"))
}

fn create(fixture: &Fixture, name: &str, value: &str) -> String {
    let body = json!({"Name": name, "SecretString": value, "ClientRequestToken": ONE});
    ok(fixture, "CreateSecret", body)["ARN"].as_str().unwrap().to_owned()
}

fn value(fixture: &Fixture, request: Value) -> String {
    ok(fixture, "GetSecretValue", request)["SecretString"].as_str().unwrap().to_owned()
}

#[test]
fn a_secret_is_read_by_name_arn_and_the_arn_without_its_end() {
    let fixture = Fixture::new();
    let arn = create(&fixture, "app/db-secret", "hunter2");
    let prefix = "arn:aws:secretsmanager:ap-northeast-2:000000000001:secret:app/db-secret";
    let end = arn.strip_prefix(&format!("{prefix}-")).unwrap();
    assert!(end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric()), "{arn}");
    for id in ["app/db-secret", &arn, prefix] {
        assert_eq!(value(&fixture, json!({"SecretId": id})), "hunter2", "{id}");
    }
    // The same request again is answered alike; another one is not.
    assert_eq!(create(&fixture, "app/db-secret", "hunter2"), arn);
    let other = json!({"Name": "app/db-secret", "SecretString": "x", "ClientRequestToken": TWO});
    assert_eq!(refused(&fixture, "CreateSecret", other).0, "ResourceExistsException");
    let changed = json!({"Name": "app/db-secret", "SecretString": "x", "ClientRequestToken": ONE});
    assert!(refused(&fixture, "CreateSecret", changed).1.contains(ONE));
    let kept: Vec<String> = fixture
        .api
        .store
        .snapshot()
        .scan::<SecretVersion>("")
        .map(|row| serde_json::to_string(&*row).unwrap() + &format!("{row:?}"))
        .collect();
    assert!(kept.iter().all(|row| !row.contains("hunter2")), "{kept:?}");
    for id in [
        "none",
        &format!("{prefix}-AAAAAA"),
        "arn:aws:secretsmanager:us-east-1:000000000001:secret:app/db-secret",
    ] {
        assert_eq!(
            refused(&fixture, "GetSecretValue", json!({"SecretId": id})),
            (
                "ResourceNotFoundException".to_owned(),
                "Secrets Manager can't find the specified secret.".to_owned()
            )
        );
    }
}

#[test]
fn stages_move_from_version_to_version() {
    let fixture = Fixture::new();
    create(&fixture, "s", "one");
    let put = |token: &str, text: &str, stages: Option<Value>| {
        let mut body = json!({"SecretId": "s", "SecretString": text, "ClientRequestToken": token});
        if let Some(stages) = stages {
            body["VersionStages"] = stages;
        }
        body
    };
    let stages = || ok(&fixture, "DescribeSecret", json!({"SecretId": "s"}))["VersionIdsToStages"].clone();
    ok(&fixture, "PutSecretValue", put(TWO, "two", None));
    assert_eq!(stages(), json!({ONE: ["AWSPREVIOUS"], TWO: ["AWSCURRENT"]}));
    ok(&fixture, "PutSecretValue", put(THREE, "three", Some(json!(["AWSPENDING", "mine"]))));
    assert_eq!(value(&fixture, json!({"SecretId": "s"})), "two");
    for (request, expected) in [
        (json!({"SecretId": "s", "VersionStage": "AWSPREVIOUS"}), "one"),
        (json!({"SecretId": "s", "VersionStage": "mine"}), "three"),
        (json!({"SecretId": "s", "VersionId": THREE}), "three"),
        (json!({"SecretId": "s", "VersionId": TWO, "VersionStage": "AWSCURRENT"}), "two"),
    ] {
        assert_eq!(value(&fixture, request.clone()), expected, "{request}");
    }
    let moved = |members: Value| {
        let mut body = json!({"SecretId": "s", "VersionStage": "AWSCURRENT"});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        body
    };
    for (members, code) in [
        (json!({"MoveToVersionId": THREE}), "InvalidParameterException"),
        (json!({"RemoveFromVersionId": TWO}), "InvalidParameterException"),
        (json!({"RemoveFromVersionId": ONE, "MoveToVersionId": THREE}), "InvalidParameterException"),
        (json!({"RemoveFromVersionId": TWO, "MoveToVersionId": "4".repeat(32)}), "ResourceNotFoundException"),
    ] {
        assert_eq!(
            refused(&fixture, "UpdateSecretVersionStage", moved(members.clone())).0,
            code,
            "{members}"
        );
    }
    ok(
        &fixture,
        "UpdateSecretVersionStage",
        moved(json!({"RemoveFromVersionId": TWO, "MoveToVersionId": THREE})),
    );
    assert_eq!(stages(), json!({TWO: ["AWSPREVIOUS"], THREE: ["AWSCURRENT", "AWSPENDING", "mine"]}));
    let ids = |deprecated: bool| {
        let request = json!({"SecretId": "s", "IncludeDeprecated": deprecated});
        ok(&fixture, "ListSecretVersionIds", request)["Versions"].as_array().unwrap().len()
    };
    assert_eq!((ids(false), ids(true)), (2, 3));
    let pending = json!({"SecretId": "s", "VersionStage": "AWSPENDING", "RemoveFromVersionId": THREE});
    ok(&fixture, "UpdateSecretVersionStage", pending);
    assert_eq!(stages()[THREE], json!(["AWSCURRENT", "mine"]));
    for (request, code) in [
        (json!({"SecretId": "s", "VersionStage": "none"}), "ResourceNotFoundException"),
        (json!({"SecretId": "s", "VersionId": TWO, "VersionStage": "AWSCURRENT"}), "InvalidRequestException"),
    ] {
        assert_eq!(refused(&fixture, "GetSecretValue", request.clone()).0, code, "{request}");
    }
    // Going back makes the version that was previous the current one.
    ok(
        &fixture,
        "UpdateSecretVersionStage",
        moved(json!({"RemoveFromVersionId": THREE, "MoveToVersionId": TWO})),
    );
    assert_eq!(stages(), json!({TWO: ["AWSCURRENT"], THREE: ["AWSPREVIOUS", "mine"]}));
}

#[test]
fn values_are_texts_or_bytes_and_not_both() {
    let fixture = Fixture::new();
    let empty = ok(&fixture, "CreateSecret", json!({"Name": "s", "Description": "of a test"}));
    assert_eq!(empty.get("VersionId"), None);
    assert_eq!(
        refused(&fixture, "GetSecretValue", json!({"SecretId": "s"})).1,
        "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
    );
    ok(&fixture, "UpdateSecret", json!({"SecretId": "s", "SecretBinary": "AAEC", "Description": "bytes"}));
    let found = ok(&fixture, "GetSecretValue", json!({"SecretId": "s"}));
    assert_eq!((&found["SecretBinary"], found.get("SecretString")), (&json!("AAEC"), None));
    assert_eq!(ok(&fixture, "DescribeSecret", json!({"SecretId": "s"}))["Description"], "bytes");
    for (action, request, code) in [
        ("PutSecretValue", json!({"SecretId": "s"}), "InvalidParameterException"),
        (
            "PutSecretValue",
            json!({"SecretId": "s", "SecretString": "a", "SecretBinary": "AAEC"}),
            "InvalidParameterException",
        ),
        (
            "PutSecretValue",
            json!({"SecretId": "s", "SecretString": "x".repeat(65_537)}),
            "ValidationException",
        ),
        (
            "PutSecretValue",
            json!({"SecretId": "s", "SecretString": "x", "ClientRequestToken": "short"}),
            "InvalidParameterException",
        ),
        ("CreateSecret", json!({"Name": "a b"}), "ValidationException"),
        ("CreateSecret", json!({"Name": "k", "KmsKeyId": "alias/mine"}), "ValidationException"),
        (
            "CreateSecret",
            json!({"Name": "k", "AddReplicaRegions": [{"Region": "us-east-1"}]}),
            "ValidationException",
        ),
        ("RotateSecret", json!({"SecretId": "s"}), "UnknownOperationException"),
        ("ReplicateSecretToRegions", json!({"SecretId": "s"}), "UnknownOperationException"),
    ] {
        assert_eq!(refused(&fixture, action, request.clone()).0, code, "{action} {request}");
    }
}

#[test]
fn a_deleted_secret_can_be_restored_until_its_time_is_over() {
    let fixture = Fixture::new();
    create(&fixture, "s", "one");
    let deleted = ok(&fixture, "DeleteSecret", json!({"SecretId": "s", "RecoveryWindowInDays": 7}));
    assert!(
        ok(&fixture, "DescribeSecret", json!({"SecretId": "s"}))["DeletedDate"] == deleted["DeletionDate"]
    );
    for (action, request) in [
        ("GetSecretValue", json!({"SecretId": "s"})),
        ("PutSecretValue", json!({"SecretId": "s", "SecretString": "x"})),
        ("CreateSecret", json!({"Name": "s"})),
        ("DeleteSecret", json!({"SecretId": "s"})),
        ("TagResource", json!({"SecretId": "s", "Tags": []})),
    ] {
        assert_eq!(refused(&fixture, action, request).0, "InvalidRequestException", "{action}");
    }
    let listed = |planned: bool| {
        let request = json!({"IncludePlannedDeletion": planned});
        ok(&fixture, "ListSecrets", request)["SecretList"].as_array().unwrap().len()
    };
    assert_eq!((listed(false), listed(true)), (0, 1));
    ok(&fixture, "RestoreSecret", json!({"SecretId": "s"}));
    assert_eq!(value(&fixture, json!({"SecretId": "s"})), "one");

    ok(&fixture, "DeleteSecret", json!({"SecretId": "s"}));
    let sweep = |days: u64| {
        let now = Timestamp::now().plus(std::time::Duration::from_secs(days * 24 * 3600));
        let swept = fixture.api.store.write(move |rows| {
            forget_deleted(rows, now);
            Ok::<_, std::convert::Infallible>(())
        });
        let Ok(()) = swept.unwrap();
        let rows = fixture.api.store.snapshot();
        (rows.scan::<Secret>("").count(), rows.scan::<SecretVersion>("").count())
    };
    assert_eq!(sweep(29), (1, 1));
    assert_eq!(sweep(31), (0, 0));

    let first = create(&fixture, "s", "two");
    ok(&fixture, "DeleteSecret", json!({"SecretId": "s", "ForceDeleteWithoutRecovery": true}));
    ok(&fixture, "DeleteSecret", json!({"SecretId": "s", "ForceDeleteWithoutRecovery": true}));
    assert_ne!(create(&fixture, "s", "three"), first);
    for request in [
        json!({"SecretId": "s", "RecoveryWindowInDays": 6}),
        json!({"SecretId": "s", "RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": true}),
    ] {
        assert_eq!(refused(&fixture, "DeleteSecret", request).0, "InvalidParameterException");
    }
    assert_eq!(refused(&fixture, "DeleteSecret", json!({"SecretId": "none"})).0, "ResourceNotFoundException");
}

#[test]
fn secrets_are_found_by_filters_in_order_and_by_pages() {
    let fixture = Fixture::new();
    for (name, tag) in [("b/one", "x"), ("a/two", "y"), ("a/one", "x")] {
        let body = json!({"Name": name, "SecretString": "v", "Description": format!("Of {name}"), "Tags": [{"Key": "k", "Value": tag}]});
        ok(&fixture, "CreateSecret", body);
    }
    let names = |answer: &Value| -> Vec<String> {
        let name = |found: &Value| found["Name"].as_str().unwrap().to_owned();
        answer["SecretList"].as_array().unwrap().iter().map(name).collect()
    };
    let filter = |key: &str, values: &[&str]| json!({"Filters": [{"Key": key, "Values": values}], "SortBy": "name", "SortOrder": "desc"});
    for (request, expected) in [
        (filter("name", &["a/"]), vec!["a/two", "a/one"]),
        (filter("name", &["!a/"]), vec!["b/one"]),
        (filter("tag-value", &["x"]), vec!["b/one", "a/one"]),
        (filter("tag-key", &["k"]), vec!["b/one", "a/two", "a/one"]),
        (filter("description", &["of b"]), vec!["b/one"]),
        (filter("all", &["TWO"]), vec!["a/two"]),
        (filter("owning-service", &["rds"]), vec![]),
    ] {
        assert_eq!(names(&ok(&fixture, "ListSecrets", request.clone())), expected, "{request}");
    }
    let request = |token: Option<&Value>| json!({"MaxResults": 2, "SortBy": "name", "NextToken": token});
    let page = ok(&fixture, "ListSecrets", request(None));
    let rest = ok(&fixture, "ListSecrets", request(page.get("NextToken")));
    assert_eq!(
        (names(&page), names(&rest)),
        (vec!["a/one".to_owned(), "a/two".to_owned()], vec!["b/one".to_owned()])
    );
    let batch = ok(&fixture, "BatchGetSecretValue", json!({"SecretIdList": ["a/one", "none"]}));
    assert_eq!(batch["SecretValues"][0]["SecretString"], "v");
    assert_eq!(batch["Errors"][0]["ErrorCode"], "ResourceNotFoundException");
    let batch = ok(&fixture, "BatchGetSecretValue", json!({"Filters": [{"Key": "name", "Values": ["a/"]}]}));
    assert_eq!(batch["SecretValues"].as_array().unwrap().len(), 2);
    assert_eq!(refused(&fixture, "BatchGetSecretValue", json!({})).0, "InvalidParameterException");
    assert_eq!(refused(&fixture, "ListSecrets", json!({"NextToken": "zzz"})).0, "InvalidNextTokenException");
}

#[test]
fn a_password_has_the_characters_that_were_asked_for() {
    let fixture = Fixture::new();
    let password = |request: Value| {
        ok(&fixture, "GetRandomPassword", request)["RandomPassword"].as_str().unwrap().to_owned()
    };
    for _ in 0..20 {
        let plain = password(json!({"PasswordLength": 4}));
        assert_eq!(plain.len(), 4);
        assert!(
            plain.bytes().any(|b| b.is_ascii_lowercase()) && plain.bytes().any(|b| b.is_ascii_punctuation()),
            "{plain}"
        );
        let numbers = password(
            json!({"ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludePunctuation": true, "ExcludeCharacters": "0123"}),
        );
        assert!(numbers.len() == 32 && numbers.bytes().all(|b| (b'4'..=b'9').contains(&b)), "{numbers}");
    }
    for request in [
        json!({"PasswordLength": 0}),
        json!({"PasswordLength": 3}),
        json!({"ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludePunctuation": true, "ExcludeNumbers": true}),
    ] {
        assert_eq!(refused(&fixture, "GetRandomPassword", request).0, "InvalidParameterException");
    }
}

fn policy(effect: &str, principal: &str) -> String {
    let statement = json!({"Effect": effect, "Principal": {"AWS": principal}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": statement}).to_string()
}

#[test]
fn a_secret_s_own_policy_lets_in_and_keeps_out() {
    let api = Verifying::new();
    let call =
        |keys: &_, action: &str, body: Value| api.call(keys, SecretsManager, action, &body.to_string());
    api.ok(&root(), SecretsManager, "CreateSecret", &json!({"Name": "s", "SecretString": "v"}).to_string());
    let nobody = api.session("nobody", None);
    let all = api.session("all", Some(r#"{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}"#));
    let get = || json!({"SecretId": "s"});
    let role = "arn:aws:iam::000000000001:role/nobody";
    let set = |document: String| {
        let (status, text) =
            call(&root(), "PutResourcePolicy", json!({"SecretId": "s", "ResourcePolicy": document}));
        assert_eq!(status, 200, "{text}");
    };
    let (_, text) = call(&nobody, "GetSecretValue", get());
    assert!(
        text.contains("because no identity-based policy allows the secretsmanager:GetSecretValue action"),
        "{text}"
    );
    set(policy("Allow", role));
    assert_eq!(call(&nobody, "GetSecretValue", get()).0, 200);
    assert_eq!(call(&nobody, "DescribeSecret", get()).0, 400);
    // The account's own policies decide when the secret's names the account alone.
    set(policy("Allow", "000000000001"));
    assert_eq!((call(&nobody, "GetSecretValue", get()).0, call(&all, "GetSecretValue", get()).0), (400, 200));
    set(policy("Deny", "*"));
    let (_, text) = call(&all, "GetSecretValue", get());
    assert!(text.contains("with an explicit deny in a resource-based policy"), "{text}");
    assert_eq!(call(&root(), "GetSecretValue", get()).0, 400);
    assert!(call(&all, "GetResourcePolicy", get()).1.contains("Deny"));
    assert_eq!(call(&root(), "DeleteResourcePolicy", get()).0, 200);
    assert_eq!(call(&root(), "GetSecretValue", get()).0, 200);
    let put = |document: &str| {
        let body = json!({"SecretId": "s", "ResourcePolicy": document, "BlockPublicPolicy": true});
        call(&root(), "PutResourcePolicy", body).1
    };
    assert!(put(&policy("Allow", "*")).contains("PublicPolicyException"));
    assert!(
        put(&policy("Allow", "arn:aws:iam::000000000001:role/none"))
            .contains("MalformedPolicyDocumentException")
    );
    assert!(put("{").contains("MalformedPolicyDocumentException"));
    let validated =
        call(&root(), "ValidateResourcePolicy", json!({"ResourcePolicy": policy("Allow", "*")})).1;
    assert!(validated.contains(r#""PolicyValidationPassed":false"#), "{validated}");
}

#[test]
fn a_role_may_read_one_secret_and_not_another() {
    let api = Verifying::new();
    for name in ["mine", "other"] {
        let body = json!({"Name": name, "SecretString": "v"});
        api.ok(&root(), SecretsManager, "CreateSecret", &body.to_string());
    }
    let statement = r#"{"Effect":"Allow","Action":"secretsmanager:*","Resource":"arn:aws:secretsmanager:*:*:secret:mine-??????"}"#;
    let session = api.session("reader", Some(statement));
    api.ok(&session, SecretsManager, "GetSecretValue", r#"{"SecretId":"mine"}"#);
    let (_, text) = api.call(&session, SecretsManager, "GetSecretValue", r#"{"SecretId":"other"}"#);
    assert!(
        text.contains("AccessDeniedException")
            && text.contains("assumed-role/reader/test is not authorized to perform: secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:ap-northeast-2:000000000001:secret:other-"),
        "{text}"
    );
    // It may make what it may use, and a batch tells each refusal apart.
    api.ok(
        &session,
        SecretsManager,
        "DeleteSecret",
        r#"{"SecretId":"mine","ForceDeleteWithoutRecovery":true}"#,
    );
    api.ok(&session, SecretsManager, "CreateSecret", r#"{"Name":"mine","SecretString":"w"}"#);
    let batch = r#"{"Effect":"Allow","Action":"secretsmanager:BatchGetSecretValue","Resource":"*"}"#;
    let batcher = api.session("batcher", Some(batch));
    let text = api.ok(&batcher, SecretsManager, "BatchGetSecretValue", r#"{"SecretIdList":["mine"]}"#);
    assert!(text.contains(r#""ErrorCode":"AccessDeniedException""#), "{text}");
}

#[test]
fn a_session_without_a_policy_may_do_nothing_with_secrets() {
    let api = Verifying::new();
    let session = api.session("nobody", None);
    let of = |members: Value| {
        let mut body = json!({"SecretId": "s"});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        body
    };
    for (action, body) in [
        ("BatchGetSecretValue", json!({"SecretIdList": ["s"]})),
        ("CreateSecret", json!({"Name": "s"})),
        ("DeleteResourcePolicy", of(json!({}))),
        ("DeleteSecret", of(json!({}))),
        ("DescribeSecret", of(json!({}))),
        ("GetRandomPassword", json!({})),
        ("GetResourcePolicy", of(json!({}))),
        ("GetSecretValue", of(json!({}))),
        ("ListSecretVersionIds", of(json!({}))),
        ("ListSecrets", json!({})),
        ("PutResourcePolicy", of(json!({"ResourcePolicy": "{}"}))),
        ("PutSecretValue", of(json!({"SecretString": "v"}))),
        ("RestoreSecret", of(json!({}))),
        ("TagResource", of(json!({"Tags": []}))),
        ("UntagResource", of(json!({"TagKeys": []}))),
        ("UpdateSecret", of(json!({}))),
        ("UpdateSecretVersionStage", of(json!({"VersionStage": "x"}))),
        ("ValidateResourcePolicy", json!({"ResourcePolicy": "{}"})),
    ] {
        let (_, text) = api.call(&session, SecretsManager, action, &body.to_string());
        let denied =
            text.contains("AccessDeniedException") && text.contains(&format!("secretsmanager:{action}"));
        assert!(denied, "{action}: {text}");
    }
    assert_eq!(super::OPERATIONS.len(), 18, "each operation is called above");
}
