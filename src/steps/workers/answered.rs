//! A pod on each worker asks the cluster's DNS and is answered, and its log comes back through the node.
use super::{Group, nodes};
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::proven;
use crate::steps::objects::{self, BAND, PodState};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub struct Answered {
    outline: Outline,
    group: &'static Group,
    count: usize,
    /// The name that the pods look up.
    host: String,
}

impl Answered {
    /// As [`super::deployed::Deployed::of`].
    pub fn of(
        id: StepId,
        group: &'static Group,
        plan: &Plan,
        count: u32,
        more: impl FnOnce(Outline) -> Outline,
    ) -> Answered {
        let host = format!("kubernetes.default.svc.{}", plan.network.cluster_domain);
        let (title, namespace) = ("a pod on each worker starts and is answered", group.namespace);
        let by_hand = format!("kubectl -n {namespace} get pods -o wide\nkubectl -n {namespace} logs POD");
        let outline = more(outlines::change_on(id, group.day, title, BAND, by_hand));
        Answered { outline, group, count: count as usize, host }
    }

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
            if let Some(taint) = self.group.taint {
                spec.insert("tolerations".into(), json!([{"key": taint, "operator": "Exists"}]));
            }
        }
        pod
    }
}

#[async_trait]
impl Step<Installation> for Answered {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (_, nodes) = nodes(site, self.group).await?;
        if nodes.len() != self.count {
            return Err(Failure::retryable(
                format!("{} of {} workers are nodes of the cluster", nodes.len(), self.count),
                "cozyup looks again; the step before this one says what they lack",
            ));
        }
        let mut readings = Vec::new();
        for node in &nodes {
            match objects::pod_state(cx, site, self.group.namespace, &node.name, "run a pod on a worker").await? {
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
        let (_, nodes) = nodes(site, self.group).await?;
        for node in &nodes {
            let pod = self.pod(site, &node.name);
            objects::apply(site, change, &Kind::POD, Some(self.group.namespace), &node.name, pod).await?;
        }
        Ok(())
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(self.group.removed_by)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::POD, Some(self.group.namespace), None, Duration::from_secs(3)).await;
    }
}
