//! CozyStack's installer and settings as objects: the manifest taken apart, and the ConfigMap of the plan's settings.
pub mod manifest;
pub mod values;
