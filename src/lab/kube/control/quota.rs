//! ResourceQuota and LimitRange: what a new pod or claim may ask for, and what a namespace uses.
//!
//! Of the resources CPU, memory, ephemeral storage and the size of claims are counted; counts of objects are not.
use super::objects::{items, text};
use crate::kube::store::{Key, Resource, Store};
use crate::world::World;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

type Amounts = BTreeMap<String, f64>;

/// A quantity in units of one: `250m` is 0.25, `1Gi` 1073741824.
pub fn amount(quantity: &str) -> f64 {
    const UNITS: [(&str, f64); 11] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("m", 0.001),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((quantity.strip_suffix(unit)?, *factor)));
    let (number, factor) = unit.unwrap_or((quantity, 1.0));
    number.parse::<f64>().unwrap_or_default() * factor
}

/// The amount as the API writes it: thousandths of CPU, and bytes in the largest unit that leaves none over.
pub fn told(resource: &str, amount: f64) -> String {
    let is_cpu = resource.rsplit('.').next() == Some("cpu");
    let (whole, units) = if is_cpu {
        let thousandths = (amount * 1000.0).round() as u64;
        return if thousandths.is_multiple_of(1000) {
            (thousandths / 1000).to_string()
        } else {
            format!("{thousandths}m")
        };
    } else {
        (amount.round() as u64, [("Gi", 1_u64 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)])
    };
    let unit = units.iter().find(|(_, size)| whole > 0 && whole.is_multiple_of(*size));
    unit.map_or_else(|| whole.to_string(), |(unit, size)| format!("{}{unit}", whole / size))
}

fn quantity(value: &Value) -> Option<f64> {
    value.as_str().map(amount).or_else(|| value.as_f64())
}

fn list<'a>(store: &'a Store, plural: &str, namespace: &'a str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let resource = Resource::new("", plural);
    store.list(&resource, Some(namespace)).map(|(_, object)| object).collect::<Vec<_>>().into_iter()
}

/// Fills in what containers leave out: a request from the limit, then both from the namespace's LimitRanges.
fn limited(pod: &mut Value, store: &Store, namespace: &str) {
    let ranges: Vec<Value> = list(store, "limitranges", namespace).cloned().collect();
    let containers = pod.pointer_mut("/spec/containers").and_then(Value::as_array_mut).into_iter().flatten();
    for container in containers {
        let mut resources = container["resources"].as_object().cloned().unwrap_or_default();
        let mut fill = |part: &str, from: &Value| {
            let own = resources.entry(part).or_insert_with(|| json!({}));
            let Some(own) = own.as_object_mut() else { return };
            for (name, value) in from.as_object().into_iter().flatten() {
                own.entry(name.clone()).or_insert_with(|| value.clone());
            }
        };
        fill("requests", &container["resources"]["limits"]);
        for limit in ranges.iter().flat_map(|r| items(r, "/spec/limits")).filter(|l| l["type"] == "Container") {
            fill("limits", &limit["default"]);
            fill("requests", &limit["defaultRequest"]);
        }
        if !ranges.is_empty() {
            container["resources"] = Value::Object(resources);
        }
    }
}

fn of_pod(pod: &Value) -> Amounts {
    let mut sum = Amounts::new();
    for container in items(pod, "/spec/containers") {
        for part in ["requests", "limits"] {
            for (name, value) in container["resources"][part].as_object().into_iter().flatten() {
                *sum.entry(format!("{part}.{name}")).or_default() += quantity(value).unwrap_or_default();
            }
        }
    }
    sum
}

fn of_claim(claim: &Value) -> Amounts {
    let size = quantity(&claim["spec"]["resources"]["requests"]["storage"]).unwrap_or_default();
    Amounts::from([("requests.storage".to_string(), size)])
}

fn used(store: &Store, namespace: &str) -> Amounts {
    let counts = |pod: &&Value| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    let pods = list(store, "pods", namespace).filter(counts).map(of_pod);
    let claims = list(store, "persistentvolumeclaims", namespace).map(of_claim);
    let mut sum = Amounts::new();
    pods.chain(claims).flatten().for_each(|(name, value)| *sum.entry(name).or_default() += value);
    sum
}

/// `limits.memory=64Gi,…`
fn listed(names: &[&String], amounts: &Amounts) -> String {
    let one = |name: &&String| format!("{name}={}", told(name, amounts.get(*name).copied().unwrap_or_default()));
    names.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The refusal of a new object that asks for this much.
fn refused(store: &Store, namespace: &str, plural: &str, name: &str, asked: &Amounts) -> Option<String> {
    for quota in list(store, "resourcequotas", namespace) {
        let hard = quota["spec"]["hard"].as_object().into_iter().flatten();
        let hard: Amounts = hard.filter_map(|(name, value)| Some((name.clone(), quantity(value)?))).collect();
        let used = used(store, namespace);
        let over = |(name, most): &(&String, &f64)| {
            let more = asked.get(*name).copied().unwrap_or_default();
            more > 0.0 && used.get(*name).copied().unwrap_or_default() + more > **most + 1e-9
        };
        let over: Vec<&String> = hard.iter().filter(over).map(|(name, _)| name).collect();
        if !over.is_empty() {
            return Some(format!(
                "{plural} \"{name}\" is forbidden: exceeded quota: {}, requested: {}, used: {}, limited: {}",
                text(quota, "/metadata/name"),
                listed(&over, asked),
                listed(&over, &used),
                listed(&over, &hard)
            ));
        }
    }
    None
}

/// Admits a new pod or claim, with the limits of its namespace filled in.
///
/// # Errors
/// The API server's words.
pub fn admit(store: &Store, key: &Key, object: &mut Value) -> Result<(), String> {
    let plural = key.resource.plural.as_str();
    let asked = match (key.resource.group.as_str(), plural) {
        ("", "pods") => {
            limited(object, store, &key.namespace);
            of_pod(object)
        }
        ("", "persistentvolumeclaims") => of_claim(object),
        _ => return Ok(()),
    };
    refused(store, &key.namespace, plural, &key.name, &asked).map_or(Ok(()), Err)
}

/// [`admit`] for a controller of the world.
pub fn admit_to(world: &World, key: &Key, object: &mut Value) -> Result<(), String> {
    world.cluster.as_ref().map_or(Ok(()), |cluster| admit(&cluster.store, key, object))
}

/// Counts anew what the namespace uses.
pub fn review(world: &mut World, namespace: &str) {
    let quotas = world.objects("", "resourcequotas", Some(namespace));
    let Some(cluster) = world.cluster.as_ref().filter(|_| !quotas.is_empty()) else { return };
    let sum = used(&cluster.store, namespace);
    for (key, quota) in quotas {
        let hard = quota["spec"]["hard"].clone();
        let names = hard.as_object().into_iter().flatten().map(|(name, _)| name);
        let used: Map<String, Value> =
            names.map(|name| (name.clone(), json!(told(name, sum.get(name).copied().unwrap_or_default())))).collect();
        world.change_object(&key, |q| q["status"] = json!({"hard": hard, "used": used}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn a_pod_beyond_the_quota_is_refused_in_the_words_of_the_api_and_one_within_it_gets_the_limits() {
        let mut store = Store::new(1);
        let quota = json!({"spec": {"hard": {"limits.cpu": "2", "limits.memory": "1Gi"}}});
        store.put(Key::new("", "resourcequotas", "a", "tenant-quota"), quota, Timestamp::UNIX_EPOCH);
        let range = json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "250m", "memory": "128Mi"},
            "defaultRequest": {"cpu": "25m"}}]}});
        store.put(Key::new("", "limitranges", "a", "limits"), range, Timestamp::UNIX_EPOCH);
        let key = Key::new("", "pods", "a", "p");
        let mut small = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}});
        admit(&store, &key, &mut small).unwrap();
        let resources = &small["spec"]["containers"][0]["resources"];
        assert_eq!((&resources["limits"]["memory"], &resources["requests"]["cpu"]), (&json!("128Mi"), &json!("25m")));
        store.put(key, small, Timestamp::UNIX_EPOCH);
        let mut large = json!({"spec": {"containers": [{"name": "c", "resources": {"limits": {"memory": "64Gi"}}}]}});
        let why = admit(&store, &Key::new("", "pods", "a", "large"), &mut large).unwrap_err();
        assert_eq!(
            why,
            "pods \"large\" is forbidden: exceeded quota: tenant-quota, requested: limits.memory=64Gi, used: \
             limits.memory=128Mi, limited: limits.memory=1Gi"
        );
    }

    #[test]
    fn quantities_are_read_and_written_as_the_api_does() {
        assert_eq!((amount("250m"), amount("4Gi"), amount("2")), (0.25, 4_294_967_296.0, 2.0));
        assert_eq!((told("requests.cpu", 0.8), told("limits.cpu", 8.0)), ("800m".into(), "8".into()));
        assert_eq!((told("limits.memory", 1_610_612_736.0), told("limits.memory", 0.0)), ("1536Mi".into(), "0".into()));
    }
}
