//! Workers of day 6 as a person sees them: VMs by a MachineDeployment that join the cluster, carry a pod, and are gone again.
use crate::common::{Kept, ToItsEnd, cozyup, exit, records, text, until};
use crate::day6::{both, guests, isos, killed_behind, proof, reader};
use cozyup::base::secret::Secret;
use cozyup::base::vmid::Vmid;
use cozyup::kubernetes::{Changer, Kind, Reader, connect};
use cozyup::lab::site::Site;
use cozyup::proxmox::CloneOptions;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const NAMESPACE: Option<&str> = Some("cozyup-workers");

/// The cluster's API, and a runtime to ask it with.
pub struct Cluster {
    reader: Reader,
    changer: Changer,
    runtime: Runtime,
}

impl Cluster {
    pub fn of(lab: &Kept) -> Cluster {
        let runtime = Runtime::new().unwrap();
        let kubeconfig = std::fs::read_to_string(lab.run_folder().join("secrets/kubeconfig")).unwrap();
        let _inside = runtime.enter();
        let (reader, changer) = connect(&Secret::new(kubeconfig), None).unwrap();
        drop(_inside);
        Cluster { reader, changer, runtime }
    }

    pub fn nodes(&self) -> Vec<String> {
        self.runtime.block_on(self.reader.nodes()).unwrap().value.into_iter().map(|node| node.name).collect()
    }

    fn list(&self, kind: &Kind) -> Vec<Value> {
        self.list_in(NAMESPACE, kind)
    }

    pub fn list_in(&self, namespace: Option<&str>, kind: &Kind) -> Vec<Value> {
        self.runtime.block_on(self.reader.list(kind, namespace, None)).unwrap().value
    }

    pub fn merge(&self, namespace: Option<&str>, kind: &Kind, name: &str, patch: &Value) {
        self.runtime.block_on(self.changer.merge_patch(kind, namespace, name, patch)).unwrap();
    }

    pub fn create(&self, namespace: &str, kind: &Kind, name: &str, object: Value) {
        self.runtime.block_on(self.changer.create(kind, Some(namespace), name, object)).unwrap();
    }

    pub fn delete(&self, kind: &Kind, object: &Value) {
        let text = |name: &str| object["metadata"][name].as_str().unwrap();
        let namespace = object["metadata"]["namespace"].as_str();
        self.runtime.block_on(self.changer.delete(kind, namespace, text("name"), text("uid"))).unwrap();
    }

    fn has_workers(&self) -> bool {
        self.nodes().iter().any(|name| name.starts_with("workers-"))
    }
}

/// Neither a VM of the range nor a CD-ROM of capmox's.
pub fn nothing_in_proxmox(site: &Site) {
    let reader = reader(site);
    assert!(guests(&reader).is_empty(), "{:?}", guests(&reader));
    assert!(!isos(&reader).iter().any(|iso| iso.contains("user-data-")), "{:?}", isos(&reader));
}

fn nothing_in_kubernetes(lab: &Kept) {
    let cluster = Cluster::of(lab);
    assert!(!cluster.has_workers(), "{:?}", cluster.nodes());
    for kind in [Kind::MACHINE, Kind::PROXMOX_MACHINE, Kind::IP_ADDRESS_CLAIM, Kind::SECRET, Kind::KAMAJI_CONTROL_PLANE]
    {
        let left = cluster.list(&kind);
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Every file of the run outside of its secrets, and what it printed.
fn told(lab: &Kept, printed: &str) -> String {
    let files = walk(&lab.run_folder()).into_iter().filter(|path| !path.starts_with(lab.run_folder().join("secrets")));
    files.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()).collect::<String>() + printed
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.symlink_metadata().unwrap() {
            data if data.is_dir() => walk(&path),
            data if data.is_file() => vec![path],
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn workers_by_cluster_api_join_the_cluster_and_leave_nothing() {
    let lab = Kept::new();
    let run = lab.run_until("6", &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    let records = records(&run);
    let summary = |step: &str| proof(&records, step)["summary"].as_str().unwrap().to_string();
    // Both systems name the same two VMs.
    let owned = proof(&records, "day6.workers");
    let uuids: Vec<&str> =
        [&owned["owned"], &owned["owned_too"][0]].into_iter().map(|thing| thing["uid"].as_str().unwrap()).collect();
    let vms = proof(&records, "day6.worker_vms");
    let nodes = proof(&records, "day6.worker_nodes")["readings"][0]["answer"].as_str().unwrap();
    for uuid in uuids {
        assert!(vms["readings"].to_string().contains(uuid), "{uuid} is not in {vms:#}");
        assert!(nodes.contains(&format!("proxmox://{uuid}")), "{uuid} is not in {nodes}");
    }
    assert!(summary("day6.worker_vms").contains("2 VMs") && summary("day6.worker_vms").contains("made by capmox@pve"));
    assert!(summary("day6.worker_pods").contains("resolved kubernetes.default.svc"), "{}", summary("day6.worker_pods"));
    assert!(summary("day6.worker_scaling").starts_with("2 nodes were drained"), "{}", summary("day6.worker_scaling"));
    nothing_in_proxmox(&lab.site());
    nothing_in_kubernetes(&lab);
    // What joined them to the cluster is nowhere but among the run's secrets.
    let bundle = std::fs::read_to_string(lab.run_folder().join("secrets/secrets.yaml")).unwrap();
    let token = bundle.lines().skip_while(|line| !line.starts_with("trustdinfo")).nth(1).unwrap();
    let token = token.split_once(": ").unwrap().1.trim();
    assert_eq!(token.len(), 23, "a token like abcdef.0123456789abcdef");
    assert!(!told(&lab, &text(&run)).contains(token));
}

#[test]
fn a_plan_without_workers_has_no_step_about_them() {
    let lab = Kept::new();
    killed_behind(lab.state(), "day6.lone_machines", "proven");
    let path = lab.site().plan;
    let plan = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, plan.replace("workers: 2", "workers: 0")).unwrap();
    let run = lab.run_until("6", &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    assert!(!text(&run).contains("day6.worker"), "{}", text(&run));
}

#[test]
fn a_run_killed_while_its_workers_come_or_go_ends_as_if_it_had_not_been() {
    for (step, event) in [("day6.workers", "acted"), ("day6.worker_nodes", "acted"), ("day6.worker_scaling", "acted")] {
        let lab = Kept::new();
        killed_behind(lab.state(), step, event);
        let run = lab.run_until("6", &[]);
        assert_eq!(run.status.code(), Some(0), "{step}: {}", text(&run));
        nothing_in_proxmox(&lab.site());
        nothing_in_kubernetes(&lab);
    }
}

#[test]
fn a_teardown_takes_the_workers_of_a_run_that_was_killed_along() {
    for (step, event) in [("day6.workers", "acted"), ("day6.worker_pods", "proven"), ("day6.worker_scaling", "acted")] {
        let lab = Kept::new();
        killed_behind(lab.state(), step, event);
        let teardown = cozyup(lab.state(), &["lab", "teardown", "--confirm", "standard"]).ended();
        assert_eq!(teardown.status.code(), Some(0), "{step}: {}", text(&teardown));
        nothing_in_proxmox(&lab.site());
    }
}

/// Cluster API drains and deletes no node while its whole Cluster goes.
#[test]
fn nodes_that_stayed_when_a_person_deleted_the_cluster_are_removed() {
    let lab = Kept::new();
    killed_behind(lab.state(), "day6.worker_nodes", "proven");
    let cluster = Cluster::of(&lab);
    cluster.list(&Kind::CLUSTER).iter().for_each(|object| cluster.delete(&Kind::CLUSTER, object));
    let reader = reader(&lab.site());
    until("Cluster API has removed the VMs", || guests(&reader).is_empty().then_some(()));
    assert!(cluster.has_workers(), "{:?}", cluster.nodes());
    let run = lab.run_until("6", &["--patience", "120s"]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    nothing_in_kubernetes(&lab);
}

/// The clone of a colleague carries the notes of the run's template, and so its mark.
#[test]
fn a_vmid_that_a_colleague_takes_meanwhile_is_told_and_left_alone() {
    let lab = Kept::new();
    killed_behind(lab.state(), "day6.workers", "acted");
    let (reader, changer) = both(&lab.site());
    let options = CloneOptions {
        newid: Vmid::of(9507),
        name: "anns-vm".into(),
        full: true,
        storage: Some("local-lvm".into()),
        target: None,
        pool: None,
        description: None,
    };
    let runtime = Runtime::new().unwrap();
    let until_over = async |task| {
        while reader.task_status(&task).await.unwrap().value.running {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    runtime.block_on(async { until_over(changer.clone_vm("pve", Vmid::of(9100), &options).await.unwrap()).await });
    let run = lab.run_until("6", &["--patience", "20s"]);
    assert_eq!(run.status.code(), Some(1), "{}", text(&run));
    assert!(text(&run).contains("VMID 9507 is taken on pve by anns-vm"), "{}", text(&run));
    assert!(guests(&reader).iter().any(|row| row.vmid == 9507), "{:?}", guests(&reader));
    runtime.block_on(async { until_over(changer.destroy_vm("pve", Vmid::of(9507)).await.unwrap()).await });
    let run = lab.run_until("6", &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    nothing_in_proxmox(&lab.site());
}

fn address(lab: &Kept, last: u8) -> Value {
    let plan = std::fs::read_to_string(lab.site().plan).unwrap();
    let range = plan.lines().find_map(|line| line.trim().strip_prefix("machine_addresses: ")).unwrap();
    let net = range.split_once("180-").unwrap().0;
    json!({"spec": {
        "address": format!("{net}{last}"), "prefix": 24, "claimRef": {"name": format!("anns-{last}")},
        "poolRef": {"apiGroup": "ipam.cluster.x-k8s.io", "kind": "InClusterIPPool", "name": "workers-v4-icip"},
    }})
}

#[test]
fn a_pool_without_addresses_is_told_and_the_run_goes_on_when_some_are_free_again() {
    const ADDRESS: Kind = Kind { kind: "IPAddress", plural: "ipaddresses", ..Kind::IP_ADDRESS_CLAIM };
    let lab = Kept::new();
    killed_behind(lab.state(), "day6.workers", "acted");
    let (cluster, reader) = (Cluster::of(&lab), reader(&lab.site()));
    // Those that are under way go first: how far they have come is chance.
    let of = || cluster.list(&Kind::MACHINE_DEPLOYMENT);
    of().iter().for_each(|object| cluster.delete(&Kind::MACHINE_DEPLOYMENT, object));
    until("the machines are gone", || cluster.list(&Kind::MACHINE).is_empty().then_some(()));
    until("the VMs are gone", || guests(&reader).is_empty().then_some(()));
    // One address is left for two workers.
    for last in 181..=184 {
        let name = format!("anns-{last}");
        let applied = cluster.changer.apply(&ADDRESS, NAMESPACE, &name, address(&lab, last));
        cluster.runtime.block_on(applied).unwrap();
    }
    let printed = lab.state().join("printed");
    let arguments = ["lab", "run", "--keep", "--json", "--speed", "240", "--until", "6"];
    let file = std::fs::File::create(&printed).unwrap();
    let mut run = cozyup(lab.state(), &arguments).stdout(file).spawn().unwrap();
    until("it is told who has the addresses", || {
        let text = String::from_utf8_lossy(&std::fs::read(&printed).unwrap()).into_owned();
        let all = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let told = |r: Value| {
            let what = r["failure"]["what"].as_str().unwrap_or_default();
            r["event"] == "blocked" && r["step"] == "day6.workers" && what.contains("is free: given to anns-181")
        };
        all.into_iter().any(told).then_some(())
    });
    let anns = |object: &&Value| object["metadata"]["name"].as_str().unwrap().starts_with("anns-");
    cluster.list(&ADDRESS).iter().filter(anns).for_each(|object| cluster.delete(&ADDRESS, object));
    assert!(exit(&mut run).is_some_and(|status| status.success()), "{}", std::fs::read_to_string(&printed).unwrap());
    nothing_in_proxmox(&lab.site());
}
