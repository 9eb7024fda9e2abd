//! Where a node's home, configuration and tool output are. Source: Elasticsearch reference, "Configuring
//! Elasticsearch" (config files location).

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use crate::error::CommandError;

/// The directories a command works in; all absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    home: Option<PathBuf>,
    config: PathBuf,
    /// Where relative paths given to tools start.
    base: PathBuf,
}

impl Paths {
    /// Finds the directories from the environment and from how this program was called.
    ///
    /// The home is the directory above the `bin` that holds the link the program was called by, as in
    /// Elasticsearch; else `ES_HOME`, else the working directory if it is a home. The configuration is `ES_PATH_CONF`, else `config` in the home.
    pub fn resolve() -> Result<Self, CommandError> {
        let working = std::env::current_dir().map_err(|error| {
            CommandError::config(format!("cannot read the working directory: {error}"))
        })?;
        Self::from_environment(&Environment {
            home: std::env::var_os("ES_HOME"),
            config: std::env::var_os("ES_PATH_CONF"),
            search_path: std::env::var_os("PATH"),
            program: std::env::args_os().next(),
            working,
        })
    }

    /// Returns the home directory (`ES_HOME`).
    pub fn home(&self) -> Result<&Path, CommandError> {
        self.home.as_deref().ok_or_else(no_home)
    }

    /// Returns the configuration directory (`ES_PATH_CONF`).
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Returns the path of `elasticsearch.yml`.
    pub fn yml(&self) -> PathBuf {
        self.config.join("elasticsearch.yml")
    }

    /// Returns the path of `elasticsearch.keystore`.
    pub fn keystore(&self) -> PathBuf {
        self.config.join("elasticsearch.keystore")
    }

    /// Returns the absolute form of a path that a tool writes: relative paths start where the caller
    /// is. Elasticsearch's scripts change to the home first; who relies on that sets `ES_HOME`, and then
    /// they start there.
    pub fn tool_path(&self, path: impl AsRef<Path>) -> PathBuf {
        normalized(&self.base.join(path))
    }

    /// Returns the absolute form of a path that a tool reads: as [`Paths::tool_path`], else below the
    /// home if it is only there.
    pub fn input_path(&self, path: impl AsRef<Path>) -> PathBuf {
        let near = self.tool_path(&path);
        let far = self.home.as_ref().map(|home| normalized(&home.join(path)));
        match far {
            Some(far) if !near.exists() && far.exists() => far,
            _ => near,
        }
    }

    /// Returns the absolute form of a path typed at a question that means the configuration
    /// directory, such as the CA of `certutil http`.
    pub fn config_path(&self, path: impl AsRef<Path>) -> PathBuf {
        normalized(&self.config.join(path))
    }

    fn from_environment(environment: &Environment) -> Result<Self, CommandError> {
        let named = set(&environment.home).map(|home| environment.absolute(Path::new(home)));
        let home = environment
            .home_of_program()
            .or(named)
            .or_else(|| environment.working_home());
        let config = match (set(&environment.config), &home) {
            (Some(config), _) => environment.absolute(Path::new(config)),
            (None, Some(home)) => home.join("config"),
            (None, None) => return Err(no_home()),
        };
        Ok(Self {
            base: match set(&environment.home) {
                Some(home) => environment.absolute(Path::new(home)),
                None => environment.working.clone(),
            },
            home,
            config,
        })
    }
}

/// Returns the configuration directory of the console: `KBN_PATH_CONF`, else `config` in the home. Source: Kibana
/// reference, "Configure Kibana".
pub fn console_config() -> Result<PathBuf, CommandError> {
    if let Some(given) = set(&std::env::var_os("KBN_PATH_CONF")) {
        return std::path::absolute(given)
            .map(|path| normalized(&path))
            .map_err(|error| CommandError::io(Path::new(given), &error));
    }
    match Paths::resolve() {
        Ok(paths) => Ok(paths.home()?.join("config")),
        Err(_) => Err(CommandError::config(
            "cannot find the home directory of the console",
        )
        .with_hint(
            "call the program by its link in the bin directory of a home, as bin/kibana, or set KBN_PATH_CONF to the \
             directory that has kibana.yml",
        )),
    }
}

/// What the paths are found from.
struct Environment {
    home: Option<OsString>,
    config: Option<OsString>,
    search_path: Option<OsString>,
    program: Option<OsString>,
    working: PathBuf,
}

impl Environment {
    fn absolute(&self, path: &Path) -> PathBuf {
        normalized(&self.working.join(path))
    }

    /// Follows the links from the name the program was called by to the program file, and returns
    /// the first home on the way: the directory above a `bin`, with a `config` beside.
    fn home_of_program(&self) -> Option<PathBuf> {
        let mut link = self.program_path()?;
        for _ in 0..LINKS_MAX {
            if let Some(home) = home_around(&link) {
                return Some(home);
            }
            let target = std::fs::read_link(&link).ok()?;
            link = link.parent()?.join(target);
        }
        None
    }

    fn working_home(&self) -> Option<PathBuf> {
        let yml = self.working.join("config/elasticsearch.yml");
        yml.is_file().then(|| self.working.clone())
    }

    fn program_path(&self) -> Option<PathBuf> {
        let program = Path::new(set(&self.program)?);
        if program.components().count() > 1 || program.is_absolute() {
            return Some(self.working.join(program));
        }
        std::env::split_paths(self.search_path.as_ref()?)
            .map(|directory| self.working.join(directory).join(program))
            .find(|candidate| candidate.exists())
    }
}

fn home_around(link: &Path) -> Option<PathBuf> {
    let bin = std::fs::canonicalize(link.parent()?).ok()?;
    let home = bin.parent()?;
    let is_home = bin.file_name()? == "bin" && home.join("config").is_dir();
    is_home.then(|| home.to_path_buf())
}

fn set(value: &Option<OsString>) -> Option<&OsString> {
    value.as_ref().filter(|value| !value.is_empty())
}

fn no_home() -> CommandError {
    CommandError::config("cannot find the home directory of a node").with_hint(
        "call the program in a home or by its link in the bin directory of one, \
         set ES_HOME or ES_PATH_CONF, or make a home with `ringwall init DIR`",
    )
}

/// Removes `.` and resolves `..` by name, without looking at the disk.
fn normalized(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// Bound on symbolic links followed; as the kernel's own.
const LINKS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(working: &Path) -> Environment {
        Environment {
            home: None,
            config: None,
            search_path: None,
            program: None,
            working: working.to_path_buf(),
        }
    }

    /// Makes `<dir>/home/{bin,config}` with a link to a program outside, and returns the home.
    fn home_in(dir: &Path) -> PathBuf {
        let home = std::fs::canonicalize(dir).unwrap().join("home");
        std::fs::create_dir_all(home.join("bin")).unwrap();
        std::fs::create_dir_all(home.join("config")).unwrap();
        std::fs::write(dir.join("program"), "").unwrap();
        std::os::unix::fs::symlink("../../program", home.join("bin/elasticsearch")).unwrap();
        home
    }

    #[test]
    fn home_is_above_the_link_and_found_through_further_links() {
        let dir = tempfile::tempdir().unwrap();
        let home = home_in(dir.path());
        let outer = dir.path().join("es");
        std::os::unix::fs::symlink("home/bin/elasticsearch", &outer).unwrap();
        for program in [
            home.join("bin/elasticsearch"),
            outer,
            "home/bin/elasticsearch".into(),
        ] {
            let mut environment = environment(dir.path());
            environment.program = Some(program.clone().into());
            let paths = Paths::from_environment(&environment).unwrap();
            assert_eq!(paths.home().unwrap(), home, "{}", program.display());
            assert_eq!(paths.config(), home.join("config"));
        }
    }

    #[test]
    fn a_bare_program_name_is_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        let home = home_in(dir.path());
        let mut environment = environment(Path::new("/"));
        environment.program = Some("elasticsearch".into());
        environment.search_path =
            Some(std::env::join_paths(["/nowhere".into(), home.join("bin")]).unwrap());
        let paths = Paths::from_environment(&environment).unwrap();
        assert_eq!(paths.home().unwrap(), home);
    }

    #[test]
    fn environment_wins_and_relative_paths_start_where_the_scripts_would() {
        let mut environment = environment(Path::new("/work"));
        environment.home = Some("es".into());
        environment.config = Some("../etc/es".into());
        let paths = Paths::from_environment(&environment).unwrap();
        assert_eq!(paths.home().unwrap(), Path::new("/work/es"));
        assert_eq!(paths.config(), Path::new("/etc/es"));
        assert_eq!(
            paths.keystore(),
            Path::new("/etc/es/elasticsearch.keystore")
        );
        assert_eq!(
            paths.tool_path("./a/../ca.p12"),
            Path::new("/work/es/ca.p12")
        );
        assert_eq!(paths.tool_path("/x/ca.p12"), Path::new("/x/ca.p12"));
        assert_eq!(paths.config_path("ca.pem"), Path::new("/etc/es/ca.pem"));
    }

    #[test]
    fn without_any_trace_of_a_home_the_error_says_how_to_make_one() {
        let mut environment = environment(Path::new("/work"));
        let error = Paths::from_environment(&environment).unwrap_err();
        assert!(error.hint.unwrap().contains("ringwall init"));
        environment.config = Some("conf".into());
        let paths = Paths::from_environment(&environment).unwrap();
        assert!(paths.home().is_err());
        assert_eq!(paths.tool_path("out.zip"), Path::new("/work/out.zip"));
    }
}
