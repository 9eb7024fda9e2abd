//! `elasticsearch`: runs a node until it is told to stop.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;

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

use super::online::open_keystore;
use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::paths::Paths;
use crate::terminal::Terminal;

/// Arguments of `start`, beside the common ones.
#[derive(Debug, clap::Args)]
#[command(about = "Runs a node with the settings of its home, until SIGTERM or Ctrl-C")]
pub struct StartArgs {
    /// Stop when standard input ends, too: a node started by a program then never outlives it
    #[arg(long = UNTIL_STDIN_ENDS)]
    until_stdin_ends: bool,
}

/// The long option by which `quickstart` ties its nodes to itself.
pub const UNTIL_STDIN_ENDS: &str = "until-stdin-ends";

/// Starts the node and returns when it has stopped in order.
pub fn run(
    args: &StartArgs,
    common: &CommonArgs,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let paths = Paths::resolve()?;
    let keystore = open_keystore(&paths.keystore(), terminal)?;
    let overrides = common.overrides()?;
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
        .block_on(serve(settings, &home, input_end))
}

async fn serve(
    settings: Settings,
    home: &Path,
    input_end: Option<oneshot::Receiver<()>>,
) -> Result<(), CommandError> {
    let stop = |kind| signal(kind).map_err(|error| CommandError::io(home, &error));
    let (mut terminate, mut interrupt) = (
        stop(SignalKind::terminate())?,
        stop(SignalKind::interrupt())?,
    );
    let node = Node::start(settings, home).await.map_err(start_error)?;
    let failure = tokio::select! {
        () = wait(&mut terminate, &mut interrupt, input_end) => None,
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
