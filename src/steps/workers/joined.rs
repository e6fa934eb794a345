//! Each worker is a Ready node with the provider id of its VM, Cluster API core has found it, and the CD-ROM that carried the
//! cluster's keys is gone.
//!
//! Nothing in the cluster writes a node's provider id: Talos v1.10 reads `provider-id` from the CD-ROM and leaves it to a cloud
//! controller manager, and one machine config for all workers can name none (docs/adr/008). So cozyup writes it, for the node
//! whose SMBIOS uuid is the VM's.
//!
//! Nor does anything say of these Machines that their bootstrap data is there: Cluster API core does for a bootstrap provider's
//! objects alone, and capmox takes the CD-ROM out only then. cozyup, which made the data, says it.
use super::{Group, Machine, Node, delete_node, machines, nodes};
use crate::cozystack::addons::RUN_LABEL;
use crate::cozystack::cluster_api::Progress;
use crate::engine::failure::Failure;
use crate::engine::made::Made;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::steps::cluster::{proven, seen};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{cluster_api, failures, follow, outlines, owner};
use async_trait::async_trait;
use serde_json::json;
use std::time::Duration;

const BAND: Band = Band::new(240, 900);

pub struct Joining {
    outline: Outline,
    group: &'static Group,
    count: usize,
}

impl Joining {
    /// As [`super::deployed::Deployed::of`].
    pub fn of(id: StepId, group: &'static Group, count: u32, more: impl FnOnce(Outline) -> Outline) -> Joining {
        let title = match count {
            1 => "1 worker is a Ready node of the cluster".to_string(),
            _ => format!("{count} workers are Ready nodes of the cluster"),
        };
        let by_hand = format!(
            "{}\nkubectl patch node NAME -p '{{\"spec\":{{\"providerID\":\"proxmox://UUID\"}}}}'",
            group.by_hand()
        );
        let outline = more(outlines::change_on(id, group.day, title, BAND, by_hand));
        Joining { outline, group, count: count as usize }
    }
}

impl Joining {
    async fn say_that_it_has_its_data(&self, change: &Changing, machine: &str) -> Result<(), Failure> {
        let said = json!({"bootstrapReady": true});
        let written =
            change.kubernetes()?.patch_status(&Kind::MACHINE, Some(self.group.namespace), machine, &said).await;
        written
            .map(drop)
            .map_err(|e| failures::kubernetes(&e, &format!("say in Machine {machine} that its data is there")))
    }
}

/// How one machine stands.
#[derive(Debug, PartialEq, Eq)]
enum Joined<'a> {
    /// Both systems agree, and the node takes work.
    Yes,
    /// It is a node by its bootstrap data, and the Machine does not say that the data is there.
    Unsaid,
    /// The node is there, and its provider id is to be written.
    Unnamed(&'a Node),
    NotYet(String),
    /// Somebody else gave it another one.
    Otherwise(String),
}

fn joined<'a>(machine: &Machine, nodes: &'a [Node]) -> Joined<'a> {
    let Progress::Made(made) = &machine.progress else { return Joined::NotYet(machine.told()) };
    let Some(node) = nodes.iter().find(|node| node.system_uuid == made.uuid) else {
        return Joined::NotYet(format!("{}: vm {} has not registered as a node", machine.name, made.vmid));
    };
    if node.provider_id.is_empty() {
        return Joined::Unnamed(node);
    }
    if node.provider_id != machine.provider_id {
        let (name, has, wanted) = (&node.name, &node.provider_id, &machine.provider_id);
        return Joined::Otherwise(format!("node {name} has the provider id {has}, and its machine {wanted}"));
    }
    if !machine.bootstrapped {
        return Joined::Unsaid;
    }
    if !node.ready {
        return Joined::NotYet(format!("{} is not Ready", node.name));
    }
    if let Some(taint) = node.taints.first() {
        return Joined::NotYet(format!("{} has the taint {taint}", node.name));
    }
    if machine.phase != "Running" || machine.node.as_deref() != Some(&node.name) {
        return Joined::NotYet(format!("{}: Cluster API says `{}`", machine.name, machine.phase));
    }
    Joined::Yes
}

/// A node with the run's label that is of none of the machines.
#[derive(Debug, PartialEq, Eq)]
enum Stray<'a> {
    /// Its VM was the run's own, and is no more: nobody but cozyup deletes the node, for Cluster API did not when somebody
    /// deleted the whole Cluster.
    Lost(&'a Node),
    /// The cluster has not noticed yet that the VM is gone.
    Silent(&'a Node),
    /// The run never made its VM.
    Foreign(&'a Node),
}

fn strays<'a>(made: &Made, machines: &[Machine], nodes: &'a [Node]) -> Vec<Stray<'a>> {
    let stray = nodes.iter().filter(|node| !machines.iter().any(|machine| machine.name == node.name));
    let judge = |node: &'a Node| match made.knows(owner::VM, &node.system_uuid) {
        true if node.ready => Stray::Silent(node),
        true => Stray::Lost(node),
        false => Stray::Foreign(node),
    };
    stray.map(judge).collect()
}

#[async_trait]
impl Step<Installation> for Joining {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (answers, machines) = machines(site, self.group).await?;
        let (shown, nodes) = nodes(site, self.group).await?;
        let (mut there, mut late) = (Vec::new(), Vec::new());
        for machine in &machines {
            match joined(machine, &nodes) {
                Joined::Yes => there.push(machine.name.clone()),
                Joined::Unnamed(node) => {
                    return Ok(Observed::Absent(format!("node {} has no provider id", node.name)));
                }
                Joined::Unsaid => return Ok(Observed::Absent(format!("{} says of no bootstrap data", machine.name))),
                Joined::NotYet(why) => late.push(why),
                Joined::Otherwise(what) => return Ok(Observed::Conflict(named_by_another(what))),
            }
        }
        let strays = strays(cx.made(), &machines, &nodes);
        match strays.first() {
            Some(Stray::Foreign(node)) => return Ok(Observed::Conflict(foreign(&node.name))),
            Some(Stray::Lost(node)) => {
                return Ok(Observed::Absent(format!("node {} is left of a VM that is gone", node.name)));
            }
            Some(Stray::Silent(node)) => late.insert(0, format!("{} is of no machine of Cluster API", node.name)),
            None => {}
        }
        let wait = |seen| {
            let wait = Wait::new(format!("{} workers are Ready nodes", self.count), seen, BAND);
            Ok(Observed::Underway(wait.with_progress(there.len() as u64, self.count as u64, "nodes")))
        };
        if let Some(why) = late.into_iter().next() {
            return wait(why);
        }
        if there.len() != self.count {
            return wait(format!("{} machines", there.len()));
        }
        let (stored, cdroms) = cluster_api::cdroms(site).await?;
        if let Some(cdrom) = cdroms.first() {
            return wait(format!("capmox has not removed {cdrom} yet, which holds keys of the cluster"));
        }
        let mut readings = vec![seen(cx, &shown)];
        readings.extend(answers.iter().map(|answer| seen(cx, answer)));
        readings.extend(stored.iter().map(|answer| Evidence::of("Proxmox", cx.clock().now(), answer)));
        proven(format!("{} are Ready nodes with the provider ids of their VMs", there.join(", ")), readings)
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let (_, machines) = machines(site, self.group).await?;
        let (_, nodes) = nodes(site, self.group).await?;
        for stray in strays(cx.made(), &machines, &nodes) {
            let Stray::Lost(node) = stray else { continue };
            delete_node(change, node).await?;
        }
        for machine in &machines {
            match joined(machine, &nodes) {
                Joined::Unsaid => self.say_that_it_has_its_data(change, &machine.name).await?,
                Joined::Unnamed(node) => {
                    if !machine.bootstrapped {
                        self.say_that_it_has_its_data(change, &machine.name).await?;
                    }
                    name_node(change, node, &machine.provider_id).await?;
                }
                Joined::Yes | Joined::NotYet(_) | Joined::Otherwise(_) => {}
            }
        }
        Ok(())
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(self.group.removed_by)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::NODE, None, None, Duration::from_secs(5)).await;
    }
}

async fn name_node(change: &Changing, node: &Node, provider_id: &str) -> Result<(), Failure> {
    // The uid makes the server refuse it when another node has the name by now.
    let patch = json!({"metadata": {"uid": node.uid}, "spec": {"providerID": provider_id}});
    let written = change.kubernetes()?.merge_patch(&Kind::NODE, None, &node.name, &patch).await;
    written.map(drop).map_err(|e| failures::kubernetes(&e, &format!("write the provider id of node {}", node.name)))
}

fn named_by_another(what: String) -> Failure {
    let next = "a cloud controller manager names the nodes too: Cluster API then can't find them; see who wrote it";
    Failure::refused(what, next)
}

fn foreign(node: &str) -> Failure {
    Failure::refused(
        format!("node {node} carries this run's label, and this run did not make its VM"),
        format!("take the label away: kubectl label node {node} {RUN_LABEL}-"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::vmid::Vmid;
    use crate::cozystack::cluster_api;
    use crate::engine::made::Thing;
    use crate::engine::record::Event;
    use crate::engine::state::tests::proof;

    fn machine() -> Machine {
        let made = cluster_api::Made {
            vmid: Vmid::of(9500),
            uuid: "ab-1".into(),
            node: "pve".into(),
            address: "10.0.0.181".into(),
        };
        Machine {
            name: "w".into(),
            phase: "Running".into(),
            node: Some("w".into()),
            bootstrapped: true,
            provider_id: "proxmox://ab-1".into(),
            progress: Progress::Made(made),
            drain: None,
        }
    }

    fn node(provider_id: &str) -> Node {
        let (name, uid, system_uuid) = ("w".into(), "u".into(), "ab-1".into());
        let provider_id = provider_id.into();
        Node { name, uid, ready: true, provider_id, system_uuid, group: "workers".into(), taints: vec![] }
    }

    #[test]
    fn only_a_node_on_the_very_vm_is_named_after_it() {
        assert_eq!(joined(&machine(), &[node("")]), Joined::Unnamed(&node("")));
        let other = Node { system_uuid: "cd-2".into(), ..node("") };
        assert!(
            matches!(joined(&machine(), &[other]), Joined::NotYet(why) if why.contains("vm 9500 has not registered"))
        );
    }

    #[test]
    fn ready_is_not_enough_while_cluster_api_does_not_see_the_node() {
        assert_eq!(joined(&machine(), &[node("proxmox://ab-1")]), Joined::Yes);
        let unseen = Machine { phase: "Provisioned".into(), node: None, ..machine() };
        assert!(matches!(joined(&unseen, &[node("proxmox://ab-1")]), Joined::NotYet(_)));
        let held = Node { taints: vec!["node.cilium.io/agent-not-ready".into()], ..node("proxmox://ab-1") };
        assert!(matches!(joined(&machine(), &[held]), Joined::NotYet(why) if why.contains("agent-not-ready")));
    }

    #[test]
    fn a_node_is_not_done_while_its_machine_does_not_say_that_its_bootstrap_data_is_there() {
        let unsaid = Machine { bootstrapped: false, ..machine() };
        assert!(matches!(joined(&unsaid, &[]), Joined::NotYet(why) if why.contains("has not registered")));
        // Both are written in one act.
        assert_eq!(joined(&unsaid, &[node("")]), Joined::Unnamed(&node("")));
        assert_eq!(joined(&unsaid, &[node("proxmox://ab-1")]), Joined::Unsaid);
    }

    #[test]
    fn a_provider_id_of_somebody_elses_is_told_and_not_overwritten() {
        assert!(
            matches!(joined(&machine(), &[node("other://1")]), Joined::Otherwise(what) if what.contains("other://1"))
        );
    }
    #[test]
    fn a_node_without_a_machine_is_deleted_only_when_its_vm_was_the_runs_own_and_it_is_silent() {
        let proof = proof().owning(Thing::new(owner::VM, 9500, Some("ab-1".into())));
        let mut made = Made::default();
        made.apply(&Event::Proven { step: StepId::new("day6.workers"), proof });
        let node = |name: &str, uuid: &str, ready| {
            vec![Node { name: name.into(), system_uuid: uuid.into(), ready, ..node("") }]
        };
        let judged = |nodes: &[Node]| match strays(&made, &[machine()], nodes).as_slice() {
            [] => "none",
            [Stray::Lost(_), ..] => "lost",
            [Stray::Silent(_), ..] => "silent",
            [Stray::Foreign(_), ..] => "foreign",
        };
        assert_eq!(judged(&node("w", "ab-1", true)), "none");
        assert_eq!(judged(&node("old", "ab-1", false)), "lost");
        assert_eq!(judged(&node("old", "ab-1", true)), "silent");
        assert_eq!(judged(&node("old", "cd-2", false)), "foreign");
    }
}
