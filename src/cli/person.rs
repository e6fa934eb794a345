//! The person at this terminal.
use crate::base::text;
use std::os::unix::fs::MetadataExt;

/// The person at this screen, for the record of the run: `ann on pts/3`.
pub fn who() -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|n| std::env::var(n).ok()).filter(|u| !u.is_empty());
    // Without both (cron, a bare container) the account's own name.
    let user = user.or_else(|| account(std::fs::metadata("/proc/self").ok()?.uid()));
    let terminal = std::fs::read_link("/proc/self/fd/0").ok();
    let terminal = terminal.as_deref().and_then(|p| p.strip_prefix("/dev").ok()).filter(|p| p.starts_with("pts"));
    let place = terminal.map_or(format!("process {}", std::process::id()), |p| p.display().to_string());
    text::clean(&format!("{} on {place}", user.unwrap_or_else(|| "somebody".to_string())))
}

/// The name of the account with this id, as far as this machine's own list has it.
fn account(uid: u32) -> Option<String> {
    named(&std::fs::read_to_string("/etc/passwd").ok()?, uid)
}

fn named(list: &str, uid: u32) -> Option<String> {
    let mut lines = list.lines().map(|line| line.split(':'));
    let found =
        lines.find_map(|mut fields| Some((fields.next()?, fields.nth(1)?)).filter(|(_, id)| *id == uid.to_string()));
    found.map(|(name, _)| name.to_string()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// screen.md B18
    #[test]
    fn without_a_name_in_the_environment_the_account_has_one() {
        let list = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(named(list, 1000), Some("ann".to_string()));
        assert_eq!((named(list, 100), named("", 0)), (None, None));
    }
}
