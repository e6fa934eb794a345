//! `day4.csi`: volumes of the cluster can lie on the plan's Proxmox storage.
use crate::base::answer::Answer;
use crate::cozystack::addons::{
    CREDENTIALS, CSI_CONFIG, CSI_DRIVER_NAME, CSI_NAMESPACE, CsiInput, Object, proxmox_csi,
};
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{Kind, Reader};
use crate::plan::model::Plan;
use crate::steps::addons::access::CSI;
use crate::steps::addons::probe::{self, Credentials};
use crate::steps::addons::trust::{self, Trust};
use crate::steps::cluster::{self, Standing, get, is_true, items, part, proven, said, seen, standing, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, flux, follow, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day4.csi";
const BAND: Band = Band::new(120, 600);
const RELEASE: &str = "proxmox-csi";
/// The driver's StorageClass.
pub const CLASS: &str = "proxmox";

pub struct Csi {
    outline: Outline,
}

pub fn step(plan: &Plan) -> Csi {
    let csi = &plan.integration.csi;
    let title = format!("StorageClass {CLASS} makes volumes on Proxmox storage {}", csi.storage);
    let by_hand = format!(
        "kubectl get helmrelease -n {CSI_NAMESPACE} {RELEASE}\nkubectl get csidriver {CSI_DRIVER_NAME}\n\
         kubectl get csinodes -o yaml\nkubectl get storageclass {CLASS}"
    );
    let outline = outlines::change(StepId::new(KIND), 4, title, BAND, by_hand)
        .after([StepId::of(super::proxmox_token::KIND, CSI.name), StepId::new(super::topology_labels::KIND)]);
    Csi { outline }
}

const CREDENTIALS_OF: Credentials = Credentials {
    access: CSI,
    namespace: CSI_NAMESPACE,
    secret: CSI_CONFIG,
    keys: ["url", "token", "secret"],
    // The driver's URL has the API's path in it.
    path: "",
};
/// The pods that talk with Proxmox VE: the chart's own labels.
const CONTROLLER: &str = "app.kubernetes.io/name=proxmox-csi-plugin,app.kubernetes.io/component=controller";

fn objects(site: &Reading, trust: &Trust) -> Vec<Object> {
    let csi = &site.plan.integration.csi;
    let input = CsiInput {
        proxmox: trust.access.clone(),
        region: csi.region.clone(),
        storage: csi.storage.clone(),
        chart_version: csi.chart_version.clone(),
    };
    proxmox_csi(site.label(), &input)
}

/// `None` when every pod of the list was started with these credentials and is ready; else what is missing.
fn started_anew(pods: &[Value], digest: &str) -> Option<String> {
    let current = |pod: &Value| {
        let with = pod.pointer("/metadata/annotations").and_then(|a| a.get(CREDENTIALS)).and_then(Value::as_str);
        with == Some(digest)
    };
    if pods.is_empty() {
        return Some("the driver's controller has no pod yet".to_string());
    }
    if let Some(pod) = pods.iter().find(|pod| !current(pod)) {
        return Some(format!("pod {} was started with older credentials", text(pod, "/metadata/name")));
    }
    let waiting = pods.iter().find(|pod| !is_true(pod, "Ready"))?;
    Some(format!("pod {}: {}", text(waiting, "/metadata/name"), said(waiting, "Ready")))
}

/// A driver that was there before our release: Helm would refuse to take it over.
async fn other_driver(reader: &Reader) -> Result<Option<Failure>, Failure> {
    if get(reader, &Kind::HELM_RELEASE, Some(CSI_NAMESPACE), RELEASE).await?.is_some() {
        return Ok(None);
    }
    let Some(driver) = get(reader, &Kind::CSI_DRIVER, None, CSI_DRIVER_NAME).await? else { return Ok(None) };
    let place = text(&driver.value, "/metadata/annotations/meta.helm.sh~1release-namespace");
    let place = if place.is_empty() { String::new() } else { format!(" (by a Helm release in namespace {place})") };
    Ok(Some(Failure::refused(
        format!("the CSI driver {CSI_DRIVER_NAME} is installed already{place}"),
        "remove that installation if nobody uses it, or set integration.csi.enabled to false in the plan",
    )))
}

/// The chart as Flux fetched it.
struct Chart {
    found: Answer<Value>,
    /// Under which name its digest is recorded.
    name: String,
    sha256: String,
}

/// The chart of the release, compared with what this run saw first; `None` while Flux has none.
///
/// # Errors
/// When it is another one than before.
async fn chart(site: &Reading, reader: &Reader) -> Result<Option<Chart>, Failure> {
    let place = format!("{CSI_NAMESPACE}-{RELEASE}");
    let Some(found) = get(reader, &Kind::HELM_CHART, Some(CSI_NAMESPACE), &place).await? else { return Ok(None) };
    let sha256 = text(&found.value, "/status/artifact/digest").strip_prefix("sha256:").unwrap_or_default().to_string();
    let version = &site.plan.integration.csi.chart_version;
    // Flux may still have the chart of an earlier version.
    if sha256.is_empty() || text(&found.value, "/status/artifact/revision") != version {
        return Ok(None);
    }
    let name = format!("chart proxmox-csi-plugin {version}");
    let next = "name another chart version in integration.csi.chart_version only when you trust it";
    site.digests().agree(&name, &sha256, next)?;
    Ok(Some(Chart { found, name, sha256 }))
}

/// The proof with the chart's digest, which is then compared at every later look.
fn recorded(observed: Observed, chart: Option<Chart>) -> Observed {
    match (observed, chart) {
        (Observed::Satisfied(proof), Some(chart)) => Observed::Satisfied(proof.records(chart.name, chart.sha256)),
        (observed, _) => observed,
    }
}

/// The driver on every node of the plan, or where it is not registered.
///
/// # Errors
/// When the nodes' drivers can't be listed.
async fn registered(cx: &dyn Context, site: &Reading, reader: &Reader) -> Result<Result<Evidence, String>, Failure> {
    let listed = reader.list(&Kind::CSI_NODE, None, None).await;
    let listed = listed.map_err(|e| failures::kubernetes(&e, "list the CSINodes"))?;
    let names = site.plan.nodes.iter().map(|n| n.name.as_str());
    let without: Vec<&str> = names.filter(|n| !has_driver(&listed.value, n)).collect();
    if !without.is_empty() {
        return Ok(Err(format!("the driver is not registered on {}", without.join(", "))));
    }
    let rows = listed.value.iter().map(|n| {
        let own = items(n, "/spec/drivers").find(|d| text(d, "/name") == CSI_DRIVER_NAME);
        json!({"node": n.pointer("/metadata/name"), "driver": own})
    });
    Ok(Ok(seen(cx, &part(&listed, "this driver on each node", rows))))
}

fn has_driver(csi_nodes: &[Value], node: &str) -> bool {
    csi_nodes
        .iter()
        .find(|n| text(n, "/metadata/name") == node)
        .is_some_and(|n| items(n, "/spec/drivers").any(|d| text(d, "/name") == CSI_DRIVER_NAME))
}

#[async_trait]
impl Step<Installation> for Csi {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        let trust = trust::of(site, CSI).await?;
        match standing(site, &objects(site, &trust)).await? {
            Standing::Absent(seen) => {
                return Ok(other_driver(&reader).await?.map_or(Observed::Absent(seen), Observed::Conflict));
            }
            Standing::Conflict(failure) => return Ok(Observed::Conflict(failure)),
            Standing::Applied(_) => {}
        }
        let (mut readings, mut lacks) = (Vec::new(), Vec::new());
        match flux::look(cx, &reader, CSI_NAMESPACE, RELEASE).await? {
            flux::Look::Ready(reading) => readings.push(reading),
            flux::Look::Lacks(lack) => lacks.push(lack),
        }
        let chart = chart(site, &reader).await?;
        readings.extend(chart.iter().map(|chart| seen(cx, &chart.found)));
        match get(&reader, &Kind::CSI_DRIVER, None, CSI_DRIVER_NAME).await? {
            Some(found) => readings.push(seen(cx, &found)),
            None => lacks.push(format!("there is no CSIDriver {CSI_DRIVER_NAME} yet")),
        }
        match get(&reader, &Kind::STORAGE_CLASS, None, CLASS).await? {
            Some(found) if text(&found.value, "/provisioner") == CSI_DRIVER_NAME => readings.push(seen(cx, &found)),
            Some(found) => lacks.push(format!("StorageClass {CLASS} is of {}", text(&found.value, "/provisioner"))),
            None => lacks.push(format!("there is no StorageClass {CLASS} yet")),
        }
        match registered(cx, site, &reader).await? {
            Ok(evidence) => readings.push(evidence),
            Err(lack) => lacks.push(lack),
        }
        let pods = reader.list(&Kind::POD, Some(CSI_NAMESPACE), Some(CONTROLLER)).await;
        let pods = pods.map_err(|e| failures::kubernetes(&e, "list the pods of the driver's controller"))?;
        match started_anew(&pods.value, &trust.access.digest()) {
            Some(what) => lacks.push(what),
            None => {
                let rows = pods.value.iter().map(|p| {
                    let with = p.pointer("/metadata/annotations").and_then(|a| a.get(CREDENTIALS));
                    json!({"pod": p.pointer("/metadata/name"), CREDENTIALS: with})
                });
                readings.push(seen(cx, &part(&pods, "with which credentials each was started", rows)));
            }
        }
        match probe::look(cx, site, &CREDENTIALS_OF, &trust).await? {
            probe::State::Missing(what) => return Ok(Observed::Absent(what)),
            probe::State::Refused(failure) => return Err(failure),
            probe::State::Underway(what) => lacks.push(what),
            probe::State::Answered(evidence) => readings.extend(evidence),
        }
        if lacks.is_empty() {
            readings.push(Evidence::of("Proxmox", cx.clock().now(), &trust.anchor));
            let (nodes, by) = (site.plan.nodes.len(), trust::describe(&trust.anchor.value));
            let summary = format!("the driver is registered on {nodes} nodes and its token is taken from inside; {by}");
            return Ok(recorded(proven(summary, readings)?, chart));
        }
        Ok(Observed::Underway(Wait::new("the CSI driver works on every node", lacks.join("; "), BAND)))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let trust = trust::of(site, CSI).await?;
        cluster::apply(change, &objects(site, &trust)).await?;
        probe::ensure(site, change, &CREDENTIALS_OF, &trust).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::HELM_RELEASE, Some(CSI_NAMESPACE), None, Duration::from_secs(3)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// cozystack.md 2.14
    #[test]
    fn a_pod_that_was_started_with_another_token_is_not_the_one_that_is_meant() {
        let pod = |digest: &str, ready: &str| {
            json!({"metadata": {"name": "p", "annotations": {CREDENTIALS: digest}},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}})
        };
        assert_eq!(started_anew(&[pod("new", "True")], "new"), None);
        assert!(started_anew(&[pod("new", "True"), pod("old", "True")], "new").unwrap().contains("older credentials"));
        assert!(started_anew(&[pod("new", "False")], "new").unwrap().contains("Ready is False"));
        assert!(started_anew(&[], "new").unwrap().contains("no pod yet"));
    }

    #[test]
    fn a_node_has_the_driver_only_when_it_lists_it() {
        let nodes = [
            json!({"metadata": {"name": "a"}, "spec": {"drivers": [{"name": CSI_DRIVER_NAME}]}}),
            json!({"metadata": {"name": "b"}, "spec": {"drivers": [{"name": "linstor.csi.linbit.com"}]}}),
        ];
        assert!(has_driver(&nodes, "a") && !has_driver(&nodes, "b") && !has_driver(&nodes, "c"));
    }
}
