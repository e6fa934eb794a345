//! A mirror of no registry, at no URL, with a login that all would see, or against another one of its registry.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::model::{EVERY, MirrorPlan};
use crate::plan::names::is_dns_name;

pub const RULE: Rule = Rule {
    id: "mirrors",
    severity: Severity::Error,
    overridable: false,
    about: "a mirror of no registry, at no URL, with a login in its URL or over http, or one that contradicts another",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let mirrors = &plan.talos.mirrors;
    let wrong = |(i, mirror): (usize, &MirrorPlan)| {
        let key = |name: &str| format!("talos.mirrors[{i}].{name}");
        if !is_registry(&mirror.registry) {
            let why = "images name their registry by host name, and a port where it has one";
            return Some(Problem::new(
                key("registry"),
                "it is no name of a registry",
                why,
                "ghcr.io, or \"*\" for all",
            ));
        }
        let (what, why, write) = judge(mirror).or_else(|| beside(mirror, mirrors.get(..i)?))?;
        Some(Problem::new(key("endpoint"), what, why, write))
    };
    mirrors.iter().enumerate().filter_map(wrong).collect()
}

fn is_registry(name: &str) -> bool {
    let (host, port) = name.split_once(':').unwrap_or((name, "1"));
    name == EVERY || is_dns_name(host) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// What Talos can't tell apart from the mirrors before this one.
fn beside(mirror: &MirrorPlan, before: &[MirrorPlan]) -> Option<(String, &'static str, &'static str)> {
    let kind = |m: &MirrorPlan| (m.is_root(), m.only);
    if before.iter().any(|m| m.registry == mirror.registry && kind(m) != kind(mirror)) {
        let what = format!("the mirrors of {} differ in `only`, or in whether /v2 is in their path", mirror.registry);
        return Some((what, "Talos has one setting of each for all mirrors of a registry", "mirrors of one kind"));
    }
    let other = before.iter().find(|m| m.server() == mirror.server() && m.login_file != mirror.login_file)?;
    let what = format!("{} has another login for {}", mirror.server(), other.registry);
    Some((what, "Talos keeps one login for each server", "one login_file for all mirrors of the server"))
}

fn judge(mirror: &MirrorPlan) -> Option<(String, &'static str, &'static str)> {
    let server = mirror.server();
    if server.contains('@') {
        // Its text is not repeated: it holds a password.
        let why = "the plan is no place for a secret, and Talos would not send it";
        return Some(("the URL holds a login".into(), why, "the URL without it, and login_file"));
    }
    let known = ["https://", "http://"].iter().any(|scheme| mirror.endpoint.starts_with(scheme));
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"'`\\?#".contains(&b);
    if !known || server.is_empty() || server.starts_with(':') || !mirror.endpoint.bytes().all(plain) {
        let what = "it is no URL of a mirror".to_string();
        return Some((what, "the nodes' containerd asks it over http or https", "https://HOST[:PORT][/PATH]"));
    }
    (mirror.login_file.is_some() && mirror.endpoint.starts_with("http://")).then(|| {
        let why = "every node would send the login unencrypted";
        ("a login over http".into(), why, "https://, and talos.ca_file where the mirror's authority is your own")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_login_or_none_at_all_is_refused_and_not_repeated() {
        let of = |text: &str| judge(&text.parse().unwrap());
        for fine in ["ghcr.io=https://m.example.org", "*=http://10.0.0.9:5000/x", "ghcr.io=https://m;login=~/l"] {
            assert_eq!(of(fine), None, "{fine}");
        }
        for wrong in ["ghcr.io=m.example.org", "ghcr.io=ftp://m", "ghcr.io=https://", "ghcr.io=https://m?x=1"] {
            assert!(of(wrong).is_some(), "{wrong}");
        }
        let login = of("ghcr.io=https://user:hunter2@m.example.org").unwrap();
        assert!(!format!("{login:?}").contains("hunter2"));
        assert!(of("ghcr.io=http://m;login=~/l").unwrap().1.contains("unencrypted"));
    }

    #[test]
    fn mirrors_that_talos_would_treat_alike_must_be_alike() {
        let of = |text: &str| text.parse::<MirrorPlan>().unwrap();
        let first = [of("ghcr.io=https://m;login=~/l")];
        assert_eq!(beside(&of("quay.io=https://m;only;login=~/l"), &first), None);
        assert!(beside(&of("ghcr.io=https://n;only"), &first).unwrap().0.contains("`only`"));
        assert!(beside(&of("ghcr.io=https://n/v2/x"), &first).unwrap().0.contains("/v2"));
        assert!(beside(&of("quay.io=https://m"), &first).unwrap().0.contains("another login"));
        for (name, is) in [("ghcr.io", true), ("*", true), ("a:5000", true), ("a:0", false), ("ghcr.io/x", false)] {
            assert_eq!(is_registry(name), is, "{name}");
        }
    }
}
