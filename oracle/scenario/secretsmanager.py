"""Secrets, their versions and stages, and their policies."""

import json

from .step import secretsmanager

NAME = "oracle/database"
FIRST, SECOND = "1" * 32, "2" * 32
PICTURE = {"SecretId": "oracle/picture"}
SECRET = {"SecretId": NAME}


def policy(effect):
    return json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": effect, "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]})


STEPS = [
    secretsmanager("GetRandomPassword", {"PasswordLength": 20, "ExcludePunctuation": True},
                   expect={"length(RandomPassword)": 20}),
    secretsmanager("CreateSecret", {"Name": NAME, "SecretString": '{"user":"a"}', "ClientRequestToken": FIRST,
                                    "Description": "of the oracle", "Tags": [{"Key": "team", "Value": "oracle"}]},
                   save={"secret": "ARN"}, expect={"VersionId": FIRST, "Name": NAME}),
    secretsmanager("CreateSecret", {"Name": NAME, "SecretString": "x"}, error="ResourceExistsException"),
    secretsmanager("CreateSecret", {"Name": "oracle/picture", "SecretBinary": b"\x00\x01"}),
    secretsmanager("GetSecretValue", PICTURE, expect={"SecretBinary": b"\x00\x01"}),
    secretsmanager("PutSecretValue", {**SECRET, "SecretString": '{"user":"b"}', "ClientRequestToken": SECOND},
                   expect={"VersionStages": ["AWSCURRENT"]}),
    secretsmanager("GetSecretValue", {"SecretId": "$secret"},
                   expect={"SecretString": '{"user":"b"}', "VersionId": SECOND}),
    secretsmanager("GetSecretValue", {**SECRET, "VersionStage": "AWSPREVIOUS"}, expect={"VersionId": FIRST}),
    secretsmanager("GetSecretValue", {"SecretId": "none"}, error="ResourceNotFoundException"),
    secretsmanager("DescribeSecret", SECRET,
                   expect={"ARN": "$secret", "Tags": [{"Key": "team", "Value": "oracle"}],
                           f'VersionIdsToStages."{SECOND}"': ["AWSCURRENT"]}),
    secretsmanager("ListSecrets", {"Filters": [{"Key": "name", "Values": ["oracle/"]}], "SortBy": "name"},
                   expect={"SecretList[].Name": [NAME, "oracle/picture"]}),
    secretsmanager("ListSecretVersionIds", {**SECRET, "IncludeDeprecated": True},
                   expect={"Versions[].VersionId": [FIRST, SECOND]}),
    secretsmanager("BatchGetSecretValue", {"SecretIdList": [NAME, "none"]},
                   expect={"SecretValues[].Name": [NAME], "Errors[].SecretId": ["none"]}),
    secretsmanager("UpdateSecretVersionStage",
                   {**SECRET, "VersionStage": "AWSCURRENT", "RemoveFromVersionId": SECOND, "MoveToVersionId": FIRST}),
    secretsmanager("UpdateSecretVersionStage", {**SECRET, "VersionStage": "AWSCURRENT", "RemoveFromVersionId": FIRST},
                   error="InvalidParameterException"),
    secretsmanager("UpdateSecret", {**SECRET, "Description": "changed"}, expect={"ARN": "$secret"}),
    secretsmanager("ValidateResourcePolicy", {**SECRET, "ResourcePolicy": policy("Allow")},
                   expect={"PolicyValidationPassed": False}),
    secretsmanager("PutResourcePolicy", {**SECRET, "ResourcePolicy": policy("Allow"), "BlockPublicPolicy": True},
                   error="PublicPolicyException"),
    secretsmanager("PutResourcePolicy", {**SECRET, "ResourcePolicy": policy("Deny")}),
    secretsmanager("GetSecretValue", SECRET, error="AccessDeniedException"),
    secretsmanager("GetResourcePolicy", SECRET, expect={"ResourcePolicy": policy("Deny")}),
    secretsmanager("DeleteResourcePolicy", SECRET, expect={"Name": NAME}),
    secretsmanager("TagResource", {**SECRET, "Tags": [{"Key": "stage", "Value": "test"}]}),
    secretsmanager("UntagResource", {**SECRET, "TagKeys": ["team"]}),
    secretsmanager("DeleteSecret", {**SECRET, "RecoveryWindowInDays": 6}, error="InvalidParameterException"),
    secretsmanager("DeleteSecret", {**SECRET, "RecoveryWindowInDays": 7}, expect={"ARN": "$secret"}),
    secretsmanager("GetSecretValue", SECRET, error="InvalidRequestException"),
    secretsmanager("RestoreSecret", SECRET, expect={"ARN": "$secret"}),
    secretsmanager("DeleteSecret", {**SECRET, "ForceDeleteWithoutRecovery": True}),
    secretsmanager("DeleteSecret", {**PICTURE, "ForceDeleteWithoutRecovery": True}),
    secretsmanager("DescribeSecret", SECRET, error="ResourceNotFoundException"),
]
