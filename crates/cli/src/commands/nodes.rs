//! `ringwall nodes`: which nodes the cluster knows by their keys, and which are let in.

use std::ffi::OsString;

use clap::Subcommand;
use http::{Method, StatusCode};
use serde_json::Value;

use super::ephemeral::EphemeralSuperuser;
use super::online::{OnlineNode, refusal};
use super::reset_password::wait_for;
use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// Arguments of `nodes`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Lists the nodes that the cluster knows by their keys, lets new ones in, and forgets old ones",
    long_about = "Lists the nodes that the cluster knows by their keys, lets new ones in, and forgets old ones.\n\n\
        Run it on the host of a node of the cluster, as a user that may write its configuration. Whether new nodes \
        have to be approved is the setting cluster.membership.approval.",
    after_help = "Examples:\n  \
        ringwall nodes list                 who is known, and who waits\n  \
        ringwall nodes approve es-4         a node that waits: its name, id or key\n  \
        ringwall nodes approve ID --key KEY a node whose own log names its key\n  \
        ringwall nodes forget ID            a node that is gone for good"
)]
pub struct NodesArgs {
    #[command(subcommand)]
    command: NodesCommand,
    /// Address of the node, if another than its settings tell
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum NodesCommand {
    /// List the nodes that are known, and those that wait to be approved
    #[command(after_help = "Examples:\n  ringwall nodes list --json")]
    List {
        /// Print what `GET /_membership` answers
        #[arg(long)]
        json: bool,
    },
    /// Let a node join
    #[command(after_help = "Examples:\n  ringwall nodes approve es-4")]
    Approve {
        /// Name, id or key of a node that waits; with --key an id
        #[arg(value_name = "NODE")]
        node: String,
        /// The key of the node, which its log tells
        #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
        key: Option<String>,
    },
    /// Forget a node that is gone
    #[command(after_help = "Examples:\n  ringwall nodes forget zKXEYZDTTH2MSPVDgkVvGQ")]
    Forget {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Puts ids and keys that begin with a hyphen where no option is looked for; one of 64 does.
pub fn ids_last(arguments: Vec<OsString>) -> Vec<OsString> {
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for argument in arguments {
        let is_value = first.last().is_some_and(|before| before == "--key");
        match !is_value && is_hyphened_id(&argument.to_string_lossy()) {
            true => last.push(argument),
            false => first.push(argument),
        }
    }
    if !last.is_empty() && !first.iter().any(|argument| argument == "--") {
        first.push("--".into());
    }
    first.extend(last);
    first
}

/// 16 bytes or 32 in URL-safe base64.
fn is_hyphened_id(text: &str) -> bool {
    let is_of_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.starts_with('-') && matches!(text.len(), 22 | 43) && text.chars().all(is_of_id)
}

/// Runs a nodes command, as a superuser of the moment.
pub fn run(
    args: &NodesArgs,
    common: &CommonArgs,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let node = OnlineNode::open(common, args.url.as_deref(), terminal)?;
    let superuser = EphemeralSuperuser::create(node.settings(), terminal)?;
    let ask = Ask {
        node: &node,
        superuser: &superuser,
    };
    let done = wait_for(&node, &superuser.login, terminal).and_then(|()| match &args.command {
        NodesCommand::List { json } => ask.list(*json),
        NodesCommand::Approve { node, key } => ask.approve(node, key.as_deref()),
        NodesCommand::Forget { id } => ask.forget(id),
    });
    superuser.remove(terminal)?;
    terminal.result(done?);
    Ok(())
}

struct Ask<'a> {
    node: &'a OnlineNode,
    superuser: &'a EphemeralSuperuser,
}

impl Ask<'_> {
    fn list(&self, as_json: bool) -> Result<String, CommandError> {
        let view = self.send(Method::GET, "/_membership")?;
        if as_json {
            return Ok(view.to_string());
        }
        let mut lines = Vec::new();
        for node in items(&view, "nodes") {
            let state = match node["in_cluster"] == true {
                true => "in the cluster",
                false => "away",
            };
            let key = node["key"].as_str().unwrap_or("no key yet");
            lines.push(format!(
                "{} {} {key} {state}",
                text(node, "name"),
                text(node, "id")
            ));
        }
        for node in items(&view, "waiting") {
            lines.push(format!(
                "{} {} {} waits for approval, at {}",
                text(node, "name"),
                text(node, "id"),
                text(node, "key"),
                text(node, "transport_address")
            ));
        }
        Ok(lines.join("\n"))
    }

    fn approve(&self, wanted: &str, key: Option<&str>) -> Result<String, CommandError> {
        let (id, key) = match key {
            Some(key) => (wanted.to_owned(), key.to_owned()),
            None => self.waiting(wanted)?,
        };
        let path = format!("/_membership/{}/_approve?key={}", part(&id)?, part(&key)?);
        self.send(Method::POST, &path)?;
        Ok(format!("Node [{id}] may join with the key [{key}]."))
    }

    fn forget(&self, id: &str) -> Result<String, CommandError> {
        self.send(Method::DELETE, &format!("/_membership/{}", part(id)?))?;
        Ok(format!("Node [{id}] is forgotten."))
    }

    /// Returns id and key of the one node that waits and is called so.
    fn waiting(&self, wanted: &str) -> Result<(String, String), CommandError> {
        let view = self.send(Method::GET, "/_membership")?;
        let is_meant = |node: &&Value| {
            ["name", "id", "key"]
                .iter()
                .any(|field| node[*field] == wanted)
        };
        let found: Vec<&Value> = items(&view, "waiting").filter(is_meant).collect();
        match found.as_slice() {
            [one] => Ok((text(one, "id"), text(one, "key"))),
            [] => Err(CommandError::data(format!(
                "no node [{wanted}] waits to be approved; see `ringwall nodes list`"
            ))
            .with_hint(
                "a node that lost its key does not wait: `ringwall nodes approve ID --key KEY`, both of which its log \
                 tells",
            )),
            many => {
                let keys: Vec<String> = many.iter().map(|node| text(node, "key")).collect();
                Err(CommandError::data(format!(
                    "[{}] nodes that wait are called [{wanted}]; name one by its key: {}",
                    many.len(),
                    keys.join(", ")
                )))
            }
        }
    }

    fn send(&self, method: Method, path: &str) -> Result<Value, CommandError> {
        let answer = self
            .node
            .request(&self.superuser.login, method, path, None)
            .map_err(|error| CommandError::unavailable(error.to_string()))?;
        match answer.status {
            StatusCode::OK => Ok(answer.json()),
            _ => Err(CommandError::new(ExitCode::DataError, refusal(&answer))),
        }
    }
}

fn items<'a>(view: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    view[list].as_array().into_iter().flatten()
}

fn text(node: &Value, field: &str) -> String {
    node[field].as_str().unwrap_or_default().to_owned()
}

/// Ids and keys are URL-safe base64: anything else is neither.
fn part(text: &str) -> Result<&str, CommandError> {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !text.is_empty() && text.chars().all(is_safe) {
        true => Ok(text),
        false => Err(CommandError::usage(format!(
            "[{text}] is no id or key of a node"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_begin_with_a_hyphen() {
        let id = "-AAAAAAAAAAAAAAAAAAAAQ";
        let key = "--EBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
        for (given, expected) in [
            (
                vec!["forget", id, "--url", "u"],
                vec!["forget", "--url", "u", "--", id],
            ),
            (
                vec!["forget", "-v", "--", id],
                vec!["forget", "-v", "--", id],
            ),
            (
                vec!["approve", id, "--key", key],
                vec!["approve", "--key", key, "--", id],
            ),
            (vec!["approve", key], vec!["approve", "--", key]),
            (vec!["list", "--json", "-s"], vec!["list", "--json", "-s"]),
        ] {
            let given = given.into_iter().map(OsString::from).collect();
            assert_eq!(ids_last(given), expected);
        }
    }
}
