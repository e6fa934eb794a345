//! `day0.permissions`: every right that the plan needs, before the first call that would miss one.
use super::{Check, hosts, of_proxmox, proof};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::proxmox::Permissions;
use crate::steps::failures;
use crate::steps::site::Reading;
use std::collections::{BTreeMap, BTreeSet};

pub const KIND: &str = "day0.permissions";

const VMS: [&str; 12] = [
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

pub fn step(plan: &Plan) -> Check {
    let title = format!("the token {} has every right that the plan needs", plan.site.token_id);
    let by_hand = format!("pveum user token permissions {}", plan.site.token_id.replacen('!', " ", 1));
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site))).of_proxmox()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let permissions = site.proxmox.permissions().await.map_err(|e| failures::proxmox(&e, "ask for permissions"))?;
    let needs = needs(&site.plan);
    let missing = missing(&site.plan, &needs, &permissions.value);
    if missing.is_empty() {
        let summary = format!("{} rights on {} paths are there", needs.len(), paths(&needs).len());
        return proof(&summary, &[], vec![of_proxmox(cx, &permissions)]);
    }
    let pairs: Vec<String> = missing.iter().map(|(path, privilege)| format!("{privilege} on {path}")).collect();
    let token = &site.plan.site.token_id;
    let none = if permissions.value.0.is_empty() {
        " (it has none at all: a token with privilege separation needs rights of its own beside its user's)"
    } else {
        ""
    };
    Err(Failure::refused(
        format!("the token {token} lacks {} rights: {}{none}", pairs.len(), pairs.join(", ")),
        commands(token, &needs, &missing),
    ))
}

type Pair = (String, &'static str);

/// Path and privilege, as the calls of days 0 to 5 ask for them.
fn needs(plan: &Plan) -> BTreeSet<Pair> {
    let mut needs = BTreeSet::new();
    let mut need = |path: &str, privileges: &[&'static str]| {
        needs.extend(privileges.iter().map(|p| (path.to_string(), *p)));
    };
    need("/", &["Sys.Audit"]);
    for host in hosts(plan) {
        need(&format!("/nodes/{host}"), &["Sys.Audit"]);
    }
    need("/vms", &VMS);
    need(&format!("/storage/{}", plan.image.storage), &["Datastore.AllocateTemplate", "Datastore.Audit"]);
    need(&format!("/storage/{}", plan.template.storage), &["Datastore.AllocateSpace", "Datastore.Audit"]);
    let bridge = format!("/sdn/zones/localnetwork/{}", plan.network.bridge);
    need(&plan.network.vlan.map_or(bridge.clone(), |tag| format!("{bridge}/{tag}")), &["SDN.Use"]);
    if plan.integration.csi.enabled {
        need(&format!("/storage/{}", plan.integration.csi.storage), &["Datastore.Audit"]);
    }
    if plan.integration.csi.enabled || plan.integration.capmox.enabled {
        // Roles, users of realm pve without groups, tokens for them, and ACLs on /
        // (pve-access-control, API2/{Role,User,ACL}.pm).
        need("/access", &["Sys.Modify"]);
        need("/access/realm/pve", &["Realm.AllocateUser"]);
        need("/access/groups", &["User.Modify"]);
        need("/", &["Permissions.Modify"]);
    }
    needs
}

/// A right on `/vms` is there when it is on every VM of the plan.
fn missing(plan: &Plan, needs: &BTreeSet<Pair>, permissions: &Permissions) -> BTreeSet<Pair> {
    let ids: Vec<u32> = plan.nodes.iter().map(|n| n.vmid).chain([plan.template.vmid]).map(u32::from).collect();
    let has = |path: &str, privilege: &str| match path {
        "/vms" => ids.iter().all(|id| permissions.has(&format!("/vms/{id}"), privilege)),
        _ => permissions.has(path, privilege),
    };
    needs.iter().filter(|(path, privilege)| !has(path, privilege)).cloned().collect()
}

fn paths(pairs: &BTreeSet<Pair>) -> BTreeSet<&str> {
    pairs.iter().map(|(path, _)| path.as_str()).collect()
}

/// A role for each kind of path. It holds all that is needed there, not only what is missing: an entry on a path takes
/// the place of what was inherited from above.
fn commands(token: &str, needs: &BTreeSet<Pair>, missing: &BTreeSet<Pair>) -> String {
    // Entries on /access reach its groups and realms, and would take away there what comes from /.
    let place = |path: &str| if path.starts_with("/access") { "/access".to_string() } else { path.to_string() };
    let mut roles: BTreeMap<&str, (BTreeSet<&str>, BTreeSet<String>)> = BTreeMap::new();
    for (path, _) in missing {
        let kind = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let kind = if kind.is_empty() { "site" } else { kind };
        let (privileges, places) = roles.entry(kind).or_default();
        places.insert(place(path));
        privileges.extend(needs.iter().filter(|(p, _)| place(p) == place(path)).map(|(_, privilege)| *privilege));
    }
    let user = token.split('!').next().unwrap_or_default();
    let mut lines = Vec::new();
    for (kind, (privileges, places)) in roles {
        let privileges = privileges.into_iter().collect::<Vec<_>>().join(" ");
        lines.push(format!("pveum role add cozyup-{kind} --privs \"{privileges}\""));
        for path in places {
            lines.push(format!("pveum acl modify {path} --tokens '{token}' --users '{user}' --roles cozyup-{kind}"));
        }
    }
    format!("as root on a Proxmox node: {}", lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    fn granted(rights: &[(&str, &[&str])]) -> Permissions {
        let right = |(path, privileges): &(&str, &[&str])| {
            (path.to_string(), privileges.iter().map(|p| (p.to_string(), true)).collect())
        };
        Permissions(rights.iter().map(right).collect())
    }

    fn all(plan: &Plan) -> Vec<&'static str> {
        needs(plan).into_iter().map(|(_, p)| p).collect()
    }

    #[test]
    fn everything_on_the_root_is_enough() {
        let plan = plan();
        let everything = all(&plan);
        assert_eq!(missing(&plan, &needs(&plan), &granted(&[("/", &everything)])), BTreeSet::new());
    }

    #[test]
    fn a_missing_pair_is_told_exactly_and_the_command_keeps_what_was_inherited() {
        let plan = plan();
        let most: Vec<&str> = all(&plan).into_iter().filter(|p| *p != "VM.Clone" && *p != "User.Modify").collect();
        let needs = needs(&plan);
        let missing = missing(&plan, &needs, &granted(&[("/", &most)]));
        assert_eq!(missing, BTreeSet::from([("/access/groups".into(), "User.Modify"), ("/vms".into(), "VM.Clone")]));
        let text = commands("cozyup@pve!run", &needs, &missing);
        assert!(text.contains("--privs \"Realm.AllocateUser Sys.Modify User.Modify\""), "{text}");
        assert!(text.contains("VM.Audit VM.Clone"), "{text}");
        assert!(
            text.contains("pveum acl modify /vms --tokens 'cozyup@pve!run' --users 'cozyup@pve' --roles cozyup-vms"),
            "{text}"
        );
    }

    #[test]
    fn rights_on_the_plans_own_vms_are_rights_enough() {
        let plan = plan();
        let vms: Vec<String> = ["1001", "1002", "1003", "9100"].map(|id| format!("/vms/{id}")).to_vec();
        let rights: Vec<(&str, &[&str])> = vms.iter().map(|p| (p.as_str(), VMS.as_slice())).collect();
        let left = missing(&plan, &needs(&plan), &granted(&rights));
        assert!(!paths(&left).contains("/vms"), "{left:?}");
        assert!(paths(&missing(&plan, &needs(&plan), &granted(&rights[1..]))).contains("/vms"));
    }

    #[test]
    fn only_what_is_integrated_needs_rights_on_users_and_a_vlan_has_a_path_of_its_own() {
        let mut plan = plan();
        plan.integration.csi.enabled = false;
        plan.integration.capmox.enabled = false;
        plan.network.vlan = Some(30);
        let needs = needs(&plan);
        assert!(!paths(&needs).iter().any(|p| p.starts_with("/access")));
        assert!(paths(&needs).contains("/sdn/zones/localnetwork/vmbr0/30"));
    }
}
