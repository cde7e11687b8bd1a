//! Values from Parameter Store.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::is_time_out;
use super::reference::Parameter;
use crate::pull::Failure;
use crate::pull::api::{Answer, Api, Call, Refusal};

/// The most names that GetParameters takes.
const NAMES: usize = 10;

/// Adds the values of parameters, up to ten of a region in a call.
pub(super) fn fetch(
    api: &Api<'_>,
    parameters: &[(&String, Parameter)],
    values: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let mut regions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, parameter) in parameters {
        regions.entry(&parameter.region).or_default().push(&parameter.name);
    }
    let mut found = BTreeMap::new();
    for (region, mut names) in regions {
        names.sort_unstable();
        names.dedup();
        for names in names.chunks(NAMES) {
            found.extend(ask(api, region, names)?);
        }
    }
    for (value_from, parameter) in parameters {
        match found.get(&parameter.name) {
            Some(value) => values.insert((*value_from).clone(), value.clone()),
            None => return Err(retried(1, &format!("invalid ssm parameters: {}", parameter.name))),
        };
    }
    Ok(())
}

fn retried(tries: u32, why: &str) -> String {
    format!(
        "execution resource retrieval failed: unable to retrieve secrets from ssm: service call has been retried {tries} \
         time(s): {why}"
    )
}

fn ask(api: &Api<'_>, region: &str, names: &[&str]) -> Result<BTreeMap<String, String>, String> {
    let body = serde_json::json!({ "Names": names, "WithDecryption": true });
    let answered = api.call(Call {
        service: "ssm",
        host: &format!("ssm.{region}.amazonaws.com"),
        region,
        target: "AmazonSSM.GetParameters",
        body: body.to_string().as_bytes(),
    });
    match answered {
        Ok((answer, tries)) => read(&answer, names).map_err(|why| retried(tries, &why)),
        Err(failure) => Err(unanswered(&failure)),
    }
}

fn unanswered(failure: &Failure) -> String {
    let why = &failure.why;
    let end = if is_time_out(why) {
        "RequestCanceled: request context canceled caused by: context deadline exceeded".to_owned()
    } else {
        format!("RequestError: send request failed caused by: {why}")
    };
    format!(
        "unable to retrieve secrets from ssm: The task cannot pull secrets from AWS Systems Manager. There is a connection \
         issue between the task and AWS Systems Manager Parameter Store. Check your task network configuration. {end}"
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    #[serde(default)]
    parameters: Vec<One>,
    #[serde(default)]
    invalid_parameters: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct One {
    name: String,
    value: String,
    selector: Option<String>,
    #[serde(rename = "ARN", default)]
    arn: String,
}

/// The values, by the names that they were asked for with.
fn read(answer: &Answer, names: &[&str]) -> Result<BTreeMap<String, String>, String> {
    if answer.status != 200 {
        let Refusal { kind, message } = answer.refusal();
        return Err(format!("{kind}: {message} status code: {}, request id: {}", answer.status, answer.id));
    }
    let Ok(found) = serde_json::from_slice::<Found>(&answer.body) else {
        return Err("SerializationError: the answer holds no parameters".to_owned());
    };
    if !found.invalid_parameters.is_empty() {
        return Err(format!("invalid ssm parameters: {}", found.invalid_parameters.join(",")));
    }
    let mut values = BTreeMap::new();
    for One { name, value, selector, arn } in found.parameters {
        let selector = selector.unwrap_or_default();
        let asked = names.iter().filter(|asked| {
            [&name, &arn].iter().any(|known| asked.strip_prefix(known.as_str()) == Some(&selector))
        });
        values.extend(asked.map(|asked| ((*asked).to_owned(), value.clone())));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, id: "4f7b".to_owned(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn values_are_found_by_name_selector_and_arn() {
        let arn = "arn:aws:ssm:r:1:parameter/b";
        let body = format!(
            r#"{{"Parameters":[{{"Name":"/a","Value":"1","ARN":"arn:aws:ssm:r:1:parameter/a"}},
                {{"Name":"/a","Value":"2","Selector":":7"}},{{"Name":"/b","Value":"3","ARN":"{arn}"}}]}}"#
        );
        let values = read(&answer(200, &body), &["/a", "/a:7", arn]).unwrap();
        let expected = [("/a", "1"), ("/a:7", "2"), (arn, "3")];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn what_is_missing_and_what_is_denied_is_told() {
        let missing = answer(200, r#"{"Parameters":[],"InvalidParameters":["/a","/b"]}"#);
        assert_eq!(read(&missing, &["/a", "/b"]).unwrap_err(), "invalid ssm parameters: /a,/b");
        let denied = answer(400, r#"{"__type":"AccessDeniedException","message":"User: u may not"}"#);
        assert_eq!(
            read(&denied, &["/a"]).unwrap_err(),
            "AccessDeniedException: User: u may not status code: 400, request id: 4f7b"
        );
    }
}
