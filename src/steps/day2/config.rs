//! `day2.config/NODE`: the machine config of one node, rendered from plan, secrets and the VM's hardware address.
use crate::base::answer::Answer;
use crate::base::secret::Secret;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::plan::model::{NodePlan, Plan, Role};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines};
use crate::talos::config::{self, NodeConfig, Place, Registries, redacted};
use async_trait::async_trait;
use std::collections::BTreeMap;

pub const KIND: &str = "day2.config";
/// The prefix of the names of machine configs in the folder of secrets.
pub const FILE: &str = "machine-";

pub struct Config {
    outline: Outline,
    node: NodePlan,
}

pub fn step(plan: &Plan, node: &NodePlan) -> Config {
    let title = format!("the machine config of {} is rendered", node.name);
    let by_hand = format!(
        "talosctl gen config {} {} --with-secrets secrets.yaml; talosctl validate --mode metal --strict -c {}",
        plan.name,
        plan.cluster_endpoint(),
        file(node)
    );
    let outline = outlines::change(StepId::of(KIND, &node.name), 2, title, Band::new(5, 30), by_hand)
        .after([StepId::new(super::secrets::KIND)]);
    Config { outline, node: node.clone() }
}

/// Name of the config's file in the `secrets` folder: it carries the cluster's keys.
pub fn file(node: &NodePlan) -> String {
    format!("{FILE}{}.yaml", node.name)
}

/// Everything in a node's config beside the cluster's secrets; `mac` is its VM's hardware address.
pub fn input(plan: &Plan, node: &NodePlan, mac: &str, registries: Registries) -> NodeConfig {
    let place = Place { hostname: node.name.clone(), address: node.address, mac: mac.into(), mtu: plan.network.mtu };
    of_cluster(plan, node.role, Some(place), registries)
}

/// The same of any machine of the plan's cluster.
pub fn of_cluster(plan: &Plan, role: Role, place: Option<Place>, registries: Registries) -> NodeConfig {
    NodeConfig {
        cluster_name: plan.name.clone(),
        endpoint: plan.cluster_endpoint(),
        role,
        place,
        subnet: plan.network.subnet,
        gateway: plan.network.gateway,
        dns: plan.network.dns.clone(),
        ntp: plan.network.ntp.clone(),
        vip: Some(plan.network.vip),
        install_disk: plan.talos.install_disk.clone(),
        installer_image: plan.talos.installer_image.clone(),
        kubernetes_version: plan.talos.kubernetes.clone(),
        pod_cidr: plan.network.pod_cidr,
        service_cidr: plan.network.service_cidr,
        dns_domain: plan.network.cluster_domain.clone(),
        node_labels: BTreeMap::new(),
        taints: Vec::new(),
        registries,
        cert_sans: Vec::new(),
    }
}

/// The config as it has to be, and the answer of Proxmox that holds the hardware address in it.
pub async fn wanted(site: &Reading, node: &NodePlan) -> Result<(Secret<String>, Answer<String>), Failure> {
    let doing = format!("read the hardware address of vm {}", node.vmid);
    let vm = site.vm_config(&node.host, node.vmid).await.map_err(|e| failures::proxmox(&e, &doing))?;
    let mac = vm.value.net0_mac().ok_or_else(|| {
        Failure::person(format!("{doing}: net0 has none"), "the VM's network card is missing: look at its hardware")
    })?;
    let text = config::render(&input(&site.plan, node, &mac, site.registries()?), &site.bundle()?).map_err(|e| {
        Failure::person(
            format!("render the machine config of {}: {e}", node.name),
            "correct the plan's network section",
        )
    })?;
    Ok((text, vm.map(|_| mac)))
}

#[async_trait]
impl Step<Installation> for Config {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let path = site.vault.path(&file(&self.node));
        if !path.exists() {
            return Ok(Observed::Absent(format!("there is no {}", path.display())));
        }
        let (wanted, mac) = wanted(site, &self.node).await?;
        if site.secret(&file(&self.node))?.expose() != wanted.expose() {
            return Ok(Observed::Absent("the file differs from what plan, secrets and hardware address give".into()));
        }
        let now = cx.clock().now();
        let file = Evidence {
            system: "jump host".into(),
            asked: format!("read {}", path.display()),
            answer: crate::base::text::shorten(&redacted(wanted.expose()), crate::base::answer::RAW_LIMIT),
            at: now,
            by_hand: format!("talosctl validate --mode metal --strict -c {}", path.display()),
        };
        let summary =
            format!("the config of {} is for the card {} and {}", self.node.name, mac.value, self.node.address);
        Ok(Observed::Satisfied(Proof::new(summary, file).and(Evidence::of("Proxmox", now, &mac))))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let (text, _) = wanted(site, &self.node).await?;
        change.keep_secret(&file(&self.node), &text)
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::secrets::KIND)
    }
}
