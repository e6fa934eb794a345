//! Access control: effective permissions, roles, users, tokens, ACLs.
use super::fields::{Fields, rows, whole};
use crate::base::text::clean;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The token's own rights: path, privilege, and whether the privilege goes on to the paths below. The server leaves out
/// paths without any privilege and those that have none of their own, so nothing may be inferred from a path that is
/// not listed: ask for it ([`super::Reader::permissions_on`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions(pub BTreeMap<String, BTreeMap<String, bool>>);

impl Permissions {
    /// The answer's rights on exactly this path.
    pub fn on(&self, path: &str) -> BTreeMap<String, bool> {
        self.0.get(path).cloned().unwrap_or_default()
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

/// A row of `GET /access/users`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// `cozyup@pve`
    pub userid: String,
    /// False: nobody can log in as this user, and its tokens are refused too.
    pub enabled: bool,
    /// Comment of the user, cleaned.
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

/// A row of `GET /access/users/{userid}/token`. It never holds the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The part behind the `!`.
    pub tokenid: String,
    /// Comment of the token, cleaned.
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

/// A row of `GET /access/acl`: one role on one path for one user, group or token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclRow {
    /// Path that the role is given on: `/`, `/vms/1001`, `/storage/local`.
    pub path: String,
    /// Name of the role.
    pub roleid: String,
    /// A user, a group or a token, by `kind`.
    pub ugid: String,
    /// `user`, `group` or `token`.
    pub kind: String,
    /// True when the role holds on the paths below too.
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

    #[test]
    fn nothing_is_inferred_for_a_path_that_is_not_listed() {
        let p = permissions(&json!({"/": {"Sys.Audit": 1, "Pool.Audit": 0}, "/vms": {"VM.Audit": "1"}})).unwrap();
        assert_eq!(p.on("/"), BTreeMap::from([("Sys.Audit".into(), true), ("Pool.Audit".into(), false)]));
        assert_eq!(p.on("/vms"), BTreeMap::from([("VM.Audit".into(), true)]));
        assert!(p.on("/nodes/pve").is_empty(), "it may inherit all of /, or nothing at all");
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
