//! A pseudo-terminal to run tools on, with a person at it who answers what is asked.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A question, and what is typed.
pub type Answer<'a> = (&'a str, &'a str);

/// Returns both sides: what the person sees and types on, and what programs have as their terminal.
pub fn pseudo_terminal() -> (OwnedFd, File) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    (screen, terminal)
}

/// Returns what appears on the screen, piece by piece, until the last program has closed its side.
pub fn watch(screen: &OwnedFd) -> Receiver<String> {
    let (sender, receiver) = channel();
    let mut screen = File::from(screen.try_clone().unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // Ends with an error when the other side is closed.
        while let Ok(length @ 1..) = screen.read(&mut buffer) {
            // Nobody may listen any more; the program must not wait for that.
            let _ = sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
    });
    receiver
}

/// Runs a program on a terminal and answers each question when it is asked. Returns its status and
/// everything on the screen.
#[track_caller]
pub fn converse(mut command: Command, answers: &[Answer<'_>]) -> (i32, String) {
    let (screen, terminal) = pseudo_terminal();
    let clone = || Stdio::from(terminal.try_clone().unwrap());
    command.stdin(clone()).stdout(clone()).stderr(clone());
    let mut child = command.spawn().unwrap();
    drop((command, terminal));
    let seen = watch(&screen);
    let mut keyboard = File::from(screen);
    let mut told = String::new();
    let mut position = 0;
    for (question, answer) in answers {
        while !told[position..].contains(question) {
            match seen.recv_timeout(WITHIN) {
                Ok(text) => told += &text.replace('\r', ""),
                Err(error) => {
                    // It may wait for an answer that nobody gives.
                    let _ = child.kill();
                    panic!("{error}: [{question}] was not asked: {told}");
                }
            }
        }
        position += told[position..].find(question).unwrap() + question.len();
        writeln!(keyboard, "{answer}").unwrap();
    }
    while let Ok(text) = seen.recv_timeout(WITHIN) {
        told += &text.replace('\r', "");
    }
    (child.wait().unwrap().code().unwrap_or(-1), told)
}

/// Far more than anything takes on an idle machine.
pub const WITHIN: Duration = Duration::from_secs(120);
