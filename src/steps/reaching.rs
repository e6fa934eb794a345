//! Next actions for a Proxmox VE that is not reached, or that something stands in front of: the way to it, the proxy,
//! the token.
use crate::engine::failure::Failure;
use crate::proxmox::{Front, TokenFault, Unreached};

pub fn unreached(how: Unreached, what: String) -> Failure {
    Failure::retryable(
        what,
        match how {
            Unreached::Name => {
                "the name in site.url leads nowhere from this machine: `getent hosts NAME` here; write an address, or mend \
                 the name service; cozyup tries again"
            }
            Unreached::NoTls => {
                "what answers there speaks no TLS that this program speaks: site.url has to lead to pveproxy (https://NODE:8006), \
                 with TLS 1.2 or newer; cozyup tries again"
            }
            Unreached::NoConnection => {
                "nothing answers there: check the way to the node (ping, a firewall, port 8006) and `systemctl status \
                 pveproxy` on it; cozyup tries again"
            }
            Unreached::ClosedAtOnce => {
                "the connection is taken and closed at once: pveproxy does that to clients that ALLOW_FROM or DENY_FROM in \
                 /etc/default/pveproxy shut out, and a firewall may; let this machine's address in; cozyup tries again"
            }
            Unreached::Cut | Unreached::Other => "check the network and pveproxy; cozyup tries again",
        },
    )
}

pub fn in_front(front: Front, what: String) -> Failure {
    let past = "or give the node's own address in site.url (https://NODE:8006)";
    match front {
        Front::Login => Failure::person(
            what,
            format!(
                "something in front of Proxmox VE wants a login of its own, not the token: let cozyup past it (by this \
                 machine's address, or for /api2), {past}"
            ),
        ),
        Front::BodyLimit => Failure::person(
            what,
            format!(
                "this is the limit of a proxy, not of Proxmox VE: the image is more than a GiB; raise the limit there (nginx: \
                 client_max_body_size 0), {past}"
            ),
        ),
        Front::RateLimit => {
            Failure::retryable(what, format!("raise the limit there, {past}; cozyup tries again, with growing pauses"))
        }
        Front::Denied => Failure::person(
            what,
            format!(
                "a proxy, a gateway or a web filter refuses this; Proxmox VE has not been asked: let it pass, {past}"
            ),
        ),
        Front::Redirect => Failure::person(
            what,
            format!(
                "the token is never sent after a redirection: write the address that is meant into site.url, {past}"
            ),
        ),
        Front::NoBackend => Failure::retryable(
            what,
            format!(
                "the proxy gets no answer from Proxmox VE: look at both (systemctl status pveproxy), {past}; cozyup tries again"
            ),
        ),
        Front::OtherPlace => Failure::person(
            what,
            format!(
                "another server than Proxmox VE answers: site.url has to lead to its API on port 8006; correct it, {past}"
            ),
        ),
    }
}

pub fn token(fault: TokenFault, what: String) -> Failure {
    Failure::person(
        what,
        match fault {
            TokenFault::NoSuchUser => {
                "the user of the token is not there: correct site.token_id, or make user, role and token as README says \
                 (`pveum user list` on a node shows who is there)"
            }
            TokenFault::NoSuchToken => {
                "the user is there, the token is not: `pveum user token list USER` on a node shows its names; correct \
                 site.token_id, or make it (pveum user token add USER NAME --privsep 0), write its secret into the token's \
                 file, stop the run and start it again"
            }
            TokenFault::Expired => {
                "the token or its user has expired: `pveum user token modify USER NAME --expire 0` (or `pveum user modify USER \
                 --expire 0`) lets cozyup go on by itself"
            }
            TokenFault::Disabled => {
                "the user is disabled: `pveum user modify USER --enable 1` lets cozyup go on by itself"
            }
            TokenFault::WrongSecret => {
                "the token is there, its secret is another one: write the secret that belongs to it into the token's file; if \
                 it is lost, make a new token (pveum user token remove, then add); stop the run and start it again"
            }
            TokenFault::Untold => {
                "the node says why to its own log alone: `journalctl -u pveproxy | grep 'authentication failure'` there; then \
                 correct site.token_id or the secret in the token's file, or lift the token's end (pveum user token modify USER \
                 NAME --expire 0); after a new secret stop the run and start it again"
            }
            TokenFault::Unknown => {
                "check the token id in the plan and the token's secret file; `pveum user token list USER` shows when it \
                 expires: `pveum user token modify USER TOKENID --expire 0` lets cozyup go on by itself; if it is lost or \
                 revoked, make a new one (pveum user token add USER TOKENID), stop the run and start it again"
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use crate::engine::failure::{Class, Failure};
    use crate::proxmox::{Error, Front, TokenFault, Unreached};
    use crate::steps::failures;

    fn told(error: Error) -> Failure {
        failures::proxmox(&error, "clone vm 1001")
    }

    /// reports.md B05
    #[test]
    fn a_login_in_front_of_proxmox_is_not_the_tokens_fault() {
        let text = "Unauthorized".to_string();
        let failure = told(Error::InFront { status: 401, front: Front::Login, server: Some("nginx".into()), text });
        assert_eq!(failure.class, Class::Person);
        assert!(failure.what.contains("`nginx` in front of proxmox wants a login of its own"), "{}", failure.what);
        assert!(failure.next.contains(":8006") && !failure.next.contains("pveum"), "{}", failure.next);
    }

    /// reports.md B07
    #[test]
    fn a_proxys_limit_of_bodies_is_named_as_that() {
        let text = "Request Entity Too Large".to_string();
        let failure = told(Error::InFront { status: 413, front: Front::BodyLimit, server: None, text });
        assert!(failure.next.contains("limit of a proxy") && !failure.next.contains("journalctl"), "{}", failure.next);
    }

    /// reports.md B24: each refusal of a token has its own next step.
    #[test]
    fn a_refused_token_says_what_is_wrong_with_it() {
        let next = |text: &str| told(Error::Unauthorized { text: text.into(), fault: TokenFault::of(text) }).next;
        assert!(next("no such user ('a@pve')").contains("pveum user list"));
        assert!(next("no such token 'x' for user 'a@pve'").contains("token list"));
        assert!(next("token 'a@pve!x' access expired").contains("--expire 0"));
        assert!(next("user 'a@pve' is disabled").contains("--enable 1"));
        assert!(next("invalid token value!").contains("its secret is another one"));
    }

    /// proxmox.md part 2 section 3, row ALLOW_FROM
    #[test]
    fn a_connection_that_is_closed_at_once_names_allow_from() {
        let failure = told(Error::Unreachable { what: "x".into(), how: Unreached::ClosedAtOnce });
        assert_eq!(failure.class, Class::Retryable);
        assert!(failure.next.contains("ALLOW_FROM"), "{}", failure.next);
    }

    /// Since January 2026 the server's 401 has no reason any more.
    #[test]
    fn a_server_that_keeps_the_reason_to_itself_is_named_with_its_log() {
        let text = "Authentication failed!";
        let next = told(Error::Unauthorized { text: text.into(), fault: TokenFault::of(text) }).next;
        assert!(next.contains("journalctl -u pveproxy"), "{next}");
    }
}
