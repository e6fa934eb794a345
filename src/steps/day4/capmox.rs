//! `day4.capmox`: Cluster API can make machines in Proxmox VE: the provider "proxmox" and the address provider
//! "in-cluster" are installed in the plan's versions.
use super::access::CAPMOX;
use crate::cozystack::addons::{CLUSTER_API_NAMESPACE, CapmoxInput, Object, capmox};
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{Kind, Reader};
use crate::plan::model::Plan;
use crate::steps::cluster::{self, Standing, condition, get, is_true, proven, said, seen, standing, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

pub const KIND: &str = "day4.capmox";
const BAND: Band = Band::new(120, 600);
const DEPLOYMENT: &str = "capmox-controller-manager";
/// Where clusterctl puts the same providers; two of them would fight over the same machines.
const OLDER: [&str; 2] = ["capmox-system", "capi-ipam-in-cluster-system"];
/// Reasons of the operator that no waiting takes away.
const WRONG: [&str; 3] = ["CAPIVersionIncompatibility", "IncorrectVersionFormat", "MoreThanOneExists"];

pub struct Capmox {
    outline: Outline,
}

pub fn step(plan: &Plan) -> Capmox {
    let capmox = &plan.integration.capmox;
    let title = format!("Cluster API makes machines in Proxmox VE (capmox {})", capmox.version);
    let by_hand = format!(
        "kubectl get -n {CLUSTER_API_NAMESPACE} infrastructureproviders.operator.cluster.x-k8s.io proxmox\n\
         kubectl get -n {CLUSTER_API_NAMESPACE} ipamproviders.operator.cluster.x-k8s.io in-cluster\n\
         kubectl get -n {CLUSTER_API_NAMESPACE} deployment {DEPLOYMENT}"
    );
    let outline = outlines::change(StepId::new(KIND), 4, title, BAND, by_hand)
        .after([StepId::of(super::proxmox_token::KIND, CAPMOX.name)]);
    Capmox { outline }
}

/// As with the CSI driver, the provider knows no pin.
fn is_unverified(plan: &Plan) -> bool {
    plan.site.fingerprint.is_some()
}

fn objects(site: &Reading) -> Result<Vec<Object>, Failure> {
    let plan = &site.plan.integration.capmox;
    let input = CapmoxInput {
        url: site.plan.site.url.to_string(),
        token_id: CAPMOX.token_id(),
        token_secret: CAPMOX.secret(site)?,
        insecure: is_unverified(&site.plan),
        version: plan.version.clone(),
        ipam_version: plan.ipam_version.clone(),
    };
    Ok(capmox(site.label(), &input))
}

async fn older(reader: &Reader) -> Result<Option<Failure>, Failure> {
    for namespace in OLDER {
        if get(reader, &Kind::NAMESPACE, None, namespace).await?.is_some() {
            return Ok(Some(Failure::refused(
                format!("namespace {namespace} exists: clusterctl installed these providers before"),
                format!(
                    "look at it (kubectl get all -n {namespace}); remove that installation with clusterctl delete, or \
                     set integration.capmox.enabled to false in the plan"
                ),
            )));
        }
    }
    Ok(None)
}

/// How a provider stands.
#[derive(Debug, PartialEq)]
enum State {
    Installed,
    Waiting(String),
    Wrong(Failure),
}

fn state(provider: &Value, version: &str) -> State {
    let name = text(provider, "/metadata/name");
    let installed = text(provider, "/status/installedVersion");
    if is_true(provider, "Ready") && installed == version {
        return State::Installed;
    }
    let telling = ["PreflightCheckPassed", "ProviderInstalled", "Ready"].into_iter();
    let open = telling.filter(|kind| condition(provider, kind).is_some()).find(|kind| !is_true(provider, kind));
    let Some(kind) = open else { return State::Waiting(format!("provider {name}: `{installed}` is installed")) };
    let what = format!("provider {name}: {}", said(provider, kind));
    match condition(provider, kind) {
        Some(c) if WRONG.contains(&c.reason) => State::Wrong(Failure::person(
            what,
            "correct integration.capmox.version and .ipam_version in the plan (CozyStack's core speaks v1beta1: capmox \
             0.7.x, IPAM 1.0.x), or remove the other provider of this name",
        )),
        Some(_) | None => State::Waiting(what),
    }
}

#[async_trait]
impl Step<Installation> for Capmox {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        if let Some(failure) = older(&reader).await? {
            return Ok(Observed::Conflict(failure));
        }
        let applied = match standing(site, &objects(site)?).await? {
            Standing::Absent(seen) => return Ok(Observed::Absent(seen)),
            Standing::Conflict(failure) => return Ok(Observed::Conflict(failure)),
            Standing::Applied(applied) => applied,
        };
        let plan = &site.plan.integration.capmox;
        let (mut readings, mut lacks) = (Vec::new(), Vec::new());
        for found in &applied {
            let version = match text(&found.value, "/kind") {
                "InfrastructureProvider" => &plan.version,
                "IPAMProvider" => &plan.ipam_version,
                _ => continue,
            };
            match state(&found.value, version) {
                State::Installed => readings.push(seen(cx, found)),
                State::Waiting(what) => lacks.push(what),
                State::Wrong(failure) => return Err(failure),
            }
        }
        match get(&reader, &Kind::DEPLOYMENT, Some(CLUSTER_API_NAMESPACE), DEPLOYMENT).await? {
            Some(found) if is_true(&found.value, "Available") => readings.push(seen(cx, &found)),
            Some(found) => lacks.push(format!("{DEPLOYMENT}: {}", said(&found.value, "Available"))),
            // Its name is the release's business; the provider's own word counts.
            None => {}
        }
        if lacks.is_empty() {
            let deviation = if is_unverified(&site.plan) {
                "; deviation: capmox does not verify the certificate of Proxmox VE, because it can't pin one"
            } else {
                ""
            };
            let summary = format!("capmox {} and IPAM {} are installed{deviation}", plan.version, plan.ipam_version);
            return proven(summary, readings);
        }
        Ok(Observed::Underway(Wait::new("the providers are installed", lacks.join("; "), BAND)))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        cluster::apply(change, &objects(site)?).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        let (kind, place) = (&Kind::INFRASTRUCTURE_PROVIDER, Some(CLUSTER_API_NAMESPACE));
        follow::object(cx, site, kind, place, None, Duration::from_secs(3)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn provider(version: &str, conditions: &Value) -> Value {
        json!({"metadata": {"name": "proxmox"}, "status": {"installedVersion": version, "conditions": conditions}})
    }

    #[test]
    fn ready_in_another_version_is_not_installed() {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        assert_eq!(state(&provider("v0.7.4", &ready), "v0.7.4"), State::Installed);
        assert!(matches!(state(&provider("v0.7.3", &ready), "v0.7.4"), State::Waiting(w) if w.contains("`v0.7.3`")));
        assert!(matches!(state(&provider("", &json!([])), "v0.7.4"), State::Waiting(_)));
    }

    #[test]
    fn a_version_that_the_operator_refuses_is_a_persons_matter() {
        let refused = |reason: &str| {
            json!([{"type": "PreflightCheckPassed", "status": "False", "reason": reason, "message": "m"},
                {"type": "Ready", "status": "False", "reason": reason}])
        };
        let waiting = state(&provider("", &refused("WaitingForCoreProviderReady")), "v0.7.4");
        assert!(matches!(waiting, State::Waiting(w) if w.contains("PreflightCheckPassed")));
        let wrong = state(&provider("", &refused("CAPIVersionIncompatibility")), "v0.8.0");
        assert!(matches!(wrong, State::Wrong(f) if f.next.contains("integration.capmox.version")));
    }
}
