//! The sockets of the lab: keeps open exactly those that the world wants open.
/// What answers on a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Proxmox VE's HTTPS API.
    Proxmox,
    /// The Talos API of this VM, maintenance mode: TLS without client certificate.
    TalosMaintenance { vmid: u32 },
    /// The Talos API of this VM, configured: mutual TLS.
    TalosSecure { vmid: u32 },
    /// The Kubernetes API of the cluster, through this control plane.
    Kubernetes { node: String },
    /// A LoadBalancer service: HTTP from a pod behind it.
    Service { namespace: String, name: String, port: u16 },
    /// The release server: image and installer manifest over plain HTTP.
    Releases,
    /// Something that is not ours and answers nothing.
    Stranger,
}
