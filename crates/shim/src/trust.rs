//! What a container that trusts the local certificate authority gets: the image's own bundle with that authority behind it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// Where the container finds it.
pub(crate) const BUNDLE: &str = "/etc/landfall/ca-bundle.crt";

/// Its name in the container's folder of files that are mounted.
pub(crate) const FILE: &str = "ca-bundle.crt";

/// The variables by which programs find it: AWS's SDKs and CLI; OpenSSL, Go, curl; Node.js; Python's requests.
pub(crate) const VARIABLES: [&str; 4] =
    ["AWS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"];

/// Where distributions keep their bundle: Debian and Alpine, Fedora and Amazon Linux, SUSE, Alpine without the package.
const IMAGE_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A bundle is 200 KiB; what is far larger is none.
const LARGEST: u64 = 4 << 20;

/// The image's bundle, if it has one, and the authority's certificate (PEM).
///
/// # Errors
/// When the root file system cannot be opened, or its bundle cannot be read.
pub(crate) fn bundle(rootfs: &Path, authority: &str) -> Result<String, String> {
    let root = File::open(rootfs).map_err(|cause| format!("{}: {cause}", rootfs.display()))?;
    for path in IMAGE_BUNDLES {
        if let Some(mut found) = read(&root, path).map_err(|cause| format!("{path}: {cause}"))? {
            if !found.ends_with('\n') {
                found.push('\n');
            }
            return Ok(found + authority);
        }
    }
    Ok(authority.to_owned())
}

/// A text file of the image's. A link leads nowhere but into the root file system; what is no file is none.
fn read(root: &File, path: &str) -> std::io::Result<Option<String>> {
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file: File = match openat2(root, Path::new(path), how) {
        Ok(file) => file.into(),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_own_authorities_stay() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(bundle(folder.path(), "OURS\n").unwrap(), "OURS\n");
        // As Amazon Linux has it: an absolute link, which is one inside the image.
        let kept = folder.path().join("etc/pki/ca-trust");
        std::fs::create_dir_all(&kept).unwrap();
        std::fs::create_dir_all(folder.path().join("etc/pki/tls/certs")).unwrap();
        std::fs::write(kept.join("bundle.pem"), "THEIRS").unwrap();
        std::os::unix::fs::symlink(
            "/etc/pki/ca-trust/bundle.pem",
            folder.path().join("etc/pki/tls/certs/ca-bundle.crt"),
        )
        .unwrap();
        assert_eq!(bundle(folder.path(), "OURS\n").unwrap(), "THEIRS\nOURS\n");
    }

    #[test]
    fn a_link_out_of_the_image_finds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "HOST").unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("etc/ssl")).unwrap();
        std::os::unix::fs::symlink("../../../secret", root.join("etc/ssl/cert.pem")).unwrap();
        assert_eq!(bundle(&root, "OURS\n").unwrap(), "OURS\n");
        std::fs::create_dir_all(root.join("etc/ssl/ca-bundle.pem")).unwrap();
        assert_eq!(bundle(&root, "OURS\n").unwrap(), "OURS\n");
    }
}
