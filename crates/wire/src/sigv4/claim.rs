//! The pieces of a claim: the credential, the list of signed headers.

use std::borrow::Cow;

use super::canonical::{Request, decode, parameters};
use super::refusal::Refusal;

pub(super) fn incomplete(text: impl Into<String>) -> Refusal {
    Refusal::IncompleteSignature(text.into())
}

pub(super) fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(str::trim)
}

/// The region that a request's credential scope names, however wrong the rest of its signature is: for servers that do
/// not verify signatures.
pub fn claimed_region(request: Request<'_>) -> Option<Cow<'_, str>> {
    if let Some(authorization) = request.values("authorization").next().and_then(text) {
        let credential = authorization.split("Credential=").nth(1)?.split([',', ' ']).next()?;
        return credential.split('/').nth(2).map(Cow::Borrowed);
    }
    let (_, value) = parameters(request.query).find(|(name, _)| *name == "X-Amz-Credential")?;
    let credential = String::from_utf8(decode(value)).ok()?;
    credential.split('/').nth(2).map(|region| Cow::Owned(region.to_owned()))
}

/// What a refusal shows of a hostile text: no control characters, no more than a line.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

pub(super) fn split_credential<'a>(credential: &Cow<'a, str>) -> Result<[Cow<'a, str>; 5], Refusal> {
    fn cut(text: &str) -> Option<[&str; 5]> {
        let mut parts = text.split('/');
        let five = [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let fits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
        (parts.next().is_none() && five.iter().all(fits)).then_some(five)
    }
    let refusal = || {
        incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
            shown(credential)
        ))
    };
    match credential {
        Cow::Borrowed(text) => Ok(cut(text).ok_or_else(refusal)?.map(Cow::Borrowed)),
        Cow::Owned(text) => Ok(cut(text).ok_or_else(refusal)?.map(|part| Cow::Owned(part.to_owned()))),
    }
}

/// The list of signed headers is sorted, holds header names only, `host`, and all `x-amz-…` headers of the request:
/// the action of a JSON service stands in `x-amz-target`.
pub(super) fn check_signed_headers(request: Request<'_>, signed: &str) -> Result<(), Refusal> {
    let is_name = |name: &str| {
        let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~:".contains(&b);
        !name.is_empty() && name.bytes().all(token)
    };
    let mut last = "";
    let mut has_host = false;
    for name in signed.split(';') {
        if !is_name(name) || name <= last {
            return Err(incomplete(format!(
                "SignedHeaders must be lower-case header names in order, joined by ';'. Got '{}'.",
                shown(signed)
            )));
        }
        has_host |= name == "host";
        last = name;
    }
    if !has_host {
        return Err(incomplete(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
        ));
    }
    for (name, _) in request.headers {
        let amz = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"));
        // The body's hash proves itself.
        if amz
            && !name.eq_ignore_ascii_case("x-amz-content-sha256")
            && !signed.split(';').any(|signed| signed.eq_ignore_ascii_case(name))
        {
            return Err(incomplete(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")));
        }
    }
    Ok(())
}
