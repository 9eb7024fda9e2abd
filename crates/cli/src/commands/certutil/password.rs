//! Passwords of the files that certutil writes. Source: Elasticsearch reference, "elasticsearch-certutil".

use std::path::PathBuf;

use ringwall_base::SecretString;

use crate::commands::users::first_line;

use crate::error::CommandError;
use crate::terminal::Terminal;

/// Where the password of a file to read comes from: an option, or a question, asked once.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct PasswordSource {
    /// Password of the file; better use --pass-file, since others can list processes
    #[arg(long, value_name = "PASSWORD")]
    pass: Option<SecretString>,
    /// Read the password from the first line of a file
    #[arg(long, value_name = "FILE", conflicts_with = "pass")]
    pass_file: Option<PathBuf>,
    /// Read the password from the first line of standard input
    #[arg(long, conflicts_with_all = ["pass", "pass_file"])]
    pass_stdin: bool,
}

impl PasswordSource {
    /// Returns a source of a password that is known.
    pub(super) fn known(password: SecretString) -> Self {
        Self {
            pass: Some(password),
            ..Self::default()
        }
    }

    /// Returns whether an option names the password.
    pub(super) fn is_given(&self) -> bool {
        self.pass.is_some() || self.pass_file.is_some() || self.pass_stdin
    }

    /// Returns the password, asking for it if no option does.
    pub(super) fn get(
        &mut self,
        what: &str,
        terminal: &mut Terminal,
    ) -> Result<SecretString, CommandError> {
        if let Some(password) = &self.pass {
            return Ok(password.clone());
        }
        let password = if let Some(file) = &self.pass_file {
            first_line(file)?
        } else if self.pass_stdin {
            SecretString::new(terminal.read_stdin_line()?)
        } else {
            return terminal.secret(&format!("Enter password for {what} : "));
        };
        self.pass = Some(password.clone());
        Ok(password)
    }
}

/// The password of new keys, and the answer to questions that only a person needs.
#[derive(Debug, clap::Args)]
pub(super) struct NewPasswordArgs {
    /// Password of the new private keys; without a value it is asked for
    #[arg(long, value_name = "PASSWORD", num_args = 0..=1)]
    pass: Option<Option<SecretString>>,
    /// Read that password from the first line of a file
    #[arg(long, value_name = "FILE", conflicts_with = "pass")]
    pass_file: Option<PathBuf>,
    /// Read that password from the first line of standard input
    #[arg(long, conflicts_with_all = ["pass", "pass_file"])]
    pass_stdin: bool,
    /// Answer every yes/no question with yes
    #[arg(long)]
    yes: bool,
}

/// `None` without any option about it, `Some(None)` when it is to be asked for.
pub(super) type NewPassword = Option<Option<SecretString>>;

impl NewPasswordArgs {
    /// Reads the password, where a file or standard input has it. Comes before every question.
    pub(super) fn read(&self, terminal: &mut Terminal) -> Result<NewPassword, CommandError> {
        if self.yes {
            terminal.set_assume_yes();
        }
        if let Some(file) = &self.pass_file {
            return Ok(Some(Some(first_line(file)?)));
        }
        match self.pass_stdin {
            true => Ok(Some(Some(SecretString::new(terminal.read_stdin_line()?)))),
            false => Ok(self.pass.clone()),
        }
    }
}

/// Asks once for the password of something. An empty answer is the empty password.
pub(super) fn ask(what: &str, terminal: &mut Terminal) -> Result<SecretString, CommandError> {
    loop {
        let password = terminal.secret(&format!("Enter password for {what} : "))?;
        if is_length_accepted(&password, terminal)? {
            return Ok(password);
        }
    }
}

/// Warns of a long password and asks whether to take it all the same.
pub(super) fn is_length_accepted(
    password: &SecretString,
    terminal: &mut Terminal,
) -> Result<bool, CommandError> {
    if password.char_count() <= OPENSSL_LIMIT {
        return Ok(true);
    }
    terminal.result(TOO_LONG);
    terminal.confirm("Do you want to continue?", true)
}

/// Takes a password from the command line; a long one is only warned about.
pub(super) fn given(password: &SecretString, terminal: &mut Terminal) -> SecretString {
    if password.char_count() > OPENSSL_LIMIT {
        terminal.result(TOO_LONG);
    }
    password.clone()
}

/// Returns the password of a PEM key: none unless `--pass` is there.
pub(super) fn of_pem_key(
    option: &NewPassword,
    described: &str,
    terminal: &mut Terminal,
) -> Result<Option<SecretString>, CommandError> {
    let password = match option {
        None => return Ok(None),
        Some(Some(password)) => given(password, terminal),
        Some(None) => ask(described, terminal)?,
    };
    if password.is_empty() {
        return Err(CommandError::config(
            "A PEM private key cannot be encrypted with an empty password",
        )
        .with_hint("leave out --pass to write the key unencrypted"));
    }
    Ok(Some(password))
}

const OPENSSL_LIMIT: usize = 50;
const TOO_LONG: &str = "Warning: Your password exceeds 50 characters. Versions of OpenSSL older \
                        than 1.1.0 may not be able to read this file.";
