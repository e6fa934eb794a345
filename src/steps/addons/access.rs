//! Who acts on Proxmox VE from inside the cluster: role, user and token of each add-on, and what they may do.
use crate::base::answer::Answer;
use crate::base::secret::Secret;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, StepId};
use crate::plan::model::Plan;
use crate::proxmox::UserRow;
use crate::steps::failures;
use crate::steps::site::Reading;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// How the names of the files begin that keep tokens.
pub const SECRET: &str = "proxmox-token-";

/// One add-on's way into Proxmox VE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// `csi`, `capmox`
    pub name: &'static str,
    pub role: &'static str,
    pub user: &'static str,
    pub token: &'static str,
    always: &'static [&'static str],
    /// One of these, whichever this Proxmox VE knows first: names change between versions.
    either: &'static [&'static str],
}

/// Volumes: made, resized, attached to VMs.
pub const CSI: Access = Access {
    name: "csi",
    role: "CozyCSI",
    user: "kubernetes-csi@pve",
    token: "csi",
    always: &["VM.Audit", "VM.Config.Disk", "Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.Audit"],
    either: &[],
};

/// Machines: cloned, sized, given a cloud-init image (uploaded as ISO, removed again), started, destroyed.
pub const CAPMOX: Access = Access {
    name: "capmox",
    role: "CozyCapmox",
    user: "capmox@pve",
    token: "capi",
    always: &[
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
    // Running `cloud-init status` by the guest agent: Proxmox VE 9 wants the first for `agent/exec` and takes it for every
    // other question to the agent too; 8 has one privilege for all of them.
    either: &["VM.GuestAgent.Unrestricted", "VM.Monitor"],
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

/// Whether the journal knows the act of `kind` for the add-on whose user this is. A comment can be copied or written by
/// anybody; the name of the user and the journal can't.
pub fn is_made(cx: &dyn Context, kind: &str, user: &str) -> bool {
    [CSI, CAPMOX].iter().any(|a| a.user == user && cx.made().has(&StepId::of(kind, a.name)))
}

/// Those that the plan needs.
pub fn of(plan: &Plan) -> Vec<Access> {
    let wanted = [(CSI, plan.integration.csi.enabled), (CAPMOX, plan.integration.capmox.enabled)];
    wanted.into_iter().filter(|(_, enabled)| *enabled).map(|(access, _)| access).collect()
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

    /// What the role holds on a Proxmox VE that has these roles; `Administrator` holds every privilege there is.
    pub fn privileges(&self, roles: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
        let known = roles.get("Administrator");
        let one = self.either.iter().find(|p| known.is_some_and(|k| k.contains(**p)));
        self.always.iter().chain(one).map(ToString::to_string).collect()
    }

    /// What the token must be able to do whatever the version.
    pub fn needed(&self) -> &'static [&'static str] {
        self.always
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
        assert!(CAPMOX.privileges(&roles(&["VM.Monitor"])).contains("VM.Monitor"));
        // cozystack.md 2.5
        let nine = CAPMOX.privileges(&roles(&["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"]));
        assert!(nine.contains("VM.GuestAgent.Unrestricted") && !nine.contains("VM.Monitor"));
        assert_eq!(CSI.privileges(&roles(&["VM.Monitor"])).len(), 5);
    }

    #[test]
    fn ids_are_those_that_the_add_ons_are_told() {
        assert_eq!((CSI.token_id(), CAPMOX.token_id()), ("kubernetes-csi@pve!csi".into(), "capmox@pve!capi".into()));
        assert_eq!(CAPMOX.secret_name(), "proxmox-token-capmox");
    }
}
