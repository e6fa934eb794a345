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
    let shape = Shape { scenario: "small", until: 5, teardown: false, speed: 1000.0 };
    let expected = undisturbed(&shape);
    let t = std::time::Instant::now();
    let s = suffer(&shape, &[], &expected.standing, true, |w| w);
    eprintln!("{:?} {s:#?}", t.elapsed());
    let refusals = rig::twice::Refusals::default();
    let t = std::time::Instant::now();
    let s = suffer(&shape, &[], &expected.standing, true, |w| rig::twice::acts(w, &refusals));
    eprintln!("TWICE {:?} {s:#?} {:#?}", t.elapsed(), refusals.lock().unwrap());
    let n = expected.words.len();
    for d in [Death::Record(n / 4, Tail::Torn), Death::Record(n / 2, Tail::Unsynced), Death::Request(4, Request::Done), Death::Request(5, Request::Lost), Death::Request(5, Request::Late), Death::Request(20, Request::Late)] {
        let t = std::time::Instant::now();
        let s = suffer(&shape, &[d], &expected.standing, true, |w| w);
        eprintln!("{d} {:?} {s:#?}", t.elapsed());
    }
}
