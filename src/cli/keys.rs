//! Secrets that a person gives beside the plan: the token's secret, and the key or passphrase of sealed secrets. They
//! are never an argument and never printed. They come from the environment (the token alone), from a file, or are typed
//! without an echo.
use super::output::{print_error, with_next};
use crate::base::file::read_private;
use crate::base::secret::Secret;
use crate::base::vault::{self, Key, VaultError};
use crate::compose;
use crate::session::order::Keys;
use crossterm::event::{Event, KeyCode, KeyModifiers, read};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// The number of attempts to type a passphrase.
const TRIES: usize = 3;

/// `--secrets-key` of this process.
static FILE: OnceLock<PathBuf> = OnceLock::new();

/// Called once, with what the command line says.
pub fn from_file(path: Option<PathBuf>) {
    if let Some(path) = path {
        // A second call does not happen.
        let _ = FILE.set(path);
    }
}

/// True when the command line names a file with a key.
pub fn are_given() -> bool {
    FILE.get().is_some()
}

/// The keys for a run whose secrets are in `secrets`; asks on the terminal when it has to.
///
/// # Errors
/// When the secrets are sealed and nothing opens them: what, and what to do.
pub fn of_run(secrets: &Path) -> Result<Keys, String> {
    let identity = match vault::is_sealed(secrets) {
        Ok(true) => Some(identity(secrets)?),
        Ok(false) => None,
        Err(e) => return Err(told(&e)),
    };
    Ok(Keys { token: compose::token_of_environment(), identity })
}

/// The key of sealed secrets.
///
/// # Errors
/// See [`of_run`].
pub fn identity(secrets: &Path) -> Result<Secret<String>, String> {
    if let Some(path) = FILE.get() {
        let key = of_file(path)?;
        return vault::unlock(secrets, &key).map_err(|e| told(&e));
    }
    if !vault::wants_passphrase(secrets) || !can_ask() {
        return Err(told(&VaultError::Sealed { dir: secrets.display().to_string() }));
    }
    for _ in 0..TRIES {
        let key = Key::Passphrase(ask("passphrase of the secrets: ")?);
        match vault::unlock(secrets, &key) {
            Err(e @ VaultError::WrongKey { .. }) => print_error(&e.to_string()),
            other => return other.map_err(|e| told(&e)),
        }
    }
    Err(told(&VaultError::WrongKey { dir: secrets.display().to_string() }))
}

/// The key with which new secrets will be sealed: the file of the command line, else a passphrase, typed twice.
///
/// # Errors
/// When there is neither a file nor a terminal.
pub fn new_key() -> Result<Key, String> {
    if let Some(path) = FILE.get() {
        return of_file(path);
    }
    if !can_ask() {
        return Err("nothing says with what to seal the secrets\n\
             next: start it on a terminal, or give --secrets-key FILE with an age key or a passphrase"
            .to_string());
    }
    let first = ask("new passphrase for the secrets: ")?;
    if first.expose().is_empty() {
        return Err("an empty passphrase protects nothing\nnext: choose one of several words".to_string());
    }
    if first != ask("once more: ")? {
        return Err("the two are not the same; nothing was sealed\nnext: try again".to_string());
    }
    Ok(Key::Passphrase(first))
}

fn of_file(path: &Path) -> Result<Key, String> {
    let text = read_private(path).map_err(|e| with_next(&e, &e.next()))?;
    if text.expose().is_empty() {
        return Err(format!("{} is empty\nnext: write an age key or a passphrase into it", path.display()));
    }
    Ok(Key::of_text(&text))
}

pub fn told(e: &VaultError) -> String {
    with_next(e, &e.next())
}

/// True when a person can be asked.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// A line from the terminal that is not shown there.
fn ask(prompt: &str) -> Result<Secret<String>, String> {
    let show = |text: &str| {
        let mut err = std::io::stderr();
        // With standard error closed the prompt is not seen; the answer is read all the same.
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    };
    show(prompt);
    enable_raw_mode().map_err(|e| format!("the terminal can't be used: {e}"))?;
    let typed = typed();
    // A terminal that can't be set back is left in raw mode; nothing better can be done here.
    let _ = disable_raw_mode();
    show("\n");
    typed
}

fn typed() -> Result<Secret<String>, String> {
    let mut text = Zeroizing::new(String::new());
    loop {
        match read().map_err(|e| format!("the terminal can't be read: {e}"))? {
            Event::Key(key) => match key.code {
                KeyCode::Enter => return Ok(Secret::new(text.to_string())),
                KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                    return Err("left without a passphrase; nothing was begun".to_string());
                }
                KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => text.clear(),
                KeyCode::Char(c) => text.push(c),
                KeyCode::Backspace => drop(text.pop()),
                _ => {}
            },
            Event::Paste(pasted) => text.push_str(&pasted),
            Event::Resize(..) | Event::FocusGained | Event::FocusLost | Event::Mouse(_) => {}
        }
    }
}
