//! Processors or memory that are all asked for: an upgrade starts new pods before it ends old ones.
use super::{Context, Fact, Problem, Rule, named};

pub const RULE: Rule = Rule {
    id: "scarce",
    about: "processors or memory of which pods ask for nearly all",
    source: "Kubernetes: allocatable of a Node beside the requests of its pods",
    check,
};

use crate::assess::snapshot::{Node, Pod};

/// Per cent that pods may ask for before it is told.
const MOST: u64 = 90;

fn check(of: &Context) -> Vec<Problem> {
    let cpu = one(of, "cpu", |n| n.cpu, |p| p.cpu);
    cpu.into_iter().chain(one(of, "memory", |n| n.memory, |p| p.memory)).collect()
}

fn one(of: &Context, resource: &'static str, room: fn(&Node) -> u64, asks: fn(&Pod) -> u64) -> Option<Problem> {
    let (nodes, pods) = (&of.snapshot.nodes.read, &of.snapshot.pods.read);
    let percent = |asked: u64, room: u64| u128::from(asked) * 100 / u128::from(room.max(1));
    let sum = |values: &mut dyn Iterator<Item = u64>| values.fold(0, u64::saturating_add);
    let asked_of = |node: &Node| sum(&mut pods.iter().filter(|p| p.node == node.name).map(asks));
    let full = nodes.iter().filter(|n| room(n) > 0 && percent(asked_of(n), room(n)) > MOST.into());
    let full = named(full.map(|n| n.name.clone()));
    let all = percent(sum(&mut pods.iter().filter(|p| !p.node.is_empty()).map(asks)), sum(&mut nodes.iter().map(room)));
    if full.is_empty() {
        return None;
    }
    let percent = u64::try_from(all).unwrap_or(u64::MAX);
    Some(Problem::warns(Fact::Scarce { resource, percent, nodes: full }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_node_that_is_full_is_named_with_what_the_cluster_asks_for_in_all() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.pods.read.push(Pod { node: "cp1".into(), cpu: 7600, ..Pod::default() });
        let fact = Fact::Scarce { resource: "cpu", percent: 35, nodes: vec!["cp1".into()] };
        assert_eq!(found(&RULE, &cluster), [Problem::warns(fact)]);
    }
}
