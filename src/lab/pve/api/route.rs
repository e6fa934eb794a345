//! The table of endpoints: method, path, parameters, rights. What no row has is answered with 501.
use super::call::{Call, Failure, Outcome, Params};
use super::kind::{Kind, MISSING, STORAGE, UNKNOWN, VMID};
use super::{access, acl, cluster, config, groups, nodes, pools, qemu, storage, tasks};
use crate::world::World;
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

/// The right to call. Paths hold parameters in braces.
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

    /// True when the route reads guests, so that the fault `vmid_taken` must be placed first.
    fn concerns_guests(&self) -> bool {
        self.path.contains("/qemu") || matches!(self.path, "/cluster/resources" | "/cluster/nextid")
    }
}

fn table() -> impl Iterator<Item = &'static Route> {
    [
        cluster::ROUTES,
        nodes::ROUTES,
        storage::ROUTES,
        qemu::ROUTES,
        config::ROUTES,
        tasks::ROUTES,
        access::ROUTES,
        acl::ROUTES,
        groups::ROUTES,
        pools::ROUTES,
    ]
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
        crate::pve::seat_strangers(world);
    }
    may(world, route.need, call)?;
    if let Some(name) = call.get("node").filter(|_| call.in_path.contains(&"node")) {
        match world.pve.node(name) {
            Some(node) if node.dark.is_some() => return Err(Failure::new(595, "No route to host")),
            Some(_) => {}
            None => {
                return Err(Failure::died(format!(
                    "hostname lookup '{name}' failed - failed to get address info for: {name}: Name or service not known"
                )));
            }
        }
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
        let in_path = call.in_path.iter().find(|p| *p == name).map(|p| match *p {
            "vmid" => VMID,
            "storage" => STORAGE,
            _ => Kind::Text,
        });
        let own = route.params.iter().find(|p| p.name == name);
        let option = route.takes_config.then(|| config::kind(name)).flatten();
        let Some(kind) = in_path.or(own.map(|p| p.kind)).or(option) else {
            errors.insert(name.clone(), UNKNOWN.to_string());
            continue;
        };
        let checked = match kind.type_name() {
            Some(kind) if call.lists.contains(name) => Err(format!("type check ('{kind}') failed - got ARRAY")),
            Some(_) | None => kind.check(name, value),
        };
        if let Err(error) = checked {
            errors.insert(name.clone(), error);
        }
    }
    for param in route.params.iter().filter(|p| p.needed && !call.params.contains_key(p.name)) {
        errors.insert(param.name.into(), MISSING.into());
    }
    for param in route.params.iter().filter(|p| call.params.contains_key(p.name)) {
        if let Some(other) = param.with.filter(|other| !call.params.contains_key(*other)) {
            let why = format!("missing property required by '{}'", param.name);
            // Proxmox joins two errors of one parameter by a backslash and an n.
            errors.entry(other.into()).and_modify(|all| all.push_str(&format!("\\n{why}"))).or_insert(why);
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::parameters(errors)) }
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
    fn a_volume_takes_the_rest_of_the_path() {
        let segments = ["nodes", "pve", "storage", "local", "content", "local:iso", "x.iso"].map(String::from);
        let (route, found) = find("DELETE", &segments).unwrap();
        assert_eq!(route.path, "/nodes/{node}/storage/{storage}/content/{volume}");
        assert_eq!(found.last().unwrap(), &("volume", "local:iso/x.iso".to_string()));
    }
}
