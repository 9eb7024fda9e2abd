//! Whether the user that runs the node may read its files, when `doctor` is run by another.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::finding::{Finding, Report};

/// The user of a node: the owner of its data, which only the node writes.
pub(super) struct Owner {
    uid: u32,
    name: String,
    groups: Vec<u32>,
    /// What it owns.
    of: PathBuf,
}

/// Why a user cannot read a file.
struct Hindrance<'a> {
    /// The file, or a directory above it.
    path: &'a Path,
    metadata: Metadata,
}

impl Owner {
    /// Returns the owner of the first directory that is there; `None` if it is whoever asks, or nothing is there.
    pub(super) fn of(directories: &[&Path]) -> Option<Self> {
        let found = |path: &&Path| Some((path.to_path_buf(), std::fs::metadata(path).ok()?));
        let (of, metadata) = directories.iter().find_map(found)?;
        let uid = metadata.uid();
        if uid == rustix::process::geteuid().as_raw() {
            return None;
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
        let (name, own_group) = named(&users, uid);
        let mut groups = groups_of(&groups, &name);
        groups.push(own_group.unwrap_or(metadata.gid()));
        Some(Self {
            uid,
            name,
            groups,
            of,
        })
    }

    /// Notes the files that the user may not read, or not get at.
    pub(super) fn check(&self, files: &[&Path], report: &mut Report) {
        let mut told: Vec<&Path> = Vec::new();
        for file in files {
            let Some(found) = self.hindrance(file) else {
                continue;
            };
            if told.contains(&found.path) {
                continue;
            }
            told.push(found.path);
            let (verb, action) = match found.path == *file {
                true => ("read", format!("`chown {} {}`", self.name, file.display())),
                false => ("enter", format!("`chmod o+x {}`", found.path.display())),
            };
            let message = format!(
                "the user [{}], who owns [{}], may not {verb} [{}] (mode {:o}, of user id [{}]): the node cannot start",
                self.name,
                self.of.display(),
                found.path.display(),
                found.metadata.mode() & 0o7777,
                found.metadata.uid()
            );
            let finding = Finding::error("node_user", message);
            report.add(finding.file(Some(file)).action(action));
        }
    }

    fn hindrance<'a>(&self, file: &'a Path) -> Option<Hindrance<'a>> {
        let mut steps: Vec<&Path> = file.ancestors().collect();
        steps.reverse();
        steps.into_iter().find_map(|path| {
            // What is missing is told of elsewhere.
            let metadata = std::fs::metadata(path).ok()?;
            let wanted = if metadata.is_dir() { EXECUTE } else { READ };
            (!self.may(&metadata, wanted)).then_some(Hindrance { path, metadata })
        })
    }

    fn may(&self, metadata: &Metadata, wanted: u32) -> bool {
        let shift = if metadata.uid() == self.uid {
            6
        } else if self.groups.contains(&metadata.gid()) {
            3
        } else {
            0
        };
        self.uid == 0 || metadata.mode() >> shift & wanted != 0
    }
}

/// Returns the name of a user, or its number, and its group. `users` has the format of passwd(5).
fn named(users: &str, uid: u32) -> (String, Option<u32>) {
    let mut entries = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let entry = entries.find(|entry| entry.get(2).is_some_and(|id| id.parse() == Ok(uid)));
    match entry.as_deref() {
        Some([name, _, _, group, ..]) => ((*name).to_owned(), group.parse().ok()),
        _ => (uid.to_string(), None),
    }
}

/// Returns the groups that list a user. `groups` has the format of group(5).
fn groups_of(groups: &str, name: &str) -> Vec<u32> {
    let entries = groups
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    entries
        .filter_map(|entry| match entry.as_slice() {
            [_, _, id, members] => members
                .split(',')
                .any(|member| member == name)
                .then(|| id.parse().ok())?,
            _ => None,
        })
        .collect()
}

const READ: u32 = 4;
const EXECUTE: u32 = 1;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn names_and_groups_are_read() {
        let users = "root:x:0:0:root:/root:/bin/sh\nes:x:77:88::/nonexistent:/bin/false\n";
        assert_eq!(named(users, 77), ("es".to_owned(), Some(88)));
        assert_eq!(named(users, 9), ("9".to_owned(), None));
        assert_eq!(groups_of("a:x:1:es,b\nc:x:2:\nd:x:3:b,es\n", "es"), [1, 3]);
    }

    #[test]
    fn files_and_directories_stand_in_the_way_of_another_user() {
        let dir = tempfile::tempdir().unwrap();
        let (inner, file) = (dir.path().join("inner"), dir.path().join("inner/key"));
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(&file, "").unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap()
        };
        set(dir.path(), 0o755);
        let stranger = Owner {
            uid: std::fs::metadata(&file).unwrap().uid() + 1,
            name: "es".to_owned(),
            groups: Vec::new(),
            of: dir.path().to_owned(),
        };
        let hindrance = |inner_mode, file_mode| {
            set(&inner, inner_mode);
            set(&file, file_mode);
            stranger.hindrance(&file).map(|found| found.path.to_owned())
        };
        assert_eq!(hindrance(0o755, 0o644), None);
        assert_eq!(hindrance(0o755, 0o640), Some(file.clone()));
        assert_eq!(hindrance(0o750, 0o644), Some(inner.clone()));
        assert!(Owner::of(&[dir.path()]).is_none(), "whoever asks");
    }
}
