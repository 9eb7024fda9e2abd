//! Every row of the table of errors: what is wrong, what is said, and the status. Source: what Elasticsearch 8.19's
//! tools answer, and sysexits(3).

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::home::{Home, run};

/// A tool that fails. `$URL` in the arguments is where something answers that is set up as told.
struct Failure<'a> {
    tool: &'a str,
    arguments: &'a [&'a str],
    stdin: &'a str,
    /// What the home is given first.
    setup: fn(&Home),
    status: i32,
    message: &'a str,
}

const CERTUTIL: &str = "elasticsearch-certutil";
const KEYSTORE: &str = "elasticsearch-keystore";
const SETUP: &str = "elasticsearch-setup-passwords";
const RESET: &str = "elasticsearch-reset-password";
const USERS: &str = "elasticsearch-users";
const TOKENS: &str = "elasticsearch-service-tokens";
const ENROLL: &str = "elasticsearch-create-enrollment-token";

fn nothing(_: &Home) {}

fn config(home: &Home, name: &str, text: &str) {
    fs::write(home.path().join("config").join(name), text).unwrap();
}

fn keystore(home: &Home) {
    home.keystore(&["create"], "").quiet();
}

fn protected(home: &Home) {
    let made = home.keystore(&["create", "-p"], "secret\nsecret\n");
    assert_eq!(made.status, 0, "{made:?}");
}

fn authority(home: &Home) {
    let mut command = home.tool(CERTUTIL);
    let out = home.path().join("ca.p12");
    command.args(["ca", "--pass", "secret", "--out"]).arg(out);
    assert_eq!(run(&mut command, "").status, 0);
}

fn https(home: &Home) {
    keystore(home);
    let mut command = home.tool(CERTUTIL);
    let out = home.path().join("config/http.p12");
    command
        .args(["cert", "--self-signed", "--pass", "", "--out"])
        .arg(out);
    assert_eq!(run(&mut command, "").status, 0);
}

fn user(home: &Home) {
    let mut command = home.tool(USERS);
    run(command.args(["useradd", "ann", "-p", "secret-1"]), "").quiet();
}

fn token(home: &Home) {
    let mut command = home.tool(TOKENS);
    command.args(["create", "elastic/kibana", "t1"]);
    assert_eq!(run(&mut command, "").status, 0);
}

#[rustfmt::skip]
const FAILURES: &[Failure<'_>] = &[
    // Any tool: usage.
    Failure { tool: CERTUTIL, arguments: &["ca", "--nope"], stdin: "", setup: nothing, status: 64, message: "--nope" },
    Failure { tool: CERTUTIL, arguments: &[], stdin: "", setup: nothing, status: 64, message: "Missing required command" },
    Failure { tool: KEYSTORE, arguments: &["nope"], stdin: "", setup: nothing, status: 64, message: "unrecognized subcommand" },
    Failure { tool: USERS, arguments: &[], stdin: "", setup: nothing, status: 64, message: "Missing required command" },
    // Any tool: what Java ends with an exception.
    Failure { tool: CERTUTIL, arguments: &["ca", "--days", "0", "--pass", "", "--out", "x.p12"], stdin: "", setup: nothing, status: 1, message: "at least one day" },
    Failure { tool: CERTUTIL, arguments: &["cert", "--ca", "ca.p12", "--ca-pass", "other", "--pass", "", "--out", "x.p12"], stdin: "", setup: authority, status: 1, message: "ca.p12" },
    Failure { tool: CERTUTIL, arguments: &["cert", "--ca-cert", "config/bad.pem", "--ca-key", "config/bad.pem", "--pass", "", "--out", "x.p12"], stdin: "", setup: |home| config(home, "bad.pem", "no PEM"), status: 1, message: "bad.pem" },
    Failure { tool: CERTUTIL, arguments: &["cert", "--self-signed", "--in", "config/bad.yml", "--pass", "", "--out", "x.zip"], stdin: "", setup: |home| config(home, "bad.yml", "instances: ["), status: 1, message: "bad.yml" },
    Failure { tool: KEYSTORE, arguments: &["add", "bootstrap.password"], stdin: "", setup: keystore, status: 1, message: "input" },
    // certutil.
    Failure { tool: CERTUTIL, arguments: &["ca", "--pass", "", "--out", "ca.p12"], stdin: "", setup: authority, status: 74, message: "already exists" },
    Failure { tool: CERTUTIL, arguments: &["ca", "--pass", "", "--out", "new/ca.p12"], stdin: "n\n", setup: nothing, status: 73, message: "new" },
    Failure { tool: CERTUTIL, arguments: &["ca", "--pass", "", "--out", "config/file/ca.p12"], stdin: "", setup: |home| config(home, "file", ""), status: 73, message: "file" },
    Failure { tool: CERTUTIL, arguments: &["cert", "--self-signed", "--in", "config/bad.yml", "--pass", "", "--out", "x.zip"], stdin: "", setup: |home| config(home, "bad.yml", "instances:\n  - name: a\n    ip: [ 'nope' ]\n"), status: 78, message: "nope" },
    Failure { tool: CERTUTIL, arguments: &["csr", "--in", "config/bad.yml", "--out", "x.zip"], stdin: "", setup: |home| config(home, "bad.yml", "instances:\n  - name: a\n    filename: ../a\n"), status: 78, message: "../a" },
    Failure { tool: CERTUTIL, arguments: &["ca", "--pass", "passw\u{f6}rd", "--out", "x.p12"], stdin: "", setup: nothing, status: 78, message: "ASCII" },
    Failure { tool: CERTUTIL, arguments: &["cert", "--pass", "", "--out", "x.p12"], stdin: "", setup: nothing, status: 64, message: "--self-signed" },
    Failure { tool: CERTUTIL, arguments: &["cert", "--self-signed", "--keep-ca-key", "--pass", "", "--out", "x.p12"], stdin: "", setup: nothing, status: 64, message: "--keep-ca-key" },
    Failure { tool: CERTUTIL, arguments: &["http"], stdin: "n\ny\nbad.p12\nsecret\n", setup: |home| config(home, "bad.p12", "no PKCS#12"), status: 65, message: "bad.p12" },
    // keystore.
    Failure { tool: KEYSTORE, arguments: &["list"], stdin: "", setup: nothing, status: 65, message: "Elasticsearch keystore not found at [" },
    Failure { tool: KEYSTORE, arguments: &["list"], stdin: "other\n", setup: protected, status: 65, message: "Provided keystore password was incorrect" },
    Failure { tool: KEYSTORE, arguments: &["list"], stdin: "", setup: |home| config(home, "elasticsearch.keystore", "x"), status: 65, message: "keystore" },
    Failure { tool: KEYSTORE, arguments: &["add", "-x", "bad name"], stdin: "v\n", setup: keystore, status: 65, message: "does not match the allowed setting name pattern" },
    Failure { tool: KEYSTORE, arguments: &["create", "-p"], stdin: "one\ntwo\n", setup: nothing, status: 65, message: "Passwords are not equal, exiting." },
    Failure { tool: KEYSTORE, arguments: &["show", "nope"], stdin: "", setup: keystore, status: 78, message: "Setting [nope] does not exist in the keystore." },
    Failure { tool: KEYSTORE, arguments: &["remove", "nope"], stdin: "", setup: keystore, status: 78, message: "Setting [nope] does not exist in the keystore." },
    Failure { tool: KEYSTORE, arguments: &["add-file", "a.b", "nope"], stdin: "", setup: keystore, status: 74, message: "The file for the setting [a.b] does not exist" },
    Failure { tool: KEYSTORE, arguments: &["has-passwd"], stdin: "", setup: nothing, status: 1, message: "ERROR: Elasticsearch keystore not found" },
    Failure { tool: KEYSTORE, arguments: &["has-passwd"], stdin: "", setup: keystore, status: 1, message: "ERROR: Keystore is not password-protected" },
    // setup-passwords.
    Failure { tool: SETUP, arguments: &["auto", "-b", "-u", "$URL"], stdin: "", setup: nothing, status: 78, message: "Elasticsearch keystore file is missing [" },
    Failure { tool: SETUP, arguments: &["auto", "-b", "-u", "http://127.0.0.1:1"], stdin: "", setup: keystore, status: 78, message: "Failed to connect to elasticsearch at http://127.0.0.1:1. Is the URL correct and elasticsearch running?" },
    Failure { tool: SETUP, arguments: &["auto", "-b", "-u", "$HTTPS", "-E", "xpack.security.http.ssl.enabled=true", "-E", "xpack.security.http.ssl.keystore.path=http.p12"], stdin: "", setup: https, status: 78, message: "Failed to establish SSL connection to elasticsearch at https://" },
    Failure { tool: SETUP, arguments: &["auto", "-b", "-u", "$URL/stranger"], stdin: "", setup: keystore, status: 78, message: "Failed to verify bootstrap password" },
    Failure { tool: SETUP, arguments: &["auto", "-b", "-u", "$URL", "-E", "xpack.security.enabled=false"], stdin: "", setup: keystore, status: 78, message: "X-Pack Security is disabled by configuration." },
    Failure { tool: SETUP, arguments: &["auto", "-b", "-u", "$URL/refuses"], stdin: "", setup: keystore, status: 75, message: "Failed to set password for user [apm_system]" },
    Failure { tool: SETUP, arguments: &["auto", "-u", "$URL"], stdin: "n\n", setup: keystore, status: 0, message: "ERROR: User cancelled operation" },
    // reset-password.
    Failure { tool: RESET, arguments: &["-u", "ann", "--url", "$URL"], stdin: "n\n", setup: keystore, status: 0, message: "ERROR: User cancelled operation" },
    Failure { tool: RESET, arguments: &["-b", "-u", "ann", "--url", "$URL/refuses"], stdin: "", setup: keystore, status: 75, message: "Failed to reset password for the [ann] user" },
    Failure { tool: RESET, arguments: &["-b", "-u", "ann", "--url", "$URL/red"], stdin: "", setup: keystore, status: 69, message: "Cluster health is currently RED." },
    Failure { tool: RESET, arguments: &["-b", "-u", "ann", "--url", "http://127.0.0.1:1"], stdin: "", setup: keystore, status: 69, message: "Failed to reach the node at http://127.0.0.1:1" },
    Failure { tool: RESET, arguments: &["-b", "-u", "ann", "--url", "$HTTPS", "-E", "xpack.security.http.ssl.enabled=true", "-E", "xpack.security.http.ssl.keystore.path=http.p12"], stdin: "", setup: https, status: 69, message: "Failed to establish TLS with the node at https://" },
    Failure { tool: RESET, arguments: &["-b", "-u", "ann", "--url", "$URL/teapot"], stdin: "", setup: keystore, status: 65, message: "418" },
    Failure { tool: RESET, arguments: &["-b", "-u", "ann", "--url", "$URL", "-E", "xpack.security.authc.realms.file.f.enabled=false", "-E", "xpack.security.authc.realms.file.f.order=0"], stdin: "", setup: nothing, status: 78, message: "File realm must be enabled" },
    // create-enrollment-token.
    Failure { tool: ENROLL, arguments: &["-s", "node", "--url", "$URL"], stdin: "", setup: nothing, status: 78, message: "[xpack.security.enrollment.enabled] must be set to `true` to create an enrollment token" },
    Failure { tool: ENROLL, arguments: &["-s", "node", "--url", "$URL", "-E", "xpack.security.enrollment.enabled=true"], stdin: "", setup: nothing, status: 73, message: "HTTP layer SSL configuration is not configured with a keystore" },
    Failure { tool: ENROLL, arguments: &["-s", "node", "--url", "$URL", "-E", "xpack.security.enrollment.enabled=true", "-E", "xpack.security.http.ssl.enabled=false", "-E", "xpack.security.http.ssl.keystore.path=http.p12"], stdin: "", setup: https, status: 73, message: "TLS of the HTTP layer is off: set [xpack.security.http.ssl.enabled] to [true]" },
    Failure { tool: ENROLL, arguments: &["-s", "x", "--url", "$URL"], stdin: "", setup: nothing, status: 64, message: "Invalid scope" },
    // users.
    Failure { tool: USERS, arguments: &["passwd", "ann", "-p", "secret-2"], stdin: "", setup: |home| { user(home); let mut remove = home.tool(USERS); run(remove.args(["userdel", "ann"]), "").quiet(); }, status: 67, message: "User [ann] doesn't exist" },
    Failure { tool: USERS, arguments: &["useradd", "ann", "-p", "secret-1"], stdin: "", setup: user, status: 70, message: "User [ann] already exists" },
    Failure { tool: USERS, arguments: &["useradd", "elastic", "-p", "secret-1"], stdin: "", setup: nothing, status: 65, message: "Invalid username [elastic]" },
    Failure { tool: USERS, arguments: &["useradd", "ann", "-p", "short"], stdin: "", setup: nothing, status: 65, message: "Invalid password" },
    Failure { tool: USERS, arguments: &["useradd", "ann", "-p", "secret-1", "-r", " x"], stdin: "", setup: nothing, status: 65, message: "Invalid role [ x]" },
    Failure { tool: USERS, arguments: &["useradd", "ann"], stdin: "secret-1\nsecret-2\n", setup: nothing, status: 65, message: "Password mismatch" },
    Failure { tool: USERS, arguments: &["userdel", "ann"], stdin: "", setup: |home| fs::remove_file(home.path().join("config/users")).unwrap(), status: 78, message: "users] is missing" },
    // service-tokens.
    Failure { tool: TOKENS, arguments: &["create", "elastic/nobody", "t1"], stdin: "", setup: nothing, status: 67, message: "Unknown service account principal." },
    Failure { tool: TOKENS, arguments: &["create", "elastic/kibana", "t1"], stdin: "", setup: token, status: 70, message: "Service token [elastic/kibana/t1] already exists" },
    Failure { tool: TOKENS, arguments: &["delete", "elastic/kibana", "t2"], stdin: "", setup: token, status: 70, message: "Service token [elastic/kibana/t2] does not exist" },
    Failure { tool: TOKENS, arguments: &["create", "elastic/kibana", "_t"], stdin: "", setup: nothing, status: 70, message: "invalid service token name." },
];

#[test]
fn every_failure_has_its_status_and_its_words() {
    let port = serve();
    let mut wrong = Vec::new();
    for failure in FAILURES {
        let home = Home::new();
        (failure.setup)(&home);
        let arguments: Vec<String> = failure
            .arguments
            .iter()
            .map(|argument| {
                argument
                    .replace("$URL", &format!("http://127.0.0.1:{port}"))
                    .replace("$HTTPS", &format!("https://127.0.0.1:{port}"))
            })
            .collect();
        let mut command = home.tool(failure.tool);
        command.current_dir(home.path()).args(&arguments);
        let outcome = run(&mut command, failure.stdin);
        let said = outcome.status == failure.status && outcome.stderr.contains(failure.message);
        // Somebody answers there.
        let misled = failure.arguments.contains(&"$HTTPS")
            && ["Does it run?", "elasticsearch running?"]
                .iter()
                .any(|words| outcome.stderr.contains(words));
        if !said || misled {
            let expected = (failure.status, failure.message);
            wrong.push(format!(
                "{} {arguments:?}\n  expected {expected:?}\n  got {outcome:?}",
                failure.tool
            ));
        }
        // Nothing is half-written, whatever went wrong.
        let leftover = leftovers(&home.path());
        assert!(
            leftover.is_empty(),
            "{} {arguments:?}: {leftover:?}",
            failure.tool
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn root_leaves_a_keystore_to_its_owner() {
    use std::os::unix::fs::{MetadataExt, chown};
    let home = Home::new();
    keystore(&home);
    let file = home.keystore_file();
    if !rustix::process::getuid().is_root() {
        eprintln!("SKIPPED: only root can give a file away");
        return;
    }
    chown(&file, Some(12345), None).unwrap();
    home.keystore(&["add", "-x", "bootstrap.password"], "v\n")
        .quiet();
    assert_eq!(fs::metadata(&file).unwrap().uid(), 12345);
}

#[test]
fn who_owns_no_keystore_changes_none() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !rustix::process::getuid().is_root() {
        eprintln!("SKIPPED: only root can run a tool as somebody else");
        return;
    }
    let home = Home::new();
    keystore(&home);
    let open =
        |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let config = home.path().join("config");
    for path in [home.path().parent().unwrap(), &home.path(), &config] {
        open(path, 0o755);
    }
    open(&home.keystore_file(), 0o664);
    // Where the program is built nobody else may look.
    let program = home.path().join("ringwall");
    fs::copy(env!("CARGO_BIN_EXE_ringwall"), &program).unwrap();
    let before = fs::read(home.keystore_file()).unwrap();
    for mode in [0o755, 0o757] {
        open(&config, mode);
        let mut command = std::process::Command::new(&program);
        command
            .args(["keystore", "add", "-x", "bootstrap.password"])
            .env("ES_HOME", home.path())
            .env_remove("ES_PATH_CONF")
            .current_dir("/")
            .uid(65_534)
            .gid(65_534);
        let outcome = run(&mut command, "v\n");
        assert_eq!(outcome.status, 78, "{outcome:?}");
        let said = "will not overwrite keystore at [";
        assert!(outcome.stderr.contains(said), "{outcome:?}");
        assert!(
            outcome.stderr.contains("changing the file owner"),
            "{outcome:?}"
        );
    }
    assert_eq!(fs::read(home.keystore_file()).unwrap(), before);
    assert!(leftovers(&home.path()).is_empty());
}

#[test]
fn a_link_to_a_configuration_is_followed() {
    let home = Home::new();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::rename(home.path().join("config"), elsewhere.path().join("config")).unwrap();
    symlink(elsewhere.path().join("config"), home.path().join("config")).unwrap();
    user(&home);
    assert!(elsewhere.path().join("config/users").exists());
}

/// Temporary files anywhere in a home.
fn leftovers(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(leftovers(&path));
        } else if path.to_string_lossy().ends_with(".tmp") {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Answers as a node in some state; the beginning of the path says in which. Returns the port.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            // What is not HTTP, a TLS handshake for one, is hung up on.
            std::thread::spawn(move || answer(stream).is_some());
        }
    });
    port
}

fn answer(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    reader.take(length).read_to_end(&mut Vec::new()).ok()?;
    let is_change = method != "GET";
    let (status, body) = match path.as_str() {
        path if path.starts_with("/stranger/") => ("401 Unauthorized", "{}"),
        path if path.starts_with("/teapot/") => ("418 Teapot", "{}"),
        path if path.starts_with("/refuses/") && is_change => ("500 Error", "{}"),
        path if path.starts_with("/red/") => ("200 OK", r#"{"status":"red"}"#),
        _ => ("200 OK", r#"{"status":"green"}"#),
    };
    let mut stream = stream;
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .ok()
}
