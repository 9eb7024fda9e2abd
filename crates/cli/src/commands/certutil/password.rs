//! Passwords of the files that certutil writes. Source: tools.md section 1.4.

use ringwall_base::SecretString;

use crate::error::CommandError;
use crate::terminal::Terminal;

/// Asks once for the password of something. An empty answer is the empty password.
pub(super) fn ask(what: &str, terminal: &mut Terminal) -> Result<SecretString, CommandError> {
    loop {
        let password = terminal.secret(&format!("Enter password for {what} : "))?;
        if password.char_count() <= OPENSSL_LIMIT {
            return Ok(password);
        }
        terminal.result(TOO_LONG);
        if terminal.confirm("Do you want to continue?", true)? {
            return Ok(password);
        }
    }
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
    option: &Option<Option<SecretString>>,
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
