//! `day2.apply/NODE`: the node has its config and answers on its secure API.
//!
//! The config goes to the key that day 1 saw and no other. That key is the machine's own word ([`crate::steps::machine::pin`]):
//! a run that is to trust nobody on the network delivers its configs by CD-ROM.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::observed::Fact;
use crate::plan::model::NodePlan;
use crate::steps::machine::{closed, disks, pin};
use crate::steps::site::{Changing, Installation, Reading, address};
use crate::steps::{failures, outlines, reset};
use crate::talos::{self, Maintenance, NodeState, state_of};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day2.apply";
const BAND: Band = Band::new(30, 180);

pub struct Apply {
    outline: Outline,
    node: NodePlan,
}

pub fn step(node: &NodePlan) -> Apply {
    let title = format!("{} has its machine config", node.name);
    let by_hand = format!("talosctl apply-config --insecure -n {} -f {}", node.address, super::config::file(node));
    let outline = outlines::change(StepId::of(KIND, &node.name), 2, title, BAND, by_hand)
        .after([StepId::of(super::config::KIND, &node.name)]);
    Apply { outline, node: node.clone() }
}

#[async_trait]
impl Step<Installation> for Apply {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let admin = site.admin()?;
        let state = state_of(address(&self.node), Some(&admin)).await;
        Ok(match &state.value {
            NodeState::Configured => {
                let trust = match site.pins().get(&self.node) {
                    Some(pin) => format!("; before, it showed the key {}, trusted on first use", pin.key),
                    None => String::new(),
                };
                let summary =
                    format!("{} answers on its secure API with this cluster's certificates{trust}", self.node.name);
                let evidence = Evidence::of(format!("Talos {}", self.node.address), cx.clock().now(), &state);
                Observed::Satisfied(Proof::new(summary, evidence))
            }
            NodeState::Maintenance => Observed::Absent("the node waits for a config".into()),
            NodeState::Down(why) => Observed::Underway(closed::wait(site, &admin, &self.node, why, BAND).await),
            NodeState::OutOfTime(why) => Observed::Conflict(failures::clocks(why)),
            NodeState::Foreign(why) => Observed::Conflict(Failure::refused(
                format!("{} ({}) belongs to another cluster: {why}", self.node.name, self.node.address),
                format!(
                    "check that no other machine has this address and that the node's clock is right; {}",
                    reset::of_stranger(address(&self.node))
                ),
            )),
        })
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let doing = format!("apply the config of {}", self.node.name);
        let config = site.secret(&super::config::file(&self.node))?;
        let Some(pin) = site.pins().get(&self.node) else {
            return Err(Failure::person(
                format!("{doing}: it is in maintenance mode, and day 1 has not seen its key"),
                "stop the run and start it again: day 1 then looks at it and shows its key",
            ));
        };
        let failed = |e: talos::Error| match e {
            talos::Error::Untrusted { why: talos::Distrust::OtherKey, .. } => pin::other_key(&self.node, &pin, None),
            e => failures::talos(&e, &doing),
        };
        let node = Maintenance::connect_pinned(address(&self.node), &pin.key).await.map_err(failed)?;
        let links = node.links().await.map_err(|e| failures::talos(&e, &doing))?;
        let vm = site.vm_config(&self.node.host, self.node.vmid).await;
        let mac = vm.map_err(|e| failures::proxmox(&e, &doing))?.value.net0_mac().unwrap_or_default();
        // A machine's word about itself is no proof, but a machine without even that word is certainly another one.
        if !links.value.iter().any(|l| l.mac == mac) {
            return Err(Failure::refused(
                format!(
                    "{doing}: the machine at {} has no card {mac}, which vm {} has",
                    self.node.address, self.node.vmid
                ),
                "another machine has this address: find it and take it away, or change the address in the plan",
            ));
        }
        disks::confirm_system(&site.plan, &self.node, &node, &doing).await?;
        let applied = change.talos.apply_maintenance(address(&self.node), &pin.key, &config).await;
        for warning in applied.map_err(failed)?.value.warnings {
            cx.log("talos", &warning);
        }
        Ok(())
    }

    fn rests_on(&self) -> Vec<Fact> {
        vec![Fact::VmThere(self.node.vmid)]
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}
