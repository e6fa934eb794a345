//! Name resolution: by this machine's resolver, or by a list.
//!
//! A list stands for the resolver where the site is a simulated one: its names lead into the lab, and whatever is not on
//! the list leads nowhere, so that a run in a lab never asks a server outside of it.
use super::text::clean;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A resolver that does not answer is as good as none.
const DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// The resolver of this machine, as every program on it asks it.
    System,
    /// A name, or `*.` and a domain, with where it leads.
    Listed(Vec<(String, SocketAddr)>),
}

impl Names {
    /// The list `NAME=ADDRESS:PORT,*.DOMAIN=ADDRESS:PORT`; `None` when it is none. An empty one leads nowhere.
    pub fn of_spec(spec: &str) -> Option<Names> {
        let entries = spec.split(',').filter(|e| !e.trim().is_empty()).map(|entry| {
            let (name, at) = entry.split_once('=')?;
            Some((name.trim().to_ascii_lowercase(), at.trim().parse().ok()?))
        });
        entries.collect::<Option<Vec<_>>>().map(Names::Listed)
    }

    /// The addresses of a name, each once, in the resolver's order.
    ///
    /// # Errors
    /// The resolver's words when it knows none, or does not answer within 5 s.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let nowhere = || "no address is known for it".to_string();
        let found: Vec<IpAddr> = match self {
            Names::Listed(_) => self.listed(name).map(|at| at.ip()).into_iter().collect(),
            Names::System => {
                // With a dot at its end no search domain of this machine is tried.
                let asked = tokio::net::lookup_host((format!("{name}."), 443));
                let found = tokio::time::timeout(DEADLINE, asked).await;
                let found = found.map_err(|_| format!("no answer within {} s", DEADLINE.as_secs()))?;
                found.map_err(|e| clean(&e.to_string()))?.map(|at| at.ip()).collect()
            }
        };
        let mut once: Vec<IpAddr> = Vec::new();
        for address in found {
            if !once.contains(&address) {
                once.push(address);
            }
        }
        if once.is_empty() { Err(nowhere()) } else { Ok(once) }
    }

    /// The address that the list has for this name; `None` without an entry, or when the machine's resolver decides.
    pub fn listed(&self, name: &str) -> Option<SocketAddr> {
        let Names::Listed(list) = self else { return None };
        let name = name.to_ascii_lowercase();
        let below =
            |entry: &str| entry.strip_prefix('*').is_some_and(|end| name.len() > end.len() && name.ends_with(end));
        list.iter().find(|(entry, _)| *entry == name || below(entry)).map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_answers_for_its_names_and_knows_no_other() {
        let names = Names::of_spec("ghcr.io=127.1.0.2:8080,*.cozy.example.com=127.1.0.212:443").unwrap();
        assert_eq!(names.listed("ghcr.io"), Some("127.1.0.2:8080".parse().unwrap()));
        let ip: IpAddr = "127.1.0.212".parse().unwrap();
        assert_eq!(names.addresses("Dashboard.cozy.example.com").await, Ok(vec![ip]));
        for other in ["quay.io", "cozy.example.com", "xcozy.example.com"] {
            assert!(names.addresses(other).await.is_err(), "{other}");
        }
        assert_eq!(Names::of_spec(""), Some(Names::Listed(Vec::new())));
        assert_eq!(Names::of_spec("ghcr.io"), None);
    }
}
