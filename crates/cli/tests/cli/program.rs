//! Which tool runs, options in Elasticsearch's manner, and exit statuses.

use crate::home::{Home, ringwall, run};

#[test]
fn without_a_command_the_commands_are_listed() {
    let outcome = run(&mut ringwall(), "");
    assert_eq!(outcome.status, 64);
    assert!(
        outcome.stderr.contains("Commands\n--------\n"),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("ERROR: Missing required command"));
    let help = run(ringwall().arg("--help"), "").quiet();
    assert!(help.contains("keystore - ") && help.contains("init - "));
    assert!(
        run(ringwall().arg("--version"), "")
            .quiet()
            .starts_with("ringwall ")
    );
}

#[test]
fn an_unknown_command_is_refused_with_the_nearest() {
    let outcome = run(ringwall().arg("keystor"), "");
    assert_eq!(outcome.status, 64);
    assert!(outcome.stderr.contains("ERROR: Unknown command"));
    assert!(outcome.stderr.contains("hint: did you mean [keystore]?"));
}

#[test]
fn usage_errors_end_with_64() {
    let home = Home::new();
    for (arguments, message) in [
        (["nonsense"].as_slice(), "ERROR: unrecognized subcommand"),
        (&[], "ERROR: Missing required command"),
        (
            &["list", "--nonsense"],
            "ERROR: unexpected argument '--nonsense'",
        ),
        (
            &["list", "-s", "-v"],
            "ERROR: the argument '--silent' cannot be used with '--verbose'",
        ),
        (&["list", "-Ea="], "ERROR: setting [a] must not be empty"),
        (
            &["-Ea=1", "list", "-E", "a=2"],
            "ERROR: setting [a] already set",
        ),
    ] {
        let outcome = home.keystore(arguments, "");
        assert_eq!(outcome.status, 64, "{outcome:?}");
        assert!(outcome.stderr.contains(message), "{outcome:?}");
    }
}

#[test]
fn help_goes_to_standard_output() {
    let home = Home::new();
    for arguments in [
        ["-h"].as_slice(),
        &["--help"],
        &["add", "-help"],
        &["create", "-h"],
    ] {
        let help = home.keystore(arguments, "").quiet();
        assert!(help.contains("Usage: elasticsearch-keystore"), "{help}");
    }
}

#[test]
fn without_a_home_the_error_says_what_to_do() {
    let outcome = run(ringwall().args(["keystore", "list"]), "");
    assert_eq!(outcome.status, 78);
    assert!(outcome.stderr.contains("ringwall init DIR"), "{outcome:?}");
}

#[test]
fn the_configuration_directory_can_be_elsewhere() {
    let config = tempfile::tempdir().unwrap();
    let mut command = ringwall();
    command
        .args(["keystore", "create"])
        .env("ES_PATH_CONF", config.path());
    run(&mut command, "").quiet();
    assert!(config.path().join("elasticsearch.keystore").is_file());

    let home = Home::new();
    let mut command = ringwall();
    command
        .args(["keystore", "create"])
        .env("ES_HOME", home.path());
    run(&mut command, "").quiet();
    assert!(home.keystore_file().is_file());
}
