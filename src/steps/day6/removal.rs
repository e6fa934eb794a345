//! `day6.removal`: the Cluster is deleted, and with it the VM: no object, no VM, no CD-ROM of it is left.
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{foreign, get, is_deleting, is_ours, text};
use crate::steps::cluster_api::{self, NAMESPACE};
use crate::steps::cluster_removal::{ClusterRemoval, Made, Remains, delete_unowned, remains};
use crate::steps::site::{Changing, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;

pub const KIND: &str = "day6.removal";
const BAND: Band = Band::new(60, 600);
/// Kinds of which nothing may be left.
const OF_IT: [Kind; 4] = [Kind::MACHINE, Kind::PROXMOX_MACHINE, Kind::PROXMOX_CLUSTER, Kind::IP_ADDRESS_CLAIM];

pub struct Smoke;

pub fn step(_plan: &Plan) -> ClusterRemoval<Smoke> {
    let title = "the VM is removed through Cluster API, and Proxmox VE has it no more";
    let outline = outlines::change(StepId::new(KIND), 6, title, BAND, Smoke.by_hand())
        .after([StepId::new(super::vm::KIND)])
        .momentary()
        .cleanup();
    ClusterRemoval { outline, made: Smoke }
}

#[async_trait]
impl Made for Smoke {
    fn title(&self) -> &'static str {
        "remove the VM that Cluster API made"
    }

    fn by_hand(&self) -> String {
        format!("kubectl delete -n {NAMESPACE} cluster.cluster.x-k8s.io smoke\nqm list")
    }

    async fn look(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let name = cluster_api::test(site)?.name;
        let reader = site.kubernetes()?;
        let wait = |seen: String| Ok(Observed::Underway(Wait::new("the VM and its objects are gone", seen, BAND)));
        if let Some(cluster) = get(&reader, &Kind::CLUSTER, Some(NAMESPACE), &name).await? {
            if !is_ours(site, &cluster.value) {
                return Ok(Observed::Conflict(foreign(&Kind::CLUSTER, Some(NAMESPACE), &name, &cluster.value)));
            }
            if !is_deleting(&cluster.value) {
                return Ok(Observed::Absent(format!("Cluster {name} is there")));
            }
            let (_, guests) = cluster_api::guests(site).await?;
            let named: Vec<String> = guests.iter().map(cluster_api::shown).collect();
            return wait(format!("Cluster {name} is being deleted; in Proxmox VE: {}", listed(&named)));
        }
        let readings = match remains(cx, site, NAMESPACE, &OF_IT).await? {
            Remains::Nothing(readings) => readings,
            Remains::Going(object) => return wait(format!("{object} is still there")),
            Remains::Unowned(object) => return Ok(Observed::Absent(format!("{object} is left without its Cluster"))),
        };
        cluster_api::nothing_left(cx, site, is_of_this_run(cx), readings).await
    }

    async fn delete(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let name = cluster_api::test(site)?.name;
        let Some(cluster) = get(&site.kubernetes()?, &Kind::CLUSTER, Some(NAMESPACE), &name).await? else {
            delete_unowned(site, change, NAMESPACE, &OF_IT).await?;
            return if is_of_this_run(cx) { cluster_api::delete_cdrom(cx, site, change, BAND).await } else { Ok(()) };
        };
        if !is_ours(site, &cluster.value) {
            return Err(foreign(&Kind::CLUSTER, Some(NAMESPACE), &name, &cluster.value));
        }
        let uid = text(&cluster.value, "/metadata/uid");
        let deleted = change.kubernetes()?.delete(&Kind::CLUSTER, Some(NAMESPACE), &name, uid).await;
        deleted.map_err(|e| failures::kubernetes(&e, &format!("delete Cluster {name}")))
    }
}

/// True when this run gave Cluster API its objects; before that it saw to it that the range was empty.
fn is_of_this_run(cx: &dyn Context) -> bool {
    cx.made().has(&StepId::new(super::machine::KIND))
}

/// `nothing`, or the names.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}
