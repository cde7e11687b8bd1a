use std::sync::Arc;

use expect_test::{Expect, expect};
use registry::{Catalog as _, CatalogError, Digest, NewManifest, Reference, suite};
use types::Timestamp;

use super::catalog::Catalog;
use super::token::{Bearer, issue};
use crate::context::Principal;
use crate::iam::testing::Verifying;
use crate::testing::{Fixture, settings};
use crate::{Api, Service};

/// The answer, with times replaced.
fn check(fixture: &Fixture, action: &str, body: &str, expected: &Expect) {
    let (status, text) = fixture.call(Service::Ecr, action, body);
    let mut answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    hide(&mut answer);
    let text = serde_json::to_string_pretty(&answer).unwrap();
    expected.assert_eq(&format!("{status} {text}"));
}

/// Replaces times, tokens and signatures.
fn hide(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                match name.as_str() {
                    "createdAt" | "imagePushedAt" | "expiresAt" => *member = "TIME".into(),
                    "authorizationToken" => *member = "TOKEN".into(),
                    "downloadUrl" => {
                        *member = member.as_str().unwrap().split("Expires").next().unwrap().into();
                    }
                    _ => hide(member),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(hide),
        _ => (),
    }
}

fn catalog(api: &Api) -> Catalog {
    let manifest = |_: &Digest| Ok(b"{\"schemaVersion\":2}".to_vec());
    Catalog::with_manifests(Arc::clone(&api.store), Arc::clone(&api.settings), Box::new(manifest))
}

fn password(principal: Principal) -> String {
    let settings = settings();
    let region = types::Region::new("ap-northeast-2").unwrap();
    let bearer = Bearer { account: settings.account.clone(), region, principal };
    let later = Timestamp::from_millis(Timestamp::now().as_millis() + 60_000);
    issue(&settings.token_key, &bearer, later)
}

fn push(api: &Api, repository: &str, tag: &str) -> (Digest, Digest) {
    let catalog = catalog(api);
    let session = catalog.authenticate("AWS", &password(Principal::Root)).unwrap();
    let (blob, digest) = (Digest::of(b"layer"), Digest::of(tag.as_bytes()));
    catalog.record_blob(&session, repository, &blob, 5).unwrap();
    let manifest = NewManifest {
        reference: Reference::Tag(tag.to_owned()),
        digest,
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        size: 19,
        image_size: 5,
        artifact_media_type: Some("application/vnd.oci.image.config.v1+json".to_owned()),
        blobs: vec![blob],
        manifests: Vec::new(),
    };
    catalog.put_manifest(&session, repository, &manifest).unwrap();
    (blob, digest)
}

#[test]
fn a_repository_is_read_as_terraform_wrote_it() {
    let fixture = Fixture::new();
    // What provider 5.100 sends.
    let create = r#"{"encryptionConfiguration":{"encryptionType":"AES256"},"imageScanningConfiguration":{"scanOnPush":false},"imageTagMutability":"MUTABLE","repositoryName":"simon-sample","tags":[{"Key":"a","Value":"b"}]}"#;
    check(
        &fixture,
        "CreateRepository",
        create,
        &expect![[r#"
        200 {
          "repository": {
            "createdAt": "TIME",
            "encryptionConfiguration": {
              "encryptionType": "AES256"
            },
            "imageScanningConfiguration": {
              "scanOnPush": false
            },
            "imageTagMutability": "MUTABLE",
            "registryId": "000000000001",
            "repositoryArn": "arn:aws:ecr:ap-northeast-2:000000000001:repository/simon-sample",
            "repositoryName": "simon-sample",
            "repositoryUri": "127.0.0.1:4566/simon-sample"
          }
        }"#]],
    );
    check(
        &fixture,
        "CreateRepository",
        create,
        &expect![[r#"
        400 {
          "__type": "RepositoryAlreadyExistsException",
          "message": "The repository with name 'simon-sample' already exists in the registry with id '000000000001'"
        }"#]],
    );
    check(
        &fixture,
        "DescribeRepositories",
        r#"{"repositoryNames":["simon-sample"]}"#,
        &expect![[r#"
            200 {
              "repositories": [
                {
                  "createdAt": "TIME",
                  "encryptionConfiguration": {
                    "encryptionType": "AES256"
                  },
                  "imageScanningConfiguration": {
                    "scanOnPush": false
                  },
                  "imageTagMutability": "MUTABLE",
                  "registryId": "000000000001",
                  "repositoryArn": "arn:aws:ecr:ap-northeast-2:000000000001:repository/simon-sample",
                  "repositoryName": "simon-sample",
                  "repositoryUri": "127.0.0.1:4566/simon-sample"
                }
              ]
            }"#]],
    );
    let arn = r#""resourceArn":"arn:aws:ecr:ap-northeast-2:000000000001:repository/simon-sample""#;
    check(
        &fixture,
        "ListTagsForResource",
        &format!("{{{arn}}}"),
        &expect![[r#"
        200 {
          "tags": [
            {
              "Key": "a",
              "Value": "b"
            }
          ]
        }"#]],
    );
    fixture.ok(Service::Ecr, "TagResource", &format!(r#"{{{arn},"tags":[{{"Key":"c","Value":"d"}}]}}"#));
    fixture.ok(Service::Ecr, "UntagResource", &format!(r#"{{{arn},"tagKeys":["a"]}}"#));
    check(
        &fixture,
        "ListTagsForResource",
        &format!("{{{arn}}}"),
        &expect![[r#"
        200 {
          "tags": [
            {
              "Key": "c",
              "Value": "d"
            }
          ]
        }"#]],
    );
    let name = r#"{"repositoryName":"simon-sample"}"#;
    check(
        &fixture,
        "GetLifecyclePolicy",
        name,
        &expect![[r#"
        400 {
          "__type": "LifecyclePolicyNotFoundException",
          "message": "Lifecycle policy does not exist for the repository with name 'simon-sample' in the registry with id '000000000001'"
        }"#]],
    );
    check(
        &fixture,
        "GetRepositoryPolicy",
        name,
        &expect![[r#"
        400 {
          "__type": "RepositoryPolicyNotFoundException",
          "message": "Repository policy does not exist for the repository with name 'simon-sample' in the registry with id '000000000001'"
        }"#]],
    );
    check(
        &fixture,
        "PutLifecyclePolicy",
        r#"{"repositoryName":"simon-sample","lifecyclePolicyText":"{}"}"#,
        &expect![[r#"
            400 {
              "__type": "UnsupportedOperation",
              "message": "Landfall does not support lifecycle policies of repositories (ecr:PutLifecyclePolicy): images would not expire. See the coverage page of its documentation."
            }"#]],
    );
    fixture.ok(
        Service::Ecr,
        "PutImageTagMutability",
        r#"{"repositoryName":"simon-sample","imageTagMutability":"IMMUTABLE"}"#,
    );
    fixture.ok(
        Service::Ecr,
        "PutImageScanningConfiguration",
        r#"{"repositoryName":"simon-sample","imageScanningConfiguration":{"scanOnPush":false}}"#,
    );
    check(
        &fixture,
        "DeleteRepository",
        name,
        &expect![[r#"
        200 {
          "repository": {
            "createdAt": "TIME",
            "encryptionConfiguration": {
              "encryptionType": "AES256"
            },
            "imageScanningConfiguration": {
              "scanOnPush": false
            },
            "imageTagMutability": "IMMUTABLE",
            "registryId": "000000000001",
            "repositoryArn": "arn:aws:ecr:ap-northeast-2:000000000001:repository/simon-sample",
            "repositoryName": "simon-sample",
            "repositoryUri": "127.0.0.1:4566/simon-sample"
          }
        }"#]],
    );
    check(
        &fixture,
        "DescribeRepositories",
        r#"{"repositoryNames":["simon-sample"]}"#,
        &expect![[r#"
        400 {
          "__type": "RepositoryNotFoundException",
          "message": "The repository with name 'simon-sample' does not exist in the registry with id '000000000001'"
        }"#]],
    );
}

#[test]
fn what_would_not_be_honoured_is_refused() {
    let fixture = Fixture::new();
    for body in [
        r#"{"repositoryName":"app","imageScanningConfiguration":{"scanOnPush":true}}"#,
        r#"{"repositoryName":"app","encryptionConfiguration":{"encryptionType":"KMS"}}"#,
        r#"{"repositoryName":"app","imageTagMutability":"MUTABLE_WITH_EXCLUSION"}"#,
        r#"{"repositoryName":"App"}"#,
        r#"{"repositoryName":"app","colour":"red"}"#,
        r#"{"repositoryName":"app","registryId":"000000000002"}"#,
    ] {
        let (status, text) = fixture.call(Service::Ecr, "CreateRepository", body);
        assert_eq!(status, 400, "{body}: {text}");
    }
    check(
        &fixture,
        "DescribeRepositories",
        "{}",
        &expect![[r#"
        200 {
          "repositories": []
        }"#]],
    );
}

#[test]
fn images_are_listed_got_and_deleted() {
    let fixture = Fixture::new();
    fixture.ok(Service::Ecr, "CreateRepository", r#"{"repositoryName":"app"}"#);
    fixture.ok(Service::Ecr, "CreateRepository", r#"{"repositoryName":"app/part"}"#);
    let (layer, _) = push(&fixture.api, "app", "v1");
    push(&fixture.api, "app/part", "v9");
    let name = r#"{"repositoryName":"app"}"#;
    check(
        &fixture,
        "ListImages",
        name,
        &expect![[r#"
        200 {
          "imageIds": [
            {
              "imageDigest": "sha256:3bfc269594ef649228e9a74bab00f042efc91d5acc6fbee31a382e80d42388fe",
              "imageTag": "v1"
            }
          ]
        }"#]],
    );
    check(
        &fixture,
        "DescribeImages",
        name,
        &expect![[r#"
        200 {
          "imageDetails": [
            {
              "artifactMediaType": "application/vnd.oci.image.config.v1+json",
              "imageDigest": "sha256:3bfc269594ef649228e9a74bab00f042efc91d5acc6fbee31a382e80d42388fe",
              "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
              "imagePushedAt": "TIME",
              "imageSizeInBytes": 5,
              "imageTags": [
                "v1"
              ],
              "registryId": "000000000001",
              "repositoryName": "app"
            }
          ]
        }"#]],
    );
    check(
        &fixture,
        "DescribeImages",
        r#"{"repositoryName":"app","imageIds":[{"imageTag":"v2"}]}"#,
        &expect![[r#"
            400 {
              "__type": "ImageNotFoundException",
              "message": "The image with imageId {imageDigest:'null', imageTag:'v2'} does not exist within the repository with name 'app' in the registry with id '000000000001'"
            }"#]],
    );
    check(
        &fixture,
        "BatchGetImage",
        r#"{"repositoryName":"app","imageIds":[{"imageTag":"v1"},{"imageTag":"v2"}]}"#,
        &expect![[r#"
            200 {
              "failures": [
                {
                  "failureCode": "ImageNotFound",
                  "failureReason": "Requested image not found",
                  "imageId": {
                    "imageTag": "v2"
                  }
                }
              ],
              "images": [
                {
                  "imageId": {
                    "imageDigest": "sha256:3bfc269594ef649228e9a74bab00f042efc91d5acc6fbee31a382e80d42388fe",
                    "imageTag": "v1"
                  },
                  "imageManifest": "{\"schemaVersion\":2}",
                  "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
                  "registryId": "000000000001",
                  "repositoryName": "app"
                }
              ]
            }"#]],
    );
    check(
        &fixture,
        "BatchCheckLayerAvailability",
        &format!(
            r#"{{"repositoryName":"app","layerDigests":["{layer}","sha256:x","{}"]}}"#,
            Digest::of(b"other")
        ),
        &expect![[r#"
            200 {
              "failures": [
                {
                  "failureCode": "InvalidLayerDigest",
                  "failureReason": "Invalid layer digest",
                  "layerDigest": "sha256:x"
                }
              ],
              "layers": [
                {
                  "layerAvailability": "AVAILABLE",
                  "layerDigest": "sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85",
                  "layerSize": 5
                },
                {
                  "layerAvailability": "UNAVAILABLE",
                  "layerDigest": "sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"
                }
              ]
            }"#]],
    );
    check(
        &fixture,
        "GetDownloadUrlForLayer",
        &format!(r#"{{"repositoryName":"app","layerDigest":"{layer}"}}"#),
        &expect![[r#"
            200 {
              "downloadUrl": "https://prod-ap-northeast-2-starport-layer-bucket.s3.ap-northeast-2.amazonaws.com/sha256/dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85?",
              "layerDigest": "sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85"
            }"#]],
    );
    check(
        &fixture,
        "DeleteRepository",
        name,
        &expect![[r#"
        400 {
          "__type": "RepositoryNotEmptyException",
          "message": "The repository with name 'app' in registry with id '000000000001' cannot be deleted because it still contains images"
        }"#]],
    );
    check(
        &fixture,
        "BatchDeleteImage",
        r#"{"repositoryName":"app","imageIds":[{"imageTag":"v1"},{"imageTag":"v1"}]}"#,
        &expect![[r#"
            200 {
              "failures": [
                {
                  "failureCode": "ImageNotFound",
                  "failureReason": "Requested image not found",
                  "imageId": {
                    "imageTag": "v1"
                  }
                }
              ],
              "imageIds": [
                {
                  "imageDigest": "sha256:3bfc269594ef649228e9a74bab00f042efc91d5acc6fbee31a382e80d42388fe",
                  "imageTag": "v1"
                }
              ]
            }"#]],
    );
    let rows = fixture.api.store.snapshot();
    assert_eq!(super::live_digests(&rows).len(), 2, "app/part's image and its layer");
    push(&fixture.api, "app", "v1");
    fixture.ok(Service::Ecr, "DeleteRepository", r#"{"repositoryName":"app","force":true}"#);
    assert_eq!(super::live_digests(&fixture.api.store.snapshot()).len(), 2);
}

#[test]
fn a_login_token_opens_the_registry() {
    let fixture = Fixture::new();
    check(
        &fixture,
        "GetAuthorizationToken",
        "{}",
        &expect![[r#"
        200 {
          "authorizationData": [
            {
              "authorizationToken": "TOKEN",
              "expiresAt": "TIME",
              "proxyEndpoint": "http://127.0.0.1:4566"
            }
          ]
        }"#]],
    );
    let answer = fixture.ok(Service::Ecr, "GetAuthorizationToken", "{}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let token = answer["authorizationData"][0]["authorizationToken"].as_str().unwrap();
    let pair = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, token).unwrap();
    let pair = String::from_utf8(pair).unwrap();
    let (user, password) = pair.split_once(':').unwrap();
    let session = catalog(&fixture.api).authenticate(user, password).unwrap();
    assert_eq!(session.account, settings().account);
    assert_eq!(session.region.as_str(), "ap-northeast-2");
}

#[test]
fn the_catalog_does_what_every_catalog_has_to() {
    let fixture = Fixture::new();
    for body in [
        r#"{"repositoryName":"one"}"#,
        r#"{"repositoryName":"two"}"#,
        r#"{"repositoryName":"fixed","imageTagMutability":"IMMUTABLE"}"#,
    ] {
        fixture.ok(Service::Ecr, "CreateRepository", body);
    }
    let password = password(Principal::Root);
    let prepared =
        suite::Prepared { password: &password, repository: "one", other: "two", immutable: "fixed" };
    suite::check(&catalog(&fixture.api), prepared);
}

#[test]
fn a_role_s_policy_decides_in_the_registry() {
    let api = Verifying::new();
    let statement =
        r#"{"Effect":"Allow","Action":["ecr:GetAuthorizationToken","ecr:BatchGetImage"],"Resource":["*"]}"#;
    let keys = api.session("puller", Some(statement));
    let answer = api.ok(&keys, Service::Ecr, "GetAuthorizationToken", "{}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let token = answer["authorizationData"][0]["authorizationToken"].as_str().unwrap();
    let pair = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, token).unwrap();
    let pair = String::from_utf8(pair).unwrap();
    let catalog = catalog(&api.api);
    let session = catalog.authenticate("AWS", pair.strip_prefix("AWS:").unwrap()).unwrap();
    assert_eq!(catalog.authorize(&session, "ecr:BatchGetImage", "app"), Ok(()));
    let denied = catalog.authorize(&session, "ecr:GetDownloadUrlForLayer", "app");
    let Err(CatalogError::Denied(words)) = denied else { panic!("{denied:?}") };
    expect!["User: arn:aws:sts::000000000001:assumed-role/puller/test is not authorized to perform: ecr:GetDownloadUrlForLayer on resource: arn:aws:ecr:ap-northeast-2:000000000001:repository/app because no identity-based policy allows the ecr:GetDownloadUrlForLayer action"].assert_eq(&words);
}

#[test]
fn a_session_without_a_policy_may_do_nothing_in_ecr() {
    let api = Verifying::new();
    let session = api.session("nobody", None);
    for operation in super::OPERATIONS {
        let mut members = serde_json::json!({
            "repositoryName": "app",
            "layerDigest": Digest::of(b"x").to_string(),
            "layerDigests": [Digest::of(b"x").to_string()],
            "imageIds": [{ "imageTag": "v1" }],
            "imageTagMutability": "MUTABLE",
            "imageScanningConfiguration": {},
            "lifecyclePolicyText": "{}",
            "policyText": "{}",
            "resourceArn": "arn:aws:ecr:ap-northeast-2:000000000001:repository/app",
            "tags": [],
            "tagKeys": [],
        });
        let (status, text) = loop {
            let (status, text) = api.call(&session, Service::Ecr, operation.name, &members.to_string());
            let unknown = text.split("The parameter ").nth(1).and_then(|rest| rest.split(' ').next());
            match unknown {
                Some(name) if text.contains("is not supported by Landfall for") => {
                    assert!(members.as_object_mut().unwrap().remove(name).is_some(), "{text}");
                }
                _ => break (status, text),
            }
        };
        assert_eq!(status, 400, "{}", operation.name);
        let words = format!("because no identity-based policy allows the ecr:{} action", operation.name);
        assert!(
            text.contains("AccessDeniedException") && text.contains(&words),
            "{}: {text}",
            operation.name
        );
    }
}
