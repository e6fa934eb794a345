//! The form that speaks to the site, and the draft that is kept of it.
use super::super::message::{Cmd, End, Msg};
use super::super::model::form::FormModel;
use super::super::model::home::HomeModel;
use super::super::model::{Model, Screen};
use super::super::session::Typist;
use super::super::theme::Theme;
use super::super::{Connector, Contact, Home, HomeChoice, NoContact};
use crate::base::tls::Fingerprint;
use crate::plan::Plan;
use crate::plan::choose::{Host, Store};
use crate::plan::defaults::{self, Defaults};
use crate::plan::draft::Draft;
use crate::plan::offer::{Offer, Rights};
use std::sync::Arc;

fn home(draft: Option<Draft>) -> Typist {
    let home = Home {
        plans: vec![("/plans/a.yaml".into(), "plan a".into())],
        cwd: "/".into(),
        connector: Some(Connector(Arc::new(|_, _| Box::pin(std::future::pending())))),
        draft,
        draft_file: Some("/state/draft.json".into()),
        ..Home::default()
    };
    let mut typist = Typist::home(Theme::new(false, true));
    typist.model = Model::new(Theme::new(false, true), Screen::Home(Box::new(HomeModel::new(home, None))));
    typist.resize((80, 24));
    typist
}

/// A new plan in the form, with a site that somebody chose.
fn chosen(draft: Option<Draft>) -> Typist {
    let mut typist = home(draft);
    typist.keys("<Enter>");
    let Screen::Home(model) = &mut typist.model.screen else { panic!("home") };
    model.form.as_mut().unwrap().plan.site.url = "https://127.0.0.9:8006".parse().unwrap();
    typist
}

fn form(typist: &Typist) -> &FormModel {
    match &typist.model.screen {
        Screen::Home(home) => home.form.as_ref().unwrap(),
        Screen::Run(_) | Screen::Cluster(_) => panic!("no home"),
    }
}

fn answer(typist: &mut Typist, result: Result<Contact, NoContact>) {
    let url = form(typist).plan.site.url.clone();
    typist.send(Msg::Contacted { url, result });
}

/// The plan whose site was asked since this was called last.
fn asked(typist: &mut Typist) -> Option<Box<Plan>> {
    let commands = std::mem::take(&mut typist.commands);
    commands.into_iter().find_map(|c| if let Cmd::Connect { plan, .. } = c { Some(plan) } else { None })
}

/// The last draft that was to be kept; `Some(None)`: it was to be taken away.
fn kept(typist: &Typist) -> Option<Option<Draft>> {
    typist.commands.iter().rev().find_map(|c| {
        let Cmd::Keep { text, .. } = c else { return None };
        Some(text.as_deref().map(|text| Draft::of_text(text).unwrap()))
    })
}

fn offer() -> Box<Offer> {
    let store = |name: &str, import: bool, free: u64| Store {
        name: name.into(),
        images: !import,
        import,
        shared: false,
        thick: false,
        free: free << 30,
    };
    let host = Host {
        name: "node7".into(),
        unfit: None,
        cores: 48,
        memory: 256 << 30,
        taken: 0,
        storages: vec![store("local", true, 90), store("slow", false, 4000), store("ssd", false, 900)],
        bridges: Vec::new(),
    };
    let known = Defaults {
        hosts: vec!["node7".into()],
        disk_storage: Some("ssd".into()),
        reasons: vec!["template.storage: ssd has the room that these machines need".into()],
        ..Defaults::default()
    };
    let site = "Proxmox VE 9.1.2 at https://10.0.0.1:8006, 1 host online".to_string();
    let plan = defaults::plan(&known);
    Box::new(Offer { site, plan, reasons: known.reasons, hosts: vec![host], rights: Ok(Rights::default()) })
}

/// screen.md A6
#[test]
fn the_form_shows_the_certificate_before_it_sends_anything_and_then_takes_the_sites_values() {
    let mut typist = chosen(None);
    typist.keys("c");
    typist.shows(&["asks site, 0 s"]);
    let before = asked(&mut typist).unwrap();
    assert_eq!(before.site.fingerprint, None);
    typist.keys("c");
    assert!(asked(&mut typist).is_none(), "it is asked once at a time");

    let fingerprint = Fingerprint::of(b"the one");
    let described = format!("certificate of https://10.0.0.1:8006\n  SHA-256 {fingerprint}\n  subject pve");
    answer(&mut typist, Ok(Contact::Unknown { fingerprint: fingerprint.clone(), described: described.clone() }));
    typist.shows(&["Is it this certificate?", "SHA-256", "pvenode cert info", "Nothing secret was sent"]);
    typist.keys("<Esc>");
    assert_eq!(form(&typist).plan.site.fingerprint, None, "Esc accepts nothing");
    assert!(asked(&mut typist).is_none());

    typist.keys("c");
    assert!(asked(&mut typist).is_some());
    answer(&mut typist, Ok(Contact::Unknown { fingerprint: fingerprint.clone(), described }));
    typist.keys("y");
    assert_eq!(asked(&mut typist).unwrap().site.fingerprint, Some(fingerprint));

    answer(&mut typist, Ok(Contact::Met(offer())));
    typist.shows(&["Proxmox VE 9.1.2", "values of the plan were taken from it", "ssd has the room"]);
    let plan = &form(&typist).plan;
    assert_eq!((plan.template.storage.as_str(), plan.template.host.as_str()), ("ssd", "node7"));
    assert!(plan.nodes.iter().all(|n| n.host == "node7"));
}

/// issue 14 item 4: a person learned it on day 0 only.
#[test]
fn what_the_token_lacks_is_told_after_connecting_with_the_commands_to_copy() {
    let mut typist = chosen(None);
    typist.keys("c");
    let commands =
        vec!["pveum role modify Cozyup --append --privs \"VM.Clone\"".to_string(), "pveum acl modify / x".to_string()];
    let rights = Rights {
        token: "cozyup@pve!run".into(),
        there: vec!["VM.Audit".into(), "Sys.Audit".into()],
        missing: vec!["VM.Clone on /vms and the VMs below it".into()],
        next: format!("as root on a Proxmox node: {}", commands.join("; ")),
        commands: commands.clone(),
    };
    answer(&mut typist, Ok(Contact::Met(Box::new(Offer { rights: Ok(rights), ..*offer() }))));
    typist.shows(&["lacks 1 right that the plan needs", "VM.Clone on /vms", "pveum role modify Cozyup", "c copies"]);
    typist.keys("c");
    let Some(Cmd::Copy { text, file }) = typist.commands.pop() else { panic!("{:?}", typist.commands) };
    assert_eq!((text, file), (commands.join("\n"), Some("/state/copied".into())));
    typist.keys("<PageDown>");
    typist.shows(&["Privileges that are there: VM.Audit, Sys.Audit"]);
    typist.keys("<Esc>");
    typist.shows(&["lacks rights: i"]);
    typist.keys("c");
    let whole = Rights { token: "cozyup@pve!run".into(), there: vec!["VM.Clone".into()], ..Rights::default() };
    answer(&mut typist, Ok(Contact::Met(Box::new(Offer { rights: Ok(whole), ..*offer() }))));
    typist.shows(&["cozyup@pve!run has all 1 privileges"]);
    typist.keys("c");
    typist.shows(&["there is no command to copy"]);
    typist.keys("<Esc>c");
    answer(&mut typist, Ok(Contact::Met(Box::new(Offer { rights: Err("no answer".into()), ..*offer() }))));
    typist.shows(&["rights were not read, day 0 will: no answer"]);
}

#[test]
fn a_field_of_a_site_that_was_read_has_a_list_with_what_is_free() {
    let mut typist = chosen(None);
    typist.keys("c");
    answer(&mut typist, Ok(Contact::Met(offer())));
    typist.keys("<Enter>");
    let Screen::Home(model) = &mut typist.model.screen else { panic!("home") };
    assert!(model.form.as_mut().unwrap().go_to("template.storage"));
    typist.keys("<Enter>");
    typist.shows(&["template.storage", "slow", "3.9 TiB free, on node7", "900.0 GiB free"]);
    typist.keys("<Up><Enter>");
    assert_eq!(form(&typist).plan.template.storage, "slow");
    typist.keys("<Enter>e<C-u>mine<Enter>");
    assert_eq!(form(&typist).plan.template.storage, "mine", "what is not in the list can be typed");
}

#[test]
fn a_site_that_does_not_answer_says_why_and_what_to_do_and_one_that_answers_too_late_changes_nothing() {
    let mut typist = chosen(None);
    typist.keys("c");
    answer(&mut typist, Err(NoContact { what: "the token was refused".into(), next: "write the new one".into() }));
    typist.shows(&["the token was refused", "next: write the new one"]);
    typist.keys("<Esc>");
    typist.shows(&["site silent: i"]);
    typist.keys("c");
    let other = "https://10.9.9.9:8006".parse().unwrap();
    typist.send(Msg::Contacted { url: other, result: Ok(Contact::Met(offer())) });
    assert_eq!(form(&typist).plan.template.storage, "local-lvm");
    typist.shows(&["c asks that one"]);
}

#[test]
fn a_plan_with_a_file_keeps_its_values() {
    let mut typist = home(None);
    typist.keys("<End>e");
    assert!(matches!(typist.commands.pop(), Some(Cmd::Edit(path)) if path.ends_with("a.yaml")));
    let plan = Box::new(defaults::plan(&Defaults::default()));
    typist.send(Msg::Opened { path: "/plans/a.yaml".into(), result: Ok(plan) });
    typist.shows(&["image.sha256"]);
    typist.keys("c");
    assert!(asked(&mut typist).is_none(), "nobody has chosen the address of a plan of defaults");
    typist.shows(&["write your site's API URL first"]);
    let plan =
        Box::new(defaults::plan(&Defaults { site_url: "https://127.0.0.9:8006".parse().ok(), ..Defaults::default() }));
    typist.send(Msg::Opened { path: "/plans/a.yaml".into(), result: Ok(plan) });
    typist.shows(&["image.sha256"]);
    typist.keys("c");
    answer(&mut typist, Ok(Contact::Met(offer())));
    typist.shows(&["its values stay"]);
    assert_eq!(form(&typist).plan.template.storage, "local-lvm");
}

/// screen.md A6: a dropped line cost all that was typed.
#[test]
fn what_is_typed_is_kept_at_each_field_and_comes_back_with_the_text_that_is_no_value() {
    let mut typist = home(None);
    typist.keys("<Enter>");
    assert_eq!(kept(&typist), None, "nothing is typed yet");
    let Screen::Home(model) = &mut typist.model.screen else { panic!("home") };
    model.form.as_mut().unwrap().go_to("network.vip");
    typist.keys("<Enter><C-u>10.0.0<Enter>");
    let draft = kept(&typist).flatten().unwrap();
    assert_eq!(draft.wrong["network.vip"], "10.0.0");
    // The line drops within the next field.
    typist.keys("<Down><Enter><C-u>192.168.7.1");
    typist.commands.clear();
    typist.send(Msg::Hangup);
    assert!(matches!(typist.commands.last(), Some(Cmd::End(End::Home(HomeChoice::Quit)))));
    let draft = kept(&typist).flatten().unwrap();

    let mut again = home(Some(draft.clone()));
    again.shows(&["Go on with the draft that was kept"]);
    again.keys("<Enter>");
    again.shows(&["the draft that was kept; D throws it away"]);
    assert_eq!(form(&again).plan, draft.plan);
    assert_eq!(form(&again).wrong_count(), 2, "and the one within which the line dropped");
    again.keys("D<Esc>");
    assert_eq!(form(&again).wrong_count(), 2, "Esc throws nothing away");
    again.keys("Dy");
    assert_eq!(form(&again).plan, defaults::plan(&Defaults::default()));
    assert_eq!(kept(&again), Some(None), "the draft is taken away");
}

/// screen.md B15
#[test]
fn machines_have_their_sums_above_them() {
    let mut typist = home(None);
    typist.keys("<Enter>");
    let Screen::Home(model) = &mut typist.model.screen else { panic!("home") };
    model.form.as_mut().unwrap().go_to("nodes[0].name");
    typist.keys("w<Esc>");
    let Screen::Home(model) = &mut typist.model.screen else { panic!("home") };
    let form = model.form.as_mut().unwrap();
    (form.pane, form.row) = (super::super::model::form::FormPane::Fields, 0);
    model.place = super::super::model::home::Place::Form;
    typist.resize((100, 30));
    typist.shows(&["together 4 machines: 32 cores, 96 GiB memory, 1224 GiB disks"]);
}
