//! `elasticsearch-reset-password`: gives a built-in or native user a new password.
//! Source: Elasticsearch reference, "elasticsearch-reset-password".
//!
//! Acts as `elastic` while the first password in the node's keystore holds. Else it makes itself a
//! superuser for a moment by writing into the node's files of users, so whoever may write there may
//! reset any password; or, with --password-stdin, it uses the current password of `elastic`.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use ringwall_base::SecretString;
use ringwall_rest::http_client::{HttpClientError, HttpResponse};
use ringwall_security::file_realm::USERS;
use ringwall_settings::registry::security;

use super::ephemeral::EphemeralSuperuser;
use super::online::{ELASTIC, Login, OnlineNode, refusal};
use super::setup_passwords::confirm;
use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::password;
use crate::terminal::Terminal;

/// Arguments of `reset-password`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Resets the password of a built-in or native user",
    long_about = "Resets the password of a built-in or native user.\n\n\
        Run it on the host of a node, as a user that may write its configuration: it makes itself a \
        superuser for a moment in the node's file `users`, which the node sees within five seconds. \
        While the first password of `elastic` in the node's keystore holds, it is used instead. With \
        --password-stdin nothing is written, and the tool works from another host with --url.",
    after_help = "Examples:\n  \
        elasticsearch-reset-password -u elastic              generates a password and prints it\n  \
        elasticsearch-reset-password -u kibana_system -i     asks for it\n  \
        elasticsearch-reset-password -u elastic -b -s        prints the password alone, for scripts"
)]
pub struct ResetPasswordArgs {
    /// User whose password is reset
    #[arg(short, long, value_name = "NAME")]
    username: String,
    /// Generate the new password and print it; the default
    #[arg(short, long)]
    auto: bool,
    /// Ask for the new password
    #[arg(short, long)]
    interactive: bool,
    /// Do not ask before resetting
    #[arg(short, long)]
    batch: bool,
    /// Reset even if the cluster is red
    #[arg(short, long)]
    force: bool,
    /// Address of the node, if another than its settings tell
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Read the current password of `elastic` from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
}

/// Finds credentials that work, checks the cluster, then asks and resets.
pub fn run(
    args: &ResetPasswordArgs,
    common: &CommonArgs,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    if args.auto && args.interactive {
        let message = "You can only run the tool in one of [auto] or [interactive] modes";
        return Err(CommandError::usage(message));
    }
    let node = OnlineNode::open(common, args.url.as_deref(), terminal)?;
    if let Some(acting) = credentials(&node, args, terminal)? {
        return reset(&node, &acting, args, terminal);
    }
    let superuser = EphemeralSuperuser::create(node.settings(), terminal)?;
    // Removed before a failure is returned, too: what drops it would ask for a second hold of standard input.
    let outcome = wait_for(&node, &superuser.login, terminal)
        .and_then(|()| reset(&node, &superuser.login, args, terminal));
    superuser.remove(terminal)?;
    outcome
}

/// Checks the cluster, then asks and resets.
fn reset(
    node: &OnlineNode,
    acting: &Login,
    args: &ResetPasswordArgs,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    check_health(node, acting, args.force, terminal)?;
    let user = &args.username;
    if !args.batch {
        announce(user, args.interactive, terminal);
        confirm("Please confirm that you would like to continue", terminal)?;
        terminal.out("\n");
    }
    let password = match args.interactive {
        true => password::choose(user, "Re-enter", terminal)?,
        false => password::generate(password::WITH_PUNCTUATION),
    };
    node.set_password(acting, Method::POST, user, &password)
        .map_err(|reason| {
            let message = format!("Failed to reset password for the [{user}] user");
            CommandError::new(ExitCode::TempFailure, message).with_hint(reason)
        })?;
    terminal.out(format!(
        "Password for the [{user}] user successfully reset."
    ));
    if !args.interactive {
        report(&password, terminal);
    }
    Ok(())
}

/// Waits until the node has read its files of users.
pub(super) fn wait_for(
    node: &OnlineNode,
    login: &Login,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let interval = node.settings().get(&security::RELOAD_INTERVAL_HIGH);
    let interval = interval.duration().unwrap_or_default();
    let deadline = Instant::now() + interval + GRACE;
    while !holds(node, login)? {
        if Instant::now() > deadline {
            return Err(CommandError::unavailable(format!(
                "the node at {} did not take notice of [{}] within {:?}",
                node.shown_url(),
                node.settings().config_path(USERS).display(),
                interval + GRACE
            ))
            .with_hint(
                "the tool must run with the configuration of the node that answers at that address, and the node \
                 must be able to read the file and have [resource.reload.enabled]",
            ));
        }
        terminal.detail("Waiting for the node to read its files of users");
        std::thread::sleep(RETRY);
    }
    Ok(())
}

fn announce(user: &str, is_interactive: bool, terminal: &mut Terminal) {
    if is_interactive {
        terminal.out(format!(
            "This tool will reset the password of the [{user}] user."
        ));
        terminal.out("You will be prompted to enter the password.");
    } else {
        terminal.out(format!(
            "This tool will reset the password of the [{user}] user to an autogenerated value."
        ));
        terminal.out("The password will be printed in the console.");
    }
}

/// With `-s` the output is the password alone, for scripts.
fn report(password: &SecretString, terminal: &mut Terminal) {
    match terminal.is_silent() {
        true => terminal.result(password.expose()),
        false => terminal.result(format!("New value: {}", password.expose())),
    }
}

/// Returns a login that works as things are, if one is known.
fn credentials(
    node: &OnlineNode,
    args: &ResetPasswordArgs,
    terminal: &mut Terminal,
) -> Result<Option<Login>, CommandError> {
    if args.password_stdin {
        let login = Login::elastic(SecretString::new(terminal.read_stdin_line()?));
        return match holds(node, &login)? {
            true => Ok(Some(login)),
            false => Err(wrong_password(node)),
        };
    }
    let Some(bootstrap) = node.bootstrap_password()? else {
        return Ok(None);
    };
    let login = Login::elastic(bootstrap);
    Ok(holds(node, &login)?.then_some(login))
}

fn holds(node: &OnlineNode, login: &Login) -> Result<bool, CommandError> {
    let answer = node
        .request(login, Method::GET, "/_security/_authenticate?pretty", None)
        .map_err(|error| {
            CommandError::unavailable(unreachable_node(node, &error)).with_hint(error.to_string())
        })?;
    match answer.status {
        StatusCode::OK => Ok(true),
        StatusCode::UNAUTHORIZED => Ok(false),
        _ => Err(CommandError::data(format!(
            "cannot use the node at {}: {}",
            node.shown_url(),
            refusal(&answer)
        ))),
    }
}

fn unreachable_node(node: &OnlineNode, error: &HttpClientError) -> String {
    let url = node.shown_url();
    match error {
        // It runs: somebody answered, or was not trusted.
        HttpClientError::Tls(_) => format!("Failed to establish TLS with the node at {url}."),
        HttpClientError::Exchange { .. } | HttpClientError::InvalidUrl { .. } => {
            format!("Failed to talk to the node at {url}.")
        }
        HttpClientError::Connect { .. } | HttpClientError::Timeout { .. } => {
            format!("Failed to reach the node at {url}. Does it run?")
        }
    }
}

fn wrong_password(node: &OnlineNode) -> CommandError {
    CommandError::config(format!(
        "the node at {} does not accept this password of [{ELASTIC}]",
        node.shown_url()
    ))
}

pub(super) fn check_health(
    node: &OnlineNode,
    acting: &Login,
    is_forced: bool,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let failed = "Failed to determine the health of the cluster. ";
    let answer = node
        .request(acting, Method::GET, "/_cluster/health?pretty", None)
        .map_err(|error| CommandError::unavailable(failed).with_hint(error.to_string()))?;
    match health(&answer)? {
        Health::Usable => Ok(()),
        Health::Red if is_forced => Ok(()),
        Health::Red => {
            terminal.err(
                "Failed to determine the health of the cluster. Cluster health is currently RED.\n\
                 This means that some cluster data is unavailable and your cluster is not fully \
                 functional.\nThe cluster logs may say why. It is recommended that you resolve \
                 the issues first; to go on regardless, use the option --force.",
            );
            let message = format!("{failed}Cluster health is currently RED.");
            Err(CommandError::unavailable(message))
        }
    }
}

enum Health {
    Usable,
    Red,
}

/// Source: Elasticsearch reference, "elasticsearch-reset-password".
fn health(answer: &HttpResponse) -> Result<Health, CommandError> {
    if answer.status != StatusCode::OK {
        let message = format!(
            "Failed to determine the health of the cluster. Unexpected http status [{}]",
            answer.status.as_u16()
        );
        return Err(CommandError::data(message).with_hint(refusal(answer)));
    }
    match answer.json()["status"].as_str() {
        Some("red") => Ok(Health::Red),
        Some(_) => Ok(Health::Usable),
        None => Err(CommandError::data(
            "Failed to determine the health of the cluster. Status not found in the answer.",
        )),
    }
}

/// Beyond the node's reload interval.
const GRACE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_output_is_the_password_alone() {
        let password = SecretString::from("secret-value");
        let (mut terminal, output, _) = Terminal::scripted("");
        report(&password, &mut terminal);
        terminal.set_silent();
        report(&password, &mut terminal);
        assert_eq!(output.text(), "New value: secret-value\nsecret-value\n");
    }

    #[test]
    fn health_is_read_from_the_answer() {
        let answer = |status: u16, body: &'static str| HttpResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers: http::HeaderMap::new(),
            body: body.into(),
        };
        assert!(matches!(
            health(&answer(200, r#"{"status":"yellow"}"#)),
            Ok(Health::Usable)
        ));
        assert!(matches!(
            health(&answer(200, r#"{"status":"red"}"#)),
            Ok(Health::Red)
        ));
        assert!(health(&answer(200, "{}")).is_err());
        let error = health(&answer(503, r#"{"error":{"reason":"no master"}}"#))
            .err()
            .unwrap();
        assert_eq!(error.exit, ExitCode::DataError);
        assert!(error.message.contains("[503]"));
        assert!(error.hint.unwrap().contains("no master"));
    }
}
