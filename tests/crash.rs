//! A worker that is killed at any point of a run leaves nothing twice and nothing half: a slice of what `tests/soak/run`
//! tries exhaustively.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#[path = "soak/rig/mod.rs"]
mod rig;

use rig::Shape;
use rig::suffering::{suffer, undisturbed};
use rig::worker::{Death, Request, Tail};

#[test]
fn probe() {
    cozyup::base::tls::install_provider();
    let t = std::time::Instant::now();
    let r = cozyup::lab::releases::Releases::make().unwrap();
    eprintln!("make {:?}", t.elapsed());
    for _ in 0..3 {
        let t = std::time::Instant::now();
        let rig = rig::Rig::new(&Shape { scenario: "small", until: 1, teardown: false, speed: 1000.0 });
        eprintln!("rig {:?}", t.elapsed());
        let t = std::time::Instant::now();
        let l = rig::worker::live(&rig, rig.shape.way(), &Death::Never, false, |w| w);
        eprintln!("live {:?}", t.elapsed());
        let first = l.records[0].at;
        for r in &l.records {
            eprintln!(
                "{:8.1} {}",
                cozyup::base::clock::between(first, r.at).as_secs_f64(),
                rig::worker::word(&r.event)
            );
        }
    }
}
