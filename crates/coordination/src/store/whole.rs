//! The file as a whole: made, opened, and written anew after a failed sync.
//!
//! After a failed sync the system may forget that the written pages are not on disk, and the next sync succeeds
//! without them. What the store shows is then written to another file, every page of it, which takes the place of
//! the first once that is on disk.

use std::fs::File;
use std::io;
use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, ReadableTable};
use ringwall_base::fs::sync_dir;

use super::backend::Backend;
use super::{Failure, Inner, LOG, META};

/// Makes an empty store so that a crash at any moment leaves a whole one or none.
pub(super) fn create(inner: &Inner) -> Result<(), Failure> {
    replace(inner, |_| Ok(()))
}

/// Opens the file.
pub(super) fn open(inner: &Inner) -> Result<Database, Failure> {
    open_at(inner, &inner.path, false)
}

/// Opens the file after it failed.
pub(super) fn reopen(inner: &Inner) -> Result<Database, Failure> {
    let database = open(inner)?;
    if !inner.file.sync_failed() {
        return Ok(database);
    }
    replace(inner, |new| copy(&database, new))?;
    drop(database);
    inner.file.forget_failed_sync();
    open(inner)
}

fn open_at(inner: &Inner, path: &Path, create: bool) -> Result<Database, Failure> {
    let backend = Backend::open(path, create, inner.reserve.clone(), inner.file.clone())?;
    Ok(Database::builder().create_with_backend(backend)?)
}

/// Puts a new file, filled by `fill`, in the place of the store.
fn replace(
    inner: &Inner,
    fill: impl FnOnce(&Database) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let path = &inner.path;
    let beside = path.with_extension("new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let database = open_at(inner, &beside, true)?;
    fill(&database)?;
    // Closed again: its content is on disk when this returns.
    database.close()?;
    File::open(&beside)?.sync_all()?;
    std::fs::rename(&beside, path)?;
    sync_dir(path.parent().unwrap_or(path))?;
    Ok(())
}

fn copy(from: &Database, to: &Database) -> Result<(), Failure> {
    let read = from.begin_read()?;
    let mut write = to.begin_write()?;
    write.set_durability(Durability::Immediate)?;
    {
        let mut meta = write.open_table(META)?;
        for item in read.open_table(META)?.iter()? {
            let (key, value) = item?;
            meta.insert(key.value(), value.value())?;
        }
        let mut log = write.open_table(LOG)?;
        for item in read.open_table(LOG)?.iter()? {
            let (index, entry) = item?;
            log.insert(index.value(), entry.value())?;
        }
    }
    write.commit()?;
    Ok(())
}
