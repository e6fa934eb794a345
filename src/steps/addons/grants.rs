//! Where in Proxmox VE the add-ons' roles stand: on the objects that each needs, and on nothing above them.
//!
//! An entry on a path takes the place of what its user inherits there, and what stands on a pool reaches the pool's members
//! only (pve-access-control, `roles` and `permissions`).
use super::access::{
    Access, CAPMOX_AUDIT, CAPMOX_DISKS, CAPMOX_FILES, CAPMOX_NETWORK, CAPMOX_TEMPLATE, CAPMOX_VM, CSI, CSI_STORAGE,
    CSI_VM, Role,
};
use crate::engine::failure::Failure;
use crate::plan::model::Plan;
use crate::proxmox::{AclRow, StorageRow};
use crate::steps::day0::hosts;
use crate::steps::failures;
use crate::steps::rights::needs::{NetworkPlace, network_path};
use crate::steps::rights::network;
use crate::steps::site::Reading;
use std::collections::{BTreeMap, BTreeSet};

/// One entry of the access control list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// `/storage/local-lvm`
    pub path: String,
    /// `CozyCSIStorage`
    pub role: &'static str,
    /// It goes on to the paths below.
    pub propagate: bool,
}

/// The objects on the site that an add-on works with.
pub struct Objects {
    /// Where the right to use the plan's bridge stands.
    pub network: NetworkPlace,
    /// Of the template's host.
    pub storages: Vec<StorageRow>,
}

/// The entries that the add-on's user is to have.
///
/// # Errors
/// When Proxmox VE does not tell which networks or storages it has.
pub async fn of(site: &Reading, access: &Access) -> Result<BTreeSet<Entry>, Failure> {
    if access.name == CSI.name {
        return Ok(for_csi(&site.plan));
    }
    let network = network::place(&site.proxmox, &site.plan).await?;
    let host = &site.plan.template.host;
    let storages = site.proxmox.storages(host).await;
    let storages = storages.map_err(|e| failures::proxmox(&e, &format!("list the storages of {host}")))?.value;
    Ok(for_capmox(&site.plan, &Objects { network, storages }))
}

/// As far as the plan alone tells.
pub fn of_plan(plan: &Plan, access: &Access) -> BTreeSet<Entry> {
    if access.name == CSI.name {
        return for_csi(plan);
    }
    for_capmox(plan, &Objects { network: NetworkPlace::Bridge, storages: Vec::new() })
}

fn entry(path: impl Into<String>, role: &Role, propagate: bool) -> Entry {
    Entry { path: path.into(), role: role.name, propagate }
}

/// The nodes' own VMs, also when there is a pool: others may have machines in it.
fn for_csi(plan: &Plan) -> BTreeSet<Entry> {
    let vms = plan.nodes.iter().map(|node| entry(format!("/vms/{}", node.vmid), &CSI_VM, false));
    vms.chain([entry(format!("/storage/{}", plan.integration.csi.storage), &CSI_STORAGE, false)]).collect()
}

/// Machines get their VMIDs later, so their rights stand on the pool, or without one on `/vms`. There the plan's own nodes
/// and its templates have entries of their own, which are smaller and take the place of it.
fn for_capmox(plan: &Plan, objects: &Objects) -> BTreeSet<Entry> {
    let template = format!("/vms/{}", plan.template.vmid);
    // The state of the Proxmox cluster is on `/` and has no other path.
    let mut entries = BTreeSet::from([entry("/", &CAPMOX_AUDIT, false), entry(template, &CAPMOX_TEMPLATE, false)]);
    let of_tenants = plan.day_9().map(|vmid| entry(format!("/vms/{vmid}"), &CAPMOX_TEMPLATE, false));
    entries.extend(of_tenants);
    entries.extend(hosts(plan).into_iter().map(|host| entry(format!("/nodes/{host}"), &CAPMOX_AUDIT, false)));
    match &plan.site.pool {
        Some(pool) => drop(entries.insert(entry(format!("/pool/{pool}"), &CAPMOX_VM, false))),
        None => {
            entries.insert(entry("/vms", &CAPMOX_VM, true));
            let copies = plan.template.copies.iter().map(|copy| copy.vmid);
            let own = plan.nodes.iter().map(|node| node.vmid).chain(copies);
            entries.extend(own.map(|vmid| entry(format!("/vms/{vmid}"), &CAPMOX_AUDIT, false)));
        }
    }
    entries.insert(entry(format!("/storage/{}", plan.template.storage), &CAPMOX_DISKS, false));
    let files = iso_storages(plan, &objects.storages);
    entries.extend(files.into_iter().map(|name| entry(format!("/storage/{name}"), &CAPMOX_FILES, false)));
    // Of a network in a zone that nobody may read there is only the path above all zones.
    let (network, below) = match network_path(plan, &objects.network) {
        Some(path) => (path, false),
        None => ("/sdn/zones".to_string(), true),
    };
    entries.insert(entry(network, &CAPMOX_NETWORK, below));
    entries
}

/// Where capmox lays its ISO images: it takes the first storage that takes such images, of those that it may see, in an
/// order that is another one each time (go-proxmox 0.4, `findStorageByContent`). So each of the plan's storages that takes
/// them is one, and none else, unless there is none.
fn iso_storages<'a>(plan: &'a Plan, storages: &'a [StorageRow]) -> BTreeSet<&'a str> {
    let own = BTreeSet::from([plan.iso_storage(), plan.image.storage.as_str(), plan.template.storage.as_str()]);
    let takes_iso = |row: &&StorageRow| row.enabled && row.content.iter().any(|content| content == "iso");
    let all: BTreeSet<&str> = storages.iter().filter(takes_iso).map(|row| row.storage.as_str()).collect();
    let among: BTreeSet<&str> = own.intersection(&all).copied().collect();
    if !among.is_empty() {
        return among;
    }
    if all.is_empty() { BTreeSet::from([plan.iso_storage()]) } else { all }
}

/// The paths on which the maker of these entries needs `Permissions.Modify`, each with true when it must hold below too.
/// On a VM other rights are enough: who may allocate it may hand out the rights that he has (pve-access-control,
/// API2/ACL.pm).
pub fn modified(plan: &Plan, network: &NetworkPlace) -> BTreeSet<(String, bool)> {
    let mut entries = BTreeSet::new();
    if plan.integration.csi.enabled {
        entries.extend(for_csi(plan).into_iter().map(|e| e.path));
    }
    if plan.integration.capmox.enabled {
        let objects = Objects { network: network.clone(), storages: Vec::new() };
        entries.extend(for_capmox(plan, &objects).into_iter().map(|e| e.path));
        entries.insert(format!("/storage/{}", plan.iso_storage()));
    }
    // An administrator alone gives rights on what the token may not read.
    let asked = |path: &String| !path.starts_with("/vms/") && path != "/sdn/zones";
    entries.into_iter().filter(asked).map(|path| (path.clone(), path == "/vms")).collect()
}

/// The difference between the user's ACL entries and those that are wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub missing: Vec<Entry>,
    /// Of the add-on's own roles, where none is wanted (any more): on `/` an earlier cozyup set them.
    pub stale: Vec<Entry>,
    /// Given by somebody else: role and path.
    pub others: Vec<(String, String)>,
}

impl Difference {
    pub fn is_none(&self) -> bool {
        self.missing.is_empty() && self.stale.is_empty()
    }
}

/// Entries of the add-on's user.
pub fn entries_of<'a>(acl: &'a [AclRow], access: &Access) -> impl Iterator<Item = &'a AclRow> {
    let user = access.user;
    acl.iter().filter(move |row| row.kind == "user" && row.ugid == user)
}

pub fn difference(access: &Access, wanted: &BTreeSet<Entry>, acl: &[AclRow]) -> Difference {
    let mut difference = Difference::default();
    let mut standing = BTreeSet::new();
    for row in entries_of(acl, access) {
        match access.role(&row.roleid) {
            Some(role) => drop(standing.insert(entry(row.path.clone(), role, row.propagate))),
            None => difference.others.push((row.roleid.clone(), row.path.clone())),
        }
    }
    difference.missing = wanted.difference(&standing).cloned().collect();
    // One that only propagates where it should not is written anew, not taken away.
    let replaced = |e: &Entry| wanted.iter().any(|w| w.path == e.path && w.role == e.role);
    difference.stale = standing.difference(wanted).filter(|e| !replaced(e)).cloned().collect();
    difference
}

/// The privileges that the add-on's token must have, by path: of a role only those that count on such an object.
pub fn needed(access: &Access, wanted: &BTreeSet<Entry>) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut needed: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for one in wanted {
        let kind = match one.path.split('/').nth(1).unwrap_or_default() {
            "vms" | "pool" => "VM.",
            "storage" => "Datastore.",
            "sdn" => "SDN.",
            _ => "Sys.",
        };
        let privileges = access.role(one.role).map(Role::needed).unwrap_or_default();
        let counts = privileges.iter().filter(|p| p.starts_with(kind)).copied();
        needed.entry(one.path.clone()).or_default().extend(counts);
    }
    needed
}

/// Lines for `pveum`, by hand.
pub fn by_hand(user: &str, entries: &BTreeSet<Entry>) -> String {
    let line = |e: &Entry| {
        format!("pveum acl modify {} --users {user} --roles {} --propagate {}", e.path, e.role, u8::from(e.propagate))
    };
    entries.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::access::CAPMOX;
    use super::*;
    use crate::steps::day0::tests::plan;

    fn storage(name: &str, content: &[&str]) -> StorageRow {
        StorageRow {
            storage: name.into(),
            kind: "dir".into(),
            content: content.iter().map(ToString::to_string).collect(),
            active: true,
            enabled: true,
            shared: false,
            total: 1,
            used: 0,
            avail: 1,
        }
    }

    fn roles_on(entries: &BTreeSet<Entry>, path: &str) -> Vec<&'static str> {
        entries.iter().filter(|e| e.path == path).map(|e| e.role).collect()
    }

    fn row(path: &str, role: &str, propagate: bool) -> AclRow {
        AclRow { path: path.into(), roleid: role.into(), ugid: CSI.user.into(), kind: "user".into(), propagate }
    }

    /// issue 10 A5
    #[test]
    fn the_drivers_roles_stand_on_the_nodes_own_vms_and_on_one_storage() {
        let mut plan = plan();
        plan.site.pool = Some("shared".into());
        let entries = of_plan(&plan, &CSI);
        let paths: BTreeSet<String> = entries.iter().map(|e| e.path.clone()).collect();
        let mut expected: BTreeSet<String> = plan.nodes.iter().map(|n| format!("/vms/{}", n.vmid)).collect();
        expected.insert(format!("/storage/{}", plan.integration.csi.storage));
        assert_eq!(paths, expected);
        assert!(entries.iter().all(|e| !e.propagate));
    }

    #[test]
    fn capmox_may_touch_no_template_of_a_further_host() {
        let mut plan = plan();
        plan.template.copies = vec!["pve2/9101//local".parse().unwrap()];
        assert_eq!(roles_on(&of_plan(&plan, &CAPMOX), "/vms/9101"), ["CozyCapmoxAudit"]);
    }

    /// issue 10 A5
    #[test]
    fn capmox_makes_machines_in_the_pool_only_where_there_is_one() {
        let mut plan = plan();
        let node = format!("/vms/{}", plan.nodes[0].vmid);
        let without = of_plan(&plan, &CAPMOX);
        assert_eq!(roles_on(&without, "/vms"), ["CozyCapmox"]);
        assert_eq!(roles_on(&without, &node), ["CozyCapmoxAudit"], "the cluster's own nodes are not capmox's to stop");
        assert_eq!(roles_on(&without, &format!("/vms/{}", plan.template.vmid)), ["CozyCapmoxTemplate"]);
        plan.site.pool = Some("cozy".into());
        let within = of_plan(&plan, &CAPMOX);
        assert_eq!(roles_on(&within, "/pool/cozy"), ["CozyCapmox"]);
        assert!(roles_on(&within, "/vms").is_empty() && roles_on(&within, &node).is_empty());
        assert_eq!(roles_on(&within, "/"), ["CozyCapmoxAudit"]);
        assert!(within.iter().all(|e| !e.propagate), "{within:?}");
    }

    #[test]
    fn iso_images_go_to_a_storage_of_the_plan_that_takes_them_before_any_other() {
        let mut plan = plan();
        plan.image.storage = "images".into();
        plan.template.storage = "disks".into();
        let all = [storage("images", &["import"]), storage("disks", &["images"]), storage("nas", &["iso"])];
        assert_eq!(iso_storages(&plan, &all), BTreeSet::from(["nas"]), "none of the plan's takes them");
        let all = [storage("images", &["import", "iso"]), storage("disks", &["images"]), storage("nas", &["iso"])];
        assert_eq!(iso_storages(&plan, &all), BTreeSet::from(["images"]));
        let network = NetworkPlace::UnknownZone;
        let entries = for_capmox(&plan, &Objects { network, storages: all.to_vec() });
        assert_eq!(roles_on(&entries, "/storage/images"), ["CozyCapmoxFiles"]);
        assert_eq!(roles_on(&entries, "/storage/disks"), ["CozyCapmoxDisks"]);
        assert_eq!(roles_on(&entries, "/sdn/zones"), ["CozyCapmoxNetwork"]);
    }

    /// Runs of an earlier cozyup have the role on `/`.
    #[test]
    fn an_entry_of_our_role_that_is_not_wanted_is_stale_and_one_of_another_role_is_somebody_elses() {
        let plan = plan();
        let wanted = of_plan(&plan, &CSI);
        let mut acl: Vec<AclRow> = wanted.iter().map(|e| row(&e.path, e.role, e.propagate)).collect();
        assert!(difference(&CSI, &wanted, &acl).is_none());
        acl.push(row("/", CSI_VM.name, true));
        acl.push(row("/", "PVEAuditor", true));
        let found = difference(&CSI, &wanted, &acl);
        assert_eq!((found.missing.len(), found.stale.len()), (0, 1));
        assert_eq!(found.stale[0].path, "/");
        assert_eq!(found.others, [("PVEAuditor".to_string(), "/".to_string())]);
        let first = &wanted.iter().next().unwrap().path;
        let acl = [row(first, wanted.iter().next().unwrap().role, true)];
        let found = difference(&CSI, &wanted, &acl);
        assert!(found.stale.is_empty() && found.missing.iter().any(|e| e.path == *first), "written anew: {found:?}");
        let mut foreign = row("/", CSI_VM.name, true);
        foreign.ugid = "ann@pve".into();
        assert!(difference(&CSI, &wanted, &[foreign]).stale.is_empty());
    }

    #[test]
    fn what_is_needed_on_a_path_is_what_counts_there() {
        let mut plan = plan();
        plan.site.pool = None;
        let needed = needed(&CAPMOX, &of_plan(&plan, &CAPMOX));
        assert_eq!(needed["/"], BTreeSet::from(["Sys.Audit"]));
        assert_eq!(needed[&format!("/nodes/{}", plan.template.host)], BTreeSet::from(["Sys.Audit"]));
        assert_eq!(needed[&format!("/vms/{}", plan.nodes[0].vmid)], BTreeSet::from(["VM.Audit"]));
        assert!(needed["/vms"].contains("VM.PowerMgmt"));
    }
}
