//! Day 8 as a person sees it: two tenants that do not reach each other, a quota that holds, a host that answers, a row that a replica
//! gives back, and nothing of them left.
use crate::common::{Kept, ToItsEnd, cozyup, records, text, until};
use crate::day6::{killed_behind, proof};
use crate::day6_workers::Cluster;
use cozyup::kubernetes::Kind;
use serde_json::{Value, json};

const TENANTS: [&str; 2] = ["tenant-cozyuptest", "tenant-cozyupother"];

fn summary<'a>(records: &'a [Value], step: &str) -> &'a str {
    proof(records, step)["summary"].as_str().unwrap()
}

fn names(cluster: &Cluster, namespace: Option<&str>, kind: &Kind) -> Vec<String> {
    let all = cluster.list_in(namespace, kind);
    all.iter().map(|o| o["metadata"]["name"].as_str().unwrap().to_string()).collect()
}

/// Nothing of day 8 in the cluster.
fn nothing_left(lab: &Kept) {
    let cluster = Cluster::of(lab);
    for kind in [Kind::NAMESPACE, Kind::CILIUM_WIDE_POLICY] {
        let left: Vec<String> =
            names(&cluster, None, &kind).into_iter().filter(|n| TENANTS.iter().any(|t| n.starts_with(t))).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    assert_eq!(names(&cluster, Some("tenant-root"), &Kind::TENANT), ["root"]);
    let of_tenant = |v: &Value| TENANTS.iter().any(|t| v["spec"]["claimRef"]["namespace"] == *t);
    assert!(!cluster.list_in(None, &Kind::PERSISTENT_VOLUME).iter().any(of_tenant));
    let volumes = names(&cluster, None, &Kind::PERSISTENT_VOLUME);
    for resource in cluster.list_in(None, &Kind::LINSTOR_RESOURCE) {
        let name = resource["spec"]["resource_name"].as_str().unwrap().to_lowercase();
        assert!(volumes.contains(&name), "{name} is left");
    }
}

#[test]
fn two_tenants_are_kept_apart_limited_answer_keep_a_row_and_leave_nothing() {
    let lab = Kept::new();
    let run = lab.run_until("8", &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    let all = records(&run);
    for (tenant, other) in [("cozyuptest", "cozyupother"), ("cozyupother", "cozyuptest")] {
        let apart = summary(&all, &format!("day8.isolation/{tenant}"));
        assert!(apart.contains("answered by its own Service, and not by that of") && apart.contains(other), "{apart}");
        let remarks = proof(&all, &format!("day8.tenant/{tenant}"))["remarks"].to_string();
        assert!(remarks.contains("a pod in a namespace that no policy binds"), "{remarks}");
    }
    let refused = summary(&all, "day8.quota");
    assert!(refused.contains("limits.memory=64Gi") && refused.contains("quota is limits.memory=4Gi"), "{refused}");
    let answered = summary(&all, "day8.ingress");
    assert!(answered.contains("http://cozyuptest.") && answered.contains("with pod web-"), "{answered}");
    assert!(summary(&all, "day8.postgres").contains("2 instances are ready, postgres-db-1 is the primary"));
    assert!(proof(&all, "day8.postgres")["remarks"].to_string().contains("nothing saves this database"));
    assert!(summary(&all, "day8.row").contains("read from the replica"));
    nothing_left(&lab);
}

/// Killed behind `event` of `step`, and gone on with.
fn goes_on_behind(step: &str, event: &str) {
    let lab = Kept::new();
    killed_behind(lab.state(), step, event);
    let run = lab.run_until("8", &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    nothing_left(&lab);
}

#[test]
fn a_run_killed_while_a_tenant_is_made_goes_on_to_the_same_end() {
    goes_on_behind("day8.tenant/cozyuptest", "intended");
}

#[test]
fn a_run_killed_while_the_database_is_made_goes_on_to_the_same_end() {
    goes_on_behind("day8.postgres", "acted");
}

#[test]
fn a_run_killed_while_the_tenants_go_goes_on_to_the_same_end() {
    goes_on_behind("day8.cleanup", "acted");
}

#[test]
fn a_teardown_of_a_run_killed_with_its_database_in_use_leaves_no_volume() {
    let lab = Kept::new();
    killed_behind(lab.state(), "day8.row", "acted");
    let teardown = cozyup(lab.state(), &["lab", "teardown", "--confirm", "standard"]).ended();
    assert_eq!(teardown.status.code(), Some(0), "{}", text(&teardown));
    assert!(text(&teardown).contains("the volumes of the database are gone"), "{}", text(&teardown));
}

/// A policy that lets a tenant's pods go anywhere: the neighbour answers, and that is no proof of anything.
#[test]
fn a_tenant_that_reaches_its_neighbour_is_told_and_never_green() {
    let lab = Kept::new();
    killed_behind(lab.state(), "day8.tenant/cozyupother", "proven");
    let cluster = Cluster::of(&lab);
    let open = json!({"spec": {"egress": [{"toEntities": ["world", "cluster"]}]}});
    cluster.merge(Some("tenant-cozyupother"), &Kind::CILIUM_POLICY, "allow-external-communication", &open);
    let run = lab.run_until("8", &["--patience", "60s"]);
    let told = text(&run);
    assert_eq!(run.status.code(), Some(1), "{told}");
    assert!(told.contains("the tenants are not kept apart"), "{told}");
    let all = records(&run);
    let proven = |step: &str| all.iter().any(|r| r["step"] == step && r["event"] == "proven");
    assert!(!proven("day8.isolation/cozyupother") && !proven("day8.cleanup") && proven("day8.isolation/cozyuptest"));
    until("the tenants are there", || (names(&cluster, None, &Kind::NAMESPACE).len() > 2).then_some(()));
}

#[test]
fn a_tenant_in_which_somebody_put_something_stays_until_that_is_gone() {
    let lab = Kept::new();
    killed_behind(lab.state(), "day8.row", "proven");
    let cluster = Cluster::of(&lab);
    let labels = json!({"app": "theirs"});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "busybox:1"}]}});
    let theirs = json!({"spec": {"selector": {"matchLabels": labels}, "template": pod}});
    cluster.create(TENANTS[0], &Kind::DEPLOYMENT, "theirs", theirs);
    let run = lab.run_until("8", &["--patience", "60s"]);
    assert_eq!(run.status.code(), Some(1), "{}", text(&run));
    assert!(text(&run).contains("holds what this run did not make: Deployment theirs"), "{}", text(&run));
    let left = cluster.list_in(Some(TENANTS[0]), &Kind::DEPLOYMENT);
    cluster.delete(&Kind::DEPLOYMENT, left.iter().find(|d| d["metadata"]["name"] == "theirs").unwrap());
    let run = lab.run_until("8", &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    nothing_left(&lab);
}
