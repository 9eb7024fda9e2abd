//! The analyzers of indices, which are made once for all versions of a mapping.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ringwall_api::ApiResult;
use ringwall_cluster::{ClusterState, IndexMetadata};
use ringwall_index::{Analysis, AnalysisLimits, Similarities};
use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};

/// By the UUID of the index: the settings that they were made of, and what was made.
#[derive(Default)]
pub struct Analyses(Mutex<BTreeMap<String, (Made, Arc<Analysis>)>>);

/// What defines analyzers and similarities.
type Made = (Value, Value);

impl Analyses {
    /// Returns the analyzers of an index. Those that are not there are made at once.
    ///
    /// # Errors
    /// The settings were written by a newer version.
    pub fn of(&self, metadata: &IndexMetadata) -> ApiResult<Arc<Analysis>> {
        let settings = (
            metadata.settings.analysis(),
            metadata.settings.similarities(),
        );
        if settings == (Value::Null, Value::Null) {
            return Ok(Arc::clone(Analysis::none()));
        }
        let uuid = &metadata.id.uuid;
        if let Some((of, made)) = self.0.lock().get(uuid)
            && *of == settings
        {
            return Ok(Arc::clone(made));
        }
        // The other bounds were kept when the settings were taken.
        let limits = AnalysisLimits {
            ngrams: usize::MAX,
            shingles: usize::MAX,
            bytes: metadata.settings.analyzed_bytes_limit(),
        };
        let similarities = Similarities::parse(&settings.1)?;
        let made = apart(|| Analysis::parse(&settings.0, limits))?;
        let made = Arc::new(made.scored_by(similarities));
        let entry = (settings, Arc::clone(&made));
        self.0.lock().insert(uuid.clone(), entry);
        Ok(made)
    }

    /// Drops those of indices that are gone.
    pub fn forget(&self, state: &ClusterState) {
        let known = |uuid: &String| state.indices.values().any(|index| index.id.uuid == *uuid);
        self.0.lock().retain(|uuid, _| known(uuid));
    }
}

/// Works so that other tasks of a thread of the runtime go on elsewhere.
fn apart<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
