use proptest::prelude::*;

use super::pattern::{matches, plain, same};
use super::*;

fn identity(document: &str) -> Policy {
    Policy::parse(document, Kind::Identity).unwrap()
}

fn statement(body: &str) -> Policy {
    identity(&format!("{{\"Version\":\"2012-10-17\",\"Statement\":{{{body}}}}}"))
}

fn decided(policies: &[Policy], action: &str, resource: &str, keys: &Keys) -> Decision {
    decide(policies.iter().map(|policy| ("p", policy)), Request { action, resource, keys })
}

fn allows(policy: &Policy, action: &str, resource: &str) -> bool {
    decided(std::slice::from_ref(policy), action, resource, &Keys::default()) == Decision::Allowed
}

const REPOSITORY: &str = "arn:aws:ecr:ap-northeast-2:000000000001:repository/simon-sample";

#[test]
fn the_execution_role_s_policy_allows_the_pull_and_no_push() {
    let policy = statement(
        r#""Effect":"Allow","Action":["ecr:GetAuthorizationToken","ecr:BatchGetImage"],"Resource":"*""#,
    );
    assert!(allows(&policy, "ecr:GetAuthorizationToken", "*"));
    assert!(allows(&policy, "ecr:BatchGetImage", REPOSITORY));
    assert!(!allows(&policy, "ecr:PutImage", REPOSITORY));
}

#[test]
fn actions_match_without_case_and_resources_with() {
    let policy = statement(
        r#""Effect":"Allow","Action":"ECR:batchget*","Resource":"arn:aws:ecr:*:*:repository/simon-*""#,
    );
    assert!(allows(&policy, "ecr:BatchGetImage", REPOSITORY));
    assert!(!allows(&policy, "ecr:BatchGetImage", &REPOSITORY.replace("simon", "Simon")));
    assert!(!allows(&policy, "ecr:BatchGetImage", "*"));
}

#[test]
fn a_wildcard_stays_in_its_segment_unless_it_ends_the_pattern() {
    let on = |resource: &str| statement(&format!(r#""Effect":"Allow","Action":"*","Resource":"{resource}""#));
    assert!(allows(&on("arn:aws:ecr:*"), "ecr:PutImage", REPOSITORY));
    assert!(!allows(&on("arn:aws:*:repository/simon-sample"), "ecr:PutImage", REPOSITORY));
    assert!(allows(&on("arn:aws:ecr:??-northeast-2:*:repository/*"), "ecr:PutImage", REPOSITORY));
    assert!(!allows(&on("arn:aws:ecr"), "ecr:PutImage", REPOSITORY));
}

#[test]
fn an_explicit_deny_wins_in_any_order() {
    let allow = statement(r#""Effect":"Allow","Action":"*","Resource":"*""#);
    let deny = statement(r#""Effect":"Deny","NotAction":"ecr:Get*","Resource":"*""#);
    for policies in [[allow.clone(), deny.clone()], [deny, allow]] {
        let keys = Keys::default();
        let decision = decided(&policies, "ecr:PutImage", REPOSITORY, &keys);
        assert_eq!(decision, Decision::ExplicitDeny { policy: "p".to_owned() });
        assert_eq!(decided(&policies, "ecr:GetAuthorizationToken", "*", &keys), Decision::Allowed);
    }
}

#[test]
fn not_resource_takes_all_others() {
    let policy = statement(&format!(r#""Effect":"Allow","Action":"*","NotResource":"{REPOSITORY}""#));
    assert!(!allows(&policy, "ecr:PutImage", REPOSITORY));
    assert!(allows(&policy, "ecr:PutImage", &format!("{REPOSITORY}2")));
}

#[test]
fn conditions_hold_as_documented() {
    let keys = Keys::default()
        .with("aws:RequestedRegion", "ap-northeast-2")
        .with("aws:PrincipalArn", "arn:aws:iam::000000000001:role/app")
        .with("aws:CurrentTime", "2026-11-22T19:45:00Z")
        .with("aws:EpochTime", "1795376700")
        .with("kms:source", "10.1.2.3")
        .with("kms:secure", "true")
        .with_all("kms:tags", vec!["a".to_owned(), "b".to_owned()]);
    for (condition, holds) in [
        (r#"{"StringEquals":{"aws:RequestedRegion":"ap-northeast-2"}}"#, true),
        (r#"{"StringEquals":{"AWS:requestedregion":["us-east-1","ap-northeast-2"]}}"#, true),
        (r#"{"StringEquals":{"aws:RequestedRegion":"ap-*"}}"#, false),
        (r#"{"StringLike":{"aws:RequestedRegion":"ap-*"}}"#, true),
        (r#"{"StringNotEquals":{"aws:RequestedRegion":["us-east-1","ap-northeast-2"]}}"#, false),
        (r#"{"StringEqualsIgnoreCase":{"aws:RequestedRegion":"AP-NORTHEAST-2"}}"#, true),
        (r#"{"StringEquals":{"aws:SourceArn":"x"}}"#, false),
        (r#"{"StringNotEquals":{"aws:SourceArn":"x"}}"#, true),
        (r#"{"StringEqualsIfExists":{"aws:SourceArn":"x"}}"#, true),
        (r#"{"Null":{"aws:SourceArn":"true"}}"#, true),
        (r#"{"Null":{"aws:SourceArn":false}}"#, false),
        (r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}}"#, true),
        (r#"{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"}}"#, true),
        (r#"{"DateGreaterThan":{"aws:CurrentTime":"2026-11-22"}}"#, true),
        (r#"{"DateLessThan":{"aws:CurrentTime":"2026-11-22T19:45:00Z"}}"#, false),
        (r#"{"NumericLessThanEquals":{"aws:EpochTime":1795376700}}"#, true),
        (r#"{"IpAddress":{"kms:source":["192.168.0.0/16","10.0.0.0/8"]}}"#, true),
        (r#"{"NotIpAddress":{"kms:source":"10.1.2.3"}}"#, false),
        (r#"{"Bool":{"kms:secure":"true"}}"#, true),
        (r#"{"Bool":{"kms:secure":false}}"#, false),
        (r#"{"ForAllValues:StringEquals":{"kms:tags":["a","b","c"]}}"#, true),
        (r#"{"ForAllValues:StringEquals":{"kms:tags":["a"]}}"#, false),
        (r#"{"ForAllValues:StringEquals":{"kms:none":["a"]}}"#, true),
        (r#"{"ForAnyValue:StringEquals":{"kms:tags":["b"]}}"#, true),
        (r#"{"ForAnyValue:StringEquals":{"kms:none":["b"]}}"#, false),
        (r#"{"StringEquals":{"aws:RequestedRegion":"ap-northeast-2","kms:secure":"false"}}"#, false),
    ] {
        let policy =
            statement(&format!(r#""Effect":"Allow","Action":"*","Resource":"*","Condition":{condition}"#));
        let decision = decided(&[policy], "ecr:PutImage", "*", &keys);
        assert_eq!(decision == Decision::Allowed, holds, "{condition}");
    }
}

#[test]
fn variables_are_filled_in_and_their_wildcards_are_not() {
    let repository = r#""Effect":"Allow","Action":"*","Resource":"arn:aws:ecr:*:*:repository/${aws:userid}""#;
    let policy = statement(repository);
    let resource = "arn:aws:ecr:r:a:repository/bob";
    let with = |value: &str| Keys::default().with("aws:userid", value);
    let allowed = |policy: &Policy, keys: &Keys| {
        decided(std::slice::from_ref(policy), "ecr:PutImage", resource, keys) == Decision::Allowed
    };
    assert!(allowed(&policy, &with("bob")));
    assert!(!allowed(&policy, &with("*")), "the value's star is no wildcard");
    assert!(!allowed(&policy, &Keys::default()), "no value, no match");
    let default = statement(&repository.replace("aws:userid", "aws:userid, 'bob'"));
    assert!(allowed(&default, &Keys::default()));
    let old = identity(&format!("{{\"Version\":\"2008-10-17\",\"Statement\":[{{{repository}}}]}}"));
    assert!(!allowed(&old, &with("bob")), "version 2008-10-17 has no variables");
}

#[test]
fn a_document_that_would_be_ignored_in_part_is_refused() {
    let refusal = |statement: &str, kind: Kind| {
        let document = format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{{{statement}}}]}}");
        Policy::parse(&document, kind).unwrap_err().0
    };
    let allow = r#""Effect":"Allow","Action":"ecr:*","Resource":"*""#;
    let mut shown = String::new();
    for statement in [
        r#""Effect":"allow","Action":"ecr:*","Resource":"*""#.to_owned(),
        r#""Effect":"Allow","Resource":"*""#.to_owned(),
        r#""Effect":"Allow","Action":"ecr:*""#.to_owned(),
        r#""Effect":"Allow","Action":"everything","Resource":"*""#.to_owned(),
        r#""Effect":"Allow","Action":"ecr:*","Resource":"mine""#.to_owned(),
        format!(r#"{allow},"Principal":"*""#),
        format!(r#"{allow},"NotPrincipal":"*""#),
        format!(r#"{allow},"Comment":"x""#),
        format!(r#"{allow},"Sid":"a b""#),
        format!(r#"{allow},"Condition":{{"StringContains":{{"aws:userid":"x"}}}}"#),
        format!(r#"{allow},"Condition":{{"StringEquals":{{"aws:ResourceTag/env":"prod"}}}}"#),
        format!(r#"{allow},"Condition":{{"IpAddress":{{"kms:ip":"10.0.0.0/99"}}}}"#),
    ] {
        shown.push_str(&format!("{statement}\n    {}\n", refusal(&statement, Kind::Identity)));
    }
    let trust = r#""Effect":"Allow","Action":"sts:AssumeRole""#;
    for statement in [
        trust.to_owned(),
        format!(r#"{trust},"Principal":{{"Service":"ecs-tasks.amazonaws.com"}},"Resource":"*""#),
        format!(r#"{trust},"Principal":{{"Service":"ecs-tasks"}}"#),
        format!(r#"{trust},"Principal":{{"AWS":"arn:aws:iam::000000000001:user/bob"}}"#),
        format!(r#"{trust},"Principal":{{"CanonicalUser":"x"}}"#),
        r#""Effect":"Allow","Action":"ecr:*","Principal":"*""#.to_owned(),
    ] {
        shown.push_str(&format!("{statement}\n    {}\n", refusal(&statement, Kind::Trust)));
    }
    for document in ["", "[]", "{}", r#"{"Version":"2025-01-01","Statement":[]}"#] {
        shown
            .push_str(&format!("{document}\n    {}\n", Policy::parse(document, Kind::Identity).unwrap_err()));
    }
    expect_test::expect_file!["refusals.txt"].assert_eq(&shown);
}

fn trust(principal: &str) -> Policy {
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}]}}"#
    );
    Policy::parse(&document, Kind::Trust).unwrap()
}

#[test]
fn trust_names_services_accounts_and_roles() {
    let keys = Keys::default();
    let request = Request { action: "sts:AssumeRole", resource: "arn:aws:iam::1:role/app", keys: &keys };
    let tasks = Caller::Service("ecs-tasks.amazonaws.com");
    let root = Caller::Root { account: "000000000001" };
    let session = Caller::Session {
        account: "000000000001",
        role: "arn:aws:iam::000000000001:role/r",
        session: "arn:aws:sts::000000000001:assumed-role/r/s",
    };
    for (principal, caller, expected) in [
        (r#"{"Service":"ecs-tasks.amazonaws.com"}"#, tasks, Trust::Direct),
        (r#"{"Service":["ec2.amazonaws.com","ecs-tasks.amazonaws.com"]}"#, tasks, Trust::Direct),
        (r#"{"Service":"ec2.amazonaws.com"}"#, tasks, Trust::ImplicitDeny),
        (r#"{"AWS":"*"}"#, session, Trust::Direct),
        (r#"{"AWS":"000000000001"}"#, session, Trust::Account),
        (r#"{"AWS":"arn:aws:iam::000000000001:root"}"#, session, Trust::Account),
        (r#"{"AWS":"arn:aws:iam::000000000001:root"}"#, root, Trust::Direct),
        (r#"{"AWS":"arn:aws:iam::000000000002:root"}"#, session, Trust::ImplicitDeny),
        (r#"{"AWS":"arn:aws:iam::000000000001:role/r"}"#, session, Trust::Direct),
        (r#"{"AWS":"arn:aws:sts::000000000001:assumed-role/r/s"}"#, session, Trust::Direct),
        (r#"{"AWS":"arn:aws:iam::000000000001:role/other"}"#, session, Trust::ImplicitDeny),
        (r#"{"Federated":"accounts.google.com"}"#, session, Trust::ImplicitDeny),
    ] {
        assert_eq!(decide_trust(&trust(principal), caller, request), expected, "{principal}");
    }
}

/// The plainest matcher: a star takes nothing, or one character and goes on.
fn naive(pattern: &[char], text: &[char]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some('*'), _) => naive(&pattern[1..], text) || (!text.is_empty() && naive(pattern, &text[1..])),
        (Some('?'), Some(_)) => naive(&pattern[1..], &text[1..]),
        (Some(a), Some(b)) => a == b && naive(&pattern[1..], &text[1..]),
        _ => false,
    }
}

#[test]
fn an_endpoint_s_statements_count_for_those_they_name() {
    let role = "arn:aws:iam::000000000001:role/app";
    let session = "arn:aws:sts::000000000001:assumed-role/app/1";
    let app = Caller::Session { account: "000000000001", role, session };
    let root = Caller::Root { account: "000000000001" };
    let named = |effect: &str, principal: &str| {
        format!(r#"{{"Effect":"{effect}","Principal":{principal},"Action":"*","Resource":"*"}}"#)
    };
    let check = |statements: &[String], callers: [&str; 3]| {
        let document = format!("{{\"Statement\":[{}]}}", statements.join(","));
        let policy = Policy::parse(&document, Kind::Endpoint).unwrap();
        let keys = Keys::default();
        let request = Request { action: "ecr:GetAuthorizationToken", resource: "*", keys: &keys };
        let found = [app, root, Caller::Aws].map(|caller| {
            decide_endpoint("vpce-1", &policy, caller, request).because(Kind::Endpoint, request.action)
        });
        assert_eq!(found.each_ref().map(|why| why.split(' ').next().unwrap()), callers, "{document}");
    };
    let (allowed, implicit, explicit) = ("", "because", "with");
    check(&[], [implicit, implicit, implicit]);
    check(&[named("Allow", "\"*\"")], [allowed, allowed, allowed]);
    check(&[named("Allow", r#"{"AWS":"000000000001"}"#)], [allowed, allowed, implicit]);
    check(&[named("Allow", r#"{"AWS":"000000000002"}"#)], [implicit, implicit, implicit]);
    for one in [role, session] {
        let one = format!(r#"{{"AWS":"{one}"}}"#);
        check(&[named("Allow", &one)], [allowed, implicit, implicit]);
        let (deny, allow) = (named("Deny", &one), named("Allow", "\"*\""));
        check(&[deny.clone(), allow.clone()], [explicit, allowed, allowed]);
        check(&[allow, deny], [explicit, allowed, allowed]);
    }
    check(&[named("Allow", r#"{"Service":"ecr.amazonaws.com"}"#)], [implicit, implicit, implicit]);
}

fn a_statement() -> impl Strategy<Value = String> {
    let actions =
        prop::sample::select(vec!["*", "ecr:*", "ecr:Get*", "ecr:PutImage", "ecs:*", "ecr:?utImage"]);
    let resources =
        prop::sample::select(vec!["*", "arn:aws:ecr:*:*:repository/a*", "arn:aws:ecr:r:1:repository/b"]);
    (any::<bool>(), any::<bool>(), actions, any::<bool>(), resources).prop_map(
        |(allow, not_action, action, not_resource, resource)| {
            format!(
                r#"{{"Effect":"{}","{}Action":"{action}","{}Resource":"{resource}"}}"#,
                if allow { "Allow" } else { "Deny" },
                if not_action { "Not" } else { "" },
                if not_resource { "Not" } else { "" },
            )
        },
    )
}

proptest! {
    #[test]
    fn the_matcher_agrees_with_the_plainest_one(pattern in "[ab*?]{0,8}", text in "[abc]{0,10}") {
        let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        prop_assert_eq!(matches(&plain(&pattern), &text, same), naive(&p, &t));
    }

    #[test]
    fn a_deny_stays_whatever_is_added(
        statements in prop::collection::vec(a_statement(), 1..5),
        more in prop::collection::vec(a_statement(), 0..5),
        at in 0_usize..5,
        action in prop::sample::select(vec!["ecr:PutImage", "ecr:GetAuthorizationToken", "ecs:RunTask"]),
        resource in prop::sample::select(vec!["*", "arn:aws:ecr:r:1:repository/a", "arn:aws:ecr:r:1:repository/b"]),
    ) {
        let document = |statements: &[String]| identity(&format!("{{\"Statement\":[{}]}}", statements.join(",")));
        let keys = Keys::default();
        let before = decided(&[document(&statements)], action, resource, &keys);
        let mut all = statements.clone();
        for statement in more {
            all.insert(at.min(all.len()), statement);
        }
        let after = decided(&[document(&all)], action, resource, &keys);
        if matches!(before, Decision::ExplicitDeny { .. }) {
            prop_assert_eq!(&after, &before);
        }
        if after == Decision::Allowed {
            prop_assert_eq!(decided(&[document(&all), document(&statements)], action, resource, &keys), after);
        }
    }

    #[test]
    fn hostile_documents_never_panic(text in "[\\[\\]{}\":,a-zA-Z*$?0-9 ]{0,120}") {
        let _ = Policy::parse(&text, Kind::Identity);
        let _ = Policy::parse(&text, Kind::Trust);
        let _ = Policy::parse(&text, Kind::Endpoint);
    }
}
