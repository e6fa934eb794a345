//! A value that must not be shown. No Display, no Serialize; `expose` is the one way in, so a review can grep it.
//! Whatever becomes one is hidden from then on in every text that this process writes (`known::hide`).
use super::known;
use serde_json::Value;
use std::fmt;
use zeroize::Zeroize;

/// Names of fields whose text is a secret wherever they stand: Talos, kubeconfig, Proxmox VE, cloud-init.
pub const SECRET_FIELDS: [&str; 24] = [
    "key",
    "token",
    "secret",
    "secretboxEncryptionSecret",
    "aescbcEncryptionSecret",
    "bootstraptoken",
    "secretboxencryptionsecret",
    "client-key-data",
    "password",
    "passwd",
    "identity",
    "cipassword",
    "ticket",
    "vncticket",
    "CSRFPreventionToken",
    "token_secret",
    "Authorization",
    "authorization",
    "Cookie",
    "cookie",
    "privateKey",
    "private_key",
    "clientSecret",
    "accessToken",
];

#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// One value, a private key in PEM, or a whole text that has secrets in [`SECRET_FIELDS`].
    pub fn new(value: T) -> Self {
        known::remember(value.as_ref());
        Secret(value)
    }
}

impl<T: Zeroize> Secret<T> {
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Replaces the text or number in every field that `is_secret` names, however deep, by [`known::HIDDEN`].
pub fn hide_fields(value: &mut Value, is_secret: &impl Fn(&str) -> bool) {
    match value {
        Value::Object(entries) => {
            for (name, inside) in entries.iter_mut() {
                match inside {
                    Value::String(_) | Value::Number(_) if is_secret(name) => *inside = known::HIDDEN.into(),
                    other => hide_fields(other, is_secret),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide_fields(item, is_secret)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_show_the_value() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_string())), "[secret]");
    }

    #[test]
    fn a_named_field_is_hidden_at_any_depth() {
        let mut value = serde_json::json!({"a": [{"password": "x", "user": "y"}], "password": null});
        hide_fields(&mut value, &|name| name == "password");
        assert_eq!(value, serde_json::json!({"a": [{"password": "[secret]", "user": "y"}], "password": null}));
    }
}
