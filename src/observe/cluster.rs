//! Nodes, pods and warnings of the cluster, counted in full and listed in part.
use crate::base::text::shorten;
use crate::kubernetes::{EventStatus, NodeStatus, PodStatus};
use crate::observed::{Event, Events, Fact, Node, Nodes, Noticed, Object, Pod, Pods};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct NodesWatch {
    planned: BTreeSet<String>,
    /// No plan says which nodes there are: each that was seen is expected.
    all: bool,
    /// Of planned nodes: whether each was Ready when it was seen last.
    ready: BTreeMap<String, bool>,
    /// Those that were Ready before they were not.
    fallen: BTreeSet<String>,
}

/// The result of one look.
#[derive(Debug, Default)]
pub struct Seen {
    pub nodes: Nodes,
    pub notices: Vec<Noticed>,
    pub doubts: BTreeSet<Fact>,
}

impl NodesWatch {
    pub fn of(planned: impl IntoIterator<Item = String>) -> NodesWatch {
        NodesWatch { planned: planned.into_iter().collect(), ..NodesWatch::default() }
    }

    pub fn of_all() -> NodesWatch {
        NodesWatch { all: true, ..NodesWatch::default() }
    }

    fn expected(&self, seen: &[NodeStatus]) -> BTreeSet<String> {
        if !self.all {
            return self.planned.clone();
        }
        seen.iter().map(|node| &node.name).chain(self.ready.keys()).cloned().collect()
    }

    pub fn take(&mut self, all: &[NodeStatus]) -> Seen {
        let mut seen = Seen::default();
        for name in self.expected(all) {
            let node = all.iter().find(|node| node.name == name);
            if !node.is_some_and(|node| node.ready) {
                seen.doubts.insert(Fact::NodeReady(name.clone()));
            }
            let before = match node {
                Some(node) => self.ready.insert(name.clone(), node.ready),
                None => self.ready.remove(&name),
            };
            match (before, node) {
                (Some(true), Some(node)) if !node.ready => {
                    self.fallen.insert(name.clone());
                    seen.notices.push(Noticed::NodeNotReady { name, reason: node.reason.clone() });
                }
                (_, Some(node)) if node.ready && self.fallen.remove(&name) => {
                    seen.notices.push(Noticed::NodeReady { name });
                }
                (Some(_), None) => {
                    self.fallen.insert(name.clone());
                    seen.notices.push(Noticed::NodeGone { name });
                }
                (_, Some(_)) | (None, None) => {}
            }
        }
        seen.nodes = self.view(all);
        seen
    }

    fn view(&self, all: &[NodeStatus]) -> Nodes {
        let mut rows: Vec<Node> = all.iter().map(|node| row(node, self.planned.contains(&node.name))).collect();
        rows.sort_by(|a, b| (!a.planned, a.ready, &a.name).cmp(&(!b.planned, b.ready, &b.name)));
        rows.truncate(Nodes::MOST);
        Nodes { total: all.len(), ready: all.iter().filter(|node| node.ready).count(), rows }
    }
}

fn row(node: &NodeStatus, planned: bool) -> Node {
    let first = |all: &[String]| all.iter().take(Nodes::MOST_MARKS).cloned().collect::<Vec<_>>();
    Node {
        name: node.name.clone(),
        ready: node.ready,
        reason: if node.ready { String::new() } else { node.reason.clone() },
        version: node.kubelet_version.clone(),
        roles: first(&node.roles),
        taints: first(&node.taints),
        planned,
        cordoned: node.unschedulable,
        pressures: first(&node.pressures),
        created: node.created,
    }
}

pub fn pods(all: &[PodStatus]) -> Pods {
    let mut view = Pods { total: all.len(), ..Pods::default() };
    let mut troubled: Vec<&PodStatus> = Vec::new();
    for pod in all {
        *view.phases.entry(phase(&pod.phase).to_string()).or_insert(0) += 1;
        view.ready += usize::from(pod.ready);
        if !pod.ready && pod.phase != "Succeeded" {
            troubled.push(pod);
        }
    }
    view.troubled = troubled.len();
    let order = |pod: &PodStatus| (pod.waiting_reason.is_none(), pod.namespace.clone(), pod.name.clone());
    troubled.sort_by_cached_key(|pod| order(pod));
    view.rows = troubled.into_iter().take(Pods::MOST).map(pod_row).collect();
    view
}

/// Kubernetes' own five, so that the counts are bounded whatever an API server says.
fn phase(phase: &str) -> &'static str {
    match phase {
        "Running" => "Running",
        "Pending" => "Pending",
        "Succeeded" => "Succeeded",
        "Failed" => "Failed",
        _ => "Unknown",
    }
}

fn pod_row(pod: &PodStatus) -> Pod {
    Pod {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        phase: phase(&pod.phase).to_string(),
        reason: pod.waiting_reason.as_deref().map(|reason| shorten(reason, Events::MESSAGE)),
        restarts: pod.restarts,
        node: pod.node.clone(),
        release: pod.release.as_deref().map(|name| shorten(name, Events::MESSAGE)),
    }
}

fn of(event: &EventStatus) -> Option<Object> {
    let (namespace, name) = (event.namespace.clone(), event.about.1.clone());
    match event.about.0.as_str() {
        "Pod" => Some(Object::Pod { namespace, name }),
        "HelmRelease" => Some(Object::Release { namespace, name }),
        "Node" => Some(Object::Node { name }),
        _other => None,
    }
}

pub fn events(all: &[EventStatus]) -> Events {
    let mut newest: Vec<&EventStatus> = all.iter().collect();
    newest.sort_by_key(|event| (Reverse(event.last), event.name.as_str()));
    let row = |event: &EventStatus| Event {
        at: event.last,
        about: match event.namespace.as_str() {
            "" => format!("{} {}", event.about.0, event.about.1),
            namespace => format!("{} {namespace}/{}", event.about.0, event.about.1),
        },
        of: of(event),
        reason: shorten(&event.reason, Events::MESSAGE),
        message: shorten(&event.message, Events::MESSAGE),
        count: event.count,
    };
    Events { total: all.len(), rows: newest.into_iter().take(Events::MOST).map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::{Snapshot, View};
    use jiff::Timestamp;

    fn node(name: &str, ready: bool) -> NodeStatus {
        NodeStatus {
            name: name.into(),
            ready,
            reason: "NodeStatusUnknown".into(),
            kubelet_version: "v1.33.3".into(),
            taints: vec!["t:NoSchedule".into(); 50],
            ..NodeStatus::default()
        }
    }

    fn watch() -> NodesWatch {
        NodesWatch::of(["cp1".to_string(), "cp2".to_string()])
    }

    /// screen.md A2
    #[test]
    fn a_node_that_falls_is_told_and_doubted_and_told_again_when_it_is_back() {
        let mut watch = watch();
        let early = watch.take(&[node("cp1", false), node("cp2", false)]);
        assert!(early.notices.is_empty() && early.doubts.len() == 2, "it never was Ready: {early:?}");
        assert!(watch.take(&[node("cp1", true), node("cp2", true), node("other", false)]).doubts.is_empty());
        let fallen = watch.take(&[node("cp1", false), node("cp2", true)]);
        assert_eq!(fallen.doubts, BTreeSet::from([Fact::NodeReady("cp1".into())]));
        assert_eq!(fallen.notices, [Noticed::NodeNotReady { name: "cp1".into(), reason: "NodeStatusUnknown".into() }]);
        assert!(watch.take(&[node("cp1", false), node("cp2", true)]).notices.is_empty());
        let back = watch.take(&[node("cp1", true), node("cp2", true)]);
        assert_eq!((back.notices, back.doubts.len()), (vec![Noticed::NodeReady { name: "cp1".into() }], 0));
        let gone = watch.take(&[node("cp2", true)]);
        assert_eq!(gone.notices, [Noticed::NodeGone { name: "cp1".into() }]);
        assert_eq!(gone.nodes.rows[0].taints.len(), Nodes::MOST_MARKS);
    }

    #[test]
    fn where_no_plan_names_the_nodes_each_that_was_seen_is_told_of_when_it_changes() {
        let mut watch = NodesWatch::of_all();
        assert!(watch.take(&[node("srv1", true), node("srv2", false)]).notices.is_empty(), "so it was found");
        let fallen = watch.take(&[node("srv1", false), node("srv2", false)]).notices;
        assert_eq!(fallen, [Noticed::NodeNotReady { name: "srv1".into(), reason: "NodeStatusUnknown".into() }]);
        assert_eq!(watch.take(&[node("srv1", false)]).notices, [Noticed::NodeGone { name: "srv2".into() }]);
        assert!(watch.take(&[node("srv1", false)]).notices.is_empty(), "it is told once");
        assert_eq!(watch.take(&[node("srv1", true)]).notices, [Noticed::NodeReady { name: "srv1".into() }]);
    }

    /// Five thousand pods that all have trouble, with the longest words that Kubernetes takes.
    #[test]
    fn a_snapshot_of_five_thousand_pods_is_small_and_its_counts_are_complete() {
        let pod = |n: usize| PodStatus {
            namespace: format!("{n:063}"),
            name: format!("{n:0253}"),
            phase: if n < 100 { "Weird".into() } else { "Pending".into() },
            ready: false,
            restarts: 3,
            node: "n".repeat(253),
            waiting_reason: n.is_multiple_of(2).then(|| "ImagePullBackOff".repeat(100)),
            ip: String::new(),
            started: None,
            release: Some("r".repeat(63)),
        };
        let all: Vec<PodStatus> = (0..5000).map(pod).collect();
        let view = pods(&all);
        assert_eq!((view.total, view.ready, view.troubled, view.rows.len()), (5000, 0, 5000, Pods::MOST));
        assert_eq!(view.phases, BTreeMap::from([("Pending".into(), 4900), ("Unknown".into(), 100)]));
        assert!(view.rows.iter().all(|row| row.reason.is_some()), "those with a reason come first");
        let size = serde_json::to_string(&Snapshot::new(Timestamp::UNIX_EPOCH, View::Pods(view))).unwrap().len();
        assert!(size < 128 << 10, "{size} bytes");
    }

    #[test]
    fn the_newest_warnings_are_listed_and_all_are_counted() {
        let event = |n: i64| EventStatus {
            namespace: "a".into(),
            name: format!("e{n}"),
            about: ("Pod".into(), "p".into()),
            reason: "BackOff".into(),
            message: "m".repeat(10_000),
            count: 2,
            last: Timestamp::from_second(n).ok(),
        };
        let all: Vec<EventStatus> = (0..3000).map(event).collect();
        let view = events(&all);
        assert_eq!((view.total, view.rows.len()), (3000, Events::MOST));
        assert_eq!(view.rows[0].at, Timestamp::from_second(2999).ok());
        assert!(view.rows[0].message.len() <= Events::MESSAGE && view.rows[0].about == "Pod a/p");
    }
}
