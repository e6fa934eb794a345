//! `day2.boot/NODE`: the node runs the right Talos with the right extensions, and its services are up.
//!
//! A control plane's etcd waits (`Preparing`) until it is bootstrapped or joins; that is up enough here.
use crate::engine::failure::Failure;
use crate::engine::proof::{Proof, Reading as Evidence};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::{NodePlan, Plan, Role};
use crate::steps::site::{Changing, Installation, Reading, address};
use crate::steps::{failures, follow, outlines};
use crate::talos::client::facts::Service;
use crate::talos::{Secure, watch};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day2.boot";
const BAND: Band = Band::new(90, 420);

pub struct Boot {
    outline: Outline,
    node: NodePlan,
}

pub fn step(plan: &Plan, node: &NodePlan) -> Boot {
    let title = format!("{} runs its services", node.name);
    let by_hand =
        format!("talosctl -n {0} version; talosctl -n {0} get extensions; talosctl -n {0} services", node.address);
    let outline = outlines::check(StepId::of(KIND, &node.name), 2, title, BAND, by_hand)
        .after([StepId::of(if plan.by_cdrom() { super::deliver::KIND } else { super::apply::KIND }, &node.name)]);
    Boot { outline, node: node.clone() }
}

/// What is not up yet, if anything.
fn missing(services: &[Service], role: Role) -> Option<String> {
    let find = |id: &str| services.iter().find(|s| s.id == id);
    let told = |s: &Service| {
        format!(
            "{} is {}{}",
            s.id,
            s.state,
            if s.last_message.is_empty() { String::new() } else { format!(": {}", s.last_message) }
        )
    };
    match find("kubelet") {
        Some(s) if s.state == "Running" && s.healthy == Some(true) => {}
        Some(s) => return Some(told(s)),
        None => return Some("kubelet is not started".to_string()),
    }
    if role == Role::ControlPlane {
        match find("etcd") {
            Some(s) if s.state == "Preparing" || s.state == "Running" => {}
            Some(s) => return Some(told(s)),
            None => return Some("etcd is not started".to_string()),
        }
    }
    // An extension that waits for a configuration keeps the node booting and restarts it every 70 minutes.
    services.iter().find(|s| s.id.starts_with("ext-") && s.state == "Waiting").map(told)
}

#[async_trait]
impl Step<Installation> for Boot {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let doing = format!("read {}", self.node.name);
        let failed = |e| failures::talos(&e, &doing);
        let node = Secure::connect(address(&self.node), &site.admin()?).await.map_err(failed)?;
        let version = node.version().await.map_err(failed)?;
        if version.value != site.plan.talos.version {
            return Err(Failure::person(
                format!("{} runs Talos {}, the plan wants {}", self.node.name, version.value, site.plan.talos.version),
                "the template was made from another image: remove it and the clones, then run again",
            ));
        }
        let extensions = node.extensions().await.map_err(failed)?;
        let wanted = &site.release.talos.extensions;
        if let Some(absent) = wanted.iter().find(|w| !extensions.value.iter().any(|(name, _)| name == *w)) {
            return Err(Failure::person(
                format!("{} has no extension {absent}: LINSTOR can't work on it", self.node.name),
                "this is not CozyStack's Talos image: give its nocloud image in the plan, make template and clones anew",
            ));
        }
        let services = node.services().await.map_err(failed)?;
        if let Some(seen) = missing(&services.value, self.node.role) {
            return Ok(Observed::Underway(Wait::new(format!("the services of {} are up", self.node.name), seen, BAND)));
        }
        let system = format!("Talos {}", self.node.address);
        let now = cx.clock().now();
        let summary =
            format!("{} runs Talos {} with {}; kubelet is healthy", self.node.name, version.value, wanted.join(", "));
        let proof = Proof::new(summary, Evidence::of(&system, now, &version))
            .and(Evidence::of(&system, now, &extensions))
            .and(Evidence::of(&system, now, &services));
        Ok(Observed::Satisfied(proof))
    }

    async fn act(&self, _cx: &dyn Context, _site: &Reading, _change: &Changing) -> Result<(), Failure> {
        Err(outlines::nothing_to_do(&self.outline))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::machine(cx, site, address(&self.node), watch::SERVICES, Duration::from_secs(4)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(id: &str, state: &str, healthy: Option<bool>) -> Service {
        Service { id: id.into(), state: state.into(), healthy, last_message: String::new() }
    }

    #[test]
    fn a_control_plane_that_waits_for_its_bootstrap_is_up_and_a_worker_needs_no_etcd() {
        let services = [service("kubelet", "Running", Some(true)), service("etcd", "Preparing", None)];
        assert_eq!(missing(&services, Role::ControlPlane), None);
        assert_eq!(missing(&services[..1], Role::Worker), None);
        assert_eq!(missing(&services[..1], Role::ControlPlane).unwrap(), "etcd is not started");
    }

    #[test]
    fn an_extension_that_waits_for_its_configuration_is_named() {
        let services = [service("kubelet", "Running", Some(true)), service("ext-lldpd", "Waiting", None)];
        assert_eq!(missing(&services, Role::Worker).unwrap(), "ext-lldpd is Waiting");
    }
}
