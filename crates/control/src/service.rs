//! The services that Landfall answers for, and how requests name them.

use wire::Protocol;

/// A service of AWS's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Elastic Compute Cloud: its VPC part.
    Ec2,
    /// Elastic Container Registry.
    Ecr,
    /// Elastic Container Service.
    Ecs,
    /// Elastic Load Balancing, version 2.
    Elbv2,
    /// Identity and Access Management.
    Iam,
    /// Security Token Service.
    Sts,
    /// CloudWatch Logs.
    Logs,
    /// Systems Manager: its Parameter Store.
    Ssm,
    /// Secrets Manager.
    SecretsManager,
    /// CloudWatch: metrics and alarms.
    CloudWatch,
    /// Application Auto Scaling.
    AutoScaling,
    /// Cloud Map.
    ServiceDiscovery,
}

impl Service {
    /// All of them.
    pub const ALL: [Service; 12] = [
        Service::Ec2,
        Service::Ecr,
        Service::Ecs,
        Service::Elbv2,
        Service::Iam,
        Service::Sts,
        Service::Logs,
        Service::Ssm,
        Service::SecretsManager,
        Service::CloudWatch,
        Service::AutoScaling,
        Service::ServiceDiscovery,
    ];

    /// What stands before the colon in IAM's actions.
    pub const fn iam_prefix(self) -> &'static str {
        match self {
            Service::CloudWatch => "cloudwatch",
            other => other.name(),
        }
    }

    /// The name in a credential scope; but for CloudWatch, in ARNs and IAM actions too.
    pub const fn name(self) -> &'static str {
        match self {
            Service::Ec2 => "ec2",
            Service::Ecr => "ecr",
            Service::Ecs => "ecs",
            Service::Elbv2 => "elasticloadbalancing",
            Service::Iam => "iam",
            Service::Sts => "sts",
            Service::Logs => "logs",
            Service::Ssm => "ssm",
            Service::SecretsManager => "secretsmanager",
            Service::CloudWatch => "monitoring",
            Service::AutoScaling => "application-autoscaling",
            Service::ServiceDiscovery => "servicediscovery",
        }
    }

    /// The name of botocore's model, for the oracle and the coverage page.
    pub const fn model(self) -> &'static str {
        match self {
            Service::Elbv2 => "elbv2",
            Service::CloudWatch => "cloudwatch",
            other => other.name(),
        }
    }

    /// How its requests are written, by clients that know but one way. See [`Service::shape`].
    pub const fn protocol(self) -> Protocol {
        match self {
            Service::Ec2 => Protocol::Ec2Query,
            Service::Ecr
            | Service::Ecs
            | Service::Logs
            | Service::Ssm
            | Service::SecretsManager
            | Service::AutoScaling
            | Service::ServiceDiscovery => Protocol::AwsJson,
            Service::Elbv2 | Service::Iam | Service::Sts | Service::CloudWatch => Protocol::AwsQuery,
        }
    }

    /// The version in query requests; what stands before the action in `X-Amz-Target` of JSON ones.
    pub const fn version(self) -> &'static str {
        match self {
            Service::Ec2 => "2016-11-15",
            Service::Ecr => "AmazonEC2ContainerRegistry_V20150921",
            Service::Ecs => "AmazonEC2ContainerServiceV20141113",
            Service::Elbv2 => "2015-12-01",
            Service::Iam => "2010-05-08",
            Service::Sts => "2011-06-15",
            Service::Logs => "Logs_20140328",
            Service::Ssm => "AmazonSSM",
            Service::SecretsManager => "secretsmanager",
            Service::CloudWatch => "2010-08-01",
            Service::AutoScaling => "AnyScaleFrontendService",
            Service::ServiceDiscovery => "Route53AutoNaming_v20170314",
        }
    }

    /// The name of its Smithy shape, where it also speaks JSON 1.0 and CBOR with it besides its
    /// [`Service::protocol`]: what stands in the path, or before the action in `X-Amz-Target`.
    pub const fn shape(self) -> Option<&'static str> {
        match self {
            Service::CloudWatch => Some("GraniteServiceVersion20100801"),
            _ => None,
        }
    }

    /// The code of a request that does not fit its shape: of what "validation error detected" stands before. EC2 has codes
    /// of its own for what is missing and what is unknown. Source: the errors of each service's actions, and "Common
    /// Errors".
    pub const fn invalid_code(self) -> &'static str {
        match self {
            Service::Ec2 => "InvalidParameterValue",
            Service::Elbv2 | Service::Iam | Service::Sts | Service::CloudWatch => "ValidationError",
            Service::Ecr | Service::Ecs | Service::Logs => "InvalidParameterException",
            Service::Ssm | Service::SecretsManager | Service::AutoScaling => "ValidationException",
            Service::ServiceDiscovery => "InvalidInput",
        }
    }

    /// The namespace of its XML documents; empty for JSON.
    pub const fn xmlns(self) -> &'static str {
        match self {
            Service::Ec2 => "http://ec2.amazonaws.com/doc/2016-11-15/",
            Service::Elbv2 => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
            Service::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            Service::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Service::CloudWatch => "http://monitoring.amazonaws.com/doc/2010-08-01/",
            Service::Ecr
            | Service::Ecs
            | Service::Logs
            | Service::Ssm
            | Service::SecretsManager
            | Service::AutoScaling
            | Service::ServiceDiscovery => "",
        }
    }

    /// Whether its resources are of all regions at once.
    pub const fn is_global(self) -> bool {
        matches!(self, Service::Iam)
    }

    /// The service of a name in a credential scope.
    pub fn from_name(name: &str) -> Option<Service> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// The service of a Smithy shape.
    pub fn from_shape(shape: &str) -> Option<Service> {
        Self::ALL.into_iter().find(|service| service.shape() == Some(shape))
    }

    /// The service of a version in a query request, or of a target's prefix.
    pub fn from_version(version: &str) -> Option<Service> {
        Self::ALL.into_iter().find(|service| service.version() == version)
    }
}
