"""Parameters, their versions and labels."""

from .step import ssm

NAME = "/oracle/level"
SECURE = "/oracle/password"


def resource(**more):
    return {"ResourceType": "Parameter", "ResourceId": NAME, **more}


STEPS = [
    ssm("PutParameter", {"Name": NAME, "Value": "info", "Type": "String", "Description": "of the log",
                         "Tags": [{"Key": "team", "Value": "oracle"}]},
        expect={"Version": 1, "Tier": "Standard"}),
    ssm("PutParameter", {"Name": NAME, "Value": "info", "Type": "String"}, error="ParameterAlreadyExists"),
    ssm("PutParameter", {"Name": NAME, "Value": "debug", "Overwrite": True}, expect={"Version": 2}),
    ssm("PutParameter", {"Name": SECURE, "Value": "hunter2", "Type": "SecureString", "Tier": "Intelligent-Tiering"},
        expect={"Version": 1, "Tier": "Standard"}),
    ssm("PutParameter", {"Name": SECURE, "Value": "x", "Type": "SecureString", "KeyId": "alias/mine", "Overwrite": True},
        error="InvalidKeyId"),
    ssm("GetParameter", {"Name": NAME}, save={"parameter": "Parameter.ARN"},
        expect={"Parameter.Value": "debug", "Parameter.Version": 2, "Parameter.DataType": "text"}),
    ssm("GetParameter", {"Name": "$parameter"}, expect={"Parameter.Name": NAME}),
    ssm("GetParameter", {"Name": f"{NAME}:1"}, expect={"Parameter.Value": "info", "Parameter.Selector": ":1"}),
    ssm("GetParameter", {"Name": f"{NAME}:9"}, error="ParameterVersionNotFound"),
    ssm("GetParameter", {"Name": "/oracle/none"}, error="ParameterNotFound"),
    ssm("GetParameter", {"Name": SECURE, "WithDecryption": True}, expect={"Parameter.Value": "hunter2"}),
    ssm("GetParameters", {"Names": [NAME, "none"]},
        expect={"Parameters[].Name": [NAME], "InvalidParameters": ["none"]}),
    ssm("GetParametersByPath", {"Path": "/oracle", "Recursive": True, "MaxResults": 10},
        expect={"Parameters[].Name": [NAME, SECURE]}),
    ssm("GetParametersByPath", {"Path": "oracle"}, error="ValidationException"),
    ssm("LabelParameterVersion", {"Name": NAME, "ParameterVersion": 1, "Labels": ["stable", "1st"]},
        expect={"InvalidLabels": ["1st"], "ParameterVersion": 1}),
    ssm("GetParameter", {"Name": f"{NAME}:stable"}, expect={"Parameter.Value": "info"}),
    ssm("GetParameterHistory", {"Name": NAME},
        expect={"Parameters[].Version": [1, 2], "Parameters[0].Labels": ["stable"]}),
    ssm("UnlabelParameterVersion", {"Name": NAME, "ParameterVersion": 1, "Labels": ["stable", "none"]},
        expect={"RemovedLabels": ["stable"], "InvalidLabels": ["none"]}),
    ssm("DescribeParameters", {"ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": [NAME]}]},
        expect={"Parameters[].ARN": ["$parameter"], "Parameters[0].Tier": "Standard"}),
    ssm("DescribeParameters", {"ParameterFilters": [{"Key": "Label", "Values": ["x"]}]}, error="InvalidFilterKey"),
    ssm("AddTagsToResource", resource(Tags=[{"Key": "stage", "Value": "test"}])),
    ssm("RemoveTagsFromResource", resource(TagKeys=["team"])),
    ssm("ListTagsForResource", resource(), expect={"TagList": [{"Key": "stage", "Value": "test"}]}),
    ssm("DeleteParameter", {"Name": NAME}),
    ssm("DeleteParameter", {"Name": NAME}, error="ParameterNotFound"),
    ssm("DeleteParameters", {"Names": [SECURE, NAME]},
        expect={"DeletedParameters": [SECURE], "InvalidParameters": [NAME]}),
]
