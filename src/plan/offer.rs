//! What a live site offers to a plan in the making: values to take, and lists to choose from.
use super::choose::{Host, Store};
use super::defaults::{self, Defaults};
use super::form::fields;
use super::model::Plan;
use crate::base::text::size;
use std::collections::BTreeMap;

/// Read from the site by whoever may ask it.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The site in a line: version, address, number of hosts.
    pub site: String,
    /// The plan that is written for this site.
    pub plan: Plan,
    /// The reasons for what was chosen, one sentence each.
    pub reasons: Vec<String>,
    /// The hosts that are online.
    pub hosts: Vec<Host>,
    /// Those of the token, or why they were not read.
    pub rights: Result<Rights, String>,
}

/// The rights of a token on Proxmox VE, beside those that the plan needed when it asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rights {
    /// `user@realm!name`
    pub token: String,
    /// Privileges that are there wherever the plan needs them.
    pub there: Vec<String>,
    /// Those that are not, each with its path.
    pub missing: Vec<String>,
    /// What gives them, for root on a node: one after the other. None: nobody can tell from here.
    pub commands: Vec<String>,
    /// What to do about those that are missing, in a sentence.
    pub next: String,
}

/// A value to choose, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// As it stands in the plan.
    pub value: String,
    /// What the site says of it, in a few words.
    pub about: String,
}

impl Offer {
    /// Puts the site's values into a new plan, where nobody has changed the product's own; gives how many it took.
    pub fn take_up(&self, plan: &mut Plan) -> usize {
        let untouched = defaults::plan(&Defaults::default());
        let mut taken = 0;
        for field in fields() {
            let (now, new) = ((field.get)(plan), (field.get)(&self.plan));
            if now == (field.get)(&untouched) && now != new && (field.set)(plan, &new).is_ok() {
                taken += 1;
            }
        }
        if plan.nodes == untouched.nodes && plan.nodes != self.plan.nodes {
            plan.nodes = self.plan.nodes.clone();
            return taken + 1;
        }
        let is_there = |host: &str| self.hosts.iter().any(|h| h.name == host);
        for (node, offered) in plan.nodes.iter_mut().zip(self.plan.nodes.iter().cycle()) {
            if !is_there(&node.host) {
                node.host.clone_from(&offered.host);
            }
        }
        taken
    }

    /// The values to choose from for a key such as `template.storage` or `nodes[2].host`; none: it is typed.
    pub fn choices(&self, key: &str) -> Vec<Choice> {
        let hosts = || self.hosts.iter().map(|h| Choice { value: h.name.clone(), about: of_host(h) }).collect();
        match key {
            "template.host" => hosts(),
            "image.storage" => self.storages(|s| s.import),
            "template.storage" | "integration.csi.storage" => self.storages(|s| s.images),
            "network.bridge" => self.bridges(),
            key if key.starts_with("nodes[") && key.ends_with("].host") => hosts(),
            _ => Vec::new(),
        }
    }

    fn storages(&self, fits: fn(&Store) -> bool) -> Vec<Choice> {
        let mut found: BTreeMap<&str, (u64, bool, Vec<&str>)> = BTreeMap::new();
        for host in &self.hosts {
            for store in host.storages.iter().filter(|s| fits(s)) {
                let (least, shared, on) = found.entry(&store.name).or_insert((u64::MAX, store.shared, Vec::new()));
                *least = store.free.min(*least);
                *shared &= store.shared;
                on.push(&host.name);
            }
        }
        let about = |(free, shared, on): (u64, bool, Vec<&str>)| {
            let place = if shared { format!("shared by {}", on.join(", ")) } else { format!("on {}", on.join(", ")) };
            format!("{} free, {place}", size(free))
        };
        found.into_iter().map(|(name, of)| Choice { value: name.to_string(), about: about(of) }).collect()
    }

    fn bridges(&self) -> Vec<Choice> {
        let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for host in &self.hosts {
            for wire in &host.bridges {
                let address = wire.address.map_or("no address".to_string(), |a| a.to_string());
                found.entry(&wire.name).or_default().push(format!("{address} on {}", host.name));
            }
        }
        let choice = |(name, on): (&str, Vec<String>)| Choice { value: name.to_string(), about: on.join(", ") };
        found.into_iter().map(choice).collect()
    }
}

fn of_host(host: &Host) -> String {
    match &host.unfit {
        Some(why) => why.clone(),
        None => {
            format!(
                "{} cores, {}; its guests may take {}",
                host.cores,
                size(host.memory),
                if host.taken == 0 { "none of it".to_string() } else { size(host.taken) }
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::choose::Wire;

    fn store(name: &str, free_gib: u64, shared: bool) -> Store {
        Store {
            name: name.into(),
            images: name != "local",
            import: name == "local",
            shared,
            thick: false,
            free: free_gib << 30,
        }
    }

    fn host(name: &str) -> Host {
        Host {
            name: name.into(),
            unfit: None,
            cores: 32,
            memory: 128 << 30,
            taken: 0,
            storages: vec![store("local", 90, false), store("nas", 4000, true)],
            bridges: vec![Wire { name: "vmbr1".into(), address: "10.9.0.2/24".parse().ok(), gateway: None, mtu: None }],
        }
    }

    fn offer() -> Offer {
        let known = Defaults {
            hosts: vec!["a".into(), "b".into()],
            disk_storage: Some("nas".into()),
            bridge: Some("vmbr1".into()),
            ..Defaults::default()
        };
        Offer {
            site: "s".into(),
            plan: defaults::plan(&known),
            reasons: Vec::new(),
            hosts: vec![host("a"), host("b")],
            rights: Ok(Rights::default()),
        }
    }

    #[test]
    fn a_plan_takes_the_sites_values_where_nobody_has_written_another_one() {
        let mut plan = defaults::plan(&Defaults::default());
        plan.template.storage = "mine".into();
        let taken = offer().take_up(&mut plan);
        assert_eq!((plan.template.storage.as_str(), plan.network.bridge.as_str()), ("mine", "vmbr1"));
        assert_eq!(plan.nodes.iter().map(|n| n.host.as_str()).collect::<Vec<_>>(), ["a", "b", "a"]);
        assert!(taken >= 3, "{taken}");
        assert_eq!(offer().take_up(&mut plan), 0, "once is enough");
        // Machines of one's own stay, and get a host that there is.
        let mut own = defaults::plan(&Defaults { workers: 2, ..Defaults::default() });
        offer().take_up(&mut own);
        assert_eq!(own.nodes.len(), 5);
        assert!(own.nodes.iter().all(|n| n.host != "pve"), "{:?}", own.nodes);
    }

    #[test]
    fn lists_say_what_is_free_and_where() {
        let choice = |key: &str| {
            offer().choices(key).into_iter().map(|c| format!("{}: {}", c.value, c.about)).collect::<Vec<_>>()
        };
        assert_eq!(choice("template.storage"), ["nas: 3.9 TiB free, shared by a, b"]);
        assert_eq!(choice("image.storage"), ["local: 90.0 GiB free, on a, b"]);
        assert_eq!(choice("network.bridge"), ["vmbr1: 10.9.0.2/24 on a, 10.9.0.2/24 on b"]);
        assert_eq!(choice("nodes[1].host")[1], "b: 32 cores, 128.0 GiB; its guests may take none of it");
        assert_eq!(choice("network.vip"), Vec::<String>::new());
    }
}
