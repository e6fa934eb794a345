//! `day0.permissions`: every right that the plan needs, before the first call that would miss one.
//!
//! Each path is asked for by itself: the list of all permissions leaves out paths without any, so that nothing can be
//! inferred from it.
use super::{Check, of_proxmox, proof};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::proxmox::Permissions;
use crate::steps::failures;
use crate::steps::rights::grant::{self, Standing};
use crate::steps::rights::needs::{Need, NetworkPlace, needs};
use crate::steps::rights::network;
use crate::steps::site::Reading;
use std::collections::{BTreeMap, BTreeSet};

pub const KIND: &str = "day0.permissions";

pub fn step(plan: &Plan) -> Check {
    let title = format!("the token {} has every right that the plan needs", plan.site.token_id);
    let by_hand = format!("pveum user token permissions {}", plan.site.token_id.replacen('!', " ", 1));
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site))).of_proxmox()
}

/// Privileges by path, each with whether it goes on to the paths below.
type Granted = BTreeMap<String, BTreeMap<String, bool>>;

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let network = network::place(site).await?;
    let needs = needs(&site.plan, &network);
    let paths: BTreeSet<&str> = needs.iter().map(|n| n.path.as_str()).collect();
    let (mut readings, mut granted) = (Vec::new(), Granted::new());
    for path in &paths {
        let answer = site.proxmox.permissions_on(path).await;
        let answer = answer.map_err(|e| failures::proxmox(&e, &format!("ask for the permissions on {path}")))?;
        readings.push(of_proxmox(cx, &answer));
        granted.insert((*path).to_string(), answer.value);
    }
    let missing = missing(&needs, &granted);
    if missing.is_empty() {
        let privileges: BTreeSet<&str> = needs.iter().map(|n| n.privilege).collect();
        return proof(&format!("{} rights on {} paths are there", privileges.len(), paths.len()), &[], readings);
    }
    Err(refused(site, &network, &missing, &granted).await)
}

fn missing(needs: &BTreeSet<Need>, granted: &Granted) -> BTreeSet<Need> {
    let has = |need: &&Need| {
        let below = granted.get(&need.path).and_then(|on| on.get(need.privilege));
        below.is_none_or(|below| need.below && !below)
    };
    let missing: BTreeSet<Need> = needs.iter().filter(has).cloned().collect();
    // A privilege that is missing on /vms altogether is not listed again for each VM.
    let on_all = |privilege: &str| missing.iter().any(|n| n.path == "/vms" && n.privilege == privilege);
    missing.iter().filter(|n| !(n.path.starts_with("/vms/") && on_all(n.privilege))).cloned().collect()
}

async fn refused(site: &Reading, network: &NetworkPlace, missing: &BTreeSet<Need>, granted: &Granted) -> Failure {
    let token = &site.plan.site.token_id;
    let user = token.split('!').next().unwrap_or_default();
    // Each may be closed to the token: then the words are more general.
    let separated = match site.proxmox.tokens(user).await {
        Ok(tokens) => tokens.value.iter().find(|t| token.ends_with(&format!("!{}", t.tokenid))).map(|t| t.privsep),
        Err(_) => None,
    };
    let acl = site.proxmox.acl().await.map(|a| a.value).unwrap_or_default();
    let roles = site.proxmox.roles().await.map(|a| a.value).unwrap_or_default();
    let pools = match missing.iter().any(|n| n.path == "/vms") {
        true => site.proxmox.permissions().await.map(|a| pools_for_vms(&a.value)).unwrap_or_default(),
        false => Vec::new(),
    };
    let any = granted.values().any(|on| !on.is_empty());
    let pairs: Vec<String> = missing.iter().map(told).collect();
    let mut what = format!("the token {token} lacks {} rights: {}", pairs.len(), pairs.join(", "));
    if !any {
        what.push_str(
            " (it has none at all: a token with privilege separation needs rights of its own beside its user's)",
        );
    }
    let standing = Standing { token, any, separated, acl: &acl, roles: &roles };
    let mut next = grant::commands(&standing, missing);
    if *network == NetworkPlace::Bridge && missing.iter().any(|n| n.privilege == "SDN.Use") {
        next.push_str(&format!(
            "; if {} is a network of the site's SDN, its zone has to be readable too (SDN.Audit)",
            site.plan.network.bridge
        ));
    }
    if let Some(pool) = pools.first() {
        next =
            format!("the token may make VMs in the resource pool {pool}: write `pool: {pool}` under site; or, {next}");
    }
    Failure::refused(what, next)
}

/// Resource pools in which the token may make VMs.
fn pools_for_vms(listed: &Permissions) -> Vec<String> {
    let pools = listed.0.iter().filter(|(_, privileges)| privileges.contains_key("VM.Allocate"));
    pools.filter_map(|(path, _)| path.strip_prefix("/pool/").map(String::from)).collect()
}

fn told(need: &Need) -> String {
    let below = if need.below { " and the VMs below it" } else { "" };
    format!("{} on {}{below}", need.privilege, need.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;
    use crate::steps::rights::needs::VMS;

    fn granted(rights: &[(&str, &[&str], bool)]) -> Granted {
        let right = |(path, privileges, below): &(&str, &[&str], bool)| {
            (path.to_string(), privileges.iter().map(|p| (p.to_string(), *below)).collect())
        };
        rights.iter().map(right).collect()
    }

    /// As the server answers for each path when everything is granted on `/`.
    fn everything(needs: &BTreeSet<Need>) -> Granted {
        let mut all = Granted::new();
        for need in needs {
            all.entry(need.path.clone()).or_default().insert(need.privilege.to_string(), true);
        }
        all
    }

    fn lacking(needs: &BTreeSet<Need>, granted: &Granted) -> Vec<String> {
        missing(needs, granted).iter().map(told).collect()
    }

    #[test]
    fn what_each_path_says_counts_and_nothing_else() {
        let needs = needs(&plan(), &NetworkPlace::Bridge);
        let mut rights = everything(&needs);
        assert_eq!(lacking(&needs, &rights), [""; 0]);
        // An entry NoAccess below /: the server's answer for that path is empty.
        rights.insert("/storage/local-lvm".into(), BTreeMap::new());
        rights.get_mut("/vms").unwrap().remove("VM.Clone");
        rights.get_mut("/vms/1002").unwrap().remove("VM.PowerMgmt");
        assert_eq!(
            lacking(&needs, &rights),
            [
                "Datastore.AllocateSpace on /storage/local-lvm",
                "Datastore.Audit on /storage/local-lvm",
                // For the entries of the add-ons there.
                "Permissions.Modify on /storage/local-lvm",
                "VM.Clone on /vms and the VMs below it",
                "VM.PowerMgmt on /vms/1002",
            ]
        );
    }

    /// reports.md B17.
    #[test]
    fn a_pool_in_which_the_token_may_make_machines_is_found() {
        let listed = granted(&[("/pool/cozy", &["VM.Allocate"], true), ("/pool/other", &["Pool.Audit"], true)]);
        assert_eq!(pools_for_vms(&Permissions(listed)), ["cozy"]);
    }

    /// proxmox.md part 2 §2.5: every destroy deletes the entries of that VM.
    #[test]
    fn rights_that_go_with_the_vm_are_not_enough() {
        let needs = needs(&plan(), &NetworkPlace::Bridge);
        let mut rights = everything(&needs);
        rights.insert("/vms".into(), BTreeMap::new());
        // And the right to enter capmox's role there.
        assert_eq!(lacking(&needs, &rights).len(), VMS.len() + 1);
        // An entry on /vms alone that is not inherited by the paths below is not enough either.
        rights.extend(granted(&[("/vms", VMS.as_slice(), false)]));
        assert_eq!(lacking(&needs, &rights).len(), VMS.len() + 1);
    }
}
