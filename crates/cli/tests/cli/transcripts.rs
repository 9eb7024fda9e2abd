//! Every sequence of questions, answered on a pseudo-terminal and from a pipe: the same questions in the
//! same order, the same end, and no secret on the screen. Source: what Elasticsearch 8.19's tools ask.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::home::{Home, Outcome, run};
use crate::running::Quickstart;
use crate::terminal::{Answer, converse};

/// A tool with its arguments, what is asked and answered, and how it ends.
struct Transcript<'a> {
    tool: &'a str,
    arguments: &'a [&'a str],
    answers: &'a [Answer<'a>],
    status: i32,
    /// What is said after the last answer.
    end: &'a str,
}

impl Transcript<'_> {
    fn command(&self, bin: &Path, directory: &Path) -> Command {
        let mut command = Command::new(bin.join(self.tool));
        command
            .env_remove("ES_HOME")
            .env_remove("ES_PATH_CONF")
            .current_dir(directory)
            .args(self.arguments);
        command
    }

    #[track_caller]
    fn on_a_terminal(&self, bin: &Path, directory: &Path) {
        let (status, screen) = converse(self.command(bin, directory), self.answers);
        self.check(status, &screen, &screen);
        for (question, answer) in self.answers {
            if question.to_lowercase().contains("password") || question.contains("value for") {
                let shown = answer.len() > 3 && screen.contains(answer);
                assert!(
                    !shown,
                    "the answer to [{question}] is on the screen: {screen}"
                );
            }
        }
    }

    #[track_caller]
    fn through_a_pipe(&self, bin: &Path, directory: &Path) {
        let lines: String = self
            .answers
            .iter()
            .map(|(_, answer)| format!("{answer}\n"))
            .collect();
        let Outcome {
            status,
            stdout,
            stderr,
        } = run(&mut self.command(bin, directory), &lines);
        // Questions go where they do not mix with results.
        self.check(status, &stderr, &format!("{stdout}{stderr}"));
    }

    #[track_caller]
    fn check(&self, status: i32, asked: &str, told: &str) {
        let name = format!("{} {}", self.tool, self.arguments.join(" "));
        let mut rest = asked;
        for (question, _) in self.answers {
            let found = rest.find(question);
            let at = found.unwrap_or_else(|| panic!("{name}: no [{question}] in order in: {told}"));
            rest = &rest[at + question.len()..];
        }
        assert!(
            told.contains(self.end),
            "{name}: no [{}] in: {told}",
            self.end
        );
        assert_eq!(status, self.status, "{name}: {told}");
    }
}

const CERTUTIL: &str = "elasticsearch-certutil";
const KEYSTORE: &str = "elasticsearch-keystore";

/// Each goes on from what those before it left.
const OFFLINE: &[Transcript<'_>] = &[
    Transcript {
        tool: CERTUTIL,
        arguments: &["ca"],
        answers: &[
            (
                "Please enter the desired output file [elastic-stack-ca.p12]: ",
                "",
            ),
            ("Enter password for elastic-stack-ca.p12 : ", "ca-secret"),
        ],
        status: 0,
        end: "",
    },
    Transcript {
        tool: CERTUTIL,
        arguments: &["cert", "--ca", "elastic-stack-ca.p12"],
        answers: &[
            (
                "Enter password for CA (elastic-stack-ca.p12) : ",
                "ca-secret",
            ),
            (
                "Please enter the desired output file [elastic-certificates.p12]: ",
                "new/node.p12",
            ),
            (" does not exist. Do you want to create it? [Y/n]", "y"),
            ("Enter password for node.p12 : ", "node-secret"),
        ],
        status: 0,
        end: "",
    },
    Transcript {
        tool: CERTUTIL,
        arguments: &["cert", "--ca", "elastic-stack-ca.p12"],
        answers: &[(
            "Enter password for CA (elastic-stack-ca.p12) : ",
            "wrong-secret",
        )],
        status: 1,
        end: "ERROR: ",
    },
    Transcript {
        tool: CERTUTIL,
        arguments: &[
            "cert",
            "--multiple",
            "--ca",
            "elastic-stack-ca.p12",
            "--ca-pass",
            "ca-secret",
        ],
        answers: &[
            ("Enter instance name: ", "one"),
            ("Enter name for directories and files of one [one]: ", ""),
            (
                "Enter IP Addresses for instance (comma-separated if more than one) []: ",
                "10.0.0.1",
            ),
            (
                "Enter DNS names for instance (comma-separated if more than one) []: ",
                "one.example",
            ),
            (
                "Would you like to specify another instance? Press 'y' to continue entering instance information: ",
                "n",
            ),
            (
                "Please enter the desired output file [certificate-bundle.zip]: ",
                "",
            ),
            ("Enter password for one/one.p12 : ", "one-secret"),
        ],
        status: 0,
        end: "",
    },
    Transcript {
        tool: CERTUTIL,
        arguments: &["csr", "--name", "n1"],
        answers: &[(
            "Please enter the desired output file [csr-bundle.zip]: ",
            "",
        )],
        status: 0,
        end: "",
    },
    Transcript {
        tool: KEYSTORE,
        arguments: &["add", "bootstrap.password"],
        answers: &[(
            "The elasticsearch keystore does not exist. Do you want to create it? [y/N]",
            "n",
        )],
        status: 0,
        end: "Exiting without creating keystore.",
    },
    Transcript {
        tool: KEYSTORE,
        arguments: &["add", "bootstrap.password"],
        answers: &[
            (
                "The elasticsearch keystore does not exist. Do you want to create it? [y/N]",
                "y",
            ),
            ("Enter value for bootstrap.password: ", "boot-secret"),
        ],
        status: 0,
        end: "",
    },
    Transcript {
        tool: KEYSTORE,
        arguments: &["add", "bootstrap.password"],
        answers: &[(
            "Setting bootstrap.password already exists. Overwrite? [y/N]",
            "n",
        )],
        status: 0,
        end: "Exiting without modifying keystore.",
    },
    Transcript {
        tool: KEYSTORE,
        arguments: &["passwd"],
        answers: &[
            (
                "Enter new password for the elasticsearch keystore (empty for no password): ",
                "first-secret",
            ),
            ("Enter same password again: ", "first-secret"),
        ],
        status: 0,
        end: "Elasticsearch keystore password changed successfully.",
    },
    Transcript {
        tool: KEYSTORE,
        arguments: &["show", "bootstrap.password"],
        answers: &[(
            "Enter password for the elasticsearch keystore : ",
            "first-secret",
        )],
        status: 0,
        end: "boot-secret",
    },
    Transcript {
        tool: KEYSTORE,
        arguments: &["list"],
        answers: &[(
            "Enter password for the elasticsearch keystore : ",
            "other-secret",
        )],
        status: 65,
        end: "ERROR: Provided keystore password was incorrect",
    },
    Transcript {
        tool: KEYSTORE,
        arguments: &["passwd"],
        answers: &[
            (
                "Enter password for the elasticsearch keystore : ",
                "first-secret",
            ),
            (
                "Enter new password for the elasticsearch keystore (empty for no password): ",
                "second-secret",
            ),
            ("Enter same password again: ", "third-secret"),
        ],
        status: 65,
        end: "ERROR: Passwords are not equal, exiting.",
    },
    Transcript {
        tool: KEYSTORE,
        arguments: &["create", "-p"],
        answers: &[
            (
                "Enter new password for the elasticsearch keystore (empty for no password): ",
                "newer-secret",
            ),
            ("Enter same password again: ", "newer-secret"),
            (
                "An elasticsearch keystore already exists. Overwrite? [y/N]",
                "n",
            ),
        ],
        status: 0,
        end: "Exiting without creating keystore.",
    },
    Transcript {
        tool: CERTUTIL,
        arguments: &["http"],
        answers: &[
            ("Generate a CSR? [y/N]", "n"),
            ("Use an existing CA? [y/N]", "n"),
            ("Do you wish to change any of these options? [y/N]", "n"),
            ("CA password:  [<ENTER> for none]", "ca-secret"),
            ("Repeat password to confirm: ", "ca-secret"),
            ("For how long should your certificate be valid? [5y] ", "2y"),
            ("Generate a certificate per node? [y/N]", "n"),
            ("", "localhost"),
            ("", ""),
            ("Is this correct [Y/n]", "y"),
            ("", "127.0.0.1"),
            ("", ""),
            ("Is this correct [Y/n]", "y"),
            ("Do you wish to change any of these options? [y/N]", "n"),
            (
                "Provide a password for the \"http.p12\" file:  [<ENTER> for none]",
                "node-secret",
            ),
            ("Repeat password to confirm: ", "node-secret"),
            (
                "What filename should be used for the output zip file? [",
                "http.zip",
            ),
        ],
        status: 0,
        end: "Zip file written to ",
    },
    Transcript {
        tool: CERTUTIL,
        arguments: &["http"],
        answers: &[
            ("Generate a CSR? [y/N]", "n"),
            ("Use an existing CA? [y/N]", "y"),
            ("CA Path: ", "elasticsearch.yml"),
        ],
        status: 65,
        end: "elasticsearch.yml",
    },
];

#[test]
fn offline_tools_ask_the_same_on_a_terminal_and_through_a_pipe() {
    for is_terminal in [true, false] {
        let home = Home::new();
        let work = tempfile::tempdir().unwrap();
        let bin = home.path().join("bin");
        for transcript in OFFLINE {
            match is_terminal {
                true => transcript.on_a_terminal(&bin, work.path()),
                false => transcript.through_a_pipe(&bin, work.path()),
            }
        }
        assert!(work.path().join("new/node.p12").exists());
        fs::remove_file(home.keystore_file()).unwrap();
    }
}

#[test]
fn online_tools_ask_the_same_on_a_terminal_and_through_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("one.ndjson");
    fs::write(&data, "{\"a\":1}\n").unwrap();
    let arguments = [
        "--nodes",
        "1",
        "--http-port",
        "0",
        "--data",
        data.to_str().unwrap(),
    ];
    let mut questions = vec![(
        "Please confirm that you would like to continue [y/N]".to_owned(),
        "y",
    )];
    for user in [
        "elastic",
        "apm_system",
        "kibana_system",
        "logstash_system",
        "beats_system",
        "remote_monitoring_user",
    ] {
        questions.push((format!("Enter password for [{user}]: "), "new-secret"));
        questions.push((format!("Reenter password for [{user}]: "), "new-secret"));
    }
    // A password that is too short is asked for again.
    questions.insert(1, ("Enter password for [elastic]: ".to_owned(), "a"));
    let answers: Vec<Answer<'_>> = questions
        .iter()
        .map(|(question, answer)| (question.as_str(), *answer))
        .collect();
    let setup = Transcript {
        tool: "elasticsearch-setup-passwords",
        arguments: &["interactive"],
        answers: &answers,
        status: 0,
        end: "Changed password for user [elastic]",
    };
    let reset = Transcript {
        tool: "elasticsearch-reset-password",
        arguments: &["-u", "beats_system", "-i"],
        answers: &[
            ("Please confirm that you would like to continue [y/N]", "y"),
            ("Enter password for [beats_system]: ", "next-secret"),
            ("Re-enter password for [beats_system]: ", "next-secret"),
        ],
        status: 0,
        end: "Password for the [beats_system] user successfully reset.",
    };
    let declined = Transcript {
        tool: "elasticsearch-reset-password",
        arguments: &["-u", "beats_system"],
        answers: &[("Please confirm that you would like to continue [y/N]", "n")],
        status: 0,
        end: "User cancelled operation",
    };
    // What setup-passwords sets can be set once.
    for (site, is_terminal) in [("terminal", true), ("pipe", false)] {
        let cluster = Quickstart::start(&dir.path().join(site), &arguments);
        let home = cluster.home(0);
        let bin = home.join("bin");
        for transcript in [&setup, &reset, &declined] {
            match is_terminal {
                true => transcript.on_a_terminal(&bin, &home),
                false => transcript.through_a_pipe(&bin, &home),
            }
        }
    }
}
