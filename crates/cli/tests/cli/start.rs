//! `bin/elasticsearch` as operators and supervisors run it: refusals, signals, the background.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::home::{Home, run};

/// Far more than any step takes on an idle machine.
const WITHIN: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

/// A node that is not secured by its first start, on ports of the system's choice.
fn elasticsearch(home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.tool("elasticsearch");
    for setting in ["http.port=0", "transport.port=0"] {
        command.args(["-E", setting]);
    }
    command.args(arguments).env_remove("NOTIFY_SOCKET");
    command
}

const SECURED: &[&str] = &["-E", "xpack.security.enabled=true"];

/// Everything in the log files of a home.
fn log(home: &Home) -> String {
    let files = fs::read_dir(home.path().join("logs")).unwrap();
    files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

#[track_caller]
fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < WITHIN, "no {what} in time");
        std::thread::sleep(POLL);
    }
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Kills a child that a failed test leaves behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn supervisor(directory: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(directory.join("notify")).unwrap();
    socket.set_read_timeout(Some(WITHIN)).unwrap();
    socket
}

fn told(socket: &UnixDatagram) -> String {
    let mut text = [0; 128];
    let length = socket.recv(&mut text).unwrap();
    String::from_utf8_lossy(&text[..length]).into_owned()
}

#[test]
fn enforced_checks_refuse_the_start_with_the_frame_and_status_78() {
    let home = Home::new();
    let enforced = "-Xms1g -Des.enforce.bootstrap.checks=true";
    for arguments in [&[][..], &["-d"]] {
        let mut command = elasticsearch(&home, SECURED);
        let command = command.args(arguments).env("ES_JAVA_OPTS", enforced);
        let outcome = run(command, "");
        assert_eq!(outcome.status, 78, "{outcome:?}");
        let stderr = &outcome.stderr;
        let frame = stderr.split_once("\nERROR: [").map(|(_, frame)| frame);
        let frame = frame.unwrap_or_else(|| panic!("{outcome:?}"));
        let (count, _) = frame.split_once(']').unwrap();
        let lines: Vec<&str> = frame.lines().collect();
        assert_eq!(
            lines[0],
            format!(
                "{count}] bootstrap checks failed. You must address the points described in the following \
                 [{count}] lines before starting Elasticsearch."
            )
        );
        let count: usize = count.parse().unwrap();
        for (number, line) in (1..=count).zip(&lines[1..]) {
            let start = format!("bootstrap check failure [{number}] of [{count}]: ");
            assert!(line.starts_with(&start), "{frame}");
        }
        assert!(frame.contains("Transport SSL must be enabled if security is enabled"));
        assert!(frame.contains("the default discovery settings are unsuitable"));
        let logs = home.path().join("logs");
        assert_eq!(
            lines[count + 1],
            format!(
                "ERROR: Elasticsearch did not exit normally - check the logs at {}",
                logs.display()
            )
        );
        assert_eq!(
            stderr.matches("bootstrap checks failed").count(),
            1,
            "{stderr}"
        );
    }
    let log = log(&home);
    assert_eq!(
        log.matches("explicitly enforcing bootstrap checks").count(),
        2,
        "{log}"
    );
    assert_eq!(
        log.matches("node validation exception\n[").count(),
        2,
        "{log}"
    );

    let mut command = elasticsearch(&home, SECURED);
    let outcome = run(
        command.env("ES_JAVA_OPTS", "-Des.enforce.bootstrap.checks=yes"),
        "",
    );
    assert_eq!(outcome.status, 1);
    let expected = "[es.enforce.bootstrap.checks] must be [true] but was [yes]";
    assert!(outcome.stderr.contains(expected), "{outcome:?}");
}

#[test]
fn a_single_node_on_all_addresses_is_in_development_mode() {
    let home = Home::new();
    let directory = tempfile::tempdir().unwrap();
    let socket = supervisor(directory.path());
    let mut command = elasticsearch(&home, SECURED);
    command.args(["-E", "discovery.type=single-node"]);
    command.args(["-E", "network.host=0.0.0.0", "-q", "-p", "node.pid"]);
    command
        .current_dir(directory.path())
        .env("NOTIFY_SOCKET", directory.path().join("notify"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut node = Running(command.spawn().unwrap());
    assert_eq!(told(&socket), "READY=1");
    let pid_file = directory.path().join("node.pid");
    let pid = node.0.id();
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{pid}\n"));
    wait_for("start in the log", || log(&home).contains(" started "));
    let text = log(&home);
    assert!(!text.contains("enforcing bootstrap checks"), "{text}");
    assert!(
        text.contains("Transport SSL must be enabled"),
        "a warning here: {text}"
    );

    send(pid, Signal::HUP);
    wait_for("word about SIGHUP", || {
        log(&home).contains("SIGHUP is ignored")
    });
    send(pid, Signal::TERM);
    assert_eq!(told(&socket), "STOPPING=1");
    let mut stderr = String::new();
    let mut printed = node.0.stderr.take().unwrap();
    printed.read_to_string(&mut stderr).unwrap();
    assert!(node.0.wait().unwrap().success());
    assert_eq!(stderr, "", "quiet");
    assert!(!pid_file.exists());
}

#[test]
fn in_the_background_the_command_returns_when_the_node_is_up() {
    let home = Home::new();
    let pid_file = home.path().join("run/node.pid");
    let mut command = elasticsearch(&home, SECURED);
    command.arg("-d").arg("-p").arg(&pid_file);
    // It reads standard error to its end: the node has let go of it.
    let outcome = run(&mut command, "");
    assert_eq!(
        (outcome.status, outcome.stderr.as_str()),
        (0, ""),
        "{outcome:?}"
    );
    let pid: u32 = fs::read_to_string(&pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let process = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    assert!(test_kill_process(process).is_ok());
    assert_eq!(rustix::process::getsid(Some(process)).unwrap(), process);
    // A second one finds the data path locked, and leaves the file of the first alone.
    let second = run(elasticsearch(&home, SECURED).arg("-p").arg(&pid_file), "");
    assert_eq!(second.status, 1, "{second:?}");
    let kept = fs::read_to_string(&pid_file).unwrap();
    assert_eq!(kept, format!("{pid}\n"));
    send(pid, Signal::HUP);
    wait_for("word about SIGHUP", || {
        log(&home).contains("SIGHUP is ignored")
    });
    send(pid, Signal::TERM);
    wait_for("end of the node", || !pid_file.exists());
    wait_for("last line of the log", || log(&home).contains("stopped"));
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let home = Home::new();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("node.pid");
    let directory = home.path();
    for (arguments, expected) in [
        (&["-d", "-q"][..], "cannot be used with"),
        (
            &["-p", directory.to_str().unwrap()],
            "is not a regular file",
        ),
        (&["-d", "-p", below.to_str().unwrap()], "is not a directory"),
        (&["node-1"], "unexpected argument found"),
    ] {
        let outcome = run(elasticsearch(&home, SECURED).args(arguments), "");
        assert_eq!(outcome.status, 64, "{outcome:?}");
        assert!(outcome.stderr.contains(expected), "{outcome:?}");
    }
    let outcome = run(home.tool("elasticsearch").arg("-V"), "");
    assert!(outcome.quiet().starts_with("ringwall "));
}

#[test]
fn without_security_the_log_and_every_answer_warn() {
    let home = Home::new();
    let mut command = elasticsearch(&home, &["-E", "xpack.security.enabled=false"]);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let mut node = Running(command.spawn().unwrap());
    let mut lines = BufReader::new(node.0.stderr.take().unwrap()).lines();
    let mut told = String::new();
    let address = loop {
        let line = lines.next().unwrap_or_else(|| panic!("{told}")).unwrap();
        if let Some((_, rest)) = line.split_once("http_addresses=[") {
            break rest.split([',', ']']).next().unwrap().to_owned();
        }
        told += &line;
    };
    // Whoever reads no more must not hold up the node.
    let rest = std::thread::spawn(move || lines.count());
    assert!(
        told.contains("[xpack.security.enabled] is [false]"),
        "{told}"
    );

    let mut client = TcpStream::connect(address).unwrap();
    let request = "GET /nowhere HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let warning = answer
        .lines()
        .find_map(|line| line.strip_prefix("warning: "));
    let start =
        "299 Elasticsearch-8.17.0 \"Elasticsearch built-in security features are not enabled.";
    assert!(
        warning.is_some_and(|warning| warning.starts_with(start)),
        "{answer}"
    );
    send(node.0.id(), Signal::TERM);
    assert!(node.0.wait().unwrap().success());
    rest.join().unwrap();
}
