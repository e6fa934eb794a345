//! Whether a token has every right that a plan needs, and how an administrator gives what is missing: for day 0, and for a
//! plan in the making.
//!
//! Each path is asked for by itself: the list of all permissions leaves out paths without any, so that nothing can be
//! inferred from it.
use super::grant::{self, Standing, Way};
use super::needs::{Need, NetworkPlace, needs};
use super::network;
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::plan::model::Plan;
use crate::proxmox::{Permissions, Reader};
use crate::steps::failures;
use std::collections::{BTreeMap, BTreeSet};

/// Privileges by path, each with whether it goes on to the paths below.
type Granted = BTreeMap<String, BTreeMap<String, bool>>;

/// The rights that a plan needs, beside those that are there.
pub struct Looked {
    pub needs: BTreeSet<Need>,
    pub missing: BTreeSet<Need>,
    /// One for each path.
    pub readings: Vec<Answer<BTreeMap<String, bool>>>,
    network: NetworkPlace,
    /// The token has a right on one of the paths at least.
    any: bool,
}

/// What is missing, and how it is given.
pub struct Lacking {
    /// A sentence for each right.
    pub rights: Vec<String>,
    /// More about all of them.
    pub remark: &'static str,
    pub way: Way,
    /// What else may be done, around the way.
    before: String,
    after: String,
}

impl Lacking {
    /// What to do, in a sentence.
    pub fn next(&self) -> String {
        format!("{}{}{}", self.before, self.way, self.after)
    }

    /// `3 rights`
    fn count(&self) -> String {
        if self.rights.len() == 1 { "1 right".to_string() } else { format!("{} rights", self.rights.len()) }
    }

    pub fn failure(&self, token: &str) -> Failure {
        let what = format!("the token {token} lacks {}: {}{}", self.count(), self.rights.join(", "), self.remark);
        Failure::refused(what, self.next())
    }
}

/// Asks for the rights of the reader's own token.
///
/// # Errors
/// When Proxmox VE does not tell them.
pub async fn look(proxmox: &Reader, plan: &Plan) -> Result<Looked, Failure> {
    let network = network::place(proxmox, plan).await?;
    let needs = needs(plan, &network);
    let paths: BTreeSet<&str> = needs.iter().map(|n| n.path.as_str()).collect();
    let (mut readings, mut granted) = (Vec::new(), Granted::new());
    for path in &paths {
        let answer = proxmox.permissions_on(path).await;
        let answer = answer.map_err(|e| failures::proxmox(&e, &format!("ask for the permissions on {path}")))?;
        granted.insert((*path).to_string(), answer.value.clone());
        readings.push(answer);
    }
    let missing = missing(&needs, &granted);
    let any = granted.values().any(|on| !on.is_empty());
    Ok(Looked { missing, readings, network, any, needs })
}

impl Looked {
    pub fn paths(&self) -> usize {
        self.needs.iter().map(|n| n.path.as_str()).collect::<BTreeSet<_>>().len()
    }

    /// The privileges that the plan needs.
    pub fn privileges(&self) -> BTreeSet<&'static str> {
        self.needs.iter().map(|n| n.privilege).collect()
    }

    /// Reads what else tells how the missing rights are given; `None` when none is missing.
    pub async fn lacking(&self, proxmox: &Reader, plan: &Plan) -> Option<Lacking> {
        if self.missing.is_empty() {
            return None;
        }
        let token = &plan.site.token_id;
        let user = token.split('!').next().unwrap_or_default();
        // Each may be closed to the token: then the words are more general.
        let separated = match proxmox.tokens(user).await {
            Ok(tokens) => tokens.value.iter().find(|t| token.ends_with(&format!("!{}", t.tokenid))).map(|t| t.privsep),
            Err(_) => None,
        };
        let acl = proxmox.acl().await.map(|a| a.value).unwrap_or_default();
        let roles = proxmox.roles().await.map(|a| a.value).unwrap_or_default();
        let pools = match self.missing.iter().any(|n| n.path == "/vms") {
            true => proxmox.permissions().await.map(|a| pools_for_vms(&a.value)).unwrap_or_default(),
            false => Vec::new(),
        };
        let standing = Standing { token, any: self.any, separated, acl: &acl, roles: &roles };
        let before = pools.first().map(|pool| {
            format!("the token may make VMs in the resource pool {pool}: write `pool: {pool}` under site; or, ")
        });
        let sdn = self.network == NetworkPlace::Bridge && self.missing.iter().any(|n| n.privilege == "SDN.Use");
        let after = sdn.then(|| {
            let bridge = &plan.network.bridge;
            format!("; if {bridge} is a network of the site's SDN, its zone has to be readable too (SDN.Audit)")
        });
        Some(Lacking {
            rights: self.missing.iter().map(told).collect(),
            remark: if self.any {
                ""
            } else {
                " (it has none at all: a token with privilege separation needs rights of its own beside its user's)"
            },
            way: grant::way(&standing, &self.missing),
            before: before.unwrap_or_default(),
            after: after.unwrap_or_default(),
        })
    }
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
    use super::super::needs::VMS;
    use super::*;
    use crate::steps::day0::tests::plan;

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
