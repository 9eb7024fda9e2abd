//! Licences and sources of all locked packages, by the lists of `deny.toml`.

use crate::metadata;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn every_package_has_a_licence_that_is_allowed() {
    let deny = metadata::read("deny.toml");
    let list = deny
        .split_once("allow = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .expect("deny.toml has a list [licenses] allow")
        .0;
    let allowed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    let wrong: Vec<String> = metadata::packages()
        .iter()
        .filter_map(|package| {
            let name = &package["name"];
            let Some(licence) = package["license"].as_str() else {
                return Some(format!("{name} names no licence"));
            };
            (!satisfied(licence, &allowed)).then(|| format!("{name} has [{licence}]"))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{}\nTake another package, or, if the licence is permissive and asks for nothing that we do not do, add it to \
         [licenses] allow in deny.toml",
        wrong.join("\n")
    );
}

#[test]
fn every_package_comes_from_crates_io() {
    let wrong: Vec<String> = metadata::packages()
        .iter()
        .filter(|package| !package["source"].is_null() && package["source"] != CRATES_IO)
        .map(|package| format!("{} comes from {}", package["name"], package["source"]))
        .collect();
    assert!(
        wrong.is_empty(),
        "{}\nUse a version that is published on crates.io",
        wrong.join("\n")
    );
    let outside: Vec<String> = metadata::packages()
        .iter()
        .filter(|package| package["source"].is_null())
        .filter_map(|package| package["manifest_path"].as_str())
        .filter(|path| !std::path::Path::new(path).starts_with(metadata::root()))
        .map(str::to_owned)
        .collect();
    assert!(
        outside.is_empty(),
        "{outside:?} lie outside of the repository: publish them on crates.io or move them into crates/"
    );
}

/// Tells whether one of the choices that an SPDX expression gives is wholly allowed. `/` is how old manifests write `OR`.
fn satisfied(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let result = either(&words, &mut at, allowed);
    assert_eq!(at, words.len(), "[{expression}] is no SPDX expression");
    result
}

fn either(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut result = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= both(words, at, allowed);
    }
    result
}

fn both(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut result = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(words, at, allowed);
    }
    result
}

fn one(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let word = words.get(*at).copied().unwrap_or("");
    *at += 1;
    if word == "(" {
        let result = either(words, at, allowed);
        assert_eq!(
            words.get(*at),
            Some(&")"),
            "no closing parenthesis in {words:?}"
        );
        *at += 1;
        return result;
    }
    if words.get(*at) == Some(&"WITH") {
        let excepted = format!("{word} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
        return allowed.contains(&excepted.as_str());
    }
    allowed.contains(&word)
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "ISC AND (GPL-2.0 OR MIT)",
        "GPL-2.0 AND GPL-3.0 OR MIT",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(satisfied(good, &allowed), "{good}");
    }
    for bad in [
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "Apache-2.0",
        "MIT WITH LLVM-exception",
    ] {
        assert!(!satisfied(bad, &allowed), "{bad}");
    }
}
