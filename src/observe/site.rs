//! The state of the plan's VMs, hosts and storages by the answers of Proxmox VE, and the changes since the last ones.
use super::tasks::{self, Tasks};
use crate::base::vmid::Vmid;
use crate::observed::{Fact, Host, Noticed, Power, Site, Storage, Vm, VmThere};
use crate::plan::model::Plan;
use crate::proxmox::{GuestUse, Overview, TaskRow};
use std::collections::{BTreeMap, BTreeSet};

/// A storage counts as emptied below a threshold only by so many percent.
const MARGIN: u8 = 2;

/// A VM that the run makes.
#[derive(Debug, Clone)]
struct Planned {
    vmid: Vmid,
    name: String,
    template: bool,
}

#[derive(Debug)]
pub struct SiteWatch {
    planned: Vec<Planned>,
    hosts: BTreeSet<String>,
    storages: BTreeSet<String>,
    tasks: Tasks,
    /// As each was seen last.
    last: BTreeMap<Vmid, VmThere>,
    /// Those whose stop was told, and whether the figures have shown it since.
    stopped: BTreeMap<Vmid, bool>,
    gone: BTreeSet<Vmid>,
    online: BTreeMap<String, bool>,
    filled: BTreeMap<(String, String), u8>,
    shown: Option<Site>,
}

/// The result of one look.
#[derive(Debug, Default)]
pub struct Seen {
    pub site: Site,
    pub notices: Vec<Noticed>,
    pub doubts: BTreeSet<Fact>,
    /// Something happens there: it is worth looking again soon.
    pub busy: bool,
}

impl SiteWatch {
    /// `token`: `user@realm!name` of the run's own token.
    pub fn of(plan: &Plan, token: &str) -> SiteWatch {
        let vms = plan.nodes.iter().map(|n| Planned { vmid: n.vmid, name: n.name.clone(), template: false });
        let templates = plan.templates();
        let mut storages: BTreeSet<String> =
            templates.iter().flat_map(|t| [t.storage.clone(), t.image_storage.clone()]).collect();
        let templates = templates.into_iter().map(|t| Planned { vmid: t.vmid, name: t.name, template: true });
        storages.insert(plan.iso_storage().to_string());
        if plan.integration.csi.enabled {
            storages.insert(plan.integration.csi.storage.clone());
        }
        SiteWatch {
            planned: templates.chain(vms).collect(),
            hosts: plan.hosts().into_iter().map(String::from).collect(),
            storages,
            tasks: Tasks::of(token),
            last: BTreeMap::new(),
            stopped: BTreeMap::new(),
            gone: BTreeSet::new(),
            online: BTreeMap::new(),
            filled: BTreeMap::new(),
            shown: None,
        }
    }

    pub fn hosts(&self) -> impl Iterator<Item = &String> {
        self.hosts.iter()
    }

    /// VMs that were there and that the answer does not show. Only a free VMID says that they are gone: a right that was
    /// taken away makes them vanish too.
    pub fn missing(&self, overview: &Overview) -> Vec<Vmid> {
        let is_shown = |vmid: Vmid| overview.guests.iter().any(|guest| guest.vmid == vmid);
        let seen_before = self.last.keys().chain(&self.gone).copied();
        seen_before.filter(|vmid| !is_shown(*vmid)).collect()
    }

    /// `free`: of [`SiteWatch::missing`], those whose VMID is free.
    pub fn take(&mut self, overview: &Overview, rows: &[TaskRow], free: &BTreeSet<Vmid>) -> Seen {
        let mut seen = Seen::default();
        for planned in self.planned.clone() {
            let guest = overview.guests.iter().find(|guest| guest.vmid == planned.vmid);
            let is_dark = guest.is_some_and(|guest| is_dark(overview, &guest.node));
            if is_dark && !planned.template {
                seen.doubts.insert(Fact::VmRunning(planned.vmid));
            }
            self.vm(&planned, guest.map(|guest| there(guest, is_dark)), rows, free, &mut seen);
        }
        let is_planned = |vmid: Vmid| self.planned.iter().any(|p| p.vmid == vmid);
        for (vmid, row) in self.tasks.new_foreign(rows, is_planned) {
            seen.notices.push(tasks::foreign(vmid, self.name(vmid), &row.upid));
        }
        // The figures are some seconds old, and the end of the task is not: who waits for them may never see the VM stopped.
        for (vmid, upid) in self.tasks.just_stopped(rows, is_planned) {
            seen.doubts.insert(Fact::VmRunning(vmid));
            let name = self.name(vmid).to_string();
            let (host, task) = (upid.node().to_string(), Some(tasks::of(upid)));
            self.tasks.explains(Some(upid));
            if self.stopped.insert(vmid, false).is_none() {
                seen.notices.push(Noticed::VmStopped { vmid, name, host, task });
            }
        }
        let shown = self.tasks.shown(rows, is_planned);
        seen.site.tasks_running = shown.len();
        seen.site.tasks = shown.into_iter().take(Site::MOST_TASKS).collect();
        self.tasks.took(rows);
        self.all_hosts(overview, &mut seen);
        self.all_storages(overview, &mut seen);
        let changed = self.shown.as_ref().is_none_or(|before| !is_alike(before, &seen.site));
        seen.busy = changed || seen.site.tasks_running > 0 || !seen.notices.is_empty();
        self.shown = Some(seen.site.clone());
        seen
    }

    fn name(&self, vmid: Vmid) -> &str {
        self.planned.iter().find(|p| p.vmid == vmid).map_or("", |p| &p.name)
    }

    fn vm(
        &mut self,
        planned: &Planned,
        there: Option<VmThere>,
        rows: &[TaskRow],
        free: &BTreeSet<Vmid>,
        seen: &mut Seen,
    ) {
        let Planned { vmid, name, template } = planned.clone();
        match &there {
            Some(now) => {
                self.gone.remove(&vmid);
                let before = self.last.insert(vmid, now.clone());
                match (before.as_ref().map(|before| before.power), now.power) {
                    (_, Power::Stopped) if self.stopped.contains_key(&vmid) => {
                        self.stopped.insert(vmid, true);
                    }
                    (Some(Power::Running), Power::Stopped) => self.has_stopped(planned, &now.host, rows, seen),
                    (_, Power::Running) if self.stopped.contains_key(&vmid) => {
                        self.runs(planned, &now.host, rows, seen)
                    }
                    (_, Power::Running) if before.is_some_and(|before| began_anew(&before, now)) => {
                        self.has_rebooted(planned, &now.host, rows, seen);
                    }
                    (_, Power::Running) => {}
                    (_, Power::Stopped | Power::Unknown) => {}
                }
                if now.power == Power::Stopped && !template {
                    seen.doubts.insert(Fact::VmRunning(vmid));
                }
            }
            None if free.contains(&vmid) => {
                seen.doubts.extend([Fact::VmThere(vmid), Fact::VmRunning(vmid)]);
                self.last.remove(&vmid);
                self.stopped.remove(&vmid);
                if self.gone.insert(vmid) {
                    let removal = self.tasks.removal_of(rows, vmid);
                    if !removal.is_some_and(|upid| self.tasks.is_ours(upid)) {
                        seen.notices.push(Noticed::VmGone { vmid, name: name.clone(), task: removal.map(tasks::of) });
                    }
                    self.tasks.explains(removal);
                }
            }
            None => {}
        }
        seen.site.vms.push(Vm { vmid, name, template, there });
    }

    fn has_stopped(&mut self, planned: &Planned, host: &str, rows: &[TaskRow], seen: &mut Seen) {
        let stop = self.tasks.stop_of(rows, planned.vmid);
        if !stop.is_some_and(|upid| self.tasks.is_ours(upid)) {
            self.stopped.insert(planned.vmid, true);
            seen.notices.push(Noticed::VmStopped {
                vmid: planned.vmid,
                name: planned.name.clone(),
                host: host.to_string(),
                task: stop.map(tasks::of),
            });
        }
        self.tasks.explains(stop);
    }

    /// It was off between two looks. Whoever stopped it may have started it too, or one task did both.
    fn has_rebooted(&mut self, planned: &Planned, host: &str, rows: &[TaskRow], seen: &mut Seen) {
        let task = self.tasks.restart_of(rows, planned.vmid);
        if !task.is_some_and(|upid| self.tasks.is_ours(upid)) {
            seen.notices.push(Noticed::VmRebooted {
                vmid: planned.vmid,
                name: planned.name.clone(),
                host: host.to_string(),
                task: task.map(tasks::of),
            });
        }
        while let Some(upid) = self.tasks.restart_of(rows, planned.vmid) {
            self.tasks.explains(Some(upid));
        }
    }

    /// Figures that are older than the stop show a running VM too: a start has to be seen, or the stop in between.
    fn runs(&mut self, planned: &Planned, host: &str, rows: &[TaskRow], seen: &mut Seen) {
        let Some(was_seen) = self.stopped.get(&planned.vmid).copied() else { return };
        let start = self.tasks.start_of(rows, planned.vmid);
        if !was_seen && start.is_none() {
            return;
        }
        self.stopped.remove(&planned.vmid);
        seen.notices.push(Noticed::VmRuns {
            vmid: planned.vmid,
            name: planned.name.clone(),
            host: host.to_string(),
            task: start.map(tasks::of),
        });
        self.tasks.explains(start);
    }

    fn all_hosts(&mut self, overview: &Overview, seen: &mut Seen) {
        for host in overview.hosts.iter().filter(|host| self.hosts.contains(&host.node)) {
            let online = host.status == "online";
            match self.online.insert(host.node.clone(), online) {
                Some(true) if !online => seen.notices.push(Noticed::HostOffline { host: host.node.clone() }),
                Some(false) if online => seen.notices.push(Noticed::HostOnline { host: host.node.clone() }),
                Some(_) | None => {}
            }
            seen.site.hosts.push(Host {
                name: host.node.clone(),
                online,
                cpu_permille: permille(host.cpu),
                cpus: host.maxcpu,
                memory: host.mem,
                memory_max: host.maxmem,
            });
        }
        seen.site.hosts.sort_by(|a, b| a.name.cmp(&b.name));
    }

    fn all_storages(&mut self, overview: &Overview, seen: &mut Seen) {
        let of_plan = overview.storages.iter();
        let of_plan = of_plan.filter(|s| self.storages.contains(&s.storage) && self.hosts.contains(&s.node));
        for storage in of_plan {
            let (used, total) = (storage.used, storage.total);
            let row = Storage { name: storage.storage.clone(), host: storage.node.clone(), used, total };
            let now = row.percent();
            let passed = Storage::FILLED.iter().rev().find(|at| now >= **at).copied().unwrap_or(0);
            let told = self.filled.entry((storage.node.clone(), storage.storage.clone())).or_insert(0);
            if passed > *told {
                *told = passed;
                seen.notices.push(Noticed::StorageFilled {
                    storage: storage.storage.clone(),
                    host: storage.node.clone(),
                    used,
                    total,
                    percent: passed,
                });
            } else if now.saturating_add(MARGIN) < *told {
                *told = passed;
            }
            seen.site.storages.push(row);
        }
        seen.site.storages.sort_by(|a, b| (&a.host, &a.name).cmp(&(&b.host, &b.name)));
    }
}

/// True when nothing but figures differs.
fn is_alike(a: &Site, b: &Site) -> bool {
    let told = |vm: &Vm| (vm.vmid, vm.there.as_ref().map(|t| (t.host.clone(), t.power, t.lock.clone())));
    let hosts = |site: &Site| site.hosts.iter().map(|h| (h.name.clone(), h.online)).collect::<Vec<_>>();
    a.vms.iter().map(told).eq(b.vms.iter().map(told)) && hosts(a) == hosts(b) && a.tasks_running == b.tasks_running
}

/// For five minutes the cluster goes on showing what a host that is off last said of its guests (pve-cluster, `rrd_entry_is_old`).
fn is_dark(overview: &Overview, host: &str) -> bool {
    overview.hosts.iter().any(|row| row.node == host && row.status == "offline")
}

fn there(guest: &GuestUse, is_dark: bool) -> VmThere {
    VmThere {
        host: guest.node.clone(),
        power: match guest.status.as_str() {
            _ if is_dark => Power::Unknown,
            "running" => Power::Running,
            "stopped" => Power::Stopped,
            _ => Power::Unknown,
        },
        lock: guest.lock.clone(),
        cpu_permille: permille(guest.cpu),
        cpus: guest.maxcpu,
        memory: guest.mem,
        memory_max: guest.maxmem,
        uptime_s: guest.uptime,
    }
}

/// True when it was started between the two looks: its uptime counts from none again.
fn began_anew(before: &VmThere, now: &VmThere) -> bool {
    let uptimes = before.uptime_s.zip(now.uptime_s);
    before.power == Power::Running && uptimes.is_some_and(|(before, now)| now < before)
}

fn permille(share: Option<f64>) -> Option<u32> {
    share.filter(|share| (0.0..=1000.0).contains(share)).map(|share| (share * 1000.0).round() as u32)
}

#[cfg(test)]
mod tests;
