//! Taking up changed files without a restart. Source: node.md section 4.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringwall_pki::CertificateInfo;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at};

use crate::config::SslConfig;
use crate::context::SslContext;
use crate::error::SslError;
use crate::material::Material;
use crate::provider::sha256;

/// What a look at a context's files led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The files are those in use.
    Unchanged,
    /// The context now uses the new files. Handshakes from now on see them.
    Reloaded {
        changed: Vec<PathBuf>,
        old: Option<Box<CertificateInfo>>,
        new: Option<Box<CertificateInfo>>,
        /// Whether a certificate that was trusted no longer is, or may have been revoked: live links deserve another look.
        trust_removed: bool,
    },
    /// The new files do not make a context; the old material stays in use and the next look tries again.
    Failed {
        reason: String,
        /// Whether the failure differs from that of the previous look.
        is_new: bool,
    },
}

/// What is remembered between two looks.
#[derive(Debug)]
pub(crate) struct ReloadState {
    seen: BTreeMap<PathBuf, Digest>,
}

/// A file's content as far as changes are concerned. Size and mtime would miss a replacement of equal
/// size within one clock tick, and these files are small, so the content itself is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Digest {
    Content([u8; 32]),
    Unreadable(io::ErrorKind),
}

impl ReloadState {
    pub(crate) fn new(config: &SslConfig) -> Self {
        Self {
            seen: digests(config),
        }
    }
}

impl SslContext {
    /// Looks at the files and, if they changed, builds and publishes new material: all of it or nothing.
    /// Blocking: files and key stretching. Logs what happened.
    ///
    /// After a failure every call tries again, even when the files have not changed since.
    pub fn reload(&self) -> ReloadOutcome {
        let mut state = self.reload.lock();
        let config = self.config();
        let now = digests(&config);
        let changed = changed_files(&state.seen, &now);
        let failure = self.reload_failure.load_full();
        if changed.is_empty() && failure.is_none() {
            return ReloadOutcome::Unchanged;
        }
        let outcome = match Material::load(&config, &self.offer) {
            Ok(material) => {
                self.reload_failure.store(None);
                self.publish(&config, material, changed)
            }
            Err(error) => {
                let reason = error.to_string();
                let is_new = failure.as_deref() != Some(&reason);
                self.reload_failure.store(Some(Arc::new(reason.clone())));
                ReloadOutcome::Failed { reason, is_new }
            }
        };
        state.seen = now;
        self.log(&outcome);
        outcome
    }

    /// Takes up passwords of the files that changed, and the files with them: all of it or nothing. Returns
    /// whether any password was another. The rest of the configuration stays. Blocking like [`Self::reload`].
    ///
    /// Errors: the files do not load with the new passwords; those in use stay.
    pub fn reload_with(&self, config: SslConfig) -> Result<bool, SslError> {
        let mut state = self.reload.lock();
        let before = self.config();
        if before.has_secrets_of(&config) {
            return Ok(false);
        }
        let config = before.with_secrets_of(config);
        let now = digests(&config);
        let material = Material::load(&config, &self.offer)?;
        self.reload_failure.store(None);
        self.config.store(Arc::new(config.clone()));
        let changed = changed_files(&state.seen, &now);
        state.seen = now;
        let outcome = self.publish(&config, material, changed);
        self.log(&outcome);
        Ok(true)
    }

    /// Returns why the last look failed, or `None` when the material in use is that of the files.
    pub fn last_reload_error(&self) -> Option<String> {
        self.reload_failure.load().as_deref().cloned()
    }

    /// Reloads every `interval` until the context is dropped or the task is aborted.
    pub fn spawn_watcher(self: &Arc<Self>, interval: Duration) -> JoinHandle<()> {
        let context = Arc::downgrade(self);
        // Tokio refuses a period of zero.
        let period = interval.max(Duration::from_millis(1));
        tokio::spawn(async move {
            let mut ticks = interval_at(tokio::time::Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(context) = context.upgrade() else {
                    return;
                };
                let name = context.name().to_owned();
                let reloaded = tokio::task::spawn_blocking(move || context.reload()).await;
                if let Err(error) = reloaded {
                    // Only a panic or a runtime shutting down gets here.
                    tracing::error!(ssl.context = name, %error, "ssl reload task failed");
                }
            }
        })
    }

    fn publish(
        &self,
        config: &SslConfig,
        material: Material,
        changed: Vec<PathBuf>,
    ) -> ReloadOutcome {
        material.log_doubts(config);
        let old = self.material.swap(Arc::new(material));
        let new = self.material.load();
        let trust_removed = old
            .facts
            .issuers
            .iter()
            .any(|issuer| !new.facts.issuers.contains(issuer));
        let lists = &config.revocation_lists;
        let revoked = lists.iter().any(|list| changed.contains(&list.resolved));
        let restrictions = config.restrictions.as_ref();
        let restricted = restrictions.is_some_and(|(path, _)| changed.contains(&path.resolved));
        self.generation.send_modify(|generation| *generation += 1);
        ReloadOutcome::Reloaded {
            changed,
            old: old.facts.own.clone().map(Box::new),
            new: new.facts.own.clone().map(Box::new),
            trust_removed: trust_removed || revoked || restricted,
        }
    }

    fn log(&self, outcome: &ReloadOutcome) {
        let context = self.name();
        match outcome {
            ReloadOutcome::Reloaded {
                changed,
                old,
                new,
                trust_removed,
            } => {
                let show = |info: &Option<Box<CertificateInfo>>| {
                    info.as_ref()
                        .map_or_else(|| "none".to_owned(), |info| describe(info))
                };
                tracing::info!(
                    ssl.context = context,
                    files = ?changed,
                    old = show(old),
                    new = show(new),
                    trusted = ?self.material.load().facts.issuers.iter().map(|i| &i.subject).collect::<Vec<_>>(),
                    trust_removed,
                    "reloaded ssl context, new connections use the new files"
                );
            }
            ReloadOutcome::Failed {
                reason,
                is_new: true,
            } => tracing::warn!(
                ssl.context = context,
                reason,
                "cannot reload ssl context, keeping the certificates in use and trying again"
            ),
            ReloadOutcome::Failed { reason, .. } => {
                tracing::debug!(
                    ssl.context = context,
                    reason,
                    "ssl context still cannot be reloaded"
                );
            }
            ReloadOutcome::Unchanged => {}
        }
    }
}

fn describe(info: &CertificateInfo) -> String {
    format!(
        "subject [{}] fingerprint [{}] serial [{}] not after [{}]",
        info.subject, info.fingerprint_sha256, info.serial, info.not_after
    )
}

fn digests(config: &SslConfig) -> BTreeMap<PathBuf, Digest> {
    config
        .files()
        .into_iter()
        .map(|path| (path.to_owned(), digest(path)))
        .collect()
}

fn digest(path: &Path) -> Digest {
    use std::io::Read;
    let read = std::fs::File::open(path).and_then(|file| {
        let mut content = Vec::new();
        file.take(MAX_FILE_BYTES).read_to_end(&mut content)?;
        Ok(content)
    });
    match read {
        Ok(content) => Digest::Content(sha256(&content)),
        Err(error) => Digest::Unreadable(error.kind()),
    }
}

fn changed_files(
    before: &BTreeMap<PathBuf, Digest>,
    after: &BTreeMap<PathBuf, Digest>,
) -> Vec<PathBuf> {
    after
        .iter()
        .filter(|(path, digest)| before.get(*path) != Some(digest))
        .map(|(path, _)| path.clone())
        .collect()
}

/// No key or certificate file is larger; the loader refuses such files by itself.
const MAX_FILE_BYTES: u64 = 16 << 20;
