"""How the scenario's files write their steps."""

import functools

from ..play import Step

autoscaling = functools.partial(Step, "application-autoscaling")
cloudwatch = functools.partial(Step, "cloudwatch")
ec2 = functools.partial(Step, "ec2")
ecr = functools.partial(Step, "ecr")
ecs = functools.partial(Step, "ecs")
elbv2 = functools.partial(Step, "elbv2")
iam = functools.partial(Step, "iam")
logs = functools.partial(Step, "logs")
secretsmanager = functools.partial(Step, "secretsmanager")
servicediscovery = functools.partial(Step, "servicediscovery")
ssm = functools.partial(Step, "ssm")
sts = functools.partial(Step, "sts")


def tagged(kind, name):
    """A TagSpecification of EC2's."""
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def where(**filters):
    """Filters of EC2's, `vpc_id="vpc-1"` for `vpc-id`."""
    return {"Filters": [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]}
