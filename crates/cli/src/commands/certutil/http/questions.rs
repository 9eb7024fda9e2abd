//! The kinds of questions that the dialogue asks.

use std::path::PathBuf;

use ringwall_base::SecretString;
use ringwall_pki::{DistinguishedName, KeySpec, KeyUsage};

use super::password;
use crate::commands::certutil::output;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// Prints the title of the questions that follow, silent or not.
pub(super) fn header(title: &str, terminal: &mut Terminal) {
    terminal.result(format!("\n## {title}\n"));
}

/// Asks until the answer, without blanks around it, can be read.
pub(super) fn valid<T>(
    prompt: &str,
    terminal: &mut Terminal,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, CommandError> {
    loop {
        let answer = terminal.prompt(prompt)?;
        match read(answer.trim()) {
            Ok(read) => return Ok(read),
            Err(message) => terminal.err(message),
        }
    }
}

/// Asks for a new value of an option; an empty answer keeps the one it has.
pub(super) fn change<T: Clone>(
    label: &str,
    current: &T,
    show: impl Fn(&T) -> String,
    terminal: &mut Terminal,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, CommandError> {
    let prompt = format!("{label} [{}] ", show(current));
    valid(&prompt, terminal, |answer| match answer {
        "" => Ok(current.clone()),
        answer => read(answer),
    })
}

/// Prints the options that a node or CA has, and asks whether they should be others.
pub(super) fn wants_change(
    options: &[(&str, String)],
    terminal: &mut Terminal,
) -> Result<bool, CommandError> {
    terminal.result("");
    for (label, value) in options {
        terminal.result(format!("{label}: {value}"));
    }
    terminal.result("");
    terminal.confirm("Do you wish to change any of these options?", false)
}

/// Asks for a password and for its repetition; the empty one is none.
pub(super) fn new_password(
    prompt: &str,
    terminal: &mut Terminal,
) -> Result<SecretString, CommandError> {
    loop {
        let password = terminal.secret(prompt)?;
        if password.is_empty() {
            return Ok(password);
        }
        if !password.expose().is_ascii() {
            terminal.err("Passwords must be plain ASCII");
            continue;
        }
        if !password::is_length_accepted(&password, terminal)? {
            continue;
        }
        if terminal.secret("Repeat password to confirm: ")? == password {
            return Ok(password);
        }
        terminal.err("Passwords do not match");
    }
}

/// Asks where to write. A person is asked again where something is already.
pub(super) fn output_file(default: &str, terminal: &mut Terminal) -> Result<PathBuf, CommandError> {
    let default = output::absolute(default.as_ref())?;
    let prompt = format!(
        "What filename should be used for the output zip file? [{}] ",
        default.display()
    );
    loop {
        let answer = terminal.prompt(&prompt)?;
        let path = match answer.trim() {
            "" => default.clone(),
            answer => output::absolute(answer.as_ref())?,
        };
        let usable =
            output::check_absent(&path).and_then(|()| output::make_parent(&path, terminal));
        match usable {
            Ok(()) => return Ok(path),
            Err(error) if terminal.is_interactive() => terminal.err(error.message),
            Err(error) => return Err(error),
        }
    }
}

/// Reads the size of an RSA key.
pub(super) fn key_size(answer: &str) -> Result<KeySpec, String> {
    let bits: u32 = answer
        .parse()
        .map_err(|_| format!("'{answer}' is not a number of bits"))?;
    match bits {
        2048..=8192 if bits.is_multiple_of(8) => Ok(KeySpec::Rsa(bits)),
        2048..=8192 => Err(format!("{bits}: Keysize must be a multiple of 8")),
        0..2048 => Err(format!(
            "{bits} bits are not safe: Keysize must be at least 2048"
        )),
        8193.. => Err(format!("{bits} is too large: Keysize must be at most 8192")),
    }
}

/// Shows the size of an RSA key.
pub(super) fn show_key_size(key: &KeySpec) -> String {
    match key {
        KeySpec::Rsa(bits) => bits.to_string(),
        other => format!("{other:?}"),
    }
}

/// Reads the names of key usages.
pub(super) fn key_usage(answer: &str) -> Result<Vec<KeyUsage>, String> {
    let named = |name: &str| {
        let known: Vec<_> = KeyUsage::NAMES.iter().map(|(name, _)| *name).collect();
        KeyUsage::named(name).ok_or_else(|| {
            format!(
                "Unknown key usage '{}'; there are {}",
                name.trim(),
                known.join(", ")
            )
        })
    };
    answer.split(',').map(named).collect()
}

/// Shows key usages by their names.
pub(super) fn show_key_usage(usages: &[KeyUsage]) -> String {
    let names = KeyUsage::NAMES
        .iter()
        .filter(|(_, usage)| usages.contains(usage))
        .map(|(name, _)| *name);
    names.collect::<Vec<_>>().join(",")
}

/// Reads a distinguished name.
pub(super) fn dn(answer: &str) -> Result<DistinguishedName, String> {
    DistinguishedName::parse(answer).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_sizes_that_cannot_be_made_are_refused_with_the_reason() {
        assert_eq!(key_size("4096").unwrap(), KeySpec::Rsa(4096));
        assert_eq!(key_size("5120").unwrap(), KeySpec::Rsa(5120));
        for (text, reason) in [
            ("many", "not a number"),
            ("1024", "at least 2048"),
            ("2050", "a multiple of 8"),
            ("16384", "at most 8192"),
        ] {
            assert!(key_size(text).unwrap_err().contains(reason), "{text}");
        }
    }

    #[test]
    fn key_usages_are_read_and_shown_by_name() {
        let both = key_usage("keyEncipherment, digitalSignature").unwrap();
        assert_eq!(show_key_usage(&both), "digitalSignature,keyEncipherment");
        assert!(key_usage("a").unwrap_err().contains("keyCertSign"));
    }

    #[test]
    fn a_password_is_asked_for_until_it_is_repeated() {
        let long = "x".repeat(51);
        let answers = format!("ä\none\ntwo\n{long}\nn\n{long}\n\n{long}\n");
        let (mut terminal, output, errors) = Terminal::scripted(&answers);
        let password = new_password("P:", &mut terminal).unwrap();
        assert_eq!(password.char_count(), 51);
        assert_eq!(
            errors.text(),
            "P:Passwords must be plain ASCII\nP:Repeat password to confirm: Passwords do not match\n\
             P:Do you want to continue? [Y/n]P:Do you want to continue? [Y/n]Repeat password to confirm: "
        );
        assert_eq!(output.text().matches("exceeds 50 characters").count(), 2);
        let (mut terminal, ..) = Terminal::scripted("\n");
        assert!(new_password("P:", &mut terminal).unwrap().is_empty());
    }
}
