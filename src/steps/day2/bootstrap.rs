//! `day2.bootstrap`: etcd is started on the first control plane, once. Talos does not stop a second bootstrap on another
//! node, which would make two clusters: so every control plane is asked first, and only one node is ever told.
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::proof::{Proof, Reading as Evidence};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::{NodePlan, Plan};
use crate::steps::site::{Changing, Installation, Reading, address};
use crate::steps::{failures, follow, outlines};
use crate::talos::client::facts::EtcdMember;
use crate::talos::{Error, Secure, watch};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day2.bootstrap";
const BAND: Band = Band::new(40, 180);

pub struct Bootstrap {
    outline: Outline,
    /// The control plane that is told, always the same one.
    first: NodePlan,
    control_planes: Vec<NodePlan>,
}

pub fn step(plan: &Plan) -> Bootstrap {
    let control_planes: Vec<NodePlan> = plan.control_planes().cloned().collect();
    // A plan without control planes does not pass the linter; the first node keeps this total.
    let first = control_planes.first().or(plan.nodes.first()).cloned().unwrap_or_else(|| unreachable_node(plan));
    let title = format!("etcd is bootstrapped, on {} only", first.name);
    let by_hand = format!("talosctl -n {} bootstrap", first.address);
    let outline = outlines::change(StepId::new(KIND), 2, title, BAND, by_hand)
        .after(control_planes.iter().map(|n| StepId::of(super::boot::KIND, &n.name)))
        .queued("etcd bootstrap", 1);
    Bootstrap { outline, first, control_planes }
}

fn unreachable_node(plan: &Plan) -> NodePlan {
    NodePlan {
        name: "none".into(),
        role: crate::plan::model::Role::ControlPlane,
        vmid: plan.template.vmid,
        address: plan.network.vip,
        host: plan.template.host.clone(),
        cores: 0,
        memory_mib: 0,
        system_disk_gib: 0,
        data_disk_gib: 0,
    }
}

/// The members that a control plane lists, when its etcd runs and is healthy; else what it does instead.
async fn cluster_of(site: &Reading, node: &NodePlan) -> Result<Result<Answer<Vec<EtcdMember>>, String>, Failure> {
    let doing = format!("read etcd of {}", node.name);
    let secure = Secure::connect(address(node), &site.admin()?).await.map_err(|e| failures::talos(&e, &doing))?;
    let services = secure.services().await.map_err(|e| failures::talos(&e, &doing))?;
    let Some(etcd) = services.value.iter().find(|s| s.id == "etcd") else {
        return Ok(Err("etcd is not started".into()));
    };
    if etcd.state != "Running" || etcd.healthy != Some(true) {
        return Ok(Err(etcd.state.clone()));
    }
    match secure.etcd_members().await {
        Ok(members) if !members.value.is_empty() => Ok(Ok(members)),
        Ok(_) => Ok(Err("no members listed".into())),
        Err(e) if e.is_transient() => Ok(Err(e.to_string())),
        Err(e) => Err(failures::talos(&e, &doing)),
    }
}

/// Two control planes whose member lists have nothing in common are two clusters.
fn is_split(lists: &[Vec<EtcdMember>]) -> bool {
    lists
        .iter()
        .enumerate()
        .any(|(i, a)| lists.iter().skip(i + 1).any(|b| !a.iter().any(|m| b.iter().any(|n| n.id == m.id))))
}

#[async_trait]
impl Step<Installation> for Bootstrap {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let mut found = Vec::new();
        let mut first_says = String::new();
        for node in &self.control_planes {
            match cluster_of(site, node).await? {
                Ok(members) => found.push((node, members)),
                Err(state) if node.name == self.first.name => first_says = state,
                Err(_) => {}
            }
        }
        let lists: Vec<Vec<EtcdMember>> = found.iter().map(|(_, m)| m.value.clone()).collect();
        if is_split(&lists) {
            return Ok(Observed::Conflict(Failure::refused(
                "control planes run etcd clusters that know nothing of each other: bootstrap was called on more than one",
                "keep the one with your data, reset the other nodes (talosctl reset), and run again",
            )));
        }
        if let Some((node, members)) = found.first() {
            let names: Vec<&str> = members.value.iter().map(|m| m.hostname.as_str()).collect();
            let evidence = Evidence::of(format!("Talos {}", node.address), cx.clock().now(), members);
            let summary = format!("etcd runs and is healthy on {}; members: {}", node.name, names.join(", "));
            return Ok(Observed::Satisfied(Proof::new(summary, evidence)));
        }
        if first_says == "Preparing" || cx.handle().is_none() {
            return Ok(Observed::Absent(format!("etcd of {} is {first_says}", self.first.name)));
        }
        let wait = Wait::new(format!("etcd of {} is healthy", self.first.name), format!("it is {first_says}"), BAND);
        Ok(Observed::Underway(wait))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        // On disk before the call: after a crash it is this node that is told again, never another one.
        cx.keep_handle(&format!("bootstrap of {}", self.first.name)).await?;
        match change.talos.bootstrap(address(&self.first), &site.admin()?).await {
            Ok(_) | Err(Error::AlreadyBootstrapped) => Ok(()),
            Err(e) => Err(failures::talos(&e, &format!("bootstrap etcd on {}", self.first.name))),
        }
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::machine(cx, site, address(&self.first), watch::SERVICES, Duration::from_secs(3)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ids: &[u64]) -> Vec<EtcdMember> {
        ids.iter()
            .map(|id| EtcdMember { id: *id, hostname: String::new(), learner: false, peer_urls: vec![] })
            .collect()
    }

    #[test]
    fn members_in_common_make_one_cluster_and_none_make_two() {
        assert!(!is_split(&[list(&[1]), list(&[1, 2])]));
        assert!(!is_split(&[list(&[1])]));
        assert!(is_split(&[list(&[1]), list(&[1, 2]), list(&[3])]));
    }
}
