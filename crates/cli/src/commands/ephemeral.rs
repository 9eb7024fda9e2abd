//! A superuser for the length of one command, in the files of the node's file realm.
//! Source: Elasticsearch reference, "elasticsearch-reset-password".

use std::path::PathBuf;

use ringwall_base::ids::random_bytes;
use ringwall_security::Hasher;
use ringwall_security::file_realm::{USERS, USERS_ROLES};
use ringwall_security::files::{self, EditLock, FilesError, UsersFile, UsersRolesFile};
use ringwall_settings::Settings;
use ringwall_settings::registry::{realms, security};
use rustix::process::{Pid, test_kill_process};

use super::online::Login;
use super::users::{failed, warn_of_changes};
use crate::error::CommandError;
use crate::password;
use crate::terminal::Terminal;

/// The user, there until [`EphemeralSuperuser::remove`] or, when a command fails, until dropped. What a
/// killed command leaves behind is removed by the next.
pub(super) struct EphemeralSuperuser {
    pub(super) login: Login,
    config: PathBuf,
    is_removed: bool,
}

impl EphemeralSuperuser {
    /// Writes the user into the files. The node takes notice within its reload interval.
    ///
    /// Errors: the file realm is disabled (78); the files cannot be read or written.
    pub(super) fn create(
        settings: &Settings,
        terminal: &mut Terminal,
    ) -> Result<Self, CommandError> {
        let realms = settings.family(&realms::FILE_REALM.enabled);
        if realms.values().any(|enabled| !enabled) {
            return Err(CommandError::config("File realm must be enabled"));
        }
        let algorithm = settings.get(&security::PASSWORD_HASHING_ALGORITHM);
        let password = password::generate(password::ALPHANUMERIC);
        let hash = Hasher::from_setting(&algorithm)
            .and_then(|hasher| hasher.hash(&password))
            .map_err(|error| CommandError::config(error.to_string()))?;
        let user = name();
        let config = settings.config_dir().to_owned();
        edit(&config, terminal, |users, roles| {
            for stale in stale(users) {
                users.remove(&stale);
                roles.set_roles(&stale, &[]);
            }
            users.put(&user, &hash);
            roles.set_roles(&user, &["superuser".to_owned()]);
        })?;
        Ok(Self {
            login: Login { user, password },
            config,
            is_removed: false,
        })
    }

    /// Takes the user out of the files again.
    pub(super) fn remove(mut self, terminal: &mut Terminal) -> Result<(), CommandError> {
        self.is_removed = true;
        self.take_out(terminal)
    }

    fn take_out(&self, terminal: &mut Terminal) -> Result<(), CommandError> {
        edit(&self.config, terminal, |users, roles| {
            users.remove(&self.login.user);
            roles.set_roles(&self.login.user, &[]);
        })
    }
}

impl Drop for EphemeralSuperuser {
    fn drop(&mut self) {
        if self.is_removed {
            return;
        }
        let mut terminal = Terminal::system();
        if let Err(error) = self.take_out(&mut terminal) {
            terminal.err(format!(
                "WARNING: the user [{}] could not be removed from [{}]: {}",
                self.login.user,
                self.config.join(USERS).display(),
                error.message
            ));
        }
    }
}

/// Changes both files: first the roles, so that a user is never there with less than it should have.
fn edit(
    config: &std::path::Path,
    terminal: &mut Terminal,
    change: impl FnOnce(&mut UsersFile, &mut UsersRolesFile),
) -> Result<(), CommandError> {
    let _lock = EditLock::acquire(config).map_err(failed)?;
    let read = |name: &str| match files::read(&config.join(name)) {
        Err(FilesError::NotFound { .. }) => Ok(String::new()),
        read => read.map_err(failed),
    };
    let (mut users, _) = UsersFile::parse(&read(USERS)?);
    let (mut roles, _) = UsersRolesFile::parse(&read(USERS_ROLES)?);
    change(&mut users, &mut roles);
    for (name, content) in [(USERS_ROLES, roles.render()), (USERS, users.render())] {
        let path = config.join(name);
        let replaced = files::write(&path, &content).map_err(failed)?;
        warn_of_changes(&path.display().to_string(), replaced, terminal);
    }
    Ok(())
}

/// Returns a name that tells which process made it: a prefix and eight letters and digits.
fn name() -> String {
    let mut number = std::process::id();
    let mut pid = [b'0'; PID_DIGITS];
    for digit in pid.iter_mut().rev() {
        *digit = DIGITS[(number % BASE) as usize];
        number /= BASE;
    }
    let random = random_bytes::<RANDOM_DIGITS>();
    let random = random.map(|byte| DIGITS[usize::from(byte) % DIGITS.len()]);
    let digits = pid.iter().chain(&random).map(|digit| char::from(*digit));
    PREFIX.chars().chain(digits).collect()
}

/// Returns the users of commands that no longer run.
fn stale(users: &UsersFile) -> Vec<String> {
    let ours = users.names().filter(|name| {
        let Some(digits) = name.strip_prefix(PREFIX) else {
            return false;
        };
        let is_running = (digits.len() == PID_DIGITS + RANDOM_DIGITS)
            .then(|| digits.get(..PID_DIGITS))
            .flatten()
            .and_then(|pid| i32::from_str_radix(pid, BASE).ok())
            .and_then(Pid::from_raw)
            .is_some_and(|pid| test_kill_process(pid).is_ok());
        !is_running
    });
    ours.map(str::to_owned).collect()
}

const PREFIX: &str = "autogenerated_";
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const BASE: u32 = 36;
/// Enough for the largest process id of Linux, 2^22.
const PID_DIGITS: usize = 5;
const RANDOM_DIGITS: usize = 3;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings(config: &Path, more: &[(&str, &str)]) -> Settings {
        Settings::from_overrides(config, more, None).unwrap()
    }

    #[test]
    fn the_user_comes_and_goes_and_cleans_up_after_the_killed() {
        let config = tempfile::tempdir().unwrap();
        let hash = "$2a$10$vI8aWBnW3fID.ZQ4/zo1G.q1lRps.9cGLcZEiGDMVr5yUP1KUOYTa";
        let write =
            |name: &str, text: &str| std::fs::write(config.path().join(name), text).unwrap();
        let read = |name: &str| std::fs::read_to_string(config.path().join(name)).unwrap();
        // No process has the id 0, nor one that is no number.
        let left = format!("ann:{hash}\nautogenerated_00000abc:{hash}\nautogenerated_!:{hash}\n");
        write(USERS, &left);
        write(
            USERS_ROLES,
            "superuser:autogenerated_00000abc\nviewer:ann\n",
        );
        let (mut terminal, ..) = Terminal::scripted("");
        let made =
            EphemeralSuperuser::create(&settings(config.path(), &[]), &mut terminal).unwrap();
        let user = made.login.user.clone();
        assert_eq!(user.len(), PREFIX.len() + 8);
        assert_eq!(
            stale(&UsersFile::parse(&read(USERS)).0),
            Vec::<String>::new()
        );
        assert_eq!(
            UsersFile::parse(&read(USERS)).0.names().collect::<Vec<_>>(),
            ["ann", &user]
        );
        assert_eq!(read(USERS_ROLES), format!("viewer:ann\nsuperuser:{user}\n"));
        made.remove(&mut terminal).unwrap();
        assert_eq!(read(USERS), format!("ann:{hash}\n"));
        assert_eq!(read(USERS_ROLES), "viewer:ann\n");
        drop(EphemeralSuperuser::create(&settings(config.path(), &[]), &mut terminal).unwrap());
        assert_eq!(read(USERS), format!("ann:{hash}\n"));
    }

    #[test]
    fn without_the_file_realm_there_is_none() {
        let config = tempfile::tempdir().unwrap();
        let off = settings(
            config.path(),
            &[("xpack.security.authc.realms.file.file1.enabled", "false")],
        );
        let (mut terminal, ..) = Terminal::scripted("");
        let refused = EphemeralSuperuser::create(&off, &mut terminal)
            .err()
            .unwrap();
        assert_eq!(refused.message, "File realm must be enabled");
    }
}
