"""A service without tasks as a scalable target: policies, scheduled actions, activities."""

from .ecs import DEFINITION, NETWORK
from .step import autoscaling, cloudwatch, ecs

NAMESPACE = {"ServiceNamespace": "ecs"}
PLACE = {**NAMESPACE, "ResourceId": "service/scaled/web", "ScalableDimension": "ecs:service:DesiredCount"}
TRACKING = {
    "TargetValue": 50.0, "ScaleOutCooldown": 10, "ScaleInCooldown": 20, "DisableScaleIn": False,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
}
LABEL = "app/oracle/0123456789abcdef/targetgroup/oracle/0123456789abcdef"
STEP = {
    "AdjustmentType": "PercentChangeInCapacity", "MinAdjustmentMagnitude": 1, "Cooldown": 60,
    "MetricAggregationType": "Average",
    "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 10},
                        {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 30}],
}
MATH = {"TargetValue": 10.0, "CustomizedMetricSpecification": {"Metrics": [
    {"Id": "m1", "ReturnData": False, "MetricStat": {"Stat": "Sum", "Metric": {"Namespace": "Oracle", "MetricName": "Queue"}}},
    {"Id": "e1", "Expression": "FILL(m1, 0) / 2", "Label": "backlog", "ReturnData": True}]}}
SCHEDULED = {**PLACE, "ScheduledActionName": "night", "Schedule": "cron(0 22 * * ? *)", "Timezone": "Asia/Seoul",
             "ScalableTargetAction": {"MinCapacity": 0, "MaxCapacity": 1}}

STEPS = [
    ecs("CreateCluster", {"clusterName": "scaled"}),
    ecs("RegisterTaskDefinition", {**DEFINITION, "family": "scaled", "containerDefinitions": [
        {"name": "app", "image": "nginx"}]}),
    ecs("CreateService",
        {"cluster": "scaled", "serviceName": "web", "taskDefinition": "scaled", "desiredCount": 0,
         "launchType": "FARGATE", "networkConfiguration": NETWORK}),
    autoscaling("RegisterScalableTarget", {**PLACE, "MinCapacity": 0, "MaxCapacity": 2, "Tags": {"team": "oracle"}},
                save={"scalable_target": "ScalableTargetARN"}),
    autoscaling("RegisterScalableTarget", {**PLACE, "ResourceId": "service/scaled/none", "MinCapacity": 0,
                                           "MaxCapacity": 2}, error="ValidationException"),
    autoscaling("DescribeScalableTargets", {**NAMESPACE, "ResourceIds": [PLACE["ResourceId"]]},
                expect={"ScalableTargets[0].MaxCapacity": 2, "ScalableTargets[0].ScalableTargetARN": "$scalable_target",
                        "ScalableTargets[0].SuspendedState.DynamicScalingInSuspended": False}),
    autoscaling("PutScalingPolicy",
                {**PLACE, "PolicyName": "cpu", "PolicyType": "TargetTrackingScaling",
                 "TargetTrackingScalingPolicyConfiguration": TRACKING},
                save={"scaling_policy": "PolicyARN", "high_alarm": "Alarms[0].AlarmName"}, expect={"length(Alarms)": 2}),
    cloudwatch("DescribeAlarms", {"AlarmNames": ["$high_alarm"]},
               expect={"MetricAlarms[0].Threshold": 50.0, "MetricAlarms[0].AlarmActions": ["$scaling_policy"],
                       "MetricAlarms[0].EvaluationPeriods": 3}),
    autoscaling("PutScalingPolicy",
                {**PLACE, "PolicyName": "requests", "PolicyType": "TargetTrackingScaling",
                 "TargetTrackingScalingPolicyConfiguration": {
                     "TargetValue": 100.0, "PredefinedMetricSpecification": {
                         "PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": LABEL}}}),
    autoscaling("PutScalingPolicy",
                {**PLACE, "PolicyName": "math", "PolicyType": "TargetTrackingScaling",
                 "TargetTrackingScalingPolicyConfiguration": MATH}),
    autoscaling("PutScalingPolicy",
                {**PLACE, "PolicyName": "plain", "PolicyType": "TargetTrackingScaling",
                 "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 5.0, "CustomizedMetricSpecification": {
                     "MetricName": "Queue", "Namespace": "Oracle", "Statistic": "Average", "Unit": "Count",
                     "Dimensions": [{"Name": "Stack", "Value": "oracle"}]}}}),
    autoscaling("PutScalingPolicy",
                {**PLACE, "PolicyName": "step", "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": STEP},
                save={"step_policy": "PolicyARN"}),
    cloudwatch("PutMetricAlarm",
               {"AlarmName": "scaled", "Namespace": "Oracle", "MetricName": "Queue", "Statistic": "Sum", "Period": 60,
                "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
                "AlarmActions": ["$step_policy"]}),
    autoscaling("DescribeScalingPolicies", {**PLACE, "PolicyNames": ["step"]},
                expect={"ScalingPolicies[0].StepScalingPolicyConfiguration": STEP,
                        "ScalingPolicies[0].Alarms[0].AlarmName": "scaled"}),
    autoscaling("DescribeScalingPolicies", {**PLACE, "PolicyNames": ["cpu"]},
                expect={"ScalingPolicies[0].TargetTrackingScalingPolicyConfiguration": TRACKING}),
    autoscaling("DescribeScalingPolicies", {**PLACE, "PolicyNames": ["math"]},
                expect={"ScalingPolicies[0].PolicyType": "TargetTrackingScaling"}),
    autoscaling("DescribeScalingPolicies", {**NAMESPACE, "MaxResults": 2}, save={"policies_token": "NextToken"}),
    autoscaling("DescribeScalingPolicies", {**NAMESPACE, "NextToken": "$policies_token"}, expect={"length(ScalingPolicies)": 3}),
    autoscaling("DescribeScalingPolicies", {**NAMESPACE, "NextToken": "none"}, error="InvalidNextTokenException"),
    autoscaling("PutScheduledAction", SCHEDULED),
    autoscaling("PutScheduledAction", {**SCHEDULED, "Timezone": "Mars/Olympus"}, error="ValidationException"),
    autoscaling("PutScheduledAction", {**SCHEDULED, "ScheduledActionName": "once", "Schedule": "at(2099-01-01T00:00:00)",
                                       "StartTime": 1900000000, "EndTime": 4100000000}),
    autoscaling("DescribeScheduledActions", {**PLACE, "ScheduledActionNames": ["night"]},
                expect={"ScheduledActions[0].Schedule": SCHEDULED["Schedule"], "ScheduledActions[0].Timezone": "Asia/Seoul"}),
    autoscaling("DescribeScheduledActions", PLACE, expect={"length(ScheduledActions)": 2}),
    autoscaling("RegisterScalableTarget", {**PLACE, "MinCapacity": 1}),
    ecs("DescribeServices", {"cluster": "scaled", "services": ["web"]}, expect={"services[0].desiredCount": 1}),
    autoscaling("DescribeScalingActivities", PLACE,
                expect={"ScalingActivities[0].Cause": "minimum capacity was set to 1",
                        "ScalingActivities[0].StatusCode": "Successful"}),
    autoscaling("RegisterScalableTarget", {**PLACE, "MinCapacity": 0, "MaxCapacity": 0,
                                           "SuspendedState": {"DynamicScalingInSuspended": True}}),
    autoscaling("TagResource", {"ResourceARN": "$scalable_target", "Tags": {"stage": "test"}}),
    autoscaling("UntagResource", {"ResourceARN": "$scalable_target", "TagKeys": ["stage"]}),
    autoscaling("ListTagsForResource", {"ResourceARN": "$scalable_target"}, expect={"Tags": {"team": "oracle"}}),
    autoscaling("DeleteScheduledAction", {**PLACE, "ScheduledActionName": "night"}),
    autoscaling("DeleteScheduledAction", {**PLACE, "ScheduledActionName": "night"}, error="ObjectNotFoundException"),
    autoscaling("DeleteScalingPolicy", {**PLACE, "PolicyName": "cpu"}),
    cloudwatch("DescribeAlarms", {"AlarmNames": ["$high_alarm"]}, expect={"MetricAlarms": []}),
    autoscaling("DeregisterScalableTarget", PLACE),
    autoscaling("DeregisterScalableTarget", PLACE, error="ObjectNotFoundException"),
    cloudwatch("DeleteAlarms", {"AlarmNames": ["scaled"]}),
    ecs("DescribeServices", {"cluster": "scaled", "services": ["web"]}, until="services[0].runningCount == `0`"),
    ecs("DeleteService", {"cluster": "scaled", "service": "web", "force": True}),
    ecs("DescribeServices", {"cluster": "scaled", "services": ["web"]}, until="services[0].status == 'INACTIVE'"),
    ecs("DeregisterTaskDefinition", {"taskDefinition": "scaled:1"}),
    ecs("DeleteTaskDefinitions", {"taskDefinitions": ["scaled:1"]}),
    ecs("DeleteCluster", {"cluster": "scaled"}),
]
