//! What documents and comments point to exists.

use std::path::{Path, PathBuf};

use crate::metadata;

/// Directories of the root whose files a document may name in a code span.
const TOPS: [&str; 7] = [
    "crates/",
    "docs/",
    "tests/",
    "benches/",
    "examples/",
    "fuzz/",
    ".ci/",
];

/// Every file of the repository below its root, without what is built.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![metadata::root()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && name != "target" && name != ".git" {
                left.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found
}

fn relative(path: &Path) -> String {
    let root = metadata::root();
    path.strip_prefix(&root).unwrap().display().to_string()
}

/// Every link and every code span that names a file leads to one. `<name>` in a path stands for a name that the reader chooses:
/// what is before it must exist.
#[test]
fn documents_name_files_that_exist() {
    let mut wrong = Vec::new();
    for file in files() {
        if file.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let told = links(&text)
            .into_iter()
            .map(|link| (file.parent().unwrap().join(&link), link))
            .chain(
                spans(&text)
                    .into_iter()
                    .map(|span| (metadata::root().join(&span), span)),
            )
            .chain(
                // In the README of a crate, relative to it.
                code(&text)
                    .filter(|span| span.starts_with("src/") || span.starts_with("../"))
                    .map(|span| (file.parent().unwrap().join(span), span.to_owned())),
            );
        for (path, text) in told {
            if !path.exists() {
                wrong.push(format!("{} names [{text}]", relative(&file)));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nNo such file: say where it has moved to",
        wrong.join("\n")
    );
}

/// The targets of Markdown links that are files, without their anchors.
fn links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap())
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '))
        .map(str::to_owned)
        .collect()
}

fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The code spans that name a file of the repository, up to a placeholder.
fn spans(text: &str) -> Vec<String> {
    code(text)
        .filter(|span| TOPS.iter().any(|top| span.starts_with(top)))
        .map(|span| span.split_whitespace().next().unwrap())
        .map(|path| match path.split_once(['<', '*']) {
            Some((before, _)) => before.rsplit_once('/').unwrap().0.to_owned(),
            None => path.trim_end_matches(['.', ',']).to_owned(),
        })
        .collect()
}

/// A module that ARCHITECTURE.md or docs/dev names (`tls::reload`, `cli::commands::doctor`) is where they say.
#[test]
fn documents_name_modules_that_exist() {
    let root = metadata::root();
    let mut wrong = Vec::new();
    for file in files() {
        let name = relative(&file);
        if name != "ARCHITECTURE.md" && !(name.starts_with("docs/dev/") && name.ends_with(".md")) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for span in code(&text) {
            let mut parts = span.split("::");
            let first = parts.next().unwrap().trim_start_matches("ringwall_");
            let mut place = root.join("crates").join(first).join("src");
            if first.is_empty() || span.contains(' ') || !place.is_dir() {
                continue;
            }
            let modules = parts
                .take_while(|part| part.starts_with(|letter: char| letter.is_ascii_lowercase()));
            for module in modules {
                let inner = place.join(module);
                if inner.is_dir() {
                    place = inner;
                    continue;
                }
                if !inner.with_extension("rs").is_file() && !names(&place, module) {
                    wrong.push(format!("{name} names [{span}]"));
                }
                break;
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nNo such module or function: say where it has moved to",
        wrong.join("\n")
    );
}

/// Tells whether the root of a module has something of this name.
fn names(directory: &Path, word: &str) -> bool {
    ["lib.rs", "main.rs", "mod.rs"].iter().any(|root| {
        std::fs::read_to_string(directory.join(root)).is_ok_and(|text| {
            text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
                .any(|found| found == word)
        })
    })
}

/// A citation is of something that a reader can find: a document of this repository, or a published one by its title.
#[test]
fn no_comment_cites_a_document_that_is_not_here() {
    let files = files();
    let documents: Vec<String> = files
        .iter()
        .map(|path| format!("/{}", relative(path)))
        .filter(|path| path.ends_with(".md"))
        .collect();
    let mut wrong = Vec::new();
    for file in &files {
        let Ok(text) = std::fs::read_to_string(file) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for cited in cited_documents(line) {
                let suffix = format!("/{}", cited.trim_start_matches(['.', '/']));
                if !documents.iter().any(|path| path.ends_with(&suffix)) {
                    wrong.push(format!("{}:{}: {cited}", relative(file), number + 1));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nNot in the repository: cite what a reader can find, such as (Elasticsearch reference, \"cat indices API\"), an RFC, or \
         a crate's documentation",
        wrong.join("\n")
    );
}

/// The words of a line that end with the suffix of a Markdown file.
fn cited_documents(line: &str) -> Vec<&str> {
    line.split(|character: char| !(character.is_ascii_alphanumeric() || "._-/".contains(character)))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.len() > 3 && word.ends_with(".md"))
        .collect()
}
