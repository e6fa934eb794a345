//! The reading side of the Talos API: [`Maintenance`] for a node without config, [`Secure`] for a configured one.
pub mod changer;
pub mod facts;
pub(super) mod inventory;
pub(super) mod node;
pub mod resources;
pub(super) mod secure;
mod snapshot;
pub(super) mod tls;

use super::error::Error;
use super::secrets::ClientCertificate;
use super::wire::talos::resource::definitions::runtime;
use crate::base::answer::Answer;
use crate::base::secret::Secret;
use crate::base::tls::ByLeaf;
use facts::{Address, Applied, Content, Disk, Link, MachineStatus, Stage};
use node::Node;
use std::net::IpAddr;
use std::sync::Arc;
use tls::{FirstUse, SpkiFingerprint};
use tonic::Code;

pub use node::API_PORT;

/// A node in maintenance mode. Its key is pinned for as long as this value lives.
#[derive(Debug, Clone)]
pub struct Maintenance {
    node: Node,
    verifier: Arc<ByLeaf<FirstUse>>,
}

impl Maintenance {
    /// Trusts the key that the node shows first; [`Maintenance::fingerprint`] says which one that was.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn connect(address: IpAddr) -> Result<Self, Error> {
        Self::open(address, FirstUse::verifier(None)).await
    }

    /// Insists on the key seen before.
    ///
    /// # Errors
    /// When the node does not answer or shows another key.
    pub async fn connect_pinned(address: IpAddr, fingerprint: &SpkiFingerprint) -> Result<Self, Error> {
        Self::open(address, FirstUse::verifier(Some(fingerprint.clone()))).await
    }

    async fn open(address: IpAddr, verifier: Arc<ByLeaf<FirstUse>>) -> Result<Self, Error> {
        let node = Node::insecure(address, verifier.clone()).await?;
        Ok(Maintenance { node, verifier })
    }

    /// The key that this connection is pinned to.
    pub fn fingerprint(&self) -> Option<&SpkiFingerprint> {
        self.verifier.judge.pin()
    }

    /// # Errors
    /// [`super::Distrust::CertificateAsked`] when the node is configured.
    pub async fn machine_stage(&self) -> Result<Answer<Stage>, Error> {
        Ok(self.node.machine_status().await?.map(|s| s.stage))
    }

    /// The version as `v1.10.6`, from the resource: the Version call is not served in maintenance mode.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn version(&self) -> Result<Answer<String>, Error> {
        let answer = self.node.get::<runtime::VersionSpec>(resources::VERSION, "version").await?;
        Ok(answer.map(|spec| spec.version))
    }

    /// # Errors
    /// When the node does not answer.
    pub async fn links(&self) -> Result<Answer<Vec<Link>>, Error> {
        self.node.links().await
    }

    /// # Errors
    /// When the node does not answer.
    pub async fn addresses(&self) -> Result<Answer<Vec<Address>>, Error> {
        self.node.addresses().await
    }

    /// # Errors
    /// When the node does not answer.
    pub async fn disks(&self) -> Result<Answer<Vec<Disk>>, Error> {
        self.node.disks().await
    }

    /// The disk that Talos runs from, as [`Secure::system_disk`]; `None` while it knows of none, so that it would install itself.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn system_disk(&self) -> Result<Option<Answer<String>>, Error> {
        match self.node.system_disk().await {
            Ok(answer) => Ok(Some(answer)),
            Err(Error::Refused { code: Code::NotFound, .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Name and version of each system extension in the image.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn extensions(&self) -> Result<Answer<Vec<(String, String)>>, Error> {
        self.node.extensions().await
    }

    /// Has the node look at a config without taking it.
    ///
    /// # Errors
    /// [`Error::Refused`] with the node's words when it would not take it.
    pub async fn dry_run(&self, config: &Secret<String>) -> Result<Answer<Applied>, Error> {
        changer::apply(&self.node, config, true).await
    }
}

/// A configured node, both sides authenticated.
#[derive(Debug, Clone)]
pub struct Secure {
    node: Node,
}

impl Secure {
    /// # Errors
    /// When the node does not answer or its certificate is not the cluster's. That the node does not accept ours
    /// shows with the first call.
    pub async fn connect(address: IpAddr, certificate: &ClientCertificate) -> Result<Self, Error> {
        Ok(Secure { node: Node::mutual(address, certificate).await? })
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// # Errors
    /// When the node does not answer.
    pub async fn machine_status(&self) -> Result<Answer<MachineStatus>, Error> {
        self.node.machine_status().await
    }

    /// # Errors
    /// When the node does not answer.
    pub async fn links(&self) -> Result<Answer<Vec<Link>>, Error> {
        self.node.links().await
    }

    /// # Errors
    /// When the node does not answer.
    pub async fn addresses(&self) -> Result<Answer<Vec<Address>>, Error> {
        self.node.addresses().await
    }

    /// # Errors
    /// When the node does not answer.
    pub async fn disks(&self) -> Result<Answer<Vec<Disk>>, Error> {
        self.node.disks().await
    }

    /// The disk that Talos runs from, as the kernel names it: `/dev/sda`.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn system_disk(&self) -> Result<Answer<String>, Error> {
        self.node.system_disk().await
    }

    /// The contents of the disks and of their partitions.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn contents(&self) -> Result<Answer<Vec<Content>>, Error> {
        self.node.contents().await
    }

    /// Name and version of each system extension in the image.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn extensions(&self) -> Result<Answer<Vec<(String, String)>>, Error> {
        self.node.extensions().await
    }
}
