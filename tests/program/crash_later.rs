//! As `crash.rs`, for the days behind the add-ons and their cleanups: Cluster API's VMs, volumes, the record. One run is killed
//! again and again, since each needs the days before; `tests/soak/run single --from 6 --until 10 --site small-pair` gives every
//! crash a run of its own.
use crate::common::until;
use crate::hands::Hands;
use crate::rig::suffering::{Expected, suffer, undisturbed};
use crate::rig::twice::{self, Refusals};
use crate::rig::worker::{Death, End, Request, Tail, day, live};
use crate::rig::{Rig, Shape};
use cozyup::engine::record::Outcome;
use cozyup::kubernetes::Kind;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::OnceLock;

const SHAPE: Shape = Shape { scenario: "small-pair", until: 10, teardown: false, speed: 1000.0 };
/// A worker dies whenever there are so many new kinds of records.
const STRIDE: usize = 6;

/// What a run to the end of day 10 leaves: found out once.
fn expected() -> &'static Expected {
    static RUN: OnceLock<Expected> = OnceLock::new();
    cozyup::base::tls::install_provider();
    RUN.get_or_init(|| undisturbed(&SHAPE))
}

#[test]
fn a_run_killed_again_and_again_from_day_6_on_and_in_its_cleanups_comes_to_the_same_end() {
    let expected = expected();
    let later = |word: &&String| day(word).is_some_and(|day| day >= 6);
    let kinds: BTreeSet<&String> = expected.words.iter().filter(later).collect();
    let tails = [Tail::Whole, Tail::Torn, Tail::Unsynced];
    let deaths: Vec<Death> = (0..kinds.len()).map(|i| Death::Fresh(6, STRIDE, tails[i % 3])).collect();
    let suffered = suffer(&SHAPE, &deaths, &expected.standing, false, |work| work);
    assert!(suffered.wrong.is_empty(), "killed at {:?}:\n{}", suffered.points, suffered.wrong.join("\n"));
    // Whether a step waits or has to look twice is a matter of moments; these come in every run.
    let sure = kinds.iter().filter(|word| word.ends_with(" intended") || word.ends_with(" proven")).count();
    let deaths = suffered.points.len();
    assert!(deaths >= sure / STRIDE, "{deaths} deaths among {sure} records that had to come: {:?}", suffered.points);
}

#[test]
fn every_act_of_days_6_to_10_can_be_done_twice_in_a_row() {
    let refusals = Refusals::default();
    let suffered = suffer(&SHAPE, &[], &expected().standing, false, |work| twice::acts(work, &refusals));
    let wrong: Vec<&String> = suffered.wrong.iter().filter(|line| !twice::repeats(line)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn goes_on(rig: &Rig, death: &Death) -> End {
    live(rig, SHAPE.course(), death, false, |work| work).end
}

/// A run that goes on looks at day 5 first, that no pod is stuck, and the second pod is stuck until the run deletes the first.
#[test]
fn a_run_killed_between_the_two_pods_of_a_volume_that_moves_does_not_wait_for_the_second_one_before_it_goes_on() {
    let is_meant = |name: &String| name.starts_with("DELETE ") && name.ends_with("/cozyup-storage/pods/volume-proxmox");
    let rig = Rig::new(&SHAPE);
    assert!(matches!(goes_on(&rig, &Death::After("day7.growth proven".into(), Tail::Whole)), End::Died));
    let is_lost = || rig.lab().changes().seen().last().is_some_and(is_meant);
    for _ in 0..20 {
        if is_lost() {
            break;
        }
        assert!(matches!(goes_on(&rig, &Death::New(Request::Lost)), End::Died));
    }
    assert!(is_lost(), "{:#?}", rig.lab().changes().seen());
    assert!(matches!(goes_on(&rig, &Death::Never), End::Ended(Outcome::Proven)));
}

/// The pods sleep for a day; a run may rest for longer.
#[test]
fn a_run_that_goes_on_after_its_pods_have_slept_out_makes_them_anew() {
    let rig = Rig::new(&SHAPE);
    assert!(matches!(goes_on(&rig, &Death::After("day7.moved intended".into(), Tail::Whole)), End::Died));
    let hands = Hands::of(&rig);
    let ended =
        json!({"phase": "Succeeded", "conditions": [{"type": "Ready", "status": "False", "reason": "PodCompleted"}]});
    hands.status(&Kind::POD, Some("cozyup-storage"), "volume-proxmox", &ended);
    until("the volume is detached", || {
        let config = hands.vm(1001);
        (!config.drives().any(|(_, drive)| drive.volid.contains("pvc-"))).then_some(())
    });
    assert!(matches!(goes_on(&rig, &Death::Never), End::Ended(Outcome::Proven)));
}
