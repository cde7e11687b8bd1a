//! What callers' policies are asked about for each action of Application Auto Scaling: the scalable target.
//!
//! Source: "Actions, resources, and condition keys for AWS Application Auto Scaling", Service Authorization Reference.
//! The describing actions have no resource there.

use serde_json::Value;
use store::Snapshot;

use super::place::Place;
use super::target;
use crate::context::Context;
use crate::iam::Resource;

/// The resources of a request, read before its handler's shapes are: what does not fit them names nothing here, and is
/// refused there. A target that is not there yet is asked about as any.
pub(crate) fn resources(rows: &Snapshot, context: &Context, action: &str, body: &[u8]) -> Vec<Resource> {
    if action.starts_with("Describe") {
        return vec![Resource::of("*")];
    }
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(arn) = request["ResourceARN"].as_str().filter(|arn| arn.starts_with("arn:")) {
        return vec![Resource::of(arn)];
    }
    let place = request["ResourceId"].as_str().and_then(|id| Place::take(context, id).ok());
    let known = place.and_then(|place| target::get(rows, &place).ok());
    vec![match known {
        Some(target) => Resource::of(target.arn()),
        None => Resource::of(context.arn("application-autoscaling", "scalable-target/*")),
    }]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::Service::AutoScaling;
    use crate::iam::testing::Verifying;

    const ARN: &str = "arn:aws:application-autoscaling:ap-northeast-2:000000000001";

    #[test]
    fn a_session_is_asked_about_the_target_that_it_names() {
        let api = Verifying::new();
        let session = api.session("nobody", None);
        let service = json!({"ServiceNamespace": "ecs", "ResourceId": "service/a/b"});
        let named = format!("{ARN}:scalable-target/1");
        for (action, body, resource) in [
            ("RegisterScalableTarget", service.clone(), format!("{ARN}:scalable-target/*")),
            ("PutScalingPolicy", service.clone(), format!("{ARN}:scalable-target/*")),
            ("TagResource", json!({"ResourceARN": named, "Tags": {}}), named.clone()),
            ("DescribeScalableTargets", service.clone(), "*".to_owned()),
        ] {
            api.refuses(&session, AutoScaling, action, &body, &resource);
        }
    }
}
