use expect_test::expect;
use types::{Region, Timestamp};

use super::session::{ECS_TASKS, mint_for_task};
use crate::iam::testing::{Verifying, form, of, root};
use crate::testing::{element, settings};
use crate::{Service, SessionKey};

fn trusting(principal: &str, condition: &str) -> String {
    form(&format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"{condition}}}]}}"#
    ))
}

fn role(api: &Verifying, name: &str, principal: &str, condition: &str) {
    let body = format!("RoleName={name}&AssumeRolePolicyDocument={}", trusting(principal, condition));
    api.ok(&root(), Service::Iam, "CreateRole", &body);
}

const TASK: &str = "arn:aws:ecs:ap-northeast-2:000000000001:task/c/0123456789abcdef0123456789abcdef";

fn for_task(api: &Verifying, arn: &str, now: Timestamp) -> Result<SessionKey, String> {
    let arn = arn.to_owned();
    let minted = api.api.store.write(move |rows| {
        let region = Region::new("ap-northeast-2").unwrap();
        mint_for_task(rows, &settings().account, &region, &arn, TASK, now)
    });
    minted.unwrap().map_err(|error| error.to_string())
}

#[test]
fn root_and_sessions_learn_who_they_are() {
    let api = Verifying::new();
    let answer = api.ok(&root(), Service::Sts, "GetCallerIdentity", "");
    assert_eq!(element(&answer, "Arn"), "arn:aws:iam::000000000001:root");
    assert_eq!(element(&answer, "UserId"), "000000000001");
    let session = api.session("app", None);
    let answer = api.ok(&session, Service::Sts, "GetCallerIdentity", "");
    assert_eq!(element(&answer, "Arn"), "arn:aws:sts::000000000001:assumed-role/app/test");
    assert!(element(&answer, "UserId").starts_with("AROA") && element(&answer, "UserId").ends_with(":test"));
}

#[test]
fn a_session_s_token_is_part_of_its_key() {
    let api = Verifying::new();
    let (id, secret, token) = api.session("app", None);
    assert!(id.starts_with("ASIA") && id.len() == 20, "{id}");
    for token in [None, Some("other".to_owned())] {
        let (status, text) =
            api.call(&(id.clone(), secret.clone(), token), Service::Sts, "GetCallerIdentity", "");
        assert_eq!((status, element(&text, "Code")), (403, "InvalidClientTokenId"));
    }
    let (status, text) = api.call(&(id, "wrong".to_owned(), token), Service::Sts, "GetCallerIdentity", "");
    assert_eq!((status, element(&text, "Code")), (403, "SignatureDoesNotMatch"));
}

#[test]
fn an_expired_session_is_told_so() {
    let api = Verifying::new();
    role(&api, "exec", &format!(r#"{{"Service":"{ECS_TASKS}"}}"#), "");
    let arn = "arn:aws:iam::000000000001:role/exec";
    let past = Timestamp::from_millis(Timestamp::now().as_millis() - 7 * 3600 * 1000);
    let session = for_task(&api, arn, past).unwrap();
    let (status, text) = api.call(&of(&session), Service::Sts, "GetCallerIdentity", "");
    assert_eq!((status, element(&text, "Code")), (403, "ExpiredToken"));
    let (status, text) = api.call(&of(&session), Service::Ecr, "GetAuthorizationToken", "{}");
    assert_eq!(status, 400);
    assert!(text.contains("ExpiredTokenException"), "{text}");
}

#[test]
fn a_task_s_role_has_to_trust_ecs_tasks() {
    let api = Verifying::new();
    let tasks = format!(r#"{{"Service":"{ECS_TASKS}"}}"#);
    role(&api, "exec", &tasks, "");
    role(&api, "other", r#"{"Service":"ec2.amazonaws.com"}"#, "");
    let here = r#","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:ecs:ap-northeast-2:000000000001:*"},"StringEquals":{"aws:SourceAccount":"000000000001"}}"#;
    role(&api, "here", &tasks, here);
    role(&api, "elsewhere", &tasks, &here.replace("ap-northeast-2", "us-east-1"));
    let now = Timestamp::now();
    let session = for_task(&api, "arn:aws:iam::000000000001:role/exec", now).unwrap();
    assert_eq!(session.session, "0123456789abcdef0123456789abcdef");
    api.ok(&of(&session), Service::Sts, "GetCallerIdentity", "");
    for_task(&api, "arn:aws:iam::000000000001:role/here", now).unwrap();
    for refused in ["other", "elsewhere", "absent"] {
        for_task(&api, &format!("arn:aws:iam::000000000001:role/{refused}"), now).unwrap_err();
    }
    let words = for_task(&api, "arn:aws:iam::000000000001:role/other", now).unwrap_err();
    expect!["ECS was unable to assume the role 'arn:aws:iam::000000000001:role/other' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role."].assert_eq(&words);
}

#[test]
fn a_role_is_assumed_as_its_trust_policy_says() {
    let api = Verifying::new();
    let assume = |keys: &_, name: &str, more: &str| {
        let body = format!("RoleArn=arn:aws:iam::000000000001:role/{name}&RoleSessionName=s1{more}");
        api.call(keys, Service::Sts, "AssumeRole", &body)
    };
    let plain = api.session("plain", None);
    let may = api.session(
        "may",
        Some(r#"{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::000000000001:role/account"}"#),
    );
    role(&api, "account", r#"{"AWS":"arn:aws:iam::000000000001:root"}"#, "");
    role(&api, "direct", r#"{"AWS":"arn:aws:iam::000000000001:role/plain"}"#, "");
    role(
        &api,
        "external",
        r#"{"AWS":"000000000001"}"#,
        r#","Condition":{"StringEquals":{"sts:ExternalId":"x"}}"#,
    );
    assert_eq!(assume(&may, "account", "").0, 200);
    assert_eq!(
        assume(&plain, "account", "").0,
        403,
        "the account trusts, the caller's policies do not allow"
    );
    assert_eq!(assume(&plain, "direct", "").0, 200, "the role names the caller");
    let (status, text) = assume(&may, "direct", "");
    assert_eq!(status, 403);
    expect!["User: arn:aws:sts::000000000001:assumed-role/may/test is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::000000000001:role/direct"].assert_eq(element(&text, "Message"));
    assert_eq!(assume(&root(), "external", "").0, 403);
    assert_eq!(assume(&root(), "external", "&ExternalId=x").0, 200);
    assert_eq!(assume(&root(), "absent", "").0, 403);
    let message = |more| element(&assume(&root(), "account", more).1, "Message").to_owned();
    expect!["1 validation error detected: Value &apos;899&apos; at &apos;durationSeconds&apos; failed to satisfy constraint: Member must have value greater than or equal to 900"].assert_eq(&message("&DurationSeconds=899"));
    expect!["The requested DurationSeconds exceeds the MaxSessionDuration set for this role."]
        .assert_eq(&message("&DurationSeconds=7200"));
    expect![
        "SourceIdentity: only an empty value is supported, not &quot;me&quot; by Landfall for AssumeRole"
    ]
    .assert_eq(&message("&SourceIdentity=me"));
}
