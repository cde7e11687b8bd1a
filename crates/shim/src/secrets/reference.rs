//! Where a value is: the forms of `valueFrom`. Source: "Secret" in the Amazon ECS API reference.

use types::Arn;

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// In Parameter Store.
    Parameter(Parameter),
    /// In Secrets Manager.
    Secret(Secret),
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) region: String,
    /// Its name or ARN, as GetParameters takes it.
    pub(super) name: String,
}

/// A secret, or what is at a key of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) region: String,
    /// Its ARN.
    pub(super) id: String,
    /// The key in a secret that is a JSON object.
    pub(super) json_key: Option<String>,
    pub(super) version_stage: Option<String>,
    pub(super) version_id: Option<String>,
}

/// Reads a `valueFrom`; `region` is the task's own.
pub(super) fn parse(value_from: &str, region: &str) -> Result<Source, String> {
    if !value_from.starts_with("arn:") {
        return Ok(Source::Parameter(Parameter { region: region.to_owned(), name: value_from.to_owned() }));
    }
    let arn: Arn = value_from.parse().map_err(|_| format!("unable to parse ARN {value_from}"))?;
    match arn.service.as_str() {
        "ssm" if arn.resource.starts_with("parameter/") => {
            Ok(Source::Parameter(Parameter { region: arn.region, name: value_from.to_owned() }))
        }
        "secretsmanager" => {
            let unexpected =
                || "unexpected ARN format with parameters when trying to retrieve ASM secret".to_owned();
            let parts: Vec<&str> = arn.resource.split(':').collect();
            let ["secret", name, more @ ..] = parts.as_slice() else { return Err(unexpected()) };
            let part =
                |index: usize| more.get(index).filter(|text| !text.is_empty()).map(|text| (*text).to_owned());
            if name.is_empty() || !matches!(more.len(), 0 | 3) {
                return Err(unexpected());
            }
            Ok(Source::Secret(Secret {
                id: Arn::new("secretsmanager", &arn.region, &arn.account, format!("secret:{name}"))
                    .to_string(),
                region: arn.region,
                json_key: part(0),
                version_stage: part(1),
                version_id: part(2),
            }))
        }
        _ => Err(format!("{value_from} is no parameter of Systems Manager and no secret of Secrets Manager")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "arn:aws:secretsmanager:us-east-1:000000000001:secret:app/db-AbCdEf";

    #[test]
    fn the_forms_of_ecs_are_understood() {
        let parameter = |region: &str, name: &str| {
            Ok(Source::Parameter(Parameter { region: region.to_owned(), name: name.to_owned() }))
        };
        for name in ["level", "/app/level", "/app/level:3"] {
            assert_eq!(parse(name, "ap-northeast-2"), parameter("ap-northeast-2", name));
        }
        let arn = "arn:aws:ssm:us-east-1:000000000001:parameter/app/level";
        assert_eq!(parse(arn, "ap-northeast-2"), parameter("us-east-1", arn));
        for (behind, key, stage, version) in [
            ("", None, None, None),
            (":user::", Some("user"), None, None),
            ("::AWSPREVIOUS:", None, Some("AWSPREVIOUS"), None),
            (":user:AWSCURRENT:1234", Some("user"), Some("AWSCURRENT"), Some("1234")),
        ] {
            let text = |part: Option<&str>| part.map(str::to_owned);
            let expected = Secret {
                region: "us-east-1".to_owned(),
                id: SECRET.to_owned(),
                json_key: text(key),
                version_stage: text(stage),
                version_id: text(version),
            };
            assert_eq!(parse(&format!("{SECRET}{behind}"), "ap-northeast-2"), Ok(Source::Secret(expected)));
        }
    }

    #[test]
    fn other_arns_are_refused() {
        for text in [
            "arn:",
            "arn:aws:s3:::bucket",
            "arn:aws:ssm:us-east-1:000000000001:document/x",
            "arn:aws:secretsmanager:us-east-1:000000000001:other:x",
            &format!("{SECRET}:user"),
            &format!("{SECRET}:user:a:b:c"),
        ] {
            assert!(parse(text, "ap-northeast-2").is_err(), "{text}");
        }
    }
}
