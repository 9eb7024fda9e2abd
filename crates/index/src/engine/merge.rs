//! Segments: what they are, and merging them when somebody asks for it. Otherwise the search library merges by itself.

use tantivy::SegmentMeta;
use tantivy::index::SegmentId;

use super::Shard;
use crate::error::{IndexError, Result};

/// What a merge that was asked for is to reach. Source: Elasticsearch reference, "Force merge API".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeGoal {
    /// No segment has many deleted documents.
    FewDeletes,
    /// At most so many segments; of one, no deleted documents either.
    Segments(usize),
}

/// A segment that searches read. All are in the last commit: a refresh is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Unique in the copy.
    pub id: String,
    pub docs: u64,
    pub deleted_docs: u64,
    /// Of its files.
    pub bytes: u64,
}

impl MergeGoal {
    /// Returns the segments to write anew, each group as one.
    fn groups(self, mut segments: Vec<SegmentMeta>) -> Vec<Vec<SegmentId>> {
        let ids = |segments: &[SegmentMeta]| segments.iter().map(SegmentMeta::id).collect();
        match self {
            Self::FewDeletes => segments
                .iter()
                .filter(|segment| {
                    u64::from(segment.num_deleted_docs()) * 100
                        > u64::from(segment.max_doc()) * EXPUNGED_PERCENT
                })
                .map(|segment| vec![segment.id()])
                .collect(),
            Self::Segments(most) => {
                let most = most.max(1);
                let is_reached = match segments.as_slice() {
                    [one] if most == 1 => one.num_deleted_docs() == 0,
                    several => several.len() <= most,
                };
                if is_reached {
                    return Vec::new();
                }
                segments.sort_by_key(SegmentMeta::num_docs);
                vec![ids(&segments[..=segments.len() - most])]
            }
        }
    }
}

impl Shard {
    /// Merges segments until the goal is reached for what was written before the call. Writes, refreshes and searches
    /// go on meanwhile. Takes as long as writing the segments does.
    ///
    /// # Errors
    /// A file cannot be read or written, or merges of the search library kept taking the segments away.
    pub fn force_merge(&self, goal: MergeGoal) -> Result<()> {
        self.refresh()?;
        let held = self.writer.hold_merges();
        let mut result = Ok(());
        for _ in 0..ATTEMPTS {
            result = self.merge_once(goal);
            if result.is_ok() {
                break;
            }
            self.check()?;
        }
        let _one = self.commit.lock();
        drop(held);
        result
    }

    /// A commit meanwhile drops segments of which all documents are deleted, and then what was to be merged is not there.
    /// None is held off: others wait for it.
    fn merge_once(&self, goal: MergeGoal) -> Result<()> {
        for group in goal.groups(self.segment_metas()?) {
            let merged = {
                // No commit has the writer.
                let _one = self.commit.lock();
                self.writer.start_merge(&group)?
            };
            merged
                .wait()
                .map_err(IndexError::engine("merge segments"))?;
        }
        let _one = self.commit.lock();
        if self.writer.unless_dirty(|| self.versions.begin_refresh()) {
            self.note(self.show_commit())
        } else {
            self.note(self.commit_index())
        }
    }

    /// Returns the segments of the last commit.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>> {
        self.check()?;
        let directory = self.path.join(super::open::INDEX_DIRECTORY);
        let sizes = file_sizes(&directory).map_err(IndexError::io("list directory", directory))?;
        // A file of a segment is named by it.
        let bytes = |id: &str| {
            let own = sizes.iter().filter(|(file, _)| file.starts_with(id));
            own.map(|(_, bytes)| bytes).sum()
        };
        let segments = self.segment_metas()?;
        Ok(segments
            .iter()
            .map(|segment| SegmentInfo {
                id: segment.id().uuid_string(),
                docs: segment.num_docs().into(),
                deleted_docs: segment.num_deleted_docs().into(),
                bytes: bytes(&segment.id().uuid_string()),
            })
            .collect())
    }

    fn segment_metas(&self) -> Result<Vec<SegmentMeta>> {
        self.index
            .searchable_segment_metas()
            .map_err(IndexError::engine("list segments"))
    }

    /// Forgets which documents filters let through.
    pub fn clear_filters(&self) {
        self.filters.clear();
    }
}

/// Returns names and lengths in bytes of the files of a directory.
pub(super) fn file_sizes(directory: &std::path::Path) -> std::io::Result<Vec<(String, u64)>> {
    let mut sizes = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) => {
                let name = entry.file_name().to_string_lossy().into_owned();
                sizes.push((name, metadata.len()));
            }
            // A merge may remove files at any moment.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sizes)
}

/// Returns the version of the search library, `1.2.3`.
pub fn segment_version() -> &'static str {
    let (_, version) = tantivy::version_string()
        .split_once(" v")
        .unwrap_or_default();
    version.split(',').next().unwrap_or_default()
}

/// A merge of the search library that was under way may take a segment away, or a commit.
const ATTEMPTS: usize = 5;

/// Source: Elasticsearch reference, `index.merge.policy.expunge_deletes_allowed`.
const EXPUNGED_PERCENT: u64 = 10;
