//! `day0.survival`: what a dropped ssh connection would do to the worker, and whether a new screen reaches it from
//! outside of its session. Says it, and never stands in the way.
use super::{Check, of_jump_host, proof};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::steps::site::Reading;
use std::fmt;
use std::path::Path;

pub const KIND: &str = "day0.survival";

pub fn step(_plan: &Plan) -> Check {
    let title = "it is known what a dropped connection does to the run";
    let by_hand = "echo $TMUX $STY; cat /proc/self/cgroup\nloginctl show-user $USER -p Linger\n\
                   systemd-analyze cat-config systemd/logind.conf | grep KillUserProcesses";
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site)))
}

/// What decides it, as read.
#[derive(Debug, Clone, Default)]
struct Signs {
    tmux: bool,
    screen: bool,
    ssh: bool,
    /// Has a terminal whose end hangs it up.
    terminal: bool,
    ignores_hangup: bool,
    cgroup: String,
    linger: bool,
    kill_user_processes: bool,
}

impl fmt::Display for Signs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |set: bool| if set { "yes" } else { "no" };
        write!(
            f,
            "tmux: {}, screen: {}, ssh: {}, terminal: {}, ignores SIGHUP: {}, linger: {}, KillUserProcesses: {}, \
             cgroup: {}",
            word(self.tmux),
            word(self.screen),
            word(self.ssh),
            word(self.terminal),
            word(self.ignores_hangup),
            word(self.linger),
            word(self.kill_user_processes),
            self.cgroup
        )
    }
}

impl Signs {
    fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let user = ["USER", "LOGNAME"].iter().find_map(|n| std::env::var(n).ok()).unwrap_or_default();
        let linger =
            !user.is_empty() && !user.contains('/') && Path::new("/var/lib/systemd/linger").join(&user).exists();
        Signs {
            tmux: set("TMUX"),
            screen: set("STY"),
            ssh: set("SSH_CONNECTION") || set("SSH_TTY"),
            terminal: has_terminal(&text("/proc/self/stat")),
            ignores_hangup: ignores_hangup(&text("/proc/self/status")),
            cgroup: text("/proc/self/cgroup").lines().last().unwrap_or_default().to_string(),
            linger,
            // logind leaves root alone (KillExcludeUsers) unless somebody changed that too.
            kill_user_processes: !rustix::process::geteuid().is_root()
                && logind_files().iter().filter_map(|f| kills(&text(f))).next_back().unwrap_or(false),
        }
    }

    /// What a dropped connection does, and why.
    fn verdict(&self) -> Result<&'static str, &'static str> {
        let in_session = self.cgroup.contains("/session-");
        if in_session && self.kill_user_processes {
            // tmux and screen run in the session too, unless somebody started them elsewhere.
            return Err("logind ends everything of the session at logout (KillUserProcesses)");
        }
        if self.cgroup.contains("/user@") {
            return if self.linger {
                Ok("it runs in a systemd user unit and the user lingers")
            } else if self.kept_by_itself() {
                Ok("it is not tied to the terminal, as long as the user has a session")
            } else {
                Err("the systemd user manager ends with the last session (no linger)")
            };
        }
        if self.cgroup.contains("/system.slice/") && self.cgroup.ends_with(".service") && !self.cgroup.contains("ssh") {
            return Ok("it runs in a systemd service");
        }
        if self.tmux {
            return Ok("it runs inside tmux");
        }
        if self.screen {
            return Ok("it runs inside screen");
        }
        if self.kept_by_itself() {
            return Ok("it is not tied to a terminal");
        }
        Err(if self.ssh { "its terminal goes with the ssh session" } else { "it ends with its terminal" })
    }

    fn kept_by_itself(&self) -> bool {
        self.tmux || self.screen || !self.terminal || self.ignores_hangup
    }
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let signs = Signs::read();
    let answer = (site.reconnect)().await.map_err(|why| {
        Failure::retryable(
            format!("a screen of another session does not reach this run: {why}"),
            "check that the run's folder takes a socket (no network file system): --state-dir DIR names another one",
        )
    })?;
    let summary = match signs.verdict() {
        Ok(why) => format!("a dropped connection leaves the run alone: {why}; a new screen reaches it"),
        Err(why) => format!(
            "a dropped connection ends this run: {why}; nothing is lost, `cozyup run PLAN` goes on from there; \
             `loginctl enable-linger` before it is started lets it live on"
        ),
    };
    let by_hand = "cat /proc/self/cgroup; loginctl show-user $USER -p Linger -p KillUserProcesses";
    let asked = "environment, /proc/self, /var/lib/systemd/linger, logind.conf";
    let signs = of_jump_host(cx, asked, signs.to_string(), by_hand);
    let reached = of_jump_host(cx, "the run's socket, from a new session", answer, "cozyup attach --read-only");
    proof(&summary, &[], vec![signs, reached])
}

/// Field 7 of `/proc/self/stat`, counted behind the name in brackets: 0 is no terminal.
fn has_terminal(stat: &str) -> bool {
    let rest = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    rest.split_whitespace().nth(4).is_some_and(|tty| tty != "0")
}

fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:")).unwrap_or_default();
    // SIGHUP is signal 1, the lowest bit.
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1)
}

/// In the order in which later ones win.
fn logind_files() -> Vec<String> {
    let mut files = vec!["/usr/lib/systemd/logind.conf".to_string(), "/etc/systemd/logind.conf".to_string()];
    let mut more: Vec<(String, String)> = ["/usr/lib", "/run", "/etc"]
        .iter()
        .filter_map(|base| std::fs::read_dir(format!("{base}/systemd/logind.conf.d")).ok())
        .flat_map(|dir| dir.flatten())
        .map(|e| (e.file_name().to_string_lossy().into_owned(), e.path().to_string_lossy().into_owned()))
        .filter(|(name, _)| name.ends_with(".conf"))
        .collect();
    more.sort();
    files.extend(more.into_iter().map(|(_, path)| path));
    files
}

/// What a configuration file says of `KillUserProcesses`.
fn kills(text: &str) -> Option<bool> {
    let value = text.lines().rev().find_map(|l| l.trim().strip_prefix("KillUserProcesses"))?;
    let value = value.trim_start().strip_prefix('=')?.trim().to_ascii_lowercase();
    match value.as_str() {
        "yes" | "true" | "1" | "on" => Some(true),
        "no" | "false" | "0" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh() -> Signs {
        let cgroup = "0::/user.slice/user-1000.slice/session-3.scope".to_string();
        Signs { ssh: true, terminal: true, cgroup, ..Signs::default() }
    }

    #[test]
    fn a_plain_ssh_session_takes_the_process_with_it_and_tmux_keeps_it() {
        assert!(ssh().verdict().unwrap_err().contains("ssh session"));
        assert!(Signs { tmux: true, ..ssh() }.verdict().unwrap().contains("tmux"));
        assert!(Signs { ignores_hangup: true, ..ssh() }.verdict().is_ok());
        assert!(Signs { terminal: false, ..ssh() }.verdict().is_ok());
    }

    #[test]
    fn tmux_does_not_help_where_logind_ends_the_whole_session() {
        let signs = Signs { tmux: true, kill_user_processes: true, ..ssh() };
        assert!(signs.verdict().unwrap_err().contains("KillUserProcesses"));
        // Lingering keeps the user's manager, not what runs in the session itself.
        assert!(Signs { linger: true, ..signs }.verdict().is_err());
    }

    #[test]
    fn a_user_unit_needs_linger() {
        let cgroup = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope".to_string();
        let unit = Signs { cgroup, terminal: true, ..Signs::default() };
        assert!(unit.verdict().unwrap_err().contains("linger"));
        assert!(Signs { linger: true, ..unit }.verdict().is_ok());
    }

    #[test]
    fn the_kernels_and_loginds_words_are_read() {
        assert!(has_terminal("12 (a) b) S 1 2 3 34816 12 0"));
        assert!(!has_terminal("12 (cozyup) S 1 2 3 0 -1 0"));
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\n"));
        assert_eq!(kills("[Login]\n#KillUserProcesses=yes\n"), None);
        assert_eq!(kills("[Login]\nKillUserProcesses=no\nKillUserProcesses = yes\n"), Some(true));
    }
}
