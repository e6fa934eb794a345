//! The plan form after it has asked a site.
use super::person::Person;
use cozyup::base::tls::Fingerprint;
use cozyup::plan::choose::{Host, Store, Wire};
use cozyup::plan::defaults::{Defaults, plan};
use cozyup::plan::offer::{Offer, Rights};
use cozyup::tui::message::Msg;
use cozyup::tui::model::form::FormSite;
use cozyup::tui::model::{Model, Screen};
use cozyup::tui::theme::Theme;
use cozyup::tui::{Contact, NoContact};
use std::time::Duration;

const URL: &str = "https://127.0.0.9:8006";
const TOKEN: &str = "cozyup@pve!run";

/// Whose site has answered so.
pub fn person(theme: Theme, size: (u16, u16), result: Result<Contact, NoContact>) -> Person {
    let mut person = Person::home(theme, size).keys("<Enter>");
    if let Model { screen: Screen::Home(home), .. } = &mut person.model
        && let Some(form) = &mut home.form
    {
        form.plan.site.url = URL.parse().unwrap();
        form.site = FormSite::Asked { since: Duration::ZERO };
    }
    person.send(Msg::Contacted { url: URL.parse().unwrap(), result });
    person
}

pub fn stranger() -> Result<Contact, NoContact> {
    let fingerprint = Fingerprint::of(b"pve1");
    let described = format!(
        "certificate of {URL}\n  SHA-256 {fingerprint}\n  subject CN=pve1.example.com, for pve1, pve1.example.com, 127.0.0.9\n  \
         issuer  CN=Proxmox Virtual Environment (as usual: Proxmox VE's own authority)\n  valid until 2027-06-30"
    );
    Ok(Contact::Unknown { fingerprint, described })
}

/// A site on which the token may do all that the plan needs.
pub fn met() -> Result<Contact, NoContact> {
    offered(Rights { token: TOKEN.into(), there: there(), ..Rights::default() })
}

/// A site on which the token may not clone.
pub fn lacking() -> Result<Contact, NoContact> {
    let command = "pveum role modify Cozyup --append --privs \"VM.Clone\"".to_string();
    offered(Rights {
        token: TOKEN.into(),
        there: there(),
        missing: vec!["VM.Clone on /vms and the VMs below it".into()],
        next: format!("as root on a Proxmox node: {command}"),
        commands: vec![command],
    })
}

fn there() -> Vec<String> {
    ["Datastore.Allocate", "Datastore.Audit", "SDN.Use", "Sys.Audit", "VM.Allocate"].map(String::from).to_vec()
}

fn offered(rights: Rights) -> Result<Contact, NoContact> {
    let store = |name: &str, import: bool, shared: bool, free: u64| Store {
        name: name.into(),
        images: !import,
        import,
        shared,
        thick: false,
        free: free << 30,
    };
    let host = |n: u8| Host {
        name: format!("pve{n}"),
        unfit: (n == 3).then(|| "runs Proxmox VE 7.4".to_string()),
        cores: 48,
        memory: 256 << 30,
        taken: u64::from(n) * (40 << 30),
        storages: vec![
            store("local", true, false, 90),
            store("local-lvm", false, false, 900),
            store("nas", false, true, 4000),
        ],
        bridges: vec![Wire {
            name: "vmbr0".into(),
            address: format!("127.0.0.{n}/24").parse().ok(),
            gateway: None,
            mtu: None,
        }],
    };
    let known = Defaults {
        site_url: URL.parse().ok(),
        hosts: vec!["pve1".into(), "pve2".into()],
        disk_storage: Some("nas".into()),
        reasons: vec![
            "network.bridge: vmbr0, since its network holds the API's address".into(),
            "template.storage: nas, since every host sees it and it has the room".into(),
        ],
        ..Defaults::default()
    };
    Ok(Contact::Met(Box::new(Offer {
        site: format!("Proxmox VE 9.1.2 at {URL}, 3 hosts online"),
        plan: plan(&known),
        reasons: known.reasons,
        hosts: vec![host(1), host(2), host(3)],
        rights: Ok(rights),
    })))
}

pub fn silent() -> Result<Contact, NoContact> {
    Err(NoContact {
        what: format!("ask {URL}: proxmox does not accept the token: authentication failure"),
        next: "check the token id in the plan and the token's secret file; `pveum user token list USER` shows when it expires".into(),
    })
}
