//! `ringwall quickstart`: the whole procedure on loopback, one process per node.
//!
//! [`site`] lays out the directory with the same code as the separate tools, [`processes`] runs the
//! nodes, [`cluster`] asks them how they are, [`load`] fills an index, [`console`] serves pages about it. This file is the
//! story.

mod cluster;
mod console;
mod load;
mod ports;
mod processes;
mod report;
mod signals;
mod site;
mod source;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::cluster::Cluster;
use self::console::Console;
use self::load::Loaded;
use self::processes::{Ended, Processes};
use self::signals::StopSignals;
use self::site::{Site, Wanted};
use self::source::Source;
use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// Arguments of `quickstart`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Sets up a secured cluster on this machine, fills it with documents and runs it",
    long_about = "Sets up a secured cluster on this machine, fills it with documents and runs it \
        until Ctrl-C or SIGTERM.\n\n\
        Makes a home for each node, a certificate authority, node certificates, keystores and \
        elasticsearch.yml; starts the nodes with mutual TLS between them and HTTPS towards \
        clients, all on loopback; waits until the cluster is ready, loads a corpus and starts the \
        console for a browser. \
        DIR/quickstart.json, there while the cluster runs, tells programs where it is. \
        Run again on the same directory, it starts the same cluster with its data.",
    after_help = "Examples:\n  \
        ringwall quickstart                           three nodes in ./ringwall-quickstart\n  \
        ringwall quickstart --nodes 1 --dir /tmp/one"
)]
pub struct QuickstartArgs {
    /// Number of nodes of a new cluster [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    nodes: Option<u8>,
    /// Directory of the cluster
    #[arg(long, value_name = "DIR", default_value = "ringwall-quickstart")]
    dir: PathBuf,
    /// HTTP port of the first node of a new cluster, the others get the next ones; 0 chooses free
    /// ones [default: the free ones from 9200 on]
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
    /// Documents to load instead of the corpus, one in a line or in the form of _bulk, gzip or
    /// plain; the index is named after the file
    #[arg(long, value_name = "FILE.ndjson")]
    data: Option<PathBuf>,
    /// Start no console
    #[arg(long)]
    no_console: bool,
}

/// Sets up or finds the cluster, runs it, and returns when all nodes have stopped.
///
/// `-E` settings go to every node.
pub fn run(
    args: QuickstartArgs,
    common: &CommonArgs,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let begun = Instant::now();
    let dir =
        std::path::absolute(&args.dir).map_err(|error| CommandError::io(&args.dir, &error))?;
    let source = Source::choose(args.data.as_deref())?;
    // Held until the end: two commands on one directory would fight over the nodes' data.
    let _lock = site::lock(&dir)?;
    let wanted = Wanted {
        nodes: args.nodes.map(usize::from),
        http_port: args.http_port,
    };
    let site = Site::open_or_set_up(&dir, &wanted, terminal)?;
    if site.state().is_loaded && args.data.is_some() {
        terminal.out("The documents were loaded earlier; --data is not read again.");
    }
    let console = match args.no_console {
        true => None,
        false => Some(Console::open_or_set_up(&site, &wanted)?),
    };
    let processes = Processes::new(common.overrides()?);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::io(&dir, &error))?
        .block_on(serve(site, &source, processes, console, begun, terminal))
}

/// Runs the nodes until a signal, or until the last has died.
async fn serve(
    mut site: Site,
    source: &Source,
    mut processes: Processes,
    mut console: Option<Console>,
    begun: Instant,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let mut signals = StopSignals::install()?;
    // Of a run that was killed: it tells of processes that are gone.
    report::remove(&site)?;
    let outcome = tokio::select! {
        biased;
        () = signals.received() => Err(CommandError::new(
            ExitCode::Failure,
            "stopped before the cluster was up",
        )),
        result = bring_up(&mut site, source, &mut processes, &mut console, begun, terminal) => result,
    };
    let outcome = match outcome {
        Ok(()) => watch(&mut processes, &mut console, &mut signals, terminal).await,
        Err(error) => Err(error),
    };
    report::remove(&site)?;
    // Before the nodes, which it would miss in its log.
    let mut killed = match &mut console {
        Some(console) => console.processes.stop(&mut signals).await,
        None => Vec::new(),
    };
    if !processes.is_empty() {
        terminal.status("stopping the nodes (again to kill them) …");
        killed.extend(processes.stop(&mut signals).await);
        terminal.out("The nodes have stopped.");
    }
    for name in &killed {
        terminal.err(format!("{name} did not stop in time and was killed"));
    }
    outcome
}

/// Starts the nodes and returns when the cluster is ready, loaded and announced.
async fn bring_up(
    site: &mut Site,
    source: &Source,
    processes: &mut Processes,
    console: &mut Option<Console>,
    begun: Instant,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    ports::wait_until_free(site.nodes()).await?;
    let step = Instant::now();
    for node in site.nodes() {
        processes.start(node)?;
    }
    let cluster = Cluster::connect(site)?;
    let ready = async {
        let status = cluster.wait_until_ready(READY_WITHIN, terminal).await?;
        done(&format!("nodes started, cluster {status}"), step, terminal);
        fill(site, source, &cluster, terminal).await
    };
    let loaded = tokio::select! {
        biased;
        ended = processes.next_end() => return Err(ended.died_early()),
        result = ready => result?,
    };
    if let Some(console) = console {
        console.start().await?;
    }
    report::write(site, processes, console.as_ref())?;
    let took = begun.elapsed();
    report::print(site, loaded.as_ref(), console.as_ref(), took, terminal);
    Ok(())
}

/// Loads the documents, once in the life of a site. Returns what was loaded now.
async fn fill(
    site: &mut Site,
    source: &Source,
    cluster: &Cluster,
    terminal: &mut Terminal,
) -> Result<Option<Loaded>, CommandError> {
    if site.state().is_loaded {
        return Ok(None);
    }
    site.forget_initial_masters()?;
    let step = Instant::now();
    let loaded = load::load(source, cluster, site.nodes().len(), terminal).await?;
    site.set_loaded(&loaded.index)?;
    let label = format!("{} documents loaded", loaded.documents);
    done(&label, step, terminal);
    Ok(Some(loaded))
}

/// Tells of programs that end; they are not started again, so that an operator can try what happens.
async fn watch(
    processes: &mut Processes,
    console: &mut Option<Console>,
    signals: &mut StopSignals,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    loop {
        tokio::select! {
            biased;
            () = signals.received() => return Ok(()),
            ended = end_of(console) => terminal.err(ended.notice()),
            ended = processes.next_end() => {
                terminal.err(ended.notice());
                if processes.is_empty() {
                    return Err(CommandError::unavailable("no node is left"));
                }
            }
        }
    }
}

/// Waits for the console to end; forever where none runs.
async fn end_of(console: &mut Option<Console>) -> Ended {
    match console {
        Some(console) => console.processes.next_end().await,
        None => std::future::pending().await,
    }
}

/// Prints a finished step with the time it took.
fn done(label: &str, since: Instant, terminal: &mut Terminal) {
    terminal.out(format!(
        "  {label:<42} {:>5.1} s",
        since.elapsed().as_secs_f64()
    ));
}

/// Generous: the machine may be busy, and the nodes' ends are seen at once anyway.
const READY_WITHIN: Duration = Duration::from_secs(180);
