//! Java keystores of the old format: looked into, and refused where they would have to be written.

use serde_json::Value;

use crate::bench::Bench;
use crate::judges::judge;

#[test]
fn jks_files_are_looked_into_and_not_rotated() {
    let bench = Bench::new();
    let config = bench.path("n").join("config");
    std::fs::create_dir_all(&config).unwrap();
    let directory = config.as_path();
    let made = [
        "ca",
        "--key-type",
        "ec-p256",
        "--pass",
        "",
        "--out",
        "new.p12",
    ];
    bench.certutil(&made, "").quiet();
    // The key has a password of its own.
    let generate = "keytool -genkeypair -alias node -keyalg EC -dname CN=node -validity 20 -storetype JKS \
                    -keystore w.jks -storepass store-pw -keypass key-pw";
    let words: Vec<&str> = generate.split(' ').collect();
    if judge(directory, &words).is_none() {
        return;
    }
    for command in [
        "keytool -exportcert -alias node -keystore w.jks -storepass store-pw -file node.der",
        "keytool -importcert -noprompt -alias ca -keystore w.jks -storepass store-pw -file node.der",
    ] {
        judge(directory, &command.split(' ').collect::<Vec<_>>()).unwrap();
    }
    let file = config.join("w.jks");
    let file = file.to_str().unwrap();

    let seen = bench.certutil(&["inspect", file, "--json"], "");
    assert_eq!(seen.status, 0, "{seen:?}");
    let seen: Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!(seen[0]["format"], "JKS");
    let entries = seen[0]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{seen}");
    for kind in ["private key", "trusted certificate"] {
        let entry = entries.iter().find(|entry| entry["kind"] == kind).unwrap();
        assert_eq!(entry["subject"], "CN=node", "{seen}");
    }
    for used_as in ["keystore", "truststore"] {
        assert_eq!(seen[0][used_as]["usable"], true, "{seen}");
    }
    // A password that is given is compared.
    for (password, status) in [("store-pw", 0), ("wrong", 65)] {
        let told = bench.certutil(&["inspect", file, "--pass", password], "");
        assert_eq!(told.status, status, "{told:?}");
    }

    let ends = bench.certutil(&["check", "n"], "");
    assert_eq!(ends.status, 1, "ends within a month: {ends:?}");
    assert!(ends.stdout.contains("CN=node in "), "{ends:?}");

    let prefix = "xpack.security.transport.ssl";
    let yml =
        format!("{prefix}:\n  enabled: true\n  keystore.path: w.jks\n  truststore.path: w.jks\n");
    std::fs::write(config.join("elasticsearch.yml"), yml).unwrap();
    let before = std::fs::read(file).unwrap();
    let by = ["--ca", "new.p12", "--ca-pass", ""];
    for refused in [
        bench.certutil(&[&["rotate", "--home", "n", "--yes"][..], &by].concat(), ""),
        bench.certutil(&[&["renew", file][..], &by].concat(), ""),
    ] {
        assert_eq!(refused.status, 65, "{refused:?}");
        for part in ["JKS", "keytool -importkeystore -srckeystore", "w.p12"] {
            assert!(refused.stderr.contains(part), "{part}: {refused:?}");
        }
        assert!(!refused.stderr.contains("password"), "{refused:?}");
    }
    assert_eq!(std::fs::read(file).unwrap(), before);
}
