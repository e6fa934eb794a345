//! `r` on a stopped machine: the worker starts its VM, and nothing that is not the run's to start.
use super::*;
use cozyup::engine::failure::Failure;
use cozyup::lab::pve::hand;

/// What the worker says of `r` on this VM; `None`: it is started.
async fn asked(run: &mut Watched, vmid: u32) -> Option<Failure> {
    let errand = Errand::of(&Mending::StartVm { vmid: Vmid::of(vmid), name: "cp1".into() }).unwrap();
    run.requests.send(Request::Errand { errand }.by("ann on pts/3")).unwrap();
    let ended = |r: &Record| match &r.event {
        Event::ErrandEnded { failure, .. } => Some(failure.clone()),
        _ => None,
    };
    run.record("the end of the errand", ended).await
}

fn type_in(rig: &Rig, line: &str) {
    rig.lab().with(|world| hand::type_as(world, line, "bob@pam")).unwrap();
}

/// The lab's own line about it.
fn line(rig: &Rig, name: &str) -> String {
    rig.lab().with(|world| world.pve.inventory().get(name).cloned().unwrap_or_default())
}

fn starts(rig: &Rig) -> String {
    line(rig, "task qmstart 1001: OK")
}

fn runs(rig: &Rig) -> bool {
    line(rig, "vm 1001 on pve") == "running"
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn r_on_a_stopped_machine_starts_it_and_one_that_is_held_or_not_the_runs_own_stays_off() {
    let rig = rig();
    block(async {
        let mut run = Watched::start(&rig, 2, Some(2));
        run.gate(2).await;
        run.board(Kind::Site, is_running).await;
        // Nobody looks any more, or the run would start it by itself.
        let silent = serde_json::from_value::<disturb::Disturbance>(
            serde_json::json!({"api": "proxmox", "kind": "silent", "match": "GET /api2/json/cluster/"}),
        );
        rig.lab().with(|world| world.disturbances = disturb::Plan::of(&[silent.unwrap()]));
        let refused = |why: Option<Failure>, words: &str| {
            assert!(why.as_ref().is_some_and(|why| why.what.contains(words)), "{words}: {why:?}");
        };
        refused(asked(&mut run, VMID).await, "vm 1001 (cp1) runs already");
        refused(asked(&mut run, 9100).await, "none of the machines");
        type_in(&rig, "qm stop 1001");
        until("the VM is off", || !runs(&rig)).await;
        let before = starts(&rig);
        let own = line(&rig, "vm 1001 description");
        type_in(&rig, "qm set 1001 --description mine");
        refused(asked(&mut run, VMID).await, "does not carry this run's mark");
        type_in(&rig, &format!("qm set 1001 --description {own}"));
        type_in(&rig, "vzdump 1001");
        refused(asked(&mut run, VMID).await, "held by a task: bob@pam runs vzdump on it");
        until("the backup has ended", || line(&rig, "vm 1001 lock").is_empty()).await;
        assert_eq!((starts(&rig), runs(&rig)), (before.clone(), false), "nothing was begun so far");
        assert_eq!(asked(&mut run, VMID).await, None);
        assert!(starts(&rig) != before && runs(&rig), "{}", starts(&rig));
        let asked = |r: &Arc<Record>| matches!(&r.event, Event::ErrandAsked { by, .. } if by == "ann on pts/3");
        assert_eq!(run.seen.iter().filter(|r| asked(r)).count(), 5, "each stands in the journal");
    });
}
