//! `ringwall settings`: the reference of all settings, out of the registry that reads them.

use ringwall_settings::{docs, registry};
use serde_json::json;

use crate::error::CommandError;
use crate::terminal::Terminal;

/// Arguments of `settings`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Prints the reference of all settings",
    after_help = "Examples:\n  \
        ringwall settings | less\n  \
        ringwall settings xpack.security.http\n  \
        ringwall settings --json"
)]
pub struct SettingsArgs {
    /// Only settings whose name contains this
    #[arg(value_name = "PART")]
    part: Option<String>,
    /// Print a JSON array with one object for each setting
    #[arg(long)]
    json: bool,
}

/// Prints what the registry knows.
pub fn run(args: &SettingsArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let wanted = |name: &str| args.part.as_ref().is_none_or(|part| name.contains(part));
    let found: Vec<_> = registry::registry()
        .filter(|spec| wanted(&spec.pattern()))
        .collect();
    if found.is_empty() {
        let part = args.part.as_deref().unwrap_or_default();
        let error = CommandError::data("no setting has these words in its name");
        let keys = registry::registry().map(|spec| spec.info().key);
        return Err(match ringwall_base::suggest::nearest(part, keys).first() {
            Some(near) => error.with_hint(format!("did you mean [{near}]?")),
            None => error,
        });
    }
    if args.json {
        let all: Vec<_> = found
            .iter()
            .map(|spec| {
                let info = spec.info();
                json!({
                    "name": spec.pattern(),
                    "type": spec.kind(),
                    "default": spec.default_text(),
                    "fallbacks": info.fallbacks,
                    "meaning": info.doc,
                    "example": info.example,
                    "secure": info.is_secure,
                    "scope": info.scope.as_str(),
                    "dynamic": info.is_dynamic,
                    "reloadable": info.is_reloadable,
                    "deprecated": info.deprecated,
                    "only_here": info.is_ours,
                })
            })
            .collect();
        terminal.result(json!(all).to_string());
        return Ok(());
    }
    if args.part.is_none() {
        terminal.result(docs::reference_markdown());
        return Ok(());
    }
    for spec in found {
        let info = spec.info();
        terminal.result(format!("{} ({})", spec.pattern(), spec.kind()));
        terminal.result(format!("    {}", info.doc));
        if let Some(default) = spec.default_text() {
            terminal.result(format!("    default: {default}"));
        }
        if let Some(example) = info.example {
            terminal.result(format!("    example: {example}"));
        }
        if let Some(why) = info.deprecated {
            terminal.result(format!("    deprecated: {why}"));
        }
    }
    Ok(())
}
