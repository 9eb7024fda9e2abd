//! `certutil rotate`: another CA for a cluster that goes on running.
//!
//! What is done and what is to do is read from the files of the nodes each time, so that an interrupted run goes
//! on where it stopped. Source: node.md sections 4 and 11, row 4.

mod edit;
mod home;
mod online;
mod plan;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use ringwall_base::TimeValue;
use ringwall_pki::{CertificateAuthority, CertificateDer, CertificateInfo};
use ringwall_settings::registry::ssl;
use ringwall_tls::KeySource;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use self::edit::subject;
use self::home::{Home, Layer};
use self::online::{Cluster, ClusterArgs};
use self::plan::{Step, next, severed, waiting};
use super::issuer::IssuerArgs;
use super::output;
use super::password::PasswordSource;
use super::renew::{self, RenewArgs, pair::Pair, store::Store};
use super::replacement::{NewFile, replace};
use crate::error::CommandError;
use crate::terminal::Terminal;

/// Arguments of `certutil rotate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Three steps, each on every node before the next: trust (both CAs are trusted), reissue (every node gets \
        a certificate of the new CA, with the names of the old one), drop (the old CA is trusted no more). Running nodes \
        take up changed files by themselves within seconds; with --url the cluster is asked whether all have.\n\n\
        Examples:\n  \
        elasticsearch-certutil ca --out new-ca.p12\n  \
        elasticsearch-certutil rotate --ca new-ca.p12 --home node-1 --home node-2 --home node-3 --dry-run\n  \
        elasticsearch-certutil rotate --ca new-ca.p12 --home node-1 --home node-2 --home node-3\n  \
        elasticsearch-certutil rotate --ca new-ca.p12 --home node-1 --home node-2 --all --url https://es01:9200 --yes\n\n\
        Run it again after an interruption: what is done is seen in the files. Old files stay, with the time and .bak \
        added to their names."
)]
pub(super) struct RotateArgs {
    /// Home or configuration directory of a node; name every node of the cluster
    #[arg(long = "home", value_name = "DIR", required = true)]
    homes: Vec<PathBuf>,
    #[command(flatten)]
    authority: IssuerArgs,
    /// Whose certificates: those between nodes, or those that clients see
    #[arg(long, value_enum, default_value_t = LayerName::Transport)]
    layer: LayerName,
    /// The step to do; without it the next one
    #[arg(long, value_enum, conflicts_with = "all")]
    step: Option<Step>,
    /// Do every step, waiting between them until nodes have taken up the one before
    #[arg(long)]
    all: bool,
    /// SHA-256 fingerprint of a CA to drop, where nodes trust several others; repeatable
    #[arg(long, value_name = "FINGERPRINT")]
    drop: Vec<String>,
    /// How long to wait for the nodes after a step: until the cluster says so with --url, else this long
    #[arg(long, value_name = "TIME", default_value = "60s")]
    wait: TimeValue,
    /// Validity in days of the new certificates; else as long as the old ones were valid
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it without a question
    #[arg(long)]
    yes: bool,
    /// Print a JSON object of each step
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LayerName {
    Transport,
    Http,
}

impl LayerName {
    fn prefix(self) -> &'static str {
        match self {
            Self::Transport => ssl::TRANSPORT_SSL.prefix,
            Self::Http => ssl::HTTP_SSL.prefix,
        }
    }
}

/// Finds the step, plans it, asks, writes, waits.
pub(super) fn run(args: RotateArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let Some(authority) = args.authority.load(terminal)? else {
        return Err(
            CommandError::usage("Must specify either --ca or --ca-cert/--ca-key")
                .with_hint("it is the new CA; make one with `certutil ca`"),
        );
    };
    if args.yes {
        terminal.set_assume_yes();
    }
    let mut homes = Vec::new();
    for path in &args.homes {
        homes.push(Home::open(&output::input(path)?, terminal)?);
    }
    let rotation = Rotation {
        args: &args,
        authority,
        cluster: args.cluster.open(&homes[0].settings()?, terminal)?,
        homes,
    };
    let mut layers = rotation.layers()?;
    let Some(first) = args.step.or_else(|| next(&layers, &rotation.authority)) else {
        return rotation.finished(terminal);
    };
    let mut step = first;
    loop {
        rotation.perform(step, &layers, terminal)?;
        if args.dry_run || !args.all {
            return Ok(());
        }
        layers = rotation.layers()?;
        match next(&layers, &rotation.authority) {
            Some(following) => step = following,
            None => return rotation.finished(terminal),
        }
    }
}

struct Rotation<'a> {
    args: &'a RotateArgs,
    authority: CertificateAuthority,
    cluster: Option<Cluster>,
    homes: Vec<Home>,
}

impl Rotation<'_> {
    /// Reads the layer of every node as it is now.
    fn layers(&self) -> Result<Vec<Layer>, CommandError> {
        let prefix = self.args.layer.prefix();
        self.homes.iter().map(|home| home.layer(prefix)).collect()
    }

    fn finished(&self, terminal: &mut Terminal) -> Result<(), CommandError> {
        let info = self.info()?;
        if self.args.json {
            terminal.result(json!({"step": null, "done": true}).to_string());
        } else {
            terminal.out(format!(
                "Every node shows a certificate of [{}] and trusts no other CA: the rotation is done.",
                info.subject
            ));
        }
        Ok(())
    }

    fn info(&self) -> Result<CertificateInfo, CommandError> {
        CertificateInfo::from_der(self.authority.certificate()).map_err(super::failed)
    }

    fn perform(
        &self,
        step: Step,
        layers: &[Layer],
        terminal: &mut Terminal,
    ) -> Result<(), CommandError> {
        let dropped = match step {
            Step::Drop => self.dropped(layers)?,
            Step::Trust | Step::Reissue => Vec::new(),
        };
        self.check(step, layers, &dropped)?;
        let before = [Step::Trust, Step::Reissue, Step::Drop];
        if let (Some(cluster), Some(earlier)) = (
            &self.cluster,
            before.into_iter().rfind(|earlier| *earlier < step),
        ) {
            // Whoever ran the step before may not have waited.
            self.wait(cluster, earlier, &[])?;
        }
        let waiting = waiting(step, layers, &self.authority);
        let files = self.files(step, &waiting, &dropped, terminal)?;
        self.tell(step, &files, terminal)?;
        if self.args.dry_run || files.is_empty() {
            return Ok(());
        }
        if !terminal.confirm("Do you want to change these files?", false)? {
            return Err(CommandError::usage("nothing was changed"));
        }
        replace(&files, "Changed", terminal)?;
        let fingerprints: Vec<String> = dropped
            .iter()
            .filter_map(|certificate| CertificateInfo::from_der(certificate).ok())
            .map(|info| info.fingerprint_sha256)
            .collect();
        match &self.cluster {
            Some(cluster) => {
                self.wait(cluster, step, &fingerprints)?;
                terminal.out(format!("Every node has taken it up: the step [{}] is done.", step.name()));
            }
            None if self.args.all => std::thread::sleep(self.within()),
            None => terminal.out(
                "Running nodes take it up within [resource.reload.interval.high] (5s); GET /_ssl/nodes shows it. Wait \
                 for all before the next step.",
            ),
        }
        Ok(())
    }

    fn within(&self) -> Duration {
        self.args.wait.duration().unwrap_or_default()
    }

    fn wait(&self, cluster: &Cluster, step: Step, dropped: &[String]) -> Result<(), CommandError> {
        let prefix = self.args.layer.prefix();
        cluster.wait_for(step, prefix, &self.authority, dropped, self.within())
    }

    /// Refuses a step that is not due, or that would cut nodes off from one another.
    fn check(
        &self,
        step: Step,
        layers: &[Layer],
        dropped: &[CertificateDer<'static>],
    ) -> Result<(), CommandError> {
        for earlier in [Step::Trust, Step::Reissue] {
            let open = waiting(earlier, layers, &self.authority);
            if earlier < step && !open.is_empty() {
                let homes: Vec<&str> = open.iter().map(|layer| layer.home.as_str()).collect();
                return Err(CommandError::data(format!(
                    "the step [{}] cannot be done before [{}] is done on every node; it is not on {}",
                    step.name(),
                    earlier.name(),
                    homes.join(", ")
                )));
            }
        }
        let pairs = severed(step, layers, &self.authority, dropped);
        match pairs.first() {
            None => Ok(()),
            Some((one, other)) => Err(CommandError::data(format!(
                "after the step [{}] the node of {one} would refuse the node of {other}",
                step.name()
            ))
            .with_hint("name every node of the cluster with --home, and look at what each trusts with certutil inspect")),
        }
    }

    /// Returns the CAs that are no longer to be trusted.
    fn dropped(&self, layers: &[Layer]) -> Result<Vec<CertificateDer<'static>>, CommandError> {
        let mut others: Vec<CertificateDer<'static>> = Vec::new();
        for other in layers
            .iter()
            .flat_map(|layer| layer.others(self.authority.certificate()))
        {
            if !others.contains(&other) {
                others.push(other);
            }
        }
        let fingerprint = |certificate: &CertificateDer<'static>| {
            CertificateInfo::from_der(certificate)
                .map_or_else(|_| String::new(), |info| info.fingerprint_sha256)
        };
        if self.args.drop.is_empty() && others.len() > 1 {
            let names: Vec<String> = others
                .iter()
                .map(|certificate| {
                    format!("{} [{}]", fingerprint(certificate), subject(certificate))
                })
                .collect();
            return Err(CommandError::usage(format!(
                "nodes trust several other CAs; tell which to drop with --drop: {}",
                names.join(", ")
            )));
        }
        if self.args.drop.is_empty() {
            return Ok(others);
        }
        let plain = |text: &String| text.replace(':', "").to_ascii_lowercase();
        let wanted: Vec<String> = self.args.drop.iter().map(plain).collect();
        let unknown = wanted
            .iter()
            .find(|wanted| !others.iter().any(|other| fingerprint(other) == **wanted));
        if let Some(unknown) = unknown {
            return Err(CommandError::usage(format!(
                "no node trusts a CA with the SHA-256 fingerprint [{unknown}] beside the new one"
            )));
        }
        others.retain(|other| wanted.contains(&fingerprint(other)));
        Ok(others)
    }

    /// Makes the new files of a step. Files with the same content stay the same.
    fn files(
        &self,
        step: Step,
        waiting: &[&Layer],
        dropped: &[CertificateDer<'static>],
        terminal: &mut Terminal,
    ) -> Result<Vec<NewFile>, CommandError> {
        let mut made: Vec<NewFile> = Vec::new();
        let mut same: HashMap<Vec<Vec<u8>>, Vec<Content>> = HashMap::new();
        for layer in waiting {
            let key = key_files(layer)?;
            let files = match (step, same.get(&key.contents)) {
                (Step::Trust, _) => edit::with(&layer.config, self.authority.certificate())?,
                (Step::Drop, _) => {
                    edit::without(&layer.config, dropped, self.authority.certificate())?
                }
                (Step::Reissue, Some(known)) if known.len() == key.paths.len() => key
                    .paths
                    .iter()
                    .zip(known)
                    .map(|(path, (content, summary))| NewFile {
                        path: path.clone(),
                        content: content.clone(),
                        summary: summary.clone(),
                    })
                    .collect(),
                (Step::Reissue, _) => self.reissue(layer, terminal)?,
            };
            if step == Step::Reissue && files.len() == key.paths.len() {
                let by_path = key
                    .paths
                    .iter()
                    .filter_map(|path| files.iter().find(|file| file.path == *path));
                let contents = by_path
                    .map(|file| (file.content.clone(), file.summary.clone()))
                    .collect();
                same.insert(key.contents, contents);
            }
            for file in files {
                // Two nodes may have one file between them.
                if !made.iter().any(|known| known.path == file.path) {
                    made.push(file);
                }
            }
        }
        Ok(made)
    }

    fn reissue(
        &self,
        layer: &Layer,
        terminal: &mut Terminal,
    ) -> Result<Vec<NewFile>, CommandError> {
        let options = RenewArgs::by_trusted(self.args.days);
        match &layer.config.key {
            KeySource::Keystore { path, password, .. } => {
                let path = &path.resolved;
                let content = read(path)?;
                let mut password = PasswordSource::known(password.clone());
                let store = Store::open(path, &content, &mut password, terminal)?;
                store.renew(|old| renew::issue(path, old, &self.authority, &options, terminal))
            }
            KeySource::Pem {
                key,
                passphrase,
                certificate,
            } => {
                let path = &certificate.resolved;
                let content = read(path)?;
                let mut password = PasswordSource::known(passphrase.clone().unwrap_or_default());
                let pair =
                    Pair::open(path, &content, Some(&key.resolved), &mut password, terminal)?;
                pair.renew(false, |old| {
                    renew::issue(path, old, &self.authority, &options, terminal)
                })
            }
            KeySource::None => Ok(Vec::new()),
        }
    }

    /// Returns whether HTTPS shows a certificate out of one of the files.
    fn is_seen_by_clients(&self, files: &[NewFile]) -> Result<bool, CommandError> {
        for home in &self.homes {
            let seen = home.seen_by_clients()?;
            if files.iter().any(|file| seen.contains(&file.path)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn tell(
        &self,
        step: Step,
        files: &[NewFile],
        terminal: &mut Terminal,
    ) -> Result<(), CommandError> {
        let info = self.info()?;
        if step == Step::Reissue && self.is_seen_by_clients(files)? {
            terminal.err(
                "Warning: clients see these certificates. Give them the new CA before this step.",
            );
        }
        if self.args.json {
            let changes: Value = files
                .iter()
                .map(
                    |file| json!({"file": file.path.display().to_string(), "change": file.summary}),
                )
                .collect();
            let told = json!({
                "step": step.name(), "dry_run": self.args.dry_run, "done": false,
                "ca": {"subject": info.subject.to_string(), "serial_number": info.serial,
                       "fingerprint_sha256": info.fingerprint_sha256},
                "changes": changes,
            });
            terminal.result(told.to_string());
            return Ok(());
        }
        terminal.out(format!(
            "New CA [{}], SHA-256 fingerprint {}, valid until {}",
            info.subject, info.fingerprint_sha256, info.not_after
        ));
        terminal.out(format!(
            "Step [{}]{}:",
            step.name(),
            if self.args.dry_run {
                " would change"
            } else {
                ""
            }
        ));
        for file in files {
            terminal.out(format!("  {}: {}", file.path.display(), file.summary));
        }
        Ok(())
    }
}

/// New content of a file, and what the user is to know of it.
type Content = (Zeroizing<Vec<u8>>, String);

/// The files of a node's key, and what is in them.
struct KeyFiles {
    paths: Vec<PathBuf>,
    contents: Vec<Vec<u8>>,
}

fn key_files(layer: &Layer) -> Result<KeyFiles, CommandError> {
    let paths: Vec<PathBuf> = match &layer.config.key {
        KeySource::Keystore { path, .. } => vec![path.resolved.clone()],
        KeySource::Pem {
            key, certificate, ..
        } if key.resolved == certificate.resolved => {
            vec![key.resolved.clone()]
        }
        KeySource::Pem {
            key, certificate, ..
        } => {
            vec![key.resolved.clone(), certificate.resolved.clone()]
        }
        KeySource::None => Vec::new(),
    };
    // Only to tell whether two are alike: digests would do, and hold no key.
    let digest = |path: &PathBuf| -> Result<Vec<u8>, CommandError> {
        let content = read(path)?;
        Ok(ringwall_pki::fingerprint_sha256(&content).into_bytes())
    };
    let contents = paths.iter().map(digest).collect::<Result<_, _>>()?;
    Ok(KeyFiles { paths, contents })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let content = std::fs::read(path).map_err(|error| CommandError::io(path, &error))?;
    Ok(Zeroizing::new(content))
}
