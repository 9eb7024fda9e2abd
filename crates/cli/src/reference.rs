//! Completions and manual pages, made from the definitions of the commands.

use std::path::PathBuf;

use clap_complete::Shell;

use crate::TOOLS;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Prints what a shell needs to complete these commands, under `ringwall` and the tools' own names",
    after_help = "Examples:\n  \
        ringwall completions bash > /etc/bash_completion.d/ringwall\n  \
        ringwall completions zsh > ~/.zfunc/_ringwall\n  \
        ringwall completions fish > ~/.config/fish/completions/ringwall.fish"
)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Writes the manual pages of all commands into a directory",
    after_help = "Examples:\n  \
        ringwall man /usr/local/share/man/man1\n  \
        ringwall man pages && man -l pages/elasticsearch-keystore.1"
)]
pub struct ManArgs {
    /// The directory; made if it does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Prints the completions of a shell.
pub fn completions(args: &CompletionsArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let shell = args.shell;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut whole(), "ringwall", &mut script);
    for tool in TOOLS {
        if let Some(link) = tool.link {
            clap_complete::generate(shell, &mut (tool.command)(link), link, &mut script);
        }
    }
    terminal.write_raw(&script);
    Ok(())
}

/// Writes the manual pages.
pub fn man(args: &ManArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let directory = args.directory.as_path();
    std::fs::create_dir_all(directory).map_err(|error| CommandError::io(directory, &error))?;
    let failed = |error| CommandError::io(directory, &error);
    clap_mangen::generate_to(whole(), directory).map_err(failed)?;
    for tool in TOOLS {
        if let Some(link) = tool.link {
            let command = (tool.command)(link).name(link).display_name(link);
            clap_mangen::generate_to(command, directory).map_err(failed)?;
        }
    }
    terminal.out(format!("Manual pages written to {}", directory.display()));
    Ok(())
}

/// Returns the program with all of its tools.
fn whole() -> clap::Command {
    let tools = TOOLS
        .iter()
        .map(|tool| (tool.command)(tool.word).about(tool.about));
    clap::Command::new("ringwall")
        .about("A secure-by-default, Elasticsearch-compatible search cluster")
        .version(ringwall_base::VERSION)
        .subcommands(tools)
}
