//! `day6.lone_machines`: every ProxmoxMachine of the cluster, and whether a VM can come of it. An object alone makes none.
use crate::base::text::shorten;
use crate::cozystack::cluster_api::Progress;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::Band;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{part, text};
use crate::steps::cluster_api::words;
use crate::steps::site::{Installation, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day6.lone_machines";
/// As many are named.
const NAMED: usize = 10;

pub struct LoneMachines {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> LoneMachines {
    let title = "objects from which no VM will come are known";
    let by_hand = format!("kubectl get {} -A -o wide", Kind::PROXMOX_MACHINE.resource());
    LoneMachines { outline: outlines::check(StepId::new(KIND), 6, title, Band::new(5, 60), by_hand).momentary() }
}

/// `default/old-0: waits for …`, of those that have no VM.
fn without_vm(machines: &[Value]) -> Vec<String> {
    let of = |m: &Value| match Progress::of(m) {
        Progress::Made(_) => None,
        progress => {
            let name = format!("{}/{}", text(m, "/metadata/namespace"), text(m, "/metadata/name"));
            Some(format!("{name}: {}", words(&progress)))
        }
    };
    machines.iter().filter_map(of).collect()
}

#[async_trait]
impl Check<Installation> for LoneMachines {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let all = site.kubernetes()?.list(&Kind::PROXMOX_MACHINE, None, None).await;
        let all = all.map_err(|e| failures::kubernetes(&e, "list the machines of Cluster API"))?;
        let lone = without_vm(&all.value);
        let rows = all.value.iter().map(|m| json!([text(m, "/metadata/namespace"), text(m, "/metadata/name")]));
        let evidence = Evidence::of("Kubernetes", cx.clock().now(), &part(&all, "machines of Cluster API", rows));
        let summary = match lone.len() {
            0 => format!("{} machines of Cluster API, each with its VM", all.value.len()),
            n => format!("{n} of {} machines of Cluster API have no VM", all.value.len()),
        };
        let remarks = lone.iter().take(NAMED).map(|line| shorten(line, 200));
        let proof = remarks.fold(Proof::new(summary, evidence), Proof::mind);
        Ok(Observed::Satisfied(proof))
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(5)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_somebody_applied_alone_is_named_with_what_it_waits_for() {
        let alone = json!({"metadata": {"namespace": "default", "name": "old-0"}, "spec": {"templateID": 9000}});
        assert_eq!(without_vm(&[alone]), ["default/old-0: waits for its owner Machine; no VM will come before"]);
    }
}
