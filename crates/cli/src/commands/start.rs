//! `elasticsearch`: runs a node until it is told to stop.

mod daemon;
mod pid_file;
pub(super) mod supervisor;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringwall_base::SecretString;
use ringwall_node::node::{Node, StartError};
use ringwall_settings::Settings;
use ringwall_settings::registry::node;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use self::pid_file::PidFile;
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
        bin/elasticsearch -E node.name=node-1         with a setting for this run\n  \
        bin/elasticsearch -d -p run/node.pid          in the background, stopped by kill $(cat run/node.pid)"
)]
pub struct StartArgs {
    /// Run in the background: return when the node is up
    #[arg(short = 'd', long, conflicts_with = "until_stdin_ends")]
    daemonize: bool,
    /// The process that `-d` starts
    #[arg(long = daemon::DETACHED, hide = true)]
    detached: bool,
    /// Write the process id to this file while the node runs
    #[arg(short = 'p', long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// Log to the file in path.logs only
    #[arg(short = 'q', long, conflicts_with = "daemonize")]
    quiet: bool,
    /// Print the version and exit
    #[arg(short = 'V', long)]
    version: bool,
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
    if args.version {
        terminal.result(crate::version());
        return Ok(());
    }
    if args.daemonize && !args.detached {
        return daemon::launch(terminal);
    }
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
    let logs = home.join(settings.get(&node::PATH_LOGS));
    let is_quiet = args.quiet || args.detached;
    let _log = start_logging(&settings, &logs, is_quiet)?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let pid_file = args.pidfile.as_deref().map(PidFile::at).transpose()?;
    let run = Run {
        pid_file,
        home: &home,
        logs: &logs,
        is_detached: args.detached,
        input_end: args.until_stdin_ends.then(input_end).transpose()?,
        announcement,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::io(&home, &error))?;
    let result = runtime.block_on(run.serve(settings, terminal));
    // Threads that a disk holds up are not waited for.
    runtime.shutdown_timeout(LEFT_BEHIND_AFTER);
    result
}

/// What a run of a node is given beside its settings.
struct Run<'a> {
    home: &'a Path,
    logs: &'a Path,
    /// Not written yet.
    pid_file: Option<PidFile>,
    /// Whether it is the second process of `-d`.
    is_detached: bool,
    input_end: Option<oneshot::Receiver<()>>,
    announcement: Option<Announcement>,
}

impl Run<'_> {
    async fn serve(self, settings: Settings, terminal: &mut Terminal) -> Result<(), CommandError> {
        let mut signals = Signals::listen().map_err(|error| CommandError::io(self.home, &error))?;
        let started = tokio::select! {
            started = Node::start(settings, self.home) => started,
            () = signals.ask_to_stop() => {
                tracing::info!("told to stop while starting");
                return Ok(());
            }
        };
        let node = match started {
            Ok(node) => node,
            Err(error) => return Err(start_error(&error, self.logs)),
        };
        // Only now: until the data path is locked, the file may be that of another node that runs.
        let _pid_file = match self.pid_file.map(PidFile::write).transpose() {
            Ok(written) => written,
            Err(error) => {
                node.stop().await;
                return Err(error);
            }
        };
        if self.is_detached
            && let Err(error) = daemon::detach()
        {
            node.stop().await;
            let text = format!("cannot leave the terminal: {error}");
            return Err(CommandError::new(ExitCode::Failure, text));
        }
        supervisor::tell(supervisor::READY);
        let announced = announce(&node, self.announcement, terminal);
        let stopping = wait(signals, self.input_end);
        let failure = tokio::select! {
            () = async { tokio::join!(announced, std::future::pending::<()>()); } => None,
            () = stopping => None,
            reason = node.failed() => Some(reason),
        };
        supervisor::tell(supervisor::STOPPING);
        end_after(node.longest_stop() + LEFT_BEHIND_AFTER);
        node.stop().await;
        match failure {
            None => Ok(()),
            Some(reason) => {
                let text = format!("the node cannot go on: {reason}");
                tracing::error!(target: FILE_ONLY, "{text}");
                Err(abnormal(ExitCode::Failure, &text, self.logs))
            }
        }
    }
}

/// Ends the process after a time, whatever hangs, from a thread that waits for nothing else.
fn end_after(limit: Duration) {
    let watchdog = std::thread::Builder::new().name("stop-watchdog".to_owned());
    let spawned = watchdog.spawn(move || {
        std::thread::sleep(limit);
        tracing::error!("not stopped after {limit:?}; ending all the same");
        // Those that write the log have a moment.
        std::thread::sleep(Duration::from_millis(100));
        std::process::exit(i32::from(ExitCode::Failure.code()));
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "nothing ends this process if it hangs while stopping");
    }
}

/// How long threads that are still busy may hold up the end of the process.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(1);

/// Tells the person who watches a first start what nobody is told again.
async fn announce(node: &Node, announcement: Option<Announcement>, terminal: &mut Terminal) {
    let Some(announcement) = announcement else {
        return;
    };
    if !terminal.output_is_terminal() {
        tracing::info!(
            "security was configured; give elastic a password with `elasticsearch-reset-password -u elastic`"
        );
        return;
    }
    // Until there is a master no API key can be made; what is missing then is said.
    node.wait_until(FORMED_WITHIN, |state| !state.nodes.is_empty())
        .await;
    let text = auto_configuration::compose(&announcement, node.http_addresses()).await;
    terminal.out(text);
}

/// What may end a node. From the moment this is made none of them does so by itself.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Completes when the process is told to end.
    async fn ask_to_stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Completes when the process is told to end, or its terminal or who started it is gone.
pub(super) async fn wait(mut signals: Signals, input_end: Option<oneshot::Receiver<()>>) {
    let input_ended = async {
        match input_end {
            // Either answer means that nobody reads the input any more.
            Some(end) => drop(end.await),
            None => std::future::pending().await,
        }
    };
    tokio::pin!(input_ended);
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.hangup.recv() => {
                // The terminal of a node in the foreground is gone. To a node without one it means nothing:
                // what others reload by it is noticed here anyway.
                if io::stdin().is_terminal() {
                    return;
                }
                tracing::info!("SIGHUP is ignored: SIGTERM stops this process, and changed TLS files are noticed");
            }
            () = &mut input_ended => {
                tracing::info!("standard input ended, and with it who started this node");
                return;
            }
        }
    }
}

/// Returns what resolves when standard input ends.
///
/// A thread of its own reads it: one of the runtime's would keep the process from ending. It uses a
/// second handle because the terminal holds the lock of the first.
pub(super) fn input_end() -> Result<oneshot::Receiver<()>, CommandError> {
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

/// Notes in the log file why the node does not start, and returns it. Source for text and statuses: Elasticsearch
/// reference, "Bootstrap Checks" and sysexits(3).
fn start_error(error: &StartError, logs: &Path) -> CommandError {
    let (exit, what) = match error {
        StartError::BootstrapChecks(_) => (ExitCode::Config, "node validation exception"),
        _ => (ExitCode::Failure, "the node could not be started"),
    };
    tracing::error!(target: FILE_ONLY, "{what}\n{error}");
    abnormal(exit, &error.to_string(), logs)
}

/// Adds the line that operators look for. Source: Elasticsearch reference, "Bootstrap Checks".
fn abnormal(exit: ExitCode, reason: &str, logs: &Path) -> CommandError {
    let logs = logs.display();
    CommandError::new(
        exit,
        format!("{reason}\nERROR: Elasticsearch did not exit normally - check the logs at {logs}"),
    )
}

/// Logs to standard error, unless quiet, and to a file a day in `path.logs`, of which the newest are kept.
/// What is returned writes out the rest when dropped. Consensus logs every heartbeat at INFO; its own crate
/// tells what operators need.
fn start_logging(
    settings: &Settings,
    logs: &Path,
    is_quiet: bool,
) -> Result<WorkerGuard, CommandError> {
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(settings.get(&node::CLUSTER_NAME))
        .filename_suffix("log")
        .max_log_files(LOG_FILES)
        .build(logs)
        .map_err(|error| {
            let reason = format!(
                "cannot write logs to [{}] (setting path.logs): {error}",
                logs.display()
            );
            CommandError::new(ExitCode::IoError, reason)
        })?;
    // Lines wait in a bounded queue; a disk that does not keep up costs lines, not requests.
    let (file, guard) = tracing_appender::non_blocking(file);
    let console = (!is_quiet).then(|| {
        fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_filter(filter_fn(|metadata| metadata.target() != FILE_ONLY))
    });
    tracing_subscriber::registry()
        .with(EnvFilter::new("info,openraft=off"))
        .with(console)
        .with(fmt::layer().with_writer(file).with_ansi(false))
        .init();
    Ok(guard)
}

/// Target of what is printed to standard error anyway.
const FILE_ONLY: &str = "ringwall::start";

/// Days of logs.
const LOG_FILES: usize = 14;
