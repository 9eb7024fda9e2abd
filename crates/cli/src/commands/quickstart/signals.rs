//! The signals that end the command.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{CommandError, ExitCode};

/// Ctrl-C, SIGTERM, and the end of the terminal.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl StopSignals {
    /// From here on the signals do not end the process by themselves.
    pub(super) fn install() -> Result<Self, CommandError> {
        let install = |kind| {
            signal(kind).map_err(|error| {
                let message = format!("cannot watch for signals: {error}");
                CommandError::new(ExitCode::Failure, message)
            })
        };
        Ok(Self {
            interrupt: install(SignalKind::interrupt())?,
            terminate: install(SignalKind::terminate())?,
            hangup: install(SignalKind::hangup())?,
        })
    }

    /// Waits for the next of them. Cancelling loses none.
    pub(super) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
