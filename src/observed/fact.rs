//! The facts that a proof can rest on and an observation can contradict.
use crate::base::vmid::Vmid;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// The VM, or the template, with this VMID is there.
    VmThere(Vmid),
    /// The VM with this VMID runs.
    VmRunning(Vmid),
    /// etcd lists the control plane of this name as a full member.
    EtcdMember(String),
    /// The node of this name is Ready in Kubernetes.
    NodeReady(String),
    /// The HelmRelease has no trouble of its own. One that is merely on its way does not contradict this.
    ReleaseSound { namespace: String, name: String },
    /// No HelmRelease of the cluster has trouble of its own.
    AllReleasesSound,
}

impl Fact {
    pub fn release(namespace: &str, name: &str) -> Fact {
        Fact::ReleaseSound { namespace: namespace.to_string(), name: name.to_string() }
    }
}
