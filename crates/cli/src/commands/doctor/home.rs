//! The home: settings, keystore, permissions of its files.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ringwall_settings::{Keystore, Settings};

use super::finding::{Finding, Report};
use crate::commands::auto_configuration;
use crate::commands::online::open_keystore;
use crate::error::{CommandError, ExitCode};
use crate::paths::Paths;
use crate::terminal::Terminal;

/// The settings that are good, and whether the keystore was opened.
pub(super) struct Home {
    pub(super) settings: Settings,
    pub(super) is_keystore_open: bool,
    /// The first start is still to come, and secures the node: what is not there yet is no mistake.
    pub(super) is_untouched: bool,
}

impl Home {
    /// Reads what a start reads, and notes every mistake. Errors: the password could not be asked for.
    pub(super) fn read(
        paths: &Paths,
        overrides: &[(String, String)],
        report: &mut Report,
        terminal: &mut Terminal,
    ) -> Result<Self, CommandError> {
        let (keystore, is_keystore_open) = open(&paths.keystore(), report, terminal)?;
        let (settings, problems) =
            Settings::load_leniently(paths.config(), overrides, keystore.as_ref());
        if problems.is_empty() {
            let message = format!("the settings in [{}] are valid", paths.yml().display());
            report.add(Finding::ok("settings", message).file(Some(&paths.yml())));
        }
        for problem in &problems {
            let action = "no node starts with it: correct it (`ringwall settings` tells what each setting takes)";
            let mut finding = Finding::error("settings", problem.to_string()).action(action);
            if let Some(key) = problem.key() {
                finding = finding.setting(key);
            }
            report.add(finding.file(Some(&paths.yml())));
        }
        for warning in settings.warnings() {
            let finding = Finding::warning("settings", warning.to_string());
            report.add(finding.setting(&warning.key).action("remove the setting"));
        }
        let is_good = problems.is_empty() && is_keystore_open;
        let is_untouched = is_good
            && paths.home().is_ok_and(|home| {
                auto_configuration::will_secure(&settings, home, keystore.as_ref())
            });
        if is_untouched {
            let message = "nothing of security is configured: the first start makes certificates and secures the node";
            report.add(Finding::ok("first_start", message));
        }
        Ok(Self {
            settings,
            is_keystore_open,
            is_untouched,
        })
    }
}

fn open(
    path: &Path,
    report: &mut Report,
    terminal: &mut Terminal,
) -> Result<(Option<Keystore>, bool), CommandError> {
    match open_keystore(path, terminal) {
        Ok(keystore) => {
            let message = match &keystore {
                Some(_) => format!("the keystore [{}] opens", path.display()),
                None => "there is no keystore; the first start makes one".to_owned(),
            };
            report.add(Finding::ok("keystore", message).file(Some(path)));
            Ok((keystore, true))
        }
        // What is wrong with the file or its password; everything else ends the command.
        Err(error) if error.exit == ExitCode::DataError => {
            let finding = Finding::error("keystore", error.message).file(Some(path));
            report.add(finding.action(
                "give the password of the keystore; without it nothing that needs a password is checked",
            ));
            Ok((None, false))
        }
        Err(error) => Err(error),
    }
}

/// Notes files that strangers may read or change. `secrets` hold keys; `others` decide whom the node trusts.
pub(super) fn check_permissions(secrets: &[&Path], others: &[&Path], report: &mut Report) {
    for (files, forbidden, what) in [
        (secrets, READ | WRITE, "read or changed"),
        (others, WRITE, "changed"),
    ] {
        for file in files {
            // A file that is missing is told of elsewhere.
            let Ok(metadata) = std::fs::metadata(file) else {
                continue;
            };
            let mode = metadata.permissions().mode();
            if mode & forbidden == 0 {
                continue;
            }
            let (shown, mode) = (file.display(), mode & 0o777);
            let message =
                format!("[{shown}] may be {what} by every user of this machine (mode {mode:o})");
            let action = match forbidden & READ {
                0 => format!("`chmod o-w {shown}`"),
                _ => format!("`chmod o-rw {shown}`"),
            };
            report.add(
                Finding::warning("permissions", message)
                    .file(Some(file))
                    .action(action),
            );
        }
    }
}

/// The rights of others.
const READ: u32 = 0o004;
const WRITE: u32 = 0o002;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_strangers_may_read_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "").unwrap();
        let found = |mode, secrets: &[&Path], others: &[&Path]| {
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            let mut report = Report::default();
            check_permissions(secrets, others, &mut report);
            report.findings.len()
        };
        assert_eq!(found(0o660, &[&file], &[]), 0);
        assert_eq!(found(0o664, &[&file], &[]), 1);
        assert_eq!(found(0o644, &[], &[&file]), 0);
        assert_eq!(found(0o666, &[], &[&file]), 1);
        assert_eq!(found(0o666, &[Path::new("/nowhere/x")], &[]), 0);
    }
}
