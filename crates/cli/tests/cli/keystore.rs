//! `elasticsearch-keystore`. Source: Elasticsearch reference, "elasticsearch-keystore".

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::home::Home;

/// Returns a home with a keystore.
fn with_keystore() -> Home {
    let home = Home::new();
    home.keystore(&["create"], "").quiet();
    home
}

#[test]
fn create_makes_a_keystore_with_a_seed() {
    let home = Home::new();
    let said = home.keystore(&["create"], "").quiet();
    let path = home.keystore_file();
    assert_eq!(
        said,
        format!("Created elasticsearch keystore in {}\n", path.display())
    );
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(fs::read(&path).unwrap().len(), 199);
    assert_eq!(home.keystore(&["list"], "").quiet(), "keystore.seed\n");
}

#[test]
fn create_asks_before_it_overwrites() {
    let home = with_keystore();
    let before = fs::read(home.keystore_file()).unwrap();
    let declined = home.keystore(&["create"], "\n");
    assert_eq!(declined.status, 0);
    assert_eq!(declined.stdout, "Exiting without creating keystore.\n");
    assert_eq!(
        declined.stderr,
        "An elasticsearch keystore already exists. Overwrite? [y/N]"
    );
    assert_eq!(fs::read(home.keystore_file()).unwrap(), before);
    assert_eq!(home.keystore(&["create"], "maybe\ny\n").status, 0);
    assert_ne!(fs::read(home.keystore_file()).unwrap(), before);
}

#[test]
fn values_come_from_lines_of_standard_input() {
    let home = with_keystore();
    let names = [
        "bootstrap.password",
        "xpack.security.transport.ssl.keystore.secure_password",
    ];
    let added = home.keystore(&["add", "-x", names[0], names[1]], "first \u{e4}\r\n\n");
    assert_eq!(added.quiet(), "");
    assert_eq!(
        home.keystore(&["show", names[0]], "").quiet(),
        "first \u{e4}"
    );
    assert_eq!(home.keystore(&["show", names[1]], "").quiet(), "");
    let list = home.keystore(&["list", "-s"], "").quiet();
    assert_eq!(
        list,
        format!("bootstrap.password\nkeystore.seed\n{}\n", names[1])
    );
}

#[test]
fn without_x_the_question_goes_to_standard_error() {
    let home = with_keystore();
    let added = home.keystore(&["add", "bootstrap.password"], "secret\n");
    assert_eq!((added.status, added.stdout.as_str()), (0, ""));
    assert_eq!(added.stderr, "Enter value for bootstrap.password: ");
    let again = home.keystore(&["add", "bootstrap.password"], "n\n");
    assert_eq!(again.stdout, "Exiting without modifying keystore.\n");
    assert!(
        again
            .stderr
            .starts_with("Setting bootstrap.password already exists. Overwrite? [y/N]")
    );
    home.keystore(&["add", "-xf", "bootstrap.password"], "new\n")
        .quiet();
    assert_eq!(
        home.keystore(&["show", "bootstrap.password"], "").quiet(),
        "new"
    );
}

#[test]
fn nothing_is_saved_when_input_ends_early() {
    let home = with_keystore();
    let names = [
        "add",
        "-x",
        "bootstrap.password",
        "xpack.security.http.ssl.secure_key_passphrase",
    ];
    let outcome = home.keystore(&names, "only one\n");
    assert_eq!(outcome.status, 1);
    assert!(
        outcome
            .stderr
            .contains("unable to read from standard input")
    );
    assert_eq!(home.keystore(&["list"], "").quiet(), "keystore.seed\n");
}

#[test]
fn add_offers_to_create_a_missing_keystore() {
    let home = Home::new();
    let declined = home.keystore(&["add", "-x", "bootstrap.password"], "n\n");
    assert_eq!(
        (declined.status, declined.stdout.as_str()),
        (0, "Exiting without creating keystore.\n")
    );
    assert!(!home.keystore_file().exists());
    home.keystore(&["add", "-force", "-stdin", "bootstrap.password"], "pw\n")
        .quiet();
    assert_eq!(
        home.keystore(&["list"], "").quiet(),
        "bootstrap.password\nkeystore.seed\n"
    );
}

#[test]
fn names_are_checked() {
    let home = with_keystore();
    let bad = home.keystore(&["add", "-x", "a b"], "x\n");
    assert_eq!(bad.status, 65);
    assert!(
        bad.stderr
            .contains("does not match the allowed setting name pattern [[A-Za-z0-9_\\-.]+]")
    );
    let unknown = home.keystore(&["add", "-x", "bootstrap.pasword"], "x\n");
    assert_eq!(unknown.status, 0);
    assert!(
        unknown
            .stderr
            .contains("Did you mean [bootstrap.password]?"),
        "{unknown:?}"
    );
    let plain = home.keystore(&["add", "-x", "http.port"], "x\n");
    assert!(
        plain.stderr.contains("It belongs into elasticsearch.yml"),
        "{plain:?}"
    );
    assert_eq!(home.keystore(&["add"], "").status, 64);
}

#[test]
fn remove_takes_all_or_nothing() {
    let home = with_keystore();
    home.keystore(&["add", "-x", "bootstrap.password"], "pw\n")
        .quiet();
    let unknown = home.keystore(&["remove", "bootstrap.password", "other"], "");
    assert_eq!(unknown.status, 78);
    assert!(
        unknown
            .stderr
            .contains("ERROR: Setting [other] does not exist in the keystore.")
    );
    home.keystore(&["remove", "bootstrap.password"], "").quiet();
    assert_eq!(home.keystore(&["list"], "").quiet(), "keystore.seed\n");
    assert_eq!(home.keystore(&["remove"], "").status, 64);
    assert_eq!(home.keystore(&["show", "other"], "").status, 78);
    assert_eq!(home.keystore(&["show"], "").status, 64);
}

#[test]
fn files_are_stored_as_they_are() {
    let home = with_keystore();
    fs::write(home.path().join("config/blob"), b"line\nline\n").unwrap();
    let name = "xpack.security.http.ssl.secure_key_passphrase";
    // Relative to the home, not to the working directory.
    home.keystore(&["add-file", name, "config/blob"], "")
        .quiet();
    assert_eq!(home.keystore(&["show", name], "").quiet(), "line\nline\n");
    for (arguments, status) in [
        (["add-file"].as_slice(), 64),
        (&["add-file", name], 64),
        (&["add-file", "-f", name, "missing"], 74),
    ] {
        assert_eq!(home.keystore(arguments, "").status, status, "{arguments:?}");
    }
}

#[test]
fn a_password_protects_the_keystore() {
    let home = Home::new();
    assert_eq!(home.keystore(&["has-passwd"], "").status, 1);
    let unequal = home.keystore(&["create", "-p"], "one\ntwo\n");
    assert_eq!(unequal.status, 65);
    assert!(unequal.stderr.contains("Passwords are not equal, exiting."));
    assert!(!unequal.stderr.contains("two"));
    assert_eq!(home.keystore(&["create", "-p"], "pw\npw\n").status, 0);
    let protected = home.keystore(&["has-passwd"], "").quiet();
    assert_eq!(protected, "Keystore is password-protected\n");

    // The first line is the password of the keystore, the second the value.
    let added = home.keystore(&["add", "-x", "bootstrap.password"], "pw\nvalue\n");
    assert_eq!(added.status, 0, "{added:?}");
    let wrong = home.keystore(&["list"], "PW\n");
    assert_eq!(wrong.status, 65);
    assert!(
        wrong
            .stderr
            .contains("ERROR: Provided keystore password was incorrect")
    );

    let changed = home.keystore(&["passwd"], "pw\n\n\n");
    assert_eq!(
        changed.stdout,
        "Elasticsearch keystore password changed successfully.\n"
    );
    let unprotected = home.keystore(&["has-passwd"], "");
    assert_eq!(unprotected.status, 1);
    assert!(
        unprotected
            .stderr
            .contains("ERROR: Keystore is not password-protected")
    );
    assert_eq!(home.keystore(&["has-passwd", "-s"], "").stderr, "");
    assert_eq!(
        home.keystore(&["show", "bootstrap.password"], "").quiet(),
        "value"
    );
}

#[test]
fn upgrade_keeps_the_values_and_can_write_an_older_format() {
    let home = with_keystore();
    let version = || fs::read(home.keystore_file()).unwrap()[30];
    let before = fs::read(home.keystore_file()).unwrap();
    home.keystore(&["upgrade"], "").quiet();
    assert_eq!(fs::read(home.keystore_file()).unwrap(), before);
    home.keystore(&["upgrade", "--format", "4"], "").quiet();
    assert_eq!(version(), 4);
    home.keystore(&["remove", "keystore.seed"], "").quiet();
    home.keystore(&["upgrade"], "").quiet();
    assert_eq!(version(), 5);
    assert_eq!(home.keystore(&["list"], "").quiet(), "keystore.seed\n");
    assert_eq!(home.keystore(&["upgrade", "--format", "9"], "").status, 64);
}

#[test]
fn missing_and_damaged_keystores_are_told_apart() {
    let home = Home::new();
    let missing = home.keystore(&["list"], "");
    assert_eq!(missing.status, 65);
    assert!(
        missing
            .stderr
            .contains("ERROR: Elasticsearch keystore not found at [")
    );
    assert!(
        missing
            .stderr
            .contains("Use 'create' command to create one.")
    );

    home.keystore(&["create"], "").quiet();
    let mut bytes = fs::read(home.keystore_file()).unwrap();
    bytes[130] ^= 1;
    fs::write(home.keystore_file(), &bytes).unwrap();
    let damaged = home.keystore(&["list"], "");
    assert_eq!(damaged.status, 65);
    assert!(
        damaged
            .stderr
            .contains("Keystore has been corrupted or tampered with")
    );

    fs::write(home.keystore_file(), "not a keystore").unwrap();
    let foreign = home.keystore(&["list"], "");
    assert!(
        foreign.stderr.contains("is not an Elasticsearch keystore"),
        "{foreign:?}"
    );
}

#[test]
fn set_and_import_change_only_what_differs() {
    let home = Home::new();
    let name = "xpack.security.http.ssl.keystore.secure_password";
    let set = |value: &str| {
        home.keystore(&["set", "--if-changed", "-x", name], &format!("{value}\n"))
            .quiet()
    };
    assert_eq!(set("one"), "changed\n");
    let before = std::fs::read(home.keystore_file()).unwrap();
    assert_eq!(set("one"), "unchanged\n");
    assert_eq!(std::fs::read(home.keystore_file()).unwrap(), before);
    assert_eq!(set("two"), "changed\n");
    assert_eq!(home.keystore(&["show", name], "").quiet(), "two");

    let secrets = tempfile::tempdir().unwrap();
    let directory = secrets.path().to_str().unwrap();
    std::fs::write(secrets.path().join("bootstrap.password"), "boot\n").unwrap();
    std::fs::create_dir(secrets.path().join("..data")).unwrap();
    let import = |more: &[&str]| {
        let mut arguments = vec!["import", "--dir", directory];
        arguments.extend(more);
        home.keystore(&arguments, "").quiet()
    };
    let planned = format!("added bootstrap.password\nremoved {name}\n");
    assert_eq!(import(&["--prune", "--dry-run"]), planned);
    assert_eq!(import(&["--prune"]), planned);
    assert_eq!(import(&["--prune"]), "unchanged\n");
    assert_eq!(
        home.keystore(&["list", "--json"], "").quiet(),
        "[\"bootstrap.password\",\"keystore.seed\"]\n"
    );
    assert_eq!(
        home.keystore(&["show", "bootstrap.password"], "").quiet(),
        "boot"
    );
    let json = "{\"bootstrap.password\":\"other\"}";
    assert_eq!(
        home.keystore(&["import", "--json", "-"], json).quiet(),
        "changed bootstrap.password\n"
    );
    let wrong = home.keystore(&["import", "--json", "-"], "{\"bootstrap.password\":17}");
    assert!(
        wrong.status == 65 && !wrong.stderr.contains("17}"),
        "{wrong:?}"
    );
    assert_eq!(home.keystore(&["import"], "").status, 64);

    let passwords = secrets.path().join("passwords");
    std::fs::write(&passwords, "keystore-secret\n").unwrap();
    let file = passwords.to_str().unwrap();
    home.keystore(&["rotate-password", "--new-password-file", file, "-s"], "")
        .quiet();
    assert_eq!(home.keystore(&["list"], "wrong\n").status, 65);
    home.keystore(&["list", "--password-file", file], "")
        .quiet();
}

#[test]
fn programs_get_json_and_the_format_they_ask_for() {
    let home = Home::new();
    let json = |arguments: &[&str]| {
        let outcome = home.keystore(arguments, "");
        let value: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        (outcome.status, value.to_string())
    };
    let absent = r#"{"exists":false,"protected":false}"#.to_owned();
    assert_eq!(json(&["has-passwd", "--json"]), (1, absent));
    home.keystore(&["create", "--format", "4"], "").quiet();
    let there = r#"{"exists":true,"protected":false}"#.to_owned();
    assert_eq!(json(&["has-passwd", "--json"]), (1, there));
    let first = fs::read(home.keystore_file()).unwrap();
    home.keystore(&["upgrade"], "").quiet();
    assert_ne!(fs::read(home.keystore_file()).unwrap(), first);
    home.keystore(&["set", "-x", "bootstrap.password"], "a \"b\"\n");
    let shown = r#"{"name":"bootstrap.password","value":"a \"b\""}"#.to_owned();
    assert_eq!(json(&["show", "--json", "bootstrap.password"]), (0, shown));
    let file = home.path().join("binary");
    fs::write(&file, [0xff, 0]).unwrap();
    home.keystore(&["add-file", "a.file", file.to_str().unwrap()], "");
    let shown = r#"{"name":"a.file","base64":"/wA="}"#.to_owned();
    assert_eq!(json(&["show", "--json", "a.file"]), (0, shown));
    assert_eq!(home.keystore(&["add", "--format", "9", "x"], "").status, 64);
}
