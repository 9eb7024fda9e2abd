//! A secret out of its place is never repeated. What cannot be read at all is walked through for every command and option
//! beside `usage`; here is what can be read, and turns out to be wrong later.

use crate::home::{Home, ringwall, run};

const SECRET: &str = "S3cret!";

/// Mistakes, by tool: a value where a name, a file or an address belongs.
const MISTAKES: &[(&str, &[&str])] = &[
    ("keystore", &["add", "bootstrap.password", SECRET]),
    ("keystore", &["add", "-x", "bootstrap.password", SECRET]),
    ("keystore", &["add", SECRET]),
    ("keystore", &["add-file", "bootstrap.password", SECRET]),
    ("keystore", &["add-file", SECRET, SECRET]),
    ("keystore", &["passwd", SECRET]),
    ("users", &["useradd", "ann", SECRET]),
    ("users", &["useradd", "ann", "-p", "S3"]),
    ("users", &["passwd", "ann", SECRET]),
    ("users", &["userdel", "ann", SECRET]),
    ("service-tokens", &["create", "elastic/kibana", SECRET]),
    ("service-tokens", &["create", "elastic/kibana", "t", SECRET]),
    ("service-tokens", &["create", SECRET, SECRET]),
    ("service-tokens", &["list", SECRET]),
    ("service-tokens", &["list", "elastic/kibana", SECRET]),
    ("setup-passwords", &["auto", "-b", SECRET]),
    ("setup-passwords", &["auto", "-b", "-u", SECRET]),
    (
        "setup-passwords",
        &["auto", "-b", "-u", "http://elastic:S3cret!@127.0.0.1:1"],
    ),
    (
        "reset-password",
        &["--username", "u", "--batch", "--password", SECRET],
    ),
    ("reset-password", &["-u", "u", "-b", SECRET]),
    ("reset-password", &["-u", "u", "-b", "--url", SECRET]),
    (
        "reset-password",
        &[
            "-u",
            "u",
            "-b",
            "--url",
            "http://elastic:S3cret!@127.0.0.1:1",
        ],
    ),
    ("create-enrollment-token", &["-s", SECRET]),
    ("create-enrollment-token", &["-s", "node", SECRET]),
    ("reconfigure-node", &["--enrollment-token", SECRET]),
    ("certutil", &["ca", "--days", SECRET]),
    ("certutil", &["inspect", "--pass", SECRET, "/dev/null"]),
    (
        "certutil",
        &[
            "cert",
            "--ca",
            "/dev/null",
            "--ca-pass",
            SECRET,
            "--pass",
            SECRET,
        ],
    ),
    ("doctor", &["--peer", SECRET]),
    ("doctor", &["--peer", "elastic:S3cret!@127.0.0.1"]),
    ("doctor", &["-E", SECRET]),
    (
        "doctor",
        &[
            "-E",
            "bootstrap.password=S3cret!",
            "-E",
            "bootstrap.password=S3cret!",
        ],
    ),
    ("doctor", &["-E", "bootstrap.password=S3cret!"]),
    (
        "doctor",
        &["-E", "xpack.security.http.ssl.keystore.password=S3cret!"],
    ),
    ("settings", &[SECRET]),
];

#[test]
fn no_tool_repeats_a_secret_out_of_its_place() {
    let home = Home::new();
    home.keystore(&["create"], "").quiet();
    for (tool, words) in MISTAKES {
        let mut command = ringwall();
        command.arg(tool).args(*words);
        command.env("ES_PATH_CONF", home.path().join("config"));
        command.env("ES_HOME", home.path()).current_dir(home.path());
        let outcome = run(&mut command, "value\nvalue\n");
        let all = format!("{}{}", outcome.stdout, outcome.stderr);
        // A setting that is added by its name is no mistake of the others.
        assert!(!all.contains("S3"), "{tool} {words:?}: {all}");
        assert_ne!((outcome.status, all.as_str()), (0, ""), "{tool} {words:?}");
    }
}

#[test]
fn the_program_itself_repeats_no_unknown_command() {
    let outcome = run(ringwall().arg(SECRET), "");
    assert_eq!(outcome.status, 64);
    assert!(!format!("{outcome:?}").contains("S3"), "{outcome:?}");
}
