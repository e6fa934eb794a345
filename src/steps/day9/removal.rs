//! `day9.removal`: the tenant's Kubernetes is deleted with its machines: neither object, VM, disk nor CD-ROM is left.
//!
//! Cluster API core takes everything along with the Cluster, the machines first (v1.10.1, `reconcileDelete`).
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{get, is_deleting, proven, text};
use crate::steps::cluster_removal::{ClusterRemoval, Made, Remains, delete_unowned, remains};
use crate::steps::site::{Changing, Reading};
use crate::steps::tenant_cluster::{refusal, strange};
use crate::steps::workers::{OF_A_TENANT, machines};
use crate::steps::{cluster_api, failures, outlines};
use async_trait::async_trait;

pub const KIND: &str = "day9.removal";
const BAND: Band = Band::new(60, 900);
/// Kinds of which nothing may be left.
const OF_IT: [Kind; 10] = [
    Kind::MACHINE_DEPLOYMENT,
    Kind::MACHINE_SET,
    Kind::MACHINE,
    Kind::PROXMOX_MACHINE,
    Kind::PROXMOX_MACHINE_TEMPLATE,
    Kind::KUBEADM_CONFIG_TEMPLATE,
    Kind::KAMAJI_CONTROL_PLANE,
    Kind::TENANT_CONTROL_PLANE,
    Kind::PROXMOX_CLUSTER,
    Kind::IP_ADDRESS_CLAIM,
];

/// The Kubernetes of the tenant.
pub struct TenantKubernetes;

pub fn step(_plan: &Plan) -> ClusterRemoval<TenantKubernetes> {
    let title = "nothing of the tenant's Kubernetes is left, nor of its machines";
    let outline = outlines::change(StepId::new(KIND), 9, title, BAND, TenantKubernetes.by_hand())
        .after([StepId::new(super::nodes::KIND)])
        .momentary()
        .cleanup();
    ClusterRemoval { outline, made: TenantKubernetes }
}

/// True when this run gave Cluster API machines; before that it saw to it that the range was empty.
fn made_machines(cx: &dyn Context) -> bool {
    cx.made().has(&StepId::new(super::workers::KIND))
}

#[async_trait]
impl Made for TenantKubernetes {
    fn title(&self) -> &'static str {
        OF_A_TENANT.going
    }

    fn by_hand(&self) -> String {
        let (namespace, name) = (OF_A_TENANT.namespace, OF_A_TENANT.name);
        format!("kubectl delete -n {namespace} {} {name}\nqm list", Kind::CLUSTER.resource())
    }

    async fn look(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let wait = |seen: String| {
            Ok(Observed::Underway(Wait::new("the tenant's Kubernetes and its machines are gone", seen, BAND)))
        };
        let (namespace, name) = (OF_A_TENANT.namespace, OF_A_TENANT.name);
        if let Some(found) = get(&site.kubernetes()?, &Kind::CLUSTER, Some(namespace), name).await? {
            if let Some(why) = strange(cx, site, &found.value) {
                return Ok(Observed::Conflict(refusal(why)));
            }
            if !is_deleting(&found.value) {
                return Ok(Observed::Absent(format!("Cluster {name} is there")));
            }
            let (_, machines) = machines(site, &OF_A_TENANT).await?;
            let of = machines.first().map_or(String::new(), |machine| format!("; {}", machine.told()));
            return wait(format!("Cluster {name} is being deleted{of}"));
        }
        let mut readings = match remains(cx, site, namespace, &OF_IT).await? {
            Remains::Nothing(readings) => readings,
            Remains::Going(object) => return wait(format!("{object} is still there")),
            Remains::Unowned(object) => {
                return Ok(Observed::Absent(format!("{object} is left, and nobody's Cluster has it")));
            }
        };
        if !made_machines(cx) {
            // A cluster that never came to know these kinds gives no reading of them.
            let (all, _) = cluster_api::guests(site).await?;
            readings.push(Evidence::of("Proxmox", cx.clock().now(), &all));
            return proven("this run has given Cluster API no machines of a tenant", readings);
        }
        cluster_api::nothing_left(cx, site, true, readings).await
    }

    async fn delete(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let (namespace, name) = (OF_A_TENANT.namespace, OF_A_TENANT.name);
        let Some(found) = get(&site.kubernetes()?, &Kind::CLUSTER, Some(namespace), name).await? else {
            delete_unowned(site, change, namespace, &OF_IT).await?;
            return if made_machines(cx) { cluster_api::delete_cdrom(cx, site, change, BAND).await } else { Ok(()) };
        };
        if let Some(why) = strange(cx, site, &found.value) {
            return Err(refusal(why));
        }
        let uid = text(&found.value, "/metadata/uid");
        let deleted = change.kubernetes()?.delete(&Kind::CLUSTER, Some(namespace), name, uid).await;
        deleted.map_err(|e| failures::kubernetes(&e, &format!("delete Cluster {name}")))
    }
}
