//! Answers of Proxmox VE, one after the other, and what is made of them.
use super::*;
use crate::base::vmid::Vmid;
use crate::plan::defaults::{Defaults, plan};
use crate::proxmox::{HostUse, StorageUse};

const TOKEN: &str = "cozyup@pve!wizard";

fn row(kind: &str, vmid: Vmid, user: &str, pid: u32, ended: Option<bool>) -> TaskRow {
    let upid = format!("UPID:pve:{pid:08X}:05F5E100:{:08X}:{kind}:{vmid}:{user}:", 0x68FB_0C11 + pid);
    TaskRow { upid: upid.parse().unwrap(), running: ended.is_none(), succeeded: ended == Some(true) }
}

struct Bench {
    watch: SiteWatch,
    vmid: Vmid,
    host: String,
    storage: String,
    uptime: Option<u64>,
}

impl Bench {
    fn new() -> Bench {
        let plan = plan(&Defaults::default());
        let node = &plan.nodes[0];
        let (vmid, host) = (node.vmid, node.host.clone());
        Bench { watch: SiteWatch::of(&plan, TOKEN), vmid, host, storage: plan.template.storage.clone(), uptime: None }
    }

    fn overview(&self, status: Option<&str>) -> Overview {
        let guest = |status: &str| GuestUse {
            vmid: self.vmid,
            node: self.host.clone(),
            status: status.into(),
            lock: None,
            cpu: Some(0.5),
            maxcpu: Some(8),
            mem: None,
            maxmem: None,
            uptime: self.uptime,
        };
        Overview { guests: status.map(guest).into_iter().collect(), ..Overview::default() }
    }

    fn look(&mut self, status: Option<&str>, rows: &[TaskRow]) -> Seen {
        let overview = self.overview(status);
        let free = self.watch.missing(&overview).into_iter().collect();
        self.watch.take(&overview, rows, &free)
    }

    fn told(&mut self, status: Option<&str>, rows: &[TaskRow]) -> Vec<String> {
        self.look(status, rows).notices.iter().map(Noticed::sentence).collect()
    }
}

/// screen.md A1: who stopped it, and by which task.
#[test]
fn a_vm_that_a_person_stopped_is_told_with_task_and_user_and_doubted_until_it_runs() {
    let mut bench = Bench::new();
    let vmid = bench.vmid;
    let old = row("qmstop", vmid, "ann@pam", 1, Some(true));
    assert!(bench.told(Some("running"), std::slice::from_ref(&old)).is_empty());
    let rows = [row("qmstop", vmid, "root@pam", 2, Some(true)), old.clone()];
    let seen = bench.look(Some("stopped"), &rows);
    assert_eq!(seen.doubts, BTreeSet::from([Fact::VmRunning(vmid)]));
    let Noticed::VmStopped { task: Some(task), .. } = &seen.notices[0] else { panic!("{:?}", seen.notices) };
    assert_eq!((task.user.as_str(), task.kind.as_str(), seen.notices.len()), ("root@pam", "qmstop", 1));
    let still = bench.look(Some("stopped"), &rows);
    assert!(still.notices.is_empty() && !still.doubts.is_empty());
    let rows = [row("qmstart", vmid, TOKEN, 3, Some(true)), rows[0].clone()];
    let runs = bench.look(Some("running"), &rows);
    assert!(runs.doubts.is_empty(), "the old stop explains nothing any more: {:?}", runs.doubts);
    assert!(runs.notices[0].sentence().contains(&format!("started by {TOKEN} (qmstart)")), "{:?}", runs.notices);
    // From inside: no task is at fault, and no old one is blamed.
    let told = bench.told(Some("stopped"), &rows);
    assert!(told[0].contains("no task stopped it"), "{told:?}");
}

#[test]
fn what_the_run_itself_stops_is_no_news_and_a_stop_shows_before_the_figures_do() {
    let mut bench = Bench::new();
    let vmid = bench.vmid;
    bench.look(Some("running"), &[]);
    assert!(bench.told(Some("stopped"), &[row("qmstop", vmid, TOKEN, 1, Some(true))]).is_empty());
    bench.look(Some("running"), &[]);
    let early = bench.look(Some("running"), &[row("qmshutdown", vmid, "root@pam", 2, Some(true))]);
    assert_eq!(early.doubts, BTreeSet::from([Fact::VmRunning(vmid)]), "the daemon's figures are old");
    assert!(matches!(early.notices.as_slice(), [Noticed::VmStopped { task: Some(_), .. }]), "{:?}", early.notices);
    // It is started again before the figures ever showed it stopped.
    let stop = row("qmshutdown", vmid, "root@pam", 2, Some(true));
    let old = bench.look(Some("running"), std::slice::from_ref(&stop));
    assert!(old.notices.is_empty() && old.doubts.is_empty(), "{old:?}");
    let again = bench.told(Some("running"), &[row("qmstart", vmid, TOKEN, 3, Some(true)), stop]);
    assert!(again.len() == 1 && again[0].contains("runs again"), "{again:?}");
}

/// Issue 14, 8: rebooted by somebody else, between two looks or seen while it is off.
#[test]
fn a_reboot_is_told_with_its_task_however_little_of_it_is_seen() {
    let mut bench = Bench::new();
    let vmid = bench.vmid;
    let mut look = |uptime: u64, status: &str, rows: &[TaskRow]| {
        bench.uptime = Some(uptime);
        bench.told(Some(status), rows)
    };
    assert!(look(900, "running", &[]).is_empty() && look(905, "running", &[]).is_empty());
    let reboot = row("qmreboot", vmid, "carol@pve", 2, Some(true));
    let told = look(3, "running", std::slice::from_ref(&reboot));
    assert!(told.iter().any(|told| told.contains("was rebooted by carol@pve (qmreboot)")), "{told:?}");
    assert!(look(8, "running", std::slice::from_ref(&reboot)).is_empty());
    let again = row("qmreboot", vmid, "bob@pam", 3, None);
    let off = look(0, "stopped", &[again, reboot.clone()]);
    assert!(off.iter().any(|told| told.contains("was stopped by bob@pam (qmreboot)")), "{off:?}");
    let again = row("qmreboot", vmid, "bob@pam", 3, Some(true));
    let back = look(2, "running", &[again.clone(), reboot.clone()]);
    assert!(back.len() == 1 && back[0].contains("runs again"), "{back:?}");
    // A machine that this run itself has off and on between two looks is no news.
    let own = [row("qmstart", vmid, TOKEN, 5, Some(true)), row("qmstop", vmid, TOKEN, 4, Some(true))];
    let rows = [own.to_vec(), vec![again, reboot]].concat();
    assert_eq!(look(1, "running", &rows), Vec::<String>::new());
    let told = look(0, "running", &rows);
    assert!(told.len() == 1 && told[0].contains("no task tells who did it"), "{told:?}");
}

#[test]
fn a_vm_is_gone_only_when_its_vmid_is_free() {
    let mut bench = Bench::new();
    let vmid = bench.vmid;
    assert!(bench.watch.missing(&bench.overview(None)).is_empty(), "nothing was there before");
    bench.look(Some("running"), &[]);
    let hidden = bench.watch.take(&bench.overview(None), &[], &BTreeSet::new());
    assert!(hidden.doubts.is_empty() && hidden.notices.is_empty(), "a right that was taken away hides it too");
    let rows = [row("qmdestroy", vmid, "bob@pve", 4, Some(true))];
    let gone = bench.look(None, &rows);
    assert_eq!(gone.doubts, BTreeSet::from([Fact::VmThere(vmid), Fact::VmRunning(vmid)]));
    assert!(gone.notices[0].sentence().contains("is gone: removed by bob@pve (qmdestroy)"), "{:?}", gone.notices);
    let still = bench.look(None, &rows);
    assert!(still.notices.is_empty() && still.doubts.contains(&Fact::VmThere(vmid)), "{still:?}");
}

#[test]
fn others_tasks_on_our_vms_are_told_once_and_nobody_elses_business_is_shown() {
    let mut bench = Bench::new();
    let vmid = bench.vmid;
    let rows = [
        row("vzdump", vmid, "backup@pve!nightly", 1, None),
        row("vncproxy", vmid, "ann@pam", 2, None),
        row("qmclone", Vmid::of(999_999), "ann@pam", 3, None),
        row("qmstart", vmid, TOKEN, 4, None),
        row("qmclone", vmid, "ann@pam", 5, Some(false)),
    ];
    let seen = bench.look(Some("running"), &rows);
    let told: Vec<_> = seen.notices.iter().map(Noticed::sentence).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with(&format!("backup@pve!nightly runs vzdump on vm {vmid}")), "{told:?}");
    assert_eq!(seen.site.tasks_running, 3, "{:?}", seen.site.tasks);
    assert!(seen.site.tasks.iter().any(|t| t.ours) && seen.busy);
    assert!(bench.told(Some("running"), &rows).is_empty());
    assert!(!bench.look(Some("running"), &[]).notices.is_empty() || !bench.look(Some("running"), &[]).busy);
}

#[test]
fn a_vm_on_a_host_that_is_off_is_not_shown_running_and_is_doubted_though_the_cluster_still_calls_it_running() {
    let mut bench = Bench::new();
    let (vmid, host) = (bench.vmid, bench.host.clone());
    let mut look = |status: &str| {
        let (node, status) = (host.clone(), status.to_string());
        let off = HostUse { node, status, cpu: None, maxcpu: None, mem: None, maxmem: None };
        let overview = Overview { hosts: vec![off], ..bench.overview(Some("running")) };
        let seen = bench.watch.take(&overview, &[], &BTreeSet::new());
        let shown = seen.site.vms.iter().find(|vm| vm.vmid == vmid).and_then(|vm| vm.there.clone());
        (shown.map(|there| there.power), seen.doubts.contains(&Fact::VmRunning(vmid)))
    };
    assert_eq!(look("online"), (Some(Power::Running), false));
    assert_eq!(look("offline"), (Some(Power::Unknown), true));
    assert_eq!(look("online"), (Some(Power::Running), false));
}

#[test]
fn a_storage_is_told_of_at_each_threshold_once_and_a_host_when_it_goes_and_comes() {
    let mut bench = Bench::new();
    let (host, storage) = (bench.host.clone(), bench.storage.clone());
    let mut look = |used: u64, status: &str| {
        let overview = Overview {
            hosts: vec![HostUse {
                node: host.clone(),
                status: status.into(),
                cpu: None,
                maxcpu: None,
                mem: None,
                maxmem: None,
            }],
            storages: vec![
                StorageUse { storage: storage.clone(), node: host.clone(), used, total: 100 },
                StorageUse { storage: "others".into(), node: host.clone(), used: 100, total: 100 },
                StorageUse { storage: storage.clone(), node: "elsewhere".into(), used: 99, total: 100 },
            ],
            ..Overview::default()
        };
        bench.watch.take(&overview, &[], &BTreeSet::new()).notices.len()
    };
    let told: Vec<usize> = [50, 85, 90, 84, 86, 96, 80, 85].iter().map(|used| look(*used, "online")).collect();
    assert_eq!(told, [0, 1, 0, 0, 0, 1, 0, 1]);
    assert_eq!(["offline", "unknown", "online"].map(|status| look(0, status)), [1, 0, 1]);
    let percent = |used, total| Storage { name: "s".into(), host: "pve".into(), used, total }.percent();
    assert_eq!((percent(5, 0), percent(u64::MAX, u64::MAX)), (0, 100));
}
