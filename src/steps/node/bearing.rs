//! `node.bearing/NAME`: the cluster can do without the machine for good.
use crate::base::day::Day;
use crate::base::text::{size, some};
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::Band;
use crate::kubernetes::{Error, Kind, Reader};
use crate::plan::model::{NodePlan, Plan, Role};
use crate::steps::cluster::{is_deleting, part, seen, text};
use crate::steps::drills::{self, etcd, told};
use crate::steps::node_pods::{Nowhere, Places};
use crate::steps::removal::{self, Found};
use crate::steps::site::{Installation, Reading, address};
use crate::steps::{failures, outlines, volumes};
use crate::talos::Secure;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const KIND: &str = "node.bearing";
const BAND: Band = Band::new(10, 120);
const DOING: &str = "look whether the cluster can do without a machine";
/// Names shown of many.
const SHOWN: usize = 5;

pub struct Bearing {
    outline: Outline,
    node: NodePlan,
}

pub fn step(node: &NodePlan) -> Bearing {
    let by_hand = "kubectl get nodes\ntalosctl -n ADDRESS etcd status\nkubectl exec -n cozy-linstor deploy/linstor-controller \
                   -- linstor resource list";
    let title = format!("the cluster can do without {}", told(node));
    let outline = outlines::check_on(StepId::of(KIND, &node.name), Day::Teardown, title, BAND, by_hand);
    Bearing { outline, node: node.clone() }
}

/// The reason why it can't.
#[derive(Debug, PartialEq, Eq)]
pub enum Why {
    LastControlPlane,
    OnlyWorker,
    /// Of the other machines.
    Cluster(drills::bearing::Why),
    /// A member that is no machine of the plan counts for the majority.
    StrangeMember(String),
    /// Cluster API makes, replaces or removes a machine.
    Machine(String),
    /// Volumes whose data lies on it, and those of them that have no other copy.
    Data {
        volumes: BTreeSet<String>,
        alone: BTreeSet<String>,
    },
    Pod(Nowhere),
}

impl Why {
    pub fn failure(&self, node: &NodePlan) -> Failure {
        let (why, remedy) = self.told(node);
        let again = "the removal goes on by itself then, or with the same command";
        Failure::person(format!("{} is not removed, since {why}", told(node)), format!("{remedy}; {again}"))
    }

    fn told(&self, node: &NodePlan) -> (String, String) {
        let linstor = |verb: &str| {
            format!("kubectl exec -n cozy-linstor deploy/linstor-controller -- linstor node {verb} {}", node.name)
        };
        match self {
            Why::LastControlPlane => {
                ("it is the only control plane".into(), "to remove the whole cluster: cozyup teardown PLAN".into())
            }
            Why::OnlyWorker => {
                ("it is the only worker".into(), "give the plan another and make it first (cozyup run PLAN)".into())
            }
            Why::Cluster(why) => why.told(),
            Why::StrangeMember(name) => (
                format!("etcd has the member {name}, which is no control plane of the plan"),
                "see whose it is: talosctl -n ADDRESS etcd members; one without a machine goes by talosctl etcd remove-member"
                    .into(),
            ),
            Why::Machine(name) => (
                format!("Cluster API is at work on machine {name}"),
                "wait until it is Running or gone: kubectl get machines.cluster.x-k8s.io -A".into(),
            ),
            Why::Data { volumes, alone } if alone.is_empty() => (
                format!("LINSTOR keeps data of {} on it", some(volumes, SHOWN)),
                format!(
                    "move it to the others: {}; of a machine that is lost for good: {}",
                    linstor("evacuate"),
                    linstor("lost")
                ),
            ),
            Why::Data { alone, .. } => (
                format!("LINSTOR has the only copy of {} on it", some(alone, SHOWN)),
                format!("save it, or move it to the others while the machine runs: {}", linstor("evacuate")),
            ),
            Why::Pod(Nowhere::Alone(pod)) => (
                format!("pod {pod} runs on it and nobody would make it anew elsewhere"),
                "delete it with kubectl if nobody needs it".into(),
            ),
            Why::Pod(Nowhere::Bound(pod)) => (
                format!("pod {pod}, or a volume of it, may be on no other machine"),
                "let it run elsewhere (its node selector, affinity or volume), or scale it down".into(),
            ),
            Why::Pod(Nowhere::NoRoom { pod, cpu, memory }) => (
                format!(
                    "no other machine has room for pod {pod}, which asks for {cpu} thousandths of a core and {}",
                    size(*memory)
                ),
                "scale something down, or give the plan another machine and make it first (cozyup run PLAN)".into(),
            ),
        }
    }
}

/// What the plan alone says.
fn of_plan(plan: &Plan, node: &NodePlan) -> Option<Why> {
    let is_only = plan.nodes.iter().filter(|other| other.role == node.role).count() < 2;
    match node.role {
        Role::ControlPlane if is_only => Some(Why::LastControlPlane),
        Role::Worker if is_only => Some(Why::OnlyWorker),
        Role::ControlPlane | Role::Worker => None,
    }
}

/// All objects of a kind; none where the kind was never installed.
async fn all(reader: &Reader, kind: &Kind) -> Result<Vec<Value>, Failure> {
    match reader.list(kind, None, None).await {
        Ok(all) => Ok(all.value),
        Err(Error::NotFound) => Ok(Vec::new()),
        Err(e) => Err(failures::kubernetes(&e, DOING)),
    }
}

/// The evidence that the cluster can do without the machine, or why it can't. What the machine itself is up to does not
/// count: it may be dead, or its removal may have been begun.
///
/// # Errors
/// When a system does not answer.
pub async fn judge(cx: &dyn Context, site: &Reading, node: &NodePlan) -> Result<Result<Vec<Evidence>, Why>, Failure> {
    if let Some(why) = of_plan(&site.plan, node) {
        return Ok(Err(why));
    }
    let reader = site.kubernetes()?;
    let nodes = reader.list(&Kind::NODE, None, None).await.map_err(|e| failures::kubernetes(&e, DOING))?;
    let name = |object: &Value| text(object, "/metadata/name").to_string();
    let others: Vec<Value> = nodes.value.iter().filter(|found| name(found) != node.name).cloned().collect();
    let planned = site.plan.nodes.iter().map(|other| other.name.as_str()).filter(|other| *other != node.name);
    if let Some(why) = drills::bearing::of_nodes(&others, planned) {
        return Ok(Err(Why::Cluster(why)));
    }
    let mut readings = match members(cx, site, node).await? {
        Ok(readings) => readings,
        Err(why) => return Ok(Err(why)),
    };
    let machines = all(&reader, &Kind::MACHINE).await?;
    let is_moving = |m: &&Value| is_deleting(m) || text(m, "/status/phase") != "Running";
    if let Some(machine) = machines.iter().find(is_moving) {
        return Ok(Err(Why::Machine(name(machine))));
    }
    let (volumes, alone) = volumes::data_on(site, &node.name).await?;
    if !volumes.is_empty() {
        return Ok(Err(Why::Data { volumes, alone }));
    }
    let pods = all(&reader, &Kind::POD).await?;
    let (claims, volumes) =
        (all(&reader, &Kind::PERSISTENT_VOLUME_CLAIM).await?, all(&reader, &Kind::PERSISTENT_VOLUME).await?);
    let places = Places { nodes: &others, pods: &pods, claims: &claims, volumes: &volumes };
    if let Some(nowhere) = places.nowhere(&node.name) {
        return Ok(Err(Why::Pod(nowhere)));
    }
    let rows = nodes.value.iter().map(|n| json!([name(n), text(n, "/status/allocatable/memory")]));
    readings.insert(0, seen(cx, &part(&nodes, "the nodes and their memory", rows)));
    Ok(Ok(readings))
}

/// Whether etcd of the other control planes is well and has no member that the plan does not know.
async fn members(cx: &dyn Context, site: &Reading, node: &NodePlan) -> Result<Result<Vec<Evidence>, Why>, Failure> {
    let others = || site.plan.control_planes().filter(|other| other.name != node.name);
    let members = etcd::members(cx, site, others()).await?;
    if let Some((name, said)) = members.unwell(others()) {
        let why = drills::bearing::Why::EtcdUnwell { name: name.to_string(), said: said.to_string() };
        return Ok(Err(Why::Cluster(why)));
    }
    let Some(other) = others().next() else { return Ok(Err(Why::LastControlPlane)) };
    let failed = |e| failures::talos(&e, DOING);
    let list = Secure::connect(address(other), &site.admin()?).await.map_err(failed)?.etcd_members().await;
    let list = list.map_err(failed)?;
    let planned = |name: &str| site.plan.control_planes().any(|cp| cp.name == name);
    if let Some(strange) = list.value.iter().find(|member| !planned(&member.hostname)) {
        return Ok(Err(Why::StrangeMember(strange.hostname.clone())));
    }
    Ok(Ok(members.evidence().collect()))
}

#[async_trait]
impl Check<Installation> for Bearing {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let node = &self.node;
        match removal::find(cx, site, node.vmid, DOING, BAND).await? {
            Found::Ours { .. } | Found::Free(_) => {}
            Found::Not(observed) => match *observed {
                // Somebody else's: left alone is not enough here, since the rest of the removal would touch its node.
                Observed::Satisfied(_) => {
                    return Ok(Observed::Conflict(Failure::refused(
                        format!("vm {} is there and is not this run's: {} is not removed", node.vmid, node.name),
                        "look whose it is (qm config VMID); if nobody needs it, remove it yourself and begin again",
                    )));
                }
                other => return Ok(other),
            },
        }
        match judge(cx, site, node).await? {
            Err(why) => Ok(Observed::Conflict(why.failure(node))),
            Ok(readings) => {
                let summary = format!("the others are well, and have room for what {} carries", node.name);
                let mut readings = readings.into_iter();
                let first = readings.next().ok_or_else(|| Failure::defect("a look without a reading"))?;
                Ok(Observed::Satisfied(readings.fold(Proof::new(summary, first), Proof::and)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    #[test]
    fn the_only_machine_of_a_role_is_refused_by_the_plan_alone() {
        let mut plan = plan();
        assert_eq!(of_plan(&plan, &plan.nodes[0]), None);
        plan.nodes[2].role = Role::Worker;
        assert_eq!(of_plan(&plan, &plan.nodes[2]), Some(Why::OnlyWorker));
        plan.nodes.remove(1);
        assert_eq!(of_plan(&plan, &plan.nodes[0]), Some(Why::LastControlPlane));
    }

    #[test]
    fn every_reason_names_the_machine_the_cause_and_what_to_do() {
        let plan = plan();
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let data = |alone: &[&str]| Why::Data { volumes: set(&["pvc-1", "pvc-2"]), alone: set(alone) };
        let room = Nowhere::NoRoom { pod: "a/p".into(), cpu: 500, memory: 4 << 30 };
        for (why, cause, next) in [
            (Why::LastControlPlane, "the only control plane", "cozyup teardown PLAN"),
            (Why::OnlyWorker, "the only worker", "cozyup run PLAN"),
            (Why::Cluster(drills::bearing::Why::Cordoned("cp3".into())), "cp3 takes no pods", "kubectl uncordon cp3"),
            (Why::StrangeMember("old".into()), "the member old", "remove-member"),
            (Why::Machine("kept-1".into()), "machine kept-1", "kubectl get machines"),
            (data(&[]), "data of pvc-1, pvc-2 on it", "linstor node evacuate cp1"),
            (data(&["pvc-2"]), "only copy of pvc-2", "linstor node evacuate cp1"),
            (Why::Pod(Nowhere::Alone("a/p".into())), "pod a/p", "delete it with kubectl"),
            (Why::Pod(Nowhere::Bound("a/p".into())), "pod a/p", "scale it down"),
            (Why::Pod(room), "500 thousandths of a core and 4.0 GiB", "scale something down"),
        ] {
            let failure = why.failure(&plan.nodes[0]);
            assert!(failure.what.starts_with("vm 1001 (cp1) is not removed, since "), "{failure:?}");
            assert!(failure.what.contains(cause) && failure.next.contains(next), "{failure:?}");
        }
    }
}
