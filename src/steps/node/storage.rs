//! `node.storage/NAME`: LINSTOR does not know the machine any more. Piraeus' operator removes it by itself once the node is
//! out of the cluster, and only when nothing lies there (piraeus-operator v2, `deleteSatellite`).
use crate::base::day::Day;
use crate::engine::failure::Failure;
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{Error, Kind};
use crate::plan::model::NodePlan;
use crate::steps::cluster::{condition, get, part, proven, seen, text};
use crate::steps::site::{Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "node.storage";
const BAND: Band = Band::new(60, 600);

pub struct Storage {
    outline: Outline,
    node: NodePlan,
}

pub fn step(node: &NodePlan, after: impl IntoIterator<Item = StepId>) -> Storage {
    let title = format!("LINSTOR does not know {} any more", node.name);
    let by_hand = format!("kubectl get linstorsatellites\n{}", lost(&node.name));
    let outline = outlines::check_on(StepId::of(KIND, &node.name), Day::Teardown, title, BAND, by_hand).after(after);
    Storage { outline, node: node.clone() }
}

fn lost(name: &str) -> String {
    format!("kubectl exec -n cozy-linstor deploy/linstor-controller -- linstor node lost {name}")
}

/// How far the operator says that it is.
fn said(satellite: &Value) -> String {
    match condition(satellite, "EvacuationCompleted").map(|c| c.message).filter(|message| !message.is_empty()) {
        Some(message) => format!("the operator says: {message}"),
        None => "the operator has not removed its satellite yet".to_string(),
    }
}

#[async_trait]
impl Check<Installation> for Storage {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (name, reader) = (&self.node.name, site.kubernetes()?);
        if let Some(satellite) = get(&reader, &Kind::LINSTOR_SATELLITE, None, name).await? {
            let seen = format!("{}; should it stay so: {}", said(&satellite.value), lost(name));
            return Ok(Observed::Underway(Wait::new(format!("LINSTOR has forgotten {name}"), seen, BAND)));
        }
        let nodes = match reader.list(&Kind::LINSTOR_SATELLITE, None, None).await {
            Ok(satellites) => {
                part(&satellites, "their names", satellites.value.iter().map(|s| json!(text(s, "/metadata/name"))))
            }
            Err(Error::NotFound) => {
                let nodes = reader.list(&Kind::NODE, None, None).await;
                let nodes = nodes.map_err(|e| failures::kubernetes(&e, "list the nodes"))?;
                return proven("this cluster has no LINSTOR", vec![seen(cx, &part(&nodes, "their names", []))]);
            }
            Err(e) => return Err(failures::kubernetes(&e, "list LINSTOR's satellites")),
        };
        proven(format!("LINSTOR has no satellite {name}"), vec![seen(cx, &nodes)])
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::LINSTOR_SATELLITE, None, None, Duration::from_secs(3)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_own_word_is_told() {
        let satellite = json!({"status": {"conditions": [
            {"type": "EvacuationCompleted", "status": "False", "message": "remaining resources: pvc-1"}]}});
        assert!(said(&satellite).contains("remaining resources: pvc-1"));
        assert!(said(&json!({})).contains("not removed"));
    }
}
