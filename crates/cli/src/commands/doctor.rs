//! `doctor`: tells in words what is wrong with the settings, the TLS and the network of a node.

mod contexts;
mod finding;
mod home;
mod http_peer;
mod network;
mod owner;
mod peer;
mod running;
mod verdict;

use std::path::Path;
use std::time::Duration;

use ringwall_node::preflight;
use ringwall_settings::registry::{node, ssl};
use ringwall_tls::SslConfig;

use self::contexts::{Contexts, Layer};
use self::finding::{Report, Status};
use self::home::Home;
use self::owner::Owner;
use self::peer::{Dialler, Peer, PeerLayer};
use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::paths::Paths;
use crate::terminal::Terminal;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Tells what is wrong with the settings, the TLS files and the network of a node, and what to do",
    after_help = "Reads what a start reads, in the configuration directory of the home or of ES_PATH_CONF, and dials \
        peers with the certificates of this node. Changes nothing, and may run beside the node.\n\n\
        Exit status: 0 nothing is in the way (warnings allowed), 1 an error was found.\n\n\
        Examples:\n  \
        ringwall doctor                                 this node, and its seed hosts\n  \
        ringwall doctor --offline                       this node only\n  \
        ringwall doctor --peer es02:9300                why do these two not talk?\n  \
        ringwall doctor --peer es02:9200 --layer http\n  \
        ringwall doctor -E network.host=10.0.0.5 --json"
)]
pub struct DoctorArgs {
    /// Dial this node instead of the seed hosts; repeatable. With https:// before it, HTTP is dialled
    #[arg(long = "peer", value_name = "HOST:PORT")]
    peers: Vec<String>,
    /// What is dialled of the peers
    #[arg(
        long,
        value_name = "LAYER",
        value_enum,
        default_value = "transport",
        requires = "peers"
    )]
    layer: PeerLayer,
    /// Neither resolve nor dial the seed hosts
    #[arg(long, conflicts_with = "peers")]
    offline: bool,
    /// Seconds that each step of a dial may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Looks at everything and prints one report. Ends with 1 when it holds an error.
pub fn run(
    args: &DoctorArgs,
    common: &CommonArgs,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let asked: Vec<Peer> = args
        .peers
        .iter()
        .map(|text| parse_peer(text, args.layer))
        .collect::<Result<_, _>>()?;
    let paths = Paths::resolve()?;
    let mut report = Report::default();
    let home = Home::read(&paths, &common.overrides()?, &mut report, terminal)?;
    let keystore = paths.keystore();
    home::check_permissions(&[&keystore], &[&paths.yml()], &mut report);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::new(ExitCode::Failure, format!("cannot start: {error}")))?;
    runtime.block_on(examine(args, asked, &home, &paths, &mut report));
    // A name that the resolver still thinks about must not hold the report back.
    runtime.shutdown_background();
    terminal.result(match args.json {
        true => report.to_json().to_string(),
        false => report.to_text(),
    });
    match report.status() {
        // The report has said it.
        Status::Error => Err(CommandError::new(ExitCode::Failure, "")),
        Status::Ok | Status::Warning => Ok(()),
    }
}

async fn examine(
    args: &DoctorArgs,
    asked: Vec<Peer>,
    home: &Home,
    paths: &Paths,
    report: &mut Report,
) {
    let settings = &home.settings;
    let directory = paths.home().ok();
    let within = Duration::from_secs(args.timeout);
    let addresses = network::addresses(settings, within, report).await;
    if let Some(home_directory) = directory {
        let data = home_directory.join(settings.get(&node::PATH_DATA));
        node_user(home, paths, &[&data, home_directory], report);
    }
    let contexts = match home.is_untouched {
        true => Contexts::default(),
        false => Contexts::build(home, addresses.as_ref(), report),
    };
    if let (Some(addresses), false) = (&addresses, home.is_untouched) {
        network::bootstrap(settings, addresses, &contexts.transport, report);
    }
    let peers = match (asked.is_empty(), args.offline) {
        (false, _) => asked,
        (true, true) => Vec::new(),
        (true, false) => network::resolvable_seeds(settings, within, report)
            .await
            .into_iter()
            .map(|address| Peer {
                address,
                layer: PeerLayer::Transport,
                is_seed: true,
            })
            .collect(),
    };
    let data = directory.map(|home| home.join(settings.get(&node::PATH_DATA)));
    let own_id = data.as_deref().and_then(preflight::known_id);
    if own_id.is_none() && !home.is_untouched {
        network::founders(settings, report);
    }
    if let Some(home) = directory {
        let logs = home.join(settings.get(&node::PATH_LOGS));
        let now = jiff::Timestamp::now();
        running::without_master(&logs, now, report);
        running::not_joined(&logs, now, report);
        running::refusals(&logs, now, report);
    }
    if let (Some(addresses), Layer::Tls(tls), false) =
        (&addresses, &contexts.transport, args.offline)
    {
        running::own_node(settings, addresses, tls, own_id, within, report).await;
    }
    let dialler = Dialler {
        settings,
        contexts: &contexts,
        own_id,
        within,
    };
    dialler.dial_all(&peers, report).await;
}

/// Notes what the user of the node may not read.
fn node_user(home: &Home, paths: &Paths, owned: &[&Path], report: &mut Report) {
    let Some(owner) = Owner::of(owned) else {
        return;
    };
    let settings = &home.settings;
    let (yml, keystore) = (paths.yml(), paths.keystore());
    let contexts: Vec<SslConfig> = [ssl::TRANSPORT_SSL.prefix, ssl::HTTP_SSL.prefix]
        .into_iter()
        .filter(|_| preflight::uses_tls(settings))
        .filter_map(|prefix| SslConfig::from_settings(settings, prefix).ok().flatten())
        .collect();
    let mut files: Vec<&Path> = contexts.iter().flat_map(SslConfig::files).collect();
    files.extend([yml.as_path(), keystore.as_path()]);
    files.dedup();
    owner.check(&files, report);
}

/// Reads `host:port`, `[v6]:port` or a base URL.
fn parse_peer(text: &str, layer: PeerLayer) -> Result<Peer, CommandError> {
    let (layer, address) = match text.split_once("://") {
        Some(("https" | "http", address)) => (PeerLayer::Http, address),
        Some(_) => return Err(not_a_peer()),
        None => (layer, text),
    };
    let address = address.trim_end_matches('/');
    let (host, port) = address.rsplit_once(':').ok_or_else(not_a_peer)?;
    let is_bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    if host.is_empty() || is_bare_v6 || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(not_a_peer());
    }
    Ok(Peer {
        address: address.to_owned(),
        layer,
        is_seed: false,
    })
}

fn not_a_peer() -> CommandError {
    CommandError::usage("a peer is written HOST:PORT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_read() {
        let read = |text| {
            parse_peer(text, PeerLayer::Transport)
                .map(|peer| (peer.address, peer.layer))
                .map_err(|error| error.exit)
        };
        let transport = |text: &str| Ok((text.to_owned(), PeerLayer::Transport));
        assert_eq!(read("es02:9300"), transport("es02:9300"));
        assert_eq!(read("[::1]:9300"), transport("[::1]:9300"));
        let http = Ok(("es02:9200".to_owned(), PeerLayer::Http));
        assert_eq!(read("https://es02:9200/"), http);
        for wrong in [
            "es02",
            "::1:9300",
            ":9300",
            "es02:",
            "es02:0",
            "es02:70000",
            "ftp://a:1",
        ] {
            assert_eq!(read(wrong), Err(ExitCode::Usage), "{wrong}");
        }
    }
}
