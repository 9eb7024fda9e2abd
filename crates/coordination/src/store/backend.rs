//! The file under redb: its space is allocated before it is written, and what failed is remembered.
//!
//! A file that grew without allocation would fail in the middle of a commit when the disk is full. Here it fails
//! to grow, or takes the space that was set aside for that.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fs4::FileExt;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use ringwall_base::Reserve;

/// What outlives one opening of the file.
#[derive(Default)]
pub(super) struct Shared {
    /// A sync failed: what the file shows may not be on disk, and a later sync would not tell.
    sync_failed: AtomicBool,
    /// Gives the errors of a broken disk, in tests.
    #[cfg(test)]
    pub(super) faults: super::tests::Faults,
}

impl Shared {
    pub(super) fn sync_failed(&self) -> bool {
        self.sync_failed.load(Ordering::Acquire)
    }

    pub(super) fn forget_failed_sync(&self) {
        self.sync_failed.store(false, Ordering::Release);
    }

    #[cfg(test)]
    fn check(&self, operation: &'static str) -> io::Result<()> {
        self.faults.check(operation)
    }

    #[cfg(not(test))]
    #[allow(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "disks fail by themselves"
    )]
    fn check(&self, _: &'static str) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct Backend {
    inner: FileBackend,
    file: File,
    reserve: Arc<Reserve>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").finish_non_exhaustive()
    }
}

impl Backend {
    /// Opens the file; with `create`, a new one.
    pub(super) fn open(
        path: &Path,
        create: bool,
        reserve: Arc<Reserve>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        shared.check("open")?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(create)
            .mode(0o600)
            .open(path)?;
        let inner = FileBackend::new(file.try_clone()?).map_err(io::Error::other)?;
        Ok(Self {
            inner,
            file,
            reserve,
            shared,
        })
    }

    /// Gives a growing file its space, if need be that of the reserve.
    fn allocate(&self, len: u64) -> io::Result<()> {
        let grow = || {
            self.shared.check("grow")?;
            FileExt::allocate(&self.file, len)
        };
        match grow() {
            Err(error) if is_full(&error) && self.reserve.release()? => {
                tracing::warn!(
                    bytes = self.reserve.bytes(),
                    "the disk is full: the space kept for the cluster state is used",
                );
                grow()
            }
            // Some network file systems allocate only what is written.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.file.set_len(len),
            result => result,
        }
    }
}

/// Returns whether an error says that there is no space.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match len > self.inner.len()? {
            true => self.allocate(len),
            false => self.inner.set_len(len),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let result = self
            .shared
            .check("sync")
            .and_then(|()| self.inner.sync_data());
        if result.is_err() {
            self.shared.sync_failed.store(true, Ordering::Release);
        }
        result
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.shared.check("write")?;
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
