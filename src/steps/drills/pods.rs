//! The claim of a drill and its three pods: one writes on the machine, one reads elsewhere while it is off, one reads on it again.
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::step::StepId;
use crate::kubernetes::Kind;
use crate::plan::model::NodePlan;
use crate::steps::cluster::{foreign, get, is_ours, text};
use crate::steps::day7::namespace::NAMESPACE;
use crate::steps::day7::{drill_off, drill_on};
use crate::steps::site::{Changing, Reading};
use crate::steps::{failures, objects, volumes};
use serde_json::{Value, json};

const SIZE: u64 = 1 << 30;
/// How long the writer stays on a machine that went away before the cluster evicts it.
const STAYS_S: u32 = 30;

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Writer,
    Elsewhere,
    Back,
}

impl Part {
    pub fn name(self, node: &NodePlan) -> String {
        match self {
            Part::Writer => claim(node),
            Part::Elsewhere => format!("{}-elsewhere", claim(node)),
            Part::Back => format!("{}-back", claim(node)),
        }
    }
}

/// Name of the claim.
pub fn claim(node: &NodePlan) -> String {
    format!("drill-{}", node.name)
}

/// The word that the writer writes.
pub fn first_word(site: &Reading, node: &NodePlan) -> String {
    objects::token(site, &StepId::of(drill_off::KIND, &node.name))
}

/// The word that is written while the machine is off.
pub fn second_word(site: &Reading, node: &NodePlan) -> String {
    objects::token(site, &StepId::of(drill_on::KIND, &node.name))
}

/// The run's own pod, when it is there.
///
/// # Errors
/// When the cluster can't be asked, or somebody else's pod has its name.
pub async fn find(site: &Reading, node: &NodePlan, part: Part) -> Result<Option<Answer<Value>>, Failure> {
    let name = part.name(node);
    let found = get(&site.kubernetes()?, &Kind::POD, Some(NAMESPACE), &name).await?;
    match found {
        Some(pod) if !is_ours(site, &pod.value) => Err(foreign(&Kind::POD, Some(NAMESPACE), &name, &pod.value)),
        found => Ok(found),
    }
}

/// Makes the claim and the pod that writes to it and goes on running.
///
/// # Errors
/// When the cluster refuses.
pub async fn write(site: &Reading, change: &Changing, node: &NodePlan) -> Result<(), Failure> {
    let (kind, name) = (Kind::PERSISTENT_VOLUME_CLAIM, claim(node));
    match get(&site.kubernetes()?, &kind, Some(NAMESPACE), &name).await? {
        Some(found) if is_ours(site, &found.value) => {}
        Some(found) => return Err(foreign(&kind, Some(NAMESPACE), &name, &found.value)),
        None => {
            let claim = volumes::request(site, volumes::REPLICATED, SIZE);
            let done = change.kubernetes()?.apply(&kind, Some(NAMESPACE), &name, claim).await;
            done.map_err(|e| failures::kubernetes(&e, &format!("apply claim {name}")))?;
        }
    }
    let script = format!("echo {} > /data/proof && sync && cat /data/proof && sleep 86400", first_word(site, node));
    let mut pod = objects::on_node(objects::job(site, &script, Some(&name)), &node.name);
    if let Some(spec) = pod.pointer_mut("/spec").and_then(Value::as_object_mut) {
        let stays = |key: &str| {
            json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": STAYS_S})
        };
        spec.insert("tolerations".into(), json!([stays("not-ready"), stays("unreachable")]));
        // After the drill it begins anew on its machine, if nobody has taken its volume.
        spec.insert("restartPolicy".into(), json!("Always"));
    }
    objects::apply(site, change, &Kind::POD, Some(NAMESPACE), &Part::Writer.name(node), pod).await
}

/// Makes the pod that reads on `on`, and writes the second word where it is to.
///
/// # Errors
/// When the cluster refuses.
pub async fn read(site: &Reading, change: &Changing, node: &NodePlan, part: Part, on: &str) -> Result<(), Failure> {
    let script = match part {
        Part::Elsewhere => {
            format!("cat /data/proof && echo {} >> /data/proof && sync", second_word(site, node))
        }
        Part::Back | Part::Writer => "cat /data/proof".to_string(),
    };
    let pod = objects::on_node(objects::job(site, &script, Some(&claim(node))), on);
    objects::apply(site, change, &Kind::POD, Some(NAMESPACE), &part.name(node), pod).await
}

/// Deletes the pod; `by_force` when its machine is off and no kubelet can end it.
///
/// # Errors
/// When the cluster refuses.
pub async fn delete(change: &Changing, pod: &Value, by_force: bool) -> Result<(), Failure> {
    let (name, uid) = (text(pod, "/metadata/name"), text(pod, "/metadata/uid"));
    let changer = change.kubernetes()?;
    let deleted = match by_force {
        true => changer.delete_by_force(NAMESPACE, name, uid).await,
        false => changer.delete(&Kind::POD, Some(NAMESPACE), name, uid).await,
    };
    deleted.map_err(|e| failures::kubernetes(&e, &format!("delete pod {name}")))
}
