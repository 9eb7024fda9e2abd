//! Where `certutil` is run.

use std::path::{Path, PathBuf};

use crate::home::{Home, Outcome, run};
use crate::judges::unzip;

/// A home, and a directory for what is made.
pub struct Bench {
    pub home: Home,
    directory: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            home: Home::new(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        std::fs::canonicalize(self.directory.path())
            .unwrap()
            .join(name)
    }

    /// Runs `elasticsearch-certutil` in the directory.
    pub fn certutil(&self, arguments: &[&str], answers: &str) -> Outcome {
        let mut command = self.home.tool("elasticsearch-certutil");
        command.current_dir(self.directory.path()).args(arguments);
        run(&mut command, answers)
    }

    /// Answers every question, one a line, and unpacks what comes.
    #[track_caller]
    pub fn http(&self, answers: &[&str], zip: &str) -> (Vec<String>, PathBuf) {
        let done = self.certutil(&["http"], &lines(&[answers, &[zip]].concat()));
        assert_eq!(done.status, 0, "{done:?}");
        assert!(
            done.stdout
                .contains(&format!("Zip file written to {}", self.path(zip).display()))
        );
        unzip(&self.path(zip))
    }
}

/// Returns answers as lines of standard input.
pub fn lines(answers: &[&str]) -> String {
    answers.iter().map(|answer| format!("{answer}\n")).collect()
}

pub fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}
