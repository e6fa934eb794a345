//! Bodies in protobuf: kubectl sends what it makes itself (`create namespace`, `create configmap`, …) in this form only.
//!
//! Field numbers are those of Kubernetes' `generated.proto` files. Fields that are not in the tables are left out.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The type of a field.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    Number,
    Truth,
    Message(&'static [Field]),
    /// JSON writes bytes in base64.
    Raw,
    /// A map from text to text.
    Texts,
    /// A map from text to bytes.
    Raws,
    /// A list of texts, or of messages.
    List(&'static Holds),
}

struct Field(u64, &'static str, Holds);

use Holds::{List, Message, Number, Raw, Raws, Text, Texts, Truth};

const META: &[Field] = &[
    Field(1, "name", Text),
    Field(2, "generateName", Text),
    Field(3, "namespace", Text),
    Field(5, "uid", Text),
    Field(6, "resourceVersion", Text),
    Field(11, "labels", Texts),
    Field(12, "annotations", Texts),
    Field(14, "finalizers", List(&Text)),
];
const ONLY_META: &[Field] = &[Field(1, "metadata", Message(META))];
const CONFIG_MAP: &[Field] = &[
    Field(1, "metadata", Message(META)),
    Field(2, "data", Texts),
    Field(3, "binaryData", Raws),
    Field(4, "immutable", Truth),
];
const SECRET: &[Field] = &[
    Field(1, "metadata", Message(META)),
    Field(2, "data", Raws),
    Field(3, "type", Text),
    Field(4, "stringData", Texts),
    Field(5, "immutable", Truth),
];
const RULE: &[Field] = &[
    Field(1, "verbs", List(&Text)),
    Field(2, "apiGroups", List(&Text)),
    Field(3, "resources", List(&Text)),
    Field(4, "resourceNames", List(&Text)),
    Field(5, "nonResourceURLs", List(&Text)),
];
const SUBJECT: &[Field] =
    &[Field(1, "kind", Text), Field(2, "apiGroup", Text), Field(3, "name", Text), Field(4, "namespace", Text)];
const ROLE_REFERENCE: &[Field] = &[Field(1, "apiGroup", Text), Field(2, "kind", Text), Field(3, "name", Text)];
const ROLE: &[Field] = &[Field(1, "metadata", Message(META)), Field(2, "rules", List(&Message(RULE)))];
const BINDING: &[Field] = &[
    Field(1, "metadata", Message(META)),
    Field(2, "subjects", List(&Message(SUBJECT))),
    Field(3, "roleRef", Message(ROLE_REFERENCE)),
];
const DELETE_OPTIONS: &[Field] = &[
    Field(1, "gracePeriodSeconds", Number),
    Field(2, "preconditions", Message(&[Field(1, "uid", Text), Field(2, "resourceVersion", Text)])),
    Field(4, "propagationPolicy", Text),
    Field(5, "dryRun", List(&Text)),
];
const CONTAINER: &[Field] = &[
    Field(1, "name", Text),
    Field(2, "image", Text),
    Field(3, "command", List(&Text)),
    Field(4, "args", List(&Text)),
    Field(6, "ports", List(&Message(&[Field(3, "containerPort", Number), Field(4, "protocol", Text)]))),
    Field(7, "env", List(&Message(&[Field(1, "name", Text), Field(2, "value", Text)]))),
];
const TEMPLATE: &[Field] = &[
    Field(1, "metadata", Message(META)),
    Field(2, "spec", Message(&[Field(2, "containers", List(&Message(CONTAINER))), Field(3, "restartPolicy", Text)])),
];
const SELECTOR: &[Field] = &[Field(1, "matchLabels", Texts)];
const DEPLOYMENT: &[Field] = &[
    Field(1, "metadata", Message(META)),
    Field(
        2,
        "spec",
        Message(&[
            Field(1, "replicas", Number),
            Field(2, "selector", Message(SELECTOR)),
            Field(3, "template", Message(TEMPLATE)),
        ]),
    ),
];
const JOB: &[Field] =
    &[Field(1, "metadata", Message(META)), Field(2, "spec", Message(&[Field(6, "template", Message(TEMPLATE))]))];
const RULES: &[Field] = &[Field(2, "spec", Message(&[Field(1, "namespace", Text)]))];
const ACCESS: &[Field] = &[Field(
    2,
    "spec",
    Message(&[
        Field(
            1,
            "resourceAttributes",
            Message(&[
                Field(1, "namespace", Text),
                Field(2, "verb", Text),
                Field(3, "group", Text),
                Field(5, "resource", Text),
                Field(6, "subresource", Text),
                Field(7, "name", Text),
            ]),
        ),
        Field(2, "nonResourceAttributes", Message(&[Field(1, "path", Text), Field(2, "verb", Text)])),
    ]),
)];

fn fields(kind: &str) -> Option<&'static [Field]> {
    match kind {
        "Namespace" | "ServiceAccount" | "SelfSubjectReview" => Some(ONLY_META),
        "ConfigMap" => Some(CONFIG_MAP),
        "Secret" => Some(SECRET),
        "Role" | "ClusterRole" => Some(ROLE),
        "RoleBinding" | "ClusterRoleBinding" => Some(BINDING),
        "DeleteOptions" => Some(DELETE_OPTIONS),
        "SelfSubjectAccessReview" => Some(ACCESS),
        "SelfSubjectRulesReview" => Some(RULES),
        "Deployment" => Some(DEPLOYMENT),
        "Job" => Some(JOB),
        _ => None,
    }
}

/// The object as JSON; `None` when the body is malformed or of a kind that is not in the tables.
pub fn decode(body: &[u8]) -> Option<Value> {
    const MAGIC: &[u8] = b"k8s\0";
    const TYPES: &[Field] = &[Field(1, "apiVersion", Text), Field(2, "kind", Text)];
    let (mut types, mut raw) = (json!({}), &[][..]);
    for (number, value) in parse(body.strip_prefix(MAGIC)?)? {
        match (number, value) {
            (1, Wire::Bytes(bytes)) => types = message(bytes, TYPES)?,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut object = message(raw, fields(types["kind"].as_str()?)?)?;
    object["apiVersion"] = types["apiVersion"].clone();
    object["kind"] = types["kind"].clone();
    Some(object)
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn parse(mut bytes: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let length = match tag & 7 {
            0 => {
                found.push((tag >> 3, Wire::Number(varint(&mut bytes)?)));
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        found.push((tag >> 3, Wire::Bytes(value)));
    }
    Some(found)
}

fn message(bytes: &[u8], fields: &'static [Field]) -> Option<Value> {
    let mut object = Map::new();
    for (number, value) in parse(bytes)? {
        let Some(Field(_, name, holds)) = fields.iter().find(|f| f.0 == number) else { continue };
        match holds {
            Texts | Raws => {
                let entry = message(bytes_of(&value)?, if matches!(holds, Raws) { RAW_ENTRY } else { ENTRY })?;
                let slot = object.entry(*name).or_insert_with(|| json!({})).as_object_mut()?;
                slot.insert(
                    entry["key"].as_str().unwrap_or_default().into(),
                    entry.get("value").cloned().unwrap_or(json!("")),
                );
            }
            List(of) => object.entry(*name).or_insert_with(|| json!([])).as_array_mut()?.push(one(&value, of)?),
            Text | Number | Truth | Raw | Message(_) => {
                let value = one(&value, holds)?;
                // Go writes every plain text, also an empty one, which JSON leaves out.
                if value != "" {
                    object.insert((*name).into(), value);
                }
            }
        }
    }
    Some(Value::Object(object))
}

const ENTRY: &[Field] = &[Field(1, "key", Text), Field(2, "value", Text)];
const RAW_ENTRY: &[Field] = &[Field(1, "key", Text), Field(2, "value", Raw)];

fn bytes_of<'a>(value: &Wire<'a>) -> Option<&'a [u8]> {
    match value {
        Wire::Bytes(bytes) => Some(bytes),
        Wire::Number(_) => None,
    }
}

fn one(value: &Wire, holds: &'static Holds) -> Option<Value> {
    match (value, holds) {
        (Wire::Bytes(bytes), Text) => Some(json!(std::str::from_utf8(bytes).ok()?)),
        (Wire::Bytes(bytes), Raw) => Some(json!(STANDARD.encode(bytes))),
        (Wire::Bytes(bytes), Message(fields)) => message(bytes, fields),
        (Wire::Number(number), Number) => Some(json!(number)),
        (Wire::Number(number), Truth) => Some(json!(*number != 0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let types = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [b"k8s\0".to_vec(), field(1, &types), field(2, raw)].concat()
    }

    #[test]
    fn a_secret_in_protobuf_is_the_same_secret_in_json() {
        let entry = [field(1, b"k"), field(2, b"v")].concat();
        let raw = [field(1, &[field(1, b"s"), field(2, b"")].concat()), field(2, &entry), field(3, b"Opaque")].concat();
        assert_eq!(
            decode(&body("Secret", &raw)).unwrap(),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "dg=="}, "type": "Opaque"})
        );
    }

    #[test]
    fn what_is_cut_or_unknown_is_no_object() {
        let whole = body("Namespace", &field(1, &field(1, b"a")));
        assert!(decode(&whole).is_some());
        assert!((0..whole.len()).all(|end| decode(&whole[..end]).is_none_or(|o| o["metadata"]["name"] != "a")));
        assert!(decode(&body("Pod", b"")).is_none());
        assert!(decode(b"{}").is_none());
    }
}
