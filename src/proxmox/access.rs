//! Who may do what: effective permissions, roles, users, tokens, ACLs.
use super::fields::{Fields, rows, whole};
use crate::base::text::clean;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What the token itself may do: path, privilege, and whether the privilege goes on to the paths below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions(pub BTreeMap<String, BTreeMap<String, bool>>);

impl Permissions {
    /// Decided by the nearest path that the server lists: on it any privilege counts, below it those that propagate.
    pub fn has(&self, path: &str, privilege: &str) -> bool {
        if let Some(here) = self.0.get(path) {
            return here.contains_key(privilege);
        }
        let mut above = path;
        while let Some((parent, _)) = above.rsplit_once('/') {
            above = parent;
            if let Some(there) = self.0.get(if above.is_empty() { "/" } else { above }) {
                return there.get(privilege).copied().unwrap_or(false);
            }
        }
        false
    }
}

pub(super) fn permissions(data: &Value) -> Result<Permissions, String> {
    // Perl writes an empty hash as `{}`, but some versions an absent one as `[]`.
    if data.as_array().is_some_and(Vec::is_empty) {
        return Ok(Permissions(BTreeMap::new()));
    }
    let path = |(path, privileges): (&String, &Value)| {
        let privileges = Fields::of(privileges)?;
        Ok((clean(path), privileges.all().map(|(p, flag)| (clean(p), whole(flag) == Some(1))).collect()))
    };
    Fields::of(data)?.all().map(path).collect::<Result<_, String>>().map(Permissions)
}

pub(super) fn roles(data: &Value) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let row = |r: &Fields| Ok((r.need_text("roleid")?, r.parts("privs", &[',', ' ', ';']).into_iter().collect()));
    rows(data)?.iter().map(row).collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// `cozyup@pve`
    pub userid: String,
    pub enabled: bool,
    pub comment: Option<String>,
}

pub(super) fn users(data: &Value) -> Result<Vec<UserRow>, String> {
    let row = |r: &Fields| {
        Ok(UserRow {
            userid: r.need_text("userid")?,
            enabled: r.get("enable").is_none() || r.flag("enable"),
            comment: r.text("comment"),
        })
    };
    rows(data)?.iter().map(row).collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The part behind the `!`.
    pub tokenid: String,
    pub comment: Option<String>,
    /// The token has only what both it and its user are granted.
    pub privsep: bool,
}

pub(super) fn tokens(data: &Value) -> Result<Vec<TokenRow>, String> {
    let row = |r: &Fields| {
        Ok(TokenRow {
            tokenid: r.need_text("tokenid")?,
            comment: r.text("comment"),
            privsep: r.get("privsep").is_none() || r.flag("privsep"),
        })
    };
    rows(data)?.iter().map(row).collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclRow {
    pub path: String,
    pub roleid: String,
    /// A user, a group or a token, by `kind`.
    pub ugid: String,
    /// `user`, `group` or `token`.
    pub kind: String,
    pub propagate: bool,
}

pub(super) fn acl(data: &Value) -> Result<Vec<AclRow>, String> {
    let row = |r: &Fields| {
        Ok(AclRow {
            path: r.need_text("path")?,
            roleid: r.need_text("roleid")?,
            ugid: r.need_text("ugid")?,
            kind: r.text("type").unwrap_or_default(),
            propagate: r.get("propagate").is_none() || r.flag("propagate"),
        })
    };
    rows(data)?.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn granted() -> Permissions {
        permissions(&json!({
            "/": {"Sys.Audit": 1, "Pool.Audit": 0},
            "/storage/local": {"Datastore.Audit": 1},
            "/sdn/zones/localnetwork/vmbr0": {"SDN.Use": 0},
            "/vms": {"VM.Audit": 1},
        }))
        .unwrap()
    }

    #[test]
    fn a_privilege_reaches_below_only_when_it_propagates() {
        let p = granted();
        assert!(p.has("/", "Sys.Audit") && p.has("/", "Pool.Audit"));
        assert!(p.has("/nodes/pve", "Sys.Audit"));
        assert!(!p.has("/pool/cozy", "Pool.Audit"));
        assert!(p.has("/sdn/zones/localnetwork/vmbr0", "SDN.Use"));
        assert!(!p.has("/sdn/zones/localnetwork/vmbr0/100", "SDN.Use"));
        assert!(p.has("/vms/101", "VM.Audit") && !p.has("/vms/101", "VM.Clone"));
    }

    #[test]
    fn a_deeper_grant_replaces_what_came_from_above() {
        assert!(!granted().has("/storage/local", "Sys.Audit"));
        assert!(granted().has("/storage/other", "Sys.Audit"));
        assert!(!Permissions(BTreeMap::new()).has("/vms/1", "VM.Audit"));
        assert!(permissions(&json!([])).unwrap().0.is_empty());
    }

    #[test]
    fn roles_tokens_users_and_acls_are_read() {
        let roles =
            roles(&json!([{"roleid": "R", "privs": "VM.Audit,VM.Clone", "special": 0}, {"roleid": "NoAccess"}]));
        let roles = roles.unwrap();
        assert!(roles["R"].contains("VM.Clone") && roles["NoAccess"].is_empty());
        let t = &tokens(&json!([{"tokenid": "wizard", "privsep": 0, "comment": "c"}])).unwrap()[0];
        assert!(!t.privsep);
        let u = &users(&json!([{"userid": "a@pve", "enable": 0}])).unwrap()[0];
        assert!(!u.enabled);
        let row = json!([{"path": "/", "roleid": "R", "ugid": "a@pve!t", "type": "token", "propagate": 1}]);
        assert_eq!(acl(&row).unwrap()[0].kind, "token");
    }
}
