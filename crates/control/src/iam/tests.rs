use expect_test::{Expect, expect};

use super::Asker;
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
    check(
        &fixture,
        "GetRole",
        "RoleName=exec",
        &expect![
            "200 <GetRoleResponse><GetRoleResult><Role><Path>/</Path><RoleName>exec</RoleName><RoleId/><Arn>arn:aws:iam::000000000001:role/exec</Arn><CreateDate/><AssumeRolePolicyDocument>%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Action%22%3A%22sts%3AAssumeRole%22%2C%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22ecs-tasks.amazonaws.com%22%7D%7D%5D%7D</AssumeRolePolicyDocument><MaxSessionDuration>3600</MaxSessionDuration><Tags><member><Key>a</Key><Value>b</Value></member></Tags><RoleLastUsed></RoleLastUsed></Role></GetRoleResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></GetRoleResponse>"
        ],
    );
    check(
        &fixture,
        "ListRolePolicies",
        "RoleName=exec",
        &expect![
            "200 <ListRolePoliciesResponse><ListRolePoliciesResult><PolicyNames></PolicyNames><IsTruncated>false</IsTruncated></ListRolePoliciesResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></ListRolePoliciesResponse>"
        ],
    );
    check(
        &fixture,
        "ListInstanceProfilesForRole",
        "RoleName=exec",
        &expect![
            "200 <ListInstanceProfilesForRoleResponse><ListInstanceProfilesForRoleResult><InstanceProfiles></InstanceProfiles><IsTruncated>false</IsTruncated></ListInstanceProfilesForRoleResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></ListInstanceProfilesForRoleResponse>"
        ],
    );
    check(
        &fixture,
        "ListRoles",
        "PathPrefix=/",
        &expect![
            "200 <ListRolesResponse><ListRolesResult><Roles><member><Path>/</Path><RoleName>exec</RoleName><RoleId/><Arn>arn:aws:iam::000000000001:role/exec</Arn><CreateDate/><AssumeRolePolicyDocument>%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Action%22%3A%22sts%3AAssumeRole%22%2C%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22ecs-tasks.amazonaws.com%22%7D%7D%5D%7D</AssumeRolePolicyDocument><MaxSessionDuration>3600</MaxSessionDuration><RoleLastUsed></RoleLastUsed></member></Roles><IsTruncated>false</IsTruncated></ListRolesResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></ListRolesResponse>"
        ],
    );
}

#[test]
fn a_managed_policy_is_attached_and_holds_the_role() {
    let fixture = fixture();
    let both = format!("RoleName=exec&PolicyArn={EXECUTION}");
    check(
        &fixture,
        "AttachRolePolicy",
        &both,
        &expect![
            "200 <AttachRolePolicyResponse><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></AttachRolePolicyResponse>"
        ],
    );
    check(
        &fixture,
        "ListAttachedRolePolicies",
        "RoleName=exec",
        &expect![
            "200 <ListAttachedRolePoliciesResponse><ListAttachedRolePoliciesResult><AttachedPolicies><member><PolicyName>AmazonECSTaskExecutionRolePolicy</PolicyName><PolicyArn>arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy</PolicyArn></member></AttachedPolicies><IsTruncated>false</IsTruncated></ListAttachedRolePoliciesResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></ListAttachedRolePoliciesResponse>"
        ],
    );
    check(
        &fixture,
        "DeleteRole",
        "RoleName=exec",
        &expect![
            "409 <ErrorResponse><Error><Type>Sender</Type><Code>DeleteConflict</Code><Message>Cannot delete entity, must detach all policies first.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    check(
        &fixture,
        "DetachRolePolicy",
        &both,
        &expect![
            "200 <DetachRolePolicyResponse><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></DetachRolePolicyResponse>"
        ],
    );
    check(
        &fixture,
        "DetachRolePolicy",
        &both,
        &expect![
            "404 <ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>Policy arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy was not found.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    check(
        &fixture,
        "DeleteRole",
        "RoleName=exec",
        &expect![
            "200 <DeleteRoleResponse><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></DeleteRoleResponse>"
        ],
    );
    check(
        &fixture,
        "GetRole",
        "RoleName=exec",
        &expect![
            "404 <ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>The role with name exec cannot be found.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
}

#[test]
fn inline_policies_come_and_go() {
    let fixture = fixture();
    let document =
        form(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"}]}"#);
    fixture.ok(
        Service::Iam,
        "PutRolePolicy",
        &format!("RoleName=exec&PolicyName=p&PolicyDocument={document}"),
    );
    check(
        &fixture,
        "GetRolePolicy",
        "RoleName=exec&PolicyName=p",
        &expect![
            "200 <GetRolePolicyResponse><GetRolePolicyResult><RoleName>exec</RoleName><PolicyName>p</PolicyName><PolicyDocument>%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22ecr%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D</PolicyDocument></GetRolePolicyResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></GetRolePolicyResponse>"
        ],
    );
    check(
        &fixture,
        "DeleteRole",
        "RoleName=exec",
        &expect![
            "409 <ErrorResponse><Error><Type>Sender</Type><Code>DeleteConflict</Code><Message>Cannot delete entity, must delete policies first.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    fixture.ok(Service::Iam, "DeleteRolePolicy", "RoleName=exec&PolicyName=p");
    check(
        &fixture,
        "GetRolePolicy",
        "RoleName=exec&PolicyName=p",
        &expect![
            "404 <ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>The role policy with name p cannot be found.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    let bad = form(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*"}]}"#);
    check(
        &fixture,
        "PutRolePolicy",
        &format!("RoleName=exec&PolicyName=p&PolicyDocument={bad}"),
        &expect![
            "400 <ErrorResponse><Error><Type>Sender</Type><Code>MalformedPolicyDocument</Code><Message>Policy statement must contain resources.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
}

#[test]
fn refusals_are_aws_s() {
    let fixture = fixture();
    let trust = form(TRUST);
    let create = |name: &str| format!("RoleName={name}&AssumeRolePolicyDocument={trust}");
    check(
        &fixture,
        "CreateRole",
        &create("EXEC"),
        &expect![
            "409 <ErrorResponse><Error><Type>Sender</Type><Code>EntityAlreadyExists</Code><Message>Role with name EXEC already exists.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    check(
        &fixture,
        "CreateRole",
        &create("a%20b"),
        &expect![[
            r#"400 <ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>1 validation error detected: Value &apos;a b&apos; at &apos;roleName&apos; failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]+</Message></Error><RequestId>ID</RequestId></ErrorResponse>"#
        ]],
    );
    check(
        &fixture,
        "CreateRole",
        "RoleName=x&AssumeRolePolicyDocument={",
        &expect![
            "400 <ErrorResponse><Error><Type>Sender</Type><Code>MalformedPolicyDocument</Code><Message>This policy contains invalid Json</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    check(
        &fixture,
        "CreateRole",
        &format!("{}&PermissionsBoundary=arn:aws:iam::aws:policy/AdministratorAccess", create("x")),
        &expect![
            "400 <ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameterValue</Code><Message>PermissionsBoundary: only an empty value is supported, not &quot;arn:aws:iam::aws:policy/AdministratorAccess&quot; by Landfall for CreateRole</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    let absent = format!(
        "RoleName=x&AssumeRolePolicyDocument={}",
        form(
            r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000001:role/absent"},"Action":"sts:AssumeRole"}}"#
        )
    );
    check(
        &fixture,
        "CreateRole",
        &absent,
        &expect![
            "400 <ErrorResponse><Error><Type>Sender</Type><Code>MalformedPolicyDocument</Code><Message>Invalid principal in policy: &quot;AWS&quot;:&quot;arn:aws:iam::000000000001:role/absent&quot;</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    check(
        &fixture,
        "AttachRolePolicy",
        "RoleName=exec&PolicyArn=arn:aws:iam::aws:policy/Nope",
        &expect![
            "404 <ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>Policy arn:aws:iam::aws:policy/Nope does not exist or is not attachable. Landfall has the AWS managed policies that ListPolicies with Scope=AWS lists; write this one as a policy of your own.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    check(
        &fixture,
        "CreateUser",
        "UserName=bob",
        &expect![
            "400 <ErrorResponse><Error><Type>Sender</Type><Code>UnsupportedOperation</Code><Message>Landfall does not support IAM users and their access keys (CreateUser). Call with the key pair that &apos;landfall env&apos; prints, and let a role be assumed (sts:AssumeRole) by who needs less. See the coverage page of its documentation.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    check(
        &fixture,
        "CreateAccessKey",
        "UserName=bob",
        &expect![
            "400 <ErrorResponse><Error><Type>Sender</Type><Code>UnsupportedOperation</Code><Message>Landfall does not support IAM users and their access keys (CreateAccessKey). Call with the key pair that &apos;landfall env&apos; prints, and let a role be assumed (sts:AssumeRole) by who needs less. See the coverage page of its documentation.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
}

#[test]
fn a_role_changes() {
    let fixture = fixture();
    fixture.ok(Service::Iam, "UpdateRole", "RoleName=exec&Description=d&MaxSessionDuration=7200");
    fixture.ok(Service::Iam, "TagRole", "RoleName=exec&Tags.member.1.Key=c&Tags.member.1.Value=d");
    fixture.ok(Service::Iam, "UntagRole", "RoleName=exec&TagKeys.member.1=a");
    let other = form(&TRUST.replace("ecs-tasks", "ecs"));
    fixture.ok(Service::Iam, "UpdateAssumeRolePolicy", &format!("RoleName=exec&PolicyDocument={other}"));
    check(
        &fixture,
        "ListRoleTags",
        "RoleName=exec",
        &expect![
            "200 <ListRoleTagsResponse><ListRoleTagsResult><Tags><member><Key>c</Key><Value>d</Value></member></Tags><IsTruncated>false</IsTruncated></ListRoleTagsResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></ListRoleTagsResponse>"
        ],
    );
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
    let document =
        form(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"}]}"#);
    check(
        &fixture,
        "CreatePolicy",
        &format!("PolicyName=p&Path=/&Description=d&PolicyDocument={document}"),
        &expect![
            "200 <CreatePolicyResponse><CreatePolicyResult><Policy><PolicyName>p</PolicyName><PolicyId/><Arn>arn:aws:iam::000000000001:policy/p</Arn><Path>/</Path><DefaultVersionId>v1</DefaultVersionId><AttachmentCount>0</AttachmentCount><PermissionsBoundaryUsageCount>0</PermissionsBoundaryUsageCount><IsAttachable>true</IsAttachable><Description>d</Description><CreateDate/><UpdateDate/></Policy></CreatePolicyResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></CreatePolicyResponse>"
        ],
    );
    let arn = "PolicyArn=arn:aws:iam::000000000001:policy/p";
    let version = fixture.ok(
        Service::Iam,
        "CreatePolicyVersion",
        &format!("{arn}&PolicyDocument={document}&SetAsDefault=true"),
    );
    assert_eq!(element(&version, "VersionId"), "v2");
    check(
        &fixture,
        "ListPolicyVersions",
        arn,
        &expect![
            "200 <ListPolicyVersionsResponse><ListPolicyVersionsResult><Versions><member><VersionId>v2</VersionId><IsDefaultVersion>true</IsDefaultVersion><CreateDate/></member><member><VersionId>v1</VersionId><IsDefaultVersion>false</IsDefaultVersion><CreateDate/></member></Versions><IsTruncated>false</IsTruncated></ListPolicyVersionsResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></ListPolicyVersionsResponse>"
        ],
    );
    check(
        &fixture,
        "DeletePolicyVersion",
        &format!("{arn}&VersionId=v2"),
        &expect![
            "409 <ErrorResponse><Error><Type>Sender</Type><Code>DeleteConflict</Code><Message>Cannot delete the default version of a policy.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    check(
        &fixture,
        "DeletePolicy",
        arn,
        &expect![
            "409 <ErrorResponse><Error><Type>Sender</Type><Code>DeleteConflict</Code><Message>This policy has more than one version. Before you delete a policy, you must delete the policy&apos;s versions. The default version is deleted with the policy.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    fixture.ok(Service::Iam, "DeletePolicyVersion", &format!("{arn}&VersionId=v1"));
    fixture.ok(Service::Iam, "AttachRolePolicy", &format!("RoleName=exec&{arn}"));
    check(
        &fixture,
        "GetPolicy",
        arn,
        &expect![
            "200 <GetPolicyResponse><GetPolicyResult><Policy><PolicyName>p</PolicyName><PolicyId/><Arn>arn:aws:iam::000000000001:policy/p</Arn><Path>/</Path><DefaultVersionId>v2</DefaultVersionId><AttachmentCount>1</AttachmentCount><PermissionsBoundaryUsageCount>0</PermissionsBoundaryUsageCount><IsAttachable>true</IsAttachable><Description>d</Description><CreateDate/><UpdateDate/></Policy></GetPolicyResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></GetPolicyResponse>"
        ],
    );
    check(
        &fixture,
        "DeletePolicy",
        arn,
        &expect![
            "409 <ErrorResponse><Error><Type>Sender</Type><Code>DeleteConflict</Code><Message>Cannot delete a policy attached to entities.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    fixture.ok(Service::Iam, "TagPolicy", &format!("{arn}&Tags.member.1.Key=a&Tags.member.1.Value=b"));
    let policy = fixture.ok(Service::Iam, "GetPolicy", arn);
    assert!(policy.contains("<Tags><member><Key>a</Key><Value>b</Value></member></Tags>"), "{policy}");
    fixture.ok(Service::Iam, "UntagPolicy", &format!("{arn}&TagKeys.member.1=a"));
    assert!(!fixture.ok(Service::Iam, "GetPolicy", arn).contains("<Tags>"));
    fixture.ok(Service::Iam, "DetachRolePolicy", &format!("RoleName=exec&{arn}"));
    fixture.ok(Service::Iam, "DeletePolicy", arn);
    check(
        &fixture,
        "GetPolicy",
        arn,
        &expect![
            "404 <ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>Policy arn:aws:iam::000000000001:policy/p was not found.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
}

#[test]
fn aws_s_own_policies_are_there_and_cannot_be_changed() {
    let fixture = fixture();
    let arn = format!("PolicyArn={EXECUTION}");
    check(
        &fixture,
        "GetPolicy",
        &arn,
        &expect![
            "200 <GetPolicyResponse><GetPolicyResult><Policy><PolicyName>AmazonECSTaskExecutionRolePolicy</PolicyName><PolicyId/><Arn>arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy</Arn><Path>/service-role/</Path><DefaultVersionId>v1</DefaultVersionId><AttachmentCount>0</AttachmentCount><PermissionsBoundaryUsageCount>0</PermissionsBoundaryUsageCount><IsAttachable>true</IsAttachable><Description>Provides access to other AWS service resources that are required to run Amazon ECS tasks</Description><CreateDate/><UpdateDate/></Policy></GetPolicyResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></GetPolicyResponse>"
        ],
    );
    check(
        &fixture,
        "GetPolicyVersion",
        &format!("{arn}&VersionId=v1"),
        &expect![
            "200 <GetPolicyVersionResponse><GetPolicyVersionResult><PolicyVersion><Document>%7B%22Statement%22%3A%5B%7B%22Action%22%3A%5B%22ecr%3AGetAuthorizationToken%22%2C%22ecr%3ABatchCheckLayerAvailability%22%2C%22ecr%3AGetDownloadUrlForLayer%22%2C%22ecr%3ABatchGetImage%22%2C%22logs%3ACreateLogStream%22%2C%22logs%3APutLogEvents%22%5D%2C%22Effect%22%3A%22Allow%22%2C%22Resource%22%3A%22%2A%22%7D%5D%2C%22Version%22%3A%222012-10-17%22%7D</Document><VersionId>v1</VersionId><IsDefaultVersion>true</IsDefaultVersion><CreateDate/></PolicyVersion></GetPolicyVersionResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></GetPolicyVersionResponse>"
        ],
    );
    check(
        &fixture,
        "DeletePolicy",
        &arn,
        &expect![
            "403 <ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Policy arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy is managed by AWS and cannot be changed.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
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
    check(
        &fixture,
        "GetRole",
        "RoleName=AWSServiceRoleForECS",
        &expect![
            "200 <GetRoleResponse><GetRoleResult><Role><Path>/aws-service-role/ecs.amazonaws.com/</Path><RoleName>AWSServiceRoleForECS</RoleName><RoleId/><Arn>arn:aws:iam::000000000001:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS</Arn><CreateDate/><AssumeRolePolicyDocument>%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22ecs.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D</AssumeRolePolicyDocument><Description>Role to enable Amazon ECS to manage your cluster.</Description><MaxSessionDuration>3600</MaxSessionDuration><RoleLastUsed></RoleLastUsed></Role></GetRoleResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></GetRoleResponse>"
        ],
    );
    check(
        &fixture,
        "DeleteRole",
        "RoleName=AWSServiceRoleForECS",
        &expect![
            "400 <ErrorResponse><Error><Type>Sender</Type><Code>UnmodifiableEntity</Code><Message>Cannot perform the operation on the protected role &apos;AWSServiceRoleForECS&apos; - this role is only modifiable by AWS</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    check(
        &fixture,
        "CreateServiceLinkedRole",
        "AWSServiceName=ecs.amazonaws.com",
        &expect![
            "400 <ErrorResponse><Error><Type>Sender</Type><Code>InvalidInput</Code><Message>Service role name AWSServiceRoleForECS has been taken in this account, please try a different suffix.</Message></Error><RequestId>ID</RequestId></ErrorResponse>"
        ],
    );
    fixture.ok(Service::Iam, "CreateServiceLinkedRole", "AWSServiceName=elasticloadbalancing.amazonaws.com");
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
    expect!["User: arn:aws:sts::000000000001:assumed-role/reader/test is not authorized to perform: iam:GetRole on resource: arn:aws:iam::000000000001:role/other because no identity-based policy allows the iam:GetRole action"].assert_eq(element(&text, "Message"));
    let (_, text) = api.call(&session, Service::Iam, "ListRoles", "");
    expect!["User: arn:aws:sts::000000000001:assumed-role/reader/test is not authorized to perform: iam:ListRoles on resource: arn:aws:iam::000000000001:role/ with an explicit deny in an identity-based policy"].assert_eq(element(&text, "Message"));
    let (_, text) = api.call(&session, Service::Ec2, "DescribeVpcs", "");
    assert!(text.contains("UnauthorizedOperation") || text.contains("InvalidAction"), "{text}");

    // The role is deleted and made anew: the old session is not the new role's.
    let root = root();
    api.ok(&root, Service::Iam, "DeleteRolePolicy", "RoleName=reader&PolicyName=inline");
    api.ok(&root, Service::Iam, "DeleteRole", "RoleName=reader");
    let gone = || {
        let (status, text) = api.call(&session, Service::Sts, "GetCallerIdentity", "");
        assert_eq!((status, element(&text, "Code")), (403, "InvalidClientTokenId"), "{text}");
        assert_eq!(element(&text, "Message"), "The security token included in the request is invalid.");
        let (status, text) = api.call(&session, Service::Ecs, "ListClusters", "{}");
        assert!(status == 400 && text.contains("UnrecognizedClientException"), "{text}");
    };
    gone();
    api.session("reader", Some(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#));
    gone();
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
    let principal =
        Principal::Session { role: "exec".into(), role_id: role.id.clone(), session: "task".into() };
    let now = types::Timestamp::from_millis(0);
    let check = |action: &str| {
        let repository = "arn:aws:ecr:ap-northeast-2:000000000001:repository/app";
        let region = "ap-northeast-2";
        let asker = Asker { account: &account, principal: &principal, region, now, through: None };
        super::check(&rows, asker, action, repository)
    };
    assert_eq!(check("ecr:BatchGetImage"), Ok(()));
    expect!["User: arn:aws:sts::000000000001:assumed-role/exec/task is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:ap-northeast-2:000000000001:repository/app because no identity-based policy allows the ecr:PutImage action"].assert_eq(&check("ecr:PutImage").unwrap_err().to_string());
}
