//! Reading policy documents.

use serde_json::{Map, Value};

use super::condition::Condition;

/// What a document is for; the elements that it may have depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Says what its bearer may do: `Resource`, no `Principal`.
    Identity,
    /// Says who may assume a role: `Principal`, no `Resource`.
    Trust,
    /// Says who may do what through a VPC endpoint: `Principal` and `Resource`.
    Endpoint,
    /// A resource's own, a secret's: who may do what with it. `Principal` and `Resource`.
    Resource,
}

/// Why a document is refused, as the message of AWS's MalformedPolicyDocument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    pub(super) fn syntax() -> Self {
        Self("Syntax errors in policy.".to_owned())
    }
}

/// A document that was read and holds nothing that would be ignored.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Whether variables are filled in: version 2012-10-17.
    pub(super) variables: bool,
    pub(super) statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    pub(super) sid: Option<String>,
    pub(super) allow: bool,
    pub(super) principals: Vec<Named>,
    pub(super) actions: Listed,
    pub(super) resources: Listed,
    pub(super) conditions: Vec<Condition>,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) not: bool,
    pub(super) patterns: Vec<String>,
}

/// A principal that a policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    Everyone,
    /// All of an account, as far as its own policies allow.
    Account(String),
    /// The ARN of a role or of a role's session.
    Arn(String),
    Service(String),
    /// An identity provider: nobody calls as such here.
    Federated,
}

const VERSIONS: [&str; 2] = ["2012-10-17", "2008-10-17"];

impl Policy {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is no policy, or holds what would not be honoured.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, Malformed> {
        let document: Value = serde_json::from_str(text)
            .map_err(|_| Malformed("This policy contains invalid Json".to_owned()))?;
        let Value::Object(document) = document else { return Err(Malformed::syntax()) };
        check_elements(&document, &["Version", "Id", "Statement"])?;
        let version = match document.get("Version") {
            None => VERSIONS[1],
            Some(Value::String(version)) if VERSIONS.contains(&version.as_str()) => version,
            Some(_) => return Err(Malformed::syntax()),
        };
        if !matches!(document.get("Id"), None | Some(Value::String(_))) {
            return Err(Malformed::syntax());
        }
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) => statements
                .iter()
                .map(|statement| Statement::parse(statement, kind))
                .collect::<Result<_, _>>()?,
            Some(statement @ Value::Object(_)) => vec![Statement::parse(statement, kind)?],
            _ => return Err(Malformed::syntax()),
        };
        let mut sids: Vec<&str> = statements.iter().filter_map(|s: &Statement| s.sid.as_deref()).collect();
        sids.sort_unstable();
        if sids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Malformed("Statement IDs (SID) in a single policy must be unique.".to_owned()));
        }
        Ok(Self { variables: version == VERSIONS[0], statements })
    }

    /// Whether it lets everybody in, whoever they are ("The meaning of public", for a policy's own statements).
    pub fn is_public(&self) -> bool {
        let open = |statement: &Statement| {
            statement.allow
                && statement.conditions.is_empty()
                && statement.principals.contains(&Named::Everyone)
        };
        self.statements.iter().any(open)
    }

    /// The principals of roles that a trust policy names, by their ARNs: they have to exist.
    pub fn named_arns(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().flat_map(|statement| &statement.principals).filter_map(|named| match named {
            Named::Arn(arn) => Some(arn.as_str()),
            _ => None,
        })
    }
}

fn check_elements(object: &Map<String, Value>, known: &[&str]) -> Result<(), Malformed> {
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Malformed(format!("Unknown field {name}"))),
        None => Ok(()),
    }
}

fn texts(value: &Value) -> Result<Vec<String>, Malformed> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(Malformed::syntax);
    match value {
        Value::Array(values) if !values.is_empty() => values.iter().map(text).collect(),
        Value::String(_) => Ok(vec![text(value)?]),
        _ => Err(Malformed::syntax()),
    }
}

/// One of `name` and `Not<name>`.
fn listed(statement: &Map<String, Value>, name: &str) -> Result<Option<Listed>, Malformed> {
    match (statement.get(name), statement.get(&format!("Not{name}"))) {
        (Some(_), Some(_)) => Err(Malformed::syntax()),
        (Some(value), None) => Ok(Some(Listed { not: false, patterns: texts(value)? })),
        (None, Some(value)) => Ok(Some(Listed { not: true, patterns: texts(value)? })),
        (None, None) => Ok(None),
    }
}

impl Statement {
    fn parse(value: &Value, kind: Kind) -> Result<Self, Malformed> {
        let Value::Object(statement) = value else { return Err(Malformed::syntax()) };
        if statement.contains_key("NotPrincipal") {
            return Err(Malformed("The element NotPrincipal is not supported by Landfall.".to_owned()));
        }
        check_elements(
            statement,
            &["Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"],
        )?;
        let sid = match statement.get("Sid") {
            None => None,
            Some(Value::String(sid))
                if sid.bytes().all(|b| b.is_ascii_alphanumeric()) || kind != Kind::Identity =>
            {
                Some(sid.clone()).filter(|sid| !sid.is_empty())
            }
            Some(Value::String(_)) => {
                return Err(Malformed("Statement IDs (SID) must be alpha-numeric.".to_owned()));
            }
            Some(_) => return Err(Malformed::syntax()),
        };
        let allow = match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err(Malformed::syntax()),
        };
        let Some(actions) = listed(statement, "Action")? else {
            return Err(Malformed("Policy statement must contain actions.".to_owned()));
        };
        for action in &actions.patterns {
            let fits = |part: &str| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"*?-".contains(&b))
            };
            if action != "*"
                && !action.split_once(':').is_some_and(|(vendor, name)| fits(vendor) && fits(name))
            {
                return Err(Malformed(
                    "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.".to_owned(),
                ));
            }
        }
        let resources = listed(statement, "Resource")?;
        let (principals, resources) = match (kind, statement.get("Principal"), resources) {
            (Kind::Identity, Some(_), _) => {
                return Err(Malformed("Policy document should not specify a principal.".to_owned()));
            }
            (Kind::Identity | Kind::Endpoint | Kind::Resource, _, None) => {
                return Err(Malformed("Policy statement must contain resources.".to_owned()));
            }
            (Kind::Identity, None, Some(resources)) => (Vec::new(), arns(resources)?),
            (Kind::Endpoint | Kind::Resource, Some(principal), Some(resources)) => {
                (principals(principal)?, arns(resources)?)
            }
            (Kind::Trust, _, Some(_)) => {
                return Err(Malformed("Has prohibited field Resource".to_owned()));
            }
            (Kind::Trust, None, None) | (Kind::Endpoint | Kind::Resource, None, Some(_)) => {
                return Err(Malformed("Missing required field Principal".to_owned()));
            }
            (Kind::Trust, Some(principal), None) => {
                if let Some(action) = actions.patterns.iter().find(|action| !action.starts_with("sts:")) {
                    return Err(Malformed(format!(
                        "AssumeRole policy may only specify STS AssumeRole actions, not {action}."
                    )));
                }
                (principals(principal)?, Listed { not: false, patterns: vec!["*".to_owned()] })
            }
        };
        let conditions =
            statement.get("Condition").map_or(Ok(Vec::new()), |element| Condition::parse(element, kind))?;
        Ok(Self { sid, allow, principals, actions, resources, conditions })
    }
}

/// Resources that are ARNs, or all.
fn arns(resources: Listed) -> Result<Listed, Malformed> {
    match resources.patterns.iter().find(|resource| *resource != "*" && !resource.starts_with("arn:")) {
        Some(resource) => Err(Malformed(format!("Resource {resource} must be in ARN format or \"*\"."))),
        None => Ok(resources),
    }
}

fn principals(value: &Value) -> Result<Vec<Named>, Malformed> {
    let kinds = match value {
        Value::String(text) if text == "*" => return Ok(vec![Named::Everyone]),
        Value::Object(kinds) if !kinds.is_empty() => kinds,
        _ => return Err(Malformed("Invalid principal in policy".to_owned())),
    };
    let mut all = Vec::new();
    for (kind, values) in kinds {
        for value in texts(values)? {
            let account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
            let named = match kind.as_str() {
                "AWS" if value == "*" => Some(Named::Everyone),
                "AWS" if account(&value) => Some(Named::Account(value.clone())),
                "AWS" => value.parse::<types::Arn>().ok().and_then(|arn| {
                    let role = arn.service == "iam" && arn.resource.starts_with("role/");
                    let session = arn.service == "sts" && arn.resource.starts_with("assumed-role/");
                    if !account(&arn.account) || !arn.region.is_empty() || value.contains(['*', '?']) {
                        None
                    } else if arn.service == "iam" && arn.resource == "root" {
                        Some(Named::Account(arn.account))
                    } else {
                        (role || session).then(|| Named::Arn(value.clone()))
                    }
                }),
                "Service" => value.ends_with(".amazonaws.com").then(|| Named::Service(value.clone())),
                "Federated" => Some(Named::Federated),
                _ => return Err(Malformed(format!("Invalid principal in policy: \"{kind}\""))),
            };
            let Some(named) = named else {
                let kind = kind.to_ascii_uppercase();
                return Err(Malformed(format!("Invalid principal in policy: \"{kind}\":\"{value}\"")));
            };
            all.push(named);
        }
    }
    Ok(all)
}
