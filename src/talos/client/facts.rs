//! The statements of a node about itself, as values.
use crate::talos::wire::common;
use crate::talos::wire::talos::resource::definitions::runtime;
use jiff::Timestamp;
use std::fmt;
use std::net::IpAddr;

/// The stage of a machine's life, from the resource `MachineStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The node has not said yet, or said a stage that this version does not know.
    Unknown,
    /// Talos is starting, from the disk or an image.
    Booting,
    /// Talos is writing itself to the install disk.
    Installing,
    /// Talos waits for a machine config; its API asks for no certificate.
    Maintenance,
    /// The boot sequence is complete. Services may still be starting: see [`MachineStatus::ready`].
    Running,
    /// Services are being stopped before a restart.
    Rebooting,
    /// Services are being stopped before the machine is powered off.
    ShuttingDown,
    /// Partitions are being wiped.
    Resetting,
    /// Another version of Talos is being written to the disk.
    Upgrading,
}

impl From<runtime::MachineStage> for Stage {
    fn from(stage: runtime::MachineStage) -> Self {
        match stage {
            runtime::MachineStage::Unknown => Stage::Unknown,
            runtime::MachineStage::Booting => Stage::Booting,
            runtime::MachineStage::Installing => Stage::Installing,
            runtime::MachineStage::Maintenance => Stage::Maintenance,
            runtime::MachineStage::Running => Stage::Running,
            runtime::MachineStage::Rebooting => Stage::Rebooting,
            runtime::MachineStage::ShuttingDown => Stage::ShuttingDown,
            runtime::MachineStage::Resetting => Stage::Resetting,
            runtime::MachineStage::Upgrading => Stage::Upgrading,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Unknown => "unknown",
            Stage::Booting => "booting",
            Stage::Installing => "installing",
            Stage::Maintenance => "maintenance",
            Stage::Running => "running",
            Stage::Rebooting => "rebooting",
            Stage::ShuttingDown => "shutting down",
            Stage::Resetting => "resetting",
            Stage::Upgrading => "upgrading",
        })
    }
}

/// The resource `MachineStatus` of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineStatus {
    /// `stage` of the resource.
    pub stage: Stage,
    /// `status.ready`: true when no condition is unmet.
    pub ready: bool,
    /// (condition, reason). Without a CNI `nodeReady` stays here: that is the end of Talos' own part.
    pub unmet: Vec<(String, String)>,
}

impl From<runtime::MachineStatusSpec> for MachineStatus {
    fn from(spec: runtime::MachineStatusSpec) -> Self {
        let stage = spec.stage().into();
        let status = spec.status.unwrap_or_default();
        let unmet = status.unmet_conditions.into_iter().map(|c| (c.name, c.reason)).collect();
        MachineStatus { stage, ready: status.ready, unmet }
    }
}

/// A network interface, from the resource `LinkStatus`; loopback and virtual ones are among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The kernel's name of the interface, such as `eth0`; also the resource's id.
    pub name: String,
    /// Lower case; empty where the link has none.
    pub mac: String,
    /// True when the kernel reports the operational state "up": the interface carries traffic.
    pub up: bool,
    /// In bytes.
    pub mtu: u32,
}

/// An address of an interface, from the resource `AddressStatus`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name of the interface that has the address.
    pub link: String,
    /// IPv4 or IPv6 address, without its prefix.
    pub address: IpAddr,
    /// Prefix length in bits, such as 24.
    pub prefix: u8,
}

/// A block device, from the resource `Disk`; CD-ROMs and loop devices are among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// `/dev/sda`
    pub dev_path: String,
    /// Bytes.
    pub size: u64,
    /// Serial number as the device reports it; empty where it has none, as most virtual disks.
    pub serial: String,
    /// Model as the device reports it, such as `QEMU HARDDISK`; may be empty.
    pub model: String,
    /// True when the kernel refuses writes to the device.
    pub readonly: bool,
    /// True for a CD-ROM drive, with or without a medium.
    pub cdrom: bool,
    /// `virtio`, `ata`: the bus that it hangs on; empty for what hangs on none.
    pub transport: String,
    /// udev's names of it: `/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi1`.
    pub symlinks: Vec<String>,
}

/// The content that Talos found on a disk or a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// `/dev/sdb`
    pub dev_path: String,
    /// The disk of a partition, else empty.
    pub parent: String,
    /// `gpt`, `xfs`, `zfs`, …; empty when it knows nothing there.
    pub name: String,
}

/// A service of Talos itself (etcd, kubelet, apid, ...), from the call `ServiceList`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Name of the service: `etcd`, `kubelet`, `apid`, `trustd`.
    pub id: String,
    /// `Running`, `Preparing`, `Waiting`, …: Talos' own words.
    pub state: String,
    /// `None` while Talos does not know, or where the service has no check.
    pub healthy: Option<bool>,
    /// Its last message: about its health, or else about its state.
    pub last_message: String,
}

impl Service {
    /// True when it runs and its health check passes; false where it has no check.
    pub fn is_up(&self) -> bool {
        self.state == "Running" && self.healthy == Some(true)
    }

    /// Its image could not be pulled, or the like. Talos does not start it again by itself. A service that Talos itself
    /// stops, to start it with other settings, passes through the same state in a blink: its last word is then that it was
    /// cancelled.
    pub fn has_failed(&self) -> bool {
        self.state == "Failed" && !self.last_message.ends_with("context canceled")
    }

    /// etcd was stopped to be started as a new cluster. It passes through this in a blink; where a second bootstrap came
    /// just when etcd had begun to write, or the call was cut while Talos stopped it, it is left like this (`BootstrapEtcd`).
    pub fn was_stopped_by_a_bootstrap(&self) -> bool {
        let cut = self.state == "Failed" && self.last_message.ends_with("context canceled");
        cut || self.state == "Finished" && self.last_message == "Bootstrap requested"
    }

    /// Everything else is there, and the node does not know the time (`NewSyncCondition`). At first Talos lists all that a
    /// service waits for, then only what is still missing.
    pub fn waits_for_time(&self) -> bool {
        let waits = |what| self.last_message.contains(what);
        self.state == "Waiting" && waits("time sync") && !waits("service ") && !waits("volume ")
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.id, self.state)?;
        if self.last_message.is_empty() { Ok(()) } else { write!(f, ": {}", self.last_message) }
    }
}

/// A member of the etcd cluster, from the call `EtcdMemberList`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdMember {
    /// etcd's member id; people know it as 16 hexadecimal digits.
    pub id: u64,
    /// Host name under which the member joined; empty until it has started once.
    pub hostname: String,
    /// True while the member copies the data and has no vote.
    pub learner: bool,
    /// URLs at which other members reach it, such as `https://10.0.0.11:2380`.
    pub peer_urls: Vec<String>,
}

/// A node's own etcd, from the call `EtcdStatus`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdStatus {
    /// etcd's id of the node's own member.
    pub member_id: u64,
    /// 0: none.
    pub leader: u64,
    /// True while the node's own member has no vote.
    pub learner: bool,
    /// Bytes.
    pub database_size: u64,
    /// etcd's alarms and errors in its own words; empty when it is well.
    pub errors: Vec<String>,
}

/// The node's clock beside its time server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTime {
    /// The time server that the node asked: a name or an address.
    pub server: String,
    /// The node's own time when the answer came.
    pub local: Timestamp,
    /// The time server's time.
    pub remote: Timestamp,
}

/// The node's answer to a config that it accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Talos' warnings about keys of the config; empty when it has none.
    pub warnings: Vec<String>,
    /// Talos' text about what it does with the config, for example whether it restarts.
    pub details: String,
}

pub(in crate::talos) fn mac(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")
}

/// The address in 4 or 16 bytes; `None` for any other length.
pub(in crate::talos) fn address(prefix: &common::NetIpPrefix) -> Option<(IpAddr, u8)> {
    let v4 = <[u8; 4]>::try_from(prefix.ip.as_slice()).map(IpAddr::from);
    let address = v4.or_else(|_| <[u8; 16]>::try_from(prefix.ip.as_slice()).map(IpAddr::from)).ok()?;
    Some((address, u8::try_from(prefix.prefix_length).ok()?))
}

pub(in crate::talos) fn timestamp(at: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let at = at?;
    Timestamp::new(at.seconds, at.nanos).ok()
}
