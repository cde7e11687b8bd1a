//! The distribution API's resources.

mod blob;
mod content;
mod layer;
mod manifest;
mod tags;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body;
use hyper::header::{EXPECT, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use types::VpcEndpointId;

use crate::admit::{Credentials, Endpoint, challenge, host, session};
use crate::blobs::{BlobError, Blobs};
use crate::body::{BoxBody, Received, empty};
use crate::catalog::{Catalog, Session};
use crate::digest::Digest;
use crate::error::ApiError;
use crate::layer_bucket::LayerKey;
use crate::route::{Route, route};
use crate::upload::{Uploads, blocking};

/// The actions of ECR that docker's requests stand for ("Registry authentication" and "Required IAM permissions for
/// pushing an image", ECR user guide).
mod action {
    pub(super) const CHECK_LAYER: &str = "ecr:BatchCheckLayerAvailability";
    pub(super) const GET_LAYER: &str = "ecr:GetDownloadUrlForLayer";
    pub(super) const INITIATE_UPLOAD: &str = "ecr:InitiateLayerUpload";
    pub(super) const UPLOAD_PART: &str = "ecr:UploadLayerPart";
    pub(super) const COMPLETE_UPLOAD: &str = "ecr:CompleteLayerUpload";
    pub(super) const PUT_IMAGE: &str = "ecr:PutImage";
    pub(super) const GET_IMAGE: &str = "ecr:BatchGetImage";
    pub(super) const DELETE_IMAGE: &str = "ecr:BatchDeleteImage";
    pub(super) const LIST_IMAGES: &str = "ecr:ListImages";
}

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// The registries of all accounts and regions.
#[derive(Debug)]
pub struct Registry<C: Catalog> {
    shared: Arc<Shared<C>>,
}

impl<C: Catalog> Clone for Registry<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

#[derive(Debug)]
struct Shared<C> {
    blobs: Arc<Blobs>,
    catalog: Arc<C>,
    layers: Arc<LayerKey>,
    uploads: Uploads,
}

impl<C: Catalog> Registry<C> {
    /// A registry over a content store and the control plane's catalog. `layers` signs the addresses of layers.
    pub fn new(blobs: Arc<Blobs>, catalog: Arc<C>, layers: Arc<LayerKey>) -> Self {
        Self { shared: Arc::new(Shared { blobs, catalog, layers, uploads: Uploads::default() }) }
    }

    /// Removes uploads that nobody has touched for `life` ([`crate::UPLOAD_LIFE`]); says how many. May block.
    pub fn sweep_uploads(&self, life: Duration) -> Result<u64, BlobError> {
        let removed = self.shared.blobs.sweep_uploads(life);
        self.shared.uploads.prune();
        removed
    }

    /// Answers a request for `/v2/…`, by whichever of the registry's names it came. A [`VpcEndpointId`] among its
    /// extensions is the endpoint that it came through. Has to run in a tokio runtime with time enabled.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<BoxBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display,
    {
        let (head, body) = request.into_parts();
        let mut body = Received::new(body);
        let call = Call::new(Arc::clone(&self.shared), &head);
        let mut response = match call.answer(&head, &mut body).await {
            Ok(response) => response,
            Err(error) => {
                // A client that waits to be told to go on shall not send at all.
                if !head.headers.contains_key(EXPECT) {
                    body.drain().await;
                }
                error.into_response(head.method == Method::HEAD)
            }
        };
        response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        response
    }

    /// Answers a request to a region's layer bucket ([`crate::layer_bucket_host`]), with the same extension.
    pub async fn layer_bucket<B>(&self, request: Request<B>) -> Response<BoxBody> {
        let (head, _) = request.into_parts();
        layer::answer(&self.shared, &head).await
    }
}

/// One request, without its body.
struct Call<C: Catalog> {
    shared: Arc<Shared<C>>,
    endpoint: Endpoint,
    credentials: Option<Credentials>,
    challenge: HeaderValue,
    through: Option<VpcEndpointId>,
}

impl<C: Catalog> Call<C> {
    fn new(shared: Arc<Shared<C>>, head: &Parts) -> Self {
        let endpoint = Endpoint::of(host(head));
        let challenge = challenge(host(head), &endpoint);
        let through = head.extensions.get().cloned();
        Self { shared, endpoint, credentials: Credentials::of(head), challenge, through }
    }

    async fn answer<B>(&self, head: &Parts, body: &mut Received<B>) -> Result<Response<BoxBody>, ApiError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display,
    {
        let route = match route(head.uri.path()) {
            Ok(route) => route,
            // Who is not known learns nothing, not even which paths exist.
            Err(error) => {
                self.ping().await?;
                return Err(error);
            }
        };
        let method = &head.method;
        match route {
            Route::Ping => match *method {
                Method::GET | Method::HEAD => self.ping().await,
                _ => Err(ApiError::method(method, "GET, HEAD")),
            },
            Route::Blob { name, digest } => match *method {
                Method::GET | Method::HEAD => self.get_blob(head, name, digest).await,
                Method::DELETE => self.delete_blob(name, digest).await,
                _ => Err(ApiError::method(method, "GET, HEAD, DELETE")),
            },
            Route::Uploads { name } => match *method {
                Method::POST => self.start_upload(head, name, body).await,
                _ => Err(ApiError::method(method, "POST")),
            },
            Route::Upload { name, uuid } => match *method {
                Method::GET => self.upload_status(name, uuid).await,
                Method::PATCH => self.patch_upload(head, name, uuid, body).await,
                Method::PUT => self.put_upload(head, name, uuid, body).await,
                Method::DELETE => self.cancel_upload(name, uuid).await,
                _ => Err(ApiError::method(method, "GET, PATCH, PUT, DELETE")),
            },
            Route::Manifest { name, reference } => match *method {
                Method::GET | Method::HEAD => self.get_manifest(head, name, reference).await,
                Method::PUT => self.put_manifest(head, name, reference, body).await,
                Method::DELETE => self.delete_manifest(name, reference).await,
                _ => Err(ApiError::method(method, "GET, HEAD, PUT, DELETE")),
            },
            Route::Tags { name } => match *method {
                Method::GET => self.list_tags(head, name).await,
                _ => Err(ApiError::method(method, "GET")),
            },
        }
    }

    async fn ping(&self) -> Result<Response<BoxBody>, ApiError> {
        self.with_session(|_, _| Ok(())).await?;
        Ok(empty())
    }

    /// Runs a job that may block, as the client.
    async fn with_session<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Shared<C>, Session<C::Principal>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let shared = Arc::clone(&self.shared);
        let (endpoint, credentials) = (self.endpoint.clone(), self.credentials.clone());
        let (challenge, through) = (self.challenge.clone(), self.through.clone());
        blocking(move || {
            let session = session(&*shared.catalog, &endpoint, credentials.as_ref(), &challenge, through)?;
            job(&shared, session)
        })
        .await
    }

    /// Runs a job that may block, as the client, when it may do the action on the repository and that exists.
    async fn admitted<T: Send + 'static>(
        &self,
        action: &'static str,
        repository: String,
        job: impl FnOnce(&Shared<C>, &Session<C::Principal>, &str) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.with_session(move |shared, session| {
            shared.catalog.authorize(&session, action, &repository)?;
            shared.catalog.repository(&session, &repository)?;
            job(shared, &session, &repository)
        })
        .await
    }
}

/// A value of a request's query.
fn query(head: &Parts, name: &str) -> Option<String> {
    let query = head.uri.query()?;
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A digest in a request's query.
fn query_digest(head: &Parts, name: &str) -> Result<Option<Digest>, ApiError> {
    query(head, name).map(|text| text.parse().map_err(ApiError::digest_invalid)).transpose()
}

/// A header's value made of a text that is known to be plain ASCII.
fn header(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(|error| ApiError::failed(error.to_string()))
}

/// An answer without a body.
fn status(status: StatusCode) -> Response<BoxBody> {
    let mut response = empty();
    *response.status_mut() = status;
    if status == StatusCode::NO_CONTENT {
        response.headers_mut().remove(hyper::header::CONTENT_LENGTH);
    }
    response
}
