//! Passwords that are generated, and passwords that a person chooses for a user.

use ringwall_base::SecretString;
use ringwall_base::ids::random_bytes;
use zeroize::Zeroizing;

use crate::error::CommandError;
use crate::terminal::Terminal;

/// Letters and digits: what `setup-passwords auto` uses. Source: Elasticsearch reference,
/// "elasticsearch-setup-passwords".
pub const ALPHANUMERIC: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// What `reset-password` uses. Source: Elasticsearch reference, "elasticsearch-reset-password".
pub const WITH_PUNCTUATION: &str =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-_=+";

/// Returns a random password of 20 characters of the (ASCII) alphabet, each equally likely.
///
/// 20 letters and digits hold 119 bits.
pub fn generate(alphabet: &str) -> SecretString {
    let symbols = alphabet.as_bytes();
    // Bytes beyond the last whole repetition of the alphabet would favour its first symbols.
    let limit = 256 - 256 % symbols.len();
    let mut password = Zeroizing::new(String::with_capacity(LENGTH));
    while password.len() < LENGTH {
        let random = Zeroizing::new(random_bytes::<64>());
        let fair = random
            .iter()
            .map(|byte| usize::from(*byte))
            .filter(|byte| *byte < limit);
        let wanted = LENGTH - password.len();
        password.extend(
            fair.take(wanted)
                .map(|byte| char::from(symbols[byte % symbols.len()])),
        );
    }
    SecretString::new(std::mem::take(&mut *password))
}

/// Asks for the new password of a user, and again, until both are the same and long enough.
/// `again` begins the second question, as the tools word it differently.
pub fn choose(
    user: &str,
    again: &str,
    terminal: &mut Terminal,
) -> Result<SecretString, CommandError> {
    loop {
        let password = terminal.secret(&format!("Enter password for [{user}]: "))?;
        if password.char_count() < MIN_LENGTH {
            terminal.err(format!(
                "passwords must be at least [{MIN_LENGTH}] characters long"
            ));
            terminal.err(TRY_AGAIN);
            continue;
        }
        if terminal.secret(&format!("{again} password for [{user}]: "))? == password {
            return Ok(password);
        }
        terminal.err("Passwords do not match.");
        terminal.err(TRY_AGAIN);
    }
}

const LENGTH: usize = 20;
/// Source: Elasticsearch reference, "elasticsearch-setup-passwords".
const MIN_LENGTH: usize = 6;
const TRY_AGAIN: &str = "Try again.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_differ_and_keep_to_the_alphabet() {
        let first = generate(WITH_PUNCTUATION);
        assert_eq!(first.char_count(), LENGTH);
        assert!(
            first
                .expose()
                .chars()
                .all(|symbol| WITH_PUNCTUATION.contains(symbol))
        );
        assert_ne!(first, generate(WITH_PUNCTUATION));
        // Every symbol is reachable: 1000 draws of 62 miss one with probability below 10^-5.
        let many: String = (0..50)
            .map(|_| generate(ALPHANUMERIC).expose().to_owned())
            .collect();
        assert!(
            ALPHANUMERIC.chars().all(|symbol| many.contains(symbol)),
            "{many}"
        );
    }

    #[test]
    fn a_chosen_password_is_asked_until_it_is_good() {
        let answers = "short\nlong-enough\nother-one\nlong-enough\nlong-enough\n";
        let (mut terminal, _, errors) = Terminal::scripted(answers);
        let chosen = choose("elastic", "Reenter", &mut terminal).unwrap();
        assert_eq!(chosen.expose(), "long-enough");
        let said = errors.text();
        assert_eq!(said.matches("Try again.").count(), 2, "{said}");
        assert!(said.contains("Reenter password for [elastic]: "), "{said}");
        assert!(!said.contains("other-one"), "{said}");
        assert!(choose("elastic", "Reenter", &mut terminal).is_err());
    }
}
