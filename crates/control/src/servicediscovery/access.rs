//! What callers' policies are asked about for each action of Cloud Map: the namespaces and services that the request names.
//!
//! Source: "Actions, resources, and condition keys for AWS Cloud Map", Service Authorization Reference. What creates a
//! namespace, what discovers, and lists have no resource there.

use serde_json::Value;

use crate::context::Context;
use crate::iam::Resource;

/// The resources of a request, read before its handler's shapes are: what does not fit them names nothing here, and is
/// refused there.
pub(crate) fn resources(context: &Context, action: &str, body: &[u8]) -> Vec<Resource> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let (prefix, member) = match action {
        "DeleteNamespace" | "GetNamespace" | "UpdateHttpNamespace" | "UpdatePrivateDnsNamespace" => {
            ("namespace/", "Id")
        }
        "CreateService" => ("namespace/", "NamespaceId"),
        "DeleteService" | "GetService" | "UpdateService" => ("service/", "Id"),
        "DeregisterInstance"
        | "GetInstance"
        | "GetInstancesHealthStatus"
        | "ListInstances"
        | "RegisterInstance"
        | "UpdateInstanceCustomHealthStatus" => ("service/", "ServiceId"),
        _ => return vec![Resource::of("*")],
    };
    // CreateService may name its namespace with its records instead.
    let named = request[member].as_str().or_else(|| request["DnsConfig"][member].as_str());
    let named = named.filter(|named| !named.is_empty()).unwrap_or("*");
    vec![Resource::named(context, "servicediscovery", prefix, named)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::Service::ServiceDiscovery;
    use crate::iam::testing::Verifying;

    const ARN: &str = "arn:aws:servicediscovery:ap-northeast-2:000000000001";

    #[test]
    fn a_session_is_asked_about_the_service_or_namespace_that_it_names() {
        let api = Verifying::new();
        let session = api.session("nobody", None);
        for (action, body, resource) in [
            ("CreateHttpNamespace", json!({"Name": "a"}), "*".to_owned()),
            ("GetNamespace", json!({"Id": "ns-1"}), format!("{ARN}:namespace/ns-1")),
            ("CreateService", json!({"Name": "a", "NamespaceId": "ns-1"}), format!("{ARN}:namespace/ns-1")),
            ("CreateService", json!({"DnsConfig": {"NamespaceId": "ns-2"}}), format!("{ARN}:namespace/ns-2")),
            ("DeleteService", json!({"Id": format!("{ARN}:service/srv-1")}), format!("{ARN}:service/srv-1")),
            ("RegisterInstance", json!({"ServiceId": "srv-1"}), format!("{ARN}:service/srv-1")),
            ("GetService", json!({}), format!("{ARN}:service/*")),
            ("DiscoverInstances", json!({"ServiceName": "a", "NamespaceName": "b"}), "*".to_owned()),
            ("ListServices", json!({}), "*".to_owned()),
        ] {
            api.refuses(&session, ServiceDiscovery, action, &body, &resource);
        }
    }

    #[test]
    fn a_role_may_register_instances_of_one_service_and_not_of_another() {
        let api = Verifying::new();
        let statement = format!(
            r#"{{"Effect":"Allow","Action":"servicediscovery:RegisterInstance","Resource":"{ARN}:service/srv-mine"}}"#
        );
        let session = api.session("registrar", Some(&statement));
        let register = |service: &str| {
            let body = json!({"ServiceId": service, "InstanceId": "1", "Attributes": {}}).to_string();
            api.call(&session, ServiceDiscovery, "RegisterInstance", &body).1
        };
        assert!(register("srv-mine").contains("ServiceNotFound"), "{}", register("srv-mine"));
        assert!(register("srv-other").contains("AccessDeniedException"), "{}", register("srv-other"));
    }
}
