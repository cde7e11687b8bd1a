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
}

impl Service {
    /// All of them.
    pub const ALL: [Service; 6] =
        [Service::Ec2, Service::Ecr, Service::Ecs, Service::Elbv2, Service::Iam, Service::Sts];

    /// The name in a credential scope, in ARNs and in IAM actions.
    pub const fn name(self) -> &'static str {
        match self {
            Service::Ec2 => "ec2",
            Service::Ecr => "ecr",
            Service::Ecs => "ecs",
            Service::Elbv2 => "elasticloadbalancing",
            Service::Iam => "iam",
            Service::Sts => "sts",
        }
    }

    /// The name of botocore's model, for the oracle and the coverage page.
    pub const fn model(self) -> &'static str {
        match self {
            Service::Elbv2 => "elbv2",
            other => other.name(),
        }
    }

    /// How its requests are written.
    pub const fn protocol(self) -> Protocol {
        match self {
            Service::Ec2 => Protocol::Ec2Query,
            Service::Ecr | Service::Ecs => Protocol::AwsJson,
            Service::Elbv2 | Service::Iam | Service::Sts => Protocol::AwsQuery,
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
        }
    }

    /// The namespace of its XML documents; empty for JSON.
    pub const fn xmlns(self) -> &'static str {
        match self {
            Service::Ec2 => "http://ec2.amazonaws.com/doc/2016-11-15/",
            Service::Elbv2 => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
            Service::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            Service::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Service::Ecr | Service::Ecs => "",
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

    /// The service of a version in a query request, or of a target's prefix.
    pub fn from_version(version: &str) -> Option<Service> {
        Self::ALL.into_iter().find(|service| service.version() == version)
    }
}
