//! A run that has been joined, shown: on the screen or in lines.
mod lines;
mod record;
mod screen;

pub use record::{of_record, show_record};

use super::exit::Exit;
use super::output::{print_error, with_next};
use crate::session::client::JoinError;
use crate::session::protocol::{Attachment, Welcome};
use lines::Leaving;
use std::io::IsTerminal;
use std::path::Path;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Screen,
    Lines,
    Json,
    /// Not at all.
    Detached,
}

impl Style {
    pub fn of(lines: bool, json: bool) -> Style {
        let screen = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
        match (json, lines || !screen) {
            (true, _) => Style::Json,
            (false, true) => Style::Lines,
            (false, false) => Style::Screen,
        }
    }
}

/// Shows a run that has been joined; records before `first` are not told in lines.
pub async fn show(
    style: Style,
    name: &str,
    folder: &Path,
    welcome: Welcome,
    attachment: Attachment,
    first: u64,
) -> Exit {
    match style {
        Style::Screen => screen::run(name, folder, welcome, attachment).await,
        Style::Lines | Style::Json | Style::Detached => {
            lines::run(style, (name, folder), attachment, first, Leaving::GoesOn).await
        }
    }
}

/// Shows in lines a run that ends when this process leaves it.
pub async fn show_to_its_end(style: Style, name: &str, folder: &Path, attachment: Attachment, first: u64) -> Exit {
    lines::run(style, (name, folder), attachment, first, Leaving::Ends).await
}

/// Says why a run can't be joined.
pub fn cannot_join(name: &str, error: &JoinError) -> Exit {
    print_error(&format!("run {name}: {}", with_next(error, &error.next())));
    Exit::Usage
}

/// The message about a worker that ended without a last record.
pub fn lost(name: &str) -> String {
    format!(
        "the worker of run {name} is gone; what it had begun is in the journal\nnext: start the same command again: it goes on from what the target says"
    )
}

/// Without a terminal there is no screen: says what to type instead.
pub fn no_terminal() -> Option<Exit> {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return None;
    }
    print_error(
        "this is no terminal, so there is no screen to show\n\
         next: `cozyup lab run` tries everything in lines, `cozyup run PLAN --yes` runs a plan, `cozyup --help` shows the rest",
    );
    Some(Exit::Usage)
}
