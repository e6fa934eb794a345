//! `day0.survival`: what a dropped ssh connection would do to the worker, and whether a new screen reaches it from
//! outside of its session. Says it, and never stands in the way.
use super::{Check, of_jump_host, proof};
use crate::base::logind;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::steps::site::Reading;
use std::fmt;

pub const KIND: &str = "day0.survival";

pub fn step(_plan: &Plan) -> Check {
    let title = "it is known what a dropped connection does to the run";
    let by_hand = "echo $TMUX $STY; cat /proc/self/cgroup\nloginctl show-user $(id -u) -p Linger\n\
                   loginctl show-user -p KillUserProcesses -p KillOnlyUsers -p KillExcludeUsers";
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site)))
}

/// The place of a login's processes among systemd's control groups, which decides what ends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a session of this user.
    Session(u32),
    /// Below this user's own manager.
    Manager(u32),
    /// A service of this one connection (socket activation without pam_systemd): it ends whole.
    Connection,
    Service,
    Elsewhere,
}

impl Place {
    fn of(cgroup: &str) -> Self {
        let mut below = cgroup.split('/').skip_while(|name| *name != "user.slice").skip(1);
        let uid = |name: &str, prefix, suffix| name.strip_prefix(prefix)?.strip_suffix(suffix)?.parse::<u32>().ok();
        if let Some(user) = below.next().and_then(|name| uid(name, "user-", ".slice")) {
            return match below.next() {
                Some(name) if name.starts_with("session-") => Place::Session(user),
                Some(name) => uid(name, "user@", ".service").map_or(Place::Elsewhere, Place::Manager),
                None => Place::Elsewhere,
            };
        }
        let unit = cgroup.rsplit('/').next().unwrap_or_default();
        let of_ssh = unit.starts_with("ssh") || unit.starts_with("dropbear");
        match (cgroup.contains("/system.slice/") && unit.ends_with(".service"), of_ssh) {
            (true, true) if unit.contains('@') => Place::Connection,
            // A restart leaves its connections alone (KillMode=process).
            (true, true) | (false, _) => Place::Elsewhere,
            (true, false) => Place::Service,
        }
    }
}

/// The path in systemd's hierarchy, of all in `/proc/self/cgroup`: version 2, else the named one of version 1.
fn systemds(cgroups: &str) -> &str {
    let path_of = |marks: &str| {
        cgroups.lines().filter_map(|line| line.split_once(marks)).map(|(_, path)| path).find(|path| *path != "/")
    };
    path_of("0::").or_else(|| path_of(":name=systemd:")).unwrap_or("/")
}

/// The facts that decide it, as read.
#[derive(Debug, Clone)]
struct Signs {
    tmux: bool,
    screen: bool,
    ssh: bool,
    /// Has a terminal whose end hangs it up.
    terminal: bool,
    ignores_hangup: bool,
    cgroup: String,
    uid: u32,
    /// This very user, and the one whose session or manager it runs in.
    linger: bool,
    owner_lingers: bool,
    /// True when logind ends the processes of the session that it runs in; `None` when nobody answers.
    ended_at_logout: Option<bool>,
}

impl fmt::Display for Signs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |set: bool| if set { "yes" } else { "no" };
        write!(
            f,
            "tmux: {}, screen: {}, ssh: {}, terminal: {}, ignores SIGHUP: {}, linger: {}, a logout ends its processes: \
             {}, cgroup: {}",
            word(self.tmux),
            word(self.screen),
            word(self.ssh),
            word(self.terminal),
            word(self.ignores_hangup),
            word(self.linger),
            self.ended_at_logout.map_or("not known", word),
            self.cgroup
        )
    }
}

impl Signs {
    async fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let cgroup = systemds(&text("/proc/self/cgroup")).to_string();
        let uid = rustix::process::geteuid().as_raw();
        // Not always this user: `su` and `sudo` stay in the session that they were called in.
        let this = logind::user(uid).await;
        let owner = match Place::of(&cgroup) {
            Place::Session(owner) | Place::Manager(owner) if owner == uid => this.clone(),
            Place::Session(owner) | Place::Manager(owner) => logind::user(owner).await,
            Place::Connection | Place::Service | Place::Elsewhere => None,
        };
        Signs {
            tmux: set("TMUX"),
            screen: set("STY"),
            ssh: set("SSH_CONNECTION") || set("SSH_TTY"),
            terminal: has_terminal(&text("/proc/self/stat")),
            ignores_hangup: ignores_hangup(&text("/proc/self/status")),
            cgroup,
            uid,
            linger: this.is_some_and(|user| user.lingers),
            owner_lingers: owner.as_ref().is_some_and(|user| user.lingers),
            ended_at_logout: match owner {
                Some(owner) => logind::ends_processes_of(&owner.name).await,
                None => None,
            },
        }
    }

    /// Returns what a dropped connection does, and why.
    fn verdict(&self) -> Result<&'static str, &'static str> {
        match Place::of(&self.cgroup) {
            // tmux and screen run in the session too, unless somebody started them elsewhere.
            Place::Session(_) => match self.ended_at_logout {
                Some(true) => Err("logind ends everything of the session at logout (KillUserProcesses)"),
                Some(false) => self.by_its_terminal(),
                None => Err("nobody says whether logind ends everything of the session at logout"),
            },
            Place::Manager(_) if self.owner_lingers => Ok("it runs in a systemd user unit and the user lingers"),
            // No terminal plays a part in it: the manager ends all its units.
            Place::Manager(_) => Err("the systemd user manager ends with the user's last session (no linger)"),
            Place::Connection => {
                Err("the connection is a systemd service of its own, which ends with all its processes")
            }
            Place::Service => Ok("it runs in a systemd service"),
            Place::Elsewhere => self.by_its_terminal(),
        }
    }

    fn by_its_terminal(&self) -> Result<&'static str, &'static str> {
        match self {
            Signs { tmux: true, .. } => Ok("it runs inside tmux"),
            Signs { screen: true, .. } => Ok("it runs inside screen"),
            Signs { terminal: false, .. } | Signs { ignores_hangup: true, .. } => Ok("it is not tied to a terminal"),
            Signs { ssh: true, .. } => Err("its terminal goes with the ssh session"),
            Signs { ssh: false, .. } => Err("it ends with its terminal"),
        }
    }

    fn summary(&self) -> String {
        let why = match self.verdict() {
            Ok(why) => {
                return format!("a dropped connection leaves the run alone: {why}; a new screen reaches it");
            }
            Err(why) => why,
        };
        let cure = if self.linger {
            // The worker would be in a scope of it.
            "your user lingers, but its manager took no process: `systemd-run --user --scope true` says why".to_string()
        } else {
            // By number: without one logind would take the user of the session, which `su` and `sudo` keep.
            format!(
                "to let it live on, `cozyup stop`, `loginctl enable-linger {}` and the same command again",
                self.uid
            )
        };
        format!(
            "a dropped connection ends this run: {why}; nothing is lost, `cozyup run PLAN` goes on from there; {cure}"
        )
    }
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let signs = Signs::read().await;
    let answer = (site.reconnect)().await.map_err(|why| {
        Failure::retryable(
            format!("a screen of another session does not reach this run: {why}"),
            "check that the run's folder takes a socket (no network file system): --state-dir DIR names another one",
        )
    })?;
    let by_hand =
        "cat /proc/self/cgroup; loginctl show-user $(id -u) -p Linger; loginctl show-user -p KillUserProcesses";
    let asked = "environment, /proc/self, loginctl show-user";
    let of_signs = of_jump_host(cx, asked, signs.to_string(), by_hand);
    let reached = of_jump_host(cx, "the run's socket, from a new session", answer, "cozyup attach --read-only");
    proof(&signs.summary(), &[], vec![of_signs, reached])
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

#[cfg(test)]
mod tests {
    use super::*;

    // As systemd 252 of Debian 12 gave them to a worker that was started over ssh.
    const SESSION: &str = "/user.slice/user-1001.slice/session-6.scope";
    const SCOPE: &str =
        "/user.slice/user-1001.slice/user@1001.service/app.slice/run-r9f5c9b9d6af243b1b00d5c21e64756b0.scope";
    const OF_ROOT: &str = "/user.slice/user-0.slice/session-45.scope";

    /// A worker: it has no terminal, and hears hang-ups only to leave them alone.
    fn worker(cgroup: &str) -> Signs {
        Signs {
            tmux: false,
            screen: false,
            ssh: true,
            terminal: false,
            ignores_hangup: false,
            cgroup: cgroup.to_string(),
            uid: 1001,
            linger: false,
            owner_lingers: false,
            ended_at_logout: Some(false),
        }
    }

    #[test]
    fn a_worker_in_a_session_lives_on_where_logind_leaves_the_session_alone_and_nowhere_else() {
        assert!(worker(SESSION).verdict().unwrap().contains("not tied"));
        for tmux in [false, true] {
            let killed = Signs { tmux, ended_at_logout: Some(true), ..worker(SESSION) };
            assert!(killed.verdict().unwrap_err().contains("KillUserProcesses"));
            // Lingering keeps the user's manager, not what runs in the session itself.
            assert!(Signs { linger: true, owner_lingers: true, ..killed }.verdict().is_err());
            assert!(Signs { tmux, ended_at_logout: None, ..worker(SESSION) }.verdict().is_err());
        }
    }

    #[test]
    fn a_process_with_a_terminal_goes_with_it_and_tmux_keeps_it() {
        let by_hand = Signs { terminal: true, ..worker(SESSION) };
        assert!(by_hand.verdict().unwrap_err().contains("ssh session"));
        assert!(Signs { tmux: true, ..by_hand.clone() }.verdict().unwrap().contains("tmux"));
        assert!(Signs { ignores_hangup: true, ..by_hand }.verdict().is_ok());
    }

    #[test]
    fn a_unit_of_the_users_manager_lives_on_only_with_linger_whatever_terminal_it_has() {
        assert!(worker(SCOPE).verdict().unwrap_err().contains("linger"));
        assert!(Signs { tmux: true, ..worker(SCOPE) }.verdict().is_err());
        assert!(Signs { owner_lingers: true, ..worker(SCOPE) }.verdict().is_ok());
        // As root in a unit of somebody else, whose linger counts.
        assert!(Signs { linger: true, ..worker(SCOPE) }.verdict().is_err());
    }

    #[test]
    fn who_is_told_that_the_run_ends_is_told_what_lets_it_live_on() {
        let killed = Signs { ended_at_logout: Some(true), ..worker(SESSION) };
        assert!(killed.summary().contains("`loginctl enable-linger 1001` and the same command again"));
        let in_vain = Signs { linger: true, owner_lingers: true, ..killed }.summary();
        assert!(in_vain.contains("`systemd-run --user --scope true` says why"), "{in_vain}");
    }

    #[test]
    fn the_place_is_that_of_the_session_also_for_another_user_in_it() {
        assert_eq!(Place::of(SESSION), Place::Session(1001));
        assert_eq!(Place::of(OF_ROOT), Place::Session(0));
        assert_eq!(Place::of(SCOPE), Place::Manager(1001));
        let service = Place::of("/system.slice/cozyup.service");
        let of_one = "/system.slice/system-ssh.slice/ssh@0-127.0.0.1:2222-127.0.0.1:50748.service";
        let elsewhere = ["/", "/system.slice/ssh.service", "/system.slice/docker-1f.scope", "/lxc.payload.100"];
        assert_eq!((service, Place::of(of_one)), (Place::Service, Place::Connection));
        assert!(elsewhere.iter().all(|path| Place::of(path) == Place::Elsewhere));
    }

    #[test]
    fn systemds_hierarchy_is_found_on_every_layout_of_control_groups() {
        let unified = format!("0::{SESSION}\n");
        let others_of_version_1 = format!("9:name=systemd:/\n8:pids:/\n4:memory:/\n0::{SESSION}\n");
        let hybrid = format!("9:name=systemd:{SESSION}\n8:pids:{SESSION}\n1:cpu:/\n0::{SESSION}\n");
        let version_1 = format!("11:pids:/user.slice\n1:name=systemd:{SESSION}\n0::/\n");
        for cgroups in [unified, others_of_version_1, hybrid, version_1] {
            assert_eq!(systemds(&cgroups), SESSION, "{cgroups}");
        }
        assert_eq!(systemds("0::/\n"), "/");
    }

    #[test]
    fn the_kernels_words_are_read() {
        assert!(has_terminal("12 (a) b) S 1 2 3 34816 12 0"));
        assert!(!has_terminal("12 (cozyup) S 1 2 3 0 -1 0"));
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\n"));
    }
}
