//! The calls that both kinds of connection can make: they read the machine and its devices.
use super::facts::{self, Address, Content, Disk, Link, MachineStatus};
use super::node::Node;
use super::resources::{ADDRESSES, DISCOVERED, DISKS, EXTENSIONS, LINKS, MACHINE_STATUS, SYSTEM_DISK};
use crate::base::answer::Answer;
use crate::talos::error::Error;
use crate::talos::wire::talos::resource::definitions::{block, network, runtime};

/// `operational_state` of a link that carries traffic.
const UP: u32 = 6;

impl Node {
    pub async fn machine_status(&self) -> Result<Answer<MachineStatus>, Error> {
        let answer = self.get::<runtime::MachineStatusSpec>(MACHINE_STATUS, "machine").await?;
        Ok(answer.map(MachineStatus::from))
    }

    pub async fn links(&self) -> Result<Answer<Vec<Link>>, Error> {
        let answer = self.list::<network::LinkStatusSpec>(LINKS).await?;
        Ok(answer.map(|all| all.into_iter().map(link).collect()))
    }

    pub async fn addresses(&self) -> Result<Answer<Vec<Address>>, Error> {
        let answer = self.list::<network::AddressStatusSpec>(ADDRESSES).await?;
        Ok(answer.map(|all| all.into_iter().filter_map(address).collect()))
    }

    pub async fn disks(&self) -> Result<Answer<Vec<Disk>>, Error> {
        let answer = self.list::<block::DiskSpec>(DISKS).await?;
        let disk = |(_, spec): (String, block::DiskSpec)| Disk {
            dev_path: spec.dev_path,
            size: spec.size,
            serial: spec.serial,
            model: spec.model,
            readonly: spec.readonly,
            cdrom: spec.cdrom,
            transport: spec.transport,
            symlinks: spec.symlinks,
        };
        Ok(answer.map(|all| all.into_iter().map(disk).collect()))
    }

    pub async fn system_disk(&self) -> Result<Answer<String>, Error> {
        let answer = self.get::<block::SystemDiskSpec>(SYSTEM_DISK, "system-disk").await?;
        Ok(answer.map(|spec| spec.dev_path))
    }

    pub async fn contents(&self) -> Result<Answer<Vec<Content>>, Error> {
        let answer = self.list::<block::DiscoveredVolumeSpec>(DISCOVERED).await?;
        let content = |(_, spec): (String, block::DiscoveredVolumeSpec)| Content {
            dev_path: spec.dev_path,
            parent: spec.parent_dev_path,
            name: spec.name,
        };
        Ok(answer.map(|all| all.into_iter().map(content).collect()))
    }

    pub async fn extensions(&self) -> Result<Answer<Vec<(String, String)>>, Error> {
        let answer = self.list::<runtime::ExtensionStatusSpec>(EXTENSIONS).await?;
        let extension = |(_, spec): (String, runtime::ExtensionStatusSpec)| spec.metadata.map(|m| (m.name, m.version));
        Ok(answer.map(|all| all.into_iter().filter_map(extension).collect()))
    }
}

pub(in crate::talos) fn link((name, spec): (String, network::LinkStatusSpec)) -> Link {
    Link { name, mac: facts::mac(&spec.hardware_addr), up: spec.operational_state == UP, mtu: spec.mtu }
}

pub(in crate::talos) fn address((_, spec): (String, network::AddressStatusSpec)) -> Option<Address> {
    let (address, prefix) = facts::address(&spec.address?)?;
    Some(Address { link: spec.link_name, address, prefix })
}
