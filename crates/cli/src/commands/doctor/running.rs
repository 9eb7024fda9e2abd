//! What the node that runs here, or ran, has to say: whom it refused, and whether it uses the files of today.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use ringwall_base::NodeId;
use ringwall_node::preflight::{self, Addresses};
use ringwall_settings::Settings;
use ringwall_settings::registry::network;
use ringwall_tls::SslContext;

use super::finding::{Finding, Report};

/// Notes whom the node has refused, or was refused by, as its newest log file tells. Only the accepting side knows
/// why it refused a peer that dialled it.
pub(super) fn refusals(logs: &Path, now: Timestamp, report: &mut Report) {
    let Some((file, text)) = newest_log(logs) else {
        return;
    };
    let since = now - RECENT;
    let mut last: BTreeMap<(&str, &str), (u64, Line<'_>)> = BTreeMap::new();
    for line in text.lines().filter_map(Line::parse) {
        if line.at >= since {
            let (count, latest) = last.entry((line.reason, line.host())).or_insert((0, line));
            *count += 1;
            *latest = line;
        }
    }
    let mut refusals: Vec<(u64, Line<'_>)> = last.into_values().collect();
    refusals.sort_by_key(|(_, line)| std::cmp::Reverse(line.at));
    for (count, line) in refusals.into_iter().take(SHOWN) {
        let times = match count {
            1 => "once".to_owned(),
            count => format!("{count} times"),
        };
        let message = format!(
            "the log of the last hour has {times}, at [{}] the last: {}",
            line.at, line.message
        );
        report.add(
            Finding::warning("refused", message)
                .file(Some(&file))
                .action("the end of that line says what to do; `ringwall doctor` on the other host tells its side"),
        );
    }
}

/// Notes that the node had no master when it last said anything of one, and what it says of that.
pub(super) fn without_master(logs: &Path, now: Timestamp, report: &mut Report) {
    let Some((file, text)) = newest_log(logs) else {
        return;
    };
    let mut last = None;
    for line in text.lines() {
        let Some((at, message)) = said_at(line) else {
            continue;
        };
        if message.starts_with(NO_MASTER) {
            last = Some((at, message));
        } else if ENDS_NO_MASTER
            .iter()
            .any(|start| message.starts_with(start))
            && !message.contains("current []")
        {
            last = None;
        }
    }
    let Some((at, message)) = last.filter(|(at, _)| *at >= now - RECENT) else {
        return;
    };
    let finding = Finding::error(
        "master",
        format!("at [{at}] the node had no master: {message}"),
    );
    report.add(
        finding
            .file(Some(&file))
            .action("that line says who is missing and why; begin with the errors of this report, if there are others"),
    );
}

/// Notes that the cluster did not take the node when it last asked to join, and why.
pub(super) fn not_joined(logs: &Path, now: Timestamp, report: &mut Report) {
    let Some((file, text)) = newest_log(logs) else {
        return;
    };
    let mut last = None;
    for (at, message) in text.lines().filter_map(said_at) {
        if message.starts_with(NOT_JOINED) {
            last = Some((at, message));
        } else if ENDS_NOT_JOINED.iter().any(|end| message.starts_with(end)) {
            last = None;
        }
    }
    let Some((at, message)) = last.filter(|(at, _)| *at >= now - RECENT) else {
        return;
    };
    let message = format!("at [{at}] the cluster did not take this node: {message}");
    report.add(
        Finding::error("join", message)
            .file(Some(&file))
            .action("that line says why, and what to do"),
    );
}

/// Splits a line of the log into its time and its message, without where in the program it is from.
fn said_at(line: &str) -> Option<(Timestamp, &str)> {
    let (at, rest) = line.split_once(char::is_whitespace)?;
    let (_level, rest) = rest.trim_start().split_once(' ')?;
    let (_target, message) = rest.split_once(": ")?;
    Some((at.parse().ok()?, message))
}

/// Compares what the node that runs here shows with its files, if it can be found where it should listen.
pub(super) async fn own_node(
    settings: &Settings,
    addresses: &Addresses,
    tls: &std::sync::Arc<SslContext>,
    own_id: Option<NodeId>,
    within: std::time::Duration,
    report: &mut Report,
) {
    let Some(address) = addresses.transport_address(settings) else {
        return;
    };
    let Ok(examined) = preflight::dial(settings, Some(tls.clone()), &address, within).await else {
        return;
    };
    for found in examined {
        let (Ok(node), Some(shown)) = (&found.result, &found.seen.certificate) else {
            continue;
        };
        if own_id != Some(node.id) {
            // Of a range the next port is taken.
            let ports = settings.get(&network::TRANSPORT_PORT);
            if ports.first != ports.last {
                continue;
            }
            let message = format!(
                "[{address}], where this node is to listen ([transport.port]), is taken by the node [{}]",
                node.name
            );
            report.add(Finding::error("port_taken", message).setting("transport.port").action(
                "give this node another [transport.port] or [network.host], or stop that node",
            ));
            continue;
        }
        let (Some(shown), Some(own)) = (&shown.info, tls.own_certificate()) else {
            continue;
        };
        report.add(match shown.fingerprint_sha256 == own.fingerprint_sha256 {
            true => Finding::ok(
                "running",
                format!("the node [{node}] runs here, and shows the certificate of its file"),
            ),
            false => Finding::warning(
                "running",
                format!(
                    "the node [{node}] runs here and still shows the certificate with serial number [{}], not the one \
                     of the file, [{}]",
                    shown.serial, own.serial
                ),
            )
            .setting(tls.name().to_owned())
            .action(
                "a changed file is taken up within [resource.reload.interval.high]; if it was not, its log and \
                 GET /_ssl/nodes (reload_error) say why",
            ),
        });
    }
}

/// A refusal as it was logged.
#[derive(Clone, Copy)]
struct Line<'a> {
    at: Timestamp,
    message: &'a str,
    peer: &'a str,
    reason: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (head, reason) = line.rsplit_once(" reason=\"")?;
        let (head, peer) = head.rsplit_once(" peer.address=\"")?;
        let (at, rest) = head.split_once(char::is_whitespace)?;
        let (_target, message) = rest.trim_start().strip_prefix("WARN ")?.split_once(": ")?;
        Some(Self {
            at: at.parse().ok()?,
            message,
            peer: peer.strip_suffix('"')?,
            reason: reason.trim_end().strip_suffix('"')?,
        })
    }

    /// The port of one that dials is another each time.
    fn host(&self) -> &'a str {
        self.peer
            .rsplit_once(':')
            .map_or(self.peer, |(host, _)| host)
    }
}

/// Returns the end of the log file that was written last.
fn newest_log(logs: &Path) -> Option<(PathBuf, String)> {
    let files = std::fs::read_dir(logs).ok()?.filter_map(Result::ok);
    let logs = files.filter(|file| file.path().extension().is_some_and(|end| end == "log"));
    let newest = logs
        .filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path())))
        .max()?;
    let mut file = File::open(&newest.1).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))
        .ok()?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail).ok()?;
    Some((newest.1, String::from_utf8_lossy(&tail).into_owned()))
}

const NO_MASTER: &str = "master not discovered";
/// What the node says when it has found one, or starts anew.
const ENDS_NO_MASTER: [&str; 2] = ["master node changed", "started node.name="];
const NOT_JOINED: &str = "failed to join the cluster";
/// What the node says when it has been let in, or starts anew.
const ENDS_NOT_JOINED: [&str; 2] = ["joined the cluster", "started node.name="];
const RECENT: SignedDuration = SignedDuration::from_hours(1);
const TAIL_BYTES: u64 = 1 << 20;
const SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-11-26T20:00:00.000000Z  WARN ringwall_tls::refusals: too old peer.address=\"192.0.2.9:1\" reason=\"plaintext\"
2026-11-26T21:30:00.000000Z  WARN ringwall_tls::refusals: first: of two peer.address=\"192.0.2.7:4000\" reason=\"expired\"
2026-11-26T21:31:00.000000Z  WARN ringwall_tls::refusals: second: of two peer.address=\"192.0.2.7:4001\" reason=\"expired\"
2026-11-26T21:32:00.000000Z  INFO ringwall_node::node: started took_ms=1
2026-11-26T21:33:00.000000Z  WARN ringwall_tls::refusals: dialled peer.address=\"[2001:db8::1]:9300\" reason=\"closed\"
";

    #[test]
    fn the_log_of_the_last_hour_is_told_by_peer_and_reason() {
        let logs = tempfile::tempdir().unwrap();
        std::fs::write(logs.path().join("es.log"), LOG).unwrap();
        let mut report = Report::default();
        let now = "2026-11-26T21:40:00Z".parse().unwrap();
        refusals(logs.path(), now, &mut report);
        let told: Vec<&str> = report
            .findings
            .iter()
            .map(|found| found.message.as_str())
            .collect();
        let [dialled, twice] = told.as_slice() else {
            panic!("{told:#?}");
        };
        assert!(
            dialled.contains("has once, at [2026-11-26T21:33:00Z] the last: dialled"),
            "{dialled}"
        );
        assert!(
            twice.contains("has 2 times") && twice.ends_with("second: of two"),
            "{twice}"
        );
        refusals(&logs.path().join("missing"), now, &mut report);
        assert_eq!(report.findings.len(), 2);
    }

    #[test]
    fn a_node_that_is_refused_is_told_until_it_is_let_in() {
        let logs = tempfile::tempdir().unwrap();
        let now = "2026-11-26T21:40:00Z".parse().unwrap();
        let line = |minute: u8, message: &str| {
            format!("2026-11-26T21:{minute}:00.000000Z  WARN ringwall_coordination::x: {message}\n")
        };
        let told = |lines: &[String]| {
            std::fs::write(logs.path().join("es.log"), lines.concat()).unwrap();
            let mut report = Report::default();
            not_joined(logs.path(), now, &mut report);
            let messages = report.findings.into_iter().map(|found| found.message);
            messages.collect::<Vec<_>>()
        };
        let refused = line(30, "failed to join the cluster reason=\"an older copy\"");
        let wanted = "at [2026-11-26T21:30:00Z] the cluster did not take this node: failed to join the cluster \
                      reason=\"an older copy\"";
        assert_eq!(told(std::slice::from_ref(&refused)), [wanted]);
        for end in [
            "joined the cluster after all",
            "started node.name=a node.id=1",
        ] {
            assert!(told(&[refused.clone(), line(31, end)]).is_empty());
            assert_eq!(told(&[line(29, end), refused.clone()]), [wanted]);
        }
        assert!(told(&[refused.replace("T21:30", "T20:30")]).is_empty());
    }

    #[test]
    fn a_node_without_a_master_is_told_until_it_has_one() {
        let logs = tempfile::tempdir().unwrap();
        let now = "2026-11-26T21:40:00Z".parse().unwrap();
        let line = |minute: u8, message: &str| {
            format!("2026-11-26T21:{minute}:00.000000Z  WARN ringwall_coordination::x: {message}\n")
        };
        let told = |lines: &[String]| {
            std::fs::write(logs.path().join("es.log"), lines.concat()).unwrap();
            let mut report = Report::default();
            without_master(logs.path(), now, &mut report);
            let messages = report.findings.into_iter().map(|found| found.message);
            messages.collect::<Vec<_>>()
        };
        let none = line(30, "master not discovered yet, missing [b]");
        let found = line(
            31,
            "master node changed {previous [], current [{b}]}, term: 1, version: 1",
        );
        let lost = line(
            32,
            "master node changed {previous [{b}], current []}, term: 1, version: 1",
        );
        let wanted = "at [2026-11-26T21:30:00Z] the node had no master: master not discovered yet, missing [b]";
        assert_eq!(told(std::slice::from_ref(&none)), [wanted]);
        assert_eq!(told(&[none.clone(), lost.clone()]), [wanted]);
        assert!(told(&[none.clone(), found]).is_empty());
        assert!(told(&[none.clone(), line(33, "started node.name=a node.id=1")]).is_empty());
        assert!(told(&[none.replace("T21:30", "T20:30")]).is_empty());
        assert!(told(&[lost]).is_empty());
    }
}
