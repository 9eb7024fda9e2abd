//! Events on their way to the disk: a bounded queue and a thread of its own, so that no request ever waits for the disk.
//! What the queue cannot take while the disk takes nothing is counted, and the count is written.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};
use ringwall_api::nodes::AuditStats;
use ringwall_security::audit::AuditSink;
use tokio::sync::watch;

use super::file::{AuditFile, Rotation, day_of};

/// Bounds, which may change at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub rotation: Rotation,
    /// Bytes of events that wait for the disk.
    pub queue: usize,
    /// Whether requests are refused rather than events lost.
    pub refuse_when_full: bool,
}

/// The audit log of a node.
pub struct AuditLog {
    shared: Arc<Shared>,
    ended: watch::Receiver<bool>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    /// Each with its moment.
    lines: VecDeque<(Timestamp, String)>,
    /// Of the lines, and of those that are being written.
    bytes: usize,
    limits: Limits,
    /// No line has an earlier moment than the one before it.
    last: Timestamp,
    /// Those that no line tells of yet.
    untold: Option<Lost>,
    stats: AuditStats,
    closing: Closing,
}

#[derive(Debug, Clone, Copy)]
struct Lost {
    count: u64,
    from: Timestamp,
    to: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    /// Write what is there.
    Finish,
    /// Write nothing more.
    Abandon,
}

impl AuditLog {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(file: AuditFile, limits: Limits) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                lines: VecDeque::new(),
                bytes: 0,
                limits,
                last: Timestamp::UNIX_EPOCH,
                untold: None,
                stats: AuditStats::default(),
                closing: Closing::No,
            }),
            wake: Condvar::new(),
        });
        let (end, ended) = watch::channel(false);
        let writer = Writer {
            shared: Arc::clone(&shared),
            file,
            unsynced: None,
            unsynced_events: 0,
        };
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                writer.run();
                end.send_replace(true);
            })?;
        Ok(Self { shared, ended })
    }

    /// Takes over other bounds.
    pub fn set_limits(&self, limits: Limits) {
        self.shared.state.lock().limits = limits;
    }

    pub fn stats(&self) -> AuditStats {
        let state = self.shared.state.lock();
        AuditStats {
            queued_bytes: state.bytes as u64,
            ..state.stats.clone()
        }
    }

    /// Writes what waits, and ends; for no longer than the disk is given.
    pub async fn close(&self) {
        self.shared.close(Closing::Finish);
        let mut ended = self.ended.clone();
        let finished = tokio::time::timeout(CLOSE_WAIT, ended.wait_for(|ended| *ended)).await;
        if finished.is_err() {
            self.shared.close(Closing::Abandon);
            tracing::error!(
                "the disk took no more events of the audit log; those that waited are lost"
            );
        }
    }

    /// Ends without writing anything more, as a node that is killed.
    pub fn abandon(&self) {
        self.shared.close(Closing::Abandon);
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl AuditSink for AuditLog {
    fn take(&self, members: String) {
        let mut state = self.shared.state.lock();
        state.last = state.last.max(Timestamp::now());
        let at = state.last;
        let line = written(at, &members);
        if state.bytes + line.len() > state.limits.queue {
            state.lose(1);
            return;
        }
        state.tell_lost();
        state.push(at, line);
        drop(state);
        self.shared.wake.notify_one();
    }

    fn refuses(&self) -> bool {
        let state = self.shared.state.lock();
        // The half that is left is for requests under way.
        state.limits.refuse_when_full && state.bytes > state.limits.queue / 2
    }
}

impl Shared {
    fn close(&self, how: Closing) {
        let mut state = self.state.lock();
        if state.closing != Closing::Abandon {
            state.closing = how;
        }
        drop(state);
        self.wake.notify_one();
    }
}

impl State {
    fn push(&mut self, at: Timestamp, line: String) {
        self.bytes += line.len();
        self.lines.push_back((at, line));
    }

    /// Counts events as lost, now.
    fn lose(&mut self, count: u64) {
        let at = self.last;
        self.stats.lost += count;
        let lost = self.untold.get_or_insert(Lost {
            count: 0,
            from: at,
            to: at,
        });
        (lost.count, lost.to) = (lost.count + count, at);
    }

    /// Puts a line about what was lost where it was lost.
    fn tell_lost(&mut self) {
        if let Some(lost) = self.untold.take() {
            let members = format!(
                ",\"event.type\":\"audit_trail\",\"event.action\":\"events_lost\",\"lost.count\":{},\"lost.from\":\"{}\",\
                 \"lost.to\":\"{}\"",
                lost.count,
                shown(lost.from),
                shown(lost.to)
            );
            self.push(self.last, written(self.last, &members));
        }
    }
}

/// Returns a line with its end.
fn written(at: Timestamp, members: &str) -> String {
    format!(
        "{{\"type\":\"audit\",\"timestamp\":\"{}\"{members}}}\n",
        shown(at)
    )
}

/// Returns a moment as Elasticsearch writes it: `2026-01-31T12:00:00,123+0000`.
pub fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S,%3f+0000").to_string()
}

/// Returns the moment of a text as [`shown`] makes it.
pub fn read(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.strip_suffix("+0000")?.split_once(',')?;
    format!("{whole}.{fraction}Z").parse().ok()
}

struct Writer {
    shared: Arc<Shared>,
    file: AuditFile,
    /// Since when something written may not be on the disk, and how many events.
    unsynced: Option<Instant>,
    unsynced_events: u64,
}

type Batch = Vec<(Timestamp, String)>;

impl Writer {
    fn run(mut self) {
        while let Some(batch) = self.next() {
            for lines in batch.chunk_by(|a, b| day_of(a.0) == day_of(b.0)) {
                if !self.write(lines) {
                    return;
                }
            }
        }
        if self.shared.state.lock().closing == Closing::Finish {
            self.sync();
        }
    }

    /// Waits for lines; `None` when there will be no more.
    fn next(&mut self) -> Option<Batch> {
        loop {
            let mut state = self.shared.state.lock();
            if state.closing == Closing::Abandon {
                return None;
            }
            state.tell_lost();
            if !state.lines.is_empty() {
                let mut taken = 0;
                let mut batch = Vec::new();
                while taken < MAX_BATCH
                    && let Some(line) = state.lines.pop_front()
                {
                    taken += line.1.len();
                    batch.push(line);
                }
                return Some(batch);
            }
            if state.closing != Closing::No {
                return None;
            }
            match self.unsynced {
                None => self.shared.wake.wait(&mut state),
                Some(since) => {
                    let left = SYNC_INTERVAL.saturating_sub(since.elapsed());
                    let is_due =
                        left.is_zero() || self.shared.wake.wait_for(&mut state, left).timed_out();
                    drop(state);
                    if is_due {
                        self.sync();
                    }
                }
            }
        }
    }

    /// Writes lines of one day, again and again until the disk takes them. Returns whether it did.
    fn write(&mut self, lines: &[(Timestamp, String)]) -> bool {
        let Some((at, _)) = lines.first() else {
            return true;
        };
        let text: String = lines.iter().map(|(_, line)| line.as_str()).collect();
        loop {
            let (rotation, closing) = {
                let state = self.shared.state.lock();
                (state.limits.rotation, state.closing)
            };
            if closing == Closing::Abandon {
                return false;
            }
            match self.file.append(*at, text.as_bytes(), rotation) {
                Ok(()) => break,
                Err(error) => self.failed(&error),
            }
            let mut state = self.shared.state.lock();
            if state.closing != Closing::Abandon {
                self.shared.wake.wait_for(&mut state, RETRY_AFTER);
            }
        }
        let recovered = {
            let mut state = self.shared.state.lock();
            state.bytes -= text.len();
            state.stats.written += lines.len() as u64;
            state.stats.failure.take()
        };
        if recovered.is_some() {
            let lost = self.shared.state.lock().stats.lost;
            tracing::info!(
                "the audit log is written again; [{lost}] events were lost since the start"
            );
        }
        self.unsynced_events += lines.len() as u64;
        self.unsynced.get_or_insert_with(Instant::now);
        if self
            .unsynced
            .is_some_and(|since| since.elapsed() >= SYNC_INTERVAL)
        {
            self.sync();
        }
        true
    }

    /// What a disk says that it has not kept counts as lost: nobody knows.
    fn sync(&mut self) {
        self.unsynced = None;
        let events = std::mem::take(&mut self.unsynced_events);
        if let Err(error) = self.file.sync() {
            self.failed(&error);
            let mut state = self.shared.state.lock();
            state.stats.written -= events;
            state.lose(events);
        }
    }

    fn failed(&self, error: &io::Error) {
        let path = self.file.path();
        let reason = format!("cannot write [{}]: {error}", path.display());
        let mut state = self.shared.state.lock();
        let is_new = state.stats.failure.is_none();
        state.stats.failure = Some(reason.clone());
        drop(state);
        if is_new {
            tracing::error!(
                "{reason}; events of the audit log wait in memory, up to \
                 [xpack.security.audit.logfile.queue.size]: make room on the disk"
            );
        }
    }
}

/// Bytes that are written at once.
const MAX_BATCH: usize = 1 << 20;
/// How long what is written may be in memory of the system only.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How long the end of a node waits for the disk.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const LIMITS: Limits = Limits {
        rotation: Rotation {
            max_bytes: 1 << 20,
            max_files: 2,
        },
        queue: 400,
        refuse_when_full: false,
    };

    fn started(directory: &Path, limits: Limits) -> AuditLog {
        let file = AuditFile::new(directory.to_owned(), "c".to_owned());
        AuditLog::start(file, limits).unwrap()
    }

    fn lines(directory: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(directory.join("c_audit.json")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn moments_are_read_as_they_are_written() {
        let at: Timestamp = "2026-01-31T12:00:00.123Z".parse().unwrap();
        assert_eq!(shown(at), "2026-01-31T12:00:00,123+0000");
        assert_eq!(read(&shown(at)), Some(at));
        assert_eq!(read("yesterday"), None);
    }

    #[tokio::test]
    async fn events_are_written_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits {
            queue: 1 << 20,
            ..LIMITS
        };
        let log = started(directory.path(), limits);
        for number in 0..500 {
            log.take(format!(",\"n\":{number}"));
        }
        log.close().await;
        let numbers: Vec<u64> = lines(directory.path())
            .iter()
            .map(|line| line["n"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (0..500).collect::<Vec<_>>());
        assert_eq!(log.stats().written, 500);
    }

    /// A directory stands where the file should be: the disk takes nothing.
    fn broken(directory: &Path) -> std::path::PathBuf {
        let place = directory.join("c_audit.json");
        std::fs::create_dir(&place).unwrap();
        place
    }

    fn until(what: impl Fn() -> bool) {
        while !what() {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn what_a_disk_does_not_take_waits_and_what_is_lost_is_counted_and_told() {
        let directory = tempfile::tempdir().unwrap();
        let place = broken(directory.path());
        let log = started(directory.path(), LIMITS);
        log.take(",\"n\":0".to_owned());
        until(|| log.stats().failure.is_some());
        for number in 1..50 {
            log.take(format!(",\"n\":{number}"));
        }
        let status = log.stats();
        assert!(status.lost > 0 && status.written == 0, "{status:?}");
        assert!(status.queued_bytes <= 400, "{status:?}");
        std::fs::remove_dir(place).unwrap();
        until(|| log.stats().failure.is_none() && log.stats().queued_bytes == 0);
        log.take(",\"n\":50".to_owned());
        log.close().await;
        let lines = lines(directory.path());
        let told: Vec<u64> = lines
            .iter()
            .filter_map(|line| line["lost.count"].as_u64())
            .collect();
        assert_eq!(told, [status.lost]);
        let events = lines.iter().filter(|line| line["n"].is_u64()).count() as u64;
        // Each is there, or counted.
        assert_eq!(events + status.lost, 51);
        assert_eq!(lines.last().unwrap()["n"], 50);
    }

    #[tokio::test]
    async fn requests_are_refused_where_no_event_may_be_lost() {
        let directory = tempfile::tempdir().unwrap();
        let place = broken(directory.path());
        let limits = Limits {
            refuse_when_full: true,
            ..LIMITS
        };
        let log = started(directory.path(), limits);
        assert!(!log.refuses());
        for number in 0..4 {
            log.take(format!(",\"n\":{number}"));
        }
        assert!(log.refuses());
        std::fs::remove_dir(place).unwrap();
        until(|| !log.refuses());
        log.close().await;
        assert_eq!(lines(directory.path()).len(), 4);
    }
}
