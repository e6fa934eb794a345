//! The plan as a form: one field per scalar or list key, one set of fields per machine.
use super::keys;
use super::model::{AddressRange, ApiUrl, Delivery, MirrorPlan, NodePlan, Plan, Role, TemplateCopy, Vmid, VmidRange};
use super::read::plain;
use crate::base::tls::Fingerprint;
use ipnet::Ipv4Net;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::LazyLock;

/// A key of the plan outside `nodes` and `overrides`.
pub struct Field {
    /// `network.vip`
    pub key: &'static str,
    /// The label beside the field, from the table of keys.
    pub label: &'static str,
    /// One or two sentences about the key, from the table of keys.
    pub help: &'static str,
    /// First part of the key: `network`; `plan` for keys at the top.
    pub section: &'static str,
    /// Lists are joined by `, `; what is not set is empty.
    pub get: fn(&Plan) -> String,
    /// # Errors
    /// With the reason why the text is no value of this key; the plan is then unchanged.
    pub set: fn(&mut Plan, &str) -> Result<(), String>,
}

/// A key of a row of `nodes`.
pub struct NodeField {
    /// `vmid`
    pub key: &'static str,
    /// The label beside the field, from the table of keys.
    pub label: &'static str,
    /// One or two sentences about the key, from the table of keys.
    pub help: &'static str,
    /// The value as a person would type it.
    pub get: fn(&NodePlan) -> String,
    /// # Errors
    /// With the reason why the text is no value of this key; the machine is then unchanged.
    pub set: fn(&mut NodePlan, &str) -> Result<(), String>,
}

impl NodeField {
    /// Empty when the plan has no machine `index`.
    pub fn of(&self, plan: &Plan, index: usize) -> String {
        plan.nodes.get(index).map(self.get).unwrap_or_default()
    }

    /// # Errors
    /// With the reason why the text is no value of this key, or when there is no machine `index`.
    pub fn put(&self, plan: &mut Plan, index: usize, text: &str) -> Result<(), String> {
        let node = plan.nodes.get_mut(index).ok_or_else(|| format!("the plan has no machine {}", index + 1))?;
        (self.set)(node, text)
    }
}

/// A value that a person can type on one line.
trait Typed: Sized {
    fn text(&self) -> String;
    fn typed(text: &str) -> Result<Self, String>;
}

fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no whole number in range"))
}

fn formed<T: FromStr>(text: &str, wanted: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no {wanted}"))
}

macro_rules! typed {
    ($($type:ty: $read:expr;)*) => {
        $(impl Typed for $type {
            fn text(&self) -> String {
                self.to_string()
            }
            fn typed(text: &str) -> Result<Self, String> {
                let read: fn(&str) -> Result<$type, String> = $read;
                read(text)
            }
        })*
    };
}

typed! {
    String: |s| plain(s).map(|()| s.to_string());
    u16: whole;
    u32: whole;
    u64: whole;
    bool: |s| formed(s, "true or false");
    Vmid: |s| whole(s).and_then(Vmid::new);
    Role: str::parse;
    Delivery: str::parse;
    ApiUrl: str::parse;
    Fingerprint: str::parse;
    AddressRange: str::parse;
    VmidRange: str::parse;
    MirrorPlan: |s| plain(s).and_then(|()| s.parse());
    TemplateCopy: |s| plain(s).and_then(|()| s.parse());
    Ipv4Addr: |s| formed(s, "IPv4 address: write four numbers, 10.0.0.201");
    Ipv4Net: |s| formed(s, "IPv4 network: write ADDRESS/BITS, 10.0.0.0/24");
}

impl<T: Typed> Typed for Option<T> {
    fn text(&self) -> String {
        self.as_ref().map(T::text).unwrap_or_default()
    }

    fn typed(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::typed(text).map(Some) }
    }
}

impl<T: Typed> Typed for Vec<T> {
    fn text(&self) -> String {
        self.iter().map(T::text).collect::<Vec<_>>().join(", ")
    }

    fn typed(text: &str) -> Result<Self, String> {
        text.split([',', ' ']).filter(|part| !part.is_empty()).map(T::typed).collect()
    }
}

fn put<T: Typed>(slot: &mut T, text: &str) -> Result<(), String> {
    *slot = T::typed(text.trim())?;
    Ok(())
}

macro_rules! fields {
    ($($($part:ident).+),* $(,)?) => {
        vec![$({
            let key = concat!($(stringify!($part), "."),+);
            let key = key.strip_suffix('.').unwrap_or(key);
            let about = keys::find(key);
            Field {
                key,
                label: about.map_or(key, |k| k.label),
                help: about.map_or("", |k| k.about),
                section: key.split_once('.').map_or("plan", |(section, _)| section),
                get: |plan| plan.$($part).+.text(),
                set: |plan, text| put(&mut plan.$($part).+, text),
            }
        }),*]
    };
}

macro_rules! node_fields {
    ($($part:ident),* $(,)?) => {
        vec![$({
            let about = keys::find(concat!("nodes[].", stringify!($part)));
            NodeField {
                key: stringify!($part),
                label: about.map_or(stringify!($part), |k| k.label),
                help: about.map_or("", |k| k.about),
                get: |node| node.$part.text(),
                set: |node, text| put(&mut node.$part, text),
            }
        }),*]
    };
}

static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
    fields![
        name,
        site.url,
        site.fingerprint,
        site.ca_file,
        site.token_id,
        site.token_file,
        site.pool,
        image.url,
        image.sha256,
        image.storage,
        template.vmid,
        template.name,
        template.host,
        template.storage,
        template.copies,
        network.subnet,
        network.gateway,
        network.dns,
        network.ntp,
        network.bridge,
        network.vlan,
        network.mtu,
        network.proxy,
        network.no_proxy,
        network.vip,
        network.pod_cidr,
        network.service_cidr,
        network.join_cidr,
        network.cluster_domain,
        network.address_pool,
        talos.version,
        talos.kubernetes,
        talos.installer_image,
        talos.install_disk,
        talos.delivery,
        talos.iso_storage,
        talos.mirrors,
        talos.ca_file,
        cozystack.version,
        cozystack.profile,
        cozystack.root_host,
        cozystack.installer_url,
        cozystack.installer_sha256,
        cozystack.expose,
        cozystack.telemetry,
        cozystack.disable,
        cozystack.enable,
        integration.linstor.pool,
        integration.linstor.device,
        integration.csi.enabled,
        integration.csi.storage,
        integration.csi.region,
        integration.csi.chart_version,
        integration.capmox.enabled,
        integration.capmox.version,
        integration.capmox.ipam_version,
        integration.capmox.components_url,
        integration.capmox.components_sha256,
        integration.capmox.ipam_components_url,
        integration.capmox.ipam_components_sha256,
        tests.pod,
        tests.volumes,
        tests.load_balancer,
        tests.dns,
        tests.ingress,
        tests.storage,
        tests.drills,
        tests.tenant,
        tests.postgres,
        tests.worker_template,
        tests.tenant_workers,
        tests.machine_vmids,
        tests.machine_addresses,
        tests.workers,
        tests.worker_cores,
        tests.worker_memory_mib,
        tests.worker_disk_gib,
    ]
});

static NODE_FIELDS: LazyLock<Vec<NodeField>> =
    LazyLock::new(|| node_fields![name, role, vmid, address, host, cores, memory_mib, system_disk_gib, data_disk_gib]);

/// Every key of the plan but `version`, `nodes` and `overrides`, in the order of the file.
pub fn fields() -> &'static [Field] {
    &FIELDS
}

/// Every key of a row of `nodes`, in the order of the file.
pub fn node_fields() -> &'static [NodeField] {
    &NODE_FIELDS
}

/// A machine that could join the plan: the last one of its role with the next free name, VMID and address.
/// `None` when the plan has no machine to take after, or no free VMID or address is left.
pub fn next_node(plan: &Plan, role: Role) -> Option<NodePlan> {
    let like = plan.nodes.iter().rev().find(|n| n.role == role).or_else(|| plan.nodes.last())?;
    let names: BTreeSet<&str> = plan.nodes.iter().map(|n| n.name.as_str()).collect();
    let vmids: BTreeSet<u32> =
        plan.nodes.iter().map(|n| n.vmid).chain(plan.template_vmids().map(|(_, id)| id)).map(Into::into).collect();
    let network = &plan.network;
    let free = |a: &Ipv4Addr| {
        let taken = plan.nodes.iter().any(|n| n.address == *a) || [network.vip, network.gateway].contains(a);
        !taken && !network.dns.contains(a) && !network.address_pool.iter().any(|range| range.contains(*a))
    };
    let stem = if like.role == role {
        like.name.trim_end_matches(|c: char| c.is_ascii_digit()).to_string()
    } else {
        format!("{}-{}", plan.name, if role == Role::Worker { "worker" } else { "cp" })
    };
    // Workers start ten above the control planes, as in a new plan.
    let step = if like.role == role { 1 } else { 8 };
    let from = u32::from(like.vmid).saturating_add(step);
    let address_from = Ipv4Addr::from(u32::from(like.address).saturating_add(step));
    let usable =
        |a: &Ipv4Addr| network.subnet.contains(a) && *a != network.subnet.network() && *a != network.subnet.broadcast();
    let first = u32::from(network.subnet.network());
    // A large subnet has millions of addresses; the next few thousand are enough to find a free one.
    let address = [address_from.into(), first]
        .into_iter()
        .flat_map(|from: u32| from..from.saturating_add(4096))
        .map(Ipv4Addr::from)
        .find(|a| usable(a) && free(a))?;
    Some(NodePlan {
        name: (1..1000).map(|n| format!("{stem}{n}")).find(|name| !names.contains(name.as_str()))?,
        role,
        vmid: (from..from.saturating_add(10_000)).find(|id| !vmids.contains(id)).and_then(|id| Vmid::new(id).ok())?,
        address,
        ..like.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::super::defaults::{Defaults, plan};
    use super::*;

    #[test]
    fn setting_a_field_to_what_it_shows_changes_nothing() {
        let before = plan(&Defaults { vlan: Some(7), ..Defaults::default() });
        let mut after = before.clone();
        for field in fields() {
            (field.set)(&mut after, &(field.get)(&before)).unwrap_or_else(|e| panic!("{}: {e}", field.key));
            assert!(!field.help.is_empty() && field.label != field.key || field.key == "profile", "{}", field.key);
        }
        for field in node_fields() {
            for index in 0..before.nodes.len() {
                field.put(&mut after, index, &field.of(&before, index)).unwrap();
            }
            assert!(!field.help.is_empty(), "{}", field.key);
        }
        assert_eq!(after, before);
    }

    #[test]
    fn a_wrong_text_gives_the_reason_and_leaves_the_plan_as_it_was() {
        let mut plan = plan(&Defaults::default());
        let before = plan.clone();
        let set = |plan: &mut Plan, key: &str, text: &str| {
            let field = fields().iter().find(|f| f.key == key).unwrap();
            (field.set)(plan, text).unwrap_err()
        };
        assert!(set(&mut plan, "site.url", "https://pve:8006/api2/json").contains("must not end in /api2/json"));
        assert!(set(&mut plan, "network.vip", "10.0.0").contains("10.0.0.201"));
        assert!(set(&mut plan, "name", "").contains("is empty"));
        assert!(
            node_fields()
                .iter()
                .find(|f| f.key == "vmid")
                .unwrap()
                .put(&mut plan, 0, "7")
                .unwrap_err()
                .contains("100 to")
        );
        assert!(node_fields().first().unwrap().put(&mut plan, 99, "x").unwrap_err().contains("no machine 100"));
        assert_eq!(plan, before);
    }

    #[test]
    fn the_form_covers_every_key_of_the_plan() {
        let covered: Vec<String> = fields()
            .iter()
            .map(|f| f.key.to_string())
            .chain(node_fields().iter().map(|f| format!("nodes[].{}", f.key)))
            .collect();
        for (path, key) in keys::all() {
            let leaf = !matches!(key.kind, keys::Kind::Section(_) | keys::Kind::Rows(_));
            // A template of another host, or a mirror, is one text in its list's field.
            if leaf
                && path != "version"
                && !["overrides", "template.copies[]", "talos.mirrors[]"].iter().any(|rows| path.starts_with(rows))
            {
                assert!(covered.contains(&path), "{path} has no field");
            }
        }
    }

    #[test]
    fn the_next_worker_takes_the_usual_place() {
        let mut plan = plan(&Defaults::default());
        let first = next_node(&plan, Role::Worker).unwrap();
        assert_eq!(
            (first.name.as_str(), first.vmid.to_string().as_str(), first.address.to_string().as_str()),
            ("cozy-new-worker1", "1011", "10.0.0.211")
        );
        plan.nodes.push(first);
        let second = next_node(&plan, Role::Worker).unwrap();
        assert_eq!((second.name.as_str(), second.vmid.to_string().as_str()), ("cozy-new-worker2", "1012"));
        assert!(!plan.network.address_pool.first().unwrap().contains(second.address));
    }
}
