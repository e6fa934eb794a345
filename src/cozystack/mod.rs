//! CozyStack's own facts: its releases as data, the order in which their parts come up, what holds them back, its
//! settings, and the Proxmox VE add-ons that cozyup installs beside it.
pub mod addons;
mod blocker;
mod health;
mod release;
mod settings;

pub use blocker::{Blocker, root_blocker};
pub use health::{Health, Words};
pub use release::{Component, Error, Installer, Registry, Release, Selection, Setting, Talos, waves};
pub use settings::{SettingsInput, settings};
