//! Guests in a range of VMIDs that nobody here knows: what a person made by hand among the plan's machines, or what a provider in
//! the cluster made and lost.
use crate::base::vmid::Vmid;
use crate::plan::model::Plan;
use crate::proxmox::VmRow;
use crate::steps::owner;
use std::ops::RangeInclusive;

/// Guests that are named; of more only their number is told.
const NAMED: usize = 5;

/// The VMIDs among which the plan's machines lie: from the ten of the lowest to the end of the ten of the highest. The template
/// lies elsewhere as a rule and is no part of it. `None` for a plan without machines.
pub fn around(plan: &Plan) -> Option<RangeInclusive<Vmid>> {
    let ids = || plan.nodes.iter().map(|n| n.vmid);
    let (lowest, highest) = (ids().min()?, ids().max()?);
    let ten = |vmid: Vmid| u32::from(vmid) / 10 * 10;
    Some(Vmid::new(ten(lowest)).ok()?..=Vmid::new(ten(highest) + 9).ok()?)
}

/// The guests within `range` that `known` does not know, by VMID. What the token may not see is in no list.
pub fn unknown_in<'a>(
    range: &RangeInclusive<Vmid>,
    guests: &'a [VmRow],
    known: impl Fn(Vmid) -> bool,
) -> Vec<&'a VmRow> {
    let mut found: Vec<&VmRow> = guests.iter().filter(|row| range.contains(&row.vmid) && !known(row.vmid)).collect();
    found.sort_by_key(|row| row.vmid);
    found.dedup_by_key(|row| row.vmid);
    found
}

/// A remark about them, when there are any.
pub fn remark(range: &RangeInclusive<Vmid>, unknown: &[&VmRow]) -> Option<String> {
    if unknown.is_empty() {
        return None;
    }
    let named: Vec<String> = unknown.iter().take(NAMED).map(|row| owner::named(row)).collect();
    let more = match unknown.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Some(format!(
        "among the plan's VMIDs ({} to {}) {} that this run knows nothing of: {}{more}",
        range.start(),
        range.end(),
        if unknown.len() == 1 { "is a guest".to_string() } else { format!("are {} guests", unknown.len()) },
        named.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::{guest as row, plan};

    #[test]
    fn guests_of_the_range_that_nobody_knows_are_told_and_no_others() {
        let plan = plan();
        let range = around(&plan).unwrap();
        assert!(
            range.contains(&Vmid::of(1000))
                && range.contains(&Vmid::of(1009))
                && !range.contains(&Vmid::of(9100))
                && !range.contains(&Vmid::of(150))
        );
        let guests =
            [row(1005, "anns"), row(150, "old"), row(1001, "cp1"), row(1000, "x"), row(1005, "anns"), row(9100, "t")];
        let unknown = unknown_in(&range, &guests, |vmid| plan.has_vmid(vmid));
        assert_eq!(unknown.iter().map(|r| r.vmid).collect::<Vec<_>>(), [1000, 1005]);
        let told = remark(&range, &unknown).unwrap();
        assert!(told.contains("are 2 guests") && told.ends_with("vm 1000 (x) on pve, vm 1005 (anns) on pve"), "{told}");
        assert_eq!(remark(&range, &[]), None);
        let many: Vec<VmRow> = (1002..1010).map(|id| row(id, "m")).collect();
        let many: Vec<&VmRow> = many.iter().collect();
        assert!(remark(&range, &many).unwrap().ends_with("and 3 more"));
    }
}
