//! The output of commands: answers, errors, notes. It is checked that everything printed has reached standard output: a
//! command whose answer was lost does not exit as if it had answered. A reader that has seen enough (`| head -1`) is no
//! error.
use super::exit::Exit;
use crate::base::{known, text};
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

static LOST: OnceLock<String> = OnceLock::new();

/// Keeps what came of a write.
pub fn written(result: io::Result<()>) {
    if let Err(e) = result
        && e.kind() != ErrorKind::BrokenPipe
    {
        // The first reason is the one that counts.
        let _ = LOST.set(e.to_string());
    }
}

/// The exit code of this process; called once, at its end.
pub fn exit(exit: Exit) -> Exit {
    written(io::stdout().flush());
    match LOST.get() {
        None => exit,
        Some(why) => {
            print_error(&format!("standard output can't be written: {why}\nnext: look where it goes, then ask again"));
            Exit::Usage
        }
    }
}

/// Longest line of an error.
const ERROR_LIMIT: usize = 8 * 1024;

/// Prints an error as the tool prints all of them: what, then what to do.
pub fn print_error(text: &str) {
    for (i, line) in text.lines().enumerate() {
        let line = text::lines(line, ERROR_LIMIT);
        // Nobody is left to tell when standard error is closed.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("{}{line}\n", if i == 0 && !line.starts_with("error") { "error: " } else { "" }),
        );
    }
}

/// The error with its causes, then the next action.
pub fn with_next(error: &dyn std::error::Error, next: &str) -> String {
    format!("{}\nnext: {next}", text::with_cause(error))
}

/// A word beside the errors, e.g. of what was repaired.
pub fn print_note(text: &str) {
    let _ =
        std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("note: {}\n", text::lines(text, ERROR_LIMIT)));
}

/// Prints lines; what can't be printed shows in the exit code ([`exit`]).
pub fn print(lines: &str) {
    let text = text::clean_lines(&known::hide(lines));
    written(std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{text}\n")));
}
