//! Taking up changed files without a restart. Source: Elasticsearch reference, "Updating node security certificates".

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringwall_pki::CertificateInfo;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at};

use crate::config::SslConfig;
use crate::context::SslContext;
use crate::digest::Digests;
use crate::error::SslError;
use crate::failure::TrustedIssuer;
use crate::material::Material;

/// What a look at a context's files led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The files are those in use.
    Unchanged,
    /// The files are those in use again, after a look that failed.
    Restored,
    /// The context now uses the new files. Handshakes from now on see them.
    Reloaded(Box<Reload>),
    /// The files changed while they were read; the next look finds them whole.
    Unsettled,
    /// The new files trust less than those in use, which may be half of a bundle that is being written: they are
    /// taken up if the next look finds the same, or if they are others at every look.
    Held { changed: Vec<PathBuf> },
    /// The new files do not make a context; the old material stays in use. They are not read again before they
    /// change, unless reading itself failed.
    Failed {
        reason: String,
        /// Whether the failure differs from that of the previous look.
        is_new: bool,
    },
}

/// What a reload changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    pub changed: Vec<PathBuf>,
    /// The certificate this side showed, and the one it shows now.
    pub old: Option<CertificateInfo>,
    pub new: Option<CertificateInfo>,
    /// Certificates that are trusted from now on.
    pub added: Vec<TrustedIssuer>,
    /// Certificates that no longer are.
    pub removed: Vec<TrustedIssuer>,
    /// Whether a certificate that was trusted no longer is, or may have been revoked: live links deserve another
    /// look.
    pub trust_removed: bool,
}

/// What is remembered between two looks.
#[derive(Debug)]
pub(crate) struct ReloadState {
    /// What the material in use was made of; `None` when the files changed while it was read.
    in_force: Option<Digests>,
    failed: Option<Failed>,
    held: Option<(Digests, Material)>,
    /// How many looks held something back since the files were last taken up.
    holds: u32,
}

/// A content that does not make a context.
#[derive(Debug)]
struct Failed {
    of: Digests,
    reason: String,
    /// Looks until it is tried again, and how many there were the last time; `None` when only another content
    /// can help.
    retry: Option<(u32, u32)>,
}

impl ReloadState {
    /// Returns the state after a load; both digests are of the files, before and after.
    pub(crate) fn loaded(before: Digests, after: &Digests) -> Self {
        Self {
            in_force: (before == *after).then_some(before),
            failed: None,
            held: None,
            holds: 0,
        }
    }

    /// Returns what the last try of this content led to, if it is not the time for another.
    fn known_failure(&mut self, now: &Digests) -> Option<String> {
        let failed = self.failed.as_mut().filter(|failed| failed.of == *now)?;
        match &mut failed.retry {
            Some((0, _)) => None,
            Some((looks, _)) => {
                *looks -= 1;
                Some(failed.reason.clone())
            }
            None => Some(failed.reason.clone()),
        }
    }

    /// Remembers a failure; returns whether it is another than before.
    fn fail(&mut self, of: Digests, error: &SslError) -> bool {
        let reason = error.to_string();
        let before = self.failed.take();
        let waited = before.as_ref().filter(|before| before.of == of);
        let waited = waited
            .and_then(|before| before.retry)
            .map_or(0, |(_, waited)| waited);
        let wait = (waited * 2 + 1).min(LOOKS_BETWEEN_TRIES);
        let is_new = before.is_none_or(|before| before.reason != reason);
        self.failed = Some(Failed {
            of,
            reason,
            retry: error.is_io().then_some((wait, wait)),
        });
        is_new
    }
}

impl SslContext {
    /// Takes up what the files contain now, if it makes a context: all of it or nothing. For an operator's demand
    /// and for tests; the watcher [looks](Self::look). Blocking: files and key stretching. Logs what happened.
    pub fn reload(&self) -> ReloadOutcome {
        self.examine(false)
    }

    /// Looks at the files as the watcher does: like [`reload`](Self::reload), but what trusts less has to be seen
    /// twice in a row, unless it was held back a few times already.
    pub fn look(&self) -> ReloadOutcome {
        self.examine(true)
    }

    fn examine(&self, holds: bool) -> ReloadOutcome {
        let started = Instant::now();
        let mut state = self.reload.lock();
        let outcome = self.outcome(&mut state, holds, |config| {
            Material::load(config, &self.offer)
        });
        let failure = state.failed.as_ref().map(|failed| failed.reason.clone());
        self.reload_failure.store(failure.map(Arc::new));
        self.log(&outcome, started.elapsed());
        outcome
    }

    fn outcome(
        &self,
        state: &mut ReloadState,
        holds: bool,
        load: impl FnOnce(&SslConfig) -> Result<Material, SslError>,
    ) -> ReloadOutcome {
        let config = self.config();
        let now = Digests::of(&config);
        let held = state.held.take();
        if state.in_force.as_ref() == Some(&now) {
            state.holds = 0;
            return match state.failed.take() {
                Some(_) => ReloadOutcome::Restored,
                None => ReloadOutcome::Unchanged,
            };
        }
        if let Some(reason) = state.known_failure(&now) {
            return ReloadOutcome::Failed {
                reason,
                is_new: false,
            };
        }
        let changed = now.changed_since(state.in_force.as_ref());
        let (material, seen_before) = match held {
            Some((of, material)) if of == now => (material, true),
            _ => {
                let loaded = load(&config);
                // Half of it may be old and half new, and so may a failure be.
                if Digests::of(&config) != now {
                    return ReloadOutcome::Unsettled;
                }
                match loaded {
                    Ok(material) => (material, false),
                    Err(error) => {
                        let is_new = state.fail(now, &error);
                        let reason = error.to_string();
                        return ReloadOutcome::Failed { reason, is_new };
                    }
                }
            }
        };
        state.failed = None;
        // Files that differ at every look may revoke or add something, too, which must not wait for ever.
        if holds
            && !seen_before
            && state.holds < MOST_HOLDS
            && self.material.load().trust.loses_to(&material.trust)
        {
            state.held = Some((now, material));
            state.holds += 1;
            return ReloadOutcome::Held { changed };
        }
        state.holds = 0;
        state.in_force = Some(now);
        ReloadOutcome::Reloaded(Box::new(self.publish(&config, material, changed)))
    }

    /// Takes up passwords of the files that changed, and the files with them: all of it or nothing. Returns
    /// whether any password was another. The rest of the configuration stays. Blocking like [`Self::reload`].
    ///
    /// Errors: the files do not load with the new passwords; those in use stay.
    pub fn reload_with(&self, config: SslConfig) -> Result<bool, SslError> {
        let started = Instant::now();
        let mut state = self.reload.lock();
        let before = self.config();
        if before.has_secrets_of(&config) {
            return Ok(false);
        }
        let config = before.with_secrets_of(config);
        let now = Digests::of(&config);
        let material = Material::load(&config, &self.offer)?;
        let changed = now.changed_since(state.in_force.as_ref());
        *state = ReloadState::loaded(now, &Digests::of(&config));
        self.reload_failure.store(None);
        self.config.store(Arc::new(config.clone()));
        let reload = self.publish(&config, material, changed);
        self.log(
            &ReloadOutcome::Reloaded(Box::new(reload)),
            started.elapsed(),
        );
        Ok(true)
    }

    /// Returns why the last look failed, or `None` when the material in use is that of the files.
    pub fn last_reload_error(&self) -> Option<String> {
        self.reload_failure.load().as_deref().cloned()
    }

    /// Looks at the files every `interval` until the context is dropped or the task is aborted.
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
                let looked = tokio::task::spawn_blocking(move || context.look()).await;
                if let Err(error) = looked {
                    // Only a panic or a runtime shutting down gets here.
                    tracing::error!(ssl.context = name, %error, "ssl reload task failed");
                }
            }
        })
    }

    fn publish(&self, config: &SslConfig, material: Material, changed: Vec<PathBuf>) -> Reload {
        material.log_doubts(config);
        let old = self.material.swap(Arc::new(material));
        let new = self.material.load();
        let without = |these: &[TrustedIssuer], those: &[TrustedIssuer]| {
            let missing = these.iter().filter(|issuer| !those.contains(issuer));
            missing.cloned().collect::<Vec<_>>()
        };
        let removed = without(&old.facts.issuers, &new.facts.issuers);
        let lists = &config.revocation_lists;
        let revoked = lists.iter().any(|list| changed.contains(&list.resolved));
        let restrictions = config.restrictions.as_ref();
        let restricted = restrictions.is_some_and(|(path, _)| changed.contains(&path.resolved));
        self.generation.send_modify(|generation| *generation += 1);
        Reload {
            changed,
            old: old.facts.own.clone(),
            new: new.facts.own.clone(),
            added: without(&new.facts.issuers, &old.facts.issuers),
            trust_removed: !removed.is_empty() || revoked || restricted,
            removed,
        }
    }

    fn log(&self, outcome: &ReloadOutcome, took: Duration) {
        let context = self.name();
        match outcome {
            ReloadOutcome::Reloaded(reload) => tracing::info!(
                ssl.context = context,
                old = own(reload.old.as_ref()),
                new = own(reload.new.as_ref()),
                trust_added = trusted(&reload.added),
                trust_removed = trusted(&reload.removed),
                "updated 1 ssl contexts in {}ms for prefix names [{context}] using file [{}]",
                took.as_millis(),
                paths(&reload.changed)
            ),
            ReloadOutcome::Held { changed } => tracing::info!(
                ssl.context = context,
                "ssl context would trust less than before by file [{}]: it is taken up if it is still so at the next \
                 look",
                paths(changed)
            ),
            ReloadOutcome::Restored => tracing::info!(
                ssl.context = context,
                "the files of the ssl context are those in use again"
            ),
            ReloadOutcome::Failed {
                reason,
                is_new: true,
            } => tracing::warn!(
                ssl.context = context,
                reason,
                "cannot reload ssl context, keeping the certificates in use until the files change again"
            ),
            ReloadOutcome::Failed { reason, .. } => {
                tracing::debug!(
                    ssl.context = context,
                    reason,
                    "ssl context still cannot be reloaded"
                );
            }
            ReloadOutcome::Unsettled => tracing::debug!(
                ssl.context = context,
                "the files of the ssl context changed while they were read"
            ),
            ReloadOutcome::Unchanged => {}
        }
    }
}

fn own(info: Option<&CertificateInfo>) -> String {
    match info {
        None => "none".to_owned(),
        Some(info) => format!(
            "subject [{}] fingerprint [{}] serial [{}] not after [{}]",
            info.subject, info.fingerprint_sha256, info.serial, info.not_after
        ),
    }
}

fn trusted(issuers: &[TrustedIssuer]) -> String {
    let shown = issuers.iter().map(|issuer| {
        format!(
            "subject [{}] fingerprint [{}]",
            issuer.subject, issuer.fingerprint
        )
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn paths(files: &[PathBuf]) -> String {
    let files: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    files.join(", ")
}

/// The longest pause between two tries of a content that could not be read.
const LOOKS_BETWEEN_TRIES: u32 = 63;
/// How often contents that differ are held back before the next is taken up as it is.
const MOST_HOLDS: u32 = 3;

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;

    use ringwall_pki::{CaParams, CertificateAuthority, DistinguishedName, KeySpec, PkiError};

    use super::*;
    use crate::config::{ConfiguredPath, KeySource, TrustSource};

    fn authority(name: &str) -> String {
        let params = CaParams {
            dn: DistinguishedName::common_name(name),
            key: KeySpec::EcP256,
            ..CaParams::default()
        };
        CertificateAuthority::generate(&params)
            .unwrap()
            .certificate_pem()
    }

    /// Returns a context that trusts what `a.crt` and `b.crt` have: the CA `one` and the CA `two`.
    fn context(dir: &Path) -> Arc<SslContext> {
        std::fs::write(dir.join("a.crt"), authority("one")).unwrap();
        std::fs::write(dir.join("b.crt"), authority("two")).unwrap();
        let files = ["a.crt", "b.crt"].map(|name| ConfiguredPath::new(name, dir));
        let trust = TrustSource::Pem(files.to_vec());
        SslContext::load(SslConfig::new("p", KeySource::None, trust), &[]).unwrap()
    }

    #[test]
    fn what_changes_while_it_is_read_is_not_taken_up() {
        let dir = tempfile::tempdir().unwrap();
        let context = context(dir.path());
        let add = |name: &str, authority: &str| {
            let path = dir.path().join(name);
            let content = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, content + authority).unwrap();
        };
        let (three, four) = (authority("three"), authority("four"));
        add("a.crt", &three);
        let mut state = context.reload.lock();
        let outcome = context.outcome(&mut state, true, |config| {
            let loaded = Material::load(config, &context.offer);
            add("b.crt", &four);
            loaded
        });
        assert_eq!(outcome, ReloadOutcome::Unsettled);
        assert_eq!(context.trusted().len(), 2);
        drop(state);
        assert!(
            matches!(context.look(), ReloadOutcome::Reloaded(reload) if reload.added.len() == 2)
        );
    }

    #[test]
    fn broken_content_is_read_once_and_what_cannot_be_read_ever_more_rarely() {
        let dir = tempfile::tempdir().unwrap();
        let context = context(dir.path());
        std::fs::write(dir.path().join("a.crt"), "broken").unwrap();
        let tries = Cell::new(0);
        let look_at = |is_io: bool| {
            let mut state = context.reload.lock();
            context.outcome(&mut state, true, |config| {
                tries.set(tries.get() + 1);
                match is_io {
                    true => Err(SslError::File {
                        context: "p".to_owned(),
                        kind: "PEM certificate_authorities",
                        source: PkiError::Read {
                            path: "a.crt".into(),
                            error: std::io::Error::other("too many open files"),
                        },
                    }),
                    false => Material::load(config, &context.offer),
                }
            })
        };
        for _ in 0..100 {
            assert!(matches!(look_at(false), ReloadOutcome::Failed { .. }));
        }
        assert_eq!(tries.take(), 1);
        std::fs::write(dir.path().join("a.crt"), authority("three")).unwrap();
        for _ in 0..100 {
            assert!(matches!(look_at(true), ReloadOutcome::Failed { .. }));
        }
        // At looks 1, 3, 7, 15, 31 and 63.
        assert_eq!(tries.take(), 6);
        let tries_until_it_heals = (0..100)
            .take_while(|_| matches!(look_at(false), ReloadOutcome::Failed { .. }))
            .count();
        assert!(tries_until_it_heals < 64, "{tries_until_it_heals}");
        assert_eq!(tries.get(), 1);
    }
}
