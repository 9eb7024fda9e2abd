//! What this process and its machine use. Linux: from `/proc`; what cannot be read is zero.

use std::path::Path;
use std::time::Instant;

use parking_lot::Mutex;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit};

use crate::bootstrap_checks::Limits;

/// Numbers of one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub resident_bytes: u64,
    pub total_memory_bytes: u64,
    /// Of one processor since the last call, 0 to 100 over all of them.
    pub cpu_percent: u32,
    pub load_average: [f64; 3],
    pub open_file_descriptors: u64,
    pub disk_total_bytes: u64,
    pub disk_free_bytes: u64,
}

/// Measures; `data` tells which disk is meant. Blocks.
pub fn usage(data: &Path) -> Usage {
    Usage {
        resident_bytes: kilobytes("/proc/self/status", "VmRSS:"),
        total_memory_bytes: kilobytes("/proc/meminfo", "MemTotal:"),
        cpu_percent: cpu_percent(),
        load_average: load_average(),
        open_file_descriptors: std::fs::read_dir("/proc/self/fd")
            .map_or(0, |entries| entries.count() as u64),
        disk_total_bytes: fs4::total_space(data).unwrap_or(0),
        disk_free_bytes: fs4::available_space(data).unwrap_or(0),
    }
}

/// Lets this process open as many files as it may at all, as the JVM does, and returns what the operating
/// system lets it have.
pub fn limits() -> Limits {
    let mut files = getrlimit(Resource::Nofile);
    if files.current != files.maximum {
        let raised = Rlimit {
            current: files.maximum,
            maximum: files.maximum,
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => files = raised,
            Err(error) => tracing::debug!(%error, "cannot raise the limit of open files"),
        }
    }
    let map_count = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    Limits {
        user: std::env::var("USER").unwrap_or_else(|_| getuid().as_raw().to_string()),
        open_files: files.current,
        threads: getrlimit(Resource::Nproc).current,
        address_space: getrlimit(Resource::As).current,
        file_size: getrlimit(Resource::Fsize).current,
        map_count: map_count.and_then(|text| text.trim().parse().ok()),
    }
}

/// Returns a number of connections, or fewer: so many that clients and nodes together leave a quarter of the files that
/// this process may open to what must not fail for want of one, the files of indices and the cluster state.
pub fn connections_within(setting: &'static str, wanted: usize, share: Share) -> usize {
    let Some(files) = getrlimit(Resource::Nofile).current else {
        return wanted;
    };
    let bound = most_connections(files, share);
    if wanted > bound {
        tracing::info!(
            "[{setting}] is [{wanted}], and [{bound}] connections are accepted: this process may open [{files}] files"
        );
    }
    wanted.min(bound)
}

/// Whose connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    Clients,
    Nodes,
}

fn most_connections(files: u64, share: Share) -> usize {
    let part = match share {
        Share::Clients => files / 2,
        Share::Nodes => files / 4,
    };
    usize::try_from(part).unwrap_or(usize::MAX).max(1)
}

/// Keeps the memory that this process has now from being swapped out, as Elasticsearch does. The error says why not
/// and what to do.
///
/// Not what it maps later: every index file would then have to stay in memory as a whole, and where the limit is
/// finite no thread could be started any more once it is used up.
pub fn lock_memory() -> Result<(), String> {
    mlockall(MlockAllFlags::CURRENT).map_err(|error| {
        let limit = match getrlimit(Resource::Memlock).current {
            Some(bytes) => format!("[{bytes}] bytes"),
            None => "[unlimited]".to_owned(),
        };
        format!(
            "unable to lock memory: {error}; the limit RLIMIT_MEMLOCK is {limit}. Raise it ([ulimit -l unlimited], or \
             [LimitMEMLOCK=infinity] in the systemd unit), or take out [bootstrap.memory_lock] and disable swap"
        )
    })
}

fn kilobytes(file: &str, label: &str) -> u64 {
    let Ok(text) = std::fs::read_to_string(file) else {
        return 0;
    };
    text.lines()
        .find_map(|line| {
            line.strip_prefix(label)?
                .split_whitespace()
                .next()?
                .parse::<u64>()
                .ok()
        })
        .map_or(0, |kilobytes| kilobytes * 1024)
}

fn load_average() -> [f64; 3] {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut averages = text.split_whitespace().map(|n| n.parse().unwrap_or(0.0));
    std::array::from_fn(|_| averages.next().unwrap_or(0.0))
}

/// Busy seconds of this process since the last call over the seconds that passed.
fn cpu_percent() -> u32 {
    static LAST: Mutex<Option<(Instant, f64)>> = Mutex::new(None);
    let now = (Instant::now(), busy_seconds());
    let before = LAST.lock().replace(now);
    let Some((then, busy)) = before else {
        return 0;
    };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let passed = now.0.duration_since(then).as_secs_f64() * processors as f64;
    if passed <= 0.0 {
        return 0;
    }
    ((now.1 - busy) / passed * 100.0).clamp(0.0, 100.0) as u32
}

/// Fields 14 and 15 of `/proc/self/stat`, in hundredths of a second.
fn busy_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field, in parentheses, may hold spaces.
    let after = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks as f64 / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_something() {
        let usage = usage(Path::new("/"));
        assert!(usage.resident_bytes > 1 << 20);
        assert!(usage.total_memory_bytes > usage.resident_bytes);
        assert!(usage.open_file_descriptors > 2);
        assert!(usage.disk_total_bytes >= usage.disk_free_bytes);
    }

    #[test]
    fn connections_leave_files_to_the_disk() {
        for files in [64, 1024, 65_535] {
            let clients = most_connections(files, Share::Clients);
            let nodes = most_connections(files, Share::Nodes);
            assert!((clients + nodes) as u64 <= files - files / 4, "{files}");
        }
    }

    /// Locks for as long as this process of tests lives only what a test may: a limit below what it has maps is refused.
    #[test]
    #[cfg(target_os = "linux")]
    fn memory_that_cannot_be_locked_is_explained() {
        let before = getrlimit(Resource::Memlock);
        let lowest = Rlimit {
            current: Some(0),
            maximum: before.maximum,
        };
        setrlimit(Resource::Memlock, lowest).unwrap();
        let locked = lock_memory();
        setrlimit(Resource::Memlock, before).unwrap();
        // Whoever has CAP_IPC_LOCK is bound by no limit.
        let explained = |text: &String| {
            text.starts_with("unable to lock memory: ")
                && text.contains("RLIMIT_MEMLOCK is [0] bytes")
        };
        assert!(locked.as_ref().err().is_none_or(explained), "{locked:?}");
        assert_eq!(locked.is_ok(), kilobytes("/proc/self/status", "VmLck:") > 0);
        // Threads start all the same.
        std::thread::spawn(|| vec![1_u8; 8 << 20]).join().unwrap();
    }
}
