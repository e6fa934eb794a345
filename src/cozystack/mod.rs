//! CozyStack in the cluster: the health of its HelmReleases, what holds them back, its settings, and the Proxmox VE
//! add-ons that cozyup installs beside it.
pub mod addons;
mod blocker;
pub mod cluster_api;
mod health;
mod settings;

pub use blocker::{Blocker, root_blocker};
pub use health::{Health, Words};
pub use settings::{SettingsInput, settings};
