//! pods/log: what the controllers let a pod say.
use super::path::{Query, Target};
use super::read::store;
use super::refusal::Refusal;
use crate::kube::pod_log;
use crate::world::{Lab, World};
use axum::body::Body;
use bytes::Bytes;
use serde_json::Value;
use std::convert::Infallible;
use tokio::sync::watch::Receiver;

fn read(world: &World, target: &Target, container: &str, previous: bool) -> Result<String, Refusal> {
    let name = target.name.as_deref().unwrap_or_default();
    let pod = store(world)?.get(&target.key(name)).ok_or_else(|| Refusal::not_found(target.kind, name))?;
    let containers: Vec<&str> = ["initContainers", "containers"]
        .iter()
        .flat_map(|field| pod["spec"][*field].as_array().into_iter().flatten())
        .filter_map(|c| c["name"].as_str())
        .collect();
    if !container.is_empty() && !containers.contains(&container) {
        return Err(Refusal::bad(format!("container {container} is not valid for pod {name}")));
    }
    let main = pod["spec"]["containers"][0]["name"].as_str().unwrap_or_default();
    let shown = if container.is_empty() { main } else { container };
    let statuses = || pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let restarted = statuses().any(|s| s["name"] == shown && s["restartCount"].as_u64() > Some(0));
    if previous && !restarted {
        return Err(Refusal::bad(format!("previous terminated container \"{shown}\" in pod \"{name}\" not found")));
    }
    let waits = statuses().find(|s| s["name"] == shown).and_then(|s| s["state"]["waiting"]["reason"].as_str());
    // validateContainerLogStatus (Kubernetes v1.33, pkg/kubelet/kubelet_pods.go): one that has never run has no log.
    if let Some(reason) = waits.filter(|_| !restarted) {
        let why = match reason {
            "ErrImagePull" => "image can't be pulled",
            "ImagePullBackOff" => "trying and failing to pull image",
            other => other,
        };
        let text = format!("container \"{shown}\" in pod \"{name}\" is waiting to start: {why}");
        return Err(Refusal::bad(text));
    }
    let log = pod_log(world, &target.namespace, name);
    // The printed log is the first container's; the others are silent.
    log.map(|log| if shown == main { log } else { String::new() }).ok_or_else(|| {
        Refusal::bad(format!("container \"{shown}\" in pod \"{name}\" is waiting to start: ContainerCreating"))
    })
}

/// `None` while the pod has no node.
pub fn log(lab: &Lab, target: &Target, query: &Query) -> Result<Option<Body>, Refusal> {
    let container = query.get("container");
    let lines = query.number("tailLines")?.and_then(|n| usize::try_from(n).ok());
    let changed = lab.watch();
    let unscheduled = lab.look(|world| {
        let pod = store(world)?.get(&target.key(target.name.as_deref().unwrap_or_default()));
        Ok(pod.is_some_and(|pod| pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty()))
    })?;
    if unscheduled {
        return Ok(None);
    }
    let all = lab.look(|world| read(world, target, container, query.flag("previous")))?;
    let tail = match lines {
        Some(wanted) => {
            let skipped = all.lines().count().saturating_sub(wanted);
            all.split_inclusive('\n').skip(skipped).collect()
        }
        None => all.clone(),
    };
    if !query.flag("follow") {
        return Ok(Some(Body::from(tail)));
    }
    let first = Some(Bytes::from(tail));
    let follow = Follow {
        lab: lab.clone(),
        changed,
        target: target.clone(),
        container: container.into(),
        sent: all.len(),
        first,
    };
    Ok(Some(Body::from_stream(futures::stream::unfold(follow, |mut follow| async move {
        let more = follow.next().await?;
        Some((Ok::<Bytes, Infallible>(more), follow))
    }))))
}

struct Follow {
    lab: Lab,
    changed: Receiver<u64>,
    target: Target,
    container: String,
    /// Bytes of the log that were sent or left out by `tailLines`.
    sent: usize,
    first: Option<Bytes>,
}

impl Follow {
    /// The next part of the log; `None` when the pod has ended or is gone.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take().filter(|f| !f.is_empty()) {
            return Some(first);
        }
        loop {
            self.changed.borrow_and_update();
            let (log, over) = self.lab.look(|world| {
                let name = self.target.name.as_deref().unwrap_or_default();
                let pod = store(world).ok().and_then(|s| s.get(&self.target.key(name)));
                let phase = pod.map_or("Failed", |p| p["status"]["phase"].as_str().unwrap_or_default());
                let over = matches!(phase, "Succeeded" | "Failed") || pod.is_some_and(is_deleted);
                (read(world, &self.target, &self.container, false).ok(), over)
            });
            let log = log?;
            if let Some(more) = log.get(self.sent..).filter(|more| !more.is_empty()) {
                let more = Bytes::copy_from_slice(more.as_bytes());
                self.sent = log.len();
                return Some(more);
            }
            if over {
                return None;
            }
            self.changed.changed().await.ok()?;
        }
    }
}

fn is_deleted(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_string()
}
