//! The audit log of this node. What is told to it, and by whom: `ringwall_security::audit`.

mod file;
mod log;
mod scan;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringwall_api::nodes::AuditStats;
use ringwall_api::security::{AuditFilter, AuditPosition};
use ringwall_security::audit::{AuditSink, NodeFacts};
use ringwall_security::{AuditTrail, SecurityStore};
use ringwall_settings::Settings;
use ringwall_settings::registry::{audit, node, security};

use self::file::AuditFile;
use self::log::AuditLog;
pub use self::scan::{Bounds, Scan};
pub use self::settings::check;
use crate::node::StartError;

/// What a node writes of who asked for what.
pub struct Audit {
    trail: Arc<AuditTrail>,
    log: Arc<AuditLog>,
}

impl Audit {
    /// Starts the audit log, if the settings say so.
    ///
    /// # Errors
    /// A setting that is none; a thread that cannot be started.
    pub fn start(
        settings: &Settings,
        home: &Path,
        store: Arc<dyn SecurityStore>,
        node: NodeFacts,
    ) -> Result<Option<Self>, StartError> {
        if !settings.get(&audit::ENABLED) || !settings.get(&security::SECURITY_ENABLED) {
            return Ok(None);
        }
        let place = Place::of(settings, home);
        let file = AuditFile::new(place.directory, place.cluster);
        let path = file.path();
        let log = AuditLog::start(file, settings::limits(settings));
        let log = Arc::new(log.map_err(|error| StartError::Environment(error.to_string()))?);
        let sink: Arc<dyn AuditSink> = Arc::clone(&log) as _;
        let trail = AuditTrail::new(sink, store, node, settings::policy(settings))?;
        tracing::info!("who asks for what is written to [{}]", path.display());
        Ok(Some(Self {
            trail: Arc::new(trail),
            log,
        }))
    }

    /// Returns whom to tell of events.
    pub fn trail(&self) -> &Arc<AuditTrail> {
        &self.trail
    }

    /// Takes over settings that have been checked.
    pub fn follow(&self, settings: &Settings) {
        self.log.set_limits(settings::limits(settings));
        if let Err(error) = self.trail.configure(settings::policy(settings)) {
            tracing::error!(%error, "the settings of the audit log cannot be used; those before stay in force");
        }
    }

    pub fn stats(&self) -> AuditStats {
        self.log.stats()
    }

    /// Writes what waits, and ends.
    pub async fn close(&self) {
        self.log.close().await;
    }

    /// Ends as if it were killed.
    pub fn abandon(&self) {
        self.log.abandon();
    }
}

/// Where the files are, also those of a node that writes none now.
#[derive(Debug, Clone)]
pub struct Place {
    directory: PathBuf,
    cluster: String,
}

impl Place {
    pub fn of(settings: &Settings, home: &Path) -> Self {
        Self {
            directory: home.join(settings.get(&node::PATH_LOGS)),
            cluster: settings.get(&node::CLUSTER_NAME),
        }
    }

    /// Looks for events. Blocks.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn scan(
        &self,
        after: Option<AuditPosition>,
        filter: &AuditFilter,
        bounds: Bounds,
    ) -> std::io::Result<Scan> {
        let mut files;
        loop {
            let listed = file::all(&self.directory, &self.cluster)?;
            files = scan::open(&listed)?;
            // A new file may have been begun between the two: the one before it is then in neither.
            if file::all(&self.directory, &self.cluster)? == listed {
                break;
            }
        }
        scan::scan(files, after, filter, bounds)
    }
}
