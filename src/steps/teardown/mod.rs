//! Teardown: everything that is the run's own is removed, last made first, and each removal is proven in the target.
//! Files on the jump host go last. Nothing else is touched.
pub mod also;
pub mod orphans;
pub mod residue;
pub mod workloads;

use super::catalogue::{self, Steps};
use super::cluster::part;
use super::day1::{start, template_vm};
use super::day2::secrets;
use super::day3::installer;
use super::day5::cleanup;
use super::day6::{removal, worker_removal};
use super::day7;
use super::failures;
use super::kept;
use super::site::{Installation, Reading, files};
use super::workers::deployed::Asked;
use super::{day8, day9};
use crate::base::vmid::Vmid;
use crate::engine::failure::{Class, Failure};
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Checked, Context, Observed, Step, StepId};
use crate::engine::undo::{Undoing, undo_id, undoing, undone};
use crate::plan::model::{Delivery, NodePlan, Plan};
use crate::proxmox::VmRow;
use crate::release::Component;
use serde_json::json;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The removals of a plan in the order in which they may begin. A cluster that is lost can't be asked what lives in it.
/// `also`: VMIDs that a person named; everything waits until they are known to carry the run's mark.
pub fn steps(plan: &Plan, components: &[Component], cluster_is_lost: bool, also: &BTreeSet<Vmid>) -> Steps {
    let mut removals = undoing(&whatever_was_made(plan, components));
    let named = (!also.is_empty()).then(|| Checked(also::step(also)));
    let named_id = named.as_ref().map(|step| step.outline().id.clone());
    let tests = of_the_cluster(&removals);
    if cluster_is_lost {
        removals.retain(|r| !tests.contains(&r.outline.id));
        removals.iter_mut().for_each(|r| r.outline.after.retain(|id| !tests.contains(id)));
    }
    removals.iter_mut().for_each(|r| r.outline.after.extend(named_id.clone()));
    let (tests, mut rest): (Vec<Undoing<_>>, Vec<Undoing<_>>) =
        removals.into_iter().partition(|r| tests.contains(&r.outline.id));
    let first = StepId::new(workloads::KIND);
    let orphans_id = StepId::new(orphans::KIND);
    let is_template = |id: &StepId| undone(id).is_some_and(|id| id.kind() == template_vm::KIND);
    for removal in &mut rest {
        if !cluster_is_lost {
            removal.outline.after.push(first.clone());
        }
        // A linked clone of the template that goes with the run goes before it.
        if removal.is_local() || is_template(&removal.outline.id) {
            removal.outline.after.push(orphans_id.clone());
        }
    }
    let mut all: Vec<StepId> = named_id.iter().cloned().collect();
    all.extend(rest.iter().map(|r| r.outline.id.clone()));
    all.push(orphans_id);
    let mut steps: Steps = Vec::new();
    steps.extend(named.map(|step| Arc::new(step) as _));
    let asked: Vec<StepId> = tests.iter().map(|t| t.outline.id.clone()).collect();
    steps.extend(tests.into_iter().map(|t| Arc::new(t) as _));
    if !cluster_is_lost {
        steps.push(Arc::new(Checked(workloads::step(asked))));
    }
    let before_orphans = if cluster_is_lost { Vec::new() } else { vec![first] };
    steps.push(Arc::new(orphans::step(before_orphans.into_iter().chain(named_id).collect())));
    steps.extend(rest.into_iter().map(|r| Arc::new(r) as _));
    steps.push(Arc::new(Checked(residue::step(all))));
    steps
}

/// The removals that need an answer of the cluster: they come before anything of it goes.
fn of_the_cluster(removals: &[Undoing<Installation>]) -> Vec<StepId> {
    let tests = [
        day9::removal::KIND,
        day8::cleanup::KIND,
        day7::cleanup::KIND,
        cleanup::KIND,
        removal::KIND,
        worker_removal::KIND,
        kept::removal::KIND,
    ];
    let tests = tests.map(|kind| undo_id(&StepId::new(kind)));
    // A machine that a drill left off is needed for that, too.
    let powered_on = removals.iter().filter(|r| r.is_first()).map(|r| r.outline.id.clone());
    tests.into_iter().chain(powered_on).collect()
}

/// The steps of this plan and of what it may have been.
fn whatever_was_made(plan: &Plan, components: &[Component]) -> Steps {
    // Things that were taken out of the plan since may still exist; marks and journal protect what is others'.
    let mut whole = plan.clone();
    whole.integration.csi.enabled = true;
    whole.integration.capmox.enabled = true;
    whole.tests.storage = true;
    whole.tests.tenant = true;
    whole.tests.postgres = true;
    whole.tests.workers = whole.tests.workers.max(1);
    // Any number does: only what was made of it is looked for.
    whole.tests.worker_template = whole.tests.worker_template.or(Some(whole.template.vmid));
    // A config on a CD-ROM may have been left by a run whose plan delivers over the network since.
    whole.talos.delivery = Delivery::Cdrom;
    let mut made = catalogue::steps(&whole, components);
    // Whether workers were to stay only the journal knows, and an adopted run has none.
    made.extend(kept::steps(&whole, 0, Asked::Before));
    made
}

/// The proof that there is no cluster to ask: the run never came to have a kubeconfig, or this teardown deleted it. One that
/// got lost proves nothing.
///
/// # Errors
/// When the folder can't be read.
pub fn no_cluster(cx: &dyn Context, site: &Reading) -> Result<Option<Proof>, Failure> {
    // It may have been written encrypted, under a longer name.
    let there = names_in(&site.secrets)?.iter().any(|name| name.starts_with(files::KUBECONFIG));
    // Of a run that was taken up without its journal nobody knows how far it came.
    let was_used = site.adopted || site.made(&StepId::new(installer::KIND));
    let was_deleted = site.made(&undo_id(&StepId::new(secrets::KIND)));
    if there || (was_used && !was_deleted) {
        return Ok(None);
    }
    let asked = format!("look for {}", site.secrets.join(files::KUBECONFIG).display());
    Ok(Some(nothing_here(cx, "this run has no kubeconfig, so there is no cluster of it to ask", asked, &site.secrets)))
}

/// What the cluster says of something in it that a teardown removes: there may be no cluster, or none that can be asked.
///
/// # Errors
/// When the look fails and the cluster is still to be asked.
pub async fn by_the_cluster(
    cx: &dyn Context,
    site: &Reading,
    look: impl Future<Output = Result<Observed, Failure>>,
) -> Result<Observed, Failure> {
    if let Some(proof) = no_cluster(cx, site)? {
        return Ok(Observed::Satisfied(proof));
    }
    match look.await {
        Err(failure) => nobody_to_ask(cx, site, failure).await,
        observed => observed,
    }
}

/// Decides what it means that the cluster could not be asked. Once this teardown has begun to stop the cluster's
/// machines, it was asked before, and nobody is left to ask.
///
/// # Errors
/// `failure` with the way out for a cluster that is lost, while its machines are untouched.
pub async fn nobody_to_ask(cx: &dyn Context, site: &Reading, failure: Failure) -> Result<Observed, Failure> {
    let stopping = |node: &NodePlan| site.made(&undo_id(&StepId::of(start::KIND, &node.name)));
    let was_asked = site.made(&StepId::new(workloads::KIND));
    if failure.class != Class::Retryable || !was_asked || !site.plan.nodes.iter().any(stopping) {
        let next = format!("{}; if the cluster is lost for good: cozyup teardown PLAN --cluster-is-lost", failure.next);
        return Err(Failure { next, ..failure });
    }
    let all = site.proxmox.resources().await.map_err(|e| failures::proxmox(&e, "look for the cluster's machines"))?;
    let planned = |row: &&VmRow| site.plan.nodes.iter().any(|n| n.vmid == row.vmid);
    let rows = all.value.iter().filter(planned).map(|row| json!([row.vmid, row.name, row.status]));
    let shown = part(&all, "the cluster's machines", rows);
    let summary = "the cluster was asked before this teardown began to stop its machines";
    Ok(Observed::Satisfied(Proof::new(summary, Evidence::of("Proxmox", cx.clock().now(), &shown))))
}

/// A proof by the jump host's own file system.
pub fn nothing_here(cx: &dyn Context, summary: &str, asked: String, place: &Path) -> Proof {
    let evidence = Evidence {
        system: "jump host".into(),
        asked,
        answer: "no such file".into(),
        at: cx.clock().now(),
        by_hand: format!("ls -la {}", place.display()),
    };
    Proof::new(summary, evidence)
}

/// Names of the files in a folder, in order; none when there is no such folder.
///
/// # Errors
/// When it can't be read.
pub fn names_in(folder: &Path) -> Result<Vec<String>, Failure> {
    let failed = |e: io::Error| {
        let next = format!("check who may read {}", folder.display());
        Failure::person(format!("can't list {}: {e}", folder.display()), next)
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let names: Result<Vec<String>, io::Error> =
        entries.map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned())).collect();
    let mut names = names.map_err(failed)?;
    names.sort();
    Ok(names)
}

/// The result of deleting a file of the run on the jump host.
///
/// # Errors
/// When the operating system refused for another reason than that it is gone.
pub fn delete(deleted: io::Result<()>, path: &Path) -> Result<(), Failure> {
    match deleted {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Failure::person(
            format!("can't delete {}: {e}", path.display()),
            format!("check who may write {}, or delete it yourself", path.display()),
        )),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::step::Undo;
    use crate::release::Release;
    use crate::steps::day0::tests::plan;
    use std::collections::BTreeMap;

    fn components(plan: &Plan) -> Vec<Component> {
        Release::embedded(&plan.cozystack.version).unwrap().profile(&plan.cozystack.profile, &[], &[]).unwrap()
    }

    /// Per step everything that has to be proven before it, directly or not.
    fn before(steps: &Steps) -> BTreeMap<String, BTreeSet<String>> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for step in steps {
            let outline = step.outline();
            let mut set = BTreeSet::new();
            for after in &outline.after {
                let theirs = all.get(after.as_str()).unwrap_or_else(|| panic!("{} waits for {after}", outline.id));
                set.extend(theirs.iter().cloned().chain([after.to_string()]));
            }
            assert!(all.insert(outline.id.to_string(), set).is_none(), "{} twice", outline.id);
        }
        all
    }

    #[test]
    fn what_was_made_last_goes_first_and_the_jump_hosts_own_files_go_last() {
        let plan = plan();
        let before = before(&steps(&plan, &components(&plan), false, &BTreeSet::new()));
        let goes_before = |a: &str, b: &str| {
            assert!(before.get(b).unwrap_or_else(|| panic!("no {b}")).contains(a), "{a} does not go before {b}");
        };
        goes_before("undo.day5.cleanup", "teardown.workloads");
        goes_before("undo.day7.cleanup", "teardown.workloads");
        goes_before("undo.day8.cleanup", "teardown.workloads");
        goes_before("teardown.workloads", "undo.day4.proxmox_token/csi");
        goes_before("undo.day4.proxmox_token/csi", "undo.day4.proxmox_user/csi");
        goes_before("undo.day4.proxmox_user/csi", "undo.day4.proxmox_role/csi");
        goes_before("undo.day4.proxmox_role/csi", "undo.day1.start/cp1");
        goes_before("undo.day1.start/cp1", "undo.day1.clone/cp1");
        goes_before("undo.day1.clone/cp2", "undo.day1.template_vm");
        goes_before("undo.day1.template_vm", "undo.day1.image");
        goes_before("undo.day1.image", "undo.day2.secrets");
        goes_before("teardown.orphans", "undo.day2.secrets");
        goes_before("undo.day1.image", "undo.day1.fetch");
        let (last, all) = (before.get("teardown.residue").unwrap(), before.len());
        assert_eq!(last.len(), all - 1, "not everything goes before the last look");
    }

    #[test]
    fn a_cluster_that_is_lost_is_not_asked() {
        let plan = plan();
        let before = before(&steps(&plan, &components(&plan), true, &BTreeSet::new()));
        assert!(!before.contains_key("undo.day5.cleanup") && !before.contains_key("teardown.workloads"));
        assert!(before.contains_key("undo.day1.clone/cp1"));
    }

    #[test]
    fn every_act_is_taken_back_by_itself_or_with_a_step_that_can_be() {
        let plan = plan();
        let catalogue = catalogue::steps(&plan, &components(&plan));
        let by_itself: BTreeSet<&str> =
            catalogue.iter().filter(|s| matches!(s.undo(), Undo::By(_))).map(|s| s.outline().id.kind()).collect();
        for step in &catalogue {
            let outline = step.outline();
            match step.undo() {
                Undo::Nothing => assert!(!outline.changes, "{} changes something and takes nothing back", outline.id),
                Undo::With(kind) => assert!(by_itself.contains(kind), "{} goes with {kind}, which stays", outline.id),
                Undo::By(removal) => {
                    assert!(!removal.title().is_empty() && !removal.by_hand().is_empty(), "{}", outline.id);
                }
            }
        }
    }
}
