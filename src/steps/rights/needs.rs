//! The privileges that the token must have, path by path, for the calls of days 0 to 5 and of the teardown.
use crate::plan::model::Plan;
use crate::steps::addons::grants;
use crate::steps::day0::hosts;
use std::collections::BTreeSet;

/// On each of the plan's VMs.
pub const VMS: [&str; 12] = [
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

/// On a tenant's template: reading it, and handing out the right to clone it.
const TO_LEND: [&str; 3] = ["VM.Allocate", "VM.Audit", "VM.Clone"];

/// A right that has to be there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    pub path: String,
    pub privilege: &'static str,
    /// It has to go on to the paths below: on `/vms`, since Proxmox VE deletes the entries of a VM together with the VM
    /// (pve-access-control, `remove_vm_access`), and an entry on `/vms/ID` alone is gone after a teardown.
    pub below: bool,
}

/// The path on which Proxmox VE checks the right to use the plan's bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkPlace {
    /// A bridge of the nodes: it belongs to the zone `localnetwork`.
    Bridge,
    /// A network of the software-defined network, in this zone.
    Vnet { zone: String },
    /// One whose zone the token may not read. It is shown to who has `SDN.Audit` or `SDN.Use` on it, its zone to who has
    /// `SDN.Audit`: so `SDN.Use` is there, and no path to ask for.
    UnknownZone,
}

pub fn needs(plan: &Plan, network: &NetworkPlace) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    let mut add = |path: &str, below: bool, privileges: &[&'static str]| {
        needs.extend(privileges.iter().map(|p| Need { path: path.to_string(), privilege: p, below }));
    };
    let mut need = |path: &str, privileges: &[&'static str]| add(path, false, privileges);
    need("/", &["Sys.Audit"]);
    for host in hosts(plan) {
        need(&format!("/nodes/{host}"), &["Sys.Audit"]);
    }
    // Deleting the image, which the teardown does, asks for Datastore.Allocate (pve-storage, API2/Storage/Content.pm).
    let image = ["Datastore.Allocate", "Datastore.AllocateTemplate", "Datastore.Audit"];
    for template in plan.templates() {
        if template.has_own_image {
            need(&format!("/storage/{}", template.image_storage), &image);
        }
        need(&format!("/storage/{}", template.storage), &["Datastore.AllocateSpace", "Datastore.Audit"]);
    }
    for node in plan.nodes.iter().filter(|_| plan.by_cdrom()) {
        // A config on a CD-ROM is deleted as soon as its machine is up.
        need(&format!("/storage/{}", plan.iso_storage_of(node)), &image);
    }
    if let Some(path) = network_path(plan, network) {
        need(&path, &["SDN.Use"]);
    }
    if plan.integration.csi.enabled {
        need(&format!("/storage/{}", plan.integration.csi.storage), &["Datastore.Audit"]);
    }
    if plan.integration.csi.enabled || plan.integration.capmox.enabled {
        // Roles, users of realm pve without groups, tokens for them, and ACLs where their roles stand
        // (pve-access-control, API2/{Role,User,ACL}.pm).
        need("/access", &["Sys.Modify"]);
        need("/access/realm/pve", &["Realm.AllocateUser"]);
        need("/access/groups", &["User.Modify"]);
        for (path, below) in grants::modified(plan, network) {
            add(&path, below, &["Permissions.Modify"]);
        }
    }
    plan.day_9().iter().for_each(|vmid| add(&format!("/vms/{vmid}"), false, &TO_LEND));
    if let Some(pool) = &plan.site.pool {
        // Rights on a pool are rights on its members, and making one of them asks the pool alone.
        add(&format!("/pool/{pool}"), false, &VMS);
        return needs;
    }
    add("/vms", true, &VMS);
    let vmids = plan.nodes.iter().map(|n| n.vmid).chain(plan.template_vmids().map(|(_, vmid)| vmid));
    vmids.for_each(|vmid| add(&format!("/vms/{vmid}"), false, &VMS));
    needs
}

/// None where the zone of the network can't be read.
pub fn network_path(plan: &Plan, network: &NetworkPlace) -> Option<String> {
    let zone = match network {
        NetworkPlace::Bridge => "localnetwork",
        NetworkPlace::Vnet { zone } => zone,
        NetworkPlace::UnknownZone => return None,
    };
    let path = format!("/sdn/zones/{zone}/{}", plan.network.bridge);
    Some(plan.network.vlan.map_or(path.clone(), |tag| format!("{path}/{tag}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    fn paths(plan: &Plan, network: &NetworkPlace) -> BTreeSet<String> {
        needs(plan, network).into_iter().map(|n| n.path).collect()
    }

    /// house.md, duplicates: README told the rights in a list of its own.
    #[test]
    fn the_role_of_the_readme_has_just_the_rights_that_a_whole_plan_needs() {
        let readme = include_str!("../../../README.md");
        let line = readme.lines().find(|line| line.contains("pveum role add Cozyup ")).unwrap();
        let told: BTreeSet<&str> = line.split('"').nth(1).unwrap().split(' ').collect();
        let needs = needs(&plan(), &NetworkPlace::Bridge);
        assert_eq!(told, needs.iter().map(|n| n.privilege).collect());
    }

    #[test]
    fn only_what_is_integrated_needs_rights_on_users_and_a_vlan_has_a_path_of_its_own() {
        let mut plan = plan();
        plan.integration.csi.enabled = false;
        plan.integration.capmox.enabled = false;
        plan.network.vlan = Some(30);
        let paths = paths(&plan, &NetworkPlace::Bridge);
        assert!(!paths.iter().any(|p| p.starts_with("/access")));
        assert!(paths.contains("/sdn/zones/localnetwork/vmbr0/30"));
    }

    /// reports.md B11, proxmox.md part 2 §2.3.
    #[test]
    fn a_vnet_is_asked_for_in_its_own_zone() {
        let mut plan = plan();
        plan.network.bridge = "k8snet".into();
        let zone = NetworkPlace::Vnet { zone: "overlay".into() };
        let asked = paths(&plan, &zone);
        assert!(asked.contains("/sdn/zones/overlay/k8snet") && !asked.iter().any(|p| p.contains("localnetwork")));
        plan.network.vlan = Some(30);
        assert!(paths(&plan, &zone).contains("/sdn/zones/overlay/k8snet/30"));
        assert!(!paths(&plan, &NetworkPlace::UnknownZone).iter().any(|p| p.starts_with("/sdn")));
    }

    /// A config that can't be deleted again would lie there with the cluster's keys.
    #[test]
    fn configs_by_cdrom_need_the_right_to_delete_them() {
        let mut plan = plan();
        plan.talos.delivery = crate::plan::model::Delivery::Cdrom;
        plan.talos.iso_storage = Some("nas".into());
        let needs = needs(&plan, &NetworkPlace::Bridge);
        for privilege in ["Datastore.Allocate", "Datastore.AllocateTemplate", "Datastore.Audit"] {
            assert!(needs.contains(&Need { path: "/storage/nas".into(), privilege, below: false }), "{privilege}");
        }
    }

    /// issue 10 A5: who hands out rights needs the right to on those objects, and not on the whole site.
    #[test]
    fn rights_are_handed_out_where_the_add_ons_roles_stand() {
        let mut plan = plan();
        let on = |plan: &Plan| -> BTreeSet<(String, bool)> {
            let all = needs(plan, &NetworkPlace::Bridge).into_iter().filter(|n| n.privilege == "Permissions.Modify");
            all.map(|n| (n.path, n.below)).collect()
        };
        assert!(on(&plan).contains(&("/vms".to_string(), true)));
        plan.site.pool = Some("cozy".into());
        let within = on(&plan);
        assert!(within.contains(&("/pool/cozy".to_string(), false)) && !within.iter().any(|(p, _)| p == "/vms"));
        plan.integration.capmox.enabled = false;
        assert_eq!(on(&plan), BTreeSet::from([("/storage/local-lvm".to_string(), false)]));
    }

    /// reports.md B17.
    #[test]
    fn with_a_pool_the_rights_on_machines_are_asked_on_it_alone() {
        let mut plan = plan();
        plan.site.pool = Some("cozy".into());
        let paths = paths(&plan, &NetworkPlace::Bridge);
        assert!(paths.contains("/pool/cozy") && !paths.iter().any(|p| p.starts_with("/vms")), "{paths:?}");
    }

    /// proxmox.md part 2 §2.6: no more and no less than what the README's role holds.
    #[test]
    fn the_readmes_role_is_what_a_whole_run_needs() {
        let readme = include_str!("../../../README.md");
        let role = readme.split_once("--privs \"").unwrap().1.split_once('"').unwrap().0;
        let needed: BTreeSet<&str> = needs(&plan(), &NetworkPlace::Bridge).into_iter().map(|n| n.privilege).collect();
        assert_eq!(role.split_whitespace().collect::<BTreeSet<_>>(), needed);
        // Without the add-ons, those that the README says may be left out.
        let mut plan = plan();
        plan.integration.csi.enabled = false;
        plan.integration.capmox.enabled = false;
        let fewer: BTreeSet<&str> = needs(&plan, &NetworkPlace::Bridge).into_iter().map(|n| n.privilege).collect();
        let spared: Vec<&str> = needed.difference(&fewer).copied().collect();
        assert_eq!(spared, ["Permissions.Modify", "Realm.AllocateUser", "Sys.Modify", "User.Modify"]);
        assert!(spared.iter().all(|p| readme.matches(&format!("`{p}`")).count() > 0));
    }

    /// proxmox.md part 2 §2.1 and §2.5.
    #[test]
    fn the_way_back_is_asked_for_too() {
        let needs = needs(&plan(), &NetworkPlace::Bridge);
        let need = |path: &str, privilege, below| Need { path: path.into(), privilege, below };
        assert!(needs.contains(&need("/storage/local", "Datastore.Allocate", false)));
        assert!(needs.contains(&need("/vms", "VM.Allocate", true)), "entries of a VM go with it");
        assert!(needs.contains(&need("/vms/9100", "VM.PowerMgmt", false)));
    }
}
