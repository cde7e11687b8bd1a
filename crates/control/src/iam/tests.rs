use expect_test::{Expect, expect};

use super::service_linked_role::{LinkedService, ensure};
use super::testing::{Verifying, form, root};
use crate::testing::{Fixture, element};
use crate::{Principal, Service};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"}}]}"#;
const EXECUTION: &str = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let body = format!(
        "RoleName=exec&Path=/&MaxSessionDuration=3600&AssumeRolePolicyDocument={}&Tags.member.1.Key=a&Tags.member.1.Value=b",
        form(TRUST)
    );
    fixture.ok(Service::Iam, "CreateRole", &body);
    fixture
}

/// The answer, with ids and times replaced.
fn check(fixture: &Fixture, action: &str, body: &str, expected: &Expect) {
    let (status, mut text) = fixture.call(Service::Iam, action, body);
    for name in ["RoleId", "PolicyId", "CreateDate", "UpdateDate"] {
        while text.contains(&format!("<{name}>")) {
            let value = element(&text, name).to_owned();
            text = text.replace(&format!("<{name}>{value}</{name}>"), &format!("<{name}/>"));
        }
    }
    let namespace = " xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"";
    expected.assert_eq(&format!("{status} {}", text.replace(namespace, "")));
}

#[test]
fn a_role_is_read_as_terraform_wrote_it() {
    let fixture = fixture();
    check(&fixture, "GetRole", "RoleName=exec", &expect![[r#""#]]);
    check(&fixture, "ListRolePolicies", "RoleName=exec", &expect![[r#""#]]);
    check(&fixture, "ListInstanceProfilesForRole", "RoleName=exec", &expect![[r#""#]]);
    check(&fixture, "ListRoles", "PathPrefix=/", &expect![[r#""#]]);
}

#[test]
fn a_managed_policy_is_attached_and_holds_the_role() {
    let fixture = fixture();
    let both = format!("RoleName=exec&PolicyArn={EXECUTION}");
    check(&fixture, "AttachRolePolicy", &both, &expect![[r#""#]]);
    check(&fixture, "ListAttachedRolePolicies", "RoleName=exec", &expect![[r#""#]]);
    check(&fixture, "DeleteRole", "RoleName=exec", &expect![[r#""#]]);
    check(&fixture, "DetachRolePolicy", &both, &expect![[r#""#]]);
    check(&fixture, "DetachRolePolicy", &both, &expect![[r#""#]]);
    check(&fixture, "DeleteRole", "RoleName=exec", &expect![[r#""#]]);
    check(&fixture, "GetRole", "RoleName=exec", &expect![[r#""#]]);
}

#[test]
fn inline_policies_come_and_go() {
    let fixture = fixture();
    let document = form(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"}]}"#);
    fixture.ok(
        Service::Iam,
        "PutRolePolicy",
        &format!("RoleName=exec&PolicyName=p&PolicyDocument={document}"),
    );
    check(&fixture, "GetRolePolicy", "RoleName=exec&PolicyName=p", &expect![[r#""#]]);
    check(&fixture, "DeleteRole", "RoleName=exec", &expect![[r#""#]]);
    fixture.ok(Service::Iam, "DeleteRolePolicy", "RoleName=exec&PolicyName=p");
    check(&fixture, "GetRolePolicy", "RoleName=exec&PolicyName=p", &expect![[r#""#]]);
    let bad = form(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*"}]}"#);
    check(
        &fixture,
        "PutRolePolicy",
        &format!("RoleName=exec&PolicyName=p&PolicyDocument={bad}"),
        &expect![[r#""#]],
    );
}

#[test]
fn refusals_are_aws_s() {
    let fixture = fixture();
    let trust = form(TRUST);
    let create = |name: &str| format!("RoleName={name}&AssumeRolePolicyDocument={trust}");
    check(&fixture, "CreateRole", &create("EXEC"), &expect![[r#""#]]);
    check(&fixture, "CreateRole", &create("a%20b"), &expect![[r#""#]]);
    check(&fixture, "CreateRole", "RoleName=x&AssumeRolePolicyDocument={", &expect![[r#""#]]);
    check(
        &fixture,
        "CreateRole",
        &format!("{}&PermissionsBoundary=arn:aws:iam::aws:policy/AdministratorAccess", create("x")),
        &expect![[r#""#]],
    );
    let absent = format!(
        "RoleName=x&AssumeRolePolicyDocument={}",
        form(r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000001:role/absent"},"Action":"sts:AssumeRole"}}"#)
    );
    check(&fixture, "CreateRole", &absent, &expect![[r#""#]]);
    check(&fixture, "AttachRolePolicy", "RoleName=exec&PolicyArn=arn:aws:iam::aws:policy/Nope", &expect![[r#""#]]);
    check(&fixture, "CreateUser", "UserName=bob", &expect![[r#""#]]);
    check(&fixture, "CreateAccessKey", "UserName=bob", &expect![[r#""#]]);
}

#[test]
fn a_role_changes() {
    let fixture = fixture();
    fixture.ok(Service::Iam, "UpdateRole", "RoleName=exec&Description=d&MaxSessionDuration=7200");
    fixture.ok(Service::Iam, "TagRole", "RoleName=exec&Tags.member.1.Key=c&Tags.member.1.Value=d");
    fixture.ok(Service::Iam, "UntagRole", "RoleName=exec&TagKeys.member.1=a");
    let other = form(&TRUST.replace("ecs-tasks", "ecs"));
    fixture.ok(Service::Iam, "UpdateAssumeRolePolicy", &format!("RoleName=exec&PolicyDocument={other}"));
    check(&fixture, "ListRoleTags", "RoleName=exec", &expect![[r#""#]]);
    let role = fixture.ok(Service::Iam, "GetRole", "RoleName=exec");
    assert_eq!(element(&role, "MaxSessionDuration"), "7200");
    assert_eq!(element(&role, "Description"), "d");
    assert!(element(&role, "AssumeRolePolicyDocument").contains("%22ecs.amazonaws.com%22"), "{role}");
    fixture.ok(Service::Iam, "UpdateRoleDescription", "RoleName=exec&Description=e");
    assert_eq!(element(&fixture.ok(Service::Iam, "GetRole", "RoleName=exec"), "Description"), "e");
}

#[test]
fn a_managed_policy_of_the_account_has_versions() {
    let fixture = fixture();
    let document = form(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"}]}"#);
    check(
        &fixture,
        "CreatePolicy",
        &format!("PolicyName=p&Path=/&Description=d&PolicyDocument={document}"),
        &expect![[r#""#]],
    );
    let arn = "PolicyArn=arn:aws:iam::000000000001:policy/p";
    let version = fixture.ok(
        Service::Iam,
        "CreatePolicyVersion",
        &format!("{arn}&PolicyDocument={document}&SetAsDefault=true"),
    );
    assert_eq!(element(&version, "VersionId"), "v2");
    check(&fixture, "ListPolicyVersions", arn, &expect![[r#""#]]);
    check(&fixture, "DeletePolicyVersion", &format!("{arn}&VersionId=v2"), &expect![[r#""#]]);
    check(&fixture, "DeletePolicy", arn, &expect![[r#""#]]);
    fixture.ok(Service::Iam, "DeletePolicyVersion", &format!("{arn}&VersionId=v1"));
    fixture.ok(Service::Iam, "AttachRolePolicy", &format!("RoleName=exec&{arn}"));
    check(&fixture, "GetPolicy", arn, &expect![[r#""#]]);
    check(&fixture, "DeletePolicy", arn, &expect![[r#""#]]);
    fixture.ok(Service::Iam, "DetachRolePolicy", &format!("RoleName=exec&{arn}"));
    fixture.ok(Service::Iam, "DeletePolicy", arn);
    check(&fixture, "GetPolicy", arn, &expect![[r#""#]]);
}

#[test]
fn aws_s_own_policies_are_there_and_cannot_be_changed() {
    let fixture = fixture();
    let arn = format!("PolicyArn={EXECUTION}");
    check(&fixture, "GetPolicy", &arn, &expect![[r#""#]]);
    check(&fixture, "GetPolicyVersion", &format!("{arn}&VersionId=v1"), &expect![[r#""#]]);
    check(&fixture, "DeletePolicy", &arn, &expect![[r#""#]]);
    let all = fixture.ok(Service::Iam, "ListPolicies", "Scope=AWS&MaxItems=1000");
    assert!(all.contains(EXECUTION), "{all}");
}

#[test]
fn a_service_s_role_appears_once_and_is_the_service_s() {
    let fixture = fixture();
    let ensured = || {
        fixture
            .api
            .store
            .write(|rows| {
                let account = crate::testing::settings().account;
                let now = types::Timestamp::from_millis(0);
                Ok::<_, ()>(ensure(rows, &account, LinkedService::Ecs, now).id.clone())
            })
            .unwrap()
            .unwrap()
    };
    assert_eq!(ensured(), ensured());
    check(&fixture, "GetRole", "RoleName=AWSServiceRoleForECS", &expect![[r#""#]]);
    check(&fixture, "DeleteRole", "RoleName=AWSServiceRoleForECS", &expect![[r#""#]]);
    check(&fixture, "CreateServiceLinkedRole", "AWSServiceName=ecs.amazonaws.com", &expect![[r#""#]]);
    fixture.ok(
        Service::Iam,
        "CreateServiceLinkedRole",
        "AWSServiceName=elasticloadbalancing.amazonaws.com",
    );
}

/// What every action needs besides, so that it gets as far as asking whether it is allowed.
const PARAMETERS: &str = "RoleName=victim&PolicyArn=arn:aws:iam::000000000001:policy/p&PolicyName=p&VersionId=v1&Path=/&AWSServiceName=ecs.amazonaws.com&UserName=u&Description=d&TagKeys.member.1=a&Tags.member.1.Key=a";

#[test]
fn a_session_without_a_policy_may_do_nothing_in_iam() {
    let api = Verifying::new();
    let session = api.session("nobody", None);
    for operation in super::OPERATIONS {
        // Members that the action does not know are refused by name: they are left out until it takes the rest.
        let mut parameters: Vec<String> = PARAMETERS.split('&').map(str::to_owned).collect();
        let document = form(TRUST);
        parameters.push(format!("PolicyDocument={document}"));
        parameters.push(format!("AssumeRolePolicyDocument={document}"));
        let (status, text) = loop {
            let (status, text) = api.call(&session, Service::Iam, operation.name, &parameters.join("&"));
            let unknown = text.split("The parameter ").nth(1).and_then(|rest| rest.split(' ').next());
            match unknown {
                Some(name) if text.contains("is not supported by Landfall for") => {
                    let before = parameters.len();
                    parameters.retain(|parameter| !parameter.starts_with(name));
                    assert!(parameters.len() < before, "{text}");
                }
                _ => break (status, text),
            }
        };
        let action = format!("iam:{}", operation.name);
        assert_eq!(status, 403, "{action}: {text}");
        assert!(
            text.contains("<Code>AccessDenied</Code>")
                && text.contains(&format!("because no identity-based policy allows the {action} action")),
            "{action}: {text}"
        );
    }
}

#[test]
fn a_session_does_what_its_policy_says() {
    let api = Verifying::new();
    let session = api.session(
        "reader",
        Some(r#"[{"Effect":"Allow","Action":"iam:Get*","Resource":"arn:aws:iam::*:role/reader"},{"Effect":"Deny","Action":"iam:ListRoles","Resource":"*"}]"#),
    );
    api.ok(&session, Service::Iam, "GetRole", "RoleName=reader");
    let (_, text) = api.call(&session, Service::Iam, "GetRole", "RoleName=other");
    expect![[r#""#]].assert_eq(element(&text, "Message"));
    let (_, text) = api.call(&session, Service::Iam, "ListRoles", "");
    expect![[r#""#]].assert_eq(element(&text, "Message"));
    let (_, text) = api.call(&session, Service::Ec2, "DescribeVpcs", "");
    assert!(text.contains("UnauthorizedOperation") || text.contains("InvalidAction"), "{text}");

    // The role is deleted and made anew: the old session is not the new role's.
    let root = root();
    api.ok(&root, Service::Iam, "DeleteRolePolicy", "RoleName=reader&PolicyName=inline");
    api.ok(&root, Service::Iam, "DeleteRole", "RoleName=reader");
    api.session("reader", Some(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#));
    let (status, _) = api.call(&session, Service::Iam, "GetRole", "RoleName=reader");
    assert_eq!(status, 403);
}

#[test]
fn a_conditioned_allow_holds_for_its_region_alone() {
    let api = Verifying::new();
    let session = api.session(
        "regional",
        Some(r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"ap-northeast-2"}}}"#),
    );
    api.ok(&session, Service::Ecr, "DescribeRepositories", "{}");
    let (status, _) = api.call(&session, Service::Iam, "ListRoles", "");
    assert_eq!(status, 403, "IAM's requests are us-east-1's");
}

#[test]
fn the_execution_role_s_policy_is_evaluated() {
    let fixture = fixture();
    fixture.ok(Service::Iam, "AttachRolePolicy", &format!("RoleName=exec&PolicyArn={EXECUTION}"));
    let rows = fixture.api.store.snapshot();
    let account = crate::testing::settings().account;
    let role = super::find(&rows, &account, "exec").unwrap();
    let principal = Principal::Session { role: "exec".into(), role_id: role.id.clone(), session: "task".into() };
    let now = types::Timestamp::from_millis(0);
    let check = |action: &str| {
        let repository = "arn:aws:ecr:ap-northeast-2:000000000001:repository/app";
        super::check(&rows, &account, &principal, "ap-northeast-2", now, action, repository)
    };
    assert_eq!(check("ecr:BatchGetImage"), Ok(()));
    expect![[r#""#]].assert_eq(&check("ecr:PutImage").unwrap_err().to_string());
}
