//! This node's disk: how full it is, and whether it answers.
//!
//! A thread of its own measures, so that a disk that hangs holds up nothing else, and sees to the reserve: a file that
//! is removed when everything else is used up, so that copies can still be opened and what was acknowledged be
//! committed. Another thread writes a little file now and then, as Elasticsearch's `FsHealthService` does.

mod health;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::Reserve;
use ringwall_cluster::{Change, DiskLevel};
use ringwall_settings::Watermarks;
use ringwall_settings::registry::allocation::{DISK_THRESHOLD_ENABLED, INFO_UPDATE_INTERVAL};
use tokio_util::sync::CancellationToken;

use crate::live_settings::LiveSettings;
use crate::services::Services;
use health::FsHealth;

/// The disk that the data path lies on.
pub struct Disk {
    path: PathBuf,
    settings: Arc<LiveSettings>,
    reserve: Reserve,
    is_reserve_held: AtomicBool,
    total: AtomicU64,
    free: AtomicU64,
    /// When it was last measured.
    measured: Mutex<Instant>,
    health: FsHealth,
    stopped: AtomicBool,
}

/// Space on a disk in bytes. The reserve counts as used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Space {
    total: u64,
    free: u64,
}

impl Disk {
    /// Measures, sets the reserve aside, and goes on measuring until [`Disk::stop`]. Blocks.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn watch(path: &Path, settings: Arc<LiveSettings>) -> io::Result<Arc<Self>> {
        let total = fs4::total_space(path).unwrap_or(0);
        let bytes = (total / RESERVE_SHARE).clamp(LEAST_RESERVE, MOST_RESERVE);
        let disk = Arc::new(Self {
            path: path.to_owned(),
            reserve: Reserve::at(path.join(RESERVE_NAME), bytes),
            is_reserve_held: AtomicBool::new(false),
            total: AtomicU64::new(total),
            free: AtomicU64::new(u64::MAX),
            measured: Mutex::new(Instant::now()),
            health: FsHealth::new(path, settings.clone()),
            stopped: AtomicBool::new(false),
            settings,
        });
        disk.look();
        let watched = disk.clone();
        spawn("disk-watch", move || {
            while !watched.stopped.load(Ordering::Acquire) {
                std::thread::sleep(LOOK_EVERY);
                watched.look();
            }
        })?;
        let checked = disk.clone();
        spawn("fs-health", move || {
            checked
                .health
                .run(|| checked.stopped.load(Ordering::Acquire));
        })?;
        Ok(disk)
    }

    /// Ends the measuring. Does not wait for a disk that does not answer.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.health.wake();
    }

    /// Refuses a write to an index where the disk is above the flood stage, or nearly full. Blocks.
    ///
    /// # Errors
    /// `cluster_block_exception` (429), as when the master has blocked the index.
    pub fn check_room(&self, index: &str) -> ApiResult<()> {
        let space = self.measure();
        let is_flooded = self.level_of(space) == DiskLevel::Flood;
        match is_flooded || space.free < self.last_room() {
            true => Err(full(Some(index))),
            false => Ok(()),
        }
    }

    /// Refuses what a nearly full disk may not take. Blocks.
    ///
    /// # Errors
    /// As [`Disk::check_room`].
    pub fn check_last_room(&self) -> ApiResult<()> {
        match self.measure().free < self.last_room() {
            true => Err(full(None)),
            false => Ok(()),
        }
    }

    /// Returns whether nothing at all should be begun that writes, as of the last look.
    pub fn is_exhausted(&self) -> bool {
        let held = self.is_reserve_held.load(Ordering::Acquire);
        let free = self.free.load(Ordering::Acquire);
        !held && free < self.last_room()
    }

    /// Returns how full the disk is by the watermarks, as of the last look.
    pub fn level(&self) -> DiskLevel {
        let free = self.free.load(Ordering::Acquire);
        self.level_of(Space {
            total: self.total.load(Ordering::Acquire),
            free: self.without_reserve(free),
        })
    }

    /// Returns the free bytes below which the disk is above `low`, `high` and `flood_stage`; `None` where they do not
    /// count.
    pub fn watermarks(&self) -> Option<[u64; 3]> {
        let total = self.total.load(Ordering::Acquire);
        let settings = self.settings.current();
        if !settings.get(&DISK_THRESHOLD_ENABLED) {
            return None;
        }
        let marks = Watermarks::of(&settings).ok()?;
        Some([marks.low, marks.high, marks.flood_stage].map(|mark| mark.least_free(total)))
    }

    /// Returns why the node must not be relied on, if it must not. `stalled` is since when the disk holds up the
    /// cluster state.
    pub fn unhealthy(&self, stalled: Option<Duration>) -> Option<String> {
        let limit = self.health.limit()?;
        let measured = self.measured.lock().elapsed();
        let late = [Some(measured), stalled].into_iter().flatten().max();
        let path = self.path.display();
        match late.filter(|late| *late >= limit) {
            Some(late) => Some(format!(
                "the disk of [{path}] has not answered for [{}s]",
                late.as_secs()
            )),
            None => self.health.finding(limit),
        }
    }

    /// Measures, and sees to the reserve.
    fn look(&self) {
        let total = fs4::total_space(&self.path);
        let free = fs4::available_space(&self.path);
        let (Ok(total), Ok(free)) = (total, free) else {
            // The health check tells.
            return;
        };
        *self.measured.lock() = Instant::now();
        self.total.store(total, Ordering::Release);
        let held = self.reserve.is_held();
        let changed = match (held, free < self.last_room()) {
            (true, true) => self.reserve.release().map(|_| false),
            (false, false) => self.reserve.hold(),
            (held, _) => Ok(held),
        };
        let held_now = match changed {
            Ok(held_now) => held_now,
            Err(error) => {
                tracing::debug!(%error, "the reserve cannot be changed");
                self.reserve.is_held()
            }
        };
        if held && !held_now {
            tracing::warn!(
                bytes = self.reserve.bytes(),
                path = %self.path.display(),
                "the disk is full: the reserve is used for what must be finished; make room",
            );
        }
        self.is_reserve_held.store(held_now, Ordering::Release);
        let free = match held == held_now {
            true => free,
            false => fs4::available_space(&self.path).unwrap_or(free),
        };
        self.free.store(free, Ordering::Release);
    }

    fn measure(&self) -> Space {
        let free =
            fs4::available_space(&self.path).unwrap_or_else(|_| self.free.load(Ordering::Acquire));
        Space {
            total: self.total.load(Ordering::Acquire),
            free: self.without_reserve(free),
        }
    }

    fn without_reserve(&self, free: u64) -> u64 {
        match self.is_reserve_held.load(Ordering::Acquire) {
            true => free,
            false => free.saturating_sub(self.reserve.bytes()),
        }
    }

    fn level_of(&self, space: Space) -> DiskLevel {
        let settings = self.settings.current();
        if !settings.get(&DISK_THRESHOLD_ENABLED) || space.total == 0 {
            return DiskLevel::Enough;
        }
        // Contradicting ones are refused when they are set.
        let Ok(marks) = Watermarks::of(&settings) else {
            return DiskLevel::Enough;
        };
        let is_above = |mark: ringwall_settings::Bound| space.free < mark.least_free(space.total);
        match () {
            () if is_above(marks.flood_stage) => DiskLevel::Flood,
            () if is_above(marks.high) => DiskLevel::High,
            () if is_above(marks.low) => DiskLevel::Low,
            () => DiskLevel::Enough,
        }
    }

    /// What is left for requests under way when the last is let in.
    fn last_room(&self) -> u64 {
        self.reserve.bytes() / 4
    }
}

/// Tells the master how full the disk is, and everybody whether the node can be relied on; until the node stops.
pub async fn follow(services: Arc<Services>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TELL_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told_less = Instant::now();
    let mut marks = services.disk.watermarks();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let stalled = services.coordination.stalled().map(|(lasting, _)| lasting);
        let unhealthy = services.disk.unhealthy(stalled);
        services.coordination.set_unhealthy(unhealthy);
        let told = services.cluster.state().disk_level(services.local_node());
        let level = services.disk.level();
        let interval = services.settings.get(&INFO_UPDATE_INTERVAL).duration();
        // What an operator changes counts at once.
        let is_changed = marks != services.disk.watermarks();
        let is_time = interval.is_none_or(|interval| told_less.elapsed() >= interval);
        if level == told {
            marks = services.disk.watermarks();
            continue;
        }
        if !(level > told || is_changed || is_time) {
            continue;
        }
        told_less = Instant::now();
        tell(&services, level).await;
    }
}

async fn tell(services: &Services, level: DiskLevel) {
    let local = services.transport.local();
    let path = services.shards.root().display().to_string();
    match level {
        DiskLevel::Enough => tracing::info!(path, "the disk has enough room again"),
        DiskLevel::Low => {
            tracing::info!(
                path,
                "low disk watermark exceeded: replicas will not be assigned to this node"
            );
        }
        DiskLevel::High => {
            tracing::warn!(
                path,
                "high disk watermark exceeded: no shards will be assigned to this node"
            );
        }
        DiskLevel::Flood => tracing::warn!(
            path,
            "flood stage disk watermark exceeded: all indices on this node will be marked read-only",
        ),
    }
    let change = Change::DiskLevel {
        node: local.id,
        ephemeral_id: local.ephemeral_id.clone(),
        level,
    };
    if let Err(error) = services.cluster.submit(change, TELL_TIMEOUT).await {
        tracing::debug!(%error, "the disk's level is not told yet");
    }
}

fn full(index: Option<&str>) -> ApiError {
    const TEXT: &str = "blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has \
                        read-only-allow-delete block];";
    let reason = match index {
        Some(index) => format!("index [{index}] {TEXT}"),
        None => TEXT.to_owned(),
    };
    ApiError::new(ErrorCode::ClusterBlock, reason).with_status(429)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(work).map(drop)
}

const RESERVE_NAME: &str = "reserve";
/// Of the disk, within bounds.
const RESERVE_SHARE: u64 = 64;
const LEAST_RESERVE: u64 = 4 << 20;
const MOST_RESERVE: u64 = 64 << 20;
const LOOK_EVERY: Duration = Duration::from_millis(100);
const TELL_EVERY: Duration = Duration::from_millis(250);
const TELL_TIMEOUT: Duration = Duration::from_secs(5);
