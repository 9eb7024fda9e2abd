//! `certutil rotate`: another CA, step by step, on files and on a cluster that serves meanwhile.

mod homes;
mod layers;
mod online;

use ringwall_pki::{CertificateInfo, load_pem_certs, load_pem_key_material};
use serde_json::Value;

use self::homes::{T, digests, facts, name_of_issuer, named, names};
use crate::bench::Bench;

#[test]
fn each_step_is_done_on_every_home_before_the_next() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    let new = bench.make_ca("new.p12");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    let homes = [bench.path("a"), bench.path("b")];
    let seen = || -> Vec<(String, Vec<String>)> {
        homes
            .iter()
            .map(|home| facts(home, &[("old", &old), ("new", &new)]))
            .collect()
    };
    let both = |issuer: &str, trusted: &[&str]| {
        let one = (
            issuer.to_owned(),
            trusted
                .iter()
                .map(|name| name.to_string())
                .collect::<Vec<_>>(),
        );
        vec![one.clone(), one]
    };
    assert_eq!(seen(), both("old", &["old"]));

    let before = digests(&homes);
    let planned = bench.rotate(&["--dry-run"]);
    assert_eq!(planned.status, 0, "{planned:?}");
    assert!(
        planned.stdout.contains("Step [trust] would change:"),
        "{planned:?}"
    );
    assert!(
        planned
            .stdout
            .contains(&format!("a/config/all.p12: trusts {} too", named(&new))),
        "{planned:?}"
    );
    assert_eq!(digests(&homes), before);

    for step in ["reissue", "drop"] {
        let refused = bench.rotate(&["--step", step, "--yes"]);
        assert_eq!(refused.status, 65, "{refused:?}");
        assert!(
            refused
                .stderr
                .contains("before [trust] is done on every node"),
            "{refused:?}"
        );
    }
    let asked = bench.rotate(&[]);
    assert_ne!(asked.status, 0, "{asked:?}");
    assert_eq!(digests(&homes), before, "no answer is no");

    // One of the two has had the step, as after an interruption.
    let alone = bench.certutil(
        &[
            "rotate",
            "--ca",
            "new.p12",
            "--ca-pass",
            "",
            "--home",
            "b",
            "--yes",
        ],
        "",
    );
    assert_eq!(alone.status, 0, "{alone:?}");
    let (_, trusted) = facts(&homes[1], &[("old", &old), ("new", &new)]);
    assert_eq!(trusted, ["old", "new"]);
    let told = bench.rotate(&["--yes", "--json"]);
    assert_eq!(told.status, 0, "{told:?}");
    let line: Value = serde_json::from_str(told.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(line["step"], "trust");
    assert_eq!(line["changes"].as_array().unwrap().len(), 1, "{line}");
    let change = line["changes"][0]["change"].as_str().unwrap();
    assert_eq!(change, format!("trusts {} too", named(&new)));
    assert_eq!(seen(), both("old", &["old", "new"]));

    let reissued = bench.rotate(&["--yes"]);
    assert_eq!(reissued.status, 0, "{reissued:?}");
    assert!(!reissued.stderr.contains("Warning"), "{reissued:?}");
    assert_eq!(seen(), both("new", &["old", "new"]));

    let dropped = bench.rotate(&["--yes"]);
    assert_eq!(dropped.status, 0, "{dropped:?}");
    let told = format!("no longer trusts {}", named(&old));
    assert!(dropped.stdout.contains(&told), "{dropped:?}");
    assert_eq!(seen(), both("new", &["new"]));
    let done = bench.rotate(&["--yes"]);
    assert!(done.stdout.contains("the rotation is done"), "{done:?}");
    let backups = digests(&homes)
        .into_keys()
        .filter(|path| path.extension().is_some_and(|ext| ext == "bak"));
    assert_eq!(
        backups.count(),
        7,
        "three of the store, two of ca.crt, one of each of the pair"
    );
}

#[test]
fn mistakes_change_nothing() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    let other = bench.make_ca("other.p12");
    bench.make_ca("new.p12");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    // A third CA that both trust: which to drop must be said.
    let extra = |home: &str| {
        let file = bench.path(home).join("config/ca.crt");
        let content = format!("{}{}", old.certificate_pem(), other.certificate_pem());
        std::fs::write(file, content).unwrap();
    };
    extra("b");
    for _ in 0..2 {
        assert_eq!(bench.rotate(&["--yes"]).status, 0);
    }
    let unsure = bench.rotate(&["--yes"]);
    assert_eq!(unsure.status, 64, "{unsure:?}");
    assert!(
        unsure.stderr.contains("tell which to drop with --drop"),
        "{unsure:?}"
    );
    let wrong = bench.rotate(&["--yes", "--drop", "00"]);
    assert_eq!(wrong.status, 64, "{wrong:?}");
    let fingerprint = CertificateInfo::from_der(old.certificate())
        .unwrap()
        .fingerprint_sha256;
    assert_eq!(bench.rotate(&["--yes", "--drop", &fingerprint]).status, 0);
    let kept = load_pem_certs(&bench.path("b").join("config/ca.crt")).unwrap();
    assert_eq!(kept.len(), 2);

    for (options, status, said) in [
        (&["--home", "c"][..], 65, "no home of a node"),
        (
            &["--layer", "http"],
            65,
            "[xpack.security.http.ssl.enabled] is not true",
        ),
        (&["--step", "trust", "--all"], 64, "cannot be used with"),
    ] {
        let refused = bench.rotate(options);
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
}

#[test]
fn the_whole_plan_is_told_before_anything_is_done() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    let new = bench.make_ca("new.p12");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    let homes = [bench.path("a"), bench.path("b")];
    let before = digests(&homes);
    let steps = ["Step [trust]", "Step [reissue]", "Step [drop]"];

    let planned = bench.rotate(&["--dry-run", "--all"]);
    assert_eq!(planned.status, 0, "{planned:?}");
    let at: Vec<_> = steps
        .map(|step| {
            planned
                .stdout
                .find(&format!("{step} would change:"))
                .unwrap()
        })
        .into();
    assert!(at.is_sorted(), "{planned:?}");
    let objects = bench.rotate(&["--dry-run", "--all", "--json"]);
    let objects: Vec<Value> = objects
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = objects
        .iter()
        .map(|object| object["step"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["trust", "reissue", "drop"]);
    assert_eq!(bench.rotate(&["--json"]).status, 64, "it could not ask");

    let options = ["--all", "--wait", "0s"];
    let refused = bench.rotate_answering(&options, "n\n");
    assert_ne!(refused.status, 0, "{refused:?}");
    for step in steps {
        assert!(refused.stdout.contains(step), "{refused:?}");
    }
    assert_eq!(digests(&homes), before, "no is no");

    // One answer is for all of it.
    let done = bench.rotate_answering(&options, "y\n");
    assert_eq!(done.status, 0, "{done:?}");
    for home in &homes {
        let found = facts(home, &[("old", &old), ("new", &new)]);
        assert_eq!(found, ("new".to_owned(), vec!["new".to_owned()]));
    }
    bench.make_ca("newer.p12");
    std::fs::rename(bench.path("newer.p12"), bench.path("new.p12")).unwrap();
    let again = bench.rotate(&["--all", "--wait", "0s", "--yes", "--json"]);
    assert_eq!(again.status, 0, "{again:?}");
    for line in again.stdout.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("prose: {again:?}"));
    }
}

#[test]
fn links_stay_and_lead_to_the_changed_files() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    let new = bench.make_ca("new.p12");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    std::fs::create_dir(bench.path("shared")).unwrap();
    let link = |home: &str, file: &str| {
        let (link, real) = (
            bench.path(home).join("config").join(file),
            bench.path("shared").join(file),
        );
        std::fs::rename(&link, &real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        link
    };
    let links = [
        link("a", "all.p12"),
        link("b", "ca.crt"),
        link("b", "node.crt"),
        link("b", "node.key"),
    ];
    let done = bench.rotate(&["--all", "--wait", "0s", "--yes"]);
    assert_eq!(done.status, 0, "{done:?}");
    for link in links {
        assert!(link.is_symlink(), "{}", link.display());
    }
    for home in ["a", "b"] {
        let found = facts(&bench.path(home), &[("old", &old), ("new", &new)]);
        assert_eq!(found, ("new".to_owned(), vec!["new".to_owned()]));
    }
}

#[test]
fn one_file_for_certificate_trust_and_key_keeps_what_a_step_is_not_about() {
    for with_key in [false, true] {
        let bench = Bench::new();
        let old = bench.make_ca("old.p12");
        let new = bench.make_ca("new.p12");
        bench.p12_home("a", "old.p12");
        bench.pem_home("b", "old.p12", &old);
        let config = bench.path("b").join("config");
        let read = |file: &str| std::fs::read_to_string(config.join(file)).unwrap();
        let key_text = if with_key {
            read("node.key")
        } else {
            String::new()
        };
        let leaf = load_pem_certs(&config.join("node.crt")).unwrap().remove(0);
        let leaf = ringwall_pki::pem::encode_certificates(&[leaf]);
        let one = config.join("one.pem");
        std::fs::write(
            &one,
            format!("of b\n{key_text}{leaf}{}", old.certificate_pem()),
        )
        .unwrap();
        let key = if with_key { "one.pem" } else { "node.key" };
        let yml = format!(
            "{T}:\n  enabled: true\n  key: {key}\n  certificate: one.pem\n  certificate_authorities: one.pem\n"
        );
        std::fs::write(config.join("elasticsearch.yml"), yml).unwrap();
        for (issuer, trusted) in [
            ("old", &["old", "new"][..]),
            ("new", &["new", "old"]),
            ("new", &["new"]),
        ] {
            let done = bench.rotate(&["--yes"]);
            assert_eq!(done.status, 0, "{with_key} {done:?}");
            let material = load_pem_key_material(&one, &config.join(key), None).unwrap();
            let known = [("old", &old), ("new", &new)];
            assert_eq!(name_of_issuer(&material.chain[0], &known), issuer);
            let mut found = names(&load_pem_certs(&one).unwrap(), &known);
            found.sort_by_key(|name| trusted.iter().position(|wanted| wanted == name));
            assert_eq!(found, trusted, "{with_key} {issuer}");
        }
        let done = bench.rotate(&["--yes"]);
        assert!(done.stdout.contains("the rotation is done"), "{done:?}");
    }
}

#[test]
fn a_reissue_that_was_cut_off_is_gone_on_with() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    let new = bench.make_ca("new.p12");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    let known = [("old", &old), ("new", &new)];
    assert_eq!(bench.rotate(&["--yes"]).status, 0);
    let config = bench.path("b").join("config");
    let certificate = std::fs::read(config.join("node.crt")).unwrap();
    assert_eq!(bench.rotate(&["--yes"]).status, 0);
    // As if the power had failed between the two.
    std::fs::write(config.join("node.crt"), certificate).unwrap();

    let before = digests(&[bench.path("b")]);
    let told = bench.rotate(&["--dry-run"]);
    assert_eq!(told.status, 0, "{told:?}");
    assert!(
        told.stderr.contains("An earlier run was cut off: ["),
        "{told:?}"
    );
    assert_eq!(digests(&[bench.path("b")]), before);
    let resumed = bench.rotate(&["--all", "--wait", "0s", "--yes"]);
    assert_eq!(resumed.status, 0, "{resumed:?}");
    let found = facts(&bench.path("b"), &known);
    assert_eq!(found, ("new".to_owned(), vec!["new".to_owned()]));
}

#[test]
fn a_run_that_is_killed_anywhere_is_run_again() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    let new = bench.make_ca("new.p12");
    let names: Vec<String> = (0..6).map(|number| format!("n{number}")).collect();
    for name in &names {
        bench.pem_home(name, "old.p12", &old);
    }
    let mut arguments = vec!["rotate", "--ca", "new.p12", "--ca-pass", "", "--yes"];
    for name in &names {
        arguments.extend(["--home", name]);
    }
    assert_eq!(bench.certutil(&arguments, "").status, 0);
    let text = |name: &String, file: &str| {
        std::fs::read(bench.path(name).join("config").join(file)).unwrap()
    };
    let old_keys: Vec<_> = names.iter().map(|name| text(name, "node.key")).collect();
    // As soon as the key of one node is another; how far it comes until the signal arrives is left to chance.
    let mut child = bench
        .home
        .tool("elasticsearch-certutil")
        .current_dir(bench.path(""))
        .args(&arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    while text(&names[2], "node.key") == old_keys[2] && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    crate::running::signal(pid, rustix::process::Signal::KILL);
    child.wait().unwrap();
    arguments.extend(["--all", "--wait", "0s"]);
    let resumed = bench.certutil(&arguments, "");
    assert_eq!(resumed.status, 0, "{resumed:?}");
    for name in &names {
        let found = facts(&bench.path(name), &[("old", &old), ("new", &new)]);
        assert_eq!(found, ("new".to_owned(), vec!["new".to_owned()]));
    }
}
