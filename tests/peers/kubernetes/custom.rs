//! Custom resources, with the definitions of `assets/lab/definitions`.
use super::cluster::{Cluster, MERGE, STRATEGIC, text};
use crate::definitions;
use cozyup::kubernetes::Kind;
use reqwest::Method;
use serde_json::{Value, json};

fn pool(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": {"name": name}, "spec": spec})
}

async fn pools(cluster: &Cluster, namespace: &str) -> String {
    cluster.namespace(namespace).await;
    format!("/apis/metallb.io/v1beta1/namespaces/{namespace}/ipaddresspools")
}

pub async fn every_kind_that_cozyup_touches_is_served(cluster: &Cluster) {
    for kind in Kind::ALL {
        let answer = cluster.reader.list(kind, None, None).await;
        assert!(answer.is_ok(), "{}: {}", kind.resource(), answer.unwrap_err());
    }
    for definition in definitions::all() {
        let name = text(&definition, "/metadata/name");
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        let made = cluster.get(&path).await.ok();
        let conditions = made["status"]["conditions"].as_array().unwrap();
        let is = |kind: &str| conditions.iter().any(|c| c["type"] == kind && c["status"] == "True");
        assert!(is("Established") && is("NamesAccepted") && !is("NonStructuralSchema"), "{name}: {conditions:?}");
        let (group, version) = (text(&made, "/spec/group"), text(&made, "/spec/versions/0/name"));
        let plural = text(&made, "/spec/names/plural");
        assert!(cluster.get(&format!("/apis/{group}/{version}/{plural}")).await.code.is_success(), "{name}");
    }
}

pub async fn a_release_has_generations_and_a_status_of_its_own(cluster: &Cluster) {
    let namespace = cluster.namespace("custom-release").await;
    let path = format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases");
    let chart = json!({"spec": {"chart": "x", "sourceRef": {"kind": "HelmRepository", "name": "none"}}});
    let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "r"},
        "spec": {"interval": "5m", "chart": chart, "values": {"any": {"thing": [1, 2]}}, "suspend": true}});
    let made = cluster.post(&path, release).await.ok();
    assert_eq!(
        (&made["metadata"]["generation"], &made["spec"]["values"]),
        (&json!(1), &json!({"any": {"thing": [1, 2]}}))
    );
    let path = format!("{path}/r");
    let status = json!({"spec": {"interval": "9m"}, "status": {"observedGeneration": 1, "conditions": [
        {"type": "Ready", "status": "False", "reason": "InstallFailed", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let changed = cluster.patch(&format!("{path}/status"), MERGE, status).await.ok();
    assert_eq!(
        json!([
            changed["metadata"]["generation"],
            changed["spec"]["interval"],
            changed["status"]["observedGeneration"]
        ]),
        json!([1, "5m", 1])
    );
    let changed = cluster.patch(&path, MERGE, json!({"metadata": {"labels": {"a": "b"}}})).await.ok();
    assert_eq!(changed["metadata"]["generation"], 1, "labels are no change of what is wanted");
    let patch = json!({"spec": {"values": {"any": {"thing": [3]}}}, "status": {"observedGeneration": 7}});
    let changed = cluster.patch(&path, MERGE, patch).await.ok();
    assert_eq!((&changed["metadata"]["generation"], &changed["status"]["observedGeneration"]), (&json!(2), &json!(1)));
}

pub async fn unknown_fields_are_dropped_with_a_warning(cluster: &Cluster) {
    let path = pools(cluster, "custom-unknown").await;
    let said = cluster.post(&path, pool("a", json!({"addresses": [], "foo": 1}))).await;
    assert_eq!(said.headers["warning"], "299 - \"unknown field \\\"spec.foo\\\"\"");
    let defaults = json!({"addresses": [], "autoAssign": true, "avoidBuggyIPs": false});
    assert_eq!(said.ok()["spec"], defaults, "defaults of the definition are filled in");
    let strict = format!("{path}?fieldValidation=Strict");
    let said = cluster.post(&strict, pool("b", json!({"addresses": [], "foo": 1}))).await;
    let message = "IPAddressPool in version \"v1beta1\" cannot be handled as a IPAddressPool: strict decoding error: \
                   unknown field \"spec.foo\"";
    assert_eq!(said.refusal(), (400, "BadRequest", message));
}

pub async fn shapes_are_checked(cluster: &Cluster) {
    let path = pools(cluster, "custom-shapes").await;
    let said = cluster.post(&path, pool("a", json!({"addresses": "x"}))).await;
    let message = "IPAddressPool.metallb.io \"a\" is invalid: spec.addresses: Invalid value: \"string\": spec.addresses \
                   in body must be of type array: \"string\"";
    assert_eq!(said.refusal(), (422, "Invalid", message));
    let said = cluster.post(&path, pool("a", json!({}))).await;
    let message = "IPAddressPool.metallb.io \"a\" is invalid: spec.addresses: Required value";
    assert_eq!(said.refusal(), (422, "Invalid", message));
    let cause = json!({"reason": "FieldValueRequired", "message": "Required value", "field": "spec.addresses"});
    let details = json!({"name": "a", "group": "metallb.io", "kind": "IPAddressPool", "causes": [cause]});
    assert_eq!(said.body["details"], details);
    let untyped = json!({"metadata": {"name": "a"}, "spec": {"addresses": []}});
    let said = cluster.post(&path, untyped).await;
    let (code, _, message) = said.refusal();
    let start = "the object provided is unrecognized (must be of type IPAddressPool): Object 'Kind' is missing in '";
    assert!(code == 400 && message.starts_with(start), "{message}");
    let mut other = pool("a", json!({"addresses": []}));
    other["apiVersion"] = json!("metallb.io/v1");
    let message = "the API version in the data (metallb.io/v1) does not match the expected API version \
                   (metallb.io/v1beta1)";
    assert_eq!(cluster.post(&path, other).await.refusal(), (400, "BadRequest", message));
}

pub async fn a_custom_resource_is_updated_only_with_its_version(cluster: &Cluster) {
    let path = pools(cluster, "custom-update").await;
    cluster.post(&path, pool("a", json!({"addresses": []}))).await.ok();
    let said = cluster.put(&format!("{path}/a"), pool("a", json!({"addresses": ["x"]}))).await;
    let message = "ipaddresspools.metallb.io \"a\" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be \
                   specified for an update";
    assert_eq!(said.refusal(), (422, "Invalid", message));
    let mut object = cluster.get(&format!("{path}/a")).await.ok();
    object["spec"]["addresses"] = json!(["x"]);
    let done = cluster.put(&format!("{path}/a"), object).await.ok();
    assert_eq!((&done["metadata"]["generation"], &done["spec"]["addresses"]), (&json!(2), &json!(["x"])));
    let list = cluster.get(&path).await.ok();
    assert_eq!(json!([list["kind"], list["items"][0]["kind"]]), json!(["IPAddressPoolList", "IPAddressPool"]));
    let said = cluster.get(&format!("{path}?fieldSelector=spec.x%3Dy")).await;
    assert_eq!(said.refusal(), (400, "BadRequest", "field label not supported: spec.x"));
}

pub async fn a_custom_resource_has_no_strategic_patch(cluster: &Cluster) {
    let path = pools(cluster, "custom-patch").await;
    cluster.post(&path, pool("a", json!({"addresses": []}))).await.ok();
    let said = cluster.patch(&format!("{path}/a"), STRATEGIC, json!({"metadata": {"labels": {"a": "b"}}})).await;
    let message = "the body of the request was in an unknown format - accepted media types include: \
                   application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
    assert_eq!(said.refusal(), (415, "UnsupportedMediaType", message));
}

fn definition(kind: &str, group: &str) -> Value {
    let lower = kind.to_lowercase();
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{lower}s.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": format!("{lower}s")},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}})
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

pub async fn a_definition_takes_its_objects_along(cluster: &Cluster) {
    let namespace = cluster.namespace("custom-definition").await;
    let made = cluster.post(DEFINITIONS, definition("Gadget", "suite.example")).await.ok();
    assert_eq!(
        json!([made["spec"]["conversion"], made["spec"]["names"]["singular"], made["spec"]["names"]["listKind"]]),
        json!([{"strategy": "None"}, "gadget", "GadgetList"])
    );
    let path = format!("/apis/suite.example/v1/namespaces/{namespace}/gadgets");
    let gadget =
        json!({"apiVersion": "suite.example/v1", "kind": "Gadget", "metadata": {"name": "g"}, "any": {"x": 1}});
    cluster
        .eventually("the new kind is served", async || cluster.post(&path, gadget.clone()).await.code.as_u16() == 201)
        .await;
    let made = cluster.get(&format!("{path}/g")).await.ok();
    assert_eq!(json!([made["any"], made["metadata"]["generation"]]), json!([{"x": 1}, 1]));
    assert_eq!(cluster.get(&format!("{path}/g/status")).await.code.as_u16(), 404, "it has no status of its own");
    let gone = cluster.delete(&format!("{DEFINITIONS}/gadgets.suite.example"), Value::Null).await.ok();
    assert_eq!(gone["kind"], "CustomResourceDefinition");
    cluster.eventually("the kind is gone", async || cluster.get(&path).await.code.as_u16() == 404).await;
    cluster
        .eventually("the definition can come again", async || {
            cluster.post(DEFINITIONS, definition("Gadget", "suite.example")).await.code.as_u16() == 201
        })
        .await;
    cluster.eventually("it is served again", async || cluster.get(&path).await.code.is_success()).await;
    assert_eq!(cluster.get(&path).await.ok()["items"], json!([]), "its objects went with it");
}

pub async fn a_definition_that_is_none_is_refused(cluster: &Cluster) {
    let mut wrong = definition("Bad", "suite.example");
    wrong["metadata"]["name"] = json!("bad.suite.example");
    wrong["spec"]["versions"] = json!([{"name": "v1", "served": true, "storage": true}]);
    let said = cluster.post(DEFINITIONS, wrong).await;
    let message = "CustomResourceDefinition.apiextensions.k8s.io \"bad.suite.example\" is invalid: [metadata.name: Invalid \
                   value: \"bad.suite.example\": must be spec.names.plural+\".\"+spec.group, \
                   spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required]";
    assert_eq!(said.refusal(), (422, "Invalid", message));
}

/// Shapes that steps and add-ons apply, as strictly as a server can take them.
pub async fn what_our_steps_write_is_taken_strictly(cluster: &Cluster) {
    let namespace = cluster.namespace("custom-steps").await;
    let release = json!({"spec": {"interval": "5m", "timeout": "10m", "releaseName": "x", "targetNamespace": namespace,
        "chartRef": {"kind": "OCIRepository", "name": "x", "namespace": namespace},
        "dependsOn": [{"name": "a", "namespace": "b"}],
        "install": {"crds": "CreateReplace", "remediation": {"retries": -1}},
        "upgrade": {"crds": "CreateReplace", "remediation": {"retries": -1}},
        "valuesFrom": [{"kind": "Secret", "name": "s", "valuesKey": "values.yaml"}], "suspend": true}});
    let satellites = json!({"spec": {"nodeSelector": {"a": "b"}, "storagePools": [
        {"name": "data", "zfsPool": {"zPool": "data"}, "source": {"hostDevices": ["/dev/sdb"]}}]}});
    let provider = json!({"spec": {"version": "v0.7.4", "configSecret": {"name": "s"},
        "fetchConfig": {"selector": {"matchLabels": {"a": "b"}}}}});
    for (kind, name, body) in [
        (Kind::HELM_RELEASE, "r", release),
        (
            Kind::HELM_REPOSITORY,
            "r",
            json!({"spec": {"url": "oci://registry.example/charts", "type": "oci", "interval": "5m"}}),
        ),
        (Kind::IP_ADDRESS_POOL, "p", json!({"spec": {"addresses": ["10.0.0.210-10.0.0.220"], "autoAssign": true}})),
        (Kind::L2_ADVERTISEMENT, "l", json!({"spec": {"ipAddressPools": ["p"]}})),
        (Kind::LINSTOR_SATELLITE_CONFIGURATION, "custom-steps", satellites),
        (Kind::INFRASTRUCTURE_PROVIDER, "proxmox", provider),
        (
            Kind::IPAM_PROVIDER,
            "in-cluster",
            json!({"spec": {"version": "v1.0.2", "fetchConfig": {"url": "https://x"}}}),
        ),
        (Kind::TENANT, "root", json!({"spec": {"host": "x", "etcd": true, "ingress": true, "isolated": true}})),
    ] {
        let place = if kind.namespaced { format!("namespaces/{namespace}/") } else { String::new() };
        let path = format!("/apis/{}/{place}{}?fieldValidation=Strict", kind.api_version(), kind.plural);
        let mut object = body.clone();
        object["apiVersion"] = json!(kind.api_version());
        object["kind"] = json!(kind.kind);
        object["metadata"] = json!({"name": format!("{name}-raw")});
        cluster.send(Method::POST, &path, &[], object).await.ok();
        let answer = cluster.changer.apply(&kind, Some(&namespace), name, body).await;
        assert!(answer.is_ok(), "{}: {}", kind.resource(), answer.unwrap_err());
    }
}
