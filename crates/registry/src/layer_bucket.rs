//! Where layers come from inside VPCs: ECR answers a layer's GET with a redirect to a bucket of the region, so that a
//! private subnet needs a way to S3 besides one to ECR ("Amazon ECR interface VPC endpoints", ECR user guide).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::hmac;
use types::Region;

use crate::digest::Digest;

/// How long such an address may be used.
const LIFE: Duration = Duration::from_secs(3600);

/// The name of a region's layer bucket.
pub fn layer_bucket_host(region: &Region) -> String {
    format!("prod-{region}-starport-layer-bucket.s3.{region}.amazonaws.com")
}

/// The region that a layer bucket's host name is of, and an object's ARN there.
pub(crate) fn object(host: &str, path: &str) -> Option<(Region, String)> {
    let (bucket, rest) = host.split_once(".s3.")?;
    let region = Region::new(rest.strip_suffix(".amazonaws.com")?).ok()?;
    Some((region, format!("arn:aws:s3:::{bucket}{path}")))
}

/// Signs and checks addresses in layer buckets. Whoever has such an address may read that one blob until it expires.
pub struct LayerKey(hmac::Key);

impl std::fmt::Debug for LayerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key never reaches a log.
        f.write_str("LayerKey")
    }
}

/// Why an address in a layer bucket is refused, with S3's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("Access Denied")]
    AccessDenied,
    #[error("Request has expired")]
    Expired,
    #[error("The request signature we calculated does not match the signature you provided.")]
    SignatureDoesNotMatch,
}

impl LayerKey {
    /// From 32 secret random bytes. A restart with the same bytes knows the addresses given before.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    fn payload(host: &str, path: &str, expires: u64) -> Vec<u8> {
        format!("landfall-layer\n{host}\n{path}\n{expires}").into_bytes()
    }

    /// The address of a blob in the region's bucket, good for an hour: what GetDownloadUrlForLayer gives too.
    pub fn url(&self, region: &Region, digest: &Digest, now: SystemTime) -> String {
        let (host, path) = (layer_bucket_host(region), format!("/sha256/{}", digest.hex()));
        let expires = seconds(now + LIFE);
        let tag = hmac::sign(&self.0, &Self::payload(&host, &path, expires));
        let signature: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("https://{host}{path}?Expires={expires}&Signature={signature}")
    }

    /// The blob that an address is for, when its signature is right and its time has not passed.
    pub(crate) fn verify(
        &self,
        host: &str,
        path: &str,
        query: &str,
        now: SystemTime,
    ) -> Result<Digest, Refused> {
        let (mut expires, mut signature) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "Expires" => expires = value.parse::<u64>().ok(),
                "Signature" => signature = from_hex(&value),
                _ => {}
            }
        }
        let (expires, signature) = expires.zip(signature).ok_or(Refused::AccessDenied)?;
        hmac::verify(&self.0, &Self::payload(host, path, expires), &signature)
            .map_err(|_| Refused::SignatureDoesNotMatch)?;
        if seconds(now) >= expires {
            return Err(Refused::Expired);
        }
        let hex = path.strip_prefix("/sha256/").ok_or(Refused::AccessDenied)?;
        format!("sha256:{hex}").parse().map_err(|_| Refused::AccessDenied)
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..64).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (String, String, String) {
        let (host, rest) = url.strip_prefix("https://").unwrap().split_once('/').unwrap();
        let (path, query) = rest.split_once('?').unwrap();
        (host.to_owned(), format!("/{path}"), query.to_owned())
    }

    #[test]
    fn an_address_opens_its_blob_for_an_hour_and_nothing_else() {
        let (key, now) = (LayerKey::new(&[7; 32]), SystemTime::now());
        let seoul = Region::new("ap-northeast-2").unwrap();
        let digest = Digest::of(b"layer");
        let (host, path, query) = parts(&key.url(&seoul, &digest, now));
        assert_eq!(host, "prod-ap-northeast-2-starport-layer-bucket.s3.ap-northeast-2.amazonaws.com");
        assert_eq!(key.verify(&host, &path, &query, now), Ok(digest));
        let late = now + LIFE + Duration::from_secs(1);
        assert_eq!(key.verify(&host, &path, &query, late), Err(Refused::Expired));
        let wrong = Err(Refused::SignatureDoesNotMatch);
        let other = format!("/sha256/{}", Digest::of(b"other").hex());
        assert_eq!(key.verify(&host, &other, &query, now), wrong);
        let tokyo = layer_bucket_host(&Region::new("ap-northeast-1").unwrap());
        assert_eq!(key.verify(&tokyo, &path, &query, now), wrong);
        assert_eq!(LayerKey::new(&[8; 32]).verify(&host, &path, &query, now), wrong);
        let later = query.replacen("Expires=", "Expires=9", 1);
        assert_eq!(key.verify(&host, &path, &later, now), wrong);
        for query in ["", "Expires=1", "Expires=x&Signature=zz", &query[..query.len() - 1]] {
            assert_eq!(key.verify(&host, &path, query, now), Err(Refused::AccessDenied), "{query}");
        }
    }
}
