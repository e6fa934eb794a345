//! Bodies that are not what their head promises.
use super::plan::Api;
use axum::body::Body;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use hyper::Response;
use hyper::header::CONTENT_LENGTH;
use std::convert::Infallible;
use std::time::Duration;

/// Wall time between two bytes of an endless body.
const BETWEEN: Duration = Duration::from_millis(500);

/// The answer with another body. Its length is not that of the head any more.
pub fn with(answered: Response<Body>, other: impl FnOnce(Body) -> Body) -> Response<Body> {
    let (mut head, body) = answered.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, other(body))
}

/// Half of the first piece, then whatever `then` does, then the end.
pub fn half_then(body: Body, then: impl Future<Output = ()> + Send + 'static) -> Body {
    let first = body.into_data_stream().take(1).map(|piece| {
        let piece = piece.unwrap_or_default();
        Ok::<Bytes, Infallible>(piece.slice(..piece.len() / 2))
    });
    let end = stream::once(then).map(|()| Ok(Bytes::new()));
    Body::from_stream(first.chain(end))
}

/// Blanks before the JSON that never comes; for gRPC a message of 1 MiB.
pub fn trickle(api: Api) -> Body {
    let head: &'static [u8] = match api {
        Api::Talos => &[0, 0, 16, 0, 0],
        Api::Proxmox | Api::Kubernetes | Api::Web => b" ",
    };
    let rest = stream::unfold((), |()| async {
        tokio::time::sleep(BETWEEN).await;
        Some((Ok::<Bytes, Infallible>(Bytes::from_static(b" ")), ()))
    });
    Body::from_stream(stream::once(async move { Ok(Bytes::from_static(head)) }).chain(rest))
}
