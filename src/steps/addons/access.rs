//! The identities that act on Proxmox VE from inside the cluster: user, token and roles of each add-on. The paths that
//! the roles are given on are in [`super::grants`].
use crate::base::answer::Answer;
use crate::base::secret::Secret;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, StepId};
use crate::plan::model::Plan;
use crate::proxmox::{Reader, Target, UserRow, connect};
use crate::steps::failures;
use crate::steps::site::Reading;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The names of the files that keep tokens begin with this.
pub const SECRET: &str = "proxmox-token-";

/// A role in Proxmox VE that an add-on's user has on one kind of path.
#[derive(Debug, PartialEq, Eq)]
pub struct Role {
    /// Subject of the step that makes it: `csi-storage` of `day4.proxmox_role/csi-storage`.
    pub step: &'static str,
    /// `CozyCSIStorage`
    pub name: &'static str,
    always: &'static [&'static str],
    /// One of these, whichever this Proxmox VE knows first: names change between versions.
    either: &'static [&'static str],
    /// The privileges that an earlier cozyup gave this role, when the role stood on `/`; empty when there was none.
    former: &'static [&'static str],
}

/// One add-on's way into Proxmox VE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// `csi`, `capmox`
    pub name: &'static str,
    pub user: &'static str,
    pub token: &'static str,
    pub roles: &'static [&'static Role],
}

/// Finding the node's VM and attaching disks to it.
pub const CSI_VM: Role =
    Role { step: "csi", name: "CozyCSI", always: &["VM.Audit", "VM.Config.Disk"], either: &[], former: CSI_FORMER };
/// Making, finding and deleting volumes. Reading the storage's configuration and deleting a volume ask for
/// `Datastore.Allocate` (pve-storage, API2/Storage/Config.pm and Content.pm).
pub const CSI_STORAGE: Role = Role {
    step: "csi-storage",
    name: "CozyCSIStorage",
    always: &["Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.Audit"],
    either: &[],
    former: &[],
};
const CSI_FORMER: &[&str] =
    &["VM.Audit", "VM.Config.Disk", "Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.Audit"];

/// Machines of the add-on's own: made, sized, started, stopped, destroyed.
pub const CAPMOX_VM: Role = Role {
    step: "capmox",
    name: "CozyCapmox",
    always: &[
        "VM.Allocate",
        "VM.Audit",
        "VM.PowerMgmt",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Cloudinit",
        "VM.Config.Disk",
        "VM.Config.HWType",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.Options",
    ],
    // Running `cloud-init status` by the guest agent: Proxmox VE 9 wants the first for `agent/exec` and takes it for every
    // other question to the agent too; 8 has one privilege for all of them.
    either: &["VM.GuestAgent.Unrestricted", "VM.Monitor"],
    former: &[
        "VM.Allocate",
        "VM.Audit",
        "VM.Clone",
        "VM.PowerMgmt",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Cloudinit",
        "VM.Config.Disk",
        "VM.Config.HWType",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.Options",
        "Datastore.Allocate",
        "Datastore.AllocateSpace",
        "Datastore.AllocateTemplate",
        "Datastore.Audit",
        "SDN.Use",
        "Sys.Audit",
    ],
};
/// Cloning the template.
pub const CAPMOX_TEMPLATE: Role = Role {
    step: "capmox-template",
    name: "CozyCapmoxTemplate",
    always: &["VM.Audit", "VM.Clone"],
    either: &[],
    former: &[],
};
/// Seeing the hosts and the state of the Proxmox cluster, and that a VM is there.
pub const CAPMOX_AUDIT: Role = Role {
    step: "capmox-audit",
    name: "CozyCapmoxAudit",
    always: &["Sys.Audit", "VM.Audit"],
    either: &[],
    former: &[],
};
/// Disks of the machines.
pub const CAPMOX_DISKS: Role = Role {
    step: "capmox-disks",
    name: "CozyCapmoxDisks",
    always: &["Datastore.AllocateSpace", "Datastore.Audit"],
    either: &[],
    former: &[],
};
/// The ISO image with a machine's config: uploaded, put into the machine, deleted again.
pub const CAPMOX_FILES: Role = Role {
    step: "capmox-files",
    name: "CozyCapmoxFiles",
    always: &["Datastore.Allocate", "Datastore.AllocateTemplate", "Datastore.Audit"],
    either: &[],
    former: &[],
};
/// The machines' network.
pub const CAPMOX_NETWORK: Role =
    Role { step: "capmox-network", name: "CozyCapmoxNetwork", always: &["SDN.Use"], either: &[], former: &[] };

/// Volumes: made, resized, attached to the cluster's own nodes. After the driver's own documents (docs/install.md of
/// sergelogvinov/proxmox-csi-plugin) and the calls of its version 0.14.
pub const CSI: Access =
    Access { name: "csi", user: "kubernetes-csi@pve", token: "csi", roles: &[&CSI_VM, &CSI_STORAGE] };

/// Machines. After capmox's own documents (docs/advanced-setups.md of ionos-cloud/cluster-api-provider-proxmox, "RBAC with
/// least privileges") and the calls of its version 0.7.7.
pub const CAPMOX: Access = Access {
    name: "capmox",
    user: "capmox@pve",
    token: "capi",
    roles: &[&CAPMOX_VM, &CAPMOX_TEMPLATE, &CAPMOX_AUDIT, &CAPMOX_DISKS, &CAPMOX_FILES, &CAPMOX_NETWORK],
};

/// The users of Proxmox VE, all of them. A token without the right to see them gets a shorter list and no refusal, and what
/// is in no list would pass for gone; `root@pam` is in every whole one (access-control, `parse_user_config`).
///
/// # Errors
/// When Proxmox VE does not answer, or hides users.
pub async fn users(site: &Reading) -> Result<Answer<Vec<UserRow>>, Failure> {
    let users = site.proxmox.users().await.map_err(|e| failures::proxmox(&e, "read the users"))?;
    if users.value.iter().any(|u| u.userid == "root@pam") {
        return Ok(users);
    }
    Err(Failure::refused(
        "read the users: Proxmox VE shows the token only some of them",
        "give the token's role User.Modify or Sys.Audit on /access; the step goes on by itself",
    ))
}

/// As [`users`], but a part of the list will do for a run that never made a user of an add-on: there is none to be found.
/// `makes_users` is the kind of the step that makes them.
///
/// # Errors
/// As [`users`].
pub async fn users_to_remove(
    cx: &dyn Context,
    site: &Reading,
    makes_users: &str,
) -> Result<Answer<Vec<UserRow>>, Failure> {
    let made = [CSI, CAPMOX].iter().any(|a| cx.made().has(&StepId::of(makes_users, a.name)));
    match made || cx.made().is_adopted() {
        true => users(site).await,
        false => site.proxmox.users().await.map_err(|e| failures::proxmox(&e, "read the users")),
    }
}

/// True when the journal knows the act of `kind` for the add-on whose user this is. A comment can be copied or written
/// by anybody; the name of the user and the journal can't.
pub fn is_made(cx: &dyn Context, kind: &str, user: &str) -> bool {
    [CSI, CAPMOX].iter().any(|a| a.user == user && cx.made().has(&StepId::of(kind, a.name)))
}

/// Those that the plan needs.
pub fn of(plan: &Plan) -> Vec<Access> {
    let wanted = [(CSI, plan.integration.csi.enabled), (CAPMOX, plan.integration.capmox.enabled)];
    wanted.into_iter().filter(|(_, enabled)| *enabled).map(|(access, _)| access).collect()
}

impl Role {
    /// The role's privileges on a Proxmox VE that has these roles; `Administrator` holds every privilege there is.
    pub fn privileges(&self, roles: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
        self.known(self.always, roles)
    }

    /// The privileges that an earlier cozyup gave it; `None` when they were always the same.
    pub fn former(&self, roles: &BTreeMap<String, BTreeSet<String>>) -> Option<BTreeSet<String>> {
        (!self.former.is_empty()).then(|| self.known(self.former, roles))
    }

    fn known(&self, always: &[&str], roles: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
        let known = roles.get("Administrator");
        let one = self.either.iter().find(|p| known.is_some_and(|k| k.contains(**p)));
        always.iter().chain(one).map(ToString::to_string).collect()
    }

    /// The privileges that it has on every version of Proxmox VE.
    pub fn needed(&self) -> &'static [&'static str] {
        self.always
    }
}

impl Access {
    /// `kubernetes-csi@pve!csi`
    pub fn token_id(&self) -> String {
        format!("{}!{}", self.user, self.token)
    }

    /// Name of the file that keeps the token's secret.
    pub fn secret_name(&self) -> String {
        format!("{SECRET}{}", self.name)
    }

    pub fn secret_path(&self, site: &Reading) -> PathBuf {
        site.vault.path(&self.secret_name())
    }

    /// # Errors
    /// When the file can't be read.
    pub fn secret(&self, site: &Reading) -> Result<Secret<String>, Failure> {
        site.secret(&self.secret_name())
    }

    /// Asks Proxmox VE as this token.
    ///
    /// # Errors
    /// When its secret can't be read.
    pub fn reader(&self, site: &Reading) -> Result<Reader, Failure> {
        let target = Target {
            url: site.plan.site.url.clone(),
            token_id: self.token_id(),
            secret: self.secret(site)?,
            trust: site.proxmox.trust().clone(),
        };
        let doing = format!("ask as {}", self.token_id());
        connect(target).map(|(reader, _)| reader).map_err(|e| failures::proxmox(&e, &doing))
    }

    /// The role of this name, if it is one of the add-on's.
    pub fn role(&self, name: &str) -> Option<&'static Role> {
        self.roles.iter().find(|role| role.name == name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(administrator: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
        BTreeMap::from([("Administrator".to_string(), administrator.iter().map(ToString::to_string).collect())])
    }

    #[test]
    fn the_guest_agents_privilege_is_the_one_that_this_proxmox_knows() {
        assert!(CAPMOX_VM.privileges(&roles(&["VM.Monitor"])).contains("VM.Monitor"));
        // cozystack.md 2.5
        let nine = CAPMOX_VM.privileges(&roles(&["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"]));
        assert!(nine.contains("VM.GuestAgent.Unrestricted") && !nine.contains("VM.Monitor"));
        assert_eq!(CSI_VM.privileges(&roles(&["VM.Monitor"])).len(), 2);
        assert_eq!(CAPMOX_VM.former(&roles(&["VM.Monitor"])).unwrap().len(), 19);
        assert_eq!(CSI_STORAGE.former(&roles(&[])), None);
    }

    /// issue 10 A5
    #[test]
    fn a_role_holds_privileges_of_one_kind_of_object_only() {
        for role in CSI.roles.iter().chain(CAPMOX.roles) {
            let kinds: BTreeSet<&str> = role.needed().iter().filter_map(|p| p.split('.').next()).collect();
            assert!(kinds.len() == 1 || role.name == CAPMOX_AUDIT.name, "{}: {kinds:?}", role.name);
        }
        assert!(!CSI.roles.iter().any(|role| role.needed().contains(&"VM.PowerMgmt")));
    }

    #[test]
    fn ids_are_those_that_the_add_ons_are_told() {
        assert_eq!((CSI.token_id(), CAPMOX.token_id()), ("kubernetes-csi@pve!csi".into(), "capmox@pve!capi".into()));
        assert_eq!(CAPMOX.secret_name(), "proxmox-token-capmox");
        let mut steps: Vec<&str> = CSI.roles.iter().chain(CAPMOX.roles).map(|role| role.step).collect();
        // The first role of each is the one whose step an earlier cozyup had too.
        assert!(steps.contains(&CSI.name) && steps.contains(&CAPMOX.name));
        steps.sort_unstable();
        steps.dedup();
        assert_eq!(steps.len(), CSI.roles.len() + CAPMOX.roles.len());
    }
}
