//! `docs/cli.md` is what every tool says of itself, and must follow it.

use std::fmt::Write;
use std::process::Command;

const TOOLS: &[(&str, &[&str])] = &[
    ("quickstart", &[]),
    ("init", &[]),
    ("start", &[]),
    ("console", &[]),
    ("console-keystore", &["create", "list", "add", "remove"]),
    ("doctor", &[]),
    (
        "certutil",
        &[
            "csr", "cert", "ca", "http", "renew", "rotate", "inspect", "check",
        ],
    ),
    (
        "keystore",
        &[
            "create",
            "list",
            "show",
            "add",
            "set",
            "import",
            "add-file",
            "remove",
            "upgrade",
            "passwd",
            "has-passwd",
        ],
    ),
    ("setup-passwords", &["auto", "interactive"]),
    ("reset-password", &[]),
    ("create-enrollment-token", &[]),
    ("nodes", &["list", "approve", "forget"]),
    ("reconfigure-node", &[]),
    ("users", &["useradd", "userdel", "passwd", "roles", "list"]),
    ("service-tokens", &["create", "delete", "list"]),
    ("settings", &[]),
    ("completions", &[]),
    ("man", &[]),
];

fn help(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ringwall"))
        .args(words)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn reference() -> String {
    let mut page =
        "# Commands\n\nGenerated from `--help`; do not edit. Each tool also answers to its \
                    `elasticsearch-` name in the `bin` of a home.\n"
            .to_owned();
    for (tool, commands) in TOOLS {
        let mut section = |level: &str, words: &[&str]| {
            let name = words.join(" ");
            let text = help(words);
            assert!(
                text.contains("Examples:\n"),
                "the help of {name} has no examples"
            );
            write!(
                page,
                "\n{level} ringwall {name}\n\n```text\n{}\n```\n",
                text.trim()
            )
            .unwrap();
        };
        section("##", &[tool]);
        for command in *commands {
            section("###", &[tool, command]);
        }
    }
    page
}

#[test]
fn the_command_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
    let generated = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == generated,
        "docs/cli.md differs from the tools; run `UPDATE_DOCS=1 cargo test -p ringwall-cli reference`"
    );
}

#[test]
fn the_reference_has_every_tool() {
    let overview = Command::new(env!("CARGO_BIN_EXE_ringwall"))
        .arg("--help")
        .output()
        .unwrap();
    let overview = String::from_utf8(overview.stdout).unwrap();
    let listed: Vec<&str> = overview
        .lines()
        .skip_while(|line| *line != "Commands")
        .skip(2)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let documented: Vec<&str> = TOOLS.iter().map(|(tool, _)| *tool).collect();
    assert_eq!(listed, documented, "{overview}");
    for (tool, commands) in TOOLS {
        let text = help(&[tool]);
        let listed: Vec<&str> = text
            .lines()
            .skip_while(|line| *line != "Commands:")
            .skip(1)
            .take_while(|line| !line.is_empty())
            // The rest of a long description is further in.
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
            .filter_map(|line| line.split_whitespace().next())
            .filter(|word| *word != "help")
            .collect();
        assert_eq!(listed, *commands, "{text}");
    }
}

#[test]
fn completions_and_manual_pages_come_from_the_definitions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Command::new(env!("CARGO_BIN_EXE_ringwall"))
            .args(["completions", shell])
            .output()
            .unwrap();
        assert!(script.status.success(), "{script:?}");
        let script = String::from_utf8(script.stdout).unwrap();
        for word in [
            "elasticsearch-keystore",
            "add-file",
            "reset-password",
            "key-type",
        ] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        // The judge of the syntax, where it is installed.
        let mut check = match Command::new(shell)
            .arg("-n")
            .stdin(std::process::Stdio::piped())
            .spawn()
        {
            Ok(check) => check,
            Err(_) => {
                eprintln!("SKIPPED: no {shell} to judge the completions");
                continue;
            }
        };
        let mut input = check.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, script.as_bytes()).unwrap();
        drop(input);
        assert!(check.wait().unwrap().success(), "{shell}");
    }
    let pages = tempfile::tempdir().unwrap();
    let written = Command::new(env!("CARGO_BIN_EXE_ringwall"))
        .arg("man")
        .arg(pages.path())
        .output()
        .unwrap();
    assert!(written.status.success(), "{written:?}");
    for name in [
        "ringwall.1",
        "elasticsearch-certutil.1",
        "elasticsearch-certutil-csr.1",
    ] {
        let page = std::fs::read_to_string(pages.path().join(name)).unwrap();
        assert!(page.contains(".TH"), "{name}: {page}");
    }
}

#[test]
fn settings_are_told_by_name_and_as_json() {
    let ask = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ringwall"))
            .arg("settings")
            .args(words)
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (status, text) = ask(&["http.port"]);
    assert!(
        status == 0 && text.contains("http.port (") && !text.contains("cluster.name"),
        "{text}"
    );
    let (status, json) = ask(&["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let crl = "xpack.security.http.ssl.certificate_revocation_lists";
    let found = json
        .as_array()
        .unwrap()
        .iter()
        .find(|setting| setting["name"] == crl)
        .unwrap();
    assert!(status == 0 && found["only_here"] == true, "{found}");
    assert_eq!(ask(&["http.prot"]).0, 65);
}
