//! Decides whether a group is one user's own. Many systems give every user a group of the same name and let it write;
//! that opens nothing to others. Members of a group in a directory service can't be seen here, so only local files
//! count.
use std::fs;

/// True when only this user and root can be members of the group `gid`. False when that can't be determined.
pub fn is_private(gid: u32) -> bool {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let us = rustix::process::geteuid().as_raw();
    private(gid, us, &read("/etc/passwd"), &read("/etc/group"))
}

/// The group's name, where the local files know it.
pub fn name(gid: u32) -> Option<String> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let line = groups.lines().find(|line| field(line, 2) == gid.to_string())?;
    Some(field(line, 0).to_string())
}

/// Root's group counts as root. Another one has to be the user's own first group, with nobody else in it.
fn private(gid: u32, us: u32, passwd: &str, groups: &str) -> bool {
    let uid = |line: &str| field(line, 2).parse::<u32>().ok();
    let user = |name: &str| passwd.lines().find(|line| field(line, 0) == name).and_then(uid);
    let Some(line) = groups.lines().find(|line| field(line, 2) == gid.to_string()) else { return false };
    let ours = |uid: u32| uid == us || uid == 0;
    let members = field(line, 3).split(',').map(str::trim).filter(|name| !name.is_empty());
    if !members.into_iter().all(|name| user(name).is_some_and(ours)) {
        return false;
    }
    let first = |line: &&str| field(line, 3) == gid.to_string();
    let has_it_first = passwd.lines().filter(first).filter_map(uid).collect::<Vec<_>>();
    gid == 0 || (has_it_first.contains(&us) && has_it_first.into_iter().all(ours))
}

fn field(line: &str, n: usize) -> &str {
    line.split(':').nth(n).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_private_when_nobody_else_can_be_of_it() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/h:/s\nbob:x:1001:1001::/h:/s\ncat:x:1002:100::/h:/s\n";
        let groups = "root:x:0:\nann:x:1000:\nbob:x:1001:ann\nusers:x:100:\nstaff:x:50:\nops:x:60:ann,bob\n";
        let of = |gid, us| private(gid, us, passwd, groups);
        assert!(of(1000, 1000), "ann's own");
        assert!(of(0, 1000), "root's own");
        assert!(!of(1000, 1001), "somebody else's own");
        assert!(!of(1001, 1001), "bob's own, and ann is in it");
        for shared in [50, 60, 4711] {
            assert!(!of(shared, 1000), "{shared}");
        }
        assert!(!private(0, 1000, passwd, "root:x:0:bob\n"), "bob is in root's group");
        assert!(!private(1000, 1000, &format!("{passwd}dan:x:1003:1000::/h:/s\n"), groups), "dan's first group too");
    }
}
