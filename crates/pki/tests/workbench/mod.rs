//! Other makers of keys and certificates, as judges and as makers.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A directory for the files, and a tool to judge them.
pub struct Workbench(TempDir);

impl Workbench {
    /// Returns `None`, loudly, when the tool is not installed.
    pub fn with(tool: &str) -> Option<Self> {
        let argument = if tool == "openssl" {
            "version"
        } else {
            "-help"
        };
        if Command::new(tool).arg(argument).output().is_err() {
            eprintln!("SKIPPED: {tool} not installed");
            return None;
        }
        Some(Self(tempfile::tempdir().unwrap()))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        text(&path).to_owned()
    }

    pub fn run(&self, tool: &str, arguments: &[&str]) -> String {
        self.try_run(tool, arguments)
            .unwrap_or_else(|| panic!("{tool} {arguments:?} failed"))
    }

    pub fn try_run(&self, tool: &str, arguments: &[&str]) -> Option<String> {
        let output = Command::new(tool).args(arguments).output().unwrap();
        let shown = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        if !output.status.success() {
            eprintln!("{tool} {arguments:?}: {shown}");
            return None;
        }
        Some(shown)
    }
}

/// The path as text; ours are.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
