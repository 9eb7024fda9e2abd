//! Documentation made from the registry: the settings reference and the commented
//! elasticsearch.yml that `ringwall init` writes.

use std::fmt::Write as _;

use crate::console::registry as console;
use crate::registry::ssl::{HTTP_SSL, TRANSPORT_SSL};
use crate::registry::{SECTIONS, cluster, network, node, security};
use crate::setting::{Scope, SettingSpec};

/// Returns the settings reference as Markdown.
pub fn reference_markdown() -> String {
    let mut page = String::from(REFERENCE_INTRO);
    for section in SECTIONS {
        let _ = write!(page, "\n## {}\n\n{}\n\n", section.title, section.intro);
        page.push_str("| Setting | Type | Default | Meaning |\n|---|---|---|---|\n");
        for spec in section.settings {
            page.push_str(&reference_row(*spec));
        }
    }
    page
}

/// Returns the content of a new elasticsearch.yml: the usual settings, all commented out.
pub fn annotated_yml() -> String {
    let mut yml = String::from(YML_INTRO);
    for (title, settings) in COMMON {
        let _ = write!(yml, "\n# ---- {title} ----\n");
        for spec in *settings {
            yml.push_str(&yml_entry(*spec));
        }
    }
    yml
}

/// Returns the content of a new kibana.yml: the usual settings, all commented out.
pub fn annotated_console_yml() -> String {
    let mut yml = String::from(CONSOLE_YML_INTRO);
    for (title, settings) in CONSOLE_COMMON {
        let _ = write!(yml, "\n# ---- {title} ----\n");
        for spec in *settings {
            yml.push_str(&yml_entry(*spec));
        }
    }
    yml
}

/// Returns the reference of the console's settings as Markdown.
pub fn console_markdown() -> String {
    let mut page = String::from(CONSOLE_INTRO);
    page.push_str("| Setting | Type | Default | Meaning |\n|---|---|---|---|\n");
    for spec in console::all() {
        page.push_str(&reference_row(spec).replace("Not in Elasticsearch.", "Not in Kibana."));
    }
    page.push_str("\nSettings of Kibana that are refused, with all below them:\n\n");
    for (name, why) in console::NOT_HERE {
        let _ = writeln!(page, "- `{name}`: {why}.");
    }
    page
}

fn reference_row(spec: &dyn SettingSpec) -> String {
    let info = spec.info();
    let default = match (spec.default_text(), info.fallbacks) {
        (Some(text), []) => code(&text),
        (Some(text), fallbacks) => {
            let fallbacks = fallbacks.iter().map(|key| code(key));
            format!(
                "{}, else {}",
                fallbacks.collect::<Vec<_>>().join(", "),
                code(&text)
            )
        }
        (None, []) => "not set".to_owned(),
        (None, fallbacks) => {
            let fallbacks = fallbacks.iter().map(|key| code(key));
            format!("{}, else not set", fallbacks.collect::<Vec<_>>().join(", "))
        }
    };
    let mut meaning = info.doc.to_owned();
    if let Some(example) = info.example {
        let _ = write!(meaning, " Example: {}.", code(example));
    }
    for (is_true, note) in [
        (info.is_dynamic, " Dynamic."),
        (
            info.scope == Scope::Cluster && !info.is_dynamic,
            " Same on every node.",
        ),
        (info.is_reloadable, " Reloadable."),
        (info.is_secure, " In the keystore."),
        (info.is_ours, " Not in Elasticsearch."),
    ] {
        if is_true {
            meaning.push_str(note);
        }
    }
    if let Some(why) = info.deprecated {
        let _ = write!(meaning, " Deprecated: {why}.");
    }
    // A bar would begin the next column.
    let [default, meaning] = [default, meaning].map(|text| text.replace('|', r"\|"));
    format!(
        "| {} | {} | {default} | {meaning} |\n",
        code(&spec.pattern()),
        spec.kind()
    )
}

fn code(text: &str) -> String {
    match text.starts_with('(') {
        true => text.trim_matches(['(', ')']).to_owned(),
        false => format!("`{text}`"),
    }
}

fn yml_entry(spec: &dyn SettingSpec) -> String {
    let info = spec.info();
    let default = match spec.default_text() {
        Some(text) if info.fallbacks.is_empty() => {
            format!(" Default: {}.", code(&text).replace('`', ""))
        }
        _ => String::new(),
    };
    let text = format!("{}{default}", info.doc.replace('`', ""));
    let mut entry = String::from("#\n");
    for line in wrapped(&text, YML_COLUMNS) {
        let _ = writeln!(entry, "# {line}");
    }
    let value = info
        .example
        .map(str::to_owned)
        .or_else(|| spec.default_text());
    let _ = writeln!(entry, "#{}: {}", info.key, value.unwrap_or_default());
    entry
}

fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].len() + 1 + word.len() > columns {
            lines.push(word.to_owned());
            continue;
        }
        if !lines[last].is_empty() {
            lines[last].push(' ');
        }
        lines[last].push_str(word);
    }
    lines
}

static COMMON: &[(&str, &[&dyn SettingSpec])] = &[
    (
        "Cluster and node",
        &[&node::CLUSTER_NAME, &node::NODE_NAME, &node::NODE_ROLES],
    ),
    ("Directories", &[&node::PATH_DATA, &node::PATH_LOGS]),
    (
        "Network",
        &[
            &network::NETWORK_HOST,
            &network::HTTP_PORT,
            &network::TRANSPORT_PORT,
        ],
    ),
    (
        "Discovery",
        &[
            &cluster::DISCOVERY_SEED_HOSTS,
            &cluster::INITIAL_MASTER_NODES,
            &cluster::DISCOVERY_TYPE,
        ],
    ),
    ("Security", &[&security::SECURITY_ENABLED]),
    (
        "TLS between nodes; required beyond loopback",
        &[
            &TRANSPORT_SSL.enabled,
            &TRANSPORT_SSL.verification_mode,
            &TRANSPORT_SSL.keystore_path,
            &TRANSPORT_SSL.truststore_path,
        ],
    ),
    (
        "TLS for clients (HTTPS)",
        &[&HTTP_SSL.enabled, &HTTP_SSL.keystore_path],
    ),
];

static CONSOLE_COMMON: &[(&str, &[&dyn SettingSpec])] = &[
    (
        "Where browsers find the console",
        &[
            &console::SERVER_HOST,
            &console::SERVER_PORT,
            &console::SERVER_PUBLIC_BASE_URL,
        ],
    ),
    (
        "HTTPS for browsers",
        &[
            &console::SERVER_SSL_ENABLED,
            &console::SERVER_SSL.certificate,
            &console::SERVER_SSL.key,
        ],
    ),
    (
        "The cluster; passwords are for kibana-keystore",
        &[
            &console::HOSTS,
            &console::ELASTICSEARCH_SSL.certificate_authorities,
            &console::VERIFICATION_MODE,
            &console::USERNAME,
        ],
    ),
];

const CONSOLE_INTRO: &str = "\
# Settings of the console

Generated from the settings registry; do not edit.

They are in `kibana.yml` in the configuration directory, nested or with dots. The keystore (`kibana-keystore add`) wins over
the file, and `-E key=value` on the command line over both. `${NAME}` and `${NAME:default}` are replaced by another setting or
an environment variable. Relative paths start at the configuration directory. What is not listed here stops the console, with
the nearest name. Reloadable are files, which are read again when their content changes.

";

const CONSOLE_YML_INTRO: &str = "\
# Settings of the console. Lines that start with # are comments: every setting here has its default.
# Secrets do not belong here: use kibana-keystore. All mistakes in this file are reported at start, with their lines.
";

const REFERENCE_INTRO: &str = "\
# Settings

Generated from the settings registry; do not edit.

Settings are in `elasticsearch.yml` in the configuration directory, nested or with dots; `-E key=value`
on the command line wins over the file. `${NAME}` and `${NAME:default}` are replaced by another setting
or an environment variable. Secrets are in the keystore (`elasticsearch-keystore add`).
A setting that is not listed here stops the node, unless Elasticsearch has it and ignoring it is harmless.

A setting applies to the node that it is given to. Dynamic settings can be changed while the cluster runs, then
for all nodes: `PUT /_cluster/settings`. Reloadable are files, which a node reads again when their content changes,
and secrets, which `POST /_nodes/reload_secure_settings` reads from the keystore.

Times have a unit (`500ms`, `5s`, `1m`, `1h`, `1d`), sizes too (`512b`, `16kb`, `100mb`, `1gb`).
Booleans are `true` and `false`.
";

const YML_INTRO: &str = "\
# Settings of this node. Lines that start with # are comments: every setting here has its default.
# Settings may be nested or written with dots; ${NAME} and ${NAME:default} are replaced by
# environment variables. Secrets do not belong here: use elasticsearch-keystore.
# All mistakes in this file are reported at start, with their lines.
";

const YML_COLUMNS: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::registry::registry;

    #[test]
    fn the_reference_lists_every_setting_once() {
        let page = reference_markdown();
        for spec in registry() {
            let row = format!("| `{}` |", spec.pattern());
            assert_eq!(page.matches(&row).count(), 1, "{row}");
        }
        assert!(page.contains("`network.bind_host`, `network.host`, else `_local_`"));
    }

    #[test]
    fn the_file_is_valid_as_it_is_and_line_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("elasticsearch.yml");
        let yml = annotated_yml();
        std::fs::write(&path, &yml).unwrap();
        Settings::load(dir.path(), &[], None).unwrap();
        let entries: Vec<&str> = yml
            .lines()
            .filter(|line| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1)
            .collect();
        assert!(entries.len() > 15);
        for entry in entries {
            std::fs::write(&path, &entry[1..]).unwrap();
            let loaded = Settings::load(dir.path(), &[], None);
            assert!(loaded.is_ok(), "{entry}: {loaded:?}");
        }
        assert!(yml.lines().all(|line| line.len() <= 100));
    }
}
