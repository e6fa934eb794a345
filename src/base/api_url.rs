//! The URL of a Proxmox VE API.
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Where pveproxy listens.
const PORT: u16 = 8006;

/// `https://host[:port]` of a Proxmox VE API, without a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiUrl(String);

impl ApiUrl {
    /// `https://host:port`, always with the port.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The API of the Proxmox VE host at `address`, on its usual port.
    pub fn at(address: Ipv4Addr) -> Self {
        ApiUrl(format!("https://{address}:{PORT}"))
    }

    /// Host name or address, without the port.
    pub fn host(&self) -> &str {
        let rest = self.0.strip_prefix("https://").unwrap_or(&self.0);
        // The colons of an IPv6 address stand in brackets.
        let end = rest.rfind(']').map_or(0, |at| at + 1);
        let port = rest.get(end..).and_then(|after| after.rfind(':')).map(|at| end + at);
        port.and_then(|at| rest.get(..at)).unwrap_or(rest)
    }

    /// Host name or address as it stands in a certificate: without the brackets of an IPv6 address.
    pub fn name(&self) -> &str {
        self.host().trim_matches(['[', ']'])
    }

    /// 1 to 65535
    pub fn port(&self) -> u16 {
        self.0.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(PORT)
    }
}

impl FromStr for ApiUrl {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        if s.contains('@') {
            // A password may stand in front of the `@`: it must not be repeated.
            return Err("the URL carries a user name: write https://HOST:8006, the token goes to token_file".into());
        }
        let rest =
            s.strip_prefix("https://").ok_or_else(|| format!("`{s}` is not an https URL: write https://HOST:8006"))?;
        let host = rest.trim_end_matches('/');
        if host.contains("/api2") {
            return Err(format!(
                "`{s}` must not end in /api2/json: clients append it themselves; write https://{}",
                host.split('/').next().unwrap_or(host)
            ));
        }
        if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
            return Err(format!("`{s}` has more than a host and a port: write https://HOST:8006"));
        }
        let (name, port) = match host.strip_prefix('[') {
            Some(rest) => {
                let (address, after) =
                    rest.split_once(']').ok_or_else(|| format!("`{s}` has no `]` behind the address"))?;
                address
                    .parse::<Ipv6Addr>()
                    .map_err(|_| format!("`{address}` is no IPv6 address: write https://[ADDRESS]:8006"))?;
                match after.strip_prefix(':') {
                    Some(port) => (format!("[{address}]"), Some(port)),
                    None if after.is_empty() => (format!("[{address}]"), None),
                    None => {
                        return Err(format!(
                            "`{s}` has something behind the `]` that is no port: write https://[ADDRESS]:8006"
                        ));
                    }
                }
            }
            None if host.matches(':').count() > 1 => {
                return Err(format!("`{s}` has an IPv6 address without brackets: {}", bracketed(host)));
            }
            None => match host.split_once(':') {
                Some((name, port)) => (name.to_string(), Some(port)),
                None => (host.to_string(), None),
            },
        };
        let port = match port {
            Some(port) => {
                port.parse::<u16>().ok().filter(|p| *p != 0 && port.bytes().all(|b| b.is_ascii_digit())).ok_or_else(
                    || format!("`{s}` has no port of 1 to 65535 behind its colon: write https://HOST:8006"),
                )?
            }
            None => PORT,
        };
        if name.is_empty() {
            return Err(format!("`{s}` names no host: write https://HOST:8006"));
        }
        Ok(ApiUrl(format!("https://{name}:{port}")))
    }
}

/// The notation with brackets of an IPv6 address that stands without them. Its last group may have been meant as the
/// port.
fn bracketed(host: &str) -> String {
    let with_port = host.rsplit_once(':').filter(|(address, port)| {
        *port == "8006" && (address.parse::<Ipv6Addr>().is_ok() || host.parse::<Ipv6Addr>().is_err())
    });
    match with_port {
        Some((address, port)) => format!("write https://[{address}]:{port}"),
        None => format!("write https://[{host}]:8006"),
    }
}

impl TryFrom<String> for ApiUrl {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

impl From<ApiUrl> for String {
    fn from(u: ApiUrl) -> String {
        u.0
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_the_api_path_is_refused_with_what_to_write() {
        let error = "https://10.0.0.1:8006/api2/json".parse::<ApiUrl>().unwrap_err();
        assert!(error.contains("write https://10.0.0.1:8006"), "{error}");
        assert_eq!("https://pve/".parse::<ApiUrl>().unwrap().as_str(), "https://pve:8006");
    }

    /// reports.md B26
    #[test]
    fn an_ipv6_address_stands_in_brackets_and_means_the_same_port() {
        let url = |s: &str| s.parse::<ApiUrl>().map(|u| (u.as_str().to_string(), u.host().to_string()));
        let is = |url: &str, host: &str| Ok((url.to_string(), host.to_string()));
        assert_eq!(url("https://[fd00::1]"), is("https://[fd00::1]:8006", "[fd00::1]"));
        assert_eq!(url("https://[fd00::1]:443/"), is("https://[fd00::1]:443", "[fd00::1]"));
        let six = "https://[fd00::1]:443".parse::<ApiUrl>().unwrap();
        assert_eq!((six.name(), six.port()), ("fd00::1", 443));
        assert_eq!(url("https://pve"), is("https://pve:8006", "pve"));
        assert_eq!(url("https://10.0.0.1:8006"), is("https://10.0.0.1:8006", "10.0.0.1"));
        for (wrong, said) in [
            ("https://2001:db8::10:8006", "write https://[2001:db8::10]:8006"),
            ("https://2001:db8::10", "write https://[2001:db8::10]:8006"),
            ("https://::1", "write https://[::1]:8006"),
            ("https://[fd00::1", "no `]`"),
            ("https://[fd00::g]", "no IPv6 address"),
            ("https://[fd00::1]8006", "is no port"),
            ("https://pve:", "no port"),
            ("https://pve:0", "no port"),
            ("https://pve:+80", "no port"),
            ("https://pve:99999", "no port"),
            ("https://:8006", "names no host"),
        ] {
            let error = url(wrong).unwrap_err();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }
}
