//! `node.back/NAME`: the machine takes pods again, after its removal was begun and given up. There is such a step only then.
use super::drain::ANNOTATION;
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::NodePlan;
use crate::steps::cluster::{get, seen, text};
use crate::steps::day3::nodes_ready;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};

pub const KIND: &str = "node.back";
const BAND: Band = Band::new(5, 60);

pub struct Back {
    outline: Outline,
    node: NodePlan,
}

pub fn step(node: &NodePlan) -> Back {
    let title = format!("{} takes pods again, after its removal was given up", node.name);
    let by_hand = format!("kubectl uncordon {}", node.name);
    let outline =
        outlines::change(StepId::of(KIND, &node.name), 3, title, BAND, by_hand).after([StepId::new(nodes_ready::KIND)]);
    Back { outline, node: node.clone() }
}

/// How the node stands to pods.
#[derive(Debug, PartialEq, Eq)]
enum Takes {
    Pods,
    /// The run's own removal cordoned it.
    NoneByUs,
    /// Somebody else did.
    NoneByOthers,
}

fn takes(node: &Value, label: &str) -> Takes {
    let is_cordoned = node.pointer("/spec/unschedulable") == Some(&json!(true));
    let by_us = text(node, "/metadata/annotations/cozyup.dev~1removal") == label;
    match (is_cordoned, by_us) {
        (false, _) => Takes::Pods,
        (true, true) => Takes::NoneByUs,
        (true, false) => Takes::NoneByOthers,
    }
}

impl Back {
    async fn find(&self, site: &Reading) -> Result<Option<Answer<Value>>, Failure> {
        get(&site.kubernetes()?, &Kind::NODE, None, &self.node.name).await
    }
}

#[async_trait]
impl Step<Installation> for Back {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let name = &self.node.name;
        let Some(node) = self.find(site).await? else {
            let wait = Wait::new(format!("{name} is a node of the cluster"), "there is no such node", BAND);
            return Ok(Observed::Underway(wait));
        };
        let proof = |summary: String| Proof::new(summary, seen(cx, &node));
        Ok(match takes(&node.value, site.label()) {
            Takes::Pods => Observed::Satisfied(proof(format!("{name} takes pods"))),
            Takes::NoneByUs => Observed::Absent(format!("{name} takes no pods, since its removal was begun")),
            Takes::NoneByOthers => Observed::Satisfied(
                proof(format!("nothing of the removal is left on {name}"))
                    .mind(format!("somebody else has cordoned {name}: kubectl uncordon {name} when that is over")),
            ),
        })
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Some(node) = self.find(site).await? else { return Ok(()) };
        if takes(&node.value, site.label()) != Takes::NoneByUs {
            return Ok(());
        }
        let patch = json!({
            "metadata": {"uid": text(&node.value, "/metadata/uid"), "annotations": {ANNOTATION: null}},
            "spec": {"unschedulable": null},
        });
        let written = change.kubernetes()?.merge_patch(&Kind::NODE, None, &self.node.name, &patch).await;
        written.map(drop).map_err(|e| failures::kubernetes(&e, &format!("uncordon {}", self.node.name)))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_knows_the_step_by_its_kind() {
        assert_eq!(KIND, crate::engine::state::MADE_GOOD_BY);
    }

    #[test]
    fn only_the_runs_own_cordon_is_taken_away() {
        let node = |cordoned: bool, by: &str| json!({"metadata": {"annotations": {ANNOTATION: by}}, "spec": {"unschedulable": cordoned}});
        assert_eq!(takes(&node(true, "cozy.1"), "cozy.1"), Takes::NoneByUs);
        assert_eq!(takes(&node(true, "cozy.2"), "cozy.1"), Takes::NoneByOthers);
        assert_eq!(takes(&node(false, "cozy.1"), "cozy.1"), Takes::Pods);
    }
}
