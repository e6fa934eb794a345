//! The privileges and the built-in roles of a version of Proxmox VE.
use std::collections::{BTreeMap, BTreeSet};

/// The role that takes every other one away.
pub const NO_ACCESS: &str = "NoAccess";

/// Privileges of one kind of object, by how much they let one do. The built-in roles follow from them.
struct Group {
    name: &'static str,
    /// Only in the role `Administrator`.
    root: &'static [&'static str],
    admin: &'static [&'static str],
    user: &'static [&'static str],
    audit: &'static [&'static str],
}

const GROUPS: [Group; 7] = [
    Group {
        name: "VM",
        root: &[],
        admin: &[
            "VM.Allocate",
            "VM.Clone",
            "VM.Config.CPU",
            "VM.Config.Disk",
            "VM.Config.HWType",
            "VM.Config.Memory",
            "VM.Config.Network",
            "VM.Config.Options",
            "VM.GuestAgent.Unrestricted",
            "VM.Migrate",
            "VM.Monitor",
            "VM.Replicate",
            "VM.Snapshot",
            "VM.Snapshot.Rollback",
        ],
        user: &[
            "VM.Backup",
            "VM.Config.CDROM",
            "VM.Config.Cloudinit",
            "VM.Console",
            "VM.GuestAgent.FileRead",
            "VM.GuestAgent.FileSystemMgmt",
            "VM.GuestAgent.FileWrite",
            "VM.PowerMgmt",
        ],
        audit: &["VM.Audit", "VM.GuestAgent.Audit"],
    },
    Group {
        name: "Sys",
        root: &["Sys.AccessNetwork", "Sys.Incoming", "Sys.Modify", "Sys.PowerMgmt"],
        admin: &["Sys.Console", "Sys.Syslog"],
        user: &[],
        audit: &["Sys.Audit"],
    },
    Group {
        name: "Datastore",
        root: &[],
        admin: &["Datastore.Allocate", "Datastore.AllocateTemplate"],
        user: &["Datastore.AllocateSpace"],
        audit: &["Datastore.Audit"],
    },
    Group { name: "SDN", root: &[], admin: &["SDN.Allocate"], user: &["SDN.Use"], audit: &["SDN.Audit"] },
    Group {
        name: "User",
        root: &["Realm.Allocate"],
        admin: &["Group.Allocate", "Realm.AllocateUser", "User.Modify"],
        user: &[],
        audit: &[],
    },
    Group { name: "Pool", root: &[], admin: &["Pool.Allocate"], user: &["Pool.Audit"], audit: &["Pool.Audit"] },
    Group { name: "Mapping", root: &[], admin: &["Mapping.Modify"], user: &["Mapping.Use"], audit: &["Mapping.Audit"] },
];

/// True when this version knows the privilege: 9 took `VM.Monitor` apart.
fn exists(privilege: &str, major: u32) -> bool {
    match privilege {
        "VM.Monitor" => major < 9,
        "VM.Replicate" => major >= 9,
        _ => major >= 9 || !privilege.starts_with("VM.GuestAgent."),
    }
}

/// Every role that Proxmox brings along.
pub fn built_in(major: u32) -> BTreeMap<String, BTreeSet<String>> {
    let of = |parts: &[&[&str]]| -> BTreeSet<String> {
        parts.iter().copied().flatten().filter(|p| exists(p, major)).map(ToString::to_string).collect()
    };
    let mut roles: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |role: &str, more: BTreeSet<String>| roles.entry(role.into()).or_default().extend(more);
    for Group { name, root, admin, user, audit } in &GROUPS {
        add(&format!("PVE{name}Admin"), of(&[admin, user, audit]));
        if !user.is_empty() {
            add(&format!("PVE{name}User"), of(&[user, audit]));
        }
        add("PVEAuditor", of(&[audit]));
        let most: &[&str] = if *name == "Mapping" { &[] } else { admin };
        add("PVEAdmin", of(&[most, user, audit]));
        add("Administrator", of(&[root, admin, user, audit]));
    }
    add("Administrator", of(&[&["Permissions.Modify"]]));
    add("PVETemplateUser", of(&[&["VM.Audit", "VM.Clone"]]));
    add(NO_ACCESS, BTreeSet::new());
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_roles_differ_in_what_they_leave_to_the_administrator() {
        let roles = built_in(9);
        assert_eq!(roles.len(), 17);
        let missing: Vec<&String> = roles["Administrator"].difference(&roles["PVEAdmin"]).collect();
        let kept = ["Mapping.Modify", "Permissions.Modify", "Realm.Allocate", "Sys.AccessNetwork", "Sys.Incoming"];
        assert_eq!(missing, [&kept[..], &["Sys.Modify", "Sys.PowerMgmt"]].concat());
        assert!(roles["PVEAuditor"].contains("VM.GuestAgent.Audit"));
        assert!(built_in(8)["PVEVMAdmin"].contains("VM.Monitor") && !roles["PVEVMAdmin"].contains("VM.Monitor"));
    }
}
