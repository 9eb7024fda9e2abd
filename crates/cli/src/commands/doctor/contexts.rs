//! The TLS contexts of both layers: built from their files, then looked over.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use ringwall_node::preflight::{self, Addresses};
use ringwall_pki::CertificateInfo;
use ringwall_settings::Settings;
use ringwall_settings::registry::{security, ssl};
use ringwall_tls::{Doubt, SslConfig, SslContext, file_problems, since};
use serde_json::{Value, json};

use super::finding::{Finding, Report, Status};
use super::home::{Home, check_permissions};
use crate::commands::certutil::days_left;

/// What can be dialled with.
#[derive(Default)]
pub(super) struct Contexts {
    pub(super) transport: Layer,
    pub(super) http: Layer,
}

/// The TLS of one layer.
#[derive(Default, Clone)]
pub(super) enum Layer {
    /// It speaks without TLS.
    #[default]
    Plain,
    Tls(Arc<SslContext>),
    /// It has TLS that cannot be used.
    Broken,
}

impl Contexts {
    /// Builds both contexts and notes what is wrong or doubtful about them.
    pub(super) fn build(home: &Home, addresses: Option<&Addresses>, report: &mut Report) -> Self {
        let settings = &home.settings;
        if !preflight::uses_tls(settings) {
            let message = "security is off: anybody who reaches this node may do anything, and no layer has TLS";
            let key = security::SECURITY_ENABLED.key();
            report.add(
                Finding::warning("security", message)
                    .setting(key)
                    .action(format!("remove [{key}], or set it to [true]")),
            );
            return Self::default();
        }
        // Nobody dials a node that is alone, so no peer asks for its names.
        let transport_names = addresses
            .filter(|_| !preflight::is_single_node(settings))
            .map(|found| found.transport_published.clone());
        let http_names = addresses.map(|found| found.http_published.clone());
        let contexts = Self {
            transport: layer(home, ssl::TRANSPORT_SSL.prefix, transport_names, report),
            http: layer(home, ssl::HTTP_SSL.prefix, http_names, report),
        };
        // Nobody dials with those of profiles. Without TLS in the layer there is none in them.
        if !matches!(contexts.transport, Layer::Plain) {
            for (profile, prefix) in preflight::profile_tls_prefixes(settings) {
                let names = addresses.and_then(|found| found.published_of(&profile));
                layer(home, &prefix, names, report);
            }
        }
        contexts
    }
}

fn layer(home: &Home, prefix: &str, dialled: Option<String>, report: &mut Report) -> Layer {
    let config = match SslConfig::from_settings(&home.settings, prefix) {
        Ok(None) => {
            without_tls(&home.settings, prefix, report);
            return Layer::Plain;
        }
        Ok(Some(config)) => config,
        Err(error) => {
            for problem in &error.problems {
                let finding = Finding::error("tls_settings", problem.to_string());
                report.add(finding.setting(prefix).action("correct the settings named"));
            }
            return Layer::Broken;
        }
    };
    let is_secret = |file: &&Path| config.secret_files().contains(file);
    let (secrets, others): (Vec<&Path>, Vec<&Path>) =
        config.files().into_iter().partition(is_secret);
    check_permissions(&secrets, &others, report);
    if !home.is_keystore_open {
        let message = format!("[{prefix}] was not checked: its passwords are in the keystore");
        report.add(Finding::warning("tls_files", message).setting(prefix));
        return Layer::Broken;
    }
    match SslContext::load(config.clone(), alpn(prefix)) {
        Err(error) => {
            let mut problems = file_problems(&config);
            if problems.is_empty() {
                problems.push(error);
            }
            for problem in &problems {
                report.add(
                    Finding::error("tls_files", problem.to_string())
                        .setting(problem.setting())
                        .file(problem.file())
                        .action(problem.remedy()),
                );
            }
            report.contexts.push(
                json!({"name": prefix, "usable": false, "files": config.files(),
                    "reasons": problems.iter().map(ToString::to_string).collect::<Vec<_>>()}),
            );
            Layer::Broken
        }
        Ok(context) => {
            look_over(&context, dialled, report);
            // Who dials HTTPS with the files of a node are its tools.
            let dials = match prefix == ssl::HTTP_SSL.prefix {
                true => SslContext::for_own_tools(config, alpn(prefix), &[]).unwrap_or(context),
                false => context,
            };
            Layer::Tls(dials)
        }
    }
}

/// The application protocols that this side offers when it dials.
fn alpn(prefix: &str) -> &'static [&'static str] {
    match prefix == ssl::HTTP_SSL.prefix {
        true => &["http/1.1"],
        false => &["h2"],
    }
}

fn without_tls(settings: &Settings, prefix: &str, report: &mut Report) {
    let is_http = prefix == ssl::HTTP_SSL.prefix;
    let told = settings.is_set(&format!("{prefix}.enabled"));
    if is_http {
        let message = "HTTP has no TLS: passwords cross the network as they are";
        let finding =
            Finding::warning("tls_settings", message).setting(format!("{prefix}.enabled"));
        report.add(finding.action("`elasticsearch-certutil http` makes what HTTPS needs"));
    } else {
        // Whether that keeps the node from starting is for the bootstrap checks to say.
        let how = if told { "turned off" } else { "not turned on" };
        let message =
            format!("TLS between nodes is {how}: this node dials and answers in plain text");
        report.add(Finding::ok("tls_settings", message).setting(format!("{prefix}.enabled")));
    }
}

fn look_over(context: &SslContext, dialled: Option<String>, report: &mut Report) {
    let dialled: Vec<String> = dialled.into_iter().collect();
    let doubts = context.checkup(&dialled);
    let name = context.name();
    if let Some(own) = context.own_certificate() {
        let message = format!("[{name}] shows the certificate {}", describe(&own));
        report.add(Finding::ok("tls_certificate", message).setting(name));
    }
    for doubt in &doubts {
        let status = match doubt.is_fatal() {
            true => Status::Error,
            false => Status::Warning,
        };
        report.add(
            Finding::new(status, doubt.check(), doubt.what())
                .setting(doubt.setting())
                .action(doubt.remedy()),
        );
    }
    report
        .contexts
        .push(context_json(context, &dialled, &doubts));
}

fn context_json(context: &SslContext, dialled: &[String], doubts: &[Doubt]) -> Value {
    let config = context.config();
    let trusted: Vec<Value> = context
        .trusted()
        .into_iter()
        .map(|known| {
            json!({"subject": known.subject, "fingerprint_sha1": known.fingerprint, "is_ca": known.is_ca})
        })
        .collect();
    let published: Vec<Value> = dialled
        .iter()
        .map(|host| json!({"host": host, "is_in_certificate": context.names(host)}))
        .collect();
    json!({
        "name": context.name(),
        "usable": true,
        "files": config.files(),
        "verification_mode": config.verification_mode.to_string(),
        "client_authentication": config.client_authentication.to_string(),
        "certificate": context.own_certificate().map(|own| certificate_json(&own)),
        "trusted": trusted,
        "published": published,
        "doubts": doubts.iter().map(Doubt::check).collect::<Vec<_>>(),
    })
}

/// Returns what tells a certificate from every other, in words.
pub(super) fn describe(info: &CertificateInfo) -> String {
    let names = match names(info).join(", ") {
        names if names.is_empty() => "no names".to_owned(),
        names => format!("names [{names}]"),
    };
    format!(
        "[{}], serial number [{}], SHA-256 fingerprint [{}], {names}, valid until [{}] ({})",
        info.subject,
        info.serial,
        info.fingerprint_sha256,
        info.not_after,
        ends(info, Timestamp::now())
    )
}

/// Returns how many whole days are left, or have passed.
fn ends(info: &CertificateInfo, now: Timestamp) -> String {
    match days_left(info, now) {
        ..0 => format!("ended {}", since(info.not_after, now)),
        days => format!("{days} days left"),
    }
}

pub(super) fn certificate_json(info: &CertificateInfo) -> Value {
    json!({
        "subject": info.subject.to_string(),
        "issuer": info.issuer.to_string(),
        "serial_number": info.serial,
        "fingerprint_sha256": info.fingerprint_sha256,
        "subject_alternative_names": names(info),
        "extended_key_usage": info.extended_key_usage,
        "not_before": info.not_before.to_string(),
        "not_after": info.not_after.to_string(),
        "days_left": days_left(info, Timestamp::now()),
    })
}

fn names(info: &CertificateInfo) -> Vec<String> {
    let names = info.subject_alternative_names.iter();
    names.map(ToString::to_string).collect()
}
