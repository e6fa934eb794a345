//! The properties that hold for any bytes that come over a run's socket, from either side.
#![allow(clippy::panic, clippy::unwrap_used, reason = "compiled for tests and for fuzzing alone")]
use super::protocol::{FromWorker, ToWorker};
use super::socket::{Message, codec, parse};
use crate::engine::record::Record;
use crate::engine::state::RunState;
use serde::Serialize;
use std::fmt::Debug;
use tokio_util::codec::Decoder;

/// Each line is refused, or means the same after it was said again; records fold.
pub fn protocol(bytes: &[u8]) {
    let (mut codec, mut buffer) = (codec(), bytes::BytesMut::from(bytes));
    let mut records: Vec<Record> = Vec::new();
    while let Ok(Some(line)) = codec.decode_eof(&mut buffer) {
        let _ = said_again::<ToWorker>(&line);
        if let Some(FromWorker::Record(record)) = said_again(&line) {
            records.push(*record);
        }
    }
    if let Some(last) = records.last() {
        assert_eq!(RunState::of(&records).seq, last.seq);
    }
}

fn said_again<T: Message + Serialize + PartialEq + Debug>(line: &str) -> Option<T> {
    let said: T = parse(line).ok()?;
    let Ok(text) = serde_json::to_string(&said) else { panic!("can't be said: {said:?}") };
    assert!(!text.contains('\n'), "more than a line: {text}");
    assert_eq!(parse::<T>(&text).ok().as_ref(), Some(&said), "{text}");
    Some(said)
}

#[test]
fn every_line_that_was_found_by_fuzzing_keeps_the_property() {
    crate::base::properties::seeds("protocol", protocol);
}
