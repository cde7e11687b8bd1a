//! An image: its index, its manifest, its configuration and its layers.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::content::{Digest, Store};
use super::registry::{MANIFEST_LIMIT, Registry};
use super::{BLOB_TRIES, Failure, MANIFEST_TRIES, Pulled, retried};

/// The longest configuration.
const CONFIG_LIMIT: u64 = 4 << 20;
/// As many layers as other engines take.
const LAYERS: usize = 127;

/// What an image says about how to run it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct ImageConfig {
    pub(crate) env: Vec<String>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) user: String,
    pub(crate) working_dir: String,
    pub(crate) stop_signal: String,
    /// Places that the image declares with `VOLUME`.
    #[serde(default)]
    pub(crate) volumes: Vec<String>,
}

impl ImageConfig {
    /// The image's `STOPSIGNAL`: `SIGQUIT`, `QUIT` or `3`; SIGTERM without one.
    pub(crate) fn stop_signal(&self) -> Signal {
        let text = self.stop_signal.trim().to_ascii_uppercase();
        let number = text.parse::<i32>().ok().and_then(|number| Signal::try_from(number).ok());
        let named = || text.parse().or_else(|_| format!("SIG{text}").parse()).ok();
        number.or_else(named).unwrap_or(Signal::SIGTERM)
    }
}

/// A manifest or an index; which one, the fields tell.
#[derive(Deserialize)]
struct Manifest {
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    config: Option<Settings>,
    rootfs: RootFs,
}

/// `null` stands for an empty list in what Docker writes.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Settings {
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    user: Option<String>,
    working_dir: Option<String>,
    stop_signal: Option<String>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// This machine's architecture, as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text)
        .ok_or_else(|| format!("invalid digest {}: only sha256 is supported", text.escape_default()))
}

/// Fetches what is not on disk and unpacks it. Errors come without ECS's name in front.
pub(super) fn pull(
    registry: &Registry<'_>,
    store: &Store,
    image: &desired::ImageReference,
    progress: &dyn Fn(String),
) -> Result<Pulled, String> {
    let get = |reference: &str| {
        // What has an index lead to it need not be resolved.
        let got = retried(MANIFEST_TRIES, || match digest(reference) {
            Ok(_) => registry.manifest(reference),
            Err(_) => registry.manifest(&registry.resolve(reference)?),
        });
        got.map_err(|Failure { why, tries, .. }| {
            format!(
                "pull image manifest has been retried {tries} time(s): failed to resolve ref {}: {why}",
                image.image
            )
        })
    };
    let bytes = get(&image.reference)?;
    let top = Digest::of(&bytes);
    let mut manifest = parse(&bytes)?;
    if let Some(manifests) = manifest.manifests.take() {
        let chosen = choose(&manifests)?;
        manifest = parse(&get(&digest(&chosen.digest)?.to_string())?)?;
    }
    let (Some(config), Some(layers)) = (manifest.config, manifest.layers) else {
        return Err("the image's manifest has no configuration or no layers".to_owned());
    };
    if config.size > CONFIG_LIMIT || layers.len() > LAYERS {
        return Err(format!("the image has {} layers; at most {LAYERS} are supported", layers.len()));
    }
    let fetch = |descriptor: &Descriptor| {
        let digest = digest(&descriptor.digest)?;
        let name = &image.image;
        retried(BLOB_TRIES, || registry.blob(name, &digest, descriptor.size, store)).map_err(|failure| {
            let Failure { why, tries, unreachable } = failure;
            if unreachable {
                format!(
                    "The task cannot pull {name} from the registry {name}. There is a connection issue between the \
                     task and the registry. Check your task network configuration. : {why}"
                )
            } else {
                format!("ref pull has been retried {tries} time(s): {why}")
            }
        })?;
        Ok::<Digest, String>(digest)
    };
    let blob = fetch(&config)?;
    let bytes = std::fs::read(store.path(&blob)).map_err(|cause| format!("read the blob {blob}: {cause}"))?;
    let (config, diff_ids) = settings(&bytes)?;
    if diff_ids.len() != layers.len() {
        return Err(format!("the image has {} layers and {} diff ids", layers.len(), diff_ids.len()));
    }
    for (layer, diff_id) in layers.iter().zip(&diff_ids) {
        let blob = fetch(layer)?;
        progress(format!("layer {blob}, {} bytes", layer.size));
        store.unpack(&blob, diff_id)?;
    }
    let layers = once_each(&diff_ids).into_iter().map(|id| id.hex().to_owned()).collect();
    Ok(Pulled { digest: top.to_string(), config, layers, address: None })
}

/// The layers without those that come again further up: overlayfs refuses a folder twice, and all that the lower one
/// holds is covered by the upper one.
fn once_each(diff_ids: &[Digest]) -> Vec<&Digest> {
    let again = |(index, id): &(usize, &Digest)| !diff_ids[index + 1..].contains(id);
    diff_ids.iter().enumerate().filter(again).map(|(_, id)| id).collect()
}

fn parse(bytes: &[u8]) -> Result<Manifest, String> {
    debug_assert!(bytes.len() as u64 <= MANIFEST_LIMIT);
    serde_json::from_slice(bytes).map_err(|error| format!("the image's manifest cannot be read: {error}"))
}

/// The manifest of an index for this machine.
fn choose(manifests: &[Descriptor]) -> Result<&Descriptor, String> {
    let fits = |descriptor: &&Descriptor| {
        descriptor.platform.as_ref().is_some_and(|p| p.os == "linux" && p.architecture == architecture())
    };
    manifests.iter().find(fits).ok_or_else(|| {
        format!("image Manifest does not contain descriptor matching platform 'linux/{}'", architecture())
    })
}

fn settings(bytes: &[u8]) -> Result<(ImageConfig, Vec<Digest>), String> {
    let file: ConfigFile = serde_json::from_slice(bytes)
        .map_err(|error| format!("the image's configuration cannot be read: {error}"))?;
    let settings = file.config.unwrap_or_default();
    let config = ImageConfig {
        env: settings.env.unwrap_or_default(),
        entrypoint: settings.entrypoint.unwrap_or_default(),
        cmd: settings.cmd.unwrap_or_default(),
        user: settings.user.unwrap_or_default(),
        working_dir: settings.working_dir.unwrap_or_default(),
        stop_signal: settings.stop_signal.unwrap_or_default(),
        volumes: settings.volumes.unwrap_or_default().into_keys().collect(),
    };
    let diff_ids = file.rootfs.diff_ids.iter().map(|text| digest(text)).collect::<Result<_, _>>()?;
    Ok((config, diff_ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_for_this_machine_is_chosen() {
        let index = format!(
            r#"{{"manifests":[
                {{"digest":"sha256:a","size":1,"platform":{{"architecture":"unknown","os":"unknown"}}}},
                {{"digest":"sha256:b","size":1,"platform":{{"architecture":"{}","os":"windows"}}}},
                {{"digest":"sha256:c","size":1,"platform":{{"architecture":"{}","os":"linux"}}}}]}}"#,
            architecture(),
            architecture()
        );
        let manifests = parse(index.as_bytes()).unwrap().manifests.unwrap();
        assert_eq!(choose(&manifests).unwrap().digest, "sha256:c");
        assert!(choose(&manifests[..2]).is_err_and(|why| why.contains("matching platform 'linux/")));
    }

    #[test]
    fn docker_s_nulls_are_empty_lists() {
        let id = Digest::of(b"layer");
        let bytes = format!(
            r#"{{"architecture":"amd64","config":{{"Env":["A=b"],"Cmd":null,"Entrypoint":["/app"],"User":"7"}},
                "rootfs":{{"type":"layers","diff_ids":["{id}"]}}}}"#
        );
        let (config, ids) = settings(bytes.as_bytes()).unwrap();
        assert_eq!((config.entrypoint, config.cmd, ids), (vec!["/app".to_owned()], vec![], vec![id]));
        assert!(settings(br#"{"rootfs":{"diff_ids":["../../x"]}}"#).is_err());
    }

    #[test]
    fn stop_signals_are_names_or_numbers() {
        let signal =
            |text: &str| ImageConfig { stop_signal: text.to_owned(), ..Default::default() }.stop_signal();
        assert_eq!(["SIGQUIT", "quit", "3"].map(signal), [Signal::SIGQUIT; 3]);
        assert_eq!(["", "SIGNONE", "0"].map(signal), [Signal::SIGTERM; 3]);
    }
}
