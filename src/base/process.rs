//! A process of this machine, told from another one that was given its number later, and a signal to that one alone.
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The fields of `/proc/PID/stat` of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    /// `R`, `S`, `D`, `Z`, `T` ...
    state: char,
    /// Since the machine started, in ticks of the kernel.
    started: u64,
}

/// When the process began, in ticks since the machine started. With its number it is the only one of its kind.
pub fn started(pid: u32) -> Option<u64> {
    stat(pid).map(|stat| stat.started)
}

/// True when it is held by a signal (`kill -STOP`, Ctrl-Z) or by a debugger.
pub fn is_stopped(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| matches!(stat.state, 'T' | 't'))
}

/// True when the process lives, belongs to this user and began at this time.
pub fn is_ours(pid: u32, started: u64) -> bool {
    // The folder's owner is the process's user, also of one that hides the rest of it.
    let owner = fs::metadata(format!("/proc/{pid}")).map(|found| found.uid());
    let lives = stat(pid).is_some_and(|stat| stat.started == started && !matches!(stat.state, 'Z' | 'X'));
    owner.is_ok_and(|owner| owner == geteuid().as_raw()) && lives
}

/// Sends a signal to that very process; whether it was sent. One that ended meanwhile, or that is not ours, gets none.
pub fn signal(pid: u32, started: u64, signal: Signal) -> bool {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    // From here on the descriptor is that process, whoever has its number later.
    let Ok(process) = pidfd_open(number, PidfdFlags::empty()) else { return false };
    is_ours(pid, started) && pidfd_send_signal(&process, signal).is_ok()
}

fn stat(pid: u32) -> Option<Stat> {
    parsed(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in brackets may hold anything, brackets too.
fn parsed(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some(Stat { state, started: fields.nth(18)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_name_with_brackets_and_spaces_is_read_over() {
        let line = "71 (a) S 1 (b) T 1 71 71 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1";
        assert_eq!(parsed(line), Some(Stat { state: 'T', started: 4711 }));
        assert_eq!(parsed("71 (a) S 1"), None);
    }

    /// harm.md S4: a number in a file is no proof of whose process it is.
    #[test]
    fn a_signal_reaches_only_the_process_that_was_meant() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        let began = started(pid).unwrap();
        assert!(is_ours(pid, began) && !is_stopped(pid));
        assert!(!signal(pid, began + 1, Signal::KILL), "another one had this number");
        // Process 1 is root's; where root runs the test, it is started at another time.
        assert!(!signal(1, began, Signal::KILL));
        assert!(signal(pid, began, Signal::STOP));
        let soon = std::time::Instant::now();
        while !is_stopped(pid) {
            assert!(soon.elapsed().as_secs() < 10, "it is not stopped");
            std::thread::yield_now();
        }
        assert!(signal(pid, began, Signal::KILL));
        child.wait().unwrap();
        assert!(!is_ours(pid, began) && !signal(pid, began, Signal::KILL));
    }
}
