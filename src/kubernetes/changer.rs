//! The changing half: only a step's `act` and `undo` are handed one.
use super::error::Error;
use super::evidence;
use super::kind::Kind;
use super::wire::{Ask, Wire, object_path, with_query};
use crate::base::answer::Answer;
use hyper::Method;
use serde_json::{Map, Value, json};

/// The name under which cozyup owns the fields that it applied.
pub const FIELD_MANAGER: &str = "cozyup";

/// The answer to an eviction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evicted {
    /// The pod is gone, or ends within its grace period.
    Going,
    /// A PodDisruptionBudget forbids it for now; the server's words.
    Held(String),
}

/// Writes to the cluster, always as the field manager [`FIELD_MANAGER`]. Cheap to clone: clones share their
/// connections.
#[derive(Clone)]
pub struct Changer {
    wire: Wire,
}

impl Changer {
    pub(super) fn new(wire: Wire) -> Self {
        Changer { wire }
    }

    /// Server-side apply, never by force. `object` is the wanted part; apiVersion, kind, name and namespace are
    /// filled in. The answer is the whole object.
    ///
    /// # Errors
    /// [`Error::Conflict`] names the manager that owns a field; else see [`Error`].
    pub async fn apply(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        name: &str,
        object: Value,
    ) -> Result<Answer<Value>, Error> {
        let path = object_path(kind, namespace, name)?;
        let ask = Ask {
            method: Method::PATCH,
            target: with_query(&path, &[("fieldManager", FIELD_MANAGER), ("force", "false")]),
            content_type: "application/apply-patch+yaml",
            body: complete(kind, namespace, name, object)?,
        };
        self.send(ask, kind, namespace, name).await
    }

    /// # Errors
    /// [`Error::Conflict`] when it exists already; else see [`Error`].
    pub async fn create(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        name: &str,
        object: Value,
    ) -> Result<Answer<Value>, Error> {
        object_path(kind, namespace, name)?;
        let ask = Ask {
            method: Method::POST,
            target: with_query(&kind.path(namespace), &[("fieldManager", FIELD_MANAGER)]),
            content_type: "application/json",
            body: complete(kind, namespace, name, object)?,
        };
        self.send(ask, kind, namespace, name).await
    }

    /// Lays `patch` over the object (RFC 7396: a null removes).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn merge_patch(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        name: &str,
        patch: &Value,
    ) -> Result<Answer<Value>, Error> {
        let path = object_path(kind, namespace, name)?;
        let ask = Ask {
            method: Method::PATCH,
            target: with_query(&path, &[("fieldManager", FIELD_MANAGER)]),
            content_type: "application/merge-patch+json",
            body: patch.to_string().into_bytes(),
        };
        self.send(ask, kind, namespace, name).await
    }

    /// [`Changer::merge_patch`] of the object's status, for kinds whose status is a resource of its own.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn patch_status(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        name: &str,
        status: &Value,
    ) -> Result<Answer<Value>, Error> {
        let path = format!("{}/status", object_path(kind, namespace, name)?);
        let ask = Ask {
            method: Method::PATCH,
            target: with_query(&path, &[("fieldManager", FIELD_MANAGER)]),
            content_type: "application/merge-patch+json",
            body: json!({"status": status}).to_string().into_bytes(),
        };
        self.send(ask, kind, namespace, name).await
    }

    /// Sets labels of a node; those not named stay.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn label_node(&self, name: &str, labels: &[(&str, &str)]) -> Result<Answer<Value>, Error> {
        let labels: Map<String, Value> = labels.iter().map(|(k, v)| ((*k).to_string(), json!(v))).collect();
        self.merge_patch(&Kind::NODE, None, name, &json!({"metadata": {"labels": labels}})).await
    }

    /// Deletes exactly the object with this uid; dependents follow in the background. One that is gone is fine.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another object has the name now; else see [`Error`].
    pub async fn delete(&self, kind: &Kind, namespace: Option<&str>, name: &str, uid: &str) -> Result<(), Error> {
        self.delete_with(kind, namespace, name, json!({"preconditions": {"uid": uid}})).await
    }

    /// Asks the server to delete exactly the pod with this uid, unless a PodDisruptionBudget forbids it (`policy/v1`, the pod's
    /// subresource `eviction`). One that is gone is fine.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another pod has the name now; else see [`Error`].
    pub async fn evict(&self, namespace: &str, pod: &str, uid: &str) -> Result<Evicted, Error> {
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        });
        let ask = Ask {
            method: Method::POST,
            target: format!("{}/eviction", object_path(&Kind::POD, Some(namespace), pod)?),
            content_type: "application/json",
            body: eviction.to_string().into_bytes(),
        };
        match self.wire.text(ask).await {
            Ok(_) | Err(Error::NotFound) => Ok(Evicted::Going),
            // The server has this code for a budget and for its own load; only its words tell which (`eviction.go`).
            Err(Error::Server { code: 429, text }) if text.contains("disruption budget") => Ok(Evicted::Held(text)),
            Err(e) => Err(e),
        }
    }

    /// As [`Changer::delete`], of a pod whose kubelet can't end it any more: its object goes at once. Only for a machine that
    /// is known to be off.
    ///
    /// # Errors
    /// See [`Changer::delete`].
    pub async fn delete_by_force(&self, namespace: &str, pod: &str, uid: &str) -> Result<(), Error> {
        let options = json!({"preconditions": {"uid": uid}, "gracePeriodSeconds": 0});
        self.delete_with(&Kind::POD, Some(namespace), pod, options).await
    }

    async fn delete_with(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        name: &str,
        mut options: Value,
    ) -> Result<(), Error> {
        if let Some(options) = options.as_object_mut() {
            for (key, value) in [("apiVersion", "v1"), ("kind", "DeleteOptions"), ("propagationPolicy", "Background")] {
                options.insert(key.to_string(), json!(value));
            }
        }
        let ask = Ask {
            method: Method::DELETE,
            target: object_path(kind, namespace, name)?,
            content_type: "application/json",
            body: options.to_string().into_bytes(),
        };
        match self.wire.text(ask).await {
            Ok(_) | Err(Error::NotFound) => Ok(()),
            Err(e) => Err(e),
        }
    }

    async fn send(&self, ask: Ask, kind: &Kind, namespace: Option<&str>, name: &str) -> Result<Answer<Value>, Error> {
        let asked = ask.describe();
        let value: Value = self.wire.json(ask).await?;
        Ok(Answer::new(asked, evidence::raw(kind, &value), evidence::by_hand(kind, namespace, name), value))
    }
}

/// The body: the object with its own address in it.
fn complete(kind: &Kind, namespace: Option<&str>, name: &str, object: Value) -> Result<Vec<u8>, Error> {
    let Value::Object(mut object) = object else {
        return Err(Error::Invalid { text: format!("{} {name} is not a JSON object", kind.kind) });
    };
    object.insert("apiVersion".to_string(), kind.api_version().into());
    object.insert("kind".to_string(), kind.kind.into());
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    if let Value::Object(metadata) = metadata {
        metadata.insert("name".to_string(), name.into());
        if let Some(namespace) = namespace.filter(|_| kind.namespaced) {
            metadata.insert("namespace".to_string(), namespace.into());
        }
    }
    Ok(Value::Object(object).to_string().into_bytes())
}
