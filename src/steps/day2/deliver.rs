//! `day2.deliver/NODE`: the machine has read its config from its CD-ROM and kept it. What shows it is that it answers with
//! a certificate of this cluster: nobody without the config has one, whatever address or card he shows.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::NodePlan;
use crate::steps::day1::start;
use crate::steps::machine::closed;
use crate::steps::site::{Installation, Reading, address};
use crate::steps::{failures, outlines};
use crate::talos::{NodeState, Secure, state_of};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day2.deliver";
const BAND: Band = Band::new(90, 420);
/// The partition that the config is kept on.
const STATE: &str = "STATE";

pub struct Deliver {
    outline: Outline,
    node: NodePlan,
}

pub fn step(node: &NodePlan) -> Deliver {
    let title = format!("{} has taken its machine config and answers with it", node.name);
    let by_hand = format!("talosctl -n {0} version; talosctl -n {0} get volumestatus {STATE}", node.address);
    let outline = outlines::check(StepId::of(KIND, &node.name), 2, title, BAND, by_hand)
        .after([StepId::of(start::KIND, &node.name)]);
    Deliver { outline, node: node.clone() }
}

/// Looks at a running machine without a CD-ROM in its drive: it has its config, or a failure says what is wrong.
///
/// # Errors
/// When Proxmox VE or the machine can't be asked.
pub async fn delivered(cx: &dyn Context, site: &Reading, node: &NodePlan) -> Result<Observed, Failure> {
    let admin = site.admin()?;
    let state = state_of(address(node), Some(&admin)).await;
    Ok(match &state.value {
        NodeState::Configured => {
            let summary = format!("{} has its config: it answers with this cluster's certificate", node.name);
            let evidence = Evidence::of(format!("Talos {}", node.address), cx.clock().now(), &state);
            Observed::Satisfied(Proof::new(summary, evidence))
        }
        NodeState::Maintenance => Observed::Conflict(Failure::person(
            format!("{} runs without its config: {} answers in maintenance mode", node.name, node.address),
            format!(
                "read its console (qm terminal {0} on {1}); on {1}: qm stop {0}, then stop the run and start it again: it \
                 gets its config by CD-ROM anew. If the console says that it has a config, another machine answers: find it",
                node.vmid, node.host
            ),
        )),
        NodeState::Down(why) => Observed::Underway(closed::wait(site, &admin, node, why, BAND).await),
        NodeState::OutOfTime(why) => Observed::Conflict(failures::clocks(why)),
        NodeState::Foreign(why) => Observed::Conflict(Failure::refused(
            format!("what answers at {} is not {} of this cluster: {why}", node.address, node.name),
            "check that no other machine has this address and that the clocks agree; nothing was sent to it",
        )),
    })
}

#[async_trait]
impl Check<Installation> for Deliver {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let node = &self.node;
        let doing = format!("look whether {} has its config", node.name);
        let observed = delivered(cx, site, node).await?;
        let Observed::Satisfied(proof) = observed else {
            let status = site.proxmox.vm_status(&node.host, node.vmid).await;
            if !status.map_err(|e| failures::proxmox(&e, &doing))?.value.is_running() {
                return Err(Failure::person(
                    format!("vm {} ({}) was started and is off again", node.vmid, node.name),
                    format!("read its console and the task log on {}; then: qm start {}", node.host, node.vmid),
                ));
            }
            return Ok(observed);
        };
        // Talos starts this API behind the phases that keep the config (v1.10.6, sequencer `Boot`); the partition says it
        // itself, since the CD-ROM is the only other copy that the machine could go back to.
        let failed = |e| failures::talos(&e, &doing);
        let api = Secure::connect(address(node), &site.admin()?).await.map_err(failed)?;
        let kept = api.volume_is_ready(STATE).await.map_err(failed)?;
        if !kept.value {
            let condition = format!("{} has its config on its disk", node.name);
            return Ok(Observed::Underway(Wait::new(condition, format!("{STATE} is not ready"), BAND)));
        }
        let now = cx.clock().now();
        Ok(Observed::Satisfied(proof.and(Evidence::of(format!("Talos {}", node.address), now, &kept))))
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}
