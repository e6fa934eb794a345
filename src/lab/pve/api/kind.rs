//! The types that Proxmox's schemas give parameters, and what it says about values that are of another.
use super::schema::Schema;
use crate::pve::property::{is_decimal, is_unicast, parse_size};
use crate::pve::vm::{drive_slots, is_drive};

pub const UNKNOWN: &str = "property is not defined in schema and the schema does not allow additional properties";
pub const MISSING: &str = "property is missing and it is not optional";

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    /// At most so many characters.
    Short(usize),
    /// At least and at most so many characters.
    Between(usize, usize),
    Boolean,
    Integer(i64, i64),
    /// A whole number of a form of its own.
    Number(fn(&str) -> Result<(), String>),
    Float,
    Choice(&'static [&'static str]),
    /// A text of a form that has a name.
    Format(fn(&str) -> Result<(), String>),
    /// Words between commas, semicolons or spaces, each of that form.
    List(fn(&str) -> Result<(), String>),
    /// A text of a form that has none.
    Pattern(fn(&str) -> bool),
    /// A slot that a drive can be in.
    Drive,
    /// A compound value.
    Compound(&'static Schema),
}

pub const VMID: Kind = Kind::Number(|value| {
    let fine = (3..=9).contains(&value.len()) && !value.starts_with('0') && is_digits(value);
    fine.then_some(()).ok_or_else(|| "value does not look like a valid VM ID".into())
});
pub const STORAGE: Kind = Kind::Format(|value| {
    let first = value.starts_with(|c: char| c.is_ascii_alphabetic());
    let last = value.ends_with(|c: char| c.is_ascii_alphanumeric());
    if value.len() < 2 {
        return Err(format!("storage ID '{value}' cannot be shorter than 2 characters"));
    }
    let fine = first && last && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    fine.then_some(()).ok_or_else(|| format!("storage ID '{value}' contains illegal characters"))
});
/// As snapshots are called.
pub const CONFIG_ID: Kind = Kind::Format(|value| {
    let fine = value.len() > 1
        && value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    fine.then_some(()).ok_or_else(|| format!("invalid configuration ID '{value}'"))
});
pub const NODE: Kind = Kind::Format(|value| {
    is_label(value).then_some(()).ok_or_else(|| "value does not look like a valid node name".into())
});
pub const DNS_NAME: Kind = Kind::Format(|value| {
    let fine = value.split('.').all(is_label);
    fine.then_some(()).ok_or_else(|| "value does not look like a valid DNS name".into())
});
/// A hardware address of one card.
pub const MAC: Kind = Kind::Format(|value| {
    is_unicast(value).then_some(()).ok_or_else(|| "value does not look like a valid unicast MAC address".into())
});
/// The source of a drive: a volume, a size, a path, nothing.
pub const VOLUME: Kind = Kind::Format(|value| {
    let named = value.split_once(':').is_some_and(|(storage, name)| storage.len() > 1 && !name.is_empty());
    let fine = named || matches!(value, "none" | "cdrom") || value.starts_with('/') || is_decimal(value);
    fine.then_some(()).ok_or_else(|| format!("unable to parse volume ID '{value}'"))
});
pub const TAGS: Kind = Kind::List(|tag| {
    let fine = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+.".contains(&b));
    fine.then_some(()).ok_or_else(|| "invalid characters in tag".into())
});
pub const WORDS: Kind = Kind::List(|_| Ok(()));
/// `50G` or `+10G`
pub const SIZE: Kind = Kind::Pattern(|value| parse_size(value.strip_prefix('+').unwrap_or(value)).is_some());
/// `100`, `10M` or `10G`; a bare number counts KiB.
pub const KIBIBYTES: Kind = Kind::Pattern(|value| is_digits(value.strip_suffix(['M', 'G']).unwrap_or(value)));
pub const URL: Kind = Kind::Pattern(|value| value.starts_with("http://") || value.starts_with("https://"));
/// A serial port of the VM.
pub const SERIAL: Kind = Kind::Pattern(|value| value == "socket" || value.len() > 5 && value.starts_with("/dev/"));

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_label(text: &str) -> bool {
    let inside = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    !text.is_empty() && inside && !text.starts_with('-') && !text.ends_with('-')
}

impl Kind {
    /// Proxmox's name for the type of a value that may not come as a list; `None` when it may.
    pub fn type_name(self) -> Option<&'static str> {
        match self {
            Kind::List(_) => None,
            Kind::Boolean => Some("boolean"),
            Kind::Integer(..) | Kind::Number(_) => Some("integer"),
            Kind::Float => Some("number"),
            Kind::Text
            | Kind::Short(_)
            | Kind::Between(..)
            | Kind::Choice(_)
            | Kind::Format(_)
            | Kind::Pattern(_)
            | Kind::Drive
            | Kind::Compound(_) => Some("string"),
        }
    }

    /// `name` is the parameter's, for values whose parts are named in the error.
    ///
    /// # Errors
    /// Proxmox's words.
    pub fn check(self, name: &str, value: &str) -> Result<(), String> {
        let wrong_type = |kind: &str| Err(format!("type check ('{kind}') failed - got '{value}'"));
        let formed = |checked: Result<(), String>| checked.map_err(|why| format!("invalid format - {why}\n"));
        match self {
            Kind::Text => Ok(()),
            Kind::Short(most) if value.chars().count() > most => {
                Err(format!("value may only be {most} characters long"))
            }
            Kind::Short(_) => Ok(()),
            Kind::Between(least, _) if value.chars().count() < least => {
                Err(format!("value must be at least {least} characters long"))
            }
            Kind::Between(_, most) => Kind::Short(most).check(name, value),
            Kind::Boolean if matches!(value, "0" | "1") => Ok(()),
            Kind::Boolean => wrong_type("boolean"),
            Kind::Integer(least, most) => match value.parse::<i64>() {
                Err(_) => wrong_type("integer"),
                Ok(n) if n < least => Err(format!("value must have a minimum value of {least}")),
                Ok(n) if n > most => Err(format!("value must have a maximum value of {most}")),
                Ok(_) => Ok(()),
            },
            Kind::Number(_) if value.parse::<i64>().is_err() => wrong_type("integer"),
            Kind::Number(form) | Kind::Format(form) => formed(form(value)),
            Kind::List(form) => formed(value.split([',', ';', ' ']).filter(|word| !word.is_empty()).try_for_each(form)),
            Kind::Pattern(fits) if fits(value) => Ok(()),
            Kind::Pattern(_) => Err("value does not match the regex pattern".into()),
            Kind::Float if value.parse::<f64>().is_ok() => Ok(()),
            Kind::Float => wrong_type("number"),
            Kind::Choice(choices) if choices.contains(&value) => Ok(()),
            Kind::Choice(choices) => Err(not_one_of(value, &choices.join(", "))),
            Kind::Drive if is_drive(value) => Ok(()),
            Kind::Drive => Err(not_one_of(value, &drive_slots().collect::<Vec<_>>().join(", "))),
            Kind::Compound(schema) => schema.check(name, value),
        }
    }
}

fn not_one_of(value: &str, choices: &str) -> String {
    format!("value '{value}' does not have a value in the enumeration '{choices}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_checks_speak_proxmox() {
        let refused = |kind: Kind, value: &str| kind.check("x", value).unwrap_err();
        assert_eq!(refused(Kind::Boolean, "true"), "type check ('boolean') failed - got 'true'");
        assert_eq!(refused(VMID, "99"), "invalid format - value does not look like a valid VM ID\n");
        assert_eq!(refused(VMID, "abc"), "type check ('integer') failed - got 'abc'");
        assert_eq!(refused(Kind::Integer(1, 5), "0"), "value must have a minimum value of 1");
        assert_eq!(refused(Kind::Short(2), "abc"), "value may only be 2 characters long");
        assert_eq!(refused(Kind::Between(8, 64), "short"), "value must be at least 8 characters long");
        assert_eq!(refused(URL, "ftp://x"), "value does not match the regex pattern");
        assert_eq!(refused(SERIAL, "pty"), "value does not match the regex pattern");
        assert_eq!(refused(STORAGE, "a/b"), "invalid format - storage ID 'a/b' contains illegal characters\n");
        assert_eq!(refused(STORAGE, "a"), "invalid format - storage ID 'a' cannot be shorter than 2 characters\n");
        assert_eq!(refused(CONFIG_ID, "1.5"), "invalid format - invalid configuration ID '1.5'\n");
        assert_eq!(refused(NODE, "a/b"), "invalid format - value does not look like a valid node name\n");
        assert_eq!(refused(TAGS, "a;b/c"), "invalid format - invalid characters in tag\n");
        let slot = refused(Kind::Drive, "scsi99");
        assert!(
            slot.contains("'ide0, ide1, ide2, ide3, scsi0, scsi1, scsi2,") && slot.ends_with("tpmstate0'"),
            "{slot}"
        );
        for (kind, value) in [
            (VMID, "100"),
            (DNS_NAME, "cozy-new-cp1"),
            (SIZE, "+10G"),
            (KIBIBYTES, "10G"),
            (TAGS, "cozystack;talos"),
            (STORAGE, "local-lvm"),
            (SERIAL, "socket"),
            (Kind::Drive, "scsi0"),
        ] {
            assert_eq!(kind.check("x", value), Ok(()), "{value}");
        }
        assert!(DNS_NAME.check("x", "cozy_new").is_err() && SIZE.check("x", "-10G").is_err());
    }
}
