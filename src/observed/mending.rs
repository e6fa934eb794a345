//! Acts that a person may ask for beside the steps, as facts, and their sentences.
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mending {
    /// Flux tries a HelmRelease again now, as if it had not failed before.
    ReconcileRelease { namespace: String, name: String },
}

impl Mending {
    /// `reconcile release cozy-x/x`
    pub fn title(&self) -> String {
        match self {
            Mending::ReconcileRelease { namespace, name } => format!("reconcile release {namespace}/{name}"),
        }
    }
}
