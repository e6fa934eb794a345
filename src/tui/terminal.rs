//! The terminal while a screen has it, and as it was before once nobody has: whatever happens in between.
use super::message::Msg;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, Event, KeyEventKind};
use crossterm::style::{Attribute, SetAttribute};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// A whole frame at 160x45 with colours fits.
const BUFFER: usize = 64 * 1024;

static ACTIVE: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Standard output, silent once the terminal was given back: half a frame must not land on a shell.
struct Output(Stdout);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if ACTIVE.load(Ordering::SeqCst) { self.0.write(bytes) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if ACTIVE.load(Ordering::SeqCst) { self.0.flush() } else { Ok(()) }
    }
}

/// Raw mode, alternate screen and bracketed paste for as long as the value lives.
pub struct Held(Terminal<CrosstermBackend<BufWriter<Output>>>);

impl Held {
    /// # Errors
    /// When standard input or output is no terminal that can show a full screen; nothing has changed then.
    pub fn take() -> io::Result<Held> {
        let unsupported = |why: &str| Err(io::Error::new(io::ErrorKind::Unsupported, why.to_string()));
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return unsupported("the screen needs a terminal at standard input and output");
        }
        if std::env::var("TERM").is_ok_and(|term| term == "dumb") {
            return unsupported("this terminal (TERM=dumb) has no full screen: use --lines");
        }
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                before(info);
            }));
        });
        enable_raw_mode()?;
        ACTIVE.store(true, Ordering::SeqCst);
        let opened = execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste).and_then(|()| {
            Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(BUFFER, Output(io::stdout()))))
        });
        opened.map(Held).inspect_err(|_| restore())
    }

    /// Draws one frame as one update.
    ///
    /// # Errors
    /// The terminal's.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.0.backend_mut(), BeginSynchronizedUpdate)?;
        self.0.draw(view)?;
        execute!(self.0.backend_mut(), EndSynchronizedUpdate)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back; does nothing when nobody holds it. The terminal may be gone, so errors are of no use here.
fn restore() {
    if !ACTIVE.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(
        io::stdout(),
        EndSynchronizedUpdate,
        SetAttribute(Attribute::Reset),
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show
    );
    let _ = disable_raw_mode();
}

/// What an event of the terminal means to the model, if anything.
pub fn message(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) => match key.kind {
            KeyEventKind::Press | KeyEventKind::Repeat => Some(Msg::Key(key)),
            KeyEventKind::Release => None,
        },
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Resize(_, _) => Some(Msg::Resized),
        Event::FocusGained | Event::FocusLost | Event::Mouse(_) => None,
    }
}
