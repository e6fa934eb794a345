//! Proxmox's property strings: `local-lvm:vm-101-disk-0,discard=on,size=50G` and the like.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// A head that may stand without its key, and named options. Printed head first, options by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Property {
    pub head: String,
    pub options: BTreeMap<String, String>,
}

impl Property {
    /// Address and prefix length of an `ipconfig`.
    pub fn address(&self) -> Option<(Ipv4Addr, u8)> {
        let (address, prefix) = self.option("ip")?.split_once('/')?;
        Some((address.parse().ok()?, prefix.parse().ok()?))
    }

    /// `head_key` is the name that the head has when it is written out, e.g. `file`.
    pub fn parse(text: &str, head_key: &str) -> Self {
        let mut property = Property::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            match part.split_once('=') {
                Some((key, value)) if key == head_key => property.head = value.into(),
                Some((key, value)) => {
                    property.options.insert(key.into(), value.into());
                }
                None => property.head = part.into(),
            }
        }
        property
    }

    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }

    pub fn print(&self) -> String {
        let options = self.options.iter().map(|(k, v)| format!("{k}={v}"));
        std::iter::once(self.head.clone()).filter(|h| !h.is_empty()).chain(options).collect::<Vec<_>>().join(",")
    }
}

/// Models of network cards whose name may stand as the key of the hardware address.
const MODELS: [&str; 5] = ["virtio", "e1000", "e1000e", "rtl8139", "vmxnet3"];

/// A `netN` value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    pub model: String,
    /// Upper case, as Proxmox prints it.
    pub mac: Option<String>,
    pub options: BTreeMap<String, String>,
}

impl Nic {
    /// # Errors
    /// Neither model nor address, which the API's own checks find before.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut property = Property::parse(text, "model");
        let mut mac = property.options.remove("macaddr");
        let mut model = property.head;
        for known in MODELS {
            if let Some(address) = property.options.remove(known) {
                model = known.into();
                mac = Some(address);
            }
        }
        if !MODELS.contains(&model.as_str()) {
            return Err("unable to parse network options".into());
        }
        if !mac.as_deref().is_none_or(is_unicast) {
            return Err("value does not look like a valid unicast MAC address".into());
        }
        Ok(Nic { model, mac: mac.map(|m| m.to_ascii_uppercase()), options: property.options })
    }

    pub fn bridge(&self) -> Option<&str> {
        self.options.get("bridge").map(String::as_str)
    }

    pub fn print(&self) -> String {
        let head = match &self.mac {
            Some(mac) => format!("{}={mac}", self.model),
            None => self.model.clone(),
        };
        Property { head, options: self.options.clone() }.print()
    }
}

/// Six octets, of one card only.
pub fn is_unicast(address: &str) -> bool {
    let octet = |o: &str| (o.len() == 2).then(|| u8::from_str_radix(o, 16).ok()).flatten();
    let octets: Option<Vec<u8>> = address.split(':').map(octet).collect();
    octets.is_some_and(|o| o.len() == 6 && o.first().is_some_and(|first| first & 1 == 0))
}

/// Bytes in the largest unit that divides them: `1246M`, `50G`, `4M`.
pub fn print_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["", "K", "M", "G", "T"];
    let mut value = bytes;
    let mut unit = 0;
    while unit + 1 < UNITS.len() && value != 0 && value.is_multiple_of(1024) {
        value /= 1024;
        unit += 1;
    }
    format!("{value}{}", UNITS.get(unit).unwrap_or(&""))
}

/// `50G`, `1.5T`, `512` (bytes); `None` when it is no size.
pub fn parse_size(text: &str) -> Option<u64> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'K' => (text.get(..text.len() - 1)?, KIB),
        b'M' => (text.get(..text.len() - 1)?, MIB),
        b'G' => (text.get(..text.len() - 1)?, GIB),
        b'T' => (text.get(..text.len() - 1)?, GIB << 10),
        _ => (text, 1),
    };
    is_decimal(digits).then(|| digits.parse::<f64>().ok().map(|n| (n * factor as f64) as u64)).flatten()
}

/// `\d+(\.\d+)?`
pub fn is_decimal(text: &str) -> bool {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part),
        None => digits(text),
    }
}

/// `1.2 GiB` as Proxmox's transfer lines write it.
pub fn transferred(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS.get(unit).unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_printed_file_first_and_options_by_name() {
        let drive = Property::parse("ssd=1,file=local-lvm:vm-101-disk-0,size=50G,discard=on", "file");
        assert_eq!(drive.print(), "local-lvm:vm-101-disk-0,discard=on,size=50G,ssd=1");
    }

    #[test]
    fn a_network_card_is_echoed_with_its_address_at_the_model() {
        let mut nic = Nic::parse("virtio,tag=5,bridge=vmbr0").unwrap();
        nic.mac = Some("BC:24:11:00:00:01".into());
        assert_eq!(nic.print(), "virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=5");
        assert_eq!(Nic::parse(&nic.print()).unwrap(), nic);
        assert!(Nic::parse("virtio=01:00:5e:00:00:01,bridge=vmbr0").is_err(), "a multicast address");
        assert!(Nic::parse("bridge=vmbr0").is_err());
    }

    #[test]
    fn sizes_are_printed_in_the_largest_unit_that_divides_them() {
        assert_eq!(print_size(1_306_525_696), "1246M");
        assert_eq!(print_size(50 * GIB), "50G");
        assert_eq!(parse_size("50G"), Some(50 * GIB));
        assert_eq!(parse_size("1.5K"), Some(1536));
        assert_eq!(parse_size("-5G"), None);
        assert_eq!(parse_size(""), None);
        assert_eq!(transferred(0), "0.0 B");
        assert_eq!(transferred(1_306_525_696), "1.2 GiB");
    }
}
