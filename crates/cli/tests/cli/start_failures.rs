//! Starts that end before there is a node: what they leave behind, and what they say.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::home::{Home, Outcome, run};

/// Starts a node that cannot start: nothing is right with TLS, in two layers.
fn start(home: &Home, environment: &[(&str, &str)], stdin: &str) -> Outcome {
    let yml = "xpack.security.transport.ssl: { enabled: true, key: a.key }\n\
               xpack.security.http.ssl: { enabled: true, key: b.key, certificate: b.crt, \
               certificate_authorities: [ c.crt, d.crt ] }\n";
    fs::write(home.path().join("config/elasticsearch.yml"), yml).unwrap();
    let mut command = home.tool("elasticsearch");
    run(command.envs(environment.iter().copied()), stdin)
}

#[test]
fn what_is_wrong_with_tls_is_told_of_both_layers_before_anything_is_locked() {
    let home = Home::new();
    let failed = start(&home, &[], "");
    assert_eq!(failed.status, 1, "{failed:?}");
    let config = home.path().join("config");
    let config = config.display();
    for expected in [
        "[3] problems in the SSL configuration:",
        "- failed to load SSL configuration [xpack.security.transport.ssl] - cannot specify \
         [xpack.security.transport.ssl.key] without also setting [xpack.security.transport.ssl.certificate]",
        &format!(
            "- failed to load SSL configuration [xpack.security.http.ssl] - cannot read configured PEM certificate \
             [{config}/b.crt] because the file does not exist"
        ),
        &format!(
            "cannot read configured PEM certificate_authorities [{config}/c.crt, {config}/d.crt] because one or more \
             files do not exist"
        ),
    ] {
        assert!(
            failed.stderr.contains(expected),
            "{expected}\n{}",
            failed.stderr
        );
    }
    assert!(!home.path().join("data/node.lock").exists());
}

#[test]
fn the_first_start_makes_the_keystore() {
    let home = Home::new();
    assert!(!home.keystore_file().exists());
    start(&home, &[], "");
    let mode = fs::metadata(home.keystore_file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    let seed = home.keystore(&["show", "keystore.seed"], "").quiet();
    assert_eq!(home.keystore(&["list"], "").quiet(), "keystore.seed\n");
    // The next one keeps it.
    start(&home, &[], "");
    assert_eq!(home.keystore(&["show", "keystore.seed"], "").quiet(), seed);
}

#[test]
fn the_password_of_the_keystore_comes_from_the_environment() {
    let home = Home::new();
    let made = home.keystore(&["create", "-p"], "secret\nsecret\n");
    assert_eq!(made.status, 0, "{made:?}");
    let right = home.path().join("right");
    fs::write(&right, "secret\n").unwrap();
    let right = right.to_str().unwrap();
    // Opened, the settings are next.
    let is_open = |outcome: &Outcome| outcome.stderr.contains("problems in the SSL configuration");
    for variable in [
        ("KEYSTORE_PASSWORD", "secret"),
        ("KEYSTORE_PASSWORD_FILE", right),
        ("ES_KEYSTORE_PASSPHRASE_FILE", right),
    ] {
        let started = start(&home, &[variable], "");
        assert!(is_open(&started), "{variable:?} {started:?}");
        assert!(!started.stdout.contains("Enter password"), "{started:?}");
    }
    assert!(is_open(&start(&home, &[], "secret\n")));

    let wrong = start(&home, &[("KEYSTORE_PASSWORD", "wrong-one")], "secret\n");
    assert_eq!(wrong.status, 65, "{wrong:?}");
    assert!(
        wrong
            .stderr
            .contains("Provided keystore password was incorrect"),
        "{wrong:?}"
    );
    assert!(!wrong.stderr.contains("wrong-one"), "{wrong:?}");
    let both = [
        ("KEYSTORE_PASSWORD", "secret"),
        ("KEYSTORE_PASSWORD_FILE", right),
    ];
    let both = start(&home, &both, "");
    assert_eq!(both.status, 64, "{both:?}");
    assert!(both.stderr.contains("set only one"), "{both:?}");
}
