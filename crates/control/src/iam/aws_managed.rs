//! The policies of AWS's own that the services here need. Source: "AWS managed policy reference".

use std::collections::BTreeMap;

use super::managed_policy::Found;

struct Known {
    path: &'static str,
    name: &'static str,
    id: &'static str,
    description: &'static str,
    version: &'static str,
    created: &'static str,
    updated: &'static str,
    document: Document,
}

enum Document {
    /// One statement that allows these actions on everything.
    Allows(&'static [&'static str]),
    /// AWS's document word for word: of service-linked roles, which nobody but the service itself assumes.
    Verbatim(&'static str),
}

const READ_ONLY: [&str; 12] = [
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetRepositoryPolicy",
    "ecr:DescribeRepositories",
    "ecr:ListImages",
    "ecr:DescribeImages",
    "ecr:BatchGetImage",
    "ecr:GetLifecyclePolicy",
    "ecr:GetLifecyclePolicyPreview",
    "ecr:ListTagsForResource",
    "ecr:DescribeImageScanFindings",
];

const POWER_USER: [&str; 16] = [
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetRepositoryPolicy",
    "ecr:DescribeRepositories",
    "ecr:ListImages",
    "ecr:DescribeImages",
    "ecr:BatchGetImage",
    "ecr:GetLifecyclePolicy",
    "ecr:GetLifecyclePolicyPreview",
    "ecr:ListTagsForResource",
    "ecr:DescribeImageScanFindings",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
];

const KNOWN: &[Known] = &[
    Known {
        path: "/service-role/",
        name: "AmazonECSTaskExecutionRolePolicy",
        id: "ANPAJG4T4G4PV56DE72PY",
        description: "Provides access to other AWS service resources that are required to run Amazon ECS tasks",
        version: "v1",
        created: "2017-11-16T18:48:22Z",
        updated: "2017-11-16T18:48:22Z",
        document: Document::Allows(&[
            "ecr:GetAuthorizationToken",
            "ecr:BatchCheckLayerAvailability",
            "ecr:GetDownloadUrlForLayer",
            "ecr:BatchGetImage",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        ]),
    },
    Known {
        path: "/",
        name: "AmazonEC2ContainerRegistryReadOnly",
        id: "ANPAIFYZPA37OOHVIH7KQ",
        description: "Provides read-only access to Amazon EC2 Container Registry repositories.",
        version: "v3",
        created: "2015-12-21T17:04:15Z",
        updated: "2019-12-10T20:56:32Z",
        document: Document::Allows(&READ_ONLY),
    },
    Known {
        path: "/",
        name: "AmazonEC2ContainerRegistryPowerUser",
        id: "ANPAJDNE5PIHROIBGGDDW",
        description: "Provides full access to Amazon EC2 Container Registry repositories, but does not allow repository deletion or policy changes.",
        version: "v3",
        created: "2015-12-21T17:05:33Z",
        updated: "2019-12-10T20:48:08Z",
        document: Document::Allows(&POWER_USER),
    },
    Known {
        path: "/",
        name: "AdministratorAccess",
        id: "ANPAIWMBCKSKIEE64ZLYK",
        description: "Provides full access to AWS services and resources.",
        version: "v1",
        created: "2015-02-06T18:39:46Z",
        updated: "2015-02-06T18:39:46Z",
        document: Document::Allows(&["*"]),
    },
    Known {
        path: "/",
        name: "ElasticLoadBalancingReadOnly",
        id: "ANPAJMO7B7SNFLQ6HH736",
        description: "Provides read only access to Amazon ElasticLoadBalancing and dependent services",
        version: "v2",
        created: "2018-09-20T20:17:09Z",
        updated: "2022-11-25T09:18:47Z",
        document: Document::Verbatim(concat!(
            r#"{"Version":"2012-10-17","Statement":[{"Sid":"Statement1","Effect":"Allow","Action":["#,
            r#""elasticloadbalancing:Describe*","elasticloadbalancing:Get*"],"Resource":"*"},"#,
            r#"{"Sid":"Statement2","Effect":"Allow","Action":["ec2:DescribeInstances","ec2:DescribeClassicLinkInstances","#,
            r#""ec2:DescribeSecurityGroups"],"Resource":"*"},{"Sid":"Statement3","Effect":"Allow","#,
            r#""Action":"arc-zonal-shift:GetManagedResource","Resource":"arn:aws:elasticloadbalancing:*:*:loadbalancer/*"},"#,
            r#"{"Sid":"Statement4","Effect":"Allow","Action":["arc-zonal-shift:ListManagedResources","#,
            r#""arc-zonal-shift:ListZonalShifts"],"Resource":"*"}]}"#,
        )),
    },
    Known {
        path: "/aws-service-role/",
        name: "AmazonECSServiceRolePolicy",
        id: "ANPAIVUWKCAI7URU4WUEI",
        description: "Policy to enable Amazon ECS to manage your cluster.",
        version: "v13",
        created: "2017-10-14T01:18:58Z",
        updated: "2025-11-14T21:04:09Z",
        document: Document::Verbatim(include_str!("AmazonECSServiceRolePolicy.json")),
    },
    Known {
        path: "/aws-service-role/",
        name: "AWSApplicationAutoscalingECSServicePolicy",
        id: "ANPAJFXLLV7AKH5PSFOYG",
        description: "Policy granting permissions to Application Auto Scaling to access EC2 Container Service and CloudWatch.",
        version: "v1",
        created: "2017-10-25T23:53:08Z",
        updated: "2017-10-25T23:53:08Z",
        document: Document::Allows(&[
            "ecs:DescribeServices",
            "ecs:UpdateService",
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:DescribeAlarms",
            "cloudwatch:DeleteAlarms",
        ]),
    },
    Known {
        path: "/aws-service-role/",
        name: "AWSElasticLoadBalancingServiceRolePolicy",
        id: "ANPAIMHWGGSRHLOQUICJQ",
        description: "Service Linked Role Policy for AWS Elastic Load Balancing Control Plane",
        version: "v7",
        created: "2017-09-19T22:19:04Z",
        updated: "2021-08-26T19:01:48Z",
        document: Document::Allows(&[
            "ec2:DescribeAddresses",
            "ec2:DescribeCoipPools",
            "ec2:DescribeInstances",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeVpcs",
            "ec2:DescribeInternetGateways",
            "ec2:DescribeAccountAttributes",
            "ec2:DescribeClassicLinkInstances",
            "ec2:DescribeVpcClassicLink",
            "ec2:CreateSecurityGroup",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:GetCoipPoolUsage",
            "ec2:ModifyNetworkInterfaceAttribute",
            "ec2:AllocateAddress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:AssociateAddress",
            "ec2:DisassociateAddress",
            "ec2:AttachNetworkInterface",
            "ec2:DetachNetworkInterface",
            "ec2:AssignPrivateIpAddresses",
            "ec2:AssignIpv6Addresses",
            "ec2:ReleaseAddress",
            "ec2:UnassignIpv6Addresses",
            "ec2:DescribeVpcPeeringConnections",
            "logs:CreateLogDelivery",
            "logs:GetLogDelivery",
            "logs:UpdateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:ListLogDeliveries",
            "outposts:GetOutpostInstanceTypes",
        ]),
    },
];

impl Known {
    fn found(&self) -> Found {
        let document = match &self.document {
            Document::Allows(actions) => serde_json::json!({
                "Version": "2012-10-17",
                "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }],
            })
            .to_string(),
            Document::Verbatim(text) => text.trim().to_owned(),
        };
        Found {
            arn: format!("arn:aws:iam::aws:policy{}{}", self.path, self.name),
            name: self.name.to_owned(),
            path: self.path.to_owned(),
            id: self.id.to_owned(),
            description: Some(self.description.to_owned()),
            version: self.version.to_owned(),
            document,
            created: self.created.to_owned(),
            updated: self.updated.to_owned(),
            tags: BTreeMap::new(),
        }
    }
}

/// The AWS managed policy of an ARN.
pub(super) fn find(arn: &str) -> Option<Found> {
    let path = arn.strip_prefix("arn:aws:iam::aws:policy")?;
    let known =
        KNOWN.iter().find(|known| path.strip_prefix(known.path).is_some_and(|name| name == known.name))?;
    Some(known.found())
}

/// All that are known.
pub(super) fn all() -> impl Iterator<Item = Found> {
    KNOWN.iter().map(Known::found)
}

#[cfg(test)]
mod tests {
    use super::super::policy::{Kind, Policy};
    use super::*;

    #[test]
    fn every_policy_that_can_be_attached_can_be_evaluated() {
        for policy in all().filter(|policy| policy.path != "/aws-service-role/") {
            Policy::parse(&policy.document, Kind::Identity)
                .unwrap_or_else(|error| panic!("{}: {error}", policy.name));
        }
    }
}
