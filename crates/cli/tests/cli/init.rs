//! `ringwall init`.

use std::fs;

use crate::home::{Home, link_target, ringwall, run};

const PROGRAMS: [&str; 11] = [
    "elasticsearch",
    "elasticsearch-certutil",
    "elasticsearch-create-enrollment-token",
    "elasticsearch-keystore",
    "elasticsearch-reconfigure-node",
    "elasticsearch-reset-password",
    "elasticsearch-service-tokens",
    "elasticsearch-setup-passwords",
    "elasticsearch-users",
    "kibana",
    "kibana-keystore",
];

#[test]
fn lays_out_a_home() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = ringwall();
    command.current_dir(dir.path()).args(["init", "a/home"]);
    let said = run(&mut command, "").quiet();
    let home = dir.path().join("a/home");
    assert!(said.contains(home.to_str().unwrap()), "{said}");
    for name in ["bin", "config", "data", "logs"] {
        assert!(home.join(name).is_dir(), "{name}");
    }
    let program = fs::canonicalize(env!("CARGO_BIN_EXE_ringwall")).unwrap();
    for name in PROGRAMS {
        assert_eq!(link_target(&home.join("bin").join(name)), program);
    }
    let yml = fs::read_to_string(home.join("config/elasticsearch.yml")).unwrap();
    assert!(yml.contains("\n#cluster.name: "));
    ringwall_settings::Settings::load(&home.join("config"), &[], None).unwrap();
    let console = fs::read_to_string(home.join("config/kibana.yml")).unwrap();
    assert!(console.contains("\n#elasticsearch.hosts: "));
    ringwall_settings::console::ConsoleSettings::load(&home.join("config"), &[], None).unwrap();
}

#[test]
fn a_home_is_renewed_and_keeps_its_configuration() {
    let home = Home::new();
    let yml = home.path().join("config/elasticsearch.yml");
    fs::write(&yml, "cluster.name: mine\n").unwrap();
    let link = home.path().join("bin/elasticsearch-keystore");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/nowhere", &link).unwrap();
    fs::remove_file(home.path().join("bin/elasticsearch-keystore")).unwrap();
    fs::remove_dir(home.path().join("logs")).unwrap();

    let said = run(ringwall().arg("init").arg(home.path()), "").quiet();
    assert!(said.starts_with("Renewed the home"), "{said}");
    assert_eq!(fs::read_to_string(&yml).unwrap(), "cluster.name: mine\n");
    assert_ne!(link_target(&link), std::path::Path::new("/nowhere"));
    assert!(home.path().join("logs").is_dir());
    home.keystore(&["create"], "").quiet();
    let links = fs::read_dir(home.path().join("bin")).unwrap().count();
    assert_eq!(links, PROGRAMS.len());
}

#[test]
fn other_directories_are_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    let outcome = run(ringwall().arg("init").arg(dir.path()), "");
    assert_eq!(outcome.status, 73, "{outcome:?}");
    assert!(outcome.stderr.contains("is not empty and is no home"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

    let file = dir.path().join("letter.txt");
    let outcome = run(ringwall().arg("init").arg(&file), "");
    assert_eq!(outcome.status, 73, "{outcome:?}");
}

#[test]
fn a_program_that_is_no_link_is_not_replaced() {
    let home = Home::new();
    let program = home.path().join("bin/elasticsearch-keystore");
    fs::remove_file(&program).unwrap();
    fs::write(&program, "#!/bin/sh\n").unwrap();
    let outcome = run(ringwall().arg("init").arg(home.path()), "");
    assert_eq!(outcome.status, 74, "{outcome:?}");
    assert!(
        outcome.stderr.contains("bin/elasticsearch-keystore]"),
        "{outcome:?}"
    );
    assert_eq!(fs::read_to_string(&program).unwrap(), "#!/bin/sh\n");
}
