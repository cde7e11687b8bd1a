//! Real mounts, made under a temporary folder.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

use sys::mount::{self, Overlay};

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        for mount in mount::under(&self.0).unwrap_or_default() {
            let _ = mount::unmount(&mount);
        }
    }
}

fn tmpfs(path: &Path) {
    // The temporary folder may itself be an overlay, which cannot hold another one's upper folder.
    nix::mount::mount(Some("tmpfs"), path, Some("tmpfs"), nix::mount::MsFlags::empty(), None::<&str>)
        .unwrap();
}

#[test]
fn an_overlay_shows_its_layers_and_keeps_changes_to_itself() {
    let folder = tempfile::Builder::new().prefix("a:b,c d").tempdir().unwrap();
    let _guard = Unmount(folder.path().to_owned());
    tmpfs(folder.path());
    let at = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    // More layers than plain paths would fit into a page of options.
    let lower: Vec<PathBuf> = (0..60).map(|n| at(&format!("{n:0>80}"))).collect();
    fs::write(lower[59].join("deep"), "deep").unwrap();
    fs::write(lower[59].join("hidden"), "below").unwrap();
    fs::write(lower[0].join("hidden"), "above").unwrap();
    let (upper, work, root) = (at("upper"), at("work"), at("root"));
    mount::overlay(&Overlay { lower: &lower, upper: &upper, work: &work }, &root).unwrap();
    assert!(mount::is_mount_point(&root).unwrap());
    assert_eq!(fs::read_to_string(root.join("deep")).unwrap(), "deep");
    assert_eq!(fs::read_to_string(root.join("hidden")).unwrap(), "above");
    fs::write(root.join("deep"), "changed").unwrap();
    assert_eq!(fs::read_to_string(lower[59].join("deep")).unwrap(), "deep");
    assert_eq!(fs::read_to_string(upper.join("deep")).unwrap(), "changed");

    let shown = at("root/shown");
    mount::bind(&lower[0], &shown, true).unwrap();
    assert!(fs::write(shown.join("new"), "").is_err());
    assert_eq!(mount::under(&root).unwrap(), [shown.clone(), root.clone()]);
    for mount in mount::under(&root).unwrap() {
        mount::unmount(&mount).unwrap();
    }
    mount::unmount(&root).unwrap();
    assert!(mount::under(&root).unwrap().is_empty());
}
