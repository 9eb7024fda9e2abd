//! The only place that prints, or that reads standard input. Source: Elasticsearch's `Terminal`.
//!
//! On a terminal, questions are put there and secrets are read without echo. Otherwise questions
//! go to standard error and every answer, secrets included, is one line of standard input: that is
//! what scripts such as `printf '…\n…\n' | elasticsearch-keystore add …` rely on.

use std::io::{self, BufRead, Cursor, IsTerminal, Read, Write};
use std::path::Path;

use ringwall_base::{SecretBytes, SecretString};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::error::{CommandError, ExitCode};

/// How much a command says. Source: Elasticsearch's `Terminal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verbosity {
    Silent,
    Normal,
    Verbose,
}

/// Standard input, output and error of a command.
pub struct Terminal {
    input: Box<dyn BufRead>,
    output: Box<dyn Write>,
    errors: Box<dyn Write>,
    /// Standard input is a terminal: secrets are read from it without echo.
    input_is_tty: bool,
    output_is_tty: bool,
    /// The last line of the screen is a [`Terminal::status`], to be replaced.
    shows_status: bool,
    verbosity: Verbosity,
    /// Yes/no questions are not asked but answered with yes.
    assumes_yes: bool,
    /// The file that answers come from instead of standard input.
    answers: Option<String>,
    /// The first failure to write, reported by [`Terminal::finish`].
    failure: Option<io::Error>,
}

impl Terminal {
    /// Returns the process's own terminal.
    pub fn system() -> Self {
        Self {
            input: Box::new(io::stdin().lock()),
            output: Box::new(io::stdout()),
            errors: Box::new(io::stderr()),
            input_is_tty: io::stdin().is_terminal(),
            output_is_tty: io::stdout().is_terminal(),
            verbosity: Verbosity::Normal,
            assumes_yes: false,
            shows_status: false,
            answers: None,
            failure: None,
        }
    }

    /// Takes every answer, secrets included, from the lines of a file's content from now on. The
    /// answers are shown after their questions, but not the secrets.
    pub fn answer_from(&mut self, file: &Path, content: SecretBytes) {
        self.input = Box::new(Cursor::new(Lines(content)));
        self.input_is_tty = false;
        self.answers = Some(file.display().to_string());
    }

    /// Fails if the file of [`Terminal::answer_from`] has answers that no question took: then the
    /// others may have met the wrong questions.
    pub fn check_answers_used(&mut self) -> Result<(), CommandError> {
        let Some(file) = self.answers.clone() else {
            return Ok(());
        };
        let rest = self.read_stdin_all()?;
        let lines = rest.expose().split(|byte| *byte == b'\n');
        let left = lines.filter(|line| !line.trim_ascii().is_empty()).count();
        if left == 0 {
            return Ok(());
        }
        Err(CommandError::data(format!(
            "[{file}] has {left} more answers than there are questions"
        ))
        .with_hint("the questions above show which answer each one took"))
    }

    /// Returns whether a person is there: standard input and output are both a terminal.
    pub fn is_interactive(&self) -> bool {
        self.input_is_tty && self.output_is_tty
    }

    /// Returns whether standard output is a terminal rather than a file or pipe.
    pub fn output_is_terminal(&self) -> bool {
        self.output_is_tty
    }

    /// Returns whether explanations are hidden.
    pub fn is_silent(&self) -> bool {
        self.verbosity == Verbosity::Silent
    }

    /// Hides explanations; questions, errors and results asked for stay.
    pub fn set_silent(&mut self) {
        self.verbosity = Verbosity::Silent;
    }

    /// Shows details as well.
    pub fn set_verbose(&mut self) {
        self.verbosity = Verbosity::Verbose;
    }

    /// Answers every yes/no question with yes from now on.
    pub fn set_assume_yes(&mut self) {
        self.assumes_yes = true;
    }

    /// Prints a line to standard output, unless silent.
    pub fn out(&mut self, text: impl AsRef<str>) {
        self.print(Verbosity::Normal, text.as_ref());
    }

    /// Prints a line to standard output, silent or not: the result the user asked for.
    pub fn result(&mut self, text: impl AsRef<str>) {
        self.print(Verbosity::Silent, text.as_ref());
    }

    /// Prints a line to standard output when verbose.
    pub fn detail(&mut self, text: impl AsRef<str>) {
        self.print(Verbosity::Verbose, text.as_ref());
    }

    /// Shows what is going on: on a screen, in a line that the next output replaces; elsewhere not.
    pub fn status(&mut self, text: impl AsRef<str>) {
        if !self.output_is_tty || self.is_silent() {
            return;
        }
        let written = write!(self.output, "{CLEAR_LINE}{}", text.as_ref());
        let flushed = written.and_then(|()| self.output.flush());
        self.note(flushed);
        self.shows_status = true;
    }

    /// Prints a line to standard error, silent or not.
    pub fn err(&mut self, text: impl AsRef<str>) {
        self.clear_status();
        let written = writeln!(self.errors, "{}", text.as_ref());
        self.note(written);
    }

    /// Writes bytes to standard output as they are, without a line end.
    pub fn write_raw(&mut self, bytes: &[u8]) {
        let written = self.output.write_all(bytes);
        self.note(written);
    }

    /// Asks a question and returns the line answered, without its end.
    ///
    /// Fails at the end of input, as every reading method here does.
    pub fn prompt(&mut self, prompt: &str) -> Result<String, CommandError> {
        self.ask(prompt)?;
        let line = self.read_answer(prompt)?;
        self.show_answer(prompt, &line);
        Ok(line.to_string())
    }

    /// Asks for a secret: without echo on a terminal, else a line of standard input.
    pub fn secret(&mut self, prompt: &str) -> Result<SecretString, CommandError> {
        // Before the question: who answers at once, as a program does, must not see the answer either.
        let _silence = match self.input_is_tty {
            true => Some(Silence::of_input().map_err(|error| cannot_read(&error))?),
            false => None,
        };
        self.ask(prompt)?;
        let mut line = self.read_answer(prompt)?;
        self.show_answer(prompt, "***");
        Ok(SecretString::new(std::mem::take(&mut *line)))
    }

    /// Asks a yes/no question until the answer is `y`, `n` or empty (the default).
    ///
    /// `[y/N]` or `[Y/n]` is appended to the question.
    pub fn confirm(&mut self, prompt: &str, default: bool) -> Result<bool, CommandError> {
        if self.assumes_yes {
            return Ok(true);
        }
        let choices = if default { " [Y/n]" } else { " [y/N]" };
        loop {
            let answer = self.prompt(&format!("{prompt}{choices}"))?.to_lowercase();
            match answer.trim() {
                "" => return Ok(default),
                "y" => return Ok(true),
                "n" => return Ok(false),
                other => self.err(format!("Did not understand answer '{other}'")),
            }
        }
    }

    /// Returns the next line of standard input without its end. The caller wraps secrets.
    pub fn read_stdin_line(&mut self) -> Result<String, CommandError> {
        let mut line = self.read_line()?;
        Ok(std::mem::take(&mut *line))
    }

    /// Returns the rest of standard input.
    pub fn read_stdin_all(&mut self) -> Result<SecretBytes, CommandError> {
        let mut bytes = Zeroizing::new(Vec::new());
        self.input
            .by_ref()
            .take(INPUT_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| cannot_read(&error))?;
        if bytes.len() as u64 > INPUT_BYTES_MAX {
            return Err(too_long());
        }
        Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
    }

    /// Flushes what was printed. Fails if anything could not be written, for example to a full disk.
    pub fn finish(&mut self) -> Result<(), CommandError> {
        let flushed = self.output.flush();
        self.note(flushed);
        match self.failure.take() {
            // The reader of a pipe may stop early (`… | head -1`); that is no failure of ours.
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::new(
                ExitCode::IoError,
                format!("cannot write the output: {error}"),
            )),
            _ => Ok(()),
        }
    }

    fn clear_status(&mut self) {
        if std::mem::take(&mut self.shows_status) {
            let written = write!(self.output, "{CLEAR_LINE}");
            let flushed = written.and_then(|()| self.output.flush());
            self.note(flushed);
        }
    }

    fn print(&mut self, level: Verbosity, text: &str) {
        if self.verbosity >= level {
            self.clear_status();
            let written = writeln!(self.output, "{text}");
            self.note(written);
        }
    }

    /// Shows a question where a person sees it, without a line end.
    fn ask(&mut self, prompt: &str) -> Result<(), CommandError> {
        let target = if self.is_interactive() {
            &mut self.output
        } else {
            &mut self.errors
        };
        target
            .write_all(prompt.as_bytes())
            .and_then(|()| target.flush())
            .map_err(|error| {
                CommandError::new(ExitCode::IoError, format!("cannot ask [{prompt}]: {error}"))
            })
    }

    fn read_answer(&mut self, prompt: &str) -> Result<Zeroizing<String>, CommandError> {
        self.read_line().map_err(|error| match &self.answers {
            Some(file) if error.message == END_OF_INPUT => CommandError::data(format!(
                "[{file}] has no answer to the question [{}]",
                prompt.trim()
            ))
            .with_hint("the questions above show which answer each one took"),
            _ => error,
        })
    }

    /// Completes a question that no person answered, so that each has a line.
    fn show_answer(&mut self, prompt: &str, answer: &str) {
        if self.answers.is_some() {
            let blank = if prompt.ends_with(' ') { "" } else { " " };
            self.err(format!("{blank}{answer}"));
        }
    }

    fn read_line(&mut self) -> Result<Zeroizing<String>, CommandError> {
        let mut line = Zeroizing::new(String::new());
        let read = self
            .input
            .by_ref()
            .take(INPUT_BYTES_MAX + 1)
            .read_line(&mut line)
            .map_err(|error| cannot_read(&error))?;
        if read == 0 {
            return Err(CommandError::new(ExitCode::Failure, END_OF_INPUT));
        }
        if read as u64 > INPUT_BYTES_MAX {
            return Err(too_long());
        }
        if line.ends_with('\n') {
            line.pop();
            if line.ends_with('\r') {
                line.pop();
            }
        }
        Ok(line)
    }

    fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.failure.get_or_insert(error);
        }
    }
}

/// The content of a file of answers, wiped when dropped.
struct Lines(SecretBytes);

impl AsRef<[u8]> for Lines {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

/// The terminal shows nothing of what is typed but the end of the line, until dropped.
struct Silence {
    before: Termios,
}

impl Silence {
    fn of_input() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // The terminal may be gone; there is nothing left to restore then.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn cannot_read(error: &io::Error) -> CommandError {
    CommandError::new(
        ExitCode::IoError,
        format!("cannot read standard input: {error}"),
    )
}

fn too_long() -> CommandError {
    CommandError::data(format!(
        "standard input is longer than {} MiB",
        INPUT_BYTES_MAX >> 20
    ))
}

/// To the line's start, and erases it.
const CLEAR_LINE: &str = "\r\x1b[2K";

/// Bound of one answer and of a whole piped input: 64 MiB.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// Source: Elasticsearch's `Terminal`.
const END_OF_INPUT: &str =
    "unable to read from standard input; is standard input open and a tty attached?";

/// A terminal for tests: scripted input, captured output.
#[cfg(test)]
pub mod testing {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// What a command printed.
    #[derive(Clone, Default)]
    pub struct Capture(Rc<RefCell<Vec<u8>>>);

    impl Capture {
        /// Returns the text printed so far.
        pub fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.borrow()).into_owned()
        }
    }

    impl Write for Capture {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Terminal {
        /// Returns a terminal that answers with `input`, and captures of its output and errors.
        pub fn scripted(input: &str) -> (Self, Capture, Capture) {
            let (output, errors) = (Capture::default(), Capture::default());
            let terminal = Self {
                input: Box::new(io::Cursor::new(input.to_owned().into_bytes())),
                output: Box::new(output.clone()),
                errors: Box::new(errors.clone()),
                input_is_tty: false,
                output_is_tty: false,
                shows_status: false,
                verbosity: Verbosity::Normal,
                assumes_yes: false,
                answers: None,
                failure: None,
            };
            (terminal, output, errors)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piped_answers_are_lines_and_questions_go_to_standard_error() {
        let (mut terminal, output, errors) = Terminal::scripted("name\r\nhunter2\n\nyes\nY\nlast");
        assert_eq!(terminal.prompt("Name: ").unwrap(), "name");
        assert_eq!(terminal.secret("Secret: ").unwrap().expose(), "hunter2");
        assert!(terminal.confirm("Empty?", true).unwrap());
        assert!(terminal.confirm("Sure?", false).unwrap());
        assert_eq!(terminal.read_stdin_line().unwrap(), "last");
        assert_eq!(output.text(), "");
        assert_eq!(
            errors.text(),
            "Name: Secret: Empty? [Y/n]Sure? [y/N]Did not understand answer 'yes'\nSure? [y/N]"
        );
    }

    #[test]
    fn answers_of_a_file_are_shown_but_secrets_are_not() {
        let (mut terminal, output, errors) = Terminal::scripted("of standard input\n");
        let answers = SecretBytes::new(*b"name\r\nhunter2\n\nmore\n");
        terminal.answer_from(Path::new("answers.txt"), answers);
        assert_eq!(terminal.prompt("Name:").unwrap(), "name");
        assert_eq!(terminal.secret("Secret:").unwrap().expose(), "hunter2");
        assert!(terminal.confirm("Sure?", true).unwrap());
        assert_eq!(output.text(), "");
        assert_eq!(errors.text(), "Name: name\nSecret: ***\nSure? [Y/n] \n");
        let error = terminal.check_answers_used().unwrap_err();
        assert!(error.message.contains("1 more answers"), "{error}");
        let error = terminal.prompt("Next:").unwrap_err();
        assert_eq!(error.exit, ExitCode::DataError);
        assert_eq!(
            error.message,
            "[answers.txt] has no answer to the question [Next:]"
        );
        terminal.check_answers_used().unwrap();
    }

    #[test]
    fn end_of_input_is_an_error() {
        let (mut terminal, _, _) = Terminal::scripted("");
        let error = terminal.prompt("Name: ").unwrap_err();
        assert_eq!(error.exit, ExitCode::Failure);
        assert_eq!(error.message, END_OF_INPUT);
    }

    #[test]
    fn a_status_is_for_screens_and_goes_away() {
        let (mut terminal, output, _) = Terminal::scripted("");
        terminal.status("not shown");
        terminal.output_is_tty = true;
        terminal.status("one");
        terminal.status("two");
        terminal.out("done");
        terminal.out("next");
        let clear = CLEAR_LINE;
        let expected = format!("{clear}one{clear}two{clear}done\nnext\n");
        assert_eq!(output.text(), expected);
    }

    #[test]
    fn verbosity_selects_lines() {
        let (mut terminal, output, _) = Terminal::scripted("");
        terminal.out("normal");
        terminal.detail("hidden");
        terminal.set_silent();
        terminal.out("hidden");
        terminal.result("asked for");
        terminal.set_verbose();
        terminal.detail("detail");
        assert_eq!(output.text(), "normal\nasked for\ndetail\n");
    }
}
