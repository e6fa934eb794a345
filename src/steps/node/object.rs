//! `node.object/NAME`: the cluster has no node of this name any more. Its machine is off by then: a kubelet that starts anew
//! registers itself again.
use crate::base::answer::Answer;
use crate::base::day::Day;
use crate::engine::failure::Failure;
use crate::engine::made::Made;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::NodePlan;
use crate::steps::cluster::{get, is_deleting, part, proven, seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, outlines, owner};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "node.object";
const BAND: Band = Band::new(5, 120);

pub struct Object {
    outline: Outline,
    node: NodePlan,
}

pub fn step(node: &NodePlan, after: impl IntoIterator<Item = StepId>) -> Object {
    let title = format!("node {} is out of the cluster", node.name);
    let by_hand = format!("kubectl delete node {}", node.name);
    let outline = outlines::change_on(StepId::of(KIND, &node.name), Day::Teardown, title, BAND, by_hand).after(after);
    Object { outline, node: node.clone() }
}

/// True when the node is the one of a VM that this run made: Kubernetes has the SMBIOS uuid as the kernel prints it.
fn is_ours(made: &Made, node: &Value) -> bool {
    let uuid = text(node, "/status/nodeInfo/systemUUID");
    [uuid.to_string(), uuid.to_lowercase(), uuid.to_uppercase()].iter().any(|uuid| made.knows(owner::VM, uuid))
}

impl Object {
    /// The node as the cluster has it, or the refusal to touch another one of its name.
    async fn find(&self, cx: &dyn Context, site: &Reading) -> Result<Option<Answer<Value>>, Failure> {
        let name = &self.node.name;
        match get(&site.kubernetes()?, &Kind::NODE, None, name).await? {
            Some(node) if !is_ours(cx.made(), &node.value) => Err(Failure::refused(
                format!(
                    "node {name} runs on a machine that this run did not make (its SMBIOS uuid): it is not deleted"
                ),
                format!(
                    "look whose it is (kubectl get node {name} -o yaml); if nobody needs it: kubectl delete node {name}"
                ),
            )),
            found => Ok(found),
        }
    }
}

#[async_trait]
impl Step<Installation> for Object {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let name = &self.node.name;
        match self.find(cx, site).await? {
            Some(node) if !is_deleting(&node.value) => Ok(Observed::Absent(format!("node {name} is there"))),
            Some(_) => Ok(Observed::Underway(Wait::new(format!("node {name} is gone"), "a finalizer holds it", BAND))),
            None => {
                let nodes = site.kubernetes()?.list(&Kind::NODE, None, None).await;
                let nodes = nodes.map_err(|e| failures::kubernetes(&e, "list the nodes"))?;
                let rows = nodes.value.iter().map(|node| json!(text(node, "/metadata/name")));
                let count = nodes.value.len();
                let shown = part(&nodes, "their names", rows);
                proven(format!("{name} is none of the {count} nodes of the cluster"), vec![seen(cx, &shown)])
            }
        }
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Some(node) = self.find(cx, site).await? else { return Ok(()) };
        let (name, uid) = (&self.node.name, text(&node.value, "/metadata/uid"));
        let deleted = change.kubernetes()?.delete(&Kind::NODE, None, name, uid).await;
        deleted.map_err(|e| failures::kubernetes(&e, &format!("delete node {name}")))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::NODE, None, None, Duration::from_secs(2)).await;
    }
}
