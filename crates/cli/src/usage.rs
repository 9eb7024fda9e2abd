//! What is said about a command line that cannot be read.
//!
//! Nothing that could be a value is repeated: whoever mistakes an option writes his password where it does not belong
//! (`--password S3cret!` where there is only `--password-stdin`), and errors end up in logs and tickets.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// Prints the advice of clap about these words, usage line included, and returns its message.
pub fn error(mut error: clap::Error, words: &[OsString], terminal: &mut Terminal) -> CommandError {
    let text = without_values(&mut error, words);
    if matches!(
        error.kind(),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        terminal.err(text.trim_end());
        return CommandError::usage("Missing required command");
    }
    let (message, advice) = text.split_once("\n\n").unwrap_or((&text, ""));
    terminal.err(advice.trim_end());
    let message = message.strip_prefix("error: ").unwrap_or(message).trim();
    let message = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) if argument == HIDDEN => {
            format!("{message} (it is not shown: it may be a secret)")
        }
        _ => message.to_owned(),
    };
    CommandError::new(ExitCode::Usage, message)
}

/// Returns the text of an error without what the user wrote, but for options that read as such.
fn without_values(error: &mut clap::Error, words: &[OsString]) -> String {
    // They quote arguments.
    error.remove(ContextKind::Suggested);
    let value = hide(error, ContextKind::InvalidValue, |value| value.is_empty());
    hide(error, ContextKind::InvalidSubcommand, |_| false);
    if error.kind() == ErrorKind::UnknownArgument {
        hide(error, ContextKind::InvalidArg, |argument| {
            is_option(argument, words)
        });
    }
    let text = error
        .render()
        .to_string()
        .replace(&format!(" '{HIDDEN}'"), "");
    match (value, error.source()) {
        (Some(value), Some(source)) => {
            let reason = source.to_string();
            let shown = match reason.strip_prefix(&value) {
                Some(rest) if !rest.contains(&value) => format!("it{rest}"),
                None if !reason.contains(&value) => reason.clone(),
                _ => "it cannot be read".to_owned(),
            };
            text.replacen(&reason, &shown, 1)
        }
        _ => text,
    }
}

/// Hides what an error says of a kind unless it is harmless. Returns what was hidden.
fn hide(
    error: &mut clap::Error,
    kind: ContextKind,
    is_harmless: impl Fn(&str) -> bool,
) -> Option<String> {
    let Some(ContextValue::String(given)) = error.get(kind) else {
        return None;
    };
    if is_harmless(given) {
        return None;
    }
    let hidden = ContextValue::String(HIDDEN.to_owned());
    match error.insert(kind, hidden) {
        Some(ContextValue::String(given)) => Some(given),
        _ => None,
    }
}

/// Returns whether an argument was written as an option, and looks like the name of one.
fn is_option(argument: &str, words: &[OsString]) -> bool {
    let is_name = |name: &str| {
        let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_word)
    };
    let name = argument.strip_prefix("--").or(argument.strip_prefix('-'));
    let is_written = |word: &OsString| {
        let word = word.to_string_lossy();
        word.split('=').next() == Some(argument)
    };
    name.is_some_and(is_name) && words.iter().any(is_written)
}

/// Stands for what is not shown.
const HIDDEN: &str = "\u{fffd}";

#[cfg(test)]
mod tests {
    use clap::{ArgAction, Command};

    use super::*;
    use crate::{TOOLS, arguments};

    const SECRET: &str = "S3cret!";

    /// Returns all that is said about a command line; nothing about one that can be read.
    fn told(command: &Command, words: &[&str]) -> String {
        let name = command.get_name().to_owned();
        let given = words.iter().map(OsString::from).collect();
        let mut words = vec![OsString::from(name)];
        words.extend(arguments::normalize(command, given));
        let parsed = command.clone().try_get_matches_from(&words);
        let Err(refused) = parsed else {
            return String::new();
        };
        if refused.kind() == ErrorKind::DisplayHelp {
            return String::new();
        }
        let (mut terminal, _, errors) = Terminal::scripted("");
        let error = error(refused, &words, &mut terminal);
        format!("{}\n{error}", errors.text())
    }

    /// Returns every command with the words that lead to it.
    fn commands(command: &Command, path: Vec<String>, into: &mut Vec<(Vec<String>, Command)>) {
        for subcommand in command.get_subcommands() {
            let mut path = path.clone();
            path.push(subcommand.get_name().to_owned());
            commands(subcommand, path, into);
        }
        into.push((path, command.clone()));
    }

    /// Returns mistakes that have a secret in them, for a command with these options.
    fn mistakes(command: &Command) -> Vec<Vec<String>> {
        let line = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        let mut lines: Vec<Vec<String>> = vec![
            line(&[SECRET]),
            line(&[SECRET; 12]),
            line(&["--", SECRET, SECRET, SECRET, SECRET, SECRET, SECRET]),
            line(&["--nonsense", SECRET]),
            line(&[&format!("--nonsense={SECRET}")]),
            line(&["-nonsense", SECRET]),
            line(&[&format!("--{SECRET}")]),
            line(&[&format!("-{SECRET}")]),
            line(&[&format!("-Z{SECRET}")]),
            line(&["-p", SECRET]),
            line(&[&format!("-p{SECRET}")]),
            line(&["--password", SECRET]),
            line(&[&format!("--password={SECRET}")]),
        ];
        for option in command.get_arguments() {
            let long = option.get_long().map(|long| format!("--{long}"));
            let short = option.get_short().map(|short| format!("-{short}"));
            for name in [long, short].into_iter().flatten() {
                lines.push(line(&[&name, SECRET]));
                lines.push(line(&[&name, "x", SECRET]));
                lines.push(line(&[&name, SECRET, &name, SECRET]));
                lines.push(line(&[&format!("{name}={SECRET}")]));
                lines.push(line(&[&format!("{name}{SECRET}")]));
            }
            assert!(
                !matches!(option.get_action(), ArgAction::Version),
                "whatever it prints would not be looked at here"
            );
        }
        lines
    }

    #[test]
    fn no_command_repeats_what_could_be_a_secret() {
        let (mut lines, mut refused) = (0, 0);
        for tool in TOOLS {
            let mut whole = (tool.command)(tool.word);
            whole.build();
            let mut all = Vec::new();
            commands(&whole, Vec::new(), &mut all);
            for (path, command) in all {
                for mistake in mistakes(&command) {
                    let words: Vec<&str> =
                        path.iter().chain(&mistake).map(String::as_str).collect();
                    let told = told(&(tool.command)(tool.word), &words);
                    let repeats =
                        told.contains(SECRET) || told.contains("S3") || told.contains("3cret");
                    assert!(!repeats, "{} {words:?}: {told}", tool.word);
                    lines += 1;
                    refused += usize::from(!told.is_empty());
                }
            }
        }
        assert!(lines > 1000 && refused > lines / 3, "{refused} of {lines}");
    }

    #[test]
    fn what_is_wrong_is_still_told() {
        let tool = |word: &str| {
            let tool = TOOLS.iter().find(|tool| tool.word == word).unwrap();
            (tool.command)(word)
        };
        for (word, words, expected) in [
            (
                "keystore",
                ["list", "--nonsense"],
                "unexpected argument '--nonsense' found",
            ),
            ("keystore", ["list", "-q"], "unexpected argument '-q' found"),
            ("keystore", ["creat", "x"], "unrecognized subcommand"),
            (
                "keystore",
                ["creat", "x"],
                "a similar subcommand exists: 'create'",
            ),
            (
                "reset-password",
                ["--usernam", "u"],
                "Usage: reset-password",
            ),
            (
                "reset-password",
                ["--usrname", "u"],
                "a similar argument exists: '--username'",
            ),
            (
                "quickstart",
                ["--nodes", "17"],
                "invalid value for '--nodes <N>': it is not in 1..=16",
            ),
            (
                "quickstart",
                ["--nodes", "six"],
                "invalid value for '--nodes <N>': invalid digit found in string",
            ),
            ("completions", ["cmd", ""], "[possible values: bash"),
            (
                "init",
                ["here", "S3cret!"],
                "unexpected argument found (it is not shown: it may be a secret)",
            ),
        ] {
            let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
            let told = told(&tool(word), &words);
            // `--usernam` is completed.
            let is_fine = told.is_empty() && words[0] == "--usernam";
            assert!(is_fine || told.contains(expected), "{words:?}: {told}");
        }
    }
}
