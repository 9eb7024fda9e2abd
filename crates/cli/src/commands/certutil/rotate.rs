//! `certutil rotate`: another CA for a cluster that goes on running.
//!
//! What is done and what is to do is read from the files of the nodes each time, so that an interrupted run goes
//! on where it stopped. Source: Elasticsearch reference, "Update security certificates with a different CA".

mod disk;
mod edit;
mod home;
mod online;
mod plan;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use ringwall_base::TimeValue;
use ringwall_pki::{CertificateAuthority, CertificateDer, CertificateInfo, fingerprint_sha256};
use ringwall_settings::registry::ssl;
use ringwall_tls::{KeySource, TrustSource};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use self::disk::Disk;
use self::edit::subject;
use self::home::{Home, Layer, Torn};
use self::online::{Cluster, ClusterArgs, Expected, InUse};
use self::plan::{Severed, Step, next, severed, waiting};
use super::issuer::IssuerArgs;
use super::output;
use super::password::PasswordSource;
use super::renew::{self, RenewArgs, pair::Pair, store::Store};
use super::replacement::{NewFile, replace, restore};
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
    /// Home or configuration directory of a node; name every node of the cluster. With --url, nodes of the cluster
    /// without a home here are looked at, and told of, but not changed
    #[arg(long = "home", value_name = "DIR", required = true)]
    homes: Vec<PathBuf>,
    /// Read the password of the homes' keystores from the first line of a file; else it is asked for
    #[arg(long, value_name = "FILE")]
    keystore_password_file: Option<PathBuf>,
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
    /// Say what would be done, with --all in every step, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it without a question
    #[arg(long)]
    yes: bool,
    /// Print JSON objects of each step and nothing else; needs --yes or --dry-run
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LayerName {
    Transport,
    Http,
}

impl LayerName {
    fn name(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Http => "http",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Transport => Self::Http,
            Self::Http => Self::Transport,
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Transport => ssl::TRANSPORT_SSL.prefix,
            Self::Http => ssl::HTTP_SSL.prefix,
        }
    }
}

/// Finds the step, plans it, asks, writes, waits.
pub(super) fn run(args: RotateArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    if args.json {
        if !args.yes && !args.dry_run {
            return Err(CommandError::usage(
                "--json asks no question: it needs --yes or --dry-run",
            )
            .with_hint("look at the plan with --dry-run first"));
        }
        // Standard output is for the objects alone.
        terminal.set_silent();
    }
    let Some(authority) = args.authority.load(terminal)? else {
        return Err(
            CommandError::usage("Must specify either --ca or --ca-cert/--ca-key")
                .with_hint("it is the new CA; make one with `certutil ca`"),
        );
    };
    if args.yes {
        terminal.set_assume_yes();
    }
    let password_file = args.keystore_password_file.as_deref();
    let mut homes = Vec::new();
    for path in &args.homes {
        homes.push(Home::open(&output::input(path)?, password_file, terminal)?);
    }
    for home in &homes {
        home.check_profiles()?;
    }
    let mut known = vec![authority.certificate().clone()];
    for home in &homes {
        known.extend(home.known_by_https()?);
    }
    let rotation = Rotation {
        args: &args,
        authority,
        cluster: args.cluster.open(&homes[0].settings()?, known, terminal)?,
        homes,
    };
    if !rotation.mend(terminal)? {
        return Ok(());
    }
    let mut layers = rotation.layers(&Disk::default())?;
    let Some(first) = args.step.or_else(|| next(&layers, &rotation.authority)) else {
        return rotation.finished(&layers, terminal);
    };
    if let Some(cluster) = &rotation.cluster {
        cluster.compare(&rotation.expected(&layers)?, args.dry_run, terminal)?;
    }
    if args.dry_run || (args.all && !args.yes) {
        rotation.tell_plan(first, terminal)?;
        if args.dry_run {
            return Ok(());
        }
        rotation.ask(terminal)?;
        terminal.set_assume_yes();
    }
    let mut step = first;
    loop {
        rotation.perform(step, &layers, terminal)?;
        if !args.all {
            return Ok(());
        }
        layers = rotation.layers(&Disk::default())?;
        match next(&layers, &rotation.authority) {
            Some(following) => step = following,
            None => return rotation.finished(&layers, terminal),
        }
    }
}

/// A step with everything that it would write.
struct Planned {
    files: Vec<NewFile>,
    /// The nodes after it.
    after: Vec<Layer>,
    /// Fingerprints of the CAs that are trusted no more.
    dropped: Vec<String>,
}

struct Rotation<'a> {
    args: &'a RotateArgs,
    authority: CertificateAuthority,
    cluster: Option<Cluster>,
    homes: Vec<Home>,
}

impl Rotation<'_> {
    /// Reads the layer of every node.
    fn layers(&self, disk: &Disk) -> Result<Vec<Layer>, CommandError> {
        let prefix = self.args.layer.prefix();
        let homes = self.homes.iter();
        homes.map(|home| home.layer(prefix, disk)).collect()
    }

    /// Gives files that an interrupted run left without their counterpart their old content back, and returns whether
    /// all is as it should be now.
    fn mend(&self, terminal: &mut Terminal) -> Result<bool, CommandError> {
        let mut torn: Vec<Torn> = Vec::new();
        for home in &self.homes {
            if let Some(found) = home.torn(self.args.layer.prefix())?
                && !torn.iter().any(|known| known.path == found.path)
            {
                torn.push(found);
            }
        }
        if torn.is_empty() {
            return Ok(true);
        }
        for Torn { path, backup } in &torn {
            terminal.err(format!(
                "An earlier run was cut off: [{}] belongs to a certificate that was not written any more. It gets its old \
                 content back, out of [{}].",
                path.display(),
                backup.display()
            ));
        }
        if self.args.dry_run {
            terminal.err(
                "What comes after that can be told when it is done: run it without --dry-run.",
            );
            return Ok(false);
        }
        self.ask(terminal)?;
        for Torn { path, backup } in &torn {
            restore(path, backup).map_err(|error| CommandError::io(path, &error))?;
        }
        Ok(true)
    }

    fn ask(&self, terminal: &mut Terminal) -> Result<(), CommandError> {
        match terminal.confirm("Do you want to change these files?", false)? {
            true => Ok(()),
            false => Err(CommandError::usage("nothing was changed")),
        }
    }

    fn finished(&self, layers: &[Layer], terminal: &mut Terminal) -> Result<(), CommandError> {
        let info = self.info()?;
        if let Some(cluster) = &self.cluster
            && !self.args.dry_run
        {
            let expected = self.expected(layers)?;
            self.wait(cluster, Step::Drop, &expected, &[])?;
        }
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

    /// Returns what running nodes have in use when they have taken up these files.
    fn expected(&self, layers: &[Layer]) -> Result<Expected, CommandError> {
        let mut homes = BTreeMap::new();
        for layer in layers {
            let in_use = InUse {
                leaf: fingerprint_sha256(&layer.chain[0]),
                trusted: layer
                    .in_use()
                    .iter()
                    .map(|der| fingerprint_sha256(der))
                    .collect(),
            };
            if homes.insert(layer.node.clone(), in_use).is_some() && self.cluster.is_some() {
                return Err(CommandError::usage(format!(
                    "two of the homes have the [node.name] [{}], so that the cluster cannot be asked about each",
                    layer.node
                )));
            }
        }
        Ok(Expected {
            context: self.args.layer.prefix(),
            authority: self.info()?,
            homes,
        })
    }

    /// Tells a step, and with `--all` those after it, as they would be.
    fn tell_plan(&self, first: Step, terminal: &mut Terminal) -> Result<(), CommandError> {
        let mut disk = Disk::default();
        let mut layers = self.layers(&disk)?;
        let mut step = Some(first);
        while let Some(planned_step) = step {
            let planned = self.plan(planned_step, &layers, &disk, terminal)?;
            self.tell(planned_step, &planned.files, true, terminal)?;
            if !self.args.all {
                break;
            }
            disk = disk.with(&planned.files);
            layers = planned.after;
            step = next(&layers, &self.authority).filter(|following| *following > planned_step);
        }
        Ok(())
    }

    /// Makes what a step would write. Errors: it is not due, or would cut nodes off from one another.
    fn plan(
        &self,
        step: Step,
        layers: &[Layer],
        disk: &Disk,
        terminal: &mut Terminal,
    ) -> Result<Planned, CommandError> {
        self.check_order(step, layers)?;
        let dropped = match step {
            Step::Drop => self.dropped(layers)?,
            Step::Trust | Step::Reissue => Vec::new(),
        };
        let waiting = waiting(step, layers, &self.authority);
        let files = self.files(step, &waiting, &dropped, disk, terminal)?;
        let after = self.layers(&disk.with(&files))?;
        if let Some(Severed { one, other, reason }) = severed(layers, &after)? {
            return Err(CommandError::data(format!(
                "after the step [{}] the node of {one} would refuse the node of {other} ({reason})",
                step.name()
            ))
            .with_hint("name every node of the cluster with --home, and look at what each trusts with certutil inspect"));
        }
        self.check_other_layer(step, &files, disk)?;
        Ok(Planned {
            files,
            after,
            dropped: dropped.iter().map(|der| fingerprint_sha256(der)).collect(),
        })
    }

    /// Refuses a step that would harm the other layer, where the two have files in common.
    fn check_other_layer(
        &self,
        step: Step,
        files: &[NewFile],
        disk: &Disk,
    ) -> Result<(), CommandError> {
        let other = self.args.layer.other();
        let then = disk.with(files);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for home in &self.homes {
            if let Some(now) = home.sharing(other.prefix(), files, disk)? {
                before.push(now);
                after.extend(home.sharing(other.prefix(), files, &then)?);
            }
        }
        let refused = match other {
            LayerName::Transport => severed(&before, &after)?.map(|Severed { one, other, reason }| {
                format!("between nodes, the node of {one} would refuse the node of {other} ({reason})")
            }),
            LayerName::Http => untrusted_https(&before, &after)?,
        };
        let Some(refused) = refused else {
            return Ok(());
        };
        let (layer, due) = match step {
            Step::Trust | Step::Reissue => (other.name(), Step::Trust.name()),
            Step::Drop => (other.name(), Step::Reissue.name()),
        };
        Err(CommandError::data(format!(
            "[{}] and [{}] have files in common: after the step [{}], {refused}",
            self.args.layer.prefix(),
            other.prefix(),
            step.name()
        ))
        .with_hint(format!(
            "do that layer's step first: the same command with --layer {layer} --step {due}"
        )))
    }

    fn perform(
        &self,
        step: Step,
        layers: &[Layer],
        terminal: &mut Terminal,
    ) -> Result<(), CommandError> {
        let planned = self.plan(step, layers, &Disk::default(), terminal)?;
        let before = [Step::Trust, Step::Reissue, Step::Drop];
        if let (Some(cluster), Some(earlier)) = (
            &self.cluster,
            before.into_iter().rfind(|earlier| *earlier < step),
        ) {
            // Whoever ran the step before may not have waited.
            self.wait(cluster, earlier, &self.expected(layers)?, &[])?;
        }
        self.tell(step, &planned.files, false, terminal)?;
        if planned.files.is_empty() {
            return Ok(());
        }
        self.ask(terminal)?;
        replace(&planned.files, "Changed", terminal)?;
        match &self.cluster {
            Some(cluster) => {
                // As written: what was planned may have been made a moment earlier.
                let expected = self.expected(&self.layers(&Disk::default())?)?;
                self.wait(cluster, step, &expected, &planned.dropped)?;
                terminal.out(format!("Every node has taken it up: the step [{}] is done.", step.name()));
            }
            None if self.args.all => std::thread::sleep(self.within()),
            None => terminal.out(
                "Running nodes take it up within [resource.reload.interval.high] (5s); GET /_ssl/nodes shows it. Wait \
                 for all before the next step.",
            ),
        }
        if self.args.json && self.cluster.is_some() {
            terminal.result(json!({"step": step.name(), "done": true}).to_string());
        }
        Ok(())
    }

    fn within(&self) -> Duration {
        self.args.wait.duration().unwrap_or_default()
    }

    fn wait(
        &self,
        cluster: &Cluster,
        step: Step,
        expected: &Expected,
        dropped: &[String],
    ) -> Result<(), CommandError> {
        cluster.wait_for(step, expected, dropped, self.within())
    }

    /// Refuses a step before the one before it is done everywhere.
    fn check_order(&self, step: Step, layers: &[Layer]) -> Result<(), CommandError> {
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
        Ok(())
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
        disk: &Disk,
        terminal: &mut Terminal,
    ) -> Result<Vec<NewFile>, CommandError> {
        let mut made: Vec<NewFile> = Vec::new();
        let mut same: HashMap<Vec<Vec<u8>>, Vec<Content>> = HashMap::new();
        for layer in waiting {
            let key = key_files(layer, disk)?;
            let files = match (step, same.get(&key.contents)) {
                (Step::Trust, _) => edit::with(&layer.config, disk, self.authority.certificate())?,
                (Step::Drop, _) => {
                    edit::without(&layer.config, disk, dropped, self.authority.certificate())?
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
                (Step::Reissue, _) => self.reissue(layer, disk, terminal)?,
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
        disk: &Disk,
        terminal: &mut Terminal,
    ) -> Result<Vec<NewFile>, CommandError> {
        let options = RenewArgs::by_trusted(self.args.days);
        match &layer.config.key {
            KeySource::Keystore { path, password, .. } => {
                let path = &path.resolved;
                let content = disk.read(path)?;
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
                let content = disk.read(path)?;
                let mut password = PasswordSource::known(passphrase.clone().unwrap_or_default());
                let pair =
                    Pair::open(path, &content, Some(&key.resolved), &mut password, terminal)?;
                // The file says whom to trust as well: that is for the other steps to change.
                let trusts_too = matches!(&layer.config.trust, TrustSource::Pem(paths)
                    if paths.iter().any(|trusted| trusted.resolved == *path));
                let kept = if trusts_too { &layer.chain[1..] } else { &[] };
                pair.renew(false, kept, |old| {
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

    /// Tells of the clients that a withdrawn CA cuts off.
    fn tell_of_https(
        &self,
        files: &[NewFile],
        terminal: &mut Terminal,
    ) -> Result<(), CommandError> {
        let mut shared: Vec<PathBuf> = Vec::new();
        for home in &self.homes {
            let trusted = home.trusted_by_https()?;
            for path in files.iter().map(|file| &file.path) {
                if trusted.contains(path) && !shared.contains(path) {
                    shared.push(path.clone());
                }
            }
        }
        for path in shared {
            terminal.err(format!(
                "Warning: HTTPS trusts by [{}] too: from this step on, clients with certificates of the old CA are refused, \
                 and tools that know HTTPS by this file refuse certificates of the old CA.",
                path.display()
            ));
        }
        Ok(())
    }

    fn tell(
        &self,
        step: Step,
        files: &[NewFile],
        is_plan: bool,
        terminal: &mut Terminal,
    ) -> Result<(), CommandError> {
        let info = self.info()?;
        if step == Step::Reissue && self.is_seen_by_clients(files)? {
            terminal.err(
                "Warning: clients see these certificates. Give them the new CA before this step.",
            );
        }
        if step == Step::Drop && self.args.layer == LayerName::Transport {
            self.tell_of_https(files, terminal)?;
        }
        if self.args.json {
            let changes: Value = files
                .iter()
                .map(
                    |file| json!({"file": file.path.display().to_string(), "change": file.summary}),
                )
                .collect();
            let told = json!({
                "step": step.name(), "dry_run": is_plan, "done": false,
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
            if is_plan { " would change" } else { "" }
        ));
        for file in files {
            terminal.out(format!("  {}: {}", file.path.display(), file.summary));
        }
        Ok(())
    }
}

/// Returns which node's HTTPS its own trust would know no more: whoever trusts by its files would be cut off.
fn untrusted_https(before: &[Layer], after: &[Layer]) -> Result<Option<String>, CommandError> {
    for (now, then) in before.iter().zip(after) {
        if now.trust()?.verify_server(&now.chain).is_ok()
            && let Err(reason) = then.trust()?.verify_server(&then.chain)
        {
            return Ok(Some(format!(
                "HTTPS of the node of {} would show a certificate that its own files do not trust ({})",
                now.home,
                reason.kind()
            )));
        }
    }
    Ok(None)
}

/// New content of a file, and what the user is to know of it.
type Content = (Zeroizing<Vec<u8>>, String);

/// The files of a node's key, and what is in them.
struct KeyFiles {
    paths: Vec<PathBuf>,
    contents: Vec<Vec<u8>>,
}

fn key_files(layer: &Layer, disk: &Disk) -> Result<KeyFiles, CommandError> {
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
        let content = disk.read(path)?;
        Ok(fingerprint_sha256(&content).into_bytes())
    };
    let contents = paths.iter().map(digest).collect::<Result<_, _>>()?;
    Ok(KeyFiles { paths, contents })
}
