//! The Kubernetes cluster of the lab.
pub mod store;

/// The cluster as the world keeps it.
pub struct Cluster {
    pub store: store::Store,
}
