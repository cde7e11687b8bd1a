//! What a request claims about who signed it, and whether that is true.

use std::borrow::Cow;
use std::time::Duration;

use ring::hmac;
use types::Timestamp;

use super::canonical::{Request, canonical_request, decode, hex, parameters, string_to_sign};
use super::claim::{check_signed_headers, incomplete, shown, split_credential, text};
use super::instant::{basic_iso, parse_basic_iso, parse_date_header};
use super::keys::SigningKeys;
use super::refusal::{Family, Refusal};
use super::{ALGORITHM, TERMINATOR, UNSIGNED_PAYLOAD};

/// The longest time for which a request can be presigned: seven days.
const LONGEST_PRESIGNED: u64 = 604_800;

/// Where the signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In the header `Authorization`.
    Header,
    /// In the query, good for so long. None: the sender did not say, and the usual tolerance holds.
    Presigned(Option<Duration>),
}

/// A request's claim. Nothing of it is proved before [`Presented::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented<'a> {
    /// Header or query.
    pub form: Form,
    /// The access key id.
    pub access_key_id: Cow<'a, str>,
    /// The credential scope's day, `YYYYMMDD`.
    pub date: Cow<'a, str>,
    /// The credential scope's region.
    pub region: Cow<'a, str>,
    /// The credential scope's service.
    pub service: Cow<'a, str>,
    /// The names of the signed headers, joined by `;`.
    pub signed_headers: Cow<'a, str>,
    /// When the request was signed.
    pub timestamp: Timestamp,
    /// The token of a role session.
    pub security_token: Option<Cow<'a, str>>,
    signature: [u8; 32],
}

/// The one value of a header. Two are refused: which of them was meant cannot be known.
fn only<'a>(request: Request<'a>, name: &'a str) -> Result<Option<&'a str>, Refusal> {
    let mut values = request.values(name);
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(incomplete(format!("The header '{name}' stands twice in the request.")));
    }
    text(first).map(Some).ok_or_else(|| incomplete(format!("The header '{name}' is not UTF-8 text.")))
}

fn parse_signature(digits: &str) -> Option<[u8; 32]> {
    let mut signature = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in signature.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(signature)
}

impl<'a> Presented<'a> {
    /// Reads a request's claim.
    ///
    /// # Errors
    /// [`Refusal::MissingAuthenticationToken`] when it is not signed, [`Refusal::IncompleteSignature`] when its
    /// signature has not the right form.
    pub fn parse(request: Request<'a>) -> Result<Self, Refusal> {
        let authorization = only(request, "authorization")?;
        let in_query = request.query.contains("X-Amz-")
            && parameters(request.query)
                .any(|(name, _)| matches!(name, "X-Amz-Algorithm" | "X-Amz-Signature"));
        match (authorization, in_query) {
            (Some(_), true) => Err(incomplete(
                "Only one auth mechanism allowed; the request has an Authorization header and X-Amz-* parameters.",
            )),
            (Some(authorization), false) => Self::from_header(request, authorization),
            (None, true) => Self::from_query(request),
            (None, false) => Err(Refusal::MissingAuthenticationToken),
        }
    }

    fn from_header(request: Request<'a>, authorization: &'a str) -> Result<Self, Refusal> {
        let (algorithm, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
        if algorithm != ALGORITHM {
            return Err(incomplete(format!("Unsupported AWS 'algorithm': '{}'.", shown(algorithm))));
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return Err(incomplete(format!(
                    "'{}' not a valid key=value pair (missing equal-sign) in Authorization header.",
                    shown(part)
                )));
            };
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(incomplete(format!(
                    "Authorization header has more than one '{name}' parameter."
                )));
            }
        }
        let amz_date = only(request, "x-amz-date")?;
        let date = if amz_date.is_some() { None } else { only(request, "date")? };
        let mut lacks = String::new();
        for (name, value) in
            [("Credential", credential), ("Signature", signature), ("SignedHeaders", signed_headers)]
        {
            if value.is_none_or(str::is_empty) {
                lacks.push_str(&format!("Authorization header requires '{name}' parameter. "));
            }
        }
        if amz_date.or(date).is_none() {
            lacks.push_str(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
            );
        }
        let (Some(credential), Some(signed_headers), Some(signature), true) =
            (credential, signed_headers, signature, lacks.is_empty())
        else {
            return Err(incomplete(lacks.trim_end()));
        };
        let timestamp = match (amz_date, date) {
            (Some(text), _) => parse_basic_iso(text),
            (None, Some(text)) => parse_date_header(text),
            (None, None) => None,
        };
        let Some(timestamp) = timestamp else {
            return Err(incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601",
                shown(amz_date.or(date).unwrap_or_default())
            )));
        };
        let token = only(request, "x-amz-security-token")?.map(Cow::Borrowed);
        Self::complete(
            request,
            Form::Header,
            &Cow::Borrowed(credential),
            Cow::Borrowed(signed_headers),
            signature,
            timestamp,
            token,
        )
    }

    fn from_query(request: Request<'a>) -> Result<Self, Refusal> {
        let get = |wanted: &str| -> Result<Option<Cow<'a, str>>, Refusal> {
            let mut found = parameters(request.query).filter(|(name, _)| *name == wanted);
            let Some((_, value)) = found.next() else { return Ok(None) };
            if found.next().is_some() {
                return Err(incomplete(format!("AWS query-string parameter '{wanted}' stands twice.")));
            }
            if value.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
                let value = String::from_utf8(decode(value));
                let value = value.map_err(|_| incomplete(format!("'{wanted}' is not UTF-8 text.")))?;
                return Ok(Some(Cow::Owned(value)));
            }
            Ok(Some(Cow::Borrowed(value)))
        };
        let need = |name: &str| {
            get(name)?.filter(|value| !value.is_empty()).ok_or_else(|| {
                incomplete(format!("AWS query-string parameters must include '{name}'. Re-examine the query-string parameters."))
            })
        };
        let algorithm = need("X-Amz-Algorithm")?;
        if algorithm != ALGORITHM {
            return Err(incomplete(format!("Unsupported AWS 'algorithm': '{}'.", shown(&algorithm))));
        }
        let (credential, signature) = (need("X-Amz-Credential")?, need("X-Amz-Signature")?);
        let (signed_headers, date) = (need("X-Amz-SignedHeaders")?, need("X-Amz-Date")?);
        let timestamp = parse_basic_iso(&date).ok_or_else(|| {
            incomplete(format!("X-Amz-Date must be in ISO-8601 'basic format'. Got '{}'.", shown(&date)))
        })?;
        let expires = match get("X-Amz-Expires")? {
            None => None,
            Some(seconds) => match seconds.parse::<u64>() {
                Ok(seconds @ 1..=LONGEST_PRESIGNED) => Some(Duration::from_secs(seconds)),
                _ => {
                    return Err(incomplete(format!(
                        "X-Amz-Expires must be a number of seconds from 1 to {LONGEST_PRESIGNED}."
                    )));
                }
            },
        };
        let token = get("X-Amz-Security-Token")?;
        Self::complete(
            request,
            Form::Presigned(expires),
            &credential,
            signed_headers,
            &signature,
            timestamp,
            token,
        )
    }

    fn complete(
        request: Request<'a>,
        form: Form,
        credential: &Cow<'a, str>,
        signed_headers: Cow<'a, str>,
        signature: &str,
        timestamp: Timestamp,
        security_token: Option<Cow<'a, str>>,
    ) -> Result<Self, Refusal> {
        let [access_key_id, date, region, service, terminator] = split_credential(credential)?;
        if terminator != TERMINATOR {
            return Err(Refusal::Scope(format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'.",
                shown(&terminator)
            )));
        }
        let Some(signature) = parse_signature(signature) else {
            // A signature of another form cannot be the right one.
            return Err(Refusal::SignatureDoesNotMatch);
        };
        check_signed_headers(request, &signed_headers)?;
        Ok(Self {
            form,
            access_key_id,
            date,
            region,
            service,
            signed_headers,
            timestamp,
            security_token,
            signature,
        })
    }

    /// Checks that the credential scope names this service (its signing name) and a region that `is_region` knows.
    ///
    /// # Errors
    /// [`Refusal::Scope`] with AWS's words, "Credential should be scoped to a valid region".
    pub fn check_scope(&self, service: &str, is_region: impl FnOnce(&str) -> bool) -> Result<(), Refusal> {
        let mut faults = String::new();
        if !is_region(&self.region) {
            faults.push_str(&format!(
                "Credential should be scoped to a valid region, not '{}'. ",
                shown(&self.region)
            ));
        }
        if self.service != service {
            faults.push_str(&format!("Credential should be scoped to correct service: '{service}'. "));
        }
        if faults.is_empty() { Ok(()) } else { Err(Refusal::Scope(faults.trim_end().to_owned())) }
    }

    /// Checks the time of the signature against the server's: within the family's tolerance, and a presigned request
    /// within its `X-Amz-Expires`.
    ///
    /// # Errors
    /// [`Refusal::SignatureExpired`], [`Refusal::NotYetCurrent`], [`Refusal::PresignedExpired`], or
    /// [`Refusal::Scope`] when the scope's day is not the signature's.
    pub fn check_time(&self, now: Timestamp, family: Family) -> Result<(), Refusal> {
        let day = basic_iso(self.timestamp);
        if day[..8] != *self.date {
            return Err(Refusal::Scope(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
                 '{}' != '{}', from '{day}'.",
                shown(&self.date),
                &day[..8]
            )));
        }
        let (signed, minutes) = (self.timestamp, family.skew_minutes());
        let age = now.as_millis() - signed.as_millis();
        if age < -minutes * 60_000 {
            return Err(Refusal::NotYetCurrent { signed, now, minutes });
        }
        match self.form {
            Form::Presigned(Some(expires)) => {
                if now > signed.plus(expires) {
                    return Err(Refusal::PresignedExpired);
                }
            }
            Form::Header | Form::Presigned(None) => {
                if age > minutes * 60_000 {
                    return Err(Refusal::SignatureExpired { signed, now, minutes });
                }
            }
        }
        Ok(())
    }

    /// Checks the signature itself, in constant time. `body_sha256` is the hash of the body that came.
    ///
    /// # Errors
    /// [`Refusal::SignatureDoesNotMatch`], or [`Refusal::Payload`] when the body is not the signed one.
    pub fn verify(
        &self,
        request: Request<'_>,
        secret: &str,
        body_sha256: &[u8; 32],
        keys: &SigningKeys,
    ) -> Result<(), Refusal> {
        let payload = self.payload(request, body_sha256)?;
        let mut canonical = Vec::with_capacity(1024);
        canonical_request(&mut canonical, request, &self.signed_headers, &payload);
        let scope = [&*self.date, &*self.region, &*self.service, TERMINATOR].join("/");
        let mut to_sign = Vec::with_capacity(192);
        string_to_sign(&mut to_sign, &basic_iso(self.timestamp), &scope, &canonical);
        let key = keys.get(secret, &self.date, &self.region, &self.service);
        hmac::verify(&key, &to_sign, &self.signature).map_err(|_| Refusal::SignatureDoesNotMatch)
    }

    /// The canonical request's last line: the hash of the body that came.
    fn payload(&self, request: Request<'_>, body_sha256: &[u8; 32]) -> Result<Vec<u8>, Refusal> {
        let mut computed = Vec::with_capacity(64);
        hex(&mut computed, body_sha256);
        let in_header = only(request, "x-amz-content-sha256")?;
        let in_query = match self.form {
            Form::Header => None,
            Form::Presigned(_) => parameters(request.query)
                .find(|(name, _)| *name == "X-Amz-Content-Sha256")
                .map(|(_, value)| value),
        };
        for declared in [in_header, in_query].into_iter().flatten() {
            if declared == UNSIGNED_PAYLOAD && matches!(self.form, Form::Presigned(_)) {
                return Ok(UNSIGNED_PAYLOAD.as_bytes().to_vec());
            }
            if declared == UNSIGNED_PAYLOAD || declared.starts_with("STREAMING-") {
                return Err(Refusal::Payload(format!(
                    "The payload has to be signed: x-amz-content-sha256 '{}' is for Amazon S3 only.",
                    shown(declared)
                )));
            }
            if declared.as_bytes() != computed {
                return Err(Refusal::Payload(
                    "The provided 'x-amz-content-sha256' does not match what was computed.".to_owned(),
                ));
            }
        }
        Ok(computed)
    }
}
