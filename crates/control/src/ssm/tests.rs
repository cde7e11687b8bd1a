//! Parameter Store as its callers see it.

use serde_json::{Value, json};

use crate::Service::Ssm;
use crate::iam::testing::{Verifying, root};
use crate::testing::Fixture;

fn ok(fixture: &Fixture, action: &str, body: Value) -> Value {
    serde_json::from_str(&fixture.ok(Ssm, action, &body.to_string())).unwrap()
}

fn refused(fixture: &Fixture, action: &str, body: Value) -> (String, String) {
    let (status, text) = fixture.call(Ssm, action, &body.to_string());
    assert_eq!(status, 400, "{action}: {text}");
    let error: Value = serde_json::from_str(&text).unwrap();
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (text("__type"), text("message"))
}

#[test]
fn a_parameter_has_versions_and_labels() {
    let fixture = Fixture::new();
    let put = json!({"Name": "/app/level", "Value": "info", "Type": "String", "Description": "of the log",
                     "Tags": [{"Key": "team", "Value": "a"}]});
    assert_eq!(ok(&fixture, "PutParameter", put.clone()), json!({"Version": 1, "Tier": "Standard"}));
    assert_eq!(refused(&fixture, "PutParameter", put).0, "ParameterAlreadyExists");
    let next = json!({"Name": "/app/level", "Value": "debug", "Overwrite": true});
    assert_eq!(ok(&fixture, "PutParameter", next)["Version"], 2);

    for (name, value) in [
        ("/app/level", "debug"),
        ("/app/level:1", "info"),
        ("arn:aws:ssm:ap-northeast-2:000000000001:parameter/app/level", "debug"),
        ("arn:aws:ssm:ap-northeast-2:000000000001:parameter/app/level:1", "info"),
    ] {
        let found = ok(&fixture, "GetParameter", json!({"Name": name}));
        assert_eq!(found["Parameter"]["Value"], value, "{name}");
        assert_eq!(found["Parameter"]["ARN"], "arn:aws:ssm:ap-northeast-2:000000000001:parameter/app/level");
        assert_eq!(found["Parameter"]["Type"], "String");
    }
    let labelled =
        json!({"Name": "/app/level", "ParameterVersion": 1, "Labels": ["stable", "2bad", "aws-x"]});
    assert_eq!(
        ok(&fixture, "LabelParameterVersion", labelled),
        json!({"InvalidLabels": ["2bad", "aws-x"], "ParameterVersion": 1})
    );
    let by_label = ok(&fixture, "GetParameter", json!({"Name": "/app/level:stable"}));
    assert_eq!(
        (&by_label["Parameter"]["Value"], &by_label["Parameter"]["Selector"]),
        (&json!("info"), &json!(":stable"))
    );
    // A label moves to the version that gets it next.
    ok(&fixture, "LabelParameterVersion", json!({"Name": "/app/level", "Labels": ["stable"]}));
    let history = ok(&fixture, "GetParameterHistory", json!({"Name": "/app/level"}));
    let labels: Vec<&Value> =
        history["Parameters"].as_array().unwrap().iter().map(|version| &version["Labels"]).collect();
    assert_eq!(labels, [&json!([]), &json!(["stable"])]);
    assert_eq!(history["Parameters"][1]["Description"], "of the log");
    for (name, code) in [
        ("/app/level:7", "ParameterVersionNotFound"),
        ("/app/level:none", "ParameterVersionNotFound"),
        ("/none", "ParameterNotFound"),
        ("arn:aws:ssm:us-east-1:000000000001:parameter/app/level", "ParameterNotFound"),
    ] {
        assert_eq!(refused(&fixture, "GetParameter", json!({"Name": name})).0, code, "{name}");
    }
    ok(&fixture, "DeleteParameter", json!({"Name": "/app/level"}));
    assert_eq!(refused(&fixture, "DeleteParameter", json!({"Name": "/app/level"})).0, "ParameterNotFound");
    let again = json!({"Name": "/app/level", "Value": "x", "Type": "String"});
    assert_eq!(ok(&fixture, "PutParameter", again)["Version"], 1);
    assert_eq!(
        refused(&fixture, "GetParameter", json!({"Name": "/app/level:2"})).0,
        "ParameterVersionNotFound"
    );
}

#[test]
fn the_hundred_and_first_version_takes_the_place_of_the_oldest_unless_that_has_a_label() {
    let fixture = Fixture::new();
    let put =
        |value: u32| json!({"Name": "n", "Value": value.to_string(), "Type": "String", "Overwrite": true});
    for value in 1..=101 {
        ok(&fixture, "PutParameter", put(value));
    }
    assert_eq!(refused(&fixture, "GetParameter", json!({"Name": "n:1"})).0, "ParameterVersionNotFound");
    ok(&fixture, "LabelParameterVersion", json!({"Name": "n", "ParameterVersion": 2, "Labels": ["keep"]}));
    let (code, message) = refused(&fixture, "PutParameter", put(102));
    assert_eq!(code, "ParameterMaxVersionLimitExceeded");
    assert!(message.contains("Version 2, the oldest version"), "{message}");
    let page = ok(&fixture, "GetParameterHistory", json!({"Name": "n", "MaxResults": 50}));
    assert_eq!(page["Parameters"].as_array().unwrap().len(), 50);
    let page = ok(&fixture, "GetParameterHistory", json!({"Name": "n", "NextToken": page["NextToken"]}));
    assert_eq!(page["Parameters"][49]["Version"], 101);
    assert_eq!(page.get("NextToken"), None);
}

#[test]
fn a_secure_string_is_shown_to_who_asks_for_its_decryption() {
    let fixture = Fixture::new();
    let put = json!({"Name": "/app/password", "Value": "hunter2", "Type": "SecureString"});
    ok(&fixture, "PutParameter", put);
    let shut = ok(&fixture, "GetParameter", json!({"Name": "/app/password"}));
    let shut = shut["Parameter"]["Value"].as_str().unwrap();
    assert!(shut.starts_with("AQICAH") && !shut.contains("hunter2"), "{shut}");
    let open = ok(&fixture, "GetParameter", json!({"Name": "/app/password", "WithDecryption": true}));
    assert_eq!(open["Parameter"]["Value"], "hunter2");
    let described = ok(&fixture, "DescribeParameters", json!({}));
    assert_eq!(described["Parameters"][0]["KeyId"], "alias/aws/ssm");
    let rows = fixture.api.store.snapshot();
    let kept: Vec<String> = rows
        .scan::<super::ParameterVersion>("")
        .map(|row| serde_json::to_string(&*row).unwrap() + &format!("{row:?}"))
        .collect();
    assert!(kept.iter().all(|row| !row.contains("hunter2")), "{kept:?}");
    let other = json!({"Name": "k", "Value": "v", "Type": "SecureString", "KeyId": "alias/mine"});
    let (code, message) = refused(&fixture, "PutParameter", other);
    assert_eq!(code, "InvalidKeyId");
    assert!(message.contains("alias/mine"), "{message}");
}

#[test]
fn values_have_limits_and_patterns() {
    let fixture = Fixture::new();
    let put = |members: Value| {
        let mut all = json!({"Name": "n", "Value": "v", "Type": "String", "Overwrite": true});
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        all
    };
    let long = "x".repeat(4097);
    for (members, code) in [
        (json!({"Value": long}), "ValidationException"),
        (json!({"Value": "x".repeat(8193), "Tier": "Advanced"}), "ValidationException"),
        (json!({"Value": ""}), "ValidationException"),
        (json!({"Value": "{{ssm:other}}"}), "ValidationException"),
        (json!({"AllowedPattern": "^\\d+$"}), "ParameterPatternMismatchException"),
        (json!({"AllowedPattern": "("}), "InvalidAllowedPatternException"),
        (json!({"Tags": [{"Key": "a", "Value": "b"}]}), "ValidationException"),
        (json!({"Type": null}), "ValidationException"),
        (json!({"KeyId": "alias/aws/ssm"}), "ValidationException"),
        (json!({"Policies": "[{}]"}), "ValidationException"),
        (json!({"DataType": "aws:ec2:image"}), "ValidationException"),
        (json!({"Name": "/aws/n"}), "AccessDeniedException"),
    ] {
        assert_eq!(refused(&fixture, "PutParameter", put(members.clone())).0, code, "{members}");
    }
    let smart = json!({"Value": "x".repeat(4097), "Tier": "Intelligent-Tiering"});
    assert_eq!(ok(&fixture, "PutParameter", put(smart))["Tier"], "Advanced");
    assert_eq!(ok(&fixture, "PutParameter", put(json!({})))["Tier"], "Advanced");
    let down = refused(&fixture, "PutParameter", put(json!({"Tier": "Standard"})));
    assert!(down.1.contains("can't downgrade"), "{down:?}");
    // A pattern stays until another is given.
    ok(&fixture, "PutParameter", put(json!({"Value": "12", "AllowedPattern": "\\d+"})));
    assert_eq!(
        refused(&fixture, "PutParameter", put(json!({"Value": "1a"}))).0,
        "ParameterPatternMismatchException"
    );
}

#[test]
fn parameters_are_found_by_path_filter_and_page() {
    let fixture = Fixture::new();
    for (name, kind) in [
        ("/app/a", "String"),
        ("/app/b", "SecureString"),
        ("/app/db/user", "String"),
        ("/apple", "String"),
        ("plain", "StringList"),
    ] {
        ok(&fixture, "PutParameter", json!({"Name": name, "Value": "v", "Type": kind}));
    }
    let names = |answer: &Value| -> Vec<String> {
        let name = |found: &Value| found["Name"].as_str().unwrap().to_owned();
        answer["Parameters"].as_array().unwrap().iter().map(name).collect()
    };
    for (request, expected) in [
        (json!({"Path": "/app"}), vec!["/app/a", "/app/b"]),
        (json!({"Path": "/app/", "Recursive": true}), vec!["/app/a", "/app/b", "/app/db/user"]),
        (
            json!({"Path": "/app", "ParameterFilters": [{"Key": "Type", "Values": ["SecureString"]}]}),
            vec!["/app/b"],
        ),
        (json!({"Path": "/"}), vec!["/apple"]),
    ] {
        assert_eq!(names(&ok(&fixture, "GetParametersByPath", request.clone())), expected, "{request}");
    }
    let filter = |key: &str, option: &str, value: &str| json!({"ParameterFilters": [{"Key": key, "Option": option, "Values": [value]}]});
    ok(
        &fixture,
        "AddTagsToResource",
        json!({"ResourceType": "Parameter", "ResourceId": "plain", "Tags": [{"Key": "k", "Value": "v"}]}),
    );
    for (request, expected) in [
        (filter("Name", "Equals", "/app/a"), vec!["/app/a"]),
        (filter("Name", "BeginsWith", "/app"), vec!["/app/a", "/app/b", "/app/db/user", "/apple"]),
        (filter("Name", "Contains", "ser"), vec!["/app/db/user"]),
        (filter("Path", "Recursive", "/app"), vec!["/app/a", "/app/b", "/app/db/user"]),
        (filter("KeyId", "Equals", "alias/aws/ssm"), vec!["/app/b"]),
        (filter("tag:k", "Equals", "v"), vec!["plain"]),
        (json!({"Filters": [{"Key": "Type", "Values": ["StringList"]}]}), vec!["plain"]),
    ] {
        assert_eq!(names(&ok(&fixture, "DescribeParameters", request.clone())), expected, "{request}");
    }
    let page = ok(&fixture, "DescribeParameters", json!({"MaxResults": 4}));
    let rest = ok(&fixture, "DescribeParameters", json!({"NextToken": page["NextToken"]}));
    assert_eq!((names(&page).len(), names(&rest)), (4, vec!["plain".to_owned()]));
    let many = ok(&fixture, "GetParameters", json!({"Names": ["/app/a", "none", "plain:1"]}));
    assert_eq!(
        (names(&many), &many["InvalidParameters"]),
        (vec!["/app/a".to_owned(), "plain".to_owned()], &json!(["none"]))
    );
    for (action, request, code) in [
        ("DescribeParameters", filter("Colour", "Equals", "v"), "InvalidFilterKey"),
        ("DescribeParameters", filter("Type", "Contains", "v"), "InvalidFilterOption"),
        ("DescribeParameters", json!({"ParameterFilters": [{"Key": "Name"}]}), "InvalidFilterValue"),
        ("DescribeParameters", json!({"NextToken": "zzz"}), "InvalidNextToken"),
        ("DescribeParameters", json!({"MaxResults": 51}), "ValidationException"),
        ("GetParametersByPath", json!({"Path": "app"}), "ValidationException"),
        ("GetParametersByPath", json!({"Path": "/app", "MaxResults": 11}), "ValidationException"),
        ("GetParameters", json!({"Names": []}), "ValidationException"),
        (
            "ListTagsForResource",
            json!({"ResourceType": "Parameter", "ResourceId": "none"}),
            "InvalidResourceId",
        ),
        (
            "ListTagsForResource",
            json!({"ResourceType": "Document", "ResourceId": "plain"}),
            "InvalidResourceType",
        ),
    ] {
        assert_eq!(refused(&fixture, action, request.clone()).0, code, "{action} {request}");
    }
}

#[test]
fn a_role_may_read_one_parameter_and_not_another() {
    let api = Verifying::new();
    for name in ["/app/mine", "/app/other"] {
        let body = json!({"Name": name, "Value": "v", "Type": "String"});
        api.ok(&root(), Ssm, "PutParameter", &body.to_string());
    }
    let statement =
        r#"{"Effect":"Allow","Action":"ssm:GetParameter*","Resource":"arn:aws:ssm:*:*:parameter/app/mine"}"#;
    let session = api.session("reader", Some(statement));
    for name in ["/app/mine", "/app/mine:1", "arn:aws:ssm:ap-northeast-2:000000000001:parameter/app/mine"] {
        api.ok(&session, Ssm, "GetParameter", &json!({"Name": name}).to_string());
    }
    let (status, text) = api.call(&session, Ssm, "GetParameters", r#"{"Names":["/app/mine","/app/other"]}"#);
    assert_eq!(status, 400);
    assert!(
        text.contains("AccessDeniedException")
            && text.contains(
                "assumed-role/reader/test is not authorized to perform: ssm:GetParameters on resource: \
                 arn:aws:ssm:ap-northeast-2:000000000001:parameter/app/other because no identity-based policy allows the \
                 ssm:GetParameters action"
            ),
        "{text}"
    );
}

#[test]
fn a_session_without_a_policy_may_do_nothing_with_parameters() {
    let api = Verifying::new();
    let session = api.session("nobody", None);
    for (action, body) in [
        ("AddTagsToResource", json!({"ResourceType": "Parameter", "ResourceId": "n", "Tags": []})),
        ("DeleteParameter", json!({"Name": "n"})),
        ("DeleteParameters", json!({"Names": ["n"]})),
        ("DescribeParameters", json!({})),
        ("GetParameter", json!({"Name": "n"})),
        ("GetParameterHistory", json!({"Name": "n"})),
        ("GetParameters", json!({"Names": ["n"]})),
        ("GetParametersByPath", json!({"Path": "/"})),
        ("LabelParameterVersion", json!({"Name": "n", "Labels": ["l"]})),
        ("ListTagsForResource", json!({"ResourceType": "Parameter", "ResourceId": "n"})),
        ("PutParameter", json!({"Name": "n", "Value": "v", "Type": "String"})),
        ("RemoveTagsFromResource", json!({"ResourceType": "Parameter", "ResourceId": "n", "TagKeys": []})),
        ("UnlabelParameterVersion", json!({"Name": "n", "ParameterVersion": 1, "Labels": ["l"]})),
    ] {
        let (_, text) = api.call(&session, Ssm, action, &body.to_string());
        assert!(
            text.contains("AccessDeniedException") && text.contains(&format!("ssm:{action}")),
            "{action}: {text}"
        );
    }
    assert_eq!(super::OPERATIONS.len(), 13, "each operation is called above");
}
