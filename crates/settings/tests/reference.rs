//! `docs/settings.md` is generated from the registry and must follow it.

#[test]
fn the_settings_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
    let generated = ringwall_settings::reference_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == generated,
        "docs/settings.md differs from the registry; run `UPDATE_DOCS=1 cargo test -p ringwall-settings`"
    );
}

#[test]
fn the_console_reference_follows_its_registry() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/console-settings.md"
    );
    let expected = ringwall_settings::docs::console_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap_or_default() == expected,
        "docs/console-settings.md differs from the registry; run `UPDATE_DOCS=1 cargo test -p ringwall-settings`"
    );
}
