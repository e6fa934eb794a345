//! `day5.pods`: no pod is stuck. `Running` is not enough: its containers must be ready.
use crate::cozystack::addons::RUN_LABEL;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{Kind, PodStatus};
use crate::plan::model::Plan;
use crate::steps::objects::NAMESPACE;
use crate::steps::site::{Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day5.pods";
const BAND: Band = Band::new(60, 600);

pub struct Pods {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Pods {
    let title = "every pod runs with its containers ready, or has done its work";
    Pods { outline: outlines::check(StepId::new(KIND), 5, title, BAND, "kubectl get pods -A") }
}

fn is_well(pod: &PodStatus) -> bool {
    pod.phase == "Succeeded" || (pod.phase == "Running" && pod.ready)
}

/// Pods on other nodes are not the platform's state: workers that Cluster API made come and go with theirs.
fn is_on_plan(plan: &Plan, pod: &PodStatus) -> bool {
    pod.node.is_empty() || plan.nodes.iter().any(|node| node.name == pod.node)
}

#[async_trait]
impl Check<Installation> for Pods {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        // A pod of a later day's test may wait for just what that day does next, and a run that goes on looks here first.
        let others = format!("{RUN_LABEL}!={}", site.label());
        let pods = site.kubernetes()?.pods(None, Some(&others)).await;
        let pods = pods.map_err(|e| failures::kubernetes(&e, "list the pods"))?;
        let counts = |p: &&PodStatus| p.namespace != NAMESPACE && is_on_plan(&site.plan, p);
        let others: Vec<&PodStatus> = pods.value.iter().filter(counts).collect();
        let unwell: Vec<&&PodStatus> = others.iter().filter(|p| !is_well(p)).collect();
        if let Some(first) = unwell.first() {
            let reason = first.waiting_reason.as_deref().unwrap_or("not ready");
            let seen = format!(
                "{} of {}; {}/{}: {} {reason}",
                others.len() - unwell.len(),
                others.len(),
                first.namespace,
                first.name,
                first.phase
            );
            let wait = Wait::new("every pod is well", seen, BAND).with_progress(
                (others.len() - unwell.len()) as u64,
                others.len() as u64,
                "pods",
            );
            return Ok(Observed::Underway(wait));
        }
        let evidence = Evidence::of("Kubernetes", cx.clock().now(), &pods);
        Ok(Observed::Satisfied(Proof::new(format!("{} pods, none stuck", others.len()), evidence)))
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::POD, None, None, Duration::from_secs(4)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(phase: &str, ready: bool, node: &str) -> PodStatus {
        PodStatus {
            namespace: "a".into(),
            name: "b".into(),
            phase: phase.into(),
            ready,
            restarts: 0,
            node: node.into(),
            waiting_reason: None,
            ip: String::new(),
            started: None,
            release: None,
        }
    }

    #[test]
    fn a_running_pod_with_a_container_that_is_not_ready_is_not_well() {
        assert!(is_well(&pod("Running", true, "")) && is_well(&pod("Succeeded", false, "")));
        assert!(!is_well(&pod("Running", false, "")) && !is_well(&pod("Failed", false, "")));
    }

    #[test]
    fn a_pod_on_a_worker_that_cluster_api_made_does_not_hold_up_day_5() {
        let plan = crate::steps::day0::tests::plan();
        let planned = plan.nodes[0].name.as_str();
        assert!(is_on_plan(&plan, &pod("Running", false, planned)) && is_on_plan(&plan, &pod("Pending", false, "")));
        assert!(!is_on_plan(&plan, &pod("Running", false, "workers-abcde-fghij")));
    }
}
