//! Client of the Talos API, the cluster's secrets and the machine configs.
pub mod wire;
