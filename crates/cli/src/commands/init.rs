//! `ringwall init DIR`: lays out the home directory of a node.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use ringwall_base::fs::write_atomic;

use crate::error::CommandError;
use crate::terminal::Terminal;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Lays out the home directory of a node: bin, config, data and logs",
    after_help = "Examples:\n  \
        ringwall init node-1        then node-1/bin/elasticsearch starts it"
)]
pub struct InitArgs {
    /// Directory to make; on an existing home, missing parts are added and links renewed
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Makes the home, or completes an existing one. Never overwrites a configuration.
///
/// A relative directory starts at the working directory.
pub fn run(args: InitArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let home = std::path::absolute(&args.directory)
        .map_err(|error| CommandError::io(&args.directory, &error))?;
    let is_renewed = lay_out(&home)?;
    report(&home, is_renewed, terminal);
    Ok(())
}

/// Makes the home at an absolute path, or completes the one there. Returns whether there was one.
pub fn lay_out(home: &Path) -> Result<bool, CommandError> {
    let is_renewed = is_home(home);
    if !is_renewed {
        check_empty(home)?;
    }
    for (name, mode) in DIRECTORIES {
        make_directory(&home.join(name), *mode)?;
    }
    let yml = home.join(YML);
    if !is_renewed {
        write_atomic(&yml, ringwall_settings::annotated_yml().as_bytes(), 0o660)
            .map_err(|error| CommandError::io(&yml, &error))?;
        let console = home.join("config").join(ringwall_settings::console::FILE);
        let text = ringwall_settings::docs::annotated_console_yml();
        write_atomic(&console, text.as_bytes(), 0o660)
            .map_err(|error| CommandError::io(&console, &error))?;
        for name in EMPTY_FILES {
            let file = home.join("config").join(name);
            write_atomic(&file, b"", 0o600).map_err(|error| CommandError::io(&file, &error))?;
        }
    }
    link_programs(&home.join("bin"))?;
    Ok(is_renewed)
}

fn is_home(directory: &Path) -> bool {
    directory.join(YML).is_file()
}

/// Refuses a directory that holds something else.
fn check_empty(directory: &Path) -> Result<(), CommandError> {
    let mut entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let message = format!("[{}] exists and is no directory", directory.display());
            return Err(CommandError::cant_create(message));
        }
        Err(error) => return Err(CommandError::io(directory, &error)),
    };
    if entries.next().is_none() {
        return Ok(());
    }
    let message = format!(
        "[{}] is not empty and is no home of a node (it has no {YML})",
        directory.display()
    );
    Err(CommandError::cant_create(message).with_hint("name a new or an empty directory"))
}

fn make_directory(path: &Path, mode: u32) -> Result<(), CommandError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|error| {
            CommandError::cant_create(format!("cannot make [{}]: {error}", path.display()))
        })
}

fn link_programs(bin: &Path) -> Result<(), CommandError> {
    let program = std::env::current_exe()
        .and_then(fs::canonicalize)
        .map_err(|error| CommandError::config(format!("cannot find this program: {error}")))?;
    PROGRAMS.iter().try_for_each(|name| {
        let link = bin.join(name);
        renew_link(&program, &link).map_err(|error| CommandError::io(&link, &error))
    })
}

/// Points a link at the program, atomically. Fails if something else than a link is there.
fn renew_link(program: &Path, link: &Path) -> io::Result<()> {
    match fs::symlink_metadata(link) {
        Ok(existing) if !existing.is_symlink() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a file of this name exists that is no link; move it away",
            ));
        }
        Ok(_) if fs::read_link(link)? == program => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let temporary = link.with_extension(format!("{}.tmp", std::process::id()));
    symlink(program, &temporary)?;
    fs::rename(&temporary, link).inspect_err(|_| {
        // The rename's error is the one to report; the leftover is a harmless link.
        let _ = fs::remove_file(&temporary);
    })
}

fn report(home: &Path, is_renewed: bool, terminal: &mut Terminal) {
    let home = home.display();
    if is_renewed {
        terminal.out(format!("Renewed the home of a node in {home}"));
        return;
    }
    terminal.out(format!("Created the home of a node in {home}"));
    terminal.out(format!("  settings  {home}/{YML}"));
    terminal.out(format!("  programs  {home}/bin"));
    terminal.out(format!(
        "Next, make a certificate authority with `{home}/bin/elasticsearch-certutil ca`"
    ));
}

const YML: &str = "config/elasticsearch.yml";

/// What an archive of Elasticsearch brings, too: `elasticsearch-users` takes a missing file for a mistake.
const EMPTY_FILES: &[&str] = &["users", "users_roles"];

/// Directories of a home with the modes of new ones. Source: Elasticsearch reference, "Install Elasticsearch from
/// archive on Linux or MacOS" (directory layout).
const DIRECTORIES: &[(&str, u32)] = &[
    ("", 0o755),
    ("bin", 0o755),
    ("config", 0o750),
    ("data", 0o750),
    ("logs", 0o750),
];

/// Names under which Elasticsearch's users call the programs that there are.
const PROGRAMS: &[&str] = &[
    "elasticsearch",
    "elasticsearch-certutil",
    "elasticsearch-create-enrollment-token",
    "elasticsearch-keystore",
    "elasticsearch-reconfigure-node",
    "elasticsearch-reset-password",
    "elasticsearch-service-tokens",
    "elasticsearch-setup-passwords",
    "elasticsearch-users",
    "kibana",
    "kibana-keystore",
];
