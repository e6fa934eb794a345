//! Streams that follow the lab: they look again whenever the world may have changed.
use super::super::super::world::Lab;
use futures::stream;
use std::collections::VecDeque;
use tonic::codegen::BoxStream;
use tonic::{Response, Status};

/// The result of one look: items for the client, and whether more may come.
pub struct Look<T> {
    pub items: Vec<T>,
    pub more: bool,
}

/// Sends what `look` finds, then looks again after every change for as long as there may be more.
pub fn follow<T: Send + 'static>(
    lab: &Lab,
    look: impl FnMut(&Lab) -> Result<Look<T>, Status> + Send + 'static,
) -> Response<BoxStream<T>> {
    let state = (lab.clone(), lab.watch(), VecDeque::new(), true, look);
    Response::new(Box::pin(stream::unfold(state, |(lab, mut changed, mut queue, mut more, mut look)| async move {
        loop {
            if let Some(item) = queue.pop_front() {
                return Some((Ok(item), (lab, changed, queue, more, look)));
            }
            if !more {
                return None;
            }
            // Seen before the look: a change during it wakes us again.
            changed.mark_unchanged();
            match look(&lab) {
                Ok(found) => {
                    queue.extend(found.items);
                    more = found.more;
                }
                Err(status) => return Some((Err(status), (lab, changed, queue, false, look))),
            }
            if queue.is_empty() && more && changed.changed().await.is_err() {
                return None;
            }
        }
    })))
}

/// Sends these items and ends.
pub fn once<T: Send + 'static>(items: Vec<T>) -> Response<BoxStream<T>> {
    Response::new(Box::pin(stream::iter(items.into_iter().map(Ok))))
}
