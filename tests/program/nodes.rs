//! Machines of the plan that come, go and are replaced after the cluster was validated.
use crate::common::{Kept, ToItsEnd, cozyup, exit, records, text, until};
use crate::day6::{proof, reader};
use crate::day6_workers::Cluster;
use crate::hands::Hands;
use cozyup::base::vmid::Vmid;
use cozyup::kubernetes::Kind;
use cozyup::lab::site::Site;
use cozyup::proxmox::VmStatus;
use cozyup::steps::catalogue::LAST_DAY;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Output;
use tokio::runtime::Runtime;

/// The machines of the standard lab, and its template.
const VMS: [u32; 5] = [1001, 1002, 1003, 1011, 9100];

/// A lab whose cluster is validated: every day is proven.
fn validated() -> Kept {
    Kept::with_run_until(&LAST_DAY.to_string())
}

/// The whole plan once more, to its end.
fn run(lab: &Kept) -> Vec<Value> {
    let run = lab.run_until(&LAST_DAY.to_string(), &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    records(&run)
}

/// The lines of the plan that describe this machine.
fn described(plan: &str, name: &str) -> String {
    let begins = plan.find(&format!("  - name: {name}\n")).unwrap();
    let rest = &plan[begins + 1..];
    let ends = rest.find("\n  - name:").unwrap_or(usize::MAX).min(rest.find("\nnetwork:").unwrap());
    plan[begins..begins + 1 + ends].to_string() + "\n"
}

fn edit(lab: &Kept, change: impl FnOnce(String) -> String) {
    let plan = lab.site().plan;
    let before = std::fs::read_to_string(&plan).unwrap();
    let after = change(before.clone());
    assert_ne!(after, before);
    std::fs::write(&plan, after).unwrap();
}

/// The first worker once more, under another name, VMID and address.
fn add_worker(lab: &Kept) {
    edit(lab, |plan| {
        let first = described(&plan, "cozy-new-worker1");
        let second = first.replace("worker1", "worker2").replace("1011", "1012").replace(".211\n", ".205\n");
        plan.replace(&first, &format!("{first}{second}"))
    });
}

/// What Proxmox VE says of a VM: the tasks that it remembers, and for how long it has been up.
fn history(site: &Site) -> BTreeMap<u32, (Vec<String>, VmStatus)> {
    let (reader, runtime) = (reader(site), Runtime::new().unwrap());
    let of = |vmid: u32| {
        let tasks = runtime.block_on(reader.tasks_of("pve", Vmid::of(vmid))).unwrap().value;
        let status = runtime.block_on(reader.vm_status("pve", Vmid::of(vmid))).unwrap().value;
        (vmid, (tasks.iter().map(|task| task.upid.as_str().to_string()).collect(), status))
    };
    VMS.map(of).into()
}

#[test]
fn a_worker_that_was_added_to_the_plan_comes_beside_machines_that_nobody_touches() {
    let lab = validated();
    let secrets = std::fs::read(lab.run_folder().join("secrets/secrets.yaml")).unwrap();
    let before = history(&lab.site());
    add_worker(&lab);
    let records = run(&lab);
    for (vmid, (tasks, status)) in history(&lab.site()) {
        let new: Vec<&String> = tasks.iter().filter(|task| !before[&vmid].0.contains(task)).collect();
        // The new worker is a clone of the template.
        let right = if vmid == 9100 { 1 } else { 0 };
        assert_eq!(new.len(), right, "vm {vmid}: {new:?}");
        assert!(status.uptime >= before[&vmid].1.uptime, "vm {vmid} was started anew: {status:?}");
    }
    assert_eq!(std::fs::read(lab.run_folder().join("secrets/secrets.yaml")).unwrap(), secrets, "new secrets");
    let acted: Vec<&str> =
        records.iter().filter(|r| r["event"] == "intended").map(|r| r["step"].as_str().unwrap()).collect();
    for step in &acted {
        assert!(!VMS.iter().any(|_| step.contains("cp") || step.contains("worker1")), "{step} of {acted:?}");
    }
    assert!(
        acted.contains(&"day1.clone/cozy-new-worker2") && acted.contains(&"day2.apply/cozy-new-worker2"),
        "{acted:?}"
    );
    assert!(proof(&records, "day2.nodes")["summary"].as_str().unwrap().contains("5 nodes"));
    let ended = records.last().unwrap();
    assert_eq!((&ended["outcome"], &ended["event"]), (&Value::from("proven"), &Value::Null), "{ended:#}");
    eprintln!("{acted:#?}");
}

/// The first worker's second, as [`add_worker`] made it.
const SECOND: &str = "cozy-new-worker2";
pub const CP2: &str = "cozy-new-cp2";

fn remove(lab: &Kept, name: &str, more: &[&str]) -> Output {
    let arguments = ["lab", "teardown", "--node", name];
    cozyup(lab.state(), &[&arguments[..], more].concat()).ended()
}

fn removed(lab: &Kept, name: &str) -> Vec<Value> {
    let done = remove(lab, name, &["--confirm", name, "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    records(&done)
}

fn refused(lab: &Kept, name: &str, words: &[&str]) {
    let refused = remove(lab, name, &["--confirm", name, "--patience", "20s"]);
    assert!(matches!(refused.status.code(), Some(1 | 2)), "{}", text(&refused));
    let said = text(&refused);
    assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
}

/// The VMIDs of the plan's machines that there are.
fn vms(lab: &Kept) -> Vec<u32> {
    let all = Runtime::new().unwrap().block_on(reader(&lab.site()).resources()).unwrap().value;
    let ids = all.into_iter().map(|row| u32::from(row.vmid)).filter(|id| (1001..=1012).contains(id));
    let mut ids: Vec<u32> = ids.collect();
    ids.sort_unstable();
    ids
}

/// A person at the cluster's API.
pub trait Hand {
    fn list(&self, namespace: Option<&str>, kind: &Kind) -> Vec<Value>;
    fn merge(&self, namespace: Option<&str>, kind: &Kind, name: &str, patch: &Value);
    fn delete(&self, kind: &Kind, object: &Value);
}

impl Hand for Cluster {
    fn list(&self, namespace: Option<&str>, kind: &Kind) -> Vec<Value> {
        self.list_in(namespace, kind)
    }

    fn merge(&self, namespace: Option<&str>, kind: &Kind, name: &str, patch: &Value) {
        Cluster::merge(self, namespace, kind, name, patch);
    }

    fn delete(&self, kind: &Kind, object: &Value) {
        Cluster::delete(self, kind, object);
    }
}

impl Hand for Hands {
    fn list(&self, namespace: Option<&str>, kind: &Kind) -> Vec<Value> {
        Hands::list(self, kind, namespace)
    }

    fn merge(&self, namespace: Option<&str>, kind: &Kind, name: &str, patch: &Value) {
        Hands::merge(self, kind, namespace, name, patch);
    }

    fn delete(&self, kind: &Kind, object: &Value) {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        Hands::delete(self, kind, Some(text("namespace")).filter(|n| !n.is_empty()), text("name"));
    }
}

/// The pods whose volume can be used on this machine alone, each with its claim.
fn bound(hand: &dyn Hand, node: &str) -> Vec<(Value, Value)> {
    let volumes = hand.list(None, &Kind::PERSISTENT_VOLUME);
    let pinned = |v: &&Value| v["spec"]["nodeAffinity"].to_string().contains(&format!("[\"{node}\"]"));
    let names: Vec<&Value> = volumes.iter().filter(pinned).map(|v| &v["metadata"]["name"]).collect();
    let claims = hand.list(None, &Kind::PERSISTENT_VOLUME_CLAIM);
    let pods = hand.list(None, &Kind::POD);
    let user = |claim: &Value| {
        let uses = |pod: &&Value| {
            let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
            let mut claimed = volumes.map(|v| &v["persistentVolumeClaim"]["claimName"]);
            pod["metadata"]["namespace"] == claim["metadata"]["namespace"]
                && claimed.any(|name| *name == claim["metadata"]["name"])
        };
        pods.iter().find(uses).cloned()
    };
    let of_it = claims.into_iter().filter(|claim| names.contains(&&claim["spec"]["volumeName"]));
    of_it.filter_map(|claim| Some((user(&claim)?, claim))).collect()
}

/// What a person does before the machine can go: pods with a volume of its own there begin anew elsewhere, and what LINSTOR
/// keeps there is on others afterwards, as after `linstor node evacuate`.
pub fn empty(hand: &dyn Hand, node: &str) {
    let cordon = |yes: Value| hand.merge(None, &Kind::NODE, node, &json!({"spec": {"unschedulable": yes}}));
    cordon(json!(true));
    for (pod, claim) in bound(hand, node) {
        hand.delete(&Kind::PERSISTENT_VOLUME_CLAIM, &claim);
        hand.delete(&Kind::POD, &pod);
    }
    until("nothing is bound to the machine", || bound(hand, node).is_empty().then_some(()));
    until("all pods run", || {
        let pods = hand.list(None, &Kind::POD);
        pods.iter().all(|pod| pod["status"]["phase"] != "Pending").then_some(())
    });
    cordon(Value::Null);
    let on = |row: &Value| row["spec"]["node_name"].as_str().unwrap().to_lowercase();
    let others = ["cozy-new-worker1", "cozy-new-cp1", CP2, "cozy-new-cp3"];
    for row in hand.list(None, &Kind::LINSTOR_RESOURCE).iter().filter(|row| on(row) == node) {
        let rows = hand.list(None, &Kind::LINSTOR_RESOURCE);
        let of_volume = |r: &&Value| r["spec"]["resource_name"] == row["spec"]["resource_name"];
        let holders: Vec<String> = rows.iter().filter(of_volume).map(on).collect();
        let spec = |to: &str| json!({"spec": {"node_name": to.to_uppercase()}});
        match others.iter().find(|name| !holders.iter().any(|on| on == *name)) {
            Some(free) => {
                hand.merge(None, &Kind::LINSTOR_RESOURCE, row["metadata"]["name"].as_str().unwrap(), &spec(free))
            }
            None => hand.delete(&Kind::LINSTOR_RESOURCE, row),
        }
    }
}

#[test]
fn a_worker_is_drained_and_removed_and_made_anew_or_stays_away() {
    let lab = validated();
    refused(&lab, "cozy-new-worker1", &["it is the only worker", "cozyup run PLAN"]);
    refused(&lab, "nobody", &["has no machine nobody", "cozy-new-cp1"]);
    add_worker(&lab);
    refused(&lab, "cozy-new-cp3", &["is not validated", SECOND, "cozyup run PLAN"]);
    run(&lab);
    pods_everywhere(&lab);
    let unsaid = remove(&lab, SECOND, &[]);
    assert_eq!(unsaid.status.code(), Some(2), "{}", text(&unsaid));
    assert!(text(&unsaid).contains(&format!("--confirm {SECOND}")), "{}", text(&unsaid));
    let before = history(&lab.site());
    let records = held_by_a_budget(&lab, SECOND);
    assert_eq!(vms(&lab), [1001, 1002, 1003, 1011]);
    assert!(!Cluster::of(&lab).nodes().contains(&SECOND.to_string()));
    assert!(proof(&records, &format!("node.rest/{SECOND}"))["summary"].as_str().unwrap().contains("etcd has 3 of 3"));
    for (vmid, (tasks, _)) in history(&lab.site()) {
        assert_eq!(tasks, before[&vmid].0, "vm {vmid}");
    }
    // Said once more, it finds nothing left to do.
    removed(&lab, SECOND);
    // With the machine still in the plan, a run makes it anew.
    run(&lab);
    assert_eq!(vms(&lab), [1001, 1002, 1003, 1011, 1012]);
    removed(&lab, SECOND);
    edit(&lab, |plan| plan.replace(&described(&plan, SECOND), ""));
    run(&lab);
    assert_eq!(vms(&lab), [1001, 1002, 1003, 1011]);
}

#[test]
fn a_control_plane_is_replaced_and_no_second_one_goes_meanwhile() {
    let lab = validated();
    empty(&Cluster::of(&lab), CP2);
    let records = removed(&lab, CP2);
    let left = proof(&records, &format!("node.etcd/{CP2}"))["summary"].as_str().unwrap();
    assert!(left.contains("is no member of etcd") && left.contains("2 of 2 members"), "{left}");
    assert_eq!(vms(&lab), [1001, 1003, 1011]);
    refused(&lab, "cozy-new-cp3", &["is not validated", CP2, "cozyup run PLAN"]);
    let records = run(&lab);
    let members = proof(&records, "day2.members");
    assert!(members["summary"].as_str().unwrap().contains("cozy-new-cp1, cozy-new-cp2, cozy-new-cp3"), "{members:#}");
    assert_eq!(vms(&lab), [1001, 1002, 1003, 1011]);
    let status = text(&cozyup(lab.state(), &["status"]).ended());
    assert!(!status.contains("not proven"), "{status}");
}

/// Pods on every machine, of which none may go.
fn pods_everywhere(lab: &Kept) {
    let cluster = Cluster::of(lab);
    let labels = json!({"app": "shop"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "registry.k8s.io/pause:3.9"}]}});
    let spec = json!({"spec": {"replicas": 15, "selector": {"matchLabels": labels}, "template": template}});
    cluster.create("default", &Kind::DEPLOYMENT, "shop", spec);
    let budget = json!({"spec": {"minAvailable": 15, "selector": {"matchLabels": labels}}});
    cluster.create("default", &BUDGET, "shop", budget);
    until("its pods run everywhere", || {
        let pods = cluster.list_in(Some("default"), &Kind::POD);
        let running: Vec<&Value> = pods.iter().filter(|pod| pod["status"]["phase"] == "Running").collect();
        (running.len() == 15 && running.iter().any(|pod| pod["spec"]["nodeName"] == SECOND)).then_some(())
    });
}

const BUDGET: Kind = Kind {
    group: "policy",
    version: "v1",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    namespaced: true,
};

/// The removal says what holds it, and goes on once a person lets it.
fn held_by_a_budget(lab: &Kept, name: &str) -> Vec<Value> {
    let printed = lab.state().join("printed");
    let file = std::fs::File::create(&printed).unwrap();
    let arguments = ["lab", "teardown", "--node", name, "--confirm", name, "--json"];
    let mut child = cozyup(lab.state(), &arguments).stdout(file).spawn().unwrap();
    let said = || -> Vec<Value> {
        let text = std::fs::read_to_string(&printed).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    until("the budget holds it", || {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended early: {:#?}",
            said().iter().filter(|r| r["step"] == format!("node.drain/{name}")).collect::<Vec<_>>()
        );
        let is_held = |r: &Value| {
            r["event"] == "waiting" && r["wait"]["seen"].as_str().unwrap_or_default().contains("default/shop-")
        };
        said().iter().any(is_held).then_some(())
    });
    assert!(vms(lab).contains(&1012));
    let cluster = Cluster::of(lab);
    cluster.list_in(Some("default"), &BUDGET).iter().for_each(|budget| cluster.delete(&BUDGET, budget));
    assert_eq!(exit(&mut child).unwrap().code(), Some(0), "{:#?}", said().last());
    said()
}

#[test]
fn another_size_in_the_plan_is_told_and_the_machine_is_replaced_by_one_of_that_size() {
    let lab = validated();
    edit(&lab, |plan| {
        let old = described(&plan, CP2);
        let new = old.replace("memory_mib: 24576", "memory_mib: 28672").replace("cores: 8", "cores: 10");
        plan.replace(&old, &new)
    });
    let differs = lab.run_until(&LAST_DAY.to_string(), &["--patience", "20s"]);
    assert_eq!(differs.status.code(), Some(1), "{}", text(&differs));
    for word in [
        "vm 1002 (cozy-new-cp2) is there with other values than the plan's",
        "cores is 8 instead of 10",
        "memory is 24576 instead of 28672",
        "cozyup teardown PLAN --node cozy-new-cp2, then cozyup run PLAN",
    ] {
        assert!(text(&differs).contains(word), "{word}: {}", text(&differs));
    }
    empty(&Cluster::of(&lab), CP2);
    removed(&lab, CP2);
    run(&lab);
    let config = Runtime::new().unwrap().block_on(reader(&lab.site()).vm_config("pve", Vmid::of(1002))).unwrap().value;
    assert_eq!((config.cores(), config.memory()), (10, 28672));
    // A larger disk is another one, too: nothing grows under a cluster that runs.
    edit(&lab, |plan| {
        let old = described(&plan, "cozy-new-cp3");
        plan.replace(&old, &old.replace("system_disk_gib: 50", "system_disk_gib: 60"))
    });
    let differs = lab.run_until(&LAST_DAY.to_string(), &["--patience", "20s"]);
    assert_eq!(differs.status.code(), Some(1), "{}", text(&differs));
    let said = text(&differs);
    assert!(said.contains("scsi0 has 50.0 GiB instead of 60 GiB") && said.contains("--node cozy-new-cp3"), "{said}");
}
