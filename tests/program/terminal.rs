//! The program on a terminal of its own: keys go in as a person types them, and what it writes is read as plain words.
use crate::common::{SOON, exit, until};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};

pub struct Terminal {
    keyboard: File,
    written: Arc<Mutex<Vec<u8>>>,
    child: Child,
}

impl Terminal {
    /// Starts `command` on a new terminal of so many columns and lines.
    pub fn start(mut command: Command, size: (u16, u16)) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let (columns, lines) = size;
        tcsetwinsize(&slave, Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let slave = File::from(slave);
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        let child = command.spawn().unwrap();
        // The command keeps its copies of the slave; ours would keep the terminal from its end.
        drop(command);
        let keyboard = File::from(master);
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, keeps) = (keyboard.try_clone().unwrap(), written.clone());
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            // An error is the end of the last process on the terminal.
            while let Ok(count @ 1..) = screen.read(&mut part) {
                keeps.lock().unwrap().extend_from_slice(&part[..count]);
            }
        });
        Terminal { keyboard, written, child }
    }

    /// Everything that was written since the last keys, without the codes for places and colours.
    pub fn text(&self) -> String {
        plain(&String::from_utf8_lossy(&self.written.lock().unwrap()))
    }

    /// Waits until each of these words has been written since the last keys. A frame leaves out the blanks that were there before,
    /// so a word has none.
    pub fn shows(&self, words: &[&str]) {
        until(&format!("{words:?} on the screen"), || {
            let text = self.text();
            words.iter().all(|word| text.contains(word)).then_some(())
        });
    }

    pub fn keys(&mut self, keys: &str) {
        self.written.lock().unwrap().clear();
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub fn ended(&mut self) -> ExitStatus {
        exit(&mut self.child).unwrap_or_else(|| panic!("goes on after {SOON:?}:\n{}", self.text()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Without control sequences: a place or a colour begins a new word.
fn plain(raw: &str) -> String {
    let mut out = String::new();
    let mut rest = raw.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            out.push(c);
            continue;
        }
        match rest.next() {
            // CSI ends with its first letter or sign from `@` on, OSC with a bell or a string terminator.
            Some('[') => while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
            Some(']') => while rest.next().is_some_and(|c| c != '\u{7}' && c != '\\') {},
            Some(_) | None => {}
        }
        out.push(' ');
    }
    out
}

#[test]
fn what_a_program_writes_is_read_without_places_colours_and_titles() {
    assert_eq!(plain("\u{1b}]0;title\u{7}\u{1b}[1;31mNotReady\u{1b}[0m\u{1b}[4;7Hsrv1"), "  NotReady  srv1");
}
