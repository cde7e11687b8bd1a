//! Who a container runs as: Docker's rules for `USER`, looked up in the image's own files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// The longest `passwd` or `group` file that is looked at.
const LONGEST: u64 = 1 << 20;

/// A user as the kernel takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// Looks up `name`, `name:group`, `uid` or `uid:gid` in a root file system; empty is root.
pub(crate) fn find(text: &str, rootfs: &Path) -> Result<User, String> {
    lookup(text, &read(rootfs, "etc/passwd")?, &read(rootfs, "etc/group")?)
}

/// Reads a file of an image; a link in it leads nowhere but into the image. Empty when there is none.
fn read(rootfs: &Path, path: &str) -> Result<String, String> {
    let say = |cause: &dyn std::fmt::Display| format!("/{path} of the image: {cause}");
    let root = File::open(rootfs).map_err(|cause| say(&cause))?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = match openat2(&root, path, how) {
        Ok(fd) => File::from(fd),
        Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => return Ok(String::new()),
        Err(errno) => return Err(say(&errno)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(|cause| say(&cause))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn lookup(text: &str, passwd: &str, group: &str) -> Result<User, String> {
    let (user, group_text) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let entries = || passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(|e| e.len() >= 6);
    let by_name = entries().find(|entry| entry[0] == user);
    let entry = by_name.or_else(|| entries().find(|entry| entry[2] == user));
    let uid = match &entry {
        Some(entry) => entry[2].parse().ok(),
        None => user.parse().ok(),
    };
    let Some(uid) = uid.filter(|uid| i32::try_from(*uid).is_ok()) else {
        return Err(format!("unable to find user {user}: no matching entries in passwd file"));
    };
    let groups = || group.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(|e| e.len() >= 3);
    let (gid, groups) = match group_text.filter(|group| !group.is_empty()) {
        Some(wanted) => {
            let named = groups().find(|entry| entry[0] == wanted).and_then(|entry| entry[2].parse().ok());
            let gid = named.or_else(|| wanted.parse().ok());
            let gid = gid
                .ok_or_else(|| format!("unable to find group {wanted}: no matching entries in group file"))?;
            // A group that is named takes the place of those that the user is a member of.
            (gid, Vec::new())
        }
        None => {
            let gid = entry.as_ref().and_then(|entry| entry[3].parse().ok()).unwrap_or(0);
            let name = entry.as_ref().map(|entry| entry[0]);
            let member = |entry: &Vec<&str>| {
                entry.get(3).is_some_and(|list| list.split(',').any(|member| Some(member) == name))
            };
            (gid, groups().filter(member).filter_map(|entry| entry[2].parse().ok()).collect())
        }
    };
    let home = entry.map(|entry| entry[5]).filter(|home| !home.is_empty()).unwrap_or("/");
    Ok(User { uid, gid, groups, home: home.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nnode:x:1001:\naudio:x:29:node,other\n";

    #[track_caller]
    fn check(text: &str, uid: u32, gid: u32, groups: &[u32], home: &str) {
        let want = User { uid, gid, groups: groups.to_vec(), home: home.to_owned() };
        assert_eq!(lookup(text, PASSWD, GROUP), Ok(want), "{text}");
    }

    #[test]
    fn users_are_found_by_docker_s_rules() {
        check("", 0, 0, &[], "/root");
        check("node", 1000, 1001, &[29], "/home/node");
        check("1000", 1000, 1001, &[29], "/home/node");
        check("4711", 4711, 0, &[], "/");
        check("4711:12", 4711, 12, &[], "/");
        check("node:audio", 1000, 29, &[], "/home/node");
    }

    #[test]
    fn unknown_names_are_refused() {
        assert!(lookup("nobody", PASSWD, GROUP).unwrap_err().contains("unable to find user nobody"));
        assert!(lookup("0:staff", PASSWD, GROUP).unwrap_err().contains("unable to find group staff"));
        assert!(lookup("4294967295", PASSWD, GROUP).is_err());
    }

    #[test]
    fn a_link_of_the_image_does_not_lead_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(folder.path().join("secret"), "evil:x:7:7::/:\n").unwrap();
        std::os::unix::fs::symlink("../../secret", root.join("etc/passwd")).unwrap();
        assert!(find("evil", &root).is_err());
    }
}
