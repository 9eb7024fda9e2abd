//! `elasticsearch`: runs a node until it is told to stop.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use ringwall_base::SecretString;
use ringwall_node::node::{Node, StartError};
use ringwall_settings::Settings;
use ringwall_settings::registry::node;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use super::auto_configuration::{self, Announcement};
use super::online::{create_keystore, open_keystore};
use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::paths::Paths;
use crate::terminal::Terminal;

/// Arguments of `start`, beside the common ones.
#[derive(Debug, clap::Args)]
#[command(
    about = "Runs a node with the settings of its home, until SIGTERM or Ctrl-C",
    after_help = "Examples:\n  \
        bin/elasticsearch                             the first start secures the node and prints a password\n  \
        bin/elasticsearch --enrollment-token TOKEN    the first start joins the cluster of the token\n  \
        bin/elasticsearch -E node.name=node-1         with a setting for this run"
)]
pub struct StartArgs {
    /// Stop when standard input ends, too: a node started by a program then never outlives it
    #[arg(long = UNTIL_STDIN_ENDS)]
    until_stdin_ends: bool,
    /// Join the cluster of this token, at the first start; `-` reads it from standard input
    #[arg(long, value_name = "TOKEN")]
    enrollment_token: Option<String>,
}

/// How long the first start waits for its cluster to form before it tells what it can.
const FORMED_WITHIN: Duration = Duration::from_secs(30);

/// The long option by which `quickstart` ties its nodes to itself.
pub const UNTIL_STDIN_ENDS: &str = "until-stdin-ends";

/// Starts the node and returns when it has stopped in order.
pub fn run(
    args: &StartArgs,
    common: &CommonArgs,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let paths = Paths::resolve()?;
    let mut keystore = open_keystore(&paths.keystore(), terminal)?;
    let overrides = common.overrides()?;
    let token = match args.enrollment_token.as_deref() {
        Some("-") => Some(SecretString::new(terminal.read_stdin_line()?)),
        other => other.map(SecretString::from),
    };
    let start = auto_configuration::Start {
        paths: &paths,
        overrides: &overrides,
        token: token.as_ref(),
    };
    let announcement = auto_configuration::before_start(&start, &mut keystore, terminal)?;
    let keystore = keystore.or_else(|| create_keystore(&paths.keystore(), terminal));
    let settings = Settings::load(paths.config(), &overrides, keystore.as_ref())
        .map_err(|error| CommandError::new(ExitCode::Failure, error.to_string()))?;
    let home = paths.home()?.to_owned();
    let _log = start_logging(&settings, &home)?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let input_end = args.until_stdin_ends.then(input_end).transpose()?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::io(&home, &error))?
        .block_on(serve(settings, &home, input_end, announcement, terminal))
}

async fn serve(
    settings: Settings,
    home: &Path,
    input_end: Option<oneshot::Receiver<()>>,
    announcement: Option<Announcement>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let stop = |kind| signal(kind).map_err(|error| CommandError::io(home, &error));
    let (mut terminate, mut interrupt) = (
        stop(SignalKind::terminate())?,
        stop(SignalKind::interrupt())?,
    );
    let node = Node::start(settings, home).await.map_err(start_error)?;
    let announced = announce(&node, announcement, terminal);
    let stopping = async {
        wait(&mut terminate, &mut interrupt, input_end).await;
    };
    let failure = tokio::select! {
        () = async { tokio::join!(announced, std::future::pending::<()>()); } => None,
        () = stopping => None,
        reason = node.failed() => Some(reason),
    };
    node.stop().await;
    match failure {
        None => Ok(()),
        Some(reason) => Err(CommandError::new(
            ExitCode::Failure,
            format!("the node cannot go on: {reason}"),
        )),
    }
}

/// Tells the person who watches a first start what nobody is told again.
async fn announce(node: &Node, announcement: Option<Announcement>, terminal: &mut Terminal) {
    let Some(announcement) = announcement else {
        return;
    };
    if !terminal.output_is_terminal() {
        tracing::info!(
            "security was configured; give elastic a password with elasticsearch-reset-password -u elastic"
        );
        return;
    }
    // Until there is a master no API key can be made; what is missing then is said.
    node.wait_until(FORMED_WITHIN, |state| !state.nodes.is_empty())
        .await;
    let text = auto_configuration::compose(&announcement, node.http_addresses()).await;
    terminal.out(text);
}

async fn wait(
    terminate: &mut Signal,
    interrupt: &mut Signal,
    input_end: Option<oneshot::Receiver<()>>,
) {
    let input_ended = async {
        match input_end {
            // Either answer means that nobody reads the input any more.
            Some(end) => drop(end.await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = input_ended => tracing::info!("standard input ended, and with it who started this node"),
    }
}

/// Returns what resolves when standard input ends.
///
/// A thread of its own reads it: one of the runtime's would keep the process from ending. It uses a
/// second handle because the terminal holds the lock of the first.
fn input_end() -> Result<oneshot::Receiver<()>, CommandError> {
    let unreadable = |error| CommandError::io(Path::new("/dev/stdin"), &error);
    let input = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(unreadable)?;
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            let mut input = File::from(input);
            let mut ignored = [0; 256];
            loop {
                match input.read(&mut ignored) {
                    Ok(0) => break,
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                    _ => {}
                }
            }
            // Nobody waits any more when the node is stopping already.
            let _ = sender.send(());
        })
        .map_err(unreadable)?;
    Ok(receiver)
}

/// Source for the statuses: node.md section 1.6.
fn start_error(error: StartError) -> CommandError {
    let exit = match error {
        StartError::BootstrapChecks(_) => ExitCode::Config,
        _ => ExitCode::Failure,
    };
    CommandError::new(exit, error.to_string())
}

/// Logs to standard error. Consensus logs every heartbeat at INFO; its own crate tells what
/// operators need.
/// Logs to standard error and to a file a day in `path.logs`, of which the newest are kept. What is
/// returned writes out the rest when dropped.
fn start_logging(settings: &Settings, home: &Path) -> Result<WorkerGuard, CommandError> {
    let directory = home.join(settings.get(&node::PATH_LOGS));
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(settings.get(&node::CLUSTER_NAME))
        .filename_suffix("log")
        .max_log_files(LOG_FILES)
        .build(&directory)
        .map_err(|error| {
            let reason = format!(
                "cannot write logs to [{}] (setting path.logs): {error}",
                directory.display()
            );
            CommandError::new(ExitCode::IoError, reason)
        })?;
    // Lines wait in a bounded queue; a disk that does not keep up costs lines, not requests.
    let (file, guard) = tracing_appender::non_blocking(file);
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::registry()
        .with(EnvFilter::new("info,openraft=off"))
        .with(
            fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(terminal),
        )
        .with(fmt::layer().with_writer(file).with_ansi(false))
        .init();
    Ok(guard)
}

/// Days of logs.
const LOG_FILES: usize = 14;
