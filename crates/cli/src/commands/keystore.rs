//! `elasticsearch-keystore`: manages the secure settings of a node. Source: Elasticsearch reference,
//! "elasticsearch-keystore".

mod console;
mod import;

pub use console::{ConsoleKeystoreArgs, run as run_console};

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use ringwall_base::{SecretBytes, SecretString};
use ringwall_settings::keystore::{FormatVersion, Keystore, KeystoreFile, check_name};
use ringwall_settings::{KeystoreError, registry};

use zeroize::Zeroizing;

use super::users::first_line;
use crate::error::{CommandError, ExitCode};
use crate::paths::Paths;
use crate::terminal::Terminal;

/// Arguments of `keystore`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Manages the secure settings of a node, in config/elasticsearch.keystore",
    after_help = "Examples:\n  \
        elasticsearch-keystore create -p\n  \
        elasticsearch-keystore add xpack.security.transport.ssl.keystore.secure_password\n  \
        printf '%s\\n' \"$SECRET\" | elasticsearch-keystore set --if-changed -x bootstrap.password\n  \
        elasticsearch-keystore import --dir /run/secrets --prune --dry-run\n\n\
        From a pipe, the first line is the password of a protected keystore, unless --password-file names it."
)]
pub struct KeystoreArgs {
    /// Read the password of the keystore from the first line of a file
    #[arg(long, value_name = "FILE", global = true)]
    password_file: Option<PathBuf>,
    /// Format to write instead of the default, for sharing the file with an older node: 4 to 7
    #[arg(long, value_name = "VERSION", global = true)]
    format: Option<i32>,
    #[command(subcommand)]
    command: KeystoreCommand,
}

#[derive(Debug, Subcommand)]
enum KeystoreCommand {
    /// Create a new keystore
    #[command(after_help = "Examples:\n  \
        elasticsearch-keystore create        without a password\n  \
        elasticsearch-keystore create -p     asks for one")]
    Create {
        /// Prompt for a password to encrypt the keystore with
        #[arg(short, long)]
        password: bool,
    },
    /// List the names of the settings
    #[command(after_help = "Examples:\n  \
        elasticsearch-keystore list\n  \
        elasticsearch-keystore list --json")]
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show the value of a setting
    #[command(after_help = "Examples:\n  \
        elasticsearch-keystore show bootstrap.password")]
    Show {
        /// Print a JSON object: `value`, or `base64` where it is no text
        #[arg(long)]
        json: bool,
        #[arg(value_name = "SETTING")]
        settings: Vec<String>,
    },
    /// Add text settings
    #[command(after_help = "Examples:\n  \
        elasticsearch-keystore add bootstrap.password\n  \
        printf '%s\\n' \"$SECRET\" | elasticsearch-keystore add -x -f bootstrap.password")]
    Add {
        /// Overwrite existing settings without asking, and create the keystore if missing
        #[arg(short, long)]
        force: bool,
        /// Read the values from standard input, one line for each setting
        #[arg(short = 'x', long)]
        stdin: bool,
        #[arg(value_name = "SETTING")]
        settings: Vec<String>,
    },
    /// Set a text setting, whether it is there or not; says `changed` or `unchanged`
    #[command(after_help = "Examples:\n  \
        elasticsearch-keystore set bootstrap.password\n  \
        elasticsearch-keystore set --if-changed --value-file secret.txt bootstrap.password")]
    Set {
        /// Leave the file as it is when the setting has that value already
        #[arg(long)]
        if_changed: bool,
        /// Read the value from standard input, one line
        #[arg(short = 'x', long)]
        stdin: bool,
        /// Read the value from a file, without the line end at its end
        #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
        value_file: Option<PathBuf>,
        /// Take the value of an environment variable
        #[arg(long, value_name = "NAME", conflicts_with_all = ["stdin", "value_file"])]
        value_env: Option<String>,
        #[arg(value_name = "SETTING")]
        setting: String,
    },
    /// Make the keystore hold the settings of a JSON object, a directory or the environment
    #[command(after_help = "Examples:\n  \
        elasticsearch-keystore import --dir /run/secrets --prune --dry-run\n  \
        elasticsearch-keystore import --json secrets.json")]
    Import {
        #[command(flatten)]
        sources: import::ImportSources,
        /// Remove settings that the sources do not name, except keystore.seed
        #[arg(long)]
        prune: bool,
        /// Say what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Add settings whose values are files
    #[command(after_help = "Examples:\n  \
        elasticsearch-keystore add-file gcs.client.default.credentials_file account.json")]
    AddFile {
        /// Overwrite existing settings without asking, and create the keystore if missing
        #[arg(short, long)]
        force: bool,
        #[arg(value_name = "SETTING PATH")]
        pairs: Vec<String>,
    },
    /// Remove settings
    #[command(after_help = "Examples:\n  \
        elasticsearch-keystore remove bootstrap.password")]
    Remove {
        #[arg(value_name = "SETTING")]
        settings: Vec<String>,
    },
    /// Rewrite the keystore in a newer format
    #[command(after_help = "Examples:\n  \
        elasticsearch-keystore upgrade\n  \
        elasticsearch-keystore upgrade --format 4    for a node of version 7")]
    Upgrade,
    /// Change or remove the password
    #[command(
        visible_alias = "rotate-password",
        after_help = "Examples:\n  \
        elasticsearch-keystore passwd\n  \
        elasticsearch-keystore --password-file old.txt passwd --new-password-file new.txt"
    )]
    Passwd {
        /// Read the new password from the first line of a file
        #[arg(long, value_name = "FILE")]
        new_password_file: Option<PathBuf>,
    },
    /// Succeed if the keystore has a password
    #[command(after_help = "Examples:\n  \
        elasticsearch-keystore has-passwd && echo protected")]
    HasPasswd {
        /// Print a JSON object: `exists` and `protected`
        #[arg(long)]
        json: bool,
    },
}

/// Runs a keystore command.
pub fn run(args: KeystoreArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let paths = Paths::resolve()?;
    let mut tool = Tool {
        path: paths.keystore(),
        owner: Owner::Node,
        password_file: args.password_file,
        format: args.format.map(format_version).transpose()?,
        terminal,
    };
    match args.command {
        KeystoreCommand::Create { password } => tool.create(password),
        KeystoreCommand::List { json } => tool.list(json),
        KeystoreCommand::Show { json, settings } => tool.show(&settings, json),
        KeystoreCommand::Add {
            force,
            stdin,
            settings,
        } => tool.add(&settings, force, stdin),
        KeystoreCommand::Set {
            if_changed,
            stdin,
            value_file,
            value_env,
            setting,
        } => {
            let mut keystore = tool.open_or_new()?;
            let value = tool.value(&setting, stdin, value_file.as_deref(), value_env.as_deref())?;
            tool.set(&mut keystore, &setting, value, if_changed)
        }
        KeystoreCommand::Import {
            sources,
            prune,
            dry_run,
        } => tool.import(&sources, prune, dry_run),
        KeystoreCommand::AddFile { force, pairs } => tool.add_file(&pairs, force, &paths),
        KeystoreCommand::Remove { settings } => tool.remove(&settings),
        KeystoreCommand::Upgrade => tool.upgrade(),
        KeystoreCommand::Passwd { new_password_file } => tool.passwd(new_password_file.as_deref()),
        KeystoreCommand::HasPasswd { json } => tool.has_passwd(json),
    }
}

/// Whose keystore it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Node,
    Console,
}

impl Owner {
    /// Returns a sentence about the keystore of a node as one about this one's.
    fn words(self, text: &str) -> String {
        match self {
            Self::Node => text.to_owned(),
            Self::Console => text
                .replace("An elasticsearch keystore", "A Kibana keystore")
                .replace("elasticsearch keystore", "Kibana keystore"),
        }
    }

    /// Warns of a name that it would refuse.
    fn name_warning(self, name: &str) -> Option<String> {
        match self {
            Self::Node => name_warning(name),
            Self::Console => console::name_warning(name),
        }
    }
}

struct Tool<'a> {
    path: PathBuf,
    owner: Owner,
    password_file: Option<PathBuf>,
    /// `None` for the format that suits the password.
    format: Option<FormatVersion>,
    terminal: &'a mut Terminal,
}

impl Tool<'_> {
    fn create(&mut self, with_password: bool) -> Result<(), CommandError> {
        let password = match with_password {
            true => self.new_password()?,
            false => SecretString::default(),
        };
        if self.path.exists() && !self.confirm(&self.owner.words(OVERWRITE_KEYSTORE))? {
            self.terminal.out(NOT_CREATED);
            return Ok(());
        }
        self.save(&Keystore::create(password))?;
        let path = self.path.display().to_string();
        let created = format!("Created elasticsearch keystore in {path}");
        self.terminal.out(self.owner.words(&created));
        Ok(())
    }

    fn list(&mut self, as_json: bool) -> Result<(), CommandError> {
        let keystore = self.open()?;
        if as_json {
            let names: Vec<&str> = keystore.list().collect();
            self.terminal.result(serde_json::json!(names).to_string());
            return Ok(());
        }
        for name in keystore.list() {
            self.terminal.result(name);
        }
        Ok(())
    }

    fn show(&mut self, settings: &[String], as_json: bool) -> Result<(), CommandError> {
        let [name] = settings else {
            return Err(CommandError::usage(
                "Must provide a single setting name to show",
            ));
        };
        let keystore = self.open()?;
        let Some(value) = keystore.get_bytes(name) else {
            return Err(not_in_keystore(name));
        };
        let text = std::str::from_utf8(value.expose()).ok();
        if as_json {
            let json = Zeroizing::new(match text {
                Some(text) => serde_json::json!({"name": name, "value": text}).to_string(),
                None => {
                    let base64 = STANDARD.encode(value.expose());
                    serde_json::json!({"name": name, "base64": base64}).to_string()
                }
            });
            self.terminal.result(json.as_str());
            return Ok(());
        }
        let is_text = text.is_some();
        let is_screen = self.terminal.output_is_terminal();
        if is_screen && !is_text {
            let message = "Please redirect binary output to a file instead";
            return Err(CommandError::new(ExitCode::IoError, message));
        }
        self.terminal.write_raw(value.expose());
        if is_screen {
            self.terminal.write_raw(b"\n");
        }
        Ok(())
    }

    fn add(&mut self, settings: &[String], force: bool, stdin: bool) -> Result<(), CommandError> {
        if settings.is_empty() {
            return Err(CommandError::usage("the setting names can not be empty"));
        }
        let Some(mut keystore) = self.open_or_create(force)? else {
            return Ok(());
        };
        for name in settings {
            check_name(name).map_err(command_error)?;
            if !self.may_set(&keystore, name, force)? {
                return Ok(());
            }
            let value = match stdin {
                true => SecretString::new(self.terminal.read_stdin_line()?),
                false => self.terminal.secret(&format!("Enter value for {name}: "))?,
            };
            keystore.set(name, &value).map_err(command_error)?;
        }
        self.save(&keystore)
    }

    fn value(
        &mut self,
        name: &str,
        stdin: bool,
        file: Option<&Path>,
        variable: Option<&str>,
    ) -> Result<SecretString, CommandError> {
        if let Some(variable) = variable {
            let value = std::env::var(variable).map_err(|_| {
                CommandError::usage(format!(
                    "there is no environment variable [{variable}] of text"
                ))
            })?;
            return Ok(SecretString::new(value));
        }
        if let Some(file) = file {
            let content = read_file(file, None)?;
            let text = std::str::from_utf8(content.expose()).map_err(|_| {
                let message = format!("[{}] is not UTF-8; use add-file", file.display());
                CommandError::data(message)
            })?;
            let text = text.strip_suffix('\n').unwrap_or(text);
            return Ok(text.strip_suffix('\r').unwrap_or(text).into());
        }
        match stdin {
            true => Ok(SecretString::new(self.terminal.read_stdin_line()?)),
            false => self.terminal.secret(&format!("Enter value for {name}: ")),
        }
    }

    fn set(
        &mut self,
        keystore: &mut Keystore,
        name: &str,
        value: SecretString,
        if_changed: bool,
    ) -> Result<(), CommandError> {
        check_name(name).map_err(command_error)?;
        if let Some(warning) = name_warning(name) {
            self.terminal.err(warning);
        }
        let bytes = SecretBytes::new(value.expose().as_bytes());
        let is_same = keystore.get_bytes(name) == Some(&bytes);
        if !is_same || !if_changed {
            keystore.set(name, &value).map_err(command_error)?;
            self.save(keystore)?;
        }
        self.terminal
            .out(if is_same { "unchanged" } else { "changed" });
        Ok(())
    }

    fn import(
        &mut self,
        sources: &import::ImportSources,
        prune: bool,
        dry_run: bool,
    ) -> Result<(), CommandError> {
        let mut keystore = self.open_or_new()?;
        let wanted = sources.read(self.terminal)?;
        for name in wanted.keys() {
            check_name(name).map_err(command_error)?;
            if let Some(warning) = name_warning(name) {
                self.terminal.err(warning);
            }
        }
        let changes = import::Changes::between(&keystore, &wanted, prune);
        for (word, names) in [
            ("added", &changes.added),
            ("changed", &changes.changed),
            ("removed", &changes.removed),
        ] {
            for name in names {
                self.terminal.out(format!("{word} {name}"));
            }
        }
        if changes.is_empty() {
            self.terminal.out("unchanged");
        }
        if dry_run || changes.is_empty() {
            return Ok(());
        }
        for name in changes.added.iter().chain(&changes.changed) {
            if let Some(value) = wanted.get(name) {
                keystore
                    .set_file(name, value.clone())
                    .map_err(command_error)?;
            }
        }
        for name in &changes.removed {
            keystore.remove(name);
        }
        self.save(&keystore)
    }

    fn add_file(
        &mut self,
        pairs: &[String],
        force: bool,
        paths: &Paths,
    ) -> Result<(), CommandError> {
        if pairs.is_empty() {
            return Err(CommandError::usage("Missing setting name"));
        }
        if !pairs.len().is_multiple_of(2) {
            let message = "settings and filenames must come in pairs";
            return Err(CommandError::usage(message));
        }
        let Some(mut keystore) = self.open_or_create(force)? else {
            return Ok(());
        };
        for [name, path] in pairs.as_chunks().0 {
            check_name(name).map_err(command_error)?;
            if !self.may_set(&keystore, name, force)? {
                return Ok(());
            }
            let content = read_file(&paths.input_path(path), Some(name))?;
            keystore.set_file(name, content).map_err(command_error)?;
        }
        self.save(&keystore)
    }

    fn remove(&mut self, settings: &[String]) -> Result<(), CommandError> {
        if settings.is_empty() {
            let message = "Must supply at least one setting to remove";
            return Err(CommandError::usage(message));
        }
        let mut keystore = self.open()?;
        for name in settings {
            if !keystore.remove(name) {
                return Err(not_in_keystore(name));
            }
        }
        self.save(&keystore)
    }

    fn upgrade(&mut self) -> Result<(), CommandError> {
        let mut keystore = self.open()?;
        match keystore.upgrade() || self.format.is_some() {
            true => self.save(&keystore),
            false => Ok(()),
        }
    }

    fn passwd(&mut self, new: Option<&Path>) -> Result<(), CommandError> {
        let mut keystore = self.open()?;
        keystore.set_password(match new {
            Some(file) => first_line(file)?,
            None => self.new_password()?,
        });
        self.save(&keystore)?;
        self.terminal
            .out("Elasticsearch keystore password changed successfully.");
        Ok(())
    }

    /// Never decrypts. Fails with status 1, and without a word when silent.
    fn has_passwd(&mut self, as_json: bool) -> Result<(), CommandError> {
        let file = KeystoreFile::read(&self.path);
        if as_json {
            let exists = !matches!(file, Err(KeystoreError::NotFound { .. }));
            let protected = matches!(&file, Ok(file) if file.has_password());
            let json = serde_json::json!({"exists": exists, "protected": protected});
            self.terminal.result(json.to_string());
        }
        let message = match file {
            Ok(file) if file.has_password() => {
                if !as_json {
                    self.terminal.out("Keystore is password-protected");
                }
                return Ok(());
            }
            Ok(_) => "Keystore is not password-protected",
            Err(KeystoreError::NotFound { .. }) => "Elasticsearch keystore not found",
            Err(error) => return Err(command_error(error)),
        };
        let message = if self.terminal.is_silent() {
            ""
        } else {
            message
        };
        Err(CommandError::new(ExitCode::Failure, message))
    }

    /// Reads the keystore; asks for its password if it has one.
    fn open(&mut self) -> Result<Keystore, CommandError> {
        let file = KeystoreFile::read(&self.path).map_err(command_error)?;
        let password = match (file.has_password(), &self.password_file) {
            (true, Some(file)) => first_line(file)?,
            (true, None) => self.terminal.secret(ENTER_PASSWORD)?,
            (false, _) => SecretString::default(),
        };
        file.decrypt(&password).map_err(command_error)
    }

    /// Reads the keystore or, if it is missing, returns a new one that is not saved yet.
    fn open_or_new(&mut self) -> Result<Keystore, CommandError> {
        match self.path.exists() {
            true => self.open(),
            false => Ok(Keystore::create(SecretString::default())),
        }
    }

    /// Reads the keystore or, if it is missing, offers to create one. `None` if that is declined.
    fn open_or_create(&mut self, force: bool) -> Result<Option<Keystore>, CommandError> {
        if self.path.exists() {
            return self.open().map(Some);
        }
        if !force && !self.confirm(&self.owner.words(CREATE_KEYSTORE))? {
            self.terminal.out(NOT_CREATED);
            return Ok(None);
        }
        let keystore = Keystore::create(SecretString::default());
        self.save(&keystore)?;
        Ok(Some(keystore))
    }

    /// Warns of names that a node would refuse, and asks before a value is replaced.
    fn may_set(
        &mut self,
        keystore: &Keystore,
        name: &str,
        force: bool,
    ) -> Result<bool, CommandError> {
        if let Some(warning) = self.owner.name_warning(name) {
            self.terminal.err(warning);
        }
        let question = format!("Setting {name} already exists. Overwrite?");
        if keystore.contains(name) && !force && !self.confirm(&question)? {
            self.terminal.out("Exiting without modifying keystore.");
            return Ok(false);
        }
        Ok(true)
    }

    fn new_password(&mut self) -> Result<SecretString, CommandError> {
        let password = self.terminal.secret(NEW_PASSWORD)?;
        if self.terminal.secret("Enter same password again: ")? != password {
            return Err(CommandError::data("Passwords are not equal, exiting."));
        }
        Ok(password)
    }

    fn confirm(&mut self, question: &str) -> Result<bool, CommandError> {
        self.terminal.confirm(question, false)
    }

    fn save(&self, keystore: &Keystore) -> Result<(), CommandError> {
        let saved = match self.format {
            Some(version) => keystore.save_as(&self.path, version),
            None => keystore.save(&self.path),
        };
        saved.map_err(command_error)
    }
}

/// Errors: 64 for a number of no format that can be written.
fn format_version(number: i32) -> Result<FormatVersion, CommandError> {
    FormatVersion::from_number(number)
        .filter(|version| *version > FormatVersion::V3)
        .ok_or_else(|| CommandError::usage(format!("format [{number}] is none of 4 to 7")))
}

/// Reads the content of a setting. Of a setting with a name a file that is not there is not named: who forgets what
/// `add-file` takes writes the value there.
fn read_file(path: &Path, name: Option<&str>) -> Result<SecretBytes, CommandError> {
    match std::fs::read(path) {
        Ok(content) => Ok(SecretBytes::new(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = match name {
                Some(name) => format!("The file for the setting [{name}] does not exist"),
                None => format!("File [{}] does not exist", path.display()),
            };
            Err(CommandError::new(ExitCode::IoError, message))
        }
        Err(error) => Err(CommandError::io(path, &error)),
    }
}

fn name_warning(name: &str) -> Option<String> {
    match registry::find(name) {
        Some(spec) if spec.info().is_secure => None,
        Some(_) => Some(format!(
            "WARNING: [{name}] is no secure setting; a node refuses to start with it in the \
             keystore. It belongs into elasticsearch.yml."
        )),
        None => {
            let near = registry::nearest(name, |info| info.is_secure);
            let advice = near.first().map(|near| format!(" Did you mean [{near}]?"));
            Some(format!(
                "WARNING: [{name}] is not a setting this node knows.{}",
                advice.unwrap_or_default()
            ))
        }
    }
}

fn not_in_keystore(name: &str) -> CommandError {
    CommandError::config(format!("Setting [{name}] does not exist in the keystore."))
}

/// Gives each failure its exit status. Source: Elasticsearch reference, "elasticsearch-keystore"; sysexits(3).
fn command_error(error: KeystoreError) -> CommandError {
    let message = error.to_string();
    match error {
        KeystoreError::Io { path, source } => CommandError::io(&path, &source),
        KeystoreError::NotWritable { .. } | KeystoreError::SingleFileMount { .. } => {
            CommandError::config(message)
        }
        KeystoreError::OwnerChange { owner, .. } => CommandError::config(message)
            .with_hint(format!("run the command as the user with id {owner}")),
        _ => CommandError::data(message),
    }
}

const ENTER_PASSWORD: &str = "Enter password for the elasticsearch keystore : ";
const NEW_PASSWORD: &str =
    "Enter new password for the elasticsearch keystore (empty for no password): ";
const OVERWRITE_KEYSTORE: &str = "An elasticsearch keystore already exists. Overwrite?";
const CREATE_KEYSTORE: &str =
    "The elasticsearch keystore does not exist. Do you want to create it?";
const NOT_CREATED: &str = "Exiting without creating keystore.";
