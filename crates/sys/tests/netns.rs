//! Real namespaces, made under a temporary folder.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use sys::netns;

struct Folder(PathBuf, #[allow(dead_code, reason = "removed when dropped")] tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self(temp.path().join("netns"), temp)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = netns::delete_all(&self.0);
    }
}

fn own() -> PathBuf {
    std::fs::read_link("/proc/thread-self/ns/net").unwrap()
}

#[test]
fn a_namespace_is_made_entered_and_removed_and_the_caller_stays_where_it_is() {
    let folder = Folder::new();
    let (path, before) = (folder.0.join("one"), own());
    netns::create(&path).unwrap();
    netns::create(&path).unwrap();
    assert!(netns::exists(&path));
    let inside = netns::within(&path, own).unwrap();
    assert_ne!(inside, before);
    assert_eq!(own(), before);
    assert_eq!(netns::within(&path, own).unwrap(), inside);
    assert_eq!(netns::list(&folder.0).unwrap(), std::slice::from_ref(&path));
    netns::delete(&path).unwrap();
    netns::delete(&path).unwrap();
    assert!(!path.exists());
    netns::delete_all(&folder.0).unwrap();
    assert!(sys::mount::under(&folder.0).unwrap().is_empty());
    netns::delete_all(&folder.0).unwrap();
}

#[test]
fn the_same_port_can_be_listened_on_in_two_namespaces() {
    let folder = Folder::new();
    let any = (Ipv4Addr::UNSPECIFIED, 4711);
    let listeners: Vec<TcpListener> = ["a", "b"]
        .map(|name| {
            let path = folder.0.join(name);
            netns::create(&path).unwrap();
            netns::within(&path, || TcpListener::bind(any).unwrap()).unwrap()
        })
        .into();
    assert_eq!(listeners.len(), 2);
}

#[test]
fn a_file_that_a_crash_left_is_no_namespace_and_becomes_one() {
    let folder = Folder::new();
    let path = folder.0.join("half");
    std::fs::create_dir_all(&folder.0).unwrap();
    std::fs::write(&path, "").unwrap();
    assert!(netns::within(&path, || ()).is_err());
    netns::create(&path).unwrap();
    netns::within(&path, || ()).unwrap();
}
