//! `day1.configure/NODE`: processors, memory, network card and the cloud-init drive that carries the address.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::observed::Fact;
use crate::plan::model::{NetworkPlan, NodePlan, Plan};
use crate::proxmox::VmConfig;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::vm;
use crate::steps::{failures, follow, outlines, resized};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::time::Duration;

pub const KIND: &str = "day1.configure";
const BAND: Band = Band::new(5, 60);

pub struct Configure {
    outline: Outline,
    node: NodePlan,
    network: NetworkPlan,
    storage: String,
    /// The address comes with the machine's config, and not on Proxmox VE's cloud-init drive.
    by_cdrom: bool,
    doing: String,
}

pub fn step(plan: &Plan, node: &NodePlan) -> Configure {
    let network = plan.network.clone();
    let by_cdrom = plan.by_cdrom();
    let has = has(node, by_cdrom);
    let title = format!("give {} {has}", node.name);
    let address = format!(
        " --ide2 {}:cloudinit --ipconfig0 {} --nameserver '{}'",
        plan.storage_of(node),
        ipconfig(&network, node),
        nameservers(&network)
    );
    let by_hand = format!(
        "qm set {} --cores {} --memory {} --cpu host --onboot 1{}",
        node.vmid,
        node.cores,
        node.memory_mib,
        if by_cdrom { "" } else { &address }
    );
    let outline = outlines::change(StepId::of(KIND, &node.name), 1, title, BAND, by_hand)
        .after([StepId::of(super::clone::KIND, &node.name)]);
    let doing = format!("configure vm {} ({})", node.vmid, node.name);
    Configure { outline, node: node.clone(), network, storage: plan.storage_of(node).to_string(), by_cdrom, doing }
}

/// Describes the values that the VM will have.
fn has(node: &NodePlan, by_cdrom: bool) -> String {
    let size = format!("{} cores", node.cores);
    match by_cdrom {
        true => format!("{size} and {} MiB", node.memory_mib),
        false => format!("{size}, {} MiB and {}", node.memory_mib, node.address),
    }
}

fn ipconfig(network: &NetworkPlan, node: &NodePlan) -> String {
    format!("ip={}/{},gw={}", node.address, network.subnet.prefix_len(), network.gateway)
}

fn nameservers(network: &NetworkPlan) -> String {
    network.dns.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Every value that is not as the plan wants it, in words; empty when all are.
fn differences(config: &VmConfig, node: &NodePlan, network: &NetworkPlan, by_cdrom: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, is: Option<String>, wanted: String| {
        if is.as_deref() != Some(wanted.as_str()) {
            found.push(format!("{what} is {} instead of {wanted}", is.as_deref().unwrap_or("not set")));
        }
    };
    let text = |key: &str| config.get(key).map(str::to_string);
    compare("name", text("name"), node.name.clone());
    compare("cores", Some((config.cores() * config.sockets()).to_string()), node.cores.to_string());
    compare("memory", Some(config.memory().to_string()), node.memory_mib.to_string());
    compare("cpu", config.get("cpu").map(|c| first(c).trim_start_matches("cputype=").to_string()), "host".into());
    compare("onboot", text("onboot"), "1".into());
    let card = config.net("net0");
    compare("model of net0", card.as_ref().map(|n| n.model.clone()), "virtio".into());
    compare("bridge of net0", card.as_ref().and_then(|n| n.bridge.clone()), network.bridge.clone());
    let or_none = |value: Option<u16>| value.map_or_else(|| "none".to_string(), |value| value.to_string());
    compare("vlan of net0", card.as_ref().map(|n| or_none(n.tag)), or_none(network.vlan));
    compare("mtu of net0", card.map(|n| or_none(n.mtu)), or_none(network.mtu));
    if by_cdrom {
        // Talos reads the first of two drives of that kind, and this one says that there is no config.
        if has_cloud_init(config) {
            found.push("ide2 is a cloud-init drive, and the config's own CD-ROM goes there".to_string());
        }
        return found;
    }
    let drive = if has_cloud_init(config) { text("ide2").map(|_| "cloud-init drive".into()) } else { text("ide2") };
    compare("ide2", drive, "cloud-init drive".into());
    compare("ipconfig0", text("ipconfig0").map(|t| sorted(&t, &[','])), sorted(&ipconfig(network, node), &[',']));
    // The order of name servers is the order in which they are asked.
    let servers = config.get("nameserver").map(|t| words(t, &[' ', ',', ';']).join(" "));
    compare("nameserver", servers, nameservers(network));
    found
}

fn first(text: &str) -> &str {
    text.split(',').next().unwrap_or_default()
}

fn words<'a>(text: &'a str, separators: &[char]) -> Vec<&'a str> {
    text.split(separators).map(str::trim).filter(|w| !w.is_empty()).collect()
}

fn sorted(text: &str, separators: &[char]) -> String {
    words(text, separators).into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
}

fn has_cloud_init(config: &VmConfig) -> bool {
    config.disk("ide2").is_some_and(|drive| drive.is_cloud_init())
}

#[async_trait]
impl Step<Installation> for Configure {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Configure { node, network, doing, by_cdrom, .. } = self;
        let config = match vm::find(cx, site, &node.host, node.vmid, doing, BAND).await? {
            Ok(config) => config,
            Err(observed) => return Ok(*observed),
        };
        let differences = differences(&config.value, node, network, *by_cdrom).join(", ");
        if differences.is_empty() {
            let summary = format!("vm {} has {}", node.vmid, has(node, *by_cdrom));
            let evidence = Evidence::of("Proxmox", cx.clock().now(), &config);
            return Ok(Observed::Satisfied(Proof::new(summary, evidence)));
        }
        let status = site.proxmox.vm_status(&node.host, node.vmid).await;
        if status.map_err(|e| failures::proxmox(&e, doing))?.value.is_running() {
            // A running VM would take the values only at its next start, and nobody restarts a node unasked.
            let before =
                format!("change the plan, or on {}: qm shutdown {}; the step then sets them", node.host, node.vmid);
            return Ok(Observed::Conflict(resized::failure(site, node, &differences, before)));
        }
        vm::absent(cx, site, differences, doing, BAND).await
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Configure { node, network, storage, by_cdrom, doing, .. } = self;
        follow::earlier_task(cx, site, doing, BAND).await?;
        let vmid = node.vmid;
        let config = vm::confirm(cx, site, &node.host, vmid, doing).await?;
        let mut options = vec![
            ("name", node.name.clone()),
            ("sockets", "1".into()),
            ("cores", node.cores.to_string()),
            ("memory", node.memory_mib.to_string()),
            ("cpu", "host".into()),
            ("onboot", "1".into()),
            ("net0", vm::net0(network, config.net0_mac().as_deref())),
        ];
        match (by_cdrom, has_cloud_init(&config)) {
            (true, true) => options.push(("delete", "ide2".into())),
            (true, false) => {}
            (false, is_there) => {
                options.extend([("ipconfig0", ipconfig(network, node)), ("nameserver", nameservers(network))]);
                if !is_there {
                    options.push(("ide2", format!("{storage}:cloudinit")));
                }
            }
        }
        options.extend(config.digest().map(|d| ("digest", d.to_string())));
        let begun = change.proxmox.configure_vm(&node.host, vmid, &options).await;
        vm::carry_out(cx, site, begun, doing, BAND).await
    }

    fn rests_on(&self) -> Vec<Fact> {
        vec![Fact::VmThere(self.node.vmid)]
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    fn config(changed: &[(&str, &str)]) -> VmConfig {
        let mut values = std::collections::BTreeMap::from(
            [
                ("name", "cp1"),
                ("cores", "8"),
                ("sockets", "1"),
                ("memory", "24576"),
                ("cpu", "host"),
                ("onboot", "1"),
                ("net0", "virtio=BC:24:11:0A:0B:0C,bridge=vmbr0"),
                ("ide2", "local-lvm:vm-1001-cloudinit,media=cdrom"),
                ("ipconfig0", "gw=10.0.0.1,ip=10.0.0.201/24"),
                ("nameserver", "10.0.0.1"),
            ]
            .map(|(k, v)| (k.to_string(), v.to_string())),
        );
        values.extend(changed.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        VmConfig(values)
    }

    #[test]
    fn every_value_that_differs_is_named_with_what_it_is_and_should_be() {
        let plan = plan();
        let differ = |changed: &[(&str, &str)]| differences(&config(changed), &plan.nodes[0], &plan.network, false);
        assert_eq!(differ(&[]), Vec::<String>::new());
        assert_eq!(differ(&[("cpu", "cputype=host,flags=+aes")]), Vec::<String>::new());
        assert_eq!(
            differ(&[("memory", "2048"), ("ide2", "none,media=cdrom"), ("onboot", "0")]),
            [
                "memory is 2048 instead of 24576",
                "onboot is 0 instead of 1",
                "ide2 is none,media=cdrom instead of cloud-init drive"
            ]
        );
        assert_eq!(
            differ(&[("net0", "virtio=BC:24:11:0A:0B:0C,bridge=vmbr0,tag=7")]),
            ["vlan of net0 is 7 instead of none"]
        );
        assert_eq!(
            differ(&[("net0", "virtio=BC:24:11:0A:0B:0C,bridge=vmbr0,mtu=9000")]),
            ["mtu of net0 is 9000 instead of none"]
        );
        assert_eq!(
            differ(&[("ipconfig0", "ip=10.0.0.202/24,gw=10.0.0.1")]),
            ["ipconfig0 is gw=10.0.0.1,ip=10.0.0.202/24 instead of gw=10.0.0.1,ip=10.0.0.201/24"]
        );
    }

    #[test]
    fn by_cdrom_the_drive_is_left_to_the_config_and_nothing_is_said_of_the_address() {
        let plan = plan();
        let differ = |changed: &[(&str, &str)]| differences(&config(changed), &plan.nodes[0], &plan.network, true);
        assert!(differ(&[])[0].contains("cloud-init drive"), "{:?}", differ(&[]));
        for drive in ["none,media=cdrom", "local:iso/cozyup-x.1-1001-2.iso,media=cdrom"] {
            assert_eq!(differ(&[("ide2", drive), ("ipconfig0", "ip=dhcp")]), Vec::<String>::new());
        }
    }

    #[test]
    fn the_card_keeps_its_hardware_address() {
        let mut plan = plan();
        assert_eq!(vm::net0(&plan.network, Some("bc:24:11:0a:0b:0c")), "virtio=BC:24:11:0A:0B:0C,bridge=vmbr0");
        plan.network.vlan = Some(30);
        assert_eq!(vm::net0(&plan.network, None), "virtio,bridge=vmbr0,tag=30");
        plan.network.mtu = Some(1450);
        assert_eq!(vm::net0(&plan.network, None), "virtio,bridge=vmbr0,tag=30,mtu=1450");
    }
}
