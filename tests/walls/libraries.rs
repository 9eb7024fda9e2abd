//! Which crate may name which library. What stays behind one crate can be replaced there, and is decided there.

use std::path::Path;

use crate::metadata;

/// Libraries, the crates whose code may name them, and the way out for others.
const WALLS: [(&[&str], &[&str], &str); 17] = [
    (
        &["rustls", "tokio-rustls", "rustls-webpki"],
        &["tls"],
        "ask `ringwall-tls` for an `SslContext`: it alone decides whom to trust",
    ),
    (
        &["rustls-pki-types"],
        &["tls", "pki"],
        "certificates and keys outside of these are `ringwall_pki` types",
    ),
    (
        &["x509-parser"],
        &["tls", "pki"],
        "read certificates with `ringwall_pki`",
    ),
    (
        &["p12-keystore", "pkcs8", "rsa", "aws-lc-rs", "pem"],
        &["pki"],
        "make and read keys, certificates and their files with `ringwall_pki`",
    ),
    (
        &["openraft", "redb"],
        &["coordination"],
        "consensus stays behind `ringwall_coordination`: submit a command of `ringwall_cluster` instead",
    ),
    (
        &["tantivy"],
        &["index", "search"],
        "read a shard through `ringwall_index::engine::Searcher`, which shows what its view allows, or search it with `ringwall_search`",
    ),
    (
        &["hyper", "hyper-util"],
        &["rest", "transport", "console"],
        "serve clients in `rest`, speak to nodes by `transport`; tools use `ringwall_rest::http_client`",
    ),
    (
        &["maud"],
        &["console"],
        "pages are made in `ringwall_console`",
    ),
    (
        &["bcrypt", "moka"],
        &["security"],
        "passwords are hashed and remembered by `ringwall_security`",
    ),
    (
        &["aes-gcm", "granit-parser"],
        &["settings"],
        "settings and keystores are read by `ringwall_settings`",
    ),
    (
        &["tokio", "tokio-util"],
        &[
            "cli",
            "node",
            "console",
            "rest",
            "transport",
            "coordination",
            "tls",
            "security",
        ],
        "this crate is synchronous: `node` calls it on a bounded pool",
    ),
    (
        &["rand"],
        &["coordination"],
        "chance is an argument here, so that tests replay; ids come from `ringwall_base`, keys from `ringwall_pki`",
    ),
    (
        &["getrandom"],
        &["base", "pki"],
        "take random bytes from `ringwall_base::random_bytes`",
    ),
    (
        &["jiff"],
        &[
            "cli", "console", "node", "rest", "search", "index", "tls", "pki",
        ],
        "the time is an argument here",
    ),
    (
        &["clap", "clap_complete", "clap_mangen", "tracing-appender"],
        &["cli"],
        "arguments and the log's files are matters of the program: take values, and log by `tracing`",
    ),
    (
        &["tracing-subscriber"],
        &["cli", "testkit"],
        "log by `tracing`; the program decides where lines go",
    ),
    (
        &["rcgen"],
        &[],
        "certificates are made by `ringwall_pki`; only tests may use another maker",
    ),
];

/// Words that the code of a crate must not contain, because its results depend on its arguments alone.
const PURE: [&str; 2] = ["cluster", "search"];
const IMPURE: [&str; 7] = [
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "std::fs",
    "std::thread",
    "TcpStream",
    "getrandom",
];

#[test]
fn a_library_is_named_only_where_it_may_be() {
    let crates = metadata::crates();
    let mut wrong = Vec::new();
    for (libraries, allowed, way_out) in WALLS {
        for from in &crates {
            for to in from.dependencies.iter().filter(|to| !to.dev) {
                if libraries.contains(&to.package.as_str())
                    && !allowed.contains(&from.name.as_str())
                {
                    wrong.push(format!(
                        "crates/{}/Cargo.toml names {}, which is for {allowed:?}: {way_out}",
                        from.name, to.package
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_wall_stands_for_nothing() {
    let crates = metadata::crates();
    for (libraries, allowed, _) in WALLS {
        for name in allowed {
            assert!(
                crates.iter().any(|from| from.name == *name
                    && from
                        .dependencies
                        .iter()
                        .any(|to| libraries.contains(&to.package.as_str()))),
                "crates/{name} names none of {libraries:?} any more: take it off the list in tests/walls/libraries.rs"
            );
        }
    }
}

/// What `deny.toml` bans is not built, for whatever platform.
#[test]
fn banned_libraries_are_not_built() {
    let deny = metadata::read("deny.toml");
    let banned: Vec<(&str, &str)> = deny
        .lines()
        .filter_map(|line| line.trim().strip_prefix("{ name = \""))
        .map(|rest| {
            let quoted: Vec<&str> = rest.split('"').collect();
            (quoted[0], quoted[2])
        })
        .collect();
    assert!(
        !banned.is_empty(),
        "deny.toml bans nothing, or reads otherwise than this test does"
    );
    // Not `cargo metadata`, which lists optional packages that only a weak feature (`ring?/alloc`) names.
    let built = metadata::cargo(&[
        "tree",
        "--workspace",
        "--target",
        "all",
        "--edges",
        "normal,build,dev",
        "--prefix",
        "none",
    ]);
    let found: Vec<String> = banned
        .iter()
        .filter(|(name, _)| {
            built
                .lines()
                .any(|line| line.split(' ').next() == Some(name))
        })
        .map(|(name, why)| format!("{name} is built, which deny.toml bans ({why}): `cargo tree --target all -i {name}` tells who needs it"))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_must_replay_has_no_clock_and_no_files() {
    let mut wrong = Vec::new();
    for name in PURE {
        let source = metadata::root().join("crates").join(name).join("src");
        look_for_impure(&source, &mut wrong);
    }
    assert!(
        wrong.is_empty(),
        "{}\nThe time, random values and the contents of files are arguments there: let `node` hand them in",
        wrong.join("\n")
    );
}

fn look_for_impure(directory: &Path, wrong: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            look_for_impure(&path, wrong);
        } else if name.ends_with(".rs") && !name.contains("tests") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for (number, line) in code.lines().enumerate() {
                if !line.trim_start().starts_with("//")
                    && let Some(word) = IMPURE.iter().find(|word| line.contains(*word))
                {
                    wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
                }
            }
        }
    }
}
