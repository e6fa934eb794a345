//! `day0.alone`: nobody else works on this run, as from a second jump host with a copy of the run's folder.
use super::{Check, of_jump_host, of_proxmox, proof};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::steps::claim::{self, Holder};
use crate::steps::site::Reading;

pub const KIND: &str = "day0.alone";

pub fn step(plan: &Plan) -> Check {
    let template = &plan.template;
    let by_hand = format!("pvesh get /nodes/{}/qemu/{}/config", template.host, template.vmid);
    Check::new(KIND, "nobody else works on this run", by_hand, |cx, site| Box::pin(look(cx, site))).of_hosts()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let (summary, config) = match claim::holder(site).await? {
        Holder::Unmade => {
            let asked = "look for a template with this run's mark";
            let none = of_jump_host(cx, asked, "there is none", "pvesh get /cluster/resources --type vm");
            return proof("nothing of this run is there yet", &[], vec![none]);
        }
        Holder::Nobody(config) => ("the run's template names nobody".to_string(), config),
        Holder::Us(config) => ("the run is worked on from here".to_string(), config),
        Holder::Other(other, config) => match &site.take_over {
            Some(by) => (format!("{by} takes the run over from {}", other.host), config),
            None => return Err(claim::refused(&other, site.label())),
        },
    };
    proof(&summary, &[], vec![of_proxmox(cx, &config)])
}
