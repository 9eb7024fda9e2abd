//! `elasticsearch-users`: manages the users of the file realm. Source: Elasticsearch reference,
//! "elasticsearch-users".

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Subcommand;
use ringwall_base::SecretString;
use ringwall_base::fs::Replaced;
use ringwall_security::authz::reserved_roles;
use ringwall_security::file_realm::{USERS, USERS_ROLES};
use ringwall_security::files::{
    self, EditLock, FileProblem, FilesError, UsersFile, UsersRolesFile, check_password,
    check_role_name, check_username,
};
use ringwall_security::{Hasher, SecurityError};
use ringwall_settings::Settings;
use ringwall_settings::registry::security;
use serde_json::json;

use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::paths::Paths;
use crate::terminal::Terminal;

/// Arguments of `users`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Manages the users of the file realm, in config/users and config/users_roles",
    after_help = "Examples:\n  \
        elasticsearch-users useradd ann -r superuser          asks for the password\n  \
        elasticsearch-users useradd ann --password-file pw    takes the first line of the file\n  \
        elasticsearch-users roles ann -a viewer -r superuser\n  \
        elasticsearch-users list --json\n\n\
        A running node sees the change within five seconds. Each node has its own files."
)]
pub struct UsersArgs {
    #[command(subcommand)]
    command: UsersCommand,
}

#[derive(Debug, Subcommand)]
enum UsersCommand {
    /// Add a user
    #[command(after_help = "Examples:\n  \
        elasticsearch-users useradd ann -r superuser")]
    Useradd {
        #[arg(value_name = "USERNAME")]
        names: Vec<String>,
        #[command(flatten)]
        password: PasswordArgs,
        /// Roles of the user, separated by commas
        #[arg(short, long, value_name = "LIST", value_delimiter = ',')]
        roles: Vec<String>,
    },
    /// Remove a user
    #[command(after_help = "Examples:\n  \
        elasticsearch-users userdel ann")]
    Userdel {
        #[arg(value_name = "USERNAME")]
        names: Vec<String>,
    },
    /// Change the password of a user
    #[command(after_help = "Examples:\n  \
        elasticsearch-users passwd ann")]
    Passwd {
        #[arg(value_name = "USERNAME")]
        names: Vec<String>,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Show or change the roles of a user
    #[command(after_help = "Examples:\n  \
        elasticsearch-users roles ann -a viewer -r superuser")]
    Roles {
        #[arg(value_name = "USERNAME")]
        names: Vec<String>,
        /// Roles to give, separated by commas
        #[arg(short, long, value_name = "LIST", value_delimiter = ',')]
        add: Vec<String>,
        /// Roles to take, separated by commas; after those given
        #[arg(short, long, value_name = "LIST", value_delimiter = ',')]
        remove: Vec<String>,
    },
    /// List users with their roles
    #[command(after_help = "Examples:\n  \
        elasticsearch-users list --json")]
    List {
        #[arg(value_name = "USERNAME")]
        names: Vec<String>,
        /// Print a JSON object: roles by user
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct PasswordArgs {
    /// The password; visible to everyone who can list processes, so better ask, pipe or use a file
    #[arg(short, long, value_name = "PASSWORD")]
    password: Option<SecretString>,
    /// Read the password from the first line of a file
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    password_file: Option<PathBuf>,
    /// Read the password from the first line of standard input, once
    #[arg(long, conflicts_with_all = ["password", "password_file"])]
    password_stdin: bool,
}

/// Runs a users command.
pub fn run(
    args: UsersArgs,
    common: &CommonArgs,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let paths = Paths::resolve()?;
    let mut tool = Tool {
        paths,
        common,
        terminal,
    };
    match args.command {
        UsersCommand::Useradd {
            names,
            password,
            roles,
        } => tool.add(&one(names)?, &password, roles),
        UsersCommand::Userdel { names } => tool.delete(&one(names)?),
        UsersCommand::Passwd { names, password } => tool.passwd(&one(names)?, &password),
        UsersCommand::Roles { names, add, remove } => tool.roles(&one(names)?, add, &remove),
        UsersCommand::List { mut names, json } => match names.len() {
            0 | 1 => tool.list(names.pop().as_deref(), json),
            _ => Err(extra(&names[1..])),
        },
    }
}

struct Tool<'a> {
    paths: Paths,
    common: &'a CommonArgs,
    terminal: &'a mut Terminal,
}

impl Tool<'_> {
    fn add(
        &mut self,
        name: &str,
        password: &PasswordArgs,
        roles: Vec<String>,
    ) -> Result<(), CommandError> {
        check_username(name).map_err(CommandError::data)?;
        let roles = distinct(roles);
        self.check_roles(&roles)?;
        let password = self.password(password)?;
        let hash = self.hash(&password)?;
        let _lock = self.lock()?;
        let mut users = self.users(Missing::Empty)?;
        if users.hash(name).is_some() {
            let message = format!("User [{name}] already exists");
            return Err(CommandError::new(ExitCode::CodeError, message));
        }
        users.put(name, &hash);
        // The roles first: with the user comes what it may do.
        self.set_roles(name, &roles)?;
        self.save(USERS, &users.render())
    }

    fn delete(&mut self, name: &str) -> Result<(), CommandError> {
        let _lock = self.lock()?;
        let mut users = self.users(Missing::Fails)?;
        if !users.remove(name) {
            return Err(unknown(name));
        }
        self.save(USERS, &users.render())?;
        self.set_roles(name, &[])
    }

    fn passwd(&mut self, name: &str, password: &PasswordArgs) -> Result<(), CommandError> {
        if self.users(Missing::Fails)?.hash(name).is_none() {
            return Err(unknown(name));
        }
        let password = self.password(password)?;
        let hash = self.hash(&password)?;
        let _lock = self.lock()?;
        let mut users = self.users(Missing::Fails)?;
        if users.hash(name).is_none() {
            return Err(unknown(name));
        }
        users.put(name, &hash);
        self.save(USERS, &users.render())
    }

    fn roles(
        &mut self,
        name: &str,
        add: Vec<String>,
        remove: &[String],
    ) -> Result<(), CommandError> {
        if add.is_empty() && remove.is_empty() {
            return self.list(Some(name), false);
        }
        self.check_roles(&add)?;
        for role in remove {
            check_role_name(role).map_err(CommandError::data)?;
        }
        let _lock = self.lock()?;
        if self.users(Missing::Fails)?.hash(name).is_none() {
            return Err(unknown(name));
        }
        let mut roles = self.users_roles()?.roles(name);
        roles.extend(add);
        let mut roles = distinct(roles);
        roles.retain(|role| !remove.contains(role));
        self.set_roles(name, &roles)
    }

    fn list(&mut self, name: Option<&str>, as_json: bool) -> Result<(), CommandError> {
        let users = self.users(Missing::Fails)?;
        let roles = self.users_roles()?;
        let known = self.known_roles()?;
        let mut names: Vec<&str> = users.names().collect();
        names.sort_unstable();
        if let Some(name) = name {
            if users.hash(name).is_none() {
                return Err(unknown(name));
            }
            names.retain(|user| *user == name);
        }
        if as_json {
            let all = names
                .iter()
                .map(|user| ((*user).to_owned(), json!(roles.roles(user))));
            let object: serde_json::Map<_, _> = all.collect();
            self.terminal.result(json!(object).to_string());
            return Ok(());
        }
        if names.is_empty() {
            self.terminal.out("No users found");
            return Ok(());
        }
        let mut some_unknown = false;
        for user in names {
            let shown = roles.roles(user).into_iter().map(|role| {
                let is_known = known.contains(&role);
                some_unknown |= !is_known;
                if is_known { role } else { format!("{role}*") }
            });
            let shown: Vec<String> = shown.collect();
            let shown = match shown.is_empty() {
                true => "-".to_owned(),
                false => shown.join(","),
            };
            self.terminal.out(format!("{user:<15}: {shown}"));
        }
        if some_unknown {
            self.terminal.out(format!(
                "\n [*]   Role is not in the [{}] file. If the role has been created using the API, please \
                 disregard this message.",
                self.paths.config_path(ROLES).display()
            ));
        }
        Ok(())
    }

    /// Returns the new password: given, or asked for twice.
    fn password(&mut self, args: &PasswordArgs) -> Result<SecretString, CommandError> {
        let password = if let Some(password) = &args.password {
            password.clone()
        } else if let Some(file) = &args.password_file {
            first_line(file)?
        } else if args.password_stdin {
            SecretString::new(self.terminal.read_stdin_line()?)
        } else {
            let first = self.terminal.secret("Enter new password: ")?;
            check_password(&first).map_err(CommandError::data)?;
            if self.terminal.secret("Retype new password: ")? != first {
                return Err(CommandError::data("Password mismatch"));
            }
            first
        };
        check_password(&password).map_err(CommandError::data)?;
        Ok(password)
    }

    fn hash(&self, password: &SecretString) -> Result<String, CommandError> {
        let algorithm = self.settings()?.get(&security::PASSWORD_HASHING_ALGORITHM);
        let hasher = Hasher::from_setting(&algorithm);
        let hasher = hasher.map_err(|error| CommandError::config(error.to_string()))?;
        hasher.hash(password).map_err(|error| match error {
            SecurityError::PasswordTooLong { .. } => CommandError::data(error.to_string()),
            other => CommandError::new(ExitCode::Failure, other.to_string()),
        })
    }

    /// The keystore stays closed: no secure setting is needed.
    fn settings(&self) -> Result<Settings, CommandError> {
        Settings::load(self.paths.config(), &self.common.overrides()?, None)
            .map_err(|error| CommandError::config(error.to_string()))
    }

    fn check_roles(&mut self, roles: &[String]) -> Result<(), CommandError> {
        for role in roles {
            check_role_name(role).map_err(CommandError::data)?;
        }
        let known = self.known_roles()?;
        let unknown: Vec<&str> = roles
            .iter()
            .filter(|role| !known.contains(*role))
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            self.terminal.err(format!(
                "Warning: The following roles [{}] are not in the [{}] file. Make sure the names are correct. If \
                 the names are correct and the roles were created using the API please disregard this message. \
                 Nonetheless the user will still be associated with all specified roles\nKnown roles: [{}]",
                unknown.join(", "),
                self.paths.config_path(ROLES).display(),
                known.join(", ")
            ));
        }
        Ok(())
    }

    /// Returns the names of the built-in roles and of those in `roles.yml`.
    fn known_roles(&self) -> Result<BTreeSet<String>, CommandError> {
        let mut known: BTreeSet<String> =
            reserved_roles().map(|(name, _)| name.to_owned()).collect();
        let path = self.paths.config_path(ROLES);
        let text = match files::read(&path) {
            Ok(text) => text,
            Err(FilesError::NotFound { .. }) => return Ok(known),
            Err(error) => return Err(failed(error)),
        };
        if text
            .lines()
            .all(|line| line.trim().is_empty() || line.starts_with('#'))
        {
            return Ok(known);
        }
        let roles: serde_json::Map<String, serde_json::Value> = serde_saphyr::from_str(&text)
            .map_err(|error| {
                CommandError::config(format!(
                    "[{}] is not a file of roles: {error}",
                    path.display()
                ))
            })?;
        known.extend(roles.into_iter().map(|(name, _)| name));
        Ok(known)
    }

    fn lock(&self) -> Result<EditLock, CommandError> {
        EditLock::acquire(self.paths.config()).map_err(failed)
    }

    fn users(&mut self, missing: Missing) -> Result<UsersFile, CommandError> {
        let text = self.read(USERS, missing)?;
        let (users, problems) = UsersFile::parse(&text);
        self.warn(USERS, &problems);
        Ok(users)
    }

    fn users_roles(&mut self) -> Result<UsersRolesFile, CommandError> {
        let text = self.read(USERS_ROLES, Missing::Empty)?;
        let (roles, problems) = UsersRolesFile::parse(&text);
        self.warn(USERS_ROLES, &problems);
        Ok(roles)
    }

    fn set_roles(&mut self, name: &str, roles: &[String]) -> Result<(), CommandError> {
        let mut file = self.users_roles()?;
        let before = file.render();
        file.set_roles(name, roles);
        match file.render() {
            same if same == before => Ok(()),
            changed => self.save(USERS_ROLES, &changed),
        }
    }

    fn read(&self, name: &str, missing: Missing) -> Result<String, CommandError> {
        match (files::read(&self.paths.config_path(name)), missing) {
            (Err(FilesError::NotFound { .. }), Missing::Empty) => Ok(String::new()),
            (read, _) => read.map_err(failed),
        }
    }

    fn save(&mut self, name: &str, content: &str) -> Result<(), CommandError> {
        let path = self.paths.config_path(name);
        let replaced = files::write(&path, content).map_err(failed)?;
        warn_of_changes(&path.display().to_string(), replaced, self.terminal);
        Ok(())
    }

    fn warn(&mut self, name: &str, problems: &[FileProblem]) {
        let path = self.paths.config_path(name);
        for FileProblem { line, reason } in problems {
            self.terminal.err(format!(
                "WARNING: line [{line}] of [{}] is ignored: {reason}",
                path.display()
            ));
        }
    }
}

/// What a missing file means.
#[derive(Clone, Copy)]
enum Missing {
    Empty,
    Fails,
}

/// Says what of a replaced file could not be kept.
pub(super) fn warn_of_changes(path: &str, replaced: Replaced, terminal: &mut Terminal) {
    for (kind, change) in [("Owner", replaced.owner), ("Group", replaced.group)] {
        if let Some((old, new)) = change {
            terminal.err(format!(
                "WARNING: {kind} of file [{path}] used to be [{old}], but now is [{new}]; give it back, or the \
                 node may not be able to read it"
            ));
        }
    }
}

/// Gives a failure to read or write its exit status.
pub(super) fn failed(error: FilesError) -> CommandError {
    let message = error.to_string();
    match error {
        FilesError::Io { path, source } => CommandError::io(&path, &source),
        FilesError::NotFound { .. } => CommandError::config(message),
        FilesError::TooLarge { .. } | FilesError::NotText { .. } => CommandError::data(message),
    }
}

/// Returns the first line of a file that holds a password.
pub(super) fn first_line(file: &std::path::Path) -> Result<SecretString, CommandError> {
    let content = std::fs::read(file).map_err(|error| CommandError::io(file, &error))?;
    let content = zeroize::Zeroizing::new(content);
    let line = content
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| {
        CommandError::data(format!(
            "the first line of [{}] is not UTF-8",
            file.display()
        ))
    })?;
    Ok(SecretString::from(text))
}

fn one(mut names: Vec<String>) -> Result<String, CommandError> {
    if names.len() > 1 {
        return Err(extra(&names[1..]));
    }
    names
        .pop()
        .ok_or_else(|| CommandError::usage("Missing username argument"))
}

fn extra(names: &[String]) -> CommandError {
    CommandError::usage(format!(
        "Expected a single username argument, found [{}] extra",
        names.len()
    ))
}

fn unknown(name: &str) -> CommandError {
    CommandError::new(ExitCode::NoUser, format!("User [{name}] doesn't exist"))
}

/// Removes empty and repeated roles.
fn distinct(roles: Vec<String>) -> Vec<String> {
    let mut seen = Vec::with_capacity(roles.len());
    for role in roles {
        if !role.is_empty() && !seen.contains(&role) {
            seen.push(role);
        }
    }
    seen
}

const ROLES: &str = "roles.yml";
