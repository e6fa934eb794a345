//! A token with privileges in one resource pool, as a company gives it that shares its site.
use super::rights::{Acl, INSTALLER_PRIVILEGES, INSTALLER_USER, Rights, Role, Subject};
use crate::scenario;

impl Rights {
    /// Takes the installer's role from `/` and gives what a run needs piece by piece: in one resource pool, on each storage by
    /// what it holds, on the networks, and to look at the nodes.
    pub fn confine(&mut self, pool: &str, storages: &[scenario::Storage], networks: &[String]) {
        self.acls.clear();
        let machines: Vec<&str> = INSTALLER_PRIVILEGES.into_iter().filter(|p| p.starts_with("VM.")).collect();
        self.enter(&format!("/pool/{pool}"), "CozyupPool", &machines, true);
        for storage in storages {
            let path = format!("/storage/{}", storage.name);
            if storage.content.iter().any(|c| c == "import" || c == "iso") {
                let files = ["Datastore.Allocate", "Datastore.AllocateTemplate", "Datastore.Audit"];
                self.enter(&path, "CozyupFiles", &files, true);
            }
            if storage.content.iter().any(|c| c == "images") {
                self.enter(&path, "CozyupDisks", &["Datastore.AllocateSpace", "Datastore.Audit"], true);
            }
        }
        for network in networks {
            self.enter(network, "CozyupNetwork", &["SDN.Use"], true);
        }
        // On `/` alone: handed on, it would show every user and every guest.
        self.enter("/", "CozyupSite", &["Sys.Audit"], false);
        self.enter("/nodes", "CozyupSite", &["Sys.Audit"], true);
    }

    fn enter(&mut self, path: &str, role: &str, privileges: &[&str], propagate: bool) {
        let privileges = privileges.iter().map(ToString::to_string).collect();
        self.roles.insert(role.into(), Role { privileges, built_in: false });
        let (path, role, id) = (path.to_string(), role.to_string(), INSTALLER_USER.to_string());
        self.acls.push(Acl { path, subject: Subject::User, id, role, propagate });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pve::rights::{INSTALLER_TOKEN, Who};

    /// reports.md B17
    #[test]
    fn a_token_of_one_pool_may_do_there_what_the_readmes_role_may_and_sees_nothing_else() {
        let mut rights = Rights::new(9);
        let who = Who { user: INSTALLER_USER.into(), token: Some(INSTALLER_TOKEN.into()) };
        rights.confine("cozy", &[], &["/sdn/zones/localnetwork/vmbr0".to_string()]);
        let may = |rights: &Rights, path: &str, privilege: &str| rights.privileges(&who, path).contains_key(privilege);
        assert!(may(&rights, "/pool/cozy", "VM.Allocate") && may(&rights, "/nodes/pve", "Sys.Audit"));
        assert!(!may(&rights, "/vms/150", "VM.Audit") && !may(&rights, "/access/groups", "Sys.Audit"));
        rights.pools.entry("cozy".into()).or_default().vms.insert(1001);
        assert!(may(&rights, "/vms/1001", "VM.Config.Disk"));
    }
}
