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
use crate::talos::client::facts::{EtcdMember, Service};
use crate::talos::{Error, Secure, watch};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day2.bootstrap";
const BAND: Band = Band::new(40, 180);
/// State of an etcd that waits to be bootstrapped or to join.
const PREPARING: &str = "Preparing";

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

/// What etcd does on a control plane.
#[derive(Debug)]
enum Etcd {
    /// It runs, is healthy and lists its members.
    Cluster(Answer<Vec<EtcdMember>>),
    /// It waits to be told or to join, or is not started: it is of no cluster.
    Waits(String),
    /// It is of a cluster, or may be, and can't list it now.
    Unclear(String),
}

async fn etcd_of(site: &Reading, node: &NodePlan) -> Result<Etcd, Failure> {
    let doing = format!("read etcd of {}", node.name);
    let secure = Secure::connect(address(node), &site.admin()?).await.map_err(|e| failures::talos(&e, &doing))?;
    let services = secure.services().await.map_err(|e| failures::talos(&e, &doing))?;
    let etcd = services.value.iter().find(|s| s.id == "etcd");
    if let Some(unready) = unready(etcd) {
        return Ok(unready);
    }
    match secure.etcd_members().await {
        Ok(members) if !members.value.is_empty() => Ok(Etcd::Cluster(members)),
        Ok(_) => Ok(Etcd::Unclear("Running and lists no members".into())),
        Err(e) if e.is_transient() => Ok(Etcd::Unclear(format!("Running, but {e}"))),
        Err(e) => Err(failures::talos(&e, &doing)),
    }
}

/// What the service says of an etcd that is not worth asking for its members.
fn unready(etcd: Option<&Service>) -> Option<Etcd> {
    match etcd {
        None => Some(Etcd::Waits("not started".into())),
        Some(s) if s.state == "Running" && s.healthy == Some(true) => None,
        Some(s) if s.state == PREPARING || s.state == "Waiting" => Some(Etcd::Waits(s.state.clone())),
        // It has data, or is about to have: a second etcd beside it would be a second cluster.
        Some(s) => Some(Etcd::Unclear(s.state.clone())),
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
        let mut unclear = None;
        for node in &self.control_planes {
            match etcd_of(site, node).await? {
                Etcd::Cluster(members) => found.push((node, members)),
                Etcd::Waits(state) if node.name == self.first.name => first_says = state,
                Etcd::Waits(_) => {}
                Etcd::Unclear(state) => unclear = unclear.or(Some(format!("etcd of {} is {state}", node.name))),
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
        let first = format!("etcd of {} is {first_says}", self.first.name);
        if unclear.is_none() && (first_says == PREPARING || cx.handle().is_none()) {
            return Ok(Observed::Absent(first));
        }
        let condition = format!("etcd of {} is healthy", self.first.name);
        Ok(Observed::Underway(Wait::new(condition, unclear.unwrap_or(first), BAND)))
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
    fn an_etcd_that_runs_and_can_not_tell_its_members_forbids_a_bootstrap_beside_it() {
        let told = |state: &str, healthy| {
            let last_message = String::new();
            unready(Some(&Service { id: "etcd".into(), state: state.into(), healthy, last_message }))
        };
        assert!(matches!(told(PREPARING, None), Some(Etcd::Waits(_))));
        assert!(matches!(unready(None), Some(Etcd::Waits(_))));
        for (state, healthy) in [("Running", None), ("Running", Some(false)), ("Starting", None), ("Failed", None)] {
            assert!(matches!(told(state, healthy), Some(Etcd::Unclear(_))), "{state}");
        }
        assert!(told("Running", Some(true)).is_none());
    }

    #[test]
    fn members_in_common_make_one_cluster_and_none_make_two() {
        assert!(!is_split(&[list(&[1]), list(&[1, 2])]));
        assert!(!is_split(&[list(&[1])]));
        assert!(is_split(&[list(&[1]), list(&[1, 2]), list(&[3])]));
    }
}
