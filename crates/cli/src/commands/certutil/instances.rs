//! The nodes that certificates are made for: from options, from questions, from a YAML file.
//! Source: Elasticsearch reference, "elasticsearch-certutil" (`--in`).

use std::path::{Path, PathBuf};

use ringwall_pki::DEFAULT_INSTANCE_NAME;
use ringwall_pki::instances::{self, Details, Instance, InvalidInstance, is_filename};

use super::output;
use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// The options that say for which nodes.
#[derive(Debug, clap::Args)]
pub(super) struct InstanceArgs {
    /// Name of the node, or a whole distinguished name
    #[arg(long, value_name = "NAME", conflicts_with = "multiple")]
    name: Option<String>,
    /// DNS names of the node, separated by commas; repeatable
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        conflicts_with = "multiple"
    )]
    dns: Vec<String>,
    /// IP addresses of the node, separated by commas; repeatable
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        conflicts_with = "multiple"
    )]
    ip: Vec<String>,
    /// Ask for several nodes
    #[arg(long)]
    multiple: bool,
    /// YAML file that lists the nodes; wins over the options above
    #[arg(long = "in", value_name = "FILE")]
    input: Option<PathBuf>,
}

impl InstanceArgs {
    /// Returns whether the options can mean several nodes.
    pub(super) fn are_many(&self) -> bool {
        self.multiple || self.input.is_some()
    }

    /// Returns the name of the one node.
    pub(super) fn name(&self) -> Option<&String> {
        self.name.as_ref()
    }

    /// Returns the nodes: at least one.
    ///
    /// Errors: invalid details (78), and those of [`from_file`].
    pub(super) fn nodes(&self, terminal: &mut Terminal) -> Result<Vec<Instance>, CommandError> {
        if let Some(file) = &self.input {
            return from_file(&output::input(file)?, terminal);
        }
        if self.multiple {
            let nodes = multiple(terminal)?;
            return match nodes.is_empty() {
                true => Err(CommandError::config("No instance was specified")),
                false => Ok(nodes),
            };
        }
        let items = |list: &[String]| {
            let given = list.iter().filter(|item| !item.is_empty());
            given.cloned().collect()
        };
        let name = self.name.as_deref().unwrap_or(DEFAULT_INSTANCE_NAME);
        let details = Details {
            name: name.to_owned(),
            dns: items(&self.dns),
            ips: items(&self.ip),
            ..Details::default()
        };
        Ok(vec![single(details, terminal)?])
    }
}

/// Checks the one node of the command line. Asks for a file name when the name is not usable as one.
pub(super) fn single(
    mut details: Details,
    terminal: &mut Terminal,
) -> Result<Instance, CommandError> {
    details.filename = if is_filename(&details.name) {
        details.name.clone()
    } else {
        ask_filename(&details.name, terminal)?
    };
    let name = details.name.clone();
    details.check().map_err(|wrong| {
        report(&name, &wrong, terminal);
        CommandError::config("The details of the instance are invalid (see messages above)")
    })
}

/// Asks for one node after the other.
pub(super) fn multiple(terminal: &mut Terminal) -> Result<Vec<Instance>, CommandError> {
    let mut instances: Vec<Instance> = Vec::new();
    loop {
        let name = terminal.prompt("Enter instance name: ")?;
        if name.is_empty() {
            terminal.err("A name must be provided");
        } else {
            add_asked(name, &mut instances, terminal)?;
        }
        if terminal.prompt(ANOTHER)? != "y" {
            return Ok(instances);
        }
    }
}

/// Reads the nodes of a YAML file.
///
/// Errors: unreadable or no such YAML (1), invalid details (78) after the messages.
pub(super) fn from_file(
    path: &Path,
    terminal: &mut Terminal,
) -> Result<Vec<Instance>, CommandError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        CommandError::new(
            ExitCode::Failure,
            format!("cannot read [{}]: {error}", path.display()),
        )
    })?;
    let entries = instances::parse(&text).map_err(|error| {
        let message = format!("[{}] is not a file of instances: {error}", path.display());
        CommandError::new(ExitCode::Failure, message)
    })?;
    let mut instances = Vec::with_capacity(entries.len());
    let mut all_valid = true;
    for entry in entries {
        match entry {
            Ok(instance) => instances.push(instance),
            Err(InvalidInstance { name, wrong }) => {
                report(&name, &wrong, terminal);
                all_valid = false;
            }
        }
    }
    let path = path.display();
    if !all_valid {
        let message =
            format!("File {path} contains invalid configuration details (see messages above)");
        return Err(CommandError::config(message));
    }
    if instances.is_empty() {
        return Err(CommandError::config(format!(
            "File {path} contains no instances"
        )));
    }
    Ok(instances)
}

/// Splits a comma-separated answer; blanks around the items are no part of them.
fn list(answer: &str) -> Vec<String> {
    answer
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn add_asked(
    name: String,
    instances: &mut Vec<Instance>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let filename = ask_filename(&name, terminal)?;
    let ips = terminal
        .prompt("Enter IP Addresses for instance (comma-separated if more than one) []: ")?;
    let dns =
        terminal.prompt("Enter DNS names for instance (comma-separated if more than one) []: ")?;
    let details = Details {
        name,
        filename,
        ips: list(&ips),
        dns: list(&dns),
        common_names: Vec::new(),
    };
    match details.check() {
        Err(wrong) => {
            for message in wrong {
                terminal.err(message);
            }
            terminal.err("Skipping entry as invalid values were found");
        }
        Ok(instance) => {
            if let Some(known) = instances
                .iter_mut()
                .find(|known| known.name == instance.name)
            {
                terminal.out(format!(
                    "Overwriting previously defined instance information [{}]",
                    instance.name
                ));
                *known = instance;
            } else if instances
                .iter()
                .any(|known| known.filename == instance.filename)
            {
                terminal.err(format!(
                    "the filename [{}] is used by another instance",
                    instance.filename
                ));
                terminal.err("Skipping entry as invalid values were found");
            } else {
                instances.push(instance);
            }
        }
    }
    Ok(())
}

/// Asks until the answer is usable. The name itself is the default if it is.
fn ask_filename(name: &str, terminal: &mut Terminal) -> Result<String, CommandError> {
    let default = is_filename(name).then_some(name);
    let shown = default.map(|name| format!(" [{name}]")).unwrap_or_default();
    loop {
        let answer = terminal.prompt(&format!(
            "Enter name for directories and files of {name}{shown}: "
        ))?;
        match default {
            Some(default) if answer.is_empty() => return Ok(default.to_owned()),
            _ if is_filename(&answer) => return Ok(answer),
            _ => terminal.err(format!("'{answer}' is not a valid filename")),
        }
    }
}

fn report(name: &str, wrong: &[String], terminal: &mut Terminal) {
    terminal.err(format!(
        "Configuration for instance {name} has invalid details"
    ));
    for message in wrong {
        terminal.err(format!(" * {message}"));
    }
}

const ANOTHER: &str = "Would you like to specify another instance? Press 'y' to continue entering instance information: ";

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn a_name_that_is_no_filename_leads_to_a_question() {
        let (mut terminal, _, errors) = Terminal::scripted("a/b\nb\n");
        let details = Details {
            name: "a:b".to_owned(),
            ..Details::default()
        };
        let instance = single(details, &mut terminal).unwrap();
        assert_eq!(
            (instance.name.as_str(), instance.filename.as_str()),
            ("a:b", "b")
        );
        assert!(
            errors
                .text()
                .contains("Enter name for directories and files of a:b: ")
        );
        assert!(errors.text().contains("'a/b' is not a valid filename"));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let (mut terminal, _, errors) = Terminal::scripted("");
        let details = Details {
            name: "ca".to_owned(),
            ips: vec!["1.2.3".to_owned()],
            dns: vec!["ö.example".to_owned()],
            ..Details::default()
        };
        assert_eq!(
            single(details, &mut terminal).unwrap_err().exit,
            ExitCode::Config
        );
        assert_eq!(
            errors.text(),
            "Configuration for instance ca has invalid details\n \
             * [ca] may not be used as an instance name\n \
             * [1.2.3] is not a valid IP address\n \
             * [ö.example] is not a valid DNS name\n"
        );
    }

    #[test]
    fn questions_give_several_instances() {
        let answers =
            "n1\n\n10.0.0.1, 10.0.0.2\na.example\ny\nn2\nfile2\nnonsense\n\ny\n\ny\nn1\n\n\n\nno\n";
        let (mut terminal, output, errors) = Terminal::scripted(answers);
        let instances = multiple(&mut terminal).unwrap();
        assert_eq!(instances.len(), 1);
        assert!(instances[0].ips.is_empty());
        assert!(
            output
                .text()
                .contains("Overwriting previously defined instance information [n1]")
        );
        assert!(
            errors
                .text()
                .contains("Enter name for directories and files of n1 [n1]: ")
        );
        assert!(
            errors
                .text()
                .contains("[nonsense] is not a valid IP address")
        );
        assert!(
            errors
                .text()
                .contains("Skipping entry as invalid values were found")
        );
        assert!(errors.text().contains("A name must be provided"));
    }

    #[track_caller]
    fn file(content: &str) -> (Result<Vec<Instance>, CommandError>, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("instances.yml");
        std::fs::write(&path, content).unwrap();
        let (mut terminal, _, errors) = Terminal::scripted("");
        (from_file(&path, &mut terminal), errors.text())
    }

    #[test]
    fn yaml_takes_one_or_many() {
        let (read, _) = file(
            "instances:\n  - name: n1\n    ip: 192.0.2.1\n    dns: [a.example, '*.b']\n    cn: x\n  \
             - name: CN=n2,O=o\n    filename: two\n    ip: ['2001:db8::1']\n",
        );
        let read = read.unwrap();
        assert_eq!(read[0].ips, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!((read[0].dns.len(), read[0].common_names.len()), (2, 1));
        assert_eq!(
            (read[1].filename.as_str(), read[1].dn.to_string().as_str()),
            ("two", "CN=n2,O=o")
        );
    }

    #[test]
    fn yaml_is_strict() {
        let parse_errors = [
            "instances:\n  - name: a\n    port: 1\n",
            "nodes: []\n",
            "instances:\n  - ip: 1.2.3.4\n",
            "- a",
        ];
        for content in parse_errors {
            assert_eq!(
                file(content).0.unwrap_err().exit,
                ExitCode::Failure,
                "{content}"
            );
        }
        let (read, errors) =
            file("instances:\n  - name: a\n    ip: x\n  - name: b\n  - name: c\n    filename: b\n");
        assert_eq!(read.unwrap_err().exit, ExitCode::Config);
        assert!(
            errors.contains("Configuration for instance a has invalid details\n * [x] is not"),
            "{errors}"
        );
        assert!(
            errors.contains("the filename [b] is used by another instance"),
            "{errors}"
        );
        assert_eq!(
            file("instances: []\n").0.unwrap_err().exit,
            ExitCode::Config
        );
    }
}
