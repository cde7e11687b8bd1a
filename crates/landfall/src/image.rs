//! `landfall image import`.

use std::path::Path;

use registry::import;
use registry::push::{self, Progress, Target};

use crate::client::Client;
use crate::progress::{Show, Steps};
use crate::serve::keys::Keys;
use crate::{status, terminal};

/// Puts an image from an archive or a layout into a repository, which is made if it is not there.
///
/// # Errors
/// When the image cannot be read, or the registry refuses it.
pub fn import(
    state: &Path,
    source: &Path,
    repository: &str,
    region: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let region = types::Region::new(region)?;
    let status = status::ask(state).ok_or_else(|| status::silence(state))?;
    let keys = Keys::load(state)?.ok_or("the state folder has no keys")?;
    let client = Client { endpoint: status.listen, keys, region: region.to_string() };
    let (name, tag) = repository.rsplit_once(':').unwrap_or((repository, "latest"));
    let mut steps = Steps::new(Show::Steps, 2);
    let image = steps.step("read the image", |_| {
        let image = import::open(source, None)?;
        let bytes: u64 = image.blobs.iter().map(|blob| blob.size).sum();
        let words = format!("{} blobs, {} KiB", image.blobs.len(), bytes >> 10);
        Ok::<_, import::ImportError>((image, words))
    })?;
    let body = serde_json::json!({ "repositoryName": name }).to_string();
    if let Err(error) = client.ecr("CreateRepository", &body)
        && !error.to_string().contains("RepositoryAlreadyExistsException")
    {
        return Err(error.into());
    }
    let password = client.registry_password()?;
    let registry = client.endpoint.to_string();
    let target = Target { registry: &registry, repository: name, tag: Some(tag), password: &password };
    let digest = steps.step("push it", |step| {
        let digest = push::push(&image, &target, &mut |progress| {
            if let Progress::Sent { sent, total, .. } = progress {
                step.at(&format!("{} of {} KiB", sent >> 10, total >> 10));
            }
        })?;
        Ok::<_, push::PushError>((digest, String::new()))
    })?;
    terminal::line(&format!("{registry}/{name}:{tag} {digest}"));
    Ok(())
}
