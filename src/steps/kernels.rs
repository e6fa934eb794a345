//! Kernels that let a guest out through nested paging (CVE-2026-53359), where guests run inside of the cluster's machines.
use crate::base::text::{clean, shorten};
use crate::plan::model::Plan;

/// The first release of each series that has the mending (advisory of the Linux kernel, 2026).
const MENDED: [(u32, u32, u32); 5] = [(6, 1, 177), (6, 6, 144), (6, 12, 95), (6, 18, 38), (7, 1, 3)];
/// The first Talos whose kernel has it.
const TALOS: (u32, u32, u32) = (1, 13, 6);
const WHAT: &str = "CVE-2026-53359 (a guest of KVM gets out through nested paging)";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Mended,
    Open,
    /// A distribution's own kernel: its number says nothing of what was taken into it later.
    Untold,
}

/// Of a kernel's release, as `6.12.90` or `6.14.11-4-pve`.
fn standing(release: &str) -> Standing {
    let Some(own) = numbers(release) else { return Standing::Untold };
    let (major, minor, _) = own;
    if (major, minor) > (7, 1) {
        return Standing::Mended;
    }
    let mended = MENDED.iter().find(|(a, b, _)| (*a, *b) == (major, minor));
    match mended {
        Some(mended) if own >= *mended => Standing::Mended,
        // Proxmox VE takes mendings into its kernels without raising their upstream number.
        _ if release.contains("-pve") => Standing::Untold,
        _ => Standing::Open,
    }
}

/// The three numbers at the front: of `v1.10.6` 1, 10 and 6.
fn numbers(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.trim_start_matches('v').split(['.', '-', '+']).map(|p| p.parse::<u32>().ok());
    Some((parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
}

/// Remarks on the hosts' kernels and on that of Talos; none where nobody runs guests inside of the machines. Each host comes
/// with the release of its kernel.
pub fn remarks(plan: &Plan, hosts: &[(&str, Option<&str>)]) -> Vec<String> {
    // Without KubeVirt there are no guests inside of the guests.
    if plan.cozystack.profile == "paas-proxmox" {
        return Vec::new();
    }
    let host = |(host, release): &(&str, Option<&str>)| {
        let release = shorten(&clean((*release)?), 60);
        match standing(&release) {
            Standing::Mended => None,
            Standing::Open => {
                Some(format!("{host} runs kernel {release}, which {WHAT} gets out of: update it and restart the host"))
            }
            Standing::Untold => Some(format!(
                "{host} runs kernel {release}, whose number does not tell whether {WHAT} is mended: on {host} `zgrep 53359 \
                 /usr/share/doc/proxmox-kernel-*/changelog.Debian.gz`; if it is not, update it before strangers run VMs in the cluster"
            )),
        }
    };
    let mut remarks: Vec<String> = hosts.iter().filter_map(host).collect();
    if numbers(&plan.talos.version).is_some_and(|own| own < TALOS) {
        remarks.push(format!(
            "Talos {} has not mended {WHAT}, {}.{}.{} has: let nobody run VMs of KubeVirt whom you don't trust with its node",
            plan.talos.version, TALOS.0, TALOS.1, TALOS.2
        ));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    #[test]
    fn the_number_of_a_series_that_was_mended_tells_and_that_of_a_distribution_does_not() {
        for (release, expected) in [
            ("6.12.94", Standing::Open),
            ("6.12.95", Standing::Mended),
            ("6.18.38-talos", Standing::Mended),
            ("7.2.0", Standing::Mended),
            ("6.5.0", Standing::Open),
            ("6.14.11-4-pve", Standing::Untold),
            ("6.8.12-15-pve", Standing::Untold),
            ("something", Standing::Untold),
        ] {
            assert_eq!(standing(release), expected, "{release}");
        }
    }

    /// cozystack.md section 5
    #[test]
    fn only_where_guests_run_inside_of_guests_a_kernel_is_worth_a_remark() {
        let mut plan = plan();
        let hosts = [("pve", Some("6.14.11-4-pve")), ("pve2", Some("6.12.95")), ("pve3", None)];
        assert_eq!(remarks(&plan, &hosts), [""; 0]);
        plan.cozystack.profile = "hybrid".into();
        let told = remarks(&plan, &hosts);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("pve runs kernel 6.14.11-4-pve") && told[0].contains("CVE-2026-53359"), "{told:?}");
        assert!(told[1].starts_with("Talos v1.10.6 has not mended"), "{told:?}");
    }
}
