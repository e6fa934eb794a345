//! The ends of logs: of the container that is in trouble, of a machine, of a task.
use super::{LINES, end, of_kubernetes, of_proxmox, of_talos};
use crate::base::text::line;
use crate::kubernetes::{Error, Kind, Reader};
use crate::observe::machines::is_down;
use crate::observed::{Answer, EarlierRun, Origin, Untold};
use crate::proxmox::{self, Upid};
use crate::talos::Secure;
use serde_json::Value;

/// The last lines of a pod's container: of the one in trouble, else of the first. Where it has not begun again, or has said
/// nothing since, those of its run before.
pub async fn of_pod(reader: &Reader, namespace: &str, name: &str) -> Answer {
    let found = reader.get(&Kind::POD, Some(namespace), name).await;
    let pod = found.map_err(|e| of_kubernetes(&e))?.ok_or(Untold::Gone)?.value;
    let speaker = Speaker::of(&pod).ok_or(Untold::Nothing)?;
    let container = &speaker.container;
    let now = reader.logs(namespace, name, container, LINES).await;
    let is_silent = match &now {
        Ok(log) => log.value.trim().is_empty(),
        Err(Error::Invalid { .. }) => true,
        Err(_) => false,
    };
    if is_silent && speaker.earlier.is_some() {
        // What the server has of it may be gone already.
        if let Ok(before) = reader.logs_before(namespace, name, container, LINES).await
            && !before.value.trim().is_empty()
        {
            return Ok(end(speaker.origin(true), &before.value, before.by_hand));
        }
    }
    match now {
        Ok(log) => Ok(end(speaker.origin(speaker.waits), &log.value, log.by_hand)),
        Err(Error::Invalid { text }) => Err(Untold::NotBegun { container: container.clone(), says: line(&text) }),
        Err(error) => Err(of_kubernetes(&error)),
    }
}

struct Speaker {
    container: String,
    /// It waits to begin (again).
    waits: bool,
    earlier: Option<EarlierRun>,
}

impl Speaker {
    /// The container that is in trouble, else the first: its log tells most. One that has done its work is in none.
    fn of(pod: &Value) -> Option<Speaker> {
        let all = ["/status/initContainerStatuses", "/status/containerStatuses"].into_iter();
        let mut all = all.filter_map(|list| pod.pointer(list)?.as_array()).flatten();
        let ended_well = |c: &Value| c.pointer("/state/terminated/exitCode").and_then(Value::as_i64) == Some(0);
        let is_ready = |c: &Value| c.get("ready").and_then(Value::as_bool) == Some(true);
        let Some(status) = all.find(|c| !is_ready(c) && !ended_well(c)) else {
            let main = pod.pointer("/spec/containers/0/name")?.as_str()?;
            return Some(Speaker { container: main.to_string(), waits: false, earlier: None });
        };
        let text = |place: &str| status.pointer(place).and_then(Value::as_str);
        let code = status.pointer("/lastState/terminated/exitCode").and_then(Value::as_i64);
        let earlier = code.map(|exit_code| EarlierRun {
            exit_code,
            reason: line(text("/lastState/terminated/reason").unwrap_or_default()),
            ended: text("/lastState/terminated/finishedAt").and_then(|at| at.parse().ok()),
        });
        let waits = status.pointer("/state/waiting").is_some();
        Some(Speaker { container: text("/name")?.to_string(), waits, earlier })
    }

    fn origin(&self, is_earlier: bool) -> Origin {
        Origin::Container { name: line(&self.container), earlier: self.earlier.clone().filter(|_| is_earlier) }
    }
}

/// The log of the service that is not up, else the kernel's.
pub async fn of_machine(node: &Secure) -> Answer {
    let services = node.services().await.map_err(|e| of_talos(&e))?.value;
    if let Some(service) = services.iter().find(|service| is_down(service))
        && let Ok(log) = node.service_log(&service.id, LINES).await
        && !log.value.trim().is_empty()
    {
        return Ok(end(Origin::Service { id: line(&service.id) }, &log.value, log.by_hand));
    }
    let log = node.dmesg(LINES as usize).await.map_err(|e| of_talos(&e))?;
    Ok(end(Origin::Kernel, &log.value.join("\n"), log.by_hand))
}

pub async fn of_task(reader: &proxmox::Reader, upid: &str) -> Answer {
    let upid: Upid = upid.parse().map_err(|_| Untold::Nothing)?;
    let log = reader.task_log(&upid, 0).await.map_err(|e| of_proxmox(&e))?;
    let text = log.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
    Ok(end(Origin::Task, &text, format!("pvenode task log {upid}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Value {
        let status = |name: &str, ready: bool, state: Value| json!({"name": name, "ready": ready, "state": state});
        json!({
        "spec": {"containers": [{"name": "main"}, {"name": "side"}]},
        "status": {
            "initContainerStatuses": [status("init", false, json!({"terminated": {"exitCode": 0}}))],
            "containerStatuses": [
                status("main", true, json!({"running": {}})),
                status("side", false, json!({"waiting": {"reason": "CrashLoopBackOff"}})),
            ]}})
    }

    #[test]
    fn the_container_in_trouble_speaks_and_not_one_that_has_done_its_work() {
        let mut pod = pod();
        pod["status"]["containerStatuses"][1]["lastState"] =
            json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-30T10:00:00Z"}});
        let speaker = Speaker::of(&pod).unwrap();
        assert_eq!((speaker.container.as_str(), speaker.waits), ("side", true));
        let earlier = speaker.earlier.unwrap();
        assert_eq!((earlier.exit_code, earlier.reason.as_str(), earlier.ended.is_some()), (137, "OOMKilled", true));
        pod["status"]["containerStatuses"][1]["ready"] = true.into();
        assert_eq!(Speaker::of(&pod).unwrap().container, "main");
        assert!(Speaker::of(&json!({})).is_none());
    }
}
