//! Checks that everything printed has reached standard output. A command whose answer was lost has not answered, so it
//! does not exit as if it had; a reader that has seen enough (`| head -1`) is no error.
use super::{Exit, tell};
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
            tell(&format!("standard output can't be written: {why}\nnext: look where it goes, then ask again"));
            Exit::Usage
        }
    }
}
