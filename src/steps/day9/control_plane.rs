//! `day9.control_plane`: the tenant's Kubernetes has a control plane, made by Kamaji of pods of this cluster, and its API answers at an
//! address of its own.
use crate::cozystack::addons::TenantCluster;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{self, Standing, get, items, named, seen, standing, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::tenancy::THIRD;
use crate::steps::tenant_cluster::{self, Endpoint, SYSTEM, api, endpoint, refusal, strange, thing, wanted};
use crate::steps::workers::OF_A_TENANT;
use crate::steps::workload::down;
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

pub const KIND: &str = "day9.control_plane";
/// Two pods of three images each, which are pulled first.
const BAND: Band = Band::new(120, 900);

pub struct ControlPlane {
    outline: Outline,
}

pub fn step(plan: &Plan) -> ControlPlane {
    let (namespace, name) = (OF_A_TENANT.namespace, OF_A_TENANT.name);
    let title = format!("the tenant's Kubernetes {} answers at an address of its own", plan.kubernetes_version());
    let by_hand = format!(
        "kubectl get -n {namespace} {},{},{} {name}\nkubectl get -n {namespace} pods,services",
        Kind::CLUSTER.resource(),
        Kind::KAMAJI_CONTROL_PLANE.resource(),
        Kind::TENANT_CONTROL_PLANE.resource()
    );
    let outline = outlines::change(StepId::new(KIND), 9, title, BAND, by_hand).after([THIRD.made_by()]).momentary();
    ControlPlane { outline }
}

/// The first condition that is not met, in the words of who wrote it.
fn lacks(control_plane: &Value) -> String {
    let unmet = items(control_plane, "/status/conditions").find(|c| c["status"] == "False");
    match unmet {
        Some(c) => format!("{}: {} {}", text(c, "/type"), text(c, "/reason"), text(c, "/message")),
        None => "Kamaji's provider has not said that it is ready".to_string(),
    }
}

/// `seen`, and what keeps the control plane from coming: Kamaji's own pods, or those that it made.
async fn beside_kamaji(site: &Reading, mut seen: String) -> Result<String, Failure> {
    let reader = site.kubernetes()?;
    let (of_kamaji, of_tenant) = (("cozy-kamaji", "kamaji"), (OF_A_TENANT.namespace, OF_A_TENANT.name));
    for (whose, (namespace, name)) in [("Kamaji does not run", of_kamaji), ("its pods do not run", of_tenant)] {
        if let Some(why) = down(&reader, namespace, name).await? {
            seen = format!("{seen}; {whose}: {why}");
        }
    }
    Ok(seen)
}

fn wait(seen: impl AsRef<str>) -> Result<Observed, Failure> {
    Ok(Observed::Underway(Wait::new("the tenant's API answers", seen, BAND)))
}

impl ControlPlane {
    /// What the API itself says, once it answers.
    async fn ask(
        &self,
        cx: &dyn Context,
        site: &Reading,
        set: &TenantCluster,
        at: Endpoint,
        proof: impl FnOnce(String, Evidence) -> Proof,
    ) -> Result<Observed, Failure> {
        let Some(reader) = api(site, set, at).await? else {
            return wait(format!("there is no Secret {} yet", set.kubeconfig_secret()));
        };
        let answer = match reader.version().await {
            Ok(answer) => answer,
            Err(e) => return wait(format!("{}:{}: {e}", at.address, at.port)),
        };
        let found = answer.value.git_version.clone();
        if found != set.kubernetes_version {
            return wait(format!("it is {found}, and {} was asked for", set.kubernetes_version));
        }
        let summary = format!("Kubernetes {found} of tenant {} answers at {}:{}", THIRD.name, at.address, at.port);
        Ok(Observed::Satisfied(proof(summary, Evidence::of(SYSTEM, cx.clock().now(), &answer))))
    }
}

#[async_trait]
impl Step<Installation> for ControlPlane {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (reader, namespace, name) = (site.kubernetes()?, Some(OF_A_TENANT.namespace), OF_A_TENANT.name);
        let Some(set) = wanted(site).await? else { return Err(tenant_cluster::gone()) };
        let Some(found) = get(&reader, &Kind::CLUSTER, namespace, name).await? else {
            return Ok(Observed::Absent(format!("there is no {}", named(&Kind::CLUSTER, namespace, name))));
        };
        if let Some(why) = strange(cx, site, &found.value) {
            return Ok(Observed::Conflict(refusal(why)));
        }
        match standing(site, &set.control_plane(site.label())).await? {
            Standing::Conflict(failure) => return Ok(Observed::Conflict(failure)),
            Standing::Absent(what) => return Ok(Observed::Absent(what)),
            Standing::Applied(_) => {}
        }
        let Some(made) = get(&reader, &Kind::KAMAJI_CONTROL_PLANE, namespace, name).await? else {
            return Ok(Observed::Absent("the control plane is gone".into()));
        };
        let Some(at) = endpoint(&site.plan, &made.value)? else {
            return wait(beside_kamaji(site, format!("it has no address yet: {}", lacks(&made.value))).await?);
        };
        if made.value.pointer("/status/ready") != Some(&Value::Bool(true)) {
            return wait(beside_kamaji(site, lacks(&made.value)).await?);
        }
        let proof = |summary: String, evidence| {
            Proof::new(summary, evidence).and(seen(cx, &made)).and(seen(cx, &found)).owning(thing(&found.value))
        };
        self.ask(cx, site, &set, at, proof).await
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Some(set) = wanted(site).await? else { return Err(tenant_cluster::gone()) };
        cluster::apply(change, &set.control_plane(site.label())).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::removal::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        let namespace = Some(OF_A_TENANT.namespace);
        follow::object(cx, site, &Kind::KAMAJI_CONTROL_PLANE, namespace, None, Duration::from_secs(5)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_control_plane_waits_for_is_told_in_its_own_words() {
        let conditions = json!([
            {"type": "TenantControlPlaneCreated", "status": "True", "reason": "Done"},
            {"type": "TenantControlPlaneAddressReady", "status": "False", "reason": "Failed", "message": "not yet available"},
        ]);
        let said = lacks(&json!({"status": {"conditions": conditions}}));
        assert_eq!(said, "TenantControlPlaneAddressReady: Failed not yet available");
        assert!(lacks(&json!({})).contains("has not said"));
    }
}
