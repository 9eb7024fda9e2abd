//! `ringwall`: the node and its tools in one program.
//!
//! Which tool runs is told by the name the program is called by (`elasticsearch-keystore`, as the
//! links in a home's `bin` are named) or by the first word after `ringwall`. Prompts, printing and
//! exit statuses live in this crate and nowhere else.

mod arguments;
mod commands;
#[allow(dead_code, reason = "the vocabulary of all tools; few use all of it")]
mod error;
mod password;
#[allow(dead_code, reason = "the vocabulary of all tools; few use all of it")]
mod paths;
mod reference;
#[allow(dead_code, reason = "the vocabulary of all tools; few use all of it")]
mod terminal;
mod usage;

use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{Args, FromArgMatches, Parser};

use crate::arguments::CommonArgs;
use crate::commands::{
    certutil, console, doctor, enrollment, init, keystore, nodes, quickstart, reconfigure_node,
    reset_password, service_tokens, settings, setup_passwords, start, users,
};
use crate::error::CommandError;
use crate::terminal::Terminal;

fn main() -> std::process::ExitCode {
    let mut terminal = Terminal::system();
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let result = dispatch(&program, arguments.collect(), &mut terminal);
    let result = result.and_then(|()| terminal.finish());
    let Err(error) = result else {
        return std::process::ExitCode::SUCCESS;
    };
    // A command that only answers by its status, such as `has-passwd -s`, has nothing to say.
    if !error.message.is_empty() {
        terminal.err(format!("\n{error}"));
    }
    std::process::ExitCode::from(error.exit.code())
}

/// One tool: its names, and how it runs.
struct Tool {
    /// First word after `ringwall`.
    word: &'static str,
    /// Name of the link in `bin`, for tools that Elasticsearch has.
    link: Option<&'static str>,
    about: &'static str,
    /// Returns its options and sub-commands under a name.
    command: fn(name: &str) -> clap::Command,
    /// Reads the arguments after the name, and runs.
    run: fn(name: &str, Vec<OsString>, &mut Terminal) -> Result<(), CommandError>,
}

const TOOLS: &[Tool] = &[
    Tool {
        word: "quickstart",
        link: None,
        about: "sets up a secured cluster on this machine, fills it and runs it",
        command: command::<quickstart::QuickstartArgs>,
        run: |name, arguments, terminal| {
            let (common, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| quickstart::run(args, &common, terminal))
        },
    },
    Tool {
        word: "init",
        link: None,
        about: "lays out the home directory of a node",
        command: command::<init::InitArgs>,
        run: |name, arguments, terminal| {
            let (_, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| init::run(args, terminal))
        },
    },
    Tool {
        word: "start",
        link: Some("elasticsearch"),
        about: "runs a node",
        command: command::<start::StartArgs>,
        run: |name, arguments, terminal| {
            let (common, args) = parse::<start::StartArgs>(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| start::run(&args, &common, terminal))
        },
    },
    Tool {
        word: "console",
        link: Some("kibana"),
        about: "runs the console: pages about a cluster for a browser",
        command: command::<console::ConsoleArgs>,
        run: |name, arguments, terminal| {
            let (common, args) = parse::<console::ConsoleArgs>(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| console::run(&args, &common, terminal))
        },
    },
    Tool {
        word: "console-keystore",
        link: Some("kibana-keystore"),
        about: "manages the secrets of the console",
        command: command::<keystore::ConsoleKeystoreArgs>,
        run: |name, arguments, terminal| {
            let (_, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| keystore::run_console(args, terminal))
        },
    },
    Tool {
        word: "doctor",
        link: None,
        about: "tells what is wrong with a node's settings, TLS and network",
        command: command::<doctor::DoctorArgs>,
        run: |name, arguments, terminal| {
            let (common, args) = parse::<doctor::DoctorArgs>(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| doctor::run(&args, &common, terminal))
        },
    },
    Tool {
        word: "certutil",
        link: Some("elasticsearch-certutil"),
        about: "makes certificates for TLS between nodes and towards clients",
        command: command::<certutil::CertutilArgs>,
        run: |name, arguments, terminal| {
            let (_, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| certutil::run(args, terminal))
        },
    },
    Tool {
        word: "keystore",
        link: Some("elasticsearch-keystore"),
        about: "manages the secure settings of a node",
        command: command::<keystore::KeystoreArgs>,
        run: |name, arguments, terminal| {
            let (_, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| keystore::run(args, terminal))
        },
    },
    Tool {
        word: "setup-passwords",
        link: Some("elasticsearch-setup-passwords"),
        about: "sets the passwords of the built-in users of a new cluster",
        command: command::<setup_passwords::SetupPasswordsArgs>,
        run: |name, arguments, terminal| {
            let (common, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| {
                setup_passwords::run(&args, &common, terminal)
            })
        },
    },
    Tool {
        word: "reset-password",
        link: Some("elasticsearch-reset-password"),
        about: "resets the password of a user",
        command: command::<reset_password::ResetPasswordArgs>,
        run: |name, arguments, terminal| {
            let (common, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| reset_password::run(&args, &common, terminal))
        },
    },
    Tool {
        word: "create-enrollment-token",
        link: Some("elasticsearch-create-enrollment-token"),
        about: "makes a token that enrols a node or a console",
        command: command::<enrollment::EnrollmentTokenArgs>,
        run: |name, arguments, terminal| {
            let (common, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| enrollment::run(&args, &common, terminal))
        },
    },
    Tool {
        word: "nodes",
        link: None,
        about: "lists the nodes that the cluster knows, lets new ones in, forgets old ones",
        command: command::<nodes::NodesArgs>,
        run: |name, arguments, terminal| {
            let arguments = nodes::ids_last(arguments);
            let (common, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| nodes::run(&args, &common, terminal))
        },
    },
    Tool {
        word: "reconfigure-node",
        link: Some("elasticsearch-reconfigure-node"),
        about: "enrols a node that secured itself to an existing cluster",
        command: command::<reconfigure_node::ReconfigureArgs>,
        run: |name, arguments, terminal| {
            let (common, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| {
                reconfigure_node::run(&args, &common, terminal)
            })
        },
    },
    Tool {
        word: "users",
        link: Some("elasticsearch-users"),
        about: "manages the users of the file realm",
        command: command::<users::UsersArgs>,
        run: |name, arguments, terminal| {
            let (common, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| users::run(args, &common, terminal))
        },
    },
    Tool {
        word: "service-tokens",
        link: Some("elasticsearch-service-tokens"),
        about: "manages the file tokens of service accounts",
        command: command::<service_tokens::ServiceTokensArgs>,
        run: |name, arguments, terminal| {
            let (_, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| service_tokens::run(args, terminal))
        },
    },
    Tool {
        word: "settings",
        link: None,
        about: "prints the reference of all settings",
        command: command::<settings::SettingsArgs>,
        run: |name, arguments, terminal| {
            let (_, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| settings::run(&args, terminal))
        },
    },
    Tool {
        word: "completions",
        link: None,
        about: "prints what a shell needs to complete these commands",
        command: command::<reference::CompletionsArgs>,
        run: |name, arguments, terminal| {
            let (_, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| reference::completions(&args, terminal))
        },
    },
    Tool {
        word: "man",
        link: None,
        about: "writes the manual pages into a directory",
        command: command::<reference::ManArgs>,
        run: |name, arguments, terminal| {
            let (_, args) = parse(name, arguments, terminal)?;
            args.map_or(Ok(()), |args| reference::man(&args, terminal))
        },
    },
];

fn dispatch(
    program: &OsString,
    mut arguments: Vec<OsString>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let called_by = Path::new(program)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let by_link = TOOLS
        .iter()
        .find(|tool| tool.link == Some(called_by.as_ref()));
    if let Some(tool) = by_link {
        return (tool.run)(&called_by, arguments, terminal);
    }
    if arguments.is_empty() {
        terminal.err(overview());
        return Err(CommandError::usage("Missing required command"));
    }
    let word = arguments.remove(0).to_string_lossy().into_owned();
    match word.as_str() {
        "-h" | "--help" | "-help" | "help" => terminal.result(overview()),
        "-V" | "--version" => terminal.result(version()),
        _ => return run_word(&word, arguments, terminal),
    }
    Ok(())
}

fn run_word(
    word: &str,
    arguments: Vec<OsString>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let tool = TOOLS
        .iter()
        .find(|tool| tool.word == word || tool.link == Some(word));
    if let Some(tool) = tool {
        return (tool.run)(&format!("ringwall {}", tool.word), arguments, terminal);
    }
    terminal.err(overview());
    // The word is not repeated: it may be a secret out of its place.
    let error = CommandError::usage("Unknown command");
    let words = TOOLS.iter().map(|tool| tool.word);
    Err(match ringwall_base::suggest::nearest(word, words).first() {
        Some(near) => error.with_hint(format!("did you mean [{near}]?")),
        None => error,
    })
}

/// Reads a tool's arguments and sets the verbosity. `None` means that help was asked for and shown.
fn parse<A: Args>(
    name: &str,
    arguments: Vec<OsString>,
    terminal: &mut Terminal,
) -> Result<(CommonArgs, Option<A>), CommandError> {
    let command = command::<A>(name).bin_name(name);
    let mut words = vec![OsString::from(name)];
    words.extend(arguments::normalize(&command, arguments));
    let parsed = command
        .try_get_matches_from(&words)
        .and_then(|matches| ToolArgs::<A>::from_arg_matches(&matches));
    let ToolArgs { common, args } = match parsed {
        Ok(parsed) => parsed,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            terminal.result(error.render().to_string());
            return Ok((CommonArgs::default(), None));
        }
        Err(error) => return Err(usage::error(error, &words, terminal)),
    };
    if common.silent {
        terminal.set_silent();
    }
    if common.verbose {
        terminal.set_verbose();
    }
    // Checked for every tool, so that a mistake is told even by a tool that needs no setting.
    common.overrides()?;
    Ok((common, Some(args)))
}

fn command<A: Args>(name: &str) -> clap::Command {
    let command = clap::Command::new(name.to_owned());
    let command = ToolArgs::<A>::augment_args(command).infer_long_args(true);
    // `create-enrollment-token` has its own meaning for -s, as in Elasticsearch.
    let own_s = |arg: &clap::Arg| arg.get_short() == Some('s') && arg.get_id() != "common.silent";
    let has_own = command.get_arguments().any(own_s);
    match has_own {
        true => command.mut_arg("common.silent", |silent| silent.short(None)),
        false => command,
    }
}

#[derive(Parser)]
struct ToolArgs<A: Args> {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    args: A,
}

fn overview() -> String {
    let mut text = String::from("Usage: ringwall COMMAND [OPTION]...\n\nCommands\n--------\n");
    for tool in TOOLS {
        text.push_str(&format!("{} - {}", tool.word, tool.about));
        if let Some(link) = tool.link {
            text.push_str(&format!(" (also `{link}`)"));
        }
        text.push('\n');
    }
    text.push_str("\n`ringwall COMMAND --help` tells the options of a command.");
    text
}

fn version() -> String {
    format!(
        "ringwall {} (presents Elasticsearch {})",
        ringwall_base::VERSION,
        ringwall_base::COMPATIBLE_VERSION
    )
}
