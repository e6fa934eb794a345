//! Who owns what: releases belong to apps, operators' objects to releases, claims and pods to whatever their labels, controllers
//! or names lead to. What leads nowhere is an item of its own, so that nothing that serves goes unseen.
use super::item::{Blocker, Engine, Item, Sort, Way};
use super::known::{APPS, app_of};
use super::parts::{Whole, Wholes};
use super::plain::orphan;
use super::stock::{Claim, Found, Pod, Release, Stock, Volume};
use std::collections::{BTreeMap, HashMap, HashSet};

const RELEASES: &str = "helmreleases.helm.toolkit.fluxcd.io";

pub struct Owners {
    wholes: Wholes,
    /// Addresses and ingresses.
    plain: Vec<Item>,
    pods: Vec<Pod>,
    claims: Vec<Claim>,
    volumes: Vec<Volume>,
    /// By namespace and name of a claim: the pod that uses it, and the whole that the pod belongs to.
    users: HashMap<(String, String), (String, Option<usize>)>,
    knows_pods: bool,
    knows_claims: bool,
    /// Claims in namespaces of the platform are not among `claims`.
    of_platform: HashSet<String>,
}

impl Owners {
    pub fn of(stock: Stock) -> Owners {
        let (knows_pods, knows_claims) = (stock.knows("pods"), stock.knows("persistentvolumeclaims"));
        let of_platform = stock.volumes.iter().map(|v| v.claim.0.clone()).filter(|n| stock.is_platform(n)).collect();
        let Stock { pods, volumes, claims, releases, found, plain, .. } = stock;
        let mut wholes = Wholes::default();
        let (behind, apps): (Vec<Found>, Vec<Found>) = found.into_iter().partition(|f| f.known.is_behind);
        released(&mut wholes, apps, releases);
        behind.into_iter().for_each(|object| operated(&mut wholes, object));
        let (workloads, plain): (Vec<_>, Vec<_>) = plain.into_iter().partition(|p| p.item.sort == Sort::Workload);
        workloads.into_iter().for_each(|workload| wholes.workload(workload.item, &workload.part_of));
        let plain = plain.into_iter().map(|plain| plain.item).collect();
        Owners { wholes, plain, pods, claims, volumes, users: HashMap::new(), knows_pods, knows_claims, of_platform }
    }

    pub fn items(mut self) -> Vec<Item> {
        let strays = self.attribute_pods();
        let volumes = self.attribute_claims();
        let knows_pods = self.knows_pods;
        let mut items: Vec<Item> = self.wholes.all.into_iter().map(|whole| judged(whole, knows_pods)).collect();
        items.extend(self.plain);
        items.extend(strays);
        items.extend(volumes);
        same_hosts(&mut items);
        items
    }

    /// Counts pods with what they belong to; those that belong to nothing are items, one for each of their controllers.
    fn attribute_pods(&mut self) -> Vec<Item> {
        let mut strays: BTreeMap<(String, String, String), Whole> = BTreeMap::new();
        for pod in &self.pods {
            let names = pod.part_of.iter().chain([&pod.owner.1]).cloned().collect::<Vec<_>>();
            let wholes = &self.wholes;
            let of = wholes
                .controlled(&pod.namespace, &pod.owner)
                .or_else(|| wholes.named(&pod.namespace, &names))
                .or_else(|| wholes.like(&pod.namespace, names.iter().chain([&pod.name])));
            let owner = format!("{} {}", pod.owner.0, pod.owner.1).trim().to_string();
            for claim in &pod.claims {
                self.users.insert((pod.namespace.clone(), claim.clone()), (owner.clone(), of));
            }
            match of.and_then(|n| self.wholes.all.get_mut(n)) {
                Some(whole) => counted(whole, pod),
                None => {
                    let (kind, name) = match pod.owner.1.is_empty() {
                        true => ("pods".to_string(), &pod.name),
                        false => (pod.owner.0.to_ascii_lowercase(), &pod.owner.1),
                    };
                    let item = || Item::new(Sort::Workload, &kind, &pod.namespace, name, Way::Apply);
                    let key = (pod.namespace.clone(), kind.clone(), name.clone());
                    counted(strays.entry(key).or_insert_with(|| Whole::new(item(), Vec::new())), pod);
                }
            }
        }
        let judged = |mut whole: Whole| {
            whole.item.traits.replicas = Some(whole.pods as u64);
            whole.judged()
        };
        strays.into_values().map(judged).collect()
    }

    fn attribute_claims(&mut self) -> Vec<Item> {
        let volumes: HashMap<(&str, &str), &Volume> =
            self.volumes.iter().map(|v| ((v.claim.0.as_str(), v.claim.1.as_str()), v)).collect();
        let mut items = Vec::new();
        for claim in &self.claims {
            let volume = volumes.get(&(claim.namespace.as_str(), claim.name.as_str())).copied();
            let mut item = claimed(claim, volume);
            let user = self.users.get(&(claim.namespace.clone(), claim.name.clone()));
            let names: Vec<String> = claim.part_of.iter().chain([&claim.name]).cloned().collect();
            let wholes = &self.wholes;
            let of = wholes
                .named(&claim.namespace, &names)
                .or_else(|| user.and_then(|(_, of)| *of))
                .or_else(|| wholes.like(&claim.namespace, names.iter().chain(&without_template(&claim.name))));
            match of.and_then(|n| self.wholes.all.get_mut(n)) {
                Some(whole) => {
                    item.owner = format!("{} {}", whole.item.resource, whole.item.name);
                    // A workload moves as a manifest; its files do not come with that.
                    if whole.item.sort != Sort::Workload {
                        whole.item.copy = whole.item.copy.saturating_add(item.copy);
                        (item.way, item.copy) = (Way::WithOwner, 0);
                    }
                }
                None => item.owner = user.map(|(owner, _)| owner.clone()).unwrap_or_default(),
            }
            items.push(item);
        }
        let known: HashSet<(&str, &str)> =
            self.claims.iter().map(|c| (c.namespace.as_str(), c.name.as_str())).collect();
        let is_left = |v: &&Volume| {
            let is_claimed = known.contains(&(v.claim.0.as_str(), v.claim.1.as_str()));
            v.phase != "Bound" || (self.knows_claims && !self.of_platform.contains(&v.claim.0) && !is_claimed)
        };
        items.extend(self.volumes.iter().filter(is_left).map(orphan));
        items
    }
}

/// A StatefulSet calls its claims `data-redis-cache-0`: what is left without the template's name, which may have dashes itself.
fn without_template(claim: &str) -> Vec<String> {
    claim.match_indices('-').filter_map(|(at, _)| claim.get(at + 1..)).map(str::to_string).collect()
}

fn counted(whole: &mut Whole, pod: &Pod) {
    whole.pods += 1;
    whole.ready += usize::from(pod.is_ready);
    whole.works += usize::from(pod.works);
    if whole.lacks.is_none() {
        whole.lacks.clone_from(&pod.lacks);
    }
}

fn claimed(claim: &Claim, volume: Option<&Volume>) -> Item {
    let mut item = Item::new(Sort::Volume, "persistentvolumeclaims", &claim.namespace, &claim.name, Way::CopyFiles);
    item.copy = claim.bytes.max(volume.map_or(0, |v| v.bytes));
    item.traits.size = Some(item.copy);
    item.traits.class = Some(claim.class.clone());
    item.blockers.extend((!claim.is_bound).then_some(Blocker::NotBound));
    item.blockers.extend(volume.is_some_and(|v| v.is_on_one_node).then_some(Blocker::OnOneNode));
    item
}

/// Apps with their releases; a release without its app, which is so while nobody answers for the apps, stands for it. Any other
/// release is an item, unless it is a part of one.
fn released(wholes: &mut Wholes, apps: Vec<Found>, releases: Vec<Release>) {
    let mut by_name: BTreeMap<(String, String), Release> =
        releases.into_iter().map(|r| ((r.namespace.clone(), r.name.clone()), r)).collect();
    for Found { item, release: name, .. } in apps {
        let release = by_name.remove(&(item.namespace.clone(), name.clone()));
        wholes.push(with_release(item, name, release));
    }
    let mut others = Vec::new();
    for (_, release) in by_name {
        match app_of(&release.source, &release.name) {
            Some((plural, name, known)) => {
                let item = Item::new(known.sort, &format!("{plural}.{APPS}"), &release.namespace, &name, known.way);
                wholes.push(with_release(item, release.name.clone(), Some(release)));
            }
            None => others.push(release),
        }
    }
    for release in others {
        let of = wholes.named(&release.namespace, &release.part_of);
        match of.and_then(|n| wholes.all.get_mut(n)) {
            Some(whole) => whole.names.push(release.name),
            None => {
                let item = Item::new(Sort::Workload, RELEASES, &release.namespace, &release.name, Way::Apply);
                wholes.push(with_release(item, release.name.clone(), Some(release)));
            }
        }
    }
}

fn with_release(mut item: Item, name: String, release: Option<Release>) -> Whole {
    if let Some(release) = release {
        if item.resource != RELEASES {
            item.owner = format!("HelmRelease {}", release.name);
        }
        item.blockers.extend(release.fails.map(|reason| Blocker::ReleaseNotReady { reason }));
    }
    Whole::new(item, vec![name])
}

/// What the operator's object says goes to the app that made it; without one it stands alone.
fn operated(wholes: &mut Wholes, object: Found) {
    let Found { mut item, release, .. } = object;
    let names: Vec<String> = [item.name.clone(), release].into_iter().filter(|name| !name.is_empty()).collect();
    let of = wholes.named(&item.namespace, &names);
    let Some(whole) = of.and_then(|n| wholes.all.get_mut(n)) else {
        item.owner = names.get(1).map(|release| format!("HelmRelease {release}")).unwrap_or_default();
        wholes.push(Whole::new(item, names));
        return;
    };
    let (to, from) = (&mut whole.item.traits, item.traits);
    to.size = to.size.or(from.size);
    to.replicas = to.replicas.or(from.replicas);
    to.cores = to.cores.or(from.cores);
    to.memory = to.memory.or(from.memory);
    to.version = to.version.take().or(from.version);
    whole.item.serves |= item.serves;
    whole.names.push(item.name);
}

fn judged(whole: Whole, knows_pods: bool) -> Item {
    let (pods, ready) = (whole.pods, whole.ready);
    let mut item = whole.judged();
    // A bucket is a part of a store, and has no pods of its own.
    let runs_itself = matches!(item.way, Way::Dump { .. }) && !item.resource.starts_with("buckets.");
    if runs_itself && knows_pods && ready == 0 {
        item.blockers.push(Blocker::NotRunning { pods });
    }
    if item.way == (Way::Dump { engine: Engine::FerretDb }) {
        item.blockers.push(Blocker::NoMigration);
    }
    item
}

fn same_hosts(items: &mut [Item]) {
    let mut of: BTreeMap<String, usize> = BTreeMap::new();
    let hosts = items.iter().filter(|i| i.sort == Sort::Ingress).flat_map(|i| &i.traits.hosts);
    hosts.for_each(|host| *of.entry(host.clone()).or_default() += 1);
    for item in items.iter_mut().filter(|i| i.sort == Sort::Ingress) {
        let twice = item.traits.hosts.iter().filter(|host| of.get(*host).is_some_and(|n| *n > 1)).cloned();
        item.blockers.extend(twice.collect::<Vec<_>>().into_iter().map(|host| Blocker::SameHost { host }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::known;
    use super::*;
    use crate::kubernetes::Served;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    fn stock() -> Stock {
        Stock::new("2026-11-30T00:00:00Z".parse::<Timestamp>().unwrap())
    }

    fn app(stock: &mut Stock, plural: &str, kind: &str, name: &str) {
        let (group, version) = (APPS.to_string(), "v1alpha1".to_string());
        let kind = Served { group, version, kind: kind.into(), plural: plural.into(), namespaced: true };
        let object = json!({"metadata": {"namespace": "tenant-a", "name": name}, "spec": {}});
        stock.found(Found::read(&kind.resource(), &kind, known(APPS, plural).unwrap(), &object));
    }

    fn release(name: &str, source: &str, part_of: &str) -> Value {
        json!({"metadata": {"namespace": "tenant-a", "name": name, "annotations": {"meta.helm.sh/release-name": part_of}},
            "spec": {"chart": {"spec": {"sourceRef": {"name": source}}}}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    }

    fn pod(name: &str, controller: (&str, &str), status: Value) -> Value {
        json!({"metadata": {"namespace": "tenant-a", "name": name, "ownerReferences": [{"kind": controller.0, "name": controller.1}]},
            "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": format!("data-{name}")}}]}, "status": status})
    }

    fn running(ready: &str) -> Value {
        json!({"phase": "Running", "conditions": [{"type": "Ready", "status": ready}], "containerStatuses": [{"state": {"running": {}}}]})
    }

    fn claim(name: &str, size: &str) -> Value {
        json!({"metadata": {"namespace": "tenant-a", "name": name}, "spec": {"resources": {"requests": {"storage": size}}}, "status": {"phase": "Bound"}})
    }

    fn named(items: &[Item]) -> Vec<(&str, &str)> {
        items.iter().map(|i| (i.resource.as_str(), i.name.as_str())).collect()
    }

    #[test]
    fn while_nobody_answers_for_the_apps_their_releases_stand_for_them() {
        let mut stock = stock();
        stock.release(&release("redis-cache", "cozystack-apps", ""));
        stock.release(&release("kubernetes-dev", "cozystack-apps", ""));
        stock.release(&release("kubernetes-dev-cilium", "cozystack-system", "kubernetes-dev"));
        stock.release(&release("redis-mine", "bitnami", ""));
        stock.pod(&pod("kubernetes-dev-cilium-x", ("", ""), running("True")));
        let items = stock.items();
        let expected = [
            ("kuberneteses.apps.cozystack.io", "dev"),
            ("redises.apps.cozystack.io", "cache"),
            (RELEASES, "redis-mine"),
        ];
        assert_eq!(named(&items), expected);
        assert!(items[0].serves && !items[1].serves);
        assert_eq!(items[1].owner, "HelmRelease redis-cache");
    }

    #[test]
    fn an_app_with_its_release_its_statefulset_its_pods_and_its_volumes_is_one_thing() {
        let mut stock = stock();
        app(&mut stock, "redises", "Redis", "cache");
        app(&mut stock, "etcds", "Etcd", "etcd");
        stock.release(&release("redis-cache", "cozystack-apps", ""));
        stock.release(&release("etcd", "cozystack-extra", "tenant-a"));
        let set = json!({"metadata": {"namespace": "tenant-a", "name": "rfr-redis-cache",
            "annotations": {"meta.helm.sh/release-name": "redis-cache"}}, "spec": {"replicas": 1}, "status": {}});
        stock.workload("statefulsets.apps", &set);
        stock.pod(&pod("rfr-redis-cache-0", ("StatefulSet", "rfr-redis-cache"), running("True")));
        stock.pod(&pod("etcd-0", ("StatefulSet", "etcd"), running("True")));
        for name in ["data-rfr-redis-cache-0", "data-of-redis-cache-1", "mine"] {
            stock.claim(&claim(name, "1Gi"));
        }
        let items = stock.items();
        let things: Vec<_> = named(&items).into_iter().filter(|(kind, _)| *kind != "persistentvolumeclaims").collect();
        assert_eq!(things, [("redises.apps.cozystack.io", "cache"), ("etcds.apps.cozystack.io", "etcd")]);
        assert!(items[0].serves && items[0].blockers.is_empty() && items[0].copy == 2 << 30, "{:?}", items[0]);
        assert!(items[1].serves && items[1].owner == "HelmRelease etcd" && items[1].copy == 0);
        let ways: Vec<Way> = items[2..].iter().map(|i| i.way).collect();
        assert_eq!(ways, [Way::WithOwner, Way::WithOwner, Way::CopyFiles]);
    }

    #[test]
    fn a_pod_that_is_not_ready_serves_while_a_container_runs_or_nobody_hears_of_its_node() {
        let serves = |status: Value| {
            let mut stock = stock();
            stock.pod(&pod("lone", ("", ""), status));
            stock.items()[0].serves
        };
        let waits =
            json!({"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]});
        assert!(serves(running("False")) && serves(json!({"phase": "Unknown"})) && serves(json!({"phase": 7})));
        assert!(!serves(waits) && !serves(json!({"phase": "Succeeded"})) && !serves(json!({"phase": "Failed"})));
    }

    #[test]
    fn sizes_that_no_disk_has_do_not_add_up_to_nothing() {
        let mut stock = stock();
        app(&mut stock, "redises", "Redis", "cache");
        ["data-redis-cache-0", "data-redis-cache-1"].iter().for_each(|name| stock.claim(&claim(name, "9999999Ei")));
        assert_eq!(stock.items()[0].copy, u64::MAX);
    }
}
