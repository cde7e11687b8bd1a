"""What is called, in order: one stack from its VPC to its service, looked at, changed, and removed."""

from . import autoscaling, cloudwatch, ec2, ecr, ecs, elbv2, iam, logs, network_insights, peering, secretsmanager
from . import servicediscovery, ssm

STEPS = [
    *iam.STEPS,
    *ec2.MAKE,
    *ecr.MAKE,
    *elbv2.MAKE,
    *ecs.STEPS,
    *autoscaling.STEPS,
    *logs.STEPS,
    *elbv2.REMOVE,
    *ecr.REMOVE,
    *peering.STEPS,
    *ec2.LOOK,
    *network_insights.STEPS,
    *servicediscovery.STEPS,
    *ec2.REMOVE,
    *ssm.STEPS,
    *secretsmanager.STEPS,
    *cloudwatch.STEPS,
    *iam.REMOVE,
]
