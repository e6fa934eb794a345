//! Users, roles, access control lists and API tokens, and what follows from them.
use super::roles::{NO_ACCESS, built_in};
use crate::scenario::FaultKind;
use crate::world::World;
use cozyup_base::secret::Secret;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The installer's user and token.
pub const INSTALLER_USER: &str = "cozyup@pve";
pub const INSTALLER_TOKEN: &str = "installer";
pub const INSTALLER_ROLE: &str = "Cozyup";
/// What the README's commands give the token, and no more: a lab whose token may do everything hides what is missing there.
pub const INSTALLER_PRIVILEGES: [&str; 22] = [
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Permissions.Modify",
    "Realm.AllocateUser",
    "SDN.Use",
    "Sys.Audit",
    "Sys.Modify",
    "User.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.PowerMgmt",
];

/// The caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// `user@realm`
    pub user: String,
    /// Name of the token, without the user.
    pub token: Option<String>,
}

impl Who {
    /// As tasks and checks name the caller: `user@realm` or `user@realm!token`.
    pub fn id(&self) -> String {
        match &self.token {
            Some(token) => format!("{}!{token}", self.user),
            None => self.user.clone(),
        }
    }

    pub fn is_root(&self) -> bool {
        self.user == "root@pam" && self.token.is_none()
    }

    fn is_installer(&self) -> bool {
        self.user == INSTALLER_USER
    }
}

#[derive(Debug)]
pub struct Token {
    pub secret: Secret<String>,
    pub privilege_separation: bool,
    /// Unix seconds; 0 is never.
    pub expire: i64,
    pub comment: Option<String>,
}

#[derive(Debug, Default)]
pub struct User {
    pub enabled: bool,
    pub expire: i64,
    pub comment: Option<String>,
    pub password: Option<Secret<String>>,
    pub tokens: BTreeMap<String, Token>,
}

#[derive(Debug, Clone)]
pub struct Role {
    pub privileges: BTreeSet<String>,
    pub built_in: bool,
}

/// Kind of an ACL's subject, as the API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    User,
    Token,
}

impl Subject {
    pub fn name(self) -> &'static str {
        match self {
            Subject::User => "user",
            Subject::Token => "token",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    pub path: String,
    pub subject: Subject,
    pub id: String,
    pub role: String,
    pub propagate: bool,
}

#[derive(Debug)]
pub struct Ticket {
    pub user: String,
    pub csrf: String,
    pub issued: Timestamp,
}

#[derive(Debug, Clone, Default)]
pub struct Pool {
    pub comment: Option<String>,
    pub vms: BTreeSet<u32>,
    pub storages: BTreeSet<String>,
}

pub struct Rights {
    pub users: BTreeMap<String, User>,
    pub roles: BTreeMap<String, Role>,
    pub acls: Vec<Acl>,
    pub tickets: BTreeMap<String, Ticket>,
    pub pools: BTreeMap<String, Pool>,
    /// Groups of users, with their comments.
    pub groups: BTreeMap<String, Option<String>>,
}

/// The privileges on one object, each with whether it reaches what is below.
pub type Privileges = BTreeMap<String, bool>;

impl Rights {
    pub fn new(major: u32) -> Self {
        let mut roles: BTreeMap<String, Role> =
            built_in(major).into_iter().map(|(name, privileges)| (name, Role { privileges, built_in: true })).collect();
        let privileges = INSTALLER_PRIVILEGES.map(String::from).into();
        roles.insert(INSTALLER_ROLE.into(), Role { privileges, built_in: false });

        let root = User { enabled: true, password: Some(Secret::new(random_uuid())), ..User::default() };
        let mut installer = User { enabled: true, ..User::default() };
        installer.tokens.insert(
            INSTALLER_TOKEN.into(),
            Token { secret: Secret::new(random_uuid()), privilege_separation: false, expire: 0, comment: None },
        );
        let acl = Acl {
            path: "/".into(),
            subject: Subject::User,
            id: INSTALLER_USER.into(),
            role: INSTALLER_ROLE.into(),
            propagate: true,
        };
        Rights {
            users: BTreeMap::from([("root@pam".into(), root), (INSTALLER_USER.into(), installer)]),
            roles,
            acls: vec![acl],
            tickets: BTreeMap::new(),
            pools: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    /// Everything that a role can hold, in this version.
    pub fn known(&self) -> BTreeSet<String> {
        self.roles.get("Administrator").map(|r| r.privileges.clone()).unwrap_or_default()
    }

    pub fn token(&self, id: &str) -> Option<&Token> {
        let (user, token) = id.split_once('!')?;
        self.users.get(user)?.tokens.get(token)
    }

    /// The caller's privileges on `path`; a separated token has at most those of its user.
    pub fn privileges(&self, who: &Who, path: &str) -> Privileges {
        let of_user = if who.user == "root@pam" {
            self.known().into_iter().map(|p| (p, true)).collect()
        } else {
            self.of_subject(Subject::User, &who.user, path)
        };
        let Some(token) = &who.token else { return of_user };
        let id = format!("{}!{token}", who.user);
        match self.token(&id) {
            None => Privileges::new(),
            Some(token) if !token.privilege_separation => of_user,
            Some(_) => self
                .of_subject(Subject::Token, &id, path)
                .into_iter()
                .filter_map(|(p, propagate)| of_user.get(&p).map(|above| (p, propagate && *above)))
                .collect(),
        }
    }

    fn of_subject(&self, subject: Subject, id: &str, path: &str) -> Privileges {
        let mut roles = self.roles_along(subject, id, path);
        // A role on a pool is one on its members, but goes no further and changes none that is there.
        for name in self.pools_of(path) {
            if roles.contains_key(NO_ACCESS) {
                break;
            }
            let from_pool = self.roles_along(subject, id, &format!("/pool/{name}"));
            if from_pool.contains_key(NO_ACCESS) {
                roles = BTreeMap::from([(NO_ACCESS, false)]);
            }
            for role in from_pool.into_keys() {
                roles.entry(role).or_insert(false);
            }
        }
        let mut privileges = Privileges::new();
        for (role, propagate) in roles {
            for privilege in self.roles.get(role).iter().flat_map(|r| &r.privileges) {
                *privileges.entry(privilege.clone()).or_default() |= propagate;
            }
        }
        privileges
    }

    /// The pools that the object at `path` is a member of.
    fn pools_of(&self, path: &str) -> Vec<&str> {
        let is_member = |pool: &Pool| match path.strip_prefix('/').and_then(|rest| rest.split_once('/')) {
            Some(("vms", vmid)) => vmid.parse().is_ok_and(|v| pool.vms.contains(&v)),
            Some(("storage", storage)) => pool.storages.contains(storage),
            _ => false,
        };
        self.pools.iter().filter(|(_, pool)| is_member(pool)).map(|(name, _)| name.as_str()).collect()
    }

    /// Roles at a deeper path replace those inherited from above it; no access stands alone.
    fn roles_along(&self, subject: Subject, id: &str, path: &str) -> BTreeMap<&str, bool> {
        let mut roles: BTreeMap<&str, bool> = BTreeMap::new();
        for level in levels(path) {
            let last = level == path;
            let here: BTreeMap<&str, bool> = self
                .acls
                .iter()
                .filter(|a| a.subject == subject && a.id == id && a.path == level && (last || a.propagate))
                .map(|a| (a.role.as_str(), a.propagate))
                .collect();
            if !here.is_empty() {
                roles = here;
            }
        }
        match roles.get(NO_ACCESS) {
            Some(propagate) => BTreeMap::from([(NO_ACCESS, *propagate)]),
            None => roles,
        }
    }
}

/// `/`, `/a`, `/a/b` for `/a/b`.
fn levels(path: &str) -> Vec<&str> {
    let mut levels = vec!["/"];
    levels.extend(path.match_indices('/').skip(1).filter_map(|(at, _)| path.get(..at)));
    if path != "/" {
        levels.push(path);
    }
    levels
}

/// True when the caller has this privilege now; a `missing_privilege` fault takes it from the installer's token.
pub fn allowed(world: &mut World, who: &Who, path: &str, privilege: &str) -> bool {
    world.pve.rights.privileges(who, path).contains_key(privilege) && !(who.is_installer() && missing(world, privilege))
}

/// All that the caller has on `path` now.
pub fn effective(world: &mut World, who: &Who, path: &str) -> Privileges {
    let mut privileges = world.pve.rights.privileges(who, path);
    if who.is_installer() {
        privileges.retain(|p, _| !missing(world, p));
    }
    privileges
}

fn missing(world: &mut World, privilege: &str) -> bool {
    world.bites(|k| matches!(k, FaultKind::MissingPrivilege { privilege: p } if p == privilege)).is_some()
}

/// A version 4 UUID from the operating system's randomness: for secrets, which the lab's seed must not give away.
pub fn random_uuid() -> String {
    let mut bytes = [0_u8; 16];
    // Without randomness from the operating system there is no TLS either.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    let n = (u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    super::uuid_text(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(token: Option<&str>) -> Who {
        Who { user: "a@pve".into(), token: token.map(Into::into) }
    }

    fn rights(acls: Vec<Acl>) -> Rights {
        let mut rights = Rights::new(9);
        let mut user = User { enabled: true, ..User::default() };
        for (name, privilege_separation) in [("apart", true), ("same", false)] {
            user.tokens.insert(
                name.into(),
                Token { secret: Secret::new("s".into()), privilege_separation, expire: 0, comment: None },
            );
        }
        rights.users.insert("a@pve".into(), user);
        rights.acls = acls;
        rights
    }

    fn acl(path: &str, id: &str, role: &str, propagate: bool) -> Acl {
        let subject = if id.contains('!') { Subject::Token } else { Subject::User };
        Acl { path: path.into(), subject, id: id.into(), role: role.into(), propagate }
    }

    /// proxmox.md part 2 §2: every lab's run and teardown is then one with exactly what the README gives.
    #[test]
    fn the_labs_token_may_what_the_readme_gives_and_each_of_it_exists() {
        let readme = include_str!("../../../README.md");
        let privileges = readme.split_once("--privs \"").unwrap().1.split_once('"').unwrap().0;
        let privileges: BTreeSet<&str> = privileges.split_whitespace().collect();
        assert_eq!(privileges, BTreeSet::from(INSTALLER_PRIVILEGES));
        for major in [8, 9] {
            let known = Rights::new(major).known();
            assert!(privileges.iter().all(|p| known.contains(*p)), "{major}: {known:?}");
        }
    }

    #[test]
    fn a_separated_token_without_an_acl_of_its_own_has_nothing() {
        let rights = rights(vec![acl("/", "a@pve", "PVEAuditor", true)]);
        assert!(rights.privileges(&who(None), "/vms/7").contains_key("VM.Audit"));
        assert!(rights.privileges(&who(Some("same")), "/vms/7").contains_key("VM.Audit"));
        assert!(rights.privileges(&who(Some("apart")), "/vms/7").is_empty());
    }

    #[test]
    fn a_separated_token_has_at_most_what_its_user_has() {
        let rights =
            rights(vec![acl("/", "a@pve", "PVEAuditor", true), acl("/", "a@pve!apart", "Administrator", true)]);
        let privileges = rights.privileges(&who(Some("apart")), "/vms");
        assert!(privileges.contains_key("VM.Audit"));
        assert!(!privileges.contains_key("VM.Allocate"));
    }

    #[test]
    fn a_role_further_down_replaces_the_inherited_one_and_without_propagation_stays_where_it_is() {
        let rights = rights(vec![acl("/", "a@pve", "PVEVMAdmin", true), acl("/vms", "a@pve", "PVEAuditor", false)]);
        assert!(!rights.privileges(&who(None), "/vms").contains_key("VM.Allocate"));
        assert!(rights.privileges(&who(None), "/vms/7").contains_key("VM.Allocate"));
        assert_eq!(levels("/vms/7"), ["/", "/vms", "/vms/7"]);
    }

    #[test]
    fn a_right_on_a_pool_reaches_its_members_only_and_ends_there() {
        let mut rights =
            rights(vec![acl("/pool/p", "a@pve", "PVEVMAdmin", true), acl("/vms", "a@pve", "NoAccess", true)]);
        rights.pools.insert("p".into(), Pool { vms: BTreeSet::from([7]), ..Pool::default() });
        assert!(rights.privileges(&who(None), "/vms/7").is_empty(), "no access above the member goes first");
        rights.acls.pop();
        assert_eq!(rights.privileges(&who(None), "/vms/7").get("VM.Allocate"), Some(&false));
        assert!(rights.privileges(&who(None), "/vms/8").is_empty());
        rights.acls.push(acl("/pool/p", "a@pve", "NoAccess", true));
        rights.acls.push(acl("/vms", "a@pve", "PVEAuditor", true));
        assert!(rights.privileges(&who(None), "/vms/7").is_empty(), "and so does none on the pool");
    }
}
