//! LVM's rounding of sizes, and the lines that it prints into the logs of tasks.
use super::property::{GIB, MIB};

/// Of a volume group, by default.
const EXTENT: u64 = 4 * MIB;

/// A volume has whole extents.
pub fn whole(bytes: u64) -> u64 {
    bytes.div_ceil(EXTENT) * EXTENT
}

/// The line of lvcreate about a size that is no whole number of extents.
pub fn rounded(bytes: u64) -> Option<String> {
    let whole = whole(bytes);
    (whole != bytes).then(|| format!("  Rounding up size to full physical extent {}", in_gib(whole)))
}

pub fn created(name: &str) -> String {
    format!("  Logical volume \"{name}\" created.")
}

pub fn removed(name: &str) -> String {
    format!("  Logical volume \"{name}\" successfully removed.")
}

/// The lines of lvrename and lvchange about a template's volume.
pub fn renamed(name: &str, base: &str) -> [String; 2] {
    [
        format!("  Renamed \"{name}\" to \"{base}\" in volume group \"pve\""),
        format!("  Logical volume pve/{base} changed."),
    ]
}

/// The lines of lvextend.
pub fn resized(name: &str, old: u64, new: u64) -> Vec<String> {
    let size = |bytes: u64| format!("{} ({} extents)", in_gib(bytes), bytes.div_ceil(EXTENT));
    vec![
        format!("  Size of logical volume pve/{name} changed from {} to {}.", size(old), size(new)),
        format!("  Logical volume pve/{name} successfully resized."),
    ]
}

/// As LVM writes sizes: `1.22 GiB`.
fn in_gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / GIB as f64)
}
