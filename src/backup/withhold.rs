//! Secrets that stand where none should: in values of HelmReleases, in ConfigMaps, in variables and arguments of containers.
//! They are found by the name of their field and by their form. What is found is replaced, and its place is told.
mod texts;

use crate::base::known;
use serde_json::Value;
use texts::without_secrets;

/// The text that stands for a value that is not in the backup.
pub const WITHHELD: &str = "[withheld]";
/// Places that are told of one object.
const MOST_PLACES: usize = 100;

/// Parts of a name, in lower case and without signs, that make its value a secret.
const NAMES: [&str; 19] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "clientkey",
    "signingkey",
    "encryptionkey",
    "credential",
    "authorization",
    "cookie",
    "dockerconfig",
    "kubeconfig",
    "htpasswd",
    "connectionstring",
    "bearer",
];
/// Names that are secrets as a whole, and what a machine is told at its first start.
const WHOLE: [&str; 9] =
    ["pwd", "pass", "pgpassword", "dsn", "psk", "userdata", "userdatabase64", "cloudinit", "machineconfig"];
/// Ends of names of things that are beside a secret: where it is, what it is for, how long it is good.
const BESIDE: [&str; 28] = [
    "name",
    "names",
    "ref",
    "refs",
    "namespace",
    "file",
    "filename",
    "path",
    "dir",
    "type",
    "kind",
    "class",
    "policy",
    "length",
    "size",
    "seconds",
    "ttl",
    "duration",
    "expiration",
    "url",
    "uri",
    "endpoint",
    "issuer",
    "audience",
    "enabled",
    "required",
    "algorithm",
    "version",
];

/// Replaces every secret in `object`, and returns where they were: `spec.values.adminPassword`.
pub fn withhold(object: &mut Value) -> Vec<String> {
    let mut places = Vec::new();
    inside(object, "", 0, &mut places);
    places
}

fn bare(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// True when the value of a field with this name is a secret.
fn is_secret(name: &str) -> bool {
    let name = bare(name);
    if WHOLE.contains(&name.as_str()) {
        return true;
    }
    !is_beside(&name) && NAMES.iter().any(|part| name.contains(part))
}

/// `secretName`, `existingSecret`, `maxTokens`
fn is_beside(name: &str) -> bool {
    let begins = ["existing", "imagepullsecret", "max"].iter().any(|begin| name.starts_with(begin));
    begins || BESIDE.iter().any(|end| name.ends_with(end))
}

/// A value that only says where another one is, or that is none.
fn is_reference(value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'']);
    let plain = ["", "true", "false", "null", "none", "nil", "{}", "[]", "~", "|", "|-", ">", WITHHELD, known::HIDDEN];
    plain.contains(&value.to_ascii_lowercase().as_str())
        || value.starts_with("$(")
        || value.starts_with("${")
        || value.starts_with("{{")
        || (value.starts_with('$')
            && value.len() > 1
            && value.bytes().skip(1).all(|b| b.is_ascii_uppercase() || b == b'_'))
}

fn told(places: &mut Vec<String>, at: &str) {
    if places.len() < MOST_PLACES {
        places.push(crate::base::text::shorten(&crate::base::text::clean(at), 300));
    }
}

fn inside(value: &mut Value, at: &str, depth: usize, places: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            // `{"name": "PASSWORD", "value": "..."}`
            let named = ["name", "key", "header"].iter().find_map(|k| entries.get(*k)?.as_str().map(is_secret));
            for (name, value) in entries.iter_mut() {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                let is_value = named == Some(true) && name == "value";
                match value {
                    Value::String(text) if (is_value || is_secret(name)) && !is_reference(text) => {
                        *text = WITHHELD.into();
                        told(places, &at);
                    }
                    Value::Number(_) if bare(name).contains("password") => {
                        *value = WITHHELD.into();
                        told(places, &at);
                    }
                    // `tokens: [...]`, `passwords: {ann: ...}`; a volume's `secret: {...}` names one.
                    Value::Object(_) | Value::Array(_) if is_secret(name) && bare(name) != "secret" => {
                        below(value, &at, places);
                    }
                    other => inside(other, &at, depth, places),
                }
            }
        }
        Value::Array(items) => arguments(items, at, depth, places),
        Value::String(text) => {
            if let Some(without) = without_secrets(text, depth) {
                *text = without;
                told(places, at);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Everything below a name that makes it a secret, but for what says where another one is: `{name: db, key: password}`.
fn below(value: &mut Value, at: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            let names_another = entries.contains_key("name");
            for (name, value) in entries.iter_mut() {
                if !(is_beside(&bare(name)) || names_another && name == "key") {
                    below(value, &format!("{at}.{name}"), places);
                }
            }
        }
        Value::Array(items) => {
            items.iter_mut().enumerate().for_each(|(n, item)| below(item, &format!("{at}[{n}]"), places));
        }
        Value::String(text) if !is_reference(text) => {
            *text = WITHHELD.into();
            told(places, at);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A list, in which `--password` may stand before its value.
fn arguments(items: &mut [Value], at: &str, depth: usize, places: &mut Vec<String>) {
    let mut is_next = false;
    for (n, item) in items.iter_mut().enumerate() {
        let at = format!("{at}[{n}]");
        let flag = item.as_str().filter(|text| text.starts_with('-') && !text.contains(['=', ' ', '\n']));
        let names_one = flag.is_some_and(is_secret);
        match item {
            Value::String(text) if is_next && !names_one && !text.starts_with('-') && !is_reference(text) => {
                *text = WITHHELD.into();
                told(places, &at);
            }
            other => inside(other, &at, depth, places),
        }
        is_next = names_one;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::json;

    const PLANTED: &str = "hush-8f31c";

    fn withheld(mut object: Value) -> (Value, Vec<String>) {
        let places = withhold(&mut object);
        (object, places)
    }

    #[test]
    fn secrets_in_values_variables_arguments_and_files_are_replaced_and_their_places_told() {
        let encoded = STANDARD.encode(format!("machine:\n  token: {PLANTED}\n"));
        for (object, place) in [
            (json!({"spec": {"values": {"adminPassword": PLANTED}}}), "spec.values.adminPassword"),
            (json!({"spec": {"values": {"users": {"app": {"password": PLANTED}}}}}), "spec.values.users.app.password"),
            (json!({"env": [{"name": "DB_PASSWORD", "value": PLANTED}]}), "env[0].value"),
            (json!({"args": ["--listen=:80", format!("--api-token={PLANTED}")]}), "args[1]"),
            (json!({"args": ["--password", PLANTED]}), "args[1]"),
            (json!({"command": ["sh", "-c", format!("export TOKEN={PLANTED}; run")]}), "command[2]"),
            (json!({"data": {"app.env": format!("A=1\nSECRET_KEY = {PLANTED}\nB=2")}}), "data.app.env"),
            (json!({"data": {"a.yaml": format!("db:\n  password: \"{PLANTED}\"\n  host: h")}}), "data.a.yaml"),
            (json!({"data": {"a.json": format!("{{\"auth\":{{\"password\":\"{PLANTED}\"}}}}")}}), "data.a.json"),
            (json!({"data": {"url": format!("postgres://app:{PLANTED}@db:5432/app")}}), "data.url"),
            (json!({"data": {"flow": format!("{{user: a, password: {PLANTED}, host: h}}")}}), "data.flow"),
            (json!({"binaryData": {"machine": encoded}}), "binaryData.machine"),
            (json!({"spec": {"cloudInit": format!("#cloud-config\nchpasswd: root:{PLANTED}")}}), "spec.cloudInit"),
            (json!({"data": {"h": format!("Authorization: Bearer {PLANTED}aaaaaaaaaaaaaaaaaaaaaa")}}), "data.h"),
            (json!({"data": {"ini": format!("accessKey={PLANTED}&x=1")}}), "data.ini"),
            (json!({"data": {"words": format!("password = correct horse, {PLANTED}; battery")}}), "data.words"),
            (
                json!({"data": {"block": format!("a:\n  password: |\n    {PLANTED}\n\n    {PLANTED}\n  b: c")}}),
                "data.block",
            ),
            (json!({"data": {"list": format!("tokens:\n  - {PLANTED}\nb: c")}}), "data.list"),
            (json!({"spec": {"tokens": [PLANTED]}}), "spec.tokens[0]"),
            (json!({"spec": {"passwords": {"ann": {"now": PLANTED}}}}), "spec.passwords.ann.now"),
        ] {
            let (without, places) = withheld(object.clone());
            assert!(!without.to_string().contains(PLANTED), "{object} became {without}");
            assert_eq!(places, [place], "{object} became {without}");
        }
        let pem =
            ["-----BEGIN ", "PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"].concat();
        for text in [pem.clone(), STANDARD.encode(&pem)] {
            let (without, places) = withheld(json!({"data": {"file": text}}));
            assert!(places.len() == 1 && !without.to_string().contains("MIIEvQ"), "{without}");
        }
    }

    #[test]
    fn what_only_names_a_secret_or_its_place_is_kept() {
        for object in [
            json!({"secretKeyRef": {"name": "db", "key": "password"}, "optional": true}),
            json!({"volumes": [{"name": "token", "secret": {"secretName": "db", "defaultMode": 420}}]}),
            json!({"data": {"a": "image: ghcr.io/a/token-service:v1 and a/secret:v2\nsecretName: x"}}),
            json!({"adminSecret": {"name": "db", "key": "password"}, "serviceAccountToken": {"path": "token", "audience": "a"}}),
            json!({"imagePullSecrets": [{"name": "registry"}], "existingSecret": "db", "secretRef": {"name": "x"}}),
            json!({"env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]}),
            json!({"env": [{"name": "TOKEN", "value": "$(OTHER)"}, {"name": "SECRET_NAME", "value": "a"}]}),
            json!({"automountServiceAccountToken": false, "tokenExpirationSeconds": 3600, "tokenPath": "/var/run"}),
            json!({"args": ["--token-file=/etc/t", "--secret-name", "x", "--v=2"], "data": {"a": "password: {{ .Values.p }}"}}),
            json!({"image": "ghcr.io/a/token-service:v1", "url": "https://git@example.org:443/a", "tolerations": [{"key": "a", "value": "b"}]}),
        ] {
            assert_eq!(withheld(object.clone()), (object, vec![]));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_looked_through_and_a_named_value_never_stays(before in any::<String>(), after in any::<String>()) {
            let (without, _) = withheld(json!({"data": {"file": format!("{before}\npassword={PLANTED}\n{after}")}}));
            prop_assert!(!without.to_string().contains(PLANTED), "{}", without);
        }
    }
}
