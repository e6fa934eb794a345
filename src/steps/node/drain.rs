//! `node.drain/NAME`: the machine takes no pods any more, and has given away those that it had: by eviction, so that
//! PodDisruptionBudgets hold.
use super::bearing;
use crate::base::answer::Answer;
use crate::base::day::Day;
use crate::base::text::some;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{Error, Evicted, Kind};
use crate::plan::model::NodePlan;
use crate::steps::cluster::{get, is_deleting, is_true, part, proven, seen, text};
use crate::steps::drills::told;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, node_pods as pods, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "node.drain";
const BAND: Band = Band::new(120, 900);
/// Between two rounds while a budget holds a pod (`kubectl drain` pauses as long).
const PAUSE: Duration = Duration::from_secs(5);
/// Written beside the cordon, so that nobody else's is taken away; the value is the run's label.
pub const ANNOTATION: &str = "cozyup.dev/removal";
/// Names shown of many.
const SHOWN: usize = 5;

pub struct Drain {
    outline: Outline,
    node: NodePlan,
}

pub fn step(node: &NodePlan, after: impl IntoIterator<Item = StepId>) -> Drain {
    let by_hand =
        format!("kubectl cordon {0}\nkubectl drain {0} --ignore-daemonsets --delete-emptydir-data", node.name);
    let title = format!("{} has given its pods away", told(node));
    let outline = outlines::change_on(StepId::of(KIND, &node.name), Day::Teardown, title, BAND, by_hand).after(after);
    Drain { outline, node: node.clone() }
}

impl Drain {
    async fn node(&self, site: &Reading) -> Result<Option<Answer<Value>>, Failure> {
        get(&site.kubernetes()?, &Kind::NODE, None, &self.node.name).await
    }

    async fn pods(&self, site: &Reading) -> Result<Answer<Vec<Value>>, Failure> {
        let all = site.kubernetes()?.list(&Kind::POD, None, None).await;
        all.map_err(|e| failures::kubernetes(&e, "list the pods"))
    }

    /// Whose volumes the cluster has still attached to the machine.
    async fn attached(&self, site: &Reading) -> Result<(Answer<()>, Vec<String>), Failure> {
        let all = site.kubernetes()?.list(&Kind::VOLUME_ATTACHMENT, None, None).await;
        let all = all.map_err(|e| failures::kubernetes(&e, "list the volume attachments"))?;
        let of_it = |a: &&Value| text(a, "/spec/nodeName") == self.node.name;
        let volume = |a: &Value| text(a, "/spec/source/persistentVolumeName").to_string();
        let names: Vec<String> = all.value.iter().filter(of_it).map(volume).collect();
        let shown = part(&all, "those of the machine", names.iter().map(|name| json!(name)));
        Ok((shown, names))
    }

    async fn cordon(&self, site: &Reading, change: &Changing, node: &Value) -> Result<(), Failure> {
        // The uid makes the server refuse it when another node has the name by now.
        let patch = json!({
            "metadata": {"uid": text(node, "/metadata/uid"), "annotations": {ANNOTATION: site.label()}},
            "spec": {"unschedulable": true},
        });
        let written = change.kubernetes()?.merge_patch(&Kind::NODE, None, &self.node.name, &patch).await;
        written.map(drop).map_err(|e| failures::kubernetes(&e, &format!("cordon {}", self.node.name)))
    }

    /// Evicts what may be evicted now; the pods that a budget holds.
    async fn round(&self, change: &Changing, all: &[Value]) -> Result<Vec<String>, Failure> {
        let (changer, mut held) = (change.kubernetes()?, Vec::new());
        for pod in pods::moving(all, &self.node.name).filter(|pod| !is_deleting(pod)) {
            let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
            match changer.evict(namespace, name, text(pod, "/metadata/uid")).await {
                Ok(Evicted::Going) | Err(Error::Conflict { .. }) => {}
                Ok(Evicted::Held(_)) => held.push(pods::named(pod)),
                Err(e) => return Err(failures::kubernetes(&e, &format!("evict pod {namespace}/{name}"))),
            }
        }
        Ok(held)
    }
}

fn is_cordoned(node: &Value) -> bool {
    node.pointer("/spec/unschedulable") == Some(&json!(true))
}

fn held_by(held: &[String]) -> String {
    format!("PodDisruptionBudgets forbid it for {} (kubectl get poddisruptionbudgets -A says why)", some(held, SHOWN))
}

#[async_trait]
impl Step<Installation> for Drain {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let name = &self.node.name;
        let all = self.pods(site).await?;
        let on_node = all.value.iter().filter(|pod| text(pod, "/spec/nodeName") == name);
        let shown = part(&all, "those of the machine", on_node.map(|pod| json!(pods::named(pod))));
        let Some(node) = self.node(site).await? else {
            return proven(format!("{name} is no node of the cluster"), vec![seen(cx, &shown)]);
        };
        if !is_cordoned(&node.value) {
            return Ok(Observed::Absent(format!("{name} takes pods")));
        }
        if !is_true(&node.value, "Ready") {
            // No kubelet ends them. They go with the node's object, once the machine is off for sure.
            let summary = format!("{name} takes no pods; it is not Ready, so those on it go with its node object");
            return proven(summary, vec![seen(cx, &node), seen(cx, &shown)]);
        }
        let (going, staying): (Vec<&Value>, Vec<&Value>) =
            pods::moving(&all.value, name).partition(|pod| is_deleting(pod));
        let names = |pods: &[&Value]| pods.iter().map(|pod| pods::named(pod)).collect::<Vec<_>>();
        if !staying.is_empty() {
            return Ok(Observed::Unfinished(format!(
                "{} pods are to go: {}",
                staying.len(),
                some(names(&staying), SHOWN)
            )));
        }
        let wait =
            |seen: String| Ok(Observed::Underway(Wait::new(format!("the last pod of {name} has ended"), seen, BAND)));
        if !going.is_empty() {
            return wait(format!("{} end: {}", going.len(), some(names(&going), SHOWN)));
        }
        let (attached, volumes) = self.attached(site).await?;
        if !volumes.is_empty() {
            return wait(format!("volumes are still attached to it: {}", some(&volumes, SHOWN)));
        }
        let summary = format!("{name} takes no pods and has none but its own, and no volume is attached to it");
        proven(summary, vec![seen(cx, &shown), seen(cx, &node), seen(cx, &attached)])
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        // Asked right before: a gate may have held the act for hours since the look.
        bearing::judge(cx, site, &self.node).await?.map_err(|why| why.failure(&self.node))?;
        match self.node(site).await? {
            Some(node) if !is_cordoned(&node.value) => self.cordon(site, change, &node.value).await?,
            Some(_) => {}
            None => return Ok(()),
        }
        loop {
            let held = self.round(change, &self.pods(site).await?.value).await?;
            if held.is_empty() || cx.stopping() {
                return Ok(());
            }
            cx.waiting(Wait::new(format!("every pod of {} may be evicted", self.node.name), held_by(&held), BAND));
            cx.clock().sleep(PAUSE).await;
        }
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::POD, None, None, PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_names_the_pods_that_a_budget_holds_and_how_to_see_why() {
        let names: Vec<String> = (0..7).map(|n| format!("a/p{n}")).collect();
        let told = held_by(&names);
        assert!(
            told.contains("a/p0, a/p1, a/p2, a/p3, a/p4 and 2 more") && told.contains("poddisruptionbudgets"),
            "{told}"
        );
    }
}
