//! The reading half: one method per question, each answer with its evidence.
use super::access::{self, AclRow, Permissions, TokenRow, UserRow};
use super::certificate::{self, NodeCertificate};
use super::config::{self, VmConfig};
use super::connection::Connection;
use super::error::Error;
use super::network::{self, Bridge, Vnet};
use super::overview::{self, Overview, TaskRow};
use super::path::{Path, asked, by_hand};
use super::site::{self, ClusterStatus, NodeRow, NodeStatus, Version};
use super::storage::{self, StorageConfig, StorageRow, Volume};
use super::task::{self, LogLine, TaskStatus};
use super::upid::Upid;
use super::vm::{self, VmRow, VmStatus};
use crate::base::answer::Answer;
use crate::base::api_url::ApiUrl;
use crate::base::trust::Trust;
use crate::base::vmid::Vmid;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Lines of a task log asked for at once.
const LOG_PAGE: &str = "500";

/// Asks, never changes. Every question has a deadline of 35 s and is asked once more when the connection was cut.
#[derive(Clone)]
pub struct Reader {
    connection: Arc<Connection>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({:?})", self.connection)
    }
}

type Answered<T> = Result<Answer<T>, Error>;

impl Reader {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Reader { connection }
    }

    /// The API that all questions go to.
    pub fn url(&self) -> &ApiUrl {
        self.connection.url()
    }

    /// The certificate or authority by which this connection recognises the server.
    pub fn trust(&self) -> &Trust {
        self.connection.trust()
    }

    /// The token that asks: `cozyup@pve!wizard`.
    pub fn token_id(&self) -> &str {
        self.connection.token_id()
    }

    async fn ask<T>(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Answered<T> {
        let path = Path::of(segments)?;
        let data = self.connection.get(&path, query).await?;
        let asked = asked("GET", &path, query);
        let value = read(&data).map_err(|e| Error::Answer { text: format!("{asked}: {e}") })?;
        Ok(Answer::new(asked, self.connection.evidence(&data), by_hand(&path, query), value))
    }

    /// Version of the node that answers; needs no right.
    pub async fn version(&self) -> Answered<Version> {
        self.ask(&["version"], &[], site::version).await
    }

    /// The paths on which this token has rights: those with entries of their own, and some that are always listed.
    pub async fn permissions(&self) -> Answered<Permissions> {
        let mut answer = self.ask(&["access", "permissions"], &[], access::permissions).await?;
        // pvesh runs as root@pam: by hand one has to say whose permissions are meant.
        answer.by_hand = format!("{} --userid '{}'", answer.by_hand, self.token_id());
        Ok(answer)
    }

    /// The rights of this token itself on one path, by the server's own reckoning of all that is inherited: each
    /// privilege, and true when it holds on the paths below too. The parameter is there since Proxmox VE 8.0.
    pub async fn permissions_on(&self, path: &str) -> Answered<BTreeMap<String, bool>> {
        let read = |data: &Value| access::permissions(data).map(|p| p.on(path));
        let mut answer = self.ask(&["access", "permissions"], &[("path", path)], read).await?;
        answer.by_hand = format!("{} --userid '{}'", answer.by_hand, self.token_id());
        Ok(answer)
    }

    /// Quorum and members of the cluster; a single node without a cluster is its only member.
    pub async fn cluster_status(&self) -> Answered<ClusterStatus> {
        self.ask(&["cluster", "status"], &[], site::cluster_status).await
    }

    /// Every node of the cluster.
    pub async fn nodes(&self) -> Answered<Vec<NodeRow>> {
        self.ask(&["nodes"], &[], site::nodes).await
    }

    /// Processors, memory and version of one node; needs `Sys.Audit` on it.
    pub async fn node_status(&self, node: &str) -> Answered<NodeStatus> {
        self.ask(&["nodes", node, "status"], &[], site::node_status).await
    }

    /// The certificates of a node, that of the cluster's own authority among them. Any user may read them.
    pub async fn certificates(&self, node: &str) -> Answered<Vec<NodeCertificate>> {
        self.ask(&["nodes", node, "certificates", "info"], &[], certificate::certificates).await
    }

    /// Unix seconds.
    pub async fn node_time(&self, node: &str) -> Answered<i64> {
        self.ask(&["nodes", node, "time"], &[], site::node_time).await
    }

    /// Those the token may see that hold disks, images to import or ISO files; a storage without any right on it is
    /// missing, not refused. The server activates each storage that it lists, one after the other: without the contents it
    /// would wait for every dead NFS server of the site, ten seconds each (pve-storage, measured on 8.4.1). A disabled
    /// storage is missing too.
    pub async fn storages(&self, node: &str) -> Answered<Vec<StorageRow>> {
        let query = [("content", "images,import,iso")];
        self.ask(&["nodes", node, "storage"], &query, storage::storages).await
    }

    /// One storage as one node sees it, also a disabled one, whatever it holds.
    pub async fn storage(&self, node: &str, storage: &str) -> Answered<StorageRow> {
        let path = ["nodes", node, "storage", storage, "status"];
        self.ask(&path, &[], |data| storage::storage(data, storage)).await
    }

    /// The settings of the storages that the token may see (`Datastore.Audit` or `Datastore.AllocateSpace`).
    pub async fn storage_configs(&self) -> Answered<Vec<StorageConfig>> {
        self.ask(&["storage"], &[], storage::storage_configs).await
    }

    /// `content` is `images`, `iso`, `import`, …
    pub async fn storage_content(&self, node: &str, storage: &str, content: &str) -> Answered<Vec<Volume>> {
        let path = ["nodes", node, "storage", storage, "content"];
        self.ask(&path, &[("content", content)], storage::volumes).await
    }

    /// Those the token may see: without `SDN.Audit` or `SDN.Use` a bridge is missing, not refused.
    pub async fn bridges(&self, node: &str) -> Answered<Vec<Bridge>> {
        self.ask(&["nodes", node, "network"], &[("type", "any_bridge")], network::bridges).await
    }

    /// Networks of the software-defined network with their zones; those on which the token lacks `SDN.Audit` and
    /// `SDN.Allocate` are missing, not refused.
    pub async fn vnets(&self) -> Answered<Vec<Vnet>> {
        self.ask(&["cluster", "sdn", "vnets"], &[], network::vnets).await
    }

    /// Guests of the whole cluster that the token may see, a few seconds late.
    pub async fn resources(&self) -> Answered<Vec<VmRow>> {
        self.ask(&["cluster", "resources"], &[("type", "vm")], vm::resources).await
    }

    /// Guests, nodes and storages of the whole cluster that the token may see, a few seconds late.
    pub async fn overview(&self) -> Answered<Overview> {
        self.ask(&["cluster", "resources"], &[], overview::overview).await
    }

    /// The tasks of late of the whole cluster. A token without `Sys.Audit` on `/` sees none, not even its own.
    pub async fn cluster_tasks(&self) -> Answered<Vec<TaskRow>> {
        self.ask(&["cluster", "tasks"], &[], overview::tasks).await
    }

    /// The tasks of late of one node: those of the token, and with `Sys.Audit` on the node everybody's.
    pub async fn node_tasks(&self, node: &str) -> Answered<Vec<TaskRow>> {
        self.ask(&["nodes", node, "tasks"], &[("source", "all")], overview::tasks).await
    }

    /// The node's own QEMU guests that the token may see, up to date.
    pub async fn vms(&self, node: &str) -> Answered<Vec<VmRow>> {
        self.ask(&["nodes", node, "qemu"], &[], |data| vm::vms(data, node)).await
    }

    /// The configuration of a VM with its pending changes applied; needs `VM.Audit`.
    pub async fn vm_config(&self, node: &str, vmid: Vmid) -> Answered<VmConfig> {
        self.ask(&["nodes", node, "qemu", &vmid.to_string(), "config"], &[], config::config).await
    }

    /// As the VM runs now: without what waits for its next start.
    pub async fn vm_config_now(&self, node: &str, vmid: Vmid) -> Answered<VmConfig> {
        let path = ["nodes", node, "qemu", &vmid.to_string(), "config"];
        self.ask(&path, &[("current", "1")], config::config).await
    }

    /// State and counters of a VM now; needs `VM.Audit`.
    pub async fn vm_status(&self, node: &str, vmid: Vmid) -> Answered<VmStatus> {
        self.ask(&["nodes", node, "qemu", &vmid.to_string(), "status", "current"], &[], vm::vm_status).await
    }

    /// Sees every guest of the cluster, also those hidden from the token. Reserves nothing.
    pub async fn vmid_free(&self, vmid: Vmid) -> Answered<bool> {
        let id = vmid.to_string();
        let (segments, query) = (["cluster", "nextid"], [("vmid", id.as_str())]);
        match self.ask(&segments, &query, |_| Ok(true)).await {
            Err(Error::Exists { text }) => {
                let path = Path::of(&segments)?;
                Ok(Answer::new(asked("GET", &path, &query), text, by_hand(&path, &query), false))
            }
            other => other,
        }
    }

    /// The privileges of each role, also of the built-in ones.
    pub async fn roles(&self) -> Answered<BTreeMap<String, BTreeSet<String>>> {
        self.ask(&["access", "roles"], &[], access::roles).await
    }

    /// The users that the token may see; itself always.
    pub async fn users(&self) -> Answered<Vec<UserRow>> {
        self.ask(&["access", "users"], &[], access::users).await
    }

    /// `user` with its realm: `cozyup@pve`.
    pub async fn tokens(&self, user: &str) -> Answered<Vec<TokenRow>> {
        self.ask(&["access", "users", user, "token"], &[], access::tokens).await
    }

    /// The ACL entries that the token may see: all of them with `Sys.Audit` on `/access`.
    pub async fn acl(&self) -> Answered<Vec<AclRow>> {
        self.ask(&["access", "acl"], &[], access::acl).await
    }

    /// Asks the node that runs the task, whichever node the call was sent to.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] also for a moment right after the call that began the task.
    pub async fn task_status(&self, upid: &Upid) -> Answered<TaskStatus> {
        self.ask(&["nodes", upid.node(), "tasks", upid.as_str(), "status"], &[], task::status).await
    }

    /// The running tasks of one kind: those of the token, and with `Sys.Audit` on the node everybody's.
    pub async fn running_tasks(&self, node: &str, kind: &str) -> Answered<Vec<Upid>> {
        let query = [("source", "active"), ("typefilter", kind)];
        self.ask(&["nodes", node, "tasks"], &query, task::running).await
    }

    /// The tasks of a VM on this node, ended ones too, at most fifty: those of the token, and with `Sys.Audit` on the node
    /// everybody's.
    pub async fn tasks_of(&self, node: &str, vmid: Vmid) -> Answered<Vec<TaskRow>> {
        let query = [("source", "all"), ("vmid", &*vmid.to_string()), ("limit", "50")];
        self.ask(&["nodes", node, "tasks"], &query, overview::tasks).await
    }

    /// At most 500 lines from `start` (counted from 0) on. The last line of a running task may still grow: ask again
    /// from its `n - 1` and replace it.
    pub async fn task_log(&self, upid: &Upid, start: u64) -> Result<Vec<LogLine>, Error> {
        let query = [("start", &*start.to_string()), ("limit", LOG_PAGE)];
        Ok(self.ask(&["nodes", upid.node(), "tasks", upid.as_str(), "log"], &query, task::log).await?.value)
    }
}
