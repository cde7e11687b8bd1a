//! The table of operations: what each action is, without its shapes.

use serde::de::DeserializeOwned;
use store::{Snapshot, Store, Tx};
use wire::{ApiError, Input};

use crate::context::Context;
use crate::service::Service;

/// An action of a service, as the table of operations lists it. Made by [`read!`] and [`write!`].
#[derive(Clone, Copy)]
pub struct Operation {
    /// The service.
    pub service: Service,
    /// AWS's name of the action.
    pub name: &'static str,
    /// What it does.
    pub handler: Handler,
    /// Whether the request names what it acts on, so that `handler` asks the caller's policies about that. Otherwise the
    /// dispatcher has asked about `*` before.
    pub names_resources: bool,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::write!(f, "{}:{}", self.service.name(), self.name)
    }
}

/// How an action is run: from the request's body to the response's.
#[derive(Clone, Copy)]
pub enum Handler {
    /// From the in-memory copy, without waiting.
    Read(fn(&Snapshot, &Context, Input) -> Result<Vec<u8>, ApiError>),
    /// In the writer's turn, answered once its rows are on disk.
    Write(fn(&mut Tx, &Context, Input) -> Result<Vec<u8>, ApiError>),
    /// From the in-memory copy and the store of log events, on a thread that may wait for the disk.
    Disk(DiskHandler),
}

/// The request of an action from its body.
pub(crate) fn decode<T: DeserializeOwned>(service: Service, name: &str, input: Input) -> Result<T, ApiError> {
    let protocol = input.protocol();
    input.decode().map_err(|error| ApiError::from_decode(&error, protocol, service.invalid_code(), name))
}

/// See [`Handler::Disk`].
pub type DiskHandler = fn(&Snapshot, &Context, Disk<'_>, Input) -> Result<Vec<u8>, ApiError>;

/// What a handler may wait for.
#[derive(Debug, Clone, Copy)]
pub struct Disk<'a> {
    /// Log events.
    pub events: &'a ::logs::Store,
    /// Rows, for what follows from events.
    pub rows: &'a Store,
}

/// What [`read!`], [`write!`] and [`disk!`] make: an operation of a kind of [`Handler`], in brackets what its closure takes
/// besides rows, context and input.
macro_rules! operation {
    ($kind:ident [$($extra:ident)?] $names_resources:literal $service:ident, $name:ident, $handler:path $(, on $resources:path)?) => {
        $crate::operation::Operation {
            service: $crate::Service::$service,
            name: stringify!($name),
            handler: $crate::operation::Handler::$kind(|rows, context, $($extra,)? input| {
                const SERVICE: $crate::Service = $crate::Service::$service;
                let protocol = input.protocol();
                let request = $crate::operation::decode(SERVICE, stringify!($name), input)?;
                $(
                    let action = format!("{}:{}", SERVICE.iam_prefix(), stringify!($name));
                    $crate::iam::authorize_each(rows, context, &action, &$resources(rows, context, &request))?;
                )?
                let response = $handler(rows, context, $($extra,)? request)?;
                protocol.encode(stringify!($name), SERVICE.xmlns(), &context.request_id, &response)
            }),
            names_resources: $names_resources,
        }
    };
}

/// An operation that only reads: `read!(Ec2, DescribeVpcs, describe_vpcs)`, where the handler is
/// `fn(&Snapshot, &Context, Request) -> Result<Response, ApiError>`.
///
/// With `on resources` behind it, where that is `fn(&Snapshot, &Context, &Request) -> Vec<iam::Resource>`, the caller's
/// policies have to allow the action on each of these before the handler runs.
macro_rules! read {
    ($service:ident, $name:ident, $handler:path) => {
        $crate::operation::operation!(Read [] false $service, $name, $handler)
    };
    ($service:ident, $name:ident, $handler:path, on $resources:path) => {
        $crate::operation::operation!(Read [] true $service, $name, $handler, on $resources)
    };
}

/// An operation that changes rows: `write!(Ec2, CreateVpc, create_vpc)`, where the handler is
/// `fn(&mut Tx, &Context, Request) -> Result<Response, ApiError>`. An error leaves the rows as they were. `on` is that of
/// [`read!`].
macro_rules! write {
    ($service:ident, $name:ident, $handler:path) => {
        $crate::operation::operation!(Write [] false $service, $name, $handler)
    };
    ($service:ident, $name:ident, $handler:path, on $resources:path) => {
        $crate::operation::operation!(Write [] true $service, $name, $handler, on $resources)
    };
}

/// An operation on log events: `disk!(Logs, GetLogEvents, get_log_events)`, where the handler is
/// `fn(&Snapshot, &Context, Disk<'_>, Request) -> Result<Response, ApiError>`. It asks the caller's policies by itself.
macro_rules! disk {
    ($service:ident, $name:ident, $handler:path) => {
        $crate::operation::operation!(Disk [disk] true $service, $name, $handler)
    };
}

pub(crate) use {disk, operation, read, write};
