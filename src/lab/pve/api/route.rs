//! The table of endpoints: method, path, parameters, rights. What no row has is answered with 501.
use super::call::{Call, Failure, Outcome, Params};
use super::schema::{self, Schema};
use super::{access, cluster, config, nodes, qemu, storage, tasks};
use crate::lab::pve::property::{is_decimal, is_unicast, parse_size};
use crate::lab::pve::vm::{drive_slots, is_drive};
use crate::lab::world::World;
use std::collections::BTreeMap;

pub type Handler = fn(&mut World, &Call) -> Outcome;

pub struct Route {
    pub method: &'static str,
    /// Segments in braces are parameters.
    pub path: &'static str,
    pub need: Need,
    pub params: &'static [Param],
    /// Takes every option of a VM's configuration too.
    pub takes_config: bool,
    pub run: Handler,
}

/// Who may call. Paths hold parameters in braces.
#[derive(Clone, Copy)]
pub enum Need {
    /// Without credentials.
    Nobody,
    /// Any credentials; what is not theirs the handler leaves out or refuses.
    Anyone,
    All(&'static str, &'static [&'static str]),
    Any(&'static str, &'static [&'static str]),
    /// Alternatives and the like.
    Rule(fn(&mut World, &Call) -> Result<(), Failure>),
}

#[derive(Clone, Copy)]
pub struct Param {
    pub name: &'static str,
    pub kind: Kind,
    pub needed: bool,
    /// Another parameter that has to come with it.
    pub with: Option<&'static str>,
}

impl Param {
    pub const fn with(self, other: &'static str) -> Self {
        Param { with: Some(other), ..self }
    }
}

/// Types that Proxmox's schemas give parameters.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    /// At most so many characters.
    Short(usize),
    /// At least and at most so many characters.
    Between(usize, usize),
    /// Words between commas, semicolons or spaces.
    List,
    Boolean,
    Integer(i64, i64),
    Number,
    Vmid,
    Choice(&'static [&'static str]),
    /// A DNS name.
    Name,
    /// `50G` or `+10G`
    Size,
    /// `100`, `10M` or `10G`; a bare number counts KiB.
    Kibibytes,
    Tags,
    /// `http` or `https`
    Url,
    /// A hardware address of one card.
    Mac,
    /// What a drive can be made of: a volume, a size, a path, nothing.
    Volume,
    /// A slot that a drive can be in.
    Drive,
    /// A compound value.
    Compound(&'static Schema),
}

pub const VMID: Kind = Kind::Vmid;

pub const fn optional(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, needed: false, with: None }
}

pub const fn needed(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, needed: true, with: None }
}

pub const fn route(
    method: &'static str,
    path: &'static str,
    need: Need,
    params: &'static [Param],
    run: Handler,
) -> Route {
    Route { method, path, need, params, takes_config: false, run }
}

impl Route {
    pub const fn with_config(self) -> Self {
        Route { takes_config: true, ..self }
    }

    /// The parameters in `segments`, when they fit this route's path.
    fn fits(&self, segments: &[String]) -> Option<Vec<(&'static str, String)>> {
        let pattern: Vec<&'static str> = self.path.split('/').filter(|s| !s.is_empty()).collect();
        // A volid has slashes of its own, so it takes what is left of the path.
        let open = pattern.last() == Some(&"{volume}") && segments.len() > pattern.len();
        if pattern.len() != segments.len() && !open {
            return None;
        }
        let mut found = Vec::new();
        for (index, want) in pattern.iter().enumerate() {
            let have = segments.get(index)?;
            match want.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
                Some("volume") => found.push(("volume", segments.get(index..)?.join("/"))),
                Some(name) => found.push((name, have.clone())),
                None if want == have => {}
                None => return None,
            }
        }
        Some(found)
    }

    /// Whether VMs are looked at, so that strangers have to be in their seats.
    fn concerns_guests(&self) -> bool {
        self.path.contains("/qemu") || matches!(self.path, "/cluster/resources" | "/cluster/nextid")
    }
}

fn table() -> impl Iterator<Item = &'static Route> {
    [cluster::ROUTES, nodes::ROUTES, storage::ROUTES, qemu::ROUTES, config::ROUTES, tasks::ROUTES, access::ROUTES]
        .into_iter()
        .flatten()
}

/// The route of a request and the parameters in its path.
pub fn find(method: &str, segments: &[String]) -> Option<(&'static Route, Vec<(&'static str, String)>)> {
    // A literal segment goes before a parameter: `/nodes/{node}/qemu/{vmid}/status/current`.
    table()
        .filter(|r| r.method == method)
        .filter_map(|r| r.fits(segments).map(|found| (r, found)))
        .min_by_key(|(_, found)| found.len())
}

/// Rights, then the node, then the parameters, then the handler: Proxmox's own order.
pub fn run(world: &mut World, route: &Route, call: &Call) -> Outcome {
    if route.concerns_guests() {
        crate::lab::pve::seat_strangers(world);
    }
    may(world, route.need, call)?;
    if let Some(node) = call.get("node").filter(|_| call.in_path.contains(&"node"))
        && world.pve.node(node).is_none()
    {
        return Err(Failure::died(format!(
            "hostname lookup '{node}' failed - failed to get address info for: {node}: Name or service not known"
        )));
    }
    verify(route, call)?;
    (route.run)(world, call)
}

fn may(world: &mut World, need: Need, call: &Call) -> Result<(), Failure> {
    match need {
        Need::Nobody | Need::Anyone => Ok(()),
        Need::All(path, privileges) => call.check(world, &fill(path, &call.params), privileges),
        Need::Any(path, privileges) => call.check_any(world, &fill(path, &call.params), privileges),
        Need::Rule(rule) => rule(world, call),
    }
}

fn fill(path: &str, params: &Params) -> String {
    params.iter().fold(path.to_string(), |filled, (name, value)| filled.replace(&format!("{{{name}}}"), value))
}

fn verify(route: &Route, call: &Call) -> Result<(), Failure> {
    let mut errors = BTreeMap::new();
    for (name, value) in &call.params {
        let in_path = call.in_path.iter().find(|p| *p == name).map(|p| if *p == "vmid" { VMID } else { Kind::Text });
        let own = route.params.iter().find(|p| p.name == name);
        let option = route.takes_config.then(|| config::kind(name)).flatten();
        let Some(kind) = in_path.or(own.map(|p| p.kind)).or(option) else {
            errors.insert(name.clone(), schema::UNKNOWN.to_string());
            continue;
        };
        let checked = match kind.type_name() {
            Some(kind) if call.lists.contains(name) => Err(format!("type check ('{kind}') failed - got ARRAY")),
            Some(_) | None => kind.check(name, value),
        };
        if let Err(error) = checked {
            errors.insert(name.clone(), error);
        }
        if let Some(other) = own.and_then(|p| p.with).filter(|other| !call.params.contains_key(*other)) {
            errors.insert(other.into(), format!("missing property required by '{name}'"));
        }
    }
    for param in route.params.iter().filter(|p| p.needed && !call.params.contains_key(p.name)) {
        errors.insert(param.name.into(), schema::MISSING.into());
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::parameters(errors)) }
}

impl Kind {
    /// What a list is called that comes where none may; `None` where it may.
    fn type_name(self) -> Option<&'static str> {
        match self {
            Kind::List | Kind::Tags => None,
            Kind::Boolean => Some("boolean"),
            Kind::Integer(..) | Kind::Vmid => Some("integer"),
            Kind::Number => Some("number"),
            Kind::Text
            | Kind::Short(_)
            | Kind::Between(..)
            | Kind::Choice(_)
            | Kind::Name
            | Kind::Size
            | Kind::Kibibytes
            | Kind::Url
            | Kind::Mac
            | Kind::Volume
            | Kind::Drive
            | Kind::Compound(_) => Some("string"),
        }
    }

    /// `name` is the parameter's, for values whose parts are named in the error.
    pub fn check(self, name: &str, value: &str) -> Result<(), String> {
        let wrong_type = |kind: &str| Err(format!("type check ('{kind}') failed - got '{value}'"));
        let pattern =
            |fits: bool| fits.then_some(()).ok_or_else(|| "value does not match the regex pattern".to_string());
        match self {
            Kind::Text | Kind::List => Ok(()),
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
            Kind::Vmid => match value.parse::<i64>() {
                Err(_) => wrong_type("integer"),
                // The format speaks before the range does.
                Ok(n) if !(100..=999_999_999).contains(&n) || !value.starts_with(|c: char| c.is_ascii_digit()) => {
                    Err("invalid format - value does not look like a valid VM ID\n".into())
                }
                Ok(_) => Ok(()),
            },
            Kind::Number if value.parse::<f64>().is_ok() => Ok(()),
            Kind::Number => wrong_type("number"),
            Kind::Choice(choices) if choices.contains(&value) => Ok(()),
            Kind::Choice(choices) => Err(not_one_of(value, &choices.join(", "))),
            Kind::Drive if is_drive(value) => Ok(()),
            Kind::Drive => Err(not_one_of(value, &drive_slots().collect::<Vec<_>>().join(", "))),
            Kind::Name if is_dns_name(value) => Ok(()),
            Kind::Name => Err("invalid format - value does not look like a valid DNS name\n".into()),
            Kind::Size => pattern(parse_size(value.strip_prefix('+').unwrap_or(value)).is_some()),
            Kind::Kibibytes => {
                let digits = value.strip_suffix(['M', 'G']).unwrap_or(value);
                pattern(!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
            }
            Kind::Url => pattern(value.starts_with("http://") || value.starts_with("https://")),
            Kind::Tags => {
                let fine = |tag: &str| {
                    let mut chars = tag.chars();
                    chars.next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.'))
                };
                let all = value.split([',', ';', ' ']).filter(|t| !t.is_empty()).all(fine);
                if all { Ok(()) } else { Err("invalid format - invalid characters in tag\n".into()) }
            }
            Kind::Mac if is_unicast(value) => Ok(()),
            Kind::Mac => Err("invalid format - value does not look like a valid unicast MAC address\n".into()),
            Kind::Volume if is_volume(value) => Ok(()),
            Kind::Volume => Err(format!("invalid format - unable to parse volume ID '{value}'\n")),
            Kind::Compound(schema) => schema.check(name, value),
        }
    }
}

fn is_volume(value: &str) -> bool {
    let named = value.split_once(':').is_some_and(|(storage, name)| storage.len() > 1 && !name.is_empty());
    named || matches!(value, "none" | "cdrom") || value.starts_with('/') || is_decimal(value)
}

fn not_one_of(value: &str, choices: &str) -> String {
    format!("value '{value}' does not have a value in the enumeration '{choices}'")
}

fn is_dns_name(value: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    value.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_there_once() {
        let mut seen: Vec<(&str, &str)> = table().map(|r| (r.method, r.path)).collect();
        let before = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), before);
    }

    #[test]
    fn parameter_checks_speak_proxmox() {
        let refused = |kind: Kind, value: &str| kind.check("x", value).unwrap_err();
        assert_eq!(refused(Kind::Boolean, "true"), "type check ('boolean') failed - got 'true'");
        assert_eq!(refused(VMID, "99"), "invalid format - value does not look like a valid VM ID\n");
        assert_eq!(refused(VMID, "abc"), "type check ('integer') failed - got 'abc'");
        assert_eq!(refused(Kind::Integer(1, 5), "0"), "value must have a minimum value of 1");
        assert_eq!(refused(Kind::Short(2), "abc"), "value may only be 2 characters long");
        assert_eq!(refused(Kind::Between(8, 64), "short"), "value must be at least 8 characters long");
        assert_eq!(refused(Kind::Url, "ftp://x"), "value does not match the regex pattern");
        let slot = refused(Kind::Drive, "scsi99");
        assert!(
            slot.contains("'ide0, ide1, ide2, ide3, scsi0, scsi1, scsi2,") && slot.ends_with("tpmstate0'"),
            "{slot}"
        );
        assert!(Kind::Name.check("x", "cozy-new-cp1").is_ok());
        assert!(Kind::Name.check("x", "cozy_new").is_err());
        assert!(Kind::Size.check("x", "+10G").is_ok());
        assert!(Kind::Size.check("x", "-10G").is_err());
        assert!(Kind::Tags.check("x", "cozystack;talos").is_ok());
        assert!(Kind::Tags.check("x", "a/b").is_err());
    }

    #[test]
    fn a_volume_takes_the_rest_of_the_path() {
        let segments = ["nodes", "pve", "storage", "local", "content", "local:iso", "x.iso"].map(String::from);
        let (route, found) = find("DELETE", &segments).unwrap();
        assert_eq!(route.path, "/nodes/{node}/storage/{storage}/content/{volume}");
        assert_eq!(found.last().unwrap(), &("volume", "local:iso/x.iso".to_string()));
    }
}
