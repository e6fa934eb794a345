//! Nodes that run out of memory, disk or process ids.
use super::{Context, Fact, Problem, Rule};

pub const RULE: Rule = Rule {
    id: "node-pressure",
    about: "nodes under pressure",
    source: "Kubernetes: the conditions MemoryPressure, DiskPressure and PIDPressure of a Node",
    check,
};

fn check(of: &Context) -> Vec<Problem> {
    let nodes = of.snapshot.nodes.read.iter().filter(|n| !n.pressure.is_empty());
    nodes.map(|n| Problem::warns(Fact::NodePressure { node: n.name.clone(), pressure: n.pressure.clone() })).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_full_disk_is_told() {
        let mut cluster = healthy();
        cluster.nodes.read[0].pressure = vec!["DiskPressure".into()];
        let fact = Fact::NodePressure { node: "cp1".into(), pressure: vec!["DiskPressure".into()] };
        assert_eq!(found(&RULE, &cluster), [Problem::warns(fact)]);
    }
}
