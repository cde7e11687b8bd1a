"""A repository, and the sample application in it."""

import json

from .. import image
from ..play import Act
from .step import ecr

LIFECYCLE = json.dumps({"rules": []})


def _push(player):
    image.put(player, "oracle/app:latest")


def _read_manifest(player):
    player.saved["layer"] = json.loads(player.saved["manifest"])["layers"][0]["digest"]


IMAGE = {"repositoryName": "oracle/app", "imageIds": [{"imageTag": "latest"}]}
MISSING = "sha256:" + "0" * 64

MAKE = [
    ecr("CreateRepository", {"repositoryName": "oracle/app", "tags": [{"Key": "team", "Value": "oracle"}]},
        save={"repository": "repository.repositoryArn", "uri": "repository.repositoryUri"},
        expect={"repository.registryId": "$account", "repository.repositoryUri": "${endpoint}/oracle/app",
                "repository.imageTagMutability": "MUTABLE"}),
    ecr("CreateRepository", {"repositoryName": "oracle/app"}, error="RepositoryAlreadyExistsException"),
    ecr("CreateRepository", {"repositoryName": "Not/Allowed"}, error="InvalidParameterException"),
    ecr("DescribeRepositories", {"repositoryNames": ["oracle/app"]},
        expect={"repositories[0].encryptionConfiguration.encryptionType": "AES256"}),
    ecr("DescribeRepositories", {"repositoryNames": ["none"]}, error="RepositoryNotFoundException"),
    ecr("PutImageTagMutability", {"repositoryName": "oracle/app", "imageTagMutability": "MUTABLE"},
        expect={"imageTagMutability": "MUTABLE"}),
    ecr("PutImageScanningConfiguration",
        {"repositoryName": "oracle/app", "imageScanningConfiguration": {"scanOnPush": False}}),
    ecr("TagResource", {"resourceArn": "$repository", "tags": [{"Key": "stage", "Value": "test"}]}),
    ecr("UntagResource", {"resourceArn": "$repository", "tagKeys": ["stage"]}),
    ecr("ListTagsForResource", {"resourceArn": "$repository"}, expect={"tags": [{"Key": "team", "Value": "oracle"}]}),
    ecr("GetAuthorizationToken", expect={"authorizationData[0].proxyEndpoint": "http://${endpoint}"}),
    ecr("GetLifecyclePolicy", {"repositoryName": "oracle/app"}, error="LifecyclePolicyNotFoundException"),
    ecr("DeleteLifecyclePolicy", {"repositoryName": "oracle/app"}, error="LifecyclePolicyNotFoundException"),
    ecr("PutLifecyclePolicy", {"repositoryName": "oracle/app", "lifecyclePolicyText": LIFECYCLE},
        error="UnsupportedOperation"),
    ecr("GetRepositoryPolicy", {"repositoryName": "oracle/app"}, error="RepositoryPolicyNotFoundException"),
    ecr("DeleteRepositoryPolicy", {"repositoryName": "oracle/app"}, error="RepositoryPolicyNotFoundException"),
    ecr("SetRepositoryPolicy", {"repositoryName": "oracle/app", "policyText": "{}"}, error="UnsupportedOperation"),
    Act("push the sample application", _push),
    ecr("ListImages", {"repositoryName": "oracle/app"}, expect={"imageIds[].imageTag": ["latest"]}),
    ecr("DescribeImages", IMAGE, save={"digest": "imageDetails[0].imageDigest"},
        expect={"imageDetails[0].imageTags": ["latest"]}),
    ecr("BatchGetImage", IMAGE, save={"manifest": "images[0].imageManifest"}, expect={"failures": []}),
    ecr("BatchGetImage", {"repositoryName": "oracle/app", "imageIds": [{"imageTag": "none"}]},
        expect={"failures[0].failureCode": "ImageNotFound"}),
    Act("read the manifest", _read_manifest),
    ecr("BatchCheckLayerAvailability", {"repositoryName": "oracle/app", "layerDigests": ["$layer", MISSING]},
        expect={"layers[0].layerAvailability": "AVAILABLE", "layers[0].layerDigest": "$layer"}),
    ecr("GetDownloadUrlForLayer", {"repositoryName": "oracle/app", "layerDigest": "$layer"},
        expect={"layerDigest": "$layer"}),
    ecr("DeleteRepository", {"repositoryName": "oracle/app"}, error="RepositoryNotEmptyException"),
]

REMOVE = [
    ecr("BatchDeleteImage", IMAGE, expect={"imageIds[0].imageDigest": "$digest", "failures": []}),
    ecr("BatchDeleteImage", IMAGE, expect={"failures[0].failureCode": "ImageNotFound"}),
    ecr("DeleteRepository", {"repositoryName": "oracle/app"}, expect={"repository.repositoryArn": "$repository"}),
]
