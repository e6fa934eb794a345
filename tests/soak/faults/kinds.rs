//! The rows of the matrix: what can go wrong, by API, and where in a run.

pub struct Fault {
    pub kind: &'static str,
    /// In the form of a scenario's `disturbances`, without `api` and `match`.
    pub yaml: &'static str,
}

pub struct Place {
    pub place: &'static str,
    pub found: &'static str,
}

pub struct Api {
    pub name: &'static str,
    /// Last day that speaks to it.
    pub until: &'static str,
    pub faults: Vec<Fault>,
    pub places: Vec<Place>,
    /// Faults of single calls, each with its own place.
    pub special: Vec<(Fault, Place)>,
}

fn fault(kind: &'static str, yaml: &'static str) -> Fault {
    Fault { kind, yaml }
}

fn place(place: &'static str, found: &'static str) -> Place {
    Place { place, found }
}

/// Those of the connection and the body: the same for every API.
fn of_the_line() -> Vec<Fault> {
    vec![
        fault("refused", "kind: refused, for_s: 45"),
        fault("flaps", "kind: flaps, every_s: 10, for_s: 55"),
        fault("reset", "kind: reset, times: 6"),
        fault("reset in mid-body", "kind: cut, times: 3"),
        fault("answer lost", "kind: cut, times: 1, done: true"),
        fault("truncated", "kind: truncated, times: 3"),
        fault("garbage", "kind: garbage, times: 3"),
        fault("trickle", "kind: trickle, times: 1"),
        fault("silent", "kind: silent, times: 1"),
        fault("other certificate", "kind: certificate, times: 6"),
    ]
}

pub fn all() -> Vec<Api> {
    vec![proxmox(), talos(), kubernetes(), web()]
}

fn places_of_proxmox() -> Vec<Place> {
    vec![
        place("day 0, version", "GET /api2/json/version"),
        place("day 1, image upload", "/storage/local/upload"),
        place("day 1, import", "POST /api2/json/nodes/pve/qemu$"),
        place("day 1, clone", "/qemu/9100/clone"),
        place("day 1, read vm", "GET /api2/json/nodes/pve/qemu/1003/config"),
        place("day 1, start", "/qemu/1002/status/start"),
        place("day 4, token", "/access/users/"),
        place("day 6, vm", "GET /api2/json/nodes/pve/qemu/9500/config"),
    ]
}

fn proxmox() -> Api {
    let mut faults = of_the_line();
    faults.extend([
        fault("401", "kind: answer, code: 401, text: Authentication failed!, for_s: 45"),
        fault("401 expired", "kind: answer, code: 401, text: \"token 'installer' access expired\", for_s: 45"),
        fault("403", "kind: answer, code: 403, text: 'Permission check failed (/vms/1002, VM.Audit)', for_s: 45"),
        fault("404", "kind: answer, code: 404, text: Not Found, body: '<html>404</html>', for_s: 45"),
        fault("429", "kind: answer, code: 429, text: Too Many Requests, for_s: 45"),
        fault("500", "kind: answer, code: 500, text: 'got no worker upid - start worker failed', for_s: 45"),
        fault("595", "kind: answer, code: 595, text: No route to host, for_s: 45"),
        fault("596", "kind: answer, code: 596, text: Connection timed out, for_s: 45"),
        fault("596, done", "kind: answer, code: 596, text: Connection timed out, done: true, times: 2"),
        fault("599", "kind: answer, code: 599, text: Too many redirections, for_s: 45"),
    ]);
    let clones = "qmclone%3A9100%3Acozyup%40pve%21installer%3A/status";
    let import = "qmcreate%3A9100%3Acozyup%40pve%21installer%3A/status";
    let upload = "imgcopy%3A%3Acozyup%40pve%21installer%3A/status";
    let gone = "kind: answer, code: 400, text: Parameter verification failed., \
                body: '{\"data\":null,\"errors\":{\"upid\":\"no such task\"}}', for_s: 60";
    let unexpected = "kind: answer, code: 200, body: '{\"data\":{\"status\":\"stopped\",\"exitstatus\":\"unexpected status\"}}', times: 2";
    let warnings =
        "kind: answer, code: 200, body: '{\"data\":{\"status\":\"stopped\",\"exitstatus\":\"WARNINGS: 2\"}}', times: 2";
    let unread = "kind: answer, code: 595, text: No route to host, for_s: 120";
    let mut special = Vec::new();
    for (tasks, found) in
        [("day 1, upload task", upload), ("day 1, import task", import), ("day 1, clone tasks", clones)]
    {
        special.push((fault("task vanishes", gone), place(tasks, found)));
        special.push((fault("task ends unexpectedly", unexpected), place(tasks, found)));
        special.push((fault("task ends in warnings", warnings), place(tasks, found)));
        special.push((fault("task unread for long", unread), place(tasks, found)));
    }
    // Every call that changes something, carried out while nobody hears of it.
    for (changes, found) in [
        ("day 1, template", "POST /api2/json/nodes/pve/qemu/9100/template"),
        ("day 1, configure", "POST /api2/json/nodes/pve/qemu/1001/config"),
        ("day 1, resize", "PUT /api2/json/nodes/pve/qemu/1002/resize"),
        ("day 4, role", "POST /api2/json/access/roles"),
        ("day 4, user", "POST /api2/json/access/users$"),
        ("day 4, rights", "PUT /api2/json/access/acl"),
        ("day 4, new token", "POST /api2/json/access/users/kubernetes-csi"),
    ] {
        special.push((fault("change unheard", "kind: cut, times: 1, done: true"), place(changes, found)));
        special.push((
            fault("change outlasts 30 s", "kind: answer, code: 596, text: Connection timed out, done: true, times: 1"),
            place(changes, found),
        ));
    }
    Api { name: "proxmox", until: "6", faults, places: places_of_proxmox(), special }
}

fn talos() -> Api {
    let mut faults = of_the_line();
    faults.extend([
        fault("UNAVAILABLE", "kind: answer, code: 14, text: 'error reading server preface: EOF', for_s: 45"),
        fault("DEADLINE_EXCEEDED", "kind: answer, code: 4, text: context deadline exceeded, for_s: 45"),
        fault("UNAUTHENTICATED", "kind: answer, code: 16, text: not authenticated, for_s: 45"),
        fault("PERMISSION_DENIED", "kind: answer, code: 7, text: not authorized, for_s: 45"),
        fault("NOT_FOUND", "kind: answer, code: 5, text: \"resource doesn't exist\", for_s: 45"),
        fault("RESOURCE_EXHAUSTED", "kind: answer, code: 8, text: too many requests, for_s: 45"),
        fault("INTERNAL", "kind: answer, code: 13, text: 'stream terminated by RST_STREAM', for_s: 45"),
        fault("UNKNOWN", "kind: answer, code: 2, text: 'rpc error: no leader', for_s: 45"),
    ]);
    Api {
        name: "talos",
        until: "2",
        faults,
        places: vec![
            place("day 1, reach", "/cosi.resource.State/"),
            place("day 2, apply", "ApplyConfiguration"),
            place("day 2, services", "ServiceList"),
            place("day 2, bootstrap", "/Bootstrap"),
            place("day 2, members", "EtcdMemberList"),
        ],
        special: vec![(
            fault("watch cut", "kind: cut, times: 4"),
            place("day 2, services", "/cosi.resource.State/Watch"),
        )],
    }
}

const WEBHOOK_REFUSES: &str = "kind: answer, code: 403, text: 'admission webhook \"validation.proxmoxcluster\" denied the \
                               request: no addresses', for_s: 45";
const WEBHOOK_SILENT: &str = "kind: answer, code: 500, text: 'Internal error occurred: failed calling webhook \
                              \"validation.proxmoxcluster\": connect: connection refused', for_s: 45";

fn places_of_kubernetes() -> Vec<Place> {
    vec![
        place("day 2, version", "GET /version"),
        place("day 2, nodes", "GET /api/v1/nodes"),
        place("day 3, apply", "PATCH /api/v1/namespaces/cozy-system/configmaps"),
        place("day 3, releases", "GET /apis/helm.toolkit.fluxcd.io/v2/helmreleases"),
        place("day 4, apply", "PATCH /apis/storage.k8s.io"),
        place("day 5, pod", "/pods/"),
        place("day 5, cleanup", "DELETE /"),
        place("day 6, apply", "PATCH /apis/cluster.x-k8s.io/v1beta1/namespaces/cozyup-vms/clusters"),
        place("day 6, removal", "DELETE /apis/cluster.x-k8s.io/v1beta1/namespaces/cozyup-vms/clusters"),
        place("day 6, workers", "/namespaces/cozyup-workers/machinedeployments"),
        place("day 7, claim", "PATCH /api/v1/namespaces/cozyup-storage/persistentvolumeclaims"),
        place("day 7, move", "DELETE /api/v1/namespaces/cozyup-storage/pods"),
        place("day 7, cleanup", "DELETE /api/v1/namespaces/cozyup-storage$"),
    ]
}

fn kubernetes() -> Api {
    let mut faults = of_the_line();
    faults.extend([
        fault("401", "kind: answer, code: 401, text: Unauthorized, for_s: 45"),
        fault("403", "kind: answer, code: 403, text: 'User \"admin\" cannot do this', for_s: 45"),
        fault("404", "kind: answer, code: 404, text: the server could not find the requested resource, for_s: 45"),
        fault("404 of a proxy", "kind: answer, code: 404, body: '<html>404</html>', for_s: 45"),
        fault(
            "409",
            "kind: answer, code: 409, text: 'Operation cannot be fulfilled: the object has been modified', for_s: 45",
        ),
        fault("410", "kind: answer, code: 410, text: The resource version is too old, for_s: 45"),
        fault("429", "kind: answer, code: 429, text: too many requests, for_s: 45"),
        fault("500", "kind: answer, code: 500, text: 'etcdserver: leader changed', for_s: 45"),
        fault("503", "kind: answer, code: 503, text: apiserver is shutting down, for_s: 45"),
        fault("504", "kind: answer, code: 504, text: request did not complete within requested timeout, for_s: 45"),
    ]);
    let gone = "kind: answer, code: 200, times: 12, body: '{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\
                \"metadata\":{},\"status\":\"Failure\",\"message\":\"too old resource version: 1 (2)\",\"reason\":\"Expired\",\"code\":410}}\n'";
    Api {
        name: "kubernetes",
        until: "10",
        faults,
        places: places_of_kubernetes(),
        special: vec![
            (
                fault("webhook refuses", WEBHOOK_REFUSES),
                place("day 6, apply", "PATCH /apis/infrastructure.cluster.x-k8s.io"),
            ),
            (
                fault("webhook silent", WEBHOOK_SILENT),
                place("day 6, apply", "PATCH /apis/infrastructure.cluster.x-k8s.io"),
            ),
            (fault("watch ends with 410", gone), place("day 3, releases", "helmreleases?watch")),
            (fault("watch cut", "kind: cut, times: 12"), place("day 3, releases", "helmreleases?watch")),
            (fault("watch trickles", "kind: trickle, times: 2"), place("day 3, releases", "helmreleases?watch")),
        ],
    }
}

fn web() -> Api {
    let mut faults = of_the_line();
    faults.retain(|f| f.kind != "other certificate" && f.kind != "answer lost");
    faults.extend([
        fault("401", "kind: answer, code: 401, text: Unauthorized, for_s: 45"),
        fault("403", "kind: answer, code: 403, text: rate limit exceeded, for_s: 45"),
        fault("404", "kind: answer, code: 404, text: Not Found, for_s: 45"),
        fault("429", "kind: answer, code: 429, text: Too Many Requests, for_s: 45"),
        fault("500", "kind: answer, code: 500, text: oops, for_s: 45"),
        fault("503", "kind: answer, code: 503, text: maintenance, for_s: 45"),
    ]);
    Api {
        name: "web",
        until: "3",
        faults,
        places: vec![
            place("day 0, image head", "HEAD /nocloud"),
            place("day 1, image", "GET /nocloud"),
            place("day 3, manifest", "GET /cozystack-installer"),
        ],
        special: Vec::new(),
    }
}
