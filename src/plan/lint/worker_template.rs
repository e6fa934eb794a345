//! The template of a tenant's machines, without what it needs.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "worker-template",
    severity: Severity::Error,
    overridable: false,
    about: "a template for a tenant's machines that is the plan's Talos template, one of its machines or in the range of Cluster API, for which \
            the plan keeps no VMIDs and addresses or too few, or while a component that its Kubernetes needs is disabled",
    check,
};

/// Without one of them there is no control plane, no data with which machines join, and no place for its objects.
const COMPONENTS: [&str; 5] =
    ["kamaji", "etcd-operator", "capi-providers-cpprovider", "capi-providers-bootstrap", "cozystack-api"];
/// The root ingress, the LoadBalancer test of day 5, and the control plane of day 9.
const ADDRESSES: u64 = 3;

fn check(plan: &Plan) -> Vec<Problem> {
    let Some(template) = plan.tests.worker_template else { return Vec::new() };
    let key = "tests.worker_template";
    let mut problems = Vec::new();
    if plan.has_vmid(template) {
        let why = "a machine of it joins with kubeadm, which Talos does not have";
        let what = format!("{template} is a VM of the plan");
        problems.push(Problem::new(key, what, why, "a template of its own: docs/WORKER-TEMPLATE.md"));
    }
    if plan.tests.machine_vmids.is_some_and(|range| range.contains(template)) {
        let why = "VMs of this range are made and removed by Cluster API";
        let what = format!("{template} is in tests.machine_vmids");
        problems.push(Problem::new(key, what, why, "a template outside of it"));
    }
    problems.extend(room(plan, key));
    for (at, name, _) in super::components(plan).into_iter().filter(|(_, name, on)| !on && COMPONENTS.contains(name)) {
        let why = "a tenant's Kubernetes is made with it";
        let what = format!("day 9 needs {name}");
        problems.push(Problem::new(at, what, why, "a list without it, or no tests.worker_template"));
    }
    problems
}

/// VMIDs and addresses for the machines, and one for the control plane.
fn room(plan: &Plan, key: &str) -> Vec<Problem> {
    let (tests, mut problems) = (&plan.tests, Vec::new());
    match tests.room_for_workers() {
        None => {
            let what = "there is no tests.machine_vmids or tests.machine_addresses";
            problems.push(Problem::new(
                key,
                what,
                "its machines take their VMIDs and addresses from there",
                "set both",
            ));
        }
        Some((vmids, addresses)) if vmids.min(addresses) < tests.tenant_workers => {
            let (count, most) = (tests.tenant_workers, vmids.min(addresses));
            let what =
                format!("tests.machine_vmids and tests.machine_addresses have room for {most} of {count} machines");
            let why = "each takes two VMIDs, since capmox sometimes clones a machine twice, and an address; two more addresses are kept free";
            problems.push(Problem::new(key, what, why, format!("larger ranges, or tests.tenant_workers: {most}")));
        }
        Some(_) => {}
    }
    let count: u64 = plan.network.address_pool.iter().map(|range| range.count()).sum();
    if count < ADDRESSES {
        let why = "the tenant's control plane needs one beside the root ingress and the LoadBalancer test";
        let what = format!("network.address_pool holds {count} addresses");
        problems.push(Problem::new(key, what, why, format!("{ADDRESSES} or more")));
    }
    problems
}
