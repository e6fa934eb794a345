//! The changing half: only `act` and `undo` of a step are handed one.
use super::connection::Connection;
use super::error::Error;
use super::fields::Fields;
use super::path::{Path, asked};
use super::upid::Upid;
use crate::base::secret::Secret;
use crate::base::vmid::Vmid;
use reqwest::Method;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// Changes things. Every call has a deadline of 60 s and is never repeated by itself: after [`Error::Unreachable`] or
/// [`Error::Busy`] it may have been carried out all the same.
#[derive(Clone)]
pub struct Changer {
    pub(super) connection: Arc<Connection>,
}

impl fmt::Debug for Changer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Changer({:?})", self.connection)
    }
}

/// The parameters of `POST /nodes/{node}/qemu/{vmid}/clone`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneOptions {
    /// VMID of the new VM; the call is refused when a guest has it.
    pub newid: Vmid,
    /// Name of the new VM: a DNS label.
    pub name: String,
    /// False makes a linked clone, which takes no `storage`.
    pub full: bool,
    /// Storage for the disks of a full clone; `None`: each disk stays on the storage of the source's.
    pub storage: Option<String>,
    /// Another node; only with shared storage.
    pub target: Option<String>,
    /// Resource pool for the new VM; `None`: none.
    pub pool: Option<String>,
    /// Notes of the new VM; they carry the run's mark.
    pub description: Option<String>,
}

impl CloneOptions {
    /// A linked clone on the source's node, in no pool and without notes of its own.
    pub fn linked(newid: Vmid, name: impl Into<String>) -> CloneOptions {
        let name = name.into();
        CloneOptions { newid, name, full: false, storage: None, target: None, pool: None, description: None }
    }
}

/// The user, token or group that is given a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// `cozyup@pve`
    User(String),
    /// `cozyup@pve!wizard`
    Token(String),
    /// Name of a group.
    Group(String),
}

impl Grantee {
    /// The parameter that names him, and his id.
    fn named(&self) -> (&'static str, &str) {
        match self {
            Grantee::User(id) => ("users", id.as_str()),
            Grantee::Token(id) => ("tokens", id.as_str()),
            Grantee::Group(id) => ("groups", id.as_str()),
        }
    }
}

type Pairs<'a> = Vec<(&'a str, &'a str)>;

fn pairs<K: AsRef<str>, V: AsRef<str>>(options: &[(K, V)]) -> Pairs<'_> {
    options.iter().map(|(k, v)| (k.as_ref(), v.as_ref())).collect()
}

fn flag(set: bool) -> &'static str {
    if set { "1" } else { "0" }
}

impl Changer {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Changer { connection }
    }

    /// `form` is sent only when there is something in it: an empty body with a content type is refused.
    async fn change(&self, method: Method, segments: &[&str], form: &[(&str, &str)]) -> Result<Value, Error> {
        self.connection.change(method, &Path::of(segments)?, &[], form).await
    }

    async fn begin(&self, method: Method, segments: &[&str], form: &[(&str, &str)]) -> Result<Upid, Error> {
        let asked = asked(method.as_str(), &Path::of(segments)?, &[]);
        upid(&self.change(method, segments, form).await?, &asked)
    }

    async fn maybe_begin(
        &self,
        method: Method,
        segments: &[&str],
        form: &[(&str, &str)],
    ) -> Result<Option<Upid>, Error> {
        let asked = asked(method.as_str(), &Path::of(segments)?, &[]);
        maybe_upid(&self.change(method, segments, form).await?, &asked)
    }

    async fn delete(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Value, Error> {
        self.connection.change(Method::DELETE, &Path::of(segments)?, query, &[]).await
    }

    /// `options` must hold `vmid`. Once this returns the VMID is taken, cluster-wide; the disks come with the task.
    pub async fn create_vm<K: AsRef<str>, V: AsRef<str>>(&self, node: &str, options: &[(K, V)]) -> Result<Upid, Error> {
        self.begin(Method::POST, &["nodes", node, "qemu"], &pairs(options)).await
    }

    /// The task's id is the source's VMID; the new VM exists only some time after this returns.
    pub async fn clone_vm(&self, node: &str, source: Vmid, options: &CloneOptions) -> Result<Upid, Error> {
        let newid = options.newid.to_string();
        let mut form = vec![("newid", newid.as_str()), ("name", &options.name), ("full", flag(options.full))];
        let optional = [
            ("storage", &options.storage),
            ("target", &options.target),
            ("pool", &options.pool),
            ("description", &options.description),
        ];
        form.extend(optional.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?))));
        self.begin(Method::POST, &["nodes", node, "qemu", &source.to_string(), "clone"], &form).await
    }

    /// `None` when it was done at once.
    pub async fn configure_vm<K: AsRef<str>, V: AsRef<str>>(
        &self,
        node: &str,
        vmid: Vmid,
        options: &[(K, V)],
    ) -> Result<Option<Upid>, Error> {
        let segments = ["nodes", node, "qemu", &vmid.to_string(), "config"];
        self.maybe_begin(Method::POST, &segments, &pairs(options)).await
    }

    /// `size` as `50G` or `+10G`; shrinking fails in the task. `None` when it was done at once.
    pub async fn resize_disk(&self, node: &str, vmid: Vmid, disk: &str, size: &str) -> Result<Option<Upid>, Error> {
        let segments = ["nodes", node, "qemu", &vmid.to_string(), "resize"];
        self.maybe_begin(Method::PUT, &segments, &[("disk", disk), ("size", size)]).await
    }

    /// Turns a stopped VM into a template; its disks become base volumes.
    pub async fn make_template(&self, node: &str, vmid: Vmid) -> Result<Upid, Error> {
        self.begin(Method::POST, &["nodes", node, "qemu", &vmid.to_string(), "template"], &[]).await
    }

    /// Starts a VM. The task ends when QEMU runs, before the guest has booted.
    pub async fn start_vm(&self, node: &str, vmid: Vmid) -> Result<Upid, Error> {
        self.power(node, vmid, "start").await
    }

    /// Pulls the plug.
    pub async fn stop_vm(&self, node: &str, vmid: Vmid) -> Result<Upid, Error> {
        self.power(node, vmid, "stop").await
    }

    async fn power(&self, node: &str, vmid: Vmid, act: &str) -> Result<Upid, Error> {
        self.begin(Method::POST, &["nodes", node, "qemu", &vmid.to_string(), "status", act], &[]).await
    }

    /// With the disks that its configuration names, and out of jobs, replication and HA. Disks with its VMID that it does
    /// not name stay: an earlier guest may have left them. Refused while it runs.
    pub async fn destroy_vm(&self, node: &str, vmid: Vmid) -> Result<Upid, Error> {
        let options = [("purge", flag(true)), ("destroy-unreferenced-disks", flag(false))];
        let vmid = vmid.to_string();
        upid(&self.delete(&["nodes", node, "qemu", &vmid], &options).await?, "DELETE of a vm")
    }

    /// `volid` as `local:iso/seed.iso`. `None` when it was done at once.
    pub async fn delete_volume(&self, node: &str, storage: &str, volid: &str) -> Result<Option<Upid>, Error> {
        let data = self.delete(&["nodes", node, "storage", storage, "content", volid], &[]).await?;
        maybe_upid(&data, "DELETE of a volume")
    }

    /// Makes a role; [`Error::Exists`] when there is one of this name.
    pub async fn create_role(&self, role: &str, privileges: &[&str]) -> Result<(), Error> {
        let form = [("roleid", role), ("privs", &privileges.join(","))];
        self.change(Method::POST, &["access", "roles"], &form).await.map(drop)
    }

    /// The role then holds these and no others.
    pub async fn set_role(&self, role: &str, privileges: &[&str]) -> Result<(), Error> {
        self.change(Method::PUT, &["access", "roles", role], &[("privs", &privileges.join(","))]).await.map(drop)
    }

    /// Removes a role; built-in ones can't be removed.
    pub async fn delete_role(&self, role: &str) -> Result<(), Error> {
        self.delete(&["access", "roles", role], &[]).await.map(drop)
    }

    /// Without a password: such a user can act only through tokens. `user` as `cozyup@pve`.
    pub async fn create_user(&self, user: &str, comment: &str) -> Result<(), Error> {
        let form = [("userid", user), ("comment", comment)];
        self.change(Method::POST, &["access", "users"], &form).await.map(drop)
    }

    /// Its tokens and its entries in the ACLs go with it.
    pub async fn delete_user(&self, user: &str) -> Result<(), Error> {
        self.delete(&["access", "users", user], &[]).await.map(drop)
    }

    /// Gives a role on a path; the same again changes nothing.
    pub async fn set_acl(&self, path: &str, role: &str, to: &Grantee, propagate: bool) -> Result<(), Error> {
        let whom = to.named();
        let form = [("path", path), ("roles", role), whom, ("propagate", flag(propagate))];
        self.change(Method::PUT, &["access", "acl"], &form).await.map(drop)
    }

    /// Takes one entry away; no error when there is none.
    pub async fn remove_acl(&self, path: &str, role: &str, from: &Grantee) -> Result<(), Error> {
        let (kind, id) = from.named();
        let form = [("path", path), ("roles", role), (kind, id), ("delete", flag(true))];
        self.change(Method::PUT, &["access", "acl"], &form).await.map(drop)
    }

    /// The full id (`cozyup@pve!wizard`) and the secret, which the server tells only this once.
    pub async fn create_token(
        &self,
        user: &str,
        id: &str,
        comment: &str,
        privsep: bool,
    ) -> Result<(String, Secret<String>), Error> {
        let form = [("comment", comment), ("privsep", flag(privsep))];
        let data = self.change(Method::POST, &["access", "users", user, "token", id], &form).await?;
        let incomplete = |e: String| Error::Answer { text: format!("the answer to a new token: {e}") };
        let fields = Fields::of(&data).map_err(incomplete)?;
        let full_id = fields.need_text("full-tokenid").map_err(incomplete)?;
        Ok((full_id, Secret::new(fields.need_text("value").map_err(incomplete)?)))
    }

    /// Removes the token `id` of `user` (`cozyup@pve`); its secret is refused from then on.
    pub async fn delete_token(&self, user: &str, id: &str) -> Result<(), Error> {
        self.delete(&["access", "users", user, "token", id], &[]).await.map(drop)
    }
}

pub(super) fn upid(data: &Value, asked: &str) -> Result<Upid, Error> {
    maybe_upid(data, asked)?.ok_or_else(|| Error::Answer { text: format!("{asked}: no task came back") })
}

fn maybe_upid(data: &Value, asked: &str) -> Result<Option<Upid>, Error> {
    match data {
        Value::Null => Ok(None),
        Value::String(text) => text.parse().map(Some).map_err(|e| Error::Answer { text: format!("{asked}: {e}") }),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(Error::Answer { text: format!("{asked}: what came back is no task") })
        }
    }
}
