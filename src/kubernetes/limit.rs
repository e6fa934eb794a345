//! Limits for an API server's answers: a layer of the client that ends an answer, or a line of a watch, that is longer
//! than any of the API's. It counts while bytes come, so that nothing beyond the limit is kept or waited for.
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::http::{Request, Response};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower::{BoxError, Layer, Service};

/// Longest answer to one question, in bytes. etcd keeps no object above 1.5 MiB, and a page of a list has
/// [`super::reader::PAGE`] objects.
pub(super) const ANSWER: usize = 8 << 20;
/// Longest line of a watch, in bytes: one object, as an event.
pub(super) const LINE: usize = 4 << 20;

/// Inside the client's own errors.
#[derive(Debug, thiserror::Error)]
#[error("{asked}: {what} is longer than {} MiB, which none of the API is", .limit >> 20)]
pub(super) struct TooLong {
    asked: String,
    what: &'static str,
    limit: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits;

#[derive(Clone)]
pub(super) struct Limited<S>(S);

impl<S> Layer<S> for Limits {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited(inner)
    }
}

impl<S, Asked, B> Service<Request<Asked>> for Limited<S>
where
    S: Service<Request<Asked>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<Counted<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Asked>) -> Self::Future {
        let uri = request.uri();
        let asked = format!("{} {}", request.method(), uri.path_and_query().map_or(uri.path(), |p| p.as_str()));
        let is_watch = uri.query().is_some_and(|q| q.split('&').any(|pair| pair == "watch=true"));
        let answered = self.0.call(request);
        Box::pin(async move { Ok(answered.await?.map(|body| Counted::new(body, asked, is_watch))) })
    }
}

/// A body that ends with [`TooLong`] where its limit is reached.
pub(super) struct Counted<B> {
    body: B,
    asked: String,
    /// A line's length counts, not the whole's.
    is_watch: bool,
    /// Bytes of the whole, or since the last line's end.
    length: usize,
    /// The limit was reached, and that was told.
    over: bool,
}

impl<B> Counted<B> {
    fn new(body: B, asked: String, is_watch: bool) -> Counted<B> {
        Counted { body, asked, is_watch, length: 0, over: false }
    }

    fn count(&mut self, data: &[u8]) -> Result<(), TooLong> {
        let (limit, what) = if self.is_watch { (LINE, "a line of the answer") } else { (ANSWER, "the answer") };
        let lines: &mut dyn Iterator<Item = &[u8]> =
            if self.is_watch { &mut data.split_inclusive(|b| *b == b'\n') } else { &mut std::iter::once(data) };
        for line in lines {
            self.length = self.length.saturating_add(line.len());
            if self.length > limit {
                self.over = true;
                return Err(TooLong { asked: self.asked.clone(), what, limit });
            }
            if self.is_watch && line.ends_with(b"\n") {
                self.length = 0;
            }
        }
        Ok(())
    }
}

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.data_ref().map_or(Ok(()), |data| self.count(data)) {
                Ok(()) => Some(Ok(frame)),
                Err(e) => Some(Err(e.into())),
            },
            Some(Err(e)) => Some(Err(e.into())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(is_watch: bool) -> Counted<()> {
        Counted::new((), "GET /x".into(), is_watch)
    }

    #[test]
    fn an_answer_is_counted_whole_and_a_watch_by_its_lines() {
        let mebibyte = [&[b'x'; (1 << 20) - 1][..], b"\n"].concat();
        let mut answer = counted(false);
        for _ in 0..ANSWER >> 20 {
            answer.count(&mebibyte).unwrap();
        }
        let error = answer.count(b"x").unwrap_err().to_string();
        assert_eq!(error, "GET /x: the answer is longer than 8 MiB, which none of the API is");
        let mut watch = counted(true);
        for _ in 0..100 {
            watch.count(&mebibyte).unwrap();
        }
        let endless = vec![b'x'; LINE];
        watch.count(&endless).unwrap();
        assert!(watch.count(b"x").unwrap_err().to_string().contains("a line of the answer is longer than 4 MiB"));
        assert!(watch.over);
    }
}
