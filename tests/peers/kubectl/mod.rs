//! kubectl 1.33 with the kubeconfig that a run leaves behind: what a person who takes over the cluster types.
mod hand;
mod scenes;

use crate::lab::Served;
use hand::Hand;

type Scene = (&'static str, fn(&Hand));

const SCENES: &[Scene] = &[
    ("get prints tables, names and paths", scenes::get),
    ("get says what is not there", scenes::missing),
    ("get --watch follows", scenes::watch),
    ("describe tells of nodes, pods, releases and claims", scenes::describe),
    ("apply creates, leaves alone, changes and refuses", scenes::apply),
    ("server-side apply names conflicts", scenes::server_side),
    ("objects are made, changed and deleted by hand", scenes::by_hand),
    ("a rollout is followed and has a history", scenes::rollout),
    ("logs come whole, in part and as they are printed", scenes::logs),
    ("wait ends when it is so, and says when it is not", scenes::wait),
    ("explain and discovery tell what there is", scenes::explain),
    ("auth tells who one is and what one may", scenes::auth),
    ("events are listed", scenes::events),
    ("nodes are labelled, tainted and cordoned", scenes::nodes),
    ("everything in the cluster has the shape of its kind", scenes::shapes),
    ("what the lab can not do is said in plain words", scenes::not_simulated),
];

/// One run of cozyup for all of them; every scene has a namespace of its own.
#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn kubectl_does_what_a_person_expects() {
    let lab = Served::start("standard", 240.0);
    let run = lab.run_until(5);
    let hand = Hand::new(&run.join("secrets"), lab.address(200));
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let playing: Vec<_> = SCENES.iter().map(|(name, scene)| (*name, scope.spawn(|| scene(&hand)))).collect();
        playing.into_iter().filter_map(|(name, scene)| scene.join().is_err().then_some(name)).collect()
    });
    assert!(failed.is_empty(), "{} of {} scenes failed: {failed:#?}", failed.len(), SCENES.len());
}
