//! Whether the cluster can do without a machine for a while.
use super::{etcd, told};
use crate::engine::failure::Failure;
use crate::engine::step::Context;
use crate::kubernetes::Kind;
use crate::plan::model::{NodePlan, Role};
use crate::steps::cluster::{get, is_true, items, said, text};
use crate::steps::day7::namespace::NAMESPACE;
use crate::steps::site::Reading;
use crate::steps::{failures, volumes};
use serde_json::{Value, json};

/// The reason why it can't.
#[derive(Debug, PartialEq, Eq)]
pub enum Why {
    FewControlPlanes(usize),
    NodeMissing(String),
    NodeNotReady {
        name: String,
        said: String,
    },
    Cordoned(String),
    EtcdUnwell {
        name: String,
        said: String,
    },
    OnlyCopy {
        volume: String,
        of: String,
    },
    /// Too many of the pods that keep a program's data among them.
    NoMajority {
        set: String,
        here: usize,
        of: usize,
    },
}

impl Why {
    /// The reason, and what to do about it.
    pub fn told(&self) -> (String, String) {
        match self {
            Why::FewControlPlanes(count) => {
                (format!("there are {count} control planes"), "a cluster with fewer than three can't spare one".into())
            }
            Why::NodeMissing(name) => (format!("node {name} is not in the cluster"), look_at(name)),
            Why::NodeNotReady { name, said } => (format!("node {name} is not Ready ({said})"), look_at(name)),
            Why::Cordoned(name) => {
                (format!("node {name} takes no pods"), format!("when its maintenance is over: kubectl uncordon {name}"))
            }
            Why::EtcdUnwell { name, said } => (
                format!("etcd of {name} is not well ({said})"),
                format!("look at it first: talosctl -n {name} service etcd"),
            ),
            Why::OnlyCopy { volume, of } => (
                format!("it holds the only copy of {volume} ({of})"),
                "what uses it would stand still: give it a class with several copies".into(),
            ),
            Why::NoMajority { set, here, of } => (
                format!("it holds {here} of the {of} pods of {set} with their only copies"),
                "the others would have no majority: let the pods run on different machines".into(),
            ),
        }
    }

    pub fn failure(&self, node: &NodePlan) -> Failure {
        let (why, remedy) = self.told();
        Failure::person(
            format!("{} is not powered off, since {why}", told(node)),
            format!("{remedy}; the drill begins by itself then; without it: take {} out of tests.drills", node.name),
        )
    }
}

fn look_at(name: &str) -> String {
    format!("look at it first: kubectl describe node {name}")
}

/// What a person should know although the cluster can bear it, or why it can't.
///
/// # Errors
/// When a system does not answer.
pub async fn judge(cx: &dyn Context, site: &Reading, node: &NodePlan) -> Result<Result<Vec<String>, Why>, Failure> {
    let count = site.plan.control_planes().count();
    if node.role == Role::ControlPlane && count < 3 {
        return Ok(Err(Why::FewControlPlanes(count)));
    }
    let nodes = site.kubernetes()?.list(&Kind::NODE, None, None).await;
    let nodes = nodes.map_err(|e| failures::kubernetes(&e, "list the nodes"))?;
    if let Some(why) = of_nodes(&nodes.value, site.plan.nodes.iter().map(|n| n.name.as_str())) {
        return Ok(Err(why));
    }
    let members = etcd::members(cx, site, site.plan.control_planes()).await?;
    if let Some((name, said)) = members.unwell(site.plan.control_planes()) {
        return Ok(Err(Why::EtcdUnwell { name: name.to_string(), said: said.to_string() }));
    }
    let mut remarks = Vec::new();
    for volume in volumes::alone_on(site, &node.name).await? {
        match user(site, &volume).await? {
            User::OfTheTests => {}
            User::OneOfMany { set, pods } => {
                let here = pods.iter().filter(|on| **on == node.name).count();
                if (pods.len() - here) * 2 <= pods.len() {
                    return Ok(Err(Why::NoMajority { set, here, of: pods.len() }));
                }
                remarks.push(format!(
                    "{volume} has its only copy there, one of {} that {set} keeps of its data",
                    pods.len()
                ));
            }
            User::Alone(of) => return Ok(Err(Why::OnlyCopy { volume, of })),
        }
    }
    Ok(Ok(remarks))
}

/// Any node counts, also one that is not the plan's: what ran on the machine has to find room.
pub fn of_nodes<'a>(nodes: &[Value], planned: impl Iterator<Item = &'a str>) -> Option<Why> {
    let name = |node: &Value| text(node, "/metadata/name").to_string();
    for planned in planned {
        if !nodes.iter().any(|node| name(node) == planned) {
            return Some(Why::NodeMissing(planned.to_string()));
        }
    }
    nodes.iter().find_map(|node| match node {
        node if !is_true(node, "Ready") => Some(Why::NodeNotReady { name: name(node), said: said(node, "Ready") }),
        node if node.pointer("/spec/unschedulable") == Some(&json!(true)) => Some(Why::Cordoned(name(node))),
        _ => None,
    })
}

/// Who uses a volume that has one copy.
enum User {
    OfTheTests,
    /// A StatefulSet of several pods, each with a volume of its own: the nodes of those that are ready.
    OneOfMany {
        set: String,
        pods: Vec<String>,
    },
    Alone(String),
}

async fn user(site: &Reading, volume: &str) -> Result<User, Failure> {
    let reader = site.kubernetes()?;
    let Some(found) = get(&reader, &Kind::PERSISTENT_VOLUME, None, volume).await? else {
        return Ok(User::Alone("a volume that the cluster does not know".to_string()));
    };
    let (namespace, claim) =
        (text(&found.value, "/spec/claimRef/namespace"), text(&found.value, "/spec/claimRef/name"));
    if namespace == NAMESPACE {
        return Ok(User::OfTheTests);
    }
    let alone = User::Alone(format!("claim {namespace}/{claim}"));
    let pods = reader.list(&Kind::POD, Some(namespace), None).await;
    let pods = pods.map_err(|e| failures::kubernetes(&e, &format!("list the pods of {namespace}")))?;
    let mounts =
        |pod: &&Value| items(pod, "/spec/volumes").any(|v| text(v, "/persistentVolumeClaim/claimName") == claim);
    let Some(pod) = pods.value.iter().find(mounts) else { return Ok(alone) };
    if text(pod, "/metadata/ownerReferences/0/kind") != "StatefulSet" {
        return Ok(alone);
    }
    let owner = |pod: &Value| text(pod, "/metadata/ownerReferences/0/uid").to_string();
    let siblings = pods.value.iter().filter(|other| owner(other) == owner(pod) && is_true(other, "Ready"));
    let on: Vec<String> = siblings.map(|pod| text(pod, "/spec/nodeName").to_string()).collect();
    let set = format!("StatefulSet {namespace}/{}", text(pod, "/metadata/ownerReferences/0/name"));
    Ok(if on.len() > 1 { User::OneOfMany { set, pods: on } } else { alone })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    fn node(name: &str, ready: &str, is_cordoned: bool) -> Value {
        json!({"metadata": {"name": name}, "spec": {"unschedulable": is_cordoned},
            "status": {"conditions": [{"type": "Ready", "status": ready, "reason": "NodeStatusUnknown"}]}})
    }

    #[test]
    fn a_node_that_is_away_not_ready_or_cordoned_is_a_reason_whoever_made_it() {
        let of = |nodes: &[Value]| of_nodes(nodes, ["cp1"].into_iter());
        assert_eq!(of(&[node("cp1", "True", false)]), None);
        assert_eq!(of(&[node("cp2", "True", false)]), Some(Why::NodeMissing("cp1".into())));
        let late = of(&[node("cp1", "True", false), node("w9", "Unknown", false)]);
        assert!(matches!(&late, Some(Why::NodeNotReady { name, .. }) if name == "w9"), "{late:?}");
        assert_eq!(of(&[node("cp1", "True", true)]), Some(Why::Cordoned("cp1".into())));
    }

    #[test]
    fn every_reason_names_the_machine_the_cause_and_the_way_without_a_drill() {
        let (plan, name) = (plan(), || "cp3".to_string());
        for (why, cause) in [
            (Why::FewControlPlanes(1), "1 control planes"),
            (Why::NodeMissing(name()), "cp3 is not in the cluster"),
            (Why::NodeNotReady { name: name(), said: "Ready is Unknown".into() }, "Ready is Unknown"),
            (Why::Cordoned(name()), "takes no pods"),
            (Why::EtcdUnwell { name: name(), said: "it knows no leader".into() }, "no leader"),
            (Why::NoMajority { set: "StatefulSet a/b".into(), here: 2, of: 3 }, "2 of the 3 pods of StatefulSet a/b"),
            (Why::OnlyCopy { volume: "pvc-1".into(), of: "claim a/b".into() }, "only copy of pvc-1 (claim a/b)"),
        ] {
            let failure = why.failure(&plan.nodes[0]);
            assert!(failure.what.contains("vm 1001 (cp1) is not powered off"), "{failure:?}");
            assert!(
                failure.what.contains(cause) && failure.next.contains("take cp1 out of tests.drills"),
                "{failure:?}"
            );
        }
    }
}
