//! What Terraform calls the things that AWS calls by ids: read from a state file, as `terraform.tfstate` or
//! `terraform state pull` have it (format version 4).

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// Why a state file says nothing.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("{path}: {cause}")]
    Unreadable {
        /// Which file.
        path: String,
        /// The system's words.
        cause: std::io::Error,
    },
    /// It is no Terraform state.
    #[error("{path} is no Terraform state: {cause}. `terraform state pull` writes one")]
    Malformed {
        /// Which file.
        path: String,
        /// What is wrong.
        cause: serde_json::Error,
    },
}

/// Resource addresses (`module.vpc.aws_subnet.private[0]`) by AWS's ids and ARNs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses(BTreeMap<String, String>);

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    module: Option<String>,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    index_key: Option<Value>,
    #[serde(default)]
    attributes: Value,
}

/// The default state file of the folder that one is in.
pub const DEFAULT: &str = "terraform.tfstate";

impl Addresses {
    /// Reads a state file.
    ///
    /// # Errors
    /// When it cannot be read, or is no state.
    pub fn read(path: &Path) -> Result<Self, StateError> {
        let named = || path.display().to_string();
        let text = std::fs::read(path).map_err(|cause| StateError::Unreadable { path: named(), cause })?;
        Self::parse(&text).map_err(|cause| StateError::Malformed { path: named(), cause })
    }

    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let state: State = serde_json::from_slice(text)?;
        let mut found = BTreeMap::new();
        for resource in state.resources.iter().filter(|resource| resource.mode == "managed") {
            for instance in &resource.instances {
                let address = address(resource, instance);
                for key in keys(&resource.kind, &instance.attributes) {
                    // A resource that owns a thing comes before one that only adopts it (`aws_default_…`).
                    let adopts = resource.kind.starts_with("aws_default_");
                    if !adopts || !found.contains_key(&key) {
                        found.insert(key, address.clone());
                    }
                }
            }
        }
        Ok(Self(found))
    }

    /// What Terraform calls it.
    pub fn of(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}

fn address(resource: &Resource, instance: &Instance) -> String {
    let module = resource.module.as_ref().map_or(String::new(), |module| format!("{module}."));
    let index = match &instance.index_key {
        Some(Value::String(key)) => format!("[{key:?}]"),
        Some(key) => format!("[{key}]"),
        None => String::new(),
    };
    format!("{module}{}.{}{index}", resource.kind, resource.name)
}

/// The names under which an answer may speak of a resource: its id and ARN; routes and entries of network ACLs have no id
/// of AWS's and go by [`route_key`] and [`entry_key`].
fn keys(kind: &str, attributes: &Value) -> Vec<String> {
    let text = |name: &str| attributes[name].as_str().filter(|text| !text.is_empty());
    match kind {
        "aws_route" => {
            let to = text("destination_cidr_block").or_else(|| text("destination_prefix_list_id"));
            text("route_table_id").zip(to).map(|(table, to)| route_key(table, to)).into_iter().collect()
        }
        "aws_network_acl_rule" => {
            let number = attributes["rule_number"].as_i64();
            let egress = attributes["egress"].as_bool().unwrap_or(false);
            text("network_acl_id")
                .zip(number)
                .map(|(acl, number)| entry_key(acl, egress, number))
                .into_iter()
                .collect()
        }
        "aws_security_group_rule" => text("security_group_rule_id").map(str::to_owned).into_iter().collect(),
        // An attachment or association has the ids of others.
        _ if kind.ends_with("_association") || kind.ends_with("_attachment") => {
            text("id").filter(|id| id.contains("assoc-")).map(str::to_owned).into_iter().collect()
        }
        _ => [text("id"), text("arn")].into_iter().flatten().map(str::to_owned).collect(),
    }
}

/// The name of a route: `rtb-…/0.0.0.0/0`.
pub fn route_key(table: &str, destination: &str) -> String {
    format!("{table}/{destination}")
}

/// The name of a network ACL's entry: `acl-…/ingress/100`.
pub fn entry_key(acl: &str, egress: bool, number: i64) -> String {
    format!("{acl}/{}/{number}", if egress { "egress" } else { "ingress" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_found_by_ids_with_module_and_index() {
        let state = serde_json::json!({ "version": 4, "resources": [
            { "module": "module.vpc", "mode": "managed", "type": "aws_subnet", "name": "private",
              "instances": [{ "index_key": 1, "attributes": { "id": "subnet-1", "arn": "arn:aws:ec2:::subnet/subnet-1" } }] },
            { "mode": "managed", "type": "aws_security_group", "name": "app",
              "instances": [{ "index_key": "web", "attributes": { "id": "sg-1" } }] },
            { "mode": "data", "type": "aws_vpc", "name": "other", "instances": [{ "attributes": { "id": "vpc-1" } }] },
            { "mode": "managed", "type": "aws_route", "name": "nat", "instances": [{ "attributes": {
                "id": "r-rtb-11080289494", "route_table_id": "rtb-1", "destination_cidr_block": "0.0.0.0/0" } }] },
            { "mode": "managed", "type": "aws_network_acl_rule", "name": "deny", "instances": [{ "attributes": {
                "id": "nacl-1", "network_acl_id": "acl-1", "rule_number": 90, "egress": true } }] },
            { "mode": "managed", "type": "aws_vpc", "name": "this", "instances": [{ "attributes": { "id": "vpc-2" } }] },
            { "mode": "managed", "type": "aws_default_vpc", "name": "that", "instances": [{ "attributes": { "id": "vpc-2" } }] },
            { "mode": "managed", "type": "aws_lb_target_group_attachment", "name": "a",
              "instances": [{ "attributes": { "id": "arn:x" } }] },
        ]});
        let addresses = Addresses::parse(state.to_string().as_bytes()).unwrap();
        for (id, expected) in [
            ("subnet-1", Some("module.vpc.aws_subnet.private[1]")),
            ("arn:aws:ec2:::subnet/subnet-1", Some("module.vpc.aws_subnet.private[1]")),
            ("sg-1", Some("aws_security_group.app[\"web\"]")),
            ("vpc-1", None),
            ("rtb-1/0.0.0.0/0", Some("aws_route.nat")),
            ("acl-1/egress/90", Some("aws_network_acl_rule.deny")),
            ("vpc-2", Some("aws_vpc.this")),
            ("arn:x", None),
        ] {
            assert_eq!(addresses.of(id), expected, "{id}");
        }
    }

    #[test]
    fn a_file_that_is_no_state_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("terraform.tfstate");
        assert!(Addresses::read(&path).is_err());
        std::fs::write(&path, "{").unwrap();
        assert!(Addresses::read(&path).unwrap_err().to_string().contains("terraform state pull"));
    }
}
