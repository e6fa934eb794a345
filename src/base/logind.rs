//! The answers of systemd's login manager, which decides what a logout ends.
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Of the wall. It answers in milliseconds, or its bus is broken.
const ANSWER: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub lingers: bool,
}

/// A user who is logged in or lingers; `None` for any other, and where nobody answers.
pub async fn user(uid: u32) -> Option<User> {
    user_of(&ask(&[&uid.to_string(), "-p", "Name", "-p", "Linger"]).await?)
}

/// True when the end of a session of `name` ends its processes; `None` when nobody answers. The running logind is
/// asked, since its files may have changed after it read them.
pub async fn ends_processes_of(name: &str) -> Option<bool> {
    ends(&ask(&["-p", "KillUserProcesses", "-p", "KillOnlyUsers", "-p", "KillExcludeUsers"]).await?, name)
}

async fn ask(what: &[&str]) -> Option<String> {
    let mut loginctl = Command::new("loginctl");
    loginctl.arg("show-user").args(what).stdin(Stdio::null()).kill_on_drop(true);
    let said = tokio::time::timeout(ANSWER, loginctl.output()).await.ok()?.ok()?;
    said.status.success().then(|| String::from_utf8_lossy(&said.stdout).into_owned())
}

fn user_of(said: &str) -> Option<User> {
    Some(User { name: value(said, "Name")?.to_string(), lingers: value(said, "Linger")? == "yes" })
}

/// By the rule of logind itself (`manager_shall_kill`, logind.conf(5)).
fn ends(said: &str, name: &str) -> Option<bool> {
    let all = value(said, "KillUserProcesses")? == "yes";
    let names = |key| value(said, key).map(|v| v.split_whitespace().collect::<Vec<_>>()).unwrap_or_default();
    let (only, exclude) = (names("KillOnlyUsers"), names("KillExcludeUsers"));
    let excluded = if exclude.is_empty() { name == "root" } else { exclude.contains(&name) };
    Some(!excluded && if only.is_empty() { all } else { only.contains(&name) })
}

fn value<'a>(said: &'a str, key: &str) -> Option<&'a str> {
    said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_as_loginctl_of_systemd_252_tells_it() {
        assert_eq!(user_of("Name=eng\nLinger=no\n"), Some(User { name: "eng".into(), lingers: false }));
        assert_eq!(user_of("Linger=yes\nName=eng\n"), Some(User { name: "eng".into(), lingers: true }));
        assert_eq!(user_of("Name=eng\n"), None);
    }

    #[test]
    fn a_logout_ends_the_processes_of_those_whom_logind_does_not_exclude() {
        let says = |all, only, exclude| {
            move |name| {
                ends(&format!("KillOnlyUsers={only}\nKillExcludeUsers={exclude}\nKillUserProcesses={all}\n"), name)
            }
        };
        assert_eq!(says("no", "", "")("eng"), Some(false));
        assert_eq!(says("yes", "", "")("eng"), Some(true));
        assert_eq!(says("yes", "", "")("root"), Some(false));
        assert_eq!(says("yes", "", "ann eng")("eng"), Some(false));
        // A list of others takes root's exception away.
        assert_eq!(says("yes", "", "ann")("root"), Some(true));
        assert_eq!(says("no", "ann eng", "")("eng"), Some(true));
        assert_eq!(says("yes", "ann", "")("eng"), Some(false));
        assert_eq!(ends("", "eng"), None);
    }
}
