//! A list of any length, page by page: what a page held is gone before the next one comes, but for what the caller keeps.
use super::discovery::Served;
use super::error::Error;
use super::kind::Kind;
use super::limit::ANSWER;
use super::reader::{Page, Reader, parse_within};
use super::wire::{Ask, with_query};
use crate::base::values::Budget;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};
use tokio::sync::SemaphorePermit;

/// Objects asked for at once.
const PAGE: usize = 125;
/// The limit in memory for the values of one page, in bytes.
const MEMORY: usize = 48 << 20;
/// A page that can't be read and is shorter than this would be no better with fewer objects in it, in bytes.
const SHORT: usize = 256 << 10;

/// How far a list is read. A server whose pages never end is asked no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Objects in all.
    pub objects: usize,
    /// Answers in all.
    pub pages: usize,
    /// Bytes of all answers.
    pub bytes: usize,
    /// Wall time.
    pub time: Duration,
}

impl Default for Bounds {
    /// Five times the objects of the largest cluster that the product is made for.
    fn default() -> Self {
        Bounds { objects: 50_000, pages: 500, bytes: 512 << 20, time: Duration::from_secs(300) }
    }
}

/// The bound at which a list was left unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// So many objects were read.
    Objects(usize),
    /// So many pages were read.
    Pages(usize),
    /// So many bytes were read.
    Bytes(usize),
    /// So much time was over.
    Time(Duration),
}

/// The objects that were kept of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked<R> {
    /// In the server's order.
    pub items: Vec<R>,
    /// Objects that were read, kept or not.
    pub objects: usize,
    /// The bound at which reading ended before the list did.
    pub cut: Option<Cut>,
}

/// A list that is being read. Nothing of a page stays here when the next one is asked for.
pub struct Pages<'a> {
    reader: &'a Reader,
    path: String,
    field: String,
    bounds: Bounds,
    began: Instant,
    next: String,
    limit: usize,
    asked: usize,
    objects: usize,
    bytes: usize,
    cut: Option<Cut>,
    is_over: bool,
    _place: Option<SemaphorePermit<'a>>,
}

impl Reader {
    /// Reads all objects of a kind, of all namespaces, and keeps what `keep` makes of each. An answer that is too long is
    /// asked for again in halves. A `continue` token that became too old starts the list over, once.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::NotFound`] while the kind's definition is not installed.
    pub async fn walk<T: DeserializeOwned, R>(
        &self,
        kind: &Kind,
        field: Option<&str>,
        bounds: &Bounds,
        mut keep: impl FnMut(T) -> Option<R>,
    ) -> Result<Walked<R>, Error> {
        let kind = Served::from(kind);
        match self.walk_once(&kind, field, bounds, &mut keep).await {
            Err(Error::Gone) => self.walk_once(&kind, field, bounds, &mut keep).await,
            done => done,
        }
    }

    /// [`Reader::walk`] over a kind that the server was found to serve; a token that became too old is an error.
    ///
    /// # Errors
    /// See [`Reader::walk`].
    pub async fn walk_served<T: DeserializeOwned, R>(
        &self,
        kind: &Served,
        bounds: &Bounds,
        mut keep: impl FnMut(T) -> Option<R>,
    ) -> Result<Walked<R>, Error> {
        self.walk_once(kind, None, bounds, &mut keep).await
    }

    async fn walk_once<T: DeserializeOwned, R>(
        &self,
        kind: &Served,
        field: Option<&str>,
        bounds: &Bounds,
        keep: &mut impl FnMut(T) -> Option<R>,
    ) -> Result<Walked<R>, Error> {
        let mut pages = self.pages(kind, field, bounds).await;
        let mut items = Vec::new();
        while let Some(page) = pages.next().await? {
            items.extend(page.into_iter().filter_map(&mut *keep));
        }
        Ok(Walked { items, objects: pages.objects, cut: pages.cut })
    }

    /// The list of all objects of a kind, of all namespaces, to be read with [`Pages::next`].
    pub async fn pages(&self, kind: &Served, field: Option<&str>, bounds: &Bounds) -> Pages<'_> {
        Pages {
            reader: self,
            path: kind.path(),
            field: field.unwrap_or_default().to_string(),
            bounds: *bounds,
            began: Instant::now(),
            next: String::new(),
            limit: PAGE,
            asked: 0,
            objects: 0,
            bytes: 0,
            cut: None,
            is_over: false,
            _place: self.wire.place_for_a_list().await,
        }
    }
}

impl Pages<'_> {
    /// The next page; `None` at the end of the list, and where a bound was reached ([`Pages::cut`]). After an error the same
    /// page can be asked for again.
    ///
    /// # Errors
    /// See [`Error`]; after [`Error::Gone`] the list has to be begun anew.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<Vec<T>>, Error> {
        loop {
            if self.is_over || self.cut.is_some() {
                return Ok(None);
            }
            if self.asked >= self.bounds.pages {
                self.cut = Some(Cut::Pages(self.bounds.pages));
                return Ok(None);
            }
            let limit = self.limit.to_string();
            let query = [("fieldSelector", self.field.as_str()), ("limit", &limit), ("continue", &self.next)];
            let ask = Ask::get(with_query(&self.path, &query));
            let asked = ask.describe();
            let page = self.page::<T>(ask, &asked).await?;
            self.asked += 1;
            match page {
                Some(page) => return Ok(Some(self.taken(page))),
                None => self.limit /= 2,
            }
        }
    }

    /// The bound at which reading ended before the list did.
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    fn taken<T>(&mut self, page: Page<T>) -> Vec<T> {
        let items = page.items.unwrap_or_default();
        self.objects += items.len();
        match page.metadata.next {
            // The same token again would never end; what is behind it was not read.
            Some(token) if !token.is_empty() && token == self.next => self.cut = Some(Cut::Pages(self.asked)),
            Some(token) if !token.is_empty() => self.next = token,
            _ => self.is_over = true,
        }
        if !self.is_over && self.cut.is_none() {
            let bounds = self.bounds;
            self.cut = if self.objects >= bounds.objects {
                Some(Cut::Objects(self.objects))
            } else if self.bytes >= bounds.bytes {
                Some(Cut::Bytes(self.bytes))
            } else if self.began.elapsed() >= bounds.time {
                Some(Cut::Time(bounds.time))
            } else {
                None
            };
        }
        items
    }

    /// `None` when the page is too much for one answer and fewer objects may fit.
    async fn page<T: DeserializeOwned>(&mut self, ask: Ask, asked: &str) -> Result<Option<Page<T>>, Error> {
        let Some(body) = self.reader.wire.text_that_fits(ask).await? else {
            let what = format!("{asked}: one object is longer than {} MiB, which none of the API is", ANSWER >> 20);
            return if self.limit > 1 { Ok(None) } else { Err(Error::Answer { text: what }) };
        };
        self.bytes += body.len();
        match parse_within(asked, &body, &Budget::new(MEMORY)) {
            Err(_) if self.limit > 1 && body.len() > SHORT => Ok(None),
            read => read.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::connect;
    use super::super::testing::{Reply, Server};
    use super::*;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_list_whose_server_gives_the_same_token_again_was_not_read_to_its_end() {
        let page = |token: &str| {
            Reply::Json(200, json!({"metadata": {"continue": token}, "items": [{"metadata": {"name": "a"}}]}))
        };
        let server = Server::start(vec![page("more"), page("more"), page("")]).await;
        let (reader, _) = connect(&server.kubeconfig, None).unwrap();
        let walked = reader.walk(&Kind::POD, None, &Bounds::default(), |pod: Value| Some(pod)).await.unwrap();
        assert_eq!((walked.objects, walked.cut), (2, Some(Cut::Pages(2))));
    }
}
