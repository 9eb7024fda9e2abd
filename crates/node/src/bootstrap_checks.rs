//! What a node must have before other machines may reach it. Source: Elasticsearch reference, "Bootstrap Checks".

use std::net::IpAddr;

/// What the checks look at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The addresses that the transport is bound to and published as.
    pub addresses: Vec<IpAddr>,
    pub single_node: bool,
    /// `-Des.enforce.bootstrap.checks=true` in `ES_JAVA_OPTS`.
    pub enforced: bool,
    pub security_enabled: bool,
    pub transport_tls: bool,
    /// Any of `discovery.seed_hosts`, `discovery.seed_providers`, `cluster.initial_master_nodes`.
    pub discovery_configured: bool,
    /// Whether HTTP has TLS.
    pub https: bool,
    /// `xpack.security.authc.token.enabled`.
    pub token_service: bool,
    /// `bootstrap.memory_lock` is set, and the memory could not be locked.
    pub memory_unlocked: bool,
    pub pki: PkiFacts,
    pub limits: Limits,
}

/// What there is to know of realms whose users show certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PkiFacts {
    /// There is one.
    pub enabled: bool,
    /// One of them leaves it to HTTPS which certificates are trusted.
    pub without_trust: bool,
    /// HTTPS asks clients for certificates.
    pub asked_for: bool,
    /// HTTPS verifies the certificates that it is shown.
    pub verified: bool,
    /// Settings and files of realms that cannot be used, in words.
    pub problems: Vec<String>,
}

/// What the operating system lets this process have; `None` is no limit, or not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    pub user: String,
    pub open_files: Option<u64>,
    pub threads: Option<u64>,
    pub address_space: Option<u64>,
    pub file_size: Option<u64>,
    /// Memory areas, `vm.max_map_count`: index files are mapped.
    pub map_count: Option<u64>,
}

/// What the checks found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Why findings refuse the start; `None` in development mode.
    pub enforced_because: Option<&'static str>,
    /// The node must not start.
    pub failures: Vec<String>,
    /// The same findings on a node that only its own machine can reach.
    pub warnings: Vec<String>,
}

/// Runs every check. In production mode all findings refuse the start, else they warn; those about PKI realms always
/// refuse it.
///
/// Production: the transport can be reached from other machines and the node may have company.
pub fn check(facts: &Facts) -> Verdict {
    let reachable = facts.addresses.iter().any(|address| !address.is_loopback());
    let enforced_because = if facts.enforced {
        Some("explicitly enforcing bootstrap checks")
    } else if reachable && !facts.single_node {
        Some("bound or publishing to a non-loopback address, enforcing bootstrap checks")
    } else {
        None
    };
    let findings = findings(facts);
    let (mut failures, mut warnings) = match enforced_because {
        Some(_) => (findings, Vec::new()),
        None => (Vec::new(), findings),
    };
    failures.extend(always_enforced(&facts.pki));
    warnings.extend(map_count(&facts.limits));
    Verdict {
        enforced_because,
        failures,
        warnings,
    }
}

fn findings(facts: &Facts) -> Vec<String> {
    let mut findings = Vec::new();
    if facts.security_enabled && !facts.transport_tls {
        findings.push(TRANSPORT_TLS.to_owned());
    }
    if !facts.discovery_configured && !facts.single_node {
        findings.push(DISCOVERY.to_owned());
    }
    if facts.security_enabled && facts.token_service && !facts.https {
        findings.push(TOKEN_SERVICE.to_owned());
    }
    if facts.memory_unlocked {
        findings.push(MEMORY_LOCK.to_owned());
    }
    let Limits {
        user,
        open_files,
        threads,
        address_space,
        file_size,
        map_count: _,
    } = &facts.limits;
    if let Some(limit) = open_files.filter(|limit| *limit < LEAST_FILES) {
        findings.push(format!(
            "max file descriptors [{limit}] for elasticsearch process is too low, increase to at least [{LEAST_FILES}]"
        ));
    }
    if let Some(limit) = threads.filter(|limit| *limit < LEAST_THREADS) {
        findings.push(format!(
            "max number of threads [{limit}] for user [{user}] is too low, increase to at least [{LEAST_THREADS}]"
        ));
    }
    if let Some(limit) = address_space {
        findings.push(format!(
            "max size virtual memory [{limit}] for user [{user}] is too low, increase to [unlimited]"
        ));
    }
    if let Some(limit) = file_size {
        findings.push(format!(
            "max file size [{limit}] for user [{user}] is too low, increase to [unlimited]"
        ));
    }
    findings
}

/// A realm that nobody can log in with, or that lets in whom nobody verified.
fn always_enforced(pki: &PkiFacts) -> Vec<String> {
    let mut findings = pki.problems.clone();
    if pki.enabled && !pki.asked_for {
        findings.push(PKI_UNUSABLE.to_owned());
    }
    if pki.without_trust && pki.asked_for && !pki.verified {
        findings.push(PKI_UNVERIFIED.to_owned());
    }
    findings
}

/// Elasticsearch refuses the start here. A shard of ours has few mapped files, so that the usual 65,530 last for
/// thousands of shards: only said.
fn map_count(limits: &Limits) -> Option<String> {
    let limit = limits.map_count.filter(|limit| *limit < LEAST_MAPS)?;
    Some(format!(
        "max virtual memory areas vm.max_map_count [{limit}] is too low for many shards, increase to at least [{LEAST_MAPS}]"
    ))
}

/// Returns whether a finding is about what the operating system lets the process have, not about settings.
pub fn is_about_limits(finding: &str) -> bool {
    finding.starts_with("max ") || finding == MEMORY_LOCK
}

/// Returns the frame around failures that operators look for. Source: Elasticsearch reference, "Bootstrap Checks".
pub fn frame(failures: &[String]) -> String {
    let count = failures.len();
    let mut text = format!(
        "[{count}] bootstrap checks failed. You must address the points described in the following [{count}] \
         lines before starting Elasticsearch."
    );
    for (number, failure) in failures.iter().enumerate() {
        text.push_str(&format!(
            "\nbootstrap check failure [{}] of [{count}]: {failure}",
            number + 1
        ));
    }
    text
}

/// Returns whether `ES_JAVA_OPTS` enforces the checks.
///
/// # Errors
/// The property has another value than `true`.
pub fn is_enforced(java_options: &str) -> Result<bool, String> {
    let given = java_options
        .split_whitespace()
        .filter_map(|option| option.strip_prefix("-Des.enforce.bootstrap.checks"))
        .next_back();
    match given {
        None => Ok(false),
        Some("=true") => Ok(true),
        Some(other) => Err(format!(
            "[es.enforce.bootstrap.checks] must be [true] but was [{}] (in ES_JAVA_OPTS)",
            other.trim_start_matches('=')
        )),
    }
}

const LEAST_FILES: u64 = 65_535;
const LEAST_THREADS: u64 = 4096;
const LEAST_MAPS: u64 = 262_144;

const TRANSPORT_TLS: &str = "Transport SSL must be enabled if security is enabled. Please set \
    [xpack.security.transport.ssl.enabled] to [true] or disable security by setting \
    [xpack.security.enabled] to [false]";

const DISCOVERY: &str = "the default discovery settings are unsuitable for production use; at \
    least one of [discovery.seed_hosts, discovery.seed_providers, cluster.initial_master_nodes] \
    must be configured";

const TOKEN_SERVICE: &str = "HTTPS is required in order to use the token service; please enable HTTPS using the \
    [xpack.security.http.ssl.enabled] setting or disable the token service using the \
    [xpack.security.authc.token.enabled] setting";

const MEMORY_LOCK: &str =
    "memory locking requested for elasticsearch process but memory is not locked";

/// Certificates on the transport are those of nodes here, never of users: only HTTPS counts.
const PKI_UNUSABLE: &str = "a PKI realm is enabled but cannot be used as neither HTTP or Transport have SSL and client \
    authentication enabled; set [xpack.security.http.ssl.enabled] to [true] and \
    [xpack.security.http.ssl.client_authentication] to [optional] or [required]: clients of transport are nodes here";

const PKI_UNVERIFIED: &str = "a PKI realm without trust configuration is enabled but it is not secure to use it when \
    certificate verification is disabled for HTTP or Transport; set [xpack.security.http.ssl.verification_mode] to \
    [full], or the [certificate_authorities] of the realm";

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(address: &str) -> Facts {
        Facts {
            addresses: vec![address.parse().unwrap()],
            single_node: false,
            enforced: false,
            security_enabled: true,
            transport_tls: false,
            discovery_configured: false,
            https: false,
            token_service: false,
            memory_unlocked: false,
            pki: PkiFacts::default(),
            limits: Limits::default(),
        }
    }

    #[test]
    fn findings_refuse_where_others_can_reach_and_warn_on_loopback() {
        let verdict = check(&facts("192.0.2.1"));
        assert_eq!(verdict.failures, [TRANSPORT_TLS, DISCOVERY]);
        let verdict = check(&facts("127.0.0.1"));
        assert!(verdict.failures.is_empty());
        assert_eq!(verdict.warnings.len(), 2);
        let enforced = Facts {
            enforced: true,
            ..facts("127.0.0.1")
        };
        assert_eq!(check(&enforced).failures.len(), 2);
    }

    #[test]
    fn a_single_node_is_in_development_mode() {
        let mut facts = facts("192.0.2.1");
        facts.single_node = true;
        let verdict = check(&facts);
        assert_eq!(
            (verdict.failures.len(), verdict.warnings),
            (0, vec![TRANSPORT_TLS.to_owned()])
        );
    }

    #[test]
    fn without_security_tls_is_not_asked_for() {
        let mut facts = facts("192.0.2.1");
        facts.security_enabled = false;
        facts.discovery_configured = true;
        assert!(check(&facts).failures.is_empty());
    }

    #[test]
    fn realms_of_certificates_that_cannot_work_refuse_every_start() {
        let works = PkiFacts {
            enabled: true,
            without_trust: true,
            asked_for: true,
            verified: true,
            problems: Vec::new(),
        };
        let failures = |pki: PkiFacts| {
            let facts = Facts {
                pki,
                ..facts("127.0.0.1")
            };
            check(&facts).failures
        };
        assert!(failures(works.clone()).is_empty());
        let not_asked = PkiFacts {
            asked_for: false,
            ..works.clone()
        };
        assert_eq!(failures(not_asked), [PKI_UNUSABLE]);
        let unverified = PkiFacts {
            verified: false,
            ..works.clone()
        };
        assert_eq!(failures(unverified.clone()), [PKI_UNVERIFIED]);
        let own_trust = PkiFacts {
            without_trust: false,
            ..unverified
        };
        assert!(failures(own_trust).is_empty());
        let broken = PkiFacts {
            problems: vec!["Role mapping file [x] does not exist".to_owned()],
            ..works
        };
        assert_eq!(failures(broken), ["Role mapping file [x] does not exist"]);
        assert!(failures(PkiFacts::default()).is_empty());
    }

    #[test]
    fn a_token_service_needs_https_and_a_memory_lock_must_hold() {
        let mut facts = facts("192.0.2.1");
        (facts.transport_tls, facts.discovery_configured) = (true, true);
        (facts.token_service, facts.memory_unlocked) = (true, true);
        assert_eq!(check(&facts).failures, [TOKEN_SERVICE, MEMORY_LOCK]);
        assert!(is_about_limits(MEMORY_LOCK) && !is_about_limits(TOKEN_SERVICE));
        (facts.https, facts.memory_unlocked) = (true, false);
        assert!(check(&facts).failures.is_empty());
    }

    #[test]
    fn limits_of_the_process_are_checked_all_at_once() {
        let mut facts = facts("192.0.2.1");
        (facts.transport_tls, facts.discovery_configured) = (true, true);
        facts.limits = Limits {
            user: "es".to_owned(),
            open_files: Some(4096),
            threads: Some(100),
            address_space: Some(1 << 30),
            file_size: Some(1 << 20),
            map_count: Some(65_530),
        };
        let failures = check(&facts).failures;
        assert_eq!(failures.len(), 4);
        assert!(check(&facts).warnings[0].contains("vm.max_map_count [65530]"));
        let text = frame(&failures);
        assert!(
            text.starts_with("[4] bootstrap checks failed. You must address"),
            "{text}"
        );
        assert!(text.contains(
            "\nbootstrap check failure [4] of [4]: max file size [1048576] for user [es] is too low"
        ));
        facts.limits = Limits {
            open_files: Some(65_535),
            threads: Some(4096),
            map_count: Some(262_144),
            ..Limits::default()
        };
        assert_eq!(check(&facts), check_passed());
    }

    fn check_passed() -> Verdict {
        Verdict {
            enforced_because: Some(
                "bound or publishing to a non-loopback address, enforcing bootstrap checks",
            ),
            ..Verdict::default()
        }
    }

    #[test]
    fn the_checks_can_be_enforced_by_the_environment() {
        assert_eq!(is_enforced("-Xms1g"), Ok(false));
        assert_eq!(
            is_enforced("-Xms1g -Des.enforce.bootstrap.checks=true"),
            Ok(true)
        );
        let error = is_enforced("-Des.enforce.bootstrap.checks=yes").unwrap_err();
        assert!(error.contains("must be [true] but was [yes]"), "{error}");
    }
}
