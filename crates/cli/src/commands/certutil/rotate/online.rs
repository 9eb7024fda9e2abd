//! What a running cluster says of its certificates: whether a step has reached every node.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use http::Method;
use ringwall_base::SecretString;
use ringwall_pki::{CertificateDer, CertificateInfo};
use ringwall_rest::http_client::HttpClient;
use ringwall_settings::Settings;
use serde_json::Value;

use super::plan::Step;
use crate::commands::online;
use crate::commands::users::first_line;
use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// The options about the cluster.
#[derive(Debug, clap::Args)]
pub(super) struct ClusterArgs {
    /// Address of a node of the running cluster, which is asked whether a step has reached every node
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// User with the cluster privilege monitor
    #[arg(long, value_name = "NAME", default_value = "elastic", requires = "url")]
    user: String,
    /// Read the user's password from the first line of a file; else it is asked for
    #[arg(long, value_name = "FILE", requires = "url")]
    user_pass_file: Option<PathBuf>,
}

/// A cluster to ask.
pub(super) struct Cluster {
    url: String,
    user: String,
    password: SecretString,
    /// Whose trust changes with the files.
    settings: Settings,
    /// Whom it is known by as well, from the first step to the last: some nodes are ahead of others.
    known: Vec<CertificateDer<'static>>,
    runtime: tokio::runtime::Runtime,
}

impl ClusterArgs {
    /// Returns the cluster, trusted as the node with these settings would trust it and by the certificates given;
    /// `None` without `--url`.
    pub(super) fn open(
        &self,
        settings: &Settings,
        known: Vec<CertificateDer<'static>>,
        terminal: &mut Terminal,
    ) -> Result<Option<Cluster>, CommandError> {
        let Some(url) = &self.url else {
            return Ok(None);
        };
        let password = match &self.user_pass_file {
            Some(file) => first_line(file)?,
            None => terminal.secret(&format!("Enter password for [{}] : ", self.user))?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                CommandError::new(ExitCode::Failure, format!("cannot start: {error}"))
            })?;
        Ok(Some(Cluster {
            url: url.clone(),
            user: self.user.clone(),
            password,
            settings: settings.clone(),
            known,
            runtime,
        }))
    }
}

/// What nodes have in use when they have taken up their files.
pub(super) struct Expected {
    /// The settings prefix.
    pub(super) context: &'static str,
    /// The new CA.
    pub(super) authority: CertificateInfo,
    /// By node name, of the nodes whose homes are at hand.
    pub(super) homes: BTreeMap<String, InUse>,
}

/// SHA-256 fingerprints of what a node shows and trusts.
pub(super) struct InUse {
    pub(super) leaf: String,
    pub(super) trusted: BTreeSet<String>,
}

impl Cluster {
    /// Tells which nodes of the cluster have no home here. Errors: a home has no node in the cluster, which only a dry
    /// run may go on after.
    pub(super) fn compare(
        &self,
        expected: &Expected,
        is_dry_run: bool,
        terminal: &mut Terminal,
    ) -> Result<(), CommandError> {
        let view = self
            .view()
            .map_err(|reason| CommandError::new(ExitCode::Unavailable, reason))?;
        let nodes: Vec<&str> = nodes(&view).map(name).collect();
        for node in nodes
            .iter()
            .filter(|node| !expected.homes.contains_key(**node))
        {
            terminal.err(format!(
                "Note: [{node}] is in the cluster and none of the homes is its: its files are not changed, and no step is \
                 begun before it is ready for it."
            ));
        }
        let homes = expected.homes.keys().map(String::as_str);
        let absent: Vec<&str> = homes.filter(|node| !nodes.contains(node)).collect();
        if !absent.is_empty() && !is_dry_run {
            // It would come back with other files than those that the others were asked about.
            return Err(CommandError::new(
                ExitCode::Unavailable,
                format!(
                    "not in the cluster now: [{}]; nothing was changed in this run",
                    absent.join("], [")
                ),
            )
            .with_hint(
                "start these nodes and run the same command again; without --url files are changed and nobody is asked",
            ));
        }
        for node in absent {
            terminal.err(format!(
                "Note: [{node}] is not in the cluster now: no step is begun before it is."
            ));
        }
        Ok(())
    }

    /// Waits until every node has a step in use. `dropped` are fingerprints of CAs that no node may trust.
    ///
    /// Errors: the time is up, and what is missing where; or all that is missing is on nodes without a home here, and
    /// what is to be done there.
    pub(super) fn wait_for(
        &self,
        step: Step,
        expected: &Expected,
        dropped: &[String],
        within: Duration,
    ) -> Result<(), CommandError> {
        let begun = Instant::now();
        loop {
            let missing = match self.view() {
                Ok(view) => missing(&view, step, expected, dropped),
                Err(reason) => vec![Missing {
                    text: reason,
                    remedy: None,
                }],
            };
            if missing.is_empty() {
                return Ok(());
            }
            let only_elsewhere = missing.iter().all(|missing| missing.remedy.is_some());
            if only_elsewhere || begun.elapsed() >= within {
                let texts: Vec<&str> = missing
                    .iter()
                    .map(|missing| missing.text.as_str())
                    .collect();
                let message = format!(
                    "after {}s the step [{}] has not reached every node: {}",
                    begun.elapsed().as_secs(),
                    step.name(),
                    texts.join("; ")
                );
                let remedies: Vec<&str> = missing
                    .iter()
                    .filter_map(|missing| missing.remedy.as_deref())
                    .collect();
                let hint = match remedies.is_empty() {
                    true => "look at the logs of these nodes, then run the same command again"
                        .to_owned(),
                    false => format!("{}; then run the same command again", remedies.join("; ")),
                };
                return Err(CommandError::new(ExitCode::Unavailable, message).with_hint(hint));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn view(&self) -> Result<Value, String> {
        let tls =
            online::tls_trusting(&self.settings, &self.known).map_err(|error| error.to_string())?;
        let login = Some((self.user.as_str(), &self.password));
        let client = HttpClient::new(&self.url, tls, login).map_err(|error| error.to_string())?;
        let asked = client.request(Method::GET, "/_ssl/nodes", None, String::new());
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(DEADLINE, asked).await })
            .map_err(|_| format!("[{}] does not answer", self.url))?
            .map_err(|error| error.to_string())?;
        match answer.status.is_success() {
            true => Ok(answer.json()),
            false => Err(format!("[{}]: {}", self.url, online::refusal(&answer))),
        }
    }
}

/// What keeps a step from being in use on every node.
#[derive(Debug)]
struct Missing {
    text: String,
    /// What to do on a host whose files are not at hand.
    remedy: Option<String>,
}

fn nodes(view: &Value) -> impl Iterator<Item = &Value> {
    let nodes = view["nodes"].as_object();
    nodes.into_iter().flat_map(serde_json::Map::values)
}

fn name(node: &Value) -> &str {
    node["name"].as_str().unwrap_or("?")
}

/// Returns what is missing for a step to be in use on every node.
fn missing(view: &Value, step: Step, expected: &Expected, dropped: &[String]) -> Vec<Missing> {
    let here = |text: String| Missing { text, remedy: None };
    let mut missing = Vec::new();
    if view["_nodes"]["failed"] != 0 {
        missing.push(here("not every node answers".to_owned()));
    }
    let in_view: BTreeSet<&str> = nodes(view).map(name).collect();
    for absent in expected.homes.keys() {
        if !in_view.contains(absent.as_str()) {
            missing.push(here(format!(
                "[{absent}] is not in the cluster, so that nobody can tell what it uses"
            )));
        }
    }
    for node in nodes(view) {
        let name = name(node);
        let contexts = node["contexts"].as_array().map(Vec::as_slice);
        let Some(used) = contexts
            .unwrap_or_default()
            .iter()
            .find(|used| used["name"] == expected.context)
        else {
            let context = expected.context;
            missing.push(here(format!("[{name}] does not use [{context}]")));
            continue;
        };
        if let Some(error) = used["reload_error"].as_str() {
            missing.push(here(format!("[{name}] cannot load its files: {error}")));
        }
        match expected.homes.get(name) {
            Some(files) => missing.extend(not_of_files(name, used, files).map(here)),
            None => missing.extend(not_ready(name, used, step, expected, dropped)),
        }
    }
    missing
}

/// Returns how what a node has in use differs from its files.
fn not_of_files(name: &str, used: &Value, files: &InUse) -> Option<String> {
    let leaf = own(used).map(|row| row["fingerprint_sha256"].as_str().unwrap_or_default());
    if leaf != Some(files.leaf.as_str()) {
        return Some(format!(
            "[{name}] does not show the certificate of its file yet"
        ));
    }
    let trusted = trusted(used);
    if let Some(new) = files
        .trusted
        .iter()
        .find(|file| !trusted.contains(file.as_str()))
    {
        return Some(format!(
            "[{name}] does not trust the certificate {new} of its files yet"
        ));
    }
    let old = trusted
        .iter()
        .find(|known| !files.trusted.contains(**known))?;
    Some(format!(
        "[{name}] still trusts the certificate {old}, which is not in its files"
    ))
}

/// Returns what a node without a home here lacks, and what to do on its host.
fn not_ready(
    name: &str,
    used: &Value,
    step: Step,
    expected: &Expected,
    dropped: &[String],
) -> Option<Missing> {
    let Expected {
        authority,
        context,
        homes,
    } = expected;
    let (subject, new) = (&authority.subject, authority.fingerprint_sha256.as_str());
    let trusted = trusted(used);
    let rows = rows(used);
    let found = |text: String, remedy: String| {
        Some(Missing {
            text,
            remedy: Some(remedy),
        })
    };
    let file = |row: Option<&Value>, else_named: &str| {
        let path = row.and_then(|row| row["path"].as_str());
        path.map_or_else(
            || format!("[{context}.{else_named}]"),
            |path| format!("[{path}]"),
        )
    };
    let is_trusted = |row: &&Value| {
        let fingerprint = row["fingerprint_sha256"].as_str().unwrap_or_default();
        row["is_ca"] == true && trusted.contains(fingerprint)
    };
    if !trusted.contains(new) {
        let into = file(rows.iter().find(is_trusted), "certificate_authorities");
        return found(
            format!("[{name}], whose home is not given, does not trust [{subject}]"),
            format!(
                "on the host of [{name}], add the certificate of the CA with the fingerprint {new} to {into}"
            ),
        );
    }
    if step >= Step::Reissue && own(used).is_none_or(|row| row["issuer_fingerprint_sha256"] != new)
    {
        let into = file(own(used), "certificate");
        return found(
            format!(
                "[{name}], whose home is not given, does not show a certificate that [{subject}] signed"
            ),
            format!(
                "give the host of [{name}] a certificate of the new CA in {into}: run `elasticsearch-certutil renew` on a copy \
                 of that file (and of its key) and copy the result back"
            ),
        );
    }
    let is_old = |row: &&Value| {
        let fingerprint = row["fingerprint_sha256"].as_str().unwrap_or_default();
        let is_kept = match dropped {
            [] => homes
                .values()
                .any(|files| files.trusted.contains(fingerprint)),
            dropped => !dropped.iter().any(|old| old == fingerprint),
        };
        is_trusted(row) && fingerprint != new && !is_kept
    };
    let old = rows.iter().find(is_old).filter(|_| step == Step::Drop)?;
    let (from, fingerprint) = (
        file(Some(old), "certificate_authorities"),
        &old["fingerprint_sha256"],
    );
    found(
        format!("[{name}], whose home is not given, still trusts the old CA"),
        format!(
            "on the host of [{name}], take the CA with the fingerprint {fingerprint} out of {from}"
        ),
    )
}

fn rows(used: &Value) -> &[Value] {
    let rows = used["certificates"].as_array().map(Vec::as_slice);
    rows.unwrap_or_default()
}

/// Returns the row of the certificate that the node shows.
fn own(used: &Value) -> Option<&Value> {
    rows(used).iter().find(|row| row["has_private_key"] == true)
}

fn trusted(used: &Value) -> BTreeSet<&str> {
    let trusted = used["trusted_fingerprints_sha256"].as_array();
    let trusted = trusted.into_iter().flatten();
    trusted.filter_map(Value::as_str).collect()
}

const PAUSE: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use ringwall_pki::{CaParams, CertificateAuthority, KeySpec};
    use serde_json::json;

    use super::*;

    /// A CA with the DN that every CA gets by default.
    fn authority() -> CertificateInfo {
        let params = CaParams {
            key: KeySpec::EcP256,
            ..CaParams::default()
        };
        let authority = CertificateAuthority::generate(&params).unwrap();
        CertificateInfo::from_der(authority.certificate()).unwrap()
    }

    /// One node `n` of a cluster, that shows a leaf and trusts.
    fn view(authority: &CertificateInfo, leaf: &str, issuer: &str, trusts: &[&str]) -> Value {
        let dn = authority.subject.to_string();
        let mut rows = vec![json!({
            "path": "n.crt", "has_private_key": true, "is_ca": false, "issuer": dn, "fingerprint_sha256": leaf,
            "issuer_fingerprint_sha256": issuer,
        })];
        rows.extend(trusts.iter().map(|sha| {
            json!({"path": "ca.crt", "has_private_key": false, "is_ca": true, "issuer": dn, "fingerprint_sha256": sha})
        }));
        json!({
            "_nodes": {"failed": 0},
            "nodes": {"id": {"name": "n", "contexts": [{
                "name": "c", "reload_error": null, "certificates": rows, "trusted_fingerprints_sha256": trusts,
            }]}},
        })
    }

    #[test]
    fn a_node_is_done_when_it_has_its_files_in_use_whatever_the_names() {
        let authority = authority();
        let new = authority.fingerprint_sha256.clone();
        let expecting = |leaf: &str, trusts: &[&str]| Expected {
            context: "c",
            authority: authority.clone(),
            homes: BTreeMap::from([(
                "n".to_owned(),
                InUse {
                    leaf: leaf.to_owned(),
                    trusted: trusts.iter().map(|sha| (*sha).to_owned()).collect(),
                },
            )]),
        };
        let lacks = |leaf: &str, trusts: &[&str], expected: &Expected| {
            let view = view(&authority, leaf, "old", trusts);
            let found = missing(&view, Step::Reissue, expected, &[]);
            assert!(found.iter().all(|missing| missing.remedy.is_none()));
            found
                .into_iter()
                .map(|missing| missing.text)
                .collect::<String>()
        };
        let both = expecting("leaf-2", &["old", &new]);
        assert!(
            lacks("leaf-1", &["old", &new], &both)
                .contains("does not show the certificate of its file")
        );
        assert!(lacks("leaf-2", &["old"], &both).contains("does not trust the certificate"));
        assert_eq!(lacks("leaf-2", &["old", &new], &both), "");
        let one = expecting("leaf-2", &[&new]);
        assert!(lacks("leaf-2", &["old", &new], &one).contains("still trusts the certificate old"));
        assert_eq!(lacks("leaf-2", &[&new], &one), "");

        let mut broken = view(&authority, "leaf-2", "old", &[&new]);
        broken["nodes"]["id"]["contexts"][0]["reload_error"] = json!("bad file");
        broken["_nodes"]["failed"] = json!(1);
        assert_eq!(missing(&broken, Step::Drop, &one, &[]).len(), 2);
        let other = Expected {
            context: "other",
            ..one
        };
        assert_eq!(missing(&broken, Step::Drop, &other, &[]).len(), 2);
    }

    #[test]
    fn a_home_whose_node_is_gone_is_not_done() {
        let authority = authority();
        let new = authority.fingerprint_sha256.clone();
        let in_use = || InUse {
            leaf: "leaf".to_owned(),
            trusted: BTreeSet::from([new.clone()]),
        };
        let mut expected = Expected {
            context: "c",
            authority: authority.clone(),
            homes: BTreeMap::from([("n".to_owned(), in_use())]),
        };
        let view = view(&authority, "leaf", &new, &[&new]);
        assert!(missing(&view, Step::Drop, &expected, &[]).is_empty());
        expected.homes.insert("gone".to_owned(), in_use());
        let found = missing(&view, Step::Drop, &expected, &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].remedy.is_none() && found[0].text.contains("[gone] is not in the cluster")
        );
    }

    #[test]
    fn a_node_without_a_home_is_looked_at_and_told_what_to_copy_where() {
        let authority = authority();
        let new = authority.fingerprint_sha256.as_str();
        let expected = Expected {
            context: "c",
            authority: authority.clone(),
            homes: BTreeMap::new(),
        };
        let dropped = ["old".to_owned()];
        let told = |step, issuer: &str, trusts: &[&str]| {
            let view = view(&authority, "leaf", issuer, trusts);
            let found = missing(&view, step, &expected, &dropped);
            found
                .into_iter()
                .map(|missing| missing.remedy.unwrap())
                .collect::<String>()
        };
        for step in [Step::Trust, Step::Reissue, Step::Drop] {
            let remedy = told(step, "old", &["old"]);
            assert!(
                remedy.contains(new) && remedy.ends_with("to [ca.crt]"),
                "{remedy}"
            );
        }
        assert_eq!(told(Step::Trust, "old", &["old", new]), "");
        assert!(told(Step::Reissue, "old", &["old", new]).contains("in [n.crt]: run"));
        assert_eq!(told(Step::Reissue, new, &["old", new]), "");
        assert!(told(Step::Drop, new, &["old", new]).contains("out of [ca.crt]"));
        assert_eq!(told(Step::Drop, new, &[new]), "");
    }
}
