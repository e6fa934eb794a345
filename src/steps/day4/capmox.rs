//! `day4.capmox`: Cluster API can make machines in Proxmox VE: the provider "proxmox" and the address provider
//! "in-cluster" are installed in the plan's versions.
use crate::cozystack::addons::components::SHA256;
use crate::cozystack::addons::{
    CAPMOX_CREDENTIALS, CLUSTER_API_NAMESPACE, CapmoxInput, Object, Provider, capmox, has_credentials,
    provider_components,
};
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{Kind, Reader};
use crate::plan::model::Plan;
use crate::steps::addons::access::CAPMOX;
use crate::steps::addons::probe::{self, Credentials};
use crate::steps::addons::provider_file;
use crate::steps::addons::trust::{self, Trust};
use crate::steps::cluster::{self, Standing, condition, get, is_true, proven, said, seen, standing, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::workload::{is_up, trouble};
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

const CREDENTIALS_OF: Credentials = Credentials {
    access: CAPMOX,
    namespace: CLUSTER_API_NAMESPACE,
    secret: CAPMOX_CREDENTIALS,
    keys: ["url", "token", "secret"],
    path: "/api2/json",
};
const PROVIDERS: [Provider; 2] = [Provider::Ipam, Provider::Capmox];

fn input(site: &Reading, trust: &Trust) -> CapmoxInput {
    let plan = &site.plan.integration.capmox;
    CapmoxInput {
        proxmox: trust.access.clone(),
        version: plan.version.clone(),
        ipam_version: plan.ipam_version.clone(),
        contract: site.release.cluster_api.contract.clone(),
    }
}

/// The ConfigMaps of both providers, each only with what tells whether it is the right one.
fn marks(site: &Reading, input: &CapmoxInput) -> Result<Vec<Object>, Failure> {
    let mark = |provider| provider_components(site.label(), provider, input, None);
    PROVIDERS.into_iter().map(mark).collect::<Result<_, _>>().map_err(|e| Failure::defect(e.to_string()))
}

/// `None` when the cluster's components are those of the plan's digest, or of the one that this run saw first; else the
/// difference.
///
/// # Errors
/// When somebody exchanged components that the plan does not pin.
fn exchanged(site: &Reading, provider: Provider, config_map: &Value) -> Result<Option<String>, Failure> {
    let url = provider_file::url(&site.plan, provider);
    let file = provider_file::of(&site.plan, provider, &url);
    let found = config_map.pointer("/metadata/annotations").and_then(|a| a.get(SHA256)).and_then(Value::as_str);
    let name = text(config_map, "/metadata/name");
    let Some(found) = found else { return Ok(Some(format!("ConfigMap {name} does not say what it was made from"))) };
    match file.sha256 {
        Some(wanted) if !wanted.eq_ignore_ascii_case(found) => Ok(Some(format!("ConfigMap {name} is of another file"))),
        Some(_) => Ok(None),
        None => {
            let next = format!("set {} in the plan to the one that you trust", file.sha256_key);
            site.digests().agree(&file.name(), found, &next).map(|()| None)
        }
    }
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

/// The pod's part of a Deployment.
fn template(deployment: &Value) -> &Value {
    deployment.pointer("/spec/template/spec").unwrap_or(&Value::Null)
}

/// The probe's failure with capmox's own last words added: capmox asks Proxmox VE as soon as it is started.
async fn together(reader: &Reader, failure: Failure) -> Result<Failure, Failure> {
    let found = get(reader, &Kind::DEPLOYMENT, Some(CLUSTER_API_NAMESPACE), DEPLOYMENT).await?;
    let Some(found) = found else { return Ok(failure) };
    Ok(match trouble(reader, CLUSTER_API_NAMESPACE, &found.value).await? {
        Some(words) => Failure { what: format!("{}; capmox itself: {words}", failure.what), ..failure },
        None => failure,
    })
}

/// The state of a provider.
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
        let trust = trust::of(site, CAPMOX).await?;
        let input = input(site, &trust);
        let mut objects = marks(site, &input)?;
        objects.extend(capmox(site.label(), &input));
        let applied = match standing(site, &objects).await? {
            Standing::Absent(seen) => return Ok(Observed::Absent(seen)),
            Standing::Conflict(failure) => return Ok(Observed::Conflict(failure)),
            Standing::Applied(applied) => applied,
        };
        for (provider, config_map) in PROVIDERS.into_iter().zip(&applied) {
            if let Some(what) = exchanged(site, provider, &config_map.value)? {
                return Ok(Observed::Absent(what));
            }
        }
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
            Some(found) if !has_credentials(template(&found.value), &trust.access.digest()) => {
                lacks.push(format!("{DEPLOYMENT} was started with older credentials"));
            }
            Some(found) if is_up(&found.value) => readings.push(seen(cx, &found)),
            Some(found) => lacks.push(match trouble(&reader, CLUSTER_API_NAMESPACE, &found.value).await? {
                Some(why) => why,
                None => format!("{DEPLOYMENT}: {}", said(&found.value, "Available")),
            }),
            None => lacks.push(format!("there is no Deployment {DEPLOYMENT} yet")),
        }
        match probe::look(cx, site, &CREDENTIALS_OF, &trust).await? {
            probe::State::Missing(what) => return Ok(Observed::Absent(what)),
            probe::State::Refused(failure) => return Err(together(&reader, failure).await?),
            probe::State::Underway(what) => lacks.push(what),
            probe::State::Answered(evidence) => readings.extend(evidence),
        }
        if lacks.is_empty() {
            readings.push(Evidence::of("Proxmox", cx.clock().now(), &trust.anchor));
            let summary = format!(
                "capmox {} and IPAM {} are installed and the token is taken from inside; {}",
                plan.version,
                plan.ipam_version,
                trust::describe(&trust.anchor.value)
            );
            let mut observed = proven(summary, readings)?;
            for provider in PROVIDERS {
                let url = provider_file::url(&site.plan, provider);
                observed = provider_file::of(&site.plan, provider, &url).recorded(site, observed);
            }
            return Ok(observed);
        }
        Ok(Observed::Underway(Wait::new("the providers are installed", lacks.join("; "), BAND)))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let trust = trust::of(site, CAPMOX).await?;
        let input = input(site, &trust);
        for (provider, mark) in PROVIDERS.into_iter().zip(marks(site, &input)?) {
            // Objects that are there and right need no release server.
            if let Standing::Applied(found) = standing(site, std::slice::from_ref(&mark)).await?
                && let Some(config_map) = found.first()
                && exchanged(site, provider, &config_map.value)?.is_none()
            {
                continue;
            }
            let components = provider_file::fetch(site, provider).await?;
            let object = provider_components(site.label(), provider, &input, Some(&components));
            let object = object.map_err(|e| provider_file::unfit(&site.plan, provider, &e))?;
            cluster::apply(change, &[object]).await?;
        }
        cluster::apply(change, &capmox(site.label(), &input)).await?;
        probe::ensure(site, change, &CREDENTIALS_OF, &trust).await
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
        assert_eq!(state(&provider("v0.7.7", &ready), "v0.7.7"), State::Installed);
        assert!(matches!(state(&provider("v0.7.3", &ready), "v0.7.7"), State::Waiting(w) if w.contains("`v0.7.3`")));
        assert!(matches!(state(&provider("", &json!([])), "v0.7.7"), State::Waiting(_)));
    }

    #[test]
    fn a_version_that_the_operator_refuses_is_a_persons_matter() {
        let refused = |reason: &str| {
            json!([{"type": "PreflightCheckPassed", "status": "False", "reason": reason, "message": "m"},
                {"type": "Ready", "status": "False", "reason": reason}])
        };
        let waiting = state(&provider("", &refused("WaitingForCoreProviderReady")), "v0.7.7");
        assert!(matches!(waiting, State::Waiting(w) if w.contains("PreflightCheckPassed")));
        let wrong = state(&provider("", &refused("CAPIVersionIncompatibility")), "v0.8.0");
        assert!(matches!(wrong, State::Wrong(f) if f.next.contains("integration.capmox.version")));
    }
}
