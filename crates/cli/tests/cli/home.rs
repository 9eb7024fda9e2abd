//! A home in a temporary directory, and the programs in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Outcome {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Fails the test unless the program succeeded without a word on standard error.
    #[track_caller]
    pub fn quiet(self) -> String {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "{self:?}");
        self.stdout
    }
}

pub struct Home {
    // Removed with everything in it when dropped.
    directory: tempfile::TempDir,
}

impl Home {
    /// Returns a home made by `ringwall init`.
    pub fn new() -> Self {
        let home = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let made = run(ringwall().arg("init").arg(home.path()), "");
        assert_eq!(made.status, 0, "{made:?}");
        home
    }

    pub fn path(&self) -> PathBuf {
        std::fs::canonicalize(self.directory.path())
            .unwrap()
            .join("home")
    }

    pub fn keystore_file(&self) -> PathBuf {
        self.path().join("config/elasticsearch.keystore")
    }

    /// Runs `bin/elasticsearch-keystore` from another directory.
    pub fn keystore(&self, arguments: &[&str], stdin: &str) -> Outcome {
        let mut command = self.tool("elasticsearch-keystore");
        command.current_dir("/").args(arguments);
        run(&mut command, stdin)
    }

    /// Returns the command of a program in `bin`.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.path().join("bin").join(name));
        clean(&mut command);
        command
    }
}

/// Returns the command `ringwall`, without the settings of the environment.
pub fn ringwall() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringwall"));
    clean(&mut command);
    command
}

pub fn run(command: &mut Command, stdin: &str) -> Outcome {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that fails early does not read its input.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Outcome {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn link_target(path: &Path) -> PathBuf {
    std::fs::read_link(path).unwrap()
}

fn clean(command: &mut Command) -> &mut Command {
    command
        .env_remove("ES_HOME")
        .env_remove("ES_PATH_CONF")
        .env_remove("KBN_PATH_CONF")
}
