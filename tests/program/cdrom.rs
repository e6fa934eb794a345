//! `talos.delivery: cdrom`: a machine takes its config from a CD-ROM, nothing is sent to whoever answers on the network,
//! and the CD-ROM with the cluster's keys is gone afterwards, whatever happened on the way.
use crate::rig::suffering::{Expected, suffer, undisturbed};
use crate::rig::worker::{Death, End, Request, Tail, live};
use crate::rig::{Rig, Shape};
use cozyup::base::day::Day;
#[allow(dead_code, reason = "the soak uses all of it")]
use cozyup::base::secret::Secret;
use cozyup::engine::course::Course;
use cozyup::engine::record::{Event, Outcome, Record};
use cozyup::lab::{iso, machine};
use cozyup::talos::seed::{Seed, SeedConfig, seed};
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, OnceLock};

const VMID: u32 = 1001;

fn until(until: u8) -> Shape {
    cozyup::base::tls::install_provider();
    Shape { scenario: "small-by-cdrom", until, teardown: false, speed: 1000.0 }
}

fn expected() -> &'static Expected {
    static RUN: OnceLock<Expected> = OnceLock::new();
    RUN.get_or_init(|| undisturbed(&until(2)))
}

/// Everything on the site that names a CD-ROM with a config.
fn cdroms(rig: &Rig) -> Vec<String> {
    let inventory = rig.lab().look(|world| world.pve.inventory());
    let lines = inventory.iter().filter(|(key, value)| {
        (key.starts_with("volume ") || key.starts_with("vm ")) && format!("{key} {value}").contains("iso/cozyup-")
    });
    lines.map(|(key, value)| format!("{key}: {value}")).collect()
}

fn proven<'a>(records: &'a [Arc<Record>], kind: &str) -> Option<&'a str> {
    records.iter().rev().find_map(|r| match &r.event {
        Event::Proven { step, proof } if step.kind() == kind => Some(proof.summary()),
        _ => None,
    })
}

fn sample() -> Seed {
    let config = SeedConfig {
        instance_id: "cozy.0a1b2c3d-1001".into(),
        hostname: "cp1".into(),
        mac: "bc:24:11:0a:0b:0c".into(),
        address: [10, 0, 0, 201].into(),
        subnet: "10.0.0.0/24".parse().unwrap(),
        gateway: [10, 0, 0, 1].into(),
        dns: vec![[10, 0, 0, 1].into()],
    };
    let text = format!("version: v1alpha1\nmachine:\n{}", "    # a line of the config\n".repeat(400));
    seed(&config, &Secret::new(text)).unwrap()
}

/// harm.md S3, best of the ways: the config goes by Proxmox VE's own API.
#[test]
fn a_machine_takes_its_config_from_its_cdrom_and_is_never_in_maintenance_mode() {
    let rig = Rig::new(&until(2));
    let life = live(&rig, Course::Forward { until: Day::Number(2) }, &Death::Never, false, |work| work);
    assert!(matches!(life.end, End::Ended(Outcome::Proven)), "{:?}", life.end);
    let console =
        rig.lab().look(|w| w.machines[&VMID].dmesg.from(0).map(|(_, line)| line.clone()).collect::<Vec<_>>().concat());
    assert!(console.contains("found config disk (cidata)"), "{console}");
    assert!(!console.contains("server certificate issued"), "it was in maintenance mode:\n{console}");
    let words: Vec<String> = life.records.iter().map(|r| crate::rig::worker::word(&r.event)).collect();
    for never in ["day1.reach proven", "day2.apply proven"] {
        assert!(!words.iter().any(|w| w == never), "{never}");
    }
    let at = |word: &str| words.iter().position(|w| w == word).unwrap_or_else(|| panic!("no {word}"));
    assert!(at("day2.seed proven") < at("day1.start proven"));
    assert!(at("day2.deliver proven") < at("day2.withdraw proven"));
    assert_eq!(cdroms(&rig), Vec::<String>::new());
    assert!(proven(&life.records, "day2.withdraw").unwrap().contains("is in no drive of vm 1001"));
    let drive = rig.lab().look(|w| w.pve.inventory()["vm 1001 ide2"].clone());
    assert_eq!(drive, "none,media=cdrom");
}

#[test]
fn a_run_whose_worker_dies_in_every_act_leaves_the_same_and_no_cdrom() {
    let shape = until(2);
    let expected = expected();
    let mine =
        |r: &&String| r.ends_with("/upload") || r.contains("content") || r.contains("config") || r.contains("start");
    let kinds: BTreeSet<&String> = expected.requests.iter().filter(mine).collect();
    assert!(kinds.len() >= 4, "{:?}", expected.requests);
    let fates = [Request::Done, Request::Lost, Request::Late];
    let deaths: Vec<Death> = (0..expected.requests.len()).map(|i| Death::New(fates[i % 3])).collect();
    let suffered = suffer(&shape, &deaths, &expected.standing, false, |work| work);
    assert!(suffered.wrong.is_empty(), "{:?}:\n{}", suffered.points, suffered.wrong.join("\n"));
}

/// The moments around each task.
#[test]
fn a_worker_killed_around_each_task_about_the_cdrom_leaves_the_same_and_no_cdrom() {
    let shape = until(2);
    let expected = expected();
    let words = [
        "day2.seed intended",
        "day2.seed acted",
        "day1.start handle_kept",
        "day2.deliver proven",
        "day2.withdraw handle_kept",
    ];
    for (n, word) in words.into_iter().enumerate() {
        assert!(expected.words.iter().any(|w| w == word), "{word} never comes");
        let deaths = [Death::After(word.into(), [Tail::Whole, Tail::Torn, Tail::Unsynced][n % 3])];
        let suffered = suffer(&shape, &deaths, &expected.standing, false, |work| work);
        assert!(suffered.wrong.is_empty(), "after {word}:\n{}", suffered.wrong.join("\n"));
    }
}

#[test]
fn a_teardown_takes_away_the_cdrom_of_a_run_that_ended_in_between() {
    for word in ["day2.seed handle_kept", "day1.start proven"] {
        let rig = Rig::new(&until(2));
        live(&rig, Course::Forward { until: Day::Number(2) }, &Death::After(word.into(), Tail::Whole), false, |work| {
            work
        });
        let life = live(&rig, Course::Back { cluster_is_lost: false }, &Death::Never, false, |work| work);
        assert!(matches!(life.end, End::Ended(Outcome::Proven)), "{word}: {:?}", life.end);
        assert_eq!(cdroms(&rig), Vec::<String>::new(), "{word}");
    }
}

/// Also when the plan says since that configs go over the network.
#[test]
fn a_teardown_by_a_plan_without_cdroms_takes_away_the_one_that_is_left() {
    let rig = Rig::new(&until(2));
    live(
        &rig,
        Course::Forward { until: Day::Number(2) },
        &Death::After("day2.seed proven".into(), Tail::Whole),
        false,
        |work| work,
    );
    assert_eq!(cdroms(&rig).len(), 2, "a volume and a drive: {:?}", cdroms(&rig));
    let plan = std::fs::read_to_string(rig.plan()).unwrap();
    std::fs::write(rig.plan(), plan.replace("delivery: cdrom", "delivery: apply")).unwrap();
    let life = live(&rig, Course::Back { cluster_is_lost: false }, &Death::Never, false, |work| work);
    assert!(matches!(life.end, End::Ended(Outcome::Proven)), "{:?}", life.end);
    assert_eq!(cdroms(&rig), Vec::<String>::new());
}

/// A machine that was reset would read it again; so it is put back only where the VM is off.
#[test]
fn a_run_that_goes_on_puts_no_cdrom_into_a_machine_that_has_its_config() {
    let rig = Rig::new(&until(2));
    live(&rig, Course::Forward { until: Day::Number(2) }, &Death::Never, false, |work| work);
    let before = rig.lab().changes().seen().len();
    let life = live(&rig, Course::Forward { until: Day::Number(2) }, &Death::Never, false, |work| work);
    assert!(matches!(life.end, End::Ended(Outcome::Proven)), "{:?}", life.end);
    assert!(proven(&life.records, "day2.seed").unwrap().contains("has its config"));
    assert_eq!(rig.lab().changes().seen().len(), before, "something was changed");
}

#[test]
fn the_lab_reads_what_cozyup_writes_as_a_kernel_and_talos_would() {
    let image = sample();
    let read = iso::read(&image.bytes).unwrap();
    assert_eq!(read.label, "cidata");
    let names: Vec<&String> = read.files.keys().collect();
    assert_eq!(names, ["meta-data", "network-config", "user-data"]);
    let given = machine::nocloud::read(&read.files, "bc:24:11:0a:0b:0c");
    assert_eq!(given.address, Some(([10, 0, 0, 201].into(), 24)));
    assert_eq!(given.hostname.as_deref(), Some("cp1"));
    assert!(machine::nocloud::machine_config(&read.files).unwrap().starts_with(b"version: v1alpha1"));
}

/// Without Rock Ridge's mark a kernel reads the names of Joliet.
#[test]
fn both_kinds_of_names_lead_to_the_same_files() {
    let image = sample();
    let whole = iso::read(&image.bytes).unwrap();
    let mut without = image.bytes.to_vec();
    let at = without.windows(10).position(|w| w == b"RRIP_1991A").unwrap();
    without[at] = b'X';
    assert_eq!(iso::read(&without).unwrap().files, whole.files);
}

/// What others make of it; skipped, with a word, where none of them is there.
#[test]
fn programs_of_others_read_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("seed.iso");
    let image = sample();
    std::fs::write(&file, &*image.bytes).unwrap();
    let user_data = iso::read(&image.bytes).unwrap().files["user-data"].clone();
    let path = file.to_str().unwrap();
    let mut judges = 0;
    let mut judge = |program: &str, arguments: &[&str]| {
        let Ok(out) = Command::new(program).args(arguments).output() else { return None };
        judges += 1;
        assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
        Some(out.stdout)
    };
    for option in ["-R", "-J"] {
        if let Some(out) = judge("isoinfo", &["-i", path, option, "-x", "/user-data"]) {
            assert_eq!(out, user_data, "isoinfo {option}");
        }
        if let Some(out) = judge("isoinfo", &["-i", path, option, "-f"]) {
            let mut names: Vec<String> = String::from_utf8(out).unwrap().lines().map(str::to_string).collect();
            names.sort();
            assert_eq!(names, ["/meta-data", "/network-config", "/user-data"], "isoinfo {option}");
        }
    }
    if let Some(out) = judge("isoinfo", &["-d", "-i", path]) {
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("Volume id: cidata") && text.contains("Rock Ridge") && text.contains("Joliet"), "{text}");
    }
    if let Some(out) = judge("bsdtar", &["-xOf", path, "user-data"]) {
        assert_eq!(out, user_data, "bsdtar");
    }
    if let Some(out) = judge("blkid", &["-p", "-o", "value", "-s", "LABEL", path]) {
        assert_eq!(String::from_utf8(out).unwrap().trim(), "cidata", "blkid");
    }
    if judges == 0 {
        eprintln!("skipped: neither isoinfo, bsdtar nor blkid is here");
    }
}
