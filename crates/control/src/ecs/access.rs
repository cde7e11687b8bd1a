//! What callers' policies are asked about for each action of ECS: the ARNs that the request names.
//!
//! Source: "Actions, resources, and condition keys for Amazon Elastic Container Service", Service Authorization Reference.
//! Actions that have no resource there (RegisterTaskDefinition, DescribeTaskDefinition, most lists) are asked about `*`.

use serde_json::Value;

use crate::context::Context;
use crate::iam::Resource;

/// The resources of a request. It is read before its handler's shapes are: what does not fit them names nothing here, and
/// is refused there.
pub(crate) fn resources(context: &Context, action: &str, body: &[u8]) -> Vec<Resource> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |member: &str| request[member].as_str().filter(|text| !text.is_empty());
    let texts = |member: &str| -> Vec<&str> {
        request[member].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let one = |member: &str| -> Vec<&str> { text(member).into_iter().collect() };
    // A cluster's name also where its ARN is given.
    let cluster = text("cluster").and_then(|named| named.rsplit('/').next()).unwrap_or("default");
    let (prefix, named): (String, Vec<&str>) = match action {
        "CreateCluster" => ("cluster/".to_owned(), vec![text("clusterName").unwrap_or("default")]),
        "DeleteCluster" | "PutClusterCapacityProviders" | "UpdateCluster" | "UpdateClusterSettings" => {
            ("cluster/".to_owned(), vec![cluster])
        }
        "DescribeClusters" => {
            let named = texts("clusters");
            ("cluster/".to_owned(), if named.is_empty() { vec!["default"] } else { named })
        }
        "CreateService" => (format!("service/{cluster}/"), one("serviceName")),
        "DeleteService" | "ListServiceDeployments" | "UpdateService" => {
            (format!("service/{cluster}/"), one("service"))
        }
        "DescribeServices" => (format!("service/{cluster}/"), texts("services")),
        "DescribeServiceDeployments" => (String::new(), texts("serviceDeploymentArns")),
        "DescribeServiceRevisions" => (String::new(), texts("serviceRevisionArns")),
        "StopServiceDeployment" => (String::new(), one("serviceDeploymentArn")),
        "RunTask" | "StartTask" => ("task-definition/".to_owned(), one("taskDefinition")),
        "DeleteTaskDefinitions" => ("task-definition/".to_owned(), texts("taskDefinitions")),
        "ExecuteCommand" | "StopTask" => (format!("task/{cluster}/"), one("task")),
        "DescribeTasks" | "GetTaskProtection" | "UpdateTaskProtection" => {
            (format!("task/{cluster}/"), texts("tasks"))
        }
        // Of a cluster's instances, also where it has none.
        "ListTasks" => (format!("container-instance/{cluster}/"), vec!["*"]),
        "ListTagsForResource" | "TagResource" | "UntagResource" => (String::new(), one("resourceArn")),
        _ => (String::new(), Vec::new()),
    };
    if named.is_empty() {
        return vec![Resource::of("*")];
    }
    named.into_iter().map(|named| Resource::named(context, "ecs", &prefix, named)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::Service::Ecs;
    use crate::iam::testing::{Verifying, root};

    const ARN: &str = "arn:aws:ecs:ap-northeast-2:000000000001";

    #[test]
    fn a_session_is_asked_about_what_it_names() {
        let api = Verifying::new();
        let session = api.session("nobody", None);
        for (action, body, resource) in [
            ("CreateCluster", json!({}), format!("{ARN}:cluster/default")),
            ("DeleteCluster", json!({"cluster": "a"}), format!("{ARN}:cluster/a")),
            (
                "DescribeClusters",
                json!({"clusters": [format!("{ARN}:cluster/b")]}),
                format!("{ARN}:cluster/b"),
            ),
            ("CreateService", json!({"cluster": "a", "serviceName": "s"}), format!("{ARN}:service/a/s")),
            (
                "UpdateService",
                json!({"cluster": format!("{ARN}:cluster/a"), "service": "s"}),
                format!("{ARN}:service/a/s"),
            ),
            ("DescribeServices", json!({"services": ["s"]}), format!("{ARN}:service/default/s")),
            ("RunTask", json!({"taskDefinition": "app:3"}), format!("{ARN}:task-definition/app:3")),
            ("RunTask", json!({"taskDefinition": "app"}), format!("{ARN}:task-definition/app")),
            ("StopTask", json!({"cluster": "a", "task": "1"}), format!("{ARN}:task/a/1")),
            ("DescribeTasks", json!({"tasks": [format!("{ARN}:task/b/2")]}), format!("{ARN}:task/b/2")),
            ("GetTaskProtection", json!({"cluster": "a", "tasks": ["1"]}), format!("{ARN}:task/a/1")),
            ("UpdateTaskProtection", json!({"cluster": "a", "tasks": ["1"]}), format!("{ARN}:task/a/1")),
            ("ListTasks", json!({"cluster": "a"}), format!("{ARN}:container-instance/a/*")),
            (
                "TagResource",
                json!({"resourceArn": format!("{ARN}:cluster/a"), "tags": []}),
                format!("{ARN}:cluster/a"),
            ),
            ("RegisterTaskDefinition", json!({"family": "app"}), "*".to_owned()),
            ("ListClusters", json!({}), "*".to_owned()),
            ("StopTask", json!([]), "*".to_owned()),
        ] {
            api.refuses(&session, Ecs, action, &body, &resource);
        }
    }

    #[test]
    fn a_role_may_see_one_cluster_and_not_another() {
        let api = Verifying::new();
        for name in ["mine", "other"] {
            api.ok(&root(), Ecs, "CreateCluster", &json!({"clusterName": name}).to_string());
        }
        let statement = format!(
            r#"{{"Effect":"Allow","Action":"ecs:DescribeClusters","Resource":"{ARN}:cluster/mine"}}"#
        );
        let session = api.session("reader", Some(&statement));
        api.ok(&session, Ecs, "DescribeClusters", r#"{"clusters":["mine"]}"#);
        let (status, text) = api.call(&session, Ecs, "DescribeClusters", r#"{"clusters":["mine","other"]}"#);
        assert!(status == 400 && text.contains("cluster/other because"), "{text}");
    }
}
