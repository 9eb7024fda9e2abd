//! `docs/api.md` and `docs/openapi.json` are generated; this keeps them true.

use std::path::Path;

fn check(file: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == expected,
        "docs/{file} differs from the table of routes; run `UPDATE_DOCS=1 cargo test -p ringwall-rest --test reference`"
    );
}

#[test]
fn the_reference_is_up_to_date() {
    check("api.md", &ringwall_rest::reference::markdown());
    check("openapi.json", &ringwall_rest::reference::openapi());
}
