//! The files of the nodes, as they are or as steps that are only planned would leave them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::replacement::NewFile;
use crate::error::CommandError;

/// What is read where a node's file is asked for.
#[derive(Default)]
pub(super) struct Disk {
    planned: BTreeMap<PathBuf, Zeroizing<Vec<u8>>>,
}

impl Disk {
    /// Returns these files and those that a step would write.
    pub(super) fn with(&self, files: &[NewFile]) -> Self {
        let mut planned = self.planned.clone();
        for file in files {
            planned.insert(file.path.clone(), file.content.clone());
        }
        Self { planned }
    }

    /// Returns whether a step that is only planned would write the file.
    pub(super) fn is_planned(&self, path: &Path) -> bool {
        self.planned.contains_key(path)
    }

    /// Reads a file.
    pub(super) fn read(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        if let Some(content) = self.planned.get(path) {
            return Ok(content.clone());
        }
        let content = std::fs::read(path).map_err(|error| CommandError::io(path, &error))?;
        Ok(Zeroizing::new(content))
    }
}
