//! The control plane: AWS's services over the store, one folder a service, one file a resource; what shall run
//! (`schedule`) and what a machine shall be (`project`). It never touches the kernel.
//!
//! A handler reads `fn(&Snapshot, &Context, Request) -> Result<Response, ApiError>`, or with `&mut Tx` when it changes
//! rows. A call is one transaction that commits intent; reconcilers do the rest.

mod answered;
pub mod autoscaling;
mod body;
pub mod cloudwatch;
mod context;
mod disk;
mod dispatch;
pub mod ec2;
pub mod ecr;
pub mod ecs;
pub mod elbv2;
pub mod iam;
pub mod internet;
pub mod logs;
mod machine;
mod operation;
pub mod page;
pub mod project;
pub mod reconcile;
pub mod schedule;
mod sealed;
pub mod secretsmanager;
mod service;
pub mod servicediscovery;
mod session;
pub mod ssm;
pub mod sts;
#[cfg(test)]
mod testing;

use store::{TableDef, table};

pub use answered::{Answered, forget_old};
pub use body::LONGEST_BODY;
pub use context::{Auth, Context, Principal, Settings};
pub use dispatch::Api;
pub use machine::{Machine, ReportNews, Reports};
pub use operation::{Disk, DiskHandler, Handler, Operation};
pub use service::Service;
pub use session::SessionKey;

/// The table of operations of a service.
pub fn operations(service: Service) -> &'static [Operation] {
    match service {
        Service::Ec2 => ec2::OPERATIONS,
        Service::Ecr => ecr::OPERATIONS,
        Service::Ecs => ecs::OPERATIONS,
        Service::Elbv2 => elbv2::OPERATIONS,
        Service::Iam => iam::OPERATIONS,
        Service::Sts => sts::OPERATIONS,
        Service::Logs => logs::OPERATIONS,
        Service::Ssm => ssm::OPERATIONS,
        Service::SecretsManager => secretsmanager::OPERATIONS,
        Service::CloudWatch => cloudwatch::OPERATIONS,
        Service::AutoScaling => autoscaling::OPERATIONS,
        Service::ServiceDiscovery => servicediscovery::OPERATIONS,
    }
}

/// All tables, for [`store::Store::open`].
pub fn tables() -> Vec<TableDef> {
    let own = [table::<Answered>(), table::<SessionKey>()];
    [
        &own,
        autoscaling::TABLES,
        cloudwatch::TABLES,
        ec2::TABLES,
        ecr::TABLES,
        ecs::TABLES,
        elbv2::TABLES,
        iam::TABLES,
        internet::TABLES,
        logs::TABLES,
        secretsmanager::TABLES,
        servicediscovery::TABLES,
        ssm::TABLES,
    ]
    .concat()
}
