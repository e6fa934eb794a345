//! Hosts whose storages are their own: a template on each of them that gets machines.
use super::{Chosen, ChosenCopy, Host, Machines, Store, dealt};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// A host with the storages that it would use.
struct Seat<'a> {
    host: &'a Host,
    disks: &'a Store,
    image: &'a Store,
    /// The number of machines that it can carry.
    slots: usize,
}

impl Chosen {
    /// Several hosts, each with a template of its own.
    pub(super) fn on_local(&mut self, hosts: &[&Host], machines: Machines) -> bool {
        // One image for all of them where they share a storage for it, else one on each host.
        let images = hosts.iter().flat_map(|host| &host.storages).filter(|s| s.shared && s.takes_image());
        let everywhere = |name: &str| hosts.iter().all(|h| h.store(name).is_some_and(Store::takes_image));
        let shared = images.filter(|s| everywhere(&s.name)).max_by_key(|s| (s.free, Reverse(&s.name)));
        let shared = shared.map(|store| store.name.as_str());
        let favourite = same_on_most(hosts, machines);
        let seats: Vec<Seat> = hosts.iter().filter_map(|host| seat(host, machines, favourite, shared)).collect();
        let slots = seats.iter().map(|seat| (seat.slots, seat.host.name.as_str())).collect();
        let dealt = dealt(slots, machines.count);
        let used: Vec<&Seat> = seats.iter().filter(|seat| dealt.contains(&seat.host.name)).collect();
        let Some((first, others)) = used.split_first().filter(|_| dealt.len() == machines.count) else { return false };
        if others.is_empty() {
            return false;
        }
        self.template_host = Some(first.host.name.clone());
        self.image_storage = Some(first.image.name.clone());
        self.disk_storage = Some(first.disks.name.clone());
        self.copies = others.iter().map(|seat| seat.beside(first)).collect();
        self.hosts = dealt;
        let names: Vec<&str> = used.iter().map(|seat| seat.host.name.as_str()).collect();
        self.reasons.push(format!(
            "template.copies: a template on each of {}, since they share no storage that could take all disks, and a clone \
             goes to another host only over one",
            names.join(", ")
        ));
        if let Some(image) = shared {
            self.reasons.push(format!("image.storage: {image}, which they share: the image is uploaded once"));
        }
        self.volumes(&used);
        true
    }

    /// Proxmox CSI names one storage for the volumes on all hosts.
    fn volumes(&mut self, used: &[&Seat]) {
        let everywhere = |name: &str| used.iter().all(|seat| seat.host.store(name).is_some_and(|store| store.images));
        let Some(first) = used.first() else { return };
        let mut fit = first.host.storages.iter().filter(|store| everywhere(&store.name));
        let own = everywhere(&first.disks.name).then_some(first.disks);
        self.csi_storage = own.or_else(|| fit.next()).map(|store| store.name.clone());
        if self.csi_storage.is_none() {
            self.reasons.push(
                "integration.csi.enabled: false, since its volumes need a storage of one name on all these hosts"
                    .to_string(),
            );
        }
    }
}

impl Seat<'_> {
    /// The entry of its template beside the first one.
    fn beside(&self, first: &Seat) -> ChosenCopy {
        let image_is_shared = self.image.shared && self.image.name == first.image.name;
        ChosenCopy {
            host: self.host.name.clone(),
            storage: (self.disks.name != first.disks.name).then(|| self.disks.name.clone()),
            image_storage: (!image_is_shared).then(|| self.image.name.clone()),
        }
    }
}

fn is_for_disks(store: &Store, machines: Machines) -> bool {
    !store.shared && store.fits(1, machines)
}

/// The name of a local storage for disks that most hosts have, so that one name holds for all of them where it can.
fn same_on_most<'a>(hosts: &[&'a Host], machines: Machines) -> Option<&'a str> {
    let with = |name: &str| {
        let stores = || hosts.iter().filter_map(|h| h.store(name)).filter(|s| is_for_disks(s, machines));
        (stores().count(), stores().map(|s| s.free).min())
    };
    let names: BTreeSet<&str> = hosts.iter().flat_map(|h| &h.storages).map(|s| s.name.as_str()).collect();
    names.into_iter().filter(|name| with(name).0 > 0).max_by_key(|name| (with(name), Reverse(*name)))
}

fn seat<'a>(
    host: &'a Host,
    machines: Machines,
    favourite: Option<&str>,
    shared_image: Option<&str>,
) -> Option<Seat<'a>> {
    let fit = |store: &&Store| is_for_disks(store, machines);
    let roomiest = || host.storages.iter().filter(fit).max_by_key(|s| (s.free, Reverse(&s.name)));
    let disks = favourite.and_then(|name| host.store(name)).filter(fit).or_else(roomiest)?;
    // Two uploads of the same name onto one shared storage would write one file.
    let local_image = || {
        let local = host.storages.iter().filter(|s| !s.shared && s.takes_image());
        local.max_by_key(|s| (s.free, Reverse(&s.name)))
    };
    let image = shared_image.and_then(|name| host.store(name)).or_else(local_image)?;
    let room = (1..=machines.count).rev().find(|count| disks.fits(*count, machines)).unwrap_or_default();
    Some(Seat { host, disks, image, slots: room.min(host.slots(machines)) })
}
