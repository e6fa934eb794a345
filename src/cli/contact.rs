//! First contact with a site: who answers at its address, before anything secret is sent there.
//!
//! A certificate that this system's authorities vouch for passes. Any other one is a person's to accept, as with ssh: by
//! comparing its fingerprint with the one on the node's own console.
use super::output::{print, print_error};
use crate::base::tls::Fingerprint;
use crate::base::trust::{Authority, Distrust, Trust};
use crate::plan::model::{ApiUrl, SitePlan};
use crate::proxmox::{Certificate, ROOT_CA, Reader, Shown, Validity, probe_certificate};
use jiff::Timestamp;
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

/// The number of attempts to get an answer.
const TRIES: usize = 3;
/// Longest answer that is read, in bytes.
const ANSWER: u64 = 1024;

/// The options about the site's certificate.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Given {
    /// SHA-256 of the site's certificate, as `pvenode cert info` on the node shows it: accepts exactly this one
    #[arg(long, value_name = "AA:BB:..", conflicts_with = "ca_file")]
    fingerprint: Option<Fingerprint>,
    /// File with the authority that signs the site's certificate (pve-root-ca.pem of any node), in PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<String>,
    /// What the plan holds on to: this one certificate, or the site's own authority, so that a renewed one passes too
    #[arg(long, value_enum, conflicts_with = "ca_file")]
    pin: Option<Pin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Pin {
    Leaf,
    Ca,
}

/// The certificate or authority that a person or this system trusts at the address.
pub struct Met {
    pub trust: Trust,
    pub certificate: Certificate,
    /// Somebody at a terminal said so.
    asked: bool,
}

/// What came of the first contact of a form.
pub enum OnScreen {
    Trusted(Trust),
    /// A person has to compare it.
    Asks {
        fingerprint: Fingerprint,
        described: String,
    },
}

/// The reason why nothing may be sent to the address.
#[derive(Debug)]
pub enum Stranger {
    /// No certificate could be read there.
    Absent(String),
    /// Nobody has accepted the certificate, or it is not the one that was given.
    Refused(String),
}

impl Given {
    pub fn wants_authority(&self) -> bool {
        self.pin == Some(Pin::Ca)
    }

    pub fn ca_file(&self) -> Option<&str> {
        self.ca_file.as_deref()
    }

    /// Reads the certificate at `url` without sending anything, and finds somebody who vouches for it: what was given,
    /// this system's authorities, or a person at the terminal.
    ///
    /// # Errors
    /// See [`Stranger`]; each text has what to do in it.
    pub async fn meet(&self, url: &ApiUrl) -> Result<Met, Stranger> {
        let shown = probe_certificate(url).await.map_err(|e| {
            Stranger::Absent(format!(
                "{e}\nnext: check the address and pveproxy; without --url a plan of defaults is written"
            ))
        })?;
        print(&described(url, &shown));
        let trust = self.judge(url, &shown, can_ask())?;
        if matches!(trust, Some(Trust::System)) {
            print("  this system's authorities vouch for it, so it is not pinned: a renewed one passes too");
        }
        let asked = trust.is_none();
        let trust = match trust {
            Some(trust) => trust,
            None => Trust::Leaf(ask(&shown.certificate)?),
        };
        Ok(Met { trust, certificate: shown.certificate, asked })
    }

    /// The same for a plan in the form, on whose screen a person is asked.
    ///
    /// # Errors
    /// See [`Stranger`].
    pub async fn of_plan(site: &SitePlan) -> Result<OnScreen, Stranger> {
        let given = Given { fingerprint: site.fingerprint.clone(), ca_file: site.ca_file.clone(), pin: None };
        let url = &site.url;
        let shown = probe_certificate(url)
            .await
            .map_err(|e| Stranger::Absent(format!("{e}\nnext: check the address, and pveproxy on the node")))?;
        Ok(match given.judge(url, &shown, true)? {
            Some(trust) => OnScreen::Trusted(trust),
            None => {
                let described = described(url, &shown);
                OnScreen::Asks { fingerprint: shown.certificate.fingerprint, described }
            }
        })
    }

    /// `None` when a person has to say it.
    fn judge(&self, url: &ApiUrl, shown: &Shown, asks: bool) -> Result<Option<Trust>, Stranger> {
        let found = &shown.certificate.fingerprint;
        if let Some(wanted) = &self.fingerprint {
            if wanted != found {
                return Err(Stranger::Refused(format!(
                    "{url} shows another certificate than the one that was given:\n  given  {wanted}\n  shown  {found}\n\
                     next: compare both with `pvenode cert info` on the node's own console; when the shown one is not there, \
                     something else answers at this address"
                )));
            }
            return Ok(Some(Trust::Leaf(wanted.clone())));
        }
        if let Some(file) = &self.ca_file {
            return self.by_authority(url, shown, file).map(Some);
        }
        if shown.verified.is_ok() && self.pin.is_none() {
            return Ok(Some(Trust::System));
        }
        if shown.verified.is_ok() {
            return Ok(Some(Trust::Leaf(found.clone())));
        }
        if asks {
            return Ok(None);
        }
        Err(Stranger::Refused(format!(
            "nobody has accepted the certificate of {url} yet, so nothing was sent there and no plan was written\n\
             next: compare its fingerprint with `pvenode cert info` on the node's own console, then give it: \
             --fingerprint {found}"
        )))
    }

    fn by_authority(&self, url: &ApiUrl, shown: &Shown, file: &str) -> Result<Trust, Stranger> {
        let refuse = |what: String| Stranger::Refused(what);
        let authority = Authority::of_file(Path::new(file))
            .map_err(|e| refuse(format!("{file}: {e}\nnext: copy /etc/pve/pve-root-ca.pem of a node there")))?;
        authority.vouches(shown.certificate.der(), url.name()).map_err(|why| {
            refuse(format!(
                "the authority in {file} does not vouch for the certificate of {url}: {}\n\
                 next: {}",
                reason(&shown.certificate, &why),
                "take the authority that signs what pveproxy shows (pvenode cert info), and a name of the certificate in --url"
            ))
        })?;
        Ok(Trust::Authority(authority))
    }
}

impl Met {
    /// The site's own authority in place of the one certificate, read over the connection that was just accepted: when
    /// `wanted` was asked for, or when the person at the terminal takes it.
    ///
    /// # Errors
    /// When it was asked for and does not vouch for what the server shows.
    pub async fn authority(
        &self,
        reader: &Reader,
        node: &str,
        url: &ApiUrl,
        wanted: bool,
    ) -> Result<Option<Authority>, String> {
        if !(wanted || self.asked && can_ask()) {
            return Ok(None);
        }
        match self.own_authority(reader, node, url).await {
            Ok(authority) if wanted => Ok(Some(authority)),
            Ok(authority) => {
                let question = format!(
                    "The site's own authority signs this certificate, which is renewed every two years or sooner.\n\
                     Pin the authority instead ({}), so that the plan outlives that? (yes/no) ",
                    authority.fingerprint()
                );
                Ok(yes(&question).then_some(authority))
            }
            Err(why) if wanted => {
                Err(format!("{why}\nnext: leave --pin ca out, or give the right authority with --ca-file"))
            }
            Err(_) => Ok(None),
        }
    }

    async fn own_authority(&self, reader: &Reader, node: &str, url: &ApiUrl) -> Result<Authority, String> {
        let rows = reader.certificates(node).await.map_err(|e| e.to_string())?.value;
        let pem = rows.into_iter().find(|r| r.filename == ROOT_CA).and_then(|r| r.pem);
        let pem = pem.ok_or_else(|| format!("node {node} shows no {ROOT_CA}"))?;
        let authority = Authority::of_pem(&pem).map_err(|e| format!("{ROOT_CA} of node {node}: {e}"))?;
        authority.vouches(self.certificate.der(), url.name()).map_err(|why| {
            format!("the site's own authority does not vouch for what {url} shows: {}", reason(&self.certificate, &why))
        })?;
        Ok(authority)
    }
}

fn reason(certificate: &Certificate, why: &Distrust) -> String {
    match why {
        Distrust::OtherName => format!("{why}; it is for {}", certificate.names.join(", ")),
        Distrust::UnknownIssuer => format!("{} signed it", certificate.issuer),
        other => other.to_string(),
    }
}

fn described(url: &ApiUrl, shown: &Shown) -> String {
    let certificate = &shown.certificate;
    let end = certificate.not_after.strftime("%Y-%m-%d");
    let validity = match certificate.validity(Timestamp::now()) {
        Validity::Good => format!("valid until {end}"),
        Validity::EndsSoon => format!("valid until {end} only"),
        Validity::Ended => format!("ENDED on {end}"),
    };
    let signed = if certificate.names_own_authority() { " (as usual: Proxmox VE's own authority)" } else { "" };
    format!(
        "certificate of {url}\n  SHA-256 {}\n  subject {}, for {}\n  issuer  {}{signed}\n  {validity}",
        certificate.fingerprint,
        certificate.subject,
        if certificate.names.is_empty() { "no name".to_string() } else { certificate.names.join(", ") },
        certificate.issuer,
    )
}

fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The meaning of an answer at the terminal.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Yes,
    No,
    Nothing,
}

/// `yes`, `no`, or the fingerprint itself.
fn meant(answer: &str, found: &Fingerprint) -> Said {
    let answer = answer.trim();
    match answer.to_ascii_lowercase().as_str() {
        "yes" => return Said::Yes,
        "no" => return Said::No,
        _ => {}
    }
    match answer.parse::<Fingerprint>() {
        Ok(given) if given == *found => Said::Yes,
        Ok(_) => Said::No,
        Err(_) => Said::Nothing,
    }
}

fn ask(certificate: &Certificate) -> Result<Fingerprint, Stranger> {
    let found = &certificate.fingerprint;
    let refused = |what: &str| {
        Stranger::Refused(format!(
            "{what}; nothing was sent and no plan was written\nnext: compare it with `pvenode cert info` on the node's own console, then start again"
        ))
    };
    let question = "No authority of this machine vouches for it. Compare the fingerprint with `pvenode cert info` on the node's own \
                    console.\nIs it the same? (yes/no/the fingerprint from there) ";
    for _ in 0..TRIES {
        let Some(answer) = line(question) else { return Err(refused("no answer")) };
        match meant(&answer, found) {
            Said::Yes => return Ok(found.clone()),
            Said::No => return Err(refused("the certificate was not accepted")),
            Said::Nothing => print_error("write yes or no in full, or paste the fingerprint"),
        }
    }
    Err(refused("the certificate was not accepted"))
}

fn yes(question: &str) -> bool {
    line(question).is_some_and(|answer| answer.trim().eq_ignore_ascii_case("yes"))
}

/// A line from the terminal; `None` at its end.
fn line(question: &str) -> Option<String> {
    let mut err = std::io::stderr();
    // With standard error closed the question is not seen; the answer is read all the same.
    let _ = err.write_all(question.as_bytes()).and_then(|()| err.flush());
    let mut answer = String::new();
    let mut stdin = std::io::Read::take(std::io::stdin().lock(), ANSWER);
    match stdin.read_line(&mut answer) {
        Ok(n) if n > 0 => Some(answer),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_in_full_or_the_same_fingerprint_is_a_yes() {
        let found = Fingerprint::of(b"the one");
        let other = Fingerprint::of(b"another").to_string();
        let same = found.to_string().to_lowercase();
        for (answer, said) in [
            ("yes\n", Said::Yes),
            (" YES ", Said::Yes),
            (same.as_str(), Said::Yes),
            ("no", Said::No),
            (other.as_str(), Said::No),
            ("y", Said::Nothing),
            ("", Said::Nothing),
            ("\n", Said::Nothing),
        ] {
            assert_eq!(meant(answer, &found), said, "{answer:?}");
        }
    }
}
