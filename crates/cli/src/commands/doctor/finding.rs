//! What `doctor` found, and how it is printed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// How bad a finding is; the worst is that of the whole report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Ok,
    Warning,
    Error,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at: what it is like, where that is set, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) status: Status,
    /// A short constant name, for scripts.
    pub(super) check: &'static str,
    pub(super) message: String,
    setting: Option<String>,
    file: Option<PathBuf>,
    action: String,
}

impl Finding {
    pub(super) fn new(status: Status, check: &'static str, message: impl Into<String>) -> Self {
        // Names in certificates and of nodes are chosen by others, and must not steer a terminal.
        let shown = |c: char| {
            if c.is_control() && c != '\n' {
                '\u{fffd}'
            } else {
                c
            }
        };
        Self {
            status,
            check,
            message: message.into().chars().map(shown).collect(),
            setting: None,
            file: None,
            action: String::new(),
        }
    }

    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(Status::Ok, check, message)
    }

    pub(super) fn warning(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(Status::Warning, check, message)
    }

    pub(super) fn error(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(Status::Error, check, message)
    }

    pub(super) fn setting(mut self, setting: impl Into<String>) -> Self {
        self.setting = Some(setting.into());
        self
    }

    pub(super) fn file(mut self, file: Option<&Path>) -> Self {
        self.file = file.map(Path::to_owned);
        self
    }

    pub(super) fn action(mut self, action: impl Into<String>) -> Self {
        self.action = action.into();
        self
    }

    fn to_json(&self) -> Value {
        json!({
            "status": self.status.word(),
            "check": self.check,
            "message": self.message,
            "setting": self.setting,
            "file": self.file,
            "action": (!self.action.is_empty()).then_some(&self.action),
        })
    }

    fn to_text(&self) -> String {
        let mut text = format!("  {}\n", self.message.replace('\n', "\n  "));
        let file = self.file.as_ref().map(|file| file.display().to_string());
        let place: Vec<String> = self.setting.iter().cloned().chain(file).collect();
        if !place.is_empty() && self.status != Status::Ok {
            text.push_str(&format!("      where: {}\n", place.join(", ")));
        }
        if !self.action.is_empty() {
            text.push_str(&format!("      do:    {}\n", self.action));
        }
        text
    }
}

/// Everything found.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
    pub(super) contexts: Vec<Value>,
    pub(super) peers: Vec<Value>,
}

impl Report {
    /// Adds a finding, once: two contexts may have a file in common.
    pub(super) fn add(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    pub(super) fn status(&self) -> Status {
        let all = self.findings.iter().map(|finding| finding.status);
        all.max().unwrap_or(Status::Ok)
    }

    pub(super) fn to_json(&self) -> Value {
        let findings: Vec<Value> = self.findings.iter().map(Finding::to_json).collect();
        json!({
            "status": self.status().word(),
            "findings": findings,
            "contexts": self.contexts,
            "peers": self.peers,
        })
    }

    /// Errors come last: that is where a person looks first.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let mut count = Vec::new();
        for (status, title) in [
            (Status::Ok, "OK"),
            (Status::Warning, "WARNING"),
            (Status::Error, "ERROR"),
        ] {
            let found = self.findings.iter().filter(|found| found.status == status);
            let found: Vec<String> = found.map(Finding::to_text).collect();
            count.push(found.len());
            if !found.is_empty() {
                text.push_str(&format!("{title}\n{}\n", found.concat()));
            }
        }
        let (warnings, errors) = (count[1], count[2]);
        let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
        text.push_str(&format!("{errors}, {warnings}"));
        text
    }
}

fn counted(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        count => format!("{count} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_name_themselves_does_not_reach_the_terminal() {
        let finding = Finding::error("peer", "[CN=\u{1b}[2J]\r");
        assert_eq!(finding.message, "[CN=\u{fffd}[2J]\u{fffd}");
    }

    #[test]
    fn the_worst_finding_is_the_status_and_comes_last() {
        let mut report = Report::default();
        assert_eq!(report.status(), Status::Ok);
        assert_eq!(report.to_text(), "0 errors, 0 warnings");
        let broken = Finding::error("tls_files", "broken")
            .setting("a.key")
            .file(Some(Path::new("/k")))
            .action("mend it");
        report.add(broken);
        report.add(Finding::warning("permissions", "open"));
        report.add(Finding::ok("settings", "good"));
        report.add(Finding::ok("settings", "good"));
        assert_eq!(report.status(), Status::Error);
        assert_eq!(
            report.to_text(),
            "OK\n  good\n\nWARNING\n  open\n\nERROR\n  broken\n      where: a.key, /k\n      do:    mend it\n\n\
             1 error, 1 warning"
        );
        let json = report.to_json();
        assert_eq!(json["findings"][0]["file"], "/k");
        assert_eq!(json["findings"][1]["action"], Value::Null);
    }
}
