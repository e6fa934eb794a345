//! The table of endpoints: method, path, parameters, rights. What no row has is answered with 501.
use super::call::{Call, Failure, Outcome, Params};
use super::{access, cluster, config, nodes, qemu, storage, tasks};
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
}

/// Types that Proxmox's schemas give parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    Boolean,
    Integer(i64, i64),
    Number,
    Choice(&'static [&'static str]),
    /// A DNS name.
    Name,
    /// `50G` or `+10G`
    Size,
    Tags,
}

pub const VMID: Kind = Kind::Integer(100, 999_999_999);

pub const fn optional(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, needed: false }
}

pub const fn needed(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, needed: true }
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
        let path_kind = call.in_path.iter().find(|p| *p == name).map(|p| if *p == "vmid" { VMID } else { Kind::Text });
        let own = route.params.iter().find(|p| p.name == name).map(|p| p.kind);
        let option = route.takes_config.then(|| config::kind(name)).flatten();
        match path_kind.or(own).or(option) {
            Some(kind) => {
                if let Err(error) = kind.check(value) {
                    errors.insert(name.clone(), error);
                }
            }
            None => {
                let text = "property is not defined in schema and the schema does not allow additional properties";
                errors.insert(name.clone(), text.into());
            }
        }
    }
    for param in route.params.iter().filter(|p| p.needed && !call.params.contains_key(p.name)) {
        errors.insert(param.name.into(), "property is missing and it is not optional".into());
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::parameters(errors)) }
}

impl Kind {
    fn check(self, value: &str) -> Result<(), String> {
        let wrong_type = |name: &str| Err(format!("type check ('{name}') failed - got '{value}'"));
        match self {
            Kind::Text => Ok(()),
            Kind::Boolean if matches!(value, "0" | "1") => Ok(()),
            Kind::Boolean => wrong_type("boolean"),
            Kind::Integer(least, most) => match value.parse::<i64>() {
                Err(_) => wrong_type("integer"),
                Ok(n) if n < least => Err(format!("value must have a minimum value of {least}")),
                Ok(n) if n > most => Err(format!("value must have a maximum value of {most}")),
                Ok(_) => Ok(()),
            },
            Kind::Number if value.parse::<f64>().is_ok() => Ok(()),
            Kind::Number => wrong_type("number"),
            Kind::Choice(choices) if choices.contains(&value) => Ok(()),
            Kind::Choice(choices) => {
                Err(format!("value '{value}' does not have a value in the enumeration '{}'", choices.join(", ")))
            }
            Kind::Name if is_dns_name(value) => Ok(()),
            Kind::Name => Err("invalid format - value does not look like a valid DNS name\n".into()),
            Kind::Size => {
                let size = value.strip_prefix('+').unwrap_or(value);
                let parsed = crate::lab::pve::property::parse_size(size);
                parsed.map(|_| ()).ok_or_else(|| "value does not match the regex pattern".into())
            }
            Kind::Tags => {
                let fine = |tag: &str| {
                    let mut chars = tag.chars();
                    chars.next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.'))
                };
                let all = value.split([',', ';', ' ']).filter(|t| !t.is_empty()).all(fine);
                if all { Ok(()) } else { Err("invalid format - invalid characters in tag\n".into()) }
            }
        }
    }
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
        assert_eq!(Kind::Boolean.check("true").unwrap_err(), "type check ('boolean') failed - got 'true'");
        assert_eq!(VMID.check("99").unwrap_err(), "value must have a minimum value of 100");
        assert_eq!(VMID.check("abc").unwrap_err(), "type check ('integer') failed - got 'abc'");
        assert!(Kind::Name.check("cozy-new-cp1").is_ok());
        assert!(Kind::Name.check("cozy_new").is_err());
        assert!(Kind::Size.check("+10G").is_ok());
        assert!(Kind::Size.check("-10G").is_err());
        assert!(Kind::Tags.check("cozystack;talos").is_ok());
        assert!(Kind::Tags.check("a/b").is_err());
    }

    #[test]
    fn a_volume_takes_the_rest_of_the_path() {
        let segments = ["nodes", "pve", "storage", "local", "content", "local:iso", "x.iso"].map(String::from);
        let (route, found) = find("DELETE", &segments).unwrap();
        assert_eq!(route.path, "/nodes/{node}/storage/{storage}/content/{volume}");
        assert_eq!(found.last().unwrap(), &("volume", "local:iso/x.iso".to_string()));
    }
}
