//! `day1.reach/NODE`: what answers on the node's address says that it is the VM made for it: the Talos API there shows a
//! link with the hardware address that Proxmox VE gave to the VM's card.
//!
//! In maintenance mode that is the machine's own word, and its key is trusted on first use: whoever sits on the network
//! can show the same. So the key is shown for comparison with the VM's console, and pinned ([`crate::steps::machine::pin`]).
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::{NodePlan, Role};
use crate::proxmox::VmConfig;
use crate::steps::day2::apply;
use crate::steps::machine::pin::{self, Pin};
use crate::steps::site::{Changing, Installation, Reading, address, files};
use crate::steps::vm;
use crate::steps::{failures, outlines, reset};
use crate::talos::client::facts::Link;
use crate::talos::{self, Maintenance, NodeState, Secure, SpkiFingerprint, state_of};
use crate::{base::answer::Answer, talos::secrets::ClientCertificate};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day1.reach";
const BAND: Band = Band::new(60, 240);

pub struct Reach {
    outline: Outline,
    node: NodePlan,
    doing: String,
}

pub fn step(node: &NodePlan) -> Reach {
    let title = format!("{} answers at {} with its own hardware address", node.name, node.address);
    let by_hand = format!("talosctl -n {} get links --insecure; qm config {} | grep net0", node.address, node.vmid);
    let outline = outlines::check(StepId::of(KIND, &node.name), 1, title, BAND, by_hand)
        .after([StepId::of(super::start::KIND, &node.name)]);
    Reach { outline, node: node.clone(), doing: format!("reach {} at {}", node.name, node.address) }
}

/// A node's own statements about itself.
struct MachineAnswer {
    links: Answer<Vec<Link>>,
    version: Answer<String>,
    /// The key of a node in maintenance; a configured one shows a certificate of the cluster.
    key: Option<SpkiFingerprint>,
}

/// Links and version, by whichever API the node serves in its state.
async fn ask(
    node: &NodePlan,
    state: &NodeState,
    admin: Option<&ClientCertificate>,
) -> Result<MachineAnswer, talos::Error> {
    match (state, admin) {
        (NodeState::Configured, Some(admin)) => {
            let api = Secure::connect(address(node), admin).await?;
            Ok(MachineAnswer { links: api.links().await?, version: api.version().await?, key: None })
        }
        (
            NodeState::Maintenance
            | NodeState::Configured
            | NodeState::Down(_)
            | NodeState::OutOfTime(_)
            | NodeState::Foreign(_),
            _,
        ) => {
            let api = Maintenance::connect(address(node)).await?;
            let (links, version) = (api.links().await?, api.version().await?);
            Ok(MachineAnswer { links, version, key: api.fingerprint().cloned() })
        }
    }
}

/// The link with hardware address `mac`, or the addresses that are there instead.
fn link<'a>(links: &'a [Link], mac: &str) -> Result<&'a Link, String> {
    links.iter().find(|l| l.mac == mac).ok_or_else(|| {
        let mut others: Vec<&str> = links.iter().filter(|l| l.up && l.name != "lo").map(|l| l.mac.as_str()).collect();
        others.retain(|m| !m.is_empty());
        others.dedup();
        if others.is_empty() { "none".to_string() } else { others.join(", ") }
    })
}

fn another_machine(node: &NodePlan, others: &str, mac: &str) -> Failure {
    let NodePlan { name, address, vmid, .. } = node;
    Failure::refused(
        format!(
            "{address} has the hardware address {others}, but the card of vm {vmid} ({name}) has {mac}: another machine uses the \
             address"
        ),
        "turn that machine off, or give the node another address in the plan",
    )
}

/// The failure of a card whose MTU is not the plan's: a machine has what its card said when it was started.
fn other_mtu(node: &NodePlan, link: &Link, wanted: Option<u16>) -> Option<Failure> {
    let wanted = wanted.filter(|mtu| u32::from(*mtu) != link.mtu)?;
    Some(Failure::person(
        format!("{} says that {} has an MTU of {} instead of {wanted}", node.name, link.name, link.mtu),
        format!(
            "set network.mtu to {}, or restart the vm if its card was changed: qm stop {vmid} && qm start {vmid}",
            link.mtu,
            vmid = node.vmid
        ),
    ))
}

#[async_trait]
impl Step<Installation> for Reach {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Reach { node, doing, .. } = self;
        let config = match vm::find(cx, site, &node.host, node.vmid, doing, BAND).await? {
            Ok(config) => config,
            Err(observed) => return Ok(*observed),
        };
        let Some(mac) = config.value.net0_mac() else {
            return Err(Failure::person(format!("vm {} has no card net0", node.vmid), "run again: it is set anew"));
        };
        // Before the cluster's secrets exist no node can be configured with them.
        let admin = if site.vault.holds(files::BUNDLE) { Some(site.admin()?) } else { None };
        let state = state_of(address(node), admin.as_ref()).await.value;
        match &state {
            NodeState::Down(why) => return self.silent(cx, site, &config, why).await,
            NodeState::OutOfTime(why) => return Ok(Observed::Conflict(failures::clocks(why))),
            NodeState::Foreign(why) => {
                return Ok(Observed::Conflict(Failure::refused(
                    format!("what answers at {} is not {}: {why}", node.address, node.name),
                    format!("give the node another address in the plan; {}", reset::of_stranger(address(node))),
                )));
            }
            NodeState::Maintenance | NodeState::Configured => {}
        }
        let MachineAnswer { links, version, key } = match ask(node, &state, admin.as_ref()).await {
            Ok(told) => told,
            Err(e) if e.is_transient() => return self.silent(cx, site, &config, &e.to_string()).await,
            Err(e) => return Err(failures::talos(&e, doing)),
        };
        let link = match link(&links.value, &mac) {
            Ok(link) => link,
            Err(others) => return Ok(Observed::Conflict(another_machine(node, &others, &mac))),
        };
        if let Some(wrong) = other_mtu(node, link, site.plan.network.mtu) {
            return Err(wrong);
        }
        let mtu = site.plan.network.mtu.map(|mtu| format!(" and an MTU of {mtu}")).unwrap_or_default();
        let link = &link.name;
        let wanted = &site.plan.talos.version;
        if version.value != *wanted {
            return Err(Failure::person(
                format!("{} runs Talos {} instead of {wanted}", node.name, version.value),
                "name the version in the plan that the image holds, or another image",
            ));
        }
        let (talos, now) = (format!("Talos {}", node.address), cx.clock().now());
        let trust = match &key {
            None => "; its certificate is this cluster's".to_string(),
            Some(key) => match self.pinned(cx, site, key).await? {
                Ok(note) => format!(" (its own word); key {key}, trusted on first use{note}"),
                Err(conflict) => return Ok(Observed::Conflict(conflict)),
            },
        };
        let summary = format!(
            "{} answers at {} and says: {link} has {mac}{mtu}, as vm {}, Talos {wanted}{trust}",
            node.name, node.address, node.vmid
        );
        let mut proof = Proof::new(summary, Evidence::of(&talos, now, &links))
            .and(Evidence::of("Proxmox", now, &config))
            .and(Evidence::of(&talos, now, &version));
        if let Some(key) = key {
            proof = proof.to_compare(pin::comparison(node, &key));
        }
        Ok(Observed::Satisfied(proof))
    }

    async fn act(&self, _cx: &dyn Context, _site: &Reading, _change: &Changing) -> Result<(), Failure> {
        // A check; the engine never asks for its act.
        Ok(())
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

impl Reach {
    /// Pins the key; what is worth a word about it, or the conflict with the key that was seen before.
    async fn pinned(
        &self,
        cx: &dyn Context,
        site: &Reading,
        key: &SpkiFingerprint,
    ) -> Result<Result<String, Failure>, Failure> {
        let Reach { node, doing, .. } = self;
        let now = cx.clock().now();
        let fresh = Pin { key: key.clone(), at: now };
        let note = match site.pins().get(node) {
            None => String::new(),
            // The moment that it was seen first stays.
            Some(pin) if pin.key == *key => return Ok(Ok(String::new())),
            Some(pin) => {
                let status = site.proxmox.vm_status(&node.host, node.vmid).await;
                let uptime = status.map_err(|e| failures::proxmox(&e, doing))?.value.uptime;
                if !pin.is_of_an_earlier_start(uptime, now) {
                    return Ok(Err(pin::other_key(node, &pin, Some(key))));
                }
                format!("; it was {} before the vm was started again", pin.key)
            }
        };
        site.pins().set(node, fresh);
        Ok(Ok(note))
    }

    async fn silent(
        &self,
        cx: &dyn Context,
        site: &Reading,
        config: &Answer<VmConfig>,
        why: &str,
    ) -> Result<Observed, Failure> {
        let Reach { node, doing, .. } = self;
        let status = site.proxmox.vm_status(&node.host, node.vmid).await;
        let status = status.map_err(|e| failures::proxmox(&e, doing))?;
        if !status.value.is_running() {
            return Err(Failure::person(
                format!("vm {} ({}) was started and is off again", node.vmid, node.name),
                format!("read its console and the task log on {}; then: qm start {}", node.host, node.vmid),
            ));
        }
        // A worker with its config opens its API only behind the VIP, which comes with the bootstrap of day 2: a run that
        // goes on between the two would wait here for what its own next day brings. Day 2 proves the machine anew.
        // One that was started anew since its key was seen may be a new machine, without a config.
        let now = cx.clock().now();
        let same = site.pins().get(node).is_some_and(|pin| !pin.is_of_an_earlier_start(status.value.uptime, now));
        let has_config = same && cx.made().has(&StepId::of(apply::KIND, &node.name));
        if node.role == Role::Worker && has_config {
            let summary = format!(
                "vm {} ({}) runs and was given its config by this run: a worker's API opens only behind the VIP, day 2 asks it",
                node.vmid, node.name
            );
            let proof = Proof::new(summary, Evidence::of("Proxmox", now, &status));
            return Ok(Observed::Satisfied(proof.and(Evidence::of("Proxmox", now, config))));
        }
        let condition = format!("the Talos API of {} answers at {}", node.name, node.address);
        Ok(Observed::Underway(Wait::new(condition, why, BAND)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hardware_address_tells_a_machine_and_another_one_is_named() {
        let at = |name: &str, mac: &str| Link { name: name.into(), mac: mac.into(), up: true, mtu: 1500 };
        let links = [at("lo", "00:00:00:00:00:00"), at("eth0", "bc:24:11:00:00:01")];
        assert_eq!(link(&links, "bc:24:11:00:00:01").unwrap().name, "eth0");
        assert_eq!(link(&links, "bc:24:11:00:00:02").unwrap_err(), "bc:24:11:00:00:01");
        assert_eq!(link(&links[..1], "bc:24:11:00:00:02").unwrap_err(), "none");
    }

    #[test]
    fn a_card_with_another_mtu_is_told_with_both_ways_out() {
        let node = &crate::steps::day0::tests::plan().nodes[0];
        let link = Link { name: "eth0".into(), mac: "bc:24:11:00:00:11".into(), up: true, mtu: 1500 };
        for fine in [None, Some(1500)] {
            assert!(other_mtu(node, &link, fine).is_none());
        }
        let wrong = other_mtu(node, &link, Some(1450)).unwrap();
        assert!(wrong.what.ends_with("eth0 has an MTU of 1500 instead of 1450"), "{wrong}");
        assert!(wrong.next.starts_with("set network.mtu to 1500, or restart the vm"), "{wrong}");
    }
}
