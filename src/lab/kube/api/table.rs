//! The output of `kubectl get`: the columns of each resource and their cells, computed here as the real server does.
use super::kinds::Kind;
use super::view::{Include, META};
use cozyup_base::clock::between;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The source of a cell.
enum Cell {
    /// A JSON pointer; empty when nothing is there.
    At(&'static str),
    /// Status or another field of the condition of this type.
    Condition(&'static str, &'static str),
    /// Time since the moment at this pointer.
    Since(&'static str),
    /// Elements of an array, in brackets as custom columns show them.
    List(&'static str),
    Of(fn(&Value, Timestamp) -> Value),
}

/// A column; priority 0 is always shown, 1 with `-o wide`.
struct Column {
    name: &'static str,
    priority: u8,
    cell: Cell,
}

const fn column(name: &'static str, cell: Cell) -> Column {
    Column { name, priority: 0, cell }
}

const fn wide(name: &'static str, cell: Cell) -> Column {
    Column { name, priority: 1, cell }
}

const AGE: Column = column("Age", Cell::Since("/metadata/creationTimestamp"));
const READY: Column = column("Ready", Cell::Condition("Ready", "status"));
const STATUS: Column = column("Status", Cell::Condition("Ready", "message"));

/// The columns after the name.
fn columns(kind: &Kind) -> Vec<Column> {
    use Cell::{At, Condition, List, Of, Since};
    match (kind.group, kind.plural) {
        ("", "nodes") => vec![
            column("Status", Of(node_status)),
            column("Roles", Of(node_roles)),
            AGE,
            column("Version", At("/status/nodeInfo/kubeletVersion")),
            wide("Internal-IP", Of(|o, _| node_address(o, "InternalIP"))),
            wide("External-IP", Of(|o, _| node_address(o, "ExternalIP"))),
            wide("OS-Image", Of(|o, _| or_unknown(&o["status"]["nodeInfo"]["osImage"]))),
            wide("Kernel-Version", Of(|o, _| or_unknown(&o["status"]["nodeInfo"]["kernelVersion"]))),
            wide("Container-Runtime", Of(|o, _| or_unknown(&o["status"]["nodeInfo"]["containerRuntimeVersion"]))),
        ],
        ("", "pods") => vec![
            column("Ready", Of(pod_ready)),
            column("Status", Of(|o, _| json!(pod_status(o)))),
            column("Restarts", Of(pod_restarts)),
            AGE,
            wide("IP", Of(|o, _| or_none(&o["status"]["podIP"]))),
            wide("Node", Of(|o, _| or_none(&o["spec"]["nodeName"]))),
            wide("Nominated Node", Of(|o, _| or_none(&o["status"]["nominatedNodeName"]))),
            wide("Readiness Gates", Of(|_, _| json!("<none>"))),
        ],
        ("", "namespaces") => vec![column("Status", At("/status/phase")), AGE],
        ("", "services") => vec![
            column("Type", At("/spec/type")),
            column("Cluster-IP", Of(|o, _| or_none(&o["spec"]["clusterIP"]))),
            column("External-IP", Of(service_address)),
            column("Port(s)", Of(service_ports)),
            AGE,
            wide("Selector", Of(|o, _| pairs(&o["spec"]["selector"]))),
        ],
        ("", "endpoints") => vec![column("Endpoints", Of(endpoints)), AGE],
        ("", "configmaps") => vec![column("Data", Of(data_size)), AGE],
        ("", "secrets") => vec![column("Type", At("/type")), column("Data", Of(data_size)), AGE],
        ("", "serviceaccounts") => vec![column("Secrets", Of(|o, _| json!(count(&o["secrets"])))), AGE],
        ("", "persistentvolumes") => vec![
            column("Capacity", At("/spec/capacity/storage")),
            column("Access Modes", Of(|o, _| access_modes(&o["spec"]["accessModes"]))),
            column("Reclaim Policy", At("/spec/persistentVolumeReclaimPolicy")),
            column("Status", At("/status/phase")),
            column("Claim", Of(volume_claim)),
            column("StorageClass", At("/spec/storageClassName")),
            column("VolumeAttributesClass", Of(|o, _| or_unset(&o["spec"]["volumeAttributesClassName"]))),
            column("Reason", At("/status/reason")),
            AGE,
            wide("VolumeMode", At("/spec/volumeMode")),
        ],
        ("", "persistentvolumeclaims") => vec![
            column("Status", Of(claim_status)),
            column("Volume", At("/spec/volumeName")),
            column("Capacity", At("/status/capacity/storage")),
            column("Access Modes", Of(|o, _| access_modes(&o["status"]["accessModes"]))),
            column("StorageClass", At("/spec/storageClassName")),
            column("VolumeAttributesClass", Of(|o, _| or_unset(&o["spec"]["volumeAttributesClassName"]))),
            AGE,
            wide("VolumeMode", At("/spec/volumeMode")),
        ],
        ("" | "events.k8s.io", "events") => vec![
            column("Last Seen", Of(event_last_seen)),
            column("Type", At("/type")),
            column("Reason", At("/reason")),
            column("Object", Of(event_object)),
            column("Message", At("/message")),
            wide("Source", At("/source/component")),
            wide("Count", At("/count")),
            wide("Name", At("/metadata/name")),
        ],
        ("apps", "deployments") => vec![
            column("Ready", Of(|o, _| ratio(&o["status"]["readyReplicas"], &o["spec"]["replicas"]))),
            column("Up-to-date", Of(|o, _| number(&o["status"]["updatedReplicas"]))),
            column("Available", Of(|o, _| number(&o["status"]["availableReplicas"]))),
            AGE,
            wide("Containers", Of(|o, _| containers(o, "name"))),
            wide("Images", Of(|o, _| containers(o, "image"))),
            wide("Selector", Of(|o, _| pairs(&o["spec"]["selector"]["matchLabels"]))),
        ],
        ("apps", "daemonsets") => vec![
            column("Desired", Of(|o, _| number(&o["status"]["desiredNumberScheduled"]))),
            column("Current", Of(|o, _| number(&o["status"]["currentNumberScheduled"]))),
            column("Ready", Of(|o, _| number(&o["status"]["numberReady"]))),
            column("Up-to-date", Of(|o, _| number(&o["status"]["updatedNumberScheduled"]))),
            column("Available", Of(|o, _| number(&o["status"]["numberAvailable"]))),
            column("Node Selector", Of(|o, _| pairs(&o["spec"]["template"]["spec"]["nodeSelector"]))),
            AGE,
        ],
        ("apps", "statefulsets") => vec![
            column("Ready", Of(|o, _| ratio(&o["status"]["readyReplicas"], &o["spec"]["replicas"]))),
            AGE,
            wide("Containers", Of(|o, _| containers(o, "name"))),
            wide("Images", Of(|o, _| containers(o, "image"))),
        ],
        ("apps", "replicasets") => vec![
            column("Desired", Of(|o, _| number(&o["spec"]["replicas"]))),
            column("Current", Of(|o, _| number(&o["status"]["replicas"]))),
            column("Ready", Of(|o, _| number(&o["status"]["readyReplicas"]))),
            AGE,
        ],
        ("batch", "jobs") => vec![
            column("Status", Of(job_status)),
            column("Completions", Of(|o, _| ratio(&o["status"]["succeeded"], &o["spec"]["completions"]))),
            column("Duration", Of(job_duration)),
            AGE,
        ],
        ("networking.k8s.io", "ingresses") => vec![
            column("Class", Of(|o, _| or_none(&o["spec"]["ingressClassName"]))),
            column("Hosts", Of(ingress_hosts)),
            column("Address", Of(|o, _| json!(ingress_points(o).join(",")))),
            column("Ports", Of(|o, _| json!(if o["spec"]["tls"].is_array() { "80, 443" } else { "80" }))),
            AGE,
        ],
        ("storage.k8s.io", "storageclasses") => vec![
            column("Provisioner", At("/provisioner")),
            column("ReclaimPolicy", At("/reclaimPolicy")),
            column("VolumeBindingMode", At("/volumeBindingMode")),
            column("AllowVolumeExpansion", Of(|o, _| json!(o["allowVolumeExpansion"].as_bool().unwrap_or(false)))),
            AGE,
        ],
        ("storage.k8s.io", "csinodes") => vec![column("Drivers", Of(|o, _| json!(count(&o["spec"]["drivers"])))), AGE],
        ("storage.k8s.io", "csidrivers") => vec![
            column("AttachRequired", At("/spec/attachRequired")),
            column("PodInfoOnMount", At("/spec/podInfoOnMount")),
            column("StorageCapacity", At("/spec/storageCapacity")),
            column("TokenRequests", Of(|_, _| json!("<unset>"))),
            column("RequiresRepublish", At("/spec/requiresRepublish")),
            column("Modes", Of(|o, _| json!(texts(&o["spec"]["volumeLifecycleModes"]).join(",")))),
            AGE,
        ],
        ("storage.k8s.io", "volumeattachments") => vec![
            column("Attacher", At("/spec/attacher")),
            column("PV", At("/spec/source/persistentVolumeName")),
            column("Node", At("/spec/nodeName")),
            column("Attached", At("/status/attached")),
            AGE,
        ],
        ("storage.k8s.io", "csistoragecapacities") => {
            vec![column("StorageClassName", At("/storageClassName")), column("Capacity", At("/capacity"))]
        }
        ("apiregistration.k8s.io", "apiservices") => {
            vec![column("Service", Of(api_service)), column("Available", Of(api_available)), AGE]
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            vec![column("Created At", At("/metadata/creationTimestamp"))]
        }
        ("coordination.k8s.io", "leases") => vec![column("Holder", At("/spec/holderIdentity")), AGE],
        ("discovery.k8s.io", "endpointslices") => vec![column("AddressType", At("/addressType")), AGE],
        ("helm.toolkit.fluxcd.io", "helmreleases") => vec![AGE, READY, STATUS],
        ("fluxcd.controlplane.io", "fluxinstances") => {
            vec![AGE, READY, STATUS, column("Revision", At("/status/lastAppliedRevision"))]
        }
        ("source.toolkit.fluxcd.io", "helmcharts") => vec![
            column("Chart", At("/spec/chart")),
            column("Version", At("/spec/version")),
            column("Source Kind", At("/spec/sourceRef/kind")),
            column("Source Name", At("/spec/sourceRef/name")),
            AGE,
            READY,
            STATUS,
        ],
        ("source.toolkit.fluxcd.io", "helmrepositories") => vec![column("URL", At("/spec/url")), AGE, READY, STATUS],
        ("source.toolkit.fluxcd.io", _) => vec![column("URL", At("/spec/url")), READY, STATUS, AGE],
        ("cert-manager.io", "certificates") => {
            vec![READY, column("Secret", At("/spec/secretName")), AGE]
        }
        ("cert-manager.io", _) => vec![READY, AGE],
        ("metallb.io", "ipaddresspools") => vec![
            column("Auto Assign", At("/spec/autoAssign")),
            column("Avoid Buggy IPs", At("/spec/avoidBuggyIPs")),
            column("Addresses", List("/spec/addresses")),
        ],
        ("metallb.io", "l2advertisements") => vec![
            column("IPAddressPools", List("/spec/ipAddressPools")),
            column("IPAddressPool Selectors", List("/spec/ipAddressPoolSelectors")),
            column("Interfaces", List("/spec/interfaces")),
        ],
        ("apps.cozystack.io", _) => vec![READY, AGE, column("Version", At("/status/version"))],
        ("operator.cluster.x-k8s.io", _) => vec![column("InstalledVersion", At("/status/installedVersion")), READY],
        ("cluster.x-k8s.io", "clusters") => vec![
            column("ClusterClass", At("/spec/topology/class")),
            column("Phase", At("/status/phase")),
            AGE,
            column("Version", At("/spec/topology/version")),
        ],
        ("cluster.x-k8s.io", "machines") => vec![
            column("Cluster", At("/spec/clusterName")),
            column("NodeName", At("/status/nodeRef/name")),
            column("ProviderID", At("/spec/providerID")),
            column("Phase", At("/status/phase")),
            AGE,
            column("Version", At("/spec/version")),
        ],
        ("cluster.x-k8s.io", _) => vec![
            column("Cluster", At("/spec/clusterName")),
            column("Replicas", At("/status/replicas")),
            column("Ready", At("/status/readyReplicas")),
            column("Phase", At("/status/phase")),
            AGE,
            column("Version", At("/spec/template/spec/version")),
        ],
        ("infrastructure.cluster.x-k8s.io", "proxmoxclusters") => vec![
            column("Cluster", At("/metadata/labels/cluster.x-k8s.io~1cluster-name")),
            column("Ready", At("/status/ready")),
            column("Endpoint", At("/spec/controlPlaneEndpoint/host")),
        ],
        ("infrastructure.cluster.x-k8s.io", "proxmoxmachines") => vec![
            column("Cluster", At("/metadata/labels/cluster.x-k8s.io~1cluster-name")),
            column("Ready", At("/status/ready")),
            column("Node", At("/status/proxmoxNode")),
            column("Provider_ID", At("/spec/providerID")),
            column("Machine", Of(machine_owner)),
        ],
        ("kamaji.clastix.io", "datastores") => vec![
            column("Driver", At("/spec/driver")),
            column("Ready", Condition("Ready", "status")),
            column("Age", Since("/metadata/creationTimestamp")),
        ],
        _ => vec![AGE],
    }
}

/// The answer as a Table. `header` false leaves the columns out, as in a watch after its first event.
pub fn table<'a>(
    kind: &Kind,
    objects: impl Iterator<Item = &'a Value>,
    metadata: Value,
    include: Include,
    header: bool,
    now: Timestamp,
) -> Value {
    let columns = columns(kind);
    let rows: Vec<Value> = objects.map(|object| row(kind, &columns, object, include, now)).collect();
    let mut table = json!({"kind": "Table", "apiVersion": META, "metadata": metadata, "rows": rows});
    if header {
        let definition = |name: &str, priority: u8| {
            let format = if name == "Name" { "name" } else { "" };
            json!({"name": name, "type": "string", "format": format, "description": name, "priority": priority})
        };
        let name = starts_with_name(kind).then(|| definition("Name", 0));
        let others = columns.iter().map(|c| definition(c.name, c.priority));
        let definitions: Vec<Value> = name.into_iter().chain(others).collect();
        table["columnDefinitions"] = json!(definitions);
    }
    table
}

fn row(kind: &Kind, columns: &[Column], object: &Value, include: Include, now: Timestamp) -> Value {
    let mut cells = Vec::new();
    if starts_with_name(kind) {
        cells.push(json!(name(kind, object)));
    }
    cells.extend(columns.iter().map(|c| cell(&c.cell, object, now)));
    let object = match include {
        Include::Nothing => Value::Null,
        Include::Metadata => {
            json!({"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": object["metadata"]})
        }
        Include::Object => {
            let mut object = object.clone();
            object["kind"] = json!(kind.kind);
            object["apiVersion"] = json!(kind.api_version());
            object
        }
    };
    json!({"cells": cells, "object": object})
}

/// Names of events are of no interest.
fn starts_with_name(kind: &Kind) -> bool {
    kind.plural != "events"
}

fn name(kind: &Kind, object: &Value) -> String {
    let name = text(&object["metadata"]["name"]);
    let default = object["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true";
    if kind.plural == "storageclasses" && default { format!("{name} (default)") } else { name.to_string() }
}

fn cell(cell: &Cell, object: &Value, now: Timestamp) -> Value {
    match cell {
        Cell::At(pointer) => match object.pointer(pointer) {
            Some(Value::Number(n)) => json!(n),
            Some(Value::String(s)) => json!(s),
            Some(Value::Bool(b)) => json!(b.to_string()),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => json!(""),
        },
        Cell::Condition(kind, field) => json!(condition(object, kind).map_or("", |c| text(&c[*field]))),
        Cell::Since(pointer) => json!(since(object.pointer(pointer).unwrap_or(&Value::Null), now)),
        Cell::List(pointer) => match object.pointer(pointer).filter(|l| l.is_array()) {
            Some(list) => json!(list.to_string()),
            None => json!(""),
        },
        Cell::Of(compute) => compute(object, now),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn number(value: &Value) -> Value {
    json!(value.as_u64().unwrap_or(0))
}

fn count(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

fn ratio(is: &Value, of: &Value) -> Value {
    json!(format!("{}/{}", is.as_u64().unwrap_or(0), of.as_u64().unwrap_or(1)))
}

fn or(value: &Value, otherwise: &str) -> Value {
    json!(if text(value).is_empty() { otherwise } else { text(value) })
}

fn or_none(value: &Value) -> Value {
    or(value, "<none>")
}

fn or_unset(value: &Value) -> Value {
    or(value, "<unset>")
}

fn or_unknown(value: &Value) -> Value {
    or(value, "<unknown>")
}

fn pairs(value: &Value) -> Value {
    let pairs: Vec<String> = value.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", text(v))).collect();
    json!(if pairs.is_empty() { "<none>".to_string() } else { pairs.join(",") })
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)
}

fn since(at: &Value, now: Timestamp) -> String {
    let at = at.as_str().and_then(|t| t.parse::<Timestamp>().ok());
    at.map_or_else(|| "<unknown>".into(), |at| age(between(at, now).as_secs()))
}

/// As kubectl prints an age: two units at most, the smaller one only while it matters.
fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |a: u64, unit: &str, b: u64, small: &str| {
        if b == 0 { format!("{a}{unit}") } else { format!("{a}{unit}{b}{small}") }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

fn node_status(node: &Value, _: Timestamp) -> Value {
    let ready = match condition(node, "Ready").map(|c| text(&c["status"])) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let cordoned = if node["spec"]["unschedulable"] == true { ",SchedulingDisabled" } else { "" };
    json!(format!("{ready}{cordoned}"))
}

fn node_roles(node: &Value, _: Timestamp) -> Value {
    let labels = node["metadata"]["labels"].as_object();
    let roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(label, value)| match label.strip_prefix("node-role.kubernetes.io/") {
            Some(role) if !role.is_empty() => Some(role),
            _ if label == "kubernetes.io/role" => value.as_str(),
            _ => None,
        })
        .collect();
    json!(if roles.is_empty() { "<none>".to_string() } else { roles.join(",") })
}

fn node_address(node: &Value, kind: &str) -> Value {
    let found = node["status"]["addresses"].as_array().into_iter().flatten().find(|a| a["type"] == kind);
    or_none(found.map_or(&Value::Null, |a| &a["address"]))
}

fn statuses<'a>(pod: &'a Value, field: &str) -> std::slice::Iter<'a, Value> {
    pod["status"][field].as_array().map_or([].iter(), |all| all.iter())
}

fn pod_ready(pod: &Value, _: Timestamp) -> Value {
    let ready = statuses(pod, "containerStatuses").filter(|c| c["ready"] == true).count();
    json!(format!("{ready}/{}", count(&pod["spec"]["containers"])))
}

/// The word of the STATUS column: the phase, unless a container tells more.
fn pod_status(pod: &Value) -> String {
    let phase = match text(&pod["status"]["reason"]) {
        "" => text(&pod["status"]["phase"]),
        reason => reason,
    };
    let told = |container: &Value| {
        let state = &container["state"];
        match (text(&state["waiting"]["reason"]), &state["terminated"]) {
            (reason, _) if !reason.is_empty() => Some(reason.to_string()),
            (_, Value::Null) => None,
            (_, ended) if !text(&ended["reason"]).is_empty() => Some(text(&ended["reason"]).to_string()),
            (_, ended) => Some(format!("ExitCode:{}", ended["exitCode"].as_i64().unwrap_or(0))),
        }
    };
    let total = count(&pod["spec"]["initContainers"]);
    let initialising = statuses(pod, "initContainerStatuses")
        .enumerate()
        .find(|(_, c)| c["state"]["terminated"]["exitCode"] != 0)
        .map(|(at, c)| match told(c) {
            Some(reason) if reason != "PodInitializing" => format!("Init:{reason}"),
            _ => format!("Init:{at}/{total}"),
        });
    let shown = match initialising {
        Some(reason) => reason,
        None => statuses(pod, "containerStatuses").filter_map(told).next_back().unwrap_or_else(|| phase.to_string()),
    };
    let running = statuses(pod, "containerStatuses").any(|c| c["ready"] == true && c["state"]["running"].is_object());
    match (pod["metadata"]["deletionTimestamp"].is_string(), shown.as_str()) {
        (true, _) if text(&pod["status"]["reason"]) == "NodeLost" => "Unknown".into(),
        (true, _) if !matches!(phase, "Succeeded" | "Failed") => "Terminating".into(),
        (_, "Completed") if running => "Running".into(),
        _ => shown,
    }
}

fn pod_restarts(pod: &Value, now: Timestamp) -> Value {
    let restarts: u64 = statuses(pod, "containerStatuses").filter_map(|c| c["restartCount"].as_u64()).sum();
    let last = statuses(pod, "containerStatuses")
        .filter_map(|c| c["lastState"]["terminated"]["finishedAt"].as_str())
        .max()
        .map(|at| since(&json!(at), now));
    json!(match last {
        Some(ago) if restarts > 0 => format!("{restarts} ({ago} ago)"),
        _ => restarts.to_string(),
    })
}

fn ingress_points(object: &Value) -> Vec<&str> {
    let points = object["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
    points.filter_map(|p| p["ip"].as_str().or_else(|| p["hostname"].as_str())).collect()
}

fn service_address(service: &Value, _: Timestamp) -> Value {
    let mut addresses = ingress_points(service);
    addresses.extend(texts(&service["spec"]["externalIPs"]));
    json!(match (text(&service["spec"]["type"]), addresses.is_empty()) {
        ("ExternalName", _) => text(&service["spec"]["externalName"]).to_string(),
        ("LoadBalancer", true) => "<pending>".into(),
        (_, true) => "<none>".into(),
        (_, false) => addresses.join(","),
    })
}

fn service_ports(service: &Value, _: Timestamp) -> Value {
    let ports: Vec<String> = service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|p| {
            let node = p["nodePort"].as_u64().map(|n| format!(":{n}")).unwrap_or_default();
            format!("{}{node}/{}", p["port"], p["protocol"].as_str().unwrap_or("TCP"))
        })
        .collect();
    json!(if ports.is_empty() { "<none>".to_string() } else { ports.join(",") })
}

fn endpoints(object: &Value, _: Timestamp) -> Value {
    let mut found = Vec::new();
    for subset in object["subsets"].as_array().into_iter().flatten() {
        for address in subset["addresses"].as_array().into_iter().flatten() {
            for port in subset["ports"].as_array().into_iter().flatten() {
                found.push(format!("{}:{}", text(&address["ip"]), port["port"]));
            }
        }
    }
    let more = found.len().saturating_sub(3);
    found.truncate(3);
    json!(match (found.is_empty(), more) {
        (true, _) => "<none>".to_string(),
        (false, 0) => found.join(","),
        (false, more) => format!("{} + {more} more...", found.join(",")),
    })
}

fn data_size(object: &Value, _: Timestamp) -> Value {
    let members = |field: &str| object[field].as_object().map_or(0, serde_json::Map::len);
    json!(members("data") + members("binaryData"))
}

fn access_modes(modes: &Value) -> Value {
    let short = |mode: &str| match mode {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "?",
    };
    json!(texts(modes).into_iter().map(short).collect::<Vec<_>>().join(","))
}

fn volume_claim(volume: &Value, _: Timestamp) -> Value {
    let claim = &volume["spec"]["claimRef"];
    json!(if claim.is_object() {
        format!("{}/{}", text(&claim["namespace"]), text(&claim["name"]))
    } else {
        String::new()
    })
}

fn claim_status(claim: &Value, _: Timestamp) -> Value {
    if claim["metadata"]["deletionTimestamp"].is_string() {
        return json!("Terminating");
    }
    json!(text(&claim["status"]["phase"]))
}

fn event_last_seen(event: &Value, now: Timestamp) -> Value {
    let at = [&event["series"]["lastObservedTime"], &event["lastTimestamp"], &event["eventTime"]];
    let at = at.into_iter().find(|t| t.is_string()).unwrap_or(&event["metadata"]["creationTimestamp"]);
    json!(since(at, now))
}

fn event_object(event: &Value, _: Timestamp) -> Value {
    let object = &event["involvedObject"];
    json!(format!("{}/{}", text(&object["kind"]).to_ascii_lowercase(), text(&object["name"])))
}

fn containers(object: &Value, field: &str) -> Value {
    let containers = object["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    json!(containers.map(|c| text(&c[field])).collect::<Vec<_>>().join(","))
}

fn job_status(job: &Value, _: Timestamp) -> Value {
    let is = |kind| condition(job, kind).is_some_and(|c| c["status"] == "True");
    json!(match (is("Complete"), is("Failed"), is("Suspended")) {
        (true, _, _) => "Complete",
        (_, true, _) => "Failed",
        _ if job["metadata"]["deletionTimestamp"].is_string() => "Terminating",
        (_, _, true) => "Suspended",
        _ => "Running",
    })
}

fn job_duration(job: &Value, now: Timestamp) -> Value {
    let Some(start) = job["status"]["startTime"].as_str() else { return json!("") };
    let end = job["status"]["completionTime"].as_str().and_then(|t| t.parse().ok()).unwrap_or(now);
    json!(since(&json!(start), end))
}

fn ingress_hosts(ingress: &Value, _: Timestamp) -> Value {
    let rules = ingress["spec"]["rules"].as_array().into_iter().flatten();
    let hosts: Vec<&str> = rules.filter_map(|r| r["host"].as_str()).collect();
    json!(if hosts.is_empty() { "*".to_string() } else { hosts.join(",") })
}

fn api_service(service: &Value, _: Timestamp) -> Value {
    let backend = &service["spec"]["service"];
    json!(match backend {
        Value::Object(_) => format!("{}/{}", text(&backend["namespace"]), text(&backend["name"])),
        _ => "Local".into(),
    })
}

fn api_available(service: &Value, _: Timestamp) -> Value {
    let Some(available) = condition(service, "Available") else { return json!("Unknown") };
    json!(match (text(&available["status"]), text(&available["reason"])) {
        ("True", _) => "True".to_string(),
        (status, reason) => format!("{status} ({reason})"),
    })
}

fn machine_owner(machine: &Value, _: Timestamp) -> Value {
    let owners = machine["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    json!(owners.into_iter().find(|o| o["kind"] == "Machine").map_or("", |o| text(&o["name"])))
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::*;

    fn cells(plural: &str, object: Value) -> Vec<Value> {
        let kind = KINDS.iter().find(|k| k.plural == plural).unwrap();
        let now = "2026-01-02T00:00:00Z".parse().unwrap();
        let table = table(kind, [&object].into_iter(), json!({}), Include::Nothing, true, now);
        table["rows"][0]["cells"].as_array().unwrap().clone()
    }

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        let shown = [45, 119, 192, 600, 7200, 12_000, 28_800, 90_000, 180_000, 864_000, 70_000_000].map(age);
        assert_eq!(shown, ["45s", "119s", "3m12s", "10m", "120m", "3h20m", "8h", "25h", "2d2h", "10d", "2y80d"]);
    }

    #[test]
    fn a_node_shows_readiness_roles_and_version() {
        let node = json!({
            "metadata": {
                "name": "cp1", "creationTimestamp": "2026-01-01T23:59:00Z",
                "labels": {"node-role.kubernetes.io/control-plane": ""}
            },
            "spec": {"unschedulable": true},
            "status": {
                "conditions": [{"type": "Ready", "status": "False"}],
                "nodeInfo": {"kubeletVersion": "v1.33.3"}
            }
        });
        assert_eq!(
            cells("nodes", node)[..5],
            ["cp1", "NotReady,SchedulingDisabled", "control-plane", "60s", "v1.33.3"].map(Value::from)
        );
    }

    #[test]
    fn a_pod_that_waits_shows_why() {
        let waiting = json!({
            "metadata": {"name": "p", "creationTimestamp": "2026-01-01T23:59:00Z"},
            "spec": {"containers": [{}, {}]},
            "status": {"phase": "Running", "containerStatuses": [
                {"ready": true, "restartCount": 1, "state": {"running": {}}},
                {"ready": false, "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
            ]}
        });
        assert_eq!(cells("pods", waiting)[..4], ["p", "1/2", "CrashLoopBackOff", "5"].map(Value::from));
        let initialising = json!({
            "metadata": {"name": "p"}, "spec": {"containers": [{}], "initContainers": [{}, {}]},
            "status": {"phase": "Pending", "initContainerStatuses": [
                {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}, {"state": {"running": {}}}
            ]}
        });
        assert_eq!(cells("pods", initialising)[2], "Init:1/2");
    }

    #[test]
    fn a_release_shows_age_readiness_and_message() {
        let release = json!({
            "metadata": {"name": "cilium", "creationTimestamp": "2026-01-01T23:58:30Z"},
            "status": {"conditions": [{"type": "Ready", "status": "False", "message": "dependency not ready"}]}
        });
        assert_eq!(cells("helmreleases", release), ["cilium", "90s", "False", "dependency not ready"].map(Value::from));
    }
}
