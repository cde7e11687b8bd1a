"""Who asks, and roles with their policies."""

import json

from .step import iam, sts


def policy(effect, action, resource="*"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": resource}]})


def trust(**principal):
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


EXECUTION_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
TAGS = [{"Key": "team", "Value": "oracle"}]

STEPS = [
    sts("GetCallerIdentity", expect={"Account": "$account", "Arn": "arn:aws:iam::${account}:root", "UserId": "$account"}),
    iam("CreateUser", {"UserName": "somebody"}, error="UnsupportedOperation"),
    iam("CreateAccessKey", {}, error="UnsupportedOperation"),
    # The execution role, as the article makes it.
    iam(
        "CreateRole",
        {"RoleName": "execution", "AssumeRolePolicyDocument": trust(Service="ecs-tasks.amazonaws.com"),
         "Description": "pulls images", "MaxSessionDuration": 7200, "Path": "/", "Tags": TAGS},
        save={"execution": "Role.Arn"},
        expect={"Role.RoleName": "execution", "Role.Arn": "arn:aws:iam::${account}:role/execution"},
    ),
    iam("CreateRole", {"RoleName": "execution", "AssumeRolePolicyDocument": trust(Service="ecs-tasks.amazonaws.com")},
        error="EntityAlreadyExists"),
    iam("AttachRolePolicy", {"RoleName": "execution", "PolicyArn": EXECUTION_POLICY}),
    iam("ListAttachedRolePolicies", {"RoleName": "execution"},
        expect={"AttachedPolicies[].PolicyArn": [EXECUTION_POLICY], "IsTruncated": False}),
    # A role to assume, with both kinds of policy.
    iam("CreateRole", {"RoleName": "reader", "Path": "/people/", "AssumeRolePolicyDocument": trust(AWS="*")},
        save={"reader": "Role.Arn"}),
    iam("GetRole", {"RoleName": "reader"}, expect={"Role.Path": "/people/", "Role.MaxSessionDuration": 3600}),
    iam("GetRole", {"RoleName": "execution"},
        expect={"Role.Description": "pulls images", "Role.MaxSessionDuration": 7200, "Role.Tags": TAGS}),
    iam("GetRole", {"RoleName": "nobody"}, error="NoSuchEntity"),
    iam("PutRolePolicy", {"RoleName": "reader", "PolicyName": "inline", "PolicyDocument": policy("Allow", "ec2:Describe*")}),
    iam("GetRolePolicy", {"RoleName": "reader", "PolicyName": "inline"},
        expect={"PolicyDocument.Statement[0].Action": "ec2:Describe*"}),
    iam("ListRolePolicies", {"RoleName": "reader"}, expect={"PolicyNames": ["inline"]}),
    iam("CreatePolicy", {"PolicyName": "pull", "PolicyDocument": policy("Allow", "ecr:*"), "Description": "all of ECR",
                         "Tags": TAGS},
        save={"policy": "Policy.Arn"}, expect={"Policy.DefaultVersionId": "v1", "Policy.AttachmentCount": 0}),
    iam("CreatePolicyVersion", {"PolicyArn": "$policy", "PolicyDocument": policy("Deny", "ecr:*"), "SetAsDefault": True},
        expect={"PolicyVersion.VersionId": "v2", "PolicyVersion.IsDefaultVersion": True}),
    iam("AttachRolePolicy", {"RoleName": "reader", "PolicyArn": "$policy"}),
    iam("GetPolicy", {"PolicyArn": "$policy"}, expect={"Policy.AttachmentCount": 1, "Policy.DefaultVersionId": "v2"}),
    iam("GetPolicy", {"PolicyArn": EXECUTION_POLICY}, expect={"Policy.IsAttachable": True}),
    iam("GetPolicyVersion", {"PolicyArn": "$policy", "VersionId": "v1"},
        expect={"PolicyVersion.Document.Statement[0].Effect": "Allow"}),
    iam("ListPolicyVersions", {"PolicyArn": "$policy"}, expect={"length(Versions)": 2}),
    iam("ListPolicies", {"Scope": "Local"}, expect={"Policies[].Arn": ["$policy"]}),
    iam("TagPolicy", {"PolicyArn": "$policy", "Tags": [{"Key": "stage", "Value": "test"}]}),
    iam("UntagPolicy", {"PolicyArn": "$policy", "TagKeys": ["stage"]}),
    iam("TagRole", {"RoleName": "reader", "Tags": TAGS}),
    iam("ListRoleTags", {"RoleName": "reader"}, expect={"Tags": TAGS, "IsTruncated": False}),
    iam("UntagRole", {"RoleName": "reader", "TagKeys": ["team"]}),
    iam("ListRoleTags", {"RoleName": "reader"}, expect={"Tags": []}),
    iam("UpdateRole", {"RoleName": "reader", "Description": "reads", "MaxSessionDuration": 3600}),
    iam("UpdateRoleDescription", {"RoleName": "reader", "Description": "reads on"},
        expect={"Role.Description": "reads on"}),
    iam("UpdateAssumeRolePolicy", {"RoleName": "reader", "PolicyDocument": trust(AWS="*")}),
    iam("ListInstanceProfilesForRole", {"RoleName": "reader"}, expect={"InstanceProfiles": []}),
    iam("CreateServiceLinkedRole", {"AWSServiceName": "elasticloadbalancing.amazonaws.com"},
        expect={"Role.RoleName": "AWSServiceRoleForElasticLoadBalancing"}),
    iam("ListRoles", {"PathPrefix": "/people/"}, expect={"Roles[].RoleName": ["reader"]}),
    iam("ListRoles", {"MaxItems": 1}, expect={"IsTruncated": True, "length(Roles)": 1}, save={"marker": "Marker"}),
    iam("ListRoles", {"Marker": "$marker"}, expect={"IsTruncated": False}),
    sts("AssumeRole", {"RoleArn": "$reader", "RoleSessionName": "oracle", "DurationSeconds": 900},
        expect={"AssumedRoleUser.Arn": "arn:aws:sts::${account}:assumed-role/reader/oracle"}),
    # What is attached cannot be deleted.
    iam("DeletePolicy", {"PolicyArn": "$policy"}, error="DeleteConflict"),
    iam("DeleteRole", {"RoleName": "reader"}, error="DeleteConflict"),
]

REMOVE = [
    iam("DetachRolePolicy", {"RoleName": "reader", "PolicyArn": "$policy"}),
    iam("DeletePolicyVersion", {"PolicyArn": "$policy", "VersionId": "v1"}),
    iam("DeletePolicy", {"PolicyArn": "$policy"}),
    iam("DeleteRolePolicy", {"RoleName": "reader", "PolicyName": "inline"}),
    iam("DeleteRole", {"RoleName": "reader"}),
    iam("DetachRolePolicy", {"RoleName": "execution", "PolicyArn": EXECUTION_POLICY}),
    iam("DeleteRole", {"RoleName": "execution"}),
    iam("DeleteRole", {"RoleName": "execution"}, error="NoSuchEntity"),
]
