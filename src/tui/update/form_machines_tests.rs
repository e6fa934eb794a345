//! The machines of the form, typed in their table.
use super::super::model::Screen;
use super::super::model::form::{FormModel, FormPane};
use super::super::session::Typist;
use super::super::theme::Theme;

fn typist(size: (u16, u16)) -> Typist {
    let mut typist = Typist::home(Theme::new(false, true));
    typist.resize(size);
    typist.keys("<Enter>");
    form(&mut typist).go_to("nodes[0].name");
    typist.resize(size);
    typist
}

fn form(typist: &mut Typist) -> &mut FormModel {
    match &mut typist.model.screen {
        Screen::Home(home) => home.form.as_mut().unwrap(),
        Screen::Run(_) | Screen::Cluster(_) => panic!("no home"),
    }
}

fn at(typist: &mut Typist) -> String {
    form(typist).current().unwrap().key()
}

/// screen.md B15: nine rows for each machine, of which 80x24 showed one machine and a half.
#[test]
fn the_machines_stand_in_a_table_with_one_row_each_and_all_of_it_is_seen_at_80x24() {
    let mut typist = typist((80, 24));
    typist.keys("w");
    typist.shows(&["NAME ROLE VMID ADDRESS HOST CPU MiB SYS DATA", "HOST MACHINES CORES MEMORY DISKS"]);
    typist.shows(&["cozy-new-cp1 cp 1001 10.0.0.201 pve 8 24576 50 256", "cozy-new-cp3 cp 1003"]);
    typist.shows(&["cozy-new-worker1 wk 1011 10.0.0.211 pve 8 24576 50 256", "together 4 machines: 32 cores"]);
    typist.shows(&["1224 GiB on local-lvm", "c connects: then what is free stands beside it"]);
}

#[test]
fn arrows_go_by_machine_and_field_and_a_field_is_edited_in_its_place() {
    let mut typist = typist((80, 24));
    typist.keys("<Down><Right><Right>");
    assert_eq!(at(&mut typist), "nodes[1].vmid");
    typist.keys("<Enter>");
    typist.shows(&["VMID"]);
    typist.keys("<C-u>1003<Enter>");
    assert_eq!(form(&mut typist).plan.nodes[1].vmid.to_string(), "1003");
    typist.shows(&["1003"]);
    assert!(form(&mut typist).findings.iter().any(|f| f.rule == "duplicate-vmid"));
    typist.keys("<Enter><C-u>12x<Down>");
    assert_eq!(at(&mut typist), "nodes[2].vmid", "down leaves the field for the machine below");
    typist.shows(&["12x", "is no whole number"]);
    typist.keys("<End>");
    assert_eq!(at(&mut typist), "nodes[2].vmid");
    typist.keys("<Home><Right><Right><Right><Right><Right><Right><Right><Right>");
    assert_eq!(at(&mut typist), "nodes[0].data_disk_gib", "the last column is the end");
    for _ in 0..8 {
        typist.keys("<Left>");
    }
    assert_eq!((at(&mut typist).as_str(), form(&mut typist).pane), ("nodes[0].name", FormPane::Fields));
    typist.keys("<Left>");
    assert_eq!(form(&mut typist).pane, FormPane::Sections);
}

#[test]
fn tab_goes_on_to_the_next_field_of_the_machine_and_over_to_the_next_machine() {
    let mut typist = typist((100, 30));
    typist.keys("<Enter>x<Tab><Tab>");
    assert_eq!(at(&mut typist), "nodes[0].vmid");
    assert_eq!(form(&mut typist).plan.nodes[0].name, "cozy-new-cp1x");
    typist.keys("<Tab><Tab><Tab><Tab><Tab><Tab><Tab>");
    assert_eq!(at(&mut typist), "nodes[1].name");
    typist.keys("<Esc>");
    assert_eq!(form(&mut typist).plan.nodes.len(), 3);
}

/// At 40x10 the table has no place: the list of fields stays.
#[test]
fn a_small_screen_has_the_fields_below_each_other_as_before() {
    let mut typist = typist((40, 10));
    typist.shows(&["machine 1 cozy-new-cp1"]);
    typist.keys("<Down>");
    assert_eq!(at(&mut typist), "nodes[0].role");
}
