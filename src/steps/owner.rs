//! Decides whose a VM is, by the journal and the target together. The run's mark alone proves little, since Proxmox VE
//! copies notes with a clone and with a backup's restore, and anybody may write them.
use super::claim;
use super::cluster_api;
use super::day1::{self, clone, template_vm};
use super::day6::machine;
use super::site::Reading;
use super::workers::GROUPS;
use crate::base::text;
use crate::base::vmid::Vmid;
use crate::engine::made::{Origin, Thing};
use crate::engine::proof::Left;
use crate::engine::step::{Context, StepId};
use crate::plan::model::Plan;
use crate::proxmox::{VmConfig, VmRow};

/// Kind of a [`Thing`] that is a VM.
pub const VM: &str = "vm";
/// In a VM's notes, followed by the VMID that the mark beside it was written for.
const WRITTEN_FOR: &str = "cozyup-vm=";

/// The notes of a VM that is being made.
pub fn notes(mark: &str, vmid: Vmid) -> String {
    format!("{mark} {WRITTEN_FOR}{vmid}")
}

/// The VMID that the mark in these notes was written for; older versions wrote none.
pub fn written_for(notes: &str) -> Option<Vmid> {
    notes.split_whitespace().find_map(|w| w.strip_prefix(WRITTEN_FOR)?.parse().ok())
}

/// The VM as the journal keeps it. Its SMBIOS uuid is drawn when it is made, and anew for each clone
/// (qemu-server, `API2/Qemu.pm`); a restore keeps it, so only VMID and uuid together tell.
pub fn thing(vmid: Vmid, config: &VmConfig) -> Thing {
    Thing::new(VM, vmid, config.smbios_uuid())
}

/// The step that makes the VM with this VMID, when the plan has one.
pub fn maker(plan: &Plan, vmid: Vmid) -> Option<StepId> {
    if let Some(template) = plan.templates().iter().find(|template| template.vmid == vmid) {
        return Some(day1::of_template(template_vm::KIND, template));
    }
    let planned = plan.nodes.iter().find(|n| n.vmid == vmid).map(|n| StepId::of(clone::KIND, &n.name));
    // Cluster API chooses among these.
    planned.or_else(|| cluster_api::may_have_made(plan, vmid).then(|| StepId::new(machine::KIND)))
}

/// Where the VM comes from. Of those in Cluster API's range day 6 makes one first; groups of workers come into the same range later.
fn origin(cx: &dyn Context, plan: &Plan, vmid: Vmid, thing: &Thing) -> Origin {
    let mut origin = cx.made().origin(maker(plan, vmid).as_ref(), thing);
    for kind in GROUPS.map(|group| group.made_by) {
        origin = match origin {
            Origin::Another | Origin::Never if cluster_api::may_have_made(plan, vmid) => {
                cx.made().origin(Some(&StepId::new(kind)), thing)
            }
            Origin::Known | Origin::Open | Origin::Another | Origin::Never => origin,
        };
    }
    origin
}

/// The reason why the run may not change a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strange {
    /// It has no mark of this run; whose it is instead.
    Unmarked(String),
    /// Its notes were written for the VM with this VMID.
    WrittenFor(Vmid),
    /// The run made a VM with this VMID, and this is another.
    Another,
    /// The journal knows no VM with this VMID.
    Unknown,
}

impl Strange {
    /// True when it carries the run's mark all the same.
    pub fn is_marked(&self) -> bool {
        !matches!(self, Strange::Unmarked(_))
    }
}

impl std::fmt::Display for Strange {
    /// A lowercase fragment that follows the VM.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Strange::Unmarked(whose) => f.write_str(whose),
            Strange::WrittenFor(other) => {
                write!(f, "carries a copy of this run's mark, which was written for vm {other}")
            }
            Strange::Another => f.write_str(
                "carries this run's mark, but is not the VM that this run made under its VMID (another SMBIOS uuid)",
            ),
            Strange::Unknown => f.write_str("carries this run's mark, but the run's journal knows no VM of its VMID"),
        }
    }
}

/// Checks that the VM with this configuration is this run's own.
///
/// # Errors
/// With the reason, when it is not this run's own.
pub fn of_vm(cx: &dyn Context, site: &Reading, vmid: Vmid, config: &VmConfig) -> Result<(), Strange> {
    let notes = config.description();
    if !site.is_ours(notes) {
        return Err(Strange::Unmarked(claim::whose(notes)));
    }
    if site.also.contains(&vmid) {
        return Ok(());
    }
    judge(origin(cx, &site.plan, vmid, &thing(vmid, config)), vmid, notes.unwrap_or_default())
}

/// True when a VM with this VMID can be the run's own: the plan, a person or the journal knows the VMID. A run that was adopted
/// knows less than it made.
pub fn may_be_own(cx: &dyn Context, site: &Reading, vmid: Vmid) -> bool {
    let named = vmid.to_string();
    maker(&site.plan, vmid).is_some()
        || site.also.contains(&vmid)
        || cx.made().is_adopted()
        || cx.made().named(VM).any(|known| known == named)
}

/// Of a VM that carries the run's mark.
fn judge(origin: Origin, vmid: Vmid, notes: &str) -> Result<(), Strange> {
    match (origin, written_for(notes)) {
        (Origin::Known, _) => Ok(()),
        (_, Some(other)) if other != vmid => Err(Strange::WrittenFor(other)),
        (Origin::Open, _) => Ok(()),
        (Origin::Another, _) => Err(Strange::Another),
        (Origin::Never, _) => Err(Strange::Unknown),
    }
}

/// `vm 555 (anns-vm) on pve`
pub fn named(row: &VmRow) -> String {
    let name = row.name.as_deref().unwrap_or("without a name");
    let kind = if row.kind == "qemu" { "vm" } else { "guest" };
    format!("{kind} {} ({}) on {}", row.vmid, text::shorten(name, 80), row.node)
}

/// A guest that is left alone.
pub fn left(row: &VmRow, why: &Strange) -> Left {
    let way = match why.is_marked() {
        true => format!("; if it is to go with the run: --also {}", row.vmid),
        false => String::new(),
    };
    Left::new(named(row), format!("{why}{way}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    #[test]
    fn the_plans_vms_have_a_step_that_makes_them_and_others_have_none() {
        let plan = plan();
        let of = |vmid| maker(&plan, vmid).map(|id| id.to_string());
        assert_eq!(of(Vmid::of(9100)).as_deref(), Some("day1.template_vm"));
        assert_eq!(of(Vmid::of(1002)).as_deref(), Some("day1.clone/cp2"));
        assert_eq!(of(Vmid::of(555)), None);
    }

    #[test]
    fn the_template_of_a_further_host_has_a_step_of_its_own() {
        let mut plan = plan();
        plan.template.copies = vec!["pve2/9101//local".parse().unwrap()];
        assert_eq!(maker(&plan, Vmid::of(9101)).unwrap().to_string(), "day1.template_vm/pve2");
    }

    #[test]
    fn a_mark_that_was_written_for_another_vm_is_a_copy_unless_the_journal_knows_the_vm() {
        let own = notes("cozyup-run=x.1", Vmid::of(1001));
        assert_eq!(judge(Origin::Open, Vmid::of(1001), &own), Ok(()));
        assert_eq!(judge(Origin::Open, Vmid::of(1002), &own), Err(Strange::WrittenFor(Vmid::of(1001))));
        assert_eq!(judge(Origin::Known, Vmid::of(1002), &own), Ok(()));
        // As older versions wrote it, and as a hand puts it back.
        assert_eq!(judge(Origin::Open, Vmid::of(1001), "cozyup-run=x.1"), Ok(()));
        assert_eq!(judge(Origin::Another, Vmid::of(1001), &own), Err(Strange::Another));
        assert_eq!(judge(Origin::Never, Vmid::of(150), "cozyup-run=x.1"), Err(Strange::Unknown));
    }

    #[test]
    fn every_reason_says_whether_the_mark_is_there() {
        assert!(!Strange::Unmarked("does not carry this run's mark".into()).is_marked());
        for strange in [Strange::WrittenFor(Vmid::of(9100)), Strange::Another, Strange::Unknown] {
            assert!(strange.is_marked() && strange.to_string().contains("this run's mark"), "{strange}");
        }
    }
}
