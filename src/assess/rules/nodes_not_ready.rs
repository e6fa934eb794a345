//! Nodes whose kubelet says that it is not ready, or says nothing.
use super::{Context, Fact, Problem, Rule, named};

pub const RULE: Rule = Rule {
    id: "nodes-not-ready",
    about: "nodes that are not Ready",
    source: "Kubernetes: the condition Ready of a Node",
    check,
};

use crate::assess::verdict::Broken;

fn check(of: &Context) -> Vec<Problem> {
    let nodes = &of.snapshot.nodes.read;
    let down: Vec<_> = nodes.iter().filter(|n| !n.ready).collect();
    if down.is_empty() {
        return Vec::new();
    }
    let days = of.snapshot.days(down.iter().filter_map(|n| n.since).min());
    let fact = Fact::NodesNotReady { nodes: named(down.iter().map(|n| n.name.clone())), of: nodes.len(), days };
    vec![Problem::blocks(Broken::Nodes, fact)]
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_node_that_is_not_ready_blocks_and_ready_ones_do_not() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.nodes.read[1].ready = false;
        cluster.nodes.read[1].since = Some(days_ago(3));
        let fact = Fact::NodesNotReady { nodes: vec!["cp2".into()], of: 3, days: Some(3) };
        assert_eq!(found(&RULE, &cluster), [Problem::blocks(Broken::Nodes, fact)]);
    }
}
