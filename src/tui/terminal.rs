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
use ratatui::buffer::Cell;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// The widest and highest frame. No screen is larger, and a terminal may say any size: at the largest a frame takes as much
/// memory as a machine has.
const WIDEST: u16 = 1000;
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
            fits(area()?)?;
            let backend = CrosstermBackend::new(BufWriter::with_capacity(BUFFER, Output(io::stdout())));
            Terminal::with_options(backend, TerminalOptions { viewport: Viewport::Fixed(area()?) })
        });
        opened.map(Held).inspect_err(|_| restore())
    }

    /// Draws one frame as one update.
    ///
    /// # Errors
    /// The terminal's.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.0.backend_mut(), BeginSynchronizedUpdate)?;
        let area = area()?;
        if self.0.get_frame().area() != area {
            fits(area)?;
            self.0.resize(area)?;
        }
        self.0.draw(view)?;
        execute!(self.0.backend_mut(), EndSynchronizedUpdate)
    }
}

/// The area to draw on: the terminal, as far as a frame can cover it.
fn area() -> io::Result<Rect> {
    let (width, height) = crossterm::terminal::size()?;
    Ok(capped(width, height))
}

/// Checks that there is memory for both frames of this size. Without it the program would end on the spot, with the
/// terminal left as it is; here an error still gives the terminal back.
fn fits(area: Rect) -> io::Result<()> {
    let cells = usize::from(area.width) * usize::from(area.height) * 2;
    Vec::<Cell>::new().try_reserve_exact(cells).map_err(|_| {
        let what = format!(
            "there is no memory for a screen of {} by {}: make it smaller, or use --lines",
            area.width, area.height
        );
        io::Error::new(io::ErrorKind::OutOfMemory, what)
    })
}

fn capped(width: u16, height: u16) -> Rect {
    Rect::new(0, 0, width.min(WIDEST), height.min(WIDEST))
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

/// The message for the model that an event of the terminal means, if any.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// harm.md S18
    #[test]
    fn a_frame_is_never_larger_than_a_screen_can_be() {
        assert_eq!(capped(160, 45), Rect::new(0, 0, 160, 45));
        assert_eq!(capped(u16::MAX, u16::MAX), Rect::new(0, 0, 1000, 1000));
        assert_eq!(capped(0, 0), Rect::new(0, 0, 0, 0));
    }
}
