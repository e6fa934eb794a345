//! Real machined, apid and trustd v1.10.6 in container mode beside the nodes of the lab: one story of a control plane and a
//! worker, from maintenance to a bootstrapped etcd, told at both. What the real ones answer stands in `answers.txt`, and
//! beside it what the lab says where it differs, with the reason. `COZYUP_WRITE_ANSWERS=1` writes that file anew.
mod bootstrap;
mod configured;
mod looks;
mod maintenance;
mod place;
mod raw;
mod transcript;

use looks::Looks;
use place::Place;
use transcript::Transcript;

/// In this order: each part leaves the nodes where the next one needs them.
async fn story(place: &Place) -> Transcript {
    let mut told = Transcript::default();
    let looks = Looks::new(place);
    maintenance::look(place, &mut told).await;
    looks.take("maintenance", place, &mut told).await;
    maintenance::refused_configs(place, &mut told).await;
    configured::apply(place, &mut told).await;
    configured::look(place, &mut told).await;
    configured::dry_runs(place, &mut told).await;
    looks.take("configured", place, &mut told).await;
    bootstrap::worker_waits(place, &mut told).await;
    looks.take("before the bootstrap", place, &mut told).await;
    bootstrap::once(place, &mut told).await;
    bootstrap::look(place, &mut told).await;
    looks.take("bootstrapped", place, &mut told).await;
    told
}

fn run(place: Place) -> Transcript {
    tokio::runtime::Runtime::new().unwrap().block_on(story(&place))
}

/// talos.md, differences 1 to 11.
#[test]
fn the_lab_answers_as_machined_or_says_why_not() {
    transcript::judge_lab(&run(Place::lab()));
}

/// Apart, so that `tests/peers/run` can leave it out where machined is not built.
mod real {
    #[test]
    #[ignore = "needs real peers: tests/peers/run machined"]
    fn machined_answers_as_it_did() {
        super::transcript::judge_real(&super::run(super::Place::real()));
    }
}
