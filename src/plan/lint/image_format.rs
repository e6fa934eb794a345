//! An image that is neither .raw.xz nor .raw.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "image-format",
    severity: Severity::Error,
    overridable: false,
    about: "an image that is neither .raw.xz nor .raw",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let file = super::file_of(&plan.image.url);
    if file.ends_with(".raw.xz") || file.ends_with(".raw") {
        return Vec::new();
    }
    let why = match file.rsplit('.').next().unwrap_or_default() {
        "iso" => "an ISO boots an installer that forgets its address; the run imports a disk image",
        "qcow2" | "vmdk" => "CozyStack publishes no such file, and the run writes raw disks",
        "xz" => "only a raw disk may be inside the xz",
        "gz" | "zst" | "bz2" | "zip" | "lzo" => {
            "this machine decompresses xz only, and Proxmox VE decompresses nothing on import (pve-storage)"
        }
        _ => "the run imports a raw disk, which it decompresses from xz itself: Proxmox VE can't",
    };
    vec![Problem::new(
        "image.url",
        format!("`{file}` is neither .raw.xz nor .raw"),
        why,
        super::release_of(plan).image_url(),
    )]
}
