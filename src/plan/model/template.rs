//! The templates of the plan: one, and one more for each host whose machines can't be cloned from it (ADR 012).
use super::{NodePlan, Plan, Vmid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The VM template from which machines are cloned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplatePlan {
    /// VMID of the template; its notes hold the claim of the run.
    pub vmid: Vmid,
    /// Name of the template in Proxmox VE: a DNS label.
    pub name: String,
    /// Proxmox node on which the template is built.
    pub host: String,
    /// Storage (content `images`) for the template's disk and the clones' disks.
    pub storage: String,
    /// Further templates, one per host whose machines can't be cloned from this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<TemplateCopy>,
}

/// A further template, for the machines of its own host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateCopy {
    /// Proxmox node on which it is built and whose machines are cloned from it.
    pub host: String,
    /// Its VMID.
    pub vmid: Vmid,
    /// Storage on that host for the disks; absent: one with the name of `template.storage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Storage on that host to which the image is uploaded once more; absent: `image.storage` is shared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_storage: Option<String>,
}

impl fmt::Display for TemplateCopy {
    /// `HOST/VMID[/STORAGE[/IMAGE-STORAGE]]`, as the form shows it; a name that is not set is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.vmid)?;
        match (&self.storage, &self.image_storage) {
            (None, None) => Ok(()),
            (storage, None) => write!(f, "/{}", storage.as_deref().unwrap_or_default()),
            (storage, Some(image)) => write!(f, "/{}/{image}", storage.as_deref().unwrap_or_default()),
        }
    }
}

impl FromStr for TemplateCopy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('/').map(str::trim);
        let form =
            || format!("`{text}` is no template: write HOST/VMID/STORAGE/IMAGE-STORAGE, such as pve2/9101//local");
        let (host, vmid) = parts.next().zip(parts.next()).ok_or_else(form)?;
        let vmid = vmid.parse().map_err(|_| form()).and_then(Vmid::new)?;
        let mut name = || parts.next().filter(|name| !name.is_empty()).map(str::to_string);
        let copy = TemplateCopy { host: host.to_string(), vmid, storage: name(), image_storage: name() };
        match copy.host.is_empty() || parts.next().is_some() {
            true => Err(form()),
            false => Ok(copy),
        }
    }
}

/// One of the plan's templates, with the places of its image and its disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its VMID.
    pub vmid: Vmid,
    /// Its name in Proxmox VE.
    pub name: String,
    /// Proxmox node on which it is built.
    pub host: String,
    /// Storage for its disk and the disks of the machines that are cloned from it.
    pub storage: String,
    /// Storage that holds its image, as its host sees it.
    pub image_storage: String,
    /// False when it is made from the image of the first template, over a shared storage.
    pub has_own_image: bool,
    /// True for all but the plan's first one.
    pub is_copy: bool,
}

impl Plan {
    /// The template whose notes hold the claim; Cluster API clones from it too.
    pub fn first_template(&self) -> Template {
        let first = &self.template;
        Template {
            vmid: first.vmid,
            name: first.name.clone(),
            host: first.host.clone(),
            storage: first.storage.clone(),
            image_storage: self.image.storage.clone(),
            has_own_image: true,
            is_copy: false,
        }
    }

    /// All templates, the first one first.
    pub fn templates(&self) -> Vec<Template> {
        let copy = |copy: &TemplateCopy| Template {
            vmid: copy.vmid,
            name: format!("{}-{}", self.template.name, copy.host.to_ascii_lowercase()),
            host: copy.host.clone(),
            storage: copy.storage.as_ref().unwrap_or(&self.template.storage).clone(),
            image_storage: copy.image_storage.as_ref().unwrap_or(&self.image.storage).clone(),
            has_own_image: copy.image_storage.is_some(),
            is_copy: true,
        };
        [self.first_template()].into_iter().chain(self.template.copies.iter().map(copy)).collect()
    }

    /// The template that a machine is cloned from: the one of its host, or else the first.
    pub fn template_of(&self, node: &NodePlan) -> Template {
        let own = self.templates().into_iter().find(|template| template.host == node.host);
        own.unwrap_or_else(|| self.first_template())
    }

    /// The storage for a machine's disks.
    pub fn storage_of(&self, node: &NodePlan) -> &str {
        self.storage_on(&node.host)
    }

    /// The storage for the disks of the machines on this host.
    pub fn storage_on(&self, host: &str) -> &str {
        let own = self.copy_on(host).and_then(|copy| copy.storage.as_deref());
        own.unwrap_or(&self.template.storage)
    }

    /// The storage for the CD-ROM with a machine's config.
    pub fn iso_storage_of(&self, node: &NodePlan) -> &str {
        let own = self.copy_on(&node.host).and_then(|copy| copy.image_storage.as_deref());
        self.talos.iso_storage.as_deref().or(own).unwrap_or(&self.image.storage)
    }

    /// VMIDs of the templates, each with the key that names it.
    pub fn template_vmids(&self) -> impl Iterator<Item = (String, Vmid)> {
        let copies = self.template.copies.iter().enumerate();
        let copies = copies.map(|(i, copy)| (format!("template.copies[{i}].vmid"), copy.vmid));
        std::iter::once(("template.vmid".to_string(), self.template.vmid)).chain(copies)
    }

    /// The Proxmox nodes that carry a machine or a template.
    pub fn hosts(&self) -> BTreeSet<&str> {
        let copies = self.template.copies.iter().map(|copy| copy.host.as_str());
        self.nodes.iter().map(|n| n.host.as_str()).chain([self.template.host.as_str()]).chain(copies).collect()
    }

    fn copy_on(&self, host: &str) -> Option<&TemplateCopy> {
        self.template.copies.iter().find(|copy| copy.host == host && host != self.template.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::defaults::{Defaults, plan};

    fn spread() -> Plan {
        let mut plan = plan(&Defaults { hosts: ["a", "b", "c"].map(String::from).to_vec(), ..Defaults::default() });
        plan.template.copies = ["b/9101//local", "c/9102/ssd/files"].iter().map(|text| text.parse().unwrap()).collect();
        plan
    }

    #[test]
    fn a_machine_is_made_from_the_template_of_its_host_and_onto_that_hosts_storage() {
        let mut plan = spread();
        let of = |plan: &Plan, n: usize| {
            let template = plan.template_of(&plan.nodes[n]);
            let (storage, iso) = (plan.storage_of(&plan.nodes[n]), plan.iso_storage_of(&plan.nodes[n]));
            assert_eq!(template.storage, storage);
            format!("{} {} {storage} {} {iso}", template.vmid, template.name, template.image_storage)
        };
        assert_eq!(of(&plan, 0), "9100 cozy-talos local-lvm local local");
        assert_eq!(of(&plan, 1), "9101 cozy-talos-b local-lvm local local");
        assert_eq!(of(&plan, 2), "9102 cozy-talos-c ssd files files");
        plan.nodes[2].host = "d".into();
        assert_eq!(of(&plan, 2), "9100 cozy-talos local-lvm local local", "a host without one");
        plan.talos.iso_storage = Some("isos".into());
        assert!(of(&plan, 1).ends_with(" isos"));
        assert_eq!(plan.hosts(), BTreeSet::from(["a", "b", "c", "d"]));
        assert!(["9100", "9101", "9102"].iter().all(|id| plan.has_vmid(id.parse().unwrap())));
    }

    #[test]
    fn a_template_is_typed_as_it_is_shown() {
        for text in ["b/9101", "b/9101/ssd", "b/9101//local", "b/9101/ssd/local"] {
            assert_eq!(text.parse::<TemplateCopy>().unwrap().to_string(), text);
        }
        for text in ["", "b", "/9101", "b/7", "b/x", "b/9101/a/b/c"] {
            assert!(text.parse::<TemplateCopy>().is_err(), "{text}");
        }
    }
}
