//! A proxy that is no URL or holds a login, and exceptions that nobody would understand.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::names::is_dns_name;
use ipnet::IpNet;
use std::net::IpAddr;

pub const RULE: Rule = Rule {
    id: "proxy",
    severity: Severity::Error,
    overridable: false,
    about: "a proxy at no URL or with a login in it, or an exception from it that is no name, address or network",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let network = &plan.network;
    let mut problems: Vec<Problem> = network.proxy.as_deref().and_then(judge).into_iter().collect();
    let wrong = network.no_proxy.iter().enumerate().filter(|(_, entry)| !is_exception(entry));
    problems.extend(wrong.map(|(i, entry)| {
        Problem::new(
            format!("network.no_proxy[{i}]"),
            format!("`{entry}` is no exception"),
            "the nodes compare it with the server's name or address",
            "a name, a domain with a dot in front, an address, or a network: registry.example.org, .example.org, 10.1.0.0/16",
        )
    }));
    problems
}

fn judge(url: &str) -> Option<Problem> {
    let problem = |what: &str, why: &str, write: &str| Some(Problem::new("network.proxy", what, why, write));
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).unwrap_or_default();
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.contains('@') {
        // Its text is not repeated: it holds a password.
        let why = "the plan is no place for a secret, and each machine config would carry it";
        return problem("the URL holds a login", why, "a proxy that lets this site's networks in without one");
    }
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let is_fine = is_dns_name(name) && port.parse::<u16>().is_ok_and(|port| port > 0);
    let why = "downloads and the nodes' pulls go through an HTTP proxy";
    if is_fine { None } else { problem("it is no URL of a proxy", why, "http://HOST:PORT") }
}

fn is_exception(entry: &str) -> bool {
    let name = entry.strip_prefix('.').unwrap_or(entry);
    entry.parse::<IpNet>().is_ok() || entry.parse::<IpAddr>().is_ok() || is_dns_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_server_at_a_url_without_a_login_that_is_never_repeated() {
        for fine in ["http://proxy.example.org:3128", "https://10.0.0.9", "http://proxy:8080/"] {
            assert_eq!(judge(fine), None, "{fine}");
        }
        for wrong in
            ["proxy:3128", "socks5://proxy:1080", "http://", "http://proxy:0", "http://proxy:3128/a", "http://a b"]
        {
            assert!(judge(wrong).is_some(), "{wrong}");
        }
        let login = judge("http://user:hunter2@proxy:3128").unwrap();
        assert!(login.what.contains("login") && !format!("{login:?}").contains("hunter2"));
    }

    #[test]
    fn exceptions_are_names_domains_addresses_and_networks() {
        for fine in ["registry.example.org", ".example.org", "10.1.0.5", "10.1.0.0/16", "fd00::/8"] {
            assert!(is_exception(fine), "{fine}");
        }
        for wrong in ["*", "", ".", "10.1.0.0/33", "a,b", "http://a", "a b"] {
            assert!(!is_exception(wrong), "{wrong}");
        }
    }
}
