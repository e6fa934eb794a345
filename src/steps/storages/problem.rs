//! What prevents the plan on the site's storages, and what a person can do about it.
use super::Rows;
use crate::base::text::size;
use crate::plan::model::{Plan, TemplateCopy, Vmid};
use crate::proxmox::StorageRow;
use crate::steps::image::image_file::CONTENT;
use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    Missing {
        host: String,
        storage: String,
        others: Vec<String>,
    },
    Off {
        host: String,
        storage: String,
        enabled: bool,
    },
    Content {
        host: String,
        storage: String,
        has: Vec<String>,
        needed: String,
    },
    NoRoomForImage {
        host: String,
        storage: String,
        avail: u64,
    },
    /// A template of a further host without an image of its own, which does not see the first one's.
    ImageNotShared {
        host: String,
        storage: String,
    },
    /// The image of a further host would be uploaded over one that is on the same shared storage.
    ImageTwice {
        host: String,
        storage: String,
    },
    NoRoomForConfigs {
        host: String,
        storage: String,
        avail: u64,
    },
    /// A machine on another host than the template, whose storage is not shared.
    NotShared {
        node: String,
        host: String,
        /// The entries of `template.copies` that would help.
        copies: String,
    },
    Full {
        at: Option<String>,
        storage: String,
        free: u64,
        needed: u64,
        thick: bool,
    },
}

impl Problem {
    pub fn told(&self, plan: &Plan) -> String {
        match self {
            Problem::Missing { host, storage, others } => {
                format!("{host} has no storage {storage} (it has {})", others.join(", "))
            }
            Problem::Off { host, storage, enabled } => {
                format!("storage {storage} is {} on {host}", if *enabled { "not active" } else { "disabled" })
            }
            Problem::Content { host, storage, has, needed } => {
                format!("storage {storage} on {host} takes {}, and {needed} is needed", has.join(","))
            }
            Problem::NoRoomForImage { host, storage, avail } => {
                format!("storage {storage} on {host} has only {} for the image", size(*avail))
            }
            Problem::ImageNotShared { host, storage } => format!(
                "the template on {host} has no image: storage {storage} is not shared with {}",
                plan.template.host
            ),
            Problem::ImageTwice { host, storage } => {
                format!("the image for {host} would be put on storage {storage} twice, which is shared")
            }
            Problem::NoRoomForConfigs { host, storage, avail } => {
                format!("storage {storage} on {host} has only {} for machine configs", size(*avail))
            }
            Problem::NotShared { node, host, .. } => format!(
                "{node} on {host} can't be cloned from a template on {}: storage {} is not shared between them",
                plan.template.host, plan.template.storage
            ),
            Problem::Full { at, storage, free, needed, thick } => {
                let at = at.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
                let why = if *thick { "at once: its disks take their whole size" } else { "soon" };
                format!("storage {storage}{at} has {} free, and {} are needed {why}", size(*free), size(*needed))
            }
        }
    }

    pub fn next(&self, plan: &Plan, rows: &Rows) -> String {
        match self {
            Problem::Missing { .. } => {
                "name other storages in the plan, or make it (Datacenter > Storage); a storage that \
                                        the token may not see is missing here too"
                    .to_string()
            }
            Problem::Off { enabled: false, storage, .. } => format!("pvesm set {storage} --disable 0"),
            Problem::Off { storage, .. } => {
                format!("`pvesm status --storage {storage}` on that node says why; or name another storage in the plan")
            }
            // The option replaces the list: what is there has to be in it.
            Problem::Content { storage, has, needed, .. } => {
                format!(
                    "pvesm set {storage} --content {}",
                    [has.as_slice(), std::slice::from_ref(needed)].concat().join(",")
                )
            }
            Problem::NoRoomForImage { .. } => "make room there, or name another image.storage".to_string(),
            Problem::ImageNotShared { host, .. } => {
                format!("name a storage of {host} that takes content {CONTENT} as its image_storage in template.copies")
            }
            Problem::ImageTwice { host, .. } => {
                format!("leave image_storage of {host} out in template.copies: its template is made of the image there")
            }
            Problem::NoRoomForConfigs { .. } => "make room there, or name another talos.iso_storage".to_string(),
            Problem::NotShared { copies, .. } => {
                let shared = shared_for_all(plan, rows);
                let named = if shared.is_empty() { String::new() } else { format!(" ({})", shared.join(" or ")) };
                format!(
                    "give each host a template of its own, in the plan below template: `copies: [{copies}]`; or put all nodes on {} \
                     (nodes[].host), or name a storage that its hosts share{named} as template.storage",
                    plan.template.host
                )
            }
            Problem::Full { thick, .. } => {
                let thin = if *thick { "; on ZFS: Thin provision (pvesm set STORAGE --sparse 1)" } else { "" };
                format!("make room there, or name another template.storage, or smaller disks{thin}")
            }
        }
    }
}

/// Storages that every host of the plan shares and that take disks.
fn shared_for_all<'a>(plan: &Plan, rows: &'a Rows) -> Vec<&'a str> {
    let fits = |r: &StorageRow| r.shared && takes(r, "images");
    let of = |host: &str| rows.get(host).into_iter().flatten().filter(|r| fits(r));
    let everywhere = |name: &str| plan.hosts().into_iter().all(|host| of(host).any(|r| r.storage == name));
    of(&plan.template.host).map(|r| r.storage.as_str()).filter(|name| everywhere(name)).collect()
}

fn takes(row: &StorageRow, content: &str) -> bool {
    row.enabled && row.active && row.content.iter().any(|c| c == content)
}

/// The entries of `template.copies` with which the machines of these hosts could be made, as YAML. `taken` are the VMIDs of
/// the site.
pub fn copies(plan: &Plan, rows: &Rows, hosts: &BTreeSet<&str>, taken: &BTreeSet<u32>) -> String {
    let first = u32::from(plan.template.vmid);
    let is_free = |id: &Vmid| !plan.has_vmid(*id) && !taken.contains(&u32::from(*id));
    let mut free = (first..first + 10_000).filter_map(|id| Vmid::new(id).ok()).filter(is_free);
    let entry = |host: &&str| {
        let rows = rows.get(*host).map(Vec::as_slice).unwrap_or_default();
        let row = |name: &str| rows.iter().find(|r| r.storage == name);
        // A name from the site is printed only where the plan could hold it.
        let plain = |r: &&StorageRow| r.storage.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        let roomiest = |content: &str| {
            let fit = rows.iter().filter(|r| takes(r, content)).filter(plain);
            fit.max_by_key(|r| (r.avail, std::cmp::Reverse(r.storage.clone()))).map(|r| r.storage.clone())
        };
        let has_disks = row(&plan.template.storage).is_some_and(|r| takes(r, "images"));
        let image = row(&plan.image.storage).filter(|r| takes(r, CONTENT));
        Some(TemplateCopy {
            host: host.to_string(),
            vmid: free.next()?,
            storage: if has_disks { None } else { roomiest("images") },
            image_storage: match image {
                Some(image) if image.shared => None,
                Some(image) => Some(image.storage.clone()),
                None => roomiest(CONTENT),
            },
        })
    };
    let entries: Vec<TemplateCopy> = hosts.iter().filter_map(entry).collect();
    entries.iter().map(as_yaml).collect::<Vec<_>>().join(", ")
}

fn as_yaml(copy: &TemplateCopy) -> String {
    let named =
        |key: &str, name: &Option<String>| name.as_ref().map(|name| format!(", {key}: {name}")).unwrap_or_default();
    let (storage, image) = (named("storage", &copy.storage), named("image_storage", &copy.image_storage));
    format!("{{host: {}, vmid: {}{storage}{image}}}", copy.host, copy.vmid)
}
