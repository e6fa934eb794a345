//! Proxmox VE: the plan's machines, expected beside seen, then hosts, storages and running tasks.
use super::machines::{self, Machine};
use super::{Column, Grade, Item, Moment, Table, column, memory, percent, time_of_day};
use crate::base::clock::between;
use crate::base::text::{format_duration, quoted, size};
use crate::observed::{Backend, Host, Object, Site, Storage, Task, Vm, VmThere};
use crate::plan::model::NodePlan;
use crate::tui::model::run::RunModel;
use crate::tui::view::coarse;
use std::time::Duration;

static COLUMNS: [Column; 9] = [
    column("VMID", 5).right().rank(3),
    column("MACHINE", 10).grows(),
    column("VM", 8),
    column("CPU", 4).right().rank(6),
    column("MEM", 7).right().rank(5),
    column("UP", 6).right().rank(4),
    column("TALOS", 8).rank(1),
    column("NODE", 8),
    column("ETCD", 7).rank(2),
];

/// Lines below a machine; its page has all of them.
const NOTES: usize = 4;

pub fn table(run: &RunModel, moment: Moment) -> Table {
    let reading = run.observed.reading(&Backend::Proxmox, moment.now, moment.wall);
    let Some(site) = run.observed.site() else {
        return Table::without(reading, &COLUMNS, "nothing was read yet: it is watched from day 1 on");
    };
    let mut items: Vec<Item> = site.vms.iter().filter(|vm| vm.template).map(|vm| template(run, vm)).collect();
    for node in &run.plan.nodes {
        items.extend(machine(run, node, site, moment));
    }
    items.extend(site.tasks.iter().flat_map(|task| self::task(site, task, moment)));
    let unlisted = site.tasks_running.saturating_sub(site.tasks.len());
    if unlisted > 0 {
        items.push(Item::line("tasks", Grade::Moves, 0, format!("and {unlisted} more tasks")));
    }
    items.extend(site.hosts.iter().map(host));
    items.extend(site.storages.iter().flat_map(storage));
    if site.own_tasks_only {
        let why = "tasks of others are not seen: the token has no Sys.Audit on /";
        items.push(Item::line("rights", Grade::Quiet, 0, why));
    }
    let run_now = site.vms.iter().filter(|vm| !vm.template && is_running(vm)).count();
    let tasks = match site.tasks_running {
        0 => String::new(),
        1 => ", 1 task".to_string(),
        n => format!(", {n} tasks"),
    };
    Table::of(reading, &COLUMNS, format!("{run_now}/{} run{tasks}", run.plan.nodes.len()), items)
}

fn is_running(vm: &Vm) -> bool {
    vm.there.as_ref().is_some_and(|there| there.power == crate::observed::Power::Running)
}

fn cells(vmid: String, name: &str, words: [String; 4], there: Option<&VmThere>) -> Vec<String> {
    let running = there.filter(|there| there.power == crate::observed::Power::Running);
    let up = running.and_then(|t| t.uptime_s).map(|s| coarse(Duration::from_secs(s))).unwrap_or_default();
    let [vm, talos, node, etcd] = words;
    let cpu = percent(running.and_then(|t| t.cpu_permille));
    let mem = running.map(|t| memory(t.memory, t.memory_max)).unwrap_or_default();
    vec![vmid, name.to_string(), vm, cpu, mem, up, talos, node, etcd]
}

fn template(run: &RunModel, vm: &Vm) -> Item {
    let word = machines::template(run, vm);
    let words = [word.text, String::new(), String::new(), String::new()];
    let there = vm.there.as_ref();
    let item = Item::row(format!("vm/{}", vm.vmid), word.grade, cells(vm.vmid.to_string(), &vm.name, words, None));
    item.shows(Object::Vm { vmid: vm.vmid })
        .about(vec![("template", vm.name.clone()), ("host", there.map(|t| t.host.clone()).unwrap_or_default())])
}

fn machine(run: &RunModel, plan: &NodePlan, site: &Site, moment: Moment) -> Vec<Item> {
    let found = Machine::of(run, plan, moment);
    let there = site.vms.iter().find(|vm| vm.vmid == plan.vmid).and_then(|vm| vm.there.as_ref());
    let words = [&found.vm, &found.talos, &found.node, &found.etcd].map(|word| word.text.clone());
    let key = format!("vm/{}", plan.vmid);
    let cells = cells(plan.vmid.to_string(), &plan.name, words, there);
    let mut about = vec![
        ("machine", format!("{} ({}), VM {} at {}", plan.name, plan.role, plan.vmid, plan.address)),
        ("planned", format!("{} cores, {} MiB, on {}", plan.cores, plan.memory_mib, plan.host)),
        ("seen on", there.map(|t| t.host.clone()).unwrap_or_default()),
        ("VM", found.vm.text.clone()),
        (
            "processors",
            there.and_then(|t| Some(format!("{} of {}", percent(Some(t.cpu_permille?)), t.cpus?))).unwrap_or_default(),
        ),
        ("memory", there.map(|t| memory(t.memory, t.memory_max)).unwrap_or_default()),
        ("up for", there.and_then(|t| t.uptime_s).map(|s| format_duration(Duration::from_secs(s))).unwrap_or_default()),
        ("Talos", found.talos.text.clone()),
        ("node", found.node.text.clone()),
        ("etcd", found.etcd.text.clone()),
    ];
    about.extend(found.said.iter().map(|(_, said)| ("note", said.clone())));
    let row = Item::row(key.clone(), found.grade(), cells).about(about).shows(Object::Vm { vmid: plan.vmid });
    let row = row.logs(Some(Object::Machine { name: plan.name.clone() }));
    let said = found.said.iter().take(NOTES).enumerate();
    let note = |n: usize, grade: Grade, said: &str| Item::line(format!("{key}/{n}"), grade, 6, said);
    let notes = said.map(|(n, (grade, said))| note(n, *grade, said).shows(Object::Vm { vmid: plan.vmid }));
    std::iter::once(row).chain(notes).collect()
}

fn task(site: &Site, task: &Task, moment: Moment) -> Vec<Item> {
    let name = site.vms.iter().find(|vm| Some(vm.vmid) == task.vmid).map(|vm| format!(" ({})", vm.name));
    let of = task.vmid.map(|vmid| format!(" of VM {vmid}{}", name.unwrap_or_default())).unwrap_or_default();
    let whose = if task.ours { "this run's token" } else { task.user.as_str() };
    let since = task.started.map(|at| format!(" for {}", coarse(between(at, moment.now)))).unwrap_or_default();
    let progress = task.progress.map(|p| format!(", {} %", p / 100)).unwrap_or_default();
    let text = format!("task {}{of} by {whose}{since}{progress}", task.kind);
    // Somebody else works on a VM of the plan.
    let grade = if task.ours { Grade::Moves } else { Grade::Warn };
    let started = task.started.map(time_of_day).unwrap_or_default();
    let object = Object::Task { upid: task.upid.clone() };
    let key = format!("task/{}", task.upid);
    let line = Item::line(key.clone(), grade, 0, text).shows(object.clone()).about(vec![
        ("task", task.upid.clone()),
        ("user", task.user.clone()),
        ("host", task.host.clone()),
        ("begun", started),
    ]);
    let theirs = task.vmid.filter(|_| !task.ours).map(|vmid| {
        let text = format!("until it ends changes of VM {vmid} wait: ask {}", task.user);
        Item::line(format!("{key}/0"), grade, 2, text).shows(object)
    });
    std::iter::once(line).chain(theirs).collect()
}

fn host(host: &Host) -> Item {
    let cpu = host.cpu_permille.map(|p| format!("  cpu {}", percent(Some(p)))).unwrap_or_default();
    let cpus = host.cpus.map(|n| format!(" of {n}")).unwrap_or_default();
    let memory = memory(host.memory, host.memory_max);
    let memory = if memory.is_empty() { memory } else { format!("  memory {memory}") };
    let (grade, word) = if host.online { (Grade::Good, "online") } else { (Grade::Bad, "OFFLINE") };
    let cpu = if cpu.is_empty() { cpu } else { format!("{cpu}{cpus}") };
    Item::line(format!("host/{}", host.name), grade, 0, format!("host {} {word}{cpu}{memory}", host.name))
}

fn storage(storage: &Storage) -> Vec<Item> {
    let key = format!("storage/{}/{}", storage.host, storage.name);
    let (name, host) = (&storage.name, &storage.host);
    if storage.total == 0 {
        return vec![Item::line(key, Grade::Warn, 0, format!("storage {name} on {host} is not active"))];
    }
    let share = storage.percent();
    let free = size(storage.total.saturating_sub(storage.used));
    let [fills, full] = Storage::FILLED;
    let grade = match share {
        _ if share >= full => Grade::Bad,
        _ if share >= fills => Grade::Warn,
        _less => Grade::Good,
    };
    let text = format!("storage {name} on {host}  {share} % of {} used, {free} free", size(storage.total));
    let by_hand = format!("pvesm list {}", quoted(name));
    let said = match grade {
        Grade::Quiet | Grade::Good | Grade::Moves => Vec::new(),
        Grade::Warn | Grade::Bad => vec![
            "when it is full, VMs on it stop with I/O errors: free some".to_string(),
            format!("whose volumes are there: {by_hand} (on {host})"),
        ],
    };
    let notes = said.into_iter().enumerate().map(|(n, text)| Item::line(format!("{key}/{n}"), grade, 2, text));
    let line = Item::line(key.clone(), grade, 0, text).about(vec![("by hand", by_hand.clone())]);
    std::iter::once(line).chain(notes).collect()
}
