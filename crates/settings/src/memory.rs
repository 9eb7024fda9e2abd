//! How much memory this process may use, for sizes that are given as a share of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Returns the memory of the machine in bytes, or less where a control group allows less. Read once.
pub(crate) fn available() -> u64 {
    static AVAILABLE: OnceLock<u64> = OnceLock::new();
    *AVAILABLE.get_or_init(|| read(Path::new("/")))
}

/// Reads the limits below a root directory.
fn read(root: &Path) -> u64 {
    let machine = fs::read_to_string(root.join("proc/meminfo"))
        .ok()
        .and_then(|text| total(&text));
    let limits = groups(root).into_iter().filter_map(|path| {
        // The limit is a number of bytes, or `max`.
        fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
    });
    limits.chain(machine).min().unwrap_or(FALLBACK)
}

/// `MemTotal:       16306432 kB`
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Returns the files that may limit this process: of its own groups (both versions of the interface) and of all
/// groups above them, since the least of the limits counts.
fn groups(root: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut files = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (mount, name) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            "memory" => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let group = Path::new(group.trim_start_matches('/'));
        files.extend(
            group
                .ancestors()
                .map(|above| root.join(mount).join(above).join(name)),
        );
    }
    files
}

/// Where the system says nothing: 1 GiB.
const FALLBACK: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_machine_and_groups_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert_eq!(read(root), FALLBACK);
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "proc/meminfo",
            "MemTotal:        8388608 kB\nMemFree: 1 kB\n",
        );
        assert_eq!(read(root), 8 << 30);

        write("proc/self/cgroup", "0::/system.slice/node.service\n");
        write(
            "sys/fs/cgroup/system.slice/node.service/memory.max",
            "max\n",
        );
        assert_eq!(read(root), 8 << 30);
        write("sys/fs/cgroup/system.slice/memory.max", "4294967296\n");
        assert_eq!(read(root), 4 << 30);

        write("proc/self/cgroup", "3:cpu:/x\n2:memory:/docker/abc\n");
        assert_eq!(read(root), 8 << 30);
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n");
        assert_eq!(read(root), 2 << 30);
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(available() > 64 << 20);
    }
}
