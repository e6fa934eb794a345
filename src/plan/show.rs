//! The plan as plain text, for a person who wants to see it whole.
use super::day::day_title;
use super::finding::Severity;
use super::lint;
use super::model::{Delivery, Plan};
use super::review::{Review, gibibytes};
use crate::base::text::clean;
use std::fmt::Display;

/// Site, machines, network, versions, tests, overrides and hazards, in lines of at most about 110 columns.
pub fn show(plan: &Plan) -> String {
    let mut out = Lines(String::new());
    out.0.push_str(&format!("plan {}\n", clean(&plan.name)));
    out.heading("site");
    out.row("API", &plan.site.url);
    match (&plan.site.fingerprint, &plan.site.ca_file) {
        (Some(pin), _) => out.row("certificate", pin),
        (None, Some(file)) => out.row("certificate", format!("signed by the authority in {file}")),
        (None, None) => out.row("certificate", "verified against the system's roots"),
    }
    out.row("token", format!("{}, secret in {}", plan.site.token_id, plan.site.token_file));
    out.row("image", format!("{} on storage {}", plan.image.url, plan.image.storage));
    templates(plan, &mut out);
    out.heading("machines");
    machines(plan, &mut out);
    out.heading("network");
    network(plan, &mut out);
    out.heading("versions");
    out.row("CozyStack", format!("{}, profile {}", plan.cozystack.version, plan.cozystack.profile));
    out.row("Talos", format!("{} ({})", plan.talos.version, plan.talos.installer_image));
    out.row("Kubernetes", &plan.talos.kubernetes);
    out.row(
        "configs",
        match plan.talos.delivery {
            Delivery::Apply => "over the network, to the key that each machine shows first".to_string(),
            Delivery::Cdrom => format!("by CD-ROM from storage {}", plan.iso_storage()),
        },
    );
    let (csi, capmox) = (&plan.integration.csi, &plan.integration.capmox);
    out.row("Proxmox CSI", switch(csi.enabled, format!("{} on storage {}", csi.chart_version, csi.storage)));
    out.row("capmox", switch(capmox.enabled, format!("{}, IPAM {}", capmox.version, capmox.ipam_version)));
    out.heading("platform");
    out.row("root host", &plan.cozystack.root_host);
    out.row("exposed", listed(&plan.cozystack.expose));
    out.row("left out", listed(&plan.cozystack.disable));
    out.row("switched on", listed(&plan.cozystack.enable));
    out.row("LINSTOR", format!("pool {} on {}", plan.integration.linstor.pool, plan.integration.linstor.device));
    tests(plan, &mut out);
    overrides(plan, &mut out);
    out.heading("what a run makes");
    Review::of(plan, |_| true, None).told().iter().for_each(|(label, text)| out.row(label, text));
    hazards(plan, &mut out);
    out.0
}

fn network(plan: &Plan, out: &mut Lines) {
    let network = &plan.network;
    let vlan = network.vlan.map_or(String::new(), |tag| format!(" tag {tag}"));
    let mtu = network.mtu.map_or(String::new(), |mtu| format!(", MTU {mtu}"));
    out.row("subnet", format!("{} on {}{vlan}{mtu}, gateway {}", network.subnet, network.bridge, network.gateway));
    if let Some(proxy) = &network.proxy {
        out.row("proxy", format!("{proxy}, not for {}", joined(&plan.past_proxy())));
    }
    out.row("DNS", joined(&network.dns));
    out.row("NTP", if network.ntp.is_empty() { network.gateway.to_string() } else { joined(&network.ntp) });
    out.row("API address", plan.cluster_endpoint());
    out.row("pods", network.pod_cidr);
    out.row("services", network.service_cidr);
    out.row("join", network.join_cidr);
    out.row("cluster domain", &network.cluster_domain);
    out.row("address pool", joined(&network.address_pool));
}

fn templates(plan: &Plan, out: &mut Lines) {
    for template in plan.templates() {
        let image = match template.is_copy && template.has_own_image {
            true => format!(", image on {}", template.image_storage),
            false => String::new(),
        };
        let place = format!("on {}, storage {}{image}", template.host, template.storage);
        out.row("template", format!("{} {} {place}", template.vmid, template.name));
    }
}

fn tests(plan: &Plan, out: &mut Lines) {
    out.heading("tests");
    let tests = &plan.tests;
    let named =
        [(tests.pod, "pod"), (tests.load_balancer, "LoadBalancer"), (tests.dns, "DNS"), (tests.ingress, "ingress")];
    let wanted: Vec<&str> = named.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
    out.row("objects", listed(&wanted));
    out.row("volumes", listed(&tests.volumes));
    out.row("moved and grown", listed(plan.day_7()));
    out.row("powered off and on", listed(&tests.drills));
    out.row("tenants", if plan.day_8() { "two, kept apart and limited" } else { "none" });
    out.row("database", if plan.database() { "a Postgres with a row" } else { "none" });
    out.row("VMs by Cluster API", by_cluster_api(plan));
    out.row("workers by Cluster API", workers(plan));
    out.row("Kubernetes of a tenant", of_tenant(plan));
    for off in plan.off() {
        out.0.push_str(&format!("  off, {}: {} ({})\n", day_title(off.day), off.test, off.reason));
    }
}

fn by_cluster_api(plan: &Plan) -> String {
    match plan.day_6() {
        Some((vmids, addresses)) => format!("VMIDs {vmids}, addresses {addresses}"),
        None => "no".to_string(),
    }
}

fn of_tenant(plan: &Plan) -> String {
    match plan.day_9() {
        Some(template) => format!("its machines ({}) are made of template {template}", plan.tenant_workers()),
        None => "none".to_string(),
    }
}

fn workers(plan: &Plan) -> String {
    let tests = &plan.tests;
    match plan.workers() {
        0 => "none".to_string(),
        count => format!(
            "{count}, each with {} cores, {} and a disk of {} GiB",
            tests.worker_cores,
            gibibytes(tests.worker_memory_mib),
            tests.worker_disk_gib
        ),
    }
}

fn machines(plan: &Plan, out: &mut Lines) {
    let head = ["name", "role", "VMID", "host", "address", "cores", "memory", "system", "data"].map(String::from);
    let rows: Vec<[String; 9]> = std::iter::once(head)
        .chain(plan.nodes.iter().map(|n| {
            [
                clean(&n.name),
                n.role.to_string(),
                n.vmid.to_string(),
                clean(&n.host),
                n.address.to_string(),
                n.cores.to_string(),
                gibibytes(n.memory_mib),
                format!("{} GiB", n.system_disk_gib),
                format!("{} GiB", n.data_disk_gib),
            ]
        }))
        .collect();
    let mut widths = [0; 9];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out.0.push_str(&format!("  {}\n", cells.join("  ").trim_end()));
    }
    let (cores, memory, disks) = Review::of(plan, |_| true, None).together();
    out.0.push_str(&format!("  together {cores} cores, {} memory, {disks} GiB disk\n", gibibytes(memory)));
}

fn overrides(plan: &Plan, out: &mut Lines) {
    if !plan.overrides.is_empty() {
        out.heading("overrides");
    }
    for set_aside in &plan.overrides {
        out.row(&set_aside.rule, &set_aside.reason);
    }
}

fn hazards(plan: &Plan, out: &mut Lines) {
    let findings = lint::lint(plan);
    for (severity, title) in [(Severity::Error, "errors"), (Severity::Warning, "hazards"), (Severity::Note, "notes")] {
        let mut first = true;
        for finding in findings.iter().filter(|f| f.severity == severity) {
            if std::mem::take(&mut first) {
                out.heading(title);
            }
            out.0.push_str(&format!("  [{}] {}: {}\n", finding.rule, clean(&finding.key), clean(&finding.what)));
        }
    }
}

fn joined(items: &[impl Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn listed(items: &[impl Display]) -> String {
    if items.is_empty() { "none".into() } else { joined(items) }
}

fn switch(on: bool, text: String) -> String {
    if on { text } else { "off".into() }
}

struct Lines(String);

impl Lines {
    fn heading(&mut self, title: &str) {
        self.0.push_str(&format!("\n{title}\n"));
    }

    fn row(&mut self, label: &str, value: impl Display) {
        self.0.push_str(&format!("  {:15} {}\n", clean(label), clean(&value.to_string())));
    }
}

#[cfg(test)]
mod tests {
    use super::super::defaults::{Defaults, plan};
    use super::*;

    #[test]
    fn the_summary_names_every_machine_and_the_hazards() {
        let text = show(&plan(&Defaults::default()));
        assert!(
            text.contains("  cozy-new-cp1  controlplane  1001  pve   10.0.0.201  8      24 GiB  50 GiB  256 GiB\n"),
            "{text}"
        );
        assert!(text.contains("  together 24 cores, 72 GiB memory, 918 GiB disk\n"), "{text}");
        assert!(text.contains("[single-host] nodes:"), "{text}");
        assert!(text.contains("[image-checksum] image.sha256:"), "{text}");
    }

    #[test]
    fn control_characters_of_the_plan_do_not_reach_the_terminal() {
        let mut plan = plan(&Defaults::default());
        plan.site.token_id = "a\u{1b}[2J".into();
        plan.nodes.first_mut().unwrap().name = "x\u{1b}]0;y".into();
        assert!(!show(&plan).contains('\u{1b}'));
    }
}
