//! `-d`: a node that outlives the terminal it was started from. Source: Elasticsearch reference, "Install
//! Elasticsearch from archive on Linux or MacOS".
//!
//! Nothing is forked: the command runs itself once more. The first process hands on what the second prints and
//! ends with it, or when it is up; the second then leaves the terminal.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// The long option of the second process.
pub const DETACHED: &str = "detached";

/// Starts the second process, and returns when the node is up. Questions are asked, and errors told, by it.
///
/// # Errors
/// Those of the node, with its exit status and without a message: it has told it.
pub fn launch(terminal: &mut Terminal) -> Result<(), CommandError> {
    let failed = |error: io::Error| {
        CommandError::new(
            ExitCode::Failure,
            format!("cannot start in the background: {error}"),
        )
    };
    let mut arguments = std::env::args_os();
    // The home may be found by the name that the program was called by.
    let name = arguments.next().unwrap_or_default();
    let mut child = Command::new(std::env::current_exe().map_err(failed)?)
        .arg0(name)
        .args(detached(arguments.collect()))
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if is_up(&mut child, terminal).map_err(failed)? {
        return Ok(());
    }
    let status = child.wait().map_err(failed)?;
    Err(match (status.code(), status.signal()) {
        (Some(code), _) => CommandError::new(ExitCode::with(code), ""),
        (None, signal) => CommandError::new(
            ExitCode::Failure,
            format!("the node ended by signal {}", signal.unwrap_or_default()),
        ),
    })
}

fn detached(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_word = |word: &OsString| !word.as_encoded_bytes().starts_with(b"-");
    let after_the_command = usize::from(arguments.first().is_some_and(is_word));
    arguments.insert(after_the_command, format!("--{DETACHED}").into());
    arguments
}

/// Hands on the output of the node until it says that it is up, or ends.
fn is_up(child: &mut Child, terminal: &mut Terminal) -> io::Result<bool> {
    let Some(mut output) = child.stdout.take() else {
        return Ok(false);
    };
    let mut bytes = [0; 4096];
    loop {
        let read = match output.read(&mut bytes) {
            Ok(read) => &bytes[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = read.iter().position(|byte| *byte == UP);
        terminal.write_raw(&read[..end.unwrap_or(read.len())]);
        if end.is_some() || read.is_empty() {
            return Ok(end.is_some());
        }
    }
}

/// In the second process: tells the first that the node is up, and leaves the terminal.
pub fn detach() -> io::Result<()> {
    rustix::process::setsid()?;
    let null = File::options()
        .read(true)
        .write(true)
        .open(Path::new("/dev/null"))?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    let mut output = io::stdout();
    // Who started this may have gone; the node is up nevertheless.
    let _ = output.write_all(&[UP]).and_then(|()| output.flush());
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

/// What the second process writes when the node is up. No text has it.
const UP: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_process_is_told_what_it_is() {
        for (given, expected) in [
            ("start -d -p x", "start --detached -d -p x"),
            ("-d", "--detached -d"),
            ("-Ea=b -d -- x", "--detached -Ea=b -d -- x"),
        ] {
            let given = given.split(' ').map(OsString::from).collect();
            let expected: Vec<OsString> = expected.split(' ').map(OsString::from).collect();
            assert_eq!(detached(given), expected);
        }
    }
}
