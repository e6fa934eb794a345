//! `day6.worker_pods`: a pod on each worker asks the cluster's DNS and is answered, and its log comes back through the node.
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::proven;
use crate::steps::objects::{self, BAND, PodState};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::workers::{self, NAMESPACE, TAINT};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day6.worker_pods";

pub struct WorkerPods {
    outline: Outline,
    count: usize,
    /// The name that the pods look up.
    host: String,
}

pub fn step(plan: &Plan) -> WorkerPods {
    let count = plan.workers();
    let host = format!("kubernetes.default.svc.{}", plan.network.cluster_domain);
    let title = "a pod on each worker starts and is answered";
    let by_hand = format!("kubectl -n {NAMESPACE} get pods -o wide\nkubectl -n {NAMESPACE} logs POD");
    let outline = outlines::change(StepId::new(KIND), 6, title, BAND, by_hand)
        .after([StepId::new(super::worker_nodes::KIND)])
        .momentary();
    WorkerPods { outline, count: count as usize, host }
}

impl WorkerPods {
    /// The word of the pod on this node.
    fn word(&self, site: &Reading, node: &str) -> String {
        format!("{}-{node}", objects::token(site, &self.outline.id))
    }

    fn pod(&self, site: &Reading, node: &str) -> Value {
        // The word is written only when the look-up before it succeeded.
        let script = format!("nslookup {} && echo {}", self.host, self.word(site, node));
        let mut pod = objects::job(site, &script, None);
        if let Some(spec) = pod.pointer_mut("/spec").and_then(Value::as_object_mut) {
            spec.insert("nodeSelector".into(), json!({"kubernetes.io/hostname": node}));
            spec.insert("tolerations".into(), json!([{"key": TAINT, "operator": "Exists"}]));
        }
        pod
    }
}

#[async_trait]
impl Step<Installation> for WorkerPods {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (_, nodes) = workers::nodes(site).await?;
        if nodes.len() != self.count {
            return Err(Failure::retryable(
                format!("{} of {} workers are nodes of the cluster", nodes.len(), self.count),
                "cozyup looks again; see day6.worker_nodes",
            ));
        }
        let mut readings = Vec::new();
        for node in &nodes {
            match objects::pod_state(cx, site, NAMESPACE, &node.name, "run a pod on a worker").await? {
                PodState::Missing => return Ok(Observed::Absent(format!("there is no pod on {}", node.name))),
                PodState::Underway(wait) => return Ok(Observed::Underway(wait)),
                PodState::Done { evidence, log } => {
                    let word = self.word(site, &node.name);
                    // Its only use here is the refusal of a pod that ended well without its word.
                    objects::word_found(&log, &word, evidence.clone(), "a pod ran on a worker")?;
                    readings.extend(evidence);
                }
            }
        }
        proven(format!("pods ran on {} workers and resolved {}", nodes.len(), self.host), readings)
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let (_, nodes) = workers::nodes(site).await?;
        for node in &nodes {
            let pod = self.pod(site, &node.name);
            objects::apply(site, change, &Kind::POD, Some(NAMESPACE), &node.name, pod).await?;
        }
        Ok(())
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::worker_removal::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::POD, Some(NAMESPACE), None, Duration::from_secs(3)).await;
    }
}
