//! `day2.boot/NODE`: the node runs the right Talos with the right extensions, and its services have come as far as they
//! can by themselves.
//!
//! That is a healthy kubelet on a worker. On a control plane it is an etcd that waits to be bootstrapped or to join
//! (`Preparing`): Talos lets it come so far only when the CRI runs, the node knows the time and its addresses, which is all
//! that a bootstrap asks for. Its kubelet is not waited for: nothing in Talos makes a bootstrap depend on it.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::observed::Fact;
use crate::plan::model::{NodePlan, Plan, Role};
use crate::steps::site::{Installation, Reading, address};
use crate::steps::{failures, follow, outlines};
use crate::talos::client::facts::Service;
use crate::talos::{Secure, watch};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day2.boot";
const BAND: Band = Band::new(90, 420);
/// Until the time servers have answered.
const TIME: Band = Band::new(20, 120);

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

/// The part of a machine that is not up yet.
#[derive(Debug, PartialEq, Eq)]
enum Missing {
    /// It comes by itself.
    Comes(String),
    /// It waits for the node to know the time.
    Time(String),
    /// Talos has given it up.
    Failed(String),
}

fn missing(services: &[Service], role: Role) -> Option<Missing> {
    let (id, is_up): (_, fn(&Service) -> bool) = match role {
        Role::Worker => ("kubelet", Service::is_up),
        Role::ControlPlane => ("etcd", |s| s.state == "Preparing" || s.state == "Running"),
    };
    let told = |s: &Service| match s {
        s if s.has_failed() => Missing::Failed(s.to_string()),
        s if s.waits_for_time() => Missing::Time(s.to_string()),
        s => Missing::Comes(s.to_string()),
    };
    match services.iter().find(|s| s.id == id) {
        Some(s) if is_up(s) => {}
        Some(s) => return Some(told(s)),
        None => return Some(Missing::Comes(format!("{id} is not started"))),
    }
    // An extension that waits for a configuration keeps the node booting and restarts it every 70 minutes.
    services.iter().find(|s| s.id.starts_with("ext-") && s.state == "Waiting").map(told)
}

#[async_trait]
impl Check<Installation> for Boot {
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
        if let Some(missing) = missing(&services.value, self.node.role) {
            return Ok(self.not_yet(site, &missing));
        }
        let system = format!("Talos {}", self.node.address);
        let now = cx.clock().now();
        let up = match self.node.role {
            Role::Worker => "kubelet is healthy",
            Role::ControlPlane => "etcd can be bootstrapped, or is of the cluster already",
        };
        let summary = format!("{} runs Talos {} with {}; {up}", self.node.name, version.value, wanted.join(", "));
        let proof = Proof::new(summary, Evidence::of(&system, now, &version))
            .and(Evidence::of(&system, now, &extensions))
            .and(Evidence::of(&system, now, &services));
        Ok(Observed::Satisfied(proof))
    }

    fn rests_on(&self) -> Vec<Fact> {
        let vmid = self.node.vmid;
        vec![Fact::VmThere(vmid), Fact::VmRunning(vmid)]
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::machine(cx, site, address(&self.node), watch::SERVICES, Duration::from_secs(4)).await;
    }
}

impl Boot {
    fn not_yet(&self, site: &Reading, missing: &Missing) -> Observed {
        let Boot { node, .. } = self;
        match missing {
            Missing::Comes(seen) => {
                Observed::Underway(Wait::new(format!("the services of {} are up", node.name), seen, BAND))
            }
            Missing::Time(seen) => {
                let servers = site.plan.time_servers();
                let next = failures::no_time_next(node, &servers);
                Observed::Underway(Wait::new(format!("{} knows the time", node.name), format!("{seen}; {next}"), TIME))
            }
            Missing::Failed(seen) => Observed::Conflict(failures::given_up(node, seen)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(id: &str, state: &str, healthy: Option<bool>, said: &str) -> Service {
        Service { id: id.into(), state: state.into(), healthy, last_message: said.into() }
    }

    /// A kubelet that is healthy before there is an API server is not proven by Talos' source: nothing waits for it.
    #[test]
    fn a_control_plane_is_up_when_its_etcd_can_be_bootstrapped_whatever_its_kubelet_does() {
        let etcd = service("etcd", "Preparing", None, "Running pre state");
        for kubelet in ["Waiting", "Preparing", "Failed"] {
            let services = [service("kubelet", kubelet, None, ""), etcd.clone()];
            assert_eq!(missing(&services, Role::ControlPlane), None, "{kubelet}");
        }
        let waits = service("etcd", "Waiting", None, "Waiting for etcd spec");
        let comes = |text: &str| Some(Missing::Comes(text.into()));
        assert_eq!(missing(&[waits], Role::ControlPlane), comes("etcd is Waiting: Waiting for etcd spec"));
        assert_eq!(missing(&[], Role::ControlPlane), comes("etcd is not started"));
    }

    #[test]
    fn a_worker_needs_a_healthy_kubelet_and_no_etcd() {
        assert_eq!(missing(&[service("kubelet", "Running", Some(true), "")], Role::Worker), None);
        let starts = [service("kubelet", "Running", None, "Started task kubelet")];
        let comes = Missing::Comes("kubelet is Running: Started task kubelet".into());
        assert_eq!(missing(&starts, Role::Worker), Some(comes));
    }

    /// reports.md B28
    #[test]
    fn services_that_wait_for_the_time_alone_say_that_the_node_gets_none() {
        let all = "Waiting for volume \"/var/lib\" to be mounted, volume \"ETCD\" to be mounted, \
                   service \"cri\" to be \"up\", time sync, network, etcd spec";
        let etcd = |said| [service("etcd", "Waiting", None, said)];
        assert!(
            matches!(missing(&etcd(all), Role::ControlPlane), Some(Missing::Comes(_))),
            "the list of the first moment"
        );
        assert!(matches!(missing(&etcd("Waiting for time sync"), Role::ControlPlane), Some(Missing::Time(_))));
        let kubelet = [service("kubelet", "Waiting", None, "Waiting for time sync")];
        assert!(matches!(missing(&kubelet, Role::Worker), Some(Missing::Time(_))));
    }

    #[test]
    fn a_service_that_talos_gave_up_is_a_persons_matter() {
        let failed = [service("etcd", "Failed", None, "failed to run pre stage: failed to pull image")];
        let told = "etcd is Failed: failed to run pre stage: failed to pull image";
        assert_eq!(missing(&failed, Role::ControlPlane), Some(Missing::Failed(told.into())));
    }

    /// As a real kubelet does when its first settings are replaced by those of the config.
    #[test]
    fn a_service_that_talos_stops_to_start_it_anew_has_not_failed() {
        let stopped = [service("kubelet", "Failed", None, "Condition failed: context canceled")];
        let told = "kubelet is Failed: Condition failed: context canceled";
        assert_eq!(missing(&stopped, Role::Worker), Some(Missing::Comes(told.into())));
    }

    #[test]
    fn an_extension_that_waits_for_its_configuration_is_named() {
        let services = [service("kubelet", "Running", Some(true), ""), service("ext-lldpd", "Waiting", None, "")];
        assert_eq!(missing(&services, Role::Worker), Some(Missing::Comes("ext-lldpd is Waiting".into())));
    }
}
