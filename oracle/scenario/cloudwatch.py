"""Measurements, their statistics, and alarms on them. botocore speaks CBOR here."""

import datetime

from .step import cloudwatch

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
MINUTE = NOW.replace(second=0) - datetime.timedelta(minutes=2)
RANGE = {"StartTime": MINUTE - datetime.timedelta(minutes=10), "EndTime": NOW + datetime.timedelta(minutes=1)}
DIMENSIONS = [{"Name": "Stack", "Value": "oracle"}]
METRIC = {"Namespace": "Oracle", "MetricName": "Load", "Dimensions": DIMENSIONS}
NAMED = {"AlarmName": "oracle"}


def _stat(name, stat, **besides):
    return {"Id": name, "MetricStat": {"Metric": METRIC, "Period": 60, "Stat": stat}, **besides}


STEPS = [
    cloudwatch("PutMetricData", {"Namespace": "Oracle", "MetricData": [
        {"MetricName": "Load", "Dimensions": DIMENSIONS, "Timestamp": MINUTE, "Unit": "Percent",
         "Values": [10.0, 20.0, 90.0], "Counts": [1.0, 2.0, 1.0]},
        {"MetricName": "Load", "Dimensions": DIMENSIONS, "Timestamp": MINUTE - datetime.timedelta(minutes=1),
         "Unit": "Percent", "Value": 50.0},
        {"MetricName": "Set", "StatisticValues": {"SampleCount": 4.0, "Sum": 10.0, "Minimum": 1.0, "Maximum": 4.0}},
        {"MetricName": "Quick", "Value": 1.0, "StorageResolution": 1},
    ]}),
    cloudwatch("PutMetricData", {"Namespace": "AWS/ECS", "MetricData": [{"MetricName": "Load", "Value": 1.0}]},
               error="InvalidParameterValue"),
    cloudwatch("PutMetricData", {"Namespace": "Oracle"}, error="MissingParameter"),
    cloudwatch("PutMetricData", {"Namespace": "Oracle", "MetricData": [
        {"MetricName": "Load", "Value": 1.0, "Values": [1.0]}]}, error="InvalidParameterCombination"),
    cloudwatch("ListMetrics", {"Namespace": "Oracle", "MetricName": "Load"}, expect={"Metrics": [METRIC]}),
    cloudwatch("ListMetrics", {"Namespace": "Oracle", "RecentlyActive": "PT3H"},
               expect={"length(Metrics)": 3}),
    cloudwatch("GetMetricStatistics",
               {**METRIC, **RANGE, "Period": 60,
                "Statistics": ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]},
               expect={"Datapoints[?Average==`35`].Sum": [140.0], "Datapoints[0].Unit": "Percent",
                       "Datapoints[].SampleCount | sort(@)": [1.0, 4.0], "Label": "Load",
                       "Datapoints[].Minimum | sort(@)": [10.0, 50.0], "Datapoints[].Maximum | sort(@)": [50.0, 90.0]}),
    cloudwatch("GetMetricStatistics", {**METRIC, **RANGE, "Period": 600, "ExtendedStatistics": ["p50", "p99.9"]},
               until="Datapoints[0].ExtendedStatistics.p50"),
    cloudwatch("GetMetricStatistics", {**METRIC, **RANGE, "Period": 60}, error="MissingParameter"),
    cloudwatch("GetMetricData", {**RANGE, "ScanBy": "TimestampAscending", "MetricDataQueries": [
        _stat("m1", "Average"), _stat("m2", "Maximum", ReturnData=False),
        {"Id": "e1", "Expression": "m2 / m1 * 100", "Label": "peak"}]},
        expect={"MetricDataResults[?Id=='m1'].Values | [0]": [50.0, 35.0],
                "MetricDataResults[?Id=='e1'].Label": ["peak"], "length(MetricDataResults)": 2,
                "MetricDataResults[0].StatusCode": "Complete"}),
    cloudwatch("GetMetricData", {**RANGE, "MaxDatapoints": 1, "MetricDataQueries": [_stat("m1", "Sum")]},
               save={"points_token": "NextToken"}, expect={"MetricDataResults[0].Values": [140.0],
                                                    "MetricDataResults[0].StatusCode": "PartialData"}),
    cloudwatch("GetMetricData", {**RANGE, "MaxDatapoints": 1, "NextToken": "$points_token",
                                 "MetricDataQueries": [_stat("m1", "Sum")]},
               expect={"MetricDataResults[0].Values": [50.0], "MetricDataResults[0].StatusCode": "Complete"}),
    cloudwatch("GetMetricData", {**RANGE, "NextToken": "none", "MetricDataQueries": [_stat("m1", "Sum")]},
               error="InvalidNextToken"),
    cloudwatch("GetMetricData", {**RANGE, "MetricDataQueries": [{"Id": "e1", "Expression": "SEARCH('x', 'Sum', 60)"}]},
               error="ValidationError"),
    cloudwatch("PutMetricAlarm",
               {**NAMED, **METRIC, "Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 5, "DatapointsToAlarm": 1,
                "Threshold": 80.0, "ComparisonOperator": "GreaterThanThreshold", "AlarmDescription": "too much",
                "TreatMissingData": "notBreaching", "Unit": "Percent", "Tags": [{"Key": "team", "Value": "oracle"}]}),
    cloudwatch("DescribeAlarms", {"AlarmNames": ["oracle"]}, until="MetricAlarms[0].StateValue == 'ALARM'",
               save={"metric_alarm": "MetricAlarms[0].AlarmArn"},
               expect={"MetricAlarms[0].Threshold": 80.0, "MetricAlarms[0].ActionsEnabled": True,
                       "MetricAlarms[0].Dimensions": DIMENSIONS, "CompositeAlarms": []}),
    cloudwatch("DescribeAlarmsForMetric", METRIC, expect={"MetricAlarms[].AlarmName": ["oracle"]}),
    cloudwatch("SetAlarmState", {**NAMED, "StateValue": "OK", "StateReason": "by hand",
                                 "StateReasonData": '{"by": "hand"}'}),
    cloudwatch("DescribeAlarmHistory", {**NAMED, "HistoryItemType": "StateUpdate", "ScanBy": "TimestampAscending"},
               expect={"AlarmHistoryItems[0].HistorySummary": "Alarm updated from INSUFFICIENT_DATA to ALARM"}),
    cloudwatch("SetAlarmState", {"AlarmName": "none", "StateValue": "OK", "StateReason": "x"},
               error="ResourceNotFound"),
    cloudwatch("PutMetricAlarm",
               {"AlarmName": "oracle-math", "EvaluationPeriods": 1, "Threshold": 1.0,
                "ComparisonOperator": "LessThanOrEqualToThreshold", "ActionsEnabled": False,
                "AlarmActions": ["arn:aws:sns:ap-northeast-2:000000000001:topic"],
                "Metrics": [_stat("m1", "Average", ReturnData=False), {"Id": "e1", "Expression": "FILL(m1, 0)"}]}),
    cloudwatch("DescribeAlarms", {"AlarmNamePrefix": "oracle-m", "AlarmTypes": ["MetricAlarm"]},
               expect={"MetricAlarms[0].Metrics[1].Expression": "FILL(m1, 0)"}),
    cloudwatch("EnableAlarmActions", {"AlarmNames": ["oracle-math"]}, error="ValidationError"),
    cloudwatch("DisableAlarmActions", {"AlarmNames": ["oracle"]}),
    cloudwatch("DescribeAlarms", {"AlarmNames": ["oracle"]}, expect={"MetricAlarms[0].ActionsEnabled": False}),
    cloudwatch("EnableAlarmActions", {"AlarmNames": ["oracle"]}),
    cloudwatch("PutMetricAlarm",
               {"AlarmName": "sns", **METRIC, "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0,
                "ComparisonOperator": "GreaterThanThreshold",
                "AlarmActions": ["arn:aws:sns:ap-northeast-2:000000000001:topic"]}, error="ValidationError"),
    cloudwatch("TagResource", {"ResourceARN": "$metric_alarm", "Tags": [{"Key": "stage", "Value": "test"}]}),
    cloudwatch("UntagResource", {"ResourceARN": "$metric_alarm", "TagKeys": ["stage"]}),
    cloudwatch("ListTagsForResource", {"ResourceARN": "$metric_alarm"}, expect={"Tags": [{"Key": "team", "Value": "oracle"}]}),
    cloudwatch("DeleteAlarms", {"AlarmNames": ["oracle", "oracle-math"]}),
    cloudwatch("DeleteAlarms", {"AlarmNames": ["oracle"]}, error="ResourceNotFound"),
    cloudwatch("DescribeAlarms", expect={"MetricAlarms": []}),
]
