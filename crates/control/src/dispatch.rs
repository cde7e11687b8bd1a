//! From an HTTP request to its answer: which action it is, who signs it, what it does.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use ring::digest::{SHA256, digest};
use store::{Snapshot, Store, StoreError};
use types::{Region, Timestamp, VpcEndpointId, random_hex};
use wire::sigv4::{self, Family, Presented, Refusal, SigningKeys};
use wire::{ApiError, DecodeError, Input, Protocol, Tree};

use crate::answered::Answered;
use crate::context::{Auth, Context, Principal, Settings};
use crate::disk::Threads;
use crate::ec2::{absent, default_vpc, vpc_endpoint};
use crate::machine::Machine;
use crate::operation::{Disk, Handler, Operation};
use crate::service::Service;
use crate::session::SessionKey;
use crate::{autoscaling, body, ecs, iam, servicediscovery};

/// The namespace of an error document that no service answers.
const NO_SERVICE: &str = "http://webservices.amazon.com/";

/// The AWS API over a store.
#[derive(Debug)]
pub struct Api {
    /// The rows.
    pub store: Arc<Store>,
    /// How Landfall was started.
    pub settings: Arc<Settings>,
    /// What the machine reports.
    pub machine: Arc<Machine>,
    /// What CloudWatch Logs holds.
    pub events: Arc<::logs::Store>,
    threads: Threads,
    keys: SigningKeys,
}

/// A request as far as it is known: what an error before the action is written as.
struct Call {
    service: Service,
    action: String,
    input: Input,
}

impl Api {
    /// Over an open store of rows and one of log events.
    pub fn new(
        store: Arc<Store>,
        settings: Arc<Settings>,
        machine: Arc<Machine>,
        events: Arc<::logs::Store>,
    ) -> Self {
        Self { store, settings, machine, events, threads: Threads::start(), keys: SigningKeys::new() }
    }

    /// Answers one request. `done` is called with the response: at once for a reading call, on the writer's thread
    /// for a changing one, when its rows are on disk, and on a thread for the disk for one of log events. A [`VpcEndpointId`] among the request's extensions is the endpoint
    /// that it came through.
    pub fn answer(&self, request: &Request<Bytes>, done: impl FnOnce(Response<Bytes>) + Send + 'static) {
        let request_id = request_id();
        let call = match self.call(request) {
            Ok(call) => call,
            Err((protocol, error)) => {
                return done(protocol.error(NO_SERVICE, &request_id, &error));
            }
        };
        let (service, protocol) = (call.service, call.input.protocol());
        let rows = self.store.snapshot();
        let context = match self.authenticate(&rows, request, service, &request_id) {
            Ok(context) => context,
            Err(error) => return done(protocol.error(service.xmlns(), &request_id, &error)),
        };
        let Some(operation) = find(service, &call.action) else {
            return done(protocol.error(
                service.xmlns(),
                &request_id,
                &unknown_action(service, &call.action),
            ));
        };
        if let Err(error) = authorize(&rows, &context, operation, &call.input) {
            return done(protocol.error(service.xmlns(), &request_id, &error));
        }
        let furnish = service == Service::Ec2 && !default_vpc::is_furnished(&rows, &context);
        match operation.handler {
            // Readers see what was committed: a region's first call is answered in the writer's turn.
            Handler::Read(handler) if furnish => self.store.submit(
                move |tx: &mut store::Tx| {
                    default_vpc::furnish(tx, &context)?;
                    handler(tx, &context, call.input)
                },
                move |result| {
                    done(match result {
                        Ok(Ok(body)) => protocol.success(&request_id, body),
                        Ok(Err(error)) => protocol.error(service.xmlns(), &request_id, &error),
                        Err(error) => protocol.error(service.xmlns(), &request_id, &store_error(&error)),
                    });
                },
            ),
            Handler::Read(handler) => done(match handler(&rows, &context, call.input) {
                Ok(body) => protocol.success(&request_id, body),
                Err(error) => protocol.error(service.xmlns(), &request_id, &error),
            }),
            Handler::Disk(handler) => {
                let (events, store) = (self.events.clone(), self.store.clone());
                self.threads.submit(move || {
                    done(
                        match handler(&rows, &context, Disk { events: &events, rows: &store }, call.input) {
                            Ok(body) => protocol.success(&request_id, body),
                            Err(error) => protocol.error(service.xmlns(), &request_id, &error),
                        },
                    );
                });
            }
            Handler::Write(handler) => {
                let retry = retry_key(request, &context, operation);
                let run = move |tx: &mut store::Tx| -> Result<(String, Vec<u8>), ApiError> {
                    if let Some(given) = retry.as_ref().and_then(|key| tx.get::<Answered>(key)) {
                        return Ok((given.request_id.clone(), given.bytes()));
                    }
                    if furnish {
                        default_vpc::furnish(tx, &context)?;
                    }
                    let body = handler(tx, &context, call.input)?;
                    if let Some(key) = retry {
                        tx.put(Answered::new(key, context.request_id.clone(), &body, context.now));
                    }
                    Ok((context.request_id.clone(), body))
                };
                self.store.submit(run, move |result| {
                    done(match result {
                        Ok(Ok((id, body))) => protocol.success(&id, body),
                        Ok(Err(error)) => protocol.error(service.xmlns(), &request_id, &error),
                        Err(error) => protocol.error(service.xmlns(), &request_id, &store_error(&error)),
                    });
                });
            }
        }
    }

    /// The answer to a request whose body cannot be had whole: in the form of the service that its head names.
    pub fn refuse(&self, head: &http::request::Parts, error: &ApiError) -> Response<Bytes> {
        let protocol = spoken(&head.headers, scoped_name(&head.headers, &head.uri).as_deref());
        protocol.error(NO_SERVICE, &request_id(), error)
    }

    /// Which action a request asks for.
    fn call(&self, request: &Request<Bytes>) -> Result<Call, (Protocol, ApiError)> {
        let scoped = scoped_name(request.headers(), request.uri());
        let scope = scoped.as_deref().and_then(Service::from_name);
        let guess = spoken(request.headers(), scoped.as_deref());
        let body = body::unpacked(request).map_err(|error| (guess, error))?;
        if let Some(target) = header(request.headers(), "x-amz-target") {
            let (version, action) = target.rsplit_once('.').unwrap_or(("", target));
            if let Some(service) = Service::from_shape(version) {
                let input = Input::document(Protocol::AwsJson10, body);
                return Ok(Call { service, action: action.to_owned(), input });
            }
            let Some(service) = Service::from_version(version) else {
                return Err((Protocol::AwsJson, unknown_service(target)));
            };
            let input = Input::document(Protocol::AwsJson, body);
            return Ok(Call { service, action: action.to_owned(), input });
        }
        if guess == Protocol::RpcV2Cbor
            && let Some((shape, action)) = operation_of(request.uri().path())
        {
            let service = Service::from_shape(shape).filter(|_| request.method() == Method::POST);
            let Some(service) = service else { return Err((guess, unknown_service(shape))) };
            let input = Input::document(guess, body);
            return Ok(Call { service, action: action.to_owned(), input });
        }
        if let Some(name) = scoped.as_deref().filter(|_| scope.is_none()) {
            return Err((guess, unknown_service(name)));
        }
        if !matches!(*request.method(), Method::POST | Method::GET) || request.uri().path() != "/" {
            let what = format!("{} {}", request.method(), request.uri().path());
            let error = match scope {
                Some(_) => ApiError::new(
                    "InvalidAction",
                    format!("{what} is no request of a service that Landfall supports"),
                ),
                None => unknown_service(&what),
            };
            return Err((guess, error.with_status(StatusCode::NOT_FOUND)));
        }
        let parse = |protocol, body: &[u8]| match protocol {
            Protocol::Ec2Query => Tree::from_ec2_query(body),
            _ => Tree::from_query(body),
        };
        let body = body::parameters(request.uri().query().unwrap_or_default(), body);
        let wrap = |error: DecodeError| (guess, ApiError::malformed_form(&error));
        let mut tree = parse(guess, &body).map_err(wrap)?;
        let mut own =
            |name: &str, small: &str| tree.take_text(if guess == Protocol::Ec2Query { small } else { name });
        let (action, version) = (own("Action", "action"), own("Version", "version").unwrap_or_default());
        let Some(action) = action.filter(|action| !action.is_empty()) else {
            let error = ApiError::new("MissingAction", "The request must contain the parameter Action");
            return Err((guess, error));
        };
        // Another version is another API: classic load balancers have the same name in the scope.
        let service = Service::from_version(&version).or(scope.filter(|_| version.is_empty()));
        let Some(service) = service else {
            let of = scoped.as_deref().map_or(String::new(), |name| format!(" of {name}"));
            return Err((guess, unknown_service(&format!("version {version}{of}"))));
        };
        if service.protocol() == Protocol::AwsJson {
            let error =
                ApiError::new("InvalidAction", "The request must name its action in the header X-Amz-Target");
            return Err((Protocol::AwsJson, error));
        }
        if service.protocol() != guess {
            let wrap = |error: DecodeError| (service.protocol(), ApiError::malformed_form(&error));
            tree = parse(service.protocol(), &body).map_err(wrap)?;
            for name in ["Action", "Version", "action", "version"] {
                tree.take_text(name);
            }
        }
        Ok(Call { service, action, input: Input::tree(service.protocol(), tree) })
    }

    /// Who calls, from the request's signature.
    fn authenticate(
        &self,
        rows: &Snapshot,
        request: &Request<Bytes>,
        service: Service,
        request_id: &str,
    ) -> Result<Context, ApiError> {
        let family = match service.protocol() {
            Protocol::Ec2Query => Family::Ec2,
            Protocol::AwsJson => Family::Json,
            // JSON 1.0 and CBOR keep the codes of awsQuery.
            Protocol::AwsQuery | Protocol::AwsJson10 | Protocol::RpcV2Cbor => Family::Query,
        };
        let refuse = |refusal: Refusal| {
            let status = StatusCode::from_u16(refusal.status(family)).unwrap_or(StatusCode::FORBIDDEN);
            ApiError::new(refusal.code(family), refusal.message(family)).with_status(status)
        };
        let now = Timestamp::now();
        let headers: Vec<(&str, &[u8])> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let signed = sigv4::Request {
            method: request.method().as_str(),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
            headers: &headers,
        };
        // AWS takes IAM's calls in us-east-1's scope alone. With AWS_ENDPOINT_URL set, Terraform's SDK signs them with the
        // client's own region: any region that exists is taken, and none that does not.
        let through = request.extensions().get::<VpcEndpointId>();
        let way = through.and_then(|id| vpc_endpoint::by_id(rows, id));
        if let Some(way) = way.as_ref().filter(|way| !way.service.answers(service)) {
            let only = format!("Credential should be scoped to correct service: '{}'.", way.service.prefix());
            return Err(refuse(Refusal::Scope(only)));
        }
        let is_region = |name: &str| {
            Region::new(name).is_ok() && way.as_ref().is_none_or(|way| way.region.as_str() == name)
        };
        let context = |account, region: &str, principal| -> Result<Context, ApiError> {
            let region = if service.is_global() {
                Region::global()
            } else {
                Region::new(region).map_err(|error| ApiError::new("InvalidRegion", error.to_string()))?
            };
            Ok(Context {
                settings: self.settings.clone(),
                account,
                region,
                principal,
                through: through.cloned(),
                now,
                machine: self.machine.clone(),
                request_id: request_id.to_owned(),
            })
        };
        if self.settings.auth == Auth::Off {
            let region = sigv4::claimed_region(signed).filter(|region| is_region(region));
            let region = region.as_deref().unwrap_or("us-east-1");
            return context(self.settings.account.clone(), region, Principal::Root);
        }
        let presented = Presented::parse(signed).map_err(refuse)?;
        presented.check_scope(service.name(), is_region).map_err(refuse)?;
        presented.check_time(now, family).map_err(refuse)?;
        let (account, principal, secret) = if presented.access_key_id == self.settings.access_key_id {
            if presented.security_token.is_some() {
                return Err(refuse(Refusal::UnknownAccessKey));
            }
            (self.settings.account.clone(), Principal::Root, self.settings.secret_access_key.clone())
        } else {
            let session = rows.get::<SessionKey>(&presented.access_key_id).filter(|session| {
                presented.security_token.as_deref().is_some_and(|token| same(token, &session.session_token))
            });
            let Some(session) = session else { return Err(refuse(Refusal::UnknownAccessKey)) };
            if session.expires_at <= now {
                return Err(refuse(Refusal::ExpiredToken));
            }
            // A session ends with its role; another role of the same name is not its role.
            let role = iam::find(rows, &session.account, &session.role);
            if role.is_none_or(|role| role.id != session.role_id) {
                return Err(refuse(Refusal::UnknownAccessKey));
            }
            (session.account.clone(), session.principal(), session.secret_access_key.clone())
        };
        let hash = sigv4::sha256(request.body());
        presented.verify(signed, &secret, &hash, &self.keys).map_err(refuse)?;
        context(account, &presented.region, principal)
    }
}

/// Compares without telling by the time taken where two texts part.
fn same(a: &str, b: &str) -> bool {
    digest(&SHA256, a.as_bytes()).as_ref() == digest(&SHA256, b.as_bytes()).as_ref()
}

fn request_id() -> String {
    let hex = random_hex(32);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The service that the credential scope names, whether or not the signature will hold.
fn scoped_name(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let service = |credential: &str| Some(credential.split('/').nth(3)?.to_owned());
    if let Some(authorization) = header(headers, "authorization") {
        return service(authorization.split("Credential=").nth(1)?.split(',').next()?);
    }
    let mut query = form_urlencoded::parse(uri.query()?.as_bytes());
    service(&query.find(|(name, _)| name == "X-Amz-Credential")?.1)
}

/// Which protocol a request is in, as far as its headers and the service in its scope tell.
fn spoken(headers: &HeaderMap, scoped: Option<&str>) -> Protocol {
    if header(headers, "smithy-protocol") == Some("rpc-v2-cbor") {
        return Protocol::RpcV2Cbor;
    }
    let target = header(headers, "x-amz-target").and_then(|target| target.split_once('.'));
    if target.is_some_and(|(shape, _)| Service::from_shape(shape).is_some()) {
        return Protocol::AwsJson10;
    }
    scoped.map_or(Protocol::AwsQuery, protocol_of)
}

/// The service's shape and the action in a path of RPC v2: `/service/<shape>/operation/<action>`.
fn operation_of(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/service/")?.split_once("/operation/")
}

/// How a service's errors are written, as far as its name tells: of those that are not answered here, most that have
/// no actions in a form speak JSON.
fn protocol_of(name: impl AsRef<str>) -> Protocol {
    match (Service::from_name(name.as_ref()), name.as_ref()) {
        (Some(service), _) => service.protocol(),
        (None, "s3" | "route53" | "cloudfront" | "sns" | "rds" | "cloudformation" | "autoscaling") => {
            Protocol::AwsQuery
        }
        (None, _) => Protocol::AwsJson,
    }
}

fn unknown_service(what: &str) -> ApiError {
    let known: Vec<&str> = Service::ALL.into_iter().map(Service::name).collect();
    ApiError::new(
        "UnknownService",
        format!("Landfall does not know the service of '{what}'. It knows {}.", known.join(", ")),
    )
}

fn unknown_action(service: Service, action: &str) -> ApiError {
    let reasons = match service {
        Service::Ec2 => absent::REASONS,
        Service::CloudWatch => crate::cloudwatch::REASONS,
        _ => &[],
    };
    let reason = reasons.iter().find(|(name, _)| *name == action);
    let message = format!(
        "The action {action} is not supported by Landfall for {}. {}",
        service.name(),
        reason.map_or("The coverage page of its documentation lists what is.", |(_, reason)| reason)
    );
    match service.protocol() {
        Protocol::AwsJson => ApiError::new("UnknownOperationException", message),
        _ => ApiError::new("InvalidAction", message),
    }
}

fn find(service: Service, action: &str) -> Option<&'static Operation> {
    crate::operations(service).iter().find(|operation| operation.name == action)
}

/// Root may do all; a role's session what its policies allow; and both only what the VPC endpoint on the way allows. An
/// operation whose request names what it acts on asks for itself.
fn authorize(
    rows: &Snapshot,
    context: &Context,
    operation: &Operation,
    input: &Input,
) -> Result<(), ApiError> {
    if context.principal == Principal::Root && context.through.is_none() {
        return Ok(());
    }
    let action = format!("{}:{}", operation.service.iam_prefix(), operation.name);
    // Every caller may ask who it is ("GetCallerIdentity": no permissions are required), if the way allows it.
    if operation.service == Service::Sts && operation.name == "GetCallerIdentity" {
        let asker = iam::Asker::of(context);
        let keys = iam::keys(rows, asker);
        let request = iam::policy::Request { action: &action, resource: "*", keys: &keys };
        return iam::check_endpoint(rows, asker, request).map_err(|denied| denied.api_error());
    }
    if operation.names_resources {
        return Ok(());
    }
    let name = operation.name;
    let resources = match (operation.service, input.json()) {
        (Service::AutoScaling, Some(body)) => autoscaling::access::resources(rows, context, name, body),
        (Service::Ecs, Some(body)) => ecs::access::resources(context, name, body),
        (Service::ServiceDiscovery, Some(body)) => servicediscovery::access::resources(context, name, body),
        _ => return iam::authorize(rows, context, &action, "*"),
    };
    iam::authorize_each(rows, context, &action, &resources)
}

/// Under what a retry of this request finds the answer that was given. None without the SDK's invocation id.
fn retry_key(request: &Request<Bytes>, context: &Context, operation: &Operation) -> Option<String> {
    let invocation = header(request.headers(), "amz-sdk-invocation-id").filter(|id| id.len() <= 64)?;
    let hash = digest(&SHA256, request.body());
    let hash: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let caller = context.principal.arn(&context.account);
    Some(format!("{caller}/{}/{operation:?}/{invocation}/{hash}", context.region))
}

fn store_error(error: &StoreError) -> ApiError {
    ApiError::internal(error.to_string())
}
