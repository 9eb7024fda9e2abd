//! The order of our crates is the one that ARCHITECTURE.md tells.

use crate::metadata;

/// Tests that need whole nodes, from a crate below.
const TESTS_LOOK_UP: [(&str, &str); 2] = [("tls", "node"), ("node", "testkit")];

/// The crates in the order of the table of ARCHITECTURE.md, the highest first.
fn told_order() -> Vec<String> {
    metadata::read("ARCHITECTURE.md")
        .lines()
        .skip_while(|line| !line.starts_with("| crate |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|row| row.split('`').nth(1).unwrap().to_owned())
        .collect()
}

#[test]
fn every_crate_is_in_the_table() {
    let order = told_order();
    let mut told = order.clone();
    told.sort();
    let mut names: Vec<String> = metadata::crates()
        .into_iter()
        .map(|found| found.name)
        // Tests over the whole are no layer.
        .filter(|name| name != "walls" && name != "simulation")
        .collect();
    names.sort();
    assert_eq!(
        told, names,
        "the table of crates in ARCHITECTURE.md (left) and the workspace (right) differ: \
         give a new crate its row where its layer is"
    );
}

#[test]
fn dependencies_point_down() {
    let order = told_order();
    let place = |name: &str| order.iter().position(|told| told == name);
    let mut wrong = Vec::new();
    for from in metadata::crates() {
        for to in from.dependencies.iter().filter(|to| to.ours) {
            let excused = to.dev && TESTS_LOOK_UP.contains(&(&from.name, &to.package));
            if place(&to.package) <= place(&from.name) && !excused {
                wrong.push(format!(
                    "crates/{}/Cargo.toml names ringwall-{}, which stands above it in ARCHITECTURE.md",
                    from.name, to.package
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nMove what both need into the lower crate (types into `api`, tools without knowledge into `base`), or give \
         the lower crate a trait that the higher one implements and `node` connects. Tests of whole nodes belong to `node` or `cli`",
        wrong.join("\n")
    );
}

#[test]
fn every_crate_has_a_short_readme() {
    for name in told_order() {
        let lines = metadata::read(&format!("crates/{name}/README.md"))
            .lines()
            .count();
        assert!(
            lines <= 20,
            "crates/{name}/README.md has {lines} lines, more than 20: what is longer belongs into the docstrings or docs/"
        );
    }
}

/// The drawing of docs/dev/map.md: what it shows is in the manifests, and what they have follows from what it shows.
#[test]
fn the_drawing_of_the_crates_is_true() {
    let map = metadata::read("docs/dev/map.md");
    let drawn: Vec<(&str, &str)> = map
        .lines()
        .filter_map(|line| line.trim().split_once(" --> "))
        .collect();
    let crates = metadata::crates();
    let uses = |from: &str, to: &str| {
        crates
            .iter()
            .filter(|found| found.name == from)
            .flat_map(|found| &found.dependencies)
            .any(|dependency| dependency.ours && !dependency.dev && dependency.package == to)
    };
    for (from, to) in &drawn {
        assert!(
            uses(from, to),
            "docs/dev/map.md draws {from} --> {to}, which is not so: take the arrow out"
        );
    }
    for from in &crates {
        for to in from.dependencies.iter().filter(|to| to.ours && !to.dev) {
            assert!(
                leads(&drawn, &from.name, &to.package),
                "crates/{}/Cargo.toml names ringwall-{}, which does not follow from the drawing in docs/dev/map.md: \
                 draw the arrow there",
                from.name,
                to.package
            );
        }
    }
}

fn leads(drawn: &[(&str, &str)], from: &str, to: &str) -> bool {
    drawn
        .iter()
        .any(|(start, end)| *start == from && (*end == to || leads(drawn, end, to)))
}
