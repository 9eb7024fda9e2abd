//! When certificates in use end, told long before.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;

use crate::context::SslContext;
use crate::load::CertificateEntry;
use crate::revocation::RevocationListEntry;

/// Logs a line for each certificate in use that ends soon: at start, 30, 14, 7 and 1 days before its
/// end, and when it has ended; and a line a day for each revocation list whose successor is overdue. Looks once an hour, and ends with the contexts.
pub fn spawn_expiry_warnings(contexts: &[Arc<SslContext>]) {
    let contexts: Vec<Weak<SslContext>> = contexts.iter().map(Arc::downgrade).collect();
    tokio::spawn(async move {
        let mut watch = ExpiryWatch::default();
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            ticks.tick().await;
            let living: Vec<_> = contexts.iter().filter_map(Weak::upgrade).collect();
            if living.is_empty() {
                return;
            }
            for context in living {
                for warning in watch.due(context.name(), &context.certificates(), Timestamp::now())
                {
                    tracing::warn!("{warning}");
                }
                let lists = context.revocation_lists();
                for warning in watch.stale(context.name(), &lists, Timestamp::now()) {
                    tracing::warn!(ssl.context = context.name(), "{warning}");
                }
            }
        }
    });
}

/// Remembers what has been told, so that each certificate is warned of once per threshold.
#[derive(Debug, Default)]
struct ExpiryWatch {
    /// By SHA-256 fingerprint: the smallest threshold told.
    told: HashMap<String, i64>,
    /// By context, path and number of a revocation list: when it was told of last.
    stale_told: HashMap<(String, String, String), Timestamp>,
}

/// A certificate that ends soon, or has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiryWarning {
    /// The settings prefix of the context.
    pub context: String,
    /// As written in the setting.
    pub path: String,
    /// RFC 2253 distinguished name.
    pub subject: String,
    pub serial: String,
    pub not_after: Timestamp,
    /// Whole days left; negative when it has ended.
    pub days_left: i64,
    /// Whether this node shows the certificate; if not, it trusts it.
    pub is_own: bool,
}

impl ExpiryWatch {
    /// Returns the certificates of a context that passed another threshold since they were last told
    /// of: 30, 14, 7 and 1 days before the end, and the end.
    fn due(
        &mut self,
        context: &str,
        certificates: &[CertificateEntry],
        now: Timestamp,
    ) -> Vec<ExpiryWarning> {
        let mut warnings = Vec::new();
        for certificate in certificates {
            let warning = ExpiryWarning::of(context, certificate, now);
            let passed = THRESHOLDS.iter().find(|days| warning.days_left < **days);
            let Some(threshold) = passed else { continue };
            let fingerprint = &certificate.info.fingerprint_sha256;
            let told = self.told.get(fingerprint);
            if told.is_some_and(|told| told <= threshold) {
                continue;
            }
            self.told.insert(fingerprint.clone(), *threshold);
            warnings.push(warning);
        }
        warnings
    }

    /// Returns a sentence about each list that is past its next update and was not told of within a day.
    fn stale(
        &mut self,
        context: &str,
        lists: &[RevocationListEntry],
        now: Timestamp,
    ) -> Vec<String> {
        let mut warnings = Vec::new();
        for list in lists {
            let Some(text) = list.staleness(now) else {
                continue;
            };
            let key = (context.to_owned(), list.path.clone(), list.number.clone());
            let told = self.stale_told.get(&key);
            if told.is_some_and(|told| now.as_second() - told.as_second() < SECONDS_PER_DAY) {
                continue;
            }
            self.stale_told.insert(key, now);
            warnings.push(text);
        }
        warnings
    }
}

/// Returns how long ago a moment was, in whole days.
pub fn since(then: Timestamp, now: Timestamp) -> String {
    match (now.as_second() - then.as_second()) / SECONDS_PER_DAY {
        ..=0 => "less than a day ago".to_owned(),
        1 => "1 day ago".to_owned(),
        days => format!("{days} days ago"),
    }
}

impl ExpiryWarning {
    fn of(context: &str, certificate: &CertificateEntry, now: Timestamp) -> Self {
        let info = &certificate.info;
        let seconds_left = info.not_after.as_second() - now.as_second();
        Self {
            context: context.to_owned(),
            path: certificate.path.clone(),
            subject: info.subject.to_string(),
            serial: info.serial.clone(),
            not_after: info.not_after,
            days_left: seconds_left.div_euclid(SECONDS_PER_DAY),
            is_own: certificate.has_private_key,
        }
    }

    /// Returns the warning about a certificate that has not ended, and does before the first threshold.
    pub(crate) fn if_soon(
        context: &str,
        certificate: &CertificateEntry,
        now: Timestamp,
    ) -> Option<Self> {
        let warning = Self::of(context, certificate, now);
        let first = THRESHOLDS.iter().max()?;
        (0..*first).contains(&warning.days_left).then_some(warning)
    }

    /// Returns which certificate it is and when it ends.
    pub fn what(&self) -> String {
        let Self {
            context,
            path,
            subject,
            serial,
            not_after,
            days_left,
            ..
        } = self;
        let end = match days_left {
            ..0 => format!(
                "expired on [{not_after}], {}",
                since(*not_after, Timestamp::now())
            ),
            0 => format!("expires within a day, on [{not_after}]"),
            days => format!("expires in [{days}] days, on [{not_after}]"),
        };
        format!(
            "certificate [{subject}] with serial number [{serial}] in [{path}] of [{context}] {end}"
        )
    }

    /// Returns what comes of it, and what to do.
    pub fn remedy(&self) -> &'static str {
        match self.is_own {
            true => {
                "new connections to this node fail from then on; put a new certificate in its place, \
                 it is taken up without a restart"
            }
            false => {
                "certificates that it has signed are refused from then on; add its successor to the \
                 trusted certificates of every node, then replace the nodes' certificates"
            }
        }
    }
}

impl fmt::Display for ExpiryWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what(), self.remedy())
    }
}

/// Days, smallest first; a certificate is told of when fewer are left.
const THRESHOLDS: [i64; 5] = [0, 1, 7, 14, 30];
const INTERVAL: Duration = Duration::from_secs(60 * 60);
const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use ringwall_pki::{CaParams, CertificateAuthority, KeySpec};

    use super::*;

    #[test]
    fn each_threshold_is_told_once() {
        let authority = CertificateAuthority::generate(&CaParams {
            days: 40,
            key: KeySpec::EcP256,
            ..CaParams::default()
        });
        let info = ringwall_pki::CertificateInfo::from_der(authority.unwrap().certificate());
        let info = info.unwrap();
        let end = info.not_after;
        let entry = CertificateEntry {
            path: "certs/ca.crt".to_owned(),
            format: "PEM",
            alias: None,
            info,
            has_private_key: false,
            issuer_sha256: None,
        };
        let mut watch = ExpiryWatch::default();
        let mut told = Vec::new();
        for hours in (-30 * 24..40 * 24).rev() {
            let now = end - hours.hours();
            let due = watch.due("transport", std::slice::from_ref(&entry), now);
            told.extend(
                due.into_iter()
                    .map(|warning| (warning.days_left, warning.to_string())),
            );
        }
        let days: Vec<i64> = told.iter().map(|(days, _)| *days).collect();
        assert_eq!(days, [29, 13, 6, 0, -1]);
        assert!(
            told[0]
                .1
                .contains("in [certs/ca.crt] of [transport] expires in [29] days")
        );
        assert!(told[4].1.contains("expired on ["));
    }

    #[test]
    fn an_overdue_list_is_told_of_when_it_becomes_so_and_daily_after() {
        let due = Timestamp::from_second(1_700_000_000).unwrap();
        let mut list = RevocationListEntry {
            path: "ca.crl".to_owned(),
            issuer: "CN=CA".to_owned(),
            number: "1".to_owned(),
            this_update: due - 48.hours(),
            next_update: due,
            is_superseded: false,
        };
        let mut watch = ExpiryWatch::default();
        let mut told = Vec::new();
        for hours in -48..60 {
            let now = due + hours.hours();
            let warnings = watch.stale("transport", std::slice::from_ref(&list), now);
            told.extend(warnings.into_iter().map(|warning| (hours, warning)));
        }
        let hours: Vec<i64> = told.iter().map(|(hours, _)| *hours).collect();
        assert_eq!(hours, [0, 24, 48]);
        assert!(
            told[0]
                .1
                .contains("[CN=CA] in [ca.crl] should have been replaced")
        );
        list.is_superseded = true;
        assert!(
            watch
                .stale("transport", &[list], due + 100.hours())
                .is_empty()
        );
    }
}
