//! `day4.csi`: volumes of the cluster can lie on the plan's Proxmox storage.
use super::access::CSI;
use crate::cozystack::addons::{CSI_DRIVER_NAME, CSI_NAMESPACE, CsiInput, Object, proxmox_csi};
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{Kind, Reader};
use crate::plan::model::Plan;
use crate::steps::cluster::{self, Standing, get, items, part, proven, seen, standing, text};
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

/// The chart can't pin a certificate: a Proxmox VE whose certificate no public authority vouches for is not verified.
fn is_unverified(plan: &Plan) -> bool {
    plan.site.fingerprint.is_some()
}

fn objects(site: &Reading) -> Result<Vec<Object>, Failure> {
    let csi = &site.plan.integration.csi;
    let input = CsiInput {
        url: site.plan.site.url.to_string(),
        token_id: CSI.token_id(),
        token_secret: CSI.secret(site)?,
        insecure: is_unverified(&site.plan),
        region: csi.region.clone(),
        storage: csi.storage.clone(),
        chart_version: csi.chart_version.clone(),
    };
    Ok(proxmox_csi(site.label(), &input))
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
        match standing(site, &objects(site)?).await? {
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
        match get(&reader, &Kind::CSI_DRIVER, None, CSI_DRIVER_NAME).await? {
            Some(found) => readings.push(seen(cx, &found)),
            None => lacks.push(format!("there is no CSIDriver {CSI_DRIVER_NAME} yet")),
        }
        match get(&reader, &Kind::STORAGE_CLASS, None, CLASS).await? {
            Some(found) if text(&found.value, "/provisioner") == CSI_DRIVER_NAME => readings.push(seen(cx, &found)),
            Some(found) => lacks.push(format!("StorageClass {CLASS} is of {}", text(&found.value, "/provisioner"))),
            None => lacks.push(format!("there is no StorageClass {CLASS} yet")),
        }
        let listed = reader.list(&Kind::CSI_NODE, None, None).await;
        let listed = listed.map_err(|e| failures::kubernetes(&e, "list the CSINodes"))?;
        let without: Vec<&str> =
            site.plan.nodes.iter().map(|n| n.name.as_str()).filter(|n| !has_driver(&listed.value, n)).collect();
        if without.is_empty() {
            let rows = listed.value.iter().map(|n| {
                let own = items(n, "/spec/drivers").find(|d| text(d, "/name") == CSI_DRIVER_NAME);
                json!({"node": n.pointer("/metadata/name"), "driver": own})
            });
            readings.push(seen(cx, &part(&listed, "this driver on each node", rows)));
        } else {
            lacks.push(format!("the driver is not registered on {}", without.join(", ")));
        }
        if lacks.is_empty() {
            let nodes = site.plan.nodes.len();
            let deviation = if is_unverified(&site.plan) {
                "; deviation: it does not verify the certificate of Proxmox VE (insecure: true), \
                 because its chart can't pin one"
            } else {
                ""
            };
            return proven(format!("the driver is registered on {nodes} nodes{deviation}"), readings);
        }
        Ok(Observed::Underway(Wait::new("the CSI driver works on every node", lacks.join("; "), BAND)))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        cluster::apply(change, &objects(site)?).await
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

    #[test]
    fn a_node_has_the_driver_only_when_it_lists_it() {
        let nodes = [
            json!({"metadata": {"name": "a"}, "spec": {"drivers": [{"name": CSI_DRIVER_NAME}]}}),
            json!({"metadata": {"name": "b"}, "spec": {"drivers": [{"name": "linstor.csi.linbit.com"}]}}),
        ];
        assert!(has_driver(&nodes, "a") && !has_driver(&nodes, "b") && !has_driver(&nodes, "c"));
    }
}
