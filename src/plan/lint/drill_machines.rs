//! Drills of machines that a cluster can't do without.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::model::Role;

pub const RULE: Rule = Rule {
    id: "drill-machines",
    severity: Severity::Error,
    overridable: false,
    about: "a drill of a machine that the plan does not have or names twice, of a control plane where there are fewer than three, or \
            of any machine where there are fewer than three",
    check,
};

/// Members of which one may be away: etcd's, and the copies of a replicated volume.
const LEAST: usize = 3;

fn check(plan: &Plan) -> Vec<Problem> {
    let drills = &plan.tests.drills;
    let problem = |(at, name): (usize, &String)| {
        let key = format!("tests.drills[{at}]");
        let is_again = drills.iter().take(at).any(|earlier| earlier == name);
        let Some(node) = plan.nodes.iter().find(|node| node.name == *name) else {
            let why = "only machines that this run has made are ever powered off";
            return Some(Problem::new(key, format!("`{name}` is no machine of the plan"), why, "a name of nodes"));
        };
        if is_again {
            let why = "each machine is powered off and on once";
            return Some(Problem::new(key, format!("{name} stands twice"), why, "each name once"));
        }
        let control_planes = plan.control_planes().count();
        if node.role == Role::ControlPlane && control_planes < LEAST {
            let what = format!("{name} is one of {control_planes} control planes");
            let why = "with one of them off etcd would have no majority, and the cluster would stand still";
            return Some(Problem::new(key, what, why, "three control planes, or drills without this one"));
        }
        (plan.nodes.len() < LEAST).then(|| {
            let what = format!("{name} is one of {} machines", plan.nodes.len());
            let why = "a replicated volume needs two others that hold it while this one is off";
            Problem::new(key, what, why, "three machines, or no drills")
        })
    };
    drills.iter().enumerate().filter_map(problem).collect()
}
