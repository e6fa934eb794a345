//! One description of a resource, written in both encodings that Talos sends: protobuf and YAML.
//! Like Talos' own encoder it writes zero values too.
use prost::Message;
use prost::encoding::{self, WireType};
use serde_yaml::{Mapping, Value};
use std::net::Ipv4Addr;

#[derive(Debug, Clone, Default)]
pub struct Spec {
    proto: Vec<u8>,
    yaml: Mapping,
    /// In place of the mapping, for specs that are a bare value in YAML.
    bare: Option<String>,
}

impl Spec {
    pub fn new() -> Self {
        Spec::default()
    }

    pub fn proto(&self) -> &[u8] {
        &self.proto
    }

    pub fn yaml(&self) -> String {
        match &self.bare {
            Some(bare) => format!("{}\n", bare.trim_end()),
            None => {
                // As Go's encoder sets it.
                let mut options = serde_saphyr::SerializerOptions::default();
                options.indent_step = 4;
                options.compact_list_indent = false;
                let text = serde_saphyr::to_string_with_options(&self.yaml, options).unwrap_or_default();
                text.lines().map(|line| bare_address(line) + "\n").collect()
            }
        }
    }

    /// A message for protobuf alone.
    pub fn encoded(mut self, number: u32, message: &impl Message) -> Self {
        self.append(number, &message.encode_to_vec());
        self
    }

    /// A field for YAML alone; nothing without a name.
    pub fn shown(mut self, name: &str, value: impl Into<Value>) -> Self {
        if !name.is_empty() {
            self.yaml.insert(name.into(), value.into());
        }
        self
    }

    pub fn text(mut self, number: u32, name: &str, value: impl AsRef<str>) -> Self {
        let value = value.as_ref().to_string();
        encoding::string::encode(number, &value, &mut self.proto);
        self.shown(name, value)
    }

    pub fn number(mut self, number: u32, name: &str, value: u64) -> Self {
        encoding::uint64::encode(number, &value, &mut self.proto);
        self.shown(name, value)
    }

    pub fn flag(mut self, number: u32, name: &str, value: bool) -> Self {
        encoding::bool::encode(number, &value, &mut self.proto);
        self.shown(name, value)
    }

    /// A value whose YAML reads differently: an enum, an address, raw bytes.
    pub fn number_shown(mut self, number: u32, name: &str, value: u64, shown: &str) -> Self {
        encoding::uint64::encode(number, &value, &mut self.proto);
        self.shown(name, shown)
    }

    pub fn bytes_shown(mut self, number: u32, name: &str, value: Vec<u8>, shown: &str) -> Self {
        encoding::bytes::encode(number, &value, &mut self.proto);
        self.shown(name, shown)
    }

    pub fn texts(mut self, number: u32, name: &str, values: &[String]) -> Self {
        encoding::string::encode_repeated(number, values, &mut self.proto);
        self.shown(name, values.iter().cloned().map(Value::from).collect::<Vec<_>>())
    }

    pub fn map<'a>(mut self, number: u32, name: &str, entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut shown = Mapping::new();
        for (key, value) in entries {
            let entry = Spec::new().text(1, "", key).text(2, "", value);
            self.append(number, &entry.proto);
            shown.insert(key.into(), value.into());
        }
        self.shown(name, Value::Mapping(shown))
    }

    pub fn message(mut self, number: u32, name: &str, inner: Spec) -> Self {
        self.append(number, &inner.proto);
        self.shown(name, inner.value())
    }

    pub fn messages(mut self, number: u32, name: &str, items: Vec<Spec>) -> Self {
        for item in &items {
            self.append(number, &item.proto);
        }
        self.shown(name, items.into_iter().map(Spec::value).collect::<Vec<_>>())
    }

    /// The spec with a bare text in YAML.
    pub fn bare(mut self, text: &str) -> Self {
        self.bare = Some(text.into());
        self
    }

    fn value(self) -> Value {
        match self.bare {
            Some(text) => text.into(),
            None => Value::Mapping(self.yaml),
        }
    }

    fn append(&mut self, number: u32, message: &[u8]) {
        encoding::encode_key(number, WireType::LengthDelimited, &mut self.proto);
        encoding::encode_varint(message.len() as u64, &mut self.proto);
        self.proto.extend_from_slice(message);
    }
}

/// Go's encoder puts no quotes round an IPv4 address, which is no number.
fn bare_address(line: &str) -> String {
    let quoted = line.strip_suffix('"').and_then(|rest| rest.rsplit_once('"'));
    match quoted {
        Some((before, text)) if text.parse::<Ipv4Addr>().is_ok() => format!("{before}{text}"),
        Some(_) | None => line.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_without_quotes_and_a_number_that_is_text_within_them() {
        let spec = Spec::new().text(1, "address", "127.0.0.1").text(2, "number", "10.5");
        assert_eq!(spec.yaml(), "address: 127.0.0.1\nnumber: \"10.5\"\n");
        let listed = Spec::new().texts(1, "servers", &["10.0.0.1".to_string()]);
        assert_eq!(listed.yaml(), "servers:\n    - 10.0.0.1\n");
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn a_machine_status_is_encoded_byte_for_byte_as_talos_does() {
        let condition = Spec::new().text(1, "name", "services").text(2, "reason", "etcd not running");
        let status = Spec::new().flag(1, "ready", false).messages(2, "unmetConditions", vec![condition]);
        let spec = Spec::new().number_shown(1, "stage", 1, "booting").message(2, "status", status);
        assert_eq!(hex(spec.proto()), "080112200800121c0a087365727669636573121065746364206e6f742072756e6e696e67");
        assert_eq!(
            spec.yaml(),
            "stage: booting\nstatus:\n    ready: false\n    unmetConditions:\n        - name: services\n          reason: etcd not running\n"
        );
    }
}
