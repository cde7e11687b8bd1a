use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use proptest::prelude::*;
use tar::{Builder, Header};

use super::*;

/// An entry as a hostile registry may write it: nothing in its names is checked.
fn entry(kind: EntryType, path: &str, link: &str, content: &[u8], mode: u32) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    let old = header.as_old_mut();
    old.name[..path.len()].copy_from_slice(path.as_bytes());
    old.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_uid(12);
    header.set_gid(34);
    header.set_mtime(1_000_000_000);
    if matches!(kind, EntryType::Char | EntryType::Block) {
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    }
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(path: &str, content: &str) -> Vec<u8> {
    entry(EntryType::Regular, path, "", content.as_bytes(), 0o644)
}

fn folder(path: &str) -> Vec<u8> {
    entry(EntryType::Directory, path, "", b"", 0o755)
}

fn symlink(path: &str, target: &str) -> Vec<u8> {
    entry(EntryType::Symlink, path, target, b"", 0o777)
}

fn hard_link(path: &str, target: &str) -> Vec<u8> {
    entry(EntryType::Link, path, target, b"", 0o644)
}

fn stream(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.extend([0; 1024]);
    bytes
}

/// A folder with a root for the layer in it, and a secret beside.
fn nest() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("outer/root");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(folder.path().join("outer/secret"), "secret").unwrap();
    (folder, root)
}

fn unpack(entries: &[Vec<u8>]) -> (tempfile::TempDir, PathBuf, io::Result<Digest>) {
    let (folder, root) = nest();
    let digest = layer(&stream(entries)[..], &root);
    (folder, root, digest)
}

fn opaque(path: &Path) -> bool {
    xattr::get(path, "trusted.overlay.opaque").unwrap().as_deref() == Some(b"y")
}

#[test]
fn everything_about_a_file_is_kept() {
    let entries = [
        folder("./"),
        folder("bin/"),
        entry(EntryType::Regular, "bin/su", "", b"#!", 0o4755),
        symlink("bin/sh", "su"),
        hard_link("bin/sudo", "bin/su"),
        entry(EntryType::Fifo, "pipe", "", b"", 0o600),
        file("deep/down/file", "x"),
    ];
    let (_keep, root, digest) = unpack(&entries);
    assert_eq!(digest.unwrap(), Digest::of(&stream(&entries)));
    let su = std::fs::metadata(root.join("bin/su")).unwrap();
    assert_eq!((su.mode() & 0o7777, su.uid(), su.gid(), su.mtime()), (0o4755, 12, 34, 1_000_000_000));
    assert_eq!(su.ino(), std::fs::metadata(root.join("bin/sudo")).unwrap().ino());
    assert_eq!(std::fs::read_link(root.join("bin/sh")).unwrap(), Path::new("su"));
    assert!(std::fs::symlink_metadata(root.join("pipe")).unwrap().file_type().is_fifo());
    assert_eq!(
        std::fs::metadata(root.join("bin")).unwrap().mtime(),
        1_000_000_000,
        "in spite of what came into it"
    );
    assert_eq!(std::fs::metadata(&root).unwrap().uid(), 12);
    assert_eq!(std::fs::read(root.join("deep/down/file")).unwrap(), b"x");
}

#[test]
fn whiteouts_take_overlayfs_s_form() {
    let (_keep, root, digest) = unpack(&[
        file("etc/.wh.gone", ""),
        folder("var/"),
        file("var/.wh..wh..opq", ""),
        file("x/.wh..wh.plnk", ""),
    ]);
    digest.unwrap();
    let gone = std::fs::symlink_metadata(root.join("etc/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert!(opaque(&root.join("var")) && !opaque(&root.join("etc")));
    assert_eq!(std::fs::read_dir(root.join("var")).unwrap().count(), 0);
    assert!(!root.join("x").exists());
}

#[test]
fn what_a_layer_removes_and_makes_again_is_its_own() {
    for order in [[0, 1], [1, 0]] {
        let entries = [file(".wh.lib", ""), file("lib/new", "new")];
        let (_keep, root, digest) = unpack(&order.map(|index: usize| entries[index].clone()));
        digest.unwrap();
        assert!(opaque(&root.join("lib")), "what lower layers have in it stays hidden");
        assert_eq!(std::fs::read(root.join("lib/new")).unwrap(), b"new");
    }
    let (_keep, root, digest) = unpack(&[file(".wh.app", ""), file("app", "2")]);
    digest.unwrap();
    assert_eq!(std::fs::read(root.join("app")).unwrap(), b"2");
}

#[test]
fn a_later_entry_takes_an_earlier_one_s_place() {
    let entries = [
        file("a/b/c", "1"),
        symlink("a/b", "/"),
        file("a/b", "2"),
        folder("a/b/"),
        file("f", "1"),
        file("f", "2"),
    ];
    let (_keep, root, digest) = unpack(&entries);
    digest.unwrap();
    assert_eq!(std::fs::read_dir(root.join("a/b")).unwrap().count(), 0);
    assert_eq!(std::fs::read(root.join("f")).unwrap(), b"2");
}

#[test]
fn devices_are_left_out() {
    let (_keep, root, digest) = unpack(&[
        entry(EntryType::Char, "null", "", b"", 0o666),
        entry(EntryType::Block, "disk", "", b"", 0o666),
    ]);
    digest.unwrap();
    assert_eq!(std::fs::read_dir(root).unwrap().count(), 0);
}

#[test]
fn attributes_are_kept_but_those_of_overlayfs() {
    let mut tar = Builder::new(Vec::new());
    let capability: &[u8] = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    tar.append_pax_extensions([
        ("SCHILY.xattr.security.capability", capability),
        ("SCHILY.xattr.user.note", b"mine".as_slice()),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc".as_slice()),
    ])
    .unwrap();
    tar.get_mut().write_all(&file("ping", "x")).unwrap();
    let bytes = tar.into_inner().unwrap();
    let (_keep, root) = nest();
    layer(&bytes[..], &root).unwrap();
    let ping = root.join("ping");
    assert_eq!(xattr::get(&ping, "security.capability").unwrap().as_deref(), Some(capability));
    assert_eq!(xattr::get(&ping, "user.note").unwrap().as_deref(), Some(b"mine".as_slice()));
    assert_eq!(xattr::get(&ping, "trusted.overlay.redirect").unwrap(), None);
}

#[test]
fn links_lead_nowhere_but_into_the_layer() {
    // A link to the host's folder, then a file through it: the file lands inside the layer's root.
    let (keep, root, digest) =
        unpack(&[symlink("out", "../.."), file("out/file", "x"), symlink("abs", "/"), file("abs/y", "y")]);
    digest.unwrap();
    assert_eq!(std::fs::read(root.join("file")).unwrap(), b"x");
    assert_eq!(std::fs::read(root.join("y")).unwrap(), b"y");
    assert_eq!(std::fs::read_dir(keep.path()).unwrap().count(), 1);
    for entries in [
        vec![file("../evil", "x")],
        vec![file("a/../../evil", "x")],
        vec![hard_link("mine", "../secret")],
        vec![symlink("out", ".."), hard_link("mine", "out/secret")],
    ] {
        let (_keep, root, digest) = unpack(&entries);
        assert!(digest.is_err(), "{:?}", std::fs::read_dir(root).unwrap().collect::<Vec<_>>());
    }
}

#[test]
fn a_layer_s_end_counts_for_its_digest() {
    let mut bytes = stream(&[file("a", "x")]);
    bytes.extend([7; 3000]);
    let (_keep, root) = nest();
    assert_eq!(layer(&bytes[..], &root).unwrap(), Digest::of(&bytes));
    let (_keep, root) = nest();
    assert!(layer(&bytes[..700], &root).is_err(), "cut off");
}

/// All that is in a folder, but what is in the layer's root.
fn outside(folder: &Path, root: &Path) -> BTreeMap<PathBuf, (u32, u32, i64, Vec<u8>)> {
    let (mut found, mut open) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(path) = open.pop() {
        let stat = std::fs::symlink_metadata(&path).unwrap();
        let content = if stat.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        if path == root {
            continue;
        }
        if stat.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, (stat.mode(), stat.uid(), stat.nlink().try_into().unwrap(), content));
    }
    found
}

fn name() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "..",
        ".",
        "",
        "secret",
        "root",
        ".wh.a",
        ".wh.b",
        ".wh..wh..opq",
        ".wh...",
    ]);
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

fn any_entry() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![
        EntryType::Regular,
        EntryType::Directory,
        EntryType::Symlink,
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Fifo,
        EntryType::Char,
    ]);
    (kind, name(), name(), 0_u32..0o10000).prop_map(|(kind, path, link, mode)| {
        let content: &[u8] = if kind.is_file() { b"evil" } else { b"" };
        entry(kind, &path, &link, content, mode)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_layer_touches_anything_outside_of_its_root(entries in prop::collection::vec(any_entry(), 1..12)) {
        let (folder, root) = nest();
        let before = outside(folder.path(), &root);
        // It may fail; it may not reach out.
        let _ = layer(&stream(&entries)[..], &root);
        prop_assert_eq!(outside(folder.path(), &root), before);
    }
}
