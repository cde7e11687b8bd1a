//! Who asks, and of which registry: the `Authorization` and `Host` headers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::http::request::Parts;
use types::{AccountId, Region, VpcEndpointId};

use crate::catalog::{Catalog, CatalogError, Session};
use crate::error::ApiError;

/// Which of its names the registry was called by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A plain address of the host. The token alone says which registry is meant; layers come from here.
    Plain,
    /// `<account>.dkr.ecr.<region>.amazonaws.com`, as inside VPCs. Layers come from the layer bucket.
    Ecr { account: AccountId, region: Region },
    /// A name of that form without such an account or region.
    NoSuchRegistry,
}

impl Endpoint {
    pub(crate) fn of(host: &str) -> Self {
        let name = without_port(host).to_ascii_lowercase();
        let Some(rest) = name.strip_suffix(".amazonaws.com") else { return Self::Plain };
        let Some((account, region)) = rest.split_once(".dkr.ecr.") else { return Self::NoSuchRegistry };
        match (AccountId::new(account), Region::new(region)) {
            (Ok(account), Ok(region)) => Self::Ecr { account, region },
            _ => Self::NoSuchRegistry,
        }
    }
}

pub(crate) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The host that the client called, empty when it named none.
pub(crate) fn host(head: &Parts) -> &str {
    let header = head.headers.get(HOST).and_then(|value| value.to_str().ok());
    header.or_else(|| head.uri.authority().map(hyper::http::uri::Authority::as_str)).unwrap_or_default()
}

/// What a client sent to prove who it is.
#[derive(Clone)]
pub(crate) struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    pub(crate) fn of(head: &Parts) -> Option<Self> {
        let header = head.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (user, password) = decoded.split_once(':')?;
        Some(Self { user: user.to_owned(), password: password.to_owned() })
    }
}

/// The header that tells a client how to prove who it is.
pub(crate) fn challenge(host: &str, endpoint: &Endpoint) -> HeaderValue {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-' | b'[' | b']');
    let host = if !host.is_empty() && host.bytes().all(plain) { host } else { "registry" };
    let scheme = if *endpoint == Endpoint::Plain { "http" } else { "https" };
    let text = format!("Basic realm=\"{scheme}://{host}/\",service=\"ecr.amazonaws.com\"");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Basic realm=\"registry\""))
}

/// The session of a request, which may have come through a VPC endpoint. May block.
pub(crate) fn session<C: Catalog>(
    catalog: &C,
    endpoint: &Endpoint,
    credentials: Option<&Credentials>,
    challenge: &HeaderValue,
    through: Option<VpcEndpointId>,
) -> Result<Session<C::Principal>, ApiError> {
    let unauthorized = || ApiError::unauthorized(challenge.clone());
    let credentials = credentials.ok_or_else(unauthorized)?;
    let mut session =
        catalog.authenticate(&credentials.user, &credentials.password).map_err(|error| match error {
            CatalogError::NotAuthorized => unauthorized(),
            other => other.into(),
        })?;
    session.through = through;
    match endpoint {
        Endpoint::Plain => Ok(session),
        Endpoint::NoSuchRegistry => Err(ApiError::denied("there is no registry of this name")),
        Endpoint::Ecr { account, region } if *account == session.account && *region == session.region => {
            Ok(session)
        }
        Endpoint::Ecr { account, region } => Err(ApiError::denied(format!(
            "the authorization token is for registry {} in {}, not for registry {account} in {region}",
            session.account, session.region
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_says_which_registry_is_meant() {
        let ecr = Endpoint::Ecr {
            account: AccountId::new("000000000001").unwrap(),
            region: Region::new("ap-northeast-2").unwrap(),
        };
        assert_eq!(Endpoint::of("000000000001.dkr.ecr.ap-northeast-2.amazonaws.com"), ecr);
        assert_eq!(Endpoint::of("000000000001.DKR.ecr.ap-northeast-2.amazonaws.com:443"), ecr);
        for plain in ["127.0.0.1:4566", "localhost", "", "[::1]:4566"] {
            assert_eq!(Endpoint::of(plain), Endpoint::Plain, "{plain}");
        }
        for unknown in ["1.dkr.ecr.ap-northeast-2.amazonaws.com", "000000000001.dkr.ecr.mars-1.amazonaws.com"]
        {
            assert_eq!(Endpoint::of(unknown), Endpoint::NoSuchRegistry, "{unknown}");
        }
    }

    #[test]
    fn a_hostile_host_is_not_repeated() {
        let text = challenge("a\"b", &Endpoint::Plain);
        assert_eq!(text, "Basic realm=\"http://registry/\",service=\"ecr.amazonaws.com\"");
    }
}
