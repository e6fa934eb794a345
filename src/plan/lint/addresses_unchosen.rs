//! Addresses of a new plan that nobody has chosen.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::defaults::{self, Defaults};
use std::net::Ipv4Addr;

pub const RULE: Rule = Rule {
    id: "addresses-unchosen",
    severity: Severity::Warning,
    overridable: true,
    about: "the addresses of a new plan, unchanged, on a site that is elsewhere: day 0 would ask somebody else's machines",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let new = defaults::plan(&Defaults::default());
    let elsewhere = !plan.site.url.host().parse::<Ipv4Addr>().is_ok_and(|api| plan.network.subnet.contains(&api));
    if plan.network.subnet != new.network.subnet || plan.network.vip != new.network.vip || !elsewhere {
        return Vec::new();
    }
    let what = format!("{} and the addresses in it are those of a new plan", plan.network.subnet);
    let why = format!(
        "the site answers at {}, and nothing says that it has this network: day 0 would ask whoever has these addresses",
        plan.site.url.host()
    );
    let next = "the site's own subnet, gateway and free addresses; `cozyup plan new --url` reads them from the bridge";
    vec![Problem::new("network.subnet", what, why, next)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// reports.md, beside B43: 43 addresses of 10.0.0.0/24 were asked that way.
    #[test]
    fn unchanged_addresses_are_told_unless_the_site_is_among_them() {
        let told = |url: &str, subnet: &str| {
            let known = Defaults {
                site_url: Some(url.parse().unwrap()),
                subnet: Some(subnet.parse().unwrap()),
                ..Defaults::default()
            };
            check(&defaults::plan(&known)).len()
        };
        assert_eq!(told("https://192.168.7.11:8006", "10.0.0.0/24"), 1);
        assert_eq!(told("https://pve.example.com:8006", "10.0.0.0/24"), 1);
        assert_eq!(told("https://10.0.0.5:8006", "10.0.0.0/24"), 0);
        assert_eq!(told("https://192.168.7.11:8006", "192.168.7.0/24"), 0);
    }
}
