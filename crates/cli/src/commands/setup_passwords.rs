//! `elasticsearch-setup-passwords`: sets the passwords of the built-in users of a new cluster.
//! Source: Elasticsearch reference, "elasticsearch-setup-passwords".

use clap::{ArgAction, Subcommand};
use http::{Method, StatusCode};
use ringwall_base::SecretString;
use ringwall_rest::http_client::{HttpClientError, HttpResponse};

use super::online::{ELASTIC, Login, OnlineNode, refusal};
use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::password;
use crate::terminal::Terminal;

/// Arguments of `setup-passwords`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Sets the passwords of the built-in users of a new cluster",
    long_about = "Sets the passwords of the built-in users of a new cluster.\n\n\
        Works while `elastic` still has its first password: `bootstrap.password` of this node's \
        keystore. Later, use reset-password.",
    after_help = "Examples:\n  \
        elasticsearch-setup-passwords interactive    asks for each password\n  \
        elasticsearch-setup-passwords auto -b        generates and prints them, asks nothing"
)]
pub struct SetupPasswordsArgs {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Generate the passwords and print them
    #[command(after_help = "Examples:\n  \
        elasticsearch-setup-passwords auto -b > passwords.txt")]
    Auto(ModeArgs),
    /// Ask for each password
    #[command(after_help = "Examples:\n  \
        elasticsearch-setup-passwords interactive -u https://node-1:9200")]
    Interactive(ModeArgs),
}

#[derive(Debug, clap::Args)]
struct ModeArgs {
    /// Address of the node, if another than its settings tell
    #[arg(short, long, value_name = "URL")]
    url: Option<String>,
    /// Do not ask before changing anything
    #[arg(
        short,
        long,
        value_name = "true|false",
        action = ArgAction::Set,
        num_args = 0..=1,
        default_value_t = false,
        default_missing_value = "true"
    )]
    batch: bool,
}

/// Verifies the first password of `elastic`, collects all new ones, then sets them, `elastic`'s last
/// so that a failed run can be repeated.
pub fn run(
    args: &SetupPasswordsArgs,
    common: &CommonArgs,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let (is_auto, args) = match &args.mode {
        Mode::Auto(args) => (true, args),
        Mode::Interactive(args) => (false, args),
    };
    let node = OnlineNode::open(common, args.url.as_deref(), terminal)?;
    let Some(bootstrap) = node.bootstrap_password()? else {
        let path = node.keystore_path().display();
        return Err(CommandError::config(format!(
            "Elasticsearch keystore file is missing [{path}]"
        ))
        .with_hint("make one with `elasticsearch-keystore create`, and restart the node"));
    };
    let bootstrap = Login::elastic(bootstrap);
    verify(&node, &bootstrap, terminal)?;
    check_health(&node, &bootstrap, args.batch, terminal)?;
    if !args.batch {
        terminal.out(format!(
            "Initiating the setup of passwords for reserved users {ALL_USERS}."
        ));
        terminal.out(if is_auto { AUTO } else { INTERACTIVE });
        confirm("Please confirm that you would like to continue", terminal)?;
        terminal.out("\n");
    }
    let passwords = collect(is_auto, terminal)?;
    change(&node, &bootstrap, &passwords, is_auto, terminal)
}

fn verify(
    node: &OnlineNode,
    bootstrap: &Login,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let answer = node
        .request(
            bootstrap,
            Method::GET,
            "/_security/_authenticate?pretty",
            None,
        )
        .map_err(|error| unreachable_node(&error, node.shown_url()))?;
    match answer.status {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED => {
            let (url, path) = (node.shown_url(), node.keystore_path().display());
            terminal.err(format!(
                "Failed to authenticate user '{ELASTIC}' against {url}\n\
                 Possible causes include:\n \
                 * The password for the '{ELASTIC}' user has already been changed on this cluster\n \
                 * Your elasticsearch node is running against a different keystore\n   \
                   This tool used the keystore at {path}\n\n\
                 You can use the elasticsearch-reset-password tool to set the password of a user."
            ));
            Err(CommandError::config("Failed to verify bootstrap password"))
        }
        _ => Err(CommandError::config(format!(
            "cannot use the node at {url}: {reason}",
            url = node.shown_url(),
            reason = refusal(&answer)
        ))),
    }
}

fn unreachable_node(error: &HttpClientError, url: &str) -> CommandError {
    let message = match error {
        HttpClientError::Tls(_) => {
            format!("Failed to establish SSL connection to elasticsearch at {url}. ")
        }
        _ => format!(
            "Failed to connect to elasticsearch at {url}. Is the URL correct and elasticsearch \
             running?"
        ),
    };
    CommandError::config(message).with_hint(error.to_string())
}

/// Warns when the cluster cannot keep what is set, and asks whether to go on.
fn check_health(
    node: &OnlineNode,
    bootstrap: &Login,
    is_batch: bool,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let answer = node.request(bootstrap, Method::GET, "/_cluster/health?pretty", None);
    let warning = match answer {
        Ok(answer) => match health_warning(&answer) {
            Some(warning) => warning,
            None => return Ok(()),
        },
        Err(error) => format!("Cannot determine the health of the cluster: {error}"),
    };
    terminal.err(format!(
        "{warning}\nIt is recommended that you resolve the issues with your cluster before \
         changing passwords; it is very likely that changing them fails until then."
    ));
    match is_batch {
        true => Ok(()),
        false => confirm(
            "Do you want to continue with the password setup process",
            terminal,
        ),
    }
}

fn health_warning(answer: &HttpResponse) -> Option<String> {
    if answer.status != StatusCode::OK {
        let refusal = refusal(answer);
        return Some(format!(
            "Cannot determine the health of the cluster: {refusal}"
        ));
    }
    match answer.json()["status"].as_str() {
        Some("red") => Some("Your cluster health is currently RED.".to_owned()),
        Some(_) => None,
        None => Some("Failed to determine the health of the cluster.".to_owned()),
    }
}

/// Saying no ends the tool with status 0. Source: Elasticsearch reference, "elasticsearch-setup-passwords".
pub(super) fn confirm(question: &str, terminal: &mut Terminal) -> Result<(), CommandError> {
    match terminal.confirm(question, false)? {
        true => Ok(()),
        false => Err(CommandError::new(ExitCode::Ok, "User cancelled operation")),
    }
}

fn collect(
    is_auto: bool,
    terminal: &mut Terminal,
) -> Result<Vec<(&'static str, SecretString)>, CommandError> {
    let mut passwords = Vec::with_capacity(PROMPTED.len());
    for user in PROMPTED {
        let password = match is_auto {
            true => password::generate(password::ALPHANUMERIC),
            false => password::choose(user, "Reenter", terminal)?,
        };
        passwords.push((*user, password));
    }
    Ok(passwords)
}

fn change(
    node: &OnlineNode,
    bootstrap: &Login,
    passwords: &[(&str, SecretString)],
    is_auto: bool,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    for user in CHANGED {
        // The old name of kibana_system has its password.
        let source = if *user == "kibana" {
            "kibana_system"
        } else {
            user
        };
        let Some((_, password)) = passwords.iter().find(|(name, _)| *name == source) else {
            continue;
        };
        node.set_password(bootstrap, Method::PUT, user, password)
            .map_err(|reason| {
                let message = format!("Failed to set password for user [{user}].");
                CommandError::new(ExitCode::TempFailure, message).with_hint(reason)
            })?;
        if is_auto {
            // Printed even when silent: nobody could ever find it out afterwards.
            terminal.result(format!("Changed password for user {user}"));
            terminal.result(format!("PASSWORD {user} = {}\n", password.expose()));
        } else {
            terminal.out(format!("Changed password for user [{user}]"));
        }
    }
    Ok(())
}

/// Users in the order they are asked for. `kibana` is not: it shares the password of `kibana_system`.
const PROMPTED: &[&str] = &[
    "elastic",
    "apm_system",
    "kibana_system",
    "logstash_system",
    "beats_system",
    "remote_monitoring_user",
];

/// Users in the order they are changed.
const CHANGED: &[&str] = &[
    "apm_system",
    "kibana_system",
    "kibana",
    "logstash_system",
    "beats_system",
    "remote_monitoring_user",
    "elastic",
];

const ALL_USERS: &str = "elastic,apm_system,kibana,kibana_system,logstash_system,beats_system,\
                         remote_monitoring_user";
const AUTO: &str = "The passwords will be randomly generated and printed to the console.";
const INTERACTIVE: &str = "You will be prompted to enter passwords as the process progresses.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_user_gets_a_collected_password_and_elastic_is_last() {
        let (mut terminal, _, _) = Terminal::scripted("");
        let passwords = collect(true, &mut terminal).unwrap();
        assert_eq!(passwords.len() + 1, CHANGED.len());
        assert_eq!(CHANGED.last(), Some(&"elastic"));
        for user in CHANGED.iter().filter(|user| **user != "kibana") {
            assert!(passwords.iter().any(|(name, _)| name == user), "{user}");
        }
        assert!(passwords.windows(2).all(|pair| pair[0].1 != pair[1].1));
    }

    #[test]
    fn interactive_asks_for_every_user_in_order() {
        let (mut terminal, _, errors) = Terminal::scripted(&"password\n".repeat(12));
        assert_eq!(collect(false, &mut terminal).unwrap().len(), 6);
        let said = errors.text();
        assert!(said.starts_with("Enter password for [elastic]: Reenter password for [elastic]: "));
        assert!(!said.contains("[kibana]"), "{said}");
    }

    #[test]
    fn declining_is_no_failure() {
        let (mut terminal, _, _) = Terminal::scripted("n\n");
        let error = confirm("Go on?", &mut terminal).unwrap_err();
        assert_eq!(error.exit.code(), 0);
        assert_eq!(error.message, "User cancelled operation");
    }
}
