//! `elasticsearch-service-tokens`: manages file tokens of service accounts. Source: Elasticsearch reference,
//! "elasticsearch-service-tokens".

use clap::Subcommand;
use ringwall_security::Hasher;
use ringwall_security::files::{
    self, EditLock, FilesError, SERVICE_ACCOUNTS, ServiceAccountToken, ServiceTokensFile,
    check_token_name,
};
use serde_json::json;

use super::users::{failed, warn_of_changes};
use crate::error::{CommandError, ExitCode};
use crate::paths::Paths;
use crate::terminal::Terminal;

/// Arguments of `service-tokens`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Manages the file tokens of service accounts, in config/service_tokens",
    after_help = "Examples:\n  \
        elasticsearch-service-tokens create elastic/kibana my-token    prints the token once\n  \
        elasticsearch-service-tokens list elastic/kibana\n  \
        elasticsearch-service-tokens delete elastic/kibana my-token\n\n\
        The token goes behind `Authorization: Bearer`. A running node sees the change within five seconds."
)]
pub struct ServiceTokensArgs {
    #[command(subcommand)]
    command: ServiceTokensCommand,
}

#[derive(Debug, Subcommand)]
enum ServiceTokensCommand {
    /// Make a token and print it
    #[command(after_help = "Examples:\n  \
        elasticsearch-service-tokens create elastic/kibana token-1")]
    Create {
        #[arg(value_name = "PRINCIPAL NAME")]
        words: Vec<String>,
        /// Print a JSON object with principal, name and token
        #[arg(long)]
        json: bool,
    },
    /// Remove a token
    #[command(after_help = "Examples:\n  \
        elasticsearch-service-tokens delete elastic/kibana token-1")]
    Delete {
        #[arg(value_name = "PRINCIPAL NAME")]
        words: Vec<String>,
    },
    /// List the tokens, of one principal or all
    #[command(after_help = "Examples:\n  \
        elasticsearch-service-tokens list elastic/kibana")]
    List {
        #[arg(value_name = "PRINCIPAL")]
        words: Vec<String>,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
}

/// Runs a service-tokens command.
pub fn run(args: ServiceTokensArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let paths = Paths::resolve()?;
    match args.command {
        ServiceTokensCommand::Create { words, json } => {
            let (principal, name) = token(&words)?;
            create(&paths, principal, name, json, terminal)
        }
        ServiceTokensCommand::Delete { words } => {
            let (principal, name) = token(&words)?;
            delete(&paths, principal, name, terminal)
        }
        ServiceTokensCommand::List { words, json } => list(&paths, &words, json, terminal),
    }
}

fn create(
    paths: &Paths,
    principal: &str,
    name: &str,
    as_json: bool,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let refused = |message: String| CommandError::new(ExitCode::CodeError, message);
    // Without the name, which may be a secret out of its place.
    check_token_name(name)
        .map_err(|reason| refused(reason.replacen(&format!(" [{name}]"), "", 1)))?;
    let token = ServiceAccountToken::generate(principal, name);
    // Elasticsearch's default for tokens; the secret is random, so stretching adds nothing to guess.
    let hash = Hasher::Pbkdf2Stretch { iterations: 10_000 }
        .hash(&token.secret)
        .map_err(|error| refused(error.to_string()))?;
    let _lock = EditLock::acquire(paths.config()).map_err(failed)?;
    let mut tokens = read(paths, terminal)?;
    if tokens.hash(principal, name).is_some() {
        let message = format!("Service token [{principal}/{name}] already exists");
        return Err(refused(message));
    }
    tokens.put(principal, name, &hash);
    save(paths, &tokens, terminal)?;
    let bearer = token.bearer();
    terminal.result(match as_json {
        true => json!({"principal": principal, "name": name, "token": bearer.expose()}).to_string(),
        false => format!("SERVICE_TOKEN {principal}/{name} = {}", bearer.expose()),
    });
    Ok(())
}

fn delete(
    paths: &Paths,
    principal: &str,
    name: &str,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let _lock = EditLock::acquire(paths.config()).map_err(failed)?;
    let mut tokens = read(paths, terminal)?;
    if !tokens.remove(principal, name) {
        let message = format!("Service token [{principal}/{name}] does not exist");
        return Err(CommandError::new(ExitCode::CodeError, message));
    }
    save(paths, &tokens, terminal)
}

fn list(
    paths: &Paths,
    words: &[String],
    as_json: bool,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let principal = match words {
        [] => None,
        [principal] => Some(principal),
        [_, rest @ ..] => {
            return Err(CommandError::usage(format!(
                "Expected at most one argument, service-account-principal, found [{}] extra",
                rest.len()
            )));
        }
    };
    if let Some(principal) = principal {
        check_principal(principal)?;
    }
    let tokens = read(paths, terminal)?;
    let names: Vec<&str> = tokens
        .names()
        .into_iter()
        .filter(|name| {
            principal.is_none_or(|wanted| name.rsplit_once('/').is_some_and(|(of, _)| of == wanted))
        })
        .collect();
    if as_json {
        terminal.result(json!(names).to_string());
        return Ok(());
    }
    for name in names {
        terminal.result(name);
    }
    Ok(())
}

fn token(words: &[String]) -> Result<(&str, &str), CommandError> {
    match words {
        [principal, name] => {
            check_principal(principal)?;
            Ok((principal, name))
        }
        [] => Err(CommandError::usage(
            "Missing service-account-principal and token-name arguments",
        )),
        [_] => Err(CommandError::usage("Missing token-name argument")),
        [_, _, rest @ ..] => Err(CommandError::usage(format!(
            "Expected two arguments, service-account-principal and token-name, found [{}] extra",
            rest.len()
        ))),
    }
}

fn check_principal(principal: &str) -> Result<(), CommandError> {
    if SERVICE_ACCOUNTS.contains(&principal) {
        return Ok(());
    }
    let message = format!(
        "Unknown service account principal. Must be one of [{}]",
        SERVICE_ACCOUNTS.join(",")
    );
    Err(CommandError::new(ExitCode::NoUser, message))
}

fn read(paths: &Paths, terminal: &mut Terminal) -> Result<ServiceTokensFile, CommandError> {
    let path = paths.config_path(FILE);
    let text = match files::read(&path) {
        Err(FilesError::NotFound { .. }) => String::new(),
        read => read.map_err(failed)?,
    };
    let (tokens, problems) = ServiceTokensFile::parse(&text);
    for problem in problems {
        terminal.err(format!(
            "WARNING: line [{}] of [{}] is ignored: {}",
            problem.line,
            path.display(),
            problem.reason
        ));
    }
    Ok(tokens)
}

fn save(
    paths: &Paths,
    tokens: &ServiceTokensFile,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let path = paths.config_path(FILE);
    let replaced = files::write(&path, &tokens.render()).map_err(failed)?;
    warn_of_changes(&path.display().to_string(), replaced, terminal);
    Ok(())
}

const FILE: &str = "service_tokens";
