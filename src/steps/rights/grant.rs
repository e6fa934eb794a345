//! Tells an administrator how to give a token what it lacks without taking away what it has.
//!
//! In Proxmox VE an entry on a path takes the place of all that its subject inherits there, and entries of a user take the
//! place of those of its groups (pve-access-control, `roles` in AccessControl.pm). So nothing is ever entered below an entry
//! that is in force: its role is extended, or another role is entered beside it. A role that comes with Proxmox VE can't be
//! changed. Entries of a token without privilege separation are never looked at.
use crate::base::text;
use crate::proxmox::AclRow;
use crate::steps::rights::needs::Need;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The role that the commands make where there is none to extend.
const ROLE: &str = "Cozyup";
/// The one that stands against every other.
const NO_ACCESS: &str = "NoAccess";

/// The facts about the token's rights that can be read.
pub struct Standing<'a> {
    /// `user@realm!name`
    pub token: &'a str,
    /// It may do something on one of the paths at least.
    pub any: bool,
    /// True when the token's own entries count; `None` when it may not be read.
    pub separated: Option<bool>,
    /// Entries that the token may read, on all paths.
    pub acl: &'a [AclRow],
    pub roles: &'a BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject<'a> {
    User(&'a str),
    Token(&'a str),
}

impl Subject<'_> {
    fn option(self) -> String {
        match self {
            Subject::User(id) => format!("--users {}", quoted(id)),
            Subject::Token(id) => format!("--tokens {}", quoted(id)),
        }
    }

    fn is(self, row: &AclRow) -> bool {
        match self {
            Subject::User(id) => row.kind == "user" && row.ugid == id,
            Subject::Token(id) => row.kind == "token" && row.ugid == id,
        }
    }
}

/// The entries that decide for a subject on a path.
struct InForce<'a> {
    level: &'a str,
    roles: BTreeSet<&'a str>,
}

/// How an administrator gives what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Commands for root on a Proxmox node, one after the other; none: nobody can tell from here which.
    pub commands: Vec<String>,
    /// What has to be known beside them, or in place of them.
    pub remark: String,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gap = if self.commands.is_empty() || self.remark.is_empty() { "" } else { " " };
        write!(f, "as root on a Proxmox node: {}{gap}{}", self.commands.join("; "), self.remark)
    }
}

/// The way for these rights.
pub fn way(standing: &Standing<'_>, missing: &BTreeSet<Need>) -> Way {
    let user = standing.token.split('!').next().unwrap_or_default();
    let wanted: BTreeSet<&str> = missing.iter().map(|n| n.privilege).collect();
    if !standing.any {
        return from_nothing(standing, user, &wanted);
    }
    let mut plan = Commands::default();
    let mut known = true;
    for need in missing {
        let separated = standing.is_separated(need, user);
        let of_user = plan.give(standing, Subject::User(user), need);
        let of_token = separated && plan.give(standing, Subject::Token(standing.token), need);
        known &= of_user || of_token;
    }
    let commands = plan.lines(standing);
    if known && !commands.is_empty() {
        let closed = !plan.closed.is_empty();
        let remark = if closed { format!("({NO_ACCESS} takes every right away there)") } else { String::new() };
        return Way { commands, remark };
    }
    let privileges = wanted.into_iter().collect::<Vec<_>>().join(" ");
    let remark = format!(
        "`pveum acl list` shows which role {user} or its group has there; add to it: pveum role modify ROLE --append --privs \
         \"{privileges}\" (an entry of its own further down would take the place of what is inherited there)"
    );
    Way { commands: Vec::new(), remark }
}

impl Standing<'_> {
    /// Also when its user has the right and it has not, or when it has entries of its own.
    fn is_separated(&self, need: &Need, user: &str) -> bool {
        self.separated.unwrap_or_else(|| {
            self.acl.iter().any(|row| Subject::Token(self.token).is(row)) || self.has(Subject::User(user), need)
        })
    }

    fn has(&self, subject: Subject<'_>, need: &Need) -> bool {
        self.in_force(subject, need).is_some_and(|force| {
            force.roles.iter().any(|role| self.roles.get(*role).is_some_and(|all| all.contains(need.privilege)))
        })
    }

    fn in_force(&self, subject: Subject<'_>, need: &Need) -> Option<InForce<'_>> {
        let reaches = |row: &AclRow| match need.below {
            false => row.path == need.path || row.propagate,
            true => row.propagate,
        };
        let rows =
            self.acl.iter().filter(|row| subject.is(row) && is_at_or_above(&row.path, &need.path) && reaches(row));
        let rows: Vec<&AclRow> = rows.collect();
        let level = rows.iter().map(|row| row.path.as_str()).max_by_key(|path| depth(path))?;
        Some(InForce { level, roles: rows.iter().filter(|r| r.path == level).map(|r| r.roleid.as_str()).collect() })
    }
}

#[derive(Default)]
struct Commands {
    /// Privileges to add, by the role that gets them.
    extend: BTreeMap<String, BTreeSet<&'static str>>,
    /// The paths and subjects for which [`ROLE`] must be entered.
    enter: BTreeSet<(String, String)>,
    /// Entries of [`NO_ACCESS`] that stand in the way.
    closed: BTreeSet<(String, String)>,
}

impl Commands {
    /// False when nobody can tell what is in force for the subject.
    fn give(&mut self, standing: &Standing<'_>, subject: Subject<'_>, need: &Need) -> bool {
        if standing.has(subject, need) {
            return true;
        }
        let Some(force) = standing.in_force(subject, need) else {
            // Rights of a group, or entries that may not be read. A token is in no group.
            if matches!(subject, Subject::User(_)) || standing.acl.is_empty() {
                return false;
            }
            self.extend.entry(ROLE.to_string()).or_default().insert(need.privilege);
            self.enter.insert(("/".to_string(), subject.option()));
            return true;
        };
        if force.roles.contains(NO_ACCESS) {
            self.closed.insert((force.level.to_string(), subject.option()));
            return true;
        }
        let own = force.roles.iter().find(|role| !is_built_in(role));
        let role = own.map_or(ROLE, |role| *role);
        self.extend.entry(role.to_string()).or_default().insert(need.privilege);
        if own.is_none() {
            self.enter.insert((force.level.to_string(), subject.option()));
        }
        true
    }

    fn lines(&self, standing: &Standing<'_>) -> Vec<String> {
        let mut lines: Vec<String> = self
            .closed
            .iter()
            .map(|(path, who)| format!("pveum acl delete {} {who} --roles {NO_ACCESS}", text::quoted(path)))
            .collect();
        lines.extend(self.extend.iter().map(|(role, privileges)| role_line(standing, role, privileges)));
        lines.extend(
            self.enter
                .iter()
                .map(|(path, who)| format!("pveum acl modify {} {who} --roles {ROLE}", text::quoted(path))),
        );
        lines
    }
}

/// Both on `/`, above which nothing is inherited. An entry for the user is needed by a token without privilege separation,
/// one for the token by a token with it.
fn from_nothing(standing: &Standing<'_>, user: &str, wanted: &BTreeSet<&str>) -> Way {
    let mut commands = vec![role_line(standing, ROLE, wanted)];
    let entry = |who: Subject<'_>| format!("pveum acl modify / {} --roles {ROLE}", who.option());
    if standing.separated != Some(false) {
        commands.push(entry(Subject::Token(standing.token)));
    }
    commands.push(entry(Subject::User(user)));
    let remark = format!(
        "(the last one only where `pveum user permissions {}` shows that the user lacks them too: an entry of its own takes \
         the place of its group's)",
        quoted(user)
    );
    Way { commands, remark }
}

fn role_line<'a>(standing: &Standing<'_>, role: &str, privileges: impl IntoIterator<Item = &'a &'a str>) -> String {
    let privileges = privileges.into_iter().copied().collect::<Vec<_>>().join(" ");
    if standing.roles.contains_key(role) {
        format!("pveum role modify {} --append --privs \"{privileges}\"", quoted(role))
    } else {
        format!("pveum role add {} --privs \"{privileges}\"", quoted(role))
    }
}

/// Roles whose names begin so are Proxmox VE's own.
fn is_built_in(role: &str) -> bool {
    role.to_ascii_lowercase().starts_with("pve") || matches!(role, "Administrator" | NO_ACCESS)
}

fn is_at_or_above(level: &str, path: &str) -> bool {
    level == "/" || path.strip_prefix(level).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn depth(path: &str) -> usize {
    if path == "/" { 0 } else { path.matches('/').count() }
}

/// For a shell: names come from the plan and from the server.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "cozyup@pve!run";

    fn row(path: &str, role: &str, ugid: &str, propagate: bool) -> AclRow {
        let kind = if ugid.contains('!') {
            "token"
        } else if ugid.contains('@') {
            "user"
        } else {
            "group"
        };
        AclRow { path: path.into(), roleid: role.into(), ugid: ugid.into(), kind: kind.into(), propagate }
    }

    fn told(any: bool, separated: Option<bool>, acl: &[AclRow], missing: &[(&str, &'static str)]) -> String {
        let roles = [
            ("Installer", &["Sys.Audit"][..]),
            ("PVEAuditor", &["Sys.Audit", "VM.Audit"]),
            ("NoAccess", &[]),
            ("Other", &[]),
        ];
        let roles = roles.map(|(name, all)| (name.to_string(), all.iter().map(|p| p.to_string()).collect()));
        let standing = Standing { token: TOKEN, any, separated, acl, roles: &roles.into() };
        let need = |(path, privilege): &(&str, &'static str)| Need { path: path.to_string(), privilege, below: false };
        way(&standing, &missing.iter().map(need).collect()).to_string()
    }

    /// proxmox.md part 1 §2.7, part 2 §2.2: an entry on the path would take away what comes from above.
    #[test]
    fn a_role_that_is_in_force_is_extended_and_nothing_is_entered_below_it() {
        let acl = [row("/", "Installer", "cozyup@pve", true)];
        let missing = [("/storage/local", "Datastore.Allocate"), ("/vms", "VM.Clone")];
        let text = told(true, Some(false), &acl, &missing);
        assert_eq!(
            text,
            "as root on a Proxmox node: pveum role modify Installer --append --privs \"Datastore.Allocate VM.Clone\""
        );
        // A separated token has a role of its own, and both have to have it.
        let acl = [row("/", "Installer", "cozyup@pve", true), row("/storage", "Other", TOKEN, true)];
        let text = told(true, None, &acl, &missing);
        assert!(text.contains("role modify Installer --append --privs \"Datastore.Allocate VM.Clone\""), "{text}");
        assert!(text.contains("role add Other") || text.contains("role modify Other"), "{text}");
        assert!(text.contains("pveum acl modify / --tokens 'cozyup@pve!run' --roles Cozyup"), "{text}");
    }

    #[test]
    fn beside_a_role_that_can_not_be_changed_another_one_is_entered_where_it_stands() {
        let acl = [row("/vms", "PVEAuditor", "cozyup@pve", true), row("/", "Installer", "cozyup@pve", true)];
        let text = told(true, Some(false), &acl, &[("/vms/1001", "VM.Clone")]);
        assert_eq!(
            text,
            "as root on a Proxmox node: pveum role add Cozyup --privs \"VM.Clone\"; \
             pveum acl modify /vms --users 'cozyup@pve' --roles Cozyup"
        );
    }

    #[test]
    fn an_entry_that_does_not_propagate_is_not_in_force_below_and_no_access_is_named() {
        let acl = [row("/storage", "Other", "cozyup@pve", false), row("/", "Installer", "cozyup@pve", true)];
        let text = told(true, Some(false), &acl, &[("/storage/local", "Datastore.Audit")]);
        assert!(text.contains("role modify Installer --append"), "{text}");
        let acl = [row("/", "Installer", "cozyup@pve", true), row("/storage/local", "NoAccess", "cozyup@pve", true)];
        let text = told(true, Some(false), &acl, &[("/storage/local", "Datastore.Audit")]);
        assert!(text.contains("pveum acl delete /storage/local --users 'cozyup@pve' --roles NoAccess"), "{text}");
    }

    #[test]
    fn what_comes_from_a_group_or_can_not_be_read_is_not_guessed() {
        for acl in [vec![], vec![row("/", "Installer", "admins", true)]] {
            let text = told(true, Some(false), &acl, &[("/vms", "VM.Clone")]);
            assert!(text.contains("pveum acl list") && text.contains("--append"), "{text}");
            assert!(!text.contains("acl modify"), "{text}");
        }
    }

    #[test]
    fn a_token_with_nothing_gets_one_role_at_the_root() {
        let text = told(false, None, &[], &[("/", "Sys.Audit"), ("/vms", "VM.Clone")]);
        for part in [
            "pveum role add Cozyup --privs \"Sys.Audit VM.Clone\"",
            "pveum acl modify / --tokens 'cozyup@pve!run' --roles Cozyup",
            "pveum acl modify / --users 'cozyup@pve' --roles Cozyup",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!told(false, Some(false), &[], &[("/", "Sys.Audit")]).contains("--tokens"), "never looked at");
    }
}
