//! What names and passwords may be. Source: Elasticsearch reference, "elasticsearch-users" and
//! "elasticsearch-service-tokens".

use ringwall_base::SecretString;

use crate::reserved;
use crate::users::MIN_PASSWORD_CHARS;

/// Checks the name of a user of the file realm. The error is the tools' message.
pub fn check_username(name: &str) -> Result<(), String> {
    if let Err(reason) = check_name("Username", name) {
        return Err(format!("Invalid username [{name}]... {reason}"));
    }
    if reserved::is_reserved(name) || reserved::is_internal(name) {
        return Err(format!(
            "Invalid username [{name}]... Username [{name}] is reserved and may not be used."
        ));
    }
    Ok(())
}

/// Checks the name of a role that a user is given; reserved roles may be given.
pub fn check_role_name(name: &str) -> Result<(), String> {
    check_name("Role", name).map_err(|reason| format!("Invalid role [{name}]... {reason}"))
}

/// Checks the length of a password.
pub fn check_password(password: &SecretString) -> Result<(), String> {
    if password.char_count() >= MIN_PASSWORD_CHARS {
        return Ok(());
    }
    Err(format!(
        "Invalid password...passwords must be at least [{MIN_PASSWORD_CHARS}] characters long"
    ))
}

/// Checks the name of a service account token.
pub fn check_token_name(name: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let fits = (1..=256).contains(&name.len());
    if fits && name.bytes().all(allowed) && !name.starts_with('_') {
        return Ok(());
    }
    Err(format!(
        "invalid service token name [{name}]. service account token name must have at least 1 character \
         and at most 256 characters that are alphanumeric (A-Z, a-z, 0-9) or hyphen (-) or underscore (_). \
         It must not begin with an underscore (_)."
    ))
}

fn check_name(kind: &str, name: &str) -> Result<(), String> {
    let fits = (1..=MAX_NAME).contains(&name.len());
    let printable = name
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    // The separators of the files.
    let separates = name.contains([':', ',']) || name.starts_with('#');
    if fits && printable && !separates && name.trim() == name {
        return Ok(());
    }
    Err(format!(
        "{kind} names must be at least 1 and no more than {MAX_NAME} characters. They can contain \
         alphanumeric characters (a-z, A-Z, 0-9), spaces, punctuation, and printable symbols in the Basic \
         Latin (ASCII) block, but no colon, no comma and no leading #. Leading or trailing whitespace is \
         not allowed."
    ))
}

const MAX_NAME: usize = 1024;
