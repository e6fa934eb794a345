//! `day4.linstor_pools`: LINSTOR holds the plan's pool on the data disk of every node.
use crate::base::clock::between;
use crate::base::disk::called;
use crate::cozystack::addons::{Object, linstor_pool};
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::{LinstorPlan, NodePlan, Plan};
use crate::steps::cluster::{self, Standing, condition, is_true, items, part, proven, said, seen, standing, text};
use crate::steps::machine::disks;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day4.linstor_pools";
const BAND: Band = Band::new(60, 300);

pub struct LinstorPools {
    outline: Outline,
}

pub fn step(plan: &Plan) -> LinstorPools {
    let linstor = &plan.integration.linstor;
    let title = format!("LINSTOR pool {} lies on {} of every node", linstor.pool, called(&linstor.device));
    let command = |node: &str| {
        format!(
            "kubectl exec -n cozy-linstor deploy/linstor-controller -- linstor ps cdp zfs {node} {} \
             --pool-name {} --storage-pool {}",
            linstor.device, linstor.pool, linstor.pool
        )
    };
    let by_hand: Vec<String> = plan.nodes.iter().map(|n| command(&n.name)).collect();
    LinstorPools { outline: outlines::change(StepId::new(KIND), 4, title, BAND, by_hand.join("\n")) }
}

fn object(site: &Reading) -> Object {
    let linstor = &site.plan.integration.linstor;
    linstor_pool(site.label(), &linstor.pool, &linstor.device)
}

fn find<'a>(node: &str, satellites: &'a [Value]) -> Option<&'a Value> {
    satellites.iter().find(|s| text(s, "/metadata/name") == node)
}

/// The reason why the node's satellite does not hold the pool yet.
fn lack(node: &str, pool: &str, satellites: &[Value]) -> Option<String> {
    let Some(satellite) = find(node, satellites) else { return Some(format!("{node} has no satellite yet")) };
    // The operator lays the configuration into the satellite first; until then its conditions speak of the old one.
    if !items(satellite, "/spec/storagePools").any(|p| text(p, "/name") == pool) {
        return Some(format!("{node} has not been told of the pool yet"));
    }
    let open = ["Available", "Configured"].into_iter().find(|kind| !is_true(satellite, kind))?;
    Some(format!("{node}: {}", said(satellite, open)))
}

/// A satellite that has refused the pool for so long that somebody has to look at its disk, and what it says.
fn refused<'a>(nodes: &'a [NodePlan], satellites: &'a [Value], now: Timestamp) -> Option<(&'a NodePlan, &'a str)> {
    let late = Duration::from_secs(BAND.late_s);
    nodes.iter().find_map(|node| {
        let configured = condition(find(&node.name, satellites)?, "Configured")?;
        let lasts = configured.status == "False" && configured.since.is_some_and(|s| between(s, now) > late);
        lasts.then_some((node, configured.message))
    })
}

/// `name` is the kernel's for the plan's device; Talos wipes by that alone.
fn failure(linstor: &LinstorPlan, node: &NodePlan, said: &str, name: Option<&str>) -> Failure {
    let (device, at) = (&linstor.device, node.address);
    let wipe = match name {
        Some(name) => format!("wipe leftovers with talosctl -n {at} wipe disk {name}, which is {device}"),
        None => format!(
            "find the kernel's name of {device} (dev_path and symlinks in talosctl -n {at} get disks -o yaml), and wipe \
             leftovers with talosctl -n {at} wipe disk NAME"
        ),
    };
    Failure::person(
        format!("the satellite of {} can't set up pool {}: {said}", node.name, linstor.pool),
        format!(
            "check that {device} is the node's empty data disk: talosctl -n {at} get disks; {wipe}; LINSTOR tries again by itself"
        ),
    )
}

#[async_trait]
impl Step<Installation> for LinstorPools {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let applied = match standing(site, &[object(site)]).await? {
            Standing::Absent(seen) => return Ok(Observed::Absent(seen)),
            Standing::Conflict(failure) => return Ok(Observed::Conflict(failure)),
            Standing::Applied(applied) => applied,
        };
        let listed = site.kubernetes()?.list(&Kind::LINSTOR_SATELLITE, None, None).await;
        let listed = listed.map_err(|e| failures::kubernetes(&e, "list the LINSTOR satellites"))?;
        let (pool, nodes) = (&site.plan.integration.linstor.pool, &site.plan.nodes);
        let lacks: Vec<String> = nodes.iter().filter_map(|n| lack(&n.name, pool, &listed.value)).collect();
        if lacks.is_empty() {
            let rows = nodes.iter().filter_map(|n| find(&n.name, &listed.value)).map(|s| {
                json!({"satellite": s.pointer("/metadata/name"), "storagePools": s.pointer("/spec/storagePools"),
                    "conditions": s.pointer("/status/conditions")})
            });
            let mut readings = vec![seen(cx, &part(&listed, "name, pools and conditions", rows))];
            readings.extend(applied.iter().map(|a| seen(cx, a)));
            return proven(format!("{} satellites are configured with pool {pool}", nodes.len()), readings);
        }
        if let Some((node, said)) = refused(nodes, &listed.value, cx.clock().date()) {
            let linstor = &site.plan.integration.linstor;
            let name = disks::kernel_name(site, node, &linstor.device).await;
            return Err(failure(linstor, node, said, name.as_deref()));
        }
        let (done, total) = ((nodes.len() - lacks.len()) as u64, nodes.len() as u64);
        let wait = Wait::new(format!("{total} satellites are configured"), lacks.join("; "), BAND);
        Ok(Observed::Underway(wait.with_progress(done, total, "satellites")))
    }

    /// LINSTOR makes its pool by force (`zpool create -f`), and the kernel may have found the disks in another order since
    /// day 2.
    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let object = object(site);
        let told = cluster::get(&site.kubernetes()?, &object.kind, None, &object.name).await?;
        for node in &site.plan.nodes {
            disks::look(cx, site, node, told.is_some()).await??;
        }
        cluster::apply(change, &[object]).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::LINSTOR_SATELLITE, None, None, Duration::from_secs(3)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn satellite(pools: &Value, configured: &str) -> Vec<Value> {
        vec![json!({"metadata": {"name": "cp1", "generation": 2}, "spec": {"storagePools": pools}, "status": {
            "conditions": [
                {"type": "Available", "status": "True", "observedGeneration": 2},
                {"type": "Configured", "status": configured, "reason": "Error", "message": "no /dev/sdb",
                 "observedGeneration": 2}]}})]
    }

    /// reports.md B36: `talosctl wipe disk` takes the kernel's names only.
    #[test]
    fn what_is_to_be_wiped_is_named_as_the_kernel_names_it() {
        let mut plan = crate::steps::day0::tests::plan();
        plan.integration.linstor.device = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi1".into();
        let told = |name| failure(&plan.integration.linstor, &plan.nodes[0], "no", name).next;
        assert!(told(Some("sdc")).contains("wipe disk sdc, which is /dev/disk/by-id/"), "{}", told(Some("sdc")));
        assert!(told(None).contains("wipe disk NAME") && !told(None).contains("wipe disk disk"), "{}", told(None));
    }

    #[test]
    fn a_satellite_that_was_configured_before_the_pool_does_not_count() {
        let pools = json!([{"name": "data"}]);
        assert_eq!(lack("cp1", "data", &satellite(&pools, "True")), None);
        assert!(lack("cp1", "data", &satellite(&json!([]), "True")).unwrap().contains("not been told"));
        assert!(lack("cp1", "data", &satellite(&pools, "False")).unwrap().contains("no /dev/sdb"));
        assert!(lack("cp2", "data", &satellite(&pools, "True")).unwrap().contains("no satellite"));
    }
}
