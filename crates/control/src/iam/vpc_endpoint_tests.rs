//! What VPC endpoints' policies decide, as callers see it.

use expect_test::expect;
use registry::{Catalog as _, CatalogError, Session};
use types::{Region, VpcEndpointId};

use super::testing::{Keys, Verifying, form, root};
use crate::ecr::catalog::Catalog;
use crate::testing::{element, settings};
use crate::{Principal, Service};

const FULL: &str = r#"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}"#;

/// An API with a VPC endpoint.
struct Way {
    api: Verifying,
    vpc: String,
    id: VpcEndpointId,
}

impl Way {
    fn new() -> Self {
        Self::to("ecr.api")
    }

    fn to(service: &str) -> Self {
        let api = Verifying::new();
        let vpc = api.ok(&root(), Service::Ec2, "CreateVpc", "CidrBlock=10.194.0.0/16");
        let vpc = element(&vpc, "vpcId").to_owned();
        let body = format!(
            "VpcId={vpc}&ServiceName=com.amazonaws.ap-northeast-2.{service}&VpcEndpointType=Interface&PrivateDnsEnabled=false"
        );
        let made = api.ok(&root(), Service::Ec2, "CreateVpcEndpoint", &body);
        let id = element(&made, "vpcEndpointId").into();
        Self { api, vpc, id }
    }

    /// Gives the endpoint a policy of these statements.
    fn policy(&self, statements: &str) {
        let document = form(&format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{statements}]}}"));
        let body = format!("VpcEndpointId={}&PolicyDocument={document}", self.id);
        self.api.ok(&root(), Service::Ec2, "ModifyVpcEndpoint", &body);
    }

    fn through(&self, keys: &Keys, service: Service, action: &str, body: &str) -> (u16, String) {
        self.api.call_through(Some(&self.id), keys, service, action, body)
    }

    /// The status of a request for a registry token, and why it is refused.
    fn token(&self, keys: &Keys) -> (u16, String) {
        let (status, text) = self.through(keys, Service::Ecr, "GetAuthorizationToken", "{}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        (status, json["message"].as_str().unwrap_or_default().to_owned())
    }
}

#[test]
fn a_policy_that_allows_nothing_refuses_also_root_and_only_on_this_way() {
    let way = Way::new();
    assert_eq!(way.token(&root()).0, 200);
    way.policy(r#"{"Effect":"Allow","Principal":"*","Action":"ecr:Describe*","Resource":"*"}"#);
    let (status, why) = way.token(&root());
    assert_eq!(status, 400);
    expect!["User: arn:aws:iam::000000000001:root is not authorized to perform: ecr:GetAuthorizationToken on resource: * because no VPC endpoint policy allows the ecr:GetAuthorizationToken action"].assert_eq(&why);
    assert_eq!(way.through(&root(), Service::Ecr, "DescribeRepositories", "{}").0, 200);
    way.api.ok(&root(), Service::Ecr, "GetAuthorizationToken", "{}");
    way.api.ok(
        &root(),
        Service::Ec2,
        "ModifyVpcEndpoint",
        &format!("VpcEndpointId={}&ResetPolicy=true", way.id),
    );
    assert_eq!(way.token(&root()).0, 200);
}

#[test]
fn a_session_needs_its_own_policy_and_the_endpoint_s() {
    let way = Way::new();
    let may = way.api.session("may", Some(r#"{"Effect":"Allow","Action":"ecr:*","Resource":"*"}"#));
    let may_not = way.api.session("may-not", None);
    assert_eq!(way.token(&may).0, 200);
    let (_, why) = way.token(&may_not);
    assert!(
        why.ends_with("because no identity-based policy allows the ecr:GetAuthorizationToken action"),
        "{why}"
    );
    // It names one role: the other passes no more, nor does root.
    way.policy(
        r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000001:role/may-not"},"Action":"*","Resource":"*"}"#,
    );
    for keys in [&may, &root()] {
        let (_, why) = way.token(keys);
        assert!(
            why.ends_with("because no VPC endpoint policy allows the ecr:GetAuthorizationToken action"),
            "{why}"
        );
    }
    // It allows, and never grants.
    assert_eq!(way.token(&may_not).0, 400);
    // The account is all who are in it.
    way.policy(r#"{"Effect":"Allow","Principal":{"AWS":"000000000001"},"Action":"*","Resource":"*"}"#);
    assert_eq!((way.token(&may).0, way.token(&root()).0), (200, 200));
}

#[test]
fn the_vpc_that_a_request_comes_from_is_a_condition_key() {
    let way = Way::new();
    let deny = |vpc: &str| {
        format!(
            r#"{{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{{"StringNotEquals":{{"aws:SourceVpc":"{vpc}"}}}}}}"#
        )
    };
    way.policy(&format!("{},{FULL}", deny(&way.vpc)));
    assert_eq!(way.token(&root()).0, 200);
    way.policy(&format!("{},{FULL}", deny("vpc-0123456789abcdef0")));
    let (_, why) = way.token(&root());
    assert!(why.ends_with("on resource: * with an explicit deny in a VPC endpoint policy"), "{why}");
    // A deny alone allows nothing.
    way.policy(&deny(&way.vpc));
    assert!(way.token(&root()).1.contains("because no VPC endpoint policy allows"));
}

#[test]
fn an_identity_policy_knows_the_endpoint_too_and_elsewhere_there_is_none() {
    let way = Way::new();
    let statement = |key: &str, value: &str| {
        format!(
            r#"{{"Effect":"Allow","Action":"ecr:*","Resource":"*","Condition":{{"StringEquals":{{"{key}":"{value}"}}}}}}"#
        )
    };
    let by_endpoint = way.api.session("a", Some(&statement("aws:SourceVpce", way.id.as_str())));
    let by_vpc = way.api.session("b", Some(&statement("aws:SourceVpc", &way.vpc)));
    let by_other = way.api.session("c", Some(&statement("aws:SourceVpce", "vpce-0123456789abcdef0")));
    for (keys, through, around) in [(by_endpoint, 200, 400), (by_vpc, 200, 400), (by_other, 400, 400)] {
        assert_eq!(way.token(&keys).0, through);
        let (status, _) = way.api.call(&keys, Service::Ecr, "GetAuthorizationToken", "{}");
        assert_eq!(status, around);
    }
}

#[test]
fn sts_is_asked_for_on_the_way_as_well() {
    let way = Way::to("sts");
    way.api.session("app", None);
    let assume = "RoleArn=arn:aws:iam::000000000001:role/app&RoleSessionName=again";
    let both = |keys: &Keys| {
        [("AssumeRole", assume), ("GetCallerIdentity", "")].map(|(action, body)| {
            let (status, text) = way.through(keys, Service::Sts, action, body);
            (status, text.contains("because no VPC endpoint policy allows the sts:"))
        })
    };
    assert_eq!(both(&root()), [(200, false), (200, false)]);
    way.policy(r#"{"Effect":"Allow","Principal":"*","Action":"sts:GetCallerIdentity","Resource":"*"}"#);
    assert_eq!(both(&root()), [(403, true), (200, false)]);
    way.policy(
        r#"{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"arn:aws:iam::*:role/app","Condition":{"StringEquals":{"sts:RoleSessionName":"again"}}}"#,
    );
    assert_eq!(both(&root()), [(200, false), (403, true)]);
}

#[test]
fn the_registry_asks_too() {
    let way = Way::to("ecr.dkr");
    let (store, settings) = (way.api.api.store.clone(), settings());
    let catalog = Catalog::with_manifests(store, settings.clone().into(), Box::new(|_| Ok(Vec::new())));
    let region = Region::new("ap-northeast-2").unwrap();
    let session = |through: Option<&VpcEndpointId>| Session {
        account: settings.account.clone(),
        region: region.clone(),
        principal: Principal::Root,
        through: through.cloned(),
    };
    let pull = |through| catalog.authorize(&session(through), "ecr:BatchGetImage", "app");
    assert_eq!(pull(Some(&way.id)), Ok(()));
    // As ECR's user guide limits a gateway endpoint to what an image's pull needs.
    way.policy(
        r#"{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::prod-ap-northeast-2-starport-layer-bucket/*"]}"#,
    );
    let Err(CatalogError::Denied(why)) = pull(Some(&way.id)) else { panic!("not denied") };
    assert!(why.ends_with("because no VPC endpoint policy allows the ecr:BatchGetImage action"), "{why}");
    assert_eq!(pull(None), Ok(()));
    let gone = VpcEndpointId::from("vpce-0123456789abcdef0");
    assert!(pull(Some(&gone)).is_err(), "nothing passes an endpoint that is not there");
}

#[test]
fn the_layer_bucket_asks_too() {
    let way = Way::to("s3");
    let (store, settings) = (way.api.api.store.clone(), settings());
    let catalog = Catalog::with_manifests(store, settings.into(), Box::new(|_| Ok(Vec::new())));
    let region = Region::new("ap-northeast-2").unwrap();
    let layer = |id: &VpcEndpointId| {
        let object = "arn:aws:s3:::prod-ap-northeast-2-starport-layer-bucket/sha256/00";
        catalog.may_read_object(id, &region, object)
    };
    assert!(layer(&way.id));
    for (region, reads) in [("ap-northeast-2", true), ("us-east-1", false)] {
        way.policy(&format!(
            r#"{{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::prod-{region}-starport-layer-bucket/*"]}}"#,
        ));
        assert_eq!(layer(&way.id), reads);
    }
    // ECR signs the addresses of layers itself: it is nobody of this account.
    way.policy(r#"{"Effect":"Allow","Principal":{"AWS":"000000000001"},"Action":"*","Resource":"*"}"#);
    assert!(!layer(&way.id));
}

#[test]
fn what_is_another_service_s_does_not_come_through() {
    let logs = Way::to("logs");
    for (service, action) in [(Service::Sts, "GetCallerIdentity"), (Service::Ecs, "ListClusters")] {
        let (status, text) = logs.through(&root(), service, action, "{}");
        assert!(status >= 400 && text.contains("Credential should be scoped to correct service: "), "{text}");
    }
    let ecs = Way::to("ecs");
    assert_eq!(ecs.through(&root(), Service::Ecs, "ListClusters", "{}").0, 200);
    ecs.policy(r#"{"Effect":"Allow","Principal":"*","Action":"ecs:Describe*","Resource":"*"}"#);
    let (_, text) = ecs.through(&root(), Service::Ecs, "ListClusters", "{}");
    assert!(text.contains("because no VPC endpoint policy allows the ecs:ListClusters action"), "{text}");
    // The registry's endpoint answers no API, and lets no layer by.
    let registry = Way::to("ecr.dkr");
    assert_ne!(registry.token(&root()).0, 200);
    let catalog = Catalog::with_manifests(
        registry.api.api.store.clone(),
        settings().into(),
        Box::new(|_| Ok(Vec::new())),
    );
    let region = Region::new("ap-northeast-2").unwrap();
    assert!(!catalog.may_read_object(
        &registry.id,
        &region,
        "arn:aws:s3:::prod-ap-northeast-2-starport-layer-bucket/x"
    ));
}

#[test]
fn an_endpoint_lets_by_what_its_policy_names_of_parameters_and_secrets() {
    let way = Way::to("ssm");
    for name in ["/a", "/b"] {
        let body = format!(r#"{{"Name":"{name}","Value":"v","Type":"String"}}"#);
        way.api.ok(&root(), Service::Ssm, "PutParameter", &body);
    }
    way.policy(
        r#"{"Effect":"Allow","Principal":"*","Action":"ssm:GetParameter","Resource":"arn:aws:ssm:*:*:parameter/a"}"#,
    );
    let get =
        |name: &str| way.through(&root(), Service::Ssm, "GetParameter", &format!(r#"{{"Name":"{name}"}}"#));
    assert_eq!(get("/a").0, 200);
    let (_, text) = get("/b");
    assert!(
        text.contains("parameter/b because no VPC endpoint policy allows the ssm:GetParameter action"),
        "{text}"
    );

    // The secret's own policy lets the role in, and not by every way.
    let way = Way::to("secretsmanager");
    let role = way.api.session("reader", None);
    way.api.ok(&root(), Service::SecretsManager, "CreateSecret", r#"{"Name":"s","SecretString":"v"}"#);
    let statement = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000001:role/reader"},"Action":"*","Resource":"*"}"#;
    let body =
        serde_json::json!({"SecretId": "s", "ResourcePolicy": format!(r#"{{"Statement":{statement}}}"#)});
    way.api.ok(&root(), Service::SecretsManager, "PutResourcePolicy", &body.to_string());
    let get = || way.through(&role, Service::SecretsManager, "GetSecretValue", r#"{"SecretId":"s"}"#);
    assert_eq!(get().0, 200);
    way.policy(
        r#"{"Effect":"Allow","Principal":"*","Action":"secretsmanager:DescribeSecret","Resource":"*"}"#,
    );
    let (_, text) = get();
    assert!(text.contains("because no VPC endpoint policy allows"), "{text}");
}
