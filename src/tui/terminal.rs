//! The terminal while a screen has it, and as it was before once nobody has: whatever happens in between.
use super::colours::Colours;
use super::message::Msg;
use crate::base::text::clean;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, Event, KeyEventKind};
use crossterm::style::{Attribute, SetAttribute};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// The widest and highest frame. No screen is larger, and a terminal may say any size: at the largest a frame takes as much
/// memory as a machine has.
const WIDEST: u16 = 1000;
/// The terminal's title as it was, kept and taken back.
const KEEP_TITLE: &[u8] = b"\x1b[22;2t";
const GIVE_TITLE_BACK: &[u8] = b"\x1b[23;2t";
/// A whole frame at 160x45 with colours fits.
const BUFFER: usize = 64 * 1024;

/// No bell and no title.
static QUIET: AtomicBool = AtomicBool::new(false);
static ACTIVE: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// From now on no screen of this process rings or sets a title.
pub fn be_quiet() {
    QUIET.store(true, Ordering::SeqCst);
}

pub fn is_quiet() -> bool {
    QUIET.load(Ordering::SeqCst)
}

/// The console of Linux has neither a title nor a clipboard, and shows what is meant for them.
fn has_titles() -> bool {
    !std::env::var("TERM").is_ok_and(|term| term == "linux")
}

/// Standard output, silent once the terminal was given back: half a frame must not land on a shell. The sixteen colours go
/// out in their oldest form, which each terminal knows.
pub struct Output {
    to: Stdout,
    colours: Colours,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if ACTIVE.load(Ordering::SeqCst) {
            let plain = self.colours.plain(bytes);
            self.to.write_all(&plain)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if ACTIVE.load(Ordering::SeqCst) { self.to.flush() } else { Ok(()) }
    }
}

/// Frames on a terminal: only what has changed is sent, and nothing at all when nothing has.
pub struct Frames<W: Write> {
    terminal: Terminal<CrosstermBackend<W>>,
    last: Option<Buffer>,
}

impl<W: Write> Frames<W> {
    /// # Errors
    /// The terminal's.
    pub fn new(to: W, area: Rect) -> io::Result<Self> {
        let options = TerminalOptions { viewport: Viewport::Fixed(area) };
        Ok(Frames { terminal: Terminal::with_options(CrosstermBackend::new(to), options)?, last: None })
    }

    /// Draws one frame as one update; says whether anything was sent.
    ///
    /// # Errors
    /// The terminal's.
    pub fn draw(&mut self, area: Rect, view: impl FnOnce(Rect, &mut Buffer)) -> io::Result<bool> {
        let mut buffer = Buffer::empty(area);
        view(area, &mut buffer);
        if self.last.as_ref() == Some(&buffer) {
            return Ok(false);
        }
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        if self.terminal.get_frame().area() != area {
            self.terminal.resize(area)?;
        }
        self.terminal.draw(|frame| frame.buffer_mut().content.clone_from(&buffer.content))?;
        self.last = Some(buffer);
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        Ok(true)
    }

    /// Takes nothing of what is on the terminal for granted in the next frame.
    ///
    /// # Errors
    /// The terminal's.
    pub fn forget(&mut self) -> io::Result<()> {
        self.last = None;
        self.terminal.clear()
    }

    pub fn to(&mut self) -> &mut CrosstermBackend<W> {
        self.terminal.backend_mut()
    }
}

/// Raw mode, alternate screen and bracketed paste for as long as the value lives.
pub struct Held(Frames<BufWriter<Output>>);

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
            if has_titles() && !is_quiet() {
                io::stdout().write_all(KEEP_TITLE)?;
            }
            let area = area()?;
            fits(area)?;
            let to = Output { to: io::stdout(), colours: Colours::default() };
            Frames::new(BufWriter::with_capacity(BUFFER, to), area)
        });
        opened.map(Held).inspect_err(|_| restore())
    }

    /// Sets the title, and rings the bell.
    ///
    /// # Errors
    /// The terminal's.
    pub fn announce(&mut self, title: &str, rings: bool) -> io::Result<()> {
        let to = self.0.to();
        if has_titles() {
            write!(to, "\x1b]2;{}\x07", clean(title))?;
        }
        if rings {
            to.write_all(b"\x07")?;
        }
        Write::flush(to)
    }

    /// Puts `text` into the clipboard of the terminal (OSC 52), as far as it allows that.
    ///
    /// # Errors
    /// The terminal's.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let to = self.0.to();
        if has_titles() {
            write!(to, "\x1b]52;c;{}\x07", BASE64.encode(text))?;
        }
        Write::flush(to)
    }

    /// Takes nothing of what is on the terminal for granted in the next frame.
    ///
    /// # Errors
    /// The terminal's.
    pub fn forget(&mut self) -> io::Result<()> {
        self.0.forget()
    }

    /// Draws one frame as one update.
    ///
    /// # Errors
    /// The terminal's.
    pub fn draw(&mut self, view: impl FnOnce(Rect, &mut Buffer)) -> io::Result<()> {
        let area = area()?;
        if self.0.last.as_ref().is_none_or(|last| last.area != area) {
            fits(area)?;
        }
        self.0.draw(area, view).map(|_| ())
    }
}

/// The area to draw on: the terminal, as far as a frame can cover it.
fn area() -> io::Result<Rect> {
    let (width, height) = crossterm::terminal::size()?;
    Ok(capped(width, height))
}

/// Checks that there is memory for the frames of this size. Without it the program would end on the spot, with the
/// terminal left as it is; here an error still gives the terminal back.
fn fits(area: Rect) -> io::Result<()> {
    let cells = usize::from(area.width) * usize::from(area.height) * 4;
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
    if has_titles() && !is_quiet() {
        let _ = io::stdout().write_all(GIVE_TITLE_BACK);
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
