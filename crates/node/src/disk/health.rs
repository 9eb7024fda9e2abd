//! Whether the disk answers: a little file is written and synced again and again.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use ringwall_settings::registry::allocation::{
    FS_HEALTH_ENABLED, FS_HEALTH_REFRESH_INTERVAL, FS_HEALTH_SLOW_PATH, FS_HEALTH_TIMEOUT,
};

use crate::live_settings::LiveSettings;

pub(super) struct FsHealth {
    path: PathBuf,
    settings: Arc<LiveSettings>,
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    /// When the check began that is under way.
    begun: Option<Instant>,
    /// What the last one met.
    error: Option<String>,
    is_woken: bool,
}

impl FsHealth {
    pub(super) fn new(path: &Path, settings: Arc<LiveSettings>) -> Self {
        Self {
            path: path.to_owned(),
            settings,
            state: Mutex::default(),
            woken: Condvar::new(),
        }
    }

    /// Returns how long the disk may take to answer; `None` while nobody wants to know.
    pub(super) fn limit(&self) -> Option<Duration> {
        let enabled = self.settings.get(&FS_HEALTH_ENABLED);
        enabled.then(|| self.settings.get(&FS_HEALTH_TIMEOUT).duration())?
    }

    /// Returns what is wrong, if anything is. Source of the text: Elasticsearch reference, "Cluster fault detection".
    pub(super) fn finding(&self, limit: Duration) -> Option<String> {
        let state = self.state.lock();
        let path = self.path.display();
        let late = state.begun.map(|begun| begun.elapsed());
        match (late.filter(|late| *late >= limit), &state.error) {
            (Some(late), _) => Some(format!(
                "health check on [{path}] has not come back for [{}s]",
                late.as_secs()
            )),
            (None, Some(error)) => Some(format!("health check failed on [{path}]: {error}")),
            (None, None) => None,
        }
    }

    /// Checks again and again until it is stopped. Blocks.
    pub(super) fn run(&self, is_stopped: impl Fn() -> bool) {
        let pause = self.settings.get(&FS_HEALTH_REFRESH_INTERVAL).duration();
        while !is_stopped() {
            if self.settings.get(&FS_HEALTH_ENABLED) {
                self.check();
            }
            let mut state = self.state.lock();
            if !state.is_woken {
                self.woken
                    .wait_for(&mut state, pause.unwrap_or(Duration::MAX));
            }
        }
    }

    /// Ends the pause between two checks for good.
    pub(super) fn wake(&self) {
        self.state.lock().is_woken = true;
        self.woken.notify_all();
    }

    fn check(&self) {
        let begun = Instant::now();
        self.state.lock().begun = Some(begun);
        let result = write(&self.path.join(FILE_NAME));
        let took = begun.elapsed();
        let slow = self.settings.get(&FS_HEALTH_SLOW_PATH).duration();
        if slow.is_some_and(|slow| took > slow) {
            tracing::warn!(
                path = %self.path.display(),
                took_ms = took.as_millis() as u64,
                "health check took longer than the warn threshold",
            );
        }
        let error = match result {
            Err(error) if !is_about_room(&error) => Some(error.to_string()),
            _ => None,
        };
        let mut state = self.state.lock();
        state.begun = None;
        if let Some(error) = &error
            && state.error.is_none()
        {
            tracing::error!(path = %self.path.display(), error, "health check failed");
        }
        state.error = error;
    }
}

/// Writes in place: a full disk is no broken one.
fn write(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(CONTENT)?;
    file.sync_all()
}

/// Returns whether an error says nothing about the disk's health: no space, or no file may be opened.
fn is_about_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) || ringwall_base::fs::is_out_of_files(error)
}

const FILE_NAME: &str = ".health";
const CONTENT: &[u8] = b"written to see that the disk answers\n";
