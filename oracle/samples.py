"""Plausible values for the members of AWS's models."""

import re

POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'

# By the member's name, the first that matches.
BY_NAME = [
    (r"(?i)cidr(Ip|Block)?$", "10.0.0.0/16"),
    (r"(?i)cidripv6|ipv6cidr", "2001:db8::/56"),
    (r"(?i)ipv6address", "2001:db8::1"),
    (r"(?i)^addressfamily$", "IPv4"),
    (r"(?i)(privateip|publicip|^ipv4$|^customerownedip|^address)", "10.0.0.9"),
    (r"(?i)policydocument|policyText|^policy$|permissionspolicy", POLICY),
    (r"(?i)assumerolepolicy", POLICY),
    (r"(?i)availabilityzones?$", "ap-northeast-2a"),
    (r"(?i)^ipprotocol$", "tcp"),
    (r"(?i)networkbordergroup", "ap-northeast-2"),
    (r"(?i)^vpcids?$", "vpc-0123456789abcdef0"),
    (r"(?i)subnet(id|s|ids)?$", "subnet-0123456789abcdef0"),
    (r"(?i)(security)?group(id|s|ids)$", "sg-0123456789abcdef0"),
    (r"(?i)securitygroupruleids?$", "sgr-0123456789abcdef0"),
    (r"(?i)routetableids?$", "rtb-0123456789abcdef0"),
    (r"(?i)natgatewayids?$", "nat-0123456789abcdef0"),
    (r"(?i)(internet)?gatewayids?$", "igw-0123456789abcdef0"),
    (r"(?i)allocationids?$", "eipalloc-0123456789abcdef0"),
    (r"(?i)networkinterfaceids?$", "eni-0123456789abcdef0"),
    # The ends of a path of the Reachability Analyzer.
    (r"^(Source|Destination)$", "eni-0123456789abcdef0"),
    (r"(?i)associationids?$", "rtbassoc-0123456789abcdef0"),
    (r"(?i)dhcpoptionsids?$", "dopt-0123456789abcdef0"),
    (r"(?i)networkaclids?$", "acl-0123456789abcdef0"),
    (r"(?i)^resources$", "vpc-0123456789abcdef0"),
    (r"(?i)loadbalancerarns?$",
     "arn:aws:elasticloadbalancing:ap-northeast-2:000000000001:loadbalancer/app/none/0123456789abcdef"),
    (r"(?i)targetgrouparns?$",
     "arn:aws:elasticloadbalancing:ap-northeast-2:000000000001:targetgroup/none/0123456789abcdef"),
    (r"(?i)listenerarns?$",
     "arn:aws:elasticloadbalancing:ap-northeast-2:000000000001:listener/app/none/0123456789abcdef/0123456789abcdef"),
    (r"(?i)resourcearns$",
     "arn:aws:elasticloadbalancing:ap-northeast-2:000000000001:loadbalancer/app/none/0123456789abcdef"),
    (r"(?i)(executionrole|taskrole|^role)arn$", "arn:aws:iam::000000000001:role/none"),
    (r"(?i)policyarn$|permissionsboundary$", "arn:aws:iam::aws:policy/none"),
    (r"(?i)repositoryname", "none/such"),
    (r"(?i)digest", "sha256:" + "0" * 64),
    (r"(?i)^awsservicename$", "ecs.amazonaws.com"),
    (r"(?i)^(cpu)$", "256"),
    (r"(?i)^(memory)$", "512"),
    (r"(?i)nextmarker|^marker$|nexttoken|^token$", None),
    (r"(?i)registryid|ownerid|ownerids|account", "000000000001"),
    (r"(?i)statusReason|description", "words"),
]


def of(shape, name, depth=0):
    """Values to try, the most telling first. Structures hold their required members alone."""
    kind = shape.type_name
    if kind == "string":
        if getattr(shape, "enum", None):
            return list(shape.enum)[:24]
        for pattern, value in BY_NAME:
            if re.search(pattern, name):
                return [value or "c2FtcGxl"]
        if "arn" in name.lower():
            return ["arn:aws:ecs:ap-northeast-2:000000000001:cluster/none"]
        return ["sample"]
    if kind == "boolean":
        return [True, False]
    if kind in ("integer", "long"):
        low = shape.metadata.get("min", 1)
        return [int(max(low, 5))]
    if kind in ("float", "double"):
        return [5.0]
    if kind == "timestamp":
        return [1_700_000_000]
    if kind == "blob":
        return [b"sample"]
    if kind == "list":
        return [[value] for value in of(shape.member, name, depth + 1)]
    if kind == "map":
        return [{of(shape.key, "key")[0]: of(shape.value, "value", depth + 1)[0]}]
    if kind == "structure":
        return [required(shape, depth + 1)]
    raise ValueError(f"no sample for a {kind}")


def required(shape, depth=0):
    """A structure with what the model says must be there."""
    if depth > 6:
        return {}
    return {name: of(shape.members[name], name, depth)[0] for name in shape.required_members}


# What a call needs beyond what the model requires, for Landfall to look at its other members at all.
BESIDES = {
    ("cloudwatch", "PutMetricAlarm"): {
        "MetricName": "sample", "Namespace": "sample", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
        "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
    },
    ("cloudwatch", "PutMetricData"): {"MetricData": [{"MetricName": "sample"}]},
    ("ecs", "CreateService"): {"launchType": "FARGATE"},
    ("ecs", "RunTask"): {"launchType": "FARGATE"},
    ("ecs", "PutAccountSetting"): {"value": "enabled"},
    ("ecs", "PutAccountSettingDefault"): {"value": "enabled"},
    ("ecs", "UpdateClusterSettings"): {"settings": [{"name": "containerInsights", "value": "enabled"}]},
    ("ecs", "TagResource"): {"tags": [{"key": "sample", "value": "sample"}]},
    ("ecs", "RegisterTaskDefinition"): {
        "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "containerDefinitions": [{"name": "sample", "image": "sample"}],
    },
    ("ssm", "AddTagsToResource"): {"ResourceType": "Parameter"},
    ("ssm", "ListTagsForResource"): {"ResourceType": "Parameter"},
    ("ssm", "RemoveTagsFromResource"): {"ResourceType": "Parameter"},
    ("secretsmanager", "TagResource"): {"Tags": [{"Key": "sample", "Value": "sample"}]},
    ("iam", "CreateServiceLinkedRole"): {"AWSServiceName": "ecs.amazonaws.com"},
    ("elbv2", "CreateTargetGroup"): {"TargetType": "ip", "Protocol": "HTTP", "Port": 80},
    ("ec2", "CreateDhcpOptions"): {
        "DhcpConfigurations": [{"Key": "domain-name-servers", "Values": ["AmazonProvidedDNS"]}],
    },
    ("ec2", "ModifySecurityGroupRules"): {
        "SecurityGroupRules": [{"SecurityGroupRuleId": "sgr-0123456789abcdef0", "SecurityGroupRule": {"IpProtocol": "tcp"}}],
    },
}
