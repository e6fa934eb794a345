//! Decides which disturbance takes effect when: counted in requests, or in seconds of the lab.
use crate::net::Endpoint;
use crate::world::World;
use cozyup_base::clock::{add, between};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    Proxmox,
    Talos,
    Kubernetes,
    /// The release server: image and installer manifest.
    Web,
}

impl Api {
    pub fn of(endpoint: &Endpoint) -> Option<Api> {
        match endpoint {
            Endpoint::Proxmox => Some(Api::Proxmox),
            Endpoint::TalosMaintenance { .. } | Endpoint::TalosSecure { .. } => Some(Api::Talos),
            Endpoint::Kubernetes { .. } => Some(Api::Kubernetes),
            Endpoint::Releases | Endpoint::Mirror | Endpoint::Proxy => Some(Api::Web),
            Endpoint::TenantKubernetes { .. } | Endpoint::Service { .. } | Endpoint::Stranger => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The socket is closed.
    Refused,
    /// The socket is closed and open in turns.
    Flaps,
    /// Connections are accepted and reset.
    Reset,
    /// The server shows a self-signed certificate that nobody has accepted.
    Certificate,
    /// The connection is reset in the middle of the answer.
    Cut,
    /// The answer ends in its middle as if it were whole.
    Truncated,
    /// The answer is a success, and nonsense.
    Garbage,
    /// The answer comes byte by byte and never ends.
    Trickle,
    /// There is no answer.
    Silent,
    /// The answer is `code`, with `text` and `body`.
    Answer,
}

impl Kind {
    /// True when it acts on connections and not on single requests.
    fn is_of_connections(self) -> bool {
        match self {
            Kind::Refused | Kind::Flaps | Kind::Reset | Kind::Certificate => true,
            Kind::Cut | Kind::Truncated | Kind::Garbage | Kind::Trickle | Kind::Silent | Kind::Answer => false,
        }
    }
}

/// Begins with the request that `match` finds (without `match`, at the lab's start), after `after_requests` more of them and
/// not before `after_s`. Ends after `times` requests or connections, or `for_s` after it began; without both, never.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disturbance {
    pub api: Api,
    pub kind: Kind,
    /// Part of `GET /api2/json/nodes?x=y`, or of `/machine.MachineService/Version`; with `$` at its end, the end of it.
    #[serde(default, rename = "match")]
    pub matching: String,
    /// Last octet of the address called; all without it.
    #[serde(default)]
    pub address: Option<u8>,
    #[serde(default)]
    pub after_requests: u64,
    #[serde(default)]
    pub after_s: f64,
    #[serde(default)]
    pub times: Option<u64>,
    #[serde(default)]
    pub for_s: Option<f64>,
    /// Of `flaps`: how long it is closed, and then open.
    #[serde(default = "ten")]
    pub every_s: f64,
    /// Of `answer`: HTTP's status, or gRPC's code.
    #[serde(default)]
    pub code: u16,
    /// Of `answer`: in the API's own form.
    #[serde(default)]
    pub text: String,
    /// Of `answer`: all of the body, in place of `text`.
    #[serde(default)]
    pub body: Option<String>,
    /// The API does what it is asked to do; only its answer is lost.
    #[serde(default)]
    pub done: bool,
}

impl Disturbance {
    fn finds(&self, request: &str) -> bool {
        match self.matching.strip_suffix('$') {
            Some(end) => request.ends_with(end),
            None => request.contains(&self.matching),
        }
    }
}

fn ten() -> f64 {
    10.0
}

#[derive(Debug, Clone)]
struct Armed {
    what: Disturbance,
    /// Requests that `match` found before it began.
    found: u64,
    /// Requests or connections that it met.
    met: u64,
    began: Option<Timestamp>,
}

/// One line of the lab's account: a request or connection to an API while that API is disturbed.
#[derive(Debug, Clone, Serialize)]
pub struct Met {
    pub at: Timestamp,
    /// Place in the scenario's list.
    pub number: usize,
    pub request: String,
    /// Disturbed, or one that got through meanwhile.
    pub disturbed: bool,
}

/// All disturbances of a scenario and what became of them.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    armed: Vec<Armed>,
    pub account: Vec<Met>,
}

impl Armed {
    fn lasts(&self, now: Timestamp) -> bool {
        let Some(began) = self.began else { return false };
        self.what.times.is_none_or(|times| self.met < times)
            && self.what.for_s.is_none_or(|seconds| between(began, now).as_secs_f64() < seconds)
    }

    fn is_closed(&self, now: Timestamp) -> bool {
        let Some(began) = self.began.filter(|_| self.lasts(now)) else { return false };
        match self.what.kind {
            Kind::Refused => true,
            Kind::Flaps => {
                let turn = (between(began, now).as_secs_f64() / self.what.every_s.max(0.1)) as u64;
                turn.is_multiple_of(2)
            }
            Kind::Reset
            | Kind::Certificate
            | Kind::Cut
            | Kind::Truncated
            | Kind::Garbage
            | Kind::Trickle
            | Kind::Silent
            | Kind::Answer => false,
        }
    }

    fn is_for(&self, api: Api, host: u8) -> bool {
        self.what.api == api && self.what.address.is_none_or(|address| address == host)
    }
}

impl Plan {
    pub fn of(disturbances: &[Disturbance]) -> Self {
        let armed = |what: &Disturbance| Armed { what: what.clone(), found: 0, met: 0, began: None };
        Plan { armed: disturbances.iter().map(armed).collect(), account: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    /// True when the socket must be closed now.
    pub fn closes(&self, at: &SocketAddr, endpoint: &Endpoint, now: Timestamp) -> bool {
        let Some(api) = Api::of(endpoint) else { return false };
        self.armed.iter().any(|a| a.is_for(api, host(at)) && a.is_closed(now))
    }
}

/// Last octet of the address.
pub fn host(at: &SocketAddr) -> u8 {
    match at {
        SocketAddr::V4(at) => at.ip().octets()[3],
        SocketAddr::V6(_) => 0,
    }
}

impl World {
    /// To be called once, when the lab's clock starts: what begins by time alone.
    pub fn begin_disturbances(&mut self) {
        for number in 0..self.disturbances.armed.len() {
            let Some(armed) = self.disturbances.armed.get(number) else { continue };
            if armed.what.matching.is_empty() && armed.what.kind.is_of_connections() {
                self.after(armed.what.after_s, move |world| world.begin_disturbance(number));
            }
        }
    }

    fn begin_disturbance(&mut self, number: usize) {
        let now = self.now;
        let Some(armed) = self.disturbances.armed.get_mut(number) else { return };
        armed.began = Some(now);
        // The sockets are looked at whenever a timer has run: when this ends, and at each turn of what flaps.
        let what = armed.what.clone();
        let lasts = what.for_s.unwrap_or(3600.0);
        let turns = if what.kind == Kind::Flaps { (lasts / what.every_s.max(0.1)) as u32 } else { 0 };
        for turn in 1..=turns {
            self.after(f64::from(turn) * what.every_s, |_| ());
        }
        self.after(lasts, |_| ());
    }

    /// The disturbance of a new connection.
    pub fn disturbs_connection(&mut self, api: Api, host: u8) -> Option<Kind> {
        let now = self.now;
        let wanted = |a: &Armed| a.is_for(api, host) && matches!(a.what.kind, Kind::Reset | Kind::Certificate);
        let number = self.disturbances.armed.iter().position(|a| wanted(a) && a.lasts(now))?;
        let armed = self.disturbances.armed.get_mut(number)?;
        armed.met += 1;
        let kind = armed.what.kind;
        let request = format!("connection to .{host}");
        self.disturbances.account.push(Met { at: now, number, request, disturbed: true });
        Some(kind)
    }

    /// The disturbance of a request.
    pub fn disturbs_request(&mut self, api: Api, host: u8, request: &str) -> Option<Disturbance> {
        let now = self.now;
        let started = self.started;
        let mut bites = None;
        for number in 0..self.disturbances.armed.len() {
            let Some(armed) = self.disturbances.armed.get_mut(number) else { continue };
            if !armed.is_for(api, host) {
                continue;
            }
            let found = armed.what.finds(request);
            if found && armed.began.is_none() {
                let early = now < add(started, Duration::from_secs_f64(armed.what.after_s.max(0.0)));
                if early || armed.found < armed.what.after_requests {
                    armed.found += 1;
                } else {
                    self.begin_disturbance(number);
                }
            }
            let Some(armed) = self.disturbances.armed.get_mut(number) else { continue };
            if !armed.lasts(now) {
                continue;
            }
            // One about connections takes down the connection that it begins on.
            let disturbed = bites.is_none() && (armed.what.kind.is_of_connections() || found);
            if disturbed {
                armed.met += u64::from(!armed.what.kind.is_of_connections());
                bites = Some(armed.what.clone());
            }
            self.disturbances.account.push(Met { at: now, number, request: request.to_string(), disturbed });
        }
        bites
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use std::net::Ipv4Addr;

    fn world(yaml: &str) -> World {
        let mut scenario = Scenario::load("standard").unwrap();
        scenario.disturbances = serde_yaml::from_str(yaml).unwrap();
        World::new(scenario, Ipv4Addr::new(127, 86, 0, 0), Timestamp::from_second(1_800_000_000).unwrap())
    }

    #[test]
    fn a_disturbance_begins_after_its_requests_and_heals_after_its_times() {
        let mut world = world("[{api: proxmox, kind: silent, match: /nodes, after_requests: 1, times: 2}]");
        let mut asks = |path: &str| world.disturbs_request(Api::Proxmox, 1, path).is_some();
        let told =
            ["GET /nodes", "GET /version", "GET /nodes", "GET /version", "GET /nodes", "GET /nodes"].map(&mut asks);
        assert_eq!(told, [false, false, true, false, true, false]);
        // The one that got through meanwhile is in the account too.
        assert_eq!(world.disturbances.account.iter().map(|m| m.disturbed).collect::<Vec<_>>(), [true, false, true]);
        assert!(world.disturbs_request(Api::Kubernetes, 1, "GET /nodes").is_none());
    }

    #[test]
    fn what_flaps_is_closed_and_open_in_turns_until_it_ends() {
        let mut world = world("[{api: talos, kind: flaps, address: 201, every_s: 10, for_s: 30}]");
        let at = SocketAddr::from(([127, 86, 0, 201], 50000));
        world.begin_disturbance(0);
        let began = world.now;
        let talos = Endpoint::TalosSecure { vmid: 1001 };
        let closed = |seconds: u64| world.disturbances.closes(&at, &talos, add(began, Duration::from_secs(seconds)));
        assert_eq!([1, 11, 21, 31].map(closed), [true, false, true, false]);
        let other = SocketAddr::from(([127, 86, 0, 202], 50000));
        assert!(!world.disturbances.closes(&other, &talos, began));
        assert!(!world.disturbances.closes(&at, &Endpoint::Proxmox, began));
    }
}
