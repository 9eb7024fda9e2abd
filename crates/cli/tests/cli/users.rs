//! `elasticsearch-users` and `elasticsearch-service-tokens`.

use std::os::unix::fs::PermissionsExt;

use crate::home::{Home, Outcome, run};

fn users(home: &Home, arguments: &[&str], stdin: &str) -> Outcome {
    run(home.tool("elasticsearch-users").args(arguments), stdin)
}

fn tokens(home: &Home, arguments: &[&str]) -> Outcome {
    run(
        home.tool("elasticsearch-service-tokens").args(arguments),
        "",
    )
}

fn config(home: &Home, name: &str) -> String {
    std::fs::read_to_string(home.path().join("config").join(name)).unwrap()
}

#[test]
fn a_user_is_made_changed_listed_and_removed() {
    let home = Home::new();
    let asked = users(
        &home,
        &["useradd", "ann", "-r", "viewer,mine,viewer"],
        "secret-1\nsecret-1\n",
    );
    assert_eq!(asked.status, 0, "{asked:?}");
    assert_eq!(asked.stdout, "");
    assert!(
        asked
            .stderr
            .starts_with("Warning: The following roles [mine] are not in the [")
    );
    assert!(
        asked
            .stderr
            .ends_with("Enter new password: Retype new password: "),
        "{asked:?}"
    );
    let hash = config(&home, "users");
    assert!(
        hash.starts_with("ann:$2a$10$") && !hash.contains("secret"),
        "{hash}"
    );
    assert_eq!(config(&home, "users_roles"), "viewer:ann\nmine:ann\n");
    let mode = std::fs::metadata(home.path().join("config/users"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    users(&home, &["useradd", "bob", "--password-stdin"], "secret-2\n").quiet();
    let listed = users(&home, &["list"], "").quiet();
    assert!(
        listed.starts_with("ann            : viewer,mine*\nbob            : -\n"),
        "{listed}"
    );
    assert!(listed.contains("\n [*]   Role is not in the ["), "{listed}");
    let json = users(&home, &["list", "ann", "--json"], "").quiet();
    assert_eq!(json, "{\"ann\":[\"viewer\",\"mine\"]}\n");

    users(&home, &["passwd", "ann", "-p", "secret-3"], "").quiet();
    assert_ne!(config(&home, "users").lines().next(), hash.lines().next());
    users(
        &home,
        &["roles", "ann", "-a", "editor", "-r", "mine,viewer"],
        "",
    )
    .quiet();
    assert_eq!(
        users(&home, &["roles", "ann"], "").quiet(),
        "ann            : editor\n"
    );
    users(&home, &["userdel", "ann"], "").quiet();
    assert_eq!(config(&home, "users_roles"), "");
    assert!(config(&home, "users").starts_with("bob:"));
}

#[test]
fn what_is_there_keeps_its_mode_and_its_comments() {
    let home = Home::new();
    let path = home.path().join("config/users");
    std::fs::write(&path, "# people\nbroken line\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let added = users(&home, &["useradd", "ann", "-p", "secret-1"], "");
    assert_eq!(added.status, 0, "{added:?}");
    assert!(added.stderr.contains("WARNING: line [2] of ["), "{added:?}");
    assert!(config(&home, "users").starts_with("# people\nbroken line\nann:$2a$"));
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o640
    );
}

#[test]
fn every_failure_of_users_has_its_status_and_message() {
    let home = Home::new();
    // As an archive of Elasticsearch has it.
    assert_eq!(users(&home, &["list", "--json"], "").quiet().trim(), "{}");
    std::fs::remove_file(home.path().join("config/users")).unwrap();
    let missing = users(&home, &["list"], "");
    assert_eq!(missing.status, 78, "{missing:?}");
    assert!(
        missing.stderr.contains("ERROR: Configuration file [")
            && missing.stderr.contains("users] is missing")
    );
    users(&home, &["useradd", "ann", "-p", "secret-1"], "").quiet();
    for (arguments, stdin, status, message) in [
        (&["useradd"][..], "", 64, "Missing username argument"),
        (
            &["userdel", "a", "b"],
            "",
            64,
            "Expected a single username argument, found [1] extra",
        ),
        (
            &["list", "a", "b"],
            "",
            64,
            "Expected a single username argument, found [1] extra",
        ),
        (
            &["useradd", " x", "-p", "secret-1"],
            "",
            65,
            "Invalid username [ x]...",
        ),
        (
            &["useradd", "elastic", "-p", "secret-1"],
            "",
            65,
            "Username [elastic] is reserved and may not be used.",
        ),
        (
            &["useradd", "x", "-p", "short"],
            "",
            65,
            "Invalid password...passwords must be at least [6] characters long",
        ),
        (
            &["useradd", "x", "-r", "a:b", "-p", "secret-1"],
            "",
            65,
            "Invalid role [a:b]...",
        ),
        (
            &["useradd", "x"],
            "secret-1\nsecret-2\n",
            65,
            "Password mismatch",
        ),
        (
            &["useradd", "x"],
            "secret-1\n",
            1,
            "unable to read from standard input",
        ),
        (
            &["useradd", "ann", "-p", "secret-1"],
            "",
            70,
            "User [ann] already exists",
        ),
        (&["userdel", "x"], "", 67, "User [x] doesn't exist"),
        (
            &["passwd", "x", "-p", "secret-1"],
            "",
            67,
            "User [x] doesn't exist",
        ),
        (
            &["roles", "x", "-a", "viewer"],
            "",
            67,
            "User [x] doesn't exist",
        ),
        (&["list", "x"], "", 67, "User [x] doesn't exist"),
        (
            &["useradd", "x", "--password-file", "/nowhere"],
            "",
            74,
            "[/nowhere]",
        ),
    ] {
        let outcome = users(&home, arguments, stdin);
        assert_eq!(outcome.status, status, "{arguments:?}: {outcome:?}");
        assert!(
            outcome.stderr.contains(message),
            "{arguments:?}: {outcome:?}"
        );
        assert!(!outcome.stderr.contains("secret-"), "{outcome:?}");
    }
    users(&home, &["userdel", "ann"], "").quiet();
    assert_eq!(users(&home, &["list"], "").quiet(), "No users found\n");
}

#[test]
fn service_tokens_are_made_listed_and_removed() {
    let home = Home::new();
    let made = tokens(&home, &["create", "elastic/kibana", "t1", "-s"]).quiet();
    let bearer = made
        .strip_prefix("SERVICE_TOKEN elastic/kibana/t1 = AAEAAW")
        .unwrap();
    assert!(!config(&home, "service_tokens").contains(bearer.trim()));
    assert!(
        config(&home, "service_tokens").starts_with("elastic/kibana/t1:{PBKDF2_STRETCH}10000$")
    );
    tokens(&home, &["create", "elastic/fleet-server", "a", "--json"]).quiet();
    assert_eq!(
        tokens(&home, &["list"]).quiet(),
        "elastic/fleet-server/a\nelastic/kibana/t1\n"
    );
    assert_eq!(
        tokens(&home, &["list", "elastic/kibana", "--json"]).quiet(),
        "[\"elastic/kibana/t1\"]\n"
    );
    for (arguments, status, message) in [
        (
            &["create"][..],
            64,
            "Missing service-account-principal and token-name arguments",
        ),
        (
            &["delete", "elastic/kibana"],
            64,
            "Missing token-name argument",
        ),
        (
            &["create", "a", "b", "c"],
            64,
            "Expected two arguments, service-account-principal and token-name, found [1] extra",
        ),
        (
            &["list", "a", "b"],
            64,
            "Expected at most one argument, service-account-principal, found [1] extra",
        ),
        (
            &["create", "elastic/x", "t"],
            67,
            "Unknown service account principal. Must be one of [elastic/",
        ),
        (
            &["create", "elastic/kibana", "_t"],
            70,
            "invalid service token name.",
        ),
        (
            &["create", "elastic/kibana", "t1"],
            70,
            "Service token [elastic/kibana/t1] already exists",
        ),
        (
            &["delete", "elastic/kibana", "t2"],
            70,
            "Service token [elastic/kibana/t2] does not exist",
        ),
    ] {
        let outcome = tokens(&home, arguments);
        assert_eq!(outcome.status, status, "{arguments:?}: {outcome:?}");
        assert!(
            outcome.stderr.contains(message),
            "{arguments:?}: {outcome:?}"
        );
    }
    tokens(&home, &["delete", "elastic/kibana", "t1"]).quiet();
    assert_eq!(tokens(&home, &["list"]).quiet(), "elastic/fleet-server/a\n");
}
