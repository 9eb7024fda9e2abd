//! Turns a command line in the manner of Elasticsearch's tools into one that clap reads.
//!
//! Their option parser takes long options with one dash (`-pem`), and `-E` before or after the
//! name of a sub-command. Source: the JOpt Simple library's documentation, whose parser they use.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use crate::error::CommandError;

/// Options that every command accepts.
///
/// The ids have a prefix because ids of global options and of a tool's own must not meet.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CommonArgs {
    /// Show less: only questions, errors and results
    #[arg(
        id = "common.silent",
        short = 's',
        long = "silent",
        global = true,
        conflicts_with = "common.verbose"
    )]
    pub silent: bool,
    /// Show more
    #[arg(id = "common.verbose", short = 'v', long = "verbose", global = true)]
    pub verbose: bool,
    /// Override a setting of elasticsearch.yml for this run; repeatable
    #[arg(id = "common.settings", short = 'E', value_name = "KEY=VALUE", global = true, action = ArgAction::Append)]
    pub settings: Vec<String>,
}

impl CommonArgs {
    /// Returns the `-E` overrides in the order given. Fails on an empty value or a repeated key; the error has no
    /// value in it.
    pub fn overrides(&self) -> Result<Vec<(String, String)>, CommandError> {
        let mut overrides: Vec<(String, String)> = Vec::with_capacity(self.settings.len());
        for setting in &self.settings {
            let Some((key, value)) = setting.split_once('=') else {
                return Err(CommandError::usage(
                    "a setting of -E must be written as KEY=VALUE",
                ));
            };
            if value.is_empty() {
                let message = format!("setting [{key}] must not be empty");
                return Err(CommandError::usage(message));
            }
            if overrides.iter().any(|(known, _)| known == key) {
                let message = format!("setting [{key}] already set");
                return Err(CommandError::usage(message));
            }
            overrides.push((key.to_owned(), value.to_owned()));
        }
        Ok(overrides)
    }
}

/// Rewrites the arguments after the program's name for `command`:
/// `-name` becomes `--name` where that is (the start of) a long option and no group of short ones,
/// `--name=` of an option with an optional value becomes `--name`,
/// and every `-E` moves behind the last sub-command.
pub fn normalize(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let mut rewriter = Rewriter {
        command: command.clone(),
        path: Vec::new(),
        settings: Vec::new(),
        rest: Vec::new(),
    };
    rewriter.command.build();
    rewriter.read(arguments);
    let Rewriter {
        mut path,
        settings,
        rest,
        ..
    } = rewriter;
    path.extend(settings);
    path.extend(rest);
    path
}

struct Rewriter {
    /// The innermost (sub-)command named so far.
    command: Command,
    /// Everything up to and with the last sub-command.
    path: Vec<OsString>,
    settings: Vec<OsString>,
    rest: Vec<OsString>,
}

impl Rewriter {
    fn read(&mut self, arguments: Vec<OsString>) {
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let Some(text) = argument.to_str() else {
                self.rest.push(argument);
                continue;
            };
            match text {
                "--" => {
                    self.rest.push(argument);
                    self.rest.extend(arguments);
                    return;
                }
                "-E" => self
                    .settings
                    .extend([Some(argument), arguments.next()].into_iter().flatten()),
                _ if text.starts_with("-E") => self.settings.push(argument),
                _ if text.starts_with('-') => {
                    let rewritten = rewrite_option(&self.command, text);
                    self.rest.push(rewritten.into());
                }
                _ => self.read_word(argument),
            }
        }
    }

    fn read_word(&mut self, word: OsString) {
        let found = word
            .to_str()
            .and_then(|name| self.command.find_subcommand(name).cloned());
        self.rest.push(word);
        if let Some(subcommand) = found {
            self.command = subcommand;
            self.path.append(&mut self.rest);
        }
    }
}

fn rewrite_option(command: &Command, text: &str) -> String {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let name = match name.strip_prefix('-') {
        Some(word) if !word.starts_with('-') => match long_option(command, word) {
            Some(long) => format!("--{long}"),
            None => return text.to_owned(),
        },
        _ => name.to_owned(),
    };
    match value {
        Some("") if has_optional_value(command, &name) => name,
        Some(value) => format!("{name}={value}"),
        None => name,
    }
}

/// Returns the long option meant by `-word`, if any.
fn long_option<'a>(command: &'a Command, word: &str) -> Option<&'a str> {
    if word.chars().count() < 2 {
        return None;
    }
    let longs = || command.get_arguments().filter_map(Arg::get_long);
    if let Some(exact) = longs().find(|long| *long == word) {
        return Some(exact);
    }
    if is_short_group(command, word) {
        return None;
    }
    let mut matching = longs().filter(|long| long.starts_with(word));
    match (matching.next(), matching.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// Returns whether `-word` reads as short options: flags, at last perhaps one with its value.
fn is_short_group(command: &Command, word: &str) -> bool {
    for letter in word.chars() {
        let Some(option) = command
            .get_arguments()
            .find(|argument| argument.get_short() == Some(letter))
        else {
            return false;
        };
        if option.get_action().takes_values() {
            return true;
        }
    }
    true
}

fn has_optional_value(command: &Command, name: &str) -> bool {
    let long = name.trim_start_matches('-');
    command
        .get_arguments()
        .filter(|argument| argument.get_long() == Some(long))
        .filter_map(Arg::get_num_args)
        .any(|range| range.min_values() == 0 && range.max_values() == 1)
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;

    fn tool() -> Command {
        let subcommand = Command::new("cert")
            .arg(Arg::new("pem").long("pem").action(ArgAction::SetTrue))
            .arg(Arg::new("pass").long("pass").num_args(0..=1))
            .arg(Arg::new("out").long("out").short('o'))
            .arg(
                Arg::new("multiple")
                    .long("multiple")
                    .action(ArgAction::SetTrue),
            )
            .arg(Arg::new("names").num_args(0..));
        CommonArgs::augment_args(Command::new("tool")).subcommand(subcommand)
    }

    fn check(given: &str, expected: &str) {
        let given = given.split(' ').map(OsString::from).collect();
        let words: Vec<String> = normalize(&tool(), given)
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect();
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn long_options_may_have_one_dash_and_be_shortened() {
        check("cert -pem", "cert --pem");
        check("cert -mul -out=x", "cert --multiple --out=x");
        check("cert -p", "cert -p");
        check("cert -unknown", "cert -unknown");
        check("cert -silent", "cert --silent");
    }

    #[test]
    fn groups_of_short_options_stay() {
        check("cert -sv", "cert -sv");
        check("cert -oout.zip", "cert -oout.zip");
    }

    #[test]
    fn an_empty_optional_value_means_none() {
        check("cert --pass= --out=", "cert --pass --out=");
        check("cert -pass=", "cert --pass");
        check("cert --pass=x", "cert --pass=x");
    }

    #[test]
    fn overrides_move_behind_the_subcommand() {
        check("-Ea=1 cert -E b=2 -pem", "cert -Ea=1 -E b=2 --pem");
        check("cert -- -Ea=1 -pem", "cert -- -Ea=1 -pem");
    }

    #[test]
    fn overrides_have_a_value_and_a_key_of_their_own() {
        let overrides = |settings: &[&str]| {
            CommonArgs {
                settings: settings.iter().map(ToString::to_string).collect(),
                ..CommonArgs::default()
            }
            .overrides()
        };
        assert_eq!(
            overrides(&["a=1", "b=x=y"]).unwrap(),
            [("a".into(), "1".into()), ("b".into(), "x=y".into())]
        );
        assert_eq!(
            overrides(&["a="]).unwrap_err().message,
            "setting [a] must not be empty"
        );
        assert_eq!(
            overrides(&["S3cret!"]).unwrap_err().message,
            "a setting of -E must be written as KEY=VALUE"
        );
        assert_eq!(
            overrides(&["a=1", "a=2"]).unwrap_err().message,
            "setting [a] already set"
        );
    }
}
