"""Namespaces, services and instances of Cloud Map."""

from .step import servicediscovery

TAGS = [{"Key": "team", "Value": "oracle"}]
DNS = {"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": 10}, {"Type": "SRV", "TTL": 10}]}
WEB = {"NamespaceName": "oracle.internal", "ServiceName": "web"}
INSTANCE = {"ServiceId": "$discovery", "InstanceId": "one"}

STEPS = [
    servicediscovery("CreatePrivateDnsNamespace",
                     {"Name": "oracle.internal", "Vpc": "$vpc", "CreatorRequestId": "oracle", "Tags": TAGS,
                      "Properties": {"DnsProperties": {"SOA": {"TTL": 30}}}}, save={"operation": "OperationId"}),
    servicediscovery("GetOperation", {"OperationId": "$operation"}, until="Operation.Status == 'SUCCESS'",
                     save={"namespace": "Operation.Targets.NAMESPACE"}, expect={"Operation.Type": "CREATE_NAMESPACE"}),
    servicediscovery("GetOperation", {"OperationId": "none"}, error="OperationNotFound"),
    servicediscovery("ListOperations", {"Filters": [{"Name": "NAMESPACE_ID", "Values": ["$namespace"], "Condition": "EQ"}]},
                     expect={"Operations[0].Status": "SUCCESS"}),
    servicediscovery("CreatePrivateDnsNamespace", {"Name": "oracle.internal", "Vpc": "$vpc"}, error="NamespaceAlreadyExists"),
    servicediscovery("GetNamespace", {"Id": "$namespace"}, save={"namespace_arn": "Namespace.Arn"},
                     expect={"Namespace.Type": "DNS_PRIVATE", "Namespace.Properties.DnsProperties.SOA.TTL": 30}),
    servicediscovery("GetNamespace", {"Id": "ns-none"}, error="NamespaceNotFound"),
    servicediscovery("ListNamespaces", {"Filters": [{"Name": "TYPE", "Values": ["DNS_PRIVATE"]},
                                                    {"Name": "NAME", "Values": ["oracle.internal"]}]},
                     expect={"Namespaces[].Id": ["$namespace"]}),
    servicediscovery("UpdatePrivateDnsNamespace", {"Id": "$namespace", "Namespace": {"Description": "of the oracle"}}),
    servicediscovery("CreateHttpNamespace", {"Name": "oracle-http"}, save={"operation": "OperationId"}),
    servicediscovery("GetOperation", {"OperationId": "$operation"}, save={"http": "Operation.Targets.NAMESPACE"}),
    servicediscovery("UpdateHttpNamespace", {"Id": "$http", "Namespace": {"Description": "of the API"}}),
    servicediscovery("TagResource", {"ResourceARN": "$namespace_arn", "Tags": [{"Key": "stage", "Value": "test"}]}),
    servicediscovery("UntagResource", {"ResourceARN": "$namespace_arn", "TagKeys": ["stage"]}),
    servicediscovery("ListTagsForResource", {"ResourceARN": "$namespace_arn"}, expect={"Tags": TAGS}),
    servicediscovery("CreateService",
                     {"Name": "web", "NamespaceId": "$namespace", "DnsConfig": DNS, "HealthCheckCustomConfig": {"FailureThreshold": 1}},
                     save={"discovery": "Service.Id"},
                     expect={"Service.InstanceCount": 0, "Service.DnsConfig.RoutingPolicy": "MULTIVALUE"}),
    servicediscovery("CreateService", {"Name": "web", "NamespaceId": "$namespace"}, error="ServiceAlreadyExists"),
    servicediscovery("CreateService", {"Name": "x", "NamespaceId": "$namespace",
                                       "DnsConfig": {"DnsRecords": [{"Type": "CNAME", "TTL": 10}]}}, error="UnsupportedOperation"),
    servicediscovery("GetService", {"Id": "$discovery"}, expect={"Service.NamespaceId": "$namespace", "Service.Name": "web"}),
    servicediscovery("ListServices", {"Filters": [{"Name": "NAMESPACE_ID", "Values": ["$namespace"]}]},
                     expect={"Services[].Id": ["$discovery"]}),
    servicediscovery("UpdateService", {"Id": "$discovery", "Service": {"Description": "for the web", "DnsConfig": {
        "DnsRecords": [{"Type": "A", "TTL": 20}, {"Type": "SRV", "TTL": 20}]}}}),
    servicediscovery("RegisterInstance",
                     {**INSTANCE, "Attributes": {"AWS_INSTANCE_IPV4": "10.0.0.9", "AWS_INSTANCE_PORT": "3000", "color": "blue"}}),
    servicediscovery("RegisterInstance", {**INSTANCE, "Attributes": {"AWS_INSTANCE_IPV4": "10.0.0.9"}}, error="InvalidInput"),
    servicediscovery("GetInstance", INSTANCE, expect={"Instance.Attributes.color": "blue"}),
    servicediscovery("ListInstances", {"ServiceId": "$discovery"}, expect={"Instances[].Id": ["one"]}),
    servicediscovery("UpdateInstanceCustomHealthStatus", {**INSTANCE, "Status": "UNHEALTHY"}),
    servicediscovery("GetInstancesHealthStatus", {"ServiceId": "$discovery"}, expect={"Status.one": "UNHEALTHY"}),
    servicediscovery("DiscoverInstances", {**WEB, "HealthStatus": "HEALTHY"}, expect={"Instances": []}),
    servicediscovery("DiscoverInstances", WEB, expect={"Instances[0].HealthStatus": "UNHEALTHY"}),
    servicediscovery("DiscoverInstances", {**WEB, "ServiceName": "none"}, error="ServiceNotFound"),
    servicediscovery("DiscoverInstancesRevision", WEB),
    servicediscovery("DeleteService", {"Id": "$discovery"}, error="ResourceInUse"),
    servicediscovery("DeregisterInstance", INSTANCE),
    servicediscovery("DeregisterInstance", INSTANCE, error="InstanceNotFound"),
    servicediscovery("DeleteService", {"Id": "$discovery"}),
    servicediscovery("DeleteService", {"Id": "$discovery"}, error="ServiceNotFound"),
    servicediscovery("DeleteNamespace", {"Id": "$http"}),
    servicediscovery("DeleteNamespace", {"Id": "$namespace"}),
]
