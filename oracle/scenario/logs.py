"""A log group with two streams, filled, read, filtered and removed."""

import time

from .step import logs

NOW = int(time.time() * 1000)
GROUP = {"logGroupName": "/oracle/app"}
STREAM = {**GROUP, "logStreamName": "one"}


def _events(*messages):
    return [{"timestamp": NOW + at, "message": message} for at, message in enumerate(messages)]


STEPS = [
    logs("CreateLogGroup", {**GROUP, "tags": {"team": "oracle"}}),
    logs("CreateLogGroup", GROUP, error="ResourceAlreadyExistsException"),
    logs("CreateLogGroup", {"logGroupName": "no spaces"}, error="InvalidParameterException"),
    logs("CreateLogGroup", {"logGroupName": "/oracle/key", "kmsKeyId": "arn:aws:kms:us-east-1:1:key/k"},
         error="InvalidParameterException"),
    logs("PutRetentionPolicy", {**GROUP, "retentionInDays": 7}),
    logs("PutRetentionPolicy", {**GROUP, "retentionInDays": 8}, error="InvalidParameterException"),
    logs("DescribeLogGroups", {"logGroupNamePrefix": "/oracle"},
         save={"log_group": "logGroups[0].logGroupArn"},
         expect={"logGroups[0].retentionInDays": 7, "logGroups[0].logGroupClass": "STANDARD",
                 "logGroups[0].storedBytes": 0}),
    logs("DeleteRetentionPolicy", GROUP),
    logs("CreateLogStream", STREAM),
    logs("CreateLogStream", {**GROUP, "logStreamName": "two"}),
    logs("CreateLogStream", STREAM, error="ResourceAlreadyExistsException"),
    logs("CreateLogStream", {"logGroupName": "/none", "logStreamName": "one"}, error="ResourceNotFoundException"),
    logs("PutLogEvents", {**STREAM, "logEvents": _events("ERROR first", '{"status": 404}', "INFO third")}),
    logs("PutLogEvents", {**STREAM, "logEvents": list(reversed(_events("a", "b")))},
         error="InvalidParameterException"),
    logs("PutLogEvents", {**STREAM, "logEvents": [{"timestamp": 1, "message": "old"}]},
         expect={"rejectedLogEventsInfo.tooOldLogEventEndIndex": 1}),
    logs("GetLogEvents", {**STREAM, "limit": 2}, save={"backward": "nextBackwardToken"},
         expect={"events[].message": ['{"status": 404}', "INFO third"]}),
    logs("GetLogEvents", {**STREAM, "nextToken": "$backward"}, expect={"events[].message": ["ERROR first"]}),
    logs("GetLogEvents", {**GROUP, "logStreamName": "none"}, error="ResourceNotFoundException"),
    logs("FilterLogEvents", {**GROUP, "filterPattern": "{ $.status = 4* }"},
         expect={"events[].message": ['{"status": 404}'], "events[0].logStreamName": "one",
                 "searchedLogStreams": []}),
    logs("FilterLogEvents", {**GROUP, "filterPattern": "a.b"}, error="InvalidParameterException"),
    logs("TestMetricFilter", {"filterPattern": "[level, ...]", "logEventMessages": ["ERROR 1"]},
         expect={"matches[0].eventNumber": 1, "matches[0].extractedValues": {"$level": "ERROR"}}),
    logs("PutMetricFilter", {**GROUP, "filterName": "errors", "filterPattern": "ERROR", "metricTransformations": [
        {"metricName": "Errors", "metricNamespace": "Oracle", "metricValue": "1", "defaultValue": 0}]}),
    logs("PutMetricFilter", {**GROUP, "filterName": "odd", "filterPattern": "ERROR", "metricTransformations": [
        {"metricName": "Errors", "metricNamespace": "Oracle", "metricValue": "$.x"}]},
         error="InvalidParameterException"),
    logs("DescribeMetricFilters", {**GROUP, "filterNamePrefix": "err"},
         expect={"metricFilters[0].metricTransformations[0].metricValue": "1",
                 "metricFilters[0].filterPattern": "ERROR"}),
    logs("DeleteMetricFilter", {**GROUP, "filterName": "errors"}),
    logs("DeleteMetricFilter", {**GROUP, "filterName": "errors"}, error="ResourceNotFoundException"),
    logs("DescribeLogStreams", {**GROUP, "orderBy": "LastEventTime", "descending": True},
         expect={"logStreams[].logStreamName": ["one", "two"], "logStreams[0].lastEventTimestamp": NOW + 2}),
    logs("TagResource", {"resourceArn": "$log_group", "tags": {"stage": "test"}}),
    logs("UntagResource", {"resourceArn": "$log_group", "tagKeys": ["team"]}),
    logs("ListTagsForResource", {"resourceArn": "$log_group"}, expect={"tags": {"stage": "test"}}),
    logs("TagLogGroup", {**GROUP, "tags": {"a": "b"}}),
    logs("UntagLogGroup", {**GROUP, "tags": ["stage"]}),
    logs("ListTagsLogGroup", GROUP, expect={"tags": {"a": "b"}}),
    logs("DeleteLogStream", STREAM),
    logs("DeleteLogStream", STREAM, error="ResourceNotFoundException"),
    logs("DeleteLogGroup", GROUP),
    logs("DeleteLogGroup", GROUP, error="ResourceNotFoundException"),
]
