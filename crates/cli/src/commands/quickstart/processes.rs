//! The nodes, and the console, as child processes.
//!
//! Each has a process group of its own, so that Ctrl-C reaches only this command, which then stops
//! them in order. Each is tied to this command by a pipe at its standard input: however this command
//! ends, the pipe closes and the node stops by itself.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures::future::{FutureExt, select_all};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};

use super::signals::StopSignals;
use super::site::NodeHome;
use crate::commands::start::UNTIL_STDIN_ENDS;
use crate::error::{CommandError, ExitCode};

/// The programs that run, of one kind.
#[derive(Default)]
pub(super) struct Processes {
    /// Given to each node as `-E key=value`.
    settings: Vec<(String, String)>,
    running: Vec<Process>,
}

struct Process {
    name: String,
    program: PathBuf,
    pid: u32,
    child: Child,
    /// Open as long as the node shall run.
    _tie: Option<ChildStdin>,
    log: PathBuf,
    /// Size of the log when the node was started.
    log_start: u64,
}

/// A node that ended.
#[derive(Debug)]
pub(super) struct Ended {
    name: String,
    program: PathBuf,
    status: String,
    log: PathBuf,
    log_start: u64,
}

impl Processes {
    /// Returns no processes yet; each will get the settings on its command line.
    pub(super) fn new(settings: Vec<(String, String)>) -> Self {
        Self {
            settings,
            running: Vec::new(),
        }
    }

    /// Starts the node of a home, as `bin/elasticsearch` in it does.
    pub(super) fn start(&mut self, node: &NodeHome) -> Result<(), CommandError> {
        self.spawn(&node.name, &node.home, "bin/elasticsearch", node.log())
    }

    /// Starts a program of a home; its output goes to the end of `log`.
    pub(super) fn spawn(
        &mut self,
        name: &str,
        home: &Path,
        program: &str,
        log: PathBuf,
    ) -> Result<(), CommandError> {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| CommandError::io(&log, &error))?;
        let log_start = output
            .metadata()
            .map_err(|error| CommandError::io(&log, &error))?
            .len();
        let errors = output
            .try_clone()
            .map_err(|error| CommandError::io(&log, &error))?;
        let program = home.join(program);
        let settings = self
            .settings
            .iter()
            .map(|(key, value)| format!("-E{key}={value}"));
        let mut child = Command::new(&program)
            .arg(format!("--{UNTIL_STDIN_ENDS}"))
            .args(settings)
            .current_dir(home)
            .env_remove("ES_HOME")
            .env_remove("ES_PATH_CONF")
            .env_remove("KBN_PATH_CONF")
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|error| CommandError::io(&program, &error))?;
        self.running.push(Process {
            name: name.to_owned(),
            program,
            // Invariant: a child that was not waited for has an id; 0 is no process of ours.
            pid: child.id().unwrap_or(0),
            _tie: child.stdin.take(),
            child,
            log,
            log_start,
        });
        Ok(())
    }

    /// Returns the process id of a node, if it runs.
    pub(super) fn pid(&self, name: &str) -> Option<u32> {
        self.running
            .iter()
            .find(|process| process.name == name)
            .map(|process| process.pid)
    }

    /// Returns whether no node runs.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Waits for the next node to end; forever when there is none. Cancelling loses nothing.
    pub(super) async fn next_end(&mut self) -> Ended {
        if self.running.is_empty() {
            return std::future::pending().await;
        }
        let waits = self
            .running
            .iter_mut()
            .map(|process| process.child.wait().boxed());
        let (status, position, others) = select_all(waits).await;
        drop(others);
        let process = self.running.remove(position);
        Ended {
            name: process.name,
            program: process.program,
            status: match status {
                Ok(status) => describe(status),
                Err(error) => format!("ended, how is not known: {error}"),
            },
            log: process.log,
            log_start: process.log_start,
        }
    }

    /// Asks all nodes to stop and waits for them. Kills those that take too long, and all at once
    /// when a further signal comes. Returns the names of the killed.
    pub(super) async fn stop(&mut self, signals: &mut StopSignals) -> Vec<String> {
        for process in &self.running {
            process.terminate();
        }
        let all_ended = async {
            while !self.running.is_empty() {
                self.next_end().await;
            }
        };
        tokio::select! {
            biased;
            () = all_ended => return Vec::new(),
            () = signals.received() => {}
            () = tokio::time::sleep(STOP_WITHIN) => {}
        }
        let mut killed = Vec::new();
        for mut process in self.running.drain(..) {
            // Fails only if it ended meanwhile.
            if process.child.kill().await.is_ok() {
                killed.push(process.name);
            }
        }
        killed
    }
}

impl Process {
    fn terminate(&self) {
        // `id` is `None` once the process is gone, whose number might be another's by now.
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Fails only for a process that has just ended.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Ended {
    /// Returns the failure of a cluster whose node died while it was brought up.
    pub(super) fn died_early(&self) -> CommandError {
        let (name, status) = (&self.name, &self.status);
        let message = match tail(&self.log, self.log_start) {
            Some(tail) => format!(
                "{name} {status}; the end of its log [{}]:\n{tail}",
                self.log.display()
            ),
            None => format!(
                "{name} {status} without a word in its log [{}]",
                self.log.display()
            ),
        };
        CommandError::new(ExitCode::Unavailable, message)
    }

    /// Returns what to tell of a node that ended while the cluster ran.
    pub(super) fn notice(&self) -> String {
        format!(
            "{} {}; its log is {}\n  start it again with {}",
            self.name,
            self.status,
            self.log.display(),
            self.program.display()
        )
    }
}

fn describe(status: ExitStatus) -> String {
    // Its own words: "exit status: 1", "signal: 9 (SIGKILL)".
    format!("ended with {status}")
}

/// Returns the last lines that were written to a log since `start`, indented.
fn tail(log: &Path, start: u64) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let end = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(start.max(end.saturating_sub(TAIL_BYTES))))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    (!last.is_empty()).then(|| {
        last.iter()
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    })
}

/// Longer than the nodes' own bounds for stopping in order.
const STOP_WITHIN: Duration = Duration::from_secs(30);
const TAIL_LINES: usize = 15;
const TAIL_BYTES: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Returns a node whose program is a shell script.
    fn node(dir: &Path, name: &str, script: &str) -> NodeHome {
        let home = dir.join(name);
        for part in ["bin", "logs"] {
            std::fs::create_dir_all(home.join(part)).unwrap();
        }
        let program = home.join("bin/elasticsearch");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        NodeHome {
            name: name.to_owned(),
            home,
            http: ([127, 0, 0, 1], 1).into(),
            transport: ([127, 0, 0, 1], 2).into(),
        }
    }

    #[tokio::test]
    async fn a_node_that_dies_is_reported_with_the_end_of_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let dead = node(dir.path(), "node-1", "echo cannot bind >&2; exit 3");
        std::fs::write(dead.log(), "of an earlier start\n").unwrap();
        let mut processes = Processes::default();
        processes
            .start(&node(dir.path(), "node-2", "exec cat"))
            .unwrap();
        processes.start(&dead).unwrap();
        assert!(processes.pid("node-1").is_some());
        let ended = processes.next_end().await;
        let error = ended.died_early();
        assert!(
            error
                .message
                .starts_with("node-1 ended with exit status: 3"),
            "{error}"
        );
        assert!(error.message.ends_with("  cannot bind"), "{error}");
        assert!(!error.message.contains("earlier"), "{error}");
        assert!(ended.notice().contains("node-1/bin/elasticsearch"));
        assert_eq!(processes.pid("node-1"), None);
        assert!(!processes.is_empty());
    }

    #[tokio::test]
    async fn all_are_stopped_and_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut processes = Processes::default();
        for name in ["node-1", "node-2"] {
            processes
                .start(&node(dir.path(), name, "exec cat"))
                .unwrap();
        }
        let mut signals = StopSignals::install().unwrap();
        assert!(processes.stop(&mut signals).await.is_empty());
        assert!(processes.is_empty());
    }

    #[tokio::test]
    async fn without_its_starter_a_node_reads_the_end_of_its_input() {
        let dir = tempfile::tempdir().unwrap();
        let mut processes = Processes::default();
        processes
            .start(&node(dir.path(), "node-1", "cat; exit 4"))
            .unwrap();
        processes.running[0]._tie = None;
        let ended = processes.next_end().await;
        assert!(ended.status.contains("exit status: 4"), "{ended:?}");
    }

    #[test]
    fn the_tail_is_short() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::write(&log, "line\n".repeat(10_000)).unwrap();
        assert_eq!(tail(&log, 0).unwrap().lines().count(), TAIL_LINES);
        assert!(tail(&log, 50_000).is_none());
        assert!(tail(&dir.path().join("none"), 0).is_none());
    }
}
