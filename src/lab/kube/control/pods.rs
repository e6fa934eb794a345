//! The scheduler and the kubelets: a pod's way from Pending to Running, and what its containers do.
//!
//! A container whose command is `sh -c SCRIPT` runs the script (see [`super::shell`]); its output is the pod's log, and
//! with restartPolicy Never its exit code decides between Succeeded and Failed. Every other container just runs.
use super::curl::{self, Request};
use super::objects::{is_deleting, is_true, items, selects, set_condition, text, uid};
use super::{RETRY_S, attach, capi, containers, evict, failing, inside, installer, nodes, shell, spread, storage};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use cozyup_base::clock::add;
use serde_json::{Value, json};
use std::time::Duration;

pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    if let Some(gone) = gone {
        let own = uid(gone);
        if let Some(state) = world.state() {
            state.logs.remove(&(key.namespace.clone(), key.name.clone()));
            state.volumes.retain(|holder, _| !holder.starts_with(&own));
            state.answers.remove(&own);
        }
        return;
    }
    let Some(pod) = world.object(key).cloned() else { return };
    if is_deleting(&pod) {
        return evict::end(world, key, &pod);
    }
    if text(&pod, "/status/phase").is_empty() {
        world.change_object(key, |p| p["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"}));
    }
    if !matches!(text(&pod, "/status/phase"), "" | "Pending") {
        return;
    }
    if text(&pod, "/spec/nodeName").is_empty() {
        let placed = failing::nowhere(world, key).map_or_else(|| schedule(world, key, &pod), Placement::Nowhere);
        match placed {
            Placement::On(node) => place(world, key, &node),
            // The claim's own event brings the pod back here.
            Placement::AfterVolume => {}
            Placement::Nowhere(why) => {
                unschedulable(world, key, &why);
            }
        }
        return;
    }
    start(world, key, &pod);
}

/// Looks again at every pod that waits, of one namespace or of all.
pub fn wake(world: &mut World, namespace: Option<&str>) {
    for (key, _) in world.select("", "pods", namespace, |p| matches!(text(p, "/status/phase"), "" | "Pending")) {
        reconcile(world, &key, None);
    }
}

/// Running pods are Ready only while their node answers.
pub fn node_changed(world: &mut World, node: &str) {
    let unreachable = world.object(&nodes::key(node)).is_some_and(nodes::is_unreachable);
    let at = seconds(world.now);
    let on_node = |p: &Value| text(p, "/spec/nodeName") == node && text(p, "/status/phase") == "Running";
    for (key, pod) in world.select("", "pods", None, on_node) {
        if unreachable == is_true(&pod, "Ready") && is_true(&pod, "ContainersReady") {
            world.change_object(&key, |p| {
                let (status, reason) = if unreachable { ("False", "NodeNotReady") } else { ("True", "") };
                set_condition(p, &at, "Ready", status, reason, "");
            });
        }
    }
    wake(world, None);
}

enum Placement {
    On(String),
    AfterVolume,
    Nowhere(String),
}

fn tolerates(pod: &Value, taint: &Value) -> bool {
    items(pod, "/spec/tolerations").any(|t| {
        let effect = t["effect"].is_null() || t["effect"] == taint["effect"];
        let key = t["key"].is_null() || t["key"] == taint["key"];
        let value = t["operator"] == "Exists" || t["value"] == taint["value"];
        effect && key && value
    })
}

fn fits(pod: &Value, node: &Value) -> bool {
    let selector = &pod["spec"]["nodeSelector"];
    selector.as_object().is_none_or(|s| s.is_empty()) || selects(selector, &node["metadata"]["labels"])
}

/// Chooses a node, or says why there is none. Claims that wait for their first consumer get the node as a note.
fn schedule(world: &mut World, key: &Key, pod: &Value) -> Placement {
    let all = world.objects("", "nodes", None);
    let mut refusals: Vec<String> = Vec::new();
    let mut open: Vec<(Key, Value)> = Vec::new();
    for (node_key, node) in &all {
        let taint = items(node, "/spec/taints").find(|t| !tolerates(pod, t));
        if let Some(taint) = taint {
            refusals.push(format!(
                "node(s) had untolerated taint {{{}: {}}}",
                text(taint, "/key"),
                text(taint, "/value")
            ));
        } else if !fits(pod, node) {
            refusals.push("node(s) didn't match Pod's node affinity/selector".into());
        } else {
            open.push((node_key.clone(), node.clone()));
        }
    }
    let mut unbound = Vec::new();
    for claim in claims(pod) {
        let claim_key = Key::new("", "persistentvolumeclaims", &key.namespace, &claim);
        match storage::look(world, &claim_key) {
            storage::Claim::Unusable(why) => return Placement::Nowhere(why),
            storage::Claim::Bound(nodes) => {
                let before = open.len();
                open.retain(|(k, _)| nodes.as_ref().is_none_or(|n| n.contains(&k.name)));
                refusals.extend((open.len()..before).map(|_| "node(s) had volume node affinity conflict".to_string()));
            }
            storage::Claim::Immediate => {
                return Placement::Nowhere("pod has unbound immediate PersistentVolumeClaims".into());
            }
            storage::Claim::Chosen(node) => {
                open.retain(|(k, _)| k.name == node);
                unbound.push(None);
            }
            storage::Claim::WaitsForConsumer => unbound.push(Some(claim_key)),
        }
    }
    let turn = world.state().map_or(0, |s| {
        s.next_node = s.next_node.wrapping_add(1);
        s.next_node
    });
    let able: Vec<&(Key, Value)> = open
        .iter()
        .filter(|(k, _)| unbound.iter().flatten().all(|claim| storage::can_provision(world, claim, &k.name).is_ok()))
        .collect();
    if able.is_empty() {
        if !open.is_empty() {
            refusals.extend(open.iter().map(|_| "node(s) did not have enough free storage".to_string()));
        }
        return Placement::Nowhere(spoken(all.len(), &refusals));
    }
    let node = spread::choose(world, pod, &able, turn);
    if unbound.is_empty() {
        return Placement::On(node);
    }
    for claim in unbound.into_iter().flatten() {
        storage::choose_node(world, &claim, &node);
    }
    Placement::AfterVolume
}

/// `0/4 nodes are available: 4 node(s) had …`, as the scheduler writes it.
fn spoken(nodes: usize, refusals: &[String]) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".into();
    }
    let mut counted: Vec<(usize, &String)> = Vec::new();
    for refusal in refusals {
        match counted.iter_mut().find(|(_, r)| *r == refusal) {
            Some((n, _)) => *n += 1,
            None => counted.push((1, refusal)),
        }
    }
    let parts: Vec<String> = counted.into_iter().map(|(n, r)| format!("{n} {r}")).collect();
    format!("0/{nodes} nodes are available: {}.", parts.join(", "))
}

fn unschedulable(world: &mut World, key: &Key, why: &str) {
    let at = seconds(world.now);
    let changed = world
        .object(key)
        .and_then(|p| super::objects::condition(p, "PodScheduled"))
        .is_none_or(|c| c["message"] != why);
    if changed {
        world.change_object(key, |p| set_condition(p, &at, "PodScheduled", "False", "Unschedulable", why));
        world.emit(key, "Warning", "FailedScheduling", why);
    }
}

fn place(world: &mut World, key: &Key, node: &str) {
    let at = seconds(world.now);
    world.change_object(key, |p| {
        p["spec"]["nodeName"] = json!(node);
        set_condition(p, &at, "PodScheduled", "True", "", "");
    });
    world.emit(key, "Normal", "Scheduled", &format!("Successfully assigned {}/{} to {node}", key.namespace, key.name));
}

pub fn claims(pod: &Value) -> Vec<String> {
    items(pod, "/spec/volumes")
        .map(|v| text(v, "/persistentVolumeClaim/claimName").to_string())
        .filter(|c| !c.is_empty())
        .collect()
}

/// The kubelet takes the pod: its volumes are bound, its node has a network or the pod needs none.
fn start(world: &mut World, key: &Key, pod: &Value) {
    let node = text(pod, "/spec/nodeName").to_string();
    let host_network = pod["spec"]["hostNetwork"] == true;
    let Some(node_object) = world.object(&nodes::key(&node)) else { return };
    let able = if host_network { !nodes::is_unreachable(node_object) } else { nodes::node_ready(node_object) };
    let bound = claims(pod).into_iter().all(|claim| {
        let claim = Key::new("", "persistentvolumeclaims", &key.namespace, &claim);
        world.object(&claim).is_some_and(|c| text(c, "/status/phase") == "Bound")
    });
    let uid = uid(pod);
    if able && bound && containers::environment(world, key, pod).is_err() {
        // The Secret's own event brings the pod back here.
        let waiting = json!([{"name": text(pod, "/spec/containers/0/name"), "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "CreateContainerConfigError"}}}]);
        if pod["status"]["containerStatuses"] != waiting {
            world.change_object(key, |p| p["status"]["containerStatuses"] = waiting);
        }
        return;
    }
    if !able || !bound || !attach::all_attached(world, key, pod, &node) || !world.begin(format!("pod {uid}")) {
        return;
    }
    let at = seconds(world.now);
    let waiting: Vec<Value> = items(pod, "/spec/containers")
        .map(|c| {
            json!({"name": c["name"], "image": c["image"], "ready": false, "started": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ContainerCreating"}}})
        })
        .collect();
    let host = world.cluster.as_ref().and_then(|c| c.nodes.get(&node)).map(|n| n.address.to_string());
    world.change_object(key, |p| {
        set_condition(p, &at, "PodScheduled", "True", "", "");
        set_condition(p, &at, "Initialized", "True", "", "");
        set_condition(p, &at, "ContainersReady", "False", "ContainersNotReady", "");
        set_condition(p, &at, "Ready", "False", "ContainersNotReady", "");
        p["status"]["startTime"] = json!(at);
        p["status"]["containerStatuses"] = json!(waiting);
        p["status"]["hostIP"] = json!(host);
    });
    let latency = &world.scenario.latency;
    let after = if installer::is_installer(key, pod) { latency.installer_s } else { latency.pod_start_s };
    let key = key.clone();
    world.after(after, move |world| {
        if world.is_still(&key, &uid) {
            run(world, &key);
            settle(world);
        }
    });
}

/// The containers are up.
pub fn run(world: &mut World, key: &Key) {
    let Some(pod) = world.object(key).cloned() else { return };
    if installer::is_installer(key, &pod) {
        if let Err(output) = installer::check(world) {
            return failing::crash(world, key, &output);
        }
        running(world, key);
        return installer::started(world, key);
    }
    if let Some(output) = capi::manager_refusal(world, key, &pod) {
        return failing::crash(world, key, &output);
    }
    if failing::holds(world, key, &pod) {
        return;
    }
    running(world, key);
    for container in items(&pod, "/spec/containers") {
        world.emit(key, "Normal", "Started", &format!("Started container {}", text(container, "/name")));
    }
    scripts(world, key, &pod);
}

/// Runs what the containers run. A script that asks a server ends here and is run again with the answer.
fn scripts(world: &mut World, key: &Key, pod: &Value) {
    let mut ran = None;
    for part in ["/spec/initContainers", "/spec/containers"] {
        for container in items(pod, part) {
            if let Some((script, strict)) = containers::script(container) {
                match execute(world, key, pod, container, &script, strict) {
                    Ok(outcome) => ran = Some(outcome),
                    Err(request) => {
                        // What the cluster itself answers needs no socket.
                        if let Some(answer) = inside::answer(world, pod, &request) {
                            let own = Errand { pod: key.clone(), uid: uid(pod), request };
                            return answered(world, own, answer);
                        }
                        let errand = Errand { pod: key.clone(), uid: uid(pod), request };
                        return world.state().map_or((), |state| state.errands.push(errand));
                    }
                }
            }
        }
    }
    let policy = text(pod, "/spec/restartPolicy").to_string();
    match ran {
        None => note(world, key, Duration::ZERO, "started".into()),
        // A script that is always started again ends and starts; the lab leaves it running.
        Some(outcome) if matches!(policy.as_str(), "Never" | "OnFailure") => {
            let (key, uid) = (key.clone(), uid(pod));
            world.after(outcome.lasted.as_secs_f64(), move |world| {
                if world.is_still(&key, &uid) {
                    if policy == "OnFailure" && outcome.code != 0 {
                        again(world, &key, &uid, outcome.code);
                    } else {
                        finish(world, &key, outcome.code);
                    }
                    settle(world);
                }
            });
        }
        Some(_) => {}
    }
}

/// A request that a pod waits for.
#[derive(Debug, Clone)]
pub struct Errand {
    pod: Key,
    uid: String,
    pub request: Request,
}

/// The requests that pods wait for; whoever takes them makes them and gives the answers to [`answered`].
pub fn take_errands(world: &mut World) -> Vec<Errand> {
    world.state().map(|state| std::mem::take(&mut state.errands)).unwrap_or_default()
}

pub fn has_errands(world: &World) -> bool {
    world.cluster.as_ref().is_some_and(|c| !c.state.errands.is_empty())
}

pub fn answered(world: &mut World, errand: Errand, answer: curl::Answer) {
    let Errand { pod: key, uid, request } = errand;
    if !world.is_still(&key, &uid) {
        return;
    }
    if let Some(state) = world.state() {
        state.answers.entry(uid).or_default().insert(request, answer);
    }
    if let Some(pod) = world.object(&key).cloned() {
        scripts(world, &key, &pod);
        settle(world);
    }
}

/// A container ended with an error under restartPolicy OnFailure: its log stays until it is started again.
fn again(world: &mut World, key: &Key, uid: &str, code: i32) {
    let at = seconds(world.now);
    world.change_object(key, |p| {
        if let Some(status) = p.pointer_mut("/status/containerStatuses/0") {
            let restarts = status["restartCount"].as_u64().unwrap_or_default() + 1;
            status["restartCount"] = json!(restarts);
            status["ready"] = json!(false);
            status["state"] = json!({"waiting": {"reason": "CrashLoopBackOff",
                "message": "back-off restarting failed container"}});
            status["lastState"] = json!({"terminated": {"exitCode": code, "reason": "Error", "finishedAt": at}});
        }
        set_condition(p, &at, "ContainersReady", "False", "ContainersNotReady", "");
        set_condition(p, &at, "Ready", "False", "ContainersNotReady", "");
    });
    if let Some(state) = world.state() {
        state.answers.remove(uid);
    }
    let (key, uid) = (key.clone(), uid.to_string());
    world.after(RETRY_S, move |world| {
        if world.is_still(&key, &uid) {
            if let Some(state) = world.state() {
                state.logs.remove(&(key.namespace.clone(), key.name.clone()));
            }
            run(world, &key);
            settle(world);
        }
    });
}

fn running(world: &mut World, key: &Key) {
    let at = seconds(world.now);
    let Some(pod) = world.object(key) else { return };
    let address =
        if pod["spec"]["hostNetwork"] == true { text(pod, "/status/hostIP").to_string() } else { next_address(world) };
    world.change_object(key, |p| {
        p["status"]["phase"] = json!("Running");
        p["status"]["podIP"] = json!(address);
        p["status"]["podIPs"] = json!([{"ip": address}]);
        if let Some(statuses) = p["status"]["containerStatuses"].as_array_mut() {
            for status in statuses {
                status["ready"] = json!(true);
                status["started"] = json!(true);
                status["state"] = json!({"running": {"startedAt": at}});
            }
        }
        set_condition(p, &at, "ContainersReady", "True", "", "");
        set_condition(p, &at, "Ready", "True", "", "");
    });
}

fn next_address(world: &mut World) -> String {
    let Some(cluster) = &mut world.cluster else { return String::new() };
    cluster.state.next_pod_address += 1;
    // The first addresses are the gateway's and the nodes'.
    nodes::member(&cluster.pod_cidr, 9 + cluster.state.next_pod_address)
}

fn finish(world: &mut World, key: &Key, code: i32) {
    let at = seconds(world.now);
    let (phase, reason) = if code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
    world.change_object(key, |p| {
        p["status"]["phase"] = json!(phase);
        if let Some(statuses) = p["status"]["containerStatuses"].as_array_mut() {
            for status in statuses {
                let started = status["state"]["running"]["startedAt"].clone();
                status["ready"] = json!(false);
                status["started"] = json!(false);
                status["state"] = json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": started,
                    "finishedAt": at}});
            }
        }
        let why = if code == 0 { "PodCompleted" } else { "PodFailed" };
        set_condition(p, &at, "ContainersReady", "False", why, "");
        set_condition(p, &at, "Ready", "False", why, "");
    });
}

/// Runs a script: its lines go to the log at the times they would be printed, its files to the volumes.
///
/// # Errors
/// The request that has to be made before the script can go on.
fn execute(
    world: &mut World,
    key: &Key,
    pod: &Value,
    container: &Value,
    script: &str,
    strict: bool,
) -> Result<shell::Outcome, Request> {
    let (mounts, given) = containers::mounts(world, key, pod, container);
    let names = super::balancer::names(world);
    let env = containers::environment(world, key, pod).unwrap_or_default();
    let mut files = world.state().map(|s| s.volumes.clone()).unwrap_or_default();
    let answers = world.state().and_then(|s| s.answers.get(&uid(pod)).cloned()).unwrap_or_default();
    for (holder, path, value) in given {
        files.entry(holder).or_default().insert(path, value);
    }
    let mut servers = world.state().map(|s| s.servers.clone()).unwrap_or_default();
    let mut machine = shell::Machine {
        hostname: &key.name,
        mounts: &mounts,
        files: &mut files,
        names: &names,
        env: &env,
        servers: &mut servers,
        answers: &answers,
        wanted: None,
    };
    let outcome = shell::run(script, strict, &mut machine);
    if let Some(request) = machine.wanted.take() {
        return Err(request);
    }
    if let Some(state) = world.state() {
        state.volumes = files;
        state.servers = servers;
    }
    for (after, line) in &outcome.lines {
        note(world, key, *after, line.clone());
    }
    Ok(outcome)
}

/// Adds to the pod's log what it prints `after` from now.
pub fn note(world: &mut World, key: &Key, after: Duration, line: String) {
    let at = add(world.now, after);
    if let Some(state) = world.state() {
        state.logs.entry((key.namespace.clone(), key.name.clone())).or_default().push((at, line));
    }
}

pub fn log(world: &World, namespace: &str, pod: &str) -> Option<String> {
    world.object(&Key::new("", "pods", namespace, pod))?;
    let lines = world.cluster.as_ref()?.state.logs.get(&(namespace.to_string(), pod.to_string()));
    let printed = lines.into_iter().flatten().filter(|(at, _)| *at <= world.now);
    Some(printed.map(|(_, line)| format!("{line}\n")).collect())
}
