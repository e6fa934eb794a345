//! What a node may send.
use crate::talos::{Fake, THEIRS, at, serve};
use cozyup::talos::Maintenance;
use std::cell::Cell;

thread_local! {
    /// Bytes that each disk of a fake node has too many. A test and the nodes that it serves share one thread.
    static PADDING: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn padding() -> String {
    " ".repeat(PADDING.get())
}

/// harm.md S8, of Talos.
#[tokio::test]
async fn a_node_that_sends_more_than_any_machine_has_to_say_is_given_up() {
    let (bind, address) = at(60);
    let fake = Fake::new(true);
    let _server = serve(&fake, bind, &THEIRS, false).await;
    let node = Maintenance::connect(address).await.unwrap();
    PADDING.set(9 << 20);
    let message = node.disks().await.unwrap_err().to_string();
    assert!(message.contains("decoded message length too large"), "{message}");
    PADDING.set(5 << 20);
    let list = node.disks().await.unwrap_err().to_string();
    assert!(list.contains("Disks.block.talos.dev: more than 8 MiB"), "{list}");
    PADDING.set(0);
    assert_eq!(node.disks().await.unwrap().value.len(), 2);
}
