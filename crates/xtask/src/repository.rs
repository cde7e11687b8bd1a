//! Where things are in the checkout.

use std::path::{Path, PathBuf};

/// The checkout's first folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or_else(|| here.to_owned(), Path::to_owned)
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The binary of a profile, `debug` or `release`.
pub(crate) fn landfall(profile: &str) -> PathBuf {
    target().join(profile).join("landfall")
}

/// The Python environment of the oracle and of the tests that need an AWS client.
pub(crate) fn python_environment() -> PathBuf {
    target().join("test-python")
}

/// Debian's Redis, unpacked: a test makes an image of it.
pub(crate) fn redis() -> PathBuf {
    target().join("test-redis")
}
