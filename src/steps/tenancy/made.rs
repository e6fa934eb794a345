//! CozyStack has made a tenant of an application object: its namespace is there, and bound by its policies.
use crate::base::day::Day;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Context, Observed, Outline, Step, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::steps::applications::Standing;
use crate::steps::cluster::{get, items, seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::tenancy::TestTenant;
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

const BAND: Band = Band::new(30, 300);
/// The policy that says who reaches a tenant's pods from outside of it.
const FROM_OUTSIDE: &str = "allow-external-communication";

pub struct Tenant {
    outline: Outline,
    tenant: &'static TestTenant,
}

/// The step of this day that makes the tenant.
pub fn step(day: Day, tenant: &'static TestTenant) -> Tenant {
    let TestTenant { name, namespace, .. } = tenant;
    let by_hand = format!(
        "kubectl get -n tenant-root tenants.apps.cozystack.io {name}\nkubectl get namespace {namespace} -o yaml\nkubectl get -n \
         {namespace} ciliumnetworkpolicies"
    );
    let title = format!("tenant {name} is made, with a namespace and policies of its own");
    let outline = outlines::change_on(tenant.made_by(), day, title, BAND, by_hand).momentary();
    Tenant { outline, tenant }
}

/// The annotation of a tenant's namespace, as `host` or `ingress`.
pub fn annotation<'a>(namespace: &'a Value, name: &str) -> &'a str {
    text(namespace, &format!("/metadata/annotations/namespace.cozystack.io~1{name}"))
}

/// True when the policy lets in every pod of the cluster, as v0.37.2's does.
fn is_open(policy: &Value) -> bool {
    items(policy, "/spec/ingress").flat_map(|rule| items(rule, "/fromEntities")).any(|entity| entity == "cluster")
}

#[async_trait]
impl Step<Installation> for Tenant {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let TestTenant { name, namespace, .. } = self.tenant;
        let application = self.tenant.application();
        let wait = |seen: String| Ok(Observed::Underway(Wait::new(format!("tenant {name} is ready"), seen, BAND)));
        let (found, evidence) = match application.look(cx, site, &self.outline.id).await? {
            Standing::Missing => return Ok(Observed::Absent(format!("there is no {}", application.told()))),
            Standing::Strange(_, why) => return Ok(Observed::Conflict(application.refusal(why))),
            Standing::Going => return wait("the former one is being deleted".into()),
            Standing::Lacks(lack) => return wait(lack),
            Standing::Ready(found, evidence) => (found, evidence),
        };
        let reader = site.kubernetes()?;
        let Some(place) = get(&reader, &Kind::NAMESPACE, None, namespace).await? else {
            return wait(format!("there is no namespace {namespace} yet"));
        };
        let host = annotation(&place.value, "host").to_string();
        let label = format!("tenant.cozystack.io/{namespace}");
        let is_labelled = place.value.pointer("/metadata/labels").is_some_and(|labels| labels.get(&label).is_some());
        if text(&place.value, "/status/phase") != "Active" || host.is_empty() || !is_labelled {
            return wait(format!("namespace {namespace} does not have its host and labels yet"));
        }
        let egress = format!("{namespace}-egress");
        let Some(out) = get(&reader, &Kind::CILIUM_WIDE_POLICY, None, &egress).await? else {
            return wait(format!("there is no policy {egress} yet"));
        };
        let Some(outside) = get(&reader, &Kind::CILIUM_POLICY, Some(namespace), FROM_OUTSIDE).await? else {
            return wait(format!("there is no policy {FROM_OUTSIDE} yet"));
        };
        let proof =
            Proof::new(format!("namespace {namespace} is there with its policies, and its host is {host}"), evidence);
        let proof = [&place, &out, &outside].into_iter().fold(proof, |proof, answer| proof.and(seen(cx, answer)));
        let proof = match is_open(&outside.value) {
            true => proof.mind(format!(
                "tenants are kept apart by where their own pods may go: policy {FROM_OUTSIDE} of {namespace} lets in every pod of \
                 the cluster, so a pod in a namespace that no policy binds (such as default) reaches into a tenant"
            )),
            false => proof,
        };
        Ok(Observed::Satisfied(proof.owning(application.thing(&found.value))))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.tenant.application().create(site, change, self.tenant.spec()).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(self.tenant.removed_by)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        let namespace = self.tenant.application().namespace;
        follow::object(cx, site, &Kind::HELM_RELEASE, Some(namespace), None, Duration::from_secs(3)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_policy_that_lets_in_the_whole_cluster_is_told_from_one_that_does_not() {
        let policy = |entities: Value| json!({"spec": {"ingress": [{"fromEntities": entities}]}});
        assert!(is_open(&policy(json!(["world", "cluster"]))) && !is_open(&policy(json!(["world"]))));
    }
}
