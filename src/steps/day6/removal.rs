//! `day6.removal`: the Cluster is deleted, and with it the VM: no object, no VM, no CD-ROM of it is left.
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{self, Kind};
use crate::plan::model::Plan;
use crate::steps::cluster::{foreign, get, is_ours, seen, text};
use crate::steps::cluster_api::{self, NAMESPACE};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines, teardown};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day6.removal";
const BAND: Band = Band::new(60, 600);

pub struct Removal {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Removal {
    let title = "the VM is removed through Cluster API, and Proxmox VE has it no more";
    let outline = outlines::change(StepId::new(KIND), 6, title, BAND, by_hand())
        .after([StepId::new(super::vm::KIND)])
        .momentary();
    Removal { outline }
}

fn by_hand() -> String {
    format!("kubectl delete -n {NAMESPACE} cluster.cluster.x-k8s.io smoke\nqm list")
}

impl Removal {
    async fn look(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let name = cluster_api::test(site)?.name;
        let reader = site.kubernetes()?;
        let wait = |seen: String| Ok(Observed::Underway(Wait::new("the VM and its objects are gone", seen, BAND)));
        if let Some(cluster) = get(&reader, &Kind::CLUSTER, Some(NAMESPACE), &name).await? {
            if !is_ours(site, &cluster.value) {
                return Ok(Observed::Conflict(foreign(&Kind::CLUSTER, Some(NAMESPACE), &name, &cluster.value)));
            }
            if text(&cluster.value, "/metadata/deletionTimestamp").is_empty() {
                return Ok(Observed::Absent(format!("Cluster {name} is there")));
            }
            let (_, guests) = cluster_api::guests(site).await?;
            let named: Vec<String> = guests.iter().map(cluster_api::shown).collect();
            return wait(format!("Cluster {name} is being deleted; in Proxmox VE: {}", listed(&named)));
        }
        let mut readings = Vec::new();
        for kind in [Kind::MACHINE, Kind::PROXMOX_MACHINE, Kind::PROXMOX_CLUSTER, Kind::IP_ADDRESS_CLAIM] {
            let found = match reader.list(&kind, Some(NAMESPACE), None).await {
                Ok(found) => found,
                // A cluster that never came to have Cluster API knows no such kind, and holds none of it.
                Err(kubernetes::Error::NotFound) => continue,
                Err(e) => return Err(failures::kubernetes(&e, &format!("list {}", kind.resource()))),
            };
            if let Some(one) = found.value.first() {
                return wait(format!("{} {} is still there", kind.kind, text(one, "/metadata/name")));
            }
            readings.push(seen(cx, &found));
        }
        cluster_api::nothing_left(cx, site, is_of_this_run(cx), readings).await
    }

    async fn delete(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let name = cluster_api::test(site)?.name;
        let Some(cluster) = get(&site.kubernetes()?, &Kind::CLUSTER, Some(NAMESPACE), &name).await? else {
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

#[async_trait]
impl Step<Installation> for Removal {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        self.look(cx, site).await
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.delete(cx, site, change).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(5)).await;
    }
}

/// The VM would outlive the cluster that made it, so it goes first.
#[async_trait]
impl crate::engine::step::Removal<Installation> for Removal {
    fn title(&self) -> String {
        "remove the VM that Cluster API made".into()
    }

    fn by_hand(&self) -> String {
        by_hand()
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        if let Some(proof) = teardown::no_cluster(cx, site)? {
            return Ok(Observed::Satisfied(proof));
        }
        match self.look(cx, site).await {
            Err(failure) => teardown::nobody_to_ask(cx, site, failure).await,
            observed => observed,
        }
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.delete(cx, site, change).await
    }
}
