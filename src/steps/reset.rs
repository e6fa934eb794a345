//! Tells a person how to bring a machine that may be wiped back to maintenance mode. cozyup itself resets none.
use crate::talos::client::changer::reset_by_hand;
use std::net::IpAddr;

/// For a machine that belongs to another cluster, or has secrets that are not here.
pub fn of_stranger(address: IpAddr) -> String {
    format!(
        "if the machine may be wiped: `talosctl -n {address} {}` with the talosconfig of its own cluster (without the labels \
         a reset wipes the whole disk, and the VM boots from nothing then), or, if it is this run's VM, destroy it and run \
         again: it is cloned anew",
        reset_by_hand(true)
    )
}

/// For the control planes of a cluster that is removed as a whole: no member remains that they could leave in order.
pub fn of_whole_cluster() -> String {
    format!("`talosctl -n NODE {}`", reset_by_hand(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// talos.md 2: Talos' default takes the boot loader too.
    #[test]
    fn nobody_is_told_to_reset_a_machine_without_naming_what_is_wiped() {
        let labels = "--system-labels-to-wipe STATE --system-labels-to-wipe EPHEMERAL --reboot";
        let stranger = of_stranger(IpAddr::from([127, 0, 0, 1]));
        assert!(stranger.contains(&format!("talosctl -n 127.0.0.1 reset {labels}")), "{stranger}");
        assert!(of_whole_cluster().contains(&format!("reset --graceful=false {labels}")));
    }
}
