//! Why a shard copy could not do what was asked.

use std::path::PathBuf;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{SeqNo, Term};

/// A failure of one shard copy.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IndexError {
    /// The request is at fault; the copy is fine.
    #[error("{0}")]
    Request(Box<ApiError>),
    /// A file operation failed. The copy refuses everything from here on.
    #[error("cannot {action} [{path}]: {reason}")]
    Io {
        action: &'static str,
        path: PathBuf,
        reason: String,
    },
    /// A file holds something that was never written there.
    #[error("[{path}] is corrupted at byte {offset}: {reason}")]
    Corrupted {
        path: PathBuf,
        offset: u64,
        reason: String,
    },
    /// The translog ends before what was once synced: acknowledged operations may be gone from this copy.
    #[error(
        "[{path}] has lost its end: {had} bytes were synced, {has} are left, and operations up to [{up_to}] may be \
         missing. Another copy may have them; `POST /_cluster/reroute` with `allocate_stale_primary` and \
         `accept_data_loss` goes on without them"
    )]
    LostTail {
        path: PathBuf,
        had: u64,
        has: u64,
        up_to: SeqNo,
    },
    /// The search library reported a failure.
    #[error("the search index failed to {action}: {reason}")]
    Engine {
        action: &'static str,
        reason: String,
    },
    /// An earlier failure stopped the copy; it must be failed and recovered.
    #[error("the shard copy is stopped after an earlier failure: {0}")]
    Stopped(String),
    /// The sender acts for a primary that has been replaced.
    #[error("operation primary term [{got}] is too old (current [{current}])")]
    StalePrimary { got: Term, current: Term },
    /// Two primaries gave the same sequence number to different operations; this copy holds the
    /// one that lost and must be rebuilt from the primary.
    #[error(
        "operation [{seq_no}] of term [{got}] conflicts with the one held of term [{held}]: \
         recover this copy from the primary"
    )]
    Diverged {
        seq_no: SeqNo,
        held: Term,
        got: Term,
    },
    /// The mapping at hand lacks fields of the document; retry once it has caught up.
    #[error("the mapping lacks fields of document [{id}]")]
    MappingBehind { id: String },
    /// Operations that were asked for are gone from the translog; recover by files.
    #[error("operations from [{wanted}] on are no longer kept: the first kept is [{retained}]")]
    NotRetained { wanted: SeqNo, retained: SeqNo },
    /// Files received during recovery are not those that were announced.
    #[error("recovery of file [{file}] failed: {reason}")]
    Recovery { file: String, reason: String },
}

impl IndexError {
    /// Returns whether the copy must be failed, as opposed to the one request.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Request(_)
            | Self::StalePrimary { .. }
            | Self::MappingBehind { .. }
            | Self::NotRetained { .. } => false,
            Self::Io { .. }
            | Self::Corrupted { .. }
            | Self::LostTail { .. }
            | Self::Engine { .. }
            | Self::Stopped(_)
            | Self::Diverged { .. }
            | Self::Recovery { .. } => true,
        }
    }

    /// Returns whether there was no room on the disk, which may pass.
    pub fn is_full_disk(&self) -> bool {
        let (Self::Io { reason, .. } | Self::Engine { reason, .. } | Self::Stopped(reason)) = self
        else {
            return false;
        };
        // ENOSPC and EDQUOT, as the standard library words them, also within errors of the search library.
        ["(os error 28)", "(os error 122)"]
            .iter()
            .any(|code| reason.contains(code))
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io {
            action,
            path,
            reason: error.to_string(),
        }
    }

    pub(crate) fn engine(action: &'static str) -> impl FnOnce(tantivy::TantivyError) -> Self {
        move |error| Self::Engine {
            action,
            reason: error.to_string(),
        }
    }
}

impl From<ApiError> for IndexError {
    fn from(error: ApiError) -> Self {
        Self::Request(Box::new(error))
    }
}

impl From<IndexError> for ApiError {
    fn from(error: IndexError) -> Self {
        if error.is_full_disk() && !matches!(error, IndexError::Stopped(_)) {
            let reason = "disk usage exceeded flood-stage watermark: the disk is full";
            return ApiError::new(ErrorCode::ClusterBlock, reason).with_status(429);
        }
        let code = match &error {
            IndexError::Request(request) => return (**request).clone(),
            IndexError::StalePrimary { .. } => ErrorCode::StalePrimary,
            IndexError::Io { .. }
            | IndexError::Corrupted { .. }
            | IndexError::LostTail { .. }
            | IndexError::Recovery { .. } => ErrorCode::IoFailure,
            // Taken out of service and opened again, here or elsewhere.
            IndexError::Stopped(_) => ErrorCode::UnavailableShards,
            IndexError::Engine { .. }
            | IndexError::Diverged { .. }
            | IndexError::NotRetained { .. }
            | IndexError::MappingBehind { .. } => ErrorCode::IllegalState,
        };
        // Paths of this machine are for the log.
        let reason = match &error {
            IndexError::Io { action, reason, .. } => format!("cannot {action}: {reason}"),
            IndexError::Corrupted {
                path,
                offset,
                reason,
            } => format!(
                "file [{}] is corrupted at byte {offset}: {reason}",
                name(path)
            ),
            IndexError::LostTail {
                path,
                had,
                has,
                up_to,
            } => IndexError::LostTail {
                path: name(path).into(),
                had: *had,
                has: *has,
                up_to: *up_to,
            }
            .to_string(),
            IndexError::Stopped(_) => "the shard copy is stopped after an earlier failure".into(),
            other => other.to_string(),
        };
        ApiError::new(code, reason)
    }
}

fn name(path: &std::path::Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The result of a shard operation.
pub type Result<T> = std::result::Result<T, IndexError>;
